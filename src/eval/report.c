#include "report.h"

#include "../err.h"
#include "../page/html.h"
#include "../page/page.h"
#include "report_charts.h"

#include <math.h>

#define FAILED_SHOWN 50
#define FAILED_OPEN 5 /* a longer list is folded */

/* ---------------------------------------------------------------- numbers */

static void put_value(FILE *page, enum metric metric, double value)
{
    if (isnan(value))
        fputs("–", page);
    else if (metric_is_percent(metric))
        fprintf(page, "%.1f %%", value * 100);
    else
        fprintf(page, "%.3f", value);
}

/* "91.8 – 96.4"; nothing without an interval. */
static void put_interval(FILE *page, enum metric metric, const struct evaluation_output *output)
{
    double low = output->all.low[metric], high = output->all.high[metric];
    if (output->lack || isnan(low) || isnan(high))
        return;
    if (metric_is_percent(metric))
        fprintf(page, "<small>%.1f – %.1f</small>", low * 100, high * 100);
    else
        fprintf(page, "<small>%.3f – %.3f</small>", low, high);
}

static double value_of(const struct evaluation_output *output, enum metric metric)
{
    return output->lack ? (double)NAN : output->all.value[metric];
}

static void put_metric_cell(FILE *page, const struct evaluation_output *output, enum metric metric)
{
    fputs("<td>", page);
    put_value(page, metric, value_of(output, metric));
    put_interval(page, metric, output);
    fputs("</td>", page);
}

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

/* ---------------------------------------------------------------- what was evaluated */

static void put_failed(FILE *page, const struct evaluation *evaluation)
{
    if (evaluation->failed == 0)
        return;
    fprintf(page, "<details%s><summary>%zu could not be judged</summary>\n<table class=\"failed\">\n",
            evaluation->failed <= FAILED_OPEN ? " open=\"open\"" : "", evaluation->failed);
    size_t shown = 0;
    for (size_t i = 0; i < evaluation->labels->count && shown < FAILED_SHOWN; i++) {
        const struct evaluation_card *card = &evaluation->cards[i];
        if (card->code == 0)
            continue;
        fputs("<tr><td>", page);
        html_name(page, evaluation->labels->rows[i].file);
        fprintf(page, "</td><td>%s</td><td class=\"soft\">", bgd_code_name(card->code));
        html_text(page, card->detail);
        fputs("</td></tr>\n", page);
        shown++;
    }
    fputs("</table>\n", page);
    if (shown < evaluation->failed)
        fprintf(page, "<p class=\"note\">and %zu more</p>\n", evaluation->failed - shown);
    fputs("</details>\n", page);
}

static bool is_labelled(const struct labels *labels, int output)
{
    for (size_t i = 0; i < labels->count; i++)
        if (labels->rows[i].truth[output] >= 0)
            return true;
    return false;
}

static void put_unlabelled(FILE *page, const struct labels *labels)
{
    const char *comma = "<p class=\"note\">Without any label: ";
    for (int i = OUTPUT_REASON; i < OUTPUTS; i++)
        if (!is_labelled(labels, i)) {
            fprintf(page, "%s%s", comma, output_name(i));
            comma = ", ";
        }
    if (comma[0] == ',')
        fputs(".</p>\n", page);
    if (labels->ignored[0]) {
        fputs("<p class=\"note\">Columns that were not read: ", page);
        html_name(page, labels->ignored);
        fputs(".</p>\n", page);
    }
}

static void put_head(FILE *page, const struct report *report)
{
    const struct evaluation *evaluation = report->evaluation;
    fputs("<h1>", page);
    html_name(page, report->title);
    fputs("</h1>\n<p>Judged by ", page);
    html_text(page, report->pipeline);
    fputs(" on ", page);
    html_text(page, report->device);
    fputs(", model <code>", page);
    html_text(page, report->model_hash);
    fprintf(page, "</code></p>\n<p>%zu labelled cards: %zu judged, %zu failed.", evaluation->labels->count, evaluation->judged,
            evaluation->failed);
    if (evaluation->draws)
        fprintf(page, " Small numbers are 95 %% intervals: percentiles of %u bootstrap draws (seed %llu).", evaluation->draws,
                (unsigned long long)evaluation->seed);
    fputs("</p>\n", page);
    if (report->fitted)
        fputs("<p><b>" REPORT_FITTED "</b></p>\n", page);
    put_unlabelled(page, evaluation->labels);
    put_failed(page, evaluation);
}

/* ---------------------------------------------------------------- numbers of "defective" */

static void put_headline(FILE *page, const struct evaluation_output *defective)
{
    static const enum metric shown[] = {METRIC_ACCURACY, METRIC_CROSS_ENTROPY, METRIC_ROC_AUC, METRIC_CALIBRATION_ERROR};
    fputs("<div class=\"headline\">\n", page);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        fprintf(page, "<div><span>%s</span><b>", metric_title(shown[i]));
        put_value(page, shown[i], value_of(defective, shown[i]));
        fputs("</b>", page);
        put_interval(page, shown[i], defective);
        fputs("</div>\n", page);
    }
    fputs("</div>\n<p class=\"note\">For the output “defective”: is the card to be rejected?</p>\n", page);
}

static const char *cell_class(int truth, enum bgd_verdict verdict)
{
    if (verdict == BGD_REVIEW)
        return "review";
    return (verdict == BGD_DEFECTIVE) == truth ? "good" : "bad";
}

static void put_confusion(FILE *page, const struct evaluation_group *group)
{
    bool review = group->confusion[0][BGD_REVIEW] + group->confusion[1][BGD_REVIEW] > 0;
    fputs("<h2>Verdicts</h2>\n<table class=\"confusion\">\n<thead><tr><th></th>", page);
    for (int verdict = 0; verdict < BGD_VERDICTS; verdict++)
        if (verdict != BGD_REVIEW || review)
            fprintf(page, "<th scope=\"col\">judged %s</th>", bgd_verdict_name((enum bgd_verdict)verdict));
    fputs("<th scope=\"col\">cards</th></tr></thead>\n<tbody>\n", page);
    for (int truth = 0; truth < 2; truth++) {
        const size_t *row = group->confusion[truth];
        size_t cards = row[BGD_CLEAN] + row[BGD_REVIEW] + row[BGD_DEFECTIVE];
        fprintf(page, "<tr><th scope=\"row\">labelled %s</th>", truth ? "defective" : "clean");
        for (int verdict = 0; verdict < BGD_VERDICTS; verdict++)
            if (verdict != BGD_REVIEW || review)
                fprintf(page, "<td class=\"%s\" style=\"--share:%.3f\"><b>%zu</b><small>%.1f %%</small></td>",
                        cell_class(truth, (enum bgd_verdict)verdict), share(row[verdict], cards), row[verdict],
                        share(row[verdict], cards) * 100);
        fprintf(page, "<td>%zu</td></tr>\n", cards);
    }
    fputs("</tbody>\n</table>\n", page);
    size_t undecided = group->confusion[0][BGD_REVIEW] + group->confusion[1][BGD_REVIEW], decided = group->cards - undecided;
    size_t right = group->confusion[0][BGD_CLEAN] + group->confusion[1][BGD_DEFECTIVE];
    if (review)
        fprintf(page,
                "<p class=\"note\">%.1f %% of the cards are decided, %.1f %% of these rightly. All other numbers are by the "
                "threshold, as if there were no review.</p>\n",
                share(decided, group->cards) * 100, share(right, decided) * 100);
}

/* ---------------------------------------------------------------- tables */

static void put_output_row(FILE *page, const struct evaluation_group *group, int i)
{
    const struct evaluation_output *output = &group->outputs[i];
    fprintf(page, "<tr><th scope=\"row\">%s</th>", output_name(i));
    if (output->lack) {
        fprintf(page, "<td class=\"words\" colspan=\"%d\">%s</td></tr>\n", 3 + METRICS, output->lack);
        return;
    }
    fprintf(page, "<td>%zu</td>", output->all.n);
    if (output->all.positives)
        fprintf(page, "<td>%zu</td>", output->all.positives);
    else
        fputs("<td class=\"soft\">no positives</td>", page);
    fprintf(page, "<td>%.3f</td>", (double)output->threshold);
    for (int metric = 0; metric < METRICS; metric++)
        put_metric_cell(page, output, (enum metric)metric);
    fputs("</tr>\n", page);
}

static void put_outputs(FILE *page, const struct evaluation_group *group)
{
    fputs("<div class=\"wide\"><table class=\"outputs\">\n<thead><tr><th></th><th scope=\"col\">cards labelled</th>"
          "<th scope=\"col\">positives</th><th scope=\"col\">threshold</th>",
          page);
    for (int metric = 0; metric < METRICS; metric++)
        fprintf(page, "<th scope=\"col\">%s</th>", metric_title((enum metric)metric));
    fputs("</tr></thead>\n<tbody>\n", page);
    for (int i = 0; i < OUTPUTS; i++)
        put_output_row(page, group, i);
    fputs("</tbody>\n</table></div>\n", page);
}

static void put_group_name(FILE *page, const struct evaluation_group *group, bool all)
{
    if (all)
        fputs("all cards", page);
    else if (group->name[0])
        html_name(page, group->name);
    else
        fputs("<i>no group</i>", page);
}

static void put_group_row(FILE *page, const struct evaluation_group *group, bool all)
{
    static const enum metric shown[] = {METRIC_ACCURACY, METRIC_CROSS_ENTROPY, METRIC_ROC_AUC, METRIC_F1};
    const struct evaluation_output *defective = &group->outputs[OUTPUT_DEFECTIVE];
    fputs("<tr><th scope=\"row\">", page);
    put_group_name(page, group, all);
    fprintf(page, "</th><td>%zu</td><td>%zu</td>", group->cards, defective->all.positives);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        put_metric_cell(page, defective, shown[i]);
    fputs("</tr>\n", page);
}

static void put_groups(FILE *page, const struct evaluation *evaluation)
{
    if (evaluation->n_groups < 2)
        return;
    fputs("<h2>Groups</h2>\n<p class=\"note\">For the output “defective”.</p>\n<table>\n<thead><tr><th></th><th "
          "scope=\"col\">cards judged"
          "</th><th scope=\"col\">defective</th><th scope=\"col\">accuracy</th><th scope=\"col\">cross-entropy</th>"
          "<th scope=\"col\">ROC-AUC</th><th scope=\"col\">F1</th></tr></thead>\n<tbody>\n",
          page);
    for (size_t i = 0; i < evaluation->n_groups; i++)
        put_group_row(page, &evaluation->groups[i], i == 0);
    fputs("</tbody>\n</table>\n", page);
    for (size_t i = 1; i < evaluation->n_groups; i++) {
        fputs("<details><summary>All outputs of ", page);
        put_group_name(page, &evaluation->groups[i], false);
        fputs("</summary>\n", page);
        put_outputs(page, &evaluation->groups[i]);
        fputs("</details>\n", page);
    }
}

/* ---------------------------------------------------------------- mistakes */

static void put_truth(FILE *page, const struct label *label)
{
    if (label->truth[OUTPUT_DEFECTIVE] == 0) {
        fputs("clean", page);
        return;
    }
    const char *before = "defective: ";
    for (int i = OUTPUT_REASON; i < OUTPUTS; i++)
        if (label->truth[i] == 1) {
            fprintf(page, "%s%s", before, output_name(i));
            before = ", ";
        }
    if (before[0] != ',')
        fputs("defective", page);
}

static void put_reasons(FILE *page, const struct evaluation_card *card, const struct label *label)
{
    fputs("<table><thead><tr>", page);
    for (int i = OUTPUT_REASON; i < OUTPUTS; i++)
        fprintf(page, "<th scope=\"col\">%s</th>", output_name(i));
    fputs("</tr></thead>\n<tbody><tr>", page);
    for (int i = OUTPUT_REASON; i < OUTPUTS; i++)
        if (isnan(card->p[i]))
            fputs("<td>–</td>", page);
        else
            fprintf(page, "<td%s>%.2f</td>", label->truth[i] == 1 ? " class=\"labelled\"" : "", (double)card->p[i]);
    fputs("</tr></tbody></table>\n", page);
}

static int put_mistake(FILE *page, const struct evaluation *evaluation, const struct report_mistake *mistake,
                       struct bgd_err *err)
{
    const struct label *label = &evaluation->labels->rows[mistake->card];
    const struct evaluation_card *card = &evaluation->cards[mistake->card];
    fputs("<figure><div class=\"pictures\">\n", page);
    if (page_put_picture(page, "card", "smooth", &mistake->image, &mistake->image, err) ||
        page_put_picture(page, "mask", "smooth", &mistake->mask, &mistake->image, err) ||
        page_put_picture(page, "background that it leaves", "pixels", &mistake->judged, &mistake->image, err))
        return err_prefix(err, "%s: ", label->file);
    if (!mistake->image.rgb && !mistake->mask.rgb && !mistake->judged.rgb)
        fputs("no picture", page);
    fputs("</div>\n<figcaption>", page);
    html_name(page, label->file);
    fputs("<br/>labelled <b>", page);
    put_truth(page, label);
    fprintf(page, "</b>, judged <b>%s</b>, P(defective)\u00a0%.3f\n", bgd_verdict_name(card->verdict),
            (double)card->p[OUTPUT_DEFECTIVE]);
    put_reasons(page, card, label);
    fputs("</figcaption></figure>\n", page);
    return 0;
}

static int put_mistakes(FILE *page, const struct report *report, struct bgd_err *err)
{
    if (report->n_mistakes == 0) {
        fputs("<h2>The worst mistakes</h2>\n<p class=\"note\">There are none: no decided card is wrong.</p>\n", page);
        return 0;
    }
    fprintf(page,
            "<h2>The worst mistakes</h2>\n<p class=\"note\">The %zu wrong verdicts whose P(defective) is the furthest from the "
            "label. Below each the P of the reasons; those that were labelled stand out.</p>\n<div class=\"cards\">\n",
            report->n_mistakes);
    for (size_t i = 0; i < report->n_mistakes; i++)
        if (put_mistake(page, report->evaluation, &report->mistakes[i], err))
            return err->code;
    fputs("</div>\n", page);
    return 0;
}

/* ---------------------------------------------------------------- the page */

static int put_report(FILE *page, const void *user, struct bgd_err *err)
{
    const struct report *report = user;
    const struct evaluation *evaluation = report->evaluation;
    const struct evaluation_group *all = &evaluation->groups[0];
    put_head(page, report);
    put_headline(page, &all->outputs[OUTPUT_DEFECTIVE]);
    put_confusion(page, all);
    fputs("<h2>Outputs</h2>\n", page);
    put_outputs(page, all);
    put_groups(page, evaluation);
    return report_put_charts(page, evaluation, err) ? err->code : put_mistakes(page, report, err);
}

int report_write(const struct report *report, const char *path, struct bgd_err *err)
{
    return page_write(path, report->title, put_report, report, err);
}
