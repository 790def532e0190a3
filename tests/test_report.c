/* The report, judged by the page that it writes, and the curves that are drawn on it. */
#include "eval/report.h"

#include "eval/chart.h"
#include "page/html.h"
#include "pages.h"
#include "random.h"
#include "scratch.h"

#include <ctype.h>
#include <locale.h>
#include <math.h>

/* ---------------------------------------------------------------- pages */

#define HEADER "file,clean,text,not_white,extra_objects,cropped,duplicates\n"
#define CARDS HEADER "a.jpg,1,0,0,0,,\nb.jpg,0,1,0,0,,\nc.jpg,1,0,0,0,,\nd.jpg,0,0,0,0,,\n"

/* How the labels are judged: P is 0.9 where the truth is yes, 0.2 where it is no; the model does not know "duplicates". */
struct judging {
    size_t swapped;   /* the first so many cards are judged the wrong way round */
    bool review;      /* the last card is up for review */
    const char *fail; /* files whose name begins so are missing */
    uint32_t draws;
    bool fitted;            /* the model has seen these labels */
    struct bgd_image image; /* of the first card, shown as a mistake if it has pixels */
    struct bgd_image mask;
};

static void judge(const struct labels *labels, const struct judging *how, size_t i, struct evaluation *evaluation)
{
    const struct label *label = &labels->rows[i];
    struct flow_row row = {.index = i, .id = label->file, .detail = ""};
    if (how->fail && strncmp(label->file, how->fail, strlen(how->fail)) == 0) {
        row.code = BGD_MISSING;
        row.detail = "no <such> file";
    }
    bool defective = label->truth[OUTPUT_DEFECTIVE] != (i < how->swapped);
    row.result.score = defective ? 0.9f : 0.2f;
    row.result.verdict = how->review && i + 1 == labels->count ? BGD_REVIEW : defective ? BGD_DEFECTIVE : BGD_CLEAN;
    for (int r = 0; r < BGD_REASONS; r++)
        row.result.reasons[r] = r == BGD_DUPLICATES ? NAN : label->truth[OUTPUT_REASON + r] == 1 ? 0.9f : 0.2f;
    struct bgd_err err;
    cr_assert_eq(evaluation_add(evaluation, &row, &err), 0);
}

/* The page on labels `csv`, to be freed. */
static char *page_of(const char *csv, struct judging how)
{
    struct bgd_err err = {0};
    struct labels *labels;
    cr_assert_eq(labels_parse(csv, strlen(csv), &labels, &err), 0, "%s", err.text);
    struct evaluation *evaluation;
    cr_assert_eq(evaluation_open(labels, &evaluation, &err), 0);
    for (size_t i = 0; i < labels->count; i++)
        judge(labels, &how, i, evaluation);
    const float thresholds[OUTPUTS] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
    cr_assert_eq(evaluation_measure(evaluation, thresholds, how.draws, 7, &err), 0);
    struct report_mistake mistake = {.card = 0, .image = how.image, .mask = how.mask};
    const struct report report = {.evaluation = evaluation,
                                  .title = "cards <of> \"ours\"",
                                  .pipeline = "resnet18",
                                  .model_hash = "0123abcd",
                                  .device = "ref",
                                  .fitted = how.fitted,
                                  .mistakes = &mistake,
                                  .n_mistakes = how.image.rgb != NULL};
    char *folder = scratch_enter();
    cr_assert_eq(report_write(&report, "report.html", &err), 0, "%s", err.text);
    char *page = scratch_read("report.html", NULL);
    scratch_leave(folder);
    evaluation_close(evaluation);
    labels_close(labels);
    return page;
}

static size_t count(const char *page, const char *text)
{
    size_t n = 0;
    for (const char *at = page; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

/* Of text that begins at `from`, what stands before `until`; to be freed. */
static char *part(const char *page, const char *from, const char *until)
{
    const char *begin = strstr(page, from), *end = begin ? strstr(begin, until) : NULL;
    cr_assert(end, "%s ... %s", from, until);
    return strndup(begin, (size_t)(end - begin));
}

/* The row of an output in the first table that has it, its tags left out. */
static char *row_of(const char *page, const char *output)
{
    char *head, *text;
    cr_assert(asprintf(&head, "<tr><th scope=\"row\">%s</th>", output) > 0);
    text = part(page, head, "</tr>");
    char *out = text;
    for (char *s = text; *s; s++) {
        if (*s == '<')
            s = strchr(s, '>');
        else
            *out++ = *s;
    }
    *out = 0;
    free(head);
    return text;
}

Test(report, every_element_is_closed_whatever_the_names)
{
    uint8_t rgb[12] = {0};
    char *page = page_of(
        "file,clean,text,not_white,extra_objects,cropped,duplicates,group,\"<q>\"\n"
        "\"<img src=x onerror=alert(1)>\",1,0,0,0,,,\"a\"\"'<b>&amp;\",\n"
        "\xff\xfe\x80&,0,1,0,0,,,,\n"
        "\"\x01\n\xe2\x80\xae.jpg\",0,1,0,0,,,x,\n"
        "<missing>,1,0,0,0,,,x,\n",
        (struct judging){
            .swapped = 2, .review = true, .fail = "<missing>", .draws = 50, .image = {.rgb = rgb, .width = 2, .height = 2}});
    assert_well_formed(page);
    free(page);
}

Test(report, a_name_is_text_and_never_markup)
{
    char *page = page_of(HEADER "\"<script>alert('1' & \"\"2\"\")</script>\",1,0,0,0,,\nb,0,1,0,0,,\n",
                         (struct judging){.fail = "<script>"});
    cr_assert(strstr(page, "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;"));
    cr_assert(strstr(page, "no &lt;such&gt; file"));
    cr_assert(strstr(page, "<title>cards &lt;of&gt; &quot;ours&quot;</title>"));
    cr_assert_not(strstr(page, "<script"));
    free(page);
}

static char *html_of(void (*put)(FILE *page, const char *text), const char *text)
{
    char *html;
    size_t size;
    FILE *page = open_memstream(&html, &size);
    put(page, text);
    fclose(page);
    return html;
}

Test(report, what_is_no_character_is_shown_as_one_that_says_so)
{
    char *html = html_of(html_text, "a\xff\xc3z\xed\xa0\x80\x07\xc2\x85é");
    cr_assert_str_eq(html, "a\uFFFD\uFFFDz\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDé");
    free(html);
}

Test(report, a_long_name_loses_its_middle_and_no_half_letters_appear)
{
    for (int shift = 0; shift < 3; shift++) { /* wherever the letters of three bytes begin */
        char name[700] = "", *at = name;
        at += sprintf(at, "%.*s", shift, "ab");
        for (int i = 0; i < 200; i++)
            at = stpcpy(at, "€");
        strcpy(at, ".jpg");
        char *html = html_of(html_name, name);
        cr_assert(strstr(html, "€…€"));
        cr_assert(strstr(html, "€.jpg</bdi>"));
        cr_assert_not(strstr(html, "\uFFFD"));
        cr_assert_leq(strlen(html), HTML_NAME_BYTES + strlen("<bdi>…</bdi>"));
        free(html);
    }
    char *html = html_of(html_name, "short.jpg");
    cr_assert_str_eq(html, "<bdi>short.jpg</bdi>");
    free(html);
}

Test(report, nothing_is_loaded_from_outside_the_page)
{
    uint8_t rgb[12] = {0};
    char *page = page_of(CARDS, (struct judging){.image = {.rgb = rgb, .width = 2, .height = 2}});
    static const char *const outside[] = {"http:", "https:", "//", "url(", "@import", "<link", "<script", "<iframe", "href"};
    char *pictures = strstr(page, "data:image"); /* whose digits are anything */
    *pictures = 0;
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        cr_assert_not(strstr(page, outside[i]), "%s", outside[i]);
    *pictures = 'd';
    cr_assert_eq(count(page, "src="), count(page, "src=\"data:image/png;base64,"));
    free(page);
}

/* ---------------------------------------------------------------- numbers */

Test(report, the_headline_has_the_numbers_with_their_intervals)
{
    char *page = page_of(CARDS, (struct judging){.swapped = 1, .draws = 200});
    char *headline = part(page, "<div class=\"headline\">", "<h2>");
    cr_assert(strstr(headline, "<b>75.0 %</b>"));
    /* -(ln 0.1 + ln 0.8 + 2 ln 0.9) / 4 */
    cr_assert(strstr(headline, "<b>0.684</b>"));
    cr_assert(strstr(headline, "<b>0.750</b>"));
    cr_assert_geq(count(headline, "<small>"), 3);
    cr_assert(strstr(page, "200 bootstrap draws (seed 7)"));
    free(headline);
    free(page);
}

Test(report, without_draws_there_are_no_intervals)
{
    char *page = page_of(CARDS, (struct judging){.swapped = 1});
    char *headline = part(page, "<div class=\"headline\">", "<h2>");
    cr_assert_eq(count(headline, "<small>"), 0);
    cr_assert_not(strstr(page, "bootstrap"));
    free(headline);
    free(page);
}

Test(report, a_reason_that_cannot_be_measured_says_why)
{
    char *page = page_of(CARDS, (struct judging){0});
    char *text = row_of(page, "text"), *not_white = row_of(page, "not_white"), *cropped = row_of(page, "cropped"),
         *duplicates = row_of(page, "duplicates");
    cr_assert_str_eq(text, "text410.500100.0 %0.194100.0 %100.0 %100.0 %1.0001.0000.175");
    cr_assert_str_eq(not_white, "not_white4no positives0.500100.0 %0.223–––––0.200");
    cr_assert_str_eq(cropped, "croppednobody has labelled it");
    cr_assert_str_eq(duplicates, "duplicatesthe model does not know it");
    cr_assert(strstr(page, "Without any label: cropped, duplicates."));
    free(text);
    free(not_white);
    free(cropped);
    free(duplicates);
    free(page);
}

Test(report, a_model_that_was_calibrated_on_these_labels_is_not_flattered_in_silence)
{
    char *page = page_of(CARDS, (struct judging){.fitted = true}), *other = page_of(CARDS, (struct judging){0});
    cr_expect(strstr(page, REPORT_FITTED) && !strstr(other, REPORT_FITTED));
    free(page);
    free(other);
}

Test(report, a_number_that_does_not_exist_is_a_dash)
{
    char *clean = page_of(HEADER "a,1,0,,,,\nb,1,0,,,,\n", (struct judging){.draws = 20});
    char *failed = page_of(CARDS, (struct judging){.fail = "", .draws = 20});
    char *pages[] = {clean, failed};
    for (int i = 0; i < 2; i++) {
        assert_well_formed(pages[i]);
        for (char *s = pages[i]; (s = strcasestr(s, "nan")); s++)
            cr_assert(isalpha((unsigned char)s[-1]) || isalpha((unsigned char)s[3]), "%.40s", s - 10);
        cr_assert_not(strstr(pages[i], "inf<"));
        cr_assert(strstr(pages[i], "<b>–</b>"));
        cr_assert(strstr(pages[i], "no output has cards of both kinds"));
    }
    char *defective = row_of(failed, "defective");
    cr_assert_str_eq(defective, "defectiveno card was judged");
    char *headline = part(failed, "<div class=\"headline\">", "<h2>");
    cr_assert_eq(count(headline, "<small>"), 0, "an interval of nothing");
    free(headline);
    free(defective);
    free(clean);
    free(failed);
}

Test(report, verdicts_are_counted_against_the_labels)
{
    char *page = page_of(HEADER "a,1,,,,,\nb,1,,,,,\nc,1,,,,,\nd,0,1,,,,\n", (struct judging){.swapped = 1});
    char *table = part(page, "<table class=\"confusion\">", "</table>");
    cr_assert(strstr(table, "<td class=\"good\" style=\"--share:0.667\"><b>2</b><small>66.7 %</small></td>"
                            "<td class=\"bad\" style=\"--share:0.333\"><b>1</b><small>33.3 %</small></td><td>3</td>"));
    cr_assert(strstr(table, "<td class=\"bad\" style=\"--share:0.000\"><b>0</b><small>0.0 %</small></td>"
                            "<td class=\"good\" style=\"--share:1.000\"><b>1</b><small>100.0 %</small></td><td>1</td>"));
    free(table);
    free(page);
}

Test(report, review_has_a_column_only_where_a_card_is_up_for_it)
{
    char *with = page_of(CARDS, (struct judging){.review = true}), *without = page_of(CARDS, (struct judging){0});
    cr_assert(strstr(with, "judged review"));
    cr_assert(strstr(with, "<td class=\"review\" style=\"--share:0.500\"><b>1</b>"));
    cr_assert_not(strstr(without, "judged review"));
    free(with);
    free(without);
}

Test(report, each_group_has_a_row_and_a_folded_table)
{
    char *page = page_of("file,clean,text,not_white,extra_objects,cropped,duplicates,group\n"
                         "a,1,0,0,0,,,home & garden\nb,0,1,0,0,,,home & garden\nc,1,0,0,0,,,\n",
                         (struct judging){.swapped = 1});
    char *garden = row_of(page, "<bdi>home &amp; garden</bdi>"), *none = row_of(page, "<i>no group</i>");
    cr_assert(strstr(garden, "home &amp; garden2150.0 %"));
    cr_assert(strstr(none, "no group10100.0 %"));
    cr_assert_eq(count(page, "<details><summary>All outputs of "), 2);
    cr_assert_eq(count(page, "<table class=\"outputs\">"), 3);
    free(garden);
    free(none);
    free(page);
    page = page_of(CARDS, (struct judging){0});
    cr_assert_not(strstr(page, "<h2>Groups</h2>"));
    free(page);
}

Test(report, of_many_failed_files_the_first_fifty_are_listed)
{
    char csv[4096] = HEADER "good,1,0,0,0,,\n", *at = csv + strlen(csv);
    for (int i = 0; i < 53; i++)
        at += sprintf(at, "bad%02d,1,0,0,0,,\n", i);
    char *page = page_of(csv, (struct judging){.fail = "bad"});
    cr_assert(strstr(page, "54 labelled cards: 1 judged, 53 failed."));
    cr_assert(strstr(page, "<bdi>bad49</bdi></td><td>missing</td>"));
    cr_assert_not(strstr(page, "bad50"));
    cr_assert(strstr(page, "and 3 more"));
    free(page);
}

Test(report, a_locale_with_decimal_commas_changes_nothing)
{
    char *page = page_of(CARDS, (struct judging){.swapped = 1});
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (setlocale(LC_NUMERIC, names[i])) {
            char *other = page_of(CARDS, (struct judging){.swapped = 1});
            cr_assert_str_eq(other, page);
            cr_assert_eq(localeconv()->decimal_point[0], ',', "the caller's locale is left as it was");
            free(other);
            free(page);
            return;
        }
    free(page);
    cr_skip_test("no such locale on this machine");
}

Test(report, a_page_that_cannot_be_written_names_its_file)
{
    struct bgd_err err = {0};
    struct labels *labels;
    cr_assert_eq(labels_parse(CARDS, strlen(CARDS), &labels, &err), 0);
    struct evaluation *evaluation;
    cr_assert_eq(evaluation_open(labels, &evaluation, &err), 0);
    const float thresholds[OUTPUTS] = {0};
    cr_assert_eq(evaluation_measure(evaluation, thresholds, 0, 0, &err), 0);
    struct report report = {.evaluation = evaluation, .title = "", .pipeline = "", .model_hash = "", .device = ""};
    cr_assert_eq(report_write(&report, "/nowhere/report.html", &err), BGD_WRITE);
    cr_assert(strstr(err.text, "/nowhere/report.html"), "%s", err.text);
    evaluation_close(evaluation);
    labels_close(labels);
}

/* ---------------------------------------------------------------- pictures */

static int digit(char c)
{
    const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", *at = strchr(digits, c);
    cr_assert(c && at, "'%c' is no digit of base64", c);
    return (int)(at - digits);
}

/* RFC 4648; returns the number of bytes. */
static size_t decode_base64(const char *text, size_t size, uint8_t *out)
{
    size_t n = 0;
    cr_assert_eq(size % 4, 0);
    for (size_t i = 0; i < size; i += 4) {
        int padding = i + 4 == size ? (text[i + 3] == '=') + (text[i + 2] == '=') : 0, bits = 0;
        for (int j = 0; j < 4; j++)
            bits = bits << 6 | (j < 4 - padding ? digit(text[i + (size_t)j]) : 0);
        for (int j = 0; j < 3 - padding; j++)
            out[n++] = (uint8_t)(bits >> (16 - 8 * j));
    }
    return n;
}

Test(report, a_mistake_is_shown_pixel_for_pixel)
{
    bool remainders[3] = {false}; /* all three ways in which base64 can end */
    for (uint32_t width = 1; width < 24; width++) {
        uint32_t height = 1 + width % 5;
        uint8_t rgb[24 * 5 * 3], png[4096];
        for (size_t i = 0; i < sizeof rgb; i++)
            rgb[i] = (uint8_t)random_bits(width, i);
        char *page = page_of(CARDS, (struct judging){.swapped = 1, .image = {.rgb = rgb, .width = width, .height = height}});
        cr_assert_eq(count(page, "<img "), 1, "there is no mask and nothing that was judged");
        const char *data = strstr(page, "src=\"data:image/png;base64,") + strlen("src=\"data:image/png;base64,");
        size_t size = decode_base64(data, strcspn(data, "\""), png);
        struct bgd_image image = {0};
        struct bgd_err err = {0};
        cr_assert_eq(bgd_image_decode(png, size, 0, 0, &image, &err), 0, "%s", err.text);
        cr_assert(image.format == BGD_PNG && image.width == width && image.height == height);
        cr_assert_arr_eq(image.rgb, rgb, width * height * 3);
        remainders[size % 3] = true;
        bgd_image_free(&image);
        free(page);
    }
    cr_assert(remainders[0] && remainders[1] && remainders[2]);
}

Test(report, a_mask_has_the_shape_of_its_card_and_not_of_the_network)
{
    uint8_t rgb[4 * 3 * 3] = {0};
    struct judging how = {.image = {.rgb = rgb, .width = 2, .height = 3}, .mask = {.rgb = rgb, .width = 4, .height = 3}};
    char *page = page_of(CARDS, how);
    cr_assert_eq(count(page, "width=\"133\" style=\"aspect-ratio:2/3\""), 2, "a card and its mask, 133 by 200");
    free(page);
}

Test(report, beside_a_mistake_stand_its_label_its_verdict_and_what_was_thought)
{
    uint8_t rgb[12] = {0};
    char *page = page_of(HEADER "b.jpg,0,1,0,0,1,\nc.jpg,1,0,0,0,0,\n",
                         (struct judging){.swapped = 1, .image = {.rgb = rgb, .width = 2, .height = 2}});
    char *caption = part(strstr(page, "class=\"cards\""), "<figcaption>", "</figcaption>");
    cr_assert(strstr(caption, "<bdi>b.jpg</bdi>"));
    cr_assert(strstr(caption, "labelled <b>defective: text, cropped</b>, judged <b>clean</b>, P(defective)\u00a00.200"));
    cr_assert(strstr(caption, "<td class=\"labelled\">0.90</td><td>0.20</td><td>0.20</td><td class=\"labelled\">0.90</td>"
                              "<td>–</td>"));
    free(caption);
    free(page);
}

/* ---------------------------------------------------------------- curves */

/* Points of n cards, one distinct P each; card i is a "yes" with the chance yes(i / n). */
static struct metrics_point *points_of(size_t n, double (*yes)(double))
{
    struct metrics_point *points = malloc(n * sizeof *points);
    size_t tp = 0, fp = 0;
    for (size_t i = 0; i < n; i++) {
        bool positive = (random_at(5, i) + 1) / 2 < yes((double)i / (double)n);
        tp += positive;
        fp += !positive;
        points[i] = (struct metrics_point){1 - (float)i / (float)n, tp, fp};
    }
    return points;
}

static double falling(double x)
{
    return 0.98 * (1 - x) * (1 - x) / ((1 - x) * (1 - x) + x * x) + 0.01;
}

/* How far (x, y) is from the nearest of the curve's straight pieces. */
static double distance(const struct chart_curve *curve, double x, double y)
{
    double least = INFINITY;
    for (size_t i = 1; i < curve->n; i++) {
        struct chart_point a = curve->vertices[i - 1], b = curve->vertices[i];
        double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
        double t = length > 0 ? fmin(fmax(((x - a.x) * dx + (y - a.y) * dy) / length, 0), 1) : 0;
        least = fmin(least, hypot(x - a.x - t * dx, y - a.y - t * dy));
    }
    return least;
}

static void assert_at(struct chart_point point, double x, double y)
{
    cr_assert(fabs(point.x - x) < 1e-9 && fabs(point.y - y) < 1e-9, "(%g, %g), expected (%g, %g)", point.x, point.y, x, y);
}

Test(report, a_curve_of_a_million_points_is_drawn_by_a_few_and_looks_the_same)
{
    size_t n = 1000000;
    struct metrics_point *points = points_of(n, falling);
    double positives = (double)points[n - 1].tp, negatives = (double)points[n - 1].fp;
    static struct chart_curve roc, precision_recall;
    cr_assert(chart_roc(points, n, &roc) && chart_precision_recall(points, n, &precision_recall));
    cr_assert_leq(roc.n, CHART_VERTICES);
    cr_assert_leq(precision_recall.n, CHART_VERTICES);
    assert_at(roc.vertices[0], 0, 0);
    assert_at(roc.vertices[roc.n - 1], 1, 1);
    assert_at(precision_recall.vertices[precision_recall.n - 1], 1, positives / (double)n);
    for (size_t i = 0; i < n; i += i < 1000 ? 1 : 97) {
        double tp = (double)points[i].tp, fp = (double)points[i].fp;
        cr_assert_lt(distance(&roc, fp / negatives, tp / positives), 0.001);
        cr_assert_lt(distance(&precision_recall, tp / positives, tp / (tp + fp)), 0.001);
    }
    free(points);
}

Test(report, the_corners_of_a_curve_stay_and_what_lies_on_a_line_goes)
{
    struct metrics_point points[300]; /* a hundred each: half of the positives, all negatives, the other half */
    for (size_t i = 0; i < 300; i++)
        points[i] = (struct metrics_point){0, i < 100 ? i + 1 : i < 200 ? 100 : i - 99, i < 100 ? 0 : i < 200 ? i - 99 : 100};
    static struct chart_curve roc;
    cr_assert(chart_roc(points, 300, &roc));
    cr_assert_eq(roc.n, 4);
    assert_at(roc.vertices[0], 0, 0);
    assert_at(roc.vertices[1], 0, 0.5);
    assert_at(roc.vertices[2], 1, 0.5);
    assert_at(roc.vertices[3], 1, 1);
}

Test(report, more_corners_than_there_is_room_for_end_at_the_limit)
{
    struct metrics_point points[2000];
    for (size_t i = 0; i < 2000; i++)
        points[i] = (struct metrics_point){0, (i + 2) / 2, (i + 1) / 2};
    static struct chart_curve curve;
    cr_assert(chart_precision_recall(points, 2000, &curve));
    cr_assert_leq(curve.n, CHART_VERTICES);
    assert_at(curve.vertices[0], 0, 1);
    assert_at(curve.vertices[curve.n - 1], 1, 0.5);
}

Test(report, the_area_beneath_a_curve_is_the_number_in_its_legend)
{
    float p[40];
    uint8_t truth[40];
    for (size_t i = 0; i < 40; i++) {
        truth[i] = random_bits(1, i) % 2;
        p[i] = (float)(random_bits(2, i) % 20 + 6u * truth[i]) / 32; /* ties among them */
    }
    const struct metrics_sample sample = {p, truth, 40, 0.5f};
    struct metrics metrics;
    struct metrics_point *points;
    size_t n;
    struct bgd_err err;
    cr_assert_eq(metrics_measure(&sample, 0, 0, &metrics, &err), 0);
    cr_assert_eq(metrics_curve(&sample, &points, &n, &err), 0);
    static struct chart_curve curves[2];
    cr_assert(chart_roc(points, n, &curves[0]) && chart_precision_recall(points, n, &curves[1]));
    double area[2] = {0};
    for (int c = 0; c < 2; c++)
        for (size_t i = 1; i < curves[c].n; i++) {
            struct chart_point a = curves[c].vertices[i - 1], b = curves[c].vertices[i];
            area[c] += (b.x - a.x) * (a.y + b.y) / 2;
        }
    cr_assert_float_eq(area[0], metrics.value[METRIC_ROC_AUC], 1e-9);
    cr_assert_float_eq(area[1], metrics.value[METRIC_AVERAGE_PRECISION], 1e-9);
    free(points);
}

Test(report, one_class_alone_has_no_curve)
{
    const struct metrics_point yes[] = {{0.5f, 1, 0}, {0.25f, 2, 0}}, no[] = {{0.5f, 0, 1}, {0.25f, 0, 2}};
    static struct chart_curve curve;
    cr_assert_not(chart_roc(yes, 2, &curve) || chart_precision_recall(yes, 2, &curve));
    cr_assert_not(chart_roc(no, 2, &curve) || chart_precision_recall(no, 2, &curve));
    cr_assert_eq(curve.n, 0);
}
