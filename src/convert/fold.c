#include "fold.h"

#include "../err.h"
#include "bgdet_format.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads PREFIX.SUFFIX, which must have `ndim` dimensions and, where `count` is not 0, that many elements. */
static int read_tensor(const struct checkpoint *checkpoint, const char *prefix, const char *suffix, uint32_t ndim,
                       uint64_t count, const struct checkpoint_tensor **tensor, float **out, struct bgd_err *err)
{
    char name[320];
    snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    struct checkpoint_tensor *t = checkpoint_find(checkpoint, name);
    if (!t)
        return err_set(err, BGD_DAMAGED, "tensor %s is missing", name);
    if (t->ndim != ndim || t->numel == 0 || (count && t->numel != count))
        return err_set(err, BGD_DAMAGED, "tensor %s has %u dimensions and %llu elements, expected %u and %s%llu", name, t->ndim,
                       (unsigned long long)t->numel, ndim, count ? "" : "more than ", (unsigned long long)count);
    for (uint32_t i = 0; i < ndim; i++)
        if (t->dims[i] > UINT32_MAX / 2)
            return err_set(err, BGD_LIMIT, "tensor %s: dimension %u is %llu", name, i, (unsigned long long)t->dims[i]);
    *out = malloc((size_t)t->numel * sizeof **out);
    if (!*out)
        return err_set(err, BGD_MEMORY, "out of memory for tensor %s", name);
    checkpoint_read(t, *out);
    t->used = true;
    if (tensor)
        *tensor = t;
    return 0;
}

static bool has_tensor(const struct checkpoint *checkpoint, const char *prefix, const char *suffix)
{
    char name[320];
    snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    return checkpoint_find(checkpoint, name) != NULL;
}

struct norm {
    float *gamma, *beta, *mean, *var; /* (out) each */
};

static void norm_free(struct norm *norm)
{
    free(norm->gamma);
    free(norm->beta);
    free(norm->mean);
    free(norm->var);
}

static int norm_read(const struct checkpoint *checkpoint, const char *name, uint32_t channels, struct norm *norm,
                     struct bgd_err *err)
{
    if (read_tensor(checkpoint, name, "weight", 1, channels, NULL, &norm->gamma, err) ||
        read_tensor(checkpoint, name, "bias", 1, channels, NULL, &norm->beta, err) ||
        read_tensor(checkpoint, name, "running_mean", 1, channels, NULL, &norm->mean, err) ||
        read_tensor(checkpoint, name, "running_var", 1, channels, NULL, &norm->var, err))
        return err->code;
    char counter[320]; /* a training counter that files from before PyTorch 0.4.1 lack; it changes nothing */
    snprintf(counter, sizeof counter, "%s.num_batches_tracked", name);
    struct checkpoint_tensor *t = checkpoint_find(checkpoint, counter);
    if (t)
        t->used = true;
    for (uint32_t i = 0; i < channels; i++)
        if (!(norm->var[i] >= 0) || !isfinite(norm->var[i]))
            return err_set(err, BGD_DAMAGED, "tensor %s.running_var: element %u is %g, expected 0 or more", name, i,
                           (double)norm->var[i]);
    return 0;
}

/* What a norm does to channel i: value * scale + shift. */
static double norm_scale(const struct norm *norm, uint32_t i, double eps)
{
    return (double)norm->gamma[i] / sqrt((double)norm->var[i] + eps);
}

static double norm_shift(const struct norm *norm, uint32_t i, double eps)
{
    return (double)norm->beta[i] - (double)norm->mean[i] * norm_scale(norm, i, eps);
}

static int read_conv(const struct checkpoint *checkpoint, const char *conv, struct folded *out, struct bgd_err *err)
{
    const struct checkpoint_tensor *weight;
    if (read_tensor(checkpoint, conv, "weight", 4, 0, &weight, &out->weight, err))
        return err->code;
    out->out = (uint32_t)weight->dims[0];
    out->in = (uint32_t)weight->dims[1];
    out->kernel_h = (uint32_t)weight->dims[2];
    out->kernel_w = (uint32_t)weight->dims[3];
    if (has_tensor(checkpoint, conv, "bias"))
        return read_tensor(checkpoint, conv, "bias", 1, out->out, NULL, &out->bias, err);
    out->bias = calloc(out->out, sizeof *out->bias);
    return out->bias ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

int fold_conv(const struct checkpoint *checkpoint, const char *conv, const char *norm_name, double eps, struct folded *out,
              struct bgd_err *err)
{
    *out = (struct folded){0};
    struct norm norm = {0};
    int code = read_conv(checkpoint, conv, out, err);
    if (!code && norm_name)
        code = norm_read(checkpoint, norm_name, out->out, &norm, err);
    size_t taps = (size_t)out->in * out->kernel_h * out->kernel_w;
    for (uint32_t o = 0; o < out->out && norm_name && !code; o++) {
        double scale = norm_scale(&norm, o, eps);
        for (size_t i = 0; i < taps; i++)
            out->weight[o * taps + i] = (float)((double)out->weight[o * taps + i] * scale);
        out->bias[o] = (float)((double)norm.beta[o] + ((double)out->bias[o] - (double)norm.mean[o]) * scale);
    }
    norm_free(&norm);
    if (code)
        fold_free(out);
    return code;
}

int fold_norm_conv(const struct checkpoint *checkpoint, const char *norm_name, const char *conv, double eps, struct folded *out,
                   struct bgd_err *err)
{
    *out = (struct folded){0};
    struct norm norm = {0};
    int code = read_conv(checkpoint, conv, out, err);
    if (!code && (out->kernel_h != 1 || out->kernel_w != 1))
        code = err_set(err, BGD_UNSUPPORTED, "tensor %s.weight has a %ux%u kernel, expected 1x1", conv, out->kernel_h,
                       out->kernel_w);
    if (!code)
        code = norm_read(checkpoint, norm_name, out->in, &norm, err);
    for (uint32_t o = 0; o < out->out && !code; o++) {
        double bias = (double)out->bias[o];
        for (uint32_t i = 0; i < out->in; i++) {
            float *weight = &out->weight[(size_t)o * out->in + i];
            bias += (double)*weight * norm_shift(&norm, i, eps);
            *weight = (float)((double)*weight * norm_scale(&norm, i, eps));
        }
        out->bias[o] = (float)bias;
    }
    norm_free(&norm);
    if (code)
        fold_free(out);
    return code;
}

int fold_norm(const struct checkpoint *checkpoint, const char *name, double eps, struct folded *out, struct bgd_err *err)
{
    *out = (struct folded){.in = 1, .kernel_h = 1, .kernel_w = 1};
    char key[320];
    snprintf(key, sizeof key, "%s.running_var", name);
    const struct checkpoint_tensor *var = checkpoint_find(checkpoint, key);
    if (!var || var->ndim != 1 || var->numel == 0 || var->numel > BGD_FORMAT_SIDE_MAX)
        return err_set(err, BGD_DAMAGED, "tensor %s is %s", key, var ? "no vector" : "missing");
    struct norm norm = {0};
    out->out = (uint32_t)var->numel;
    int code = norm_read(checkpoint, name, out->out, &norm, err);
    out->weight = malloc(out->out * sizeof *out->weight);
    out->bias = malloc(out->out * sizeof *out->bias);
    if (!code && (!out->weight || !out->bias))
        code = err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < out->out && !code; i++) {
        out->weight[i] = (float)norm_scale(&norm, i, eps);
        out->bias[i] = (float)norm_shift(&norm, i, eps);
    }
    norm_free(&norm);
    if (code)
        fold_free(out);
    return code;
}

int fold_dense(const struct checkpoint *checkpoint, const char *name, struct folded *out, struct bgd_err *err)
{
    *out = (struct folded){.kernel_h = 1, .kernel_w = 1};
    const struct checkpoint_tensor *weight;
    if (read_tensor(checkpoint, name, "weight", 2, 0, &weight, &out->weight, err) ||
        read_tensor(checkpoint, name, "bias", 1, weight->dims[0], NULL, &out->bias, err)) {
        fold_free(out);
        return err->code;
    }
    out->out = (uint32_t)weight->dims[0];
    out->in = (uint32_t)weight->dims[1];
    return 0;
}

/* The pixels of a side that one cell is the mean of. */
struct span {
    uint32_t start, end;
};

static struct span cell_span(uint32_t cell, uint32_t cells, uint32_t pixels)
{
    return (struct span){cell * pixels / cells, ((cell + 1) * pixels + cells - 1) / cells};
}

/* Adds to every pixel (h, w) the weights of the cells that it has a share of. */
static void spread_cells(const float *cells, uint32_t rows, uint32_t columns, double *pixels, uint32_t h, uint32_t w)
{
    for (uint32_t i = 0; i < rows; i++)
        for (uint32_t j = 0; j < columns; j++) {
            struct span y = cell_span(i, rows, h), x = cell_span(j, columns, w);
            double share = (double)cells[i * columns + j] / ((y.end - y.start) * (x.end - x.start));
            for (uint32_t row = y.start; row < y.end; row++)
                for (uint32_t column = x.start; column < x.end; column++)
                    pixels[row * w + column] += share;
        }
}

void fold_adaptive_mean(struct folded *dense, uint32_t rows, uint32_t columns, uint32_t h, uint32_t w)
{
    double pixels[FOLD_CELLS_MAX];
    uint32_t cells = rows * columns, size = h * w;
    assert(size <= cells && cells <= FOLD_CELLS_MAX && dense->in % cells == 0);
    size_t maps = (size_t)dense->out * (dense->in / cells);
    for (size_t map = 0; map < maps; map++) { /* in place: a map's pixels end before the next map's cells begin */
        memset(pixels, 0, size * sizeof *pixels);
        spread_cells(dense->weight + map * cells, rows, columns, pixels, h, w);
        for (uint32_t i = 0; i < size; i++)
            dense->weight[map * size + i] = (float)pixels[i];
    }
    dense->in = dense->in / cells * size;
}

void fold_free(struct folded *folded)
{
    free(folded->weight);
    free(folded->bias);
    *folded = (struct folded){0};
}
