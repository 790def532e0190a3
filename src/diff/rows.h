/*
 * The rows of a run, one after another: of a JSONL file, or of a folder of shards (`score --out`), shard-00000000.jsonl,
 * shard-00000001.jsonl and so on, in the order of their numbers. Nothing else in such a folder is looked at. Memory: a line.
 */
#ifndef BGD_DIFF_ROWS_H
#define BGD_DIFF_ROWS_H

#include "row.h"

struct rows;

/* `group` as row_parse takes it. Both texts are borrowed. BGD_MISSING: no such file, or a folder without shards;
 * BGD_UNREADABLE; BGD_MEMORY. The line names the file. */
int rows_open(const char *path, const char *group, struct rows **rows, struct bgd_err *err);
void rows_close(struct rows *rows);

/* 1: `row` is the next one, borrowed until the next call. 0: there are no more. Negative: as row_parse, BGD_LIMIT for a line
 * above ROW_BYTES_MAX, BGD_UNREADABLE; the text names the file and, of a row, the line. */
int rows_next(struct rows *rows, const struct row **row, struct bgd_err *err);

#endif
