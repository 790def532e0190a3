#include "zfnet.h"

#include "sequential.h"

#include <string.h>

bool zfnet_recognises(const struct checkpoint *checkpoint, struct bgd_err *why)
{
    return sequential_has_conv(checkpoint, 0, 7, why) && sequential_has_conv(checkpoint, 4, 5, why) &&
           sequential_has_linear(checkpoint, 6, why);
}

/* 3x3 every 2 pixels, in ceil_mode. Such windows end with an odd side's last pixel; of an even one they leave a pixel over, and
 * ceil_mode adds the window that begins at the last but one and has one row beyond: inside the input, as PyTorch wants it. */
static uint32_t pool(const struct sequential *net, uint32_t number, uint32_t x)
{
    struct shape in = graph_shape(net->graph, x);
    struct bgd_window window = graph_window(3, 2, 0);
    window.pad_bottom = in.h % 2 == 0;
    window.pad_right = in.w % 2 == 0;
    return sequential_pool(net, number, x, window);
}

/* As Krizhevsky et al. 2012, section 3.3, but for alpha, which PyTorch divides by the number of channels. */
static uint32_t normalise(struct graph *graph, const char *name, uint32_t x)
{
    return graph_lrn(graph, name, x, 5, 1e-4f, 0.75f, 2);
}

static uint32_t build(const struct checkpoint *checkpoint, bool lrn, uint32_t height, uint32_t width, struct graph *graph)
{
    const struct sequential net = {.checkpoint = checkpoint, .graph = graph, .name = "ZFNet", .smallest = 47};
    uint32_t x = sequential_input(&net, height, width);
    x = sequential_conv(&net, 0, x, graph_window(7, 2, 1));
    x = pool(&net, 2, x);
    x = lrn ? normalise(graph, "features.3", x) : x;
    x = sequential_conv(&net, 4, x, graph_window(5, 2, 0));
    x = pool(&net, 6, x);
    x = lrn ? normalise(graph, "features.7", x) : x;
    x = sequential_conv(&net, 8, x, graph_window(3, 1, 1));
    x = sequential_conv(&net, 10, x, graph_window(3, 1, 1));
    x = sequential_conv(&net, 12, x, graph_window(3, 1, 1));
    x = pool(&net, 14, x);
    return sequential_classifier(&net, x, 6, (const uint32_t[]){1, 4, 6});
}

uint32_t zfnet_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16])
{
    strcpy(arch, "zfnet");
    return build(checkpoint, false, height, width, graph);
}

uint32_t zfnet_lrn_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph,
                         char arch[16])
{
    strcpy(arch, "zfnet_lrn");
    return build(checkpoint, true, height, width, graph);
}
