/*
 * Any bytes at all, decoded in full and reduced, then fed. Start from the fixtures:
 *     fuzz_decoder NEW_FOLDER tests/fixtures/pictures
 */
#include "bgdet.h"
#include "feed.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
    if (!right)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float chw[3 * 12 * 16];
    static const struct feed_spec spec = {
        .width = 12, .height = 16, .channels = 3, .mean = {0.5f, 0.5f, 0.5f}, .std = {0.25f, 0.25f, 0.25f}};
    for (uint32_t min = 0; min <= 12; min += 6) {
        struct bgd_image image = {0};
        struct feed_scratch scratch = {0};
        struct bgd_err err = {0};
        int code = bgd_image_decode(data, size, min, min, &image, &err);
        if (code) {
            check(code == (int)err.code && err.text[0] && image.width == 0 && code >= BGD_MEMORY && code <= BGD_UNKNOWN);
        } else {
            check(image.width >= 1 && image.width <= image.full_width && image.full_width <= BGD_IMAGE_SIDE_MAX);
            check(image.height >= 1 && image.height <= image.full_height && image.full_height <= BGD_IMAGE_SIDE_MAX);
            check((image.width >= min || image.width == image.full_width) &&
                  (image.height >= min || image.height == image.full_height));
            check(feed_image(&image, NULL, &spec, &scratch, chw, &err) == 0);
            for (size_t i = 0; i < sizeof chw / sizeof *chw; i++)
                check(chw[i] >= -2.001f && chw[i] <= 2.001f);
        }
        feed_scratch_free(&scratch);
        bgd_image_free(&image);
    }
    return 0;
}
