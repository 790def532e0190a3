/* The orientation, from TIFF structures put together byte by byte. */
#include "exif.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct tiff {
    uint8_t bytes[256];
    size_t size;
    bool big;
};

static void put(struct tiff *t, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        t->bytes[t->size++] = (uint8_t)(value >> 8 * (t->big ? bytes - 1 - i : i));
}

static struct tiff start(bool big, uint32_t ifd, uint32_t entries)
{
    struct tiff t = {.bytes = {big ? 'M' : 'I', big ? 'M' : 'I'}, .size = 2, .big = big};
    put(&t, 42, 2);
    put(&t, ifd, 4);
    while (t.size < ifd && ifd <= 100)
        t.bytes[t.size++] = 0;
    put(&t, entries, 2);
    return t;
}

static void entry(struct tiff *t, uint32_t tag, uint32_t type, uint32_t count, uint32_t value)
{
    put(t, tag, 2);
    put(t, type, 2);
    put(t, count, 4);
    put(t, value, type == 3 ? 2 : 4);
    if (type == 3)
        put(t, 0, 2);
}

/* In memory of its own, so that a read past the end is AddressSanitizer's to see. */
static uint32_t read_bytes(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    uint32_t orientation = exif_orientation(copy, size);
    free(copy);
    return orientation;
}

static uint32_t read(const struct tiff *t)
{
    return read_bytes(t->bytes, t->size);
}

static struct tiff one(bool big, uint32_t type, uint32_t count, uint32_t value)
{
    struct tiff t = start(big, 8, 1);
    entry(&t, 0x0112, type, count, value);
    put(&t, 0, 4);
    return t;
}

Test(exif, reads_both_byte_orders)
{
    for (uint32_t i = 1; i <= 8; i++)
        for (int big = 0; big < 2; big++) {
            struct tiff t = one(big, 3, 1, i);
            cr_expect_eq(read(&t), i);
        }
}

Test(exif, reads_with_and_without_the_word_exif)
{
    struct tiff t = one(true, 3, 1, 6);
    uint8_t marked[262] = "Exif\0";
    memcpy(marked + 6, t.bytes, t.size);
    cr_expect_eq(read_bytes(marked, t.size + 6), 6);
    cr_expect_eq(read_bytes(marked + 1, t.size + 5), 1);
    cr_expect_eq(read_bytes(marked, 6), 1);
}

Test(exif, takes_an_impossible_orientation_for_upright)
{
    static const uint32_t values[] = {0, 9, 255, 256, 65535, 0x0600};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct tiff t = one(false, 3, 1, values[i]);
        cr_expect_eq(read(&t), 1, "orientation %u", values[i]);
    }
    struct tiff byte = one(false, 1, 1, 6), two = one(false, 3, 2, 6), none = one(false, 3, 0, 6), pointer = one(true, 4, 1, 6);
    cr_expect(read(&byte) == 1 && read(&two) == 1 && read(&none) == 1 && read(&pointer) == 1);
}

Test(exif, finds_the_tag_among_others_and_behind_a_gap)
{
    struct tiff t = start(true, 50, 4);
    entry(&t, 0x010f, 2, 6, 999999); /* a pointer to nowhere is not followed */
    entry(&t, 0x8769, 4, 1, 50);     /* nor is one to the table itself */
    entry(&t, 0x0112, 3, 1, 8);
    entry(&t, 0x0112, 3, 1, 3); /* the first of two counts */
    put(&t, 50, 4);             /* and the next table is this one: a loop */
    cr_expect_eq(read(&t), 8);
}

Test(exif, stops_at_the_end_of_a_table_that_promises_more)
{
    struct tiff t = start(false, 8, 65535);
    entry(&t, 0x010f, 3, 1, 1);
    cr_expect_eq(read(&t), 1);
    entry(&t, 0x0112, 3, 1, 6);
    cr_expect_eq(read(&t), 6);
    struct tiff empty = start(false, 8, 0);
    entry(&empty, 0x0112, 3, 1, 6); /* behind the table */
    cr_expect_eq(read(&empty), 1);
}

Test(exif, takes_an_offset_past_the_end_for_upright)
{
    static const uint32_t offsets[] = {0, 1, 7, 21, 22, 25, 26, 27, 1000, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        struct tiff t = one(false, 3, 1, 6);
        for (int k = 0; k < 4; k++)
            t.bytes[4 + k] = (uint8_t)(offsets[i] >> 8 * k);
        cr_expect_eq(read(&t), 1, "offset %u", offsets[i]);
    }
}

Test(exif, reads_no_further_than_the_data_at_any_length)
{
    for (int big = 0; big < 2; big++) {
        struct tiff t = one(big, 3, 1, 6);
        for (size_t size = 0; size <= t.size; size++)
            cr_expect_eq(read_bytes(t.bytes, size), size >= 22 ? 6 : 1, "%zu bytes", size); /* 8 + 2 + 12: the tag is there */
    }
}

Test(exif, survives_every_value_of_every_byte)
{
    for (int big = 0; big < 2; big++) {
        struct tiff t = one(big, 3, 1, 6);
        for (size_t at = 0; at < t.size; at++)
            for (uint32_t value = 0; value < 256; value++) {
                struct tiff bad = t;
                bad.bytes[at] = (uint8_t)value;
                uint32_t orientation = read(&bad);
                cr_expect(orientation >= 1 && orientation <= 8);
            }
    }
}
