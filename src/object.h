/* A card's main object, as the mask has it: its parts, the sides that it touches, its copies. */
#ifndef BGD_OBJECT_H
#define BGD_OBJECT_H

#include "components.h"

/* Zero it before the first use; memory is kept from card to card. */
struct object {
    uint32_t width, height;
    uint8_t *marks;          /* (height, width): 1 where the object is */
    uint8_t *eroded, *spare; /* likewise: the marks without their rim; those that components_find clears */
    struct components parts; /* what object_parts or object_copies has found */
    size_t capacity;         /* bytes of each plane */
};

/* Marks the object; `mask` (height, width) is P(object), NULL where nothing is known of one. BGD_MEMORY. */
int object_read(struct object *object, const float *mask, uint32_t width, uint32_t height, struct bgd_err *err);

/* The object's pixels in a box. */
uint32_t object_count(const struct object *object, struct box box);

/* The strip along a side, from the first to the last pixel in which the object touches it; how much of the side it touches. */
double object_touch(const struct object *object, enum bgd_side side, struct box *strip);

/* Finds its components. BGD_MEMORY. */
int object_parts(struct object *object, struct bgd_err *err);

/* Finds the components that are large enough for a copy; if that is one, copies may touch, and the object is eroded until it
 * falls apart, if it does. The boxes are grown by as much as was eroded. BGD_MEMORY. */
int object_copies(struct object *object, struct bgd_err *err);

void object_free(struct object *object);

#endif
