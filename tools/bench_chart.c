/* A benchmark as an SVG. */
#include "bench_chart.h"

#include "err.h"
#include "page/html.h"
#include "page/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Colours of src/page/style.h. The page's own background is drawn, so that no other shines through. */
static const char style[] =
    "svg{color-scheme:light dark;--page:#fff;--ink:#1b1f24;--soft:#5c6670;--line:#d8dde2;--host:#0072b2;--device:#009e73;"
    "--whole:#d55e00}\n"
    "@media (prefers-color-scheme:dark){svg{--page:#15181b;--ink:#e4e7ea;--soft:#9aa4ad;--line:#333a41;--host:#4aa3df;"
    "--device:#2fbf95;--whole:#f0813a}}\n"
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'Noto Sans',sans-serif;fill:var(--soft)}\n"
    ".ink text{fill:var(--ink);stroke:var(--page);stroke-width:4px;paint-order:stroke}.title "
    "text{fill:var(--ink);font-size:17px;font-weight:600}\n"
    ".number text{fill:var(--ink);font-size:10px;font-weight:600}\n"
    ".heading text{fill:var(--ink);font-size:13.5px;font-weight:600}\n"
    ".page{fill:var(--page)}\n"
    "line{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft)}.whisker{stroke:var(--ink);stroke-width:1.4}\n"
    ".mark{stroke:var(--ink);stroke-width:1.6;stroke-dasharray:4 3}\n"
    ".host{fill:var(--host)}.device{fill:var(--device)}.whole{fill:var(--whole)}\n"
    ".curve{fill:none;stroke:var(--host);stroke-width:1.8;stroke-linejoin:round}\n"
    ".roof{fill:none;stroke:var(--ink);stroke-width:1.6}\n"
    ".dot{fill:var(--host);fill-opacity:.45;stroke:var(--host)}.dot.lost{fill:var(--whole);stroke:var(--whole)}\n";

void chart_number(char text[CHART_NUMBER], double value)
{
    const char *unit = value >= 1e6 ? "M" : value >= 1e4 ? "k" : "";
    double shown = value / (value >= 1e6 ? 1e6 : value >= 1e4 ? 1e3 : 1);
    int decimals = shown >= 100 ? 0 : shown >= 10 ? 1 : shown >= 1 ? 2 : 4;
    snprintf(text, CHART_NUMBER, "%.*f%s", decimals, shown, unit);
}

double chart_round_up(double value)
{
    if (!(value > 0 && value < HUGE_VAL))
        return 1;
    double power = pow(10, floor(log10(value)));
    static const double steps[] = {1, 2, 5};
    for (int i = 0; i < 3; i++)
        if (value <= steps[i] * power * (1 + 1e-9))
            return steps[i] * power;
    return 10 * power;
}

static void put_words(const struct chart *chart, const char *class, double y, const char *text)
{
    fprintf(chart->svg, "<g class=\"%s\">", class);
    svg_label(chart->svg, "start", chart->left, y, text);
    fputs("</g>\n", chart->svg);
}

/* ---------------------------------------------------------------- bars */

/* The time that an image takes, as long as a bar. */
struct bar {
    const char *name, *class;
    struct bench_rate rate; /* low and high 0: no whisker */
};

enum { ROW = 26, THICK = 14, NAMES = 190, NUMBERS = 120, TICKS = 4, NAME = 28 };

static double bar_width(void)
{
    return CHART_WIDTH - 2 * CHART_MARGIN - NAMES - NUMBERS;
}

static double milliseconds(double rate)
{
    return rate > 0 ? 1000 / rate : 0;
}

static void put_bar(const struct chart *chart, double y, double scale, const struct bar *bar)
{
    double left = chart->left + NAMES, middle = y + ROW / 2.0, length = milliseconds(bar->rate.median) * scale, end = length;
    svg_label(chart->svg, "end", left - 8, middle + 4, bar->name);
    fprintf(chart->svg, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\"/>\n", bar->class, left,
            middle - THICK / 2.0, fmax(length, 1), THICK);
    if (bar->rate.low > 0) {
        double from = milliseconds(bar->rate.high) * scale, to = milliseconds(bar->rate.low) * scale;
        svg_line(chart->svg, "whisker", left + from, middle, left + to, middle);
        svg_line(chart->svg, "whisker", left + from, middle - 4, left + from, middle + 4);
        svg_line(chart->svg, "whisker", left + to, middle - 4, left + to, middle + 4);
        end = fmax(end, to);
    }
    char rate[CHART_NUMBER], text[2 * CHART_NUMBER + 16];
    chart_number(rate, bar->rate.median);
    snprintf(text, sizeof text, "%s/s", rate);
    fputs("<g class=\"ink\">", chart->svg);
    svg_label(chart->svg, "start", left + end + 8, middle + 4, text);
    fputs("</g>\n", chart->svg);
}

/* From `y` on; `mark`: a rate, with what it is, as a line through all of them, or 0. Returns where it ends. */
static double put_bars(const struct chart *chart, double y, const struct bar *bars, size_t n, double mark, const char *what)
{
    double most = mark > 0 ? milliseconds(mark) : 0, left = chart->left + NAMES, bottom = y + (double)n * ROW + 4;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, milliseconds(bars[i].rate.low > 0 ? bars[i].rate.low : bars[i].rate.median));
    most = most > 0 ? most : 1;
    double scale = bar_width() / most, step = chart_round_up(most / TICKS);
    for (int i = 0; i <= TICKS && i * step <= most; i++) {
        double at = i * step;
        char number[CHART_NUMBER];
        snprintf(number, sizeof number, "%g", at);
        svg_line(chart->svg, at > 0 ? "grid" : "axis", left + at * scale, y, left + at * scale, bottom);
        svg_label(chart->svg, "middle", left + at * scale, bottom + 16, number);
    }
    svg_label(chart->svg, "start", left + bar_width() + 12, bottom + 16, "ms an image");
    if (mark > 0) {
        double x = left + milliseconds(mark) * scale;
        svg_line(chart->svg, "mark", x, y - 6, x, bottom);
        svg_label(chart->svg, x > left + bar_width() / 2 ? "end" : "start", x > left + bar_width() / 2 ? x - 6 : x + 6, y - 2,
                  what);
    }
    for (size_t i = 0; i < n; i++)
        put_bar(chart, y + (double)i * ROW, scale, &bars[i]);
    return bottom + 40;
}

static void put_stages(struct chart *chart, const struct bench_report *r)
{
    struct bar bars[BENCH_PARTS + 1];
    char number[CHART_NUMBER], text[128];
    put_words(chart, "heading", chart->top + 14, "Time that an image takes: each stage alone, and end to end");
    for (uint32_t i = 0; i < r->n_stages; i++)
        bars[i] = (struct bar){r->stages[i].name, r->stages[i].on_device ? "device" : "host", r->stages[i].rate};
    bars[r->n_stages] = (struct bar){"end to end", "whole", r->whole};
    chart_number(number, r->allowed);
    snprintf(text, sizeof text, "%s/s is what the stages allow", number);
    double y = put_bars(chart, chart->top + 40, bars, r->n_stages + 1, r->allowed, text);
    snprintf(text, sizeof text,
             "Whiskers: 10th to 90th percentile of the repetitions. End to end reaches %.2f of what the stages allow.",
             r->whole.median / r->allowed);
    put_words(chart, "soft", y, text);
    if (r->own_memory) {
        fprintf(chart->svg, "<rect class=\"host\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\"/>", chart->left, y + 12);
        svg_label(chart->svg, "start", chart->left + 18, y + 22, "on the host");
        fprintf(chart->svg, "<rect class=\"device\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\"/>", chart->left + 110,
                y + 12);
        svg_label(chart->svg, "start", chart->left + 128, y + 22, "on the device, beside the host");
        y += 24;
    }
    chart->top = y + CHART_GAP;
}

/* ---------------------------------------------------------------- curves */

enum { CURVE_HEIGHT = 150, CURVE_LEFT = 46, CURVE_RIGHT = 12, CURVE_TOP = 30, CURVE_BOTTOM = 38, CURVE_TICKS = 5 };

/* What a curve is drawn in. Powers of two stand at the same distance. */
struct frame {
    double left, bottom, width, height, octaves;
    double most, step; /* of the rates: a whole number of steps */
};

static double across(const struct frame *frame, uint32_t at)
{
    return frame->left + (frame->octaves > 0 ? log2(at) / frame->octaves * frame->width : 0);
}

static double down(const struct frame *frame, double rate)
{
    return frame->bottom - rate / frame->most * frame->height;
}

static void put_frame(FILE *svg, const struct frame *frame, const char *over)
{
    for (int i = 0; i <= CURVE_TICKS && i * frame->step <= frame->most * 1.001; i++) {
        double at = i * frame->step;
        char number[CHART_NUMBER];
        snprintf(number, sizeof number, at >= 10000 ? "%gk" : "%g", at >= 10000 ? at / 1000 : at);
        svg_line(svg, at > 0 ? "grid" : "axis", frame->left, down(frame, at), frame->left + frame->width, down(frame, at));
        svg_label(svg, "end", frame->left - 6, down(frame, at) + 4, number);
    }
    svg_label(svg, "middle", frame->left + frame->width / 2, frame->bottom + 34, over);
}

static void put_curve(const struct chart *chart, const struct bench_curve *curve, const char *over)
{
    char heading[96];
    struct frame frame = {.left = chart->left + CURVE_LEFT,
                          .bottom = chart->top + CURVE_TOP + CURVE_HEIGHT,
                          .width = CHART_COLUMN - CURVE_LEFT - CURVE_RIGHT,
                          .height = CURVE_HEIGHT,
                          .octaves = log2(curve->points[curve->n - 1].at)};
    for (uint32_t i = 0; i < curve->n; i++)
        frame.most = fmax(frame.most, curve->points[i].rate.high);
    frame.step = chart_round_up(frame.most / CURVE_TICKS);
    frame.most = ceil(frame.most / frame.step) * frame.step;
    snprintf(heading, sizeof heading, "%.60s, images/s", curve->name);
    put_words(chart, "heading", chart->top + 14, heading);
    put_frame(chart->svg, &frame, over);
    fputs("<polyline class=\"curve\" points=\"", chart->svg);
    for (uint32_t i = 0; i < curve->n; i++)
        fprintf(chart->svg, "%s%.1f,%.1f", i ? " " : "", across(&frame, curve->points[i].at),
                down(&frame, curve->points[i].rate.median));
    fputs("\"/>\n", chart->svg);
    for (uint32_t i = 0; i < curve->n; i++) {
        const struct bench_point *point = &curve->points[i];
        char number[16];
        double x = across(&frame, point->at);
        bool last = i + 1 == curve->n;
        svg_line(chart->svg, "whisker", x, down(&frame, point->rate.low), x, down(&frame, point->rate.high));
        fprintf(chart->svg, "<circle class=\"host\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", x, down(&frame, point->rate.median));
        snprintf(number, sizeof number, "%u", point->at);
        if (last || across(&frame, curve->points[curve->n - 1].at) - x > 22)
            svg_label(chart->svg, "middle", x, frame.bottom + 17, number);
    }
}

/* Puts what is drawn next into the other column, or below. */
static void next_cell(struct chart *chart, double height)
{
    if (chart->left > CHART_MARGIN) {
        chart->left = CHART_MARGIN;
        chart->top += height + CHART_GAP;
    } else {
        chart->left += CHART_COLUMN + CHART_GAP;
    }
}

static void end_row(struct chart *chart, double height)
{
    if (chart->left > CHART_MARGIN)
        next_cell(chart, height);
}

static void put_curves(struct chart *chart, const char *over, const struct bench_curve *curves, uint32_t n)
{
    const double height = CURVE_TOP + CURVE_HEIGHT + CURVE_BOTTOM;
    for (uint32_t i = 0; i < n; i++) {
        put_curve(chart, &curves[i], over);
        next_cell(chart, height);
    }
    end_row(chart, height);
}

/* ---------------------------------------------------------------- rooflines */

/* A network's name, or its file's without the folder; the last part of it that fits beside a bar. */
static const char *tail(const char *name)
{
    const char *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    size_t length = strlen(name);
    return length > NAME ? name + length - NAME : name;
}

/* What the ceilings allow a network that was not timed. */
static void put_allowed(struct chart *chart, const struct bench_report *r, struct bgd_err *err)
{
    struct bar *bars = calloc(r->n_networks, sizeof *bars);
    if (!bars) {
        err_set(err, BGD_MEMORY, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < r->n_networks; i++) {
        const struct roofline *roof = &r->networks[i].roofline;
        bars[i] = (struct bar){tail(r->networks[i].name), "device", {.median = roof->fused.stepwise}};
    }
    const struct backend_ceilings *ceilings = &r->networks[0].roofline.ceilings;
    char heading[160];
    snprintf(heading, sizeof heading,
             "Time that an image takes at the least, by %.4g GB/s and %.4g TFLOP/s: fused, %u bytes an element",
             ceilings->copy / 1e9, 2 * ceilings->macs / 1e12, ceilings->element_bytes);
    put_words(chart, "heading", chart->top + 14, heading);
    chart->top = put_bars(chart, chart->top + 30, bars, r->n_networks, 0, NULL) + CHART_GAP;
    free(bars);
}

static void put_rooflines(struct chart *chart, const struct bench_report *r, struct bgd_err *err)
{
    double height = 0;
    if (!(r->networks[0].roofline.measured > 0)) {
        put_allowed(chart, r, err);
        return;
    }
    for (uint32_t i = 0; i < r->n_networks; i++) {
        char heading[96];
        snprintf(heading, sizeof heading, "%.48s: roofline", tail(r->networks[i].name));
        put_words(chart, "heading", chart->top + 14, heading);
        height = fmax(height, chart_put_roofline(chart, &r->networks[i]));
        next_cell(chart, height);
    }
    end_row(chart, height);
}

/* ---------------------------------------------------------------- the whole */

static void put_head(struct chart *chart, const struct bench_report *r)
{
    char text[512], formats[BENCH_FORMATS_TEXT];
    put_words(chart, "title", chart->top + 16, "bgdet bench");
    chart->top += 38;
    if (r->device) {
        snprintf(text, sizeof text, "%s, %s; %s, %u processor%s", r->device, r->text, r->cpu, r->processors,
                 r->processors == 1 ? "" : "s");
        put_words(chart, "soft", chart->top, text);
        chart->top += 18;
    }
    if (r->cards) {
        bench_formats(r->cards, formats);
        snprintf(text, sizeof text, "%u card%s: %s, median %.2f megapixels and %.0f KB", r->cards->n, r->cards->n == 1 ? "" : "s",
                 formats, r->cards->pixels / 1e6, r->cards->bytes / 1e3);
        put_words(chart, "soft", chart->top, text);
        chart->top += 18;
        snprintf(text, sizeof text, "%u thread%s, %u lane%s, batches of %u", r->threads, r->threads == 1 ? "" : "s", r->lanes,
                 r->lanes == 1 ? "" : "s", r->batch);
        put_words(chart, "soft", chart->top, text);
        chart->top += 18;
    }
    snprintf(text, sizeof text, "%s%sversion %s%s%s, %s UTC", r->pipeline ? r->pipeline : "", r->pipeline ? "; " : "", BGD_VERSION,
             *r->commit ? ", commit " : "", r->commit, r->date);
    put_words(chart, "soft", chart->top, text);
    chart->top += CHART_GAP;
}

static void put_body(struct chart *chart, const struct bench_report *r, struct bgd_err *err)
{
    put_head(chart, r);
    if (r->n_stages)
        put_stages(chart, r);
    put_curves(chart, "pictures in a batch", r->by_batch, r->n_by_batch);
    put_curves(chart, "threads", r->by_threads, r->n_by_threads);
    if (r->n_networks)
        put_rooflines(chart, r, err);
}

/* The body first, since its height stands in the frame. */
int bench_put_chart(FILE *file, const struct bench_report *report, struct bgd_err *err)
{
    char *body = NULL;
    size_t size = 0;
    struct chart chart = {open_memstream(&body, &size), CHART_MARGIN, CHART_MARGIN};
    err->code = BGD_OK;
    if (!chart.svg)
        return err_set(err, BGD_MEMORY, "out of memory");
    put_body(&chart, report, err);
    if (fclose(chart.svg))
        err_set(err, BGD_MEMORY, "out of memory");
    if (!err->code)
        fprintf(file,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" role=\"img\" "
                "aria-label=\"bgdet bench\">\n<style>\n%s</style>\n<rect class=\"page\" width=\"100%%\" "
                "height=\"100%%\"/>\n%s</svg>\n",
                CHART_WIDTH, chart.top, CHART_WIDTH, chart.top, style, body);
    free(body);
    return err->code;
}
