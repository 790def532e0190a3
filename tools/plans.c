/*
 * bgdet-plans - has cuDNN a plan for every convolution, on a device that need not be there?
 *
 *     bgdet-plans [--cache FOLDER] [--precision f16|bf16|f32|f8] DEVICE.json FILE...
 *     bgdet-plans --describe
 *
 * DEVICE.json describes the device (tests/gpu); --describe prints that of the card which is here. A FILE.bgd is a model, whose
 * convolutions are taken as the CUDA backend has them. Any other FILE is a table, a convolution a line; '#' starts a comment:
 *
 *     name type  n  c h w pitch  out_c out_pitch  kernel_h kernel_w  stride_h stride_w  top left bottom right
 *          dilation_h dilation_w  residual_pitch activation
 *
 * Prints a line for each. With the folder in which runs on that device keep their plans (bgdet.h, autotune), these are shown: which
 * are tuned, and how fast they are. Exits with 1 if a convolution has no plan, with 2 if something else is wrong.
 */
#include "clock.h"
#include "cuda_network.h"
#include "err.h"
#include "file.h"
#include "model.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX (1u << 20)
#define COUNT(names) ((uint32_t)(sizeof(names) / sizeof *(names)))

static const char *const types[] = {[KERNEL_F32] = "f32", [KERNEL_F16] = "f16", [KERNEL_BF16] = "bf16", [KERNEL_F8] = "f8"};
static const char *const activations[] = {[KERNEL_NONE] = "none",
                                          [KERNEL_RELU] = "relu",
                                          [KERNEL_SIGMOID] = "sigmoid",
                                          [KERNEL_SILU] = "silu",
                                          [KERNEL_SELU] = "selu"};

struct named_conv {
    char name[64]; /* of the first, where a model has the same more than once */
    uint32_t times;
    struct cudnn_conv conv;
};

/* A whole file, NUL-terminated, to be freed. */
static char *read_text(const char *path, struct bgd_err *err)
{
    struct file_buffer buffer = {0};
    char *text = NULL;
    if (file_read(path, TEXT_BYTES_MAX, &buffer, err))
        err_prefix(err, "%s: ", path);
    else if (!(text = calloc(1, buffer.size + 1)))
        err_set(err, BGD_MEMORY, "out of memory");
    else if (buffer.size)
        memcpy(text, buffer.data, buffer.size);
    free(buffer.data);
    return text;
}

/* The place of `name` in a list; `n` if it is not there. */
static uint32_t find(const char *const *names, uint32_t n, const char *name)
{
    uint32_t i = 0;
    while (i < n && strcmp(names[i], name))
        i++;
    return i;
}

/* 0 where the window does not fit. */
static uint32_t out_side(uint32_t in, uint32_t pads, uint32_t kernel, uint32_t stride, uint32_t dilation)
{
    uint32_t extent = dilation * (kernel - 1) + 1;
    return stride && in + pads >= extent ? (in + pads - extent) / stride + 1 : 0;
}

static bool parse_conv(const char *line, struct named_conv *named)
{
    struct cudnn_conv *c = &named->conv;
    struct bgd_window *k = &c->window;
    char type[8], activation[8];
    memset(named, 0, sizeof *named);
    named->times = 1;
    if (sscanf(line, "%63s %7s %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %7s", named->name, type, &c->n, &c->c,
               &c->h, &c->w, &c->pitch, &c->out_c, &c->out_pitch, &k->kernel_h, &k->kernel_w, &k->stride_h, &k->stride_w,
               &k->pad_top, &k->pad_left, &k->pad_bottom, &k->pad_right, &k->dilation_h, &k->dilation_w, &c->residual_pitch,
               activation) != 21)
        return false;
    c->type = (enum kernel_type)find(types, COUNT(types), type);
    c->activation = (enum kernel_activation)find(activations, COUNT(activations), activation);
    c->out_h = out_side(c->h, k->pad_top + k->pad_bottom, k->kernel_h, k->stride_h, k->dilation_h);
    c->out_w = out_side(c->w, k->pad_left + k->pad_right, k->kernel_w, k->stride_w, k->dilation_w);
    return (uint32_t)c->type < COUNT(types) && (uint32_t)c->activation < COUNT(activations) && c->out_h && c->out_w;
}

/* The convolutions of a table, in memory of *convs; none after an error. */
static uint32_t read_table(const char *path, struct named_conv **convs, struct bgd_err *err)
{
    char *text = read_text(path, err);
    uint32_t n = 0;
    *convs = text ? calloc(strlen(text) + 1, sizeof **convs) : NULL;
    if (text && !*convs)
        err_set(err, BGD_MEMORY, "out of memory");
    char *rest = text;
    for (char *line; *convs && (line = strsep(&rest, "\n"));) {
        if (*line == 0 || *line == '#')
            continue;
        if (!parse_conv(line, &(*convs)[n])) {
            err_set(err, BGD_DAMAGED, "%s: not a convolution: %s", path, line);
            n = 0;
            break;
        }
        n++;
    }
    free(text);
    return n;
}

/* The different convolutions of a model, likewise. */
static uint32_t read_model(const char *path, enum kernel_type type, struct named_conv **convs, struct bgd_err *err)
{
    struct bgd_model *model = NULL;
    struct cuda_network *net = NULL;
    uint32_t n = 0;
    *convs = NULL;
    if (bgd_model_open(path, &model, err) == 0 &&
        cuda_network_create(model, type, cuda_network_batch(model, type), true, &net, err) == 0 &&
        !(*convs = calloc(net->n_steps, sizeof **convs)))
        err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; *convs && i < net->n_steps; i++) {
        const struct cuda_step *step = &net->steps[i];
        uint32_t k = 0;
        if (step->kind != CUDA_CONV)
            continue;
        while (k < n && memcmp(&(*convs)[k].conv, &step->conv, sizeof step->conv))
            k++;
        if ((*convs)[k].times++)
            continue;
        snprintf((*convs)[n].name, sizeof(*convs)[n].name, "%s", step->name);
        (*convs)[n++].conv = step->conv;
    }
    cuda_network_destroy(net);
    bgd_model_close(model);
    return n;
}

/* Prints a convolution's line; whether it has a plan. */
static bool show(struct cudnn *cudnn, const struct named_conv *named)
{
    const struct cudnn_conv *c = &named->conv;
    struct cudnn_plan *plan;
    struct bgd_err err = {0};
    double start = clock_now();
    bool has_plan = cudnn_plan_make(cudnn, c, NULL, &plan, &err) == 0;
    printf("%-44s %2ux %-4s %4u x %4u %3ux%-3u -> %4u %3ux%-3u %2ux%-2u %-7s %-8s  ", named->name, named->times, types[c->type],
           c->n, c->c, c->h, c->w, c->out_c, c->out_h, c->out_w, c->window.kernel_h, c->window.kernel_w,
           activations[c->activation], c->residual_pitch ? "residual" : "");
    if (has_plan)
        printf("%9zu bytes %5.2f s  %s\n", cudnn_plan_workspace(plan), clock_now() - start, cudnn_plan_name(plan));
    else
        printf("no plan: %s\n", err.text);
    cudnn_plan_free(plan);
    return has_plan;
}

/* The program's exit status. */
static int show_file(struct cudnn *cudnn, const char *path, enum kernel_type type)
{
    struct named_conv *convs;
    struct bgd_err err = {0};
    size_t length = strlen(path);
    bool model = length > 4 && strcmp(path + length - 4, ".bgd") == 0;
    uint32_t n = model ? read_model(path, type, &convs, &err) : read_table(path, &convs, &err), without = 0;
    for (uint32_t i = 0; i < n; i++)
        without += !show(cudnn, &convs[i]);
    free(convs);
    if (err.code)
        fprintf(stderr, "bgdet-plans: %s\n", err.text);
    else
        printf("%s: %u of %u different convolutions without a plan\n", path, without, n);
    return err.code ? 2 : without > 0;
}

static int describe(void)
{
    struct bgd_err err;
    struct cudnn *cudnn;
    char *text = cudnn_open(NULL, NULL, &cudnn, &err) ? NULL : cudnn_describe(cudnn, &err);
    if (text)
        puts(text);
    else
        fprintf(stderr, "bgdet-plans: %s\n", err.text);
    free(text);
    cudnn_close(cudnn);
    return text ? 0 : 2;
}

static int usage(void)
{
    fprintf(stderr, "usage: bgdet-plans [--cache FOLDER] [--precision f16|bf16|f32|f8] DEVICE.json MODEL.bgd|TABLE...\n"
                    "       bgdet-plans --describe\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"cache", required_argument, NULL, 'c'},
                                            {"precision", required_argument, NULL, 'p'},
                                            {"describe", no_argument, NULL, 'd'},
                                            {0}};
    const char *cache = NULL;
    uint32_t type = KERNEL_F16;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'd')
            return describe();
        if (option == 'c')
            cache = optarg;
        else if (option != 'p' || (type = find(types, COUNT(types), optarg)) == COUNT(types))
            return usage();
    }
    if (argc - optind < 2)
        return usage();
    struct bgd_err err = {0};
    struct cudnn *cudnn = NULL;
    char *description = read_text(argv[optind], &err);
    int status = 0;
    if (description && !cudnn_open(description, cache, &cudnn, &err))
        for (int i = optind + 1; i < argc; i++) {
            int of_file = show_file(cudnn, argv[i], (enum kernel_type)type);
            status = of_file > status ? of_file : status;
        }
    if (err.code) {
        fprintf(stderr, "bgdet-plans: %s\n", err.text);
        status = 2;
    }
    cudnn_close(cudnn);
    free(description);
    return status;
}
