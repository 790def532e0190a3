/*
 * A convolution of each channel by itself. oneDNN's kernel for AVX2 takes no padding wider than 3, as a dilation brings it, and leaves
 * that to a matrix product for each channel.
 */
#include "onednn.h"

#include <stdlib.h>

/* `tables`: for each block of channels its bias, then its weights by row and column, channels side by side; zeros fill it up. */
LANES_INLINE void depthwise_pixel(const struct loop *loop, const float *plane, const float *table, int64_t y, int64_t x,
                                  float *out)
{
    const struct bgd_window *w = &loop->op->window;
    struct shape in = loop->in[0];
    lanes sum = lanes_load(table);
    for (uint32_t i = 0; i < w->kernel_h; i++)
        for (uint32_t j = 0; j < w->kernel_w; j++) {
            int64_t row = y + (int64_t)i * w->dilation_h, column = x + (int64_t)j * w->dilation_w;
            if (row >= 0 && row < in.h && column >= 0 && column < in.w)
                sum += lanes_load(plane + ((size_t)row * in.w + (size_t)column) * loop->block) *
                       lanes_load(table + (1 + (size_t)i * w->kernel_w + j) * loop->block);
        }
    lanes_store(out, onednn_activate(loop->first, sum));
}

LANES_CLONES static void run_depthwise(const struct loop *loop, uint32_t pictures, const float *const *sources, float *target,
                                       float *scratch)
{
    (void)scratch;
    const struct bgd_window *w = &loop->op->window;
    struct shape in = loop->in[0], out = loop->out;
    uint32_t block = loop->block, blocks = blocks_of(in.c, block);
    for (uint32_t p = 0; p < pictures * blocks; p++) {
        const float *plane = sources[0] + (size_t)p * in.h * in.w * block;
        const float *table = (const float *)loop->tables + (size_t)(p % blocks) * (1 + w->kernel_h * w->kernel_w) * block;
        for (uint32_t i = 0; i < out.h; i++)
            for (uint32_t j = 0; j < out.w; j++, target += block)
                for (uint32_t k = 0; k < block; k += LANES)
                    depthwise_pixel(loop, plane + k, table + k, (int64_t)i * w->stride_h - w->pad_top,
                                    (int64_t)j * w->stride_w - w->pad_left, target + k);
    }
}

struct loop *onednn_depthwise_create(const struct bgd_format_op *op, struct shape in, struct shape out, uint32_t block,
                                     const float *weights, const float *bias)
{
    uint32_t taps = op->window.kernel_h * op->window.kernel_w, blocks = blocks_of(out.c, block);
    struct loop *loop = calloc(1, sizeof *loop);
    float *table = calloc((size_t)blocks * (1 + taps) * block, sizeof *table);
    if (loop && table) {
        for (uint32_t c = 0; c < out.c; c++) {
            float *column = table + (size_t)(c / block) * (1 + taps) * block + c % block;
            column[0] = bias[c];
            for (uint32_t i = 0; i < taps; i++)
                column[(size_t)(1 + i) * block] = weights[(size_t)c * taps + i];
        }
        *loop = (struct loop){.run = run_depthwise, .op = op, .in = {in}, .out = out, .block = block, .tables = table};
    } else {
        free(loop);
        free(table);
        loop = NULL;
    }
    return loop;
}
