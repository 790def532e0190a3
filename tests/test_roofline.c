/* Costs, ceilings and times joined: every number here can be had on paper. */
#include "nets.h"
#include "roofline.h"

#include <math.h>
#include <string.h>

/* 1000 bytes/s, 100,000 multiply-accumulates/s, elements of 2 bytes. */
static const struct backend_ceilings slow = {1000, 100000, 2};

/* A 1x1 convolution of 4 channels of 5x5 pixels, relu, and a dense layer to 10. */
static struct net small(void)
{
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){4, 5, 5});
    x = graph_op(g, BGD_OP_RELU, "relu", net_conv(g, "conv", x, 4, graph_window(1, 1, 0), 1, 1), 0);
    graph_output(g, net_dense(g, "dense", x, 10, 2));
    return net_finish(g, &net_plain_meta, BGD_F32);
}

static bool near(double x, double y)
{
    return fabs(x - y) <= 1e-12 * fabs(y);
}

/* Per picture of a batch of 10: conv moves 100 + 100 elements and 20 / 10 weights, and has 400 MACs; relu 200; dense 100 + 10
 * and 1010 / 10, 1000 MACs. */
Test(roofline, the_ceilings_bound_each_op_and_the_whole)
{
    struct net net = small();
    struct roofline r;
    struct bgd_err err = {0};
    cr_assert_eq(roofline_build(net.model, &slow, NULL, 10, &r, &err), 0, "%s", err.text);
    cr_expect_eq(r.macs, 1400);
    cr_expect(near(r.unfused.bytes, 2 * (202 + 200 + 211)), "%g", r.unfused.bytes);
    cr_expect(near(r.fused.bytes, 2 * (202 + 211)), "%g", r.fused.bytes);
    cr_expect(near(r.unfused.overall, 1000 / (2 * 613.0)));
    cr_expect(near(r.unfused.stepwise, r.unfused.overall), "all is bound by memory");
    cr_expect(near(r.fused.overall, 1000 / (2 * 413.0)));
    cr_expect(!r.steps && r.n_steps == 0 && r.measured == 0 && r.as_run.bytes == 0);
    roofline_free(&r);

    const struct backend_ceilings weak = {1000, 2000, 2}; /* dense: 0.5 s of arithmetic, 0.422 s of memory */
    cr_assert_eq(roofline_build(net.model, &weak, NULL, 10, &r, &err), 0, "%s", err.text);
    cr_expect(near(r.fused.stepwise, 1 / (0.404 + 0.5)), "%g", r.fused.stepwise);
    cr_expect(near(r.fused.overall, 1 / 0.826), "%g", r.fused.overall);
    roofline_free(&r);
    net_close(&net);
}

/* The same network as two steps of a batch of 10: conv + relu in 5.04 s, dense in 50 s. */
Test(roofline, steps_stand_by_what_they_lose)
{
    struct net net = small();
    struct roofline r;
    struct bgd_err err = {0};
    const struct backend_op_time times[] = {{0, 5.04}, {0, 5.04}, {1, 50}};
    const struct backend_ceilings weak = {1000, 2000, 2};
    cr_assert_eq(roofline_build(net.model, &weak, times, 10, &r, &err), 0, "%s", err.text);
    cr_expect(near(r.as_run.bytes, 826) && near(r.as_run.stepwise, 1 / 0.904) && near(r.as_run.overall, 1 / 0.826));
    cr_expect(near(r.measured, 1 / 5.504), "%g", r.measured);
    cr_expect(near(roofline_share(&r, &r.as_run), 0.904 / 5.504), "%g", roofline_share(&r, &r.as_run));
    cr_assert_eq(r.n_steps, 2);
    const struct roofline_step *dense = &r.steps[0], *conv = &r.steps[1];
    cr_expect_str_eq(dense->name, "dense");
    cr_expect_str_eq(dense->kind, "dense");
    cr_expect(dense->n_ops == 1 && dense->macs == 1000 && near(dense->bytes, 422) && !dense->memory);
    cr_expect(near(dense->limit, 0.5) && near(dense->seconds, 5));
    cr_expect_str_eq(conv->name, "relu");
    cr_expect_str_eq(conv->kind, "conv");
    cr_expect(conv->n_ops == 2 && conv->macs == 400 && near(conv->bytes, 404) && conv->memory);
    cr_expect(near(conv->limit, 0.404) && near(conv->seconds, 0.504));
    roofline_free(&r);
    cr_expect_null(r.steps);
    net_close(&net);
}

/* A step that takes long but is at its limit stands behind one that is short and far from it. */
Test(roofline, the_longest_step_need_not_be_the_first)
{
    struct net net = small();
    struct roofline r;
    struct bgd_err err = {0};
    const struct backend_op_time times[] = {{0, 4.05}, {1, 4.1}, {2, 4.23}}; /* limits 4.04, 4 and 4.22 s of 10 pictures */
    cr_assert_eq(roofline_build(net.model, &slow, times, 10, &r, &err), 0, "%s", err.text);
    cr_assert_eq(r.n_steps, 3);
    cr_expect_str_eq(r.steps[0].name, "relu");
    cr_expect_eq(r.steps[0].macs, 0);
    roofline_free(&r);
    net_close(&net);
}
