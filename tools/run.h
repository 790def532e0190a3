/* A run over cards, as score and show do it: a pipeline on a device, rows, a sheet, masks. */
#ifndef BGD_RUN_H
#define BGD_RUN_H

#include "flow.h"
#include "results.h"

struct run_settings {
    struct catalogue_options catalogue;
    struct results_options results; /* model_hash is filled in */
    struct bgd_engine_options engine;
    const char *pipeline; /* a pipeline or model file; NULL: the one that ships */
    const char *sheet;    /* PNG to draw; NULL: none */
    const char *masks;    /* folder for masks; NULL: none */
    bool cut_out;         /* the sheet shows mask and judged background beside each card, if there is a segmenter */
    uint32_t threads;     /* 0: one per processor */
    bool exact, quiet, fail_on_defective;
};

/* Runs, prints the summary, and returns the exit code. */
int run_cards(struct run_settings *settings);

/* Options that both have. `option` as getopt_long returned it; 0 or an exit code; RUN_OTHER if it is none of them. */
enum { RUN_DECODE = 512, RUN_DEVICE, RUN_PRECISION, RUN_THREADS, RUN_OTHER = -1 };
int run_set_option(struct run_settings *settings, const char *command, int option);

/* A folder among the paths without -r is a usage error, and so are no paths at all. */
int run_check_paths(const struct run_settings *settings, const char *command);

#endif
