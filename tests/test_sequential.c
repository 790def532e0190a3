/*
 * The whole way of AlexNet, ZFNet and VGG: checkpoint -> convert -> model file -> backends, against the logits of torchvision
 * and of tools/train/networks.py's ZFNet (fixtures/sequential.py), and what the converter refuses.
 */
#include "conversions.h"
#include "convert/convert.h"
#include "nets.h"
#include "sequential_dict.h"

#define PICTURES 2u
#define CLASSES 6u
#define LOGITS (PICTURES * CLASSES)

TestSuite(sequential, .init = conversion_enter, .fini = conversion_leave);

static uint32_t count_ops(const struct bgd_model *model, enum bgd_op code)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < model->header->n_ops; i++)
        n += model->ops[i].code == code;
    return n;
}

/* ------------------------------------------------------------ logits */

/* A network of the fixtures, and the sizes that it has logits for. */
struct golden {
    const char *file, *arch;
    uint32_t channels, thinner, sizes[4][2]; /* width and height */
    float scale;                             /* of the pictures */
};

/* Gives the state dict the running statistics of the fixture; the logits of all sizes, to be freed. */
static float *read_golden(const struct golden *g, struct state_dict *s, uint32_t n_sizes)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/fixtures/%s.bin", BGDET_SOURCE_DIR, g->file);
    size_t size, at = 0;
    char *bytes = scratch_read(path, &size);
    for (struct entry *e = s->entries; e < s->entries + s->n; e++)
        if (ends_with(e->name, "running_mean") || ends_with(e->name, "running_var")) {
            size_t count = entry_count(e) * sizeof *e->data;
            cr_assert_leq(at + count, size);
            memcpy(e->data, bytes + at, count);
            at += count;
        }
    float *logits = malloc(n_sizes * LOGITS * sizeof *logits);
    cr_assert_eq(at + n_sizes * LOGITS * sizeof *logits, size, "%s has %zu bytes", path, size);
    memcpy(logits, bytes + at, size - at);
    free(bytes);
    return logits;
}

/* The largest difference of two pictures' logits, in parts of the largest one where that is above 1. */
static double largest_difference(const float *a, const float *golden, size_t n)
{
    double worst = 0, largest = 1;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)golden[i]);
        worst = d > worst || isnan(d) ? d : worst;
        largest = fmax(largest, fabs((double)golden[i]));
    }
    return worst / largest;
}

/* The golden numbers are double. Measured: onednn is off by 6e-6 at most, as PyTorch's own float32; ref, which rounds once a
 * value, by 2e-6. */
static void check_backends(const struct bgd_model *model, const struct golden *g, const uint32_t size[2], const float *golden)
{
    size_t count = (size_t)PICTURES * g->channels * size[1] * size[0];
    float *pictures = malloc(count * sizeof *pictures), *outputs[2];
    random_fill(pictures, count, 7, g->scale, 0);
    for (size_t i = 0; backends[i]; i++) {
        if (!net_has_device(backends[i]))
            continue;
        net_run(backends[i], model, PICTURES, PICTURES, &pictures, outputs);
        double worst = largest_difference(outputs[0], golden, LOGITS), bound = backends[i] == &backend_ref ? 1e-5 : 1e-4;
        cr_expect(worst <= bound, "%s at %ux%u: %s is off by %g", g->file, size[0], size[1], backends[i]->name, worst);
        free(outputs[0]);
        free(outputs[1]);
    }
    free(pictures);
}

static void check_logits(struct golden g)
{
    struct state_dict *s = sequential_dict(g.arch, g.thinner, g.channels, CLASSES);
    uint32_t n_sizes = 0;
    while (n_sizes < 4 && g.sizes[n_sizes][0])
        n_sizes++;
    float *golden = read_golden(&g, s, n_sizes);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    for (uint32_t i = 0; i < n_sizes; i++) {
        struct convert_options options = conversion_options(0, 0);
        options.width = g.sizes[i][0];
        options.height = g.sizes[i][1];
        options.lrn = ends_with(g.arch, "_lrn");
        struct bgd_model *model = convert_and_open(&options);
        cr_expect_str_eq(model->meta.arch, g.arch);
        cr_expect(model->meta.input.channels == g.channels && model->meta.n_labels == CLASSES);
        check_backends(model, &g, g.sizes[i], golden + i * LOGITS);
        bgd_model_close(model);
    }
    free(golden);
}

Test(sequential, alexnet_gives_torchvisions_logits)
{
    check_logits((struct golden){"alexnet", "alexnet", 3, 8, {{63, 84}, {224, 224}, {257, 301}}, 2});
    check_logits((struct golden){"alexnet_4", "alexnet", 4, 8, {{131, 97}}, 2});
}

Test(sequential, zfnet_gives_the_logits_of_its_class)
{
    check_logits((struct golden){"zfnet", "zfnet", 4, 8, {{47, 47}, {60, 80}, {224, 224}, {241, 301}}, 2});
}

/* Brighter pictures: with values of order 1, alpha would hardly matter. */
Test(sequential, zfnet_with_lrn_gives_the_logits_of_its_class)
{
    check_logits((struct golden){"zfnet_lrn", "zfnet_lrn", 3, 8, {{60, 80}, {224, 224}, {97, 241}}, 200});
}

Test(sequential, vgg_gives_torchvisions_logits)
{
    check_logits((struct golden){"vgg11", "vgg11", 4, 16, {{32, 32}, {60, 80}, {224, 224}}, 2});
    check_logits((struct golden){"vgg13", "vgg13", 3, 16, {{60, 80}}, 2});
    check_logits((struct golden){"vgg16", "vgg16", 3, 16, {{60, 80}, {224, 224}, {259, 321}}, 2});
    check_logits((struct golden){"vgg19", "vgg19", 3, 16, {{60, 80}}, 2});
}

Test(sequential, vgg_with_batch_norm_gives_torchvisions_logits)
{
    check_logits((struct golden){"vgg11_bn", "vgg11_bn", 3, 16, {{60, 80}}, 2});
    check_logits((struct golden){"vgg13_bn", "vgg13_bn", 4, 16, {{60, 80}}, 2});
    check_logits((struct golden){"vgg16_bn", "vgg16_bn", 3, 16, {{60, 80}, {224, 224}}, 2});
    check_logits((struct golden){"vgg19_bn", "vgg19_bn", 4, 16, {{60, 80}}, 2});
}

/* ------------------------------------------------------------ the graph */

/* At 60x80 VGG has 1x2 pixels left, so 2 weights a map instead of 49; at 224x224 it has 7x7, beyond that an op is needed. */
Test(sequential, a_mean_of_fewer_pixels_than_cells_is_folded_away)
{
    static const uint32_t sizes[][4] = {{60, 80, 2, 0}, {224, 224, 49, 0}, {256, 192, 48, 0}, {256, 224, 49, 1}};
    struct state_dict *s = sequential_dict("vgg16", 16, 3, CLASSES);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    for (int i = 0; i < 4; i++) {
        struct convert_options options = conversion_options(0, 0);
        options.width = sizes[i][0];
        options.height = sizes[i][1];
        struct bgd_model *model = convert_and_open(&options);
        cr_expect_eq(count_ops(model, BGD_OP_ADAPTIVE_MEAN), sizes[i][3], "%ux%u", sizes[i][0], sizes[i][1]);
        for (uint32_t k = 0; k < model->header->n_tensors; k++)
            if (strcmp(model->tensors[k].name, "classifier.0.weight") == 0)
                cr_expect_eq(model->tensors[k].dims[1], 512 / 16 * sizes[i][2], "%u inputs", model->tensors[k].dims[1]);
        bgd_model_close(model);
    }
}

Test(sequential, sixty_by_eighty_unless_said_otherwise)
{
    struct state_dict *s = sequential_dict("zfnet", 32, 3, 3);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    const struct convert_options options = conversion_options(0, 0);
    struct bgd_model *model = convert_and_open(&options);
    cr_expect(model->meta.input.width == 60 && model->meta.input.height == 80 && model->meta.n_labels == 3);
    cr_expect_eq(count_ops(model, BGD_OP_LRN), 0);
    bgd_model_close(model);
}

/* ------------------------------------------------------------ what is refused */

static void check_refused(const struct convert_options *options, enum bgd_code code, const char *text)
{
    char summary[256];
    struct bgd_err err = {0};
    cr_expect_eq(convert_run(options, summary, &err), code, "\"%s\", expected \"%s\"", err.text, text);
    cr_expect(strstr(err.text, text), "\"%s\", expected \"%s\"", err.text, text);
    cr_expect_neq(unlink(options->target), 0, "%s: there is a file", text);
}

/* Writes and frees it. */
static void check_dict_refused(struct state_dict *s, enum bgd_code code, const char *text)
{
    const struct convert_options options = conversion_options(0, 0);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    check_refused(&options, code, text);
}

/* torchvision's smallest sizes, found by trying. */
Test(sequential, the_smallest_input_is_said)
{
    static const struct {
        const char *name;
        uint32_t smallest;
        const char *narrow, *low;
    } cases[] = {
        {"alexnet", 63, "AlexNet takes an input of 63x63 or more, not 62x63: features.12, a pooling of 3x3, finds 2x3 pixels",
         "not 63x62: features.12, a pooling of 3x3, finds 3x2 pixels"},
        {"zfnet", 47, "ZFNet takes an input of 47x47 or more, not 46x47: features.14, a pooling of 3x3, finds 1x2 pixels",
         "not 47x46: features.14, a pooling of 3x3, finds 2x1 pixels"},
        {"vgg11", 32, "VGG takes an input of 32x32 or more, not 31x32: features.20, a pooling of 2x2, finds 1x2 pixels",
         "not 32x31: features.20, a pooling of 2x2, finds 2x1 pixels"},
        {"vgg19_bn", 32, "VGG takes an input of 32x32 or more, not 31x32: features.52, a pooling of 2x2, finds 1x2 pixels",
         "not 32x31: features.52, a pooling of 2x2, finds 2x1 pixels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct state_dict *s = sequential_dict(cases[i].name, 32, 3, CLASSES);
        state_dict_write(s, "a.safetensors", "", NULL);
        state_dict_free(s);
        struct convert_options options = conversion_options(0, 0);
        options.width = options.height = cases[i].smallest;
        bgd_model_close(convert_and_open(&options));
        unlink(options.target);
        options.width--;
        check_refused(&options, BGD_ARGUMENT, cases[i].narrow);
        options.width++;
        options.height--;
        check_refused(&options, BGD_ARGUMENT, cases[i].low);
        options.width = options.height = 1;
        check_refused(&options, BGD_ARGUMENT, "not 1x1: features.");
    }
}

Test(sequential, alexnet_does_not_fit_60x80)
{
    check_dict_refused(
        sequential_dict("alexnet", 32, 3, CLASSES), BGD_ARGUMENT,
        "a.safetensors: AlexNet takes an input of 63x63 or more, not 60x80: features.12, a pooling of 3x3, finds "
        "2x4 pixels");
}

Test(sequential, every_missing_tensor_is_named)
{
    static const char *const names[] = {"alexnet", "zfnet", "vgg11", "vgg16_bn"};
    struct convert_options options = conversion_options(0, 0);
    options.width = options.height = 64;
    for (int i = 0; i < 4; i++) {
        struct state_dict *s = sequential_dict(names[i], 32, 3, CLASSES);
        for (uint32_t k = 0; k < s->n; k++) {
            const struct entry *e = &s->entries[k];
            char expected[96];
            state_dict_write(s, options.source, "", e);
            if (e->counter) {
                bgd_model_close(convert_and_open(&options));
                unlink(options.target);
                continue;
            }
            /* What a network is told by is missed before it is known to be that network. */
            bool told = i < 2 && strstr(e->name, "features.") && ends_with(e->name, ".weight") && k <= 2;
            told |= i >= 2 && (k == 0 || strcmp(e->name, "classifier.0.weight") == 0);
            told |= strcmp(e->name, "classifier.6.weight") == 0;
            snprintf(expected, sizeof expected, told ? "no %s" : "a.safetensors: tensor %s is missing", e->name);
            check_refused(&options, told ? BGD_UNSUPPORTED : BGD_DAMAGED, expected);
        }
        state_dict_free(s);
    }
}

Test(sequential, every_tensor_of_another_shape_is_named)
{
    struct convert_options options = conversion_options(0, 0);
    options.width = options.height = 64;
    static const char *const names[] = {"alexnet", "zfnet", "vgg13_bn"};
    for (int i = 0; i < 3; i++) {
        struct state_dict *s = sequential_dict(names[i], 32, 3, CLASSES);
        for (uint32_t k = 0; k < s->n; k++) {
            struct entry *e = &s->entries[k], kept = *e;
            for (uint32_t d = 0; d < kept.ndim; d++) {
                if (k == 0 && d == 1)
                    continue; /* 4 input channels are right, too */
                e->dims[d]++;
                e->data = calloc(entry_count(e), sizeof *e->data);
                state_dict_write(s, options.source, "", NULL);
                /* A layer with another number of outputs is at odds with its bias, its norm or what follows it. */
                char summary[256];
                struct bgd_err err = {0};
                cr_expect_lt(convert_run(&options, summary, &err), 0, "%s, dimension %u", kept.name, d);
                cr_expect(strstr(err.text, d == 0 && kept.ndim > 1 ? "tensor " : kept.name), "%s: %s", kept.name, err.text);
                free(e->data);
                *e = kept;
            }
        }
        state_dict_free(s);
    }
}

Test(sequential, every_tensor_too_many_is_named)
{
    static const char *const extra[] = {"features.1.weight", "features.15.weight", "classifier.7.weight", "fc.weight"};
    for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
        struct state_dict *s = sequential_dict("zfnet", 32, 3, CLASSES);
        strcpy(state_dict_add(s, "x", "y", 1, 3, 0, 0, 0)->name, extra[i]);
        char text[128];
        snprintf(text, sizeof text, "a.safetensors: 1 tensors that the network does not read: %s", extra[i]);
        check_dict_refused(s, BGD_UNSUPPORTED, text);
    }
}

Test(sequential, layouts_that_torchvision_does_not_have_are_refused)
{
    static const uint32_t nine[] = {1, 1, 2, 2, 1}, none[] = {2, 2, 0, 3, 3};
    check_dict_refused(sequential_dict_vgg(nine, false, 32, 3, CLASSES), BGD_UNSUPPORTED,
                       "a VGG with 1, 1, 2, 2, 1 convolutions before its poolings is none of 11, 13, 16, 19");
    check_dict_refused(sequential_dict_vgg(nine, true, 32, 3, CLASSES), BGD_UNSUPPORTED, "a VGG with 1, 1, 2, 2, 1 ");
    check_dict_refused(sequential_dict_vgg(none, false, 32, 3, CLASSES), BGD_UNSUPPORTED, "a VGG with 2, 2, 0, ");
    check_dict_refused(sequential_dict("vgg11", 32, 5, CLASSES), BGD_UNSUPPORTED,
                       "tensor features.0.weight takes 5 channels, expected 3 or 4");
    struct state_dict *s = sequential_dict("alexnet", 32, 3, CLASSES);
    struct entry *third = state_dict_find(s, "features.6.weight");
    third->dims[2] = third->dims[3] = 1;
    check_dict_refused(s, BGD_UNSUPPORTED,
                       "tensor features.6.weight has 6 input channels and a 1x1 kernel, expected 6 and 3x3");
}

Test(sequential, lrn_is_zfnets_alone)
{
    static const char *const names[] = {"VGG", "AlexNet", "ResNet"};
    struct state_dict *dicts[] = {sequential_dict("vgg16", 32, 3, CLASSES), sequential_dict("alexnet", 32, 3, CLASSES),
                                  state_dict_resnet(18, 4, 3, CLASSES)};
    for (int i = 0; i < 3; i++) {
        struct convert_options options = conversion_options(0, 0);
        char text[96];
        options.lrn = true;
        state_dict_write(dicts[i], options.source, "", NULL);
        state_dict_free(dicts[i]);
        snprintf(text, sizeof text, "local response normalisation is ZFNet's, this is %s", names[i]);
        check_refused(&options, BGD_ARGUMENT, text);
    }
}

/* ------------------------------------------------------------ what is no network of ours */

struct key {
    const char *prefix;
    uint32_t ndim, dims[4];
};

/* A checkpoint of a few weights that another network has; the refusal ends with `text`. */
static void check_unknown(const struct key *keys, size_t n, const char *text)
{
    struct state_dict *s = calloc(1, sizeof *s);
    for (size_t i = 0; i < n; i++)
        state_dict_add(s, keys[i].prefix, "weight", keys[i].ndim, keys[i].dims[0], keys[i].dims[1], keys[i].dims[2],
                       keys[i].dims[3]);
    char whole[1024];
    snprintf(whole, sizeof whole, "a.safetensors: no network that is known. %s", text);
    check_dict_refused(s, BGD_UNSUPPORTED, whole);
}

Test(sequential, what_is_unknown_is_told_what_each_family_lacks)
{
    static const struct key mobilenet[] = {
        {"features.0.0", 4, {32, 3, 3, 3}}, {"features.0.1", 1, {32}}, {"classifier.1", 2, {6, 128}}};
    check_unknown(mobilenet, 3,
                  "ResNet: no conv1.weight; VGG: no features.0.weight; AlexNet: no features.0.weight; ZFNet: no "
                  "features.0.weight; TRACER: no model._conv_stem.weight or encoder._conv_stem.weight; the first of its 3 "
                  "tensors is features.0.0.weight");
    static const struct key densenet[] = {{"features.conv0", 4, {64, 3, 7, 7}}, {"classifier", 2, {6, 102}}};
    check_unknown(densenet, 2, "ResNet: no conv1.weight; VGG: no features.0.weight; ");
    static const struct key squeezenet[] = {{"features.0", 4, {96, 3, 7, 7}}, {"classifier.1", 4, {6, 512, 1, 1}}};
    check_unknown(squeezenet, 2,
                  "ResNet: no conv1.weight; VGG: features.0.weight has a 7x7 kernel, expected 3x3; AlexNet: "
                  "features.0.weight has a 7x7 kernel, expected 11x11; ZFNet: no features.4.weight; TRACER: ");
    static const struct key odd[] = {
        {"conv1", 4, {8, 3, 7, 7}}, {"features.0", 4, {8, 3, 3, 3}}, {"classifier.0", 4, {6, 5, 1, 1}}};
    check_unknown(odd, 3,
                  "ResNet: no bn1.running_mean; VGG: classifier.0.weight has 4 dimensions, expected a linear layer's 2; "
                  "AlexNet: features.0.weight has a 3x3 kernel, expected 11x11; ");
    static const struct key linear[] = {{"features.0", 2, {8, 27}}};
    check_unknown(linear, 1, "ResNet: no conv1.weight; VGG: features.0.weight has 2 dimensions, expected a convolution's 4; ");
}

Test(sequential, an_optimizer_is_no_network)
{
    struct convert_options options = conversion_options(0, 0);
    options.source = BGDET_SOURCE_DIR "/tests/fixtures/optimizer.pth";
    check_refused(&options, BGD_UNSUPPORTED, "optimizer.pth: ");
}
