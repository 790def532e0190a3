#include "jpeg_bits.h"

struct jpeg_bits jpeg_bits_filled(struct jpeg_bits b)
{
    while (b.n < 56) {
        uint64_t byte = 0;
        if (b.at < b.end && *b.at != 0xff) {
            byte = *b.at++;
        } else if (b.end - b.at >= 2 && b.at[1] == 0) {
            byte = 0xff;
            b.at += 2;
        } else {
            b.zeros += 8;
        }
        b.bits |= byte << (56 - b.n);
        b.n += 8;
    }
    return b;
}
