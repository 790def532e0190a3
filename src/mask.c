#include "mask.h"

#include <math.h>

/* Where output o lies between two inputs; the edge's own value continues outside of its centre. */
static double place(uint32_t o, uint32_t in, uint32_t out, uint32_t *low, uint32_t *high)
{
    double position = fmin(fmax((o + 0.5) * in / out - 0.5, 0), in - 1.0);
    *low = (uint32_t)position;
    *high = *low + (*low + 1 < in);
    return position - *low;
}

void mask_enlarge(const float *mask, uint32_t width, uint32_t height, uint8_t *out, uint32_t out_width, uint32_t out_height)
{
    for (uint32_t i = 0; i < out_height; i++) {
        uint32_t top, bottom;
        double down = place(i, height, out_height, &top, &bottom);
        const float *a = mask + (size_t)top * width, *b = mask + (size_t)bottom * width;
        for (uint32_t j = 0; j < out_width; j++) {
            uint32_t left, right;
            double across = place(j, width, out_width, &left, &right);
            double upper = a[left] + ((double)a[right] - a[left]) * across,
                   lower = b[left] + ((double)b[right] - b[left]) * across;
            *out++ = (uint8_t)(fmin(fmax(upper + (lower - upper) * down, 0), 1) * 255 + 0.5);
        }
    }
}
