/* What the tests of the checkpoint readers share: fixtures, hostile copies of them, and what must come of those. */
#ifndef TESTS_CHECKPOINTS_H
#define TESTS_CHECKPOINTS_H

#include "bytes.h"
#include "convert/checkpoint.h"
#include "file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE(name) BGDET_SOURCE_DIR "/tests/fixtures/checkpoints/" name

/* A fresh allocation of exactly `size` bytes, so that AddressSanitizer sees the first byte that is read past it. */
static inline uint8_t *copy_of(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    cr_assert(copy);
    memcpy(copy, bytes, size);
    return copy;
}

static inline struct file_buffer read_fixture(const char *path)
{
    struct file_buffer buffer = {0};
    struct bgd_err err = {0};
    cr_assert_eq(file_read(path, 1 << 20, &buffer, &err), 0, "%s: %s", path, err.text);
    return buffer;
}

static inline bool mentions(const struct bgd_err *err, const char *words)
{
    return err->code < 0 && strstr(err->text, words);
}

/* Whether both hold the same tensors, compared as what a converter reads from them. */
static inline bool same_tensors(const struct checkpoint *a, const struct checkpoint *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        const struct checkpoint_tensor *x = &a->tensors[i], *y = checkpoint_find(b, x->name);
        same = y && x->dtype == y->dtype && x->ndim == y->ndim && memcmp(x->dims, y->dims, sizeof x->dims) == 0;
        if (!same)
            break;
        float *left = calloc((size_t)x->numel + 1, sizeof *left), *right = calloc((size_t)y->numel + 1, sizeof *right);
        checkpoint_read(x, left);
        checkpoint_read(y, right);
        same = memcmp(left, right, (size_t)x->numel * sizeof *left) == 0;
        free(left);
        free(right);
    }
    return same;
}

/* Reads every element of every tensor: under AddressSanitizer, proof that all lie in the file. */
static inline void read_everything(const struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->count; i++) {
        const struct checkpoint_tensor *t = &checkpoint->tensors[i];
        float *values = malloc((size_t)(t->numel + 1) * sizeof *values);
        cr_assert(values);
        checkpoint_read(t, values);
        free(values);
        cr_assert_eq(checkpoint_find(checkpoint, t->name), t);
    }
}

static inline struct checkpoint *open_good(const void *bytes, size_t size)
{
    struct checkpoint *checkpoint = NULL;
    struct bgd_err err = {0};
    cr_assert_eq(checkpoint_parse(bytes, size, &checkpoint, &err), 0, "%s", err.text);
    return checkpoint;
}

/* `bytes` must be refused, and the error must say `words`. */
static inline void expect_refused(const void *bytes, size_t size, const char *words)
{
    struct checkpoint *checkpoint = NULL;
    struct bgd_err err = {0};
    uint8_t *copy = copy_of(bytes, size);
    int code = checkpoint_parse(copy, size, &checkpoint, &err);
    cr_expect(code < 0 && code == (int)err.code && !checkpoint, "opened, expected a refusal with \"%s\"", words);
    cr_expect(mentions(&err, words), "refused with \"%s\", expected \"%s\"", err.text, words);
    checkpoint_close(checkpoint);
    free(copy);
}

/* Every shorter file must be refused. */
static inline void expect_every_cut_refused(const uint8_t *bytes, size_t size)
{
    for (size_t cut = 0; cut < size; cut++) {
        struct checkpoint *checkpoint = NULL;
        struct bgd_err err = {0};
        uint8_t *copy = copy_of(bytes, cut);
        cr_expect_lt(checkpoint_parse(copy, cut, &checkpoint, &err), 0, "cut at %zu of %zu", cut, size);
        checkpoint_close(checkpoint);
        free(copy);
    }
}

static inline void write_le(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++, value = i < 8 ? value >> 8 : 0)
        at[i] = (uint8_t)value;
}

/* A legacy file: magic, protocol, system info, then what the caller says. */
struct legacy_parts {
    const char *object; /* pickles, without PROTO and STOP */
    size_t object_size;
    const char *keys;
    size_t keys_size;
    const char *storages; /* as they follow */
    size_t storages_size;
};
#define LEGACY_HEAD                                                                                                            \
    "\200\2\212\nl\374\234F\371 "                                                                                              \
    "j\250P\031.\200\2M\351\3.\200\2}(X\20\0\0\0protocol_versionM\351\3X\15\0\0\0little_endian\210u."

static inline struct file_buffer make_legacy(struct legacy_parts parts)
{
    size_t size = sizeof LEGACY_HEAD - 1 + 6 + parts.object_size + parts.keys_size + parts.storages_size;
    uint8_t *bytes = malloc(size), *at = bytes;
    const struct {
        const char *bytes;
        size_t size;
    } pieces[] = {{LEGACY_HEAD, sizeof LEGACY_HEAD - 1}, {"\200\2", 2}, {parts.object, parts.object_size},    {".\200\2", 3},
                  {parts.keys, parts.keys_size},         {".", 1},      {parts.storages, parts.storages_size}};
    cr_assert(bytes);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        memcpy(at, pieces[i].bytes, pieces[i].size);
        at += pieces[i].size;
    }
    return (struct file_buffer){.data = bytes, .size = size, .capacity = size};
}

#endif
