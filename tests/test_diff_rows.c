/* Rows read back: what is read of good ones, and what is said about bad ones. */
#include "diff/rows.h"

#include "run/results.h"
#include "scratch.h"

#include <math.h>
#include <sys/stat.h>

#define HASH "\"hash\":\"00112233445566778899aabbccddeeff\""
#define MODEL "\"model\":\"0123456789abcdef0123456789abcdef\""
#define RESULT "\"status\":\"ok\",\"verdict\":\"clean\",\"score\":0.25,\"reasons\":{\"text\":0.5}," HASH "," MODEL

static int parse(const char *text, size_t size, const char *group, struct row *row, struct bgd_err *err)
{
    char *line = malloc(size + 1); /* no byte more: a sanitizer sees what is read beyond it */
    memcpy(line, text, size);
    line[size] = 0;
    int code = row_parse(line, size, group, row, err);
    free(line); /* a row borrows nothing from its line */
    return code;
}

static struct row parsed(const char *text)
{
    struct row row;
    struct bgd_err err = {0};
    cr_assert_eq(parse(text, strlen(text), "group", &row, &err), 0, "%s: %s", text, err.text);
    return row;
}

static void expect_refusal_of(const char *text, size_t size, enum bgd_code code, const char *expected)
{
    struct row row;
    struct bgd_err err = {0};
    cr_expect_eq(parse(text, size, "group", &row, &err), code, "%.200s", text);
    cr_expect(strstr(err.text, expected), "\"%s\" is not in: %s", expected, err.text);
    row_free(&row);
}

static void expect_refusal(const char *text, const char *expected)
{
    expect_refusal_of(text, strlen(text), BGD_DAMAGED, expected);
}

static void expect_id(const char *written, const char *expected)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"id\":\"%s\"," RESULT "}", written);
    struct row row = parsed(text);
    cr_expect_str_eq(row.id, expected);
    row_free(&row);
}

static void expect_group(const char *carried, const char *member, const char *expected)
{
    char text[1024];
    struct row row;
    struct bgd_err err = {0};
    snprintf(text, sizeof text, "{\"id\":\"a\"," RESULT ",\"carried\":%s}", carried);
    cr_assert_eq(parse(text, strlen(text), member, &row, &err), 0, "%s: %s", text, err.text);
    cr_expect_str_eq(row.group, expected, "%s", carried);
    row_free(&row);
}

/* ---------------------------------------------------------------- one row */

Test(row, is_what_results_wrote)
{
    const struct flow_row rows[] = {
        {.id = "shop/\xff \x80\"\\\x01\xc3\xa9.jpg",
         .result = {.verdict = BGD_REVIEW, .score = 0.654321f, .reasons = {0.75f, 0.25f, NAN, 0, 1}},
         .format = BGD_JPEG,
         .hash = "00112233445566778899aabbccddeeff",
         .detail = ""},
        {.id = "gone.jpg", .code = BGD_MISSING, .hash = "", .detail = "no such \xff file"},
    };
    char *folder = scratch_enter();
    struct bgd_err err = {0};
    struct results *results;
    const struct results_options options = {.path = "rows", .model_hash = "0123456789abcdef0123456789abcdef"};
    cr_assert_eq(results_open(&options, &results, &err), 0, "%s", err.text);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(results_add(results, &rows[i], &err), 0);
    cr_assert_eq(results_seal(results, NULL, &err), 0);
    cr_assert_eq(results_publish(results, &err), 0);
    results_close(results);

    struct rows *read;
    const struct row *row;
    cr_assert_eq(rows_open("rows", "group", &read, &err), 0, "%s", err.text);
    cr_assert_eq(rows_next(read, &row, &err), 1, "%s", err.text);
    cr_expect_str_eq(row->id, rows[0].id);
    cr_expect_str_eq(row->model, options.model_hash);
    cr_expect_str_eq(row->group, "");
    cr_expect_eq(row->facts.code, 0);
    cr_expect_eq(row->facts.verdict, BGD_REVIEW);
    cr_expect_eq(row->facts.score, 654321);
    for (int i = 0; i < BGD_REASONS; i++)
        cr_expect(isnan(rows[0].result.reasons[i]) ? isnan(row->facts.reasons[i])
                                                   : row->facts.reasons[i] == rows[0].result.reasons[i]);
    char hash[HASH_TEXT];
    hash_print(row->facts.hash, hash);
    cr_expect_str_eq(hash, rows[0].hash);
    cr_assert_eq(rows_next(read, &row, &err), 1, "%s", err.text);
    cr_expect_str_eq(row->id, "gone.jpg");
    cr_expect_eq(row->facts.code, BGD_MISSING);
    cr_assert_eq(rows_next(read, &row, &err), 0);
    rows_close(read);
    scratch_leave(folder);
}

Test(row, has_back_the_bytes_that_were_written_as_lone_surrogates)
{
    expect_id("\\udc80\\uDCFF.jpg", "\x80\xff.jpg");
    expect_id("\\ud800\\udc80", "\xf0\x90\x82\x80"); /* a pair is a character: U+10080 */
    expect_id("\\\\udc80", "\\udc80");               /* an escaped backslash, then letters */
    expect_id("\\\\\\udc80", "\\\x80");
    expect_id("\\ud83d\\ude00\\udcfe", "\xf0\x9f\x98\x80\xfe");
    expect_id("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
}

Test(row, finds_the_group_in_what_the_catalogue_carried)
{
    expect_group("{\"group\":\"beauty\"}", "group", "beauty");
    expect_group("{\"group\":12345678901}", "group", "12345678901");
    expect_group("{\"group\":-0.5}", "group", "-0.5");
    expect_group("{\"json\":{\"group\":\"toys\"}}", "group", "toys");
    expect_group("{\"group\":\"outer\",\"json\":{\"group\":\"inner\"}}", "group", "outer");
    expect_group("{\"group\":\"beauty\",\"seller\":7}", "seller", "7");
    expect_group("{\"group\":[\"beauty\"]}", "group", "");
    expect_group("{\"group\":null}", "group", "");
    expect_group("{}", "group", "");
    expect_group("\"beauty\"", "group", "");
    expect_group("{\"json\":\"beauty\"}", "group", "");
}

Test(row, ignores_members_and_reasons_that_it_does_not_know)
{
    struct row row = parsed("{\"id\":\"a\",\"new\":[1,{}],\"status\":\"ok\",\"verdict\":\"clean\",\"score\":1,"
                            "\"reasons\":{\"blurred\":\"very\",\"cropped\":0}," HASH "," MODEL "}");
    cr_expect_eq(row.facts.score, ROW_MILLION);
    cr_expect_eq(row.facts.reasons[BGD_CROPPED], 0);
    cr_expect(isnan(row.facts.reasons[BGD_TEXT]));
    row_free(&row);
}

Test(row, that_is_cut_anywhere_is_damaged)
{
    const char *whole = "{\"id\":\"\\udc80\\ud83d\\ude00\xc3\xa9\"," RESULT "}";
    for (size_t size = 0; size < strlen(whole); size++)
        expect_refusal_of(whole, size, BGD_DAMAGED, "");
}

Test(row, that_is_no_row_says_what_was_expected)
{
    expect_refusal("", "one whole JSON object");
    expect_refusal("[]", "one whole JSON object");
    expect_refusal("{} {}", "one whole JSON object");
    expect_refusal("{\"id\":\"a\"," RESULT "}x", "one whole JSON object");
    expect_refusal("id,status,verdict", "one whole JSON object");
    expect_refusal("{" RESULT "}", "\"id\": expected a text");
    expect_refusal("{\"id\":7," RESULT "}", "\"id\": expected a text");
    expect_refusal("{\"id\":\"\"," RESULT "}", "\"id\": expected a text");
    expect_refusal("{\"id\":\"a\",\"status\":\"fine\"}", "\"status\": expected ok or error");
    expect_refusal("{\"id\":\"a\",\"status\":\"ok\",\"verdict\":\"good\"}", "\"verdict\": expected clean, review or defective");
    static const char *const scores[] = {"\"0.5\"", "-0.1", "1.1", "1e999", "null"};
    for (size_t i = 0; i < sizeof scores / sizeof scores[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"id\":\"a\",\"status\":\"ok\",\"verdict\":\"clean\",\"score\":%s}", scores[i]);
        expect_refusal(text, "\"score\": expected a number of 0..1");
    }
    expect_refusal("{\"id\":\"a\",\"status\":\"ok\",\"verdict\":\"clean\",\"score\":NaN}", "one whole JSON object");
    expect_refusal("{\"id\":\"a\",\"status\":\"ok\",\"verdict\":\"clean\",\"score\":0}", "\"reasons\": expected an object");
    expect_refusal("{\"id\":\"a\",\"status\":\"ok\",\"verdict\":\"clean\",\"score\":0,\"reasons\":{\"text\":2}}",
                   "\"text\": expected a number of 0..1");
    const char *result = "\"status\":\"ok\",\"verdict\":\"clean\",\"score\":0,\"reasons\":{}";
    static const char *const rests[][2] = {{MODEL, "\"hash\": expected"},
                                           {"\"hash\":\"0011\"," MODEL, "\"hash\": expected"},
                                           {"\"hash\":\"00112233445566778899aabbccddeefg\"," MODEL, "\"hash\": expected"},
                                           {HASH, "\"model\": expected"},
                                           {HASH ",\"model\":1", "\"model\": expected"}};
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"id\":\"a\",%s,%s}", result, rests[i][0]);
        expect_refusal(text, rests[i][1]);
    }
    expect_refusal("{\"id\":\"a\",\"status\":\"error\"," MODEL "}", "\"error\": expected an object with one of the codes");
    expect_refusal("{\"id\":\"a\",\"status\":\"error\",\"error\":{\"code\":\"ok\"}," MODEL "}", "\"error\": expected");
    expect_refusal("{\"id\":\"a\",\"status\":\"error\",\"error\":{\"code\":\"damaged\"},\"hash\":\"x\"," MODEL "}", "\"hash\"");
}

Test(row, of_hostile_bytes_is_refused)
{
    static const char nul[] = "{\"id\":\"a\0b\"," RESULT "}";
    expect_refusal_of(nul, sizeof nul - 1, BGD_DAMAGED, "byte 9: expected UTF-8 without NUL, found 0x00");
    expect_refusal("{\"id\":\"a\\u0000b\"," RESULT "}", "without NUL");
    expect_refusal("{\"id\":\"a\xff\"," RESULT "}", "byte 9: expected UTF-8 without NUL, found 0xff");
    expect_refusal("{\"id\":\"\xed\xb2\x80\"," RESULT "}", "expected UTF-8"); /* a surrogate's own bytes */
    expect_refusal("{\"id\":\"\xc0\xaf\"," RESULT "}", "expected UTF-8");
    expect_refusal("{\"id\":\"\\ud800\"," RESULT "}", "one whole JSON object");
    expect_refusal("{\"id\":\"\\udc7f\"," RESULT "}", "one whole JSON object"); /* no byte that needed one */
    expect_refusal("\\udc80{\"id\":\"a\"," RESULT "}", "one whole JSON object");
    char *deep = malloc(ROW_BYTES_MAX);
    memset(deep, '[', ROW_BYTES_MAX);
    expect_refusal_of(deep, ROW_BYTES_MAX, BGD_DAMAGED, "one whole JSON object");
    for (size_t i = 0; i + 5 <= ROW_BYTES_MAX; i += 5)
        memcpy(deep + i, "{\"a\":", 5);
    expect_refusal_of(deep, ROW_BYTES_MAX / 5 * 5, BGD_DAMAGED, "one whole JSON object");
    free(deep);
    char name[ROW_GROUP_BYTES_MAX + 2], text[1024];
    memset(name, 'g', sizeof name - 1);
    name[sizeof name - 1] = 0;
    snprintf(text, sizeof text, "{\"id\":\"a\"," RESULT ",\"carried\":{\"group\":\"%s\"}}", name);
    expect_refusal_of(text, strlen(text), BGD_LIMIT, "a group's name of 201 bytes, at most 200");
}

/* ---------------------------------------------------------------- files */

static void write_row(const char *file, const char *id)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"id\":\"%s\"," RESULT "}\n", id);
    scratch_text(file, text);
}

/* The ids of all rows at `path`, a space after each. */
static void expect_ids(const char *path, const char *expected)
{
    struct rows *rows;
    const struct row *row;
    struct bgd_err err = {0};
    char ids[1024] = "", *at = ids;
    cr_assert_eq(rows_open(path, "group", &rows, &err), 0, "%s", err.text);
    int more;
    while ((more = rows_next(rows, &row, &err)) > 0)
        at = stpcpy(stpcpy(at, row->id), " ");
    cr_expect_eq(more, 0, "%s", err.text);
    cr_expect_str_eq(ids, expected);
    rows_close(rows);
}

/* The first `good` rows are read, the next is not. */
static void expect_failure(const char *path, int good, enum bgd_code code, const char *expected)
{
    struct rows *rows;
    const struct row *row;
    struct bgd_err err = {0};
    cr_assert_eq(rows_open(path, "group", &rows, &err), 0, "%s", err.text);
    for (int i = 0; i < good; i++)
        cr_assert_eq(rows_next(rows, &row, &err), 1, "%s", err.text);
    cr_expect_eq(rows_next(rows, &row, &err), code);
    cr_expect(strncmp(err.text, expected, strlen(expected)) == 0, "%s does not begin with %s", err.text, expected);
    rows_close(rows);
}

Test(rows, of_a_folder_are_those_of_its_shards_by_number)
{
    char *folder = scratch_enter();
    mkdir("run", 0777);
    expect_ids((write_row("run/shard-00000010.jsonl", "ten"), write_row("run/shard-00000009.jsonl", "nine"),
                write_row("run/shard-100000000.jsonl", "many"), write_row("run/shard-99999999.jsonl", "fewer"),
                scratch_text("run/shard-00000000.jsonl", ""), scratch_text("run/shard-00000011.jsonl.part", "{\"id\":"),
                scratch_text("run/manifest.json", "{}"), scratch_text("run/shard-.jsonl", "x"), "run"),
               "nine ten fewer many ");
    scratch_leave(folder);
}

Test(rows, name_file_and_line_of_a_damaged_one)
{
    char *folder = scratch_enter();
    mkdir("run", 0777);
    write_row("run/shard-00000000.jsonl", "a");
    scratch_text("run/shard-00000001.jsonl", "{\"id\":\"b\"," RESULT "}\n{\"id\":\"c\"," RESULT "}\n{\"id\":\"d\",\n");
    expect_failure("run", 3, BGD_DAMAGED, "run/shard-00000001.jsonl:3: expected one whole JSON object");
    scratch_text("cut", "{\"id\":\"b\"," RESULT "}\n{\"id\":\"c\",\"stat");
    expect_failure("cut", 1, BGD_DAMAGED, "cut:2: ");
    scratch_text("gap", "{\"id\":\"b\"," RESULT "}\n\n{\"id\":\"c\"," RESULT "}\n");
    expect_failure("gap", 1, BGD_DAMAGED, "gap:2: ");
    scratch_leave(folder);
}

Test(rows, do_not_need_a_newline_at_the_end)
{
    char *folder = scratch_enter();
    scratch_text("rows", "{\"id\":\"a\"," RESULT "}\n{\"id\":\"b\"," RESULT "}");
    expect_ids("rows", "a b ");
    scratch_text("rows", "");
    expect_ids("rows", "");
    scratch_leave(folder);
}

Test(rows, may_be_as_long_as_a_tar_can_make_them_and_no_longer)
{
    char *folder = scratch_enter();
    static char text[3 * ROW_BYTES_MAX];
    for (int over = 0; over < 2; over++) {
        int head = sprintf(text, "{\"id\":\"a\"," RESULT "}\n{\"id\":\"b\"," RESULT ",\"x\":\"");
        char *begin = strchr(text, '\n') + 1, *end = begin + ROW_BYTES_MAX - 2 + over;
        memset(text + head, 'x', (size_t)(end - text - head));
        strcpy(end, "\"}\n{\"id\":\"c\"," RESULT "}\n");
        scratch_text("rows", text);
        if (over)
            expect_failure("rows", 1, BGD_LIMIT, "rows:2: a line of more than 33554432 bytes");
        else
            expect_ids("rows", "a b c ");
    }
    memset(text, 'x', sizeof text);
    scratch_write("rows", text, sizeof text); /* without any newline */
    expect_failure("rows", 0, BGD_LIMIT, "rows:1: a line of more than");
    scratch_leave(folder);
}

Test(rows, that_are_not_there_say_so)
{
    char *folder = scratch_enter();
    struct rows *rows;
    struct bgd_err err = {0};
    cr_expect_eq(rows_open("gone", "group", &rows, &err), BGD_MISSING);
    cr_expect_str_eq(err.text, "gone: No such file or directory");
    mkdir("empty", 0777);
    cr_expect_eq(rows_open("empty", "group", &rows, &err), BGD_MISSING);
    cr_expect(strstr(err.text, "empty: a folder without shards"), "%s", err.text);
    cr_expect_null(rows);
    scratch_leave(folder);
}
