/* Runs with a ledger: the same rows, and nothing is decoded, or even read, that is known. */
#include "flows.h"
#include "http_server.h"
#include "tars.h"
#include "wake.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

static struct bench bench;

static void enter(void)
{
    bench = bench_open();
}

static void leave(void)
{
    bench_close(&bench);
}

TestSuite(flow_ledger, .init = enter, .fini = leave, .timeout = 120);

static struct ledger *open_ledger(const char *settings)
{
    struct ledger *ledger;
    struct bgd_err err;
    cr_assert_eq(ledger_open("l.db", settings, &ledger, &err), 0, "%s", err.text);
    return ledger;
}

static void close_ledger(struct ledger *ledger)
{
    struct bgd_err err;
    cr_assert_eq(ledger_close(ledger, &err), 0, "%s", err.text);
}

struct outcome {
    char *rows; /* to be freed */
    struct results_counts counts;
    struct flow_report report;
};

/* Runs to the end, with the ledger's results of these settings; NULL: with no ledger. */
static struct outcome run(struct trial trial, const char *settings)
{
    const struct results_options options = {.path = "rows", .form = RESULTS_JSONL, .model_hash = "test"};
    struct results *results;
    struct bgd_err err = {0};
    cr_assert_eq(results_open(&options, &results, &err), 0, "%s", err.text);
    trial.flow.ledger = settings ? open_ledger(settings) : NULL;
    trial.sink = results_add;
    trial.user = results;
    cr_assert_eq(trial_run(&trial, &bench), 0, "%s", trial.err.text);
    cr_expect(trial.report.ended);
    close_ledger(trial.flow.ledger);
    cr_assert_eq(results_seal(results, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(results_publish(results, &err), 0, "%s", err.text);
    const struct outcome outcome = {.counts = *results_counts(results), .report = trial.report};
    results_close(results);
    return (struct outcome){scratch_read("rows", NULL), outcome.counts, outcome.report};
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    for (; (text = strstr(text, part)); text++)
        n++;
    return n;
}

/* ---------------------------------------------------------------- what is known */

#define ITEMS 600
#define DISTINCT 40 /* contents: pictures, and damaged files */

/* Every content under 15 names, in another order each time, and some names without a file. */
static void write_list(void)
{
    FILE *list = fopen("list", "w");
    for (int i = 0; i < ITEMS; i++) {
        char name[64], text[64];
        int content = i * 7919 % DISTINCT;
        snprintf(name, sizeof name, "%s-%d", i % 50 == 20 ? "gone" : "card", i);
        fprintf(list, "%s\n", name);
        if (*name == 'g')
            continue;
        snprintf(text, sizeof text, "no picture: %d", content);
        if (content % 4 == 0)
            scratch_text(name, text);
        else
            write_picture(name, (size_t)(content - content / 4 - 1) % 25);
    }
    fclose(list);
}

Test(flow_ledger, rows_are_those_without_and_the_second_time_nothing_is_decoded)
{
    write_list();
    const struct trial trial = {.flow.threads = 2, .batch = 7};
    struct outcome none = run(trial, NULL), first = run(trial, "a"), second = run(trial, "a");
    uint64_t hashed = count(none.rows, "\"hash\":");
    cr_expect_eq(hashed, ITEMS - ITEMS / 50);
    cr_expect_eq(none.counts.known, 0);
    cr_expect_eq(none.report.pictures, hashed);
    cr_expect_str_eq(first.rows, none.rows);
    cr_expect_str_eq(second.rows, none.rows);
    cr_expect_leq(first.report.pictures, DISTINCT, "%lu decoded", first.report.pictures);
    cr_expect_eq(first.counts.known, hashed - first.report.pictures);
    cr_expect_eq(second.report.pictures, 0);
    cr_expect_eq(second.counts.known, hashed);
    cr_expect_eq(second.report.files, hashed);
    free(none.rows), free(first.rows), free(second.rows);
}

static void check_scored_once(struct trial trial, const char *rows)
{
    struct outcome o = run(trial, "a");
    cr_expect_str_eq(o.rows, rows);
    cr_expect_eq(o.report.pictures, 2, "%lu decoded: %u threads, %u readers, batch %u", o.report.pictures, trial.flow.threads,
                 trial.flow.readers, trial.batch);
    cr_expect_eq(o.counts.known, 98);
    free(o.rows);
    cr_assert_eq(unlink("l.db"), 0);
}

Test(flow_ledger, a_picture_of_fifty_names_is_scored_once)
{
    static const uint32_t threads[] = {1, 2, 8}, readers[] = {1, 16}, batches[] = {1, 7};
    FILE *list = fopen("list", "w");
    for (int i = 0; i < 50; i++) {
        char name[64];
        snprintf(name, sizeof name, "good-%d", i);
        write_picture(name, 3);
        fprintf(list, "%s\n", name);
        snprintf(name, sizeof name, "bad-%d", i);
        scratch_text(name, "no picture");
        fprintf(list, "%s\n", name);
    }
    fclose(list);
    struct outcome none = run((struct trial){.flow.threads = 2}, NULL);
    for (int i = 0; i < 12; i++)
        check_scored_once(
            (struct trial){.flow = {.threads = threads[i / 4], .readers = readers[i / 2 % 2]}, .batch = batches[i % 2]},
            none.rows);
    free(none.rows);
}

Test(flow_ledger, failures_are_known_until_they_are_to_be_tried_again)
{
    write_picture("good", 1);
    write_picture("cut", 2);
    scratch_text("text", "no picture");
    cr_assert_eq(truncate("cut", 2000), 0);
    scratch_text("list", "good\ncut\ntext\ntext\n");
    struct trial trial = {.flow.threads = 2};
    struct outcome first = run(trial, "a"), second = run(trial, "a");
    trial.flow.retry = 1u << -BGD_UNKNOWN;
    struct outcome unknown = run(trial, "a");
    trial.flow.retry |= 1u << -BGD_DAMAGED;
    struct outcome both = run(trial, "a");
    cr_expect(strstr(first.rows, "damaged") && strstr(first.rows, "unknown_format"), "%s", first.rows);
    cr_expect_str_eq(second.rows, first.rows);
    cr_expect_str_eq(unknown.rows, first.rows);
    cr_expect_str_eq(both.rows, first.rows);
    cr_expect_eq(first.report.pictures, 3);
    cr_expect_eq(second.report.pictures, 0);
    cr_expect_eq(unknown.report.pictures, 1, "text was decoded %lu times", unknown.report.pictures);
    cr_expect_eq(both.report.pictures, 2);
    free(first.rows), free(second.rows), free(unknown.rows), free(both.rows);
}

Test(flow_ledger, what_could_not_be_read_is_looked_for_every_time)
{
    scratch_text("m", "{\"path\":\"card\",\"size\":4711,\"mtime\":1000000000}\n");
    const struct trial trial = {.names.manifest = "m", .flow = {.threads = 1, .trust_mtime = true}};
    struct outcome gone = run(trial, "a");
    write_picture("card", 1);
    struct outcome there = run(trial, "a");
    cr_expect(strstr(gone.rows, "missing"), "%s", gone.rows);
    cr_expect(strstr(there.rows, "\"status\":\"ok\""), "%s", there.rows);
    free(gone.rows), free(there.rows);
}

Test(flow_ledger, other_settings_see_nothing)
{
    write_list();
    const struct trial trial = {.flow.threads = 2};
    struct outcome a = run(trial, "a"), b = run(trial, "b");
    cr_expect_eq(b.report.pictures, a.report.pictures);
    cr_expect_eq(b.counts.known, a.counts.known);
    cr_expect_str_eq(b.rows, a.rows);
    free(a.rows), free(b.rows);
}

/* ---------------------------------------------------------------- files that are not even read */

static void set_mtime(const char *name, time_t seconds)
{
    const struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds, .tv_nsec = 123456789}};
    cr_assert_eq(utimensat(AT_FDCWD, name, times, 0), 0);
}

/* Picture `i` with a byte behind its end: bytes differ, and not in size. */
static void write_variant(const char *name, size_t i, char byte, time_t seconds)
{
    size_t size;
    char *bytes = picture_bytes(i, &size);
    bytes[size] = byte; /* where the NUL was */
    scratch_write(name, bytes, size + 1);
    free(bytes);
    set_mtime(name, seconds);
}

Test(flow_ledger, an_unchanged_file_is_read_only_without_trust)
{
    scratch_text("list", "card\n");
    struct trial trial = {.flow = {.threads = 1, .trust_mtime = true}};
    write_variant("card", 1, 'a', 1000000000);
    struct outcome first = run(trial, "a");
    write_variant("card", 1, 'b', 1000000000);
    struct outcome trusted = run(trial, "a");
    trial.flow.trust_mtime = false;
    struct outcome read = run(trial, "a");
    cr_expect_eq(first.report.files, 1);
    cr_expect_eq(trusted.report.files, 0);
    cr_expect_eq(trusted.counts.known, 1);
    cr_expect_str_eq(trusted.rows, first.rows);
    cr_expect_eq(read.report.files, 1);
    cr_expect_str_neq(read.rows, first.rows, "the test would see nothing");

    trial.flow.trust_mtime = true;
    set_mtime("card", 1000000001);
    struct outcome later = run(trial, "a");
    cr_expect_str_eq(later.rows, read.rows, "a file that has changed was trusted");
    free(first.rows), free(trusted.rows), free(read.rows), free(later.rows);
}

/* The clock that tells how old a change is. */
static _Atomic time_t now; /* 0: the system's */

int clock_gettime(clockid_t clock, struct timespec *t)
{
    int code = (int)syscall(SYS_clock_gettime, clock, t);
    if (clock == CLOCK_REALTIME && now)
        *t = (struct timespec){.tv_sec = now};
    return code;
}

/* The files that the run after the next one reads, of one that was changed `age` seconds before it is read. */
static uint64_t read_again(time_t age)
{
    struct trial trial = {.flow = {.threads = 1, .trust_mtime = true}};
    scratch_text("list", "card\n");
    write_variant("card", 1, 'a', 1000000000);
    now = 1000000000 + age;
    struct outcome first = run(trial, "a"), second = run(trial, "a");
    now = 0;
    cr_expect_str_eq(second.rows, first.rows);
    cr_assert_eq(unlink("l.db"), 0);
    free(first.rows), free(second.rows);
    return second.report.files;
}

Test(flow_ledger, a_file_that_changed_a_moment_ago_is_not_trusted)
{
    cr_expect_eq(read_again(3), 0);
    cr_expect_eq(read_again(2), 1);
    cr_expect_eq(read_again(0), 1);
    cr_expect_eq(read_again(-10), 1, "a file of tomorrow is trusted");
}

static struct http_server server;
static bool (*on_get)(int socket, const char *path);

static bool answer(int socket, const struct http_request *request)
{
    char path[64] = "";
    sscanf(request->head, "GET %63s", path);
    return on_get(socket, path);
}

static bool answer_an_hour_later(int socket, const char *path)
{
    (void)path;
    now += 3600;
    return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
}

Test(flow_ledger, a_change_is_old_or_not_when_reading_begins)
{
    char line[256];
    const struct trial trial = {.names.manifest = "m", .flow = {.threads = 1, .trust_mtime = true}};
    on_get = answer_an_hour_later;
    http_server_start(&server, answer);
    snprintf(line, sizeof line, "{\"path\":\"http://127.0.0.1:%d/x\",\"size\":3,\"mtime\":1000000000}\n", server.port);
    scratch_text("m", line);
    now = 1000000001;
    struct outcome first = run(trial, "a"), second = run(trial, "a"), third = run(trial, "a");
    cr_expect_eq(first.report.files, 1);
    cr_expect_eq(second.report.files, 1, "what changed while it was read is trusted");
    cr_expect_eq(third.report.files, 0);
    free(first.rows), free(second.rows), free(third.rows);
}

Test(flow_ledger, a_manifest_that_knows_size_and_time_saves_the_look_at_the_file)
{
    static const char line[] = "{\"id\":\"4711\",\"path\":\"card\",\"size\":%d,\"mtime\":%d}\n";
    const struct trial trial = {.names.manifest = "m", .flow = {.threads = 1, .trust_mtime = true}};
    char text[256];
    size_t size;
    write_picture("card", 1);
    free(scratch_read("card", &size));
    int bytes = (int)size;
    snprintf(text, sizeof text, line, bytes, 1000000000);
    scratch_text("m", text);
    struct outcome first = run(trial, "a");
    cr_assert_eq(unlink("card"), 0);
    struct outcome without = run(trial, "a");
    snprintf(text, sizeof text, line, bytes, 1000000001);
    scratch_text("m", text);
    struct outcome later = run(trial, "a");
    snprintf(text, sizeof text, line, bytes + 1, 1000000000);
    scratch_text("m", text);
    struct outcome larger = run(trial, "a");
    cr_expect(strstr(first.rows, "\"status\":\"ok\""), "%s", first.rows);
    cr_expect_str_eq(without.rows, first.rows);
    cr_expect(strstr(later.rows, "missing"), "%s", later.rows);
    cr_expect(strstr(larger.rows, "missing"), "%s", larger.rows);
    free(first.rows), free(without.rows), free(later.rows), free(larger.rows);
}

/* ---------------------------------------------------------------- entries of tars */

/* The rows without their first field. */
static char *without_ids(char *rows)
{
    char *kept = calloc(1, strlen(rows) + 1), *at = kept;
    for (char *line = strtok(rows, "\n"); line; line = strtok(NULL, "\n"))
        at += sprintf(at, "%s\n", strstr(line, "\"status\""));
    free(rows);
    return kept;
}

Test(flow_ledger, entries_of_a_tar_have_the_rows_of_files)
{
    static struct tar_bytes tar;
    FILE *list = fopen("list", "w");
    for (size_t i = 0; i < 20; i++) {
        char name[64];
        snprintf(name, sizeof name, "%zu.jpg", i);
        size_t size;
        char *bytes = picture_bytes(i, &size);
        size_t kept = i % 7 == 3 ? size / 3 : i % 7 == 5 ? 0 : size;
        scratch_write(name, bytes, kept);
        tars_add_typed(&tar, name, bytes, kept, '0');
        fprintf(list, "%s\n", name);
        free(bytes);
    }
    fclose(list);
    tars_end(&tar);
    scratch_write("cards.tar", tar.data, tar.size);

    char *paths[] = {"cards.tar"};
    const struct trial of_tar = {.names = {.paths = paths, .n_paths = 1}, .flow.threads = 2};
    struct outcome files = run((struct trial){.flow.threads = 2}, NULL);
    struct outcome entries = run(of_tar, NULL), kept = run(of_tar, "a"), known = run((struct trial){.flow.threads = 2}, "a");
    cr_expect_str_eq(entries.rows, kept.rows);
    cr_expect_str_eq(known.rows, files.rows);
    cr_expect_eq(known.report.pictures, 0, "a file is known by its bytes in a tar");
    cr_expect_eq(entries.report.bytes, files.report.bytes);
    cr_expect_eq(entries.report.files, files.report.files);
    cr_expect(strstr(entries.rows, "\"cards.tar/0.jpg\""), "%s", entries.rows);
    char *a = without_ids(files.rows), *b = without_ids(entries.rows);
    cr_expect_str_eq(a, b);
    free(a), free(b), free(kept.rows), free(known.rows);
}

/* ---------------------------------------------------------------- ledgers that fail */

/* Names 0, 1, 2, ... of files that differ. */
static void write_texts(int n)
{
    FILE *list = fopen("list", "w");
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d", i);
        scratch_text(name, name);
        fprintf(list, "%s\n", name);
    }
    fclose(list);
}

static int count_in_order(void *user, const struct flow_row *row, struct bgd_err *err)
{
    uint64_t *n = user;
    (void)err;
    cr_expect_eq(strtoull(row->id, NULL, 10), *n);
    ++*n;
    return 0;
}

Test(flow_ledger, a_ledger_that_cannot_be_written_ends_the_run)
{
    uint64_t rows = 0;
    struct trial trial = {.flow = {.threads = 2, .ledger = open_ledger("a")}, .sink = count_in_order, .user = &rows};
    struct bgd_err err;
    write_texts(3 * LEDGER_BATCH);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, 65536}), 0);
    cr_expect_eq(trial_run(&trial, &bench), BGD_WRITE);
    cr_expect(strstr(trial.err.text, "l.db"), "%s", trial.err.text);
    cr_expect(!trial.report.ended);
    cr_expect_eq(rows, LEDGER_BATCH - 1, "%lu rows before the first that could not be kept", rows);
    cr_expect_eq(ledger_close(trial.flow.ledger, &err), BGD_WRITE);
}

/* Spoils what the ledger knows. */
static void damage_entries(void)
{
    sqlite3 *db;
    cr_assert_eq(sqlite3_open("l.db", &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, "UPDATE results SET entry = x'00'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static atomic_bool waits, busy; /* somebody does, for an answer that never comes; the sink is */

static bool answer_when_all_wait(int socket, const char *path)
{
    if (strcmp(path, "/never") == 0) {
        waits = true;
        pause();
    }
    while (!waits || !busy)
        usleep(1000);
    return http_send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0");
}

static int wake;

/* Is busy until the run has failed, and what it breaks off has ended. */
static int add_slowly(void *user, const struct flow_row *row, struct bgd_err *err)
{
    busy = true;
    while (!wake_is_up(&wake))
        usleep(1000);
    usleep(500000);
    return brief_add(user, row, err);
}

Test(flow_ledger, a_failure_makes_no_row_of_what_it_breaks_off)
{
    char text[256];
    struct brief brief = {0};
    struct trial trial = {.flow = {.threads = 2, .readers = 4, .wake = &wake}, .sink = add_slowly, .user = &brief};
    wake = eventfd(0, EFD_NONBLOCK);
    on_get = answer_when_all_wait;
    http_server_start(&server, answer);
    write_picture("card", 1);
    write_texts(1);
    struct outcome first = run((struct trial){.flow.threads = 1}, "a");
    damage_entries();
    snprintf(text, sizeof text, "card\nhttp://127.0.0.1:%d/never\nhttp://127.0.0.1:%d/0\n", server.port, server.port);
    scratch_text("list", text);
    trial.flow.ledger = open_ledger("a");
    cr_expect_eq(trial_run(&trial, &bench), BGD_DAMAGED);
    cr_expect(strstr(trial.err.text, "l.db"), "%s", trial.err.text);
    cr_expect_str_eq(brief.text, "card ok|");
    close_ledger(trial.flow.ledger);
    free(first.rows);
}
