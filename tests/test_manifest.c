/* What a line of a manifest says. */
#include "sources/manifest.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "ID PATH BYTES MTIME CARRIED", or the error behind "!". */
static char *read_line(const char *json)
{
    static char all[1 << 12];
    static struct manifest_line line;
    struct bgd_err err;
    char *text = strdup(json);
    if (manifest_parse(text, strlen(text), &line, &err))
        snprintf(all, sizeof all, "!%s", err.text);
    else
        snprintf(all, sizeof all, "%s %s %" PRIu64 " %" PRId64 " %s", line.id, line.path, line.bytes, line.mtime,
                 line.carried ? line.carried : "-");
    free(text);
    manifest_free(&line);
    return all;
}

Test(manifest, names_a_card_by_id_or_path)
{
    cr_expect_str_eq(read_line("{\"id\": \"1\", \"path\": \"a b.jpg\"}"), "1 a b.jpg 0 0 -");
    cr_expect_str_eq(read_line("{\"path\":\"a.jpg\"}"), "a.jpg a.jpg 0 0 -");
    cr_expect_str_eq(read_line(" {\"\\u0069d\":\"\\u043a/1\"}\t"), "к/1 к/1 0 0 -");
}

Test(manifest, carries_all_else_as_it_is_written)
{
    cr_expect_str_eq(read_line("{\"nm\": 12345678901234567890, \"id\": \"1\", \"q\" : [ 1.50 , {\"id\": 1e0} ], "
                               "\"s\":\"a\\\\\" , \"t\": \"b  \\u0000\"}"),
                     "1 1 0 0 {\"nm\":12345678901234567890,\"q\":[1.50,{\"id\":1e0}],\"s\":\"a\\\\\",\"t\":\"b  \\u0000\"}");
    cr_expect_str_eq(read_line("{\"ID\":true,\"path\":\"p\"}"), "p p 0 0 {\"ID\":true}");
}

/* The seconds are Python's: datetime.fromisoformat(...).timestamp(). */
Test(manifest, reads_sizes_and_times)
{
    static const char *const times[][2] = {
        {"0", "0"},
        {"1700000000", "1700000000000000000"},
        {"1700000000.123456789", "1700000000123456789"},
        {"-1.5", "-1500000000"},
        {"\"1970-01-01T00:00:00Z\"", "0"},
        {"\"2026-11-23T18:00:00Z\"", "1795456800000000000"},
        {"\"2026-11-23T18:00:00.25+03:00\"", "1795446000250000000"},
        {"\"2024-02-29t23:59:60z\"", "1709251200000000000"},
        {"\"1969-12-31 23:59:59.1234567891-00:30\"", "1799123456789"},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char json[256], expected[256];
        snprintf(json, sizeof json, "{\"id\":\"x\",\"size\":48213,\"mtime\":%s}", times[i][0]);
        snprintf(expected, sizeof expected, "x x 48213 %s -", times[i][1]);
        cr_expect_str_eq(read_line(json), expected, "%s: %s", times[i][0], read_line(json));
    }
    cr_expect_str_eq(read_line("{\"id\":\"x\",\"size\":48213}"), "x x 0 0 -");
    cr_expect_str_eq(read_line("{\"id\":\"x\",\"mtime\":1}"), "x x 0 0 -");
}

Test(manifest, says_what_is_wrong_with_a_line)
{
    static const char *const lines[][2] = {
        {"", "not a JSON object"},
        {"x.jpg", "not a JSON object"},
        {"[\"id\"]", "not a JSON object"},
        {"{\"id\":\"1\"", "not a JSON object"},
        {"{\"id\":\"\xff\"}", "not a JSON object"},
        {"{}", "neither \"id\" nor \"path\""},
        {"{\"id\":1}", "\"id\" is not a string, or an empty one"},
        {"{\"id\":\"1\",\"path\":null}", "\"path\" is not a string, or an empty one"},
        {"{\"path\":\"\"}", "\"path\" is not a string, or an empty one"},
        {"{\"path\":\"a\\u0000.jpg\"}", "\"path\" holds a NUL"},
        {"{\"id\":\"1\",\"\\u0069d\":\"2\"}", "\"id\" is there twice"},
        {"{\"id\":\"1\",\"size\":-1}", "\"size\" is not a number of bytes"},
        {"{\"id\":\"1\",\"size\":1.5}", "\"size\" is not a number of bytes"},
        {"{\"id\":\"1\",\"size\":\"1\"}", "\"size\" is not a number of bytes"},
        {"{\"id\":\"1\",\"size\":9007199254740993}", "\"size\" is not a number of bytes"},
        {"{\"id\":\"1\",\"size\":1e400}", "\"size\" is not a number of bytes"},
    };
    static const char *const times[] = {"true",
                                        "1e11",
                                        "-1e400",
                                        "\"\"",
                                        "\"now\"",
                                        "\"2026-11-23\"",
                                        "\"2026-02-29T00:00:00Z\"",
                                        "\"2026-11-23T24:00:00Z\"",
                                        "\"2026-13-01T00:00:00Z\"",
                                        "\"2026-11-23T18:00:00\"",
                                        "\"2026-11-23T18:00:00Zx\"",
                                        "\"2026-11-23T18:00:00+3:00\"",
                                        "\"2026-11-23T18:00:00.Z\"",
                                        "\"9999-01-01T00:00:00Z\"",
                                        "\"2026-00-10T00:00:00Z\"",
                                        "\"2026-11-23T18:00:61Z\""};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect_str_eq(read_line(lines[i][0]) + 1, lines[i][1], "%s: %s", lines[i][0], read_line(lines[i][0]));
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char json[256];
        snprintf(json, sizeof json, "{\"id\":\"x\",\"size\":1,\"mtime\":%s}", times[i]);
        cr_expect_str_eq(read_line(json), "!\"mtime\" is neither seconds since 1970 nor a time as 2026-11-23T18:00:00Z", "%s",
                         times[i]);
    }
}
