/* PNGs of 8-bit RGB or grey. Not named png.h: that is libpng's, and an include path must never choose between the two. */
#ifndef BGD_PNGFILE_H
#define BGD_PNGFILE_H

#include "bgdet.h"

/* Encodes `rgb` (height, width, 3) into `*png`, to be freed. BGD_MEMORY; BGD_ARGUMENT for a picture without pixels; BGD_LIMIT
 * for one whose bytes cannot be counted in 32 bits. The text names no file. */
int pngfile_encode(const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **png, size_t *size, struct bgd_err *err);

/* Writes the same to `path`, which appears complete or not at all. Errors name the file; BGD_WRITE. */
int pngfile_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, struct bgd_err *err);

/* The same for 8-bit grey (height, width). */
int pngfile_write_grey(const char *path, const uint8_t *grey, uint32_t width, uint32_t height, struct bgd_err *err);

#endif
