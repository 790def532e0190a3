/* Files from before PyTorch 1.6: stacked pickles and raw storages; and what a state_dict may be, whatever the form. */
#include "pickles.h"

#define LEGACY_ID(key, numel) "(" T("\7", "storage") FLOATS T("\1", key) T("\3", "cpu") numel "Nt"
#define LEGACY_VIEW(key, numel, size, stride) V2 "(" LEGACY_ID(key, numel) "QK\0" size stride FALSE HOOKS "tR"
#define TWO LEGACY_VIEW("1", "K\2", "K\2" TUPLE1, "K\1" TUPLE1)   /* all of storage 1 */
#define THREE LEGACY_VIEW("2", "K\3", "K\3" TUPLE1, "K\1" TUPLE1) /* all of storage 2 */
#define DATA_1                                                                                                                 \
    "\2\0\0\0\0\0\0\0"                                                                                                         \
    "\0\0\200\77\0\0\0\100" /* 1, 2 */
#define DATA_2                                                                                                                 \
    "\3\0\0\0\0\0\0\0"                                                                                                         \
    "\0\0\200\77\0\0\0\100\0\0\100\100" /* 1, 2, 3 */
#define KEYS_1 "](" T("\1", "1") "e"
#define KEYS_12 "](" T("\1", "1") T("\1", "2") "e"
#define STATE "}(" T("\1", "a") TWO T("\1", "b") THREE "u"
#define PIECES(object, keys, storages)                                                                                         \
    (struct legacy_parts)                                                                                                      \
    {                                                                                                                          \
        object, sizeof object - 1, keys, sizeof keys - 1, storages, sizeof storages - 1                                        \
    }

static void expect_pieces_refused(struct legacy_parts pieces, const char *words)
{
    struct file_buffer file = make_legacy(pieces);
    expect_refused(file.data, file.size, words);
    free(file.data);
}
#define REFUSED_FILE(object, keys, storages, words) expect_pieces_refused(PIECES(object, keys, storages), words)

static struct checkpoint *open_pieces(struct legacy_parts pieces, struct file_buffer *file)
{
    *file = make_legacy(pieces);
    return open_good(file->data, file->size);
}

/* The pieces must give the tensors of those names, in this order. */
static void expect_names(struct legacy_parts pieces, const char *first, const char *second)
{
    struct file_buffer file;
    struct checkpoint *checkpoint = open_pieces(pieces, &file);
    cr_expect_eq(checkpoint->count, second ? 2 : 1);
    cr_expect_str_eq(checkpoint->tensors[0].name, first);
    if (second)
        cr_expect_str_eq(checkpoint->tensors[1].name, second);
    read_everything(checkpoint);
    checkpoint_close(checkpoint);
    free(file.data);
}

Test(legacy, reads_storages_by_key)
{
    static const char *const orders[] = {KEYS_12, "](" T("\1", "2") T("\1", "1") "e"};
    for (int i = 0; i < 2; i++) {
        struct legacy_parts pieces = PIECES(STATE, KEYS_12, DATA_1 DATA_2);
        if (i)
            pieces.storages = DATA_2 DATA_1;
        pieces.keys = orders[i];
        struct file_buffer file;
        struct checkpoint *checkpoint = open_pieces(pieces, &file);
        float a[2], b[3];
        checkpoint_read(checkpoint_find(checkpoint, "a"), a);
        checkpoint_read(checkpoint_find(checkpoint, "b"), b);
        cr_expect(a[0] == 1 && a[1] == 2 && b[0] == 1 && b[1] == 2 && b[2] == 3);
        checkpoint_close(checkpoint);
        free(file.data);
    }
}

Test(legacy, refuses_storages_that_do_not_fit_the_keys)
{
    REFUSED_FILE(STATE, KEYS_1, DATA_1, "storage 2 of the object is not listed");
    REFUSED_FILE(STATE, "](" T("\1", "1") T("\1", "1") "e", DATA_1 DATA_1, "key 1 comes twice");
    REFUSED_FILE(STATE, "](" T("\1", "1") T("\1", "3") "e", DATA_1 DATA_2, "key 3 names no storage");
    REFUSED_FILE(STATE, "](" T("\1", "1") "K\2e", DATA_1 DATA_2, "a key is an integer");
    REFUSED_FILE(STATE, "(" T("\1", "1") T("\1", "2") "t", DATA_1 DATA_2, "a tuple, expected a list");
    REFUSED_FILE(STATE, "}", DATA_1 DATA_2, "a dict, expected a list");
    REFUSED_FILE(STATE, KEYS_12, DATA_2 DATA_1, "storage 1: 3 elements, the object says 2");
    REFUSED_FILE(STATE, KEYS_12,
                 DATA_1 "\3\0\0\0\0\0\0\1"
                        "\0\0\200\77\0\0\0\100\0\0\100\100",
                 "storage 2: 72057594037927939 elements");
    REFUSED_FILE(STATE, KEYS_12, DATA_1 "\377\377\377\377\377\377\377\377", "storage 2: 18446744073709551615 elements");
    REFUSED_FILE(STATE, KEYS_12, DATA_1 DATA_2 "\0", "1 bytes behind the last storage");
    REFUSED_FILE(STATE, KEYS_12,
                 DATA_1 "\3\0\0\0\0\0\0\0"
                        "\0\0\200\77",
                 "the file ends at");
    REFUSED_FILE(STATE, KEYS_12, DATA_1, "before its number of elements");
    REFUSED_FILE(STATE, "](" STORAGE "e", DATA_1 DATA_2, "storage keys: opcode BINPERSID");
    REFUSED_FILE("}" T("\1", "a") TENSOR "s", "]", "", "a tuple of 5 items, expected a tuple of 6");
}

/* One integer or text of the head is changed. */
static void expect_head_refused(size_t at, const char *bytes, size_t size, const char *words)
{
    struct file_buffer file = make_legacy(PIECES(STATE, KEYS_12, DATA_1 DATA_2));
    memcpy(file.data + at, bytes, size);
    expect_refused(file.data, file.size, words);
    free(file.data);
}

Test(legacy, refuses_another_head)
{
    struct file_buffer file = make_legacy(PIECES(STATE, KEYS_12, DATA_1 DATA_2));
    checkpoint_close(open_good(file.data, file.size));
    free(file.data);
    for (size_t i = 0; i < 15; i++)
        expect_head_refused(i, "?", 1, i == 0 ? "neither" : "magic number is missing");
    expect_head_refused(18, "\352", 1, "protocol number: an integer (1002), expected 1001");
    expect_head_refused(17, "U\0N", 3, "protocol number: ");
    expect_head_refused(23, "]", 1, "system info: ");
    size_t endian = sizeof LEGACY_HEAD - 1 - 3;
    expect_head_refused(endian, FALSE, 1, "big-endian");
    expect_head_refused(endian, "N", 1, "big-endian");
    expect_head_refused(endian - 1, "N", 1, "does not state little_endian");
    expect_head_refused(47, "\352", 1, "protocol_version is not 1001");
    static const char no_info[] = "\200\2\212\nl\374\234F\371 j\250P\031.\200\2M\351\3.\200\2N.";
    expect_refused(no_info, sizeof no_info - 1, "system info: None, expected a dict");
}

Test(legacy, every_cut_of_a_real_file_is_refused)
{
    static const char *const names[] = {FIXTURE("kinds-legacy.pth"), FIXTURE("python2.pth"), FIXTURE("trained-legacy.pth")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct file_buffer file = read_fixture(names[i]);
        expect_every_cut_refused(file.data, file.size);
        free(file.data);
    }
}

/* No checksum: another weight or name is a valid file. Whatever opens must lie inside of it. */
Test(legacy, every_flip_of_a_real_file_is_safe)
{
    static const char *const names[] = {FIXTURE("kinds-legacy.pth"), FIXTURE("python2.pth")};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct file_buffer file = read_fixture(names[n]);
        for (size_t i = 0; i < file.size * 8; i++) {
            struct checkpoint *checkpoint = NULL;
            struct bgd_err err = {0};
            uint8_t *copy = copy_of(file.data, file.size);
            copy[i / 8] ^= (uint8_t)(1u << i % 8);
            if (checkpoint_parse(copy, file.size, &checkpoint, &err) == 0)
                read_everything(checkpoint);
            checkpoint_close(checkpoint);
            free(copy);
        }
        free(file.data);
    }
}

/* ------------------------------------------------------------ what a state_dict may be */

Test(legacy, a_state_dict_is_found_at_the_top_or_under_its_names)
{
    expect_names(PIECES(STATE, KEYS_12, DATA_1 DATA_2), "a", "b");
    expect_names(PIECES("}" T("\12", "state_dict") STATE "s", KEYS_12, DATA_1 DATA_2), "a", "b");
    expect_names(PIECES("}" T("\5", "model") STATE "s", KEYS_12, DATA_1 DATA_2), "a", "b");
    /* "state_dict" wins, the order does not matter, and tensors of the rest are not taken */
    expect_names(PIECES("}(" T("\5", "model") "}" T("\1", "x") TWO "s" T("\12", "state_dict") "}" T("\1", "y") THREE "su",
                        KEYS_12, DATA_1 DATA_2),
                 "y", NULL);
    /* a parameter may be called like that */
    expect_names(PIECES("}(" T("\5", "model") TWO T("\1", "b") THREE "u", KEYS_12, DATA_1 DATA_2), "model", "b");
    /* what lies beside is data: numbers, None, dicts with integer keys, tensors */
    expect_names(PIECES("}(" T("\5", "epoch") "K\7" T("\4", "args") "N" T("\5", "state") "}K\0}" T("\1", "m") THREE
                        "ss" T("\5", "model") "}" T("\1", "a") TWO "su",
                        KEYS_12, DATA_1 DATA_2),
                 "a", NULL);
}

Test(legacy, refuses_what_is_no_state_dict_by_the_entry)
{
    REFUSED_FILE(TWO, KEYS_1, DATA_1, "the file holds a tensor, expected a state_dict");
    REFUSED_FILE("](" TWO "e", KEYS_1, DATA_1, "the file holds a list");
    REFUSED_FILE("K\1", "]", "", "the file holds an integer");
    REFUSED_FILE("}", "]", "", "it holds no tensor");
    REFUSED_FILE("}" T("\5", "model") "}s", "]", "", "it holds no tensor");
    REFUSED_FILE("}(" T("\1", "a") TWO T("\5", "epoch") "K\7u", KEYS_1, DATA_1,
                 "entry \"epoch\" is an integer, expected a tensor");
    REFUSED_FILE("}" T("\3", "net") "}" T("\1", "a") TWO "ss", KEYS_1, DATA_1, "entry \"net\" is a dict");
    REFUSED_FILE("}" T("\1", "a") LEGACY_ID("1", "K\2") "Qs", KEYS_1, DATA_1, "entry \"a\" is a storage");
    REFUSED_FILE("}K\1" TWO "s", KEYS_1, DATA_1, "an integer as a key of the state_dict");
    REFUSED_FILE("}(" T("\5", "model") "}" T("\1", "a") TWO "s" T("\5", "model") "}" T("\1", "b") TWO "su", KEYS_1, DATA_1,
                 "the key \"model\" comes 2 times");
}

Test(legacy, names_are_unique_and_have_a_length)
{
    REFUSED_FILE("}(" T("\1", "a") TWO T("\1", "a") THREE "u", KEYS_12, DATA_1 DATA_2, "two tensors are named a");
    REFUSED_FILE("}" T("\0", "") TWO "s", KEYS_1, DATA_1, "a name of 0 bytes");
    REFUSED_FILE("}" T("\3", "a\0b") TWO "s", KEYS_1, DATA_1, "a name of 3 bytes");
    char object[1024] = "}X\377\0\0\0";
    for (size_t length = 255; length <= 256; length++) {
        write_le((uint8_t *)object + 2, length, 4);
        memset(object + 6, 'n', length);
        memcpy(object + 6 + length, TWO "s", sizeof TWO);
        struct legacy_parts pieces = PIECES("", KEYS_1, DATA_1);
        pieces.object = object;
        pieces.object_size = 6 + length + sizeof TWO;
        struct file_buffer file = make_legacy(pieces);
        if (length == 255)
            checkpoint_close(open_good(file.data, file.size));
        else
            expect_refused(file.data, file.size, "a name of 256 bytes");
        free(file.data);
    }
}

Test(legacy, module_is_taken_off_once_and_only_from_all)
{
    expect_names(PIECES("}(" T("\10", "module.a") TWO T("\10", "module.b") THREE "u", KEYS_12, DATA_1 DATA_2), "a", "b");
    expect_names(PIECES("}(" T("\10", "module.a") TWO T("\1", "b") THREE "u", KEYS_12, DATA_1 DATA_2), "module.a", "b");
    expect_names(PIECES("}" T("\17", "module.module.a") TWO "s", KEYS_1, DATA_1), "module.a", NULL);
    REFUSED_FILE("}" T("\7", "module.") TWO "s", KEYS_1, DATA_1, "\"module.\" and nothing else");
}

/* Eight bytes stored: 32 bytes of tensors are allowed, one float more is not. */
Test(legacy, tensors_are_at_most_4_times_their_storages)
{
#define EXPANDED(times) LEGACY_VIEW("1", "K\2", times TUPLE1, "K\0" TUPLE1)
    struct file_buffer file;
    struct checkpoint *checkpoint = open_pieces(PIECES("}" T("\1", "a") EXPANDED("K\10") "s", KEYS_1, DATA_1), &file);
    float values[8];
    checkpoint_read(&checkpoint->tensors[0], values);
    for (int i = 0; i < 8; i++)
        cr_expect_eq(values[i], 1.0f);
    checkpoint_close(checkpoint);
    free(file.data);
    REFUSED_FILE("}" T("\1", "a") EXPANDED("K\11") "s", KEYS_1, DATA_1, "36 bytes, more than 4 times the 8");
    REFUSED_FILE("}" T("\1", "a") V2 "(" LEGACY_ID("1", "K\2") "QK\0J\100\102\17\0J\100\102\17\0" TUPLE2
                                                               "K\0K\0" TUPLE2 FALSE HOOKS "tRs",
                 KEYS_1, DATA_1, "4000000000000 bytes, more than 4 times the 8");
    /* five names for one storage */
    REFUSED_FILE("}(" T("\1", "a") TWO T("\1", "b") TWO T("\1", "c") TWO T("\1", "d") TWO T("\1", "e") TWO "u", KEYS_1, DATA_1,
                 "40 bytes, more than 4 times the 8");
    REFUSED_FILE("}(" T("\1", "a") EXPANDED(LONG1 "\10\377\377\377\377\377\377\377\77") T("\1", "b")
                     EXPANDED(LONG1 "\10\377\377\377\377\377\377\377\77") "u",
                 KEYS_1, DATA_1, "tensor b: 4611686018427387903 elements");
}
