/* The command line's tables: what parsing, help, the manual page and the completions make of a made-up command. */
#include "manual.h"
#include "options.h"
#include "tools.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* The program's says it on stderr. */
static char said[256];
int tool_usage(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int used = snprintf(said, sizeof said, "%s: ", command);
    vsnprintf(said + used, sizeof said - (size_t)used, format, args);
    va_end(args);
    return EXIT_USAGE;
}

struct inner {
    uint32_t count;
    enum { RED, GREEN, BLUE } colour;
};

struct settings {
    const char *file, *folder, *text;
    bool flag, fitted;
    char how[8];
    struct inner inner;
};

static bool set_fit(void *settings, const char *value)
{
    struct settings *s = settings;
    s->fitted = true;
    snprintf(s->how, sizeof s->how, "%s", value ? value : "");
    return !value || strlen(value) < sizeof s->how;
}

static const struct option_entry inner_options[] = {
    {'n', "count", "N", "how many", OPTION_COUNT(struct inner, count, 1, 1024)},
    {0, "colour", "C", "which", OPTION_CHOICE(struct inner, colour, [RED] = "red", [GREEN] = "green", [BLUE] = "blue")},
    {0},
};

static const struct option_entry own_options[] = {
    {'o', "output", "FILE", "rows [of: it] go there; 'tis \\ all", OPTION_FILE(struct settings, file)},
    {0, "folder", "FOLDER", ".a folder", OPTION_FOLDER(struct settings, folder)},
    {'t', "text", "TEXT", "'quoted'", OPTION_TEXT(struct settings, text), OPTION_OFFERS("plain", "wide")},
    {'f', "flag", NULL, "a flag", OPTION_FLAG(struct settings, flag)},
    {0, "fit", "[=HOW]",
     "a sentence that is longer than a line of a hundred columns, and goes on below its own beginning, "
     "at the same column as that, for as many lines as it takes until all of it is there",
     OPTION_PARSED(set_fit, "less than 8 letters")},
    {0, "a-name-that-is-longer-than-most", NULL, "beneath", OPTION_FLAG(struct settings, flag)},
    {0},
};

static const struct option_group groups[] = {
    {"Its own", own_options, 0}, {"Shared", inner_options, offsetof(struct settings, inner)}, {0}};
static const struct command_exit exits[] = {{0, "done"}, {64, "usage"}, {0}};
static const struct command try = {
    .name = "try", .summary = "it's a try", .synopsis = {"X", "-o Y"}, .text = "One.\nTwo.", .groups = groups, .exits = exits};
static const struct command *const commands[] = {&try, NULL};

#define ARGUMENTS 8

/* Parses the words; the operands are then in `operands`. */
static bool parse(struct settings *s, int *exit_code, const char **operands, const char *const *words)
{
    static char *argv[ARGUMENTS + 2];
    char **left = argv;
    int argc = 1;
    argv[0] = strdup("try");
    for (; words[argc - 1]; argc++)
        argv[argc] = strdup(words[argc - 1]);
    bool parsed = options_parse(&try, s, &argc, &left, exit_code);
    for (int i = 0; parsed && i <= argc; i++)
        operands[i] = left[i];
    return parsed;
}
#define PARSE(...) parse(&s, &code, operands, (const char *const[]){__VA_ARGS__, NULL})

static struct settings s;
static int code;
static const char *operands[ARGUMENTS + 1];

Test(options, values_go_where_the_tables_say)
{
    cr_assert(PARSE("-fn7", "--output=a", "--folder", "b", "-tc", "--colour", "blue", "--fit=x"));
    cr_expect_str_eq(s.file, "a");
    cr_expect_str_eq(s.folder, "b");
    cr_expect_str_eq(s.text, "c");
    cr_expect(s.flag);
    cr_expect_eq(s.inner.count, 7);
    cr_expect_eq(s.inner.colour, BLUE);
    cr_expect_str_eq(s.how, "x");
    cr_expect_null(operands[0]);
}

Test(options, a_value_that_may_be_left_out_is_not_the_next_word)
{
    cr_assert(PARSE("--fit", "x"));
    cr_expect(s.fitted);
    cr_expect_str_eq(s.how, "");
    cr_expect_str_eq(operands[0], "x");
}

Test(options, a_later_option_replaces_an_earlier_one)
{
    cr_assert(PARSE("-n", "3", "--count", "4"));
    cr_expect_eq(s.inner.count, 4);
}

Test(options, operands_may_stand_anywhere_and_all_behind_two_dashes_are_some)
{
    cr_assert(PARSE("x", "-f", "-", "--", "-n", "--flag"));
    cr_expect(s.flag);
    const char *const expected[] = {"x", "-", "-n", "--flag"};
    for (size_t i = 0; i < 4; i++)
        cr_expect_str_eq(operands[i], expected[i]);
    cr_expect_null(operands[4]);
}

Test(options, long_names_may_be_abbreviated)
{
    cr_assert(PARSE("--col", "green", "--fl"));
    cr_expect(s.flag);
    cr_expect_eq(s.inner.colour, GREEN);
}

static void expect_refused(bool parsed, const char *error)
{
    cr_expect_not(parsed, "%s", error);
    cr_expect_eq(code, EXIT_USAGE);
    cr_expect_str_eq(said, error);
}

/* getopt's state is the process's: a claim for each. */
Test(options, a_number_out_of_range_is_named)
{
    expect_refused(PARSE("--count", "1025"), "try: --count 1025: expected 1..1024");
}
Test(options, what_is_no_number_is_named)
{
    expect_refused(PARSE("-nx"), "try: --count x: expected 1..1024");
}
Test(options, what_is_no_choice_is_named)
{
    expect_refused(PARSE("--colour=pink"), "try: --colour pink: expected red, green or blue");
}
Test(options, no_name_is_no_file)
{
    expect_refused(PARSE("-o", ""), "try: --output \"\": expected a file's name");
}
Test(options, what_a_function_refuses_is_named)
{
    expect_refused(PARSE("--fit=12345678"), "try: --fit=12345678: expected less than 8 letters");
}
Test(options, a_missing_value_is_named)
{
    expect_refused(PARSE("--count"), "try: option --count needs a value");
}
Test(options, an_unknown_letter_is_named)
{
    expect_refused(PARSE("-fz"), "try: unknown option -z");
}
Test(options, a_value_for_a_flag_is_named)
{
    expect_refused(PARSE("--flag=1"), "try: unknown option --flag=1, or it takes no value");
}
Test(options, an_ambiguous_name_is_refused)
{
    expect_refused(PARSE("--fo=x", "--f"), "try: unknown option --f, or it takes no value");
}

/* ---------------------------------------------------------------- renderers */

static char *printed(manual_printer *print)
{
    char *text;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    print(commands, file);
    fclose(file);
    return text;
}

static void print_help(const struct command *const *all, FILE *file)
{
    options_print_help(all[0], file);
}

static void expect_in(const char *text, const char *part)
{
    cr_expect_not_null(strstr(text, part), "no \"%s\" in:\n%s", part, text);
}

Test(options, help_fills_lines_and_hangs_the_rest)
{
    char *help = printed(print_help);
    cr_expect_str_eq(help,
                     "usage: bgdet try X\n"
                     "       bgdet try -o Y\n"
                     "\n"
                     "One.\n"
                     "\n"
                     "Two.\n"
                     "\n"
                     "Its own\n"
                     "  -o, --output FILE    rows [of: it] go there; 'tis \\ all\n"
                     "      --folder FOLDER  .a folder\n"
                     "  -t, --text TEXT      'quoted'\n"
                     "  -f, --flag           a flag\n"
                     "      --fit[=HOW]      a sentence that is longer than a line of a hundred columns, and goes on below\n"
                     "                       its own beginning, at the same column as that, for as many lines as it takes\n"
                     "                       until all of it is there\n"
                     "      --a-name-that-is-longer-than-most\n"
                     "                       beneath\n"
                     "\n"
                     "Shared\n"
                     "  -n, --count N        how many\n"
                     "      --colour C       which\n"
                     "  -h, --help           show the options, and end\n"
                     "\n"
                     "Exit: 0 done; 64 usage\n");
    free(help);
}

Test(options, the_manual_page_takes_nothing_for_a_request)
{
    char *page = printed(manual_print_man);
    expect_in(page, "\n\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIFILE\\fR\nrows [of: it] go there; \\(aqtis \\(rs all\n");
    expect_in(page, "\n\\&.a folder\n");
    expect_in(page, "\n\\(aqquoted\\(aq\n");
    expect_in(page, "\n\\fB\\-\\-fit\\fR\\fI[=HOW]\\fR\n");
    expect_in(page, "\nOne.\n.PP\nTwo.\n");
    free(page);
}

Test(options, zsh_gets_its_brackets_and_colons_escaped)
{
    char *script = printed(manual_print_zsh);
    expect_in(script, "'try:it'\\''s a try'");
    expect_in(script, "'(-o --output)'{-o+,--output=}'[rows \\[of\\: it\\] go there]:FILE:_files'");
    expect_in(script, "'--folder=[.a folder]:FOLDER:_files -/'");
    expect_in(script, "'--fit=-[a sentence that");
    expect_in(script, "until all of it is there]::HOW: '");
    expect_in(script, "'(-f --flag)'{-f,--flag}'[a flag]'");
    free(script);
}

Test(options, fish_gets_its_quotes_escaped)
{
    char *script = printed(manual_print_fish);
    expect_in(script, "-f -a try -d 'it\\'s a try'\n");
    expect_in(script, " -s o -l output -r -F -d 'rows [of: it] go there'\n");
    expect_in(script, " -l fit -f -d '");
    expect_in(script, " -l colour -x -a 'red green blue' -d 'which'\n");
    free(script);
}

Test(options, bash_is_told_what_a_value_may_be)
{
    char *script = printed(manual_print_bash);
    expect_in(script, "\n    try:-o | try:--output | try:--output=) return ;;\n");
    expect_in(script, "\n    try:--folder | try:--folder=) _bgdet_folders; return ;;\n");
    expect_in(script, "\n    try:-t | try:--text | try:--text=) words='plain wide' ;;\n");
    expect_in(script, "\n    try:--fit=) _bgdet_nothing; return ;;\n");
    free(script);
}
