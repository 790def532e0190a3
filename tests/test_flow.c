/* The whole run: every input gets its row, in order, and a row depends on its own file alone. */
#include "flows.h"
#include "http_server.h"
#include "tars.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

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

/* ---------------------------------------------------------------- the network */

static struct http_server server;
static volatile sig_atomic_t stop;
static int wake;

static bool stop_and_never_answer(int socket, const struct http_request *request)
{
    static const uint64_t one = 1;
    (void)socket, (void)request;
    stop = SIGINT;
    cr_assert_eq(write(wake, &one, sizeof one), sizeof one);
    pause();
    return false;
}

Test(flow, a_stop_gives_the_rows_before_what_it_breaks_off)
{
    enum { BEFORE = 50 }; /* more than have been decoded when the request comes */
    struct bench b = bench_open();
    struct brief brief = {0};
    struct trial trial = {.flow = {.threads = 1, .stop = &stop, .wake = &wake}, .batch = 7, .sink = brief_add, .user = &brief};
    wake = eventfd(0, EFD_NONBLOCK);
    http_server_start(&server, stop_and_never_answer);
    write_picture("a", 1);
    FILE *list = fopen("list", "w");
    for (int i = 0; i < BEFORE; i++)
        fprintf(list, "a\n");
    fprintf(list, "http://127.0.0.1:%d/x\na\n", server.port);
    fclose(list);
    alarm(20);
    cr_expect_eq(trial_run(&trial, &b), 0, "%s", trial.err.text);
    cr_expect_eq(brief.n, BEFORE);
    cr_expect(!strstr(brief.text, "http"), "%s", brief.text);
    cr_expect(!trial.report.ended, "the list was named to its end, but the run has not come there");
    bench_close(&b);
}

static bool refuse_late(int socket, const struct http_request *request)
{
    (void)request;
    usleep(300000); /* meanwhile all others have nothing to do */
    return http_send(socket, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}

Test(flow, ends_when_the_last_object_is_not_there)
{
    struct bench b = bench_open();
    struct brief brief = {0};
    struct trial trial = {.flow.threads = 2, .sink = brief_add, .user = &brief};
    char text[256];
    http_server_start(&server, refuse_late);
    snprintf(text, sizeof text, "http://127.0.0.1:%d/x\n", server.port);
    scratch_text("list", text);
    alarm(20);
    cr_expect_eq(trial_run(&trial, &b), 0, "%s", trial.err.text);
    cr_expect(strstr(brief.text, "/x missing|"), "%s", brief.text);
    cr_expect(trial.report.ended);
    bench_close(&b);
}

Test(flow, settings_that_no_object_can_be_read_with_end_the_run)
{
    struct bench b = bench_open();
    struct brief brief = {0};
    struct trial trial = {.flow.threads = 2, .sink = brief_add, .user = &brief};
    scratch_text("list", "gone\ns3://bucket/key\n");
    setenv("AWS_ENDPOINT_URL", "localhost:9000", 1);
    cr_expect_eq(trial_run(&trial, &b), BGD_ARGUMENT);
    cr_expect(strstr(trial.err.text, "s3://bucket/key: AWS_ENDPOINT_URL"), "%s", trial.err.text);
    cr_expect(!trial.report.ended);
    bench_close(&b);
}

static bool answer_late(int socket, const struct http_request *request)
{
    (void)request;
    sleep(2); /* meanwhile all is named that there is room for */
    return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
}

/* A tar of `n` pictures of `size` zeros. */
static void write_zeros(const char *name, int n, size_t size)
{
    static struct tar_bytes tar;
    FILE *file = fopen(name, "w");
    for (int i = 0; i < n; i++) {
        char entry[32], octal[24];
        tar.size = 0;
        snprintf(entry, sizeof entry, "%d.jpg", i);
        snprintf(octal, sizeof octal, "%011zo", size);
        tars_header(&tar, entry, octal, '0');
        cr_assert_eq(fwrite(tar.data, tar.size, 1, file), 1);
        cr_assert_eq(fseek(file, (long)(size + 511) / 512 * 512, SEEK_CUR), 0);
    }
    tar.size = 0;
    tars_end(&tar);
    cr_assert_eq(fwrite(tar.data, tar.size, 1, file), 1);
    fclose(file);
}

Test(flow, entries_that_take_all_the_room_hold_up_nobody)
{
    struct bench b = bench_open();
    struct brief brief = {0};
    struct trial trial = {.flow = {.threads = 2, .readers = 1}, .sink = brief_add, .user = &brief};
    char text[256];
    http_server_start(&server, answer_late);
    write_zeros("zeros.tar", FLOW_FILE_BYTES / BGD_IMAGE_BYTES_MAX + 4, BGD_IMAGE_BYTES_MAX);
    write_picture("a", 1);
    snprintf(text, sizeof text, "http://127.0.0.1:%d/x\na\nzeros.tar\na\n", server.port);
    scratch_text("list", text);
    alarm(60);
    cr_expect_eq(trial_run(&trial, &b), 0, "%s", trial.err.text);
    cr_expect_eq(brief.n, 3 + FLOW_FILE_BYTES / BGD_IMAGE_BYTES_MAX + 4);
    bench_close(&b);
}

/* ---------------------------------------------------------------- tars, and the files themselves */

Test(flow, what_a_shard_lacks_is_a_row_in_its_place)
{
    static struct tar_bytes tar;
    struct bench b = bench_open();
    struct brief brief = {0};
    struct trial trial = {.flow.threads = 2, .sink = brief_add, .user = &brief};
    size_t size;
    char *bytes = picture_bytes(1, &size);
    tars_add_typed(&tar, "a.jpg", bytes, size, '0');
    tars_add_typed(&tar, "b.jpg", bytes, size, '0');
    scratch_write("cut.tar", tar.data, tar.size - size / 2);
    write_zeros("large.tar", 1, BGD_IMAGE_BYTES_MAX + 1);
    scratch_write("c", bytes, size);
    scratch_text("list", "cut.tar\nlarge.tar\ngone.tar\nc\n");
    cr_expect_eq(trial_run(&trial, &b), 0, "%s", trial.err.text);
    cr_expect_str_eq(brief.text, "cut.tar/a.jpg ok|cut.tar damaged source|large.tar/0.jpg limit|gone.tar missing source|c ok|");
    free(bytes);
    bench_close(&b);
}

struct wanted {
    const char *expected;
    size_t size;
    uint64_t rows, with;
};

static int check_file(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct wanted *wanted = user;
    (void)err;
    wanted->rows++;
    wanted->with += row->file != NULL;
    if (row->file)
        cr_expect(row->file_size == wanted->size && memcmp(row->file, wanted->expected, wanted->size) == 0, "%s", row->id);
    else
        cr_expect_eq(row->file_size, 0, "%s", row->id);
    return 0;
}

/* Of an object that is too large, which shows at its end. */
static bool answer_too_much(int socket, const struct http_request *request)
{
    static uint8_t zeros[BGD_IMAGE_BYTES_MAX + 1];
    (void)request;
    if (http_send(socket, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"))
        http_send_bytes(socket, zeros, sizeof zeros);
    return false;
}

Test(flow, rows_carry_the_files_where_asked_and_no_part_of_one)
{
    static struct tar_bytes tar;
    struct bench b = bench_open();
    struct bgd_err err;
    struct wanted wanted = {0};
    struct trial trial = {.flow = {.threads = 2, .files = true}, .sink = check_file, .user = &wanted};
    char *bytes = picture_bytes(1, &wanted.size), text[256];
    wanted.expected = bytes;
    tars_add_typed(&tar, "a.jpg", bytes, wanted.size, '0');
    tars_end(&tar);
    scratch_write("cards.tar", tar.data, tar.size);
    scratch_write("a", bytes, wanted.size), scratch_write("b", bytes, wanted.size);
    http_server_start(&server, answer_too_much);
    snprintf(text, sizeof text, "a\ngone\ncards.tar\nhttp://127.0.0.1:%d/x\nb\n", server.port);
    scratch_text("list", text);
    cr_assert_eq(ledger_open("l.db", "a", &trial.flow.ledger, &err), 0, "%s", err.text);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(trial_run(&trial, &b), 0, "%s", trial.err.text);
    cr_expect_eq(wanted.rows, 10);
    cr_expect_eq(wanted.with, 6);
    trial.flow.files = false;
    cr_expect_eq(trial_run(&trial, &b), 0, "%s", trial.err.text);
    cr_expect_eq(ledger_close(trial.flow.ledger, &err), 0);
    trial.flow.ledger = NULL;
    cr_expect_eq(trial_run(&trial, &b), 0, "%s", trial.err.text);
    cr_expect_eq(wanted.rows, 20);
    cr_expect_eq(wanted.with, 6, "bytes that nobody asked for");
    free(bytes);
    bench_close(&b);
}

Test(flow, reports_what_was_read_and_decoded)
{
    struct bench b = bench_open();
    struct brief brief = {0};
    struct trial trial = {.flow.threads = 2, .sink = brief_add, .user = &brief};
    struct stat x, y;
    write_picture("x", 1), write_picture("y", 2);
    cr_assert(stat("x", &x) == 0 && stat("y", &y) == 0);
    scratch_text("list", "x\ngone\ny\nx\n");
    cr_expect_eq(trial_run(&trial, &b), 0);
    cr_expect(trial.report.ended);
    cr_expect_eq(trial.report.files, 3);
    cr_expect_eq(trial.report.bytes, 2 * x.st_size + y.st_size);
    cr_expect_eq(trial.report.pictures, 3);
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
