/* How far a run is, for programs: JSON lines on stderr. */
#include "progress.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void assert_json(struct progress progress, double elapsed, const char *expected)
{
    char line[PROGRESS_LINE];
    progress_json(&progress, elapsed, line);
    cr_expect_str_eq(line, expected);
}

Test(progress, a_line_says_rows_errors_share_rate_and_time_left)
{
    assert_json(
        (struct progress){.rows = 1912, .errors = 3, .share = 0.25f}, 10,
        "{\"event\":\"progress\",\"rows\":1912,\"errors\":3,\"share\":0.2500,\"per_second\":191.2,\"seconds_left\":30.0}\n");
    assert_json((struct progress){.rows = 8, .share = 1}, 4,
                "{\"event\":\"progress\",\"rows\":8,\"errors\":0,\"share\":1.0000,\"per_second\":2.0,\"seconds_left\":0.0}\n");
}

Test(progress, what_nobody_knows_is_absent)
{
    assert_json((struct progress){.rows = 20, .share = NAN}, 10,
                "{\"event\":\"progress\",\"rows\":20,\"errors\":0,\"per_second\":2.0}\n");
    assert_json((struct progress){.rows = 0, .share = 0}, 10,
                "{\"event\":\"progress\",\"rows\":0,\"errors\":0,\"share\":0.0000,\"per_second\":0.0}\n");
}

Test(progress, every_number_is_finite_and_every_line_whole)
{
    const uint64_t rows[] = {0, 1, UINT64_MAX};
    const float shares[] = {0, FLT_TRUE_MIN, FLT_MIN, 0.5f, 1, NAN};
    const double elapsed[] = {0, 1e-9, 1, 1e9};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t k = 0; k < sizeof shares / sizeof shares[0]; k++)
            for (size_t j = 0; j < sizeof elapsed / sizeof elapsed[0]; j++) {
                char line[PROGRESS_LINE];
                const struct progress progress = {.rows = rows[i], .errors = rows[i], .share = shares[k]};
                progress_json(&progress, elapsed[j], line);
                cJSON *object = cJSON_Parse(line);
                cr_assert(object && line[strlen(line) - 1] == '\n', "%s", line);
                for (const cJSON *item = object->child->next; item; item = item->next)
                    cr_expect(cJSON_IsNumber(item) && isfinite(item->valuedouble), "%s: %s", item->string, line);
                cJSON_Delete(object);
            }
}

/* What a run of `rows` rows writes to stderr, which is a file here: the last line, and how many there are. */
static size_t lines_of(enum progress_form form, uint64_t rows, char last[PROGRESS_LINE], double *seconds)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    cr_assert(file && kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    struct progress progress;
    progress_start(&progress, form);
    for (uint64_t row = 1; row <= rows; row++)
        progress_show(&progress, row, 1, (float)row / (float)rows);
    progress_end(&progress);
    *seconds = progress_seconds(&progress);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    size_t lines = 0;
    while (fgets(last, PROGRESS_LINE, file))
        lines++;
    fclose(file);
    return lines;
}

Test(progress, a_line_a_second_at_the_most_and_a_last_one_with_all_rows)
{
    char last[PROGRESS_LINE] = "";
    double seconds;
    size_t lines = lines_of(PROGRESS_JSON, 100000, last, &seconds);
    cr_expect(lines >= 2 && (double)lines <= 2 + seconds, "%zu lines in %g s", lines, seconds);
    cr_expect(strstr(last, "\"rows\":100000,\"errors\":1,\"share\":1.0000,"), "%s", last);
    cr_expect_eq(lines_of(PROGRESS_JSON, 0, last, &seconds), 1, "a run without rows has its end, too");
    cr_expect(strstr(last, "\"rows\":0,\"errors\":0,\"per_second\""), "%s", last);
}

Test(progress, a_stderr_that_is_no_terminal_gets_no_bar)
{
    char last[PROGRESS_LINE];
    double seconds;
    cr_expect_eq(lines_of(PROGRESS_BAR, 1000, last, &seconds), 0);
    cr_expect_eq(lines_of(PROGRESS_NONE, 1000, last, &seconds), 0);
}
