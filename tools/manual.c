/* bgdet manual: the program's manual page and its completions, for the build to install. */
#include "manual.h"

#include "tools.h"

#include <string.h>

static const char *const names[] = {"man", "bash", "zsh", "fish", NULL};
static manual_printer *const printers[] = {manual_print_man, manual_print_bash, manual_print_zsh, manual_print_fish};

static int run(int argc, char **argv)
{
    int code;
    if (!options_parse(&tool_manual, NULL, &argc, &argv, &code))
        return code;
    for (size_t i = 0; argc == 1 && names[i]; i++)
        if (strcmp(argv[0], names[i]) == 0) {
            printers[i](tool_commands, stdout);
            return EXIT_DONE;
        }
    return tool_usage("manual", "expected man, bash, zsh or fish");
}

static const struct command_exit exits[] = {{EXIT_DONE, "printed"}, {EXIT_USAGE, "usage"}, {0}};

const struct command tool_manual = {
    .name = "manual",
    .summary = "print the manual page, or a shell's completions",
    .synopsis = {"man|bash|zsh|fish"},
    .text = "Prints the manual page (man), or what makes a shell complete bgdet's command line.",
    .exits = exits,
    .operands = names,
    .run = run,
};
