/* Ranges in names; bash's own expansion is what they are held against. */
#include "sources/range.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *expand(const char *name)
{
    static char all[1 << 16];
    uint64_t count = 0;
    struct bgd_err err;
    all[0] = 0;
    cr_assert_eq(range_count(name, &count, &err), 0, "%s", err.text);
    for (uint64_t i = 0; i < count; i++) {
        char *one = range_name(name, i);
        strcat(strcat(all, i ? " " : ""), one);
        free(one);
    }
    return all;
}

static char *expand_by_bash(const char *name)
{
    static char all[1 << 16];
    char command[256];
    snprintf(command, sizeof command, "bash -c 'set -f; echo %s'", name);
    FILE *pipe = popen(command, "r");
    size_t n = fread(all, 1, sizeof all - 1, pipe);
    cr_assert_eq(pclose(pipe), 0);
    all[n - 1] = 0; /* the newline */
    return all;
}

Test(range, expands_as_bash_does)
{
    static const char *const names[] = {"cards-{000..127}.tar",
                                        "{8..11}",
                                        "{08..11}",
                                        "{1..010}",
                                        "{0..3}",
                                        "{00..3}",
                                        "{3..0}",
                                        "{011..9}",
                                        "a{1..2}b{08..10}c",
                                        "{2..1}{1..3}{7..7}",
                                        "x{5..5}",
                                        "{}{1..2}",
                                        "{1..2",
                                        "{{1..2}",
                                        "x{1..2}..{3..4}",
                                        "{1...2}"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_str_eq(expand(names[i]), expand_by_bash(names[i]), "%s: %s", names[i], expand(names[i]));
}

Test(range, leaves_other_braces_as_they_are)
{
    static const char *const names[] = {
        "plain", "{a..c}", "{1,2}", "{0..9..3}", "{-1..2}", "{1..}", "{..2}", "{1.2}", "{0..1234567890123456789}"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cr_expect_str_eq(expand(names[i]), names[i]);
}

Test(range, gives_a_million_names_and_no_more)
{
    uint64_t count;
    struct bgd_err err;
    cr_expect_eq(range_count("{1..1000}{000..999}", &count, &err), 0);
    cr_expect_eq(count, 1000000);
    char *last = range_name("{1..1000}{000..999}", count - 1);
    cr_expect_str_eq(last, "1000999");
    free(last);
    cr_expect_eq(range_count("x{0..1000000}", &count, &err), BGD_LIMIT);
    cr_expect_str_eq(err.text, "x{0..1000000}: its ranges give more than 1000000 names");
    cr_expect_eq(range_count("{0..999999999999999999}{0..999999999999999999}{1..1}", &count, &err), BGD_LIMIT);
}
