/* The metadata: every rule of bgdet_format.h broken once, and what is written reads back the same. */
#include "meta.h"

#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT                                                                                                                  \
    "\"input\":{\"width\":60,\"height\":80,\"channels\":3,\"mean\":[0.5,0.5,0.5],\"std\":[1,1,1],\"filter\":\"bilinear\"}"
#define GOOD "{\"arch\":\"net\",\"kind\":\"classifier\",\"head\":\"softmax\",\"labels\":[\"defective\",\"text\"]," INPUT "}"

/* From a heap block of the exact size, so that ASan sees a read behind it. */
static int parse(const char *json, size_t size, struct meta *meta, struct bgd_err *err)
{
    char *copy = malloc(size);
    memcpy(copy, json, size);
    int code = meta_parse(copy, size, meta, err);
    free(copy);
    return code;
}

static void check_refused(const char *json, size_t size, const char *text)
{
    struct meta meta, empty = {0};
    struct bgd_err err = {0};
    cr_expect_eq(parse(json, size, &meta, &err), BGD_DAMAGED, "accepted: %s", json);
    cr_expect(strstr(err.text, text), "%s\n  says: %s\n  not: %s", json, err.text, text);
    cr_expect(memcmp(&meta, &empty, sizeof meta) == 0, "not empty after a failure");
}

/* GOOD with its first `from` replaced by `to`. */
static void check_change(const char *from, const char *to, const char *text)
{
    char json[2048];
    const char *at = strstr(GOOD, from);
    cr_assert(at, "%s", from);
    snprintf(json, sizeof json, "%.*s%s%s", (int)(at - GOOD), GOOD, to, at + strlen(from));
    if (text) {
        check_refused(json, strlen(json), text);
        return;
    }
    struct meta meta;
    struct bgd_err err = {0};
    cr_expect_eq(parse(json, strlen(json), &meta, &err), 0, "%s: %s", json, err.text);
    meta_free(&meta);
}

Test(meta, reads_a_classifier)
{
    struct meta meta;
    struct bgd_err err = {0};
    cr_assert_eq(parse(GOOD, strlen(GOOD), &meta, &err), 0, "%s", err.text);
    cr_expect_str_eq(meta.arch, "net");
    cr_expect_eq(meta.kind, META_CLASSIFIER);
    cr_expect_str_eq(meta.head, "softmax");
    cr_expect(meta.n_labels == 2 && meta.input.channels == 3 && meta.input.width == 60 && meta.input.height == 80);
    cr_expect(meta_label(&meta, "text") == 1 && meta_label(&meta, "cropped") == -1);
    cr_expect_eq(meta.thresholds[1], 0.5f, "the default");
    cr_expect_str_eq(meta.provenance, "{}");
    meta_free(&meta);
}

Test(meta, every_cut_is_refused)
{
    for (size_t size = 0; size < strlen(GOOD); size++)
        check_refused(GOOD, size, "not one JSON object");
}

Test(meta, what_follows_the_object_is_refused)
{
    check_refused(GOOD "x", strlen(GOOD) + 1, "not one JSON object");
    check_refused(GOOD "{}", strlen(GOOD) + 2, "not one JSON object");
    check_refused(GOOD "\0", strlen(GOOD) + 1, "not one JSON object");
    check_refused("[]", 2, "not one JSON object");
    check_refused("\"a\"", 3, "not one JSON object");
}

/* CVE-2023-53154: cJSON's reader of counted bytes looks behind them. cJSON is not built with AddressSanitizer, so the text ends
 * where a page that cannot be read begins, as it can in a mapped file. */
Test(meta, a_comma_at_the_very_end_is_not_read_past)
{
    static const char *const texts[] = {"{\"1\":1,", "{\"1\":[1,",     "{",       "{\"a\":tru", "{\"a\":1",
                                        "{\"a",      "{\"a\":\"\\u12", "{\"a\":-"};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t size = strlen(texts[i]);
        memcpy(pages + page - size, texts[i], size);
        struct meta meta;
        struct bgd_err err = {0};
        cr_expect_eq(meta_parse(pages + page - size, size, &meta, &err), BGD_DAMAGED, "%s", texts[i]);
    }
    munmap(pages, 2 * page);
}

Test(meta, deep_nesting_is_refused)
{
    char *deep = malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    check_refused(deep, 1 << 20, "not one JSON object");
    free(deep);
}

Test(meta, each_key_is_checked)
{
    check_change("\"arch\":\"net\",", "", "\"arch\" is missing");
    check_change("\"arch\":\"net\"", "\"arch\":7", "\"arch\" is another type");
    check_change("\"net\"", "\"n\\u001b[31m\"", "\"arch\" has control bytes");
    check_change("\"net\"", "\"n\xff\"", "\"arch\" has control bytes or is not UTF-8");
    check_change("\"net\"", "\"n\xed\xa0\x80\"", "not UTF-8"); /* a surrogate */
    check_change("\"net\"", "\"n\xc0\x80\"", "not UTF-8");     /* an overlong NUL */
    check_change("\"net\"", "\"n\xe0\x80\xaf\"", "not UTF-8"); /* an overlong '/' */
    check_change("\"net\"", "\"n\xd0\"", "not UTF-8");         /* cut inside a letter */
    check_change("\"net\"", "\"n\xf4\x90\x80\x80\"", "not UTF-8");
    check_change("\"net\"", "\"\xd1\x81\xd0\xb5\xd1\x82\xd1\x8c \xf0\x9f\x98\x80\"", NULL);
    check_change("\"classifier\"", "\"segmenter\"", NULL);
    check_change("\"classifier\"", "\"painter\"", "kind \"painter\"");
    check_change("\"classifier\"", "\"network\"", NULL);
    check_change("\"softmax\"", "\"hardmax\"", "head \"hardmax\"");
    check_change("\"head\":\"softmax\",", "", "\"head\" is missing");
    check_change(",\"input\"", ",\"provenance\":{\"a\":\"\x7f\"},\"input\"", "\"provenance\"");
    check_change(",\"input\"", ",\"provenance\":7,\"input\"", NULL);
}

Test(meta, each_label_is_checked)
{
    check_change("[\"defective\",\"text\"]", "[]", "\"labels\"");
    check_change("[\"defective\",\"text\"]", "\"defective\"", "\"labels\"");
    check_change("\"text\"]", "7]", "label 1");
    check_change("\"text\"]", "\"\"]", "label 1");
    check_change("\"text\"]", "\"a\\nb\"]", "label 1");
    check_change("\"text\"]", "\"a\x01\"]", "label 1");
    check_change("\"text\"]", "\"defective\"]", "\"defective\" stands twice");
    char many[20000] = "[\"l0\"";
    for (int i = 1; i < 1001; i++)
        sprintf(many + strlen(many), ",\"l%d\"", i);
    char json[22000];
    snprintf(json, sizeof json, "{\"arch\":\"a\",\"kind\":\"classifier\",\"head\":\"softmax\"," INPUT ",\"labels\":%s]}", many);
    check_refused(json, strlen(json), "1..1000 strings");
}

Test(meta, each_threshold_is_checked)
{
    static const char *const bad[] = {"7",
                                      "[]",
                                      "{\"nothing\":0.5}",
                                      "{\"text\":\"0.5\"}",
                                      "{\"text\":-0.001}",
                                      "{\"text\":1.001}",
                                      "{\"text\":1e999}",
                                      "{\"text\":null}",
                                      "{\"text\":0.5,\"text\":0.5}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char change[128];
        snprintf(change, sizeof change, ",\"thresholds\":%s,\"input\"", bad[i]);
        check_change(",\"input\"", change, "threshold");
    }
    struct meta meta;
    struct bgd_err err = {0};
    const char *json = "{\"arch\":\"a\",\"kind\":\"classifier\",\"head\":\"sigmoid\",\"labels\":[\"a\",\"b\"]," INPUT
                       ",\"thresholds\":{\"b\":0.25}}";
    cr_assert_eq(parse(json, strlen(json), &meta, &err), 0, "%s", err.text);
    cr_expect(meta.thresholds[0] == 0.5f && meta.thresholds[1] == 0.25f);
    meta_free(&meta);
}

Test(meta, each_calibration_is_checked)
{
    static const struct {
        const char *bad, *reason;
    } cases[] = {
        {"7", "\"calibration\" is not an object"},
        {"{\"nothing\":{\"slope\":1,\"offset\":0}}", "calibration \"nothing\" is of no label"},
        {"{\"text\":1}", "calibration \"text\" has no"},
        {"{\"text\":{\"slope\":1}}", "calibration \"text\" has no"},
        {"{\"text\":{\"offset\":0}}", "calibration \"text\" has no"},
        {"{\"text\":{\"slope\":0,\"offset\":0}}", "\"slope\" of 0.000976562..1024"},
        {"{\"text\":{\"slope\":-1,\"offset\":0}}", "\"slope\" of"},
        {"{\"text\":{\"slope\":1025,\"offset\":0}}", "\"slope\" of"},
        {"{\"text\":{\"slope\":1e999,\"offset\":0}}", "\"slope\" of"},
        {"{\"text\":{\"slope\":1,\"offset\":100.1}}", "\"offset\" of -100..100"},
        {"{\"text\":{\"slope\":1,\"offset\":0},\"text\":{\"slope\":1,\"offset\":0}}", "\"text\" stands twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char change[160];
        snprintf(change, sizeof change, ",\"calibration\":%s,\"input\"", cases[i].bad);
        check_change(",\"input\"", change, cases[i].reason);
    }
}

Test(meta, a_label_without_a_calibration_has_none_and_a_model_without_any_has_no_table)
{
    struct meta meta;
    struct bgd_err err = {0};
    const char *json = "{\"arch\":\"a\",\"kind\":\"classifier\",\"head\":\"sigmoid\",\"labels\":[\"a\",\"b\"]," INPUT
                       ",\"calibration\":{\"b\":{\"slope\":0.25,\"offset\":-1.5}}}";
    cr_assert_eq(parse(json, strlen(json), &meta, &err), 0, "%s", err.text);
    cr_expect(meta.calibrations[0].slope == 1 && meta.calibrations[0].offset == 0);
    cr_expect(meta.calibrations[1].slope == 0.25f && meta.calibrations[1].offset == -1.5f);
    meta_free(&meta);
    json = "{\"arch\":\"a\",\"kind\":\"classifier\",\"head\":\"sigmoid\",\"labels\":[\"a\"]," INPUT "}";
    cr_assert_eq(parse(json, strlen(json), &meta, &err), 0, "%s", err.text);
    cr_expect_null(meta.calibrations);
    meta_free(&meta);
}

Test(meta, a_band_for_review_holds_the_threshold)
{
    static const char *const bad[] = {"7",         "[]",         "[0.2]",     "[0.2,0.4,0.6]", "[0.6,0.4]",
                                      "[0.5,0.5]", "[-0.1,0.6]", "[0.4,1.1]", "[\"0.4\",0.6]", "[0.5,0.500000000001]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char change[64];
        snprintf(change, sizeof change, ",\"review\":%s,\"input\"", bad[i]);
        check_change(",\"input\"", change, "\"review\" is not [lo, hi]");
    }
    check_change(",\"input\"", ",\"review\":[0.1,0.4],\"input\"", "\"review\" 0.1..0.4 does not hold the threshold");
    check_change(",\"input\"", ",\"review\":[0.6,0.9],\"input\"", "\"review\" 0.6..0.9 does not hold the threshold");
    check_change(",\"input\"", ",\"review\":[0.4,0.6],\"input\"", NULL);
}

Test(meta, a_verdict_is_review_in_the_band_and_else_follows_the_threshold)
{
    float thresholds[] = {0.5f};
    struct meta meta = {.thresholds = thresholds, .n_labels = 1, .review = {0.25f, 0.75f}};
    const float below = nextafterf(0.25f, 0), above = nextafterf(0.75f, 0);
    cr_expect_eq(meta_verdict(&meta, 0, below), BGD_CLEAN);
    cr_expect_eq(meta_verdict(&meta, 0, 0.25f), BGD_REVIEW);
    cr_expect_eq(meta_verdict(&meta, 0, above), BGD_REVIEW);
    cr_expect_eq(meta_verdict(&meta, 0, 0.75f), BGD_DEFECTIVE);
    meta.review[0] = meta.review[1] = 0;
    cr_expect_eq(meta_verdict(&meta, 0, 0), BGD_CLEAN, "no band is no band of 0..0");
    cr_expect_eq(meta_verdict(&meta, 0, nextafterf(0.5f, 0)), BGD_CLEAN);
    cr_expect_eq(meta_verdict(&meta, 0, 0.5f), BGD_DEFECTIVE);
}

Test(meta, each_number_of_the_input_is_checked)
{
    static const char *const bad[] = {"0", "-1", "1.5", "16385", "4294967296", "1e400", "\"60\"", "null", "[60]", "true"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char change[64];
        snprintf(change, sizeof change, "\"width\":%s", bad[i]);
        check_change("\"width\":60", change, "\"width\" is not an integer of 1..16384");
        snprintf(change, sizeof change, "\"height\":%s", bad[i]);
        check_change("\"height\":80", change, "\"height\" is not an integer of 1..16384");
    }
    check_change("\"channels\":3", "\"channels\":5", "\"channels\"");
    check_change("\"channels\":3", "\"channels\":2", "\"channels\" is 2, expected 3 or 4");
    check_change("\"channels\":3", "\"channels\":4", NULL);
    check_change("\"mean\":[0.5,0.5,0.5]", "\"mean\":[0.5,0.5]", "\"mean\" is not an array of 3");
    check_change("\"mean\":[0.5,0.5,0.5]", "\"mean\":[0.5,0.5,\"0.5\"]", "\"mean\"[2]");
    check_change("\"mean\":[0.5,0.5,0.5]", "\"mean\":[0.5,1e30,0.5]", "\"mean\"[1]");
    check_change("\"std\":[1,1,1]", "\"std\":[1,1,0]", "\"std\"[2]");
    check_change("\"std\":[1,1,1]", "\"std\":[1,1e-30,1]", "\"std\"[1]");
    check_change("\"std\":[1,1,1]", "\"std\":[-1,1,1]", "\"std\"[0]");
    check_change("\"bilinear\"", "\"nearest\"", "\"filter\"");
    check_change(INPUT, "\"input\":[]", "\"input\" is another type");
    check_change("," INPUT, "", "\"input\" is missing");
}

static void check_round_trip(void)
{
    char *labels[] = {"defective", "\xd1\x82\xd0\xb5\xd0\xba\xd1\x81\xd1\x82", "quote\" and \\"};
    float thresholds[] = {0.1f, 1, 0x1.fffffep-2f};
    struct calibration calibrations[] = {{0.7f, 0}, {0x1.000002p-9f, -3.3f}, {1, 1 / 3.0f}};
    struct meta meta = {.arch = "resnet18",
                        .kind = META_CLASSIFIER,
                        .head = "sigmoid",
                        .labels = labels,
                        .thresholds = thresholds,
                        .calibrations = calibrations,
                        .review = {0.05f, 0.9f},
                        .n_labels = 3,
                        .input = {.width = 60,
                                  .height = 80,
                                  .channels = 4,
                                  .fill = {1, 0.5f, 0},
                                  .mean = {0.485f, 0.456f, 0.406f},
                                  .std = {0.229f, 1 / 3.0f, 1e-5f}},
                        .provenance = "{\"checkpoint\":\"a.pth\"}"};
    char *json = meta_print(&meta);
    struct meta back;
    struct bgd_err err = {0};
    cr_assert_eq(parse(json, strlen(json), &back, &err), 0, "%s\n%s", err.text, json);
    cr_expect_str_eq(back.arch, meta.arch);
    cr_expect_str_eq(back.head, meta.head);
    cr_expect_str_eq(back.provenance, meta.provenance);
    cr_expect(back.n_labels == 3 && back.input.channels == 4);
    for (int i = 0; i < 3; i++) {
        cr_expect_str_eq(back.labels[i], labels[i]);
        cr_expect_eq(back.thresholds[i], thresholds[i]);
    }
    cr_assert_not_null(back.calibrations);
    cr_expect(memcmp(back.calibrations, calibrations, sizeof calibrations) == 0 &&
              memcmp(back.review, meta.review, sizeof meta.review) == 0);
    cr_expect(memcmp(&back.input, &meta.input, sizeof meta.input) == 0, "%s", json);
    cr_expect(strstr(json, "0.485"), "the shortest decimal: %s", json);
    meta_free(&back);
    free(json);
}

Test(meta, what_is_printed_reads_back_to_the_bit)
{
    check_round_trip();
}

Test(meta, a_locale_with_decimal_commas_changes_nothing)
{
    static const char *const names[] = {"de_DE.UTF-8", "ru_RU.UTF-8", "fr_FR.UTF-8", "de_DE", "ru_RU"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (setlocale(LC_NUMERIC, names[i])) {
            check_round_trip();
            return;
        }
    cr_skip_test("no such locale on this machine");
}
