#include "utf8.h"

void utf8_print(FILE *file, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s, SIZE_MAX);
        if (n == 0 || *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0)) {
            putc('?', file);
            s += n ? n : 1;
        } else
            for (; n > 0; n--)
                putc(*s++, file);
    }
}
