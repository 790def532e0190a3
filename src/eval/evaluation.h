/*
 * Labels and rows joined: how right a pipeline is on labelled cards, as a whole and per group.
 *
 *     labels --files--> flow --rows--> evaluation_add --> evaluation_measure --> text, JSON, report
 *
 * Cards that could not be judged are kept with the reason why, and counted; metrics are over the others.
 */
#ifndef BGD_EVALUATION_H
#define BGD_EVALUATION_H

#include "../run/flow.h"
#include "labels.h"
#include "metrics.h"

/* One output on one group. */
struct evaluation_output {
    const char *lack;   /* why there is nothing to measure, for people: "nobody has labelled it"; NULL: it is measured */
    float threshold;    /* from which the model calls it */
    struct metrics all; /* if measured: P against the threshold, whatever the verdict is; all 0 otherwise */
};

struct evaluation_group {
    const char *name; /* "all" for group 0, else as in the labels */
    size_t cards;     /* judged */
    /* [truth: clean, defective][verdict: clean, review, defective] */
    size_t confusion[2][BGD_VERDICTS];
    struct evaluation_output outputs[OUTPUTS];
};

struct evaluation_card {
    int code;                 /* 0, or why there is no result */
    char *detail;             /* of a failure: one line; NULL otherwise */
    enum bgd_verdict verdict; /* of a result */
    float p[OUTPUTS];         /* NAN for a reason that the model does not know, and of a card without a result */
};

struct evaluation {
    const struct labels *labels;     /* borrowed */
    struct evaluation_card *cards;   /* one per label, in order */
    size_t judged, failed;           /* cards that have had their row, with a result and without */
    struct evaluation_group *groups; /* 1 + labels->n_groups: all cards, then each group */
    size_t n_groups;
    uint32_t draws;
    uint64_t seed;
};

/* An evaluation without cards. BGD_MEMORY. `labels` is borrowed and must outlive it. */
int evaluation_open(const struct labels *labels, struct evaluation **evaluation, struct bgd_err *err);
void evaluation_close(struct evaluation *evaluation);

/* Takes the row of label row->index, once. BGD_MEMORY. */
int evaluation_add(struct evaluation *evaluation, const struct flow_row *row, struct bgd_err *err);

/*
 * Fills `groups` from the cards that have had their row. `thresholds` are the model's. The
 * intervals of a group's output follow from its cards and the seed: not from which other groups there are. BGD_MEMORY.
 */
int evaluation_measure(struct evaluation *evaluation, const float thresholds[OUTPUTS], uint32_t draws, uint64_t seed,
                       struct bgd_err *err);

/*
 * P and truth of one output over the judged cards of a group that are labelled for it, into `p` and `truth` (room for
 * labels->count each); returns their number, 0 if the model does not know it. Group 0 is all cards.
 */
size_t evaluation_sample(const struct evaluation *evaluation, size_t group, int output, float *p, uint8_t *truth);

/* The `most` wrong verdicts whose P(defective) is the furthest from the truth, worst first: indices of cards into `worst`;
 * returns their number. What is up for review is not wrong. For a `most` that people look at: time grows with it. */
size_t evaluation_worst(const struct evaluation *evaluation, size_t *worst, size_t most);

#endif
