/* The whole run: every input gets its row, in order, and a row depends on its own file alone. */
#include "flow.h"
#include "pipeline.h"
#include "results.h"

#include "network.h"
#include "pipelines.h"
#include "scratch.h"

#include <dirent.h>
#include <signal.h>
#include <sys/eventfd.h>

#define CARDS BGDET_SOURCE_DIR "/samples/cards"
#define PICTURES BGDET_SOURCE_DIR "/tests/fixtures/pictures"

struct bench {
    char *folder;
    uint8_t *bytes;
    struct bgd_model *model;
};

static struct bench bench_open(void)
{
    struct bench b = {.folder = scratch_enter()};
    struct bgd_err err = {0};
    size_t size;
    b.bytes = network_encode(60, 80, 7, &size);
    cr_assert_eq(model_parse(b.bytes, size, &b.model, &err), 0, "%s", err.text);
    return b;
}

static void bench_close(struct bench *b)
{
    bgd_model_close(b->model);
    free(b->bytes);
    scratch_leave(b->folder);
}

struct settings {
    uint32_t batch, threads;
    bool exact;
    const char *device;
};

static int run_into(const struct bench *b, const char *list, struct settings s, flow_sink sink, void *user,
                    const volatile sig_atomic_t *stop, struct bgd_err *err)
{
    struct bgd_engine *engine;
    struct catalogue *catalogue;
    const struct bgd_pipeline pipeline = {.classifier = b->model, .threshold = PIPELINE_SOFT};
    const struct bgd_engine_options options = {.device = s.device, .batch = s.batch, .lanes = s.threads};
    cr_assert_eq(bgd_engine_open(&pipeline, &options, &engine, err), 0, "%s", err->text);
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.list = list, .separator = '\n'}, &catalogue, err), 0);
    const struct flow_options flow = {.engine = engine, .threads = s.threads, .exact = s.exact, .stop = stop};
    int code = flow_run(&flow, catalogue, sink, user, NULL, err);
    catalogue_close(catalogue);
    bgd_engine_close(engine);
    return code;
}

/* The rows of the names in `list`, to be freed. */
static char *rows_of(const struct bench *b, const char *list, struct settings s)
{
    struct results *results;
    struct bgd_err err = {0};
    const struct results_options options = {.path = "rows", .form = RESULTS_JSONL, .model_hash = "test"};
    cr_assert_eq(results_open(&options, &results, &err), 0, "%s", err.text);
    cr_assert_eq(run_into(b, list, s, results_add, results, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(results_seal(results, NULL, &err), 0);
    cr_assert_eq(results_publish(results, &err), 0);
    results_close(results);
    return scratch_read("rows", NULL);
}

/* ---------------------------------------------------------------- a list of good and damaged files */

/* Names of the files in `folder` that decode, into `names`. */
static size_t good_files(const char *folder, char names[][512], size_t n, size_t most)
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
static void write_damaged(const char *source, const char *target, size_t kind)
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

#define ITEMS 2000
#define DAMAGED_EACH 100 /* one in so many */

/* Writes list "all" of 2,000 names, 20 of them damaged, and list "good" without those. */
static void write_lists(void)
{
    static char names[200][512];
    size_t n = good_files(CARDS, names, 0, 200);
    n = good_files(PICTURES, names, n, 200);
    cr_assert_gt(n, 30, "%zu pictures to make a list of", n);
    FILE *all = fopen("all", "w"), *good = fopen("good", "w");
    for (size_t i = 0; i < ITEMS; i++) {
        const char *name = names[(i * 7919) % n];
        char damaged[64];
        if (i % DAMAGED_EACH == 37) {
            snprintf(damaged, sizeof damaged, "damaged-%zu.jpg", i);
            write_damaged(name, damaged, i / DAMAGED_EACH);
            fprintf(all, "%s\n", damaged);
        } else {
            fprintf(all, "%s\n", name);
            fprintf(good, "%s\n", name);
        }
    }
    fclose(all);
    fclose(good);
}

static size_t count_lines(const char *text)
{
    size_t lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* The lines of `text` that say "ok", to be freed. */
static char *ok_lines(const char *text)
{
    char *kept = calloc(1, strlen(text) + 1), *at = kept;
    while (*text) {
        size_t length = strcspn(text, "\n") + 1;
        char *line = strndup(text, length);
        if (strstr(line, "\"status\":\"ok\""))
            at = stpcpy(at, line);
        free(line);
        text += length;
    }
    return kept;
}

Test(flow, gives_every_input_its_row_and_bad_files_cost_only_theirs)
{
    struct bench b = bench_open();
    write_lists();
    char *all = rows_of(&b, "all", (struct settings){.threads = 2});
    char *good = rows_of(&b, "good", (struct settings){.threads = 2});
    char *ok = ok_lines(all);
    cr_expect_eq(count_lines(all), ITEMS);
    cr_expect_eq(count_lines(good), ITEMS - ITEMS / DAMAGED_EACH);
    cr_expect_str_eq(ok, good, "the rows of good cards differ beside damaged ones");
    free(all), free(good), free(ok);
    bench_close(&b);
}

Test(flow, rows_do_not_depend_on_batch_or_threads)
{
    struct bench b = bench_open();
    write_lists();
    char *first = NULL;
    static const uint32_t batches[] = {1, 7, 64}, threads[] = {1, 2, 8};
    for (size_t i = 0; i < 9; i++) {
        char *rows = rows_of(&b, "all", (struct settings){.batch = batches[i / 3], .threads = threads[i % 3]});
        if (first)
            cr_expect_str_eq(rows, first, "batch %u, %u threads", batches[i / 3], threads[i % 3]);
        else
            first = strdup(rows);
        free(rows);
    }
    cr_expect_eq(count_lines(first), ITEMS);
    free(first);
    bench_close(&b);
}

Test(flow, agrees_with_the_reference_backend)
{
    struct bench b = bench_open();
    static char names[64][512];
    size_t n = good_files(CARDS, names, 0, 64);
    cr_assert_gt(n, 20);
    FILE *list = fopen("list", "w");
    for (size_t i = 0; i < n; i++)
        fprintf(list, "%s\n", names[i]);
    fclose(list);
    char *onednn = rows_of(&b, "list", (struct settings){.threads = 2, .device = "onednn"});
    char *ref = rows_of(&b, "list", (struct settings){.threads = 2, .device = "ref"});
    char *a = onednn, *c = ref;
    for (size_t i = 0; i < n; i++, a = strchr(a, '\n') + 1, c = strchr(c, '\n') + 1) {
        double x = atof(strstr(a, "\"score\":") + 8), y = atof(strstr(c, "\"score\":") + 8);
        cr_expect_float_eq(x, y, 3e-6, "%s: %g and %g", names[i], x, y); /* each is printed with 6 decimals */
    }
    free(onednn), free(ref);
    bench_close(&b);
}

Test(flow, says_why_a_file_has_no_result)
{
    struct bench b = bench_open();
    scratch_text("empty", "");
    scratch_text("text.jpg", "not a picture at all");
    scratch_text("large", "");
    cr_assert_eq(truncate("large", BGD_IMAGE_BYTES_MAX + 1), 0);
    scratch_text("list", "empty\ntext.jpg\nlarge\ngone.jpg\n.\n/dev/zero\n");
    char *rows = rows_of(&b, "list", (struct settings){.threads = 2});
    cr_expect(strstr(rows, "{\"id\":\"empty\",\"status\":\"error\","), "%s", rows);
    cr_expect(strstr(rows, "{\"code\":\"damaged\",\"detail\":\"the file is empty\"}"), "%s", rows);
    cr_expect(strstr(rows, "{\"code\":\"unknown_format\""), "%s", rows);
    cr_expect(strstr(rows, "{\"code\":\"limit\""), "%s", rows);
    cr_expect(strstr(rows, "{\"id\":\"gone.jpg\",\"status\":\"error\",\"model\":\"test\",\"error\":{\"code\":\"missing\""),
              "%s", rows);
    cr_expect(strstr(rows, "{\"id\":\".\",\"status\":\"error\",\"model\":\"test\",\"error\":{\"code\":\"unreadable\""), "%s",
              rows);
    cr_expect(strstr(rows, "{\"id\":\"/dev/zero\",\"status\":\"error\",\"model\":\"test\",\"error\":{\"code\":\"unreadable\""),
              "%s", rows);
    cr_expect_eq(count_lines(rows), 6);
    free(rows);
    bench_close(&b);
}

/* ---------------------------------------------------------------- ends */

struct watcher {
    uint64_t next, stop_at, fail_at;
    volatile sig_atomic_t stop;
    bool in_order;
};

static int watch(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct watcher *w = user;
    w->in_order = w->in_order && row->index == w->next && strtoull(row->id, NULL, 10) == w->next;
    w->next++;
    if (w->next == w->stop_at)
        w->stop = SIGINT;
    if (w->next == w->fail_at) {
        snprintf(err->text, sizeof err->text, "the sink is full");
        return err->code = BGD_WRITE;
    }
    return 0;
}

/* Names 0, 1, 2, ... that lead nowhere. */
static void write_numbers(size_t n)
{
    FILE *list = fopen("list", "w");
    for (size_t i = 0; i < n; i++)
        fprintf(list, "%zu\n", i);
    fclose(list);
}

Test(flow, hands_out_rows_in_order)
{
    struct bench b = bench_open();
    struct watcher w = {.in_order = true};
    struct bgd_err err = {0};
    write_numbers(100000);
    cr_expect_eq(run_into(&b, "list", (struct settings){.threads = 8}, watch, &w, NULL, &err), 0, "%s", err.text);
    cr_expect_eq(w.next, 100000);
    cr_expect(w.in_order);
    bench_close(&b);
}

Test(flow, stops_in_good_order)
{
    struct bench b = bench_open();
    struct watcher w = {.in_order = true, .stop_at = 1000};
    struct bgd_err err = {0};
    write_numbers(100000);
    cr_expect_eq(run_into(&b, "list", (struct settings){.threads = 4, .batch = 16}, watch, &w, &w.stop, &err), 0, "%s",
                 err.text);
    cr_expect(w.next >= 1000 && w.next < 2000, "%llu rows", (unsigned long long)w.next);
    cr_expect(w.in_order);
    bench_close(&b);
}

Test(flow, does_not_wait_for_names_after_a_failure)
{
    struct bench b = bench_open();
    struct watcher w = {.in_order = true, .fail_at = 1};
    struct bgd_err err = {0};
    int names[2], wake = eventfd(0, EFD_NONBLOCK);
    struct bgd_engine *engine;
    struct catalogue *catalogue;
    struct flow_report report;
    const struct bgd_pipeline pipeline = {.classifier = b.model, .threshold = PIPELINE_SOFT};
    const struct bgd_engine_options options = {.lanes = 1};
    cr_assert_eq(pipe(names), 0);
    cr_assert_eq(dup2(names[0], STDIN_FILENO), STDIN_FILENO);
    cr_assert_eq(write(names[1], "0\n", 2), 2); /* and nothing more, for ever */
    cr_assert_eq(bgd_engine_open(&pipeline, &options, &engine, &err), 0);
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.list = "-", .separator = '\n', .wake = &wake}, &catalogue, &err),
                 0);
    const struct flow_options flow = {.engine = engine, .threads = 2, .wake = &wake};
    alarm(20);
    cr_expect_eq(flow_run(&flow, catalogue, watch, &w, &report, &err), BGD_WRITE);
    cr_expect(!report.ended);
    catalogue_close(catalogue);
    bgd_engine_close(engine);
    bench_close(&b);
}

Test(flow, ends_with_the_error_of_its_sink)
{
    struct bench b = bench_open();
    struct watcher w = {.in_order = true, .fail_at = 500};
    struct bgd_err err = {0};
    write_numbers(100000);
    cr_expect_eq(run_into(&b, "list", (struct settings){.threads = 4}, watch, &w, NULL, &err), BGD_WRITE);
    cr_expect_str_eq(err.text, "the sink is full");
    cr_expect_eq(w.next, 500);
    bench_close(&b);
}

Test(flow, gives_the_rows_before_a_line_that_is_no_name)
{
    struct bench b = bench_open();
    struct watcher w = {.in_order = true};
    struct bgd_err err = {0};
    scratch_write("list", "0\n1\n2\n\0\n4\n", 10);
    cr_expect_eq(run_into(&b, "list", (struct settings){.threads = 2}, watch, &w, NULL, &err), BGD_DAMAGED);
    cr_expect(strstr(err.text, "line 4"), "%s", err.text);
    cr_expect_eq(w.next, 3);
    bench_close(&b);
}

Test(flow, runs_an_empty_catalogue)
{
    struct bench b = bench_open();
    struct watcher w = {.in_order = true};
    struct bgd_err err = {0};
    scratch_text("list", "");
    cr_expect_eq(run_into(&b, "list", (struct settings){.threads = 2}, watch, &w, NULL, &err), 0);
    cr_expect_eq(w.next, 0);
    bench_close(&b);
}

/* ---------------------------------------------------------------- masks */

enum { MASK_W = 12, MASK_H = 16, MASK_SIZE = MASK_W * MASK_H, MASK_ROWS = 150 };

struct mask_rows {
    uint64_t n, without; /* rows; those without a mask */
    struct bgd_result results[MASK_ROWS];
    float masks[MASK_ROWS][MASK_SIZE];
};

static int keep_mask(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct mask_rows *rows = user;
    (void)err;
    cr_assert_lt(rows->n, MASK_ROWS);
    rows->without += !row->mask;
    cr_expect(!row->mask || row->code == 0, "%s is in error and has a mask", row->id);
    if (row->mask)
        memcpy(rows->masks[rows->n], row->mask, sizeof rows->masks[0]);
    if (row->code == 0)
        rows->results[rows->n] = row->result;
    rows->n++;
    return 0;
}

/* 150 names, 10 of them of files that are not there. */
static void write_mask_list(void)
{
    static char names[200][512];
    size_t n = good_files(CARDS, names, 0, 200);
    n = good_files(PICTURES, names, n, 200);
    FILE *list = fopen("list", "w");
    for (size_t i = 0; i < MASK_ROWS; i++)
        fprintf(list, "%s\n", i % 15 == 4 ? "gone.jpg" : names[i * 7919 % n]);
    fclose(list);
}

static struct mask_rows *mask_rows_of(const struct bgd_pipeline *pipeline, uint32_t batch, uint32_t threads, bool masks)
{
    struct mask_rows *rows = calloc(1, sizeof *rows);
    struct bgd_engine *engine;
    struct catalogue *catalogue;
    struct bgd_err err = {0};
    const struct bgd_engine_options options = {.batch = batch, .lanes = threads};
    const struct catalogue_options names = {.list = "list", .separator = '\n'};
    cr_assert_eq(bgd_engine_open(pipeline, &options, &engine, &err), 0, "%s", err.text);
    cr_assert_eq(catalogue_open(&names, &catalogue, &err), 0, "%s", err.text);
    const struct flow_options flow = {.engine = engine, .threads = threads, .masks = masks};
    cr_assert_eq(flow_run(&flow, catalogue, keep_mask, rows, NULL, &err), 0, "%s", err.text);
    cr_expect_eq(rows->n, MASK_ROWS);
    catalogue_close(catalogue);
    bgd_engine_close(engine);
    return rows;
}

Test(flow, rows_carry_their_own_masks_where_asked)
{
    static const uint32_t settings[][2] = {{1, 1}, {7, 1}, {1, 8}, {7, 2}, {64, 8}, {0, 2}}; /* batch, threads */
    struct bench b = bench_open();
    struct net segmenter = pipelines_segmenter(MASK_W, MASK_H, 5);
    struct bgd_pipeline pipeline = {.segmenter = segmenter.model, .classifier = b.model, .threshold = PIPELINE_SOFT};
    struct mask_rows *first = NULL;
    write_mask_list();
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct mask_rows *rows = mask_rows_of(&pipeline, settings[i][0], settings[i][1], true);
        cr_expect_eq(rows->without, 10, "%lu rows have no mask", rows->without);
        for (size_t k = 0; first && k < MASK_ROWS; k++)
            cr_expect(memcmp(rows->masks[k], first->masks[k], sizeof rows->masks[k]) == 0 &&
                          memcmp(&rows->results[k].score, &first->results[k].score, sizeof(float)) == 0,
                      "batch %u, %u threads: row %zu", settings[i][0], settings[i][1], k);
        if (first)
            free(rows);
        else
            first = rows;
    }
    cr_expect(memcmp(first->masks[0], first->masks[1], sizeof first->masks[0]) != 0, "equal masks: the test would see nothing");
    struct mask_rows *none = mask_rows_of(&pipeline, 7, 2, false);
    cr_expect_eq(none->without, MASK_ROWS, "masks that nobody asked for");
    for (size_t k = 0; k < MASK_ROWS; k++)
        cr_expect_eq(memcmp(&none->results[k].score, &first->results[k].score, sizeof(float)), 0, "a mask changes row %zu", k);
    pipeline.segmenter = NULL;
    struct mask_rows *whole = mask_rows_of(&pipeline, 7, 2, true);
    cr_expect_eq(whole->without, MASK_ROWS, "masks without a segmenter");
    free(first);
    free(none);
    free(whole);
    net_close(&segmenter);
    bench_close(&b);
}
