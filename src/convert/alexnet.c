#include "alexnet.h"

#include "sequential.h"

#include <string.h>

bool alexnet_recognises(const struct checkpoint *checkpoint, struct bgd_err *why)
{
    return sequential_has_conv(checkpoint, 0, 11, why) && sequential_has_conv(checkpoint, 3, 5, why) &&
           sequential_has_linear(checkpoint, 6, why);
}

uint32_t alexnet_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16])
{
    const struct sequential net = {.checkpoint = checkpoint, .graph = graph, .name = "AlexNet", .smallest = 63};
    strcpy(arch, "alexnet");
    uint32_t x = sequential_input(&net, height, width);
    x = sequential_conv(&net, 0, x, graph_window(11, 4, 2));
    x = sequential_pool(&net, 2, x, graph_window(3, 2, 0));
    x = sequential_conv(&net, 3, x, graph_window(5, 1, 2));
    x = sequential_pool(&net, 5, x, graph_window(3, 2, 0));
    x = sequential_conv(&net, 6, x, graph_window(3, 1, 1));
    x = sequential_conv(&net, 8, x, graph_window(3, 1, 1));
    x = sequential_conv(&net, 10, x, graph_window(3, 1, 1));
    x = sequential_pool(&net, 12, x, graph_window(3, 2, 0));
    return sequential_classifier(&net, x, 6, (const uint32_t[]){1, 4, 6});
}
