#include "activation.h"

#include <math.h>
#include <stddef.h>

/* The two cells around position `at` of an axis, whose pixels number `pixels`, and how far it is from the first to the second. */
static double cells_at(uint32_t at, uint32_t pixels, uint32_t cells, uint32_t *first, uint32_t *second)
{
    double place = (at + 0.5) * cells / pixels - 0.5;
    place = fmin(fmax(place, 0), cells - 1);
    *first = (uint32_t)place;
    *second = *first + 1 < cells ? *first + 1 : *first;
    return place - *first;
}

static double activation_at(const struct activation_map *map, uint32_t pixel, uint32_t width, uint32_t height)
{
    uint32_t left, right, top, bottom;
    double u = cells_at(pixel % width, width, map->columns, &left, &right);
    double v = cells_at(pixel / width, height, map->rows, &top, &bottom);
    const float *upper = map->cells + (size_t)top * map->columns, *lower = map->cells + (size_t)bottom * map->columns;
    return (upper[left] * (1 - u) + upper[right] * u) * (1 - v) + (lower[left] * (1 - u) + lower[right] * u) * v;
}

double activation_mean(const struct activation_map *map, const uint32_t *pixels, uint32_t n, uint32_t width, uint32_t height)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += activation_at(map, pixels[i], width, height);
    return sum / n;
}

uint32_t activation_hottest(const struct activation_map *map, struct box *box)
{
    uint32_t cells = map->columns * map->rows, n = 0;
    float greatest = -INFINITY;
    for (uint32_t i = 0; i < cells; i++)
        greatest = fmaxf(greatest, map->cells[i]);
    float level = greatest > 0 ? greatest / 2 : greatest;
    *box = BOX_EMPTY;
    for (uint32_t i = 0; i < cells; i++)
        if (map->cells[i] >= level) {
            box_include(box, i % map->columns, i / map->columns);
            n++;
        }
    return n;
}
