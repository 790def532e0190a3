/*
 * The whole way of a TRACER: checkpoint -> convert -> model file -> backends, against the official code's masks
 * (../shared/fixtures/tracer-te0, fixtures/tracer.py), and what the converter refuses.
 */
#include "conversions.h"
#include "convert/convert.h"
#include "convert/tracer.h"
#include "nets.h"
#include "tracer_dict.h"

#define SHARED BGDET_SOURCE_DIR "/../shared/fixtures/"

static const struct tracer_spec slim = {.arch = 0, .encoder = "model", .edges = true, .slim = true};

TestSuite(tracer, .init = conversion_enter, .fini = conversion_leave);

/* ------------------------------------------------------------ masks */

static float *run_masks(const struct backend *backend, const struct bgd_model *model, uint32_t batch, uint32_t n,
                        const float *pictures)
{
    float *input = (float *)(uintptr_t)pictures, *output;
    cr_assert_eq(model->header->n_outputs, 1);
    net_run(backend, model, batch, n, &input, &output);
    return output;
}

/* The largest difference between every `step`-th of n values and the samples; NAN if one is NAN. */
static double largest_difference(const float *values, size_t n, size_t step, const float *samples)
{
    double worst = 0;
    for (size_t i = 0; i < n; i += step) {
        double d = fabs((double)values[i] - (double)samples[i / step]);
        worst = d > worst || isnan(d) ? d : worst;
    }
    return worst;
}

/* A mask of one value would hide every error. */
static void check_lively(const float *samples, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)samples[i];
        squares += (double)samples[i] * (double)samples[i];
    }
    double mean = sum / (double)n;
    cr_assert_geq(sqrt(squares / (double)n - mean * mean), 0.01);
}

static void check_kind(const struct bgd_model *model, int arch, uint32_t width, uint32_t height)
{
    char name[16];
    snprintf(name, sizeof name, "tracer-te%d", arch);
    cr_expect_str_eq(model->meta.arch, name);
    cr_expect_eq(model->meta.kind, META_SEGMENTER);
    struct shape mask = model_shape(model, model->header->outputs[0]);
    cr_expect(mask.c == 1 && mask.h == height && mask.w == width, "the mask is (%u, %u, %u)", mask.c, mask.h, mask.w);
}

/*
 * The golden masks are double; the bounds on P(object) are 2e-4 and 1e-5. Measured for TE0, 1, 3 and B7: onednn 5e-6, 8e-6,
 * 4e-5 and 1e-5, as PyTorch's own float32, which is off by 3e-6, 1e-5, 5e-5 and 1e-5; ref, which rounds once a value, 2e-6 at
 * most. TE3 is steep: the same sums of its high-pass in other orders make it 4e-5 to 1.4e-4.
 */
static void check_against_official(struct tracer_spec spec)
{
    struct state_dict *s = tracer_dict(spec);
    float *golden = malloc(TRACER_SAMPLES * sizeof *golden);
    tracer_read_golden(spec.arch, s, golden);
    check_lively(golden, TRACER_SAMPLES);
    if (strcmp(spec.encoder, "encoder") == 0) { /* as in carvekit's file: an edge module that its network does not run */
        tracer_add_union(s, "encoder.Frequency_Edge_Module1", 48, false);
        tracer_add_map(s, "encoder.Frequency_Edge_Module1", "conv", 48, 48);
    }
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    struct bgd_model *model = convert_and_open(&options);
    check_kind(model, spec.arch, TRACER_WIDTH, TRACER_HEIGHT);

    float *pictures = tracer_pictures();
    size_t size = (size_t)TRACER_WIDTH * TRACER_HEIGHT;
    float *onednn = run_masks(&backend_onednn, model, 3, TRACER_PICTURES, pictures);
    double worst = largest_difference(onednn, TRACER_PICTURES * size, TRACER_STEP, golden);
    cr_expect(worst <= 2e-4, "onednn is off by %g", worst);
    float *ref = run_masks(&backend_ref, model, 1, 1, pictures); /* one picture: it takes seconds */
    worst = largest_difference(ref, size, TRACER_STEP, golden);
    cr_expect(worst <= 1e-5, "ref is off by %g", worst);
    free(ref);
    free(onednn);
    free(pictures);
    free(golden);
    bgd_model_close(model);
}

Test(tracer, te0_gives_the_official_masks)
{
    check_against_official((struct tracer_spec){.arch = 0, .encoder = "model", .edges = true});
}

/* A nominal size of 240: feature maps with odd sides, so other pads. */
Test(tracer, te1_gives_the_official_masks)
{
    check_against_official((struct tracer_spec){.arch = 1, .encoder = "model", .edges = true});
}

Test(tracer, te3_gives_the_official_masks)
{
    check_against_official((struct tracer_spec){.arch = 3, .encoder = "model", .edges = true});
}

Test(tracer, carvekits_b7_gives_its_masks)
{
    check_against_official((struct tracer_spec){.arch = 7, .encoder = "encoder"});
}

/* A stored member of a .npz, found by its name: `count` floats, borrowed from the file's bytes, maybe unaligned. */
static const char *find_array(const char *bytes, size_t size, const char *name, const char *shape, size_t count)
{
    const char *end = bytes + size, *at = memmem(bytes, size, name, strlen(name));
    at = at ? memmem(at, (size_t)(end - at), "\x93NUMPY\1\0", 8) : NULL;
    cr_assert(at && end - at > 10, "no %s", name);
    uint16_t length;
    memcpy(&length, at + 8, sizeof length);
    cr_assert_leq((size_t)length + 10 + count * sizeof(float), (size_t)(end - at), "%s ends early", name);
    cr_assert(memmem(at, length, "'descr': '<f4', 'fortran_order': False", 38) && memmem(at, length, shape, strlen(shape)),
              "%s is %.*s", name, (int)length, at + 10);
    return at + 10 + length;
}

/* Two photos at 320x320 through the official TE0, in float32. Measured: onednn 4.2e-5, ref 3.8e-6. */
Test(tracer, the_shared_fixture_gives_its_masks)
{
    if (access(SHARED "tracer-te0.pth", R_OK) || access(SHARED "tracer-te0.npz", R_OK))
        cr_skip_test("there is no ../shared/fixtures/tracer-te0.pth with its .npz");
    struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    options.source = SHARED "tracer-te0.pth";
    options.width = options.height = 0; /* the paper's table: 320 */
    struct bgd_model *model = convert_and_open(&options);
    check_kind(model, 0, 320, 320);
    size_t bytes_size, n = 2 * 320 * 320;
    char *bytes = scratch_read(SHARED "tracer-te0.npz", &bytes_size);
    float *x = malloc(3 * n * sizeof *x), *final = malloc(n * sizeof *final);
    memcpy(x, find_array(bytes, bytes_size, "x.npy", "'shape': (2, 3, 320, 320)", 3 * n), 3 * n * sizeof *x);
    memcpy(final, find_array(bytes, bytes_size, "final.npy", "'shape': (2, 1, 320, 320)", n), n * sizeof *final);
    check_lively(final, n);
    float *onednn = run_masks(&backend_onednn, model, 2, 2, x);
    double worst = largest_difference(onednn, n, 1, final);
    cr_expect(worst <= 2e-4, "onednn is off by %g", worst);
#ifndef __SANITIZE_ADDRESS__ /* then the reference takes a minute a picture, else 9 s */
    float *ref = run_masks(&backend_ref, model, 1, 1, x);
    worst = largest_difference(ref, n / 2, 1, final);
    cr_expect(worst <= 1e-5, "ref is off by %g", worst);
    free(ref);
#endif
    free(onednn);
    free(final);
    free(x);
    free(bytes);
    bgd_model_close(model);
}

/* ------------------------------------------------------------ the arch */

Test(tracer, every_arch_is_found_from_shapes_alone)
{
    static const uint32_t sides[] = {320, 320, 352, 384, 448, 512, 576, 640};
    for (int arch = 0; arch < 8; arch++) {
        const struct tracer_spec spec = {.arch = arch, .encoder = arch % 2 ? "encoder" : "model", .edges = true, .slim = true};
        struct state_dict *s = tracer_dict(spec);
        state_dict_write(s, "a.safetensors", "", NULL);
        state_dict_free(s);
        struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
        options.width = options.height = arch == 7 ? 0 : 32;
        struct bgd_model *model = convert_and_open(&options);
        check_kind(model, arch, arch == 7 ? 640 : 32, arch == 7 ? 640 : 32);
        bgd_model_close(model);
        cr_expect_eq(tracer_side(arch), sides[arch]);
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

/* Some keys tell the family or the arch: without them it is another network, which there is none of. The norm that the edge
 * module has for training alone may be absent. */
Test(tracer, every_missing_tensor_is_named)
{
    static const char *const family[] = {"model._conv_stem.weight", "rfb2.conv_cat.conv.weight", "agg.UAM.channel_q.weight",
                                         "ObjectAttention1.conv1.conv.weight"};
    static const char *const features[] = {"2._project_conv.weight", "4._project_conv.weight", "10._project_conv.weight",
                                           "15._project_conv.weight"};
    const struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    struct state_dict *s = tracer_dict(slim);
    cr_assert_eq(s->n, 893); /* of the official TE0 */
    for (uint32_t i = 0; i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        const char *text = e->name, *block = strstr(e->name, "_blocks.");
        char lacks[160];
        snprintf(lacks, sizeof lacks, "; TRACER: no %s", e->name);
        if (e->counter || strncmp(e->name, "model.Frequency_Edge_Module1.UAM.bn.", 36) == 0)
            continue;
        for (int k = 0; k < 4; k++) {
            if (strcmp(e->name, family[k]) == 0)
                text = lacks;
            if (block && strcmp(block + 8, features[k]) == 0)
                text = "the encoder's blocks are those of no EfficientNet";
        }
        state_dict_write(s, "a.safetensors", "", e);
        check_refused(&options, text, e->name);
    }
    state_dict_free(s);
}

Test(tracer, every_tensor_of_another_shape_is_named)
{
    const struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    struct state_dict *s = tracer_dict(slim);
    for (uint32_t i = 0; i < s->n; i++) {
        struct entry *e = &s->entries[i], kept = *e;
        if (e->counter || strncmp(e->name, "model.Frequency_Edge_Module1.UAM.bn.", 36) == 0)
            continue;
        uint32_t d = e->ndim == 4 ? 1 + i % 3 : 0;
        e->dims[d]++;
        e->data = calloc(entry_count(e), sizeof *e->data);
        state_dict_write(s, "a.safetensors", "", NULL);
        /* A norm before a 1x1 convolution has that one's input channels, one by itself those of its variance: then its
         * weight is what does not fit. */
        const char *text = strcmp(e->name, "agg.UAM.bn.running_var") == 0 ? "tensor agg.UAM.bn.weight" : e->name;
        if (d == 1 && strstr(e->name, "UAM.channel_"))
            text = "UAM.norm.0.weight has 1 dimensions";
        check_refused(&options, text, kept.name);
        free(e->data);
        *e = kept;
    }
    state_dict_free(s);
}

Test(tracer, every_tensor_too_many_is_named)
{
    static const char *const extra[] = {"model._fc.weight",
                                        "model._blocks.0._expand_conv.weight",
                                        "model._blocks.3._bn3.weight",
                                        "model.Frequency_Edge_Module2.conv.conv.weight",
                                        "model.Frequency_Edge_Module1.conv.bn2.weight",
                                        "encoder.Frequency_Edge_Module1.conv.bn.bias",
                                        "rfb1.conv_cat.conv.weight",
                                        "agg.UAM.spatial_fc.weight",
                                        "ema"};
    const struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
        struct state_dict *s = tracer_dict(slim);
        strcpy(tracer_add(s, "x", "y", 1, 3, 0, 0, 0)->name, extra[i]);
        state_dict_write(s, "a.safetensors", "", NULL);
        char text[128];
        snprintf(text, sizeof text, "a.safetensors: 1 tensors that the network does not read: %s", extra[i]);
        check_refused(&options, text, extra[i]);
        state_dict_free(s);
    }
}

Test(tracer, blocks_of_no_efficientnet_are_refused)
{
    const struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    struct state_dict *s = tracer_dict(slim);
    struct entry *last = state_dict_find(s, "model._blocks.15._project_conv.weight");
    strcpy(last->name, "model._blocks.16._project_conv.weight"); /* one block too many */
    state_dict_write(s, "a.safetensors", "", NULL);
    check_refused(&options, "the encoder's blocks are those of no EfficientNet-B0 to B7", "a gap");
    strcpy(last->name, "model._blocks.15._project_conv.weight");
    strcpy(tracer_add(s, "x", "y", 4, 320, 3, 1, 1)->name, "model._blocks.16._project_conv.weight");
    state_dict_write(s, "a.safetensors", "", NULL);
    check_refused(&options, "the encoder's blocks are those of no EfficientNet-B0 to B7", "17 blocks");
    state_dict_free(s);
    s = tracer_dict(slim);
    state_dict_find(s, "model._blocks.10._project_conv.weight")->dims[0] = 104;
    state_dict_write(s, "a.safetensors", "", NULL);
    check_refused(&options, "the encoder's blocks are those of no EfficientNet-B0 to B7", "104 channels");
    state_dict_free(s);
}

Test(tracer, options_that_do_not_fit_are_refused)
{
    static const struct {
        uint32_t width, height;
        const char *labels;
        bool lrn;
        const char *text;
    } cases[] = {
        {80, 96, NULL, false, "an input of 80x96, TRACER takes multiples of 32"},
        {64, 97, NULL, false, "an input of 64x97, TRACER takes multiples of 32"},
        {1, 1, NULL, false, "an input of 1x1"},
        {64, 70016, NULL, false, "(3, 70016, 64)"},
        {64, 96, "object", false, "labels are a classifier's"},
        {64, 96, NULL, true, "local response normalisation is ZFNet's, this is a TRACER"},
    };
    struct state_dict *s = tracer_dict(slim);
    state_dict_write(s, "a.safetensors", "", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
        options.width = cases[i].width;
        options.height = cases[i].height;
        options.labels = cases[i].labels;
        options.lrn = cases[i].lrn;
        check_refused(&options, cases[i].text, cases[i].text);
    }
    state_dict_free(s);
}

static void check_same_tensors(const struct bgd_model *a, const struct bgd_model *b)
{
    cr_assert_eq(a->header->n_tensors, b->header->n_tensors);
    for (uint32_t i = 0; i < a->header->n_tensors; i++) {
        const struct bgd_format_tensor *x = &a->tensors[i], *y = &b->tensors[i];
        cr_expect_str_eq(x->name, y->name);
        cr_expect(memcmp(a->bytes + x->offset, b->bytes + y->offset, (size_t)x->bytes) == 0, "%s", x->name);
    }
}

Test(tracer, the_prefix_of_data_parallel_changes_nothing)
{
    struct state_dict *s = tracer_dict(slim);
    struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    state_dict_write(s, "a.safetensors", "", NULL);
    struct bgd_model *plain = convert_and_open(&options);
    state_dict_write(s, "b.safetensors", "module.", NULL);
    options.source = "b.safetensors";
    options.target = "b.bgd";
    struct bgd_model *prefixed = convert_and_open(&options);
    check_same_tensors(plain, prefixed);
    bgd_model_close(plain);
    bgd_model_close(prefixed);
    state_dict_free(s);
}

/* Only its own edge module may be left out of carvekit's file: what the network reads is what is left without it. */
Test(tracer, the_edge_module_of_carvekits_file_changes_nothing)
{
    struct tracer_spec spec = {.arch = 7, .encoder = "encoder", .slim = true};
    struct convert_options options = conversion_options(TRACER_WIDTH, TRACER_HEIGHT);
    struct state_dict *s = tracer_dict(spec);
    state_dict_write(s, "a.safetensors", "", NULL);
    state_dict_free(s);
    struct bgd_model *without = convert_and_open(&options);
    spec.edges = true;
    s = tracer_dict(spec);
    state_dict_write(s, "b.safetensors", "", NULL);
    state_dict_free(s);
    options.source = "b.safetensors";
    options.target = "b.bgd";
    struct bgd_model *with = convert_and_open(&options);
    check_same_tensors(without, with);
    bgd_model_close(without);
    bgd_model_close(with);
}
