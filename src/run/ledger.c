#include "ledger.h"

#include "../bytes.h"
#include "../err.h"

#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPLICATION 0x6267646c /* "bgdl" */
#define VERSION 1
#define PATIENCE 30 /* seconds for another process's lock */

#define TEXT(macro) TEXT_OF(macro)
#define TEXT_OF(macro) #macro

struct ledger {
    char *path;
    pthread_mutex_t lock; /* guards all below */
    sqlite3 *db;
    sqlite3_stmt *find, *keep, *find_file, *keep_file;
    int64_t settings; /* number of the settings' text */
    uint32_t pending; /* calls of keep since the last commit */
    struct bgd_err failed;
};

/* ---------------------------------------------------------------- an entry as bytes */

/*
 * Little-endian: version 1, -code, format, verdict, holds (bit i: reason i), n_regions: u8; width, height: u32; score, reasons:
 * f32; per region: reason, side: u8, left, top, right, bottom, share: f32; bytes of detail: u16, detail. A clean card has 40
 * bytes. Floats are moved as bits: a NAN keeps its own.
 */
#define ENTRY_VERSION 1
#define ENTRY_MAX (6 + 8 + 4 * (1 + BGD_REASONS) + 22 * BGD_REGIONS_MAX + 2 + sizeof((struct ledger_entry *)0)->detail)

static uint8_t *put_little(uint8_t *p, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *p++ = (uint8_t)(value >> 8 * i);
    return p;
}

static uint8_t *put_floats(uint8_t *p, const float *values, int n)
{
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        p = put_little(p, bits, 4);
    }
    return p;
}

static bool take_floats(struct bytes *b, float *values, int n)
{
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        if (!bytes_u32le(b, &bits))
            return false;
        memcpy(&values[i], &bits, sizeof bits);
    }
    return true;
}

/* A byte below `end`. */
static bool take_below(struct bytes *b, uint32_t end, uint8_t *out)
{
    return bytes_u8(b, out) && *out < end;
}

static uint8_t *put_region(uint8_t *p, const struct bgd_region *region)
{
    p = put_little(p, region->reason, 1);
    p = put_little(p, region->side, 1);
    return put_floats(p, (const float[]){region->left, region->top, region->right, region->bottom, region->share}, 5);
}

static bool take_region(struct bytes *b, struct bgd_region *region)
{
    uint8_t reason, side;
    float box[5];
    if (!take_below(b, BGD_REASONS, &reason) || !take_below(b, BGD_SIDES, &side) || !take_floats(b, box, 5))
        return false;
    *region = (struct bgd_region){reason, side, box[0], box[1], box[2], box[3], box[4]};
    return true;
}

static uint32_t holds_to_bits(const bool holds[BGD_REASONS])
{
    uint32_t bits = 0;
    for (int i = 0; i < BGD_REASONS; i++)
        bits |= (uint32_t)holds[i] << i;
    return bits;
}

/* Returns the bytes written. */
static size_t entry_write(const struct ledger_entry *entry, uint8_t out[ENTRY_MAX])
{
    const struct bgd_result *result = &entry->result;
    size_t detail = strlen(entry->detail);
    assert(entry->code <= 0 && entry->code >= BGD_NETWORK && detail < sizeof entry->detail);
    assert(result->verdict < BGD_VERDICTS && result->n_regions <= BGD_REGIONS_MAX && entry->format <= BGD_TGA);
    uint8_t *p = put_little(out, ENTRY_VERSION, 1);
    p = put_little(p, (uint32_t)-entry->code, 1);
    p = put_little(p, entry->format, 1);
    p = put_little(p, result->verdict, 1);
    p = put_little(p, holds_to_bits(result->holds), 1);
    p = put_little(p, result->n_regions, 1);
    p = put_little(p, entry->width, 4);
    p = put_little(p, entry->height, 4);
    p = put_floats(p, &result->score, 1);
    p = put_floats(p, result->reasons, BGD_REASONS);
    for (uint32_t i = 0; i < result->n_regions; i++)
        p = put_region(p, &result->regions[i]);
    p = put_little(p, (uint32_t)detail, 2);
    memcpy(p, entry->detail, detail);
    return (size_t)(p - out) + detail;
}

/* False if the bytes are not what entry_write makes. */
static bool entry_read(struct bytes b, struct ledger_entry *entry)
{
    uint8_t version, code, format, verdict, holds, n_regions;
    uint16_t length;
    const uint8_t *detail;
    struct bgd_result *result = &entry->result;
    memset(entry, 0, sizeof *entry);
    if (!bytes_u8(&b, &version) || version != ENTRY_VERSION || !take_below(&b, -BGD_NETWORK + 1, &code) ||
        !take_below(&b, BGD_TGA + 1, &format) || !take_below(&b, BGD_VERDICTS, &verdict) ||
        !take_below(&b, 1u << BGD_REASONS, &holds) || !take_below(&b, BGD_REGIONS_MAX + 1, &n_regions) ||
        !bytes_u32le(&b, &entry->width) || !bytes_u32le(&b, &entry->height) || !take_floats(&b, &result->score, 1) ||
        !take_floats(&b, result->reasons, BGD_REASONS))
        return false;
    for (uint32_t i = 0; i < n_regions; i++)
        if (!take_region(&b, &result->regions[i]))
            return false;
    if (!bytes_u16le(&b, &length) || length >= sizeof entry->detail || !bytes_take(&b, length, &detail) || bytes_left(&b) ||
        memchr(detail, 0, length))
        return false;
    entry->code = -code;
    entry->format = format;
    result->verdict = verdict;
    for (int i = 0; i < BGD_REASONS; i++)
        result->holds[i] = holds >> i & 1;
    result->n_regions = n_regions;
    memcpy(entry->detail, detail, length);
    return true;
}

/* ---------------------------------------------------------------- SQLite */

static int sqlite_failed(const struct ledger *ledger, struct bgd_err *err)
{
    int status = sqlite3_errcode(ledger->db);
    int reason = sqlite3_system_errno(ledger->db); /* 0 where SQLite does not tell */
    const char *text = sqlite3_errmsg(ledger->db);
    switch (status) {
    case SQLITE_NOMEM: return err_set(err, BGD_MEMORY, "%s: out of memory", ledger->path);
    case SQLITE_NOTADB: return err_set(err, BGD_ARGUMENT, "%s: no SQLite database, expected a ledger", ledger->path);
    case SQLITE_CORRUPT:
    case SQLITE_ERROR: /* our statements do not fit its tables */
        return err_set(err, BGD_DAMAGED, "%s: a damaged ledger: %s", ledger->path, text);
    case SQLITE_BUSY:
        return err_set(err, BGD_WRITE, "%s: another process has locked it for " TEXT(PATIENCE) " s", ledger->path);
    default:
        return err_set(err, BGD_WRITE, "%s: %s%s%s", ledger->path, text, reason ? ": " : "", reason ? strerror(reason) : "");
    }
}

static int execute(const struct ledger *ledger, const char *sql, struct bgd_err *err)
{
    return sqlite3_exec(ledger->db, sql, NULL, NULL, NULL) ? sqlite_failed(ledger, err) : 0;
}

static int take_text(void *out, int columns, char **values, char **names)
{
    (void)columns, (void)names;
    snprintf(out, 32, "%s", values[0]);
    return 0;
}

/* The first column of what `sql` answers. */
static int ask(const struct ledger *ledger, const char *sql, char answer[32], struct bgd_err *err)
{
    *answer = 0;
    return sqlite3_exec(ledger->db, sql, take_text, answer, NULL) ? sqlite_failed(ledger, err) : 0;
}

static int prepare(const struct ledger *ledger, const char *sql, sqlite3_stmt **out, struct bgd_err *err)
{
    return sqlite3_prepare_v3(ledger->db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) ? sqlite_failed(ledger, err) : 0;
}

/* Runs a statement that answers nothing. */
static int run(const struct ledger *ledger, sqlite3_stmt *statement, struct bgd_err *err)
{
    sqlite3_step(statement);
    return sqlite3_reset(statement) ? sqlite_failed(ledger, err) : 0;
}

/* ---------------------------------------------------------------- open */

#define TABLES(schema)                                                                                                         \
    "CREATE TABLE " schema ".results (settings INTEGER, hash BLOB, entry BLOB NOT NULL, PRIMARY KEY (settings, hash))"         \
    " WITHOUT ROWID;"                                                                                                          \
    "CREATE TABLE " schema ".files (name BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime INTEGER NOT NULL, hash BLOB NOT NULL)" \
    " WITHOUT ROWID;"

/* What is kept waits in `pending`, in memory, until it is written at once: so the file is locked for no longer than that takes,
 * and one statement finds what is in either. */
static const char find[] = "SELECT coalesce((SELECT entry FROM pending.results WHERE settings = ?1 AND hash = ?2),"
                           " (SELECT entry FROM main.results WHERE settings = ?1 AND hash = ?2))";
static const char keep[] = "INSERT OR REPLACE INTO pending.results VALUES (?1, ?2, ?3)";
static const char find_file[] = "SELECT coalesce((SELECT hash FROM pending.files WHERE name = ?1 AND size = ?2 AND mtime = ?3),"
                                " (SELECT hash FROM main.files WHERE name = ?1 AND size = ?2 AND mtime = ?3"
                                " AND NOT EXISTS (SELECT 1 FROM pending.files WHERE name = ?1)))";
static const char keep_file[] = "INSERT OR REPLACE INTO pending.files VALUES (?1, ?2, ?3, ?4)";
static const char commit_pending[] = "BEGIN IMMEDIATE;"
                                     "INSERT OR REPLACE INTO main.results SELECT * FROM pending.results;"
                                     "INSERT OR REPLACE INTO main.files SELECT * FROM pending.files;"
                                     "DELETE FROM pending.results;"
                                     "DELETE FROM pending.files;"
                                     "COMMIT";

static int connect_to(struct ledger *ledger, struct bgd_err *err)
{
    /* A leading "./", or SQLite would take ":memory:" and "" for databases that are no files. */
    char *path = NULL;
    if (asprintf(&path, "%s%s", *ledger->path == '/' ? "" : "./", ledger->path) < 0)
        return err_set(err, BGD_MEMORY, "out of memory");
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int status = sqlite3_open_v2(path, &ledger->db, flags, NULL);
    free(path);
    if (status)
        return sqlite_failed(ledger, err);
    sqlite3_busy_timeout(ledger->db, PATIENCE * 1000);
    /* The file may be anybody's: what its schema says is not run, and its pages are checked as they are read. */
    return execute(ledger, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", err);
}

/* Whether the database is one without any tables, which may become a ledger; refuses what is no ledger of our version. */
static int check_kind(const struct ledger *ledger, bool *is_new, struct bgd_err *err)
{
    char tables[32], application[32], version[32];
    if (ask(ledger, "SELECT count(*) FROM main.sqlite_schema", tables, err) ||
        ask(ledger, "PRAGMA main.application_id", application, err) || ask(ledger, "PRAGMA main.user_version", version, err))
        return err->code;
    *is_new = atoi(tables) == 0 && atoi(application) == 0;
    if (*is_new)
        return 0;
    if (atoi(application) != APPLICATION)
        return err_set(err, BGD_ARGUMENT, "%s: another program's SQLite database (application_id %s), expected a ledger (%d)",
                       ledger->path, application, APPLICATION);
    if (atoi(version) != VERSION)
        return err_set(err, BGD_ARGUMENT, "%s: a ledger of version %s, expected " TEXT(VERSION), ledger->path, version);
    return 0;
}

/* For this change SQLite does not wait for others, who may be creating the ledger just now: so we do. */
static int use_wal(const struct ledger *ledger, struct bgd_err *err)
{
    char mode[32];
    for (int tries = 1; ask(ledger, "PRAGMA main.journal_mode = WAL", mode, err); tries++) {
        if (sqlite3_errcode(ledger->db) != SQLITE_BUSY || tries == 100 * PATIENCE)
            return err->code;
        sqlite3_sleep(10);
    }
    if (strcmp(mode, "wal") != 0)
        return err_set(err, BGD_WRITE, "%s: its file system has no shared memory, which SQLite's WAL needs", ledger->path);
    return execute(ledger, "PRAGMA synchronous = NORMAL", err);
}

static int create_tables(const struct ledger *ledger, struct bgd_err *err)
{
    return execute(
        ledger,
        "PRAGMA main.application_id = " TEXT(
            APPLICATION) ";"
                         "PRAGMA main.user_version = " TEXT(
                             VERSION) ";"
                                      "CREATE TABLE main.settings (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);" TABLES(
                                          "main"),
        err);
}

/* The number that stands for the settings in every row. */
static int number_settings(struct ledger *ledger, const char *settings, struct bgd_err *err)
{
    sqlite3_stmt *add = NULL, *number = NULL;
    int code = prepare(ledger, "INSERT OR IGNORE INTO main.settings (text) VALUES (?1)", &add, err);
    if (!code)
        code = prepare(ledger, "SELECT id FROM main.settings WHERE text = ?1", &number, err);
    if (!code) {
        sqlite3_bind_text(add, 1, settings, -1, SQLITE_STATIC);
        sqlite3_bind_text(number, 1, settings, -1, SQLITE_STATIC);
        code = run(ledger, add, err);
    }
    if (!code && sqlite3_step(number) != SQLITE_ROW)
        code = sqlite_failed(ledger, err);
    if (!code)
        ledger->settings = sqlite3_column_int64(number, 0);
    sqlite3_finalize(add);
    sqlite3_finalize(number);
    return code;
}

/* In one transaction: of processes that create a ledger at the same time, one does. */
static int set_up(struct ledger *ledger, const char *settings, struct bgd_err *err)
{
    bool is_new;
    if (execute(ledger, "BEGIN IMMEDIATE", err) || check_kind(ledger, &is_new, err) || (is_new && create_tables(ledger, err)) ||
        number_settings(ledger, settings, err) || execute(ledger, "COMMIT", err))
        return err->code;
    return 0;
}

static int prepare_all(struct ledger *ledger, struct bgd_err *err)
{
    if (execute(ledger, "ATTACH ':memory:' AS pending;" TABLES("pending"), err) || prepare(ledger, find, &ledger->find, err) ||
        prepare(ledger, keep, &ledger->keep, err) || prepare(ledger, find_file, &ledger->find_file, err) ||
        prepare(ledger, keep_file, &ledger->keep_file, err))
        return err->code;
    sqlite3_bind_int64(ledger->find, 1, ledger->settings);
    sqlite3_bind_int64(ledger->keep, 1, ledger->settings);
    return 0;
}

static void release(struct ledger *ledger)
{
    sqlite3_finalize(ledger->find);
    sqlite3_finalize(ledger->keep);
    sqlite3_finalize(ledger->find_file);
    sqlite3_finalize(ledger->keep_file);
    sqlite3_close(ledger->db);
    pthread_mutex_destroy(&ledger->lock);
    free(ledger->path);
    free(ledger);
}

int ledger_open(const char *path, const char *settings, struct ledger **out, struct bgd_err *err)
{
    bool is_new;
    *out = NULL;
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return err_set(err, BGD_MEMORY, "out of memory");
    pthread_mutex_init(&ledger->lock, NULL);
    ledger->path = strdup(path);
    if (!ledger->path)
        err_set(err, BGD_MEMORY, "out of memory");
    /* The kind is asked before the first byte is written. */
    else if (connect_to(ledger, err) == 0 && check_kind(ledger, &is_new, err) == 0 && use_wal(ledger, err) == 0 &&
             set_up(ledger, settings, err) == 0 && prepare_all(ledger, err) == 0) {
        *out = ledger;
        return 0;
    }
    release(ledger);
    return err->code;
}

/* ---------------------------------------------------------------- keep and find */

/* Takes the lock. After a failed commit there is nothing but that failure to be had. */
static int enter(struct ledger *ledger, struct bgd_err *err)
{
    pthread_mutex_lock(&ledger->lock);
    *err = ledger->failed;
    return err->code;
}

static int leave(struct ledger *ledger, int code)
{
    pthread_mutex_unlock(&ledger->lock);
    return code;
}

static int commit(struct ledger *ledger, struct bgd_err *err)
{
    if (ledger->pending == 0)
        return 0;
    if (execute(ledger, commit_pending, err)) {
        ledger->failed = *err;
        sqlite3_exec(ledger->db, "ROLLBACK", NULL, NULL, NULL); /* may have happened already */
        return err->code;
    }
    ledger->pending = 0;
    return 0;
}

/* Runs a statement that puts a row into `pending`. */
static int keep_row(struct ledger *ledger, sqlite3_stmt *statement, struct bgd_err *err)
{
    if (run(ledger, statement, err))
        return err->code;
    return ++ledger->pending < LEDGER_BATCH ? 0 : commit(ledger, err);
}

/* Runs a statement that answers with a blob or NULL. 1: the blob is at `*blob` until sqlite3_reset; 0: NULL. */
static int find_blob(const struct ledger *ledger, sqlite3_stmt *statement, struct bytes *blob, struct bgd_err *err)
{
    *blob = (struct bytes){0}; /* gcc 12 at -O3 does not see that what is not found is not read */
    if (sqlite3_step(statement) != SQLITE_ROW)
        return sqlite_failed(ledger, err);
    if (sqlite3_column_type(statement, 0) == SQLITE_NULL)
        return 0;
    const void *data = sqlite3_column_blob(statement, 0);
    *blob = bytes_of(data, (size_t)sqlite3_column_bytes(statement, 0));
    return 1;
}

int ledger_find(struct ledger *ledger, const uint8_t hash[HASH_BYTES], struct ledger_entry *entry, struct bgd_err *err)
{
    struct bytes blob;
    if (enter(ledger, err))
        return leave(ledger, err->code);
    sqlite3_bind_blob(ledger->find, 2, hash, HASH_BYTES, SQLITE_STATIC);
    int found = find_blob(ledger, ledger->find, &blob, err);
    if (found == 1 && !entry_read(blob, entry)) {
        char text[HASH_TEXT];
        hash_print(hash, text);
        found = err_set(err, BGD_DAMAGED, "%s: the entry of %s: %zu bytes that are no entry of version " TEXT(ENTRY_VERSION),
                        ledger->path, text, blob.size);
    }
    sqlite3_reset(ledger->find);
    return leave(ledger, found);
}

int ledger_keep(struct ledger *ledger, const uint8_t hash[HASH_BYTES], const struct ledger_entry *entry, struct bgd_err *err)
{
    uint8_t blob[ENTRY_MAX];
    size_t size = entry_write(entry, blob);
    if (enter(ledger, err))
        return leave(ledger, err->code);
    sqlite3_bind_blob(ledger->keep, 2, hash, HASH_BYTES, SQLITE_STATIC);
    sqlite3_bind_blob(ledger->keep, 3, blob, (int)size, SQLITE_STATIC);
    return leave(ledger, keep_row(ledger, ledger->keep, err));
}

static void bind_file(sqlite3_stmt *statement, const char *name, uint64_t size, int64_t mtime)
{
    sqlite3_bind_blob64(statement, 1, name, strlen(name), SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)size);
    sqlite3_bind_int64(statement, 3, mtime);
}

int ledger_find_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, uint8_t hash[HASH_BYTES],
                     struct bgd_err *err)
{
    struct bytes blob;
    if (enter(ledger, err))
        return leave(ledger, err->code);
    bind_file(ledger->find_file, name, size, mtime);
    int found = find_blob(ledger, ledger->find_file, &blob, err);
    if (found == 1 && blob.size != HASH_BYTES)
        found = err_set(err, BGD_DAMAGED, "%s: the hash of file %s: %zu bytes, expected %d", ledger->path, name, blob.size,
                        HASH_BYTES);
    if (found == 1)
        memcpy(hash, blob.data, HASH_BYTES);
    sqlite3_reset(ledger->find_file);
    return leave(ledger, found);
}

int ledger_keep_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, const uint8_t hash[HASH_BYTES],
                     struct bgd_err *err)
{
    if (enter(ledger, err))
        return leave(ledger, err->code);
    bind_file(ledger->keep_file, name, size, mtime);
    sqlite3_bind_blob(ledger->keep_file, 4, hash, HASH_BYTES, SQLITE_STATIC);
    return leave(ledger, keep_row(ledger, ledger->keep_file, err));
}

int ledger_close(struct ledger *ledger, struct bgd_err *err)
{
    if (!ledger)
        return 0;
    *err = ledger->failed;
    int code = err->code ? err->code : commit(ledger, err);
    release(ledger);
    return code;
}
