/* What bgdet-gpu-check is made of: subjects (models, and pictures for them), held against the reference. What goes wrong beside the
 * numbers ends the program. */
#ifndef BGD_GPU_CHECK_H
#define BGD_GPU_CHECK_H

#include "backend.h"
#include "convert/graph.h"

#include <cjson/cJSON.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CHECK_PATH 4096u
#define OP_PICTURES 3u
#define NETWORK_PICTURES 8u
#define EPS 0x1p-24 /* half a unit in the last place of a float near 1 */

struct target {
    const char *name;
    enum bgd_precision precision;
    double rounding;       /* half a unit in the last place of the type, relative: 2^-11 of f16's 11 bits */
    struct device *device; /* NULL: it does not compute in that precision, or is not asked to */
};

struct checker {
    const char *folder;
    const char *only; /* the precision; NULL: all */
    const struct backend *backend;
    struct target targets[4];
    struct bgd_image cards[NETWORK_PICTURES];
    bool quick;
    cJSON *rows;
    unsigned passed, failed, skipped;
};

/* What is checked: a model, and pictures for it. */
struct subject {
    char name[64], shapes[128];
    struct bgd_model *model;
    bool narrow; /* f8 multiplies in some of it; else that is f16, and not checked again */
    uint32_t n;
    float *inputs[BGD_FORMAT_INPUTS_MAX];
    const struct bgd_image *const *images; /* fed instead of the inputs; NULL: inputs are loaded */
};

struct errors {
    double worst, mean;
};

_Noreturn void check_stop(const struct bgd_err *err);
void *check_allocate(size_t bytes); /* never NULL */

/* ---- gpu_check_judge.c */

/* Runs the subject on the reference and in each precision of the device, and reports each against `bound`. */
void check_subject(struct checker *c, const struct subject *s,
                   struct errors (*bound)(const struct subject *s, const struct target *target));

/* ---- gpu_check_graphs.c: small graphs with made-up weights */

extern const struct meta check_plain_meta;
struct graph *check_open_graph(void);
uint32_t check_conv(struct graph *g, const char *name, uint32_t x, uint32_t out, struct bgd_window window, uint32_t groups);
uint32_t check_dense(struct graph *g, const char *name, uint32_t x, uint32_t out);

/* Checks a finished graph on s->n pictures, multiples of scale / levels, or on s->images, and closes it. */
void check_graph(struct checker *c, struct subject *s, struct graph *g, const struct meta *meta, float scale, uint32_t levels);

/* ---- what is checked, a file each */

void check_ops(struct checker *c);
void check_chains(struct checker *c);
void check_feeds(struct checker *c);
void check_networks(struct checker *c);

#endif
