#include "components.h"

#include "err.h"

#include <stdlib.h>

void components_free(struct components *components)
{
    free(components->items);
    free(components->pixels);
    *components = (struct components){0};
}

/* There are no more components than pixels. */
static int reserve(struct components *components, uint32_t width, uint32_t height, struct bgd_err *err)
{
    size_t size = (size_t)width * height;
    if (size <= components->capacity)
        return 0;
    components_free(components);
    components->items = malloc(size * sizeof *components->items);
    components->pixels = malloc(size * sizeof *components->pixels);
    if (!components->items || !components->pixels) {
        components_free(components);
        return err_set(err, BGD_MEMORY, "out of memory for the components of %ux%u pixels", width, height);
    }
    components->capacity = size;
    return 0;
}

/* Breadth first from pixel `at`: the list of the component's pixels is the queue, too. */
static struct component flood(uint32_t *pixels, uint32_t first, uint8_t *marks, uint32_t width, uint32_t height, uint32_t reach,
                              uint32_t at)
{
    struct component c = {.box = BOX_EMPTY, .first = first, .n = 1};
    pixels[first] = at;
    marks[at] = 0;
    for (uint32_t i = first; i < first + c.n; i++) {
        uint32_t x = pixels[i] % width, y = pixels[i] / width;
        struct box near = box_grow((struct box){x, y, x + 1, y + 1}, reach, width, height);
        box_include(&c.box, x, y);
        for (uint32_t v = near.top; v < near.bottom; v++)
            for (uint32_t u = near.left; u < near.right; u++) {
                uint32_t neighbour = v * width + u;
                if (!marks[neighbour])
                    continue;
                marks[neighbour] = 0;
                pixels[first + c.n++] = neighbour;
            }
    }
    return c;
}

int components_find(struct components *components, uint8_t *marks, uint32_t width, uint32_t height, uint32_t reach,
                    struct bgd_err *err)
{
    components->n = 0;
    if (reserve(components, width, height, err))
        return err->code;
    uint32_t used = 0;
    for (uint32_t at = 0; at < width * height; at++)
        if (marks[at]) {
            struct component c = flood(components->pixels, used, marks, width, height, reach, at);
            components->items[components->n++] = c;
            used += c.n;
        }
    return 0;
}

const struct component *components_largest(const struct components *components)
{
    const struct component *largest = NULL;
    for (const struct component *c = components->items; c < components->items + components->n; c++)
        largest = !largest || c->n > largest->n ? c : largest;
    return largest;
}

void components_erode(const uint8_t *marks, uint8_t *out, uint32_t width, uint32_t height)
{
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            struct box near = box_grow((struct box){x, y, x + 1, y + 1}, 1, width, height);
            uint8_t all = 1;
            for (uint32_t v = near.top; v < near.bottom; v++)
                for (uint32_t u = near.left; u < near.right; u++)
                    all &= marks[(size_t)v * width + u];
            out[(size_t)y * width + x] = all;
        }
}
