/* JSON that is passed on: valid to the letter, and not touched. */
#include "sources/json.h"

#include <criterion/criterion.h>
#include <string.h>

static bool is_json(const char *text)
{
    cJSON *tree = json_parse(text, strlen(text));
    cJSON_Delete(tree);
    return tree;
}

/* After the names of JSONTestSuite's y_ and n_ files (Seriot, "Parsing JSON is a Minefield"). */
Test(json, takes_what_rfc_8259_takes)
{
    static const char *const good[] = {"[]",
                                       " [ ] ",
                                       "[\"\\u0000\"]",
                                       "[-0]",
                                       "[1E+2]",
                                       "[0e1]",
                                       "[1.5e-3]",
                                       "\"\"",
                                       "null",
                                       "[\"\x7f\"]",
                                       "-1",
                                       "{\"a\":1,\"a\":2}",
                                       "[\"\\\\\"]",
                                       "[\"\\\"\"]",
                                       "[\"\\uD834\\udd1e\"]",
                                       "[\"\xe2\x80\xa8\"]",
                                       "{\"\":0}",
                                       "\t\r\n1"};
    static const char *const bad[] = {"",          "[01]",       "[1.]",           "[.1]",       "[+1]",        "[1e]",
                                      "[--1]",     "[0x1]",      "[NaN]",          "[1,]",       "[,1]",        "{a:1}",
                                      "{'a':1}",   "[1",         "[\"a]",          "[\"\t\"]",   "[\"\\u00\"]", "[\"\\uzzzz\"]",
                                      "[\"\\x\"]", "[\"\xff\"]", "\xef\xbb\xbf[]", "[]x",        "[1 2]",       "//\n[]",
                                      "[\f]",      "[-]",        "[1e+]",          "[0.e1]",     "[-01]",       "tru",
                                      "[\"\\",     "[True]",     "[1]]",           "{\"a\":1,}", "[1.2.3]",     "[1-2]"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(is_json(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(is_json(bad[i]), "%s", bad[i]);
    cr_expect_null(json_parse("[]\0", 3));
    cr_expect_null(json_parse("[1\0]", 4));
}

Test(json, bears_any_depth)
{
    enum { N = 100000 };
    static char deep[N + 1];
    memset(deep, '[', N);
    cr_expect_null(json_parse(deep, N));
}

Test(json, takes_white_space_out_but_not_of_strings)
{
    char text[] = " { \"a b\" : [ 1 , \"c:\\\\\" ] ,\r\n\t\"d  \\\" \" : \" e \" } ";
    cr_expect_eq(json_compact(text), strlen(text));
    cr_expect_str_eq(text, "{\"a b\":[1,\"c:\\\\\"],\"d  \\\" \":\" e \"}");
}

Test(json, knows_where_a_member_ends)
{
    cr_expect_eq(json_length("\"a,}\\\\\":[{},[1,2]],\"b\":0}"), strlen("\"a,}\\\\\":[{},[1,2]]"));
    cr_expect_eq(json_length("1}"), 1);
    cr_expect_eq(json_length("{\"a\":\"]\"}]"), strlen("{\"a\":\"]\"}"));
}
