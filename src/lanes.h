/*
 * Eight floats side by side, for the CPU's loops: GCC's vector extensions, so that any processor runs them.
 *
 * LANES_CLONES before a function compiles it once more for AVX2, and the one that suits the processor is called. Without
 * contraction (the build says so) both give the same bits. What such a function calls is compiled with it only if it is inline.
 */
#ifndef BGD_LANES_H
#define BGD_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wpsabi" /* how they would be passed, if they were not inline */

#define LANES 8u

/* clang refuses lanes as arguments in a clone, inline or not; the choice among clones runs before ThreadSanitizer is ready. */
#if defined __x86_64__ && !defined __clang__ && !defined __SANITIZE_THREAD__
#define LANES_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define LANES_CLONES
#endif
#define LANES_INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t lanes_bits __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint32_t lanes_words __attribute__((vector_size(LANES * sizeof(uint32_t)))); /* whose sums wrap around */

LANES_INLINE lanes lanes_load(const float *from)
{
    lanes x;
    memcpy(&x, from, sizeof x);
    return x;
}

LANES_INLINE void lanes_store(float *to, lanes x)
{
    memcpy(to, &x, sizeof x);
}

/* yes where the mask (of a comparison) is set, else no. */
LANES_INLINE lanes lanes_choose(lanes_bits mask, lanes yes, lanes no)
{
    return (lanes)((mask & (lanes_bits)yes) | (~mask & (lanes_bits)no));
}

LANES_INLINE float lanes_sum(lanes x)
{
    float sum = 0;
    for (uint32_t i = 0; i < LANES; i++)
        sum += x[i];
    return sum;
}

/* e^x within 2 units in the last place; 0 below -87.3, where expf has hardly any normal numbers left, and 2.2e38 above 88.3; NAN stays. The
 * reduction and the polynomial are those of expf in S. L. Moshier's Cephes library. */
LANES_INLINE lanes lanes_exp(lanes x)
{
    const lanes zero = {0}, lowest = zero - 87.3f, highest = zero + 88.3f, magic = zero + 12582912.0f; /* 1.5 * 2^23 rounds */
    lanes_bits under = x < lowest;
    lanes y = lanes_choose(x > highest, highest, lanes_choose(under, lowest, x));
    lanes shifted = y * 1.44269504088896341f + magic, n = shifted - magic;
    lanes r = y - n * 0.693359375f - n * -2.12194440e-4f;
    lanes p =
        ((((1.9875691500e-4f * r + 1.3981999507e-3f) * r + 8.3334519073e-3f) * r + 4.1665795894e-2f) * r + 1.6666665459e-1f) *
            r +
        5.0000001201e-1f;
    p = p * r * r + r + 1;
    lanes_words exponent = ((lanes_words)shifted - (lanes_words)magic) << 23;
    return lanes_choose(x != x, x, lanes_choose(under, zero, (lanes)((lanes_words)p + exponent)));
}

#endif
