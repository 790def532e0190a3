/* The running and the judging: the worst and the mean error of a subject, a line for each precision. */
#include "gpu_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- running */

static size_t output_size(const struct bgd_model *model, uint32_t output)
{
    return (size_t)shape_size(model_shape(model, model->header->outputs[output]));
}

static size_t all_outputs_size(const struct bgd_model *model)
{
    size_t size = 0;
    for (uint32_t o = 0; o < model->header->n_outputs; o++)
        size += output_size(model, o);
    return size;
}

static int load_pictures(const struct backend *backend, struct exec *exec, const struct subject *s, uint32_t first, uint32_t n,
                         struct bgd_err *err)
{
    if (s->images)
        return backend->feed(exec, n, s->images + first, NULL, err);
    for (uint32_t i = 0; i < s->model->header->n_inputs; i++)
        if (backend->load(exec, i, n, s->inputs[i] + first * shape_size(model_shape(s->model, i)), err))
            return err->code;
    return 0;
}

/* Runs the pictures first .. first + n - 1. The outputs come one behind the other in y, each (n, c, h, w). */
static int run_pictures(const struct backend *backend, struct exec *exec, const struct subject *s, uint32_t first, uint32_t n,
                        float *y, struct bgd_err *err)
{
    if (load_pictures(backend, exec, s, first, n, err) || backend->run(exec, n, err))
        return err->code;
    for (uint32_t o = 0; o < s->model->header->n_outputs; o++) {
        if (backend->fetch(exec, o, n, y, err))
            return err->code;
        y += n * output_size(s->model, o);
    }
    return 0;
}

/* How many of the last pictures run again by themselves. */
static uint32_t short_batch(const struct subject *s)
{
    return (s->n + 2) / 3;
}

/* Runs all pictures, and then the last ones again. */
static int run_twice(const struct backend *backend, struct device *device, const struct subject *s, float *y, float *again,
                     struct bgd_err *err)
{
    struct exec *exec;
    if (backend->prepare(device, 0, s->model, s->n, NULL, &exec, err))
        return err->code;
    if (run_pictures(backend, exec, s, 0, s->n, y, err) == 0)
        run_pictures(backend, exec, s, s->n - short_batch(s), short_batch(s), again, err);
    backend->release(exec);
    return err->code;
}

/* What the reference computes; to be freed. */
static float *run_reference(const struct subject *s)
{
    struct bgd_err err = {0};
    struct device *device;
    struct exec *exec;
    float *y = check_allocate(s->n * all_outputs_size(s->model) * sizeof *y);
    if (backend_ref.open(0, BGD_PRECISION_F32, &device, &err) ||
        backend_ref.prepare(device, 0, s->model, s->n, NULL, &exec, &err) ||
        run_pictures(&backend_ref, exec, s, 0, s->n, y, &err))
        check_stop(&err);
    backend_ref.release(exec);
    backend_ref.close(device);
    return y;
}

/* ---------------------------------------------------------------- judging */

/* The largest errors among the outputs. One that is not a number is larger than all others. */
static struct errors measure(const struct subject *s, const float *y, const float *ref)
{
    struct errors all = {0};
    for (uint32_t o = 0; o < s->model->header->n_outputs; o++) {
        size_t size = s->n * output_size(s->model, o);
        double largest = 1, worst = 0, sum = 0;
        for (size_t i = 0; i < size; i++) {
            double error = fabs((double)y[i] - (double)ref[i]);
            largest = fmax(largest, fabs((double)ref[i]));
            worst = error > worst || isnan(error) ? error : worst;
            sum += error;
        }
        double mean = sum / (double)size / largest;
        worst /= largest;
        all.worst = worst > all.worst || isnan(worst) ? worst : all.worst;
        all.mean = mean > all.mean || isnan(mean) ? mean : all.mean;
        y += size;
        ref += size;
    }
    return all;
}

static bool same_bits(const struct subject *s, const float *y, const float *again)
{
    uint32_t few = short_batch(s);
    for (uint32_t o = 0; o < s->model->header->n_outputs; o++) {
        size_t size = output_size(s->model, o);
        if (memcmp(y + (s->n - few) * size, again, few * size * sizeof *y))
            return false;
        y += s->n * size;
        again += few * size;
    }
    return true;
}

/* " of 1.00e-04"; nothing where there is no bound. */
static const char *bound_text(double bound, char text[24])
{
    text[0] = 0;
    if (isfinite(bound))
        snprintf(text, 24, " of %.2e", bound);
    return text;
}

/* Prints the line of a check, and keeps it. `wrong` says what else is wrong; NULL: nothing. */
static void report(struct checker *c, const struct subject *s, const struct target *target, struct errors errors,
                   struct errors bound, const char *wrong)
{
    bool passes = !wrong && errors.worst <= bound.worst && errors.mean <= bound.mean;
    char worst[24], mean[24];
    printf("%-28s %-42s %-4s  worst %.2e%s  mean %.2e%s  %s%s%s\n", s->name, s->shapes, target->name, errors.worst,
           bound_text(bound.worst, worst), errors.mean, bound_text(bound.mean, mean), passes ? "PASS" : "FAIL",
           wrong ? ": " : "", wrong ? wrong : "");
    fflush(stdout);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", s->name);
    cJSON_AddStringToObject(row, "shapes", s->shapes);
    cJSON_AddStringToObject(row, "precision", target->name);
    cJSON_AddNumberToObject(row, "worst", errors.worst);
    cJSON_AddNumberToObject(row, "worst_bound", bound.worst);
    cJSON_AddNumberToObject(row, "mean", errors.mean);
    cJSON_AddNumberToObject(row, "mean_bound", bound.mean);
    cJSON_AddBoolToObject(row, "passed", passes);
    if (wrong)
        cJSON_AddStringToObject(row, "wrong", wrong);
    cJSON_AddItemToArray(c->rows, row);
    passes ? c->passed++ : c->failed++;
}

static bool applies(const struct target *target, const struct subject *s)
{
    return target->device && (target->precision != BGD_PRECISION_F8 || s->narrow);
}

void check_subject(struct checker *c, const struct subject *s,
                   struct errors (*bound)(const struct subject *s, const struct target *target))
{
    bool any = false;
    for (size_t i = 0; i < COUNT(c->targets); i++)
        any = any || applies(&c->targets[i], s);
    if (!any)
        return;
    size_t size = all_outputs_size(s->model);
    float *ref = run_reference(s), *y = check_allocate(s->n * size * sizeof *y),
          *again = check_allocate(s->n * size * sizeof *again);
    for (struct target *target = c->targets; target < c->targets + COUNT(c->targets); target++) {
        struct bgd_err err = {0};
        if (!applies(target, s))
            continue;
        if (run_twice(c->backend, target->device, s, y, again, &err))
            report(c, s, target, (struct errors){NAN, NAN}, bound(s, target), err.text);
        else
            report(c, s, target, measure(s, y, ref), bound(s, target),
                   same_bits(s, y, again) ? NULL : "other bits in a short batch");
    }
    free(ref);
    free(y);
    free(again);
}
