/*
 * The inside of pickle_load. pickle.c runs the opcodes over a stack, a memo and the objects. Five opcodes it leaves to
 * pickle_tensors.c: those that name a callable or a storage, call, and set attributes.
 *
 * Every function returns 0, or a negative code with the error set.
 */
#ifndef BGD_PICKLE_MACHINE_H
#define BGD_PICKLE_MACHINE_H

#include "pickle.h"

#include "../err.h"

struct machine {
    struct bytes *in;
    struct pickle *out;
    struct bgd_err *err;
    uint32_t id_items; /* of a persistent id: 5, 6, or 0 where none may come */
    struct pickle_value *stack;
    uint32_t height, stack_room;
    struct pickle_value *memo;
    uint32_t memo_room;
};

#define refuse(m, code, ...) err_set((m)->err, code, __VA_ARGS__)

/* ---------------------------------------------------------------- pickle.c */

/* `array` is the address of the array's pointer. Makes room for one more of `size` bytes; new room is zero. */
int pickle_grow(struct machine *m, void *array, uint32_t count, uint32_t *room, size_t size);

/* The stack. Pop and top (which leaves the value there) refuse a mark and an empty stack. */
int pickle_push(struct machine *m, struct pickle_value value);
int pickle_pop(struct machine *m, struct pickle_value *value);
int pickle_top(struct machine *m, struct pickle_value *value);

/* An empty tuple, list or dict, not yet pushed. Moves the objects: what pickle_object returned before is stale. */
int pickle_new_object(struct machine *m, enum pickle_kind kind, struct pickle_value *value);

/* `dict` must be one; the key is checked. Moves no object. */
int pickle_add_pair(struct machine *m, struct pickle_value dict, struct pickle_value key, struct pickle_value value);

/* ---------------------------------------------------------------- pickle_tensors.c */

int pickle_push_global(struct machine *m);     /* GLOBAL */
int pickle_load_persistent(struct machine *m); /* BINPERSID */
int pickle_reduce(struct machine *m);          /* REDUCE */
int pickle_new_instance(struct machine *m);    /* NEWOBJ */
int pickle_build(struct machine *m);           /* BUILD */

/* Once, after STOP. Until then every mention of a key is a storage of its own: makes them one each, sorted by key, and
 * checks that the mentions agree. */
int pickle_merge_storages(struct pickle *p, struct bgd_err *err);

#endif
