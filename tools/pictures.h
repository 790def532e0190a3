/* Pictures of a card for people: itself, its mask, and what the classifier saw of it. */
#ifndef BGD_PICTURES_H
#define BGD_PICTURES_H

#include "feed.h"
#include "file.h"
#include "session.h"

/* Memory that is reused from card to card. Zero it before the first use. */
struct pictures {
    struct file_buffer file;
    struct bgd_image image; /* what pictures_decode has decoded */
    struct feed_scratch scratch;
};

void pictures_free(struct pictures *pictures);

/* The row's card anew, from its bytes if it carries them, else from its file, at no less than width x height, at its own shape: scores must not depend on what is shown. False where the file
 * has gone or changed into none. */
bool pictures_decode(struct pictures *pictures, const struct flow_row *row, uint32_t width, uint32_t height);

/* The card, shrunk to fit into width x height at its own shape. `out` is to be freed; false, and no picture, where the file has
 * gone, or without memory. Changes pictures->image. */
bool pictures_thumbnail(struct pictures *pictures, const struct flow_row *row, uint32_t width, uint32_t height,
                        struct bgd_image *out);

/* A mask of the session's engine as grey RGB of its own size. `out` is to be freed; false, and no picture, without memory. */
bool pictures_mask(const struct session *session, const float *mask, struct bgd_image *out);

/* What the classifier saw of the row's card, which has a mask, its normalisation undone; four channels are shown on the fill colour, too. `out` is to be
 * freed; false, and no picture, where the file has gone. Changes pictures->image. */
bool pictures_judged(struct pictures *pictures, const struct session *session, const struct flow_row *row,
                     struct bgd_image *out);

#endif
