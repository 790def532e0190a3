/* What the tests of the converters share: a scratch folder that each is in, and a checkpoint in it made into a model. */
#ifndef BGD_TESTS_CONVERSIONS_H
#define BGD_TESTS_CONVERSIONS_H

#include "convert/convert.h"
#include "model.h"
#include "scratch.h"

#include <criterion/criterion.h>

static char *conversion_folder;

static inline void conversion_enter(void)
{
    conversion_folder = scratch_enter();
}

static inline void conversion_leave(void)
{
    scratch_leave(conversion_folder);
}

/* a.safetensors to a.bgd, of that size (0 x 0: the family's own). */
static inline struct convert_options conversion_options(uint32_t width, uint32_t height)
{
    return (struct convert_options){.source = "a.safetensors",
                                    .target = "a.bgd",
                                    .head = "sigmoid",
                                    .width = width,
                                    .height = height,
                                    .mean = {0.485f, 0.456f, 0.406f},
                                    .std = {0.229f, 0.224f, 0.225f}};
}

static inline struct bgd_model *convert_and_open(const struct convert_options *options)
{
    char summary[256];
    struct bgd_err err = {0};
    struct bgd_model *model;
    cr_assert_eq(convert_run(options, summary, &err), 0, "%s", err.text);
    cr_assert_eq(bgd_model_open(options->target, &model, &err), 0, "%s", err.text);
    cr_expect(strncmp(summary, model->meta.arch, strlen(model->meta.arch)) == 0, "%s", summary);
    return model;
}

#endif
