/*
 * What changed between two runs, A (0) and B (1): two nights of one model, or two models of one night.
 *
 * Rows are joined by their ids. An id that stands twice in a run counts once, by its first row. A card is "judged" where its
 * row has a verdict, "in both" where each run has a row for it.
 *   flip      a card judged in both whose verdict differs. It is one of a "changed picture" where the content hashes differ,
 *             too: then it is not the model alone that has changed its mind
 *   reason    a row says how probable each reason is, not which one decided. So a flip's reason is the one whose P changed the
 *             most in the direction of the flip, up where the card went towards defective, down where it went towards clean;
 *             none if none did, or the two models know none in common
 *   group     the one that B's row names, or A's if B's names none
 *   PSI       the population stability index of P(defective), over all cards judged in A and all judged in B: the sum of
 *             (b - a) ln(b / a) over 10 bins, in which a and b are the shares of A and of B; shares below 0.0001 (empty bins)
 *             are taken for 0.0001. The bins are A's deciles: bin k is (d[k-1], d[k]], the first and the last without end, and
 *             d[k] the smallest score that k/10 of A do not exceed; with many equal scores some bins are empty on both sides,
 *             and add nothing. By custom (Siddiqi, Credit Risk Scorecards, 2006) below 0.1 is no shift, up to 0.25 a slight
 *             one, above a major one. Deciles are exact: scores have 6 decimals, and each of the million is counted
 *   move      how far the score of a card judged in both went
 * All sums are of whole millionths: the numbers do not depend on the order of the rows.
 */
#ifndef BGD_DIFF_COMPARISON_H
#define BGD_DIFF_COMPARISON_H

#include "row.h"

#define COMPARISON_MODELS_MAX 64u
#define COMPARISON_GROUPS_MAX 10000u
#define COMPARISON_MOVES_MAX 400u
#define COMPARISON_BARS 20 /* of the histogram */
#define PSI_BINS 10
#define PSI_SLIGHT 0.1
#define PSI_MAJOR 0.25

/* A verdict, or none: what a row comes to. */
enum { OUTCOME_ERROR = BGD_VERDICTS, OUTCOMES };
/* "clean", "review", "defective", "error" */
const char *outcome_name(int outcome);

enum { TOWARDS_CLEAN, TOWARDS_DEFECTIVE, DIRECTIONS };
#define REASON_NONE BGD_REASONS

struct comparison_model {
    char hash[HASH_TEXT];
    uint64_t rows;
};

struct comparison_side {
    const char *path;
    uint64_t rows, repeats;                                /* repeats: rows whose id has been there before */
    char *repeated;                                        /* the first such id, in the order of bytes; NULL if there is none */
    uint64_t only;                                         /* cards that the other run has no row for */
    uint64_t judged, errors[ROW_CODES];                    /* cards; errors by -code */
    struct comparison_model models[COMPARISON_MODELS_MAX]; /* in order of appearance */
    size_t n_models;
    double mean;                    /* P(defective) of the judged; NAN without any */
    uint64_t bars[COMPARISON_BARS]; /* judged cards by P, in bars of the same width */
    double shares[PSI_BINS];        /* of the judged; NAN without any */
};

struct comparison_group {
    char *name;                        /* "" of cards that are in none */
    uint64_t cards, flips[DIRECTIONS]; /* cards: judged in both */
};

struct comparison_move {
    char *id;
    struct row_facts facts[2];
};

struct comparison {
    struct comparison_side sides[2];
    uint64_t both, judged;                 /* cards in both, and judged in both */
    uint64_t outcomes[OUTCOMES][OUTCOMES]; /* of the cards in both: [in A][in B] */
    uint64_t appeared[ROW_CODES];          /* cards with an error in B that they had not in A, by B's -code */
    uint64_t gone[ROW_CODES];              /* the other way round, by A's */
    uint64_t changed_pictures;             /* cards judged in both whose content hashes differ */
    uint64_t flips[DIRECTIONS];
    uint64_t flips_of_changed_pictures;            /* among these */
    uint64_t reasons[DIRECTIONS][BGD_REASONS + 1]; /* flips by reason; the last: REASON_NONE */
    struct comparison_group *groups;               /* most flips first, then by name; one alone, "", where no row names any */
    size_t n_groups;
    double psi, deciles[PSI_BINS - 1]; /* NAN where a side, for the deciles A, has no judged card */
    double mean_move;                  /* mean of |score in B - score in A|; NAN where no card is judged in both */
    struct comparison_move *moves;     /* the largest first, equal ones by id; those that did not move are left out */
    size_t n_moves;
};

struct comparison_options {
    const char *paths[2]; /* as rows_open takes them; borrowed as long as the comparison lives */
    const char *group;    /* the member of "carried" that is a card's group; borrowed */
    size_t moves;         /* so many of the largest, 0..COMPARISON_MOVES_MAX */
};

/* Reads both runs and compares them. Fails as rows_open, rows_next and join_add do; BGD_LIMIT: too many models or groups. */
int comparison_open(const struct comparison_options *options, struct comparison **comparison, struct bgd_err *err);
void comparison_close(struct comparison *comparison);

/* Both directions. */
uint64_t comparison_flips(const struct comparison *comparison);

/* "no shift", "a slight shift", "a major shift"; "not defined" for NAN. */
const char *psi_reading(double psi);

#endif
