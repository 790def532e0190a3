/* Numbers as people write them on a command line. */
#include "tools.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool tool_parse_count(const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < least || value > most)
        return false;
    *out = (uint32_t)value;
    return true;
}

bool tool_parse_size(const char *text, uint32_t *width, uint32_t *height)
{
    char first[16];
    size_t length = strcspn(text, "x");
    if (length >= sizeof first || text[length] != 'x')
        return false;
    memcpy(first, text, length);
    first[length] = 0;
    return tool_parse_count(first, 1, BGD_IMAGE_SIDE_MAX, width) &&
           tool_parse_count(text + length + 1, 1, BGD_IMAGE_SIDE_MAX, height);
}

bool tool_parse_rgb(const char *text, float out[3])
{
    char *end;
    for (int i = 0; i < 3; i++) {
        out[i] = strtof(text, &end);
        if (end == text || !isfinite(out[i]) || *end != (i < 2 ? ',' : 0))
            return false;
        text = end + 1;
    }
    return true;
}

bool tool_parse_gpus(const char *text, uint64_t *out)
{
    char *end;
    *out = 0;
    if (strcmp(text, "all") == 0) {
        *out = BGD_GPUS_ALL;
        return true;
    }
    do {
        unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 64;
        if (number >= 64 || *out >> number & 1)
            return false;
        *out |= (uint64_t)1 << number;
        text = end + 1;
    } while (*end == ',');
    return *end == 0;
}

bool tool_parse_share(const char *text, char end, float *out)
{
    char *stop;
    *out = strtof(text, &stop);
    return stop != text && *stop == end && *out >= 0 && *out <= 1;
}
