#include "components.h"

#include "err.h"

#include <stdlib.h>
#include <string.h>

void components_free(struct components *components)
{
    free(components->items);
    free(components->pixels);
    free(components->bits);
    *components = (struct components){0};
}

static uint32_t words_of(uint32_t width)
{
    return (width + 63) / 64;
}

/* There are no more components than pixels, nor words. */
static int reserve(struct components *components, uint32_t width, uint32_t height, struct bgd_err *err)
{
    size_t size = (size_t)width * height;
    if (size <= components->capacity)
        return 0;
    components_free(components);
    components->items = malloc(size * sizeof *components->items);
    components->pixels = malloc(size * sizeof *components->pixels);
    components->bits = malloc(size * sizeof *components->bits);
    if (!components->items || !components->pixels || !components->bits) {
        components_free(components);
        return err_set(err, BGD_MEMORY, "out of memory for the components of %ux%u pixels", width, height);
    }
    components->capacity = size;
    return 0;
}

/* Turns the marks into bits. */
static void pack(struct components *components, uint8_t *marks, uint32_t width, uint32_t height)
{
    uint64_t *word = components->bits;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; word++) {
            const uint8_t *mark = marks + (size_t)y * width + x;
            uint32_t n = width - x < 64 ? width - x : 64;
            *word = 0;
            for (uint32_t i = n; i > 0; i--)
                *word = *word << 1 | mark[i - 1];
            x += n;
        }
    memset(marks, 0, (size_t)width * height);
}

/* Takes the marks left .. right - 1 of row y into the list behind its n pixels; returns how many it has then. */
static uint32_t take(struct components *components, uint32_t n, uint32_t y, uint32_t left, uint32_t right, uint32_t width)
{
    for (uint32_t w = left / 64; w <= (right - 1) / 64; w++) {
        uint64_t *word = &components->bits[(size_t)y * words_of(width) + w], window = *word;
        if (w == left / 64)
            window &= UINT64_MAX << left % 64;
        if (w == (right - 1) / 64)
            window &= UINT64_MAX >> (63 - (right - 1) % 64);
        *word ^= window;
        for (; window; window &= window - 1)
            components->pixels[n++] = y * width + w * 64 + (uint32_t)__builtin_ctzll(window);
    }
    return n;
}

/* How many of the pixels from `at` to the last of the list lie side by side in a row. */
static uint32_t side_by_side(const uint32_t *pixels, uint32_t at, uint32_t end, uint32_t width)
{
    uint32_t most = width - pixels[at] % width, n = 1;
    most = end - at < most ? end - at : most;
    while (n < most && pixels[at + n] == pixels[at] + n)
        n++;
    return n;
}

/* Breadth first from pixel (x, y): the list of the component's pixels is the queue, too. Pixels side by side look for what is near
 * them together: a card's ground can be marked all over, and that is a few words for a row of it, not a hundred marks a pixel. */
static struct component flood(struct components *components, uint32_t first, uint32_t width, uint32_t height, uint32_t reach,
                              uint32_t x, uint32_t y)
{
    struct component c = {.box = BOX_EMPTY, .first = first};
    uint32_t end = take(components, first, y, x, x + 1, width);
    for (uint32_t i = first, n; i < end; i += n) {
        n = side_by_side(components->pixels, i, end, width);
        x = components->pixels[i] % width;
        y = components->pixels[i] / width;
        struct box near = box_grow((struct box){x, y, x + n, y + 1}, reach, width, height);
        box_include(&c.box, x, y);
        box_include(&c.box, x + n - 1, y);
        for (uint32_t v = near.top; v < near.bottom; v++)
            end = take(components, end, v, near.left, near.right, width);
    }
    c.n = end - first;
    return c;
}

int components_find(struct components *components, uint8_t *marks, uint32_t width, uint32_t height, uint32_t reach,
                    struct bgd_err *err)
{
    components->n = 0;
    if (reserve(components, width, height, err))
        return err->code;
    pack(components, marks, width, height);
    uint32_t used = 0, words = words_of(width);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t w = 0; w < words; w++)
            for (uint64_t *word = &components->bits[(size_t)y * words + w]; *word;) {
                uint32_t x = w * 64 + (uint32_t)__builtin_ctzll(*word);
                struct component c = flood(components, used, width, height, reach, x, y);
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

/* What is beyond the frame counts as marked. Columns, then rows: 3 + 3 marks a pixel instead of 9, and the columns' are vectors. */
void components_erode(const uint8_t *marks, uint8_t *restrict out, uint32_t width, uint32_t height)
{
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *row = marks + (size_t)y * width;
        const uint8_t *above = y > 0 ? row - width : row, *below = y + 1 < height ? row + width : row;
        uint8_t *to = out + (size_t)y * width;
        for (uint32_t x = 0; x < width; x++)
            to[x] = above[x] & row[x] & below[x];
        uint8_t left = 1;
        for (uint32_t x = 0; x < width; x++) {
            uint8_t here = to[x], right = x + 1 < width ? to[x + 1] : 1;
            to[x] = left & here & right;
            left = here;
        }
    }
}
