/* UTF-8 (RFC 3629): the one rule that names, labels and rows are held to. */
#ifndef BGD_UTF8_H
#define BGD_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The bytes of the sequence that begins at `s` and may have `size` bytes: 1 to 4; 0 if there is no valid one (shortest form,
 * no surrogate, at most U+10FFFF). In NUL-terminated text any size of 4 and more will do: no sequence goes over the NUL. */
static inline size_t utf8_length(const unsigned char *s, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t first = s[0];
    if (first < 0x80)
        return 1;
    /* What may follow the first byte decides over overlong forms (e0, f0), surrogates (ed) and the end (f4). */
    size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0xc2 || first > 0xf4 || size < 2 || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (i >= size || s[i] < 0x80 || s[i] > 0xbf)
            return 0;
    return n;
}

/* Text for a terminal: what is no letter there could move its cursor, and becomes '?'. */
void utf8_print(FILE *file, const char *text);

#endif
