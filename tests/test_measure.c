/* What the backends' measurements have in common, without a backend. */
#include "measure.h"
#include "nets.h"

/* relu, sigmoid, a concat of both, relu: whatever the leaders are, nothing is run. */
static struct net four_ops(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){2, 3, 3});
    uint32_t a = graph_op(g, BGD_OP_RELU, "a", x, 0), b = graph_op(g, BGD_OP_SIGMOID, "b", x, 0);
    uint32_t both = graph_op_n(g, BGD_OP_CONCAT, "both", (uint32_t[]){b, a}, 2);
    graph_output(g, graph_op(g, BGD_OP_RELU, "c", both, 0));
    return net_finish(g, &net_plain_meta, BGD_F32);
}

static void check(const struct backend_op_time *time, uint32_t step, double seconds)
{
    cr_expect(time->step == step && time->seconds == seconds, "step %u, %g s, expected %u, %g s", time->step, time->seconds,
              step, seconds);
}

Test(measure, a_steps_time_is_the_median_of_its_repeats)
{
    static const double seconds[][4] = {{4, 1, 2, 8}, {5, 5, 0, 9}, {1, 1, 1, 1}, {3, 2, 1, 0}};
    struct net net = four_ops();
    struct measure_steps m;
    struct backend_op_time times[4];
    struct bgd_err err = {0};
    for (uint32_t repeats = 1; repeats <= 4; repeats++) {
        cr_assert_eq(measure_steps_open(&m, net.model, NULL, repeats, &err), 0);
        for (uint32_t i = 0; i < 4; i++)
            for (uint32_t r = 0; r < repeats; r++)
                measure_steps_add(&m, i, r, seconds[i][r]);
        measure_steps_times(&m, times);
        static const double medians[4][4] = {{4, 5, 1, 3}, {2.5, 5, 1, 2.5}, {2, 5, 1, 2}, {3, 5, 1, 1.5}};
        for (uint32_t i = 0; i < 4; i++)
            check(&times[i], i, medians[repeats - 1][i]);
        measure_steps_close(&m);
    }
    net_close(&net);
}

Test(measure, what_is_built_for_an_op_is_one_step)
{
    struct net net = four_ops();
    struct measure_steps m;
    struct backend_op_time times[4];
    struct bgd_err err = {0};
    const uint32_t leaders[] = {0, 1, 2, 0}; /* the last op with the first, though others stand between them */
    cr_assert_eq(measure_steps_open(&m, net.model, leaders, 2, &err), 0);
    for (uint32_t r = 0; r < 2; r++) {
        measure_steps_add(&m, 0, r, 1); /* of several parts */
        measure_steps_add(&m, 1, r, 8);
        measure_steps_add(&m, 0, r, 2);
    }
    measure_steps_times(&m, times); /* nothing was built for the concat: it is in place, where b was computed last */
    check(&times[0], 0, 3);
    check(&times[1], 1, 8);
    check(&times[2], 1, 8);
    check(&times[3], 0, 3);
    measure_steps_close(&m);
    net_close(&net);
}

struct rows {
    int n;
    uint32_t times;
    double seconds; /* of one */
};

/* The first row of a length is slow, and one of the others is faster than all. */
static int count_row(void *user, uint32_t times, double *seconds, struct bgd_err *err)
{
    struct rows *rows = user;
    (void)err;
    rows->n++;
    *seconds = times * rows->seconds * (times == rows->times ? (rows->n % 7 ? 2 : 1) : 4);
    rows->times = times;
    return 0;
}

static int failing_row(void *user, uint32_t times, double *seconds, struct bgd_err *err)
{
    struct rows *rows = user;
    *seconds = 1;
    (void)times;
    return rows->n-- == 0 ? (err->code = BGD_DEVICE) : 0;
}

Test(measure, the_fastest_row_counts_and_is_long_enough)
{
    struct rows rows = {.seconds = 1e-4};
    struct bgd_err err = {0};
    double seconds;
    cr_assert_eq(measure_fastest(count_row, &rows, &seconds, &err), 0);
    cr_expect_eq(seconds, 1e-4);
    cr_expect_eq(rows.times, 64, "%u at 4e-4 s each are 20 ms", rows.times);
    rows = (struct rows){0}; /* work that takes no time ends, too */
    cr_assert_eq(measure_fastest(count_row, &rows, &seconds, &err), 0);
    for (int i = 0; i < 12; i++) {
        rows.n = i;
        err.code = BGD_OK;
        cr_expect_eq(measure_fastest(failing_row, &rows, &seconds, &err), i < 11 ? BGD_DEVICE : 0, "row %d", i);
    }
}
