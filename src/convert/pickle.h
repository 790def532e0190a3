/*
 * Pickles as data. The machine can build nothing but scalars, texts, tuples, lists, dicts and views of storages; it
 * calls nothing. A callable that is not in its list of six (pickle_tensors.c) is refused by its name, an opcode that is
 * not in its list (pickle.c) by its name and place.
 *
 * Limits: 64 MiB, 1,000,000 opcodes, 10,000 values on the stack, 100,000 memo slots, 100,000 tensors and as many
 * storages, nesting of 64, texts of 1 MiB. Values are shared, never copied, so that neither time nor memory grows
 * faster than the bytes read. A list or dict is finished once it is part of another: so nothing can contain itself.
 */
#ifndef BGD_PICKLE_H
#define BGD_PICKLE_H

#include "../bytes.h"
#include "bgdet.h"
#include "checkpoint.h"

#define PICKLE_BYTES_MAX (64u << 20)
#define PICKLE_OPCODES_MAX 1000000u
#define PICKLE_STACK_MAX 10000u
#define PICKLE_MEMO_MAX 100000u
#define PICKLE_DEPTH_MAX 64u
#define PICKLE_TEXT_MAX (1u << 20)

enum pickle_kind {
    PICKLE_UNSET, /* inside the machine: an empty memo slot */
    PICKLE_MARK,  /* inside the machine */
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_ORDERED_DICT,
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_PARAMETER, /* a tensor, too */
};

struct pickle_value {
    enum pickle_kind kind;
    uint32_t size; /* bytes of a text */
    union {
        int64_t integer; /* PICKLE_INT, PICKLE_BOOL */
        double real;
        const char *text; /* UTF-8, not NUL-terminated; borrowed from the bytes read */
        uint32_t index;   /* of the object, tensor, storage or global */
    };
};

/* A tuple, list or dict. */
struct pickle_object {
    struct pickle_value *items; /* of a dict: key, value, key, value ... */
    uint32_t count, capacity;
    uint32_t depth; /* 1: it holds no other object */
    bool finished;  /* part of another object */
};

/* What the persistent ids name: a run of elements kept outside of the pickle. */
struct pickle_storage {
    const char *key; /* 1..64 letters, digits, - and _; not NUL-terminated */
    uint32_t key_size;
    enum checkpoint_dtype dtype;
    uint64_t numel;
    const uint8_t *data; /* NULL from pickle_load; set by who knows where the storages are */
};

/* The view is checked: every element lies in the storage, no two elements overlap (stride 0 aside). */
struct pickle_tensor {
    struct checkpoint_tensor view; /* name and data are not set */
    uint64_t offset;               /* of the first element, in elements */
    uint32_t storage;
};

struct pickle {
    struct pickle_value root;
    struct pickle_object *objects;
    struct pickle_tensor *tensors;
    struct pickle_storage *storages; /* sorted by key, each key once */
    uint32_t n_objects, n_tensors, n_storages;
    uint32_t room_objects, room_tensors, room_storages;
};

/*
 * Runs one pickle of protocol 2 from the cursor up to its STOP, and leaves the cursor behind that. Takes any bytes;
 * they must outlive the pickle. `id_items` is how many items a persistent id has: 5 in zip files, 6 in legacy ones, 0
 * where none may come. Errors name the opcode and its position in `in`.
 */
int pickle_load(struct bytes *in, uint32_t id_items, struct pickle **pickle, struct bgd_err *err);
void pickle_free(struct pickle *pickle);

/* The object behind a tuple, list or dict; NULL for every other kind. */
const struct pickle_object *pickle_object(const struct pickle *pickle, struct pickle_value value);

/* "a list", "an OrderedDict", ... */
const char *pickle_kind_name(enum pickle_kind kind);

bool pickle_is_text(struct pickle_value value, const char *text);
bool pickle_is_dict(struct pickle_value value);
bool pickle_is_tensor(struct pickle_value value);

/* The storage of that key, or NULL. Logarithmic time. */
struct pickle_storage *pickle_storage(const struct pickle *pickle, const char *key, size_t size);

#endif
