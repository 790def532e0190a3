#include "options.h"

#include "tools.h"

#include <assert.h>
#include <getopt.h>
#include <string.h>

static const struct option_entry help_options[] = {{'h', "help", NULL, "show the options, and end", .kind = OPTION_IS_FLAG},
                                                   {0}};
static const struct option_group help_group = {.entries = help_options};

const struct option_group *options_group(const struct command *command, size_t index)
{
    size_t n = 0;
    while (command->groups && command->groups[n].entries)
        n++;
    return index < n ? &command->groups[index] : index == n ? &help_group : NULL;
}

bool option_is_optional(const struct option_entry *option)
{
    return option->placeholder && option->placeholder[0] == '[';
}

/* ---------------------------------------------------------------- values */

/* "auto, f32 or f16" */
static void join(const char *const *names, char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; names[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
}

static bool set_choice(const char *const *choices, const char *value, uint32_t *place)
{
    for (uint32_t i = 0; choices[i]; i++)
        if (strcmp(value, choices[i]) == 0) {
            *place = i;
            return true;
        }
    return false;
}

/* Writes into the option's struct. `expected` says, for the error, what would have been right. */
static bool set(const struct option_entry *option, void *settings, const char *value, char expected[256])
{
    void *member = (char *)settings + option->offset;
    switch (option->kind) {
    case OPTION_IS_FLAG: *(bool *)member = true; return true;
    case OPTION_IS_FILE:
    case OPTION_IS_FOLDER:
        snprintf(expected, 256, "a %s's name", option->kind == OPTION_IS_FILE ? "file" : "folder");
        *(const char **)member = value;
        return *value;
    case OPTION_IS_TEXT: *(const char **)member = value; return true;
    case OPTION_IS_COUNT:
        snprintf(expected, 256, "%u..%u", option->least, option->most);
        return tool_parse_count(value, option->least, option->most, member);
    case OPTION_IS_CHOICE: join(option->choices, expected, 256); return set_choice(option->choices, value, member);
    case OPTION_IS_PARSED:
        if (option->expected)
            snprintf(expected, 256, "%s", option->expected);
        else
            join(option->choices, expected, 256);
        return option->parse(settings, value);
    }
    return false;
}

static int set_option(const struct command *command, const struct option_entry *option, void *settings, const char *value)
{
    char expected[256];
    if (set(option, settings, value, expected))
        return 0;
    return tool_usage(command->name, "--%s%c%s: expected %s", option->name, option_is_optional(option) ? '=' : ' ',
                      *value ? value : "\"\"", expected);
}

/* ---------------------------------------------------------------- parsing */

#define OPTIONS_MAX 64
#define FIRST 256 /* what getopt_long returns for the option 0: beyond any letter */

/* A command's tables as getopt wants them. */
struct parser {
    const struct option_entry *entries[OPTIONS_MAX];
    size_t offsets[OPTIONS_MAX]; /* of their structs */
    struct option names[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 2];
    int n;
};

static void add(struct parser *parser, const struct option_entry *option, size_t offset)
{
    int n = parser->n++;
    assert(n < OPTIONS_MAX);
    int argument = !option->placeholder ? no_argument : option_is_optional(option) ? optional_argument : required_argument;
    parser->entries[n] = option;
    parser->offsets[n] = offset;
    parser->names[n] = (struct option){option->name, argument, NULL, FIRST + n};
    if (option->letter)
        strncat(parser->letters, (const char[]){option->letter, option->placeholder ? ':' : 0, 0}, 2);
}

static void read_tables(struct parser *parser, const struct command *command)
{
    const struct option_group *group;
    *parser = (struct parser){.letters = ":"}; /* a value that is missing is told from an unknown option */
    for (size_t g = 0; (group = options_group(command, g)); g++)
        for (const struct option_entry *option = group->entries; option->name; option++)
            add(parser, option, group->offset);
}

/* After getopt_long returned '?' or ':': which option was wrong. */
static int bad_option(const struct command *command, int returned, char **argv)
{
    const char *option = argv[optind - 1];
    if (returned == ':')
        return tool_usage(command->name, "option %s needs a value", option);
    if (optopt && optopt < FIRST) /* a letter, maybe among others behind one '-' */
        return tool_usage(command->name, "unknown option -%c", optopt);
    return tool_usage(command->name, "unknown option %s, or it takes no value", option);
}

static int find(const struct parser *parser, int returned)
{
    for (int i = 0; i < parser->n; i++)
        if (returned == FIRST + i || returned == parser->entries[i]->letter)
            return i;
    return -1;
}

bool options_parse(const struct command *command, void *settings, int *argc, char ***argv, int *exit_code)
{
    struct parser parser;
    read_tables(&parser, command);
    *exit_code = EXIT_DONE;
    opterr = 0; /* bad_option says it */
    for (int returned; (returned = getopt_long(*argc, *argv, parser.letters, parser.names, NULL)) != -1;) {
        int i = find(&parser, returned);
        if (i >= 0 && parser.entries[i] == help_options) {
            options_print_help(command, stdout);
            return false;
        }
        *exit_code = i < 0 ? bad_option(command, returned, *argv)
                           : set_option(command, parser.entries[i], (char *)settings + parser.offsets[i], optarg);
        if (*exit_code)
            return false;
    }
    *argc -= optind;
    *argv += optind;
    return true;
}

/* ---------------------------------------------------------------- help */

#define COLUMNS 100
#define LABEL_MAX 24 /* a longer label has its text on the next line */

/* "-o, --output FILE", "    --calibrate[=HOW]" */
static void print_label(const struct option_entry *option, char *text, size_t size)
{
    const char letter[] = {'-', option->letter, ',', 0};
    snprintf(text, size, "%-3s --%s%s%s", option->letter ? letter : "", option->name,
             option->placeholder && !option_is_optional(option) ? " " : "", option->placeholder ? option->placeholder : "");
}

/* Fills lines with the words of `text`, the first from `column` on, the others from `indent` on. '\n' begins an empty line. */
static void wrap(FILE *file, const char *text, int column, int indent)
{
    bool first = true;
    while (*text) {
        int length = (int)strcspn(text, " \n");
        if (!first && column + 1 + length > COLUMNS) {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        fprintf(file, "%s%.*s", first ? "" : " ", length, text);
        column += length + !first;
        first = text[length] == '\n';
        if (first) {
            fprintf(file, "\n\n%*s", indent, "");
            column = indent;
        }
        text += length + (text[length] != 0);
    }
    putc('\n', file);
}

/* How wide the labels are that have their text beside them. */
static int label_width(const struct command *command)
{
    const struct option_group *group;
    char label[128];
    int width = 0;
    for (size_t g = 0; (group = options_group(command, g)); g++)
        for (const struct option_entry *option = group->entries; option->name; option++) {
            print_label(option, label, sizeof label);
            int length = (int)strlen(label);
            if (length > width && length <= LABEL_MAX)
                width = length;
        }
    return width;
}

static void print_options(const struct option_group *group, int width, FILE *file)
{
    char label[128];
    if (group->heading)
        fprintf(file, "\n%s\n", group->heading);
    for (const struct option_entry *option = group->entries; option->name; option++) {
        print_label(option, label, sizeof label);
        if ((int)strlen(label) > width)
            fprintf(file, "  %s\n%*s", label, width + 4, "");
        else
            fprintf(file, "  %-*s  ", width, label);
        wrap(file, option->text, width + 4, width + 4);
    }
}

static void print_exits(const struct command_exit *exits, FILE *file)
{
    char text[1024] = "";
    size_t used = 0;
    for (size_t i = 0; exits[i].when && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d %s", i ? "; " : "", exits[i].code, exits[i].when);
    fputs("\nExit: ", file);
    wrap(file, text, 6, 6);
}

void options_print_help(const struct command *command, FILE *file)
{
    for (size_t i = 0; command->synopsis[i]; i++)
        fprintf(file, "%s bgdet %s %s\n", i ? "      " : "usage:", command->name, command->synopsis[i]);
    putc('\n', file);
    wrap(file, command->text, 0, 0);
    if (!command->groups || !command->groups[0].heading)
        putc('\n', file);
    const struct option_group *group;
    int width = label_width(command);
    for (size_t g = 0; (group = options_group(command, g)); g++)
        print_options(group, width, file);
    print_exits(command->exits, file);
}
