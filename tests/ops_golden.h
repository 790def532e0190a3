/*
 * Holding one op against PyTorch: the reference against the golden numbers of fixtures/ops.txt, the other backends against the
 * reference.
 */
#ifndef BGD_TESTS_OPS_GOLDEN_H
#define BGD_TESTS_OPS_GOLDEN_H

#include "nets.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PICTURES 3u
#define EPS 0x1p-24 /* half a unit in the last place of a float near 1 */

struct golden {
    double sum;
    float values[24];
    size_t n;
};

static inline FILE *open_fixture(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/tests/%s", BGDET_SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    cr_assert(file, "%s is missing", path);
    return file;
}

static inline struct golden find_golden(const char *op, unsigned index)
{
    FILE *file = open_fixture("fixtures/ops.txt");
    char line[1024], prefix[64];
    struct golden golden = {0};
    int length = snprintf(prefix, sizeof prefix, "%s %u ", op, index);
    while (!golden.n && fgets(line, sizeof line, file)) {
        if (strncmp(line, prefix, (size_t)length) != 0)
            continue;
        char *at = line + length, *end;
        golden.sum = strtod(at, &end);
        for (at = end; golden.n < 24; at = end) {
            float value = strtof(at, &end);
            if (end == at)
                break;
            golden.values[golden.n++] = value;
        }
    }
    fclose(file);
    cr_assert(golden.n, "fixtures/ops.txt has no line %s %u", op, index);
    return golden;
}

/* What an op may be off by: the other backends from the reference, absolute + relative * |value|; and the reference from
 * PyTorch, beyond what check_golden says. */
struct ops_bounds {
    double absolute, relative, golden;
};

/*
 * The reference sums in double and rounds once, as the golden numbers were: they agree to the last bit but where the double
 * sums themselves round to different sides, so 1.01 units in the last place (2 EPS) of the value.
 */
static inline void check_golden(const char *op, unsigned index, const float *y, size_t n, double beyond)
{
    struct golden golden = find_golden(op, index);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)y[i]);
    cr_expect(fabs(sum - golden.sum) <= 1e-7 * golden.sum + beyond * (double)n, "%s %u: sum %.9g, PyTorch has %.9g", op, index,
              sum, golden.sum);
    for (size_t k = 0; k < golden.n; k++) {
        float value = y[k * (n - 1) / (golden.n > 1 ? golden.n - 1 : 1)];
        cr_expect(fabs((double)value - (double)golden.values[k]) <= 2.02 * EPS * fabs((double)golden.values[k]) + beyond,
                  "%s %u: sample %zu is %.9g, PyTorch has %.9g", op, index, k, (double)value, (double)golden.values[k]);
    }
}

/* |y - ref| <= absolute + relative * |ref|, everywhere. */
static inline void check_backends(const char *op, unsigned index, struct net net, float *const *inputs,
                                  struct ops_bounds bounds)
{
    float *ref, *y;
    size_t n = PICTURES * net_output_size(net.model, 0);
    net_run(&backend_ref, net.model, PICTURES, PICTURES, inputs, &ref);
    check_golden(op, index, ref, n, bounds.golden);
    for (size_t b = 0; backends[b]; b++) {
        if (backends[b] == &backend_ref || !net_has_device(backends[b]))
            continue;
        net_run(backends[b], net.model, PICTURES, PICTURES, inputs, &y);
        double worst = 0;
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            double excess = fabs((double)y[i] - (double)ref[i]) - bounds.relative * fabs((double)ref[i]);
            if (!(excess <= worst)) { /* NAN, too */
                worst = excess;
                at = i;
            }
        }
        cr_expect(worst <= bounds.absolute, "%s %u on %s: element %zu of %zu is %.9g, the reference has %.9g", op, index,
                  backends[b]->name, at, n, (double)y[at], (double)ref[at]);
        free(y);
    }
    free(ref);
}

/* Input i is `scale` times r of seed i + 1, then cut to multiples of 1 / levels if that is not 0. */
static inline void run_and_close(const char *op, unsigned index, struct graph *graph, uint32_t value, float scale,
                                 uint32_t levels, struct ops_bounds bounds)
{
    graph_output(graph, value);
    struct net net = net_finish(graph, &net_plain_meta, BGD_F32);
    float *inputs[BGD_FORMAT_INPUTS_MAX] = {0};
    for (uint32_t i = 0; i < net.model->header->n_inputs; i++) {
        inputs[i] = net_input(net.model, i, PICTURES, i + 1);
        for (size_t k = 0; k < PICTURES * (size_t)shape_size(model_shape(net.model, i)); k++) {
            inputs[i][k] *= scale;
            if (levels)
                inputs[i][k] = floorf(inputs[i][k] * (float)levels) / (float)levels;
        }
    }
    check_backends(op, index, net, inputs, bounds);
    for (uint32_t i = 0; i < BGD_FORMAT_INPUTS_MAX; i++)
        free(inputs[i]);
    net_close(&net);
}

/* The next line of numbers of a table, or false. */
static inline bool next_shape(FILE *table, uint32_t *numbers, size_t n)
{
    char line[256];
    do {
        if (!fgets(line, sizeof line, table))
            return false;
    } while (line[0] == '#');
    char *at = line;
    for (size_t i = 0; i < n; i++)
        numbers[i] = (uint32_t)strtoul(at, &at, 10);
    return true;
}

/*
 * A sum of `taps` products in float, scaled so that it is near 1: a partial sum of k terms is about sqrt(k / taps), each
 * addition is off by up to EPS of that, and the errors go either way: a random walk to about 0.3 sqrt(taps) EPS. The worst of
 * 100,000 outputs is 5 times that (1.6 was measured), the bound 13 times. One tap too many or too few is 1e-2 and more.
 */
static inline double sum_bound(uint32_t taps)
{
    return 4 * EPS * sqrt((double)taps);
}

#endif
