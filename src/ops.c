#include "ops.h"

#include "bytes.h"
#include "err.h"

static const struct op_info table[] = {
    [BGD_OP_CONV] = {.name = "conv", .n_inputs = 1, .n_tensors = 2, .window = true, .groups = true},
    [BGD_OP_DENSE] = {.name = "dense", .n_inputs = 1, .n_tensors = 2},
    [BGD_OP_RELU] = {.name = "relu", .n_inputs = 1},
    [BGD_OP_SIGMOID] = {.name = "sigmoid", .n_inputs = 1},
    [BGD_OP_SOFTMAX] = {.name = "softmax", .n_inputs = 1},
    [BGD_OP_ADD] = {.name = "add", .n_inputs = 2},
    [BGD_OP_MAX_POOL] = {.name = "max_pool", .n_inputs = 1, .window = true},
    [BGD_OP_GLOBAL_MEAN] = {.name = "global_mean", .n_inputs = 1},
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

int op_shape(const struct bgd_format_op *op, const struct shape *inputs, const struct bgd_format_tensor *const *tensors,
             struct shape *out, struct bgd_err *err)
{
    const struct op_info *info = op_info(op->code);
    if (!info)
        return err_set(err, BGD_DAMAGED, "op code %u is not in the list", op->code);
    if (op->n_inputs != info->n_inputs || op->n_tensors != info->n_tensors)
        return err_set(err, BGD_DAMAGED, "%s has %u inputs and %u tensors, expected %u and %u", info->name, op->n_inputs,
                       op->n_tensors, info->n_inputs, info->n_tensors);
    if (info->window ? window_check(&op->window, err) : 0)
        return err->code;
    if (!info->window && !window_is_zero(&op->window))
        return err_set(err, BGD_DAMAGED, "%s has a window, expected none", info->name);
    if (!info->groups && op->groups != 0)
        return err_set(err, BGD_DAMAGED, "%s has %u groups, expected 0", info->name, op->groups);

    switch ((enum bgd_op)op->code) {
    case BGD_OP_CONV: return conv_shape(op, inputs[0], tensors, out, err);
    case BGD_OP_DENSE: return dense_shape(inputs[0], tensors, out, err);
    case BGD_OP_RELU:
    case BGD_OP_SIGMOID:
    case BGD_OP_SOFTMAX: *out = inputs[0]; return 0;
    case BGD_OP_ADD:
        if (memcmp(&inputs[0], &inputs[1], sizeof inputs[0]) != 0)
            return err_set(err, BGD_DAMAGED, "adds (%u, %u, %u) to (%u, %u, %u), expected equal shapes", inputs[1].c,
                           inputs[1].h, inputs[1].w, inputs[0].c, inputs[0].h, inputs[0].w);
        *out = inputs[0];
        return 0;
    case BGD_OP_MAX_POOL: return max_pool_shape(&op->window, inputs[0], out, err);
    case BGD_OP_GLOBAL_MEAN: *out = (struct shape){inputs[0].c, 1, 1}; return 0;
    }
    return err_set(err, BGD_DAMAGED, "op code %u has no shape rule", op->code);
}

uint64_t op_macs(const struct bgd_format_op *op, const struct shape *inputs, struct shape out)
{
    if (op->code == BGD_OP_CONV)
        return shape_size(out) * (inputs[0].c / op->groups) * op->window.kernel_h * op->window.kernel_w;
    if (op->code == BGD_OP_DENSE)
        return shape_size(inputs[0]) * out.c;
    return 0;
}
