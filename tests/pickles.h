/* Pickles in the tests: written as strings, run from copies. */
#ifndef TESTS_PICKLES_H
#define TESTS_PICKLES_H

#include "checkpoints.h"
#include "convert/pickle.h"

/* Opcodes above 127 in octal, because a hex escape would swallow the letters behind it. */
#define P "\200\2"
#define NEWOBJ "\201"
#define TUPLE1 "\205"
#define TUPLE2 "\206"
#define TUPLE3 "\207"
#define TRUE "\210"
#define FALSE "\211"
#define LONG1 "\212"
#define T(size, text) "X" size "\0\0\0" text /* a text below 256 bytes */
#define ORDERED_DICT "ccollections\nOrderedDict\n"
#define HOOKS ORDERED_DICT ")R"
#define ID(type, key, numel) "(" T("\7", "storage") type key T("\3", "cpu") numel "t"
#define FLOATS "ctorch\nFloatStorage\n"
#define STORAGE ID(FLOATS, T("\1", "0"), "K\6") "Q"
#define V1 "ctorch._utils\n_rebuild_tensor\n"
#define V2 "ctorch._utils\n_rebuild_tensor_v2\n"
#define VIEW(offset, size, stride) V2 "(" STORAGE offset size stride FALSE HOOKS "tR"
#define TENSOR VIEW("K\0", "K\2K\3" TUPLE2, "K\3K\1" TUPLE2)
#define REBUILD_PARAMETER "ctorch._utils\n_rebuild_parameter\n"
#define PARAMETER "ctorch.nn.parameter\nParameter\n"

static inline int load(const void *bytes, size_t size, uint32_t id_items, struct pickle **pickle, struct bgd_err *err)
{
    struct bytes in = bytes_of(bytes, size);
    int code = pickle_load(&in, id_items, pickle, err);
    cr_expect_eq(code == 0, *pickle != NULL);
    return code;
}

/* A macro, not a call with strlen: pickles have NULs. The line is the test's. */
static inline void refused(const char *bytes, size_t size, const char *words, int line)
{
    struct pickle *pickle;
    struct bgd_err err = {0};
    uint8_t *copy = copy_of(bytes, size);
    int code = load(copy, size, 5, &pickle, &err);
    cr_expect(code < 0, "line %d: read, expected a refusal with \"%s\"", line, words);
    cr_expect(code >= 0 || mentions(&err, words), "line %d: \"%s\", expected \"%s\"", line, err.text, words);
    pickle_free(pickle);
    free(copy);
}
#define REFUSED(pickle, words) refused(pickle, sizeof pickle - 1, words, __LINE__)

static inline struct pickle *loaded(const char *bytes, size_t size, uint32_t id_items, int line)
{
    struct pickle *pickle;
    struct bgd_err err = {0};
    cr_assert_eq(load(bytes, size, id_items, &pickle, &err), 0, "line %d: %s", line, err.text);
    return pickle;
}
#define LOADED(pickle) loaded(pickle, sizeof pickle - 1, 5, __LINE__)
#define READ(pickle) pickle_free(LOADED(pickle))

#endif
