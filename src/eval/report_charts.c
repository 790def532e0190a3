#include "report_charts.h"

#include "chart.h"
#include "../err.h"

#include <stdlib.h>

struct curves {
    struct chart_curve roc[OUTPUTS], precision_recall[OUTPUTS];
    size_t n; /* outputs with cards of both kinds */
};

static int add_curves(const struct evaluation *evaluation, int output, float *p, uint8_t *truth, struct curves *curves,
                      struct bgd_err *err)
{
    const struct evaluation_output *measured = &evaluation->groups[0].outputs[output];
    if (measured->lack)
        return 0;
    struct metrics_sample sample = {.p = p, .truth = truth, .threshold = measured->threshold};
    sample.n = evaluation_sample(evaluation, 0, output, p, truth);
    struct metrics_point *points;
    size_t n;
    if (metrics_curve(&sample, &points, &n, err))
        return err->code;
    struct chart_curve *roc = &curves->roc[curves->n], *precision_recall = &curves->precision_recall[curves->n];
    *roc = (struct chart_curve){output_name(output), output, measured->all.value[METRIC_ROC_AUC], 0, {{0, 0}}};
    *precision_recall = *roc;
    precision_recall->area = measured->all.value[METRIC_AVERAGE_PRECISION];
    if (chart_roc(points, n, roc) && chart_precision_recall(points, n, precision_recall))
        curves->n++;
    free(points);
    return 0;
}

static int make_curves(const struct evaluation *evaluation, struct curves *curves, struct bgd_err *err)
{
    size_t count = evaluation->labels->count;
    float *p = malloc(count * sizeof *p);
    uint8_t *truth = malloc(count);
    int code = p && truth ? 0 : err_set(err, BGD_MEMORY, "out of memory for the curves of %zu cards", count);
    for (int i = 0; i < OUTPUTS && !code; i++)
        code = add_curves(evaluation, i, p, truth, curves, err);
    free(p);
    free(truth);
    return code;
}

static void put_caption(FILE *page, const char *title, const char *text)
{
    fprintf(page, "<figure><figcaption><b>%s</b><span>%s</span></figcaption>\n", title, text);
}

static void put_charts(FILE *page, const struct curves *curves, const struct metrics_bin bins[METRICS_BINS])
{
    fputs("<h2>Curves</h2>\n<div class=\"plots\">\n", page);
    put_caption(page, "ROC", "What every threshold would give. The legend has the area (ROC-AUC); dotted: chance.");
    chart_put_curves(page, &(struct chart_axes){"ROC curves", "false positive rate", "recall", true}, curves->roc, curves->n);
    fputs("</figure>\n", page);
    put_caption(page, "Precision and recall", "What every threshold would give. The legend has the area (average precision).");
    chart_put_curves(page, &(struct chart_axes){"Precision-recall curves", "recall", "precision", false},
                     curves->precision_recall, curves->n);
    fputs("</figure>\n", page);
    put_caption(page, "Reliability of P(defective)",
                "15 bins; discs by number of cards. On the diagonal P means what it says. Below: cards per bin.");
    chart_put_reliability(page, &(struct chart_axes){"Reliability diagram", "P(defective)", "share that is defective", true},
                          bins);
    fputs("</figure>\n</div>\n", page);
}

int report_put_charts(FILE *page, const struct evaluation *evaluation, struct bgd_err *err)
{
    struct curves *curves = calloc(1, sizeof *curves);
    if (!curves)
        return err_set(err, BGD_MEMORY, "out of memory for the curves");
    int code = make_curves(evaluation, curves, err);
    if (!code)
        put_charts(page, curves, evaluation->groups[0].outputs[OUTPUT_DEFECTIVE].all.bins);
    free(curves);
    return code;
}
