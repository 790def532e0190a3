/* The bounded cursor; each buffer is a heap block of its exact size, so that ASan sees a read past it. */
#include "bytes.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static uint8_t *block(size_t n)
{
    uint8_t *data = malloc(n);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)(i + 1);
    return data;
}

Test(bytes, reads_both_byte_orders)
{
    uint8_t *data = block(21), a = 0;
    struct bytes b = bytes_of(data, 21);
    uint16_t c = 0, d = 0;
    uint32_t e = 0, f = 0;
    uint64_t g = 0;
    cr_expect(bytes_u8(&b, &a) && bytes_u16le(&b, &c) && bytes_u16be(&b, &d) && bytes_u32le(&b, &e) && bytes_u32be(&b, &f) &&
              bytes_u64le(&b, &g));
    cr_expect_eq(a, 1);
    cr_expect_eq(c, 0x0302);
    cr_expect_eq(d, 0x0405);
    cr_expect_eq(e, 0x09080706);
    cr_expect_eq(f, 0x0a0b0c0d);
    cr_expect_eq(g, 0x1514131211100f0e);
    cr_expect_eq(bytes_left(&b), 0);
    free(data);
}

#define CHECK_SHORT(read, type, width)                                                                                         \
    do {                                                                                                                       \
        for (size_t n = 0; n < (width); n++) {                                                                                 \
            uint8_t *data = block(n);                                                                                          \
            struct bytes b = bytes_of(data, n);                                                                                \
            type out = 77;                                                                                                     \
            cr_expect_not(read(&b, &out), #read " of %zu bytes", n);                                                           \
            cr_expect_eq(out, 77, #read " wrote");                                                                             \
            cr_expect_eq(b.pos, 0, #read " moved");                                                                            \
            free(data);                                                                                                        \
        }                                                                                                                      \
    } while (0)

Test(bytes, a_read_past_the_end_moves_and_writes_nothing)
{
    CHECK_SHORT(bytes_u8, uint8_t, 1);
    CHECK_SHORT(bytes_u16le, uint16_t, 2);
    CHECK_SHORT(bytes_u16be, uint16_t, 2);
    CHECK_SHORT(bytes_u32le, uint32_t, 4);
    CHECK_SHORT(bytes_u32be, uint32_t, 4);
    CHECK_SHORT(bytes_u64le, uint64_t, 8);
}

Test(bytes, seek_skip_and_take_stop_at_the_end)
{
    static const uint64_t huge[] = {6,         (uint64_t)INT32_MAX + 1, UINT32_MAX, (uint64_t)UINT32_MAX + 6,
                                    INT64_MAX, UINT64_MAX - 5,          UINT64_MAX};
    uint8_t *data = block(5);
    struct bytes b = bytes_of(data, 5);
    cr_expect(bytes_skip(&b, 2));
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        const uint8_t *out = data;
        cr_expect_not(bytes_seek(&b, huge[i]));
        cr_expect_not(bytes_skip(&b, huge[i]));
        cr_expect_not(bytes_take(&b, huge[i], &out));
        cr_expect(out == data && b.pos == 2, "%llu", (unsigned long long)huge[i]);
    }
    const uint8_t *out;
    cr_expect_not(bytes_take(&b, 4, &out));
    cr_expect(bytes_take(&b, 3, &out) && out == data + 2 && bytes_left(&b) == 0);
    cr_expect(bytes_take(&b, 0, &out) && bytes_skip(&b, 0) && bytes_seek(&b, 5) && bytes_seek(&b, 0) && bytes_left(&b) == 5);
    free(data);
}

Test(bytes, nothing_at_all)
{
    struct bytes b = bytes_of(NULL, 0);
    uint8_t byte;
    cr_expect_not(bytes_u8(&b, &byte));
    cr_expect(bytes_skip(&b, 0));
}

Test(bytes, checked_arithmetic_knows_when_it_overflows)
{
    uint64_t r = 0;
    cr_expect(checked_add(UINT64_MAX, 0, &r) && r == UINT64_MAX);
    cr_expect_not(checked_add(UINT64_MAX, 1, &r));
    cr_expect(checked_mul(UINT32_MAX, UINT32_MAX, &r) && r == 0xfffffffe00000001);
    cr_expect(checked_mul(0, UINT64_MAX, &r) && r == 0);
    cr_expect_not(checked_mul((uint64_t)1 << 32, (uint64_t)1 << 32, &r));
    /* Three sizes whose product wraps around to a small number: hostile files try it. */
    cr_expect(!checked_mul(4194305u * 4194305ull, 211106198978564ull, &r));
}
