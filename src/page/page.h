/* A self-contained HTML page: styles, SVG and pictures are inside, and nothing is asked for from elsewhere. */
#ifndef BGD_PAGE_H
#define BGD_PAGE_H

#include "bgdet.h"

#include <stdio.h>

/* Puts what stands between <main> and </main>. Numbers have a point meanwhile, whatever locale the program has set. */
typedef int (*page_body)(FILE *page, const void *user, struct bgd_err *err);

/* Writes the file `path`, which appears complete or not at all. Fails as `body` does; BGD_WRITE names the file; BGD_MEMORY. */
int page_write(const char *path, const char *title, page_body body, const void *user, struct bgd_err *err);

/* A picture with its name below, if it has pixels, in the shape of `card`, whatever its own, if that has. `class`: "smooth" or
 * "pixels". BGD_MEMORY. */
int page_put_picture(FILE *page, const char *name, const char *class, const struct bgd_image *image,
                     const struct bgd_image *card, struct bgd_err *err);

#endif
