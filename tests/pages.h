/* What every page is held to. */
#ifndef BGD_TESTS_PAGES_H
#define BGD_TESTS_PAGES_H

#include "utf8.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* A tag per step: every one that is opened is closed in order, every value is quoted, every & begins a reference, and no byte
 * is outside of UTF-8. */
static inline void assert_well_formed(const char *page)
{
    char open[64][16];
    size_t depth = 0;
    for (const char *s = page; *s;) {
        size_t n = utf8_length((const unsigned char *)s, SIZE_MAX);
        cr_assert_gt(n, 0, "not UTF-8: %.40s", s);
        cr_assert(*s != '&' || strspn(s + 1, "#abcdefghijklmnopqrstuvwxyz0123456789") + 1 == strcspn(s, ";"), "%.40s", s);
        cr_assert_neq(*s, '>', "%.40s", s - 20);
        if (*s != '<') {
            s += n;
            continue;
        }
        const char *end = s;
        for (bool quoted = false; *end && (quoted || *end != '>'); end++) {
            quoted ^= *end == '"';
            cr_assert(!quoted || *end != '<', "%.40s", s);
        }
        cr_assert(*end, "a tag that does not end: %.40s", s);
        char name[16] = "";
        sscanf(s + 1 + (s[1] == '/'), "%15[a-zA-Z0-9!]", name);
        if (s[1] == '/')
            cr_assert(depth > 0 && strcmp(open[--depth], name) == 0, "</%s> closes <%s>", name, open[depth]);
        else if (end[-1] != '/' && name[0] != '!') {
            cr_assert_lt(depth, 64);
            strcpy(open[depth++], name);
        }
        s = end + 1;
    }
    cr_assert_eq(depth, 0);
}

#endif
