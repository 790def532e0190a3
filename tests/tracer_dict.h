/* State dicts of TRACERs, made in memory with the weights that fixtures/tracer.py documents. */
#ifndef BGD_TESTS_TRACER_DICT_H
#define BGD_TESTS_TRACER_DICT_H

#include "half.h"
#include "state_dict.h"

#define TRACER_WIDTH 64u
#define TRACER_HEIGHT 96u
#define TRACER_PICTURES 2u
#define TRACER_STEP 5u /* of a golden mask every fifth value is kept */
#define TRACER_SAMPLES ((TRACER_PICTURES * TRACER_WIDTH * TRACER_HEIGHT + TRACER_STEP - 1) / TRACER_STEP)

/* EfficientNet-B0 (Tan and Le 2019, table 1), and how B1 to B7 scale it. */
static const uint32_t tracer_kernels[7] = {3, 3, 5, 3, 5, 5, 3}, tracer_repeats[7] = {1, 2, 2, 3, 3, 4, 1},
                      tracer_channels[7] = {16, 24, 40, 80, 112, 192, 320};
static const double tracer_widths[8] = {1, 1, 1.1, 1.2, 1.4, 1.6, 1.8, 2},
                    tracer_depths[8] = {1, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1};

struct tracer_spec {
    int arch;
    const char *encoder; /* "model" or "encoder" */
    bool edges;
    bool slim; /* 1 to 8 channels where the arch does not tell how many: every key, and next to no work */
};

static inline uint64_t tracer_seed(const char *key)
{
    uint32_t seed = 2166136261u;
    for (; *key; key++)
        seed = (seed ^ (unsigned char)*key) * 16777619u;
    return seed;
}

/* Channels times the arch's width, to a multiple of 8 that is at least nine tenths of that. */
static inline uint32_t tracer_scaled(int arch, uint32_t channels)
{
    double exact = channels * tracer_widths[arch];
    uint32_t rounded = (uint32_t)(exact + 4) / 8 * 8;
    return rounded < 0.9 * exact ? rounded + 8 : rounded;
}

static inline struct entry *tracer_add(struct state_dict *s, const char *prefix, const char *name, uint32_t ndim, uint32_t a,
                                       uint32_t b, uint32_t h, uint32_t w)
{
    cr_assert(s->n < sizeof s->entries / sizeof s->entries[0]);
    struct entry *e = &s->entries[s->n++];
    *e = (struct entry){.ndim = ndim, .dims = {a, b, h, w}};
    cr_assert_lt((size_t)snprintf(e->name, sizeof e->name, "%s.%s", prefix, name), sizeof e->name);
    size_t count = entry_count(e);
    uint64_t seed = tracer_seed(e->name);
    e->data = malloc(count * sizeof *e->data);
    if (ndim == 4)
        random_fill(e->data, count, seed, (float)sqrt(3.0 / (b * h * w)), 0);
    else if (ends_with(name, "weight"))
        random_fill(e->data, count, seed, 0.25f, 1);
    else if (ends_with(name, "running_var") || ends_with(name, "running_mean"))
        random_fill(e->data, count, seed, 0.25f, ends_with(name, "running_var"));
    else
        random_fill(e->data, count, seed, 0.125f, 0);
    return e;
}

static inline void tracer_add_conv(struct state_dict *s, const char *prefix, const char *conv, uint32_t out, uint32_t in,
                                   uint32_t h, uint32_t w)
{
    char name[64];
    snprintf(name, sizeof name, "%s.weight", conv);
    tracer_add(s, prefix, name, 4, out, in, h, w);
}

static inline void tracer_add_norm(struct state_dict *s, const char *prefix, const char *norm, uint32_t channels)
{
    static const char *const suffixes[] = {"weight", "bias", "running_mean", "running_var"};
    char name[64];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s.%s", norm, suffixes[i]);
        tracer_add(s, prefix, name, 1, channels, 0, 0, 0);
    }
    snprintf(name, sizeof name, "%s.num_batches_tracked", norm);
    tracer_add(s, prefix, name, 0, 0, 0, 0, 0)->counter = true;
}

static inline void tracer_add_basic(struct state_dict *s, const char *prefix, const char *name, uint32_t out, uint32_t in,
                                    uint32_t h, uint32_t w)
{
    char block[80];
    cr_assert_lt((size_t)snprintf(block, sizeof block, "%s.%s", prefix, name), sizeof block);
    tracer_add_conv(s, block, "conv", out, in, h, w);
    tracer_add_norm(s, block, "bn", out);
}

static inline void tracer_add_union(struct state_dict *s, const char *module, uint32_t c, bool rows)
{
    static const char *const square[] = {"channel_q", "channel_k", "channel_v", "fc"}, *const single[] = {"spatial_q",
                                                                                                          "spatial_k",
                                                                                                          "spatial_v"};
    char uam[80];
    snprintf(uam, sizeof uam, "%s.UAM", module);
    tracer_add_norm(s, uam, "bn", c);
    tracer_add_norm(s, uam, "norm.0", c);
    for (int i = 0; i < 4; i++)
        tracer_add_conv(s, uam, square[i], c, c, 1, 1);
    for (int i = 0; i < 3 && rows; i++)
        tracer_add_conv(s, uam, single[i], 1, c, 1, 1);
}

/* From `in` channels to `c`, to 4 times c / 4, to one. */
static inline void tracer_add_map(struct state_dict *s, const char *module, const char *last, uint32_t in, uint32_t c)
{
    char block[64];
    snprintf(block, sizeof block, "%s.DWSConv", module);
    tracer_add_conv(s, block, "DWConv", in, 1, 3, 3);
    tracer_add_norm(s, block, "bn", in);
    tracer_add_conv(s, block, "PWConv", c, in, 1, 1);
    tracer_add_norm(s, block, "bn2", c);
    for (int i = 1; i <= 4; i++) {
        uint32_t kernel = i == 1 ? 1 : 3;
        snprintf(block, sizeof block, "%s.DWConv%d.0", module, i);
        tracer_add_conv(s, block, "DWConv", c, 1, kernel, kernel);
        tracer_add_norm(s, block, "bn", c);
        snprintf(block, sizeof block, "DWConv%d.1", i);
        tracer_add_basic(s, module, block, c / 4, c, 1, 1);
    }
    tracer_add_basic(s, module, last, 1, c, 1, 1);
}

/* Adds the encoder's blocks; returns the channels of the four features in `features`. */
static inline void tracer_add_blocks(struct state_dict *s, const struct tracer_spec *spec, uint32_t features[4])
{
    static const uint32_t feature_stages[4] = {1, 2, 4, 6};
    uint32_t in = spec->slim ? 4 : tracer_scaled(spec->arch, 32), block = 0, feature = 0;
    for (uint32_t stage = 0; stage < 7; stage++) {
        uint32_t repeats = (uint32_t)ceil(tracer_depths[spec->arch] * tracer_repeats[stage]), kernel = tracer_kernels[stage];
        for (uint32_t i = 0; i < repeats; i++, block++) {
            bool is_feature = i + 1 == repeats && stage == feature_stages[feature];
            uint32_t out = spec->slim && !is_feature ? 8 : tracer_scaled(spec->arch, tracer_channels[stage]);
            uint32_t wide = stage == 0 ? in : spec->slim ? 3 : 6 * in, squeezed = spec->slim ? 1 : in / 4;
            char prefix[64];
            snprintf(prefix, sizeof prefix, "%s._blocks.%u", spec->encoder, block);
            if (stage > 0) {
                tracer_add_conv(s, prefix, "_expand_conv", wide, in, 1, 1);
                tracer_add_norm(s, prefix, "_bn0", wide);
            }
            tracer_add_conv(s, prefix, "_depthwise_conv", wide, 1, kernel, kernel);
            tracer_add_norm(s, prefix, "_bn1", wide);
            tracer_add_conv(s, prefix, "_se_reduce", squeezed, wide, 1, 1);
            tracer_add(s, prefix, "_se_reduce.bias", 1, squeezed, 0, 0, 0);
            tracer_add_conv(s, prefix, "_se_expand", wide, squeezed, 1, 1);
            tracer_add(s, prefix, "_se_expand.bias", 1, wide, 0, 0, 0);
            tracer_add_conv(s, prefix, "_project_conv", out, wide, 1, 1);
            tracer_add_norm(s, prefix, "_bn2", out);
            in = out;
            if (is_feature)
                features[feature++] = out;
        }
    }
}

static inline void tracer_add_field(struct state_dict *s, const char *rfb, uint32_t out, uint32_t in)
{
    tracer_add_basic(s, rfb, "branch0.0", out, in, 1, 1);
    for (uint32_t i = 1; i < 4; i++) {
        char branch[64];
        snprintf(branch, sizeof branch, "%s.branch%u", rfb, i);
        tracer_add_basic(s, branch, "0", out, in, 1, 1);
        tracer_add_basic(s, branch, "1", out, out, 1, 2 * i + 1);
        tracer_add_basic(s, branch, "2", out, out, 2 * i + 1, 1);
        tracer_add_basic(s, branch, "3", out, out, 3, 3);
    }
    tracer_add_basic(s, rfb, "conv_cat", out, 4 * out, 3, 3);
    tracer_add_basic(s, rfb, "conv_res", out, in, 1, 1);
}

static inline struct state_dict *tracer_dict(struct tracer_spec spec)
{
    struct state_dict *s = calloc(1, sizeof *s);
    uint32_t features[4], a = spec.slim ? 2 : 32, b = spec.slim ? 3 : 64, c = spec.slim ? 4 : 128;
    char edges[64];
    tracer_add_conv(s, spec.encoder, "_conv_stem", spec.slim ? 4 : tracer_scaled(spec.arch, 32), 3, 3, 3);
    tracer_add_norm(s, spec.encoder, "_bn0", s->entries[0].dims[0]);
    tracer_add_blocks(s, &spec, features);
    if (spec.edges) {
        snprintf(edges, sizeof edges, "%s.Frequency_Edge_Module1", spec.encoder);
        tracer_add_union(s, edges, features[0], false);
        tracer_add_map(s, edges, "conv", features[0], features[0]);
    }
    tracer_add_field(s, "rfb2", a, features[1]);
    tracer_add_field(s, "rfb3", b, features[2]);
    tracer_add_field(s, "rfb4", c, features[3]);
    tracer_add_basic(s, "agg", "conv_upsample1", b, c, 3, 3);
    tracer_add_basic(s, "agg", "conv_upsample2", a, c, 3, 3);
    tracer_add_basic(s, "agg", "conv_upsample3", a, b, 3, 3);
    tracer_add_basic(s, "agg", "conv_upsample4", c, c, 3, 3);
    tracer_add_basic(s, "agg", "conv_upsample5", b + c, b + c, 3, 3);
    tracer_add_basic(s, "agg", "conv_concat2", b + c, b + c, 3, 3);
    tracer_add_basic(s, "agg", "conv_concat3", a + b + c, a + b + c, 3, 3);
    tracer_add_union(s, "agg", a + b + c, true);
    tracer_add_map(s, "ObjectAttention2", "conv1", features[1], features[1] / 2);
    tracer_add_map(s, "ObjectAttention1", "conv1", features[0], features[0] / 2);
    return s;
}

/* ------------------------------------------------------------ fixtures/tracerN.bin */

static inline int tracer_by_name(const void *a, const void *b)
{
    return strcmp((*(const struct entry *const *)a)->name, (*(const struct entry *const *)b)->name);
}

static inline void tracer_read_halves(const char **at, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++, *at += 2) {
        uint16_t half;
        memcpy(&half, *at, sizeof half);
        out[i] = half_to_float(half);
    }
}

/* Sets the running statistics from the fixture; returns the samples of the masks behind them. */
static inline void tracer_read_golden(int arch, struct state_dict *s, float samples[TRACER_SAMPLES])
{
    const struct entry *means[400];
    char path[512], name[64];
    size_t n = 0, size;
    snprintf(path, sizeof path, "%s/tests/fixtures/tracer%d.bin", BGDET_SOURCE_DIR, arch);
    char *bytes = scratch_read(path, &size);
    const char *at = bytes;
    for (uint32_t i = 0; i < s->n; i++)
        if (ends_with(s->entries[i].name, ".running_mean"))
            means[n++] = &s->entries[i];
    /* The norms' keys in their order: no character of a key is smaller than the '.' before "running_mean". */
    qsort(means, n, sizeof *means, tracer_by_name);
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(means[i]->name) - strlen(".running_mean");
        snprintf(name, sizeof name, "%.*s.running_var", (int)length, means[i]->name);
        struct entry *mean = state_dict_find(s, means[i]->name), *var = state_dict_find(s, name);
        name[length] = 0;
        bool of_block = strstr(name, "_blocks.") && (ends_with(name, "._bn0") || ends_with(name, "._bn1"));
        if (of_block || ends_with(name, ".norm.0")) {
            float shared[2];
            tracer_read_halves(&at, shared, 2);
            random_fill(mean->data, mean->dims[0], tracer_seed(mean->name), sqrtf(shared[1]) * 0.25f, shared[0]);
            random_fill(var->data, var->dims[0], tracer_seed(var->name), 0.25f, 1);
            for (uint32_t k = 0; k < var->dims[0]; k++)
                var->data[k] *= shared[1];
        } else {
            tracer_read_halves(&at, mean->data, mean->dims[0]);
            tracer_read_halves(&at, var->data, var->dims[0]);
        }
    }
    cr_assert_eq((size_t)(at - bytes) + TRACER_SAMPLES * sizeof *samples, size, "%s has another size", path);
    memcpy(samples, at, TRACER_SAMPLES * sizeof *samples);
    free(bytes);
}

/* fixtures/tracer.py's pictures of seed 6. */
static inline float *tracer_pictures(void)
{
    float *pictures = malloc((size_t)TRACER_PICTURES * 3 * TRACER_HEIGHT * TRACER_WIDTH * sizeof *pictures);
    size_t at = 0;
    for (uint32_t k = 0; k < TRACER_PICTURES * 3; k++)
        for (uint32_t i = 0; i < TRACER_HEIGHT; i++)
            for (uint32_t j = 0; j < TRACER_WIDTH; j++, at++)
                pictures[at] = random_at(6, (uint64_t)k * 8 * 12 + i / 8 * 8 + j / 8) + random_at(7, at) * 0.5f;
    return pictures;
}

#endif
