#include "pictures.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void pictures_free(struct pictures *pictures)
{
    feed_scratch_free(&pictures->scratch);
    bgd_image_free(&pictures->image);
    free(pictures->file.data);
    *pictures = (struct pictures){0};
}

bool pictures_decode(struct pictures *pictures, const struct flow_row *row, uint32_t width, uint32_t height)
{
    struct bgd_err ignored;
    if (row->file)
        return bgd_image_decode(row->file, row->file_size, width, height, &pictures->image, &ignored) == 0;
    return row->path && file_read(row->path, BGD_IMAGE_BYTES_MAX, &pictures->file, &ignored) == 0 &&
           bgd_image_decode(pictures->file.data, pictures->file.size, width, height, &pictures->image, &ignored) == 0;
}

bool pictures_thumbnail(struct pictures *pictures, const struct flow_row *row, uint32_t width, uint32_t height,
                        struct bgd_image *out)
{
    const struct bgd_image *card = &pictures->image;
    struct bgd_err ignored;
    *out = (struct bgd_image){0};
    if (!pictures_decode(pictures, row, width, height))
        return false;
    double scale = fmin(1, fmin((double)width / card->width, (double)height / card->height));
    uint32_t columns = (uint32_t)fmax(1, card->width * scale), rows = (uint32_t)fmax(1, card->height * scale);
    return feed_shrink(card, columns, rows, &pictures->scratch, out, &ignored) == 0;
}

bool pictures_mask(const struct session *session, const float *mask, struct bgd_image *out)
{
    uint32_t width = bgd_engine_mask_width(session->engine), height = bgd_engine_mask_height(session->engine);
    *out = (struct bgd_image){.rgb = malloc((size_t)width * height * 3), .width = width, .height = height};
    if (!out->rgb)
        return false;
    for (size_t i = 0; i < (size_t)width * height; i++)
        memset(out->rgb + 3 * i, (int)(fminf(fmaxf(mask[i], 0), 1) * 255 + 0.5f), 3);
    return true;
}

bool pictures_judged(struct pictures *pictures, const struct session *session, const struct flow_row *row,
                     struct bgd_image *out)
{
    struct feed_spec spec = session->pipeline->classifier->meta.input;
    size_t plane = (size_t)spec.width * spec.height;
    float *chw = malloc(plane * 3 * sizeof *chw);
    struct bgd_err ignored;
    for (int c = 0; c < 3; c++) {
        spec.mean[c] = 0;
        spec.std[c] = 1;
    }
    spec.channels = 3;
    const struct feed_mask cut = {row->mask, bgd_engine_mask_width(session->engine), bgd_engine_mask_height(session->engine),
                                  session->pipeline->threshold};
    uint32_t width = session->settings.exact ? 0 : bgd_engine_width(session->engine);
    uint32_t height = session->settings.exact ? 0 : bgd_engine_height(session->engine);
    *out = (struct bgd_image){.rgb = malloc(plane * 3), .width = spec.width, .height = spec.height};
    bool made = chw && out->rgb && pictures_decode(pictures, row, width, height) &&
                feed_image(&pictures->image, &cut, &spec, &pictures->scratch, chw, &ignored) == 0;
    for (size_t i = 0; i < plane * 3 && made; i++)
        out->rgb[i] = (uint8_t)(fminf(fmaxf(chw[i % 3 * plane + i / 3], 0), 1) * 255 + 0.5f);
    free(chw);
    if (made)
        return true;
    bgd_image_free(out);
    return false;
}
