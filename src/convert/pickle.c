#include "pickle_machine.h"

#include <stdlib.h>

/*
 * What torch.save(torch.nn.Linear(2, 3).state_dict()) says, as pickletools prints it. The machine has a stack and a
 * memo; h and q recall and keep, ( marks a place that t and u go back to.
 *
 *     0: \x80 PROTO      2
 *     2: c    GLOBAL     'collections OrderedDict'        push the callable
 *    27: q    BINPUT     0                                memo[0] = top
 *    29: )    EMPTY_TUPLE
 *    30: R    REDUCE                                      top = OrderedDict()
 *    33: (    MARK
 *    34: X        BINUNICODE 'weight'                     the first key
 *    47: c        GLOBAL     'torch._utils _rebuild_tensor_v2'
 *    82: (        MARK
 *    83: (            MARK
 *    84: X                BINUNICODE 'storage'            the persistent id: always this word,
 *    98: c                GLOBAL     'torch FloatStorage' the dtype,
 *   120: X                BINUNICODE '0'                  the key: the bytes are in FOLDER/data/0,
 *   128: X                BINUNICODE 'cpu'                where it was,
 *   138: K                BININT1    6                    and its elements (in legacy files a None follows)
 *   142: t                TUPLE      (MARK at 83)
 *   145: Q            BINPERSID                           top = that storage
 *   146: K            BININT1    0                        offset
 *   148: K            BININT1    3
 *   150: K            BININT1    2
 *   152: \x86         TUPLE2                              size (3, 2)
 *   155: K            BININT1    2
 *   157: K            BININT1    1
 *   159: \x86         TUPLE2                              stride (2, 1)
 *   162: \x89         NEWFALSE                            requires_grad
 *   163: h            BINGET     0
 *   165: )            EMPTY_TUPLE
 *   166: R            REDUCE                              hooks: an empty OrderedDict
 *   169: t            TUPLE      (MARK at 82)
 *   172: R        REDUCE                                  top = the tensor
 *        ...                                              'bias' and its tensor likewise
 *   254: u        SETITEMS   (MARK at 33)                 the OrderedDict takes keys and values
 *   255: }    EMPTY_DICT                                  its attributes: {'_metadata': ...}
 *        ...
 *   331: b    BUILD                                       are set
 *   332: .    STOP
 *
 * Files of Python 2 (torchvision's from 2017) say the same with 8-bit strings (T, U), an OrderedDict from a list of
 * pairs, _rebuild_tensor without the last two arguments, and Parameters made by NEWOBJ and BUILD.
 */

/* clang-format off */
enum op {
    OP_MARK = '(', OP_STOP = '.', OP_BININT = 'J', OP_BININT1 = 'K', OP_BININT2 = 'M', OP_NONE = 'N',
    OP_BINPERSID = 'Q', OP_REDUCE = 'R', OP_BINSTRING = 'T', OP_SHORT_BINSTRING = 'U', OP_BINUNICODE = 'X',
    OP_EMPTY_LIST = ']', OP_APPEND = 'a', OP_BUILD = 'b', OP_GLOBAL = 'c', OP_APPENDS = 'e', OP_BINGET = 'h',
    OP_LONG_BINGET = 'j', OP_BINPUT = 'q', OP_LONG_BINPUT = 'r', OP_SETITEM = 's', OP_TUPLE = 't',
    OP_SETITEMS = 'u', OP_EMPTY_DICT = '}', OP_EMPTY_TUPLE = ')', OP_BINFLOAT = 'G', OP_PROTO = 0x80,
    OP_NEWOBJ = 0x81, OP_TUPLE1 = 0x85, OP_TUPLE2 = 0x86, OP_TUPLE3 = 0x87, OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89, OP_LONG1 = 0x8a,
};

/* Every opcode that Python has, also those that are refused: the error says what the file tried. */
static const char *const op_names[256] = {
    ['('] = "MARK", ['.'] = "STOP", ['0'] = "POP", ['1'] = "POP_MARK", ['2'] = "DUP", ['F'] = "FLOAT", ['I'] = "INT",
    ['J'] = "BININT", ['K'] = "BININT1", ['L'] = "LONG", ['M'] = "BININT2", ['N'] = "NONE", ['P'] = "PERSID",
    ['Q'] = "BINPERSID", ['R'] = "REDUCE", ['S'] = "STRING", ['T'] = "BINSTRING", ['U'] = "SHORT_BINSTRING",
    ['V'] = "UNICODE", ['X'] = "BINUNICODE", ['a'] = "APPEND", ['b'] = "BUILD", ['c'] = "GLOBAL", ['d'] = "DICT",
    ['}'] = "EMPTY_DICT", ['e'] = "APPENDS", ['g'] = "GET", ['h'] = "BINGET", ['i'] = "INST", ['j'] = "LONG_BINGET",
    ['l'] = "LIST", [']'] = "EMPTY_LIST", ['o'] = "OBJ", ['p'] = "PUT", ['q'] = "BINPUT", ['r'] = "LONG_BINPUT",
    ['s'] = "SETITEM", ['t'] = "TUPLE", [')'] = "EMPTY_TUPLE", ['u'] = "SETITEMS", ['G'] = "BINFLOAT",
    ['B'] = "BINBYTES", ['C'] = "SHORT_BINBYTES", [0x80] = "PROTO", [0x81] = "NEWOBJ", [0x82] = "EXT1",
    [0x83] = "EXT2", [0x84] = "EXT4", [0x85] = "TUPLE1", [0x86] = "TUPLE2", [0x87] = "TUPLE3", [0x88] = "NEWTRUE",
    [0x89] = "NEWFALSE", [0x8a] = "LONG1", [0x8b] = "LONG4", [0x8c] = "SHORT_BINUNICODE", [0x8d] = "BINUNICODE8",
    [0x8e] = "BINBYTES8", [0x8f] = "EMPTY_SET", [0x90] = "ADDITEMS", [0x91] = "FROZENSET", [0x92] = "NEWOBJ_EX",
    [0x93] = "STACK_GLOBAL", [0x94] = "MEMOIZE", [0x95] = "FRAME", [0x96] = "BYTEARRAY8", [0x97] = "NEXT_BUFFER",
    [0x98] = "READONLY_BUFFER",
};
/* clang-format on */

static int refuse_cut(struct machine *m)
{
    return refuse(m, BGD_DAMAGED, "the pickle is cut short");
}

int pickle_grow(struct machine *m, void *array, uint32_t count, uint32_t *room, size_t size)
{
    void **at = array;
    if (count < *room)
        return 0;
    uint32_t more = *room ? *room * 2 : 4;
    if (more <= count)
        more = count + 1;
    uint8_t *grown = realloc(*at, more * size);
    if (!grown)
        return refuse(m, BGD_MEMORY, "out of memory");
    memset(grown + *room * size, 0, (more - *room) * size);
    *at = grown;
    *room = more;
    return 0;
}

/* ------------------------------------------------------------ the stack */

int pickle_push(struct machine *m, struct pickle_value value)
{
    if (m->height == PICKLE_STACK_MAX)
        return refuse(m, BGD_LIMIT, "more than %u values on the stack", PICKLE_STACK_MAX);
    if (pickle_grow(m, &m->stack, m->height, &m->stack_room, sizeof *m->stack))
        return m->err->code;
    m->stack[m->height++] = value;
    return 0;
}

static int push_kind(struct machine *m, enum pickle_kind kind, int64_t integer)
{
    return pickle_push(m, (struct pickle_value){.kind = kind, .integer = integer});
}

int pickle_pop(struct machine *m, struct pickle_value *value)
{
    if (m->height == 0 || m->stack[m->height - 1].kind == PICKLE_MARK)
        return refuse(m, BGD_DAMAGED, "the stack holds nothing for it");
    *value = m->stack[--m->height];
    return 0;
}

int pickle_top(struct machine *m, struct pickle_value *value)
{
    if (pickle_pop(m, value))
        return m->err->code;
    m->height++;
    return 0;
}

/* Takes what was pushed since the last mark, and the mark. `items` is good until the next push. */
static int pop_mark(struct machine *m, struct pickle_value **items, uint32_t *count)
{
    uint32_t at = m->height;
    while (at > 0 && m->stack[at - 1].kind != PICKLE_MARK)
        at--;
    if (at == 0)
        return refuse(m, BGD_DAMAGED, "the stack holds no mark");
    *items = m->stack + at;
    *count = m->height - at;
    m->height = at - 1;
    return 0;
}

/* ------------------------------------------------------------ objects */

static struct pickle_object *object_of(const struct pickle *pickle, struct pickle_value value)
{
    bool has = value.kind == PICKLE_TUPLE || value.kind == PICKLE_LIST || pickle_is_dict(value);
    return has ? &pickle->objects[value.index] : NULL;
}

int pickle_new_object(struct machine *m, enum pickle_kind kind, struct pickle_value *value)
{
    struct pickle *p = m->out;
    if (pickle_grow(m, &p->objects, p->n_objects, &p->room_objects, sizeof *p->objects))
        return m->err->code;
    *value = (struct pickle_value){.kind = kind, .index = p->n_objects};
    p->objects[p->n_objects++] = (struct pickle_object){.depth = 1};
    return 0;
}

/* The item is finished first: so a target that is its own item, or part of it, is found to be finished, too. */
static int add_item(struct machine *m, struct pickle_value target, struct pickle_value item)
{
    struct pickle_object *object = object_of(m->out, target), *child = object_of(m->out, item);
    if (child)
        child->finished = true;
    if (object->finished)
        return refuse(m, BGD_DAMAGED, "%s that is part of another object already is changed; it might contain itself",
                      pickle_kind_name(target.kind));
    if (child && child->depth >= object->depth)
        object->depth = child->depth + 1;
    if (object->depth > PICKLE_DEPTH_MAX)
        return refuse(m, BGD_LIMIT, "objects are nested deeper than %u", PICKLE_DEPTH_MAX);
    if (pickle_grow(m, &object->items, object->count, &object->capacity, sizeof *object->items))
        return m->err->code;
    object->items[object->count++] = item;
    return 0;
}

static int push_tuple(struct machine *m, const struct pickle_value *items, uint32_t count)
{
    struct pickle_value tuple;
    if (pickle_new_object(m, PICKLE_TUPLE, &tuple))
        return m->err->code;
    for (uint32_t i = 0; i < count; i++)
        if (add_item(m, tuple, items[i]))
            return m->err->code;
    return pickle_push(m, tuple);
}

static int push_tuple_of(struct machine *m, uint32_t count)
{
    struct pickle_value items[3];
    for (uint32_t i = count; i-- > 0;)
        if (pickle_pop(m, &items[i]))
            return m->err->code;
    return push_tuple(m, items, count);
}

static int push_empty(struct machine *m, enum pickle_kind kind)
{
    struct pickle_value value;
    return pickle_new_object(m, kind, &value) ? m->err->code : pickle_push(m, value);
}

static int append_items(struct machine *m, const struct pickle_value *items, uint32_t count)
{
    struct pickle_value list = {0};
    if (pickle_top(m, &list))
        return m->err->code;
    if (list.kind != PICKLE_LIST)
        return refuse(m, BGD_DAMAGED, "it appends to %s, expected a list", pickle_kind_name(list.kind));
    for (uint32_t i = 0; i < count; i++)
        if (add_item(m, list, items[i]))
            return m->err->code;
    return 0;
}

int pickle_add_pair(struct machine *m, struct pickle_value dict, struct pickle_value key, struct pickle_value value)
{
    if (key.kind != PICKLE_TEXT && key.kind != PICKLE_INT)
        return refuse(m, BGD_UNSUPPORTED, "%s as the key of a dict, expected a text or an integer", pickle_kind_name(key.kind));
    return add_item(m, dict, key) || add_item(m, dict, value) ? m->err->code : 0;
}

static int set_items(struct machine *m, const struct pickle_value *items, uint32_t count)
{
    struct pickle_value dict = {0};
    if (pickle_top(m, &dict))
        return m->err->code;
    if (!pickle_is_dict(dict))
        return refuse(m, BGD_DAMAGED, "it sets items of %s, expected a dict", pickle_kind_name(dict.kind));
    if (count % 2 != 0)
        return refuse(m, BGD_DAMAGED, "%u values, expected pairs of key and value", count);
    for (uint32_t i = 0; i < count; i += 2)
        if (pickle_add_pair(m, dict, items[i], items[i + 1]))
            return m->err->code;
    return 0;
}

/* ------------------------------------------------------------ scalars, texts, memo */

static int read_unsigned(struct machine *m, uint32_t bytes, uint32_t *out)
{
    uint8_t byte = 0;
    uint16_t half = 0;
    bool read = bytes == 1 ? bytes_u8(m->in, &byte) : bytes == 2 ? bytes_u16le(m->in, &half) : bytes_u32le(m->in, out);
    if (!read)
        return refuse_cut(m);
    if (bytes < 4)
        *out = bytes == 1 ? byte : half;
    return 0;
}

static int push_int(struct machine *m, uint32_t bytes)
{
    uint32_t value = 0;
    if (read_unsigned(m, bytes, &value))
        return m->err->code;
    return push_kind(m, PICKLE_INT, bytes == 4 ? (int32_t)value : (int64_t)value);
}

/* Two's complement, as few bytes as hold it. */
static int push_long(struct machine *m)
{
    uint32_t size = 0;
    const uint8_t *at;
    if (read_unsigned(m, 1, &size))
        return m->err->code;
    if (size > 8)
        return refuse(m, BGD_LIMIT, "an integer of %u bytes, at most 8 are read", size);
    if (!bytes_take(m->in, size, &at))
        return refuse_cut(m);
    uint64_t value = size > 0 && at[size - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint32_t i = size; i-- > 0;)
        value = value << 8 | at[i];
    return push_kind(m, PICKLE_INT, (int64_t)value);
}

static int push_float(struct machine *m)
{
    uint32_t high, low;
    if (bytes_left(m->in) < 8 || !bytes_u32be(m->in, &high) || !bytes_u32be(m->in, &low))
        return refuse_cut(m);
    struct pickle_value value = {.kind = PICKLE_FLOAT};
    uint64_t bits = (uint64_t)high << 32 | low;
    memcpy(&value.real, &bits, sizeof bits);
    return pickle_push(m, value);
}

static int push_text(struct machine *m, uint32_t size_bytes)
{
    uint32_t size = 0;
    const uint8_t *at;
    if (read_unsigned(m, size_bytes, &size))
        return m->err->code;
    if (size > PICKLE_TEXT_MAX)
        return refuse(m, BGD_LIMIT, "a text of %u bytes, at most %u are read", size, PICKLE_TEXT_MAX);
    if (!bytes_take(m->in, size, &at))
        return refuse_cut(m);
    if (!checkpoint_is_utf8(at, size))
        return refuse(m, BGD_DAMAGED, "a text that is not UTF-8");
    return pickle_push(m, (struct pickle_value){.kind = PICKLE_TEXT, .size = size, .text = (const char *)at});
}

static int memo_put(struct machine *m, uint32_t bytes)
{
    uint32_t slot = 0;
    struct pickle_value value;
    if (read_unsigned(m, bytes, &slot) || pickle_top(m, &value))
        return m->err->code;
    if (slot >= PICKLE_MEMO_MAX)
        return refuse(m, BGD_LIMIT, "memo slot %u, at most %u are kept", slot, PICKLE_MEMO_MAX);
    if (pickle_grow(m, &m->memo, slot, &m->memo_room, sizeof *m->memo))
        return m->err->code;
    m->memo[slot] = value;
    return 0;
}

static int memo_get(struct machine *m, uint32_t bytes)
{
    uint32_t slot = 0;
    if (read_unsigned(m, bytes, &slot))
        return m->err->code;
    if (slot >= m->memo_room || m->memo[slot].kind == PICKLE_UNSET)
        return refuse(m, BGD_DAMAGED, "memo slot %u was never set", slot);
    return pickle_push(m, m->memo[slot]);
}

/* ------------------------------------------------------------ the machine */

/* TUPLE, APPENDS or SETITEMS: what was pushed since the mark goes into one object. */
static int gather(struct machine *m, uint8_t op)
{
    struct pickle_value *items = NULL;
    uint32_t count = 0;
    if (pop_mark(m, &items, &count))
        return m->err->code;
    return op == OP_TUPLE     ? push_tuple(m, items, count)
           : op == OP_APPENDS ? append_items(m, items, count)
                              : set_items(m, items, count);
}

static int add_top(struct machine *m, uint8_t op)
{
    struct pickle_value items[2];
    uint32_t count = op == OP_APPEND ? 1 : 2;
    for (uint32_t i = count; i-- > 0;)
        if (pickle_pop(m, &items[i]))
            return m->err->code;
    return op == OP_APPEND ? append_items(m, items, count) : set_items(m, items, count);
}

static int step(struct machine *m, uint8_t op)
{
    switch (op) {
    case OP_MARK: return push_kind(m, PICKLE_MARK, 0);
    case OP_NONE: return push_kind(m, PICKLE_NONE, 0);
    case OP_NEWTRUE: return push_kind(m, PICKLE_BOOL, 1);
    case OP_NEWFALSE: return push_kind(m, PICKLE_BOOL, 0);
    case OP_BININT1: return push_int(m, 1);
    case OP_BININT2: return push_int(m, 2);
    case OP_BININT: return push_int(m, 4);
    case OP_LONG1: return push_long(m);
    case OP_BINFLOAT: return push_float(m);
    case OP_BINUNICODE:
    case OP_BINSTRING: return push_text(m, 4);
    case OP_SHORT_BINSTRING: return push_text(m, 1);
    case OP_EMPTY_TUPLE: return push_empty(m, PICKLE_TUPLE);
    case OP_EMPTY_LIST: return push_empty(m, PICKLE_LIST);
    case OP_EMPTY_DICT: return push_empty(m, PICKLE_DICT);
    case OP_TUPLE1: return push_tuple_of(m, 1);
    case OP_TUPLE2: return push_tuple_of(m, 2);
    case OP_TUPLE3: return push_tuple_of(m, 3);
    case OP_TUPLE:
    case OP_APPENDS:
    case OP_SETITEMS: return gather(m, op);
    case OP_APPEND:
    case OP_SETITEM: return add_top(m, op);
    case OP_BINPUT: return memo_put(m, 1);
    case OP_LONG_BINPUT: return memo_put(m, 4);
    case OP_BINGET: return memo_get(m, 1);
    case OP_LONG_BINGET: return memo_get(m, 4);
    case OP_GLOBAL: return pickle_push_global(m);
    case OP_BINPERSID: return pickle_load_persistent(m);
    case OP_REDUCE: return pickle_reduce(m);
    case OP_NEWOBJ: return pickle_new_instance(m);
    case OP_BUILD: return pickle_build(m);
    default: return refuse(m, BGD_UNSUPPORTED, "an opcode that no state_dict needs");
    }
}

static int run(struct machine *m)
{
    uint8_t op, protocol;
    const size_t start = m->in->pos;
    if (!bytes_u8(m->in, &op) || !bytes_u8(m->in, &protocol) || op != OP_PROTO)
        return refuse(m, BGD_DAMAGED, "no pickle at byte %zu: it does not begin with PROTO", start);
    if (protocol != 2)
        return refuse(m, BGD_UNSUPPORTED, "a pickle of protocol %u, expected 2", protocol);
    for (uint32_t count = 0;; count++) {
        size_t at = m->in->pos;
        if (!bytes_u8(m->in, &op))
            return refuse(m, BGD_DAMAGED, "the pickle is cut short at byte %zu, before STOP", at);
        if (op == OP_STOP && m->height == 1 && m->stack[0].kind != PICKLE_MARK)
            break;
        if (count == PICKLE_OPCODES_MAX || m->in->pos - start > PICKLE_BYTES_MAX)
            refuse(m, BGD_LIMIT, "the pickle is longer than %u opcodes or %u bytes", PICKLE_OPCODES_MAX, PICKLE_BYTES_MAX);
        else if (op == OP_STOP)
            refuse(m, BGD_DAMAGED, "%u values on the stack, expected the one result", m->height);
        else if (step(m, op) == 0)
            continue;
        return err_prefix(m->err, "opcode %s (0x%02x) at byte %zu: ", op_names[op] ? op_names[op] : "unknown", op, at);
    }
    m->out->root = m->stack[0];
    return 0;
}

/* ------------------------------------------------------------ outside */

int pickle_load(struct bytes *in, uint32_t id_items, struct pickle **out, struct bgd_err *err)
{
    *out = NULL;
    struct pickle *p = calloc(1, sizeof *p);
    struct machine m = {.in = in, .out = p, .err = err, .id_items = id_items};
    if (!p)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (run(&m) || pickle_merge_storages(p, err))
        goto fail;
    free(m.stack);
    free(m.memo);
    *out = p;
    return 0;
fail:
    free(m.stack);
    free(m.memo);
    pickle_free(p);
    return err->code;
}

void pickle_free(struct pickle *pickle)
{
    if (!pickle)
        return;
    for (uint32_t i = 0; i < pickle->n_objects; i++)
        free(pickle->objects[i].items);
    free(pickle->objects);
    free(pickle->tensors);
    free(pickle->storages);
    free(pickle);
}

const struct pickle_object *pickle_object(const struct pickle *pickle, struct pickle_value value)
{
    return object_of(pickle, value);
}

const char *pickle_kind_name(enum pickle_kind kind)
{
    static const char *const names[] = {[PICKLE_UNSET] = "nothing",
                                        [PICKLE_MARK] = "a mark",
                                        [PICKLE_NONE] = "None",
                                        [PICKLE_BOOL] = "a bool",
                                        [PICKLE_INT] = "an integer",
                                        [PICKLE_FLOAT] = "a float",
                                        [PICKLE_TEXT] = "a text",
                                        [PICKLE_TUPLE] = "a tuple",
                                        [PICKLE_LIST] = "a list",
                                        [PICKLE_DICT] = "a dict",
                                        [PICKLE_ORDERED_DICT] = "an OrderedDict",
                                        [PICKLE_GLOBAL] = "a callable",
                                        [PICKLE_STORAGE] = "a storage",
                                        [PICKLE_TENSOR] = "a tensor",
                                        [PICKLE_PARAMETER] = "a Parameter"};
    return names[kind];
}

bool pickle_is_text(struct pickle_value value, const char *text)
{
    return value.kind == PICKLE_TEXT && value.size == strlen(text) && memcmp(value.text, text, value.size) == 0;
}

bool pickle_is_dict(struct pickle_value value)
{
    return value.kind == PICKLE_DICT || value.kind == PICKLE_ORDERED_DICT;
}

bool pickle_is_tensor(struct pickle_value value)
{
    return value.kind == PICKLE_TENSOR || value.kind == PICKLE_PARAMETER;
}
