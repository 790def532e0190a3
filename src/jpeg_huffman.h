/*
 * A JPEG's Huffman codes as tables for the next WIDTH bits. Tables from outside are checked here, and anything that libjpeg
 * would refuse is refused.
 */
#ifndef BGD_JPEG_HUFFMAN_H
#define BGD_JPEG_HUFFMAN_H

#include "jpeg_bits.h"

/* A marker segment's table: how many codes have 1..16 bits, and what they stand for, in the order of the codes. */
struct jpeg_codes {
    uint8_t counts[17]; /* [0] is 0 */
    uint8_t values[256];
    bool present;
};

#define JPEG_HUFFMAN_WIDTH 10 /* bits of a code that the first look decodes */

struct jpeg_huffman {
    uint16_t first[1 << JPEG_HUFFMAN_WIDTH]; /* value x 256 + bits of the code; 0: the code is longer */
    uint32_t limit[18];                      /* of codes with that many bits: the first 16 bits that are beyond them */
    uint32_t offset[17];                     /* a code of that many bits and this is its place in `values`, modulo 2^32 */
    uint8_t values[256];
};

/*
 * For the coefficients of a block that nobody wants: as many symbols as the next bits hold, at one look.
 * An entry is advance x 256 + bits: how far in the block they lead, and how many bits they and the values behind them have.
 */
#define JPEG_SKIPS_WIDTH 11     /* of 11 to 14 the best on photos of 120 KB: wider ones take longer to build than they save */
#define JPEG_SKIPS_BITS 18      /* the most that an entry has */
#define JPEG_SKIPS_END 192      /* added to the advance: the block ends with the last of them */
#define JPEG_SKIPS_NONE 0xff00u /* no symbol, or one that is too long or against the rules: an advance that no block has */

struct jpeg_skips {
    uint16_t entry[1 << JPEG_SKIPS_WIDTH];
};

/* False: no such table, or codes that do not fit in their bits; of DC differences (`dc`), also values beyond 15. */
bool jpeg_codes_valid(const struct jpeg_codes *codes, bool dc);

/* These take valid codes. */
void jpeg_huffman_build(const struct jpeg_codes *codes, struct jpeg_huffman *huffman);
void jpeg_skips_build(const struct jpeg_codes *codes, struct jpeg_skips *skips);

#define JPEG_NO_CODE 256u

/* The next symbol; JPEG_NO_CODE if the bits are none. At least 16 bits must be loaded. */
static inline uint32_t jpeg_huffman_take(struct jpeg_bits *b, const struct jpeg_huffman *huffman)
{
    uint32_t entry = huffman->first[b->bits >> (64 - JPEG_HUFFMAN_WIDTH)];
    if (entry) {
        jpeg_bits_skip(b, entry & 31);
        return entry >> 8;
    }
    uint32_t next = (uint32_t)(b->bits >> 48);
    for (uint32_t bits = JPEG_HUFFMAN_WIDTH + 1; bits <= 16; bits++)
        if (next < huffman->limit[bits]) {
            jpeg_bits_skip(b, bits);
            return huffman->values[((next >> (16 - bits)) + huffman->offset[bits]) & 255];
        }
    return JPEG_NO_CODE;
}

#endif
