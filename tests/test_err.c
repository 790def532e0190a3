/* Errors: what is written, and what can never be. */
#include "err.h"

#include <criterion/criterion.h>
#include <string.h>

Test(err, set_formats_and_returns_the_code)
{
    struct bgd_err err;
    cr_expect_eq(err_set(&err, BGD_LIMIT, "%s: %d bytes", "a.jpg", 7), BGD_LIMIT);
    cr_expect_eq(err.code, BGD_LIMIT);
    cr_expect_str_eq(err.text, "a.jpg: 7 bytes");
}

Test(err, control_bytes_of_names_are_replaced_and_utf8_is_kept)
{
    struct bgd_err err;
    err_set(&err, BGD_DAMAGED, "a\nb\tc\x1b[31md\x7f Чайник");
    cr_expect_str_eq(err.text, "a?b?c?[31md? Чайник");
    err_prefix(&err, "x\r\n: ");
    cr_expect_str_eq(err.text, "x??: a?b?c?[31md? Чайник");
}

Test(err, prefix_comes_before_and_keeps_the_code)
{
    struct bgd_err err;
    err_set(&err, BGD_MISSING, "no such file");
    cr_expect_eq(err_prefix(&err, "%s: ", "a.bgd"), BGD_MISSING);
    cr_expect_str_eq(err.text, "a.bgd: no such file");
}

Test(err, a_long_line_is_cut_inside_its_buffer)
{
    struct bgd_err err;
    char name[5000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    err_set(&err, BGD_DAMAGED, "%s", name);
    cr_expect_eq(strlen(err.text), sizeof err.text - 1);
    err_prefix(&err, "first: ");
    cr_expect_eq(strlen(err.text), sizeof err.text - 1);
    cr_expect(strncmp(err.text, "first: nnn", 10) == 0);
    err_prefix(&err, "%s", name);
    cr_expect_eq(strlen(err.text), sizeof err.text - 1);
}

Test(err, every_code_has_its_name)
{
    static const char *const names[] = {"ok",    "missing", "unreadable", "unknown_format", "damaged", "unsupported",
                                        "limit", "memory",  "argument",   "device",         "write",   "network"};
    for (int i = 0; i < 11; i++)
        cr_expect_str_eq(bgd_code_name(-i), names[i]);
    cr_expect_str_eq(bgd_code_name(1), "unknown");
    cr_expect_str_eq(bgd_code_name(-12), "unknown");
}
