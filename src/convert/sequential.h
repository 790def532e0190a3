/*
 * What torchvision's networks of 2012 to 2014 share: "features.N", convolutions with a relu behind each and poolings between
 * them, one after another; "avgpool", an adaptive mean that makes every input size fit; "classifier.N", three linear layers
 * with a relu between them. Numbers are places in an nn.Sequential: relus, poolings and dropout, which is nothing at
 * inference, have them, too. Channels and classes follow from the shapes, so thin and wide networks of a layout convert.
 */
#ifndef BGD_SEQUENTIAL_H
#define BGD_SEQUENTIAL_H

#include "checkpoint.h"
#include "graph.h"

struct sequential {
    const struct checkpoint *checkpoint;
    struct graph *graph;
    const char *name;  /* "AlexNet", for people */
    uint32_t smallest; /* side of an input; with less, a window would not fit */
    bool norm;         /* a batch-norm behind every convolution, before its relu */
};

/* Whether features.NUMBER is a convolution of that square kernel, or classifier.NUMBER a linear layer; `why` says why not. */
bool sequential_has_conv(const struct checkpoint *checkpoint, uint32_t number, uint32_t kernel, struct bgd_err *why);
bool sequential_has_linear(const struct checkpoint *checkpoint, uint32_t number, struct bgd_err *why);

/* Each returns the new value. Tensors that are read are marked as used; errors stick to the graph. */

/* Of 3 or 4 channels, as features.0 says. */
uint32_t sequential_input(const struct sequential *net, uint32_t height, uint32_t width);

/* features.NUMBER, its batch-norm if there are any, and the relu behind it. The bias must be there. */
uint32_t sequential_conv(const struct sequential *net, uint32_t number, uint32_t x, struct bgd_window window);

/* features.NUMBER, a max-pooling. */
uint32_t sequential_pool(const struct sequential *net, uint32_t number, uint32_t x, struct bgd_window window);

/* avgpool to `side` x `side`, and the linear layers at three places of the classifier, the last of which is the graph's output
 * "logits". A mean of no more pixels than it has cells is folded into the first layer, which gets smaller by that. */
uint32_t sequential_classifier(const struct sequential *net, uint32_t x, uint32_t side, const uint32_t numbers[3]);

#endif
