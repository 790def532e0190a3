/* Other metadata on the same model: what changes and what must not. */
#include "rewrite.h"

#include "nets.h"

#include <stdio.h>
#include <string.h>

static struct net make_net(enum bgd_dtype dtype, const char *provenance)
{
    struct meta meta = net_classifier_meta(6, 3, 12, 16);
    meta.provenance = (char *)provenance;
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 16, 12});
    x = net_conv(g, "conv", x, 6, graph_window(3, 2, 1), 1, 7);
    uint32_t logits = graph_op(g, BGD_OP_GLOBAL_MEAN, "logits", x, 0);
    graph_output(g, logits);
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "scores", logits, 0));
    return net_finish(g, &meta, dtype);
}

static struct net rewritten(const struct bgd_model *model, const struct meta *meta)
{
    uint8_t *bytes;
    size_t size;
    struct bgd_err err = {0};
    cr_assert_eq(rewrite_meta(model, meta, &bytes, &size, &err), 0, "%s", err.text);
    return net_parse(bytes, size);
}

Test(rewrite, the_same_metadata_give_the_same_file)
{
    struct net net = make_net(BGD_F16, "{}"), same = rewritten(net.model, &net.model->meta);
    cr_expect(same.size == net.size && memcmp(same.bytes, net.bytes, net.size) == 0);
    net_close(&same);
    net_close(&net);
}

Test(rewrite, weights_and_graph_stay_whatever_the_length_of_the_metadata)
{
    static char long_text[2000];
    snprintf(long_text, sizeof long_text, "{\"note\":\"%01500d\"}", 7);
    for (int dtype = BGD_F32; dtype <= BGD_F16; dtype++) {
        struct net net = make_net((enum bgd_dtype)dtype, "{}"), longer_net = make_net((enum bgd_dtype)dtype, long_text);
        struct net grown = rewritten(net.model, &longer_net.model->meta), shrunk = rewritten(grown.model, &net.model->meta);
        cr_expect(grown.size == longer_net.size && memcmp(grown.bytes, longer_net.bytes, grown.size) == 0,
                  "the file that the converter would have written");
        cr_expect(shrunk.size == net.size && memcmp(shrunk.bytes, net.bytes, net.size) == 0, "and back");
        net_close(&shrunk);
        net_close(&grown);
        net_close(&longer_net);
        net_close(&net);
    }
}

Test(rewrite, a_calibration_changes_the_hash_and_reads_back)
{
    struct net net = make_net(BGD_F32, "{}");
    struct calibration calibrations[6] = {{0.5f, 0.25f}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}};
    struct meta meta = net.model->meta;
    meta.calibrations = calibrations;
    meta.review[0] = 0.4f;
    meta.review[1] = 0.6f;
    struct net other = rewritten(net.model, &meta);
    char before[HASH_TEXT], after[HASH_TEXT];
    model_hash_text(net.model, before);
    model_hash_text(other.model, after);
    cr_expect_str_neq(before, after);
    cr_assert_not_null(other.model->meta.calibrations);
    cr_expect(memcmp(other.model->meta.calibrations, calibrations, sizeof calibrations) == 0);
    cr_expect(other.model->meta.review[0] == 0.4f && other.model->meta.review[1] == 0.6f);
    net_close(&other);
    net_close(&net);
}

Test(rewrite, a_model_without_weights_has_only_metadata_to_move)
{
    struct meta meta = net_plain_meta;
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){3, 4, 4});
    graph_output(g, graph_op(g, BGD_OP_RELU, "y", x, 0));
    struct net net = net_finish(g, &meta, BGD_F32);
    meta.arch = "another name for it";
    struct net other = rewritten(net.model, &meta);
    cr_expect_str_eq(other.model->meta.arch, meta.arch);
    net_close(&other);
    net_close(&net);
}

Test(rewrite, metadata_that_no_reader_would_take_are_refused)
{
    struct net net = make_net(BGD_F32, "{}");
    struct meta meta = net.model->meta;
    meta.review[0] = 0.6f;
    meta.review[1] = 0.9f;
    uint8_t *bytes;
    size_t size;
    struct bgd_err err = {0};
    cr_expect_eq(rewrite_meta(net.model, &meta, &bytes, &size, &err), BGD_ARGUMENT);
    cr_expect(strstr(err.text, "no valid model file") && strstr(err.text, "does not hold the threshold"), "%s", err.text);
    cr_expect(bytes == NULL && size == 0);
    net_close(&net);
}
