#include "bench_chart.h"

#include "page/svg.h"

#include <math.h>
#include <string.h>

enum {
    LEFT = 46,
    RIGHT = 10,
    TOP = 28,
    HEIGHT = 230,
    AXIS = 40,
    NAMED = 5,
    LINE = 16,
    NAME = 18,
    DECADE_LEAST = -6,
    DECADE_MOST = 18
};

#define RADIUS_MOST 16.0
#define RADIUS_LEAST 1.5

/* Decades of both axes, and where they lie. */
struct plane {
    int x0, x1, y0, y1; /* log10 */
    double left, top, width;
};

static double across(const struct plane *plane, double intensity)
{
    return plane->left + (log10(intensity) - plane->x0) / (plane->x1 - plane->x0) * plane->width;
}

static double down(const struct plane *plane, double flops)
{
    return plane->top + (plane->y1 - log10(flops)) / (plane->y1 - plane->y0) * HEIGHT;
}

/* Two operations in a multiply-accumulate, as everybody counts. */
static double intensity_of(const struct roofline_step *step)
{
    return 2 * step->macs / step->bytes;
}

static double flops_of(const struct roofline_step *step)
{
    return 2 * step->macs / step->seconds;
}

/* Others have no place between logarithms. */
static bool is_drawn(const struct roofline_step *step)
{
    return step->macs > 0 && step->bytes > 0 && step->seconds > 0;
}

/* Those that a device may come to; NAN is the least. */
static int decade(double log)
{
    return (int)fmin(fmax(log, DECADE_LEAST), DECADE_MOST);
}

/* Whole decades that hold every step and the ridge. */
static struct plane fit(const struct chart *chart, const struct roofline *roof)
{
    double most = 2 * roof->ceilings.macs, ridge = most / roof->ceilings.copy;
    double x0 = ridge / 10, x1 = ridge * 2, y0 = most / 100;
    for (uint32_t i = 0; i < roof->n_steps; i++) {
        const struct roofline_step *step = &roof->steps[i];
        if (!is_drawn(step))
            continue;
        x0 = fmin(x0, intensity_of(step));
        x1 = fmax(x1, intensity_of(step));
        y0 = fmin(y0, flops_of(step));
        most = fmax(most, flops_of(step));
    }
    return (struct plane){.x0 = decade(floor(log10(x0 * 0.9))),
                          .x1 = decade(ceil(log10(x1 * 1.1))),
                          .y0 = decade(floor(log10(y0 * 0.9))),
                          .y1 = decade(ceil(log10(most * 1.1))),
                          .left = chart->left + LEFT,
                          .top = chart->top + TOP,
                          .width = CHART_COLUMN - LEFT - RIGHT};
}

static void put_decades(FILE *svg, const struct plane *plane)
{
    double right = plane->left + plane->width, bottom = plane->top + HEIGHT;
    char number[CHART_NUMBER];
    for (int x = plane->x0; x <= plane->x1; x++) {
        snprintf(number, sizeof number, "%g", pow(10, x));
        svg_line(svg, "grid", across(plane, pow(10, x)), plane->top, across(plane, pow(10, x)), bottom);
        svg_label(svg, "middle", across(plane, pow(10, x)), bottom + 16, number);
    }
    for (int y = plane->y0; y <= plane->y1; y++) {
        snprintf(number, sizeof number, "%g", pow(10, y - 9));
        svg_line(svg, "grid", plane->left, down(plane, pow(10, y)), right, down(plane, pow(10, y)));
        svg_label(svg, "end", plane->left - 6, down(plane, pow(10, y)) + 4, number);
    }
    svg_label(svg, "end", right, bottom + 33, "operations a byte");
    svg_label(svg, "start", plane->left - LEFT, bottom + 33, "GFLOP/s");
}

/* The two ceilings, as far as the plane goes. */
static void put_roof(FILE *svg, const struct plane *plane, const struct roofline *roof)
{
    double most = 2 * roof->ceilings.macs, copy = roof->ceilings.copy;
    double first = fmax(pow(10, plane->x0), pow(10, plane->y0) / copy), last = pow(10, plane->x1);
    char text[64];
    fprintf(svg, "<polyline class=\"roof\" points=\"%.1f,%.1f %.1f,%.1f %.1f,%.1f\"/>\n", across(plane, first),
            down(plane, first * copy), across(plane, most / copy), down(plane, most), across(plane, last), down(plane, most));
    snprintf(text, sizeof text, "%.3g GFLOP/s", most / 1e9);
    svg_label(svg, "end", across(plane, last) - 4, down(plane, most) - 6, text);
    snprintf(text, sizeof text, "%.3g GB/s", copy / 1e9);
    svg_label(svg, "end", across(plane, sqrt(first * most / copy)) - 8, down(plane, copy * sqrt(first * most / copy)) - 4,
              text);
}

static void put_dot(FILE *svg, const struct plane *plane, const struct roofline_step *step, double all, bool lost)
{
    double radius = fmax(RADIUS_MOST * sqrt(step->seconds / all), RADIUS_LEAST);
    fprintf(svg, "<circle class=\"dot%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", lost ? " lost" : "",
            across(plane, intensity_of(step)), down(plane, flops_of(step)), radius);
}

/* The numbers of steps that lie close together would cover each other: a later one goes on the dot's other sides. */
static void put_number(FILE *svg, const struct plane *plane, const struct roofline *roof, uint32_t index,
                       double places[NAMED][2])
{
    static const double sides[][2] = {{0, 4}, {18, 4}, {-18, 4}, {0, -12}, {0, 22}};
    const struct roofline_step *step = &roof->steps[index];
    double x = across(plane, intensity_of(step)), y = down(plane, flops_of(step));
    size_t side = 0;
    for (bool covered = true; covered && side < sizeof sides / sizeof sides[0] - 1; side += covered) {
        covered = false;
        for (uint32_t i = 0; i < index; i++)
            covered = covered || (fabs(places[i][0] - x - sides[side][0]) < 10 && fabs(places[i][1] - y - sides[side][1]) < 12);
    }
    places[index][0] = x + sides[side][0];
    places[index][1] = y + sides[side][1];
    fputs("<g class=\"number\">", svg);
    char number[8];
    snprintf(number, sizeof number, "%u", index + 1);
    svg_label(svg, "middle", places[index][0], places[index][1], number);
    fputs("</g>\n", svg);
}

/* "1 layer3.0.conv2: 31 % of its limit, 8 % of the time" */
static void put_name(const struct chart *chart, double y, const struct roofline_step *step, uint32_t index, double all)
{
    char text[128];
    size_t length = strlen(step->name);
    bool cut = length > NAME;
    snprintf(text, sizeof text, "%u %s%s: %.0f %% of its limit, %.0f %% of the time", index + 1, cut ? "\u2026" : "",
             step->name + (cut ? length - NAME : 0), 100 * step->limit / step->seconds, 100 * step->seconds / all);
    svg_label(chart->svg, "start", chart->left, y, text);
}

double chart_put_roofline(const struct chart *chart, const struct bench_network *network)
{
    const struct roofline *roof = &network->roofline;
    const struct plane plane = fit(chart, roof);
    double all = 0, bare = 0, y = chart->top + TOP + HEIGHT + AXIS + LINE, places[NAMED][2];
    for (uint32_t i = 0; i < roof->n_steps; i++) {
        all += roof->steps[i].seconds;
        bare += is_drawn(&roof->steps[i]) ? 0 : roof->steps[i].seconds;
    }
    put_decades(chart->svg, &plane);
    put_roof(chart->svg, &plane, roof);
    for (uint32_t i = roof->n_steps; i-- > 0;) /* those that lose the most on top */
        if (is_drawn(&roof->steps[i]))
            put_dot(chart->svg, &plane, &roof->steps[i], all, i < NAMED);
    for (uint32_t i = 0; i < roof->n_steps && i < NAMED; i++, y += LINE) {
        if (is_drawn(&roof->steps[i]))
            put_number(chart->svg, &plane, roof, i, places);
        else
            places[i][0] = places[i][1] = -100;
        put_name(chart, y, &roof->steps[i], i, all);
    }
    if (bare > 0) {
        char text[96];
        snprintf(text, sizeof text, "Not drawn: steps without arithmetic, %.0f %% of the time", 100 * bare / all);
        svg_label(chart->svg, "start", chart->left, y, text);
        y += LINE;
    }
    return y - chart->top;
}
