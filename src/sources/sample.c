#include "sample.h"

/* splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"). */
static uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void sample_begin(struct sample *sample, uint64_t total, uint64_t size, uint64_t seed)
{
    *sample = (struct sample){.total = total, .size = size < total ? size : total, .state = seed};
}

bool sample_takes(struct sample *sample)
{
    if (sample->size == 0)
        return false;
    /* below `total`, uniform up to 2^-64 of it */
    uint64_t draw = (uint64_t)((unsigned __int128)random_bits(&sample->state) * sample->total >> 64);
    sample->total--;
    if (draw >= sample->size)
        return false;
    sample->size--;
    return true;
}
