#include "plan.h"

#include "bytes.h"
#include "err.h"

#include <stdlib.h>

static bool alive_together(const struct span *a, const struct span *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which `span` meets none of the spans placed so far, which `order` lists from the lowest offset up. */
static size_t lowest_offset(const struct span *span, const struct span *spans, const uint32_t *order, uint32_t placed)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < placed; i++) {
        const struct span *other = &spans[order[i]];
        if (!alive_together(span, other))
            continue;
        if (other->offset >= offset + span->bytes)
            break; /* it fits before this one, and so before all that follow */
        if (other->offset + other->bytes > offset)
            offset = (other->offset + other->bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
    }
    return offset;
}

size_t plan_place(struct span *spans, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) { /* insertion sort, largest first: a graph has a few hundred values */
        spans[i].offset = 0;
        uint32_t at = i;
        for (; at > 0 && spans[order[at - 1]].bytes < spans[i].bytes; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    size_t arena = 0;
    for (uint32_t i = 0; i < n && spans[order[i]].bytes; i++) { /* order: those placed, by offset; those to place, by size */
        uint32_t now = order[i], at = i;
        struct span *span = &spans[now];
        span->offset = lowest_offset(span, spans, order, i);
        for (; at > 0 && spans[order[at - 1]].offset > span->offset; at--)
            order[at] = order[at - 1];
        order[at] = now;
        if (span->offset + span->bytes > arena)
            arena = span->offset + span->bytes;
    }
    return arena;
}

static void find_lifetimes(const struct bgd_model *model, struct span *values)
{
    const struct bgd_format_header *h = model->header;
    for (uint32_t i = 0; i < h->n_values; i++)
        values[i].first = values[i].last = i < h->n_inputs ? 0 : i - h->n_inputs;
    for (uint32_t i = 0; i < h->n_ops; i++)
        for (uint32_t k = 0; k < model->ops[i].n_inputs; k++)
            values[model->ops[i].inputs[k]].last = i;
    for (uint32_t i = 0; i < h->n_outputs; i++)
        values[h->outputs[i]].last = h->n_ops;
    for (uint32_t i = 0; i < h->n_inputs; i++)
        values[i].last = h->n_ops; /* a pass may be run again */
}

int plan_build(const struct bgd_model *model, uint32_t batch, struct plan *plan, struct bgd_err *err)
{
    uint32_t n = model->header->n_values;
    *plan = (struct plan){.batch = batch};
    uint32_t *order = calloc(n, sizeof *order);
    plan->values = calloc(n, sizeof *plan->values);
    if (!order || !plan->values)
        goto fail;
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bytes;
        if (!checked_mul(shape_size(model_shape(model, i)) * sizeof(float), batch, &bytes) ||
            !checked_add(total, bytes, &total) || total > SIZE_MAX / 4)
            goto fail;
        plan->values[i].bytes = (size_t)bytes;
    }
    find_lifetimes(model, plan->values);
    plan->arena_bytes = plan_place(plan->values, order, n);
    free(order);
    return 0;
fail:
    free(order);
    plan_free(plan);
    return err_set(err, BGD_MEMORY, "out of memory planning a batch of %u", batch);
}

void plan_free(struct plan *plan)
{
    free(plan->values);
    *plan = (struct plan){0};
}
