/*
 * A full outer join of two runs by their cards' ids, in any order and of any length.
 *
 * A sort-merge join: rows go into a temporary table of SQLite, which sorts them by id and hands them back. Table and sorter use
 * a fixed share of memory (JOIN_MEMORY_KB each) and, beyond it, files without names in $TMPDIR or /tmp: some 150 bytes a
 * row while they are sorted. One way for all inputs, though rows of the same catalogue come in the same order and could be
 * merged as they are: without the table, an id that stands twice in a run would not be noticed.
 */
#ifndef BGD_DIFF_JOIN_H
#define BGD_DIFF_JOIN_H

#include "row.h"

#define JOIN_MEMORY_KB 65536

struct join;

/* What of a row is kept. */
struct join_row {
    const char *id, *group;
    struct row_facts facts;
};

/* Of one id: its first row on each side, and how many more there are. */
struct join_pair {
    const struct join_row *rows[2]; /* NULL: the side has none; never both */
    uint64_t repeats[2];
};

/* An empty table. BGD_MEMORY, BGD_WRITE: no room for temporary files. */
int join_open(struct join **join, struct bgd_err *err);
void join_close(struct join *join);

/* Adds a row of side 0 or 1; not after the first join_next. BGD_MEMORY, BGD_WRITE. */
int join_add(struct join *join, int side, const struct row *row, struct bgd_err *err);

/* 1: `pair` is of the next id, in the order of their bytes, borrowed until the next call. 0: there are no more. */
int join_next(struct join *join, struct join_pair *pair, struct bgd_err *err);

#endif
