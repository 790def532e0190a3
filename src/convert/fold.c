#include "fold.h"

#include "../err.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

int fold_conv(const struct checkpoint *checkpoint, const char *conv, const char *norm_name, double eps, struct folded *out,
              struct bgd_err *err)
{
    *out = (struct folded){0};
    struct norm norm = {0};
    const struct checkpoint_tensor *weight;
    if (read_tensor(checkpoint, conv, "weight", 4, 0, &weight, &out->weight, err))
        goto fail;
    out->out = (uint32_t)weight->dims[0];
    out->in = (uint32_t)weight->dims[1];
    out->kernel_h = (uint32_t)weight->dims[2];
    out->kernel_w = (uint32_t)weight->dims[3];
    if (has_tensor(checkpoint, conv, "bias")) {
        if (read_tensor(checkpoint, conv, "bias", 1, out->out, NULL, &out->bias, err))
            goto fail;
    } else if (!(out->bias = calloc(out->out, sizeof *out->bias))) {
        err_set(err, BGD_MEMORY, "out of memory");
        goto fail;
    }
    if (!norm_name)
        return 0;
    if (norm_read(checkpoint, norm_name, out->out, &norm, err))
        goto fail;
    size_t taps = (size_t)(weight->numel / out->out);
    for (uint32_t o = 0; o < out->out; o++) {
        double scale = (double)norm.gamma[o] / sqrt((double)norm.var[o] + eps);
        for (size_t i = 0; i < taps; i++)
            out->weight[o * taps + i] = (float)((double)out->weight[o * taps + i] * scale);
        out->bias[o] = (float)((double)norm.beta[o] + ((double)out->bias[o] - (double)norm.mean[o]) * scale);
    }
    norm_free(&norm);
    return 0;
fail:
    norm_free(&norm);
    fold_free(out);
    return err->code;
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

void fold_free(struct folded *folded)
{
    free(folded->weight);
    free(folded->bias);
    *folded = (struct folded){0};
}
