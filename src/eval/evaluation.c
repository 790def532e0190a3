#include "evaluation.h"

#include "../err.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int evaluation_open(const struct labels *labels, struct evaluation **out, struct bgd_err *err)
{
    *out = NULL;
    struct evaluation *evaluation = calloc(1, sizeof *evaluation);
    if (!evaluation)
        return err_set(err, BGD_MEMORY, "out of memory");
    evaluation->labels = labels;
    evaluation->n_groups = 1 + labels->n_groups;
    evaluation->cards = calloc(labels->count, sizeof *evaluation->cards);
    evaluation->groups = calloc(evaluation->n_groups, sizeof *evaluation->groups);
    if (!evaluation->cards || !evaluation->groups) {
        evaluation_close(evaluation);
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < labels->count; i++)
        for (int output = 0; output < OUTPUTS; output++)
            evaluation->cards[i].p[output] = NAN;
    for (size_t group = 0; group < evaluation->n_groups; group++)
        evaluation->groups[group].name = group == 0 ? "all" : labels->groups[group - 1];
    *out = evaluation;
    return 0;
}

void evaluation_close(struct evaluation *evaluation)
{
    if (!evaluation)
        return;
    for (size_t i = 0; i < evaluation->labels->count && evaluation->cards; i++)
        free(evaluation->cards[i].detail);
    free(evaluation->cards);
    free(evaluation->groups);
    free(evaluation);
}

int evaluation_add(struct evaluation *evaluation, const struct flow_row *row, struct bgd_err *err)
{
    assert(row->index < evaluation->labels->count);
    struct evaluation_card *card = &evaluation->cards[row->index];
    if (row->code) {
        card->detail = strdup(row->detail);
        if (!card->detail)
            return err_set(err, BGD_MEMORY, "out of memory");
        card->code = row->code;
        evaluation->failed++;
        return 0;
    }
    card->verdict = row->result.verdict;
    card->p[OUTPUT_DEFECTIVE] = row->result.score;
    memcpy(&card->p[OUTPUT_REASON], row->result.reasons, sizeof row->result.reasons);
    evaluation->judged++;
    return 0;
}

static bool is_judged(const struct evaluation_card *card)
{
    return !isnan(card->p[OUTPUT_DEFECTIVE]);
}

static bool is_in(const struct label *label, size_t group)
{
    return group == 0 || label->group == group - 1;
}

/* ---------------------------------------------------------------- measuring */

size_t evaluation_sample(const struct evaluation *evaluation, size_t group, int output, float *p, uint8_t *truth)
{
    size_t n = 0;
    for (size_t i = 0; i < evaluation->labels->count; i++) {
        const struct label *label = &evaluation->labels->rows[i];
        if (!is_in(label, group) || label->truth[output] < 0 || isnan(evaluation->cards[i].p[output]))
            continue;
        p[n] = evaluation->cards[i].p[output];
        truth[n++] = (uint8_t)label->truth[output];
    }
    return n;
}

static void count_verdicts(struct evaluation *evaluation, size_t index)
{
    struct evaluation_group *group = &evaluation->groups[index];
    group->cards = 0;
    memset(group->confusion, 0, sizeof group->confusion);
    for (size_t i = 0; i < evaluation->labels->count; i++) {
        const struct label *label = &evaluation->labels->rows[i];
        if (!is_in(label, index) || !is_judged(&evaluation->cards[i]))
            continue;
        group->cards++;
        group->confusion[label->truth[OUTPUT_DEFECTIVE]][evaluation->cards[i].verdict]++;
    }
}

/* Why an output has no sample in a group. */
static const char *find_lack(const struct evaluation *evaluation, size_t index, int output)
{
    bool known = false, labelled = false;
    for (size_t i = 0; i < evaluation->labels->count; i++) {
        const struct label *label = &evaluation->labels->rows[i];
        known = known || !isnan(evaluation->cards[i].p[output]);
        labelled = labelled || (is_in(label, index) && label->truth[output] >= 0);
    }
    if (evaluation->groups[index].cards == 0)
        return "no card was judged";
    if (!known)
        return "the model does not know it";
    return labelled ? "no card that is labelled for it was judged" : "nobody has labelled it";
}

int evaluation_measure(struct evaluation *evaluation, const float thresholds[OUTPUTS], uint32_t draws, uint64_t seed,
                       struct bgd_err *err)
{
    float *p = malloc(evaluation->labels->count * sizeof *p);
    uint8_t *truth = malloc(evaluation->labels->count * sizeof *truth);
    int code = p && truth ? 0 : err_set(err, BGD_MEMORY, "out of memory");
    for (size_t group = 0; group < evaluation->n_groups && !code; group++) {
        count_verdicts(evaluation, group);
        for (int i = 0; i < OUTPUTS && !code; i++) {
            struct evaluation_output *output = &evaluation->groups[group].outputs[i];
            size_t n = evaluation_sample(evaluation, group, i, p, truth);
            const struct metrics_sample sample = {p, truth, n, thresholds[i]};
            *output = (struct evaluation_output){.threshold = thresholds[i]};
            if (n == 0)
                output->lack = find_lack(evaluation, group, i);
            else
                code = metrics_measure(&sample, draws, seed, &output->all, err);
        }
    }
    evaluation->draws = draws;
    evaluation->seed = seed;
    free(p);
    free(truth);
    return code;
}

/* ---------------------------------------------------------------- mistakes */

/* How far P(defective) is from the truth, of a wrong verdict; -1 of any other card. */
static float mistake(const struct evaluation *evaluation, size_t i)
{
    const struct evaluation_card *card = &evaluation->cards[i];
    int truth = evaluation->labels->rows[i].truth[OUTPUT_DEFECTIVE];
    bool wrong = is_judged(card) && card->verdict == (truth ? BGD_CLEAN : BGD_DEFECTIVE);
    return wrong ? fabsf((float)truth - card->p[OUTPUT_DEFECTIVE]) : -1;
}

size_t evaluation_worst(const struct evaluation *evaluation, size_t *worst, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < evaluation->labels->count; i++) {
        float distance = mistake(evaluation, i);
        if (distance < 0 || most == 0 || (n == most && distance <= mistake(evaluation, worst[n - 1])))
            continue;
        size_t at = n < most ? n++ : n - 1;
        for (; at > 0 && distance > mistake(evaluation, worst[at - 1]); at--)
            worst[at] = worst[at - 1];
        worst[at] = i;
    }
    return n;
}
