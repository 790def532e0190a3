/* What the decoders of single formats share. decoder.c tells the format and calls one of them. */
#ifndef BGD_DECODER_H
#define BGD_DECODER_H

#include "bgdet.h"

struct decoder_input {
    const uint8_t *data;
    size_t size;
    uint32_t min_width, min_height; /* of the upright picture; 0 x 0: every pixel */
};

/* Each fills image->rgb, width, height and full_width, full_height as stored, and *orientation (1..8, EXIF's). */
int decoder_jpeg(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err);
int decoder_webp(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err);
int decoder_png(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err);
/* These know no orientation. */
int decoder_gif(const struct decoder_input *in, struct bgd_image *image, struct bgd_err *err);
int decoder_bmp(const struct decoder_input *in, struct bgd_image *image, struct bgd_err *err);
int decoder_tga(const struct decoder_input *in, struct bgd_image *image, struct bgd_err *err);

/* True if the bytes are a TGA in every field of its header: the format has no magic. */
bool decoder_is_tga(const uint8_t *data, size_t size);

/* Refuses sizes of 0 or beyond the limits of bgdet.h. */
int decoder_check_size(uint64_t width, uint64_t height, struct bgd_err *err);

/* Makes room for width x height pixels at image->rgb and sets both; keeps the memory that is there if it suffices. */
int decoder_reserve(struct bgd_image *image, uint32_t width, uint32_t height, struct bgd_err *err);

/* The largest of 8, 4, 2, 1 that a width x height picture (as stored) can be divided by without falling below what is needed.
 */
uint32_t decoder_reduction(const struct decoder_input *in, uint32_t width, uint32_t height, uint32_t orientation);

/* Whether an orientation mirrors the stored columns, the stored rows. */
bool decoder_mirrors_x(uint32_t orientation);
bool decoder_mirrors_y(uint32_t orientation);

/* One row of RGBA over white. */
void decoder_over_white(const uint8_t *rgba, uint8_t *rgb, uint32_t pixels);

/* For formats that are decoded pixel by pixel: room for the whole picture, one pixel over white, and the error that fewer
 * than width x height of them were found. */
int decoder_reserve_full(struct bgd_image *image, uint32_t width, uint32_t height, struct bgd_err *err);
void decoder_put(struct bgd_image *image, uint32_t x, uint32_t y, const uint8_t rgba[4]);
int decoder_too_few(uint64_t found, uint32_t width, uint32_t height, struct bgd_err *err);

#endif
