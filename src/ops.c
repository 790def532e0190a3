#include "ops.h"

#include "bytes.h"
#include "err.h"

#define UNARY .n_inputs = 1, .n_inputs_most = 1
#define BINARY .n_inputs = 2, .n_inputs_most = 2

static const struct op_info table[] = {
    [BGD_OP_CONV] = {.name = "conv", UNARY, .n_tensors = 2, .window = true, .groups = true},
    [BGD_OP_DENSE] = {.name = "dense", UNARY, .n_tensors = 2},
    [BGD_OP_RELU] = {.name = "relu", UNARY},
    [BGD_OP_SIGMOID] = {.name = "sigmoid", UNARY},
    [BGD_OP_SOFTMAX] = {.name = "softmax", UNARY},
    [BGD_OP_ADD] = {.name = "add", BINARY},
    [BGD_OP_MAX_POOL] = {.name = "max_pool", UNARY, .window = true},
    [BGD_OP_GLOBAL_MEAN] = {.name = "global_mean", UNARY},
    [BGD_OP_SILU] = {.name = "silu", UNARY},
    [BGD_OP_SELU] = {.name = "selu", UNARY},
    [BGD_OP_MUL] = {.name = "mul", BINARY},
    [BGD_OP_CONCAT] = {.name = "concat", .n_inputs = 2, .n_inputs_most = 8},
    [BGD_OP_UPSAMPLE] = {.name = "upsample", UNARY, .scale = true},
    [BGD_OP_ATTENTION] = {.name = "attention", .n_inputs = 3, .n_inputs_most = 3},
    [BGD_OP_QUANTILE_MASK] = {.name = "quantile_mask", UNARY, .parameter_most = 1},
    [BGD_OP_DENOISE] = {.name = "denoise", UNARY, .parameter_most = 1},
    [BGD_OP_HIGH_PASS] = {.name = "high_pass", UNARY, .parameter_most = 1024},
    [BGD_OP_ADAPTIVE_MEAN] = {.name = "adaptive_mean", UNARY, .size_most = 1024, .area = true},
    [BGD_OP_LRN] = {.name = "lrn", UNARY, .parameter_most = 1024, .size_most = 64},
};

const struct op_info *op_info(uint32_t code)
{
    if (code >= sizeof table / sizeof table[0] || !table[code].name)
        return NULL;
    return &table[code];
}

static bool window_is_zero(const struct bgd_window *window)
{
    static const struct bgd_window none;
    return memcmp(window, &none, sizeof none) == 0;
}

static int window_check(const struct bgd_window *w, struct bgd_err *err)
{
    if (w->kernel_h < 1 || w->kernel_h > 64 || w->kernel_w < 1 || w->kernel_w > 64)
        return err_set(err, BGD_DAMAGED, "kernel %ux%u, expected sides of 1..64", w->kernel_h, w->kernel_w);
    if (w->stride_h < 1 || w->stride_h > 64 || w->stride_w < 1 || w->stride_w > 64)
        return err_set(err, BGD_DAMAGED, "stride %ux%u, expected sides of 1..64", w->stride_h, w->stride_w);
    if (w->dilation_h < 1 || w->dilation_h > 64 || w->dilation_w < 1 || w->dilation_w > 64)
        return err_set(err, BGD_DAMAGED, "dilation %ux%u, expected sides of 1..64", w->dilation_h, w->dilation_w);
    if (w->pad_top > 1024 || w->pad_left > 1024 || w->pad_bottom > 1024 || w->pad_right > 1024)
        return err_set(err, BGD_DAMAGED, "pads %u, %u, %u, %u, expected 0..1024", w->pad_top, w->pad_left, w->pad_bottom,
                       w->pad_right);
    return 0;
}

/* Number of window positions along one side; 0 when the window does not fit once. No overflow: all are small. */
static uint32_t window_steps(uint32_t size, uint32_t pads, uint32_t kernel, uint32_t dilation, uint32_t stride)
{
    uint32_t padded = size + pads;
    uint32_t reach = (kernel - 1) * dilation + 1;
    return padded < reach ? 0 : (padded - reach) / stride + 1;
}

static int window_shape(const struct bgd_window *w, struct shape in, uint32_t channels, struct shape *out, struct bgd_err *err)
{
    out->c = channels;
    out->h = window_steps(in.h, w->pad_top + w->pad_bottom, w->kernel_h, w->dilation_h, w->stride_h);
    out->w = window_steps(in.w, w->pad_left + w->pad_right, w->kernel_w, w->dilation_w, w->stride_w);
    if (out->h == 0 || out->w == 0)
        return err_set(err, BGD_DAMAGED, "a window of %ux%u does not fit an input of %ux%u", w->kernel_h, w->kernel_w, in.h,
                       in.w);
    return 0;
}

static int bias_check(const struct bgd_format_tensor *bias, uint32_t channels, struct bgd_err *err)
{
    if (bias->ndim != 1 || bias->dims[0] != channels)
        return err_set(err, BGD_DAMAGED, "bias has %u dimensions, %u first; expected 1 of %u", bias->ndim, bias->dims[0],
                       channels);
    return 0;
}

static int conv_shape(const struct bgd_format_op *op, struct shape in, const struct bgd_format_tensor *const *tensors,
                      struct shape *out, struct bgd_err *err)
{
    const struct bgd_format_tensor *weight = tensors[0];
    if (op->groups < 1 || in.c % op->groups != 0)
        return err_set(err, BGD_DAMAGED, "%u groups do not divide %u input channels", op->groups, in.c);
    if (weight->ndim != 4 || weight->dims[1] != in.c / op->groups || weight->dims[2] != op->window.kernel_h ||
        weight->dims[3] != op->window.kernel_w)
        return err_set(err, BGD_DAMAGED,
                       "weight (%u, %u, %u, %u) does not fit %u input channels in %u groups under a "
                       "%ux%u kernel",
                       weight->dims[0], weight->dims[1], weight->dims[2], weight->dims[3], in.c, op->groups,
                       op->window.kernel_h, op->window.kernel_w);
    if (weight->dims[0] % op->groups != 0)
        return err_set(err, BGD_DAMAGED, "%u groups do not divide %u output channels", op->groups, weight->dims[0]);
    if (bias_check(tensors[1], weight->dims[0], err))
        return err->code;
    return window_shape(&op->window, in, weight->dims[0], out, err);
}

static int dense_shape(struct shape in, const struct bgd_format_tensor *const *tensors, struct shape *out, struct bgd_err *err)
{
    const struct bgd_format_tensor *weight = tensors[0];
    if (weight->ndim != 2 || weight->dims[1] != shape_size(in))
        return err_set(err, BGD_DAMAGED, "weight has %u dimensions, %u columns; expected 2 and %llu columns", weight->ndim,
                       weight->dims[1], (unsigned long long)shape_size(in));
    *out = (struct shape){weight->dims[0], 1, 1};
    return bias_check(tensors[1], weight->dims[0], err);
}

static int max_pool_shape(const struct bgd_window *w, struct shape in, struct shape *out, struct bgd_err *err)
{
    if (w->dilation_h != 1 || w->dilation_w != 1)
        return err_set(err, BGD_DAMAGED, "dilation %ux%u, expected 1x1", w->dilation_h, w->dilation_w);
    /* Else a window could lie in the padding alone and have no maximum. */
    if (w->pad_top >= w->kernel_h || w->pad_bottom >= w->kernel_h || w->pad_left >= w->kernel_w || w->pad_right >= w->kernel_w)
        return err_set(err, BGD_DAMAGED, "a pad is not smaller than the %ux%u kernel", w->kernel_h, w->kernel_w);
    return window_shape(w, in, in.c, out, err);
}

static bool same_shape(struct shape a, struct shape b)
{
    return a.c == b.c && a.h == b.h && a.w == b.w;
}

bool op_broadcasts(struct shape x, struct shape y)
{
    return same_shape(y, (struct shape){x.c, 1, 1}) || same_shape(y, (struct shape){1, x.h, x.w});
}

static int binary_shape(const char *name, const struct shape *inputs, struct shape *out, struct bgd_err *err)
{
    struct shape x = inputs[0], y = inputs[1];
    if (!same_shape(x, y) && !op_broadcasts(x, y))
        return err_set(err, BGD_DAMAGED,
                       "%s of (%u, %u, %u) and (%u, %u, %u), expected the same shape, (%u, 1, 1) or (1, %u, %u)", name, x.c,
                       x.h, x.w, y.c, y.h, y.w, x.c, x.h, x.w);
    *out = x;
    return 0;
}

static int concat_shape(const struct shape *inputs, uint32_t n, struct shape *out, struct bgd_err *err)
{
    *out = inputs[0];
    for (uint32_t i = 1; i < n; i++) {
        if (inputs[i].h != out->h || inputs[i].w != out->w)
            return err_set(err, BGD_DAMAGED, "input %u is %ux%u, the first one %ux%u", i, inputs[i].h, inputs[i].w, out->h,
                           out->w);
        out->c += inputs[i].c; /* at most 8 of at most 65,536 */
    }
    return 0;
}

static int attention_shape(const struct shape *inputs, struct shape *out, struct bgd_err *err)
{
    for (int i = 1; i < 3; i++)
        if (!same_shape(inputs[i], inputs[0]))
            return err_set(err, BGD_DAMAGED, "input %d is (%u, %u, %u), the first one (%u, %u, %u)", i, inputs[i].c,
                           inputs[i].h, inputs[i].w, inputs[0].c, inputs[0].h, inputs[0].w);
    /* A matrix of rows x rows stands between them. */
    if ((uint64_t)inputs[0].c * inputs[0].h > 4096)
        return err_set(err, BGD_LIMIT, "%llu rows, at most 4096 attend to each other",
                       (unsigned long long)inputs[0].c * inputs[0].h);
    *out = inputs[0];
    return 0;
}

/* The quantile's position is a float, as PyTorch's, which counts to 2^24. */
static int quantile_mask_shape(struct shape in, struct shape *out, struct bgd_err *err)
{
    if (shape_size(in) > 1u << 24)
        return err_set(err, BGD_LIMIT, "%llu values, a quantile is taken of at most %u", (unsigned long long)shape_size(in),
                       1u << 24);
    *out = in;
    return 0;
}

/* Attributes that an op has must be in range, those that it has not must be 0. */
static int attributes_check(const struct bgd_format_op *op, const struct op_info *info, struct bgd_err *err)
{
    if (op->n_inputs < info->n_inputs || op->n_inputs > info->n_inputs_most || op->n_tensors != info->n_tensors)
        return err_set(err, BGD_DAMAGED, "%s has %u inputs and %u tensors, expected %u and %u", info->name, op->n_inputs,
                       op->n_tensors, info->n_inputs, info->n_tensors);
    if (info->window ? window_check(&op->window, err) : 0)
        return err->code;
    if (!info->window && !window_is_zero(&op->window))
        return err_set(err, BGD_DAMAGED, "%s has a window, expected none", info->name);
    if (!info->groups && op->groups != 0)
        return err_set(err, BGD_DAMAGED, "%s has %u groups, expected 0", info->name, op->groups);
    if (info->scale ? op->scale < 2 || op->scale > 16 || op->align_corners > 1 : op->scale != 0 || op->align_corners != 0)
        return err_set(err, BGD_DAMAGED, "%s has scale %u and align_corners %u, expected %s", info->name, op->scale,
                       op->align_corners, info->scale ? "2..16 and 0 or 1" : "0 and 0");
    if (!(op->parameter >= 0 && op->parameter <= info->parameter_most))
        return err_set(err, BGD_DAMAGED, "%s has the parameter %g, expected 0..%g", info->name, (double)op->parameter,
                       (double)info->parameter_most);
    for (int i = 0; i < 2; i++) {
        uint32_t most = i == 0 || info->area ? info->size_most : 0;
        if (op->size[i] > most || (most && op->size[i] == 0))
            return err_set(err, BGD_DAMAGED, "%s has size[%d] %u, expected %u..%u", info->name, i, op->size[i], most ? 1 : 0,
                           most);
    }
    bool norm = op->code == BGD_OP_LRN; /* k^beta is above 0 as a float, too: it may be all that is divided by */
    if (norm ? !(op->beta >= 0 && op->beta <= 8 && op->k >= 0x1p-10f && op->k <= 1024) : op->beta != 0 || op->k != 0)
        return err_set(err, BGD_DAMAGED, "%s has beta %g and k %g, expected %s", info->name, (double)op->beta, (double)op->k,
                       norm ? "0..8 and 2^-10..1024" : "0 and 0");
    return 0;
}

int op_shape(const struct bgd_format_op *op, const struct shape *inputs, const struct bgd_format_tensor *const *tensors,
             struct shape *out, struct bgd_err *err)
{
    const struct op_info *info = op_info(op->code);
    if (!info)
        return err_set(err, BGD_DAMAGED, "op code %u is not in the list", op->code);
    if (attributes_check(op, info, err))
        return err->code;

    switch ((enum bgd_op)op->code) {
    case BGD_OP_CONV: return conv_shape(op, inputs[0], tensors, out, err);
    case BGD_OP_DENSE: return dense_shape(inputs[0], tensors, out, err);
    case BGD_OP_RELU:
    case BGD_OP_SIGMOID:
    case BGD_OP_SOFTMAX:
    case BGD_OP_SILU:
    case BGD_OP_SELU:
    case BGD_OP_DENOISE:
    case BGD_OP_HIGH_PASS:
    case BGD_OP_LRN: *out = inputs[0]; return 0;
    case BGD_OP_ADAPTIVE_MEAN: *out = (struct shape){inputs[0].c, op->size[0], op->size[1]}; return 0;
    case BGD_OP_QUANTILE_MASK: return quantile_mask_shape(inputs[0], out, err);
    case BGD_OP_ADD:
    case BGD_OP_MUL: return binary_shape(info->name, inputs, out, err);
    case BGD_OP_MAX_POOL: return max_pool_shape(&op->window, inputs[0], out, err);
    case BGD_OP_GLOBAL_MEAN: *out = (struct shape){inputs[0].c, 1, 1}; return 0;
    case BGD_OP_CONCAT: return concat_shape(inputs, op->n_inputs, out, err);
    case BGD_OP_UPSAMPLE: /* no overflow: sides are at most 65,536; a value's own limits are checked where it is made */
        *out = (struct shape){inputs[0].c, inputs[0].h * op->scale, inputs[0].w * op->scale};
        return 0;
    case BGD_OP_ATTENTION: return attention_shape(inputs, out, err);
    }
    return err_set(err, BGD_DAMAGED, "op code %u has no shape rule", op->code);
}

/* Multiply-accumulates of the matrix products that the high-pass amounts to: the frequencies of the disc there and back. */
static uint64_t high_pass_macs(struct shape s, float radius)
{
    uint64_t frequencies = 2 * (uint64_t)radius;
    return 4 * s.c * frequencies * ((uint64_t)s.h * s.w + frequencies * s.w);
}

uint64_t op_macs(const struct bgd_format_op *op, const struct shape *inputs, struct shape out)
{
    if (op->code == BGD_OP_CONV)
        return shape_size(out) * (inputs[0].c / op->groups) * op->window.kernel_h * op->window.kernel_w;
    if (op->code == BGD_OP_DENSE)
        return shape_size(inputs[0]) * out.c;
    if (op->code == BGD_OP_ATTENTION) /* two products of (rows, rows) by (rows, w) */
        return 2 * (uint64_t)out.c * out.h * shape_size(out);
    if (op->code == BGD_OP_HIGH_PASS)
        return high_pass_macs(out, op->parameter);
    return 0;
}
