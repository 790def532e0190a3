/*
 * The whole way of a ResNet: checkpoint -> convert -> model file -> backends, against torchvision's logits
 * (fixtures/resnet.py), and what the converter refuses.
 */
#include "conversions.h"
#include "convert/convert.h"
#include "convert/fold.h"
#include "convert/resnet.h"
#include "half.h"
#include "nets.h"
#include "state_dict.h"

#include <string.h>

#define PICTURES 4u
#define CLASSES 6u
#define CELLS 6u /* 80x60 at a 32nd is 3x2 */

/* What torchvision computes: of each picture the logits, and the layer fc at every pixel of layer4's output. */
struct golden {
    float logits[PICTURES * CLASSES];
    float activation[PICTURES * CLASSES * CELLS];
};

TestSuite(resnet, .init = conversion_enter, .fini = conversion_leave);

/* Copies the running statistics of fixtures/NAME.bin into the state dict, and what stands behind them to `golden`. */
static void read_golden(const char *name, struct state_dict *s, struct golden *golden)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/fixtures/%s.bin", BGDET_SOURCE_DIR, name);
    size_t size;
    char *bytes = scratch_read(path, &size), *at = bytes;
    for (struct entry *e = s->entries; e < s->entries + s->n; e++)
        if (ends_with(e->name, "running_mean") || ends_with(e->name, "running_var")) {
            memcpy(e->data, at, entry_count(e) * sizeof *e->data);
            at += entry_count(e) * sizeof *e->data;
        }
    memcpy(golden, at, sizeof *golden);
    cr_assert_eq((size_t)(at - bytes) + sizeof *golden, size, "%s has another size", path);
    free(bytes);
}

/* Runs n pictures and returns their logits and, unless `activation` is NULL, their activation, to be freed. */
static float *run(const struct backend *backend, const struct bgd_model *model, uint32_t n, const float *pictures,
                  float **activation)
{
    float *input = (float *)(uintptr_t)pictures, *outputs[3];
    static const char *const names[] = {"logits", "activation", "scores"};
    cr_assert_eq(model->header->n_outputs, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq((int)model->header->outputs[i], model_output(model, names[i]), "%s", names[i]);
    net_run(backend, model, n, n, &input, outputs);
    if (activation)
        *activation = outputs[1];
    else
        free(outputs[1]);
    free(outputs[2]);
    return outputs[0];
}

static float *run_logits(const struct backend *backend, const struct bgd_model *model, uint32_t n, const float *pictures)
{
    return run(backend, model, n, pictures, NULL);
}

static double largest_difference(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst;
}

static float *make_pictures(uint32_t n, uint32_t channels)
{
    size_t count = (size_t)n * channels * 80 * 60;
    float *pictures = malloc(count * sizeof *pictures);
    random_fill(pictures, count, 7, 2, 0);
    return pictures;
}

/* The logits are of order 1, the differences absolute, the golden numbers double. Measured, for ResNet-18 and 50: onednn 3e-6
 * and 2e-5, as PyTorch's own float32 is; ref, which rounds once a value, 3e-7 and 2e-6. The bounds are 5 times the larger. */
static void check_against_torchvision(const char *name, int depth, uint32_t channels, double ref_bound)
{
    struct state_dict *s = state_dict_resnet(depth, 64, channels, CLASSES);
    struct golden golden;
    read_golden(name, s, &golden);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    struct convert_options options = conversion_options(60, 80);
    struct bgd_model *model = convert_and_open(&options);
    char arch[16];
    snprintf(arch, sizeof arch, "resnet%d", depth);
    cr_expect_str_eq(model->meta.arch, arch);
    cr_expect_eq(model->meta.input.channels, channels);

    float *pictures = make_pictures(PICTURES, channels);
    float *onednn = run_logits(&backend_onednn, model, PICTURES, pictures);
    double worst = largest_difference(onednn, golden.logits, PICTURES * CLASSES);
    cr_expect(worst <= 1e-4, "onednn is off by %g", worst);
    float *ref = run_logits(&backend_ref, model, 1, pictures); /* one picture: it takes seconds */
    worst = largest_difference(ref, golden.logits, CLASSES);
    cr_expect(worst <= ref_bound, "ref is off by %g", worst);

    /* The same bits at every place of a tile and beyond it. */
    uint32_t n = 19;
    size_t size = (size_t)channels * 80 * 60;
    float *many = malloc(n * size * sizeof *many);
    for (uint32_t i = 0; i < n; i++)
        memcpy(many + i * size, pictures + (i * 3 % PICTURES) * size, size * sizeof *many);
    float *logits = run_logits(&backend_onednn, model, n, many);
    for (uint32_t i = 0; i < n; i++)
        cr_expect(memcmp(logits + i * CLASSES, onednn + (i * 3 % PICTURES) * CLASSES, CLASSES * sizeof *logits) == 0,
                  "place %u", i);
    free(logits);
    free(many);
    free(ref);
    free(onednn);
    free(pictures);
    bgd_model_close(model);
}

Test(resnet, resnet18_gives_torchvisions_logits)
{
    check_against_torchvision("resnet18", 18, 3, 1e-5);
}

Test(resnet, resnet50_gives_torchvisions_logits)
{
    check_against_torchvision("resnet50", 50, 3, 1e-5);
}

Test(resnet, four_input_channels_give_torchvisions_logits)
{
    check_against_torchvision("resnet18_4", 18, 4, 1e-5);
}

/* Weights rounded to 11 bits are off by 2^-12 of their size on average; 18 layers of such noise, each about independent, come
 * to 2^-12 x sqrt(18) x the logits' size of 1 to 2: 1e-3 to 2e-3. */
Test(resnet, f16_weights_are_close_to_f32)
{
    struct state_dict *s = state_dict_resnet(18, 64, 3, CLASSES);
    struct golden golden;
    read_golden("resnet18", s, &golden);
    state_dict_write(s, "a.safetensors", "", NULL);
    struct convert_options options = conversion_options(60, 80);
    options.f16 = true;
    struct bgd_model *model = convert_and_open(&options);
    for (uint32_t i = 0; i < model->header->n_tensors; i++)
        cr_assert_eq(model->tensors[i].dtype, BGD_F16);
    float *pictures = make_pictures(PICTURES, 3), *logits = run_logits(&backend_onednn, model, PICTURES, pictures);
    double worst = largest_difference(logits, golden.logits, PICTURES * CLASSES);
    cr_expect(worst <= 4e-3, "off by %g", worst);
    cr_expect_geq(worst, 1e-5, "f16 that is as good as f32 is not f16");
    free(pictures);
    free(logits);
    bgd_model_close(model);
    state_dict_free(s);
}

/* The bounds are those of the logits: an activation is the sum that a logit is, and a mean does not enlarge errors. */
static void check_activation(const struct backend *backend, uint32_t n, double bound)
{
    struct state_dict *s = state_dict_resnet(18, 64, 3, CLASSES);
    struct golden golden;
    read_golden("resnet18", s, &golden);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    struct convert_options options = conversion_options(60, 80);
    struct bgd_model *model = convert_and_open(&options);
    float *pictures = make_pictures(n, 3), *activation, *logits = run(backend, model, n, pictures, &activation);
    double worst = largest_difference(activation, golden.activation, (size_t)n * CLASSES * CELLS);
    cr_expect(worst <= bound, "%s: off by %g", backend->name, worst);
    for (uint32_t i = 0; i < n * CLASSES; i++) {
        double mean = 0;
        for (uint32_t k = 0; k < CELLS; k++)
            mean += (double)activation[i * CELLS + k] / CELLS;
        cr_expect_float_eq((double)logits[i], mean, 1e-5, "%s: logit %u", backend->name, i);
    }
    free(pictures);
    free(activation);
    free(logits);
    bgd_model_close(model);
}

Test(resnet, activation_is_the_layer_fc_at_every_pixel_and_its_mean_the_logits)
{
    check_activation(&backend_onednn, PICTURES, 1e-4);
    check_activation(&backend_ref, 1, 1e-5);
}

Test(resnet, every_depth_is_recognised_by_its_keys)
{
    static const int depths[] = {18, 34, 50, 101, 152};
    static const uint32_t adds[] = {8, 16, 16, 33, 50};
    for (int i = 0; i < 5; i++) {
        struct state_dict *s = state_dict_resnet(depths[i], 4, 3 + (uint32_t)i % 2, 5);
        state_dict_write(s, "a.safetensors", "", NULL);
        state_dict_free(s);
        struct convert_options options = conversion_options(60, 80);
        struct bgd_model *model = convert_and_open(&options);
        char arch[16];
        snprintf(arch, sizeof arch, "resnet%d", depths[i]);
        cr_expect_str_eq(model->meta.arch, arch);
        uint32_t n = 0;
        for (uint32_t k = 0; k < model->header->n_ops; k++)
            n += model->ops[k].code == BGD_OP_ADD;
        cr_expect_eq(n, adds[i]);
        cr_expect(model->meta.n_labels == 5 && strcmp(model->meta.labels[4], "4") == 0);
        bgd_model_close(model);
    }
}

/* ------------------------------------------------------------ what is refused */

static void check_refused(const struct convert_options *options, const char *text, const char *what)
{
    char summary[256];
    struct bgd_err err = {0};
    cr_expect_lt(convert_run(options, summary, &err), 0, "%s converted", what);
    cr_expect(strstr(err.text, text), "%s: \"%s\", expected \"%s\"", what, err.text, text);
    cr_expect_neq(unlink(options->target), 0, "%s: there is a file", what);
}

Test(resnet, every_missing_tensor_is_named)
{
    const struct convert_options options = conversion_options(60, 80);
    for (int depth = 18; depth <= 50; depth += 32) {
        struct state_dict *s = state_dict_resnet(depth, 4, 3, 6);
        for (uint32_t i = 0; i < s->n; i++) {
            const struct entry *e = &s->entries[i];
            if (e->counter)
                continue;
            state_dict_write(s, "a.safetensors", "", e);
            /* Some keys tell the family or the depth: without them it is another network, which there is none of. */
            bool family = !strcmp(e->name, "conv1.weight") || !strcmp(e->name, "bn1.running_mean") ||
                          !strcmp(e->name, "fc.weight") || !strcmp(e->name, "layer1.0.conv1.weight") ||
                          !strcmp(e->name, "layer4.0.conv1.weight");
            bool blocks = ends_with(e->name, "conv1.weight");
            char lacks[160];
            snprintf(lacks, sizeof lacks, "no network that is known. ResNet: no %s; VGG: ", e->name);
            check_refused(&options, family ? lacks : blocks ? "is none of 18, 34, 50, 101, 152" : e->name, e->name);
        }
        state_dict_free(s);
    }
}

Test(resnet, a_missing_counter_is_nothing)
{
    struct state_dict *s = state_dict_resnet(18, 4, 3, 6);
    state_dict_write(s, "a.safetensors", "", state_dict_find(s, "layer2.0.bn1.num_batches_tracked"));
    const struct convert_options options = conversion_options(60, 80);
    bgd_model_close(convert_and_open(&options));
    state_dict_free(s);
}

Test(resnet, every_tensor_of_another_shape_is_named)
{
    const struct convert_options options = conversion_options(60, 80);
    struct state_dict *s = state_dict_resnet(50, 4, 3, 6);
    for (uint32_t i = 0; i < s->n; i++) {
        struct entry *e = &s->entries[i];
        for (uint32_t d = 0; d <= e->ndim && !e->counter; d++) {
            struct entry kept = *e;
            if (i == 0 && d == 1)
                continue; /* 4 input channels are right, too */
            if (d < e->ndim)
                e->dims[d]++; /* one longer */
            else
                e->dims[e->ndim++ % 4] = 1; /* a dimension more; of 4, the first is 1 */
            if (e->ndim > 4)
                e->ndim = 4;
            e->data = calloc(entry_count(e), sizeof *e->data);
            state_dict_write(s, "a.safetensors", "", NULL);
            /* A convolution with another number of outputs is at odds with what follows it, which is named instead. */
            bool outputs = kept.ndim == 4 && (d == 0 || d == 4);
            bool classes = strcmp(kept.name, "fc.weight") == 0 && d == 0;
            check_refused(&options, outputs ? "tensor " : classes ? "fc.bias" : kept.name, kept.name);
            free(e->data);
            *e = kept;
        }
    }
    state_dict_free(s);
}

Test(resnet, every_tensor_too_many_is_named)
{
    const struct convert_options options = conversion_options(60, 80);
    static const char *const extra[] = {"conv1.bias2", "layer1.2.bn1.weight", "layer5.0.conv1.weight", "fc2.weight", "ema"};
    for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
        struct state_dict *s = state_dict_resnet(18, 4, 3, 6);
        strcpy(state_dict_add(s, "x", "y", 1, 3, 0, 0, 0)->name, extra[i]);
        state_dict_write(s, "a.safetensors", "", NULL);
        char text[128];
        snprintf(text, sizeof text, "a.safetensors: 1 tensors that the network does not read: %s", extra[i]);
        check_refused(&options, text, extra[i]);
        state_dict_free(s);
    }
}

Test(resnet, relatives_that_compute_something_else_are_refused)
{
    const struct convert_options options = conversion_options(60, 80);
    struct state_dict *s = state_dict_resnet(50, 4, 3, 6); /* ResNeXt: grouped 3x3 */
    state_dict_find(s, "layer1.0.conv2.weight")->dims[1] = 2;
    state_dict_write(s, "a.safetensors", "", NULL);
    check_refused(&options, "tensor layer1.0.conv2.weight has 2 input channels", "resnext");
    state_dict_free(s);
    s = state_dict_resnet(18, 4, 3, 6); /* CIFAR's: a 3x3 first convolution, of stride 1 in truth */
    struct entry *stem = state_dict_find(s, "conv1.weight");
    stem->dims[2] = stem->dims[3] = 3;
    state_dict_write(s, "a.safetensors", "", NULL);
    check_refused(&options, "tensor conv1.weight has 3 input channels and a 3x3 kernel, expected 3 and 7x7", "cifar");
    state_dict_free(s);
    s = state_dict_resnet(18, 4, 5, 6);
    state_dict_write(s, "a.safetensors", "", NULL);
    check_refused(&options, "tensor conv1.weight takes 5 channels, expected 3 or 4", "five channels");
    state_dict_free(s);
}

Test(resnet, statistics_that_no_training_gives_are_named)
{
    static const float bad[] = {-1e-6f, NAN, INFINITY};
    const struct convert_options options = conversion_options(60, 80);
    for (int i = 0; i < 3; i++) {
        struct state_dict *s = state_dict_resnet(18, 4, 3, 6);
        state_dict_find(s, "layer3.1.bn2.running_var")->data[5] = bad[i];
        state_dict_write(s, "a.safetensors", "", NULL);
        check_refused(&options, "tensor layer3.1.bn2.running_var: element 5 is ", "running_var");
        state_dict_find(s, "layer3.1.bn2.running_var")->data[5] = 1;
        state_dict_find(s, "layer3.1.bn2.running_mean")->data[5] = i ? bad[i] : NAN;
        state_dict_write(s, "a.safetensors", "", NULL);
        check_refused(&options, "layer3.1.conv2.bias: element 5 is ", "running_mean");
        state_dict_free(s);
    }
}

Test(resnet, the_prefix_of_data_parallel_changes_nothing)
{
    struct state_dict *s = state_dict_resnet(18, 4, 3, 6);
    struct convert_options options = conversion_options(60, 80);
    state_dict_write(s, "a.safetensors", "", NULL);
    struct bgd_model *plain = convert_and_open(&options);
    state_dict_write(s, "b.safetensors", "module.", NULL);
    options.source = "b.safetensors";
    options.target = "b.bgd";
    struct bgd_model *prefixed = convert_and_open(&options);
    cr_assert_eq(plain->header->n_tensors, prefixed->header->n_tensors);
    for (uint32_t i = 0; i < plain->header->n_tensors; i++) {
        const struct bgd_format_tensor *a = &plain->tensors[i], *b = &prefixed->tensors[i];
        cr_expect_str_eq(a->name, b->name);
        cr_expect(memcmp(plain->bytes + a->offset, prefixed->bytes + b->offset, (size_t)a->bytes) == 0, "%s", a->name);
    }
    bgd_model_close(plain);
    bgd_model_close(prefixed);
    state_dict_free(s);
}

Test(resnet, options_that_do_not_fit_are_refused)
{
    static const struct {
        const char *labels, *head;
        uint32_t width, height;
        float mean;
        const char *text;
    } cases[] = {
        {"a,b", "sigmoid", 60, 80, 0, "2 labels given, the network has 6 classes"},
        {"a,b,c,d,e,f,g", "sigmoid", 60, 80, 0, "7 labels given"},
        {"", "sigmoid", 60, 80, 0, "1 labels given"},
        {"a,b,c,d,e,a", "sigmoid", 60, 80, 0, "label \"a\" stands twice"},
        {"a,b,c,d,e,", "sigmoid", 60, 80, 0, "label 5"},
        {"a,b,c,d,e,\n", "sigmoid", 60, 80, 0, "label 5"},
        {NULL, "hardmax", 60, 80, 0, "head \"hardmax\""},
        {NULL, "sigmoid", 60, 70000, 0, "(3, 70000, 60)"},
        {NULL, "sigmoid", UINT32_MAX, UINT32_MAX, 0, "(3, 4294967295, 4294967295)"},
        {NULL, "sigmoid", 60, 80, NAN, "metadata"},
        {NULL, "sigmoid", 60, 80, 1e9f, "\"mean\"[1]"},
    };
    struct state_dict *s = state_dict_resnet(18, 4, 3, 6);
    state_dict_write(s, "a.safetensors", "", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct convert_options options = conversion_options(60, 80);
        options.labels = cases[i].labels;
        options.head = cases[i].head;
        options.width = cases[i].width;
        options.height = cases[i].height;
        options.mean[1] = cases[i].mean;
        check_refused(&options, cases[i].text, cases[i].text);
    }
    struct convert_options options = conversion_options(60, 80);
    options.source = "nothing.safetensors";
    check_refused(&options, "nothing.safetensors", "no source");
    options = conversion_options(60, 80);
    options.target = "no/folder/a.bgd";
    check_refused(&options, "no/folder/a.bgd", "no target");
    state_dict_free(s);
}

Test(resnet, labels_head_and_source_stand_in_the_file)
{
    struct state_dict *s = state_dict_resnet(18, 4, 3, 6);
    state_dict_write(s, "b\xff.safetensors", "", NULL);
    struct convert_options options = conversion_options(60, 80);
    options.source = "b\xff.safetensors"; /* a name that is not UTF-8 must not spoil the file */
    options.head = "softmax";
    struct bgd_model *model = convert_and_open(&options);
    cr_expect_str_eq(model->meta.head, "softmax");
    cr_expect_eq(model->ops[model->header->n_ops - 1].code, BGD_OP_SOFTMAX);
    cr_expect(meta_label(&model->meta, "defective") == 0 && meta_label(&model->meta, "duplicates") == 5);
    cr_expect(strstr(model->meta.provenance, "\"form\":\"safetensors\""), "%s", model->meta.provenance);
    cr_expect(memcmp(model->meta.input.mean, options.mean, sizeof options.mean) == 0);
    bgd_model_close(model);
    options.labels = "x,y,z,u,v,w";
    model = convert_and_open(&options);
    cr_expect_str_eq(model->meta.labels[3], "u");
    bgd_model_close(model);
    state_dict_free(s);
}

/* ------------------------------------------------------------ folding */

/* A mean that the shift takes away again: in float, (0 - mean) * scale alone is rounded to a multiple of 2^-10. */
Test(resnet, batch_norm_is_folded_in_double)
{
    struct state_dict *s = calloc(1, sizeof *s);
    state_dict_add_conv_bn(s, "", "conv", "bn", 8, 2, 3);
    for (int i = 0; i < 8; i++) {
        state_dict_find(s, "bn.running_mean")->data[i] = 10000.123f + (float)i;
        state_dict_find(s, "bn.running_var")->data[i] = 1.7f + 0.1f * (float)i;
        state_dict_find(s, "bn.weight")->data[i] = 1.3f;
        state_dict_find(s, "bn.bias")->data[i] = 9000.456f;
    }
    state_dict_write(s, "a.safetensors", "", NULL);
    struct checkpoint *checkpoint;
    struct folded folded;
    struct bgd_err err = {0};
    cr_assert_eq(checkpoint_open("a.safetensors", &checkpoint, &err), 0, "%s", err.text);
    cr_assert_eq(fold_conv(checkpoint, "conv", "bn", 1e-5, &folded, &err), 0, "%s", err.text);
    double float_error = 0;
    for (int i = 0; i < 8; i++) {
        float mean = 10000.123f + (float)i, var = 1.7f + 0.1f * (float)i, in_float = 1.3f / sqrtf(var + 1e-5f);
        double scale = (double)1.3f / sqrt((double)var + 1e-5), shift = (double)9000.456f - (double)mean * scale;
        cr_expect_eq(folded.bias[i], (float)shift);
        float_error = fmax(float_error, fabs((double)(9000.456f - mean * in_float) - shift));
        for (size_t k = 0; k < 18; k++) {
            size_t at = (size_t)i * 18 + k;
            cr_expect_eq(folded.weight[at], (float)((double)state_dict_find(s, "conv.weight")->data[at] * scale));
        }
    }
    cr_expect_geq(float_error, 1e-4, "the test would not see folding in float");
    fold_free(&folded);
    checkpoint_close(checkpoint);
    state_dict_free(s);
}

Test(resnet, a_bias_before_the_batch_norm_is_folded_too)
{
    struct state_dict *s = calloc(1, sizeof *s);
    state_dict_add_conv_bn(s, "", "conv", "bn", 2, 1, 1);
    state_dict_add(s, "conv", "bias", 1, 2, 0, 0, 0);
    for (int i = 0; i < 2; i++) {
        state_dict_find(s, "conv.bias")->data[i] = 3;
        state_dict_find(s, "bn.running_mean")->data[i] = 1;
        state_dict_find(s, "bn.running_var")->data[i] = 4;
        state_dict_find(s, "bn.weight")->data[i] = 6;
        state_dict_find(s, "bn.bias")->data[i] = 0.5f;
    }
    state_dict_write(s, "a.safetensors", "", NULL);
    struct checkpoint *checkpoint;
    struct folded folded;
    struct bgd_err err = {0};
    cr_assert_eq(checkpoint_open("a.safetensors", &checkpoint, &err), 0, "%s", err.text);
    cr_assert_eq(fold_conv(checkpoint, "conv", "bn", 0, &folded, &err), 0, "%s", err.text);
    cr_expect_eq(folded.bias[0], 6.5f); /* 0.5 + (3 - 1) * 6 / 2 */
    fold_free(&folded);
    cr_assert_eq(fold_conv(checkpoint, "conv", NULL, 0, &folded, &err), 0, "%s", err.text);
    cr_expect_eq(folded.bias[1], 3);
    fold_free(&folded);
    checkpoint_close(checkpoint);
    state_dict_free(s);
}
