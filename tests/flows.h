/* Runs of the flow over pictures: a model, a folder for them, names of good and damaged files. */
#ifndef BGD_TESTS_FLOWS_H
#define BGD_TESTS_FLOWS_H

#include "run/flow.h"
#include "pipeline.h"
#include "run/results.h"

#include "network.h"
#include "pipelines.h"
#include "scratch.h"

#include <dirent.h>

#define CARDS BGDET_SOURCE_DIR "/samples/cards"
#define PICTURES BGDET_SOURCE_DIR "/tests/fixtures/pictures"

struct bench {
    char *folder;
    uint8_t *bytes;
    struct bgd_model *model;
};

static inline struct bench bench_open(void)
{
    struct bench b = {.folder = scratch_enter()};
    struct bgd_err err = {0};
    size_t size;
    b.bytes = network_encode(60, 80, 7, &size);
    cr_assert_eq(model_parse(b.bytes, size, &b.model, &err), 0, "%s", err.text);
    return b;
}

static inline void bench_close(struct bench *b)
{
    bgd_model_close(b->model);
    free(b->bytes);
    scratch_leave(b->folder);
}

/* Names of the files in `folder` that decode, into `names`. */
static inline size_t good_files(const char *folder, char names[][512], size_t n, size_t most)
{
    DIR *dir = opendir(folder);
    cr_assert(dir, "%s", folder);
    struct dirent *entry;
    while (n < most && (entry = readdir(dir))) {
        struct bgd_image image = {0};
        struct bgd_err err;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(names[n], 512, "%s/%s", folder, entry->d_name);
        size_t size;
        char *bytes = scratch_read(names[n], &size);
        if (bgd_image_decode(bytes, size, 0, 0, &image, &err) == 0)
            n++;
        bgd_image_free(&image);
        free(bytes);
    }
    closedir(dir);
    return n;
}

/* Damages a copy of `source`: cut to a third, or its middle overwritten, or not there at all. */
static inline void write_damaged(const char *source, const char *target, size_t kind)
{
    size_t size;
    char *bytes = scratch_read(source, &size);
    if (kind % 3 == 0)
        scratch_write(target, bytes, size / 3);
    if (kind % 3 == 1) {
        memset(bytes, 0x5a, size < 64 ? size : 64);
        scratch_write(target, bytes, size);
    }
    free(bytes);
}

static inline size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* A run; `sink` gets its rows. */
struct trial {
    struct catalogue_options names; /* "list" without a manifest or paths */
    struct flow_options flow;       /* without the engine */
    uint32_t batch;
    flow_sink sink;
    void *user;
    struct flow_report report;
    struct bgd_err err;
};

static inline int trial_run(struct trial *t, const struct bench *b)
{
    struct bgd_engine *engine;
    struct catalogue *catalogue;
    const struct bgd_pipeline pipeline = {.classifier = b->model, .threshold = PIPELINE_SOFT};
    const struct bgd_engine_options options = {.batch = t->batch, .lanes = t->flow.threads ? t->flow.threads : 1};
    struct catalogue_options names = t->names;
    struct flow_options flow = t->flow;
    if (!names.manifest && !names.n_paths)
        names.list = "list";
    names.separator = '\n';
    names.wake = flow.wake;
    cr_assert_eq(bgd_engine_open(&pipeline, &options, &engine, &t->err), 0, "%s", t->err.text);
    cr_assert_eq(catalogue_open(&names, &catalogue, &t->err), 0, "%s", t->err.text);
    flow.engine = engine;
    int code = flow_run(&flow, catalogue, t->sink, t->user, &t->report, &t->err);
    catalogue_close(catalogue);
    bgd_engine_close(engine);
    return code;
}

/* Rows in short, each "ID CODE" and " source" if it stands for a shard, with '|' behind it. */
struct brief {
    uint64_t n;
    char text[4096];
};

static inline int brief_add(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct brief *brief = user;
    size_t used = strlen(brief->text);
    (void)err;
    brief->n++;
    snprintf(brief->text + used, sizeof brief->text - used, "%s %s%s|", row->id, bgd_code_name(row->code),
             row->source ? " source" : "");
    return 0;
}

/* Some picture of the samples: `i` tells one from another. */
static inline char *picture_bytes(size_t i, size_t *size)
{
    static char names[64][512];
    static size_t n;
    if (n == 0)
        n = good_files(CARDS, names, 0, 64);
    cr_assert_gt(n, 20);
    return scratch_read(names[i % n], size);
}

static inline void write_picture(const char *name, size_t i)
{
    size_t size;
    char *bytes = picture_bytes(i, &size);
    scratch_write(name, bytes, size);
    free(bytes);
}

#endif
