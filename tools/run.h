/* A run over cards, as score and show do it: a pipeline on a device, rows, a sheet, masks. */
#ifndef BGD_RUN_H
#define BGD_RUN_H

#include "run/results.h"
#include "session.h"
#include "run/shards.h"

struct run_settings {
    struct session_settings session;
    struct catalogue_options catalogue;
    struct results_options results; /* model_hash is filled in */
    struct shards_options shards;   /* folder NULL: rows go to `results`; run and model_hash are filled in; retry holds for the
                                       ledger, too */
    const char *ledger;             /* database of results; NULL: none */
    bool trust_mtime;
    uint32_t readers;     /* 0: flow's own choice */
    float max_error_rate; /* share of rows that may be errors, 0..1 */
    bool dry_run;         /* only say what there is to do */
    const char *metrics;  /* file for Prometheus; NULL: none */
    enum progress_form progress;
    const char *sheet; /* PNG to draw; NULL: none */
    const char *masks; /* folder for masks; NULL: none */
    bool cut_out;      /* the sheet shows mask and judged background beside each card, if there is a segmenter */
    bool fail_on_defective;
};

/* Runs, prints the summary, and returns the exit code. */
int run_cards(struct run_settings *settings);

/* A folder among the paths without -r is a usage error, and so are no paths at all. */
int run_check_paths(const struct run_settings *settings, const char *command);

#endif
