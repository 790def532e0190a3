#include "sample.h"
#include "../splitmix.h"

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
