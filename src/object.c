#include "object.h"

#include "err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT 0.5f      /* P(object) from which a pixel is more likely the object's than not */
#define STRIP 16u        /* a strip along a side is a sixteenth of the frame deep: seen, and not yet half of an object */
#define COPY_LEAST 0.1   /* of the largest copy: a smaller part is no copy */
#define COPY_FRAME 0.005 /* of the frame, likewise */
#define ERODED_MOST 12u  /* copies that hang together by more than a sixth of the width are not told apart */

void object_free(struct object *object)
{
    free(object->marks);
    free(object->eroded);
    free(object->spare);
    components_free(&object->parts);
    *object = (struct object){0};
}

static int reserve(struct object *object, uint32_t width, uint32_t height, struct bgd_err *err)
{
    size_t size = (size_t)width * height;
    if (size > object->capacity) {
        object_free(object);
        object->marks = malloc(size);
        object->eroded = malloc(size);
        object->spare = malloc(size);
        if (!object->marks || !object->eroded || !object->spare) {
            object_free(object);
            return err_set(err, BGD_MEMORY, "out of memory for the object of %ux%u pixels", width, height);
        }
        object->capacity = size;
    }
    object->width = width;
    object->height = height;
    return 0;
}

int object_read(struct object *object, const float *mask, uint32_t width, uint32_t height, struct bgd_err *err)
{
    if (reserve(object, width, height, err))
        return err->code;
    for (size_t i = 0; i < (size_t)width * height; i++)
        object->marks[i] = mask && mask[i] >= OBJECT;
    return 0;
}

uint32_t object_count(const struct object *object, struct box box)
{
    uint32_t n = 0;
    for (uint32_t y = box.top; y < box.bottom; y++)
        for (uint32_t x = box.left; x < box.right; x++)
            n += object->marks[(size_t)y * object->width + x];
    return n;
}

double object_touch(const struct object *object, enum bgd_side side, struct box *strip)
{
    uint32_t width = object->width, height = object->height;
    bool upright = side == BGD_LEFT || side == BGD_RIGHT;
    uint32_t length = upright ? height : width, across = upright ? width : height;
    uint32_t edge = side == BGD_LEFT || side == BGD_TOP ? 0 : across - 1, depth = across >= STRIP ? across / STRIP : 1;
    uint32_t first = length, end = 0, n = 0;
    for (uint32_t i = 0; i < length; i++)
        if (object->marks[upright ? (size_t)i * width + edge : (size_t)edge * width + i]) {
            first = i < first ? i : first;
            end = i + 1;
            n++;
        }
    uint32_t low = edge ? across - depth : 0, high = edge ? across : depth;
    *strip = upright ? (struct box){low, first, high, end} : (struct box){first, low, end, high};
    return (double)n / length;
}

static int find_parts(struct object *object, const uint8_t *marks, struct bgd_err *err)
{
    memcpy(object->spare, marks, (size_t)object->width * object->height);
    return components_find(&object->parts, object->spare, object->width, object->height, 1, err);
}

int object_parts(struct object *object, struct bgd_err *err)
{
    return find_parts(object, object->marks, err);
}

/* Of the parts, those stay that are large enough for a copy. */
static void drop_small_parts(struct object *object)
{
    struct components *parts = &object->parts;
    const struct component *largest = components_largest(parts);
    double frame = (double)object->width * object->height;
    double least = largest ? fmax(COPY_LEAST * largest->n, COPY_FRAME * frame) : 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < parts->n; i++)
        if (parts->items[i].n >= least)
            parts->items[n++] = parts->items[i];
    parts->n = n;
}

/* The copies in the object as it is. */
static int find_whole_copies(struct object *object, struct bgd_err *err)
{
    if (object_parts(object, err))
        return err->code;
    drop_small_parts(object);
    return 0;
}

/* The copies in object->eroded, of which a rim is taken first. */
static int find_eroded_copies(struct object *object, struct bgd_err *err)
{
    components_erode(object->eroded, object->spare, object->width, object->height);
    memcpy(object->eroded, object->spare, (size_t)object->width * object->height);
    if (find_parts(object, object->eroded, err))
        return err->code;
    drop_small_parts(object);
    return 0;
}

int object_copies(struct object *object, struct bgd_err *err)
{
    uint32_t radius = 0;
    if (find_whole_copies(object, err))
        return err->code;
    memcpy(object->eroded, object->marks, (size_t)object->width * object->height);
    while (object->parts.n == 1 && radius++ < object->width / ERODED_MOST)
        if (find_eroded_copies(object, err))
            return err->code;
    if (object->parts.n < 2)
        return find_whole_copies(object, err);
    for (uint32_t i = 0; i < object->parts.n; i++)
        object->parts.items[i].box = box_grow(object->parts.items[i].box, radius, object->width, object->height);
    return 0;
}
