/* A run's numbers for Prometheus. What the text must be is Prometheus's own to say: promtool, where it is installed. */
#include "run/prometheus.h"
#include "scratch.h"

#include <locale.h>

static char *folder;

static void enter(void)
{
    folder = scratch_enter();
}

static void leave(void)
{
    scratch_leave(folder);
}

TestSuite(prometheus, .init = enter, .fini = leave);

static const struct prometheus_state nothing = {.pipeline = "resnet18", .hash = "00", .device = "ref"};

static const struct prometheus_state everything = {
    .pipeline = "tracer-te0 + resnet18",
    .hash = "0123456789abcdef0123456789abcdef",
    .device = "onednn",
    .counts = {.rows = 1000,
               .verdicts = {900, 30, 61},
               .errors = 9,
               .codes = {[-BGD_MISSING] = 1, [-BGD_DAMAGED] = 5, [-BGD_NETWORK] = 3},
               .reasons = {40, 10, 8, 7, 6},
               .known = 700},
    .read_bytes = 12345678901234,
    .read = {.seconds = 0.25, .images = 998},
    .decode = {.seconds = 12.0000015, .images = 297},
    .segment = {.seconds = 100000.5, .images = 291},
    .classify = {.seconds = 3, .images = 291},
    .evidence = {.seconds = 0.5, .images = 91},
    .queue = 64,
    .shards = 2,
    .start = 1767225600,
    .last_update = 1767229200,
    .finished = true,
    .exit_code = 75,
};

/* The file that is written of the state, to be freed. */
static char *text_of(const struct prometheus_state *state)
{
    struct bgd_err err = {0};
    cr_assert_eq(prometheus_write("bgdet.prom", state, &err), 0, "%s", err.text);
    return scratch_read("bgdet.prom", NULL);
}

static void assert_line(const char *text, const char *line)
{
    char *whole = NULL;
    cr_assert(asprintf(&whole, "\n%s\n", line) > 0);
    cr_expect(strstr(text, whole), "no line %s in:\n%s", line, text);
    free(whole);
}

static const char golden[] =
    "# HELP bgdet_images_total Images that have a row, by what the row says.\n"
    "# TYPE bgdet_images_total counter\n"
    "bgdet_images_total{result=\"clean\"} 900\n"
    "bgdet_images_total{result=\"review\"} 30\n"
    "bgdet_images_total{result=\"defective\"} 61\n"
    "bgdet_images_total{result=\"error\"} 9\n"
    "# HELP bgdet_image_errors_total Images that could not be judged, by why.\n"
    "# TYPE bgdet_image_errors_total counter\n"
    "bgdet_image_errors_total{reason=\"missing\"} 1\n"
    "bgdet_image_errors_total{reason=\"unreadable\"} 0\n"
    "bgdet_image_errors_total{reason=\"unknown_format\"} 0\n"
    "bgdet_image_errors_total{reason=\"damaged\"} 5\n"
    "bgdet_image_errors_total{reason=\"unsupported\"} 0\n"
    "bgdet_image_errors_total{reason=\"limit\"} 0\n"
    "bgdet_image_errors_total{reason=\"memory\"} 0\n"
    "bgdet_image_errors_total{reason=\"argument\"} 0\n"
    "bgdet_image_errors_total{reason=\"device\"} 0\n"
    "bgdet_image_errors_total{reason=\"write\"} 0\n"
    "bgdet_image_errors_total{reason=\"network\"} 3\n"
    "# HELP bgdet_image_reasons_total Images for which a reason holds; one image may have several.\n"
    "# TYPE bgdet_image_reasons_total counter\n"
    "bgdet_image_reasons_total{reason=\"text\"} 40\n"
    "bgdet_image_reasons_total{reason=\"not_white\"} 10\n"
    "bgdet_image_reasons_total{reason=\"extra_objects\"} 8\n"
    "bgdet_image_reasons_total{reason=\"cropped\"} 7\n"
    "bgdet_image_reasons_total{reason=\"duplicates\"} 6\n"
    "# HELP bgdet_ledger_hits_total Images whose result was known of the same bytes.\n"
    "# TYPE bgdet_ledger_hits_total counter\n"
    "bgdet_ledger_hits_total 700\n"
    "# HELP bgdet_read_bytes_total Bytes of images that were read.\n"
    "# TYPE bgdet_read_bytes_total counter\n"
    "bgdet_read_bytes_total 12345678901234\n"
    "# HELP bgdet_stage_duration_seconds Time spent on images, all threads added up, by stage.\n"
    "# TYPE bgdet_stage_duration_seconds summary\n"
    "bgdet_stage_duration_seconds_sum{stage=\"read\"} 0.250000\n"
    "bgdet_stage_duration_seconds_count{stage=\"read\"} 998\n"
    "bgdet_stage_duration_seconds_sum{stage=\"decode\"} 12.000002\n"
    "bgdet_stage_duration_seconds_count{stage=\"decode\"} 297\n"
    "bgdet_stage_duration_seconds_sum{stage=\"segment\"} 100000.500000\n"
    "bgdet_stage_duration_seconds_count{stage=\"segment\"} 291\n"
    "bgdet_stage_duration_seconds_sum{stage=\"classify\"} 3.000000\n"
    "bgdet_stage_duration_seconds_count{stage=\"classify\"} 291\n"
    "bgdet_stage_duration_seconds_sum{stage=\"evidence\"} 0.500000\n"
    "bgdet_stage_duration_seconds_count{stage=\"evidence\"} 91\n"
    "# HELP bgdet_queue_images Images that wait for their row.\n"
    "# TYPE bgdet_queue_images gauge\n"
    "bgdet_queue_images 64\n"
    "# HELP bgdet_shards_total Shards of the output that were published.\n"
    "# TYPE bgdet_shards_total counter\n"
    "bgdet_shards_total 2\n"
    "# HELP bgdet_model_info What judges the images; always 1.\n"
    "# TYPE bgdet_model_info gauge\n"
    "bgdet_model_info{pipeline=\"tracer-te0 + resnet18\",hash=\"0123456789abcdef0123456789abcdef\",device=\"onednn\","
    "version=\"" BGD_VERSION "\"} 1\n"
    "# HELP bgdet_start_time_seconds When the run began, since the Unix epoch.\n"
    "# TYPE bgdet_start_time_seconds gauge\n"
    "bgdet_start_time_seconds 1767225600\n"
    "# HELP bgdet_last_update_timestamp_seconds When this was written, since the Unix epoch.\n"
    "# TYPE bgdet_last_update_timestamp_seconds gauge\n"
    "bgdet_last_update_timestamp_seconds 1767229200\n"
    "# HELP bgdet_finished 1 if the run has ended.\n"
    "# TYPE bgdet_finished gauge\n"
    "bgdet_finished 1\n"
    "# HELP bgdet_exit_code Exit code of a run that has ended; 0 until then.\n"
    "# TYPE bgdet_exit_code gauge\n"
    "bgdet_exit_code 75\n";

Test(prometheus, every_number_stands_in_its_series)
{
    char *text = text_of(&everything);
    cr_expect_str_eq(text, golden);
    free(text);
}

/* The names of the series, a line each, without their values. */
static char *series_of(char *text)
{
    char *series = NULL;
    size_t size;
    FILE *file = open_memstream(&series, &size);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (*line != '#' && !strstr(line, "model_info"))
            fprintf(file, "%.*s\n", (int)(strrchr(line, ' ') - line), line);
    fclose(file);
    return series;
}

Test(prometheus, every_series_is_there_from_the_start)
{
    char *first = text_of(&nothing), *last = text_of(&everything);
    char *before = series_of(first), *after = series_of(last);
    cr_expect_str_eq(before, after);
    free(before);
    free(after);
    free(first);
    free(last);
}

Test(prometheus, every_code_of_an_error_has_its_series)
{
    cr_expect_str_neq(bgd_code_name(1 - BGD_CODES), "unknown");
    cr_expect_str_eq(bgd_code_name(-BGD_CODES), "unknown", "there is a newer code");
}

Test(prometheus, rows_are_counted_by_what_they_say)
{
    struct prometheus_state state = nothing;
    const struct flow_row rows[] = {
        {.result = {.verdict = BGD_CLEAN}},
        {.result = {.verdict = BGD_DEFECTIVE, .holds = {[BGD_TEXT] = true, [BGD_CROPPED] = true}}},
        {.result = {.verdict = BGD_REVIEW, .holds = {[BGD_TEXT] = true}}},
        {.code = BGD_NETWORK},
        {.code = BGD_MISSING},
        {.code = BGD_NETWORK},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        results_count(&state.counts, &rows[i]);
    char *text = text_of(&state);
    assert_line(text, "bgdet_images_total{result=\"clean\"} 1");
    assert_line(text, "bgdet_images_total{result=\"review\"} 1");
    assert_line(text, "bgdet_images_total{result=\"defective\"} 1");
    assert_line(text, "bgdet_images_total{result=\"error\"} 3");
    assert_line(text, "bgdet_image_errors_total{reason=\"missing\"} 1");
    assert_line(text, "bgdet_image_errors_total{reason=\"network\"} 2");
    assert_line(text, "bgdet_image_reasons_total{reason=\"text\"} 2");
    assert_line(text, "bgdet_image_reasons_total{reason=\"cropped\"} 1");
    assert_line(text, "bgdet_image_reasons_total{reason=\"not_white\"} 0");
    free(text);
}

/* The rules of the format: \\, \" and \n; all else is UTF-8. */
static const char outlandish[] = "a\\b\"c\nd \xd1\x87\xd0\xb0\xd0\xb9 \xff\xc3\r\t{}";

Test(prometheus, a_label_is_escaped_and_is_utf8)
{
    struct prometheus_state state = nothing;
    state.pipeline = outlandish;
    char *text = text_of(&state);
    assert_line(text,
                "bgdet_model_info{pipeline=\"a\\\\b\\\"c\\nd \xd1\x87\xd0\xb0\xd0\xb9 ??\r\t{}\",hash=\"00\",device=\"ref\","
                "version=\"" BGD_VERSION "\"} 1");
    free(text);
}

Test(prometheus, a_locale_with_decimal_commas_changes_nothing)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (setlocale(LC_NUMERIC, names[i])) {
            char *text = text_of(&everything);
            cr_expect_str_eq(text, golden);
            free(text);
            return;
        }
    cr_skip_test("no such locale on this machine");
}

Test(prometheus, a_file_that_cannot_be_written_is_named)
{
    struct bgd_err err = {0};
    cr_expect_eq(prometheus_write("no/such/bgdet.prom", &nothing, &err), BGD_WRITE);
    cr_expect(strstr(err.text, "no/such/bgdet.prom: "), "%s", err.text);
}

/* ---------------------------------------------------------------- promtool */

static void assert_promtool(const char *command)
{
    if (system("promtool --version >/dev/null 2>&1") != 0)
        cr_skip_test("promtool is not installed");
    char *line = NULL;
    cr_assert(asprintf(&line, "promtool %s >said 2>&1", command) > 0);
    int status = system(line);
    char *said = scratch_read("said", NULL);
    cr_expect_eq(status, 0, "promtool %s:\n%s", command, said);
    free(said);
    free(line);
}

Test(prometheus, promtool_reads_the_text_and_its_lint_finds_nothing)
{
    struct prometheus_state state = everything;
    state.pipeline = outlandish;
    free(text_of(&state));
    assert_promtool("check metrics <bgdet.prom");
}

Test(prometheus, the_alert_rules_are_valid_and_fire_when_they_should)
{
    assert_promtool("check rules '" BGDET_SOURCE_DIR "/tools/prometheus/alerts.yml'");
    assert_promtool("test rules '" BGDET_SOURCE_DIR "/tests/alerts.yml'");
}
