#include "jpeg_huffman.h"

bool jpeg_codes_valid(const struct jpeg_codes *codes, bool dc)
{
    uint32_t code = 0, n = 0;
    if (!codes->present)
        return false;
    for (uint32_t bits = 1; bits <= 16; bits++) {
        code += codes->counts[bits];
        n += codes->counts[bits];
        if (code >= 1u << bits) /* none of them may be all ones, either */
            return false;
        code *= 2;
    }
    if (n > 256)
        return false;
    for (uint32_t i = 0; dc && i < n; i++)
        if (codes->values[i] > 15)
            return false;
    return true;
}

void jpeg_huffman_build(const struct jpeg_codes *codes, struct jpeg_huffman *huffman)
{
    uint32_t code = 0, n = 0;
    memset(huffman->first, 0, sizeof huffman->first);
    memcpy(huffman->values, codes->values, sizeof huffman->values);
    for (uint32_t bits = 1; bits <= 16; bits++) {
        huffman->offset[bits] = n - code;
        for (uint32_t i = 0; i < codes->counts[bits]; i++, code++, n++)
            if (bits <= JPEG_HUFFMAN_WIDTH) {
                uint16_t *at = huffman->first + (code << (JPEG_HUFFMAN_WIDTH - bits));
                for (uint32_t k = 0; k < 1u << (JPEG_HUFFMAN_WIDTH - bits); k++)
                    at[k] = (uint16_t)((uint32_t)codes->values[n] << 8 | bits);
            }
        huffman->limit[bits] = code << (16 - bits);
        code *= 2;
    }
}

/* The bits of `single` are those of a code alone; a code may be followed by the bits of its value, and these by the next code. */
void jpeg_skips_build(const struct jpeg_codes *codes, struct jpeg_skips *skips)
{
    enum { SIZE = 1 << JPEG_SKIPS_WIDTH };
    const uint32_t mask = SIZE - 1;
    uint16_t single[SIZE] = {0}; /* as an entry; 0: no code, or one against the rules */
    uint8_t length[SIZE] = {0};  /* of the code alone */
    uint32_t code = 0, n = 0;
    for (uint32_t bits = 1; bits <= JPEG_SKIPS_WIDTH; bits++, code *= 2)
        for (uint32_t i = 0; i < codes->counts[bits]; i++, code++, n++) {
            uint32_t run = codes->values[n] >> 4, size = codes->values[n] & 15;
            if (size == 0 && run != 0 && run != 15)
                continue;
            uint32_t advance = codes->values[n] == 0 ? JPEG_SKIPS_END : run + 1;
            uint32_t at = code << (JPEG_SKIPS_WIDTH - bits);
            for (uint32_t k = 0; k < 1u << (JPEG_SKIPS_WIDTH - bits); k++) {
                single[at + k] = (uint16_t)(advance << 8 | (bits + size));
                length[at + k] = (uint8_t)bits;
            }
        }
    for (uint32_t i = 0; i < SIZE; i++) {
        uint32_t used = 0, advance = 0;
        while (used < JPEG_SKIPS_WIDTH && advance < 63) {
            uint32_t next = i << used & mask;
            if (single[next] == 0 || length[next] > JPEG_SKIPS_WIDTH - used || used + (single[next] & 255) > JPEG_SKIPS_BITS)
                break;
            used += single[next] & 255;
            advance += single[next] >> 8;
        }
        skips->entry[i] = (uint16_t)(used ? advance << 8 | used : JPEG_SKIPS_NONE);
    }
}
