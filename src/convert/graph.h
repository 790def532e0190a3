/*
 * A graph under construction, and its way into a model file.
 *
 * A family's converter (resnet.c, ...) and the tests add inputs, then ops in topological order; every op's shape is
 * computed as it is added. The first error sticks: later calls do nothing and return value 0, so that a converter reads as a
 * list of layers, and graph_write reports it.
 */
#ifndef BGD_GRAPH_H
#define BGD_GRAPH_H

#include "../meta.h"
#include "../ops.h"

struct graph;

int graph_open(struct graph **graph, struct bgd_err *err);
void graph_close(struct graph *graph);

/* Each returns the index of the new value. Names are those of bgdet_format.h; weights are copied. */
uint32_t graph_input(struct graph *graph, const char *name, struct shape shape);
uint32_t graph_conv(struct graph *graph, const char *name, uint32_t x, uint32_t out, struct bgd_window window, uint32_t groups,
                    const float *weight, const float *bias);
uint32_t graph_dense(struct graph *graph, const char *name, uint32_t x, uint32_t out, const float *weight, const float *bias);
uint32_t graph_max_pool(struct graph *graph, const char *name, uint32_t x, struct bgd_window window);
/* Ops of one or two values and no attributes. `y` is the second input of add and mul, else ignored. */
uint32_t graph_op(struct graph *graph, enum bgd_op code, const char *name, uint32_t x, uint32_t y);
/* Ops of several values: concat, attention. */
uint32_t graph_op_n(struct graph *graph, enum bgd_op code, const char *name, const uint32_t *values, uint32_t n);
/* Ops of one value and a parameter: quantile_mask, denoise, high_pass. */
uint32_t graph_op_with(struct graph *graph, enum bgd_op code, const char *name, uint32_t x, float parameter);
uint32_t graph_upsample(struct graph *graph, const char *name, uint32_t x, uint32_t scale, bool align_corners);
uint32_t graph_adaptive_mean(struct graph *graph, const char *name, uint32_t x, uint32_t height, uint32_t width);
uint32_t graph_lrn(struct graph *graph, const char *name, uint32_t x, uint32_t channels, float alpha, float beta, float k);

void graph_output(struct graph *graph, uint32_t value);
struct shape graph_shape(const struct graph *graph, uint32_t value);

/* A window with the same kernel, stride and pad on both axes and all sides, dilation 1. */
struct bgd_window graph_window(uint32_t kernel, uint32_t stride, uint32_t pad);

/* Puts an error of the converter's own into the graph, unless there is one already. */
__attribute__((format(printf, 3, 4))) void graph_fail(struct graph *graph, enum bgd_code code, const char *format, ...);

/* The first error, copied to `err`, or 0. */
int graph_error(const struct graph *graph, struct bgd_err *err);

/* The finished file in memory, `weights` stored as f32 or f16; *bytes is to be freed. A weight beyond f16's range or not finite
 * fails by name; so does everything that model_parse would refuse. */
int graph_encode(struct graph *graph, const struct meta *meta, enum bgd_dtype weights, uint8_t **bytes, size_t *size,
                 struct bgd_err *err);

/* The same, into a file that appears complete or not at all (written beside, then renamed). */
int graph_write(struct graph *graph, const struct meta *meta, enum bgd_dtype weights, const char *path, struct bgd_err *err);

#endif
