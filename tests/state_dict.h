/* State dicts of torchvision's ResNets, made in memory in their order, changed at will, and written as .safetensors. */
#ifndef BGD_TESTS_STATE_DICT_H
#define BGD_TESTS_STATE_DICT_H

#include "random.h"
#include "scratch.h"

#include <math.h>
#include <stdbool.h>

struct entry {
    char name[64];
    bool counter; /* num_batches_tracked: an int64 scalar */
    uint32_t ndim, dims[4];
    float *data;
};

struct state_dict {
    struct entry entries[2000];
    uint32_t n;
};

static inline size_t entry_count(const struct entry *e)
{
    size_t count = 1;
    for (uint32_t i = 0; i < e->ndim; i++)
        count *= e->dims[i];
    return count;
}

static inline bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

/* Adds a tensor with the values that fixtures/resnet.py gives it; running statistics are 0 and 1. */
static inline struct entry *state_dict_add(struct state_dict *s, const char *prefix, const char *suffix, uint32_t ndim,
                                           uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    struct entry *e = &s->entries[s->n];
    uint64_t seed = 100 + s->n++;
    *e = (struct entry){.ndim = ndim, .dims = {a, b, c, d}};
    snprintf(e->name, sizeof e->name, "%s.%s", prefix, suffix);
    size_t count = entry_count(e);
    e->data = malloc(count * sizeof *e->data);
    if (ends_with(e->name, "running_mean") || ends_with(e->name, "running_var"))
        for (size_t i = 0; i < count; i++)
            e->data[i] = ends_with(e->name, "running_var") ? 1 : 0;
    else if (ndim == 4)
        random_fill(e->data, count, seed, (float)sqrt(6.0 / (b * c * d)), 0);
    else if (ndim == 2)
        random_fill(e->data, count, seed, (float)sqrt(3.0 / b), 0);
    else if (strcmp(suffix, "weight") == 0)
        random_fill(e->data, count, seed, 0.25f, 1);
    else
        random_fill(e->data, count, seed, 0.125f, 0);
    return e;
}

static inline void state_dict_add_conv_bn(struct state_dict *s, const char *prefix, const char *conv, const char *bn,
                                          uint32_t out, uint32_t in, uint32_t kernel)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", prefix, conv);
    state_dict_add(s, name, "weight", 4, out, in, kernel, kernel);
    snprintf(name, sizeof name, "%s%s", prefix, bn);
    static const char *const suffixes[] = {"weight", "bias", "running_mean", "running_var"};
    for (int i = 0; i < 4; i++)
        state_dict_add(s, name, suffixes[i], 1, out, 0, 0, 0);
    state_dict_add(s, name, "num_batches_tracked", 0, 0, 0, 0, 0)->counter = true;
}

/* torchvision's resnetDEPTH of `width` channels in its first layer (64 in the real one). */
static inline struct state_dict *state_dict_resnet(int depth, uint32_t width, uint32_t channels, uint32_t classes)
{
    static const struct {
        int depth;
        uint32_t blocks[4];
    } nets[] = {{18, {2, 2, 2, 2}}, {34, {3, 4, 6, 3}}, {50, {3, 4, 6, 3}}, {101, {3, 4, 23, 3}}, {152, {3, 8, 36, 3}}};
    const uint32_t *blocks = nets[0].blocks;
    for (size_t i = 0; i < 5; i++)
        if (nets[i].depth == depth)
            blocks = nets[i].blocks;
    bool bottleneck = depth >= 50;
    struct state_dict *s = calloc(1, sizeof *s);
    state_dict_add_conv_bn(s, "", "conv1", "bn1", width, channels, 7);
    uint32_t in = width;
    for (uint32_t layer = 0; layer < 4; layer++)
        for (uint32_t i = 0; i < blocks[layer]; i++) {
            uint32_t planes = width << layer, out = bottleneck ? planes * 4 : planes;
            char prefix[32];
            snprintf(prefix, sizeof prefix, "layer%u.%u.", layer + 1, i);
            state_dict_add_conv_bn(s, prefix, "conv1", "bn1", planes, in, bottleneck ? 1 : 3);
            state_dict_add_conv_bn(s, prefix, "conv2", "bn2", planes, planes, 3);
            if (bottleneck)
                state_dict_add_conv_bn(s, prefix, "conv3", "bn3", out, planes, 1);
            struct entry *gamma = &s->entries[s->n - 5]; /* of the block's last batch-norm */
            random_fill(gamma->data, entry_count(gamma), 100 + s->n - 5, 0.25f, 0.5f);
            if (i == 0 && (layer > 0 || in != out))
                state_dict_add_conv_bn(s, prefix, "downsample.0", "downsample.1", out, in, 1);
            in = out;
        }
    state_dict_add(s, "fc", "weight", 2, classes, in, 0, 0);
    state_dict_add(s, "fc", "bias", 1, classes, 0, 0, 0);
    return s;
}

static inline void state_dict_free(struct state_dict *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        free(s->entries[i].data);
    free(s);
}

static inline struct entry *state_dict_find(struct state_dict *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (strcmp(s->entries[i].name, name) == 0)
            return &s->entries[i];
    cr_assert(false, "no tensor %s", name);
    return NULL;
}

/* Writes all but `skip` (or NULL), each name behind `prefix`. */
static inline void state_dict_write(const struct state_dict *s, const char *path, const char *prefix, const struct entry *skip)
{
    char *json = malloc(s->n * 200 + 100), *at = json;
    size_t offset = 0;
    at += sprintf(at, "{");
    for (const struct entry *e = s->entries; e < s->entries + s->n; e++) {
        if (e == skip)
            continue;
        size_t bytes = e->counter ? 8 : entry_count(e) * 4;
        at += sprintf(at, "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[", at == json + 1 ? "" : ",", prefix, e->name,
                      e->counter ? "I64" : "F32");
        for (uint32_t i = 0; i < e->ndim; i++)
            at += sprintf(at, "%s%u", i ? "," : "", e->dims[i]);
        at += sprintf(at, "],\"data_offsets\":[%zu,%zu]}", offset, offset + bytes);
        offset += bytes;
    }
    at += sprintf(at, "}");
    while ((at - json) % 8)
        *at++ = ' ';
    uint64_t length = (uint64_t)(at - json), zero = 0;
    FILE *file = fopen(path, "wb");
    cr_assert(file, "%s", path);
    cr_assert(fwrite(&length, 8, 1, file) == 1 && fwrite(json, (size_t)length, 1, file) == 1);
    for (const struct entry *e = s->entries; e < s->entries + s->n; e++)
        if (e != skip)
            cr_assert_eq(e->counter ? fwrite(&zero, 8, 1, file) : fwrite(e->data, entry_count(e) * 4, 1, file), 1);
    cr_assert_eq(fclose(file), 0);
    free(json);
}

#endif
