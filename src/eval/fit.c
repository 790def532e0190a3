#include "fit.h"

#include <math.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- calibrations */

static double clamp(double value, double least, double most)
{
    return value < least ? least : value > most ? most : value;
}

/* What is fitted to: P is to become `yes` where truth is 1, and `no` where it is 0. */
struct fit {
    const float *p;
    const uint8_t *truth;
    size_t n;
    double yes, no;
};

/* A place in the plane of calibrations, or a direction in it. */
struct point {
    double slope, offset;
};

/* The cross-entropy at a point, its gradient and its Hessian, as means over the cards. */
struct loss {
    double value, slope, offset, slope_slope, slope_offset, offset_offset;
};

static struct loss loss_at(const struct fit *fit, struct point at)
{
    struct loss loss = {0};
    for (size_t i = 0; i < fit->n; i++) {
        double x = calibration_logit(fit->p[i]), z = at.slope * x + at.offset;
        double target = fit->truth[i] ? fit->yes : fit->no;
        double e = exp(-fabs(z)); /* never overflows */
        double called = (z < 0 ? e : 1) / (1 + e), error = called - target, curvature = e / ((1 + e) * (1 + e));
        loss.value += log1p(e) + (z < 0 ? -target * z : (1 - target) * z);
        loss.slope += error * x;
        loss.offset += error;
        loss.slope_slope += curvature * x * x;
        loss.slope_offset += curvature * x;
        loss.offset_offset += curvature;
    }
    double n = (double)fit->n;
    return (struct loss){loss.value / n,       loss.slope / n,        loss.offset / n,
                         loss.slope_slope / n, loss.slope_offset / n, loss.offset_offset / n};
}

static struct point step(struct point from, double length, struct point direction)
{
    return (struct point){from.slope + length * direction.slope, from.offset + length * direction.offset};
}

/*
 * The t in low..high for which the loss is least at from + t direction. It is convex in t: the zero of its derivative is
 * bracketed, and Newton's steps are taken while they stay inside and each is at most half as long as the one before; else the
 * bracket is halved (Press et al., "Numerical Recipes", rtsafe).
 */
static double least_along(const struct fit *fit, struct point from, struct point direction, double low, double high)
{
    double t = clamp(1, low, high), moved = high - low;
    for (int i = 0; i < 200 && moved > 1e-9 * fabs(t); i++) {
        struct loss loss = loss_at(fit, step(from, t, direction));
        double rise = loss.slope * direction.slope + loss.offset * direction.offset;
        double curvature = loss.slope_slope * direction.slope * direction.slope +
                           2 * loss.slope_offset * direction.slope * direction.offset +
                           loss.offset_offset * direction.offset * direction.offset;
        if (rise == 0)
            return t; /* the least, or nothing here depends on t */
        *(rise > 0 ? &high : &low) = t;
        double next = t - rise / curvature;
        if (!(next >= low && next <= high && fabs(next - t) <= moved / 2)) /* also where the curvature is 0 */
            next = low + (high - low) / 2;
        moved = fabs(next - t);
        t = next;
    }
    return t;
}

static double least_slope(const struct fit *fit, double offset)
{
    return least_along(fit, (struct point){0, offset}, (struct point){1, 0}, CALIBRATION_SLOPE_LEAST, CALIBRATION_SLOPE_MOST);
}

static double least_offset(const struct fit *fit, double slope)
{
    return least_along(fit, (struct point){slope, 0}, (struct point){0, 1}, -CALIBRATION_OFFSET_MOST, CALIBRATION_OFFSET_MOST);
}

/* Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs for support vector machines", Algorithm 1. */
static struct point newton(const struct fit *fit, struct point at)
{
    const double ridge = 1e-12, sufficient = 1e-4, step_least = 1e-10, gradient_least = 1e-9;
    struct loss loss = loss_at(fit, at);
    for (int i = 0; i < 100 && fmax(fabs(loss.slope), fabs(loss.offset)) > gradient_least; i++) {
        double ss = loss.slope_slope + ridge, oo = loss.offset_offset + ridge, so = loss.slope_offset;
        double determinant = ss * oo - so * so;
        struct point direction = {(so * loss.offset - oo * loss.slope) / determinant,
                                  (so * loss.slope - ss * loss.offset) / determinant};
        double rise = loss.slope * direction.slope + loss.offset * direction.offset;
        double length = 1;
        struct loss next = loss_at(fit, step(at, length, direction));
        while (!(next.value <= loss.value + sufficient * length * rise)) {
            length /= 2;
            if (length < step_least)
                return at;
            next = loss_at(fit, step(at, length, direction));
        }
        at = step(at, length, direction);
        loss = next;
    }
    return at;
}

static bool is_in_range(struct point at)
{
    return at.slope >= CALIBRATION_SLOPE_LEAST && at.slope <= CALIBRATION_SLOPE_MOST &&
           fabs(at.offset) <= CALIBRATION_OFFSET_MOST;
}

/* The loss is convex: if its least lies outside the range, the best within is on one of the range's four edges. */
static struct point fit_platt(const struct fit *fit, size_t positives, size_t negatives)
{
    static const double slopes[] = {CALIBRATION_SLOPE_LEAST, CALIBRATION_SLOPE_MOST};
    static const double offsets[] = {-CALIBRATION_OFFSET_MOST, CALIBRATION_OFFSET_MOST};
    struct point best = newton(fit, (struct point){0, log((double)(positives + 1) / (double)(negatives + 1))});
    if (is_in_range(best))
        return best;
    double least = INFINITY;
    for (int i = 0; i < 4; i++) {
        struct point edge = i < 2 ? (struct point){slopes[i], least_offset(fit, slopes[i])}
                                  : (struct point){least_slope(fit, offsets[i - 2]), offsets[i - 2]};
        double loss = loss_at(fit, edge).value;
        if (loss < least - 1e-9) { /* of edges as good as each other the first: a whole line of them may be */
            least = loss;
            best = edge;
        }
    }
    return best;
}

bool fit_calibration(enum fit_method method, const float *p, const uint8_t *truth, size_t n, struct calibration *out)
{
    *out = CALIBRATION_NONE;
    size_t positives = 0;
    for (size_t i = 0; i < n; i++)
        positives += truth[i];
    size_t negatives = n - positives;
    if (positives == 0 || negatives == 0)
        return false;
    const struct fit fit = {p, truth, n, (double)(positives + 1) / (double)(positives + 2), 1 / (double)(negatives + 2)};
    struct point at = method == FIT_PLATT ? fit_platt(&fit, positives, negatives) : (struct point){least_slope(&fit, 0), 0};
    *out = (struct calibration){(float)at.slope, (float)at.offset};
    return true;
}

/* ---------------------------------------------------------------- thresholds */

/* How well calling these cards meets the target; negative: not at all. */
static double merit(struct fit_target target, size_t tp, size_t fp, size_t positives)
{
    if (target.f1)
        return 2 * (double)tp / (double)(tp + fp + positives);
    double precision = (double)tp / (double)(tp + fp);
    return precision >= target.precision ? (double)tp / (double)positives : -1;
}

/* Halfway, but always above `next`: between floats that are neighbours, halfway rounds to one of them. */
static float between(float next, float last)
{
    float half = (float)(((double)next + (double)last) / 2);
    return half > next ? half : last;
}

int fit_threshold(const struct metrics_sample *sample, struct fit_target target, float *threshold, bool *met,
                  struct bgd_err *err)
{
    *met = false;
    struct metrics_point *points;
    size_t n;
    if (metrics_curve(sample, &points, &n, err))
        return err->code;
    size_t positives = n > 0 ? points[n - 1].tp : 0;
    double best = 0; /* calling no "yes" card meets nothing */
    for (size_t i = 0; i < n && positives > 0; i++) {
        double merits = merit(target, points[i].tp, points[i].fp, positives);
        if (merits > best) {
            best = merits;
            *threshold = between(i + 1 < n ? points[i + 1].p : 0, points[i].p);
            *met = true;
        }
    }
    free(points);
    return 0;
}
