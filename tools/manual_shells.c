/* Completions. Each shell's file holds the commands' tables in that shell's terms; the shell does the rest. */
#include "manual.h"

#include <string.h>

typedef void option_printer(const struct command *command, const struct option_entry *option, FILE *file);

static void each_option(const struct command *command, option_printer *print, FILE *file)
{
    const struct option_group *group;
    for (size_t g = 0; (group = options_group(command, g)); g++)
        for (const struct option_entry *option = group->entries; option->name; option++)
            print(command, option, file);
}

/* What an option's text says first: up to ';'. */
static size_t brief(const char *text)
{
    return strcspn(text, ";");
}

/* `n` bytes of text between single quotes of a POSIX shell or zsh; a '\' before each of `special`. */
static void print_escaped(const char *text, size_t n, const char *special, FILE *file)
{
    for (size_t i = 0; i < n && text[i]; i++)
        if (text[i] == '\'')
            fputs("'\\''", file);
        else
            fprintf(file, "%s%c", strchr(special, text[i]) ? "\\" : "", text[i]);
}

static void print_words(const char *const *words, FILE *file)
{
    for (size_t i = 0; words[i]; i++)
        fprintf(file, "%s%s", i ? " " : "", words[i]);
}

/* ---------------------------------------------------------------- bash */

static void print_bash_name(const struct command *command, const struct option_entry *option, FILE *file)
{
    (void)command;
    fprintf(file, "--%s ", option->name);
}

/* The case of a word that is the option's value. It follows "--name", or "--name=" alone where it may be left out. */
static void print_bash_value(const struct command *command, const struct option_entry *option, FILE *file)
{
    if (!option->placeholder)
        return;
    fputs("    ", file);
    if (option->letter)
        fprintf(file, "%s:-%c | ", command->name, option->letter);
    if (!option_is_optional(option))
        fprintf(file, "%s:--%s | ", command->name, option->name);
    fprintf(file, "%s:--%s=) ", command->name, option->name);
    if (option->kind == OPTION_IS_FILE)
        fputs("return ;;\n", file);
    else if (option->kind == OPTION_IS_FOLDER)
        fputs("_bgdet_folders; return ;;\n", file);
    else if (option->choices) {
        fputs("words='", file);
        print_words(option->choices, file);
        fputs("' ;;\n", file);
    } else
        fputs("_bgdet_nothing; return ;;\n", file);
}

void manual_print_bash(const struct command *const *commands, FILE *file)
{
    fputs("# bgdet's completions for bash, made by `bgdet manual bash`.\n"
          "\n"
          "# compopt fails outside of a completion, as in a test.\n"
          "_bgdet_folders()\n{\n"
          "    compopt -o filenames 2>/dev/null\n"
          "    mapfile -t COMPREPLY < <(compgen -d -- \"$current\")\n}\n"
          "_bgdet_nothing()\n{\n    compopt +o default 2>/dev/null\n}\n"
          "\n"
          "# An empty reply stands for files: complete -o default.\n"
          "_bgdet()\n{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=\n"
          "    COMPREPLY=()\n"
          "    if [[ $current == = ]]; then # bash has cut --name=value into three\n"
          "        before=$before= current=\n"
          "    elif [[ $before == = ]]; then\n"
          "        before=${COMP_WORDS[COMP_CWORD - 2]}=\n"
          "    fi\n"
          "    case ${COMP_WORDS[1]}:$before in\n",
          file);
    for (size_t i = 0; commands[i]; i++) {
        each_option(commands[i], print_bash_value, file);
        fprintf(file, "    %s:*)\n", commands[i]->name);
        if (commands[i]->operands) {
            fputs("        words='", file);
            print_words(commands[i]->operands, file);
            fputs("'\n", file);
        }
        fputs("        [[ $current == -* ]] && words='", file);
        each_option(commands[i], print_bash_name, file);
        fputs("' ;;\n", file);
    }
    fputs("    esac\n    if ((COMP_CWORD == 1)); then\n        _bgdet_nothing\n        words='", file);
    for (size_t i = 0; commands[i]; i++)
        fprintf(file, "%s ", commands[i]->name);
    fputs("--help --version'\n    fi\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
          "complete -o default -F _bgdet bgdet\n",
          file);
}

/* ---------------------------------------------------------------- zsh */

#define ZSH_SPECIAL "\\[]:" /* of _arguments and _describe */

/* ":FILE:_files": what the value is called, and what it may be. */
static void print_zsh_value(const struct option_entry *option, FILE *file)
{
    bool optional = option_is_optional(option);
    const char *name = option->placeholder + (optional ? strlen("[=") : 0);
    fputs(optional ? "::" : ":", file);
    print_escaped(name, strcspn(name, "]"), ZSH_SPECIAL, file);
    if (option->kind == OPTION_IS_FILE)
        fputs(":_files", file);
    else if (option->kind == OPTION_IS_FOLDER)
        fputs(":_files -/", file);
    else if (option->choices) {
        fputs(":(", file);
        print_words(option->choices, file);
        putc(')', file);
    } else
        fputs(": ", file);
}

static void print_zsh_option(const struct command *command, const struct option_entry *option, FILE *file)
{
    bool value = option->placeholder, optional = option_is_optional(option);
    (void)command;
    fputs(" \\\n            ", file);
    if (option->letter)
        fprintf(file, "'(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name, option->letter, value ? "+" : "",
                option->name, value ? "=" : "");
    else
        fprintf(file, "'--%s%s[", option->name, optional ? "=-" : value ? "=" : "");
    print_escaped(option->text, brief(option->text), ZSH_SPECIAL, file);
    putc(']', file);
    if (value)
        print_zsh_value(option, file);
    putc('\'', file);
}

void manual_print_zsh(const struct command *const *commands, FILE *file)
{
    fputs("#compdef bgdet\n# bgdet's completions for zsh, made by `bgdet manual zsh`.\n"
          "_bgdet()\n{\n"
          "    local context state state_descr line\n"
          "    typeset -A opt_args\n"
          "    _arguments -C '(- *)'{-h,--help}'[shows the commands]' '(- *)--version[shows version and devices]' \\\n"
          "        '1:command:->command' '*::argument:->argument'\n"
          "    case $state:$line[1] in\n"
          "    command:*)\n        local -a commands=(",
          file);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(file, "\n            '%s:", commands[i]->name);
        print_escaped(commands[i]->summary, SIZE_MAX, ZSH_SPECIAL, file);
        putc('\'', file);
    }
    fputs(")\n        _describe command commands ;;\n", file);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(file, "    argument:%s)\n        _arguments -s -S", commands[i]->name);
        each_option(commands[i], print_zsh_option, file);
        fputs(" \\\n            '*: :", file);
        if (commands[i]->operands) {
            putc('(', file);
            print_words(commands[i]->operands, file);
            putc(')', file);
        } else
            fputs("_files", file);
        fputs("' ;;\n", file);
    }
    fputs("    esac\n}\n_bgdet \"$@\"\n", file);
}

/* ---------------------------------------------------------------- fish */

/* Between single quotes of fish. */
static void print_fish_text(const char *text, size_t n, FILE *file)
{
    for (size_t i = 0; i < n && text[i]; i++)
        fprintf(file, "%s%c", strchr("\\'", text[i]) ? "\\" : "", text[i]);
}

static void print_fish_words(const char *const *words, FILE *file)
{
    fputs(" -a '", file);
    print_words(words, file);
    putc('\'', file);
}

static void print_fish_option(const struct command *command, const struct option_entry *option, FILE *file)
{
    fprintf(file, "complete -c bgdet -n '__fish_seen_subcommand_from %s'", command->name);
    if (option->letter)
        fprintf(file, " -s %c", option->letter);
    fprintf(file, " -l %s", option->name);
    if (option->kind == OPTION_IS_FILE)
        fputs(" -r -F", file);
    else if (option->kind == OPTION_IS_FOLDER)
        fputs(" -x -a '(__fish_complete_directories)'", file);
    else if (option->placeholder) {
        fputs(option_is_optional(option) ? " -f" : " -x", file);
        if (option->choices)
            print_fish_words(option->choices, file);
    }
    fputs(" -d '", file);
    print_fish_text(option->text, brief(option->text), file);
    fputs("'\n", file);
}

void manual_print_fish(const struct command *const *commands, FILE *file)
{
    fputs("# bgdet's completions for fish, made by `bgdet manual fish`.\n"
          "complete -c bgdet -n __fish_use_subcommand -f -s h -l help -d 'shows the commands'\n"
          "complete -c bgdet -n __fish_use_subcommand -f -l version -d 'shows version and devices'\n",
          file);
    for (size_t i = 0; commands[i]; i++) {
        fprintf(file, "complete -c bgdet -n __fish_use_subcommand -f -a %s -d '", commands[i]->name);
        print_fish_text(commands[i]->summary, SIZE_MAX, file);
        fputs("'\n", file);
        if (commands[i]->operands) {
            fprintf(file, "complete -c bgdet -n '__fish_seen_subcommand_from %s' -f", commands[i]->name);
            print_fish_words(commands[i]->operands, file);
            putc('\n', file);
        }
        each_option(commands[i], print_fish_option, file);
    }
}
