/* Places in the arena: never two at once in one place, and not more room than all together. */
#include "nets.h"
#include "plan.h"

#include <stdlib.h>

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(random_bits(7, (*state)++) >> 33) % n;
}

static size_t padded(size_t bytes)
{
    return (bytes + PLAN_ALIGN - 1) / PLAN_ALIGN * PLAN_ALIGN;
}

static void check(const struct span *spans, uint32_t n, size_t arena)
{
    size_t sum = 0, least = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct span *a = &spans[i];
        cr_assert_eq(a->offset % PLAN_ALIGN, 0);
        cr_assert_leq(a->offset + a->bytes, arena);
        sum += padded(a->bytes);
        size_t alive = 0; /* at the step where `a` begins; the largest such sum is a lower bound for any plan */
        for (uint32_t k = 0; k < n; k++) {
            const struct span *b = &spans[k];
            if (b->first <= a->first && a->first <= b->last)
                alive += b->bytes;
            bool together = a->first <= b->last && b->first <= a->last;
            bool overlap = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
            cr_assert_not(i != k && together && overlap && a->bytes && b->bytes, "spans %u and %u of %u", i, k, n);
        }
        least = alive > least ? alive : least;
    }
    cr_assert_leq(arena, sum);
    cr_assert_geq(arena, least);
}

Test(plan, spans_alive_together_never_overlap)
{
    uint64_t state = 0;
    for (int round = 0; round < 300; round++) {
        uint32_t n = 1 + below(&state, 60), steps = 1 + below(&state, 40), order[60];
        struct span spans[60];
        for (uint32_t i = 0; i < n; i++) {
            uint32_t first = below(&state, steps), life = below(&state, below(&state, 8) ? 4 : steps);
            spans[i] = (struct span){
                .bytes = below(&state, 10) ? below(&state, 5000) : 0, .first = first, .last = first + life, .offset = 12345};
        }
        check(spans, n, plan_place(spans, order, n));
    }
}

Test(plan, a_chain_needs_room_for_two)
{
    struct span spans[50];
    uint32_t order[50];
    for (uint32_t i = 0; i < 50; i++)
        spans[i] = (struct span){.bytes = 1000, .first = i, .last = i + 1};
    cr_expect_eq(plan_place(spans, order, 50), 1024 + 1000);
    check(spans, 50, 2024);
}

Test(plan, fills_a_gap_that_is_just_large_enough)
{
    /* a and c frame the hole that b left; d fits into it to the byte */
    struct span spans[] = {{.bytes = 6400, .first = 0, .last = 9},
                           {.bytes = 3200, .first = 0, .last = 1},
                           {.bytes = 1600, .first = 0, .last = 9},
                           {.bytes = 3136, .first = 2, .last = 9}};
    uint32_t order[4];
    cr_expect_eq(plan_place(spans, order, 4), 6400 + 3200 + 1600);
    cr_expect_eq(spans[3].offset, 6400);
}

Test(plan, nothing_to_place)
{
    cr_expect_eq(plan_place(NULL, NULL, 0), 0);
    struct span span = {.bytes = 0, .offset = 99};
    uint32_t order;
    cr_expect_eq(plan_place(&span, &order, 1), 0);
    cr_expect_eq(span.offset, 0);
}

Test(plan, thousands_of_spans_take_no_time)
{
    enum { N = 8192 };
    static struct span spans[N];
    static uint32_t order[N];
    for (uint32_t i = 0; i < N; i++) /* all alive together, in the order that is worst for a search from below */
        spans[i] = (struct span){.bytes = i + 1, .first = 0, .last = N};
    size_t arena = plan_place(spans, order, N);
    cr_expect_geq(arena, (size_t)N * (N + 1) / 2);
}

Test(plan, outputs_and_inputs_live_as_long_as_they_are_needed)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "x", (struct shape){2, 4, 4}), late = graph_input(g, "late", (struct shape){2, 4, 4});
    uint32_t a = graph_op(g, BGD_OP_RELU, "a", x, 0), b = graph_op(g, BGD_OP_SIGMOID, "b", a, 0);
    graph_op(g, BGD_OP_ADD, "c", b, late);
    graph_output(g, a);
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    struct plan plan;
    struct bgd_err err = {0};
    cr_assert_eq(plan_build(net.model, 3, &plan, &err), 0);
    cr_expect_eq(plan.values[x].bytes, 3 * 32 * sizeof(float));
    cr_expect(plan.values[x].first == 0 && plan.values[x].last == 3, "a pass may be run again");
    cr_expect(plan.values[late].first == 0 && plan.values[late].last == 3, "it is loaded before step 0");
    cr_expect(plan.values[a].first == 0 && plan.values[a].last == 3, "an output outlives the last step");
    cr_expect(plan.values[b].first == 1 && plan.values[b].last == 2);
    check(plan.values, net.model->header->n_values, plan.arena_bytes);
    plan_free(&plan);
    net_close(&net);
}

Test(plan, a_batch_whose_size_overflows_is_refused)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){1, 32768, 32768});
    for (char name[] = "a"; name[0] < 'z'; name[0]++)
        x = graph_op(g, BGD_OP_RELU, name, x, 0);
    graph_output(g, x);
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    struct plan plan;
    struct bgd_err err = {0};
    cr_expect_eq(plan_build(net.model, UINT32_MAX, &plan, &err), BGD_MEMORY);
    cr_expect(strstr(err.text, "4294967295"), "%s", err.text);
    cr_expect_null(plan.values);
    net_close(&net);
}
