#include "roofline.h"

#include "cost.h"
#include "err.h"

#include <stdlib.h>

/* Seconds for one picture that the ceilings allow. */
static double limit_of(const struct roofline *r, double bytes, double macs)
{
    double moving = bytes / r->ceilings.copy, computing = macs / r->ceilings.macs;
    return moving > computing ? moving : computing;
}

static double bytes_of(const struct roofline *r, struct traffic traffic)
{
    return traffic_bytes(traffic, r->ceilings.element_bytes, r->batch);
}

/* A limit in the making: `stepwise` is the sum of its ops' or steps' seconds until it is finished. */
static void limit_add(const struct roofline *r, struct roofline_limit *limit, double bytes, double macs)
{
    limit->bytes += bytes;
    limit->stepwise += limit_of(r, bytes, macs);
}

static void limit_finish(const struct roofline *r, struct roofline_limit *limit)
{
    limit->stepwise = 1 / limit->stepwise;
    limit->overall = 1 / limit_of(r, limit->bytes, r->macs);
}

static int add_ops(struct roofline *r, const struct bgd_model *model, struct bgd_err *err)
{
    uint32_t n_ops = model->header->n_ops;
    struct op_cost *costs = malloc(n_ops * sizeof *costs);
    int code = costs ? cost_ops(model, costs, err) : err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < n_ops && !code; i++) {
        double macs = (double)costs[i].macs;
        r->macs += macs;
        limit_add(r, &r->unfused, bytes_of(r, costs[i].unfused), macs);
        limit_add(r, &r->fused, bytes_of(r, costs[i].fused), macs);
    }
    limit_finish(r, &r->unfused);
    limit_finish(r, &r->fused);
    free(costs);
    return code;
}

static uint32_t count_steps(const struct bgd_model *model, const struct backend_op_time *times, uint32_t *step_of)
{
    uint32_t n_steps = 0;
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
        step_of[i] = times[i].step;
        n_steps = step_of[i] >= n_steps ? step_of[i] + 1 : n_steps;
    }
    return n_steps;
}

static int by_loss(const void *a, const void *b)
{
    const struct roofline_step *x = a, *y = b;
    double lost_x = x->seconds - x->limit, lost_y = y->seconds - y->limit;
    return (lost_x < lost_y) - (lost_x > lost_y);
}

static int add_steps(struct roofline *r, const struct bgd_model *model, const struct backend_op_time *times,
                     struct bgd_err *err)
{
    uint32_t *step_of = malloc(model->header->n_ops * sizeof *step_of);
    struct step_cost *costs = NULL;
    int code = BGD_MEMORY;
    if (!step_of)
        goto out_of_memory;
    r->n_steps = count_steps(model, times, step_of);
    costs = malloc(r->n_steps * sizeof *costs);
    r->steps = malloc(r->n_steps * sizeof *r->steps);
    if (!costs || !r->steps)
        goto out_of_memory;
    code = cost_steps(model, step_of, r->n_steps, costs, err);
    double seconds = 0;
    for (uint32_t i = 0; i < r->n_steps && !code; i++) {
        const struct step_cost *cost = &costs[i];
        double bytes = bytes_of(r, cost->traffic), macs = (double)cost->macs, took = times[cost->last_op].seconds / r->batch;
        r->steps[i] = (struct roofline_step){.name = model->values[model_op_value(model, cost->last_op)].name,
                                             .kind = op_info(model->ops[cost->main_op].code)->name,
                                             .n_ops = cost->n_ops,
                                             .macs = macs,
                                             .bytes = bytes,
                                             .limit = limit_of(r, bytes, macs),
                                             .memory = bytes / r->ceilings.copy >= macs / r->ceilings.macs,
                                             .seconds = took};
        limit_add(r, &r->as_run, bytes, macs);
        seconds += took;
    }
    limit_finish(r, &r->as_run);
    r->measured = 1 / seconds;
    if (!code)
        qsort(r->steps, r->n_steps, sizeof *r->steps, by_loss);
    free(step_of);
    free(costs);
    return code;
out_of_memory:
    free(step_of);
    free(costs);
    return err_set(err, BGD_MEMORY, "out of memory");
}

int roofline_build(const struct bgd_model *model, const struct backend_ceilings *ceilings, const struct backend_op_time *times,
                   uint32_t batch, struct roofline *roofline, struct bgd_err *err)
{
    *roofline = (struct roofline){.ceilings = *ceilings, .batch = batch};
    if (add_ops(roofline, model, err) || (times && add_steps(roofline, model, times, err)))
        return err->code;
    return 0;
}

void roofline_free(struct roofline *roofline)
{
    free(roofline->steps);
    *roofline = (struct roofline){0};
}
