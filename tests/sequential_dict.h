/* State dicts of AlexNet, ZFNet and VGG, made in memory with the weights that fixtures/sequential.py documents. */
#ifndef BGD_TESTS_SEQUENTIAL_DICT_H
#define BGD_TESTS_SEQUENTIAL_DICT_H

#include "state_dict.h"

/* A weight and the bias beside it. */
static inline void sequential_add(struct state_dict *s, const char *list, uint32_t number, uint32_t ndim, uint32_t out,
                                  uint32_t in, uint32_t kernel)
{
    char name[32];
    snprintf(name, sizeof name, "%s.%u", list, number);
    state_dict_add(s, name, "weight", ndim, out, in, kernel, kernel);
    state_dict_add(s, name, "bias", 1, out, 0, 0, 0);
}

/* classifier.N, behind `in` maps of `cells` pixels. */
static inline void sequential_add_linear(struct state_dict *s, const uint32_t numbers[3], uint32_t in, uint32_t cells,
                                         uint32_t hidden, uint32_t classes)
{
    sequential_add(s, "classifier", numbers[0], 2, hidden, in * cells, 0);
    sequential_add(s, "classifier", numbers[1], 2, hidden, hidden, 0);
    sequential_add(s, "classifier", numbers[2], 2, classes, hidden, 0);
}

/* AlexNet's and ZFNet's five convolutions; `thinner` divides all channels. */
static inline struct state_dict *sequential_dict_five(bool zfnet, uint32_t thinner, uint32_t channels, uint32_t classes)
{
    static const uint32_t numbers[2][5] = {{0, 3, 6, 8, 10}, {0, 4, 8, 10, 12}},
                          kernels[2][5] = {{11, 5, 3, 3, 3}, {7, 5, 3, 3, 3}},
                          maps[2][5] = {{64, 192, 384, 256, 256}, {96, 256, 384, 384, 256}};
    struct state_dict *s = calloc(1, sizeof *s);
    uint32_t in = channels;
    for (int i = 0; i < 5; i++) {
        uint32_t out = maps[zfnet][i] / thinner;
        sequential_add(s, "features", numbers[zfnet][i], 4, out, in, kernels[zfnet][i]);
        in = out;
    }
    sequential_add_linear(s, (const uint32_t[]){1, 4, 6}, in, 36, 4096 / thinner, classes);
    return s;
}

/* The VGG of so many convolutions in its five blocks. */
static inline struct state_dict *sequential_dict_vgg(const uint32_t convs[5], bool norm, uint32_t thinner, uint32_t channels,
                                                     uint32_t classes)
{
    static const char *const suffixes[] = {"weight", "bias", "running_mean", "running_var"};
    struct state_dict *s = calloc(1, sizeof *s);
    uint32_t in = channels, number = 0;
    for (uint32_t block = 0; block < 5; block++, number++)
        for (uint32_t k = 0; k < convs[block]; k++, number += norm ? 3 : 2) {
            uint32_t out = (block < 3 ? 64u << block : 512) / thinner;
            char name[32];
            sequential_add(s, "features", number, 4, out, in, 3);
            snprintf(name, sizeof name, "features.%u", number + 1);
            for (int i = 0; i < 4 && norm; i++)
                state_dict_add(s, name, suffixes[i], 1, out, 0, 0, 0);
            if (norm)
                state_dict_add(s, name, "num_batches_tracked", 0, 0, 0, 0, 0)->counter = true;
            in = out;
        }
    sequential_add_linear(s, (const uint32_t[]){0, 3, 6}, in, 49, 4096 / thinner, classes);
    return s;
}

/* "alexnet", "zfnet" (with LRN or without: the tensors are the same), "vgg11" to "vgg19", "vgg11_bn" to "vgg19_bn". */
static inline struct state_dict *sequential_dict(const char *name, uint32_t thinner, uint32_t channels, uint32_t classes)
{
    static const struct {
        const char *name;
        uint32_t convs[5];
    } vggs[] = {{"vgg11", {1, 1, 2, 2, 2}}, {"vgg13", {2, 2, 2, 2, 2}}, {"vgg16", {2, 2, 3, 3, 3}}, {"vgg19", {2, 2, 4, 4, 4}}};
    for (size_t i = 0; i < sizeof vggs / sizeof vggs[0]; i++)
        if (strncmp(name, vggs[i].name, 5) == 0)
            return sequential_dict_vgg(vggs[i].convs, ends_with(name, "_bn"), thinner, channels, classes);
    return sequential_dict_five(strncmp(name, "zfnet", 5) == 0, thinner, channels, classes);
}

#endif
