#include "pickle_machine.h"

#include <stdlib.h>

/*
 * What a pickle may name and call. A call is no call: its arguments are checked, and what torch would have built from
 * them is noted as a tensor, a Parameter or an OrderedDict. The dump on top of pickle.c shows all of it in one file.
 */

enum callable { ORDERED_DICT, REBUILD_TENSOR, REBUILD_TENSOR_V2, REBUILD_PARAMETER, PARAMETER, STORAGE };

static const struct global {
    const char *module, *name;
    enum callable callable;
    enum checkpoint_dtype dtype; /* of a STORAGE */
} globals[] = {
    {"collections", "OrderedDict", ORDERED_DICT, 0},
    {"torch._utils", "_rebuild_tensor", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR_V2, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch.nn.parameter", "Parameter", PARAMETER, 0},
    {"torch", "DoubleStorage", STORAGE, CHECKPOINT_F64},
    {"torch", "FloatStorage", STORAGE, CHECKPOINT_F32},
    {"torch", "HalfStorage", STORAGE, CHECKPOINT_F16},
    {"torch", "BFloat16Storage", STORAGE, CHECKPOINT_BF16},
    {"torch", "LongStorage", STORAGE, CHECKPOINT_I64},
    {"torch", "IntStorage", STORAGE, CHECKPOINT_I32},
    {"torch", "ShortStorage", STORAGE, CHECKPOINT_I16},
    {"torch", "CharStorage", STORAGE, CHECKPOINT_I8},
    {"torch", "ByteStorage", STORAGE, CHECKPOINT_U8},
    {"torch", "BoolStorage", STORAGE, CHECKPOINT_BOOL},
};

/* ------------------------------------------------------------ tensors */

static int read_sizes(struct machine *m, struct pickle_value value, const char *what, uint32_t *ndim, uint64_t *sizes)
{
    const struct pickle_object *tuple = pickle_object(m->out, value);
    if (value.kind != PICKLE_TUPLE)
        return refuse(m, BGD_DAMAGED, "the %s of a tensor is %s, expected a tuple", what, pickle_kind_name(value.kind));
    if (tuple->count > CHECKPOINT_DIMS_MAX)
        return refuse(m, BGD_LIMIT, "a tensor of %u dimensions, at most %d are read", tuple->count, CHECKPOINT_DIMS_MAX);
    for (uint32_t i = 0; i < tuple->count; i++) {
        if (tuple->items[i].kind != PICKLE_INT || tuple->items[i].integer < 0)
            return refuse(m, BGD_DAMAGED, "the %s of a tensor has %s, expected integers from 0", what,
                          tuple->items[i].kind == PICKLE_INT ? "a negative one" : pickle_kind_name(tuple->items[i].kind));
        sizes[i] = (uint64_t)tuple->items[i].integer;
    }
    *ndim = tuple->count;
    return 0;
}

static bool is_empty_ordered_dict(const struct machine *m, struct pickle_value value)
{
    return value.kind == PICKLE_ORDERED_DICT && pickle_object(m->out, value)->count == 0;
}

/* _rebuild_tensor(storage, offset, size, stride), and for _v2 requires_grad and hooks. */
static int rebuild_tensor(struct machine *m, const struct pickle_object *args, uint32_t expected)
{
    struct pickle *p = m->out;
    const struct pickle_value *a = args->items;
    struct pickle_tensor tensor = {0};
    uint32_t n_strides = 0;
    if (args->count != expected)
        return refuse(m, BGD_UNSUPPORTED, "a tensor from %u arguments, expected %u", args->count, expected);
    if (a[0].kind != PICKLE_STORAGE)
        return refuse(m, BGD_DAMAGED, "a tensor over %s, expected a storage", pickle_kind_name(a[0].kind));
    if (a[1].kind != PICKLE_INT || a[1].integer < 0)
        return refuse(m, BGD_DAMAGED, "the offset of a tensor is %s, expected an integer from 0",
                      a[1].kind == PICKLE_INT ? "negative" : pickle_kind_name(a[1].kind));
    if (read_sizes(m, a[2], "size", &tensor.view.ndim, tensor.view.dims) ||
        read_sizes(m, a[3], "stride", &n_strides, tensor.view.strides))
        return m->err->code;
    if (n_strides != tensor.view.ndim)
        return refuse(m, BGD_DAMAGED, "a tensor of %u dimensions with %u strides", tensor.view.ndim, n_strides);
    if (expected == 6 && a[4].kind != PICKLE_BOOL)
        return refuse(m, BGD_DAMAGED, "requires_grad is %s, expected a bool", pickle_kind_name(a[4].kind));
    if (expected == 6 && !is_empty_ordered_dict(m, a[5]))
        return refuse(m, BGD_UNSUPPORTED, "the hooks of a tensor are %s with content, expected an empty OrderedDict",
                      pickle_kind_name(a[5].kind));
    if (!checkpoint_count(&tensor.view))
        return refuse(m, BGD_DAMAGED, "the sizes of a tensor multiply to more than 2^64 elements");
    tensor.offset = (uint64_t)a[1].integer;
    tensor.storage = a[0].index;
    tensor.view.dtype = p->storages[tensor.storage].dtype;
    if (checkpoint_check_view(&tensor.view, tensor.offset, p->storages[tensor.storage].numel, m->err))
        return m->err->code;
    if (p->n_tensors == CHECKPOINT_TENSORS_MAX)
        return refuse(m, BGD_LIMIT, "more than %u tensors", CHECKPOINT_TENSORS_MAX);
    if (pickle_grow(m, &p->tensors, p->n_tensors, &p->room_tensors, sizeof *p->tensors))
        return m->err->code;
    p->tensors[p->n_tensors] = tensor;
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_TENSOR, .index = p->n_tensors++});
}

/* _rebuild_parameter(tensor, requires_grad, hooks), or Parameter(tensor, requires_grad): the tensor itself. */
static int rebuild_parameter(struct machine *m, const struct pickle_object *args, uint32_t expected)
{
    const struct pickle_value *a = args->items;
    if (args->count != expected)
        return refuse(m, BGD_UNSUPPORTED, "a Parameter from %u arguments, expected %u", args->count, expected);
    if (a[0].kind != PICKLE_TENSOR || a[1].kind != PICKLE_BOOL)
        return refuse(m, BGD_DAMAGED, "a Parameter from %s and %s, expected a tensor and a bool", pickle_kind_name(a[0].kind),
                      pickle_kind_name(a[1].kind));
    if (expected == 3 && !is_empty_ordered_dict(m, a[2]))
        return refuse(m, BGD_UNSUPPORTED, "the hooks of a Parameter are %s with content, expected an empty OrderedDict",
                      pickle_kind_name(a[2].kind));
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_PARAMETER, .index = a[0].index});
}

static bool key_is_valid(struct pickle_value key)
{
    if (key.kind != PICKLE_TEXT || key.size < 1 || key.size > 64)
        return false;
    for (uint32_t i = 0; i < key.size; i++) {
        char c = key.text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

/* ('storage', type, key, location, numel), in legacy files also the view's metadata. The location ("cuda:3") says where
 * the storage was; the bytes are in the file in any case. */
int pickle_load_persistent(struct machine *m)
{
    struct pickle *p = m->out;
    struct pickle_value id = {0};
    if (pickle_pop(m, &id))
        return m->err->code;
    if (m->id_items == 0)
        return refuse(m, BGD_DAMAGED, "a persistent id where no storage can be");
    const struct pickle_object *tuple = pickle_object(p, id);
    if (id.kind != PICKLE_TUPLE || tuple->count != m->id_items)
        return refuse(m, BGD_DAMAGED, "the persistent id is %s of %u items, expected a tuple of %u", pickle_kind_name(id.kind),
                      tuple ? tuple->count : 0, m->id_items);
    const struct pickle_value *item = tuple->items;
    if (!pickle_is_text(item[0], "storage"))
        return refuse(m, BGD_UNSUPPORTED, "a persistent id of %s \"%.*s\", expected the text \"storage\"",
                      pickle_kind_name(item[0].kind), item[0].kind == PICKLE_TEXT && item[0].size < 100 ? (int)item[0].size : 0,
                      item[0].kind == PICKLE_TEXT ? item[0].text : "");
    if (item[1].kind != PICKLE_GLOBAL || globals[item[1].index].callable != STORAGE)
        return refuse(m, BGD_DAMAGED, "a storage whose type is %s, expected one of torch's storage types",
                      pickle_kind_name(item[1].kind));
    if (!key_is_valid(item[2]))
        return refuse(m, BGD_DAMAGED, "the key of a storage is not 1..64 letters, digits, - and _");
    if (item[3].kind != PICKLE_TEXT)
        return refuse(m, BGD_DAMAGED, "the location of a storage is %s, expected a text", pickle_kind_name(item[3].kind));
    if (item[4].kind != PICKLE_INT || item[4].integer < 0 || item[4].integer > (int64_t)CHECKPOINT_BYTES_MAX)
        return refuse(m, BGD_DAMAGED, "the number of elements of storage %.*s is not 0..2^32", (int)item[2].size, item[2].text);
    if (m->id_items == 6 && item[5].kind != PICKLE_NONE)
        return refuse(m, BGD_UNSUPPORTED, "storage %.*s is a view of another (PyTorch 0.1)", (int)item[2].size, item[2].text);
    if (p->n_storages == CHECKPOINT_TENSORS_MAX)
        return refuse(m, BGD_LIMIT, "more than %u storages", CHECKPOINT_TENSORS_MAX);
    if (pickle_grow(m, &p->storages, p->n_storages, &p->room_storages, sizeof *p->storages))
        return m->err->code;
    p->storages[p->n_storages] = (struct pickle_storage){.key = item[2].text,
                                                         .key_size = item[2].size,
                                                         .dtype = globals[item[1].index].dtype,
                                                         .numel = (uint64_t)item[4].integer};
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_STORAGE, .index = p->n_storages++});
}

/* ------------------------------------------------------------ callables */

static int read_line(struct machine *m, const uint8_t **line, uint32_t *size)
{
    struct bytes ahead = *m->in;
    uint8_t c = 0;
    for (*size = 0; c != '\n'; ++*size)
        if (*size > 255 || !bytes_u8(&ahead, &c))
            return refuse(m, BGD_DAMAGED, "no end of line within %u bytes", *size);
    (void)bytes_take(m->in, *size, line);
    --*size; /* the line's end is no part of it */
    return 0;
}

static bool equals(const uint8_t *line, uint32_t size, const char *text)
{
    return strlen(text) == size && memcmp(line, text, size) == 0;
}

int pickle_push_global(struct machine *m)
{
    const uint8_t *module = NULL, *name = NULL;
    uint32_t module_size = 0, name_size = 0;
    if (read_line(m, &module, &module_size) || read_line(m, &name, &name_size))
        return m->err->code;
    for (uint32_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (equals(module, module_size, globals[i].module) && equals(name, name_size, globals[i].name))
            return pickle_push(m, (struct pickle_value){.kind = PICKLE_GLOBAL, .index = i});
    return refuse(m, BGD_UNSUPPORTED,
                  "%.*s.%.*s is not a callable that a state_dict needs; nothing is called for a file's sake", (int)module_size,
                  (const char *)module, (int)name_size, (const char *)name);
}

/* OrderedDict(), or as Python 2 wrote it: OrderedDict([[key, value], ...]). */
static int build_ordered_dict(struct machine *m, const struct pickle_object *args)
{
    struct pickle_value dict;
    if (args->count > 1 || (args->count == 1 && args->items[0].kind != PICKLE_LIST))
        return refuse(m, BGD_DAMAGED, "an OrderedDict from %u arguments, expected none or one list", args->count);
    struct pickle_value list = args->count ? args->items[0] : (struct pickle_value){.kind = PICKLE_NONE};
    if (pickle_new_object(m, PICKLE_ORDERED_DICT, &dict)) /* moves the objects: `args` is stale */
        return m->err->code;
    const struct pickle_object *pairs = pickle_object(m->out, list);
    for (uint32_t i = 0; pairs && i < pairs->count; i++) {
        const struct pickle_object *pair = pickle_object(m->out, pairs->items[i]);
        if (!pair || pickle_is_dict(pairs->items[i]) || pair->count != 2)
            return refuse(m, BGD_DAMAGED, "an OrderedDict from a list with %s, expected pairs of key and value",
                          pickle_kind_name(pairs->items[i].kind));
        if (pickle_add_pair(m, dict, pair->items[0], pair->items[1]))
            return m->err->code;
    }
    return pickle_push(m, dict);
}

int pickle_reduce(struct machine *m)
{
    struct pickle_value args = {0}, callee = {0};
    if (pickle_pop(m, &args) || pickle_pop(m, &callee))
        return m->err->code;
    if (callee.kind != PICKLE_GLOBAL || args.kind != PICKLE_TUPLE)
        return refuse(m, BGD_DAMAGED, "%s is called with %s, expected a callable and a tuple", pickle_kind_name(callee.kind),
                      pickle_kind_name(args.kind));
    const struct pickle_object *tuple = pickle_object(m->out, args);
    switch (globals[callee.index].callable) {
    case ORDERED_DICT: return build_ordered_dict(m, tuple);
    case REBUILD_TENSOR: return rebuild_tensor(m, tuple, 4);
    case REBUILD_TENSOR_V2: return rebuild_tensor(m, tuple, 6);
    case REBUILD_PARAMETER: return rebuild_parameter(m, tuple, 3);
    case PARAMETER: return rebuild_parameter(m, tuple, 2);
    case STORAGE: break;
    }
    return refuse(m, BGD_UNSUPPORTED, "torch.%s is called, expected only as the type of a storage", globals[callee.index].name);
}

/* Only Parameter, as PyTorch 0.1 to 0.3 pickled it. */
int pickle_new_instance(struct machine *m)
{
    struct pickle_value args = {0}, callee = {0};
    if (pickle_pop(m, &args) || pickle_pop(m, &callee))
        return m->err->code;
    if (callee.kind != PICKLE_GLOBAL || globals[callee.index].callable != PARAMETER || args.kind != PICKLE_TUPLE)
        return refuse(m, BGD_UNSUPPORTED, "an instance of %s.%s from %s, expected of torch.nn.parameter.Parameter from a tuple",
                      callee.kind == PICKLE_GLOBAL ? globals[callee.index].module : "?",
                      callee.kind == PICKLE_GLOBAL ? globals[callee.index].name : pickle_kind_name(callee.kind),
                      pickle_kind_name(args.kind));
    return rebuild_parameter(m, pickle_object(m->out, args), 2);
}

/* Attributes change nothing that is read: those of an OrderedDict (_metadata) and an old Parameter's are dropped. */
int pickle_build(struct machine *m)
{
    struct pickle_value state = {0}, target = {0};
    if (pickle_pop(m, &state) || pickle_top(m, &target))
        return m->err->code;
    const struct pickle_object *tuple = pickle_object(m->out, state);
    bool fits = target.kind == PICKLE_ORDERED_DICT && pickle_is_dict(state);
    if (target.kind == PICKLE_PARAMETER && state.kind == PICKLE_TUPLE && tuple->count == 3) /* requires_grad, volatile, hooks */
        fits = tuple->items[0].kind == PICKLE_BOOL && tuple->items[1].kind == PICKLE_BOOL &&
               (tuple->items[2].kind == PICKLE_NONE || is_empty_ordered_dict(m, tuple->items[2]));
    return fits ? 0
                : refuse(m, BGD_UNSUPPORTED, "%s gets %s as its state, expected an OrderedDict and a dict",
                         pickle_kind_name(target.kind), pickle_kind_name(state.kind));
}

/* ------------------------------------------------------------ storages */

static int compare_keys(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : a_size == b_size ? 0 : a_size < b_size ? -1 : 1;
}

struct sighting { /* of a storage: one persistent id */
    struct pickle_storage storage;
    uint32_t index;
};

static int compare_sightings(const void *a, const void *b)
{
    const struct sighting *x = a, *y = b;
    int order = compare_keys(x->storage.key, x->storage.key_size, y->storage.key, y->storage.key_size);
    return order ? order : x->index < y->index ? -1 : 1;
}

int pickle_merge_storages(struct pickle *p, struct bgd_err *err)
{
    struct sighting *sorted = malloc((p->n_storages + 1) * sizeof *sorted);
    uint32_t *place = malloc((p->n_storages + 1) * sizeof *place);
    uint32_t n = 0;
    if (!sorted || !place) {
        err_set(err, BGD_MEMORY, "out of memory");
        goto fail;
    }
    for (uint32_t i = 0; i < p->n_storages; i++)
        sorted[i] = (struct sighting){p->storages[i], i};
    qsort(sorted, p->n_storages, sizeof *sorted, compare_sightings);
    for (uint32_t i = 0; i < p->n_storages; i++) {
        const struct pickle_storage *s = &sorted[i].storage, *last = n ? &p->storages[n - 1] : NULL;
        if (!last || compare_keys(last->key, last->key_size, s->key, s->key_size) != 0) {
            p->storages[n++] = *s;
        } else if (last->dtype != s->dtype || last->numel != s->numel) {
            err_set(err, BGD_DAMAGED, "storage %.*s is said to be %llu elements of %s and %llu of %s", (int)s->key_size, s->key,
                    (unsigned long long)last->numel, checkpoint_dtype_name(last->dtype), (unsigned long long)s->numel,
                    checkpoint_dtype_name(s->dtype));
            goto fail;
        }
        place[sorted[i].index] = n - 1;
    }
    for (uint32_t i = 0; i < p->n_tensors; i++)
        p->tensors[i].storage = place[p->tensors[i].storage];
    p->n_storages = n;
    free(sorted);
    free(place);
    return 0;
fail:
    free(sorted);
    free(place);
    return err->code;
}

struct pickle_storage *pickle_storage(const struct pickle *pickle, const char *key, size_t size)
{
    size_t low = 0, high = pickle->n_storages;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct pickle_storage *s = &pickle->storages[middle];
        int order = compare_keys(s->key, s->key_size, key, size);
        if (order == 0)
            return s;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
