#include "sequential.h"

#include "../err.h"
#include "fold.h"

#include <stdio.h>

#define EPS 1e-5 /* batch-norm's */
#define KEY 48   /* bytes of a tensor's name */

bool sequential_has_conv(const struct checkpoint *checkpoint, uint32_t number, uint32_t kernel, struct bgd_err *why)
{
    char key[KEY];
    snprintf(key, sizeof key, "features.%u.weight", number);
    if (!checkpoint_has(checkpoint, key, why))
        return false;
    const struct checkpoint_tensor *weight = checkpoint_find(checkpoint, key);
    if (weight->ndim == 4 && weight->dims[2] == kernel && weight->dims[3] == kernel)
        return true;
    if (weight->ndim == 4)
        err_set(why, BGD_UNSUPPORTED, "%s has a %llux%llu kernel, expected %ux%u", key, (unsigned long long)weight->dims[2],
                (unsigned long long)weight->dims[3], kernel, kernel);
    else
        err_set(why, BGD_UNSUPPORTED, "%s has %u dimensions, expected a convolution's 4", key, weight->ndim);
    return false;
}

bool sequential_has_linear(const struct checkpoint *checkpoint, uint32_t number, struct bgd_err *why)
{
    char key[KEY];
    snprintf(key, sizeof key, "classifier.%u.weight", number);
    if (!checkpoint_has(checkpoint, key, why))
        return false;
    uint32_t ndim = checkpoint_find(checkpoint, key)->ndim;
    if (ndim != 2)
        err_set(why, BGD_UNSUPPORTED, "%s has %u dimensions, expected a linear layer's 2", key, ndim);
    return ndim == 2;
}

uint32_t sequential_input(const struct sequential *net, uint32_t height, uint32_t width)
{
    const struct checkpoint_tensor *first = checkpoint_find(net->checkpoint, "features.0.weight");
    if (first->dims[1] != 3 && first->dims[1] != 4)
        graph_fail(net->graph, BGD_UNSUPPORTED, "tensor features.0.weight takes %llu channels, expected 3 or 4",
                   (unsigned long long)first->dims[1]);
    return graph_input(net->graph, "input", (struct shape){(uint32_t)first->dims[1], height, width});
}

/* Fails with the smallest input where the window finds less than itself. */
static void check_fits(const struct sequential *net, uint32_t number, const char *layer, uint32_t x, struct bgd_window window)
{
    struct shape in = graph_shape(net->graph, x), input = graph_shape(net->graph, 0);
    if (in.h + window.pad_top + window.pad_bottom < window.kernel_h ||
        in.w + window.pad_left + window.pad_right < window.kernel_w)
        graph_fail(net->graph, BGD_ARGUMENT,
                   "%s takes an input of %ux%u or more, not %ux%u: features.%u, a %s of %ux%u, finds %ux%u pixels", net->name,
                   net->smallest, net->smallest, input.w, input.h, number, layer, window.kernel_w, window.kernel_h, in.w, in.h);
}

uint32_t sequential_conv(const struct sequential *net, uint32_t number, uint32_t x, struct bgd_window window)
{
    char conv[KEY], norm[KEY], relu[KEY], bias[KEY];
    snprintf(conv, sizeof conv, "features.%u", number);
    snprintf(norm, sizeof norm, "features.%u", number + 1);
    snprintf(relu, sizeof relu, "features.%u", net->norm ? number + 2 : number + 1);
    snprintf(bias, sizeof bias, "features.%u.bias", number);
    struct folded folded;
    struct bgd_err err;
    if (fold_conv(net->checkpoint, conv, net->norm ? norm : NULL, EPS, &folded, &err)) {
        graph_fail(net->graph, err.code, "%s", err.text);
        return 0;
    }
    if (!checkpoint_find(net->checkpoint, bias))
        graph_fail(net->graph, BGD_DAMAGED, "tensor %s is missing", bias);
    uint32_t in = graph_shape(net->graph, x).c;
    if (folded.in != in || folded.kernel_h != window.kernel_h || folded.kernel_w != window.kernel_w)
        graph_fail(net->graph, BGD_UNSUPPORTED,
                   "tensor %s.weight has %u input channels and a %ux%u kernel, expected %u and %ux%u", conv, folded.in,
                   folded.kernel_h, folded.kernel_w, in, window.kernel_h, window.kernel_w);
    check_fits(net, number, "convolution", x, window);
    x = graph_conv(net->graph, conv, x, folded.out, window, 1, folded.weight, folded.bias);
    fold_free(&folded);
    return graph_op(net->graph, BGD_OP_RELU, relu, x, 0);
}

uint32_t sequential_pool(const struct sequential *net, uint32_t number, uint32_t x, struct bgd_window window)
{
    char name[KEY];
    snprintf(name, sizeof name, "features.%u", number);
    check_fits(net, number, "pooling", x, window);
    return graph_max_pool(net->graph, name, x, window);
}

/* Reads classifier.NUMBER, which must take that many features; false, with the graph's error, if it does not. */
static bool read_linear(const struct sequential *net, uint32_t number, uint64_t features, struct folded *linear)
{
    char key[KEY];
    snprintf(key, sizeof key, "classifier.%u", number);
    struct bgd_err err;
    if (fold_dense(net->checkpoint, key, linear, &err)) {
        graph_fail(net->graph, err.code, "%s", err.text);
        return false;
    }
    if (linear->in == features)
        return true;
    graph_fail(net->graph, BGD_DAMAGED, "tensor %s.weight takes %u features, the network has %llu", key, linear->in,
               (unsigned long long)features);
    fold_free(linear);
    return false;
}

uint32_t sequential_classifier(const struct sequential *net, uint32_t x, uint32_t side, const uint32_t numbers[3])
{
    struct shape in = graph_shape(net->graph, x);
    bool shrinks = (uint64_t)in.h * in.w > side * side;
    if (shrinks)
        x = graph_adaptive_mean(net->graph, "avgpool", x, side, side);
    uint64_t features = (uint64_t)in.c * side * side;
    for (int i = 0; i < 3; i++) {
        char name[KEY], relu[KEY];
        struct folded linear;
        if (!read_linear(net, numbers[i], features, &linear))
            return 0;
        if (i == 0 && !shrinks)
            fold_adaptive_mean(&linear, side, side, in.h, in.w);
        snprintf(name, sizeof name, "classifier.%u", numbers[i]);
        snprintf(relu, sizeof relu, "classifier.%u", numbers[i] + 1);
        x = graph_dense(net->graph, i < 2 ? name : "logits", x, linear.out, linear.weight, linear.bias);
        x = i < 2 ? graph_op(net->graph, BGD_OP_RELU, relu, x, 0) : x;
        features = linear.out;
        fold_free(&linear);
    }
    graph_output(net->graph, x);
    return x;
}
