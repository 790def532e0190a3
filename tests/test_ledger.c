/*
 * The ledger: what is kept comes back, whoever else has the database open and whenever a process dies; what is no ledger, or
 * no longer one, is refused. SQLite itself, through a connection of the test's own, tampers with databases and checks them.
 */
#include "run/ledger.h"
#include "random.h"
#include "scratch.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *folder;

static void enter(void)
{
    folder = scratch_enter();
}

static void leave(void)
{
    scratch_leave(folder);
}

TestSuite(ledger, .init = enter, .fini = leave);

/* In the place of SQLite's own: waits as long, unless a test has less patience. */
static int asked_ms, tries_max = 3000;

static int wait_10_ms(void *user, int tries)
{
    (void)user;
    usleep(10000);
    return tries < tries_max;
}

int sqlite3_busy_timeout(sqlite3 *db, int ms)
{
    asked_ms = ms;
    return sqlite3_busy_handler(db, wait_10_ms, NULL);
}

/* ---------------------------------------------------------------- helpers */

static struct ledger *open_as(const char *settings)
{
    struct ledger *ledger;
    struct bgd_err err = {0};
    cr_assert_eq(ledger_open("l.db", settings, &ledger, &err), 0, "%s", err.text);
    return ledger;
}

static void close_well(struct ledger *ledger)
{
    struct bgd_err err = {0};
    cr_assert_eq(ledger_close(ledger, &err), 0, "%s", err.text);
}

static void hash_of(uint64_t i, uint8_t hash[HASH_BYTES])
{
    uint64_t halves[2] = {random_bits(1, i), random_bits(2, i)};
    memcpy(hash, halves, HASH_BYTES);
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* An entry whose every field follows from i, with any bits for floats. */
static struct ledger_entry entry_of(uint64_t i)
{
    struct ledger_entry e;
    struct bgd_result *r = &e.result;
    memset(&e, 0, sizeof e);
    r->verdict = (enum bgd_verdict)(i % BGD_VERDICTS);
    r->score = float_of((uint32_t)random_bits(3, i));
    for (uint32_t k = 0; k < BGD_REASONS; k++) {
        r->reasons[k] = float_of((uint32_t)random_bits(4 + k, i));
        r->holds[k] = random_bits(10, i) >> k & 1;
    }
    r->n_regions = (uint32_t)(i % (BGD_REGIONS_MAX + 1));
    for (uint32_t k = 0; k < r->n_regions; k++)
        r->regions[k] = (struct bgd_region){.reason = (enum bgd_reason)(k % BGD_REASONS),
                                            .side = (enum bgd_side)(k % BGD_SIDES),
                                            .left = random_at(11, 16 * i + k),
                                            .top = random_at(12, 16 * i + k),
                                            .right = random_at(13, 16 * i + k),
                                            .bottom = random_at(14, 16 * i + k),
                                            .share = random_at(15, 16 * i + k)};
    e.format = (enum bgd_format)(i % (BGD_TGA + 1));
    e.width = (uint32_t)random_bits(16, i);
    e.height = (uint32_t)random_bits(17, i);
    return e;
}

static struct ledger_entry failure(int code, const char *detail)
{
    struct ledger_entry e;
    memset(&e, 0, sizeof e);
    e.code = code;
    snprintf(e.detail, sizeof e.detail, "%s", detail);
    return e;
}

static bool floats_equal(const float *a, const float *b, size_t n)
{
    return memcmp(a, b, n * sizeof *a) == 0; /* bits: NANs and zeros of either sign differ */
}

static bool regions_equal(const struct bgd_region *a, const struct bgd_region *b)
{
    return a->reason == b->reason && a->side == b->side && floats_equal(&a->left, &b->left, 5);
}

static bool entries_equal(const struct ledger_entry *a, const struct ledger_entry *b)
{
    const struct bgd_result *r = &a->result, *s = &b->result;
    for (uint32_t i = 0; i < r->n_regions && i < s->n_regions; i++)
        if (!regions_equal(&r->regions[i], &s->regions[i]))
            return false;
    return a->code == b->code && strcmp(a->detail, b->detail) == 0 && a->format == b->format && a->width == b->width &&
           a->height == b->height && r->verdict == s->verdict && floats_equal(&r->score, &s->score, 1) &&
           floats_equal(r->reasons, s->reasons, BGD_REASONS) && memcmp(r->holds, s->holds, sizeof r->holds) == 0 &&
           r->n_regions == s->n_regions;
}

/* Of the i-th hash. */
static int find(struct ledger *ledger, uint64_t i, struct ledger_entry *entry, struct bgd_err *err)
{
    uint8_t hash[HASH_BYTES];
    hash_of(i, hash);
    return ledger_find(ledger, hash, entry, err);
}

static int keep(struct ledger *ledger, uint64_t i, const struct ledger_entry *entry, struct bgd_err *err)
{
    uint8_t hash[HASH_BYTES];
    hash_of(i, hash);
    return ledger_keep(ledger, hash, entry, err);
}

static void keep_well(struct ledger *ledger, uint64_t i, const struct ledger_entry *entry)
{
    struct bgd_err err = {0};
    cr_assert_eq(keep(ledger, i, entry, &err), 0, "%s", err.text);
}

static void keep_range(struct ledger *ledger, uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin; i < end; i++) {
        struct ledger_entry entry = entry_of(i);
        keep_well(ledger, i, &entry);
    }
}

static void expect_found(struct ledger *ledger, uint64_t i, const struct ledger_entry *expected)
{
    struct bgd_err err = {0};
    static struct ledger_entry entry;
    memset(&entry, 0xff, sizeof entry);
    cr_assert_eq(find(ledger, i, &entry, &err), 1, "entry %llu: %s", (unsigned long long)i, err.text);
    cr_expect(entries_equal(&entry, expected), "entry %llu is another", (unsigned long long)i);
}

static void expect_range(struct ledger *ledger, uint64_t begin, uint64_t end)
{
    for (uint64_t i = begin; i < end; i++) {
        struct ledger_entry entry = entry_of(i);
        expect_found(ledger, i, &entry);
    }
}

static void expect_unknown(struct ledger *ledger, uint64_t i)
{
    struct bgd_err err = {0};
    struct ledger_entry entry;
    cr_expect_eq(find(ledger, i, &entry, &err), 0, "entry %llu: %s", (unsigned long long)i, err.text);
}

static int take_text(void *out, int columns, char **values, char **names)
{
    (void)columns, (void)names;
    snprintf(out, 64, "%s", values[0] ? values[0] : "NULL");
    return 0;
}

/* Runs SQL on a database by a connection of its own; the last answer's first column. */
static const char *sql(const char *path, const char *text)
{
    static char answer[64];
    sqlite3 *db;
    char *error = NULL;
    *answer = 0;
    cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(db, text, take_text, answer, &error), SQLITE_OK, "%s: %s", text, error);
    cr_assert_eq(sqlite3_close(db), SQLITE_OK);
    return answer;
}

static void check_refused(const char *path, enum bgd_code code, const char *text)
{
    struct ledger *ledger = (struct ledger *)folder;
    struct bgd_err err = {0};
    cr_expect_eq(ledger_open(path, "s", &ledger, &err), code, "%s: %s", path, err.text);
    cr_expect_eq(err.code, code);
    cr_expect_null(ledger);
    cr_expect(strstr(err.text, path) && strstr(err.text, text), "%s: \"%s\"", path, err.text);
}

/* ---------------------------------------------------------------- what comes back */

static void keep_corner_cases(struct ledger *ledger, void (*each)(struct ledger *, uint64_t, const struct ledger_entry *))
{
    static const uint32_t odd[] = {0x7fc00000, 0xffc01234, 0x7f800001, 0x7f800000, 0xff800000, 1, 0x807fffff, 0x80000000};
    uint64_t i = 0;
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        struct ledger_entry entry = entry_of(BGD_REGIONS_MAX);
        entry.result.score = entry.result.reasons[4] = entry.result.regions[15].share = float_of(odd[k]);
        each(ledger, i++, &entry);
    }
    for (int code = BGD_OK; code >= BGD_NETWORK; code--) {
        struct ledger_entry entry = failure(code, code ? "tab\t, line\n, \xff\xfe and \xe2\x82\xac" : "");
        each(ledger, i++, &entry);
    }
    for (size_t length = 1021; length < sizeof((struct ledger_entry *)0)->detail; length++) {
        char detail[sizeof((struct ledger_entry *)0)->detail] = "";
        memset(detail, 'd', length);
        struct ledger_entry entry = failure(BGD_DAMAGED, detail);
        entry.width = entry.height = UINT32_MAX;
        each(ledger, i++, &entry);
        entry = entry_of(BGD_REGIONS_MAX); /* the longest row */
        entry.code = BGD_LIMIT;
        memcpy(entry.detail, detail, sizeof detail);
        each(ledger, i++, &entry);
    }
}

Test(ledger, a_result_comes_back_bit_for_bit_before_and_after_it_is_committed)
{
    struct ledger *ledger = open_as("s");
    keep_corner_cases(ledger, keep_well);
    keep_corner_cases(ledger, expect_found);
    close_well(ledger);
    ledger = open_as("s");
    keep_corner_cases(ledger, expect_found);
    close_well(ledger);
}

Test(ledger, entries_of_every_kind_survive_commits_and_closing)
{
    struct ledger *ledger = open_as("s");
    keep_range(ledger, 0, 3 * LEDGER_BATCH + 17);
    expect_range(ledger, 0, 3 * LEDGER_BATCH + 17);
    expect_unknown(ledger, 3 * LEDGER_BATCH + 17);
    close_well(ledger);
    ledger = open_as("s");
    expect_range(ledger, 0, 3 * LEDGER_BATCH + 17);
    expect_unknown(ledger, 3 * LEDGER_BATCH + 17);
    close_well(ledger);
}

Test(ledger, other_settings_see_nothing_and_stand_beside_it)
{
    struct ledger *f32 = open_as("onednn f32 \xd1\x8f'\""), *f16 = open_as("cuda f16");
    struct ledger_entry one = entry_of(1), two = entry_of(2);
    keep_well(f32, 0, &one);
    expect_unknown(f16, 0);
    keep_well(f16, 0, &two);
    close_well(f32);
    close_well(f16);
    f16 = open_as("cuda f16");
    f32 = open_as("onednn f32 \xd1\x8f'\"");
    struct ledger *neither = open_as("");
    expect_found(f16, 0, &two);
    expect_found(f32, 0, &one);
    expect_unknown(neither, 0);
    close_well(f16);
    close_well(f32);
    close_well(neither);
    cr_expect_str_eq(sql("l.db", "SELECT count(*) FROM settings"), "3", "opening again adds no settings");
}

Test(ledger, what_is_kept_later_replaces)
{
    struct ledger *ledger = open_as("s");
    struct ledger_entry entries[3] = {entry_of(16), failure(BGD_DAMAGED, "cut"), entry_of(0)};
    keep_well(ledger, 7, &entries[0]);
    keep_well(ledger, 7, &entries[1]);
    expect_found(ledger, 7, &entries[1]);
    close_well(ledger);
    ledger = open_as("s");
    expect_found(ledger, 7, &entries[1]);
    keep_well(ledger, 7, &entries[2]);
    expect_found(ledger, 7, &entries[2]);
    close_well(ledger);
    cr_expect_str_eq(sql("l.db", "SELECT count(*) FROM results"), "1");
    ledger = open_as("s");
    expect_found(ledger, 7, &entries[2]);
    close_well(ledger);
}

static void expect_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, int64_t expected)
{
    uint8_t hash[HASH_BYTES], wanted[HASH_BYTES];
    struct bgd_err err = {0};
    int found = ledger_find_file(ledger, name, size, mtime, hash, &err);
    cr_expect_eq(found, expected >= 0, "%s, %llu, %lld: %s", name, (unsigned long long)size, (long long)mtime, err.text);
    hash_of((uint64_t)expected, wanted);
    if (found == 1)
        cr_expect_arr_eq(hash, wanted, HASH_BYTES);
}

static void keep_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, uint64_t i)
{
    uint8_t hash[HASH_BYTES];
    struct bgd_err err = {0};
    hash_of(i, hash);
    cr_assert_eq(ledger_keep_file(ledger, name, size, mtime, hash, &err), 0, "%s", err.text);
}

static void expect_files(struct ledger *ledger)
{
    expect_file(ledger, "a.jpg", 10, 1700000000123456789, 1);
    expect_file(ledger, "A.jpg", 10, 1700000000123456789, -1);
    expect_file(ledger, "a.jpg ", 10, 1700000000123456789, -1);
    expect_file(ledger, "a.jpg", 11, 1700000000123456789, -1);
    expect_file(ledger, "a.jpg", 10, 1700000000123456788, -1);
    expect_file(ledger, "\xff\n\xe2\x82\xac", UINT64_MAX, INT64_MIN, 2);
    expect_file(ledger, "\xfe\n\xe2\x82\xac", UINT64_MAX, INT64_MIN, -1);
    expect_file(ledger, "", 0, 0, 3);
}

Test(ledger, a_file_is_known_by_name_and_size_and_time)
{
    struct ledger *ledger = open_as("s");
    keep_file(ledger, "a.jpg", 10, 1700000000123456789, 1);
    keep_file(ledger, "\xff\n\xe2\x82\xac", UINT64_MAX, INT64_MIN, 2);
    keep_file(ledger, "", 0, 0, 3);
    expect_files(ledger);
    close_well(ledger);
    ledger = open_as("other settings"); /* a file's hash does not depend on them */
    expect_files(ledger);
    keep_file(ledger, "a.jpg", 12, 5, 4); /* it has changed */
    for (int i = 0; i < 2; i++) {
        expect_file(ledger, "a.jpg", 12, 5, 4);
        expect_file(ledger, "a.jpg", 10, 1700000000123456789, -1);
        close_well(ledger);
        ledger = open_as("s");
    }
    close_well(ledger);
    cr_expect_str_eq(sql("l.db", "SELECT count(*) FROM files"), "3");
}

Test(ledger, a_clean_card_takes_no_room_for_regions_that_it_has_not)
{
    struct ledger *ledger = open_as("s");
    struct ledger_entry clean = entry_of(0);
    keep_well(ledger, 0, &clean);
    close_well(ledger);
    cr_expect_str_eq(sql("l.db", "SELECT length(entry) FROM results"), "40");
}

/* ---------------------------------------------------------------- processes and threads */

/* A child with a ledger of its own; it exits with 0 if all went well. */
static pid_t child(void (*work)(uint64_t), uint64_t argument)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        work(argument);
        _exit(0);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* Half of them are the other child's, too. */
static void keep_5000(uint64_t begin)
{
    struct ledger *ledger;
    struct bgd_err err;
    if (ledger_open("l.db", "s", &ledger, &err))
        _exit(1);
    for (uint64_t i = begin; i < begin + 5000; i++) {
        struct ledger_entry entry = entry_of(i);
        if (keep(ledger, i, &entry, &err))
            _exit(2);
    }
    if (ledger_close(ledger, &err))
        _exit(3);
}

Test(ledger, two_processes_keep_everything)
{
    pid_t children[2] = {child(keep_5000, 0), child(keep_5000, 2500)};
    cr_expect_eq(wait_for(children[0]), 0);
    cr_expect_eq(wait_for(children[1]), 0);
    struct ledger *ledger = open_as("s");
    expect_range(ledger, 0, 7500);
    expect_unknown(ledger, 7500);
    close_well(ledger);
    cr_expect_str_eq(sql("l.db", "PRAGMA integrity_check"), "ok");
    cr_expect_str_eq(sql("l.db", "SELECT count(*) FROM results"), "7500");
}

static void open_and_close(uint64_t i)
{
    char settings[32];
    struct ledger *ledger;
    struct bgd_err err;
    snprintf(settings, sizeof settings, "%llu", (unsigned long long)i);
    struct ledger_entry entry = entry_of(i);
    if (ledger_open("l.db", settings, &ledger, &err) || keep(ledger, i, &entry, &err) || ledger_close(ledger, &err))
        _exit(1);
}

Test(ledger, processes_that_create_one_at_the_same_time_share_it)
{
    enum { ROUNDS = 20, CHILDREN = 8 };
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[CHILDREN];
        for (uint64_t i = 0; i < CHILDREN; i++)
            children[i] = child(open_and_close, i);
        for (int i = 0; i < CHILDREN; i++)
            cr_expect_eq(wait_for(children[i]), 0);
        cr_expect_str_eq(sql("l.db", "SELECT count(*) FROM settings"), "8");
        cr_expect_str_eq(sql("l.db", "SELECT count(*) FROM results"), "8");
        cr_assert_eq(remove("l.db"), 0);
    }
}

static int reports[2];

/* Writes to the pipe how many are committed, until it is killed. */
static void keep_until_killed(uint64_t begin)
{
    struct ledger *ledger;
    struct bgd_err err;
    if (ledger_open("l.db", "s", &ledger, &err))
        _exit(1);
    for (uint64_t i = begin; keep(ledger, i, &(struct ledger_entry){.width = (uint32_t)i}, &err) == 0;)
        if ((++i - begin) % LEDGER_BATCH == 0 && write(reports[1], &i, sizeof i) != sizeof i)
            break;
    _exit(2);
}

Test(ledger, a_writer_that_is_killed_loses_nothing_that_was_committed)
{
    uint64_t committed = 0, moments = 0;
    cr_assert_eq(pipe(reports), 0);
    cr_assert_eq(fcntl(reports[0], F_SETFL, O_NONBLOCK), 0);
    for (uint64_t round = 0; round < 100; round++) {
        uint64_t begin = committed;
        pid_t pid = child(keep_until_killed, begin);
        if (round % 10 == 0) /* some come to a commit, however slow the machine is */
            poll(&(struct pollfd){.fd = reports[0], .events = POLLIN}, 1, 60000);
        usleep((useconds_t)(random_bits(20, round) % 40000));
        kill(pid, SIGKILL);
        cr_expect_eq(wait_for(pid), SIGKILL);
        while (read(reports[0], &committed, sizeof committed) > 0)
            moments++;
        struct ledger *ledger = open_as("s");
        for (uint64_t i = begin; i < committed; i++)
            expect_found(ledger, i, &(struct ledger_entry){.width = (uint32_t)i});
        close_well(ledger);
        cr_expect_str_eq(sql("l.db", "PRAGMA integrity_check"), "ok");
    }
    cr_expect_gt(moments, 0, "no child came to a commit");
    struct ledger *ledger = open_as("s");
    for (uint64_t i = 0; i < committed; i++)
        expect_found(ledger, i, &(struct ledger_entry){.width = (uint32_t)i});
    close_well(ledger);
}

struct worker {
    struct ledger *ledger;
    uint64_t begin;
};

static void *keep_and_find(void *argument)
{
    struct worker *worker = argument;
    struct bgd_err err;
    struct ledger_entry found;
    uint8_t hash[HASH_BYTES], found_hash[HASH_BYTES];
    for (uint64_t i = worker->begin; i < worker->begin + 2000; i++) {
        struct ledger_entry entry = entry_of(i);
        char name[32];
        snprintf(name, sizeof name, "%llu.jpg", (unsigned long long)i);
        hash_of(i, hash);
        if (keep(worker->ledger, i, &entry, &err) || ledger_keep_file(worker->ledger, name, i, 1, hash, &err) ||
            find(worker->ledger, i, &found, &err) != 1 || !entries_equal(&entry, &found) ||
            ledger_find_file(worker->ledger, name, i, 1, found_hash, &err) != 1 || memcmp(hash, found_hash, HASH_BYTES) != 0)
            return worker;
    }
    return NULL;
}

Test(ledger, threads_share_one)
{
    struct ledger *ledger = open_as("s");
    pthread_t threads[4];
    struct worker workers[4];
    for (uint64_t i = 0; i < 4; i++) {
        workers[i] = (struct worker){ledger, 1000 * i}; /* most entries are two threads' */
        cr_assert_eq(pthread_create(&threads[i], NULL, keep_and_find, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_expect_null(failed);
    }
    expect_range(ledger, 0, 5000);
    close_well(ledger);
}

/* ---------------------------------------------------------------- what cannot be written */

/* The ledger has failed: every call says so, and nothing that was committed is lost. */
static void expect_failed(struct ledger *ledger, const char *text)
{
    struct bgd_err err = {0};
    struct ledger_entry entry = entry_of(1);
    uint8_t hash[HASH_BYTES] = {0};
    int codes[5] = {keep(ledger, 1, &entry, &err), find(ledger, 1, &entry, &err),
                    ledger_keep_file(ledger, "a", 1, 1, hash, &err), ledger_find_file(ledger, "a", 1, 1, hash, &err),
                    ledger_close(ledger, &err)};
    for (int i = 0; i < 5; i++)
        cr_expect_eq(codes[i], BGD_WRITE, "call %d", i);
    cr_expect(strstr(err.text, "l.db: ") && strstr(err.text, text), "%s", err.text);
}

Test(ledger, a_full_disk_is_an_error_and_keeps_what_was_committed)
{
    struct ledger *ledger = open_as("s");
    struct bgd_err err = {0};
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 4 << 20;
    signal(SIGXFSZ, SIG_IGN); /* a write then fails with EFBIG */
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    uint64_t i = 0;
    int code = 0;
    for (; code == 0 && i < 100000; i++) {
        struct ledger_entry entry = entry_of(i);
        code = keep(ledger, i, &entry, &err);
    }
    cr_assert_eq(code, BGD_WRITE, "%s", err.text);
    cr_expect(i % LEDGER_BATCH == 0 && i > LEDGER_BATCH, "failed at %llu", (unsigned long long)i);
    expect_failed(ledger, "disk I/O error");
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ledger = open_as("s");
    expect_range(ledger, 0, i - LEDGER_BATCH);
    expect_unknown(ledger, i - 1);
    close_well(ledger);
    cr_expect_str_eq(sql("l.db", "PRAGMA integrity_check"), "ok");
}

Test(ledger, one_that_stays_locked_is_an_error)
{
    struct ledger *ledger = open_as("s");
    struct bgd_err err = {0};
    struct ledger_entry entry = entry_of(3);
    cr_expect_eq(asked_ms, 30000);
    tries_max = 5;
    keep_well(ledger, 3, &entry);
    sqlite3 *other;
    cr_assert_eq(sqlite3_open("l.db", &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    expect_found(ledger, 3, &entry); /* readers are not disturbed */
    expect_unknown(ledger, 4);
    check_refused("l.db", BGD_WRITE, "locked");
    for (uint64_t i = 1; i < LEDGER_BATCH - 1; i++)
        keep_well(ledger, 100, &entry);
    cr_expect_eq(keep(ledger, 100, &entry, &err), BGD_WRITE, "%s", err.text);
    cr_assert_eq(sqlite3_close(other), SQLITE_OK);
    expect_failed(ledger, "another process has locked it for 30 s");
    ledger = open_as("s");
    expect_unknown(ledger, 3);
    close_well(ledger);
}

Test(ledger, one_that_kept_nothing_closes_whoever_has_locked_it)
{
    struct ledger *ledger = open_as("s");
    sqlite3 *other;
    tries_max = 0;
    cr_assert_eq(sqlite3_open("l.db", &other), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    close_well(ledger);
    cr_assert_eq(sqlite3_close(other), SQLITE_OK);
}

/* The file is locked as by a process that creates the tables. */
static void write_for_100_ms(uint64_t unused)
{
    (void)unused;
    sqlite3 *db;
    if (sqlite3_open("l.db", &db) || sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) || write(reports[1], "", 1) != 1)
        _exit(1);
    usleep(100000);
}

Test(ledger, creating_one_waits_for_another_that_creates_it)
{
    char locked;
    cr_assert_eq(pipe(reports), 0);
    scratch_text("l.db", "");
    pid_t other = child(write_for_100_ms, 0);
    cr_assert_eq(read(reports[0], &locked, 1), 1);
    close_well(open_as("s"));
    cr_expect_eq(wait_for(other), 0);
}

Test(ledger, a_writer_waits_for_nobody_before_its_batch_is_full)
{
    struct ledger *a = open_as("s"), *b = open_as("s");
    tries_max = 0;
    keep_range(a, 0, LEDGER_BATCH - 1);
    keep_range(b, 5000, 5000 + LEDGER_BATCH - 1);
    expect_unknown(b, 0);
    keep_range(a, LEDGER_BATCH - 1, LEDGER_BATCH);
    expect_range(b, 0, LEDGER_BATCH);
    close_well(b);
    close_well(a);
}

Test(ledger, a_place_that_cannot_be_written_is_named)
{
    cr_assert_eq(mkdir("folder", 0700), 0);
    scratch_text("file", "");
    check_refused("no/such/folder/l.db", BGD_WRITE, "No such file");
    check_refused("file/l.db", BGD_WRITE, "unable to open");
    check_refused("folder", BGD_WRITE, "unable to open");
    check_refused("", BGD_WRITE, "unable to open");
}

Test(ledger, one_that_may_only_be_read_is_refused)
{
    close_well(open_as("s"));
    cr_assert_eq(mkdir("folder", 0555), 0);
    cr_assert_eq(chmod(".", 0755), 0);
    cr_assert_eq(chmod("l.db", 0444), 0);
    bool root = geteuid() == 0; /* root writes everything */
    cr_assert(!root || seteuid(65534) == 0);
    check_refused("l.db", BGD_WRITE, "attempt to write a readonly database");
    check_refused("folder/l.db", BGD_WRITE, "unable to open");
    cr_assert(!root || seteuid(0) == 0);
}

Test(ledger, the_names_that_sqlite_reserves_are_files)
{
    struct ledger *ledger;
    struct bgd_err err = {0};
    cr_assert_eq(ledger_open(":memory:", "s", &ledger, &err), 0, "%s", err.text);
    close_well(ledger);
    cr_expect_eq(access("./:memory:", F_OK), 0);
}

Test(ledger, closing_none_is_fine)
{
    struct bgd_err err = {0};
    cr_expect_eq(ledger_close(NULL, &err), 0);
}

/* ---------------------------------------------------------------- what is no ledger */

static void check_refused_and_left_alone(const char *path, enum bgd_code code, const char *text)
{
    size_t before_size, after_size;
    char *before = scratch_read(path, &before_size);
    check_refused(path, code, text);
    char *after = scratch_read(path, &after_size);
    cr_expect(before_size == after_size && memcmp(before, after, before_size) == 0, "%s was changed", path);
    free(before);
    free(after);
}

Test(ledger, what_is_no_ledger_is_refused_and_left_alone)
{
    char *text = malloc(10000);
    memset(text, 'x', 10000);
    scratch_write("rows.jsonl", text, 10000);
    free(text);
    scratch_text("short.txt", "{}\n");
    sql("shop.db", "CREATE TABLE cards (id)");
    sql("gis.db", "PRAGMA application_id = 1196444487");
    close_well(open_as("s"));
    sql("l.db", "PRAGMA user_version = 2");
    check_refused_and_left_alone("rows.jsonl", BGD_ARGUMENT, "no SQLite database, expected a ledger");
    check_refused_and_left_alone("short.txt", BGD_ARGUMENT, "no SQLite database, expected a ledger");
    check_refused_and_left_alone("shop.db", BGD_ARGUMENT, "(application_id 0), expected a ledger");
    check_refused_and_left_alone("gis.db", BGD_ARGUMENT, "(application_id 1196444487), expected a ledger");
    check_refused_and_left_alone("l.db", BGD_ARGUMENT, "version 2, expected 1");
}

Test(ledger, an_empty_file_becomes_one)
{
    scratch_text("l.db", "");
    struct ledger *ledger = open_as("s");
    keep_range(ledger, 0, 10);
    close_well(ledger);
    cr_expect_str_eq(sql("l.db", "PRAGMA application_id"), "1650943084"); /* "bgdl" */
    cr_expect_str_eq(sql("l.db", "PRAGMA journal_mode"), "wal");
}

/* Opens and reads all; returns the first error. */
static int read_all(const char *path, uint64_t n, struct bgd_err *err)
{
    struct ledger *ledger;
    struct ledger_entry entry;
    int code = ledger_open(path, "s", &ledger, err);
    for (uint64_t i = 0; i < n && code >= 0; i++)
        code = find(ledger, i, &entry, err);
    struct bgd_err ignored;
    ledger_close(ledger, &ignored);
    return code < 0 ? code : 0;
}

Test(ledger, a_damaged_file_is_an_error_that_names_it)
{
    struct ledger *ledger = open_as("s");
    struct bgd_err err = {0};
    size_t size;
    keep_range(ledger, 0, 2000);
    close_well(ledger);
    char *data = scratch_read("l.db", &size);
    scratch_write("cut.db", data, size / 2);
    cr_expect_eq(read_all("cut.db", 2000, &err), BGD_DAMAGED, "%s", err.text);
    cr_expect(strstr(err.text, "cut.db: a damaged ledger: "), "%s", err.text);
    sql("l.db", "DROP TABLE files");
    check_refused("l.db", BGD_DAMAGED, "no such table");
    for (uint64_t k = 0; k < 200; k++) { /* a page of noise somewhere: an error or an answer, never a crash */
        char *copy = malloc(size);
        memcpy(copy, data, size);
        size_t at = random_bits(21, k) % (size / 512) * 512;
        for (size_t i = 0; i < 512; i++)
            copy[at + i] = (char)random_bits(22, 512 * k + i);
        scratch_write("noise.db", copy, size);
        int code = read_all("noise.db", 2000, &err);
        cr_expect(code == 0 || (code == (int)err.code && strstr(err.text, "noise.db: ")), "%d: %s", code, err.text);
        free(copy);
    }
    free(data);
}

static void expect_tampered(const char *change)
{
    struct bgd_err err = {0};
    struct ledger_entry entry;
    uint8_t hash[HASH_BYTES];
    char text[HASH_TEXT];
    sql("l.db", "UPDATE results SET entry = (SELECT entry FROM good)");
    sql("l.db", change);
    struct ledger *ledger = open_as("s");
    hash_of(1, hash);
    hash_print(hash, text);
    cr_expect_eq(find(ledger, 1, &entry, &err), BGD_DAMAGED, "%s", change);
    cr_expect(strstr(err.text, "l.db: ") && strstr(err.text, text), "%s: %s", change, err.text);
    struct ledger_entry again = entry_of(1);
    keep_well(ledger, 1, &again); /* and it is mended by what is known better */
    expect_found(ledger, 1, &again);
    close_well(ledger);
}

/* Byte `at` of the entry, from 0, becomes `value`. */
static void expect_byte_refused(int at, int value)
{
    char change[256];
    snprintf(change, sizeof change,
             "UPDATE results SET entry = CAST(substr(entry, 1, %d) || x'%02x' || substr(entry, %d) AS BLOB)", at, value,
             at + 2);
    expect_tampered(change);
}

Test(ledger, an_entry_that_was_tampered_with_is_never_trusted)
{
    struct ledger *ledger = open_as("s");
    struct ledger_entry entry = entry_of(2); /* two regions: 40 + 2 * 22 bytes, and 3 of the detail */
    entry.code = BGD_DAMAGED;
    strcpy(entry.detail, "cut");
    keep_well(ledger, 1, &entry);
    close_well(ledger);
    cr_assert_str_eq(sql("l.db", "CREATE TABLE good AS SELECT entry FROM results; SELECT length(entry) FROM good"), "87");
    for (int size = 0; size < 87; size++) {
        char change[128];
        snprintf(change, sizeof change, "UPDATE results SET entry = substr(entry, 1, %d)", size);
        expect_tampered(change);
    }
    expect_tampered("UPDATE results SET entry = CAST(entry || x'00' AS BLOB)");
    expect_tampered("UPDATE results SET entry = 5");
    expect_tampered("UPDATE results SET entry = zeroblob(1000000)");
    expect_tampered("UPDATE results SET entry = CAST(substr(entry, 1, 5) || x'00' || substr(entry, 7, 32) || x'0004' || "
                    "replace(hex(zeroblob(512)), '0', 'd') AS BLOB)"); /* a detail of 1024 bytes leaves no room for a NUL */
    /* One region more than there can be, and all of their bytes. */
    expect_tampered("UPDATE results SET entry = CAST(substr(entry, 1, 5) || x'11' || substr(entry, 7, 32) || "
                    "zeroblob(17 * 22 + 2) AS BLOB)");
    expect_byte_refused(0, 2);                   /* version */
    expect_byte_refused(1, -BGD_NETWORK + 1);    /* code */
    expect_byte_refused(2, BGD_TGA + 1);         /* format */
    expect_byte_refused(3, BGD_VERDICTS);        /* verdict */
    expect_byte_refused(4, 1 << BGD_REASONS);    /* holds */
    expect_byte_refused(5, 1);                   /* n_regions: too few, */
    expect_byte_refused(5, 3);                   /* too many, */
    expect_byte_refused(5, BGD_REGIONS_MAX + 1); /* more than there can be */
    expect_byte_refused(5, 255);                 /* */
    expect_byte_refused(38, BGD_REASONS);        /* a region's reason */
    expect_byte_refused(38 + 23, BGD_SIDES);     /* the second's side */
    expect_byte_refused(38 + 44, 2);             /* length of the detail */
    expect_byte_refused(38 + 44, 4);             /* */
    expect_byte_refused(38 + 45, 4);             /* */
    expect_byte_refused(38 + 46, 0);             /* a NUL in it */
}

Test(ledger, a_files_hash_that_was_tampered_with_is_never_trusted)
{
    struct ledger *ledger = open_as("s");
    struct bgd_err err = {0};
    uint8_t hash[HASH_BYTES];
    keep_file(ledger, "a.jpg", 1, 1, 1);
    close_well(ledger);
    sql("l.db", "UPDATE files SET hash = x'00112233'");
    ledger = open_as("s");
    cr_expect_eq(ledger_find_file(ledger, "a.jpg", 1, 1, hash, &err), BGD_DAMAGED);
    cr_expect(strstr(err.text, "l.db: the hash of file a.jpg: 4 bytes, expected 16"), "%s", err.text);
    close_well(ledger);
}
