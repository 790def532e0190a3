#include "cost.h"

#include "err.h"
#include "uses.h"

#include <stdlib.h>
#include <string.h>

static uint64_t value_size(const struct bgd_model *model, uint32_t value)
{
    return shape_size(model_shape(model, value));
}

static uint64_t weights_of(const struct bgd_model *model, const struct bgd_format_op *op)
{
    uint64_t weights = 0;
    for (uint32_t i = 0; i < op->n_tensors; i++)
        weights += model_tensor_count(&model->tensors[op->tensors[i]]);
    return weights;
}

static uint64_t macs_of(const struct bgd_model *model, uint32_t op)
{
    const struct shape first = model_shape(model, model->ops[op].inputs[0]); /* the only one that op_macs looks at */
    return op_macs(&model->ops[op], &first, model_shape(model, model_op_value(model, op)));
}

static bool is_output(const struct bgd_model *model, uint32_t value)
{
    for (uint32_t i = 0; i < model->header->n_outputs; i++)
        if (model->header->outputs[i] == value)
            return true;
    return false;
}

/* ---------------------------------------------------------------- sets of values */

/* A set for each value, as rows of bits. */
struct sets {
    uint64_t *bits;
    uint32_t words; /* of a row */
};

static uint64_t *set_of(const struct sets *sets, uint32_t value)
{
    return sets->bits + (size_t)value * sets->words;
}

static void set_add(uint64_t *set, uint32_t value)
{
    set[value / 64] |= UINT64_C(1) << value % 64;
}

static bool set_has(const uint64_t *set, uint32_t value)
{
    return set[value / 64] >> value % 64 & 1;
}

static void set_add_all(const struct sets *sets, uint64_t *set, uint32_t value)
{
    for (uint32_t i = 0; i < sets->words; i++)
        set[i] |= set_of(sets, value)[i];
}

static bool sets_create(struct sets *sets, uint32_t n_values)
{
    sets->words = n_values / 64 + 1;
    sets->bits = calloc((size_t)n_values * sets->words, sizeof *sets->bits);
    return sets->bits;
}

/* ---------------------------------------------------------------- fused: the rules of cost.h */

enum way {
    WINDOWS, /* rule 1 */
    PASSES,  /* 2: activations, denoise, concat */
    JOINS,   /* 2 or 3: add, mul */
    RESIZES, /* 2: upsample */
    REDUCES, /* 4 */
};

static enum way way_of(uint32_t code)
{
    switch ((enum bgd_op)code) {
    case BGD_OP_RELU:
    case BGD_OP_SIGMOID:
    case BGD_OP_SILU:
    case BGD_OP_SELU:
    case BGD_OP_DENOISE:
    case BGD_OP_CONCAT: return PASSES;
    case BGD_OP_ADD:
    case BGD_OP_MUL: return JOINS;
    case BGD_OP_UPSAMPLE: return RESIZES;
    case BGD_OP_MAX_POOL:
    case BGD_OP_GLOBAL_MEAN:
    case BGD_OP_ADAPTIVE_MEAN: return REDUCES;
    case BGD_OP_CONV:
    case BGD_OP_DENSE:
    case BGD_OP_SOFTMAX:
    case BGD_OP_ATTENTION:
    case BGD_OP_QUANTILE_MASK:
    case BGD_OP_HIGH_PASS:
    case BGD_OP_LRN: break;
    }
    return WINDOWS;
}

struct fusion {
    const struct bgd_model *model;
    struct uses uses;
    struct sets sources; /* per value: the written values that it is made of; of one that may be written, itself */
    uint32_t
        *makers; /* per value: the op of rule 1 in passing of which it can be computed; of several side by side the last; or
                         NONE */
    bool *read;  /* per value: from memory, by something */
    struct op_cost *costs;
};

static void fusion_free(struct fusion *f)
{
    uses_free(&f->uses);
    free(f->sources.bits);
    free(f->makers);
    free(f->read);
}

static int fusion_create(struct fusion *f, const struct bgd_model *model, struct op_cost *costs, struct bgd_err *err)
{
    uint32_t n = model->header->n_values;
    *f = (struct fusion){.model = model, .costs = costs};
    if (uses_build(model, &f->uses, err))
        return err->code;
    f->makers = malloc(n * sizeof *f->makers);
    f->read = calloc(n, sizeof *f->read);
    return sets_create(&f->sources, n) && f->makers && f->read ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

/* Op `reader` reads each of a set of values once. */
static void read_set(struct fusion *f, uint32_t reader, const uint64_t *set)
{
    for (uint32_t v = 0; v < f->model->header->n_values; v++)
        if (set_has(set, v)) {
            f->read[v] = true;
            f->costs[reader].fused.values += value_size(f->model, v);
        }
}

/* The value may be written, while op `maker` computes, and is then read as it stands. */
static void stands(struct fusion *f, uint32_t value, uint32_t maker)
{
    uint64_t *sources = set_of(&f->sources, value);
    memset(sources, 0, f->sources.words * sizeof *sources);
    set_add(sources, value);
    f->makers[value] = maker;
}

/* True if all that `other` is made of is there before the first of what `one` is made of. */
static bool comes_later(const struct fusion *f, uint32_t one, uint32_t other)
{
    const uint64_t *sources = set_of(&f->sources, one), *earlier = set_of(&f->sources, other);
    uint32_t first = 0, last = f->model->header->n_values - 1;
    while (!set_has(sources, first))
        first++;
    while (!set_has(earlier, last))
        last--;
    return first > last;
}

/* Rule 3: of an add or mul, the other input, if the join is done while the one is computed; else NONE. */
static uint32_t find_other(const struct fusion *f, const struct bgd_format_op *op, uint32_t *one)
{
    uint64_t size = value_size(f->model, op->inputs[0]); /* the result's: op_shape repeats the second input only */
    for (int i = 0; i < 2; i++) {
        uint32_t other = op->inputs[1 - i];
        *one = op->inputs[i];
        if (f->makers[*one] != NONE && f->uses.readers[*one] == 1 && value_size(f->model, *one) == size &&
            comes_later(f, *one, other))
            return other;
    }
    return NONE;
}

/* True if rule 3 applies to op i, and has been applied. */
static bool join_in_passing(struct fusion *f, uint32_t i)
{
    uint32_t one, other = find_other(f, &f->model->ops[i], &one);
    if (other == NONE)
        return false;
    read_set(f, f->makers[one], set_of(&f->sources, other));
    stands(f, model_op_value(f->model, i), f->makers[one]);
    return true;
}

/* x + f(x) is one more function of x, computed where x is. */
static bool same_sources(const struct fusion *f, uint32_t x, uint32_t y)
{
    return memcmp(set_of(&f->sources, x), set_of(&f->sources, y), f->sources.words * sizeof *f->sources.bits) == 0;
}

static void fuse_op(struct fusion *f, uint32_t i)
{
    const struct bgd_format_op *op = &f->model->ops[i];
    uint32_t value = model_op_value(f->model, i), maker = 0;
    uint64_t *sources = set_of(&f->sources, value);
    enum way way = way_of(op->code);
    if (way == JOINS && join_in_passing(f, i))
        return;
    for (uint32_t k = 0; k < op->n_inputs; k++) {
        uint32_t x = op->inputs[k];
        set_add_all(&f->sources, sources, x);
        maker = maker == NONE || f->makers[x] == NONE ? NONE : f->makers[x] > maker ? f->makers[x] : maker;
    }
    if (way == WINDOWS || way == RESIZES || (way == JOINS && !same_sources(f, op->inputs[0], op->inputs[1])))
        maker = NONE;
    f->makers[value] = maker;
    if (way != WINDOWS && way != REDUCES && !is_output(f->model, value))
        return;
    if (maker == NONE)
        read_set(f, i, sources);
    stands(f, value, maker == NONE ? i : maker);
}

static int count_fused(const struct bgd_model *model, struct op_cost *costs, struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    struct fusion f;
    int code = fusion_create(&f, model, costs, err);
    for (uint32_t v = 0; v < h->n_inputs && !code; v++)
        stands(&f, v, NONE);
    for (uint32_t i = 0; i < h->n_ops && !code; i++)
        fuse_op(&f, i);
    for (uint32_t v = h->n_inputs; v < h->n_values && !code; v++)
        if (f.read[v] || is_output(model, v))
            costs[f.makers[v]].fused.values += value_size(model, v);
    fusion_free(&f);
    return code;
}

int cost_ops(const struct bgd_model *model, struct op_cost *costs, struct bgd_err *err)
{
    for (uint32_t i = 0; i < model->header->n_ops; i++) {
        const struct bgd_format_op *op = &model->ops[i];
        struct op_cost *cost = &costs[i];
        *cost = (struct op_cost){.macs = macs_of(model, i)};
        cost->unfused.weights = cost->fused.weights = weights_of(model, op);
        cost->unfused.values = value_size(model, model_op_value(model, i));
        for (uint32_t k = 0; k < op->n_inputs; k++)
            cost->unfused.values += value_size(model, op->inputs[k]);
    }
    return count_fused(model, costs, err);
}

/* ---------------------------------------------------------------- as steps */

/* The step that computes a value; NONE of the graph's inputs. */
static uint32_t step_of_value(const struct bgd_model *model, const uint32_t *step_of, uint32_t value)
{
    return value < model->header->n_inputs ? NONE : step_of[value - model->header->n_inputs];
}

/* parts: per value, the values in which its elements lie: itself, or of a concat that moves nothing its inputs'. */
static void find_parts(const struct bgd_model *model, const uint32_t *step_of, struct sets *parts)
{
    const struct bgd_format_header *h = model->header;
    for (uint32_t v = 0; v < h->n_values; v++) {
        const struct bgd_format_op *op = v < h->n_inputs ? NULL : &model->ops[v - h->n_inputs];
        bool in_place = false;
        for (uint32_t k = 0; op && op->code == BGD_OP_CONCAT && k < op->n_inputs; k++)
            in_place = in_place || step_of_value(model, step_of, op->inputs[k]) == step_of[v - h->n_inputs];
        if (!in_place)
            set_add(set_of(parts, v), v);
        for (uint32_t k = 0; in_place && k < op->n_inputs; k++)
            set_add_all(parts, set_of(parts, v), op->inputs[k]);
    }
}

/* What step `step` reads of others, marked in `left`: values that outlive the step that computes them. */
static uint64_t count_reads(const struct bgd_model *model, const uint32_t *step_of, uint32_t step, const struct sets *parts,
                            uint64_t *set, bool *left)
{
    const struct bgd_format_header *h = model->header;
    uint64_t size = 0;
    memset(set, 0, parts->words * sizeof *set);
    for (uint32_t i = 0; i < h->n_ops; i++)
        for (uint32_t k = 0; step_of[i] == step && k < model->ops[i].n_inputs; k++)
            if (set_has(set_of(parts, model_op_value(model, i)), model_op_value(model, i))) /* no concat that moves nothing */
                set_add_all(parts, set, model->ops[i].inputs[k]);
    for (uint32_t v = 0; v < h->n_values; v++)
        if (set_has(set, v) && step_of_value(model, step_of, v) != step) {
            left[v] = true;
            size += value_size(model, v);
        }
    return size;
}

int cost_steps(const struct bgd_model *model, const uint32_t *step_of, uint32_t n_steps, struct step_cost *costs,
               struct bgd_err *err)
{
    const struct bgd_format_header *h = model->header;
    struct sets parts = {0};
    bool *left = calloc(h->n_values, sizeof *left);
    uint64_t *set = calloc(h->n_values / 64 + 1, sizeof *set);
    int code = sets_create(&parts, h->n_values) && left && set ? 0 : err_set(err, BGD_MEMORY, "out of memory");
    if (code)
        goto done;
    find_parts(model, step_of, &parts);
    for (uint32_t s = 0; s < n_steps; s++)
        costs[s] = (struct step_cost){.traffic.values = count_reads(model, step_of, s, &parts, set, left)};
    for (uint32_t i = 0; i < h->n_outputs; i++)
        for (uint32_t v = 0; v < h->n_values; v++)
            left[v] = left[v] || set_has(set_of(&parts, h->outputs[i]), v);
    for (uint32_t i = 0; i < h->n_ops; i++) {
        struct step_cost *cost = &costs[step_of[i]];
        uint64_t macs = macs_of(model, i);
        if (cost->n_ops == 0 || macs > macs_of(model, cost->main_op))
            cost->main_op = i;
        cost->n_ops++;
        cost->last_op = i;
        cost->macs += macs;
        cost->traffic.weights += weights_of(model, &model->ops[i]);
        if (left[model_op_value(model, i)])
            cost->traffic.values += value_size(model, model_op_value(model, i));
    }
done:
    free(parts.bits);
    free(left);
    free(set);
    return code;
}
