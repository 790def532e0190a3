#include "tracer.h"

#include "../err.h"
#include "fold.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define EPS_ENCODER 1e-3
#define EPS 1e-5
#define KEY 128  /* bytes of a key's prefix: the official ones have at most 60 */
#define NAME 192 /* of a value's name */

/* ---------------------------------------------------------------- the family */

/* EfficientNet's seven stages (Tan and Le 2019, table 1): how often a block repeats in B0, the first one's stride, and the
 * depthwise kernel. Blocks of the first stage have no expansion. */
static const struct {
    uint32_t repeats, stride, kernel;
} stages[] = {{1, 1, 3}, {2, 2, 3}, {2, 2, 5}, {3, 2, 3}, {3, 1, 5}, {4, 2, 5}, {1, 1, 3}};

enum { STAGES = sizeof stages / sizeof stages[0], FEATURES = 4 };

/* The stages whose last value the decoder takes. */
static const uint32_t feature_stages[FEATURES] = {1, 2, 4, 6};

static const struct family {
    double depth;                /* repeats are multiplied by it and rounded up */
    uint32_t nominal;            /* the backbone's image size, which the pads are frozen for */
    uint32_t side;               /* TRACER's table 1 */
    uint32_t channels[FEATURES]; /* of the features */
} families[] = {
    {1.0, 224, 320, {24, 40, 112, 320}}, {1.1, 240, 320, {24, 40, 112, 320}}, {1.2, 260, 352, {24, 48, 120, 352}},
    {1.4, 300, 384, {32, 48, 136, 384}}, {1.8, 380, 448, {32, 56, 160, 448}}, {2.2, 456, 512, {40, 64, 176, 512}},
    {2.6, 528, 576, {40, 72, 200, 576}}, {3.1, 600, 640, {48, 80, 224, 640}},
};

enum { FAMILIES = sizeof families / sizeof families[0] };

static uint32_t stage_repeats(const struct family *family, uint32_t stage)
{
    return (uint32_t)ceil(family->depth * stages[stage].repeats);
}

struct net {
    const struct checkpoint *checkpoint;
    struct graph *graph;
    const struct family *family;
    const char *encoder; /* "model" or "encoder" */
};

static bool has(const struct checkpoint *checkpoint, const char *name)
{
    return checkpoint_find(checkpoint, name) != NULL;
}

static const char *encoder_of(const struct checkpoint *checkpoint)
{
    return has(checkpoint, "model._conv_stem.weight")     ? "model"
           : has(checkpoint, "encoder._conv_stem.weight") ? "encoder"
                                                          : NULL;
}

bool tracer_recognises(const struct checkpoint *checkpoint, struct bgd_err *why)
{
    if (!encoder_of(checkpoint)) {
        err_set(why, BGD_UNSUPPORTED, "no model._conv_stem.weight or encoder._conv_stem.weight");
        return false;
    }
    return checkpoint_has(checkpoint, "rfb2.conv_cat.conv.weight", why) &&
           checkpoint_has(checkpoint, "agg.UAM.channel_q.weight", why) &&
           checkpoint_has(checkpoint, "ObjectAttention1.conv1.conv.weight", why);
}

/* The output channels of the encoder's block `index`, 0 if there is none. */
static uint64_t block_channels(const struct checkpoint *checkpoint, uint32_t index)
{
    char key[KEY];
    snprintf(key, sizeof key, "%s._blocks.%u._project_conv.weight", encoder_of(checkpoint), index);
    const struct checkpoint_tensor *tensor = checkpoint_find(checkpoint, key);
    return tensor && tensor->ndim == 4 ? tensor->dims[0] : 0;
}

int tracer_arch(const struct checkpoint *checkpoint)
{
    for (int arch = 0; arch < FAMILIES; arch++) {
        uint32_t blocks = 0, feature = 0;
        bool fits = true;
        for (uint32_t stage = 0; stage < STAGES; stage++) {
            blocks += stage_repeats(&families[arch], stage);
            if (stage == feature_stages[feature])
                fits = fits && block_channels(checkpoint, blocks - 1) == families[arch].channels[feature++];
        }
        if (fits && block_channels(checkpoint, blocks) == 0)
            return arch;
    }
    return -1;
}

uint32_t tracer_side(int arch)
{
    return families[arch].side;
}

/* ---------------------------------------------------------------- layers */

static const char *join(char key[KEY], const char *prefix, const char *name)
{
    if (snprintf(key, KEY, "%s.%s", prefix, name) >= KEY)
        key[0] = 0; /* no tensor has that name, and its error says so */
    return key;
}

/* A value's name: the key's, shorter where the official one is long. One that is still too long is an error of the graph's. */
static const char *value_name(char name[NAME], const char *key, const char *suffix)
{
    static const char long_name[] = "Frequency_Edge_Module1";
    const char *at = strstr(key, long_name);
    int head = at ? (int)(at - key) : 0;
    int length = at ? snprintf(name, NAME, "%.*sedges%s%s", head, key, at + sizeof long_name - 1, suffix)
                    : snprintf(name, NAME, "%s%s", key, suffix);
    if (length >= NAME)
        name[0] = 0;
    return name;
}

static uint32_t unary(const struct net *net, enum bgd_op code, const char *key, const char *suffix, uint32_t x)
{
    char name[NAME];
    return graph_op(net->graph, code, value_name(name, key, suffix), x, 0);
}

static uint32_t binary(const struct net *net, enum bgd_op code, const char *key, const char *suffix, uint32_t x, uint32_t y)
{
    char name[NAME];
    return graph_op(net->graph, code, value_name(name, key, suffix), x, y);
}

/* Adds what was folded, if it was, as a convolution named `key`; frees it. */
static uint32_t add_folded(const struct net *net, const char *key, uint32_t x, struct bgd_window window, struct folded *folded,
                           const struct bgd_err *err)
{
    char name[NAME];
    uint32_t value = 0;
    if (err->code) {
        graph_fail(net->graph, err->code, "%s", err->text);
    } else {
        uint32_t in = graph_shape(net->graph, x).c;
        bool depthwise = folded->in == 1 && folded->out == in && in > 1;
        if (!depthwise && folded->in != in)
            graph_fail(net->graph, BGD_DAMAGED, "tensor %s.weight takes %u channels, expected %u", key, folded->in, in);
        if (folded->kernel_h != window.kernel_h || folded->kernel_w != window.kernel_w)
            graph_fail(net->graph, BGD_DAMAGED, "tensor %s.weight has a %ux%u kernel, expected %ux%u", key, folded->kernel_h,
                       folded->kernel_w, window.kernel_h, window.kernel_w);
        value = graph_conv(net->graph, value_name(name, key, ""), x, folded->out, window, depthwise ? in : 1, folded->weight,
                           folded->bias);
    }
    fold_free(folded);
    return value;
}

/* CONV, and NORM behind it unless that is NULL. */
static uint32_t conv(const struct net *net, const char *key, const char *norm, double eps, uint32_t x, struct bgd_window window)
{
    struct folded folded = {0};
    struct bgd_err err = {0};
    fold_conv(net->checkpoint, key, norm, eps, &folded, &err);
    return add_folded(net, key, x, window, &folded, &err);
}

/* The kernel that keeps the size. */
static struct bgd_window window_of(uint32_t pad_h, uint32_t pad_w, uint32_t dilation)
{
    struct bgd_window w = graph_window(1, 1, 0);
    w.kernel_h = 2 * pad_h / dilation + 1;
    w.kernel_w = 2 * pad_w / dilation + 1;
    w.pad_top = w.pad_bottom = pad_h;
    w.pad_left = w.pad_right = pad_w;
    w.dilation_h = w.dilation_w = dilation;
    return w;
}

/* BLOCK.CONV + BLOCK.NORM + SELU: the decoder's only kind of layer. */
static uint32_t layer(const struct net *net, const char *block, const char *conv_name, const char *norm_name, uint32_t x,
                      struct bgd_window window)
{
    char key[KEY], norm[KEY];
    uint32_t y = conv(net, join(key, block, conv_name), join(norm, block, norm_name), EPS, x, window);
    return unary(net, BGD_OP_SELU, key, ".selu", y);
}

static uint32_t basic(const struct net *net, const char *prefix, const char *name, uint32_t x, uint32_t pad, uint32_t dilation)
{
    char block[KEY];
    return layer(net, join(block, prefix, name), "conv", "bn", x, window_of(pad, pad, dilation));
}

/* ---------------------------------------------------------------- encoder */

/* One side of TensorFlow's "same" padding for an input of `size`: in front pad / 2, behind it the rest. */
static uint32_t same_pad(uint32_t size, uint32_t kernel, uint32_t stride)
{
    uint32_t reach = ((size + stride - 1) / stride - 1) * stride + kernel;
    return reach > size ? reach - size : 0;
}

static struct bgd_window same_window(uint32_t size, uint32_t kernel, uint32_t stride)
{
    struct bgd_window w = graph_window(kernel, stride, 0);
    uint32_t pad = same_pad(size, kernel, stride);
    w.pad_top = w.pad_left = pad / 2;
    w.pad_bottom = w.pad_right = pad - pad / 2;
    return w;
}

/* A 1x1 convolution with a bias, which must be there. */
static uint32_t biased(const struct net *net, const char *block, const char *name, uint32_t x)
{
    char key[KEY], bias[KEY];
    join(key, block, name);
    if (!has(net->checkpoint, join(bias, key, "bias")))
        graph_fail(net->graph, BGD_DAMAGED, "tensor %s.bias is missing", key);
    return conv(net, key, NULL, 0, x, graph_window(1, 1, 0));
}

/* Squeeze and excite: each channel times a gate that follows from all channels' means. */
static uint32_t squeeze_excite(const struct net *net, const char *block, uint32_t x)
{
    char key[KEY];
    uint32_t y = unary(net, BGD_OP_GLOBAL_MEAN, block, ".se_mean", x);
    y = biased(net, block, "_se_reduce", y);
    y = unary(net, BGD_OP_SILU, join(key, block, "_se_reduce"), ".silu", y);
    y = biased(net, block, "_se_expand", y);
    y = unary(net, BGD_OP_SIGMOID, join(key, block, "_se_expand"), ".sigmoid", y);
    return binary(net, BGD_OP_MUL, block, ".se", x, y);
}

static uint32_t encoder_block(const struct net *net, uint32_t index, uint32_t stage, uint32_t size, uint32_t stride, uint32_t x)
{
    char block[KEY], key[KEY], norm[KEY];
    snprintf(block, sizeof block, "%s._blocks.%u", net->encoder, index);
    uint32_t y = x;
    if (stage > 0) {
        y = conv(net, join(key, block, "_expand_conv"), join(norm, block, "_bn0"), EPS_ENCODER, y, graph_window(1, 1, 0));
        y = unary(net, BGD_OP_SILU, key, ".silu", y);
    }
    const struct bgd_window window = same_window(size, stages[stage].kernel, stride);
    y = conv(net, join(key, block, "_depthwise_conv"), join(norm, block, "_bn1"), EPS_ENCODER, y, window);
    y = unary(net, BGD_OP_SILU, key, ".silu", y);
    y = squeeze_excite(net, block, y);
    y = conv(net, join(key, block, "_project_conv"), join(norm, block, "_bn2"), EPS_ENCODER, y, graph_window(1, 1, 0));
    bool skip = stride == 1 && graph_shape(net->graph, x).c == graph_shape(net->graph, y).c;
    return skip ? binary(net, BGD_OP_ADD, block, ".add", y, x) : y;
}

/* ---------------------------------------------------------------- attention */

/* NORM and the 1x1 convolution UAM.NAME behind it. */
static uint32_t normed(const struct net *net, const char *uam, const char *name, uint32_t x)
{
    char key[KEY], norm[KEY];
    struct folded folded = {0};
    struct bgd_err err = {0};
    fold_norm_conv(net->checkpoint, join(norm, uam, "norm.0"), join(key, uam, name), EPS, &folded, &err);
    return add_folded(net, key, x, graph_window(1, 1, 0), &folded, &err);
}

static uint32_t attention(const struct net *net, const char *key, const char *suffix, uint32_t q, uint32_t k, uint32_t v)
{
    char name[NAME];
    const uint32_t qkv[] = {q, k, v};
    return graph_op_n(net->graph, BGD_OP_ATTENTION, value_name(name, key, suffix), qkv, 3);
}

/* Union attention's channel part: x + x * gate. Returns it, and the gate (c, 1, 1). */
static uint32_t channel_trace(const struct net *net, const char *uam, uint32_t x, uint32_t *gate)
{
    char key[KEY];
    uint32_t mean = unary(net, BGD_OP_GLOBAL_MEAN, uam, ".mean", x);
    uint32_t q = normed(net, uam, "channel_q", mean);
    uint32_t k = normed(net, uam, "channel_k", mean);
    uint32_t v = normed(net, uam, "channel_v", mean);
    uint32_t y = attention(net, uam, ".channel", q, k, v);
    y = conv(net, join(key, uam, "fc"), NULL, 0, y, graph_window(1, 1, 0));
    *gate = unary(net, BGD_OP_SIGMOID, key, ".sigmoid", y);
    y = binary(net, BGD_OP_MUL, uam, ".gated", x, *gate);
    return binary(net, BGD_OP_ADD, uam, ".traced", y, x);
}

/* Union attention: the channels, less those whose gate is in the lowest tenth, to one map that attends row by row. */
static uint32_t union_attention(const struct net *net, const char *uam, uint32_t x)
{
    char key[KEY], name[NAME];
    uint32_t gate, q, k, v;
    struct folded folded = {0};
    struct bgd_err err = {0};
    uint32_t y = channel_trace(net, uam, x, &gate);
    fold_norm(net->checkpoint, join(key, uam, "bn"), EPS, &folded, &err);
    y = add_folded(net, key, y, graph_window(1, 1, 0), &folded, &err);
    uint32_t mask = graph_op_with(net->graph, BGD_OP_QUANTILE_MASK, value_name(name, uam, ".confident"), gate, 0.1f);
    y = binary(net, BGD_OP_MUL, uam, ".masked", y, mask);
    q = conv(net, join(key, uam, "spatial_q"), NULL, 0, y, graph_window(1, 1, 0));
    k = conv(net, join(key, uam, "spatial_k"), NULL, 0, y, graph_window(1, 1, 0));
    v = conv(net, join(key, uam, "spatial_v"), NULL, 0, y, graph_window(1, 1, 0));
    y = attention(net, uam, ".rows", q, k, v);
    return binary(net, BGD_OP_ADD, uam, ".add", y, v);
}

/* Depthwise-separable, then four dilations side by side, then one map: shared by the edge module and object attention. */
static uint32_t trace_map(const struct net *net, const char *module, const char *last, uint32_t x)
{
    static const uint32_t dilations[] = {1, 1, 3, 5}, pads[] = {0, 1, 3, 5};
    char block[KEY], name[NAME], dw[32];
    uint32_t branches[4];
    join(block, module, "DWSConv");
    x = layer(net, block, "DWConv", "bn", x, window_of(1, 1, 1));
    x = layer(net, block, "PWConv", "bn2", x, window_of(0, 0, 1));
    for (int i = 0; i < 4; i++) {
        snprintf(dw, sizeof dw, "DWConv%d.0", i + 1);
        branches[i] = layer(net, join(block, module, dw), "DWConv", "bn", x, window_of(pads[i], pads[i], dilations[i]));
        snprintf(dw, sizeof dw, "DWConv%d.1", i + 1);
        branches[i] = basic(net, module, dw, branches[i], 0, 1);
    }
    uint32_t y = graph_op_n(net->graph, BGD_OP_CONCAT, value_name(name, module, ".concat"), branches, 4);
    y = binary(net, BGD_OP_ADD, module, ".add", y, x);
    y = basic(net, module, last, y, 0, 1);
    return unary(net, BGD_OP_RELU, module, ".relu", y);
}

/* The edge module: what is left of the feature without its low frequencies, traced to one map and added to it. */
static uint32_t add_edges(const struct net *net, const char *module, uint32_t x)
{
    char uam[KEY], name[NAME];
    uint32_t gate;
    uint32_t y = graph_op_with(net->graph, BGD_OP_HIGH_PASS, value_name(name, module, ".high_pass"), x, 16);
    y = channel_trace(net, join(uam, module, "UAM"), y, &gate);
    y = trace_map(net, module, "conv", y);
    return binary(net, BGD_OP_ADD, module, ".edged", x, y);
}

/* Object attention: the feature, its certain background taken away, traced and added to the map. */
static uint32_t object_attention(const struct net *net, const char *module, uint32_t map, uint32_t feature)
{
    char name[NAME];
    uint32_t y = unary(net, BGD_OP_SIGMOID, module, ".object", map);
    y = graph_op_with(net->graph, BGD_OP_DENOISE, value_name(name, module, ".denoised"), y, 0.93f);
    y = binary(net, BGD_OP_MUL, module, ".attended", feature, y);
    y = trace_map(net, module, "conv1", y);
    return binary(net, BGD_OP_ADD, module, ".map", y, map);
}

/* ---------------------------------------------------------------- decoder */

/* A receptive field block: four branches of growing reach, joined, beside a shortcut. */
static uint32_t receptive_field(const struct net *net, const char *rfb, uint32_t x)
{
    char prefix[KEY], name[NAME], branch[16];
    uint32_t branches[4];
    branches[0] = basic(net, rfb, "branch0.0", x, 0, 1);
    for (uint32_t i = 1; i < 4; i++) {
        snprintf(branch, sizeof branch, "branch%u", i);
        join(prefix, rfb, branch);
        char block[KEY];
        uint32_t y = basic(net, prefix, "0", x, 0, 1);
        y = layer(net, join(block, prefix, "1"), "conv", "bn", y, window_of(0, i, 1));
        y = layer(net, join(block, prefix, "2"), "conv", "bn", y, window_of(i, 0, 1));
        branches[i] = basic(net, prefix, "3", y, 2 * i + 1, 2 * i + 1);
    }
    uint32_t y = graph_op_n(net->graph, BGD_OP_CONCAT, value_name(name, rfb, ".concat"), branches, 4);
    y = basic(net, rfb, "conv_cat", y, 1, 1);
    y = binary(net, BGD_OP_ADD, rfb, ".add", y, basic(net, rfb, "conv_res", x, 0, 1));
    return unary(net, BGD_OP_RELU, rfb, ".relu", y);
}

static uint32_t concat2(const struct net *net, const char *name, uint32_t x, uint32_t y)
{
    const uint32_t both[] = {x, y};
    return graph_op_n(net->graph, BGD_OP_CONCAT, name, both, 2);
}

/* The partial decoder that joins three features into one map (1, h/8, w/8). */
static uint32_t aggregate(const struct net *net, uint32_t e4, uint32_t e3, uint32_t e2)
{
    struct graph *g = net->graph;
    uint32_t e4_up = graph_upsample(g, "agg.e4_x2", e4, 2, true);
    uint32_t e4_up2 = graph_upsample(g, "agg.e4_x4", e4_up, 2, true);
    uint32_t e3_up = graph_upsample(g, "agg.e3_x2", e3, 2, true);
    uint32_t e3_1 = graph_op(g, BGD_OP_MUL, "agg.e3_1", basic(net, "agg", "conv_upsample1", e4_up, 1, 1), e3);
    uint32_t e2_1 = basic(net, "agg", "conv_upsample2", e4_up2, 1, 1);
    e2_1 = graph_op(g, BGD_OP_MUL, "agg.e2_0", e2_1, basic(net, "agg", "conv_upsample3", e3_up, 1, 1));
    e2_1 = graph_op(g, BGD_OP_MUL, "agg.e2_1", e2_1, e2);
    uint32_t e3_2 = concat2(net, "agg.e3_2", e3_1, basic(net, "agg", "conv_upsample4", e4_up, 1, 1));
    e3_2 = basic(net, "agg", "conv_concat2", e3_2, 1, 1);
    uint32_t e3_2_up = graph_upsample(g, "agg.e3_2_x2", e3_2, 2, true);
    uint32_t e2_2 = concat2(net, "agg.e2_2", e2_1, basic(net, "agg", "conv_upsample5", e3_2_up, 1, 1));
    return union_attention(net, "agg.UAM", basic(net, "agg", "conv_concat3", e2_2, 1, 1));
}

static uint32_t decode(const struct net *net, const uint32_t features[FEATURES])
{
    struct graph *g = net->graph;
    uint32_t e2 = receptive_field(net, "rfb2", features[1]);
    uint32_t e3 = receptive_field(net, "rfb3", features[2]);
    uint32_t e4 = receptive_field(net, "rfb4", features[3]);
    uint32_t d0 = aggregate(net, e4, e3, e2);
    uint32_t d1 = object_attention(net, "ObjectAttention2", d0, features[1]);
    uint32_t d1_up = graph_upsample(g, "d1_x2", d1, 2, false);
    uint32_t d2 = object_attention(net, "ObjectAttention1", d1_up, features[0]);
    uint32_t sum =
        graph_op(g, BGD_OP_ADD, "d2+d1", graph_upsample(g, "d2_x4", d2, 4, false), graph_upsample(g, "d1_x8", d1, 8, false));
    sum = graph_op(g, BGD_OP_ADD, "d2+d1+d0", sum, graph_upsample(g, "d0_x8", d0, 8, false));
    const float third = 1.0f / 3, zero = 0;
    uint32_t mean = graph_conv(g, "mean", sum, 1, graph_window(1, 1, 0), 1, &third, &zero);
    return graph_op(g, BGD_OP_SIGMOID, "mask", mean, 0);
}

/* ---------------------------------------------------------------- the whole */

/* Whether there are tensors that begin with `prefix`; marks them as used if they are left out by intent. */
static bool has_prefix(const struct net *net, const char *prefix, bool drop)
{
    size_t length = strlen(prefix);
    bool any = false;
    for (size_t i = 0; i < net->checkpoint->count; i++) {
        if (strncmp(net->checkpoint->tensors[i].name, prefix, length) != 0)
            continue;
        net->checkpoint->tensors[i].used |= drop;
        any = true;
    }
    return any;
}

void tracer_build(const struct checkpoint *checkpoint, uint32_t height, uint32_t width, struct graph *graph, char arch[16])
{
    int number = tracer_arch(checkpoint);
    if (number < 0) {
        graph_fail(graph, BGD_UNSUPPORTED, "the encoder's blocks are those of no EfficientNet-B0 to B7");
        return;
    }
    snprintf(arch, 16, "tracer-te%c", '0' + number);
    if (height % 32 || width % 32)
        graph_fail(graph, BGD_ARGUMENT, "an input of %ux%u, TRACER takes multiples of 32", width, height);
    const struct net net = {checkpoint, graph, &families[number], encoder_of(checkpoint)};
    char key[KEY], norm[KEY], edges[KEY], unused[KEY];
    uint32_t features[FEATURES] = {0}, size = net.family->nominal, block = 0, feature = 0;

    uint32_t x = graph_input(graph, "input", (struct shape){3, height, width});
    join(key, net.encoder, "_conv_stem");
    x = conv(&net, key, join(norm, net.encoder, "_bn0"), EPS_ENCODER, x, same_window(size, 3, 2));
    x = unary(&net, BGD_OP_SILU, key, ".silu", x);
    size = (size + 1) / 2;
    join(edges, net.encoder, "Frequency_Edge_Module1");
    /* carvekit's files carry an edge module that its network does not run. */
    bool with_edges = strcmp(net.encoder, "model") == 0 && has_prefix(&net, join(key, edges, ""), false);
    join(unused, edges, with_edges ? "UAM.bn." : "");
    for (uint32_t stage = 0; stage < STAGES; stage++) {
        for (uint32_t i = 0; i < stage_repeats(net.family, stage); i++, block++) {
            uint32_t stride = i == 0 ? stages[stage].stride : 1;
            x = encoder_block(&net, block, stage, size, stride, x);
            size = (size + stride - 1) / stride;
        }
        if (stage != feature_stages[feature])
            continue;
        if (feature == 0 && with_edges)
            x = add_edges(&net, edges, x);
        features[feature++] = x;
    }
    has_prefix(&net, unused, true);
    graph_output(graph, decode(&net, features));
}
