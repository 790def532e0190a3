/* bgdet inspect: a model file for people. */
#include "model.h"
#include "tools.h"

#include <string.h>

/* 11181638 -> "11.18 M" */
static void print_quantity(char text[24], double value, const char *unit)
{
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    int prefix = 0;
    for (; value >= 1000 && prefix < 4; prefix++)
        value /= 1000;
    snprintf(text, 24, prefix ? "%.2f %s%s" : "%.0f %s%s", value, prefixes[prefix], unit);
}

static uint64_t op_parameters(const struct bgd_model *model, const struct bgd_format_op *op)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < op->n_tensors; i++)
        sum += model_tensor_count(&model->tensors[op->tensors[i]]);
    return sum;
}

static uint64_t op_work(const struct bgd_model *model, uint32_t index)
{
    const struct bgd_format_op *op = &model->ops[index];
    struct shape inputs[8];
    for (uint32_t i = 0; i < op->n_inputs; i++)
        inputs[i] = model_shape(model, op->inputs[i]);
    return op_macs(op, inputs, model_shape(model, model_op_value(model, index)));
}

/* "3x3 /2 pad 1" */
static void print_window(char *text, size_t size, const struct bgd_format_op *op)
{
    const struct bgd_window *w = &op->window;
    text[0] = 0;
    if (w->kernel_h == 0)
        return;
    int used = snprintf(text, size, "%ux%u", w->kernel_h, w->kernel_w);
    if (w->stride_h != 1 || w->stride_w != 1)
        used += w->stride_h == w->stride_w ? snprintf(text + used, size - (size_t)used, " /%u", w->stride_h)
                                           : snprintf(text + used, size - (size_t)used, " /%ux%u", w->stride_h, w->stride_w);
    bool even = w->pad_top == w->pad_bottom && w->pad_top == w->pad_left && w->pad_top == w->pad_right;
    if (!even)
        used += snprintf(text + used, size - (size_t)used, " pad %u,%u,%u,%u", w->pad_top, w->pad_left, w->pad_bottom,
                         w->pad_right);
    else if (w->pad_top)
        used += snprintf(text + used, size - (size_t)used, " pad %u", w->pad_top);
    if (w->dilation_h != 1 || w->dilation_w != 1)
        used += snprintf(text + used, size - (size_t)used, " dil %ux%u", w->dilation_h, w->dilation_w);
    if (op->groups > 1)
        snprintf(text + used, size - (size_t)used, " in %u groups", op->groups);
}

static void print_calibration(const struct meta *meta)
{
    for (uint32_t i = 0; i < meta->n_labels && i < 20 && meta->calibrations; i++)
        printf("%s %s x %g + %g", i ? "," : "  calibration ", meta->labels[i], (double)meta->calibrations[i].slope,
               (double)meta->calibrations[i].offset);
    if (meta->calibrations)
        puts(meta->n_labels > 20 ? ", ..." : "");
    if (meta->review[1] > 0)
        printf("  %-12s %g <= P(defective) < %g\n", "review", (double)meta->review[0], (double)meta->review[1]);
}

static void print_meta(const struct meta *meta)
{
    printf("  %-12s %s, a %s\n", "network", meta->arch, meta_kind_name(meta->kind));
    if (meta->kind != META_NETWORK) {
        const struct feed_spec *in = &meta->input;
        printf("  %-12s %ux%u, %u channels, mean %g %g %g, std %g %g %g, bilinear\n", "input", in->width, in->height,
               meta->input.channels, (double)in->mean[0], (double)in->mean[1], (double)in->mean[2], (double)in->std[0],
               (double)in->std[1], (double)in->std[2]);
    }
    if (meta->kind == META_CLASSIFIER) {
        printf("  %-12s %g %g %g\n", "fill", (double)meta->input.fill[0], (double)meta->input.fill[1],
               (double)meta->input.fill[2]);
        printf("  %-12s %s of", "head", meta->head);
        for (uint32_t i = 0; i < meta->n_labels && i < 20; i++)
            printf("%s %s >= %g", i ? "," : "", meta->labels[i], (double)meta->thresholds[i]);
        printf("%s\n", meta->n_labels > 20 ? ", ..." : "");
        print_calibration(meta);
    }
    printf("  %-12s %s\n", "provenance", meta->provenance);
}

static void print_ops(const struct bgd_model *model)
{
    printf("\n  %-22s %-12s %-22s %-16s %10s %12s\n", "value", "op", "window", "shape (c, h, w)", "parameters", "MACs");
    for (uint32_t i = 0; i < model->header->n_values; i++) {
        struct shape s = model_shape(model, i);
        char shape[40], window[96] = "", parameters[24] = "", macs[24] = "";
        const char *name = "input";
        snprintf(shape, sizeof shape, "%u, %u, %u", s.c, s.h, s.w);
        if (i >= model->header->n_inputs) {
            uint32_t op = i - model->header->n_inputs;
            name = op_info(model->ops[op].code)->name;
            print_window(window, sizeof window, &model->ops[op]);
            if (op_parameters(model, &model->ops[op]))
                print_quantity(parameters, (double)op_parameters(model, &model->ops[op]), "");
            if (op_work(model, op))
                print_quantity(macs, (double)op_work(model, op), "");
        }
        bool output = false;
        for (uint32_t k = 0; k < model->header->n_outputs; k++)
            output = output || model->header->outputs[k] == i;
        printf("  %-22s %-12s %-22s %-16s %10s %12s%s\n", model->values[i].name, name, window, shape, parameters, macs,
               output ? "  output" : "");
    }
}

static void print_totals(const struct bgd_model *model)
{
    const struct bgd_format_header *h = model->header;
    uint64_t parameters = 0, macs = 0;
    for (uint32_t i = 0; i < h->n_tensors; i++)
        parameters += model_tensor_count(&model->tensors[i]);
    for (uint32_t i = 0; i < h->n_ops; i++)
        macs += op_work(model, i);
    char text[3][24];
    print_quantity(text[0], (double)parameters, "");
    print_quantity(text[1], (double)macs, "");
    print_quantity(text[2], (double)model->size, "B");
    printf("\n  %u ops, %s parameters in %s, %s MACs a picture, %s\n", h->n_ops, text[0],
           h->n_tensors == 0                    ? "no tensor"
           : model->tensors[0].dtype == BGD_F16 ? "f16"
                                                : "f32",
           text[1], text[2]);
}

static int run(int argc, char **argv)
{
    int code;
    if (!options_parse(&tool_inspect, NULL, &argc, &argv, &code))
        return code;
    if (argc != 1)
        return tool_usage("inspect", "%d model files named, expected 1", argc);
    struct bgd_model *model;
    struct bgd_err err;
    if (bgd_model_open(argv[0], &model, &err))
        return tool_fail(&err);
    char hash[HASH_TEXT];
    model_hash_text(model, hash);
    printf("%s\n  %-12s %s (format %u)\n", argv[0], "hash", hash, model->header->version);
    print_meta(&model->meta);
    print_ops(model);
    print_totals(model);
    bgd_model_close(model);
    return EXIT_DONE;
}

static const struct command_exit exits[] = {
    {EXIT_DONE, "shown"}, {EXIT_USAGE, "usage"}, {EXIT_INPUT, "not a model file"}, {EXIT_MISSING, "no such file"}, {0}};

const struct command tool_inspect = {
    .name = "inspect",
    .summary = "show what a model file holds",
    .synopsis = {"MODEL"},
    .text = "Shows the metadata of a model file, its ops with shapes, parameters and multiply-accumulates, and its size. The "
            "file is checked as a whole first.",
    .exits = exits,
    .run = run,
};
