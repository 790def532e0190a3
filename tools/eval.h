/* What `bgdet eval` is made of: the evaluation as text and as JSON, and the calibration of the model it judged with. */
#ifndef BGD_EVAL_H
#define BGD_EVAL_H

#include "eval/fit.h"
#include "eval/report.h"
#include "session.h"

#include <stdio.h>

/* Tables for people. */
void eval_print(FILE *file, const struct report *report);

/* One JSON object: every number of the tables, and every card that could not be judged. BGD_MEMORY. */
int eval_print_json(FILE *file, const struct report *report, struct bgd_err *err);

struct calibrate_settings {
    enum fit_method method;
    struct fit_target target;
    float review[2];    /* the band of bgdet_format.h; both 0: the model's own, if it still holds the threshold */
    const char *labels; /* the labels' file, for the model's provenance */
    const char *output; /* model file to write */
};

/* Whether `output` may be written: nothing yet, or a classifier's model file, in a folder that is there. BGD_ARGUMENT. */
int calibrate_check_output(const char *output, struct bgd_err *err);

/* True if the model says that it was calibrated on labels of this hash. */
bool calibrate_was_on(const struct bgd_model *model, const char *hash);

/*
 * Fits the classifier's outputs to an evaluation whose P are the network's own (bgd_engine_options.uncalibrated), writes the
 * model file, and turns the evaluation into one of the new model: P, verdicts. Outputs whose labels are all alike stay as they
 * were; if all do, nothing is written (BGD_DAMAGED: the labels are of no use). Says on stderr what changed. `thresholds` are filled with the new ones,
 * `hash` with that of the session's pipeline with the new model in it.
 */
int calibrate_model(const struct calibrate_settings *settings, const struct session *session, struct evaluation *evaluation,
                    float thresholds[OUTPUTS], char hash[HASH_TEXT], struct bgd_err *err);

#endif
