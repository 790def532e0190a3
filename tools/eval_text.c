/* An evaluation as tables on a terminal: metrics down, outputs across, each with its interval below. */
#include "eval.h"

#include <math.h>
#include <string.h>

#define FAILED_SHOWN 20
#define CELL 14

static void put_failed(FILE *file, const struct evaluation *e)
{
    size_t shown = 0;
    if (e->failed)
        fprintf(file, "not judged: %zu of %zu\n", e->failed, e->labels->count);
    for (size_t i = 0; i < e->labels->count && shown < FAILED_SHOWN; i++)
        if (e->cards[i].code && ++shown)
            fprintf(file, "  %s: %s: %s\n", e->labels->rows[i].file, bgd_code_name(e->cards[i].code), e->cards[i].detail);
    if (e->failed > shown)
        fprintf(file, "  and %zu more (--json lists all)\n", e->failed - shown);
}

static void put_confusion(FILE *file, const struct evaluation_group *group)
{
    static const char *const truths[] = {"clean", "defective"};
    bool review = group->confusion[0][BGD_REVIEW] + group->confusion[1][BGD_REVIEW] > 0;
    fprintf(file, "  %-20s %10s", "truth \\ verdict", "clean");
    if (review)
        fprintf(file, " %10s", "review");
    fprintf(file, " %10s\n", "defective");
    for (int truth = 0; truth < 2; truth++) {
        fprintf(file, "  %-20s", truths[truth]);
        for (int verdict = 0; verdict < BGD_VERDICTS; verdict++)
            if (verdict != BGD_REVIEW || review)
                fprintf(file, " %10zu", group->confusion[truth][verdict]);
        putc('\n', file);
    }
    if (review) {
        size_t right = group->confusion[0][BGD_CLEAN] + group->confusion[1][BGD_DEFECTIVE];
        size_t decided = group->cards - group->confusion[0][BGD_REVIEW] - group->confusion[1][BGD_REVIEW];
        fprintf(file, "  %.1f %% of the cards are decided, %.1f %% of these rightly\n",
                100 * (double)decided / (double)group->cards, decided ? 100 * (double)right / (double)decided : NAN);
    }
}

/* A share as a percentage, all else with three decimals. */
static void put_cell(FILE *file, enum metric metric, double value)
{
    char text[24] = "-";
    if (!isnan(value))
        snprintf(text, sizeof text, metric == METRIC_ACCURACY ? "%.1f %%" : "%.3f",
                 metric == METRIC_ACCURACY ? 100 * value : value);
    fprintf(file, " %*s", CELL, text);
}

static void put_interval(FILE *file, enum metric metric, double low, double high)
{
    char text[48] = "";
    if (!isnan(low) && metric == METRIC_ACCURACY)
        snprintf(text, sizeof text, "%.1f-%.1f", 100 * low, 100 * high);
    else if (!isnan(low))
        snprintf(text, sizeof text, "%.3f-%.3f", low, high);
    fprintf(file, " %*s", CELL, text);
}

static void put_counts(FILE *file, const struct evaluation_group *group)
{
    fprintf(file, "  %-20s", "");
    for (int i = 0; i < OUTPUTS; i++)
        fprintf(file, " %*s", CELL, output_name(i));
    fprintf(file, "\n  %-20s", "cards labelled");
    for (int i = 0; i < OUTPUTS; i++)
        fprintf(file, " %*zu", CELL, group->outputs[i].all.n);
    fprintf(file, "\n  %-20s", "positives");
    for (int i = 0; i < OUTPUTS; i++)
        if (group->outputs[i].all.positives)
            fprintf(file, " %*zu", CELL, group->outputs[i].all.positives);
        else
            fprintf(file, " %*s", CELL, group->outputs[i].lack ? "-" : "no positives");
    fprintf(file, "\n  %-20s", "threshold");
    for (int i = 0; i < OUTPUTS; i++)
        fprintf(file, " %*.3f", CELL, (double)group->outputs[i].threshold);
    putc('\n', file);
}

/* The outputs that have a column of dashes, and why. */
static void put_lacks(FILE *file, const struct evaluation_group *group)
{
    for (int i = 0; i < OUTPUTS; i++)
        if (group->outputs[i].lack)
            fprintf(file, "  %s: %s\n", output_name(i), group->outputs[i].lack);
}

static void put_metric(FILE *file, const struct evaluation_group *group, enum metric metric)
{
    char name[32];
    snprintf(name, sizeof name, "%s", metric_name(metric));
    for (char *p = name; (p = strchr(p, '_'));)
        *p = ' ';
    fprintf(file, "  %-20s", name);
    for (int i = 0; i < OUTPUTS; i++)
        put_cell(file, metric, group->outputs[i].lack ? (double)NAN : group->outputs[i].all.value[metric]);
    fprintf(file, "\n  %-20s", "");
    for (int i = 0; i < OUTPUTS; i++) {
        const struct evaluation_output *output = &group->outputs[i];
        if (output->lack)
            fprintf(file, " %*s", CELL, "");
        else
            put_interval(file, metric, output->all.low[metric], output->all.high[metric]);
    }
    putc('\n', file);
}

void eval_print(FILE *file, const struct report *report)
{
    const struct evaluation *e = report->evaluation;
    fprintf(file, "%s: %zu cards, %zu judged by %s (%s) on %s\n", report->title, e->labels->count, e->judged, report->pipeline,
            report->model_hash, report->device);
    put_failed(file, e);
    for (size_t i = 0; i < e->n_groups; i++) {
        fprintf(file, "\n%s: %zu cards\n", *e->groups[i].name ? e->groups[i].name : "(no group)", e->groups[i].cards);
        if (e->groups[i].cards == 0)
            continue;
        put_confusion(file, &e->groups[i]);
        putc('\n', file);
        put_counts(file, &e->groups[i]);
        for (int metric = 0; metric < METRICS; metric++)
            put_metric(file, &e->groups[i], (enum metric)metric);
        put_lacks(file, &e->groups[i]);
    }
    fprintf(file, "\nSmall print: 95 %% intervals of %u bootstrap draws (seed %llu). A dash: there is nothing to count.\n",
            e->draws, (unsigned long long)e->seed);
}
