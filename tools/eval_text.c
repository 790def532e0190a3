/* An evaluation as tables on a terminal: metrics down, outputs across, each with its interval below. */
#include "eval.h"
#include "utf8.h"

#include <math.h>
#include <string.h>

#define FAILED_SHOWN 20
#define CELL 14

static void put_failed(FILE *file, const struct evaluation *e)
{
    size_t shown = 0;
    if (e->failed)
        fprintf(file, "not judged: %zu of %zu\n", e->failed, e->labels->count);
    for (size_t i = 0; i < e->labels->count && shown < FAILED_SHOWN; i++) {
        if (!e->cards[i].code)
            continue;
        shown++;
        fputs("  ", file);
        utf8_print(file, e->labels->rows[i].file);
        fprintf(file, ": %s: ", bgd_code_name(e->cards[i].code));
        utf8_print(file, e->cards[i].detail);
        putc('\n', file);
    }
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
        fprintf(file, "  %.1f %% of the cards are decided, %.1f %% of these rightly; what follows is by the threshold\n",
                100 * (double)decided / (double)group->cards, decided ? 100 * (double)right / (double)decided : NAN);
    }
}

static void put_cell(FILE *file, enum metric metric, double value)
{
    char text[24] = "-";
    if (!isnan(value))
        snprintf(text, sizeof text, metric_is_percent(metric) ? "%.1f %%" : "%.3f",
                 metric_is_percent(metric) ? 100 * value : value);
    fprintf(file, " %*s", CELL, text);
}

static void put_interval(FILE *file, enum metric metric, double low, double high)
{
    char text[48] = "";
    if (!isnan(low) && metric_is_percent(metric))
        snprintf(text, sizeof text, "%.1f-%.1f", 100 * low, 100 * high);
    else if (!isnan(low))
        snprintf(text, sizeof text, "%.3f-%.3f", low, high);
    fprintf(file, " %*s", CELL, text);
}

/* A number, or a dash for an output that is not measured. */
static void put_count(FILE *file, const struct evaluation_output *output, size_t count)
{
    if (output->lack)
        fprintf(file, " %*s", CELL, "-");
    else
        fprintf(file, " %*zu", CELL, count);
}

static void put_counts(FILE *file, const struct evaluation_group *group)
{
    fprintf(file, "  %-20s", "");
    for (int i = 0; i < OUTPUTS; i++)
        fprintf(file, " %*s", CELL, output_name(i));
    fprintf(file, "\n  %-20s", "cards labelled");
    for (int i = 0; i < OUTPUTS; i++)
        put_count(file, &group->outputs[i], group->outputs[i].all.n);
    fprintf(file, "\n  %-20s", "positives");
    for (int i = 0; i < OUTPUTS; i++)
        if (!group->outputs[i].lack && group->outputs[i].all.positives == 0)
            fprintf(file, " %*s", CELL, "no positives");
        else
            put_count(file, &group->outputs[i], group->outputs[i].all.positives);
    fprintf(file, "\n  %-20s", "threshold");
    for (int i = 0; i < OUTPUTS; i++)
        if (group->outputs[i].lack)
            fprintf(file, " %*s", CELL, "-");
        else
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
    fprintf(file, "  %-20s", metric_title(metric));
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

static void put_group(FILE *file, const struct evaluation_group *group, bool all)
{
    putc('\n', file);
    if (all)
        fputs("all cards", file);
    else
        utf8_print(file, *group->name ? group->name : "no group");
    fprintf(file, ": %zu\n", group->cards);
    if (group->cards == 0)
        return;
    put_confusion(file, group);
    putc('\n', file);
    put_counts(file, group);
    for (int metric = 0; metric < METRICS; metric++)
        put_metric(file, group, (enum metric)metric);
    put_lacks(file, group);
}

void eval_print(FILE *file, const struct report *report)
{
    const struct evaluation *e = report->evaluation;
    utf8_print(file, report->title);
    fprintf(file, ": %zu of %zu cards judged by %s (%s) on %s\n", e->judged, e->labels->count, report->pipeline,
            report->model_hash, report->device);
    if (report->fitted)
        fputs(REPORT_FITTED "\n", file);
    put_failed(file, e);
    for (size_t i = 1; i < e->n_groups; i++)
        put_group(file, &e->groups[i], false);
    put_group(file, &e->groups[0], true); /* last: what a terminal still shows */
    fprintf(file,
            "\nBelow each number its 95 %% interval (%u bootstrap draws, seed %llu). A dash: there is nothing to count.\n",
            e->draws, (unsigned long long)e->seed);
}
