/* The zip around a checkpoint: torch's is read, what a hostile one can say is refused with the member's name. */
#include "checkpoints.h"
#include "convert/zip.h"

/* A zip as torch writes it, and where its parts begin, so that tests can change them one at a time. */
#define MEMBERS_MAX 8
struct parts {
    uint8_t bytes[4096];
    size_t size;
    size_t local[MEMBERS_MAX], data[MEMBERS_MAX], descriptor[MEMBERS_MAX], central[MEMBERS_MAX], end64, locator, end;
};

/* Bit by bit: not the code that is tested. */
static uint32_t plain_crc(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put(struct parts *z, uint64_t value, int bytes)
{
    cr_assert_leq(z->size + (size_t)bytes, sizeof z->bytes);
    write_le(z->bytes + z->size, value, bytes);
    z->size += (size_t)bytes;
}

static void put_bytes(struct parts *z, const void *bytes, size_t size)
{
    cr_assert_leq(z->size + size, sizeof z->bytes);
    memcpy(z->bytes + z->size, bytes, size);
    z->size += size;
}

/* needed, flags, method, time, date: the same in both headers */
static void put_common(struct parts *z)
{
    put(z, 0, 2);
    put(z, 0x0808, 2);
    put(z, 0, 6);
}

struct content {
    const char *name, *data;
    size_t size;
};

static void put_member(struct parts *z, int i, struct content c)
{
    z->local[i] = z->size;
    put(z, 0x04034b50, 4);
    put_common(z);
    put(z, 0, 12);
    put(z, strlen(c.name), 2);
    put(z, 5, 2);
    put_bytes(z, c.name, strlen(c.name));
    put_bytes(z, "FB\1\0Z", 5);
    z->data[i] = z->size;
    put_bytes(z, c.data, c.size);
    z->descriptor[i] = z->size;
    put(z, 0x08074b50, 4);
    put(z, plain_crc((const uint8_t *)c.data, c.size), 4);
    put(z, c.size, 4);
    put(z, c.size, 4);
}

static void put_central(struct parts *z, int i, struct content c)
{
    z->central[i] = z->size;
    put(z, 0x02014b50, 4);
    put(z, 0, 2);
    put_common(z);
    put(z, plain_crc((const uint8_t *)c.data, c.size), 4);
    put(z, c.size, 4);
    put(z, c.size, 4);
    put(z, strlen(c.name), 2);
    put(z, 0, 12);
    put(z, z->local[i], 4);
    put_bytes(z, c.name, strlen(c.name));
}

static void put_end(struct parts *z, uint64_t count)
{
    uint64_t start = z->central[0], size = z->size - start;
    z->end64 = z->size;
    put(z, 0x06064b50, 4);
    put(z, 44, 8);
    put(z, 0x002d031e, 4);
    put(z, 0, 8);
    put(z, count, 8);
    put(z, count, 8);
    put(z, size, 8);
    put(z, start, 8);
    z->locator = z->size;
    put(z, 0x07064b50, 4);
    put(z, 0, 4);
    put(z, z->end64, 8);
    put(z, 1, 4);
    z->end = z->size;
    put(z, 0x06054b50, 4);
    put(z, 0, 4);
    put(z, count, 2);
    put(z, count, 2);
    put(z, size, 4);
    put(z, start, 4);
    put(z, 0, 2);
}

static struct parts zip_of(const struct content *contents, int count)
{
    struct parts z = {.size = 0};
    for (int i = 0; i < count; i++)
        put_member(&z, i, contents[i]);
    for (int i = 0; i < count; i++)
        put_central(&z, i, contents[i]);
    put_end(&z, (uint64_t)count);
    return z;
}

static struct parts make_zip(const char *a, const char *b)
{
    const struct content contents[] = {{a, "hello", 5}, {b, "world, and more", 15}};
    return zip_of(contents, 2);
}

static int open_copy(const void *bytes, size_t size, struct bgd_err *err)
{
    struct zip *zip = NULL;
    uint8_t *copy = copy_of(bytes, size);
    int code = zip_open(copy, size, &zip, err);
    cr_expect_eq(code == 0, zip != NULL);
    zip_close(zip);
    free(copy);
    return code;
}

static void expect_zip_refused(const struct parts *z, const char *words, const char *what)
{
    struct bgd_err err = {0};
    int code = open_copy(z->bytes, z->size, &err);
    cr_expect_lt(code, 0, "%s: opened", what);
    cr_expect(mentions(&err, words), "%s: \"%s\", expected \"%s\"", what, err.text, words);
}

/* One integer of a good zip is changed. */
static void expect_change_refused(size_t at, uint64_t value, int bytes, const char *words, const char *what)
{
    struct parts z = make_zip("top/a", "top/b");
    write_le(z.bytes + at, value, bytes);
    expect_zip_refused(&z, words, what);
}

Test(zip, reads_what_torch_writes)
{
    struct parts z = make_zip("top/data.pkl", "top/data/0");
    struct zip *zip;
    struct bgd_err err = {0};
    cr_assert_eq(zip_open(z.bytes, z.size, &zip, &err), 0, "%s", err.text);
    cr_expect_eq(zip->count, 2);
    const struct zip_member *member = zip_find(zip, "data/0");
    cr_assert(member);
    cr_expect(member->size == 15 && memcmp(member->data, "world, and more", 15) == 0);
    cr_expect(member->path_size == 10 && memcmp(member->path, "top/data/0", 10) == 0);
    cr_expect_null(zip_find(zip, "top/data/0"));
    cr_expect_null(zip_find(zip, "DATA/0"));
    cr_expect_null(zip_find(zip, "data/1"));
    cr_expect_null(zip_find(zip, ""));
    zip_close(zip);
    zip_close(NULL);
}

/* As Python's zipfile writes it: CRC and sizes in the local header, a Unix mode, only the plain end record. */
Test(zip, reads_one_without_descriptors_and_zip64)
{
    struct parts z = {.size = 0};
    put(&z, 0x04034b50, 4);
    for (int central = 0; central < 2; central++) {
        if (central) {
            z.central[0] = z.size;
            put(&z, 0x02014b50, 4);
            put(&z, 0x0314, 2);
        }
        put(&z, 20, 2);
        put(&z, 0, 4);
        put(&z, 0x5b215b21, 4); /* a time and a date */
        put(&z, plain_crc((const uint8_t *)"abc", 3), 4);
        put(&z, 3, 4);
        put(&z, 3, 4);
        put(&z, strlen("t/a"), 2);
        put(&z, 0, central ? 8 : 2);
        if (central) {
            put(&z, (uint64_t)0100644 << 16, 4);
            put(&z, 0, 4);
        }
        put_bytes(&z, "t/a", 3);
        if (!central)
            put_bytes(&z, "abc", 3);
    }
    size_t size = z.size - z.central[0];
    put(&z, 0x06054b50, 4);
    put(&z, 0, 4);
    put(&z, 0x00010001, 4);
    put(&z, size, 4);
    put(&z, z.central[0], 4);
    put(&z, 0, 2);
    struct bgd_err err = {0};
    cr_expect_eq(open_copy(z.bytes, z.size, &err), 0, "%s", err.text);
}

Test(zip, refuses_every_cut_and_every_added_byte)
{
    struct parts z = make_zip("top/a", "top/b");
    struct bgd_err err;
    for (size_t cut = 0; cut < z.size; cut++)
        cr_expect_lt(open_copy(z.bytes, cut, &err), 0, "cut at %zu", cut);
    for (size_t skip = 1; skip < z.size; skip++)
        cr_expect_lt(open_copy(z.bytes + skip, z.size - skip, &err), 0, "without the first %zu", skip);
    z.bytes[z.size++] = 0;
    cr_expect_lt(open_copy(z.bytes, z.size, &err), 0, "a byte behind");
    cr_expect(mentions(&err, "end record"), "%s", err.text);
}

Test(zip, refuses_prefix_suffix_and_second_zip)
{
    struct parts z = make_zip("top/a", "top/b"), both = {.size = 0};
    put_bytes(&both, "#!/bin/sh\n", 10);
    put_bytes(&both, z.bytes, z.size);
    expect_zip_refused(&both, "zip64 end record", "prefix");
    both.size = 0;
    put_bytes(&both, z.bytes, z.size);
    put_bytes(&both, z.bytes, z.size);
    expect_zip_refused(&both, "zip64 end record", "two zips");
    /* The same without zip64: what lies between is no longer covered by an exact place. */
    both.size = 0;
    put_bytes(&both, "#!/bin/sh\n", 10);
    put_bytes(&both, z.bytes, z.end64);
    put_bytes(&both, z.bytes + z.end, z.size - z.end);
    expect_zip_refused(&both, "bytes were put before the zip", "prefix without zip64");
    /* An end record inside another's comment. */
    both = z;
    write_le(both.bytes + both.end + 20, 22, 2);
    put_bytes(&both, z.bytes + z.end, 22);
    expect_zip_refused(&both, "directory", "an end record in a comment");
    both = z;
    write_le(both.bytes + both.end + 20, 1, 2);
    expect_zip_refused(&both, "comment", "a comment announced");
}

Test(zip, believes_the_central_directory_only_where_all_agree)
{
    struct parts z = make_zip("top/a", "top/b");
    const struct {
        size_t at;
        uint64_t value;
        int bytes;
        const char *words;
    } changes[] = {
        {z.local[1], 0x04034b51, 4, "no local header"},
        {z.local[1] + 4, 20, 2, "local header and the directory differ"},
        {z.local[1] + 6, 0x0008, 2, "local header and the directory differ"},
        {z.local[1] + 8, 8, 2, "local header and the directory differ"},
        {z.local[1] + 10, 1, 2, "local header and the directory differ"},
        {z.local[1] + 12, 1, 2, "local header and the directory differ"},
        {z.local[1] + 14, 1, 4, "local header says CRC 00000001"},
        {z.local[1] + 18, 15, 4, "local header says"},
        {z.local[1] + 22, 15, 4, "local header says"},
        {z.local[1] + 26, 4, 2, "local header and the directory differ"},
        {z.local[1] + 26, 65535, 2, "cut short"},
        {z.local[1] + 28, 4, 2, "extra fields are cut short"},
        {z.local[1] + 28, 65535, 2, "cut short"},
        {z.local[1] + 30, 'x', 1, "local header and the directory differ"},
        {z.local[1] + 35, 1, 2, "zip64 form"},
        {z.local[1] + 37, 2, 2, "extra fields are cut short"},
        {z.data[1], 'W', 1, "CRC"},
        {z.descriptor[1], 0, 4, "no data descriptor"},
        {z.descriptor[1] + 4, 0, 4, "data descriptor says"},
        {z.descriptor[1] + 8, 14, 4, "data descriptor says"},
        {z.descriptor[1] + 12, 16, 4, "data descriptor says"},
        {z.central[1], 0, 4, "entry in the directory"},
        {z.central[1] + 8, 0x0809, 2, "encrypted"},
        {z.central[1] + 8, 0x2808, 2, "encrypted"},
        {z.central[1] + 8, 0x0800, 2, "differ"},
        {z.central[1] + 10, 8, 2, "compressed (method 8)"},
        {z.central[1] + 10, 99, 2, "compressed (method 99)"},
        {z.central[1] + 16, 0, 4, "data descriptor says"},
        {z.central[1] + 20, 14, 4, "stored 15 bytes as 14"},
        {z.central[1] + 24, 0xffffffff, 4, "zip64 form"},
        {z.central[1] + 20, 0xffffffff, 4, "zip64 form"},
        {z.central[1] + 28, 0, 2, "1..255"},
        {z.central[1] + 28, 65535, 2, "entry in the directory"},
        {z.central[1] + 30, 1, 2, "entry in the directory"},
        {z.central[1] + 32, 1, 2, "entry in the directory"},
        {z.central[1] + 34, 1, 2, "disk"},
        {z.central[1] + 38, (uint64_t)0120777 << 16, 4, "not a regular file"},
        {z.central[1] + 38, (uint64_t)0040755 << 16, 4, "not a regular file"},
        {z.central[1] + 42, 0, 4, "overlap"},
        {z.central[1] + 42, z.local[1] + 1, 4, "overlap"},
        {z.central[1] + 42, 0xffffffff, 4, "zip64 form"},
        {z.central[0] + 42, z.local[1], 4, "overlap"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char what[64];
        snprintf(what, sizeof what, "change %zu: %d bytes at %zu", i, changes[i].bytes, changes[i].at);
        expect_change_refused(changes[i].at, changes[i].value, changes[i].bytes, changes[i].words, what);
        if (changes[i].at < z.central[0] || changes[i].at >= z.central[1]) /* errors name the member */
            expect_change_refused(changes[i].at, changes[i].value, changes[i].bytes, "member 1 (", what);
    }
}

Test(zip, end_records_must_agree)
{
    struct parts z = make_zip("top/a", "top/b");
    const struct {
        size_t at;
        uint64_t value;
        int bytes;
        const char *words;
    } changes[] = {
        {z.end, 0, 4, "end record"},
        {z.end + 4, 1, 2, "several disks"},
        {z.end + 6, 1, 2, "several disks"},
        {z.end + 8, 1, 2, "several disks"},
        {z.end + 8, 0x00030003, 4, "the plain one"},
        {z.end + 8, 0, 4, "the plain one"},
        {z.end + 12, 0, 4, "the plain one"},
        {z.end + 12, 0xffffffff, 4, "the plain one"},
        {z.end + 16, 0, 4, "the plain one"},
        {z.end + 16, 0xffffffff, 4, "the plain one"},
        {z.locator, 0, 4, "bytes were put before the zip"},
        {z.locator + 4, 1, 4, "disks"},
        {z.locator + 16, 2, 4, "disks"},
        {z.locator + 16, 0, 4, "disks"},
        {z.locator + 8, 0, 8, "right before its locator"},
        {z.locator + 8, UINT64_MAX, 8, "right before its locator"},
        {z.end64, 0, 4, "no zip64 end record"},
        {z.end64 + 4, 45, 8, "no zip64 end record"},
        {z.end64 + 4, UINT64_MAX, 8, "no zip64 end record"},
        {z.end64 + 16, 1, 4, "several disks"},
        {z.end64 + 20, 1, 4, "several disks"},
        {z.end64 + 24, 1, 8, "several disks"},
        {z.end64 + 32, 3, 8, "several disks"},
        {z.end64 + 40, UINT64_MAX, 8, "the plain one"},
        {z.end64 + 48, UINT64_MAX, 8, "the plain one"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char what[64];
        snprintf(what, sizeof what, "change %zu: %d bytes at %zu", i, changes[i].bytes, changes[i].at);
        expect_change_refused(changes[i].at, changes[i].value, changes[i].bytes, changes[i].words, what);
    }
}

/* The count stands four times; all are changed, so that only the count itself can be refused. */
Test(zip, refuses_counts_that_the_directory_cannot_hold)
{
    static const struct {
        uint64_t count;
        const char *words;
    } cases[] = {{0, "0 members"},
                 {1, "behind the directory's last entry"},
                 {3, "members in a directory"},
                 {1000000, "at most 131072"},
                 {UINT64_MAX, "at most 131072"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parts z = make_zip("top/a", "top/b");
        uint64_t small = cases[i].count < 65535 ? cases[i].count : 65535;
        write_le(z.bytes + z.end + 8, small, 2);
        write_le(z.bytes + z.end + 10, small, 2);
        write_le(z.bytes + z.end64 + 24, cases[i].count, 8);
        write_le(z.bytes + z.end64 + 32, cases[i].count, 8);
        expect_zip_refused(&z, cases[i].words, "count");
    }
}

/* Fifield's quoted overlap: the first member's data covers the second's header. All sizes agree, the places do not. */
Test(zip, refuses_a_member_inside_another)
{
    struct parts z = {.size = 0};
    const struct content inner = {"t/b", "inner", 5};
    struct parts inside = {.size = 0};
    put_member(&inside, 0, inner);
    const struct content outer = {"t/a", (const char *)inside.bytes, inside.size};
    put_member(&z, 0, outer);
    z.local[1] = z.data[0];
    put_central(&z, 0, outer);
    put_central(&z, 1, inner);
    put_end(&z, 2);
    expect_zip_refused(&z, "overlap", "quoted overlap");
}

Test(zip, refuses_a_gap_before_the_directory)
{
    struct parts z = {.size = 0};
    put_member(&z, 0, (struct content){"t/a", "hello", 5});
    put_member(&z, 1, (struct content){"t/b", "hidden", 6});
    put_central(&z, 0, (struct content){"t/a", "hello", 5});
    put_end(&z, 1);
    expect_zip_refused(&z, "bytes behind the last member", "a member that the directory does not list");
}

Test(zip, refuses_names_that_torch_does_not_write)
{
    static const struct {
        const char *a, *b, *words;
    } cases[] = {
        {"/a", "/b", "absolute"},
        {"top/../a", "top/b", ". or .."},
        {"../a", "../b", ". or .."},
        {"top/./a", "top/b", ". or .."},
        {"top//a", "top/b", "empty part"},
        {"top/", "top/b", "empty part"},
        {"top\\a", "top/b", "backslash"},
        {"top/a\x1b[2J", "top/b", "control byte"},
        {"top/\xff", "top/b", "UTF-8"},
        {"a", "b", "in no folder"},
        {"top/a", "other/b", "another folder"},
        {"top/a", "top2/b", "another folder"},
        {"top/a", "Top/b", "another folder"},
        {"top/a", "top/a", "two members"},
        {"top/data/a", "top/DATA/A", "two members"},
        {"top/DATA/A", "top/data/a", "two members"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parts z = make_zip(cases[i].a, cases[i].b);
        expect_zip_refused(&z, cases[i].words, cases[i].a);
    }
    struct parts z = make_zip("top/a?", "top/b");
    z.bytes[z.local[0] + 35] = z.bytes[z.central[0] + 46 + 5] = 0;
    expect_zip_refused(&z, "control byte", "NUL");
    char name[257];
    memset(name, 'x', sizeof name);
    memcpy(name, "t/", 2);
    name[256] = 0;
    z = make_zip(name, "t/b");
    expect_zip_refused(&z, "1..255", "256 bytes");
    name[255] = 0;
    z = make_zip(name, "t/b");
    struct bgd_err err = {0};
    cr_expect_eq(open_copy(z.bytes, z.size, &err), 0, "255 bytes: %s", err.text);
}

/* ------------------------------------------------------------ torch's members */

/* {'w': a tensor of two floats, of the storage that `key` names} */
#define PICKLE_OF(key)                                                                                                         \
    "\200\2}X\1\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\n" key                         \
    "X\3\0\0\0cpuK\2tQK\0K\2\205K\1\205\211ccollections\nOrderedDict\n)RtRs."
#define CONTENT(name, data)                                                                                                    \
    {                                                                                                                          \
        name, data, sizeof data - 1                                                                                            \
    }
static const char good_pickle[] = PICKLE_OF("X\1\0\0\0000");
#define GOOD_PICKLE                                                                                                            \
    {                                                                                                                          \
        "t/data.pkl", good_pickle, sizeof good_pickle - 1                                                                      \
    }
#define GOOD_STORAGE CONTENT("t/data/0", "\0\0\200\77\0\0\0\100")

Test(zip, reads_the_members_of_every_torch)
{
    const struct content sets[][6] = {
        {GOOD_PICKLE, GOOD_STORAGE, CONTENT("t/version", "3\n")},
        {GOOD_PICKLE, GOOD_STORAGE, CONTENT("t/version", "10")},
        {GOOD_PICKLE, CONTENT("t/byteorder", "little"), GOOD_STORAGE, CONTENT("t/version", "3\n"),
         CONTENT("t/.data/serialization_id", "0123456789")},
        {GOOD_PICKLE, CONTENT("t/.format_version", "1"), CONTENT("t/.storage_alignment", "64"),
         CONTENT("t/byteorder", "little"), GOOD_STORAGE, CONTENT("t/version", "3\n")},
    };
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        int count = 0;
        while (count < 6 && sets[i][count].name)
            count++;
        struct parts z = zip_of(sets[i], count);
        struct checkpoint *checkpoint = open_good(z.bytes, z.size);
        float values[2];
        checkpoint_read(checkpoint_find(checkpoint, "w"), values);
        cr_expect(values[0] == 1.0f && values[1] == 2.0f, "set %zu: %g, %g", i, (double)values[0], (double)values[1]);
        checkpoint_close(checkpoint);
    }
}

Test(zip, refuses_members_that_torch_save_does_not_write)
{
    static const char other_key[] = PICKLE_OF("X\1\0\0\0001"), slash_key[] = PICKLE_OF("X\3\0\0\0../"),
                      path_key[] = PICKLE_OF("X\3\0\0\000a/0"), empty_key[] = PICKLE_OF("X\0\0\0\0");
    static const char two_pickles[] = PICKLE_OF("X\1\0\0\0000") "\200\2N.";
    const struct {
        struct content contents[4];
        const char *words;
    } cases[] = {
        {{GOOD_PICKLE, GOOD_STORAGE}, "no member \"version\""},
        {{CONTENT("t/version", "3"), GOOD_STORAGE}, "no member \"data.pkl\""},
        {{CONTENT("t/version", ""), GOOD_PICKLE, GOOD_STORAGE}, "format version"},
        {{CONTENT("t/version", "0\n"), GOOD_PICKLE, GOOD_STORAGE}, "format version \"0\""},
        {{CONTENT("t/version", "11\n"), GOOD_PICKLE, GOOD_STORAGE}, "format version \"11\""},
        {{CONTENT("t/version", "18446744073709551616"), GOOD_PICKLE, GOOD_STORAGE}, "format version"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/byteorder", "big"), GOOD_PICKLE, GOOD_STORAGE}, "byte order \"big\""},
        {{CONTENT("t/version", "3\n"), CONTENT("t/byteorder", "middle"), GOOD_PICKLE, GOOD_STORAGE}, "byte order \"middle\""},
        {{CONTENT("t/version", "3\n"), CONTENT("t/evil.pkl", "N."), GOOD_PICKLE, GOOD_STORAGE}, "t/evil.pkl: a second pickle"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/x/data.pkl", "N."), GOOD_PICKLE, GOOD_STORAGE}, "a second pickle"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/constants.pkl", "N."), GOOD_PICKLE, GOOD_STORAGE}, "TorchScript"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/code/a.py", ""), GOOD_PICKLE, GOOD_STORAGE},
         "TorchScript archive (t/code/a.py)"},
        {{CONTENT("t/version", "3\n"), GOOD_PICKLE}, "no member data/0 for storage 0"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/data.pkl", other_key), GOOD_STORAGE}, "no member data/1 for storage 1"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/data.pkl", slash_key), GOOD_STORAGE}, "the key of a storage"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/data.pkl", path_key), GOOD_STORAGE}, "the key of a storage"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/data.pkl", empty_key), GOOD_STORAGE}, "the key of a storage"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/data.pkl", two_pickles), GOOD_STORAGE}, "t/data.pkl: 4 bytes behind STOP"},
        {{CONTENT("t/version", "3\n"), CONTENT("t/data.pkl", ""), GOOD_STORAGE}, "t/data.pkl: no pickle"},
        {{CONTENT("t/version", "3\n"), GOOD_PICKLE, CONTENT("t/data/0", "1234567")}, "t/data/0: 7 bytes, data.pkl says 2"},
        {{CONTENT("t/version", "3\n"), GOOD_PICKLE, CONTENT("t/data/0", "123456789")}, "t/data/0: 9 bytes, data.pkl says 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int count = 0;
        while (count < 4 && cases[i].contents[count].name)
            count++;
        struct parts z = zip_of(cases[i].contents, count);
        expect_refused(z.bytes, z.size, cases[i].words);
    }
}

/* ------------------------------------------------------------ real files */

Test(zip, every_cut_of_a_real_file_is_refused)
{
    struct file_buffer file = read_fixture(FIXTURE("module.pth"));
    expect_every_cut_refused(file.data, file.size);
    free(file.data);
}

/* Padding and a few fields that nothing reads may change; no flip may change a tensor or read outside. */
Test(zip, every_flip_of_a_real_file_is_refused_or_harmless)
{
    struct file_buffer file = read_fixture(FIXTURE("module.pth"));
    struct checkpoint *good = open_good(file.data, file.size);
    size_t opened = 0;
    for (size_t i = 0; i < file.size * 8; i++) {
        struct checkpoint *checkpoint = NULL;
        struct bgd_err err = {0};
        uint8_t *copy = copy_of(file.data, file.size);
        copy[i / 8] ^= (uint8_t)(1u << i % 8);
        if (checkpoint_parse(copy, file.size, &checkpoint, &err) == 0) {
            opened++;
            cr_expect(same_tensors(good, checkpoint), "bit %zu of byte %zu", i % 8, i / 8);
        }
        checkpoint_close(checkpoint);
        free(copy);
    }
    cr_expect_gt(opened, 0, "the Z padding can change");
    cr_expect_lt(opened, file.size * 8 / 3, "%zu of %zu flips were not noticed", opened, file.size * 8);
    checkpoint_close(good);
    free(file.data);
}
