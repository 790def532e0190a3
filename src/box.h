/* Rectangles of pixels or of cells. */
#ifndef BGD_BOX_H
#define BGD_BOX_H

#include <stdint.h>

struct box {
    uint32_t left, top, right, bottom; /* right and bottom are one past the last pixel */
};

/* Nothing yet: box_include makes it a pixel's. */
#define BOX_EMPTY ((struct box){UINT32_MAX, UINT32_MAX, 0, 0})

static inline void box_include(struct box *box, uint32_t x, uint32_t y)
{
    box->left = x < box->left ? x : box->left;
    box->top = y < box->top ? y : box->top;
    box->right = x + 1 > box->right ? x + 1 : box->right;
    box->bottom = y + 1 > box->bottom ? y + 1 : box->bottom;
}

/* The pixels within `reach` columns and rows of the box's, as far as there are any: the frame is width x height. */
static inline struct box box_grow(struct box box, uint32_t reach, uint32_t width, uint32_t height)
{
    return (struct box){box.left > reach ? box.left - reach : 0, box.top > reach ? box.top - reach : 0,
                        box.right + reach < width ? box.right + reach : width,
                        box.bottom + reach < height ? box.bottom + reach : height};
}

#endif
