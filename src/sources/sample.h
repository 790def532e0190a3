/* A uniform sample of a sequence, in order: selection sampling (Knuth, TAOCP 2, 3.4.2, algorithm S). */
#ifndef BGD_SAMPLE_H
#define BGD_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

struct sample {
    uint64_t total, size; /* the items that are still to come, and how many of them will be taken */
    uint64_t state;       /* of splitmix64: the same sample on every machine */
};

/* Of `total` items that will come, `size` are taken (all, if there are not so many). */
void sample_begin(struct sample *sample, uint64_t total, uint64_t size, uint64_t seed);

/* Whether the item that comes next is taken. Items beyond the total are not. */
bool sample_takes(struct sample *sample);

#endif
