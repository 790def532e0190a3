#include "comparison.h"

#include "../err.h"
#include "join.h"
#include "rows.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHARE_LEAST 0.0001

/* The comparison while it is counted. */
struct tally {
    const struct comparison_options *options;
    struct comparison *comparison;
    struct join *join;
    uint64_t *scores[2]; /* judged cards by score: ROW_MILLION + 1 counts each */
    uint64_t moved;      /* the sum of moves, in millionths */
};

const char *outcome_name(int outcome)
{
    assert(outcome >= 0 && outcome < OUTCOMES);
    return outcome == OUTCOME_ERROR ? "error" : bgd_verdict_name((enum bgd_verdict)outcome);
}

const char *psi_reading(double psi)
{
    if (isnan(psi))
        return "not defined";
    return psi < PSI_SLIGHT ? "no shift" : psi <= PSI_MAJOR ? "a slight shift" : "a major shift";
}

uint64_t comparison_flips(const struct comparison *comparison)
{
    return comparison->flips[TOWARDS_CLEAN] + comparison->flips[TOWARDS_DEFECTIVE];
}

static int out_of_memory(struct bgd_err *err)
{
    return err_set(err, BGD_MEMORY, "out of memory");
}

/* ---------------------------------------------------------------- a side */

static int count_model(struct comparison_side *side, const char *hash, struct bgd_err *err)
{
    size_t i = 0;
    while (i < side->n_models && strcmp(side->models[i].hash, hash) != 0)
        i++;
    if (i == COMPARISON_MODELS_MAX)
        return err_set(err, BGD_LIMIT, "%s: rows of more than %u models", side->path, COMPARISON_MODELS_MAX);
    if (i == side->n_models)
        strcpy(side->models[side->n_models++].hash, hash);
    side->models[i].rows++;
    return 0;
}

static int read_side(struct tally *tally, int i, struct bgd_err *err)
{
    struct comparison_side *side = &tally->comparison->sides[i];
    struct rows *rows;
    const struct row *row;
    int more;
    if (rows_open(side->path, tally->options->group, &rows, err))
        return err->code;
    while ((more = rows_next(rows, &row, err)) > 0) {
        side->rows++;
        if ((more = count_model(side, row->model, err)) || (more = join_add(tally->join, i, row, err)))
            break;
    }
    rows_close(rows);
    return more;
}

/* Of what a side has of a card: its first row, and how many more. */
static int count_card(struct tally *tally, int i, const struct join_row *row, uint64_t repeats, struct bgd_err *err)
{
    struct comparison_side *side = &tally->comparison->sides[i];
    side->repeats += repeats;
    if (repeats > 0 && !side->repeated && !(side->repeated = strdup(row->id)))
        return out_of_memory(err);
    if (row->facts.code) {
        side->errors[-row->facts.code]++;
        return 0;
    }
    side->judged++;
    tally->scores[i][row->facts.score]++;
    return 0;
}

/* ---------------------------------------------------------------- groups */

/* Where the group is, or is to be: groups are in the order of their names as long as they are counted. */
static size_t find_group(const struct comparison *c, const char *name)
{
    size_t low = 0, high = c->n_groups;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(c->groups[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct comparison_group *get_group(struct comparison *c, const char *name, struct bgd_err *err)
{
    size_t at = find_group(c, name);
    if (at < c->n_groups && strcmp(c->groups[at].name, name) == 0)
        return &c->groups[at];
    if (c->n_groups == COMPARISON_GROUPS_MAX) {
        err_set(err, BGD_LIMIT, "more than %u groups: by another member there may be fewer", COMPARISON_GROUPS_MAX);
        return NULL;
    }
    struct comparison_group *grown = realloc(c->groups, (c->n_groups + 1) * sizeof *grown);
    char *copy = strdup(name);
    if (grown)
        c->groups = grown;
    if (!grown || !copy) {
        free(copy);
        out_of_memory(err);
        return NULL;
    }
    memmove(grown + at + 1, grown + at, (c->n_groups++ - at) * sizeof *grown);
    grown[at] = (struct comparison_group){.name = copy};
    return &grown[at];
}

static int compare_groups(const void *a, const void *b)
{
    const struct comparison_group *first = a, *second = b;
    uint64_t flips[] = {first->flips[0] + first->flips[1], second->flips[0] + second->flips[1]};
    if (flips[0] != flips[1])
        return flips[0] > flips[1] ? -1 : 1;
    return strcmp(first->name, second->name);
}

/* ---------------------------------------------------------------- flips */

static int direction_of(const struct row_facts facts[2])
{
    return facts[1].verdict > facts[0].verdict ? TOWARDS_DEFECTIVE : TOWARDS_CLEAN;
}

/* A P that is NAN compares false: what is not known did not change. */
static int reason_of(const struct row_facts facts[2], int direction)
{
    int reason = REASON_NONE;
    float most = 0;
    for (int i = 0; i < BGD_REASONS; i++) {
        float change = facts[1].reasons[i] - facts[0].reasons[i];
        if (direction == TOWARDS_CLEAN)
            change = -change;
        if (change > most) {
            most = change;
            reason = i;
        }
    }
    return reason;
}

static void count_flip(struct comparison *c, struct comparison_group *group, const struct row_facts facts[2], bool changed)
{
    int direction = direction_of(facts);
    c->flips[direction]++;
    c->flips_of_changed_pictures += changed;
    c->reasons[direction][reason_of(facts, direction)]++;
    group->flips[direction]++;
}

/* ---------------------------------------------------------------- moves */

static uint32_t distance(const struct row_facts facts[2])
{
    return facts[0].score > facts[1].score ? facts[0].score - facts[1].score : facts[1].score - facts[0].score;
}

/* Puts the move in its place among the largest. Cards come in the order of their ids: of equal moves the first stays. */
static int add_move(struct tally *tally, const char *id, const struct row_facts facts[2], struct bgd_err *err)
{
    struct comparison *c = tally->comparison;
    uint32_t moved = distance(facts);
    size_t at = c->n_moves;
    while (at > 0 && distance(c->moves[at - 1].facts) < moved)
        at--;
    if (moved == 0 || at == tally->options->moves)
        return 0;
    char *copy = strdup(id);
    if (!copy)
        return out_of_memory(err);
    if (c->n_moves == tally->options->moves)
        free(c->moves[--c->n_moves].id);
    memmove(&c->moves[at + 1], &c->moves[at], (c->n_moves++ - at) * sizeof *c->moves);
    c->moves[at] = (struct comparison_move){.id = copy, .facts = {facts[0], facts[1]}};
    return 0;
}

/* ---------------------------------------------------------------- cards in both */

static int count_judged(struct tally *tally, const struct join_pair *pair, const struct row_facts facts[2], struct bgd_err *err)
{
    struct comparison *c = tally->comparison;
    const char *name = *pair->rows[1]->group ? pair->rows[1]->group : pair->rows[0]->group;
    struct comparison_group *group = get_group(c, name, err);
    if (!group)
        return err->code;
    bool changed = memcmp(facts[0].hash, facts[1].hash, HASH_BYTES) != 0;
    c->judged++;
    c->changed_pictures += changed;
    group->cards++;
    tally->moved += distance(facts);
    if (facts[0].verdict != facts[1].verdict)
        count_flip(c, group, facts, changed);
    return add_move(tally, pair->rows[0]->id, facts, err);
}

static int count_both(struct tally *tally, const struct join_pair *pair, struct bgd_err *err)
{
    struct comparison *c = tally->comparison;
    const struct row_facts facts[2] = {pair->rows[0]->facts, pair->rows[1]->facts};
    int outcomes[2];
    for (int i = 0; i < 2; i++)
        outcomes[i] = facts[i].code ? OUTCOME_ERROR : (int)facts[i].verdict;
    c->both++;
    c->outcomes[outcomes[0]][outcomes[1]]++;
    if (facts[0].code != facts[1].code) {
        c->gone[-facts[0].code] += facts[0].code != 0;
        c->appeared[-facts[1].code] += facts[1].code != 0;
    }
    return facts[0].code || facts[1].code ? 0 : count_judged(tally, pair, facts, err);
}

static int count_pair(struct tally *tally, const struct join_pair *pair, struct bgd_err *err)
{
    for (int i = 0; i < 2; i++)
        if (pair->rows[i] && count_card(tally, i, pair->rows[i], pair->repeats[i], err))
            return err->code;
    if (pair->rows[0] && pair->rows[1])
        return count_both(tally, pair, err);
    tally->comparison->sides[pair->rows[0] ? 0 : 1].only++;
    return 0;
}

/* ---------------------------------------------------------------- scores */

/* d[k] in millionths: see the header. */
static void find_deciles(const uint64_t *scores, uint64_t cards, uint32_t deciles[PSI_BINS - 1])
{
    uint64_t below = 0;
    uint32_t k = 0;
    for (uint32_t score = 0; score <= ROW_MILLION && k < PSI_BINS - 1; score++) {
        below += scores[score];
        while (k < PSI_BINS - 1 && below * PSI_BINS >= (k + 1) * cards)
            deciles[k++] = score;
    }
}

static void measure_side(struct comparison_side *side, const uint64_t *scores, const uint32_t deciles[PSI_BINS - 1])
{
    uint64_t sum = 0, bins[PSI_BINS] = {0};
    int bin = 0;
    for (uint32_t score = 0; score <= ROW_MILLION; score++) {
        while (bin < PSI_BINS - 1 && score > deciles[bin])
            bin++;
        uint64_t bar = (uint64_t)score * COMPARISON_BARS / ROW_MILLION;
        side->bars[bar < COMPARISON_BARS ? bar : COMPARISON_BARS - 1] += scores[score];
        bins[bin] += scores[score];
        sum += scores[score] * score;
    }
    for (int i = 0; i < PSI_BINS; i++)
        side->shares[i] = side->judged ? (double)bins[i] / (double)side->judged : (double)NAN;
    side->mean = side->judged ? (double)sum / (double)side->judged / ROW_MILLION : (double)NAN;
}

static double measure_psi(const double a[PSI_BINS], const double b[PSI_BINS])
{
    double sum = 0;
    for (int i = 0; i < PSI_BINS; i++) {
        /* Not fmax, which would make a number of NAN. */
        double before = a[i] < SHARE_LEAST ? SHARE_LEAST : a[i], after = b[i] < SHARE_LEAST ? SHARE_LEAST : b[i];
        sum += (after - before) * log(after / before);
    }
    return sum;
}

static void measure(struct tally *tally)
{
    struct comparison *c = tally->comparison;
    uint32_t deciles[PSI_BINS - 1] = {0};
    find_deciles(tally->scores[0], c->sides[0].judged, deciles);
    for (int i = 0; i < 2; i++)
        measure_side(&c->sides[i], tally->scores[i], deciles);
    c->psi = measure_psi(c->sides[0].shares, c->sides[1].shares);
    for (int k = 0; k < PSI_BINS - 1; k++)
        c->deciles[k] = c->sides[0].judged ? (double)deciles[k] / ROW_MILLION : (double)NAN;
    c->mean_move = c->judged ? (double)tally->moved / (double)c->judged / ROW_MILLION : (double)NAN;
    if (c->n_groups > 0)
        qsort(c->groups, c->n_groups, sizeof *c->groups, compare_groups);
}

/* ---------------------------------------------------------------- the comparison */

static int compare(struct tally *tally, struct bgd_err *err)
{
    struct join_pair pair;
    int more;
    for (int i = 0; i < 2; i++)
        if (read_side(tally, i, err))
            return err->code;
    while ((more = join_next(tally->join, &pair, err)) > 0)
        if (count_pair(tally, &pair, err))
            return err->code;
    if (more == 0)
        measure(tally);
    return more;
}

int comparison_open(const struct comparison_options *options, struct comparison **out, struct bgd_err *err)
{
    assert(options->moves <= COMPARISON_MOVES_MAX);
    *out = NULL;
    struct tally tally = {.options = options, .comparison = calloc(1, sizeof *tally.comparison)};
    struct comparison *c = tally.comparison;
    if (!c)
        return out_of_memory(err);
    for (int i = 0; i < 2; i++) {
        c->sides[i].path = options->paths[i];
        tally.scores[i] = calloc(ROW_MILLION + 1, sizeof *tally.scores[i]);
    }
    c->moves = calloc(options->moves + 1, sizeof *c->moves);
    int code = c->moves && tally.scores[0] && tally.scores[1] ? join_open(&tally.join, err) : out_of_memory(err);
    if (!code)
        code = compare(&tally, err);
    join_close(tally.join);
    free(tally.scores[0]);
    free(tally.scores[1]);
    if (code)
        comparison_close(c);
    else
        *out = c;
    return code;
}

void comparison_close(struct comparison *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_moves; i++)
        free(c->moves[i].id);
    for (size_t i = 0; i < c->n_groups; i++)
        free(c->groups[i].name);
    for (int i = 0; i < 2; i++)
        free(c->sides[i].repeated);
    free(c->moves);
    free(c->groups);
    free(c);
}
