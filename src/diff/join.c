#include "join.h"

#include "../err.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

/* A row copied out of the table: `row` borrows from `text`. */
struct kept {
    struct join_row row;
    char *text;
    size_t capacity;
};

struct join {
    sqlite3 *database;
    sqlite3_stmt *insert, *sorted;
    struct kept kept[2];
    bool started, more; /* `sorted` has been asked for rows; it stands on one */
};

#define STRING_OF(number) #number
#define STRING(number) STRING_OF(number)

/* The name "" is a private database in a temporary file. Nothing in it outlives the program, so nothing is synced or undone. */
static const char prepare[] =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
    "PRAGMA cache_size = -" STRING(JOIN_MEMORY_KB) ";"
                                                   "CREATE TABLE rows(side INTEGER, id BLOB, grp BLOB, facts BLOB); BEGIN";

static const char insert[] = "INSERT INTO rows VALUES(?, ?, ?, ?)";

/* Rows of a side are in their own order: the first of an id counts. */
static const char sorted[] = "SELECT side, id, grp, facts FROM rows ORDER BY id, rowid";

static int failed(const struct join *join, struct bgd_err *err)
{
    int code = join->database ? sqlite3_errcode(join->database) : SQLITE_NOMEM;
    if (code == SQLITE_NOMEM)
        return err_set(err, BGD_MEMORY, "out of memory");
    return err_set(err, BGD_WRITE, "temporary files ($TMPDIR): %s", sqlite3_errmsg(join->database));
}

int join_open(struct join **out, struct bgd_err *err)
{
    *out = NULL;
    struct join *join = calloc(1, sizeof *join);
    if (!join)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (sqlite3_open("", &join->database) || sqlite3_exec(join->database, prepare, NULL, NULL, NULL) ||
        sqlite3_prepare_v2(join->database, insert, -1, &join->insert, NULL) ||
        sqlite3_prepare_v2(join->database, sorted, -1, &join->sorted, NULL)) {
        failed(join, err);
        join_close(join);
        return err->code;
    }
    *out = join;
    return 0;
}

void join_close(struct join *join)
{
    if (!join)
        return;
    sqlite3_finalize(join->insert);
    sqlite3_finalize(join->sorted);
    sqlite3_close(join->database);
    for (int side = 0; side < 2; side++)
        free(join->kept[side].text);
    free(join);
}

int join_add(struct join *join, int side, const struct row *row, struct bgd_err *err)
{
    sqlite3_stmt *statement = join->insert;
    sqlite3_reset(statement);
    if (sqlite3_bind_int(statement, 1, side) || sqlite3_bind_blob64(statement, 2, row->id, strlen(row->id), SQLITE_STATIC) ||
        sqlite3_bind_blob64(statement, 3, row->group, strlen(row->group), SQLITE_STATIC) ||
        sqlite3_bind_blob64(statement, 4, &row->facts, sizeof row->facts, SQLITE_STATIC) ||
        sqlite3_step(statement) != SQLITE_DONE)
        return failed(join, err);
    return 0;
}

/* Goes to the next row in the order of ids. */
static int step(struct join *join, struct bgd_err *err)
{
    int code = sqlite3_step(join->sorted);
    join->more = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : failed(join, err);
}

static int side_of(const struct join *join)
{
    return sqlite3_column_int(join->sorted, 0);
}

/* Copies a column's bytes and a NUL to `to`, and returns where the next may go. */
static char *take_text(const struct join *join, int column, char *to)
{
    const void *bytes = sqlite3_column_blob(join->sorted, column);
    size_t size = (size_t)sqlite3_column_bytes(join->sorted, column);
    if (size > 0)
        memcpy(to, bytes, size);
    to[size] = 0;
    return to + size + 1;
}

/* Copies the row that the table stands on. */
static int keep(struct join *join, struct kept *kept, struct bgd_err *err)
{
    size_t size = (size_t)sqlite3_column_bytes(join->sorted, 1) + (size_t)sqlite3_column_bytes(join->sorted, 2) + 2;
    if (size > kept->capacity) {
        char *grown = realloc(kept->text, size);
        if (!grown)
            return err_set(err, BGD_MEMORY, "out of memory");
        kept->text = grown;
        kept->capacity = size;
    }
    memcpy(&kept->row.facts, sqlite3_column_blob(join->sorted, 3), sizeof kept->row.facts);
    kept->row.id = kept->text;
    kept->row.group = take_text(join, 1, kept->text);
    take_text(join, 2, kept->text + strlen(kept->text) + 1);
    return 0;
}

static bool has_id(const struct join *join, const char *id)
{
    size_t size = strlen(id);
    return (size_t)sqlite3_column_bytes(join->sorted, 1) == size && memcmp(sqlite3_column_blob(join->sorted, 1), id, size) == 0;
}

int join_next(struct join *join, struct join_pair *pair, struct bgd_err *err)
{
    *pair = (struct join_pair){0};
    if (!join->started && step(join, err))
        return err->code;
    join->started = true;
    if (!join->more)
        return 0;
    const char *id = NULL;
    do {
        int side = side_of(join);
        if (pair->rows[side])
            pair->repeats[side]++;
        else if (keep(join, &join->kept[side], err))
            return err->code;
        pair->rows[side] = &join->kept[side].row;
        id = pair->rows[side]->id;
        if (step(join, err))
            return err->code;
    } while (join->more && has_id(join, id));
    return 1;
}
