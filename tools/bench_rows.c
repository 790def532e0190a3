#include "bench_rows.h"

#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int bench_rows_make_folder(char folder[BENCH_FOLDER], struct bgd_err *err)
{
    const char *place = getenv("TMPDIR");
    place = place && *place ? place : "/tmp";
    if (snprintf(folder, BENCH_FOLDER, "%s/bgdet-XXXXXX", place) >= (int)BENCH_FOLDER)
        return err_set(err, BGD_WRITE, "$TMPDIR is longer than %u bytes", BENCH_FOLDER - 14);
    return mkdtemp(folder) ? 0 : err_set(err, BGD_WRITE, "no folder for rows in %.800s: %s", place, strerror(errno));
}

void bench_rows_remove_folder(const char *folder)
{
    rmdir(folder);
}

int bench_rows_open(const char *folder, const char *name, const struct session *session, struct results **results,
                    struct bgd_err *err)
{
    char path[BENCH_FOLDER + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const struct results_options options = {.path = path, .model_hash = bgd_pipeline_hash(session->pipeline)};
    return results_open(&options, results, err);
}

void bench_rows_close(struct results *results)
{
    unlink(results_place(results));
    results_close(results);
}
