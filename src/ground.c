#include "ground.h"

#include "components.h"
#include "err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WHITE 236    /* a pixel whose darkest channel is below is not white: 229 is a light grey, 243 an off-white */
#define DIFFERENT 24 /* a channel's difference that the eye sees, and JPEG's noise, shrunk, does not reach */
#define AROUND 10    /* what is around a pixel reaches as far as a tenth of the width: further than a letter is wide */

void ground_free(struct ground *ground)
{
    free(ground->background);
    free(ground->marks);
    free(ground->sums);
    *ground = (struct ground){0};
}

static int reserve(struct ground *ground, uint32_t width, uint32_t height, struct bgd_err *err)
{
    size_t size = (size_t)(width + 1) * (height + 1);
    if (size <= ground->capacity)
        return 0;
    ground_free(ground);
    ground->background = malloc(size);
    ground->marks = malloc(size);
    ground->sums = malloc(size * sizeof *ground->sums);
    if (!ground->background || !ground->marks || !ground->sums) {
        ground_free(ground);
        return err_set(err, BGD_MEMORY, "out of memory for the ground of %ux%u pixels", width, height);
    }
    ground->capacity = size;
    return 0;
}

/* A background pixel next to the object is a mix of the two, and would be neither white nor like the ground. */
int ground_read(struct ground *ground, const uint8_t *rgb, const uint8_t *object, uint32_t width, uint32_t height,
                struct bgd_err *err)
{
    if (reserve(ground, width, height, err))
        return err->code;
    ground->rgb = rgb;
    ground->width = width;
    ground->height = height;
    for (size_t i = 0; i < (size_t)width * height; i++)
        ground->marks[i] = !object[i];
    components_erode(ground->marks, ground->background, width, height);
    return 0;
}

static uint8_t darkest(const uint8_t *rgb)
{
    uint8_t least = rgb[0] < rgb[1] ? rgb[0] : rgb[1];
    return least < rgb[2] ? least : rgb[2];
}

void ground_mark_not_white(struct ground *ground)
{
    size_t n = (size_t)ground->width * ground->height;
    for (size_t i = 0; i < n; i++)
        ground->marks[i] = ground->background[i] && darkest(ground->rgb + i * 3) < WHITE;
}

static bool differs(const uint8_t *rgb, const double colour[3])
{
    return fabs(rgb[0] - colour[0]) > DIFFERENT || fabs(rgb[1] - colour[1]) > DIFFERENT || fabs(rgb[2] - colour[2]) > DIFFERENT;
}

/* The ground's colour: the median of the background; white, as it should be, where there is none. */
static void ground_colour(const struct ground *ground, double colour[3])
{
    uint32_t histogram[3][256] = {0}, n = 0;
    for (size_t i = 0; i < (size_t)ground->width * ground->height; i++) {
        for (size_t c = 0; c < 3 && ground->background[i]; c++)
            histogram[c][ground->rgb[i * 3 + c]]++;
        n += ground->background[i];
    }
    for (int c = 0; c < 3; c++) {
        uint32_t value = 0, below = histogram[c][0];
        while (n && below <= n / 2)
            below += histogram[c][++value];
        colour[c] = n ? value : 255;
    }
}

double ground_mark_distinct(struct ground *ground)
{
    size_t n = (size_t)ground->width * ground->height, marked = 0, background = 0;
    double colour[3];
    ground_colour(ground, colour);
    for (size_t i = 0; i < n; i++) {
        ground->marks[i] = ground->background[i] && differs(ground->rgb + i * 3, colour);
        marked += ground->marks[i];
        background += ground->background[i];
    }
    return background ? (double)marked / (double)background : 0;
}

/* sums[y][x]: r, g, b and number of the background pixels above and left of (x, y) (Crow 1984: a summed-area table). */
static void sum_colours(struct ground *ground)
{
    size_t stride = ground->width + 1u;
    memset(ground->sums, 0, stride * sizeof *ground->sums);
    for (uint32_t y = 0; y < ground->height; y++) {
        uint64_t(*above)[4] = ground->sums + y * stride, (*row)[4] = above + stride;
        uint64_t left[4] = {0};
        memset(row, 0, sizeof *row);
        for (uint32_t x = 0; x < ground->width; x++) {
            size_t at = (size_t)y * ground->width + x;
            for (size_t c = 0; c < 4 && ground->background[at]; c++)
                left[c] += c < 3 ? ground->rgb[at * 3 + c] : 1u;
            for (int c = 0; c < 4; c++)
                row[x + 1][c] = above[x + 1][c] + left[c];
        }
    }
}

/* Whether a pixel of the background differs from the mean colour of the background around it. So does a strip along the edge
 * where two colours meet; asking that it differs from each side's mean would spare it, but lose as many letters. */
static bool stands_out(const struct ground *ground, uint32_t x, uint32_t y)
{
    size_t stride = ground->width + 1u;
    struct box near = box_grow((struct box){x, y, x + 1, y + 1}, ground->width / AROUND + 1, ground->width, ground->height);
    uint64_t(*above)[4] = ground->sums + near.top * stride, (*below)[4] = ground->sums + near.bottom * stride;
    uint64_t sum[4];
    for (int c = 0; c < 4; c++)
        sum[c] = below[near.right][c] - above[near.right][c] - below[near.left][c] + above[near.left][c];
    double mean[3] = {(double)sum[0] / (double)sum[3], (double)sum[1] / (double)sum[3], (double)sum[2] / (double)sum[3]};
    return differs(ground->rgb + ((size_t)y * ground->width + x) * 3, mean);
}

void ground_keep_local(struct ground *ground)
{
    sum_colours(ground);
    for (uint32_t y = 0; y < ground->height; y++)
        for (uint32_t x = 0; x < ground->width; x++) {
            size_t at = (size_t)y * ground->width + x;
            ground->marks[at] = ground->marks[at] && stands_out(ground, x, y);
        }
}
