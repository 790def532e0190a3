/* Rows that a benchmark writes, and nobody keeps: files in a folder of its own in $TMPDIR. */
#ifndef BGD_BENCH_ROWS_H
#define BGD_BENCH_ROWS_H

#include "run/results.h"
#include "session.h"

#define BENCH_FOLDER 4096u

/* BGD_WRITE. The folder is empty again when it is to be removed. */
int bench_rows_make_folder(char folder[BENCH_FOLDER], struct bgd_err *err);
void bench_rows_remove_folder(const char *folder);

/* Fails as results_open does. */
int bench_rows_open(const char *folder, const char *name, const struct session *session, struct results **results,
                    struct bgd_err *err);

/* The file is gone. */
void bench_rows_close(struct results *results);

#endif
