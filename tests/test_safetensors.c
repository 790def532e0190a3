/* safetensors: the header is hostile text, the data must be covered exactly. */
#include "checkpoints.h"

#include <time.h>

#define F32(shape, begin, end) "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static uint8_t *make_file(const char *header, size_t header_size, size_t data_size, size_t *size)
{
    *size = 8 + header_size + data_size;
    uint8_t *bytes = calloc(1, *size + 1);
    cr_assert(bytes);
    write_le(bytes, header_size, 8);
    memcpy(bytes + 8, header, header_size);
    for (size_t i = 0; i < data_size; i++)
        bytes[8 + header_size + i] = (uint8_t)i;
    return bytes;
}

static void expect_header_refused(const char *header, size_t header_size, size_t data_size, const char *words)
{
    size_t size;
    uint8_t *bytes = make_file(header, header_size, data_size, &size);
    struct checkpoint *checkpoint = NULL;
    struct bgd_err err = {0};
    cr_expect_lt(checkpoint_parse(bytes, size, &checkpoint, &err), 0, "%.80s: opened", header);
    cr_expect(mentions(&err, words), "%.80s: \"%s\", expected \"%s\"", header, err.text, words);
    checkpoint_close(checkpoint);
    free(bytes);
}
#define REFUSED(header, data, words) expect_header_refused(header, sizeof header - 1, data, words)

static void expect_opens(const char *header, size_t data_size, size_t count)
{
    size_t size;
    uint8_t *bytes = make_file(header, strlen(header), data_size, &size), *copy = copy_of(bytes, size);
    struct checkpoint *checkpoint = open_good(copy, size);
    cr_expect_eq(checkpoint->count, count, "%s: %zu tensors", header, checkpoint->count);
    read_everything(checkpoint);
    checkpoint_close(checkpoint);
    free(copy);
    free(bytes);
}

Test(safetensors, reads_what_the_format_allows)
{
    expect_opens("{\"a\":" F32("[2]", "0", "8") "}", 8, 1);
    expect_opens("{\"a\":" F32("[2]", "0", "8") "}      ", 8, 1);
    expect_opens("{\"a\":" F32("[]", "0", "4") "}", 4, 1);
    expect_opens("{\"a\":" F32("[0]", "0", "0") "}", 0, 1);
    expect_opens("{\"a\":" F32("[0,3]", "0", "0") ",\"b\":" F32("[1]", "0", "4") ",\"c\":" F32("[0]", "4", "4") "}", 4, 3);
    expect_opens("{\"b\":" F32("[1]", "4", "8") ",\"a\":" F32("[1]", "0", "4") "}", 8, 2);
    expect_opens("{\"__metadata__\":{\"format\":\"pt\",\"\":\"\"},\"a\":" F32("[1]", "0", "4") "}", 4, 1);
    expect_opens("{ \"a\" :\n{\"data_offsets\":[0,4],\"dtype\":\"I32\",\t\"shape\":[1,1,1,1,1,1,1,1]}\r}", 4, 1);
    expect_opens("{\"\\u0432\\\"\\\\\":" F32("[1]", "0", "4") "}", 4, 1);
}

Test(safetensors, reads_its_own_dtypes_and_no_others)
{
    static const struct {
        const char *name;
        size_t size;
    } dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2},    {"I64", 8},     {"I32", 4}, {"I16", 2},
                  {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 0}, {"F8_E5M2", 0}, {"F4", 0},  {"U16", 0},
                  {"U32", 0}, {"U64", 0}, {"C64", 0},  {"f32", 0},     {"", 0},        {"F32 ", 0}};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        char header[128];
        int size = snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[2],\"data_offsets\":[0,%zu]}}",
                            dtypes[i].name, 2 * dtypes[i].size);
        if (dtypes[i].size)
            expect_opens(header, 2 * dtypes[i].size, 1);
        else
            expect_header_refused(header, (size_t)size, 0, "tensor a: dtype");
    }
}

Test(safetensors, refuses_a_length_that_is_not_the_headers)
{
    static const char header[] = "{\"a\":" F32("[1]", "0", "4") "}";
    const uint64_t real = sizeof header - 1;
    const uint64_t lengths[] = {0,
                                1,
                                real - 1,
                                real + 1,
                                real + 4,
                                real + 5,
                                16777217,
                                (uint64_t)1 << 31,
                                ((uint64_t)1 << 32) + real,
                                (uint64_t)1 << 63,
                                UINT64_MAX - 7,
                                UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t size;
        uint8_t *bytes = make_file(header, real, 4, &size), *copy = copy_of(bytes, size);
        write_le(copy, lengths[i], 8);
        struct checkpoint *checkpoint = NULL;
        struct bgd_err err = {0};
        cr_expect_lt(checkpoint_parse(copy, size, &checkpoint, &err), 0, "length %llu", (unsigned long long)lengths[i]);
        checkpoint_close(checkpoint);
        free(copy);
        free(bytes);
    }
    size_t size;
    uint8_t *bytes = make_file(header, real, 4, &size);
    expect_every_cut_refused(bytes, size);
    write_le(bytes, (16 << 20) + 1, 8);
    expect_refused(bytes, size, "at most 16777216");
    write_le(bytes, real + 5, 8);
    expect_refused(bytes, size, "in a file of");
    free(bytes);
}

Test(safetensors, refuses_text_that_is_no_header)
{
    REFUSED("{}", 0, "no tensor");
    REFUSED("{}", 1, "1 bytes of data, the tensors end at 0");
    REFUSED("[1]", 0, "neither"); /* not told as safetensors at all: neither an array, nor a BOM, nor a space in front */
    REFUSED("\xef\xbb\xbf{}", 0, "neither");
    REFUSED(" {}", 0, "neither");
    REFUSED("{", 0, "does not begin with {");
    REFUSED("{\"a\"", 0, "not JSON");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "} x", 4, "0x78 where only");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "} 1", 4, "something behind the JSON");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "}{}", 4, "something behind the JSON");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "}\n", 4, "something behind the JSON");
    REFUSED("{\"a\":" F32("[1]", "0", "4") ",}", 4, "not JSON");
    REFUSED("{\"a\":" F32("[1,]", "0", "4") "}", 4, "not JSON");
    REFUSED("{\"a\" " F32("[1]", "0", "4") "}", 4, "not JSON");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "]", 4, "not JSON");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "}\0", 4, "0x00 where only");
    REFUSED("{\"a\":null}", 0, "0x6e where only");
    REFUSED("{\"a\xff\":" F32("[1]", "0", "4") "}", 4, "not UTF-8");
    REFUSED("{\"a\0b\":" F32("[1]", "0", "4") "}", 4, "a control byte in a text");
    REFUSED("{\"a\\u0000b\":" F32("[1]", "0", "4") "}", 4, "a NUL in a text");
    REFUSED("{\"a\\ud800\":" F32("[1]", "0", "4") "}", 4, "not JSON");
    REFUSED("{\"a\\x\":" F32("[1]", "0", "4") "}", 4, "not JSON");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "}  \"", 4, "a text without an end");
    REFUSED("{\"a\":{\"shape\":[[[1]]]}}", 0, "deeper than 4");
    REFUSED("{\"a\":[[[[[[", 0, "deeper than 4");
}

Test(safetensors, deep_nesting_is_refused_before_it_is_followed)
{
    size_t depth = 100000;
    char *header = malloc(depth + 1);
    memset(header, '[', depth);
    memcpy(header, "{\"a\":", 5);
    expect_header_refused(header, depth, 0, "header byte 8: nested deeper than 4");
    free(header);
}

Test(safetensors, refuses_numbers_that_json_readers_round)
{
    static const char *const numbers[] = {"-1",
                                          "1.0",
                                          "1e3",
                                          "1E3",
                                          "+1",
                                          "01",
                                          "00",
                                          "0x1",
                                          "9007199254740993",
                                          "18446744073709551616",
                                          "99999999999999999999999999",
                                          "\"1\"",
                                          "null",
                                          "true",
                                          "[1]",
                                          "{}",
                                          "NaN",
                                          "-0"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (int place = 0; place < 3; place++) {
            char header[256];
            int size = snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%s,%s]}}",
                                place == 0 ? numbers[i] : "1", place == 1 ? numbers[i] : "0", place == 2 ? numbers[i] : "4");
            expect_header_refused(header, (size_t)size, 4, "");
        }
}

Test(safetensors, refuses_shapes_that_do_not_give_the_size)
{
    REFUSED("{\"a\":" F32("[3]", "0", "8") "}", 8, "tensor a: its shape needs 12 bytes, its data_offsets span 8");
    REFUSED("{\"a\":" F32("[1]", "0", "8") "}", 8, "its shape needs 4 bytes");
    REFUSED("{\"a\":" F32("[0]", "0", "8") "}", 8, "its shape needs 0 bytes");
    REFUSED("{\"a\":" F32("[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "shape has more than 8 items");
    /* the product wraps to 4 elements, and to 16 bytes */
    REFUSED("{\"a\":" F32("[4194305,4194305,211106198978564]", "0", "16") "}", 16, "more than 2^64 bytes");
    REFUSED("{\"a\":" F32("[9007199254740992,2048]", "0", "0") "}", 0, "more than 2^64 bytes");
    REFUSED("{\"a\":" F32("[9007199254740992,512]", "0", "0") "}", 0, "more than 2^64 bytes"); /* 2^62 elements of 4 bytes */
    REFUSED("{\"a\":" F32("[0,9007199254740992,9007199254740992]", "0", "0") "}", 0, "more than 2^64 bytes");
}

Test(safetensors, refuses_holes_overlaps_and_the_outside)
{
    REFUSED("{\"a\":" F32("[1]", "4", "8") "}", 8, "tensor a begins at 4, the one before it ends at 0");
    REFUSED("{\"a\":" F32("[1]", "0", "4") ",\"b\":" F32("[1]", "8", "12") "}", 12, "tensor b begins at 8");
    REFUSED("{\"a\":" F32("[1]", "0", "4") "}", 5, "5 bytes of data, the tensors end at 4");
    REFUSED("{\"a\":" F32("[2]", "0", "8") ",\"b\":" F32("[1]", "4", "8") "}", 8, "tensor b begins at 4");
    REFUSED("{\"a\":" F32("[1]", "0", "4") ",\"b\":" F32("[1]", "0", "4") "}", 4, "begins at 0, the one before it ends at 4");
    REFUSED("{\"a\":" F32("[2]", "0", "8") ",\"b\":" F32("[0]", "4", "4") "}", 8, "tensor b begins at 4");
    REFUSED("{\"a\":" F32("[1]", "4", "0") "}", 4, "not a part of 4 bytes");
    REFUSED("{\"a\":" F32("[2]", "0", "8") "}", 4, "not a part of 4 bytes");
    REFUSED("{\"a\":" F32("[1]", "9007199254740988", "9007199254740992") "}", 4, "not a part of 4 bytes");
}

Test(safetensors, refuses_fields_that_are_missing_doubled_or_unknown)
{
    REFUSED("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor a: dtype is missing");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape is missing");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets is missing");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "shape comes twice");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"Shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "an unknown field \"Shape\"");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"strides\":[1]}}", 4,
            "an unknown field \"strides\"");
    REFUSED("{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype is not a text");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "shape is not an array");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]}}", 4, "data_offsets has 1 items");
    REFUSED("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "data_offsets has more than 2 items");
    REFUSED("{\"a\":[]}", 0, "tensor a: not an object");
    REFUSED("{\"a\":1}", 0, "tensor a: not an object");
    REFUSED("{\"a\":{}}", 0, "tensor a: dtype is missing");
}

Test(safetensors, refuses_names_that_are_not_unique)
{
    REFUSED("{\"a\":" F32("[1]", "0", "4") ",\"a\":" F32("[1]", "4", "8") "}", 8, "two tensors are named a");
    REFUSED("{\"a\":" F32("[1]", "0", "4") ",\"\\u0061\":" F32("[1]", "4", "8") "}", 8, "two tensors are named a");
    REFUSED("{\"\":" F32("[1]", "0", "4") "}", 4, "a name of 0 bytes");
    REFUSED("{\"__metadata__\":{},\"__metadata__\":{},\"a\":" F32("[1]", "0", "4") "}", 4, "__metadata__ comes twice");
    REFUSED("{\"__metadata__\":{\"a\":1},\"a\":" F32("[1]", "0", "4") "}", 4, "__metadata__: \"a\" is not a text");
    REFUSED("{\"__metadata__\":[],\"a\":" F32("[1]", "0", "4") "}", 4, "__metadata__ is not an object");
    char header[512] = "{\"";
    for (size_t length = 255; length <= 256; length++) {
        memset(header + 2, 'n', length);
        strcpy(header + 2 + length, "\":" F32("[1]", "0", "4") "}");
        if (length == 255)
            expect_opens(header, 4, 1);
        else
            expect_header_refused(header, strlen(header), 4, "a name of 256 bytes");
    }
}

/* Bytes of the header may make another valid file (a name, a shape of the same size); nothing may be read outside. */
Test(safetensors, every_flip_is_safe_and_structure_is_noticed)
{
    struct file_buffer file = read_fixture(FIXTURE("kinds.safetensors"));
    uint64_t header = 0;
    struct bytes in = bytes_of(file.data, file.size);
    cr_assert(bytes_u64le(&in, &header));
    for (size_t i = 0; i < (8 + header) * 8; i++) {
        struct checkpoint *checkpoint = NULL;
        struct bgd_err err = {0};
        uint8_t *copy = copy_of(file.data, file.size);
        copy[i / 8] ^= (uint8_t)(1u << i % 8);
        int code = checkpoint_parse(copy, file.size, &checkpoint, &err);
        char was = (char)file.data[i / 8];
        if (i < 64 || strchr("{}[]:,\"0123456789", was))
            cr_expect(code < 0 || (was >= '0' && was <= '9'), "bit %zu of byte %zu (%c) was not noticed", i % 8, i / 8, was);
        if (code == 0)
            read_everything(checkpoint);
        checkpoint_close(checkpoint);
        free(copy);
    }
    expect_every_cut_refused(file.data, file.size);
    free(file.data);
}

/* `count` empty tensors. */
static char *many_tensors(size_t count, size_t *size)
{
    char *header = malloc(count * 80 + 16), *at = header;
    cr_assert(header);
    *at++ = '{';
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s\"layer.%zu.weight\":" F32("[0]", "0", "0"), i ? "," : "", i);
    *at++ = '}';
    *size = (size_t)(at - header);
    return header;
}

Test(safetensors, a_hundred_thousand_tensors_open_quickly_and_one_more_does_not)
{
    size_t header_size, size;
    char *header = many_tensors(100000, &header_size);
    uint8_t *bytes = make_file(header, header_size, 0, &size);
    clock_t start = clock();
    struct checkpoint *checkpoint = open_good(bytes, size);
    for (size_t i = 0; i < checkpoint->count; i++)
        cr_assert_eq(checkpoint_find(checkpoint, checkpoint->tensors[i].name), &checkpoint->tensors[i]);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    cr_expect_eq(checkpoint->count, 100000);
    cr_expect_lt(seconds, 10, "%g s under the sanitizers, a fraction without", seconds); /* a quadratic scan takes minutes */
    checkpoint_close(checkpoint);
    free(bytes);
    free(header);
    header = many_tensors(100001, &header_size);
    expect_header_refused(header, header_size, 0, "at most 100000 tensors");
    free(header);
}

/* 16 MB of commas would have cJSON allocate 500 MB. */
Test(safetensors, commas_are_bounded)
{
    size_t count = 1600017 + 1, size = 0;
    char *header = malloc(2 * count + 64);
    size += (size_t)sprintf(header, "{\"a\":[1");
    for (size_t i = 0; i < count; i++, size += 2)
        memcpy(header + size, ",1", 2);
    size += (size_t)sprintf(header + size, "]}");
    expect_header_refused(header, size, 0, "the header has more than");
    free(header);
}
