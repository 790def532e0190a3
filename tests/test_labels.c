/* Label files: what is read of good ones, and what is said about bad ones. */
#include "eval/labels.h"

#include "scratch.h"

#define HEADER "file,clean,text,not_white,extra_objects,cropped,duplicates\n"

static struct labels *parsed(const char *text)
{
    struct labels *labels;
    struct bgd_err err = {0};
    cr_assert_eq(labels_parse(text, strlen(text), &labels, &err), 0, "%s: %s", text, err.text);
    return labels;
}

static void expect_refusal_of(const char *text, size_t size, enum bgd_code code, const char *expected)
{
    struct labels *labels;
    struct bgd_err err = {0};
    cr_expect_eq(labels_parse(text, size, &labels, &err), code, "%s: %s", text, err.text);
    cr_expect(strstr(err.text, expected), "\"%s\" is not in: %s", expected, err.text);
    cr_expect_null(labels);
    labels_close(labels);
}

static void expect_refusal(const char *text, const char *expected)
{
    expect_refusal_of(text, strlen(text), BGD_DAMAGED, expected);
}

static void expect_truth(const struct label *label, const int truth[OUTPUTS])
{
    for (int i = 0; i < OUTPUTS; i++)
        cr_expect_eq(label->truth[i], truth[i], "%s of %s", output_name(i), label->file);
}

Test(labels, leaves_out_rows_of_commas_alone)
{
    struct bgd_err err;
    struct labels *labels;
    const char *text = "file,clean,text,not_white,extra_objects,cropped,duplicates\na.jpg,1,0,0,0,0,0\n,,,,,,\n,,,,,,\n";
    cr_assert_eq(labels_parse(text, strlen(text), &labels, &err), 0, "%s", err.text);
    cr_expect_eq(labels->count, 1);
    labels_close(labels);
    expect_refusal("file,clean,text,not_white,extra_objects,cropped,duplicates\n,1,,,,,\n", "line 2: \"file\" is empty");
}

Test(labels, reads_what_is_known_of_each_card)
{
    struct labels *labels = parsed(HEADER "a.jpg,1,0,0,0,0,0\nb.jpg,0,1,0,,,1\nc d.jpg,0,,,,,\n");
    cr_assert_eq(labels->count, 3);
    cr_expect_str_eq(labels->rows[0].file, "a.jpg");
    cr_expect_str_eq(labels->rows[2].file, "c d.jpg");
    cr_expect(labels->rows[0].line == 2 && labels->rows[2].line == 4);
    expect_truth(&labels->rows[0], (const int[]){0, 0, 0, 0, 0, 0});
    expect_truth(&labels->rows[1], (const int[]){1, 1, 0, -1, -1, 1});
    expect_truth(&labels->rows[2], (const int[]){1, -1, -1, -1, -1, -1});
    cr_expect_eq(labels->n_groups, 0);
    cr_expect_str_eq(labels->ignored, "");
    labels_close(labels);
}

Test(labels, takes_columns_in_any_order_and_says_what_it_ignores)
{
    struct labels *labels = parsed("who,group,duplicates,cropped,extra_objects,not_white,text,clean,File,file\n"
                                   "me,beauty,1,0,0,0,0,0,x,a.jpg\nme,,,,,,,1,y,b.jpg\nme,beauty,,,,,,1,z,c.jpg\n");
    cr_expect_str_eq(labels->ignored, "who, File");
    expect_truth(&labels->rows[0], (const int[]){1, 0, 0, 0, 0, 1});
    cr_expect_str_eq(labels->rows[1].file, "b.jpg");
    cr_assert_eq(labels->n_groups, 2);
    cr_expect_str_eq(labels->groups[0], "beauty");
    cr_expect_str_eq(labels->groups[1], "");
    cr_expect(labels->rows[0].group == 0 && labels->rows[1].group == 1 && labels->rows[2].group == 0);
    labels_close(labels);
}

Test(labels, takes_a_byte_order_mark_crlf_empty_lines_and_no_last_line_end)
{
    struct labels *labels = parsed("\xef\xbb\xbf\r\nfile,clean,text,not_white,extra_objects,cropped,duplicates\r\n\r\n"
                                   "a.jpg,1,,,,,\r\n\n\nb.jpg,0,,,,,1");
    cr_assert_eq(labels->count, 2);
    cr_expect_str_eq(labels->rows[0].file, "a.jpg");
    cr_expect(labels->rows[0].line == 4 && labels->rows[1].line == 7);
    cr_expect_eq(labels->rows[1].truth[OUTPUT_REASON + BGD_DUPLICATES], 1);
    labels_close(labels);
    labels = parsed(HEADER "a.jpg,1,,,,,"); /* ends in an empty value */
    cr_expect(labels->count == 1 && labels->rows[0].truth[OUTPUTS - 1] == -1);
    labels_close(labels);
}

Test(labels, undoes_quotes)
{
    struct labels *labels = parsed("\"file\",\"clean\",text,not_white,extra_objects,cropped,duplicates,\"group\"\n"
                                   "\"a, b.jpg\",\"1\",\"\",,,,,\"say \"\"hi\"\"\"\n"
                                   "\"two\nlines\r\nand a\rCR.jpg\",0,,,,,\"1\",\"\"\"\"\n"
                                   "c.jpg,1,,,,,,\"\"\n");
    cr_assert_eq(labels->count, 3);
    cr_expect_str_eq(labels->rows[0].file, "a, b.jpg");
    cr_expect_str_eq(labels->groups[0], "say \"hi\"");
    cr_expect_str_eq(labels->rows[1].file, "two\nlines\r\nand a\rCR.jpg");
    cr_expect_str_eq(labels->groups[1], "\"");
    cr_expect_str_eq(labels->groups[2], "");
    cr_expect(labels->rows[1].line == 3 && labels->rows[2].line == 6);
    labels_close(labels);
}

Test(labels, takes_any_bytes_in_a_name)
{
    struct labels *labels = parsed(HEADER "\xff\xfe\x80 \x01\t;'.jpg,1,,,,,\n \xd0\x96.jpg ,1,,,,,\n");
    cr_expect_str_eq(labels->rows[0].file, "\xff\xfe\x80 \x01\t;'.jpg");
    cr_expect_str_eq(labels->rows[1].file, " \xd0\x96.jpg ", "spaces are the name's");
    labels_close(labels);
}

Test(labels, refuses_a_header_that_lacks_or_repeats_a_column)
{
    expect_refusal("", "expected a header");
    expect_refusal("\xef\xbb\xbf\n\r\n", "expected a header");
    expect_refusal("file,text,not_white,extra_objects,cropped,duplicates\na.jpg,,,,,\n",
                   "line 1: no column is called \"clean\"");
    expect_refusal("\nfile,clean,text,not_white,extra_objects,cropped\n", "line 2: no column is called \"duplicates\"");
    expect_refusal("file, clean,text,not_white,extra_objects,cropped,duplicates\n",
                   "no column is called \"clean\"; found but not read:  clean");
    expect_refusal("file,clean,text,not_wite,extra_objects,cropped,duplicates\n",
                   "no column is called \"not_white\" (its values may be empty); found but not read: not_wite");
    expect_refusal("file;clean;text;not_white;extra_objects;cropped;duplicates\n", "separated by semicolons, expected commas");
    expect_refusal("file\tclean\ttext\tnot_white\textra_objects\tcropped\tduplicates\n", "separated by tabs, expected commas");
    expect_refusal("file,clean,text,text,not_white,extra_objects,cropped,duplicates\n",
                   "line 1: 2 columns are called \"text\"");
    expect_refusal("group,file,clean,text,not_white,extra_objects,cropped,duplicates,group,group\n",
                   "3 columns are called \"group\"");
    expect_refusal("a.jpg,1,0,0,0,0,0\n", "no column is called \"file\"");
}

Test(labels, refuses_a_file_without_cards)
{
    expect_refusal(HEADER, "line 2: no cards");
    expect_refusal(HEADER "\n\r\n", "no cards");
}

Test(labels, refuses_values_that_are_not_0_or_1)
{
    expect_refusal(HEADER "a.jpg,1,,,,,\nb.jpg,2,,,,,\n", "line 3: expected 1 or 0 for \"clean\", found \"2\"");
    expect_refusal(HEADER "a.jpg,,1,,,,\n", "line 2: expected 1 or 0 for \"clean\", found \"\"");
    expect_refusal(HEADER "a.jpg,0, 1,,,,\n", "line 2: expected 1, 0 or nothing for \"text\", found \" 1\"");
    expect_refusal(HEADER "a.jpg,0,,,,,yes\n", "for \"duplicates\", found \"yes\"");
    expect_refusal(HEADER "a.jpg,0,,,,01,\n", "for \"cropped\", found \"01\"");
    expect_refusal(HEADER "a.jpg,0,,-1,,,\n", "for \"not_white\", found \"-1\"");
    expect_refusal(HEADER "a.jpg,0,,,\"1\"\"\",,\n", "for \"extra_objects\", found \"1\"\"");
}

Test(labels, refuses_a_clean_card_with_a_reason)
{
    expect_refusal(HEADER "a.jpg,1,0,0,0,1,0\n", "line 2: \"clean\" and \"cropped\" are both 1");
}

Test(labels, refuses_rows_of_another_length)
{
    expect_refusal(HEADER "a.jpg,1,,,,,\nb.jpg,1\n", "line 3: 2 values, expected 7");
    expect_refusal(HEADER "a.jpg,1,,,,,,\n", "line 2: 8 values, expected 7");
    expect_refusal(HEADER " \na.jpg,1,,,,,\n", "line 2: 1 values, expected 7");
}

Test(labels, refuses_a_file_that_is_named_twice_or_not_at_all)
{
    expect_refusal(HEADER "a.jpg,1,,,,,\nb.jpg,1,,,,,\nc.jpg,0,,,,,\n\"b.jpg\",1,,,,,\na.jpg,1,,,,,\n",
                   "lines 3 and 5 name the same file: b.jpg");
    expect_refusal(HEADER "a.jpg,1,,,,,\n,1,,,,,\n", "line 3: \"file\" is empty");
    labels_close(parsed(HEADER "a.jpg,1,,,,,\n./a.jpg,1,,,,,\nA.jpg,1,,,,,\n"));
}

Test(labels, refuses_quotes_out_of_place)
{
    expect_refusal(HEADER "a.jpg,1,,,,,\n\"b.jpg,1,,,,,\nc.jpg,1,,,,,\n", "line 3: a quote that is not closed");
    expect_refusal(HEADER "a.jpg,1,,,,,\"", "line 2: a quote that is not closed");
    expect_refusal(HEADER "a.jpg,1,,,,,\"\"\"", "line 2: a quote that is not closed");
    expect_refusal(HEADER "a\".jpg,1,,,,,\n", "line 2: a quote inside a value");
    expect_refusal(HEADER "\"a\nb\nc\" .jpg,1,,,,,\n", "line 4: text after a closing quote");
    expect_refusal(HEADER "\"a\nb\",1,,,,,\nc.jpg,3,,,,,\n", "line 4: expected 1 or 0"); /* counted on after lines in quotes */
}

Test(labels, refuses_a_cr_that_ends_no_line)
{
    expect_refusal("file,clean,text,not_white,extra_objects,cropped,duplicates\ra.jpg,1,,,,,\r", "line 1: a CR without LF");
    expect_refusal(HEADER "a.jpg,1,,,,,\r", "line 2: a CR without LF");
    expect_refusal(HEADER "\ra.jpg,1,,,,,\n", "line 2: a CR without LF");
    expect_refusal(HEADER "\"a.jpg\"\r,1,,,,,\n", "line 2: a CR without LF");
}

Test(labels, refuses_a_nul_byte)
{
    static const char nul[] = HEADER "a.jpg,1,,,,,\nb\0.jpg,1,,,,,\n", at_the_end[] = HEADER "a.jpg,1,,,,,\n";
    expect_refusal_of(nul, sizeof nul - 1, BGD_DAMAGED, "line 3: a NUL byte");
    expect_refusal_of(at_the_end, sizeof at_the_end, BGD_DAMAGED, "line 3: a NUL byte");
    expect_refusal_of("\xff\xfe"
                      "f\0i\0",
                      6, BGD_DAMAGED, "UTF-16");
}

/* A file with a group column, `n` rows, row i in group i % groups, and one more line, to be freed. */
static char *many(size_t n, size_t groups, const char *last)
{
    char *text = malloc(n * 64 + 256), *s = text;
    cr_assert(text);
    s += sprintf(s, "file,clean,text,not_white,extra_objects,cropped,duplicates,group\n");
    for (size_t i = 0; i < n; i++)
        s += sprintf(s, "shop/2024/photo-%07zu.jpg,%d,,,,,,%zu\n", i * 7919 % n, (int)(i & 1), i % groups);
    strcpy(s, last);
    return text;
}

Test(labels, takes_64_groups_and_no_more)
{
    char *text = many(200, 64, "");
    struct labels *labels = parsed(text);
    cr_expect_eq(labels->n_groups, 64);
    cr_expect_str_eq(labels->groups[63], "63");
    cr_expect_eq(labels->rows[127].group, 63);
    labels_close(labels);
    free(text);
    text = many(200, 65, "");
    expect_refusal_of(text, strlen(text), BGD_LIMIT, "line 66: more than 64 groups");
    free(text);
}

Test(labels, takes_256_columns_and_no_more)
{
    char text[1024] = "file,clean,text,not_white,extra_objects,cropped,duplicates";
    for (int i = 7; i < 256; i++)
        strcat(text, ",x");
    expect_refusal(text, "no cards");
    strcat(text, ",x");
    expect_refusal_of(text, strlen(text), BGD_LIMIT, "line 1: more than 256 columns");
}

Test(labels, finds_the_one_name_of_a_million_that_stands_twice)
{
    char *text = many(1000000, 3, "");
    struct labels *labels = parsed(text);
    cr_expect_eq(labels->count, 1000000);
    labels_close(labels);
    free(text);
    text = many(1000000, 3, "shop/2024/photo-0007919.jpg,1,,,,,,\n");
    expect_refusal(text, "lines 3 and 1000002 name the same file: shop/2024/photo-0007919.jpg");
    free(text);
}

Test(labels, survives_every_truncation_and_any_byte)
{
    static const char good[] = "\xef\xbb\xbf\"file\",clean,text,not_white,extra_objects,cropped,duplicates,group,x\r\n"
                               "\"a\"\"\n.jpg\",1,0,,0,,\"0\",g,\r\nb.jpg,0,1,,,,,,y\r\n";
    for (size_t size = 0; size < sizeof good; size++)
        for (int byte = -1; byte < 256; byte++) { /* -1: cut there; else that byte there */
            size_t length = byte < 0 ? size : sizeof good - 1;
            if (size >= length && byte >= 0)
                continue;
            char *bytes = malloc(length + !length);
            memcpy(bytes, good, length);
            if (byte >= 0)
                bytes[size] = (char)byte;
            struct labels *labels;
            struct bgd_err err = {0};
            int code = labels_parse(bytes, length, &labels, &err);
            cr_assert(code ? !labels && err.text[0] : labels && labels->count > 0, "byte %zu as %d", size, byte);
            labels_close(labels);
            free(bytes);
        }
}

Test(labels, names_the_file_in_errors)
{
    char *folder = scratch_enter();
    struct labels *labels;
    struct bgd_err err;
    cr_expect_eq(labels_open("none.csv", &labels, &err), BGD_MISSING);
    cr_expect(strstr(err.text, "none.csv: "), "%s", err.text);
    cr_expect_eq(labels_open(".", &labels, &err), BGD_UNREADABLE);
    scratch_text("bad.csv", HEADER "a.jpg,x,,,,,\n");
    cr_expect_eq(labels_open("bad.csv", &labels, &err), BGD_DAMAGED);
    cr_expect_str_eq(err.text, "bad.csv: line 2: expected 1 or 0 for \"clean\", found \"x\"");
    cr_expect_null(labels);
    scratch_text("evil.csv", HEADER "a.jpg,\"\033[2J\n\",,,,,\n");
    labels_open("evil.csv", &labels, &err);
    cr_expect(!strchr(err.text, '\033') && !strchr(err.text, '\n'), "%s", err.text);
    scratch_text("good.csv", HEADER "a.jpg,1,,,,,");
    cr_assert_eq(labels_open("good.csv", &labels, &err), 0, "%s", err.text);
    cr_expect_str_eq(labels->rows[0].file, "a.jpg");
    labels_close(labels);
    scratch_text("empty.csv", "");
    cr_expect_eq(labels_open("empty.csv", &labels, &err), BGD_DAMAGED);
    scratch_leave(folder);
}

Test(labels, know_the_outputs_names)
{
    cr_expect_str_eq(output_name(OUTPUT_DEFECTIVE), "defective");
    cr_expect_str_eq(output_name(OUTPUT_REASON), "text");
    cr_expect_str_eq(output_name(OUTPUTS - 1), "duplicates");
}
