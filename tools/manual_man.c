/* The manual page, in man(7) macros. */
#include "manual.h"

#include "bgdet.h"

#include <string.h>

/* Text as it is, wherever in a line it stands: groff would make quotes and hyphens of some characters, and requests of others. */
static void print_text(FILE *file, const char *text)
{
    for (const char *at = text; *at; at++)
        switch (*at) {
        case '\\': fputs("\\(rs", file); break;
        case '-': fputs("\\-", file); break;
        case '\'': fputs("\\(aq", file); break;
        case '`': fputs("\\(ga", file); break;
        case '^': fputs("\\(ha", file); break;
        case '~': fputs("\\(ti", file); break;
        case '"': fputs("\\(dq", file); break;
        case '.': fputs(at == text ? "\\&." : ".", file); break;
        case '\n': fputs("\n.PP\n", file); break;
        default: putc(*at, file);
        }
}

static void print_in(FILE *file, char font, const char *text)
{
    fprintf(file, "\\f%c", font);
    print_text(file, text);
    fputs("\\fR", file);
}

static void print_option(const struct option_entry *option, FILE *file)
{
    const char letter[] = {'-', option->letter, 0};
    fputs(".TP\n", file);
    if (option->letter) {
        print_in(file, 'B', letter);
        fputs(", ", file);
    }
    fputs("\\fB\\-\\-", file);
    print_text(file, option->name);
    fputs("\\fR", file);
    if (option->placeholder) {
        fputs(option_is_optional(option) ? "" : " ", file);
        print_in(file, 'I', option->placeholder);
    }
    putc('\n', file);
    print_text(file, option->text);
    putc('\n', file);
}

static void print_command(const struct command *command, FILE *file)
{
    fputs(".SH \"bgdet ", file);
    print_text(file, command->name);
    fputs("\"\n", file);
    for (size_t i = 0; command->synopsis[i]; i++) {
        fputs(i ? ".br\n" : "", file);
        print_in(file, 'B', "bgdet ");
        print_in(file, 'B', command->name);
        putc(' ', file);
        print_text(file, command->synopsis[i]);
        putc('\n', file);
    }
    fputs(".PP\n", file);
    print_text(file, command->text);
    putc('\n', file);
    const struct option_group *group;
    for (size_t g = 0; (group = options_group(command, g)); g++) {
        if (group->heading) {
            fputs(".SS \"", file);
            print_text(file, group->heading);
            fputs("\"\n", file);
        }
        for (const struct option_entry *option = group->entries; option->name; option++)
            print_option(option, file);
    }
    fputs(".SS \"Exit status\"\n", file);
    for (const struct command_exit *e = command->exits; e->when; e++) {
        fprintf(file, ".TP\n.B %d\n", e->code);
        print_text(file, e->when);
        putc('\n', file);
    }
}

void manual_print_man(const struct command *const *commands, FILE *file)
{
    fputs(".TH BGDET 1 \"\" \"bgdet " BGD_VERSION "\" \"User Commands\"\n"
          ".SH NAME\nbgdet \\- finds product cards whose background is defective\n"
          ".SH SYNOPSIS\n.B bgdet\n.I COMMAND\n[options]\n"
          ".SH DESCRIPTION\nEach command has a section below.\n",
          file);
    for (size_t i = 0; commands[i]; i++) {
        fputs(".TP\n", file);
        print_in(file, 'B', commands[i]->name);
        putc('\n', file);
        print_text(file, commands[i]->summary);
        putc('\n', file);
    }
    for (size_t i = 0; commands[i]; i++)
        print_command(commands[i], file);
}
