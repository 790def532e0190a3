/*
 * The bits of a JPEG's entropy-coded data: 0xFF 0x00 stands for the byte 0xFF, any other byte after 0xFF is a marker, which ends
 * them. Reading on gives zeros, of which jpeg_bits_overrun tells; so a caller looks once in a while, not at every bit.
 */
#ifndef BGD_JPEG_BITS_H
#define BGD_JPEG_BITS_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct jpeg_bits {
    const uint8_t *at, *end; /* what was not loaded yet; at <= end, always */
    uint64_t bits;           /* the next ones, from the highest; below n of them may be more that belong to *at */
    uint32_t n;              /* of them that were loaded, 0..63 */
    uint32_t zeros;          /* of all that were loaded ever, those that stand for what is not there: always the last */
};

static inline struct jpeg_bits jpeg_bits_of(const uint8_t *at, const uint8_t *end)
{
    return (struct jpeg_bits){.at = at, .end = end};
}

/* `b` with at least 56 bits loaded, byte by byte. By value: the caller's own can stay in registers. */
struct jpeg_bits jpeg_bits_filled(struct jpeg_bits b);

/* The same; eight bytes at once if 0xFF is not among them. */
static inline void jpeg_bits_fill(struct jpeg_bits *b)
{
    if (b->end - b->at >= 8) {
        uint64_t next;
        memcpy(&next, b->at, 8);
        uint64_t highest = 0x8080808080808080u & next & ((next & 0x7f7f7f7f7f7f7f7fu) + 0x0101010101010101u);
        if (!highest) { /* a byte whose lower seven bits carry into a highest bit that is set is 0xFF */
            b->bits |= be64toh(next) >> b->n;
            b->at += (63 - b->n) >> 3;
            b->n |= 56;
            return;
        }
    }
    *b = jpeg_bits_filled(*b);
}

static inline void jpeg_bits_skip(struct jpeg_bits *b, uint32_t count) /* count <= n */
{
    b->bits <<= count;
    b->n -= count;
}

static inline uint32_t jpeg_bits_take(struct jpeg_bits *b, uint32_t count) /* count <= n, at most 31 */
{
    uint32_t value = (uint32_t)(b->bits >> 1 >> (63 - count));
    jpeg_bits_skip(b, count);
    return value;
}

/* `count` bits as T.81's EXTEND takes them (F.2.2.1): those that begin with 0 are negative. */
static inline int32_t jpeg_bits_take_signed(struct jpeg_bits *b, uint32_t count)
{
    uint32_t negative = (uint32_t)(b->bits >> 63) - 1u; /* all ones, or zero */
    uint32_t value = jpeg_bits_take(b, count);
    return (int32_t)(value - (negative & ((1u << count) - 1u)));
}

/* Whether bits were taken that are not there. */
static inline bool jpeg_bits_overrun(const struct jpeg_bits *b)
{
    return b->zeros > b->n;
}

/* Whether all bits were taken but for those that fill the last byte, and a marker follows: at->at is then its 0xFF. */
static inline bool jpeg_bits_done(struct jpeg_bits *b)
{
    jpeg_bits_fill(b);
    return b->end - b->at >= 2 && b->at[0] == 0xff && b->zeros <= b->n && b->n - b->zeros < 8;
}

#endif
