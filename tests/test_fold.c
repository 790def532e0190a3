/* A norm before a 1x1 convolution, one by itself, and a mean before a dense layer, folded; test_resnet.c has the norm behind a
 * convolution. */
#include "convert/fold.h"
#include "state_dict.h"

#define OUT 5u
#define IN 7u
#define EPS 1e-3

static char *folder;

static void enter(void)
{
    folder = scratch_enter();
}

static void leave(void)
{
    scratch_leave(folder);
}

TestSuite(fold, .init = enter, .fini = leave);

/* conv (OUT, IN, 1, 1) and norm (IN), whose means are so large that float would lose the shift. */
static struct state_dict *make_dict(void)
{
    struct state_dict *s = calloc(1, sizeof *s);
    static const char *const suffixes[] = {"weight", "bias", "running_mean", "running_var"};
    state_dict_add(s, "conv", "weight", 4, OUT, IN, 1, 1);
    for (int i = 0; i < 4; i++)
        state_dict_add(s, "norm.0", suffixes[i], 1, IN, 0, 0, 0);
    state_dict_add(s, "norm.0", "num_batches_tracked", 0, 0, 0, 0, 0)->counter = true;
    for (uint32_t i = 0; i < IN; i++) {
        state_dict_find(s, "norm.0.running_mean")->data[i] = 1000.123f + (float)i;
        state_dict_find(s, "norm.0.running_var")->data[i] = 0.01f + 0.3f * (float)i;
        state_dict_find(s, "norm.0.bias")->data[i] = 900.456f;
    }
    return s;
}

static struct checkpoint *open_dict(const struct state_dict *s, const struct entry *skip)
{
    struct checkpoint *checkpoint;
    struct bgd_err err = {0};
    state_dict_write(s, "a.safetensors", "", skip);
    cr_assert_eq(checkpoint_open("a.safetensors", &checkpoint, &err), 0, "%s", err.text);
    return checkpoint;
}

/* What the norm makes of x in channel i, straight from its definition. */
static double normed(const struct state_dict *s, uint32_t i, double x)
{
    double mean = (double)state_dict_find((struct state_dict *)(uintptr_t)s, "norm.0.running_mean")->data[i];
    double var = (double)state_dict_find((struct state_dict *)(uintptr_t)s, "norm.0.running_var")->data[i];
    double gamma = (double)state_dict_find((struct state_dict *)(uintptr_t)s, "norm.0.weight")->data[i];
    double beta = (double)state_dict_find((struct state_dict *)(uintptr_t)s, "norm.0.bias")->data[i];
    return (x - mean) / sqrt(var + EPS) * gamma + beta;
}

/* a is b rounded to float, but for double's own errors in sums of a few values of 10,000. */
static void check_rounded(float a, double b, const char *what, uint32_t i)
{
    cr_expect(fabs((double)a - b) <= 0x1.001p-24 * fabs(b) + 1e-9, "%s %u is %.9g, expected %.17g", what, i, (double)a, b);
}

static void check_norm_conv(bool with_bias)
{
    struct state_dict *s = make_dict();
    if (with_bias)
        state_dict_add(s, "conv", "bias", 1, OUT, 0, 0, 0);
    struct checkpoint *checkpoint = open_dict(s, NULL);
    struct folded folded;
    struct bgd_err err = {0};
    cr_assert_eq(fold_norm_conv(checkpoint, "norm.0", "conv", EPS, &folded, &err), 0, "%s", err.text);
    cr_assert(folded.out == OUT && folded.in == IN && folded.kernel_h == 1 && folded.kernel_w == 1);
    double float_error = 0;
    for (uint32_t o = 0; o < OUT; o++) {
        const float *weight = state_dict_find(s, "conv.weight")->data + o * IN;
        /* The bias is the output for zeros, a weight what one more in its channel adds. */
        double zeros = with_bias ? (double)state_dict_find(s, "conv.bias")->data[o] : 0;
        float in_float = (float)zeros;
        for (uint32_t i = 0; i < IN; i++) {
            zeros += (double)weight[i] * normed(s, i, 0);
            in_float += weight[i] * (float)normed(s, i, 0);
            check_rounded(folded.weight[o * IN + i], (double)weight[i] * (normed(s, i, 1) - normed(s, i, 0)), "weight",
                          o * IN + i);
        }
        check_rounded(folded.bias[o], zeros, "bias", o);
        float_error = fmax(float_error, fabs((double)in_float - zeros));
    }
    cr_expect_geq(float_error, 1e-4, "the test would not see folding in float");
    for (size_t i = 0; i < checkpoint->count; i++)
        cr_expect(checkpoint->tensors[i].used, "%s", checkpoint->tensors[i].name);
    fold_free(&folded);
    checkpoint_close(checkpoint);
    state_dict_free(s);
}

Test(fold, a_norm_before_a_convolution)
{
    check_norm_conv(false);
}

Test(fold, a_norm_before_a_convolution_with_a_bias)
{
    check_norm_conv(true);
}

Test(fold, a_norm_by_itself)
{
    struct state_dict *s = make_dict();
    struct checkpoint *checkpoint = open_dict(s, state_dict_find(s, "conv.weight"));
    struct folded folded;
    struct bgd_err err = {0};
    cr_assert_eq(fold_norm(checkpoint, "norm.0", EPS, &folded, &err), 0, "%s", err.text);
    cr_assert(folded.out == IN && folded.in == 1 && folded.kernel_h == 1 && folded.kernel_w == 1);
    for (uint32_t i = 0; i < IN; i++) {
        check_rounded(folded.bias[i], normed(s, i, 0), "bias", i);
        check_rounded(folded.weight[i], normed(s, i, 1) - normed(s, i, 0), "weight", i);
    }
    for (size_t i = 0; i < checkpoint->count; i++)
        cr_expect(checkpoint->tensors[i].used, "%s", checkpoint->tensors[i].name);
    fold_free(&folded);
    checkpoint_close(checkpoint);
    state_dict_free(s);
}

/* Both ways fail with `text`, and give nothing to free. */
static void check_refused(const struct state_dict *s, const struct entry *skip, bool conv_only, const char *text)
{
    struct checkpoint *checkpoint = open_dict(s, skip);
    struct folded folded;
    struct bgd_err err = {0};
    cr_expect_lt(fold_norm_conv(checkpoint, "norm.0", "conv", EPS, &folded, &err), 0, "%s", text);
    cr_expect(strstr(err.text, text) && !folded.weight && !folded.bias, "\"%s\", expected \"%s\"", err.text, text);
    if (!conv_only) {
        cr_expect_lt(fold_norm(checkpoint, "norm.0", EPS, &folded, &err), 0, "%s", text);
        cr_expect(strstr(err.text, text) && !folded.weight && !folded.bias, "\"%s\", expected \"%s\"", err.text, text);
    }
    checkpoint_close(checkpoint);
}

Test(fold, what_does_not_fit_is_named)
{
    struct state_dict *s = make_dict();
    for (uint32_t i = 0; i < s->n; i++)
        if (!s->entries[i].counter)
            check_refused(s, &s->entries[i], i == 0, s->entries[i].name);
    for (uint32_t i = 1; i < s->n; i++)
        if (!s->entries[i].counter) {
            struct entry kept = s->entries[i];
            s->entries[i].dims[0]--;
            bool var = strcmp(kept.name, "norm.0.running_var") == 0; /* which tells fold_norm the number of channels */
            check_refused(s, NULL, var, kept.name);
            s->entries[i] = kept;
        }
    state_dict_find(s, "norm.0.running_var")->data[4] = -1;
    check_refused(s, NULL, false, "tensor norm.0.running_var: element 4 is -1");
    state_dict_find(s, "norm.0.running_var")->data[4] = NAN;
    check_refused(s, NULL, false, "tensor norm.0.running_var: element 4 is ");
    struct entry *weight = state_dict_find(s, "conv.weight");
    weight->dims[0] = 1; /* (1, 1, 5, 7): as many values */
    weight->dims[1] = 1;
    weight->dims[2] = OUT;
    weight->dims[3] = IN;
    check_refused(s, NULL, true, "tensor conv.weight has a 5x7 kernel, expected 1x1");
    state_dict_free(s);
}

/* ------------------------------------------------------------ a mean */

/* What PyTorch's adaptive_avg_pool2d makes of a map, straight from its definition. */
static double cell_mean(const float *map, uint32_t h, uint32_t w, uint32_t rows, uint32_t columns, uint32_t i, uint32_t j)
{
    double sum = 0, n = 0;
    for (uint32_t y = (uint32_t)floor((double)i * h / rows); y < (uint32_t)ceil((i + 1.0) * h / rows); y++)
        for (uint32_t x = (uint32_t)floor((double)j * w / columns); x < (uint32_t)ceil((j + 1.0) * w / columns); x++, n++)
            sum += (double)map[y * w + x];
    return sum / n;
}

/* OUT outputs of a dense layer behind the mean of IN maps: by the folded layer, and by the mean and the layer that was. */
static void check_mean(uint32_t rows, uint32_t columns, uint32_t h, uint32_t w)
{
    float weights[OUT * IN * FOLD_CELLS_MAX], kept[OUT * IN * FOLD_CELLS_MAX], maps[IN * FOLD_CELLS_MAX], bias[OUT];
    uint32_t cells = rows * columns;
    random_fill(weights, OUT * IN * cells, 1, 1, 0);
    random_fill(maps, IN * h * w, 2, 1, 0);
    random_fill(bias, OUT, 3, 1, 0);
    memcpy(kept, weights, sizeof kept);
    struct folded dense = {.weight = weights, .bias = bias, .out = OUT, .in = IN * cells, .kernel_h = 1, .kernel_w = 1};
    fold_adaptive_mean(&dense, rows, columns, h, w);
    cr_assert(dense.out == OUT && dense.in == IN * h * w);
    for (uint32_t o = 0; o < OUT; o++) {
        double folded = 0, expected = 0;
        for (uint32_t k = 0; k < dense.in; k++)
            folded += (double)weights[o * dense.in + k] * (double)maps[k];
        for (uint32_t k = 0; k < IN * cells; k++)
            expected += (double)kept[o * IN * cells + k] *
                        cell_mean(maps + k / cells * h * w, h, w, rows, columns, k % cells / columns, k % columns);
        cr_expect(fabs(folded - expected) <= 1e-5, "%ux%u to %ux%u: %.9g, expected %.9g", h, w, rows, columns, folded,
                  expected);
    }
    if (h == rows && w == columns)
        cr_expect_arr_eq(weights, kept, OUT * IN * cells * sizeof *kept, "a mean of single pixels changes weights");
}

Test(fold, a_mean_before_a_dense_layer)
{
    static const uint32_t sizes[][4] = {{7, 7, 2, 1},  {7, 7, 1, 1},  {7, 7, 3, 5}, {6, 6, 5, 6}, {6, 6, 6, 6},
                                        {7, 7, 49, 1}, {6, 6, 2, 17}, {8, 8, 7, 9}, {3, 4, 4, 3}, {1, 1, 1, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_mean(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
}

/* 49 equal weights on one pixel: their sum, rounded once. Added up in float it would be off. */
Test(fold, a_mean_is_folded_in_double)
{
    float weights[49], bias = 0, in_float = 0;
    for (int i = 0; i < 49; i++) {
        weights[i] = 0.1f;
        in_float += 0.1f;
    }
    struct folded dense = {.weight = weights, .bias = &bias, .out = 1, .in = 49, .kernel_h = 1, .kernel_w = 1};
    fold_adaptive_mean(&dense, 7, 7, 1, 1);
    cr_expect_eq(weights[0], (float)(49 * (double)0.1f));
    cr_expect_neq(weights[0], in_float, "the test would not see folding in float");
}
