/*
 * A bounded cursor over bytes that nobody trusts, and the checked arithmetic that goes with it.
 *
 * Every reader takes its fields through these functions and does no pointer arithmetic of its own. A read past the end
 * returns false (or 0 through the *_or forms), moves nothing and leaves the output untouched.
 */
#ifndef BGD_BYTES_H
#define BGD_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t size;
    size_t pos; /* 0 <= pos <= size, always */
};

static inline struct bytes bytes_of(const void *data, size_t size)
{
    return (struct bytes){.data = data, .size = size, .pos = 0};
}

static inline size_t bytes_left(const struct bytes *b)
{
    return b->size - b->pos;
}

static inline bool bytes_seek(struct bytes *b, uint64_t pos)
{
    if (pos > b->size)
        return false;
    b->pos = (size_t)pos;
    return true;
}

static inline bool bytes_skip(struct bytes *b, uint64_t n)
{
    if (n > bytes_left(b))
        return false;
    b->pos += (size_t)n;
    return true;
}

/* Points `*out` at the next n bytes and moves past them. */
static inline bool bytes_take(struct bytes *b, uint64_t n, const uint8_t **out)
{
    if (n > bytes_left(b))
        return false;
    *out = b->data + b->pos;
    b->pos += (size_t)n;
    return true;
}

static inline bool bytes_u8(struct bytes *b, uint8_t *out)
{
    const uint8_t *p;
    if (!bytes_take(b, 1, &p))
        return false;
    *out = p[0];
    return true;
}

static inline bool bytes_u16le(struct bytes *b, uint16_t *out)
{
    const uint8_t *p;
    if (!bytes_take(b, 2, &p))
        return false;
    *out = (uint16_t)(p[0] | p[1] << 8);
    return true;
}

static inline bool bytes_u16be(struct bytes *b, uint16_t *out)
{
    const uint8_t *p;
    if (!bytes_take(b, 2, &p))
        return false;
    *out = (uint16_t)(p[0] << 8 | p[1]);
    return true;
}

static inline bool bytes_u32le(struct bytes *b, uint32_t *out)
{
    const uint8_t *p;
    if (!bytes_take(b, 4, &p))
        return false;
    *out = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return true;
}

static inline bool bytes_u32be(struct bytes *b, uint32_t *out)
{
    const uint8_t *p;
    if (!bytes_take(b, 4, &p))
        return false;
    *out = (uint32_t)p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
    return true;
}

static inline bool bytes_u64le(struct bytes *b, uint64_t *out)
{
    uint32_t low = 0, high = 0;
    if (bytes_left(b) < 8)
        return false;
    (void)bytes_u32le(b, &low);
    (void)bytes_u32le(b, &high);
    *out = (uint64_t)high << 32 | low;
    return true;
}

/* a + b and a * b in 64 bits; false when the result does not fit. */
static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

#endif
