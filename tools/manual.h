/*
 * What is made of the commands' tables for others than --help: the manual page, and completions for shells. Every text of a table
 * is quoted for where it goes. `commands` is NULL-terminated, like tool_commands; errors of writing are the file's (ferror).
 */
#ifndef BGD_MANUAL_H
#define BGD_MANUAL_H

#include "options.h"

typedef void manual_printer(const struct command *const *commands, FILE *file);

manual_printer manual_print_man; /* man(7) macros: bgdet.1 */

/* Commands, options, the choices of their values, files and folders where those are asked for. */
manual_printer manual_print_bash; /* bash 4 or later; needs no bash-completion */
manual_printer manual_print_zsh;
manual_printer manual_print_fish;

#endif
