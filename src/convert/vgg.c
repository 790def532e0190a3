#include "vgg.h"

#include "sequential.h"

#include <stdio.h>
#include <string.h>

enum { BLOCKS = 5 };

bool vgg_recognises(const struct checkpoint *checkpoint, struct bgd_err *why)
{
    return sequential_has_conv(checkpoint, 0, 3, why) && sequential_has_linear(checkpoint, 0, why) &&
           sequential_has_linear(checkpoint, 6, why);
}

/* Whether features.NUMBER has A or B: two places, so that one lost tensor is found missing and not taken for another layout. */
static bool has(const struct checkpoint *checkpoint, uint32_t number, const char *a, const char *b)
{
    char key_a[48], key_b[48];
    snprintf(key_a, sizeof key_a, "features.%u.%s", number, a);
    snprintf(key_b, sizeof key_b, "features.%u.%s", number, b);
    return checkpoint_find(checkpoint, key_a) || checkpoint_find(checkpoint, key_b);
}

static void count_convs(const struct checkpoint *checkpoint, uint32_t step, uint32_t convs[BLOCKS])
{
    uint32_t number = 0;
    for (uint32_t block = 0; block < BLOCKS; block++) {
        for (convs[block] = 0; has(checkpoint, number, "weight", "bias"); convs[block]++)
            number += step;
        number++; /* the pooling */
    }
}

/* The net's name, from the numbers of its convolutions; an error for numbers that torchvision does not have. */
static void name_arch(struct graph *graph, const uint32_t convs[BLOCKS], bool norm, char arch[16])
{
    static const struct {
        const char *name;
        uint32_t convs[BLOCKS];
    } nets[] = {{"vgg11", {1, 1, 2, 2, 2}}, {"vgg13", {2, 2, 2, 2, 2}}, {"vgg16", {2, 2, 3, 3, 3}}, {"vgg19", {2, 2, 4, 4, 4}}};
    strcpy(arch, "vgg");
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
        if (memcmp(nets[i].convs, convs, sizeof nets[i].convs) == 0) {
            snprintf(arch, 16, "%s%s", nets[i].name, norm ? "_bn" : "");
            return;
        }
    graph_fail(graph, BGD_UNSUPPORTED,
               "a VGG with %u, %u, %u, %u, %u convolutions before its poolings is none of 11, 13, 16, 19", convs[0], convs[1],
               convs[2], convs[3], convs[4]);
}

uint32_t vgg_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16])
{
    bool norm = has(checkpoint, 1, "running_mean", "running_var");
    const struct sequential net = {
        .checkpoint = checkpoint, .graph = graph, .name = "VGG", .smallest = 1 << BLOCKS, .norm = norm};
    uint32_t step = norm ? 3 : 2, number = 0, convs[BLOCKS];
    count_convs(checkpoint, step, convs);
    name_arch(graph, convs, norm, arch);

    uint32_t x = sequential_input(&net, height, width);
    for (uint32_t block = 0; block < BLOCKS; block++) {
        for (uint32_t i = 0; i < convs[block]; i++, number += step)
            x = sequential_conv(&net, number, x, graph_window(3, 1, 1));
        x = sequential_pool(&net, number++, x, graph_window(2, 2, 0));
    }
    return sequential_classifier(&net, x, 7, (const uint32_t[]){0, 3, 6});
}
