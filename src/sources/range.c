#include "range.h"

#include "../err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 18 /* so that a number, and the count of a range, fit 64 bits */

struct range {
    const char *start, *end; /* its '{', and behind its '}' */
    uint64_t first, last;
    int width; /* digits at least */
};

/* The number at `*s`, which is moved behind it; its digits, 0 if there is none. */
static int read_number(const char **s, uint64_t *number)
{
    int digits = (int)strspn(*s, "0123456789");
    if (digits > DIGITS_MAX)
        return 0;
    *number = strtoull(*s, NULL, 10);
    *s += digits;
    return digits;
}

static bool read_range(const char *s, struct range *range)
{
    range->start = s++;
    const char *first = s;
    int a = read_number(&s, &range->first);
    if (a == 0 || strncmp(s, "..", 2) != 0)
        return false;
    s += 2;
    const char *last = s;
    int b = read_number(&s, &range->last);
    if (b == 0 || *s != '}')
        return false;
    bool padded = (a > 1 && *first == '0') || (b > 1 && *last == '0');
    range->width = !padded ? 1 : a > b ? a : b;
    range->end = s + 1;
    return true;
}

static bool find_range(const char *name, struct range *range)
{
    while ((name = strchr(name, '{')))
        if (read_range(name++, range))
            return true;
    return false;
}

static uint64_t size_of(const struct range *range)
{
    return (range->first < range->last ? range->last - range->first : range->first - range->last) + 1;
}

int range_count(const char *name, uint64_t *count, struct bgd_err *err)
{
    struct range range;
    *count = 1;
    for (const char *rest = name; find_range(rest, &range); rest = range.end) {
        if (size_of(&range) > RANGE_NAMES_MAX / *count)
            return err_set(err, BGD_LIMIT, "%s: its ranges give more than %u names", name, RANGE_NAMES_MAX);
        *count *= size_of(&range);
    }
    return 0;
}

/* The names of what stands behind this range: with each of them it has a number of its own. */
static uint64_t names_behind(const struct range *range)
{
    uint64_t count = 1;
    struct range next;
    for (const char *rest = range->end; find_range(rest, &next); rest = next.end)
        count *= size_of(&next);
    return count;
}

char *range_name(const char *name, uint64_t at)
{
    char *out = NULL;
    size_t size;
    FILE *text = open_memstream(&out, &size);
    if (!text)
        return NULL;
    struct range range;
    for (; find_range(name, &range); name = range.end) {
        uint64_t place = at / names_behind(&range) % size_of(&range);
        uint64_t number = range.first < range.last ? range.first + place : range.first - place;
        fprintf(text, "%.*s%0*llu", (int)(range.start - name), name, range.width, (unsigned long long)number);
    }
    fputs(name, text);
    if (fclose(text)) {
        free(out);
        return NULL;
    }
    return out;
}
