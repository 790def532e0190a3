/* A sample is uniform, in order, of the size that was asked for, and the same everywhere. */
#include "sources/sample.h"

#include <criterion/criterion.h>

static uint64_t draw(uint64_t total, uint64_t size, uint64_t seed, uint32_t *taken)
{
    struct sample sample;
    uint64_t n = 0;
    sample_begin(&sample, total, size, seed);
    for (uint64_t i = 0; i < total; i++)
        if (sample_takes(&sample)) {
            taken[i]++;
            n++;
        }
    cr_expect_not(sample_takes(&sample));
    return n;
}

Test(sample, has_the_size_that_was_asked_for)
{
    uint32_t taken[100] = {0};
    for (uint64_t size = 0; size <= 100; size++)
        cr_expect_eq(draw(100, size, size, taken), size);
    cr_expect_eq(draw(100, 200, 1, taken), 100);
    cr_expect_eq(draw(0, 5, 1, taken), 0);
}

/* Algorithm S with splitmix64, written once more in Python with integers of any size. */
Test(sample, is_the_same_everywhere)
{
    static const struct {
        uint64_t seed;
        int chosen[5];
    } golden[] = {{0u, {2, 4, 6, 16, 18}},
                  {1u, {8, 12, 14, 15, 19}},
                  {2u, {4, 8, 13, 15, 16}},
                  {18446744073709551615u, {2, 7, 9, 10, 12}}};
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        uint32_t taken[20] = {0};
        cr_expect_eq(draw(20, 5, golden[i].seed, taken), 5);
        for (int k = 0; k < 5; k++)
            cr_expect_eq(taken[golden[i].chosen[k]], 1, "seed %llu", (unsigned long long)golden[i].seed);
    }
}

/* 20,000 samples of 3 of 10: each item 6,000 times, with a deviation of sqrt(20000 * 0.3 * 0.7) = 65; five of them are allowed. */
Test(sample, takes_every_item_equally_often)
{
    uint32_t taken[10] = {0};
    for (uint64_t seed = 0; seed < 20000; seed++)
        draw(10, 3, seed, taken);
    for (int i = 0; i < 10; i++)
        cr_expect(taken[i] > 6000 - 325 && taken[i] < 6000 + 325, "%d: %u", i, taken[i]);
}
