/* PNG files of 8-bit RGB or grey. Not named png.h: that is libpng's, and an include path must never choose between the two. */
#ifndef BGD_PNGFILE_H
#define BGD_PNGFILE_H

#include "bgdet.h"

/* Writes `rgb` (height, width, 3) to `path`, which appears complete or not at all. BGD_WRITE names the file; BGD_LIMIT
 * for a picture whose bytes cannot be counted in 32 bits. */
int pngfile_write(const char *path, const uint8_t *rgb, uint32_t width, uint32_t height, struct bgd_err *err);

/* The same for 8-bit grey (height, width). */
int pngfile_write_grey(const char *path, const uint8_t *grey, uint32_t width, uint32_t height, struct bgd_err *err);

#endif
