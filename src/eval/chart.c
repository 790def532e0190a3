#include "chart.h"

#include "../page/svg.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------- curves */

/* A curve that is never laid out whole: vertex i of n follows from the points. */
struct path {
    const struct metrics_point *points;
    double positives, negatives;
    size_t n;
    struct chart_point (*vertex)(const struct path *path, size_t i);
};

/* What is between two vertices, and would be lost by a straight line there. */
struct span {
    size_t first, last, farthest;
    double distance; /* of the farthest from the line */
};

/* A quarter of a pixel: plots are 300 pixels wide. */
#define TOLERANCE (0.25 / 300)

static double distance_to_segment(struct chart_point p, struct chart_point a, struct chart_point b)
{
    double dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy;
    double along = square > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / square : 0;
    along = fmin(fmax(along, 0), 1);
    return hypot(p.x - a.x - along * dx, p.y - a.y - along * dy);
}

static struct span measure_span(const struct path *path, size_t first, size_t last)
{
    struct span span = {first, last, first, 0};
    struct chart_point a = path->vertex(path, first), b = path->vertex(path, last);
    for (size_t i = first + 1; i < last; i++) {
        double distance = distance_to_segment(path->vertex(path, i), a, b);
        if (distance > span.distance) {
            span.distance = distance;
            span.farthest = i;
        }
    }
    return span;
}

/* Douglas and Peucker 1973, the worst span first: the first and the last vertex stay, and every corner that can be seen, until
 * there is no room for more. */
static void thin(const struct path *path, struct chart_curve *curve)
{
    struct span spans[CHART_VERTICES - 1] = {measure_span(path, 0, path->n - 1)};
    size_t n = 1;
    while (n < CHART_VERTICES - 1) {
        size_t worst = 0;
        for (size_t i = 1; i < n; i++)
            if (spans[i].distance > spans[worst].distance)
                worst = i;
        struct span split = spans[worst];
        if (split.distance <= TOLERANCE)
            break;
        memmove(&spans[worst + 1], &spans[worst], (n - worst) * sizeof spans[0]);
        spans[worst] = measure_span(path, split.first, split.farthest);
        spans[worst + 1] = measure_span(path, split.farthest, split.last);
        n++;
    }
    curve->vertices[0] = path->vertex(path, 0);
    for (size_t i = 0; i < n; i++)
        curve->vertices[i + 1] = path->vertex(path, spans[i].last);
    curve->n = n + 1;
}

static struct chart_point roc_vertex(const struct path *path, size_t i)
{
    if (i == 0)
        return (struct chart_point){0, 0};
    const struct metrics_point *point = &path->points[i - 1];
    return (struct chart_point){(double)point->fp / path->negatives, (double)point->tp / path->positives};
}

/* Two vertices a point: where its step begins, at the recall of the point before, and where it ends. */
static struct chart_point precision_recall_vertex(const struct path *path, size_t i)
{
    const struct metrics_point *point = &path->points[i / 2];
    double precision = (double)point->tp / (double)(point->tp + point->fp);
    if (i % 2 == 0 && i > 0)
        point--;
    return (struct chart_point){i == 0 ? 0 : (double)point->tp / path->positives, precision};
}

/* The last point calls every card. */
static bool has_both_classes(const struct metrics_point *points, size_t n)
{
    return n > 0 && points[n - 1].tp > 0 && points[n - 1].fp > 0;
}

bool chart_roc(const struct metrics_point *points, size_t n, struct chart_curve *curve)
{
    curve->n = 0;
    if (!has_both_classes(points, n))
        return false;
    thin(&(struct path){points, (double)points[n - 1].tp, (double)points[n - 1].fp, n + 1, roc_vertex}, curve);
    return true;
}

bool chart_precision_recall(const struct metrics_point *points, size_t n, struct chart_curve *curve)
{
    curve->n = 0;
    if (!has_both_classes(points, n))
        return false;
    thin(&(struct path){points, (double)points[n - 1].tp, (double)points[n - 1].fp, 2 * n, precision_recall_vertex}, curve);
    return true;
}

/* ---------------------------------------------------------------- drawing */

/* In pixels, y downwards. Below the square: numbers, the name of the axis, then the legend or the histogram. */
enum {
    SIDE = 300,
    LEFT = 50,
    TOP = 14,
    BOTTOM = TOP + SIDE,
    BELOW = BOTTOM + 50,
    WIDTH = LEFT + SIDE + 14,
    HEIGHT = BELOW + 62
};

#define LEGEND_ROWS 3
#define DISC_RADIUS 11.0

static double across(double x)
{
    return LEFT + x * SIDE;
}

static double down(double y)
{
    return BOTTOM - y * SIDE;
}

/* `top`: what the y axis goes up to. */
static void put_ticks(FILE *page, double top)
{
    for (int i = 0; i <= 5; i++) {
        double at = i / 5.0;
        char number[16], height[16];
        snprintf(number, sizeof number, "%.1f", at);
        snprintf(height, sizeof height, "%.*f", top < 0.5 ? 2 : 1, at * top);
        svg_line(page, "grid", across(at), down(0), across(at), down(1));
        svg_line(page, "grid", across(0), down(at), across(1), down(at));
        svg_label(page, "middle", across(at), BOTTOM + 17, number);
        svg_label(page, "end", LEFT - 7, down(at) + 4, height);
    }
}

static void put_axes(FILE *page, const struct chart_axes *axes, double top)
{
    fprintf(page, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n", WIDTH, HEIGHT, axes->title);
    put_ticks(page, top);
    svg_line(page, "axis", across(0), down(0), across(1), down(0));
    svg_line(page, "axis", across(0), down(0), across(0), down(1));
    svg_label(page, "middle", across(0.5), BOTTOM + 36, axes->x);
    fprintf(page, "<text text-anchor=\"middle\" transform=\"translate(13 %.1f) rotate(-90)\">%s</text>\n", down(0.5), axes->y);
    if (axes->chance)
        svg_line(page, "chance", across(0), down(0), across(1), down(1));
}

static void put_curve(FILE *page, const struct chart_curve *curve)
{
    fprintf(page, "<polyline class=\"curve c%d\" points=\"", curve->colour);
    for (size_t i = 0; i < curve->n; i++)
        fprintf(page, "%s%.1f,%.1f", i ? " " : "", across(curve->vertices[i].x), down(curve->vertices[i].y));
    fputs("\"/>\n", page);
}

/* Two columns over the whole width. */
static void put_legend(FILE *page, const struct chart_curve *curve, size_t i)
{
    double left = i < LEGEND_ROWS ? 14 : 14 + WIDTH / 2.0, y = BELOW + 10 + (double)(i % LEGEND_ROWS) * 18;
    char class[16], area[16];
    snprintf(class, sizeof class, "curve c%d", curve->colour);
    snprintf(area, sizeof area, "%.3f", curve->area);
    svg_line(page, class, left, y, left + 20, y);
    svg_label(page, "start", left + 27, y + 4, curve->name);
    svg_label(page, "end", left + 155, y + 4, area);
}

void chart_put_curves(FILE *page, const struct chart_axes *axes, const struct chart_curve *curves, size_t n)
{
    put_axes(page, axes, 1);
    for (size_t i = n; i-- > 0;) /* the strongest on top */
        put_curve(page, &curves[i]);
    for (size_t i = 0; i < n; i++)
        put_legend(page, &curves[i], i);
    if (n == 0)
        svg_label(page, "middle", across(0.5), down(0.5), "no output has cards of both kinds");
    fputs("</svg>\n", page);
}

static void put_bin(FILE *page, const struct metrics_bin *bin, int i, size_t most)
{
    double share = (double)bin->n / (double)most, height = share * (HEIGHT - BELOW - 4);
    fprintf(page, "<circle class=\"bin\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", across(bin->p), down(bin->truth),
            fmax(2, DISC_RADIUS * sqrt(share)));
    fprintf(page, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
            across((double)i / METRICS_BINS) + 1, HEIGHT - 2 - height, (double)SIDE / METRICS_BINS - 2, height);
}

void chart_put_reliability(FILE *page, const struct chart_axes *axes, const struct metrics_bin bins[METRICS_BINS])
{
    put_axes(page, axes, 1);
    size_t most = 0;
    for (int i = 0; i < METRICS_BINS; i++)
        most = bins[i].n > most ? bins[i].n : most;
    for (int i = 0; i < METRICS_BINS; i++)
        if (bins[i].n > 0)
            put_bin(page, &bins[i], i, most);
    char number[32];
    snprintf(number, sizeof number, "%zu", most);
    svg_label(page, "end", LEFT - 7, BELOW + 10, number);
    svg_label(page, "end", LEFT - 7, HEIGHT - 2, "cards");
    svg_line(page, "axis", across(0), HEIGHT - 2, across(1), HEIGHT - 2);
    fputs("</svg>\n", page);
}

/* The least of some round numbers that no bar is above. */
static double top_of(const struct chart_bars *bars)
{
    static const double tops[] = {0.05, 0.1, 0.2, 0.5};
    double most = 0;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < bars->n; i++)
            most = fmax(most, bars->shares[side][i]);
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++)
        if (most <= tops[i])
            return tops[i];
    return 1;
}

void chart_put_bars(FILE *page, const struct chart_axes *axes, const struct chart_bars *bars)
{
    static const char *const classes[] = {"first", "second"};
    double top = top_of(bars), width = (double)SIDE / (double)bars->n / 2 - 1;
    put_axes(page, axes, top);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < bars->n; i++) {
            double height = bars->shares[side][i] / top * SIDE;
            if (height > 0)
                fprintf(page, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", classes[side],
                        across((double)i / (double)bars->n) + 1 + side * width, BOTTOM - height, width, height);
        }
        double left = LEFT + side * SIDE / 2.0;
        fprintf(page, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"12\" height=\"12\"/>\n", classes[side], left, BELOW);
        svg_label(page, "start", left + 19, BELOW + 11, bars->names[side]);
    }
    fputs("</svg>\n", page);
}
