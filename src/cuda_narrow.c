#include "cuda_narrow.h"

#include "e4m3.h"
#include "err.h"

#include <math.h>
#include <stdlib.h>

#define TAPS_LEAST 9u
#define CHANNELS_LEAST 128u
#define MACS_LEAST (1u << 25)          /* for a picture */
#define MACS_LEAST_OF_AN_ELEMENT 1024u /* of the input */

static uint32_t padded(uint32_t channels)
{
    return (channels + KERNEL_F8_LANES - 1) / KERNEL_F8_LANES * KERNEL_F8_LANES;
}

bool cuda_is_narrow(const struct cuda_builder *b, uint32_t index)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    struct shape in = model_shape(b->model, op->inputs[0]), out = model_shape(b->model, model_op_value(b->model, index));
    uint32_t taps = op->window.kernel_h * op->window.kernel_w;
    double macs = (double)out.h * out.w * out.c * in.c * taps, elements = (double)in.h * in.w * in.c;
    return b->net->narrow && op->groups == 1 && taps >= TAPS_LEAST && in.c >= CHANNELS_LEAST && macs >= MACS_LEAST &&
           macs >= MACS_LEAST_OF_AN_ELEMENT * elements;
}

static int narrow_input(struct cuda_builder *b, struct cuda_step *step)
{
    struct cuda_step narrow = *step;
    struct kernel_value value = step->x[0].value;
    value.pitch = padded(value.c);
    value.type = KERNEL_F8;
    narrow.kind = CUDA_NARROW;
    narrow.x[1] = narrow.x[2]; /* none */
    narrow.f = KERNEL_NONE;
    uint64_t bytes = (uint64_t)b->net->batch * value.h * value.w * value.pitch;
    narrow.y = (struct cuda_operand){cuda_add_block(b->net, bytes, b->err), 0, value};
    step->x[0] = narrow.y;
    return narrow.y.block == NONE ? b->err->code : cuda_add_step(b, &narrow);
}

/* From (in, taps) to (taps, padded in), divided by the scale that is returned. */
static float scale_filter(const float *from, uint32_t in, uint32_t taps, float *to)
{
    float most = 0;
    for (size_t i = 0; i < (size_t)in * taps; i++)
        most = fmaxf(most, fabsf(from[i]));
    float scale = most / E4M3_MOST;
    if (!(scale > 0)) /* also of weights so small that it is 0 in f32 */
        scale = 1;
    for (uint32_t i = 0; i < in; i++)
        for (uint32_t tap = 0; tap < taps; tap++)
            to[(size_t)tap * padded(in) + i] = from[(size_t)i * taps + tap] / scale;
    return scale;
}

int cuda_narrow(struct cuda_builder *b, uint32_t index, struct cuda_step *step)
{
    const struct bgd_format_op *op = &b->model->ops[index];
    uint32_t in = model_shape(b->model, op->inputs[0]).c, out = model_shape(b->model, model_op_value(b->model, index)).c;
    uint32_t taps = op->window.kernel_h * op->window.kernel_w;
    size_t from_size = (size_t)in * taps, to_size = (size_t)padded(in) * taps;
    float *from = calloc(out * from_size, sizeof *from), *to = calloc(kernel_lanes(out) * to_size, sizeof *to);
    float *scales = calloc(kernel_lanes(out), sizeof *scales);
    int code = from && to && scales ? 0 : err_set(b->err, BGD_MEMORY, "out of memory for %s", step->name);
    if (!code) {
        model_read_tensor(b->model, op->tensors[0], from);
        for (uint32_t o = 0; o < out; o++)
            scales[o] = scale_filter(from + o * from_size, in, taps, to + o * to_size);
        code = cuda_add_constant(b, KERNEL_F8, to, kernel_lanes(out) * to_size, &step->constants[0]) ||
                       cuda_add_constant(b, KERNEL_F32, scales, kernel_lanes(out), &step->constants[2])
                   ? b->err->code
                   : narrow_input(b, step);
    }
    free(from);
    free(to);
    free(scales);
    return code;
}
