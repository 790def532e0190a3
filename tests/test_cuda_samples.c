/* The sample cards by the shipped pipeline in half precision: the same verdicts as on the CPU. */
#include "backend.h"
#include "scratch.h"

#include <glob.h>
#include <math.h>

enum { CARDS = 24 };

static void must(int code, const struct bgd_err *err)
{
    cr_assert_eq(code, 0, "%s", err->text);
}

/* One by one; *masks is to be freed. */
static void score_cards(const char *device, enum bgd_precision precision, const struct bgd_image *cards,
                        struct bgd_result results[CARDS], float **masks, uint32_t *mask_size)
{
    struct bgd_pipeline *pipeline;
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    const struct bgd_engine_options options = {.device = device, .precision = precision, .batch = 1};
    must(bgd_pipeline_open(BGDET_SOURCE_DIR "/pipelines/default.json", &pipeline, &err), &err);
    must(bgd_engine_open(pipeline, &options, &engine, &err), &err);
    *mask_size = bgd_engine_mask_width(engine) * bgd_engine_mask_height(engine);
    *masks = malloc((size_t)CARDS * *mask_size * sizeof **masks);
    for (uint32_t i = 0; i < CARDS; i++) {
        const struct bgd_image *card = &cards[i];
        must(bgd_engine_score(engine, 0, &card, 1, &results[i], &err), &err);
        must(bgd_engine_masks(engine, 0, 1, *masks + (size_t)i * *mask_size, &err), &err);
    }
    bgd_engine_close(engine);
    bgd_pipeline_close(pipeline);
}

static void decode_cards(struct bgd_image cards[CARDS])
{
    glob_t names;
    cr_assert_eq(glob(BGDET_SOURCE_DIR "/samples/cards/*", 0, NULL, &names), 0);
    cr_assert_eq(names.gl_pathc, CARDS);
    for (uint32_t i = 0; i < CARDS; i++) {
        size_t size;
        char *bytes = scratch_read(names.gl_pathv[i], &size);
        struct bgd_err err = {0};
        cards[i] = (struct bgd_image){0};
        must(bgd_image_decode(bytes, size, 96, 128, &cards[i], &err), &err);
        free(bytes);
    }
    globfree(&names);
}

static void check_cards(enum bgd_precision precision)
{
    struct bgd_image cards[CARDS];
    struct bgd_result cpu[CARDS], gpu[CARDS];
    float *cpu_masks, *gpu_masks;
    uint32_t size;
    decode_cards(cards);
    score_cards("onednn", BGD_PRECISION_AUTO, cards, cpu, &cpu_masks, &size);
    score_cards("cuda", precision, cards, gpu, &gpu_masks, &size);
    double sum = 0;
    for (size_t i = 0; i < (size_t)CARDS * size; i++)
        sum += fabs((double)cpu_masks[i] - (double)gpu_masks[i]);
    cr_expect_leq(sum / CARDS / size, 2e-3, "masks differ by %g", sum / CARDS / size);
    for (uint32_t i = 0; i < CARDS; i++)
        cr_expect(cpu[i].verdict == gpu[i].verdict && memcmp(cpu[i].holds, gpu[i].holds, sizeof cpu[i].holds) == 0,
                  "card %u: score %g, on the CPU %g", i, (double)gpu[i].score, (double)cpu[i].score);
    for (uint32_t i = 0; i < CARDS; i++)
        bgd_image_free(&cards[i]);
    free(cpu_masks);
    free(gpu_masks);
}

Test(cuda_samples, f16_cards_are_judged_as_on_the_cpu)
{
    check_cards(BGD_PRECISION_F16);
}

Test(cuda_samples, bf16_cards_are_judged_as_on_the_cpu)
{
    check_cards(BGD_PRECISION_BF16);
}
