#include "resnet.h"

#include "fold.h"

#include <stdio.h>
#include <string.h>

#define EPS 1e-5

struct net {
    const struct checkpoint *checkpoint;
    struct graph *graph;
};

static bool has(const struct checkpoint *checkpoint, const char *name)
{
    return checkpoint_find(checkpoint, name) != NULL;
}

bool resnet_recognises(const struct checkpoint *checkpoint, struct bgd_err *why)
{
    return checkpoint_has(checkpoint, "conv1.weight", why) && checkpoint_has(checkpoint, "bn1.running_mean", why) &&
           checkpoint_has(checkpoint, "layer1.0.conv1.weight", why) &&
           checkpoint_has(checkpoint, "layer4.0.conv1.weight", why) && checkpoint_has(checkpoint, "fc.weight", why);
}

/* CONV + NORM as one conv op named CONV, with a square kernel and the pad that keeps it centred. */
static uint32_t conv_norm(const struct net *net, const char *conv, const char *norm, uint32_t x, uint32_t kernel,
                          uint32_t stride)
{
    struct folded folded;
    struct bgd_err err;
    if (fold_conv(net->checkpoint, conv, norm, EPS, &folded, &err)) {
        graph_fail(net->graph, err.code, "%s", err.text);
        return 0;
    }
    uint32_t in = graph_shape(net->graph, x).c;
    if (folded.in != in || folded.kernel_h != kernel || folded.kernel_w != kernel)
        graph_fail(net->graph, BGD_UNSUPPORTED,
                   "tensor %s.weight has %u input channels and a %ux%u kernel, expected %u and "
                   "%ux%u (ResNeXt and other variants are not read)",
                   conv, folded.in, folded.kernel_h, folded.kernel_w, in, kernel, kernel);
    uint32_t value =
        graph_conv(net->graph, conv, x, folded.out, graph_window(kernel, stride, kernel / 2), 1, folded.weight, folded.bias);
    fold_free(&folded);
    return value;
}

/* BLOCK.convK + BLOCK.bnK, and a relu behind it if asked for. */
static uint32_t block_conv(const struct net *net, const char *block, int k, uint32_t x, uint32_t kernel, uint32_t stride,
                           bool relu)
{
    char conv[48], norm[48], name[64];
    snprintf(conv, sizeof conv, "%s.conv%d", block, k);
    snprintf(norm, sizeof norm, "%s.bn%d", block, k);
    snprintf(name, sizeof name, "%s.relu%d", block, k);
    uint32_t y = conv_norm(net, conv, norm, x, kernel, stride);
    return relu ? graph_op(net->graph, BGD_OP_RELU, name, y, 0) : y;
}

/* The shortcut is x itself only where x has the shape of what it is added to. */
static bool has_downsample(const struct net *net, const char *block, uint32_t x, uint32_t stride, bool bottleneck)
{
    char key[64];
    snprintf(key, sizeof key, "%s.downsample.0.weight", block);
    if (stride != 1 || has(net->checkpoint, key))
        return true;
    snprintf(key, sizeof key, "%s.conv%d.weight", block, bottleneck ? 3 : 2);
    const struct checkpoint_tensor *last = checkpoint_find(net->checkpoint, key);
    return last && last->ndim == 4 && last->dims[0] != graph_shape(net->graph, x).c;
}

static uint32_t add_block(const struct net *net, const char *block, uint32_t x, uint32_t stride, bool bottleneck)
{
    char conv[48], norm[48], name[64];
    snprintf(conv, sizeof conv, "%s.downsample.0", block);
    snprintf(norm, sizeof norm, "%s.downsample.1", block);
    /* The shortcut comes first, so that it is there when the last convolution adds it. */
    uint32_t shortcut = has_downsample(net, block, x, stride, bottleneck) ? conv_norm(net, conv, norm, x, 1, stride) : x;
    uint32_t y;
    if (bottleneck) {
        y = block_conv(net, block, 1, x, 1, 1, true);
        y = block_conv(net, block, 2, y, 3, stride, true);
        y = block_conv(net, block, 3, y, 1, 1, false);
    } else {
        y = block_conv(net, block, 1, x, 3, stride, true);
        y = block_conv(net, block, 2, y, 3, 1, false);
    }
    snprintf(name, sizeof name, "%s.add", block);
    y = graph_op(net->graph, BGD_OP_ADD, name, y, shortcut);
    snprintf(name, sizeof name, "%s.relu", block);
    return graph_op(net->graph, BGD_OP_RELU, name, y, 0);
}

static void find_blocks(const struct checkpoint *checkpoint, uint32_t blocks[4])
{
    char key[64];
    for (uint32_t layer = 0; layer < 4; layer++)
        for (blocks[layer] = 0; blocks[layer] < 64; blocks[layer]++) {
            snprintf(key, sizeof key, "layer%u.%u.conv1.weight", layer + 1, blocks[layer]);
            if (!has(checkpoint, key))
                break;
        }
}

/* The net's name, from its kind of block and their numbers; an error for a combination that torchvision does not have. */
static void name_arch(struct graph *graph, const uint32_t blocks[4], bool bottleneck, char arch[16])
{
    static const struct {
        const char *name;
        bool bottleneck;
        uint32_t blocks[4];
    } nets[] = {
        {"resnet18", false, {2, 2, 2, 2}},  {"resnet34", false, {3, 4, 6, 3}},  {"resnet50", true, {3, 4, 6, 3}},
        {"resnet101", true, {3, 4, 23, 3}}, {"resnet152", true, {3, 8, 36, 3}},
    };
    strcpy(arch, "resnet");
    for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++)
        if (nets[i].bottleneck == bottleneck && memcmp(nets[i].blocks, blocks, sizeof nets[i].blocks) == 0) {
            strcpy(arch, nets[i].name);
            return;
        }
    graph_fail(graph, BGD_UNSUPPORTED, "a ResNet with %u, %u, %u, %u %s per layer is none of 18, 34, 50, 101, 152", blocks[0],
               blocks[1], blocks[2], blocks[3], bottleneck ? "bottlenecks" : "basic blocks");
}

/*
 * The mean over the last maps and the dense layer behind it are both linear and so change places: the layer as a 1x1
 * convolution, then the mean. The logits are the same, and what they are the means of says where in the picture each comes from
 * (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", arXiv 1512.04150: class activation maps).
 */
static uint32_t classify(const struct net *net, uint32_t x)
{
    struct folded fc;
    struct bgd_err err;
    if (fold_dense(net->checkpoint, "fc", &fc, &err)) {
        graph_fail(net->graph, err.code, "%s", err.text);
        return 0;
    }
    if (fc.in != graph_shape(net->graph, x).c)
        graph_fail(net->graph, BGD_DAMAGED, "tensor fc.weight takes %u features, the network has %u", fc.in,
                   graph_shape(net->graph, x).c);
    uint32_t activation = graph_conv(net->graph, "activation", x, fc.out, graph_window(1, 1, 0), 1, fc.weight, fc.bias);
    fold_free(&fc);
    uint32_t logits = graph_op(net->graph, BGD_OP_GLOBAL_MEAN, "logits", activation, 0);
    graph_output(net->graph, logits);
    graph_output(net->graph, activation);
    return logits;
}

uint32_t resnet_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16])
{
    const struct net net = {checkpoint, graph};
    /* Two places, so that one lost tensor is found missing and not taken for another network. */
    bool bottleneck = has(checkpoint, "layer1.0.conv3.weight") || has(checkpoint, "layer4.0.conv3.weight");
    uint32_t blocks[4];
    find_blocks(checkpoint, blocks);
    name_arch(graph, blocks, bottleneck, arch);

    const struct checkpoint_tensor *stem = checkpoint_find(checkpoint, "conv1.weight");
    uint64_t channels = stem->ndim == 4 ? stem->dims[1] : 0;
    if (channels != 3 && channels != 4)
        graph_fail(graph, BGD_UNSUPPORTED, "tensor conv1.weight takes %llu channels, expected 3 or 4",
                   (unsigned long long)channels);
    uint32_t x = graph_input(graph, "input", (struct shape){(uint32_t)channels, height, width});
    x = conv_norm(&net, "conv1", "bn1", x, 7, 2);
    x = graph_op(graph, BGD_OP_RELU, "relu", x, 0);
    x = graph_max_pool(graph, "maxpool", x, graph_window(3, 2, 1));
    for (uint32_t layer = 0; layer < 4; layer++)
        for (uint32_t i = 0; i < blocks[layer]; i++) {
            char block[32];
            snprintf(block, sizeof block, "layer%u.%u", layer + 1, i);
            x = add_block(&net, block, x, layer > 0 && i == 0 ? 2 : 1, bottleneck);
        }
    return classify(&net, x);
}
