/* Storages and views in a pickle, as hostile as they can be stated; and the machine's limits, from both sides. */
#include "pickles.h"

#include <time.h>

#define INTS "ctorch\nIntStorage\n"

Test(pickle_tensors, persistent_ids_are_storages_or_refused)
{
    static const char text[] = P T("\1", "0") "Q.", integer[] = P "K\0Q.", none[] = P "NQ.";
    REFUSED(text, "opcode BINPERSID (0x51) at byte 8: the persistent id is a text of 0 items");
    REFUSED(integer, "the persistent id is an integer");
    REFUSED(none, "the persistent id is None");
    static const char empty[] = P ")Q.", three[] = P T("\7", "storage") FLOATS T("\1", "0") TUPLE3 "Q.",
                      four[] = P "(" T("\7", "storage") FLOATS T("\1", "0") T("\3", "cpu") "tQ.",
                      six[] = P "(" T("\7", "storage") FLOATS T("\1", "0") T("\3", "cpu") "K\6NtQ.";
    REFUSED(empty, "a tuple of 0 items, expected a tuple of 5");
    REFUSED(three, "a tuple of 3 items");
    REFUSED(four, "a tuple of 4 items");
    REFUSED(six, "a tuple of 6 items");
    static const char list[] = P "](" T("\7", "storage") FLOATS T("\1", "0") T("\3", "cpu") "K\6eQ.";
    REFUSED(list, "a list of 5 items, expected a tuple");
    static const char module[] = P "(" T("\6", "module") FLOATS T("\1", "0") T("\3", "cpu") "K\6tQ.";
    REFUSED(module, "\"module\", expected the text \"storage\"");
    static const char type[] = P ID(T("\1", "f"), T("\1", "0"), "K\6") "Q.",
                      wrong[] = P ID(ORDERED_DICT, T("\1", "0"), "K\6") "Q.";
    REFUSED(type, "whose type is a text");
    REFUSED(wrong, "whose type is a callable");
    static const char number[] = P ID(FLOATS, "K\0", "K\6") "Q.", slash[] = P ID(FLOATS, T("\3", "a/b"), "K\6") "Q.",
                      dots[] = P ID(FLOATS, T("\2", ".."), "K\6") "Q.", nul[] = P ID(FLOATS, T("\2", "0\0"), "K\6") "Q.",
                      nothing[] = P ID(FLOATS, T("\0", ""), "K\6") "Q.";
    REFUSED(number, "the key of a storage is not");
    REFUSED(slash, "the key of a storage is not");
    REFUSED(dots, "the key of a storage is not");
    REFUSED(nul, "the key of a storage is not");
    REFUSED(nothing, "the key of a storage is not");
    static const char location[] = P "(" T("\7", "storage") FLOATS T("\1", "0") "N"
                                                                                "K\6tQ.";
    REFUSED(location, "the location of a storage is None");
    static const char minus[] = P ID(FLOATS, T("\1", "0"), "J\377\377\377\377") "Q.",
                      many[] = P ID(FLOATS, T("\1", "0"), LONG1 "\10\0\0\0\0\0\0\0\100") "Q.",
                      beyond[] = P ID(FLOATS, T("\1", "0"), LONG1 "\5\1\0\0\0\1") "Q.",
                      real[] = P ID(FLOATS, T("\1", "0"), "G\0\0\0\0\0\0\0\0") "Q.",
                      truth[] = P ID(FLOATS, T("\1", "0"), TRUE) "Q.";
    REFUSED(minus, "elements of storage 0 is not 0..2^32");
    REFUSED(many, "is not 0..2^32");
    REFUSED(beyond, "is not 0..2^32");
    REFUSED(real, "is not 0..2^32");
    REFUSED(truth, "is not 0..2^32");
}

/* Where a storage was when it was saved says nothing about the file: any device is read. */
Test(pickle_tensors, any_location_is_read)
{
    static const char cuda[] = P "(" T("\7", "storage") FLOATS T("\1", "0") T("\7", "cuda:99") "K\6tQ.";
    READ(cuda);
}

Test(pickle_tensors, legacy_ids_have_a_sixth_item_that_is_none)
{
    static const char good[] = P "(" T("\7", "storage") FLOATS T("\1", "0") T("\3", "cpu") "K\6NtQ.";
    pickle_free(loaded(good, sizeof good - 1, 6, __LINE__));
    static const char view[] =
        P "(" T("\7", "storage") FLOATS T("\1", "0") T("\3", "cpu") "K\6" T("\1", "1") "K\0K\1" TUPLE3 "tQ.";
    struct pickle *p;
    struct bgd_err err = {0};
    cr_expect_eq(load(view, sizeof view - 1, 6, &p, &err), BGD_UNSUPPORTED);
    cr_expect(mentions(&err, "storage 0 is a view of another"), "%s", err.text);
    static const char five[] = P STORAGE ".";
    cr_expect_lt(load(five, sizeof five - 1, 6, &p, &err), 0);
    cr_expect_lt(load(five, sizeof five - 1, 0, &p, &err), 0);
    cr_expect(mentions(&err, "where no storage can be"), "%s", err.text);
}

Test(pickle_tensors, two_mentions_of_a_storage_must_agree)
{
#define MENTION(type, key, numel) ID(type, T("\1", key), numel) "Q"
    static const char same[] = P "(" MENTION(FLOATS, "0", "K\6") MENTION(INTS, "1", "K\6") MENTION(FLOATS, "0", "K\6") "t.";
    struct pickle *p = LOADED(same);
    cr_expect_eq(p->n_storages, 2);
    cr_expect_eq(pickle_storage(p, "0", 1)->dtype, CHECKPOINT_F32);
    cr_expect_eq(pickle_storage(p, "1", 1)->dtype, CHECKPOINT_I32);
    cr_expect_null(pickle_storage(p, "2", 1));
    cr_expect_null(pickle_storage(p, "", 0));
    pickle_free(p);
    static const char dtype[] = P MENTION(FLOATS, "0", "K\6") MENTION(INTS, "0", "K\6") TUPLE2 ".",
                      numel[] = P MENTION(FLOATS, "0", "K\6") MENTION(FLOATS, "0", "K\7") TUPLE2 ".";
    REFUSED(dtype, "storage 0 is said to be 6 elements of f32 and 6 of i32");
    REFUSED(numel, "storage 0 is said to be 6 elements of f32 and 7 of f32");
}

Test(pickle_tensors, tied_tensors_share_one_storage)
{
    static const char bytes[] = P VIEW("K\0", "K\3" TUPLE1, "K\1" TUPLE1) VIEW("K\3", "K\3" TUPLE1, "K\1" TUPLE1) TUPLE2 ".";
    struct pickle *p = LOADED(bytes);
    cr_assert(p->n_tensors == 2 && p->n_storages == 1);
    cr_expect(p->tensors[0].storage == 0 && p->tensors[1].storage == 0 && p->tensors[1].offset == 3);
    pickle_free(p);
}

Test(pickle_tensors, every_storage_type_has_its_dtype)
{
    static const struct {
        const char *type;
        enum checkpoint_dtype dtype;
    } types[] = {{"Double", CHECKPOINT_F64},    {"Float", CHECKPOINT_F32}, {"Half", CHECKPOINT_F16},
                 {"BFloat16", CHECKPOINT_BF16}, {"Long", CHECKPOINT_I64},  {"Int", CHECKPOINT_I32},
                 {"Short", CHECKPOINT_I16},     {"Char", CHECKPOINT_I8},   {"Byte", CHECKPOINT_U8},
                 {"Bool", CHECKPOINT_BOOL}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char bytes[256];
        size_t size = 0;
#define ADD(literal) (memcpy(bytes + size, literal, sizeof literal - 1), size += sizeof literal - 1)
        ADD(P "(" T("\7", "storage") "ctorch\n");
        size += (size_t)sprintf(bytes + size, "%sStorage\n", types[i].type);
        ADD(T("\1", "0") T("\3", "cpu") "K\6tQ.");
        struct pickle *p = loaded(bytes, size, 5, __LINE__);
        cr_expect_eq(p->storages[0].dtype, types[i].dtype, "%s", types[i].type);
        pickle_free(p);
    }
}

Test(pickle_tensors, refuses_views_outside_of_their_storage)
{
#define SIX "K\6" TUPLE1
#define ONE "K\1" TUPLE1
#define HUGE_INT LONG1 "\10\377\377\377\377\377\377\377\177"
    static const char fits[] = P VIEW("K\0", SIX, ONE) ".", past[] = P VIEW("K\1", SIX, ONE) ".",
                      stride[] = P VIEW("K\0", SIX, "K\2" TUPLE1) ".", minus[] = P VIEW("J\377\377\377\377", SIX, ONE) ".",
                      far[] = P VIEW(HUGE_INT, SIX, ONE) ".";
    READ(fits);
    REFUSED(past, "opcode REDUCE (0x52) at byte 124: a tensor from element 1 to 6 in a storage of 6");
    REFUSED(stride, "a tensor from element 0 to 10 in a storage of 6");
    REFUSED(minus, "the offset of a tensor is negative");
    REFUSED(far, "in a storage of 6");
    static const char rank[] = P VIEW("K\0", "K\2K\3" TUPLE2, ONE) ".", fewer[] = P VIEW("K\0", SIX, ")") ".";
    REFUSED(rank, "2 dimensions with 1 strides");
    REFUSED(fewer, "1 dimensions with 0 strides");
    static const char size[] = P VIEW("K\0", "J\377\377\377\377" TUPLE1, ONE) ".",
                      back[] = P VIEW("K\5", SIX, "J\377\377\377\377" TUPLE1) ".";
    REFUSED(size, "the size of a tensor has a negative one");
    REFUSED(back, "the stride of a tensor has a negative one");
    static const char real[] = P VIEW("K\0", "G\100\30\0\0\0\0\0\0" TUPLE1, ONE) ".",
                      truth[] = P VIEW("K\0", TRUE TUPLE1, ONE) ".", list[] = P VIEW("K\0", "]K\6a", ONE) ".",
                      scalar[] = P VIEW("K\0", "K\6", ONE) ".";
    REFUSED(real, "the size of a tensor has a float");
    REFUSED(truth, "the size of a tensor has a bool");
    REFUSED(list, "the size of a tensor is a list");
    REFUSED(scalar, "the size of a tensor is an integer");
    /* 4194305 x 4194305 x 211106198978564 wraps to 4 */
    static const char wraps[] =
        P VIEW("K\0", "J\1\0\100\0J\1\0\100\0" LONG1 "\6\4\0\200\377\377\277" TUPLE3, "K\0K\0K\1" TUPLE3) ".",
                      wide[] = P VIEW("K\0", HUGE_INT TUPLE1, HUGE_INT TUPLE1) ".";
    REFUSED(wraps, "");
    REFUSED(wide, "larger than any storage");
    static const char overlap[] = P VIEW("K\0", "K\2K\3" TUPLE2, "K\1K\1" TUPLE2) ".",
                      empty[] = P VIEW("K\0", "K\0" TUPLE1, HUGE_INT TUPLE1) ".";
    REFUSED(overlap, "elements overlap");
    REFUSED(empty, "larger than any storage");
    static const char nine[] = P VIEW("K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t") ".",
                      eight[] = P VIEW("K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1t") ".";
    REFUSED(nine, "9 dimensions, at most 8");
    READ(eight);
}

Test(pickle_tensors, refuses_rebuilds_with_other_arguments)
{
    static const char grad[] = P V2 "(" STORAGE "K\0" SIX ONE "K\1" HOOKS "tR.",
                      hooks[] = P V2 "(" STORAGE "K\0" SIX ONE FALSE HOOKS "K\1K\2stR.",
                      none[] = P V2 "(" STORAGE "K\0" SIX ONE FALSE "NtR.",
                      dict[] = P V2 "(" STORAGE "K\0" SIX ONE FALSE "}tR.";
    REFUSED(grad, "requires_grad is an integer");
    REFUSED(hooks, "the hooks of a tensor are an OrderedDict with content");
    REFUSED(none, "the hooks of a tensor are None");
    REFUSED(dict, "the hooks of a tensor are a dict");
    static const char five[] = P V2 "(" STORAGE "K\0" SIX ONE FALSE "tR.",
                      seven[] = P V2 "(" STORAGE "K\0" SIX ONE FALSE HOOKS "}tR.", zero[] = P V2 ")R.",
                      v1[] = P V1 "(" STORAGE "K\0" SIX ONE FALSE HOOKS "tR.", good[] = P V1 "(" STORAGE "K\0" SIX ONE "tR.";
    REFUSED(five, "a tensor from 5 arguments, expected 6");
    REFUSED(seven, "a tensor from 7 arguments, expected 6");
    REFUSED(zero, "a tensor from 0 arguments");
    REFUSED(v1, "a tensor from 6 arguments, expected 4");
    READ(good);
    static const char key[] = P V2 "(" T("\1", "0") "K\0" SIX ONE FALSE HOOKS "tR.",
                      of_tensor[] = P V2 "(" TENSOR "K\0" SIX ONE FALSE HOOKS "tR.",
                      offset[] = P V2 "(" STORAGE "N" SIX ONE FALSE HOOKS "tR.";
    REFUSED(key, "a tensor over a text");
    REFUSED(of_tensor, "a tensor over a tensor");
    REFUSED(offset, "the offset of a tensor is None");
}

/* ------------------------------------------------------------ limits */

/* `head`, then `body` as often as `times`, then `tail`. */
static char *repeat(const char *head, size_t head_size, const char *body, size_t body_size, size_t times, const char *tail,
                    size_t *size)
{
    *size = head_size + body_size * times + strlen(tail);
    char *bytes = malloc(*size + 1);
    cr_assert(bytes);
    memcpy(bytes, head, head_size);
    for (size_t i = 0; i < times; i++)
        memcpy(bytes + head_size + i * body_size, body, body_size);
    memcpy(bytes + head_size + body_size * times, tail, strlen(tail) + 1);
    return bytes;
}

static void expect_limit(const char *head, const char *body, size_t body_size, size_t times, const char *tail,
                         const char *words)
{
    size_t size;
    char *bytes = repeat(head, strlen(head), body, body_size, times, tail, &size);
    if (words)
        refused(bytes, size, words, __LINE__);
    else
        pickle_free(loaded(bytes, size, 5, __LINE__));
    free(bytes);
}

Test(pickle_tensors, limits_are_where_they_are_said_to_be)
{
    expect_limit(P "(", "N", 1, 9999, "t.", NULL);
    expect_limit(P "(", "N", 1, 10000, "t.", "more than 10000 values on the stack");
    expect_limit(P, "(", 1, 1 << 20, "", "more than 10000 values on the stack");
    expect_limit(P ")", TUPLE1, 1, 63, ".", NULL);
    expect_limit(P ")", TUPLE1, 1, 64, ".", "nested deeper than 64");
    expect_limit(P "]", "Na", 2, 499999, TUPLE1 ".", NULL); /* 1,000,000 opcodes before STOP */
    expect_limit(P "]", "Na", 2, 499999, TUPLE1 TUPLE1 ".", "longer than 1000000 opcodes");
}

static void expect_text_limit(size_t text, bool good)
{
    char head[8] = P "X";
    write_le((uint8_t *)head + 3, text, 4);
    size_t size;
    char *bytes = repeat(head, 7, "a", 1, text, ".", &size);
    if (good)
        pickle_free(loaded(bytes, size, 5, __LINE__));
    else
        refused(bytes, size, "a text of 1048577 bytes", __LINE__);
    free(bytes);
}

Test(pickle_tensors, texts_end_at_one_mebibyte)
{
    expect_text_limit(1 << 20, true);
    expect_text_limit((1 << 20) + 1, false);
}

Test(pickle_tensors, the_whole_pickle_ends_at_64_mebibytes)
{
    char body[8 + (1 << 20)];
    memset(body, 'a', sizeof body);
    memcpy(body, "X\0\0\20\0", 5); /* one text of 1 MiB, appended: 1,048,582 bytes */
    body[5 + (1 << 20)] = 'a';
    expect_limit(P "]", body, 6 + (1 << 20), 63, ".", NULL);
    expect_limit(P "]", body, 6 + (1 << 20), 64, ".", "or 67108864 bytes");
}

/* A tensor takes few bytes when its arguments come from the memo. */
Test(pickle_tensors, at_most_100000_tensors)
{
    static const char start[] = P "]" V2 "q\0(" STORAGE "K\0" SIX ONE FALSE HOOKS "tq\1Ra";
    size_t size;
    for (size_t over = 0; over < 2; over++) {
        char *bytes = repeat(start, sizeof start - 1, "h\0h\1Ra", 6, 99999 + over, ".", &size);
        if (over)
            refused(bytes, size, "more than 100000 tensors", __LINE__);
        else
            pickle_free(loaded(bytes, size, 5, __LINE__));
        free(bytes);
    }
}

/* Time grows with the bytes, not with their square: the largest pickles take a fraction of the limit here. */
Test(pickle_tensors, the_largest_pickles_are_quick)
{
    clock_t start = clock();
    expect_limit(P "](", "K\1K\2" TUPLE2, 5, 9990, "e.", NULL);
    expect_limit(P "]", "Na", 2, 499999, ".", NULL);
    expect_limit(P "]", "]a", 2, 499999, ".", NULL);
    expect_limit(P "}", "K\1Ns", 4, 333332, ".", NULL);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    cr_expect_lt(seconds, 10, "%g s", seconds);
}
