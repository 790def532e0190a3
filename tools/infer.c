/* bgdet infer: raw tensors through a model file, so that anyone can hold the engine against their own framework. */
#include "backend.h"
#include "err.h"
#include "npy.h"
#include "session.h"
#include "tools.h"

#include <stdlib.h>
#include <string.h>

#define BATCH 64u /* pictures at once, at the most */

struct settings {
    const char *model, *input, *output, *backend;
    enum bgd_precision precision;
};

static const struct option_entry options[] = {
    {0, "input", "X.npy", "the values of the graph's input, as the network takes them: no resize, no normalisation",
     OPTION_FILE(struct settings, input)},
    {'o', "output", "Y.npy", "where the outputs go", OPTION_FILE(struct settings, output)},
    {0, "backend", "NAME", "auto, onednn, ref, cuda (default auto)", OPTION_TEXT(struct settings, backend),
     OPTION_OFFERS("auto", "onednn", "ref", "cuda")},
    SESSION_PRECISION(struct settings, precision),
    {0},
};

static const struct option_group groups[] = {{NULL, options, 0}, {0}};

static const struct command_exit exits[] = {
    {EXIT_DONE, "written"},
    {EXIT_USAGE, "usage, or another shape than the network's"},
    {EXIT_INPUT, "unusable model or values"},
    {EXIT_MISSING, "no such file"},
    {EXIT_RETRY, "try again later, or no such device"},
    {0},
};

/* The input's values must be (n, c, h, w) of the graph's one input. */
static int check_input(const struct bgd_model *model, const struct npy *x, const char *path, struct bgd_err *err)
{
    struct shape s = model_shape(model, 0);
    if (model->header->n_inputs != 1)
        return err_set(err, BGD_ARGUMENT, "the graph has %u inputs, only one can be given", model->header->n_inputs);
    char shape[128] = "";
    for (uint32_t i = 0, used = 0; i < x->ndim && used < sizeof shape; i++)
        used += (uint32_t)snprintf(shape + used, sizeof shape - used, "%s%llu", i ? ", " : "", (unsigned long long)x->dims[i]);
    if (x->ndim != 4 || x->dims[0] == 0 || x->dims[1] != s.c || x->dims[2] != s.h || x->dims[3] != s.w)
        return err_set(err, BGD_ARGUMENT, "%s: shape (%s), expected (n, %u, %u, %u)", path, shape, s.c, s.h, s.w);
    return 0;
}

/* Runs all pictures, batch by batch, into outputs[i] (n, c, h, w). */
static int run_batches(const struct bgd_model *model, const struct backend *backend, struct device *device, const struct npy *x,
                       float **outputs, struct bgd_err *err)
{
    struct exec *exec = NULL;
    uint64_t n = x->dims[0], in = shape_size(model_shape(model, 0));
    int code = backend->prepare(device, 0, model, n < BATCH ? (uint32_t)n : BATCH, NULL, &exec, err);
    for (uint64_t at = 0; at < n && !code;) {
        uint64_t left = n - at;
        uint32_t now = left < backend->batch(exec) ? (uint32_t)left : backend->batch(exec);
        code = backend->load(exec, 0, now, x->values + at * in, err);
        if (!code)
            code = backend->run(exec, now, err);
        for (uint32_t i = 0; i < model->header->n_outputs && !code; i++) {
            uint64_t size = shape_size(model_shape(model, model->header->outputs[i]));
            code = backend->fetch(exec, i, now, outputs[i] + at * size, err);
        }
        at += now;
    }
    backend->release(exec);
    return code;
}

/* Y.npy for a single output, else Y.NAME.npy. */
static int write_output(const struct bgd_model *model, uint32_t output, uint64_t n, const char *path, const float *values,
                        struct bgd_err *err)
{
    uint32_t value = model->header->outputs[output];
    struct shape s = model_shape(model, value);
    const uint64_t dims[] = {n, s.c, s.h, s.w};
    char *own = NULL;
    const char *dot = strrchr(path, '.');
    int stem = dot && !strchr(dot, '/') ? (int)(dot - path) : (int)strlen(path);
    if (model->header->n_outputs > 1 && asprintf(&own, "%.*s.%s%s", stem, path, model->values[value].name, path + stem) < 0)
        return err_set(err, BGD_MEMORY, "out of memory");
    int code = npy_write(own ? own : path, 4, dims, values, err);
    if (!code)
        printf("%-16s (%llu, %u, %u, %u)  %s\n", model->values[value].name, (unsigned long long)n, s.c, s.h, s.w,
               own ? own : path);
    free(own);
    return code;
}

static int infer(const struct settings *s, const struct bgd_model *model, const struct npy *x, struct bgd_err *err)
{
    const struct backend *backend = NULL;
    struct device *device = NULL;
    float *outputs[BGD_FORMAT_OUTPUTS_MAX] = {0};
    struct bgd_err passed_over;
    if (check_input(model, x, s->input, err) || backend_open(s->backend, 0, s->precision, &backend, &device, &passed_over, err))
        return err->code;
    fprintf(stderr, "%s on %s\n", model->meta.arch, backend->name);
    int code = 0;
    for (uint32_t i = 0; i < model->header->n_outputs && !code; i++) {
        outputs[i] = calloc(x->dims[0] * shape_size(model_shape(model, model->header->outputs[i])), sizeof *outputs[i]);
        if (!outputs[i])
            code = err_set(err, BGD_MEMORY, "out of memory for %llu pictures", (unsigned long long)x->dims[0]);
    }
    if (!code)
        code = run_batches(model, backend, device, x, outputs, err);
    for (uint32_t i = 0; i < model->header->n_outputs && !code; i++)
        code = write_output(model, i, x->dims[0], s->output, outputs[i], err);
    for (uint32_t i = 0; i < BGD_FORMAT_OUTPUTS_MAX; i++)
        free(outputs[i]);
    backend->close(device);
    return code;
}

static int run(int argc, char **argv)
{
    struct settings s = {0};
    int code;
    if (!options_parse(&tool_infer, &s, &argc, &argv, &code))
        return code;
    if (argc != 1)
        return tool_usage("infer", "%d model files named, expected 1", argc);
    if (!s.input || !s.output)
        return tool_usage("infer", "--input and --output are both needed");
    s.model = argv[0];
    struct bgd_model *model = NULL;
    struct npy x = {0};
    struct bgd_err err;
    if (bgd_model_open(s.model, &model, &err) || npy_read(s.input, &x, &err) || infer(&s, model, &x, &err))
        code = tool_fail(&err);
    npy_free(&x);
    bgd_model_close(model);
    return code;
}

const struct command tool_infer = {
    .name = "infer",
    .summary = "run raw tensors (.npy) through a model file",
    .synopsis = {"MODEL --input X.npy -o Y.npy [options]"},
    .text = "Runs the network of a model file on raw float32 values (n, c, h, w) and writes every output of its graph, float32 "
            "(n, c, h, w): to Y.npy if there is one output, else to Y.NAME.npy for each.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
