/*
 * Numbers that are the same in C and in Python (fixtures/prng.py), so that weights and inputs need not be committed:
 *     r(seed, i) = mix(seed * 2^32 + i + 1) as a multiple of 2^-23 in [-1, 1), exact in float
 * where mix is splitmix64's: its state advances by a constant, so element i needs none before it.
 */
#ifndef BGD_TESTS_RANDOM_H
#define BGD_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t random_bits(uint64_t seed, uint64_t i)
{
    uint64_t z = ((seed << 32) + i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline float random_at(uint64_t seed, uint64_t i)
{
    return (float)((int32_t)(random_bits(seed, i) >> 40) - (1 << 23)) * 0x1p-23f;
}

/* values[i] = offset + scale * r(seed, i), each operation rounded to float. */
static inline void random_fill(float *values, size_t n, uint64_t seed, float scale, float offset)
{
    for (size_t i = 0; i < n; i++) {
        volatile float product = scale * random_at(seed, i); /* volatile: no fused multiply-add */
        values[i] = offset + product;
    }
}

#endif
