/* Labels and rows joined: which card counts where. The numbers themselves are test_metrics.c's. */
#include "eval/evaluation.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float thresholds[OUTPUTS] = {0.5f, 0.4f, 0.5f, 0.5f, 0.5f, 0.5f};

/* The model knows "text" and "cropped". */
static const char text[] = "file,clean,text,not_white,extra_objects,cropped,duplicates,group\n"
                           "0.jpg,0,1,0,0,,0,shoes\n"
                           "1.jpg,0,0,,,,1,shoes\n"
                           "2.jpg,1,0,0,0,,0,\n"
                           "3.jpg,1,,,,,,shoes\n"
                           "4.jpg,0,1,,,,,\n"
                           "5.jpg,1,0,,,,,shoes\n"
                           "6.jpg,1,0,,,,,\n";

struct row {
    uint64_t index;
    enum bgd_verdict verdict;
    float score, text;
};
static const struct row rows[] = {
    {0, BGD_DEFECTIVE, 0.9f, 0.8f}, {1, BGD_CLEAN, 0.2f, 0.3f},   {2, BGD_DEFECTIVE, 0.7f, 0.1f},
    {3, BGD_CLEAN, 0.1f, 0.9f},     {4, BGD_REVIEW, 0.45f, 0.6f}, /* row 5 fails, row 6 never comes */
};

static struct labels *read_labels(const char *csv)
{
    struct labels *labels;
    struct bgd_err err = {0};
    cr_assert_eq(labels_parse(csv, strlen(csv), &labels, &err), 0, "%s", err.text);
    return labels;
}

static struct evaluation *opened(const struct labels *labels)
{
    struct evaluation *evaluation;
    struct bgd_err err = {0};
    cr_assert_eq(evaluation_open(labels, &evaluation, &err), 0, "%s", err.text);
    return evaluation;
}

static void add(struct evaluation *evaluation, uint64_t index, enum bgd_verdict verdict, float score, float reason)
{
    struct flow_row row = {.index = index, .id = "", .detail = "", .hash = "", .result = {.verdict = verdict, .score = score}};
    for (int i = 0; i < BGD_REASONS; i++)
        row.result.reasons[i] = NAN;
    row.result.reasons[BGD_TEXT] = reason;
    row.result.reasons[BGD_CROPPED] = 0.5f;
    struct bgd_err err;
    cr_assert_eq(evaluation_add(evaluation, &row, &err), 0);
}

static void measure(struct evaluation *evaluation, uint64_t seed)
{
    struct bgd_err err;
    cr_assert_eq(evaluation_measure(evaluation, thresholds, 100, seed, &err), 0);
}

/* The rows above, measured. */
static struct evaluation *evaluated(const struct labels *labels)
{
    struct evaluation *evaluation = opened(labels);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add(evaluation, rows[i].index, rows[i].verdict, rows[i].score, rows[i].text);
    struct flow_row failed = {.index = 5, .code = BGD_DAMAGED, .detail = "jpeg: cut short"};
    struct bgd_err err;
    cr_assert_eq(evaluation_add(evaluation, &failed, &err), 0);
    measure(evaluation, 1);
    return evaluation;
}

Test(evaluation, counts_verdicts_per_truth_with_review_between)
{
    struct labels *labels = read_labels(text);
    struct evaluation *evaluation = evaluated(labels);
    const size_t all[2][3] = {{1, 0, 1}, {1, 1, 1}}, shoes[2][3] = {{1, 0, 0}, {1, 0, 1}}, rest[2][3] = {{0, 0, 1}, {0, 1, 0}};
    cr_assert_eq(evaluation->n_groups, 3);
    cr_expect_str_eq(evaluation->groups[0].name, "all");
    cr_expect_str_eq(evaluation->groups[1].name, "shoes");
    cr_expect_str_eq(evaluation->groups[2].name, "");
    cr_expect_eq(memcmp(evaluation->groups[0].confusion, all, sizeof all), 0);
    cr_expect_eq(memcmp(evaluation->groups[1].confusion, shoes, sizeof shoes), 0);
    cr_expect_eq(memcmp(evaluation->groups[2].confusion, rest, sizeof rest), 0);
    cr_expect(evaluation->groups[0].cards == 5 && evaluation->groups[1].cards == 3 && evaluation->groups[2].cards == 2);
    evaluation_close(evaluation);
    labels_close(labels);
}

Test(evaluation, keeps_why_a_card_has_no_result_and_measures_the_others)
{
    struct labels *labels = read_labels(text);
    struct evaluation *evaluation = evaluated(labels);
    cr_expect(evaluation->judged == 5 && evaluation->failed == 1);
    cr_expect_eq(evaluation->cards[5].code, BGD_DAMAGED);
    cr_expect_str_eq(evaluation->cards[5].detail, "jpeg: cut short");
    cr_expect(isnan(evaluation->cards[5].p[OUTPUT_DEFECTIVE]));
    cr_expect(evaluation->cards[6].code == 0 && isnan(evaluation->cards[6].p[OUTPUT_DEFECTIVE]), "a card that never came");
    cr_expect_eq(evaluation->groups[0].outputs[OUTPUT_DEFECTIVE].all.n, 5);
    evaluation_close(evaluation);
    labels_close(labels);
}

Test(evaluation, holds_p_against_the_threshold_whatever_the_verdict)
{
    struct labels *labels = read_labels(text);
    struct evaluation *evaluation = evaluated(labels);
    const struct metrics *all = &evaluation->groups[0].outputs[OUTPUT_DEFECTIVE].all;
    cr_expect(all->tp == 1 && all->fn == 2 && all->fp == 1 && all->tn == 1, "the card under review is a missed one at 0.5");
    struct bgd_err err;
    const float lower[OUTPUTS] = {0.45f, 0.7f};
    cr_assert_eq(evaluation_measure(evaluation, lower, 0, 1, &err), 0);
    cr_expect(all->tp == 2 && all->fn == 1, "measured again with another threshold");
    cr_expect(evaluation->groups[0].cards == 5 && evaluation->groups[0].confusion[1][BGD_REVIEW] == 1, "counted once");
    cr_expect_eq(evaluation->groups[0].outputs[OUTPUT_DEFECTIVE].threshold, 0.45f);
    cr_expect_eq(evaluation->groups[0].outputs[OUTPUT_REASON + BGD_TEXT].all.tp, 1);
    evaluation_close(evaluation);
    labels_close(labels);
}

Test(evaluation, measures_a_reason_on_the_cards_that_are_labelled_for_it)
{
    struct labels *labels = read_labels(text);
    struct evaluation *evaluation = evaluated(labels);
    const struct evaluation_output *outputs = evaluation->groups[0].outputs;
    const struct evaluation_output *reason = &outputs[OUTPUT_REASON + BGD_TEXT]; /* cards 0, 1, 2 and 4: not 3 */
    cr_expect(!reason->lack && reason->all.n == 4 && reason->all.tp == 2 && reason->all.tn == 2);
    cr_expect_str_eq(outputs[OUTPUT_REASON + BGD_NOT_WHITE].lack, "the model does not know it");
    cr_expect_str_eq(outputs[OUTPUT_REASON + BGD_DUPLICATES].lack, "the model does not know it");
    cr_expect_str_eq(outputs[OUTPUT_REASON + BGD_CROPPED].lack, "nobody has labelled it");
    float p[7];
    uint8_t truth[7];
    cr_expect_eq(evaluation_sample(evaluation, 1, OUTPUT_REASON + BGD_TEXT, p, truth), 2);
    cr_expect(p[0] == 0.8f && truth[0] == 1 && p[1] == 0.3f && truth[1] == 0);
    evaluation_close(evaluation);
    labels_close(labels);
}

Test(evaluation, lists_wrong_verdicts_worst_first)
{
    struct labels *labels = read_labels(text);
    struct evaluation *evaluation = evaluated(labels);
    size_t worst[7];
    cr_expect_eq(evaluation_worst(evaluation, worst, 7), 2, "neither the card under review nor the failed one");
    cr_expect(worst[0] == 1 && worst[1] == 2); /* 0.8 and 0.7 from the truth */
    cr_expect_eq(evaluation_worst(evaluation, worst, 1), 1);
    cr_expect_eq(worst[0], 1);
    cr_expect_eq(evaluation_worst(evaluation, worst, 0), 0);
    evaluation_close(evaluation);
    labels_close(labels);
}

/* `n` cards of the first group and `others` of a group that stands before or after it. */
static struct labels *many(size_t n, size_t others, bool first)
{
    char *csv = malloc((n + others) * 40 + 100), *s = csv;
    s += sprintf(s, "file,clean,text,not_white,extra_objects,cropped,duplicates,group\n");
    for (size_t i = 0; i < n + others; i++) {
        bool other = first ? i < others : i >= n;
        s += sprintf(s, "%zu.jpg,%d,,,,,,%s\n", i, (int)(i & 1), other ? "other" : "shoes");
    }
    struct labels *labels = read_labels(csv);
    free(csv);
    return labels;
}

Test(evaluation, lists_the_worst_of_many_in_order_and_equals_as_they_come)
{
    struct labels *labels = many(100, 0, false); /* odd cards are clean */
    struct evaluation *evaluation = opened(labels);
    for (uint64_t i = 0; i < 100; i++)
        add(evaluation, i, BGD_DEFECTIVE, 0.5f + (float)(i * 37 % 50) / 100, 0.5f);
    size_t worst[9];
    cr_assert_eq(evaluation_worst(evaluation, worst, 9), 9);
    float last = 1;
    for (int i = 0; i < 9; i++) {
        float p = evaluation->cards[worst[i]].p[OUTPUT_DEFECTIVE];
        cr_expect(worst[i] % 2 == 1 && p <= last && p >= 0.9f, "card %zu, %g", worst[i], (double)p);
        cr_expect(i % 2 == 1 ? worst[i] == worst[i - 1] + 50 : worst[i] < 50, "card %zu: the other of its P came first",
                  worst[i]);
        last = p;
    }
    evaluation_close(evaluation);
    labels_close(labels);
}

static struct metrics metrics_of_shoes(size_t others, bool first, uint64_t seed)
{
    struct labels *labels = many(200, others, first);
    struct evaluation *evaluation = opened(labels);
    size_t begin = first ? others : 0;
    for (size_t i = 0; i < labels->count; i++) {
        size_t shoe = (i - begin) % 200;
        add(evaluation, i, BGD_CLEAN, (float)(shoe * 37 % 200) / 200, 0.5f);
    }
    measure(evaluation, seed);
    size_t group = strcmp(evaluation->groups[1].name, "shoes") == 0 ? 1 : 2;
    struct metrics metrics = evaluation->groups[group].outputs[OUTPUT_DEFECTIVE].all;
    evaluation_close(evaluation);
    labels_close(labels);
    return metrics;
}

Test(evaluation, gives_a_group_the_same_intervals_whichever_others_there_are)
{
    struct metrics alone = metrics_of_shoes(0, false, 1), followed = metrics_of_shoes(40, false, 1);
    struct metrics preceded = metrics_of_shoes(40, true, 1), reseeded = metrics_of_shoes(0, false, 2);
    cr_expect_eq(memcmp(alone.low, followed.low, sizeof alone.low), 0);
    cr_expect_eq(memcmp(alone.high, followed.high, sizeof alone.high), 0);
    cr_expect_eq(memcmp(alone.low, preceded.low, sizeof alone.low), 0);
    cr_expect_neq(alone.low[METRIC_CROSS_ENTROPY], reseeded.low[METRIC_CROSS_ENTROPY]);
}

Test(evaluation, a_label_whose_card_failed_is_not_called_missing)
{
    struct labels *labels = read_labels("file,clean,text,not_white,extra_objects,cropped,duplicates\n"
                                        "a.jpg,1,,0,0,0,0\nb.jpg,0,1,0,0,0,0\n");
    struct evaluation *evaluation = opened(labels);
    struct bgd_err err;
    const struct flow_row good = {.index = 0, .id = "a.jpg", .detail = ""};
    const struct flow_row bad = {.index = 1, .id = "b.jpg", .detail = "gone", .code = BGD_MISSING};
    cr_assert(evaluation_add(evaluation, &good, &err) == 0 && evaluation_add(evaluation, &bad, &err) == 0);
    measure(evaluation, 1);
    cr_expect_str_eq(evaluation->groups[0].outputs[OUTPUT_REASON + BGD_TEXT].lack,
                     "no card that is labelled for it was judged");
    evaluation_close(evaluation);
    labels_close(labels);
}

Test(evaluation, measures_nothing_before_any_row_has_come)
{
    struct labels *labels = read_labels(text);
    struct evaluation *evaluation = opened(labels);
    measure(evaluation, 1);
    cr_expect_str_eq(evaluation->groups[0].outputs[OUTPUT_DEFECTIVE].lack, "no card was judged");
    cr_expect_eq(evaluation->groups[0].cards, 0);
    evaluation_close(evaluation);
    labels_close(labels);
}
