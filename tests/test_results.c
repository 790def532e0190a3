/* Rows, judged by the text that a program or a person reads. */
#include "run/results.h"

#include "scratch.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <sys/stat.h>

static const struct flow_row good = {
    .id = "shop/a.jpg",
    .result = {.verdict = BGD_DEFECTIVE,
               .score = 0.987654321f,
               .reasons = {0.75f, 0.25f, NAN, 0, 1},
               .holds = {true, false, false, false, true}},
    .format = BGD_JPEG,
    .width = 900,
    .height = 1200,
    .hash = "0123456789abcdef0123456789abcdef",
    .detail = "",
};
static const struct flow_row bad = {
    .id = "b.jpg", .code = BGD_DAMAGED, .detail = "jpeg: the data ends, \"early\"", .hash = "00ff"};

/* What is written for the rows, to be freed. */
static char *written(enum results_form form, const struct flow_row *rows, size_t n)
{
    const struct results_options options = {.path = "rows", .form = form, .model_hash = "beef"};
    struct results *results;
    struct bgd_err err = {0};
    cr_assert_eq(results_open(&options, &results, &err), 0, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(results_add(results, &rows[i], &err), 0, "%s", err.text);
    cr_assert_eq(results_seal(results, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(results_publish(results, &err), 0, "%s", err.text);
    results_close(results);
    return scratch_read("rows", NULL);
}

static void expect_text(enum results_form form, const struct flow_row *row, const char *expected)
{
    char *text = written(form, row, 1);
    cr_expect_str_eq(text, expected);
    free(text);
}

Test(results, writes_the_contract_as_json_lines)
{
    char *folder = scratch_enter();
    expect_text(RESULTS_JSONL, &good,
                "{\"id\":\"shop/a.jpg\",\"status\":\"ok\",\"verdict\":\"defective\",\"score\":0.987654,\"reasons\":"
                "{\"text\":0.750000,\"not_white\":0.250000,\"cropped\":0.000000,\"duplicates\":1.000000},\"width\":900,"
                "\"height\":1200,\"format\":\"jpeg\",\"hash\":\"0123456789abcdef0123456789abcdef\",\"model\":\"beef\"}\n");
    expect_text(RESULTS_JSONL, &bad,
                "{\"id\":\"b.jpg\",\"status\":\"error\",\"hash\":\"00ff\",\"model\":\"beef\",\"error\":{\"code\":\"damaged\","
                "\"detail\":\"jpeg: the data ends, \\\"early\\\"\"}}\n");
    scratch_leave(folder);
}

Test(results, carries_what_the_source_says_of_a_card)
{
    char *folder = scratch_enter();
    struct flow_row row = good;
    row.carried = "{\"group\":\"beauty\"}";
    char *text = written(RESULTS_JSONL, &row, 1);
    cr_expect(strstr(text, "\"model\":\"beef\",\"carried\":{\"group\":\"beauty\"}}\n"), "%s", text);
    free(text);
    text = written(RESULTS_CSV, &row, 1);
    cr_expect(strstr(text, ",beef,\"{\"\"group\"\":\"\"beauty\"\"}\",,\r\n"), "%s", text);
    free(text);
    row = bad;
    row.carried = "{\"n\":1}";
    text = written(RESULTS_JSONL, &row, 1);
    cr_expect(strstr(text, "\"model\":\"beef\",\"carried\":{\"n\":1},\"error\":{"), "%s", text);
    free(text);
    scratch_leave(folder);
}

Test(results, a_card_for_review_says_so_and_is_counted)
{
    char *folder = scratch_enter();
    struct flow_row row = good;
    row.result.verdict = BGD_REVIEW;
    char *text = written(RESULTS_JSONL, &row, 1);
    cr_expect(strstr(text, "\"status\":\"ok\",\"verdict\":\"review\",\"score\":0.987654"), "%s", text);
    free(text);
    text = written(RESULTS_CSV, &row, 1);
    cr_expect(strstr(text, "shop/a.jpg,ok,review,0.987654,"), "%s", text);
    free(text);
    text = written(RESULTS_TABLE, &row, 1);
    cr_expect(strstr(text, "review      99 %  duplicates 100 %, text 75 %"), "%s", text);
    free(text);
    scratch_leave(folder);
}

Test(results, writes_the_same_as_csv)
{
    char *folder = scratch_enter();
    const struct flow_row rows[] = {good, bad};
    char *text = written(RESULTS_CSV, rows, 2);
    cr_expect_str_eq(
        text, "id,status,verdict,score,text,not_white,extra_objects,cropped,duplicates,evidence,width,height,format,hash,"
              "model,carried,error_code,error_detail\r\n"
              "shop/a.jpg,ok,defective,0.987654,0.750000,0.250000,,0.000000,1.000000,,900,1200,jpeg,"
              "0123456789abcdef0123456789abcdef,beef,,,\r\n"
              "b.jpg,error,,,,,,,,,,,,00ff,beef,,damaged,\"jpeg: the data ends, \"\"early\"\"\"\r\n");
    free(text);
    scratch_leave(folder);
}

Test(results, evidence_stands_behind_the_reasons)
{
    char *folder = scratch_enter();
    struct flow_row row = good;
    row.result.n_regions = 2;
    row.result.regions[0] = (struct bgd_region){
        .reason = BGD_TEXT, .left = 0.1f, .top = 0.25f, .right = 0.30004f, .bottom = 1, .share = 0.0123456f};
    row.result.regions[1] =
        (struct bgd_region){.reason = BGD_CROPPED, .side = BGD_LEFT, .right = 0.0625f, .bottom = 0.5f, .share = 0.03125f};
    char *text = written(RESULTS_JSONL, &row, 1);
    cr_expect(strstr(text, "\"duplicates\":1.000000},\"evidence\":["
                           "{\"reason\":\"text\",\"box\":[0.1000,0.2500,0.3000,1.0000],\"share\":0.0123},"
                           "{\"reason\":\"cropped\",\"box\":[0.0000,0.0000,0.0625,0.5000],\"share\":0.0312,\"side\":\"left\"}],"
                           "\"width\":900,"),
              "%s", text);
    cJSON *json = cJSON_Parse(text);
    cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "evidence")), 2);
    cJSON_Delete(json);
    free(text);
    text = written(RESULTS_CSV, &row, 1);
    cr_expect(strstr(text, ",1.000000,text 0.1000 0.2500 0.3000 1.0000; cropped 0.0000 0.0000 0.0625 0.5000,900,1200,jpeg,"),
              "%s", text);
    free(text);
    scratch_leave(folder);
}

Test(results, loses_no_name)
{
    char *folder = scratch_enter();
    struct flow_row row = good;
    row.id = "\xd0\x96 \xff\"\\\n\x7f \xed\xa0\x80 \xe2\x82\xac \xc0\xaf \xf0\x9f\x98\x80";
    char *text = written(RESULTS_JSONL, &row, 1);
    const char *expected = "{\"id\":\"\xd0\x96 \\udcff\\\"\\\\\\u000a\\u007f \\udced\\udca0\\udc80 \xe2\x82\xac \\udcc0\\udcaf "
                           "\xf0\x9f\x98\x80\",";
    cr_expect(strncmp(text, expected, strlen(expected)) == 0, "%s", text);
    free(text);
    row.id = "plain";
    text = written(RESULTS_JSONL, &row, 1);
    cJSON *json = cJSON_Parse(text); /* another program's reader takes it */
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(json, "id")), "plain");
    cJSON_Delete(json);
    free(text);
    scratch_leave(folder);
}

Test(results, shows_a_table_with_the_strongest_reason_first)
{
    char *folder = scratch_enter();
    struct flow_row rows[] = {good, bad, good, good};
    rows[1].id = "evil\033[2Jname\xff";
    rows[2].result = (struct bgd_result){.verdict = BGD_DEFECTIVE, .score = 0.6f, .reasons = {0.1f, 0.4f, 0.2f, 0, 0}};
    rows[3].result = (struct bgd_result){.score = 0.004f};
    char *text = written(RESULTS_TABLE, rows, 4);
    cr_expect(strstr(text, "defective   99 %  duplicates 100 %, text 75 %  "), "%s", text);
    cr_expect(strstr(text, "error             evil?[2Jname?: damaged: jpeg: the data ends"), "%s", text);
    cr_expect(strstr(text, "defective   60 %  not_white 40 %  "), "%s", text);
    cr_expect(strstr(text, "clean        0 %    "), "%s", text);
    cr_expect_null(strchr(text, '\033'), "an escape code reached the terminal");
    free(text);
    scratch_leave(folder);
}

Test(results, counts_what_it_wrote)
{
    char *folder = scratch_enter();
    const struct results_options options = {.path = "rows", .form = RESULTS_JSONL, .model_hash = ""};
    struct results *results;
    struct bgd_err err;
    struct flow_row missing = {.id = "x", .code = BGD_MISSING, .known = true, .detail = "", .hash = ""};
    cr_assert_eq(results_open(&options, &results, &err), 0);
    results_add(results, &good, &err), results_add(results, &bad, &err), results_add(results, &missing, &err);
    const struct results_counts *c = results_counts(results);
    cr_expect(c->rows == 3 && c->verdicts[BGD_DEFECTIVE] == 1 && c->verdicts[BGD_CLEAN] == 0 && c->errors == 2);
    cr_expect(c->reasons[BGD_TEXT] == 1 && c->reasons[BGD_EXTRA_OBJECTS] == 0 && c->reasons[BGD_DUPLICATES] == 1);
    cr_expect(c->codes[-BGD_DAMAGED] == 1 && c->codes[-BGD_MISSING] == 1 && c->codes[-BGD_LIMIT] == 0 && c->known == 1);
    results_close(results);
    scratch_leave(folder);
}

Test(results, names_a_file_only_when_it_is_complete)
{
    char *folder = scratch_enter();
    const struct results_options options = {.path = "rows", .form = RESULTS_JSONL, .model_hash = ""};
    struct results *results;
    struct bgd_err err;
    scratch_text("rows", "of yesterday");
    cr_assert_eq(results_open(&options, &results, &err), 0);
    results_add(results, &good, &err);
    cr_expect_str_eq(results_place(results), "rows.part");
    cr_assert_eq(results_seal(results, NULL, &err), 0);
    results_close(results);
    char *old = scratch_read("rows", NULL), *part = scratch_read("rows.part", NULL);
    cr_expect_str_eq(old, "of yesterday");
    cr_expect(strstr(part, "shop/a.jpg"));
    free(old), free(part);
    scratch_leave(folder);
}

Test(results, says_when_the_disk_is_full)
{
    const struct results_options options = {.path = "/dev/full", .form = RESULTS_JSONL, .model_hash = ""};
    struct results *results;
    struct bgd_err err;
    cr_assert_eq(results_open(&options, &results, &err), 0);
    cr_expect_eq(results_add(results, &good, &err), BGD_WRITE);
    cr_expect(strstr(err.text, "/dev/full") && strstr(err.text, "space"), "%s", err.text);
    results_close(results);
    struct stat st;
    cr_expect(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode), "a device was replaced");
}

Test(results, names_a_folder_that_is_not_there)
{
    const struct results_options options = {.path = "/no/such/rows", .form = RESULTS_CSV, .model_hash = ""};
    struct results *results;
    struct bgd_err err;
    cr_expect_eq(results_open(&options, &results, &err), BGD_ARGUMENT);
    cr_expect_null(results);
    cr_expect(strstr(err.text, "/no/such/rows"), "%s", err.text);
}

Test(results, refuses_a_second_run_with_the_same_output)
{
    char *folder = scratch_enter();
    const struct results_options options = {.path = "rows", .form = RESULTS_JSONL, .model_hash = ""};
    struct results *first, *second;
    struct bgd_err err;
    cr_assert_eq(results_open(&options, &first, &err), 0);
    cr_expect_eq(results_open(&options, &second, &err), BGD_WRITE);
    cr_expect(strstr(err.text, "rows.part: another run"), "%s", err.text);
    results_add(first, &good, &err);
    cr_assert_eq(results_seal(first, NULL, &err), 0);
    cr_assert_eq(results_publish(first, &err), 0);
    results_close(first);
    char *rows = scratch_read("rows", NULL);
    cr_expect(strstr(rows, "shop/a.jpg"), "the first run's rows are gone");
    free(rows);
    scratch_leave(folder);
}

Test(results, follows_no_link_and_waits_for_no_pipe)
{
    char *folder = scratch_enter();
    const struct results_options options = {.path = "rows", .form = RESULTS_JSONL, .model_hash = ""};
    struct results *results;
    struct bgd_err err;
    scratch_text("precious", "kept");
    cr_assert_eq(symlink("precious", "rows.part"), 0);
    cr_expect_eq(results_open(&options, &results, &err), BGD_ARGUMENT, "%s", err.text);
    char *kept = scratch_read("precious", NULL);
    cr_expect_str_eq(kept, "kept");
    free(kept);
    unlink("rows.part");
    cr_assert_eq(mkfifo("rows.part", 0666), 0);
    cr_expect_lt(results_open(&options, &results, &err), 0);
    scratch_leave(folder);
}
