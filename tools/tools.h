/* What the commands share: exit codes, messages, values. Only tools print, and only main exits. */
#ifndef BGD_TOOLS_H
#define BGD_TOOLS_H

#include "bgdet.h"
#include "options.h"

#include <stdio.h>

/* Exit codes, after sysexits.h where it has one. A scheduler may rely on them. */
enum tool_exit {
    EXIT_DONE = 0,     /* every input got a row */
    EXIT_FOUND = 1,    /* --fail-on or --max-flips found what it was told to look for */
    EXIT_USAGE = 64,   /* the command line is wrong */
    EXIT_INPUT = 65,   /* an input is unusable as a whole: never retry */
    EXIT_MISSING = 66, /* an input is not there */
    EXIT_RETRY = 75,   /* interrupted, disk full, out of memory, device lost: try again later */
};

extern const struct command tool_score, tool_show, tool_eval, tool_diff, tool_verify, tool_merge, tool_convert, tool_inspect,
    tool_infer, tool_bench, tool_manual;
extern const struct command *const tool_commands[]; /* all of them, in help's order; NULL behind the last */

/* Prints "bgdet: " and the error to stderr, and returns the exit code that belongs to it. */
int tool_fail(const struct bgd_err *err);

/* Prints "bgdet COMMAND: " and the line, and where help is to be had; returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int tool_usage(const char *command, const char *format, ...);

/* "60x80" into two sides of 1..16384; "12" into a number of least..most; "0.5,0.5,0.5" into three numbers. */
bool tool_parse_size(const char *text, uint32_t *width, uint32_t *height);
bool tool_parse_count(const char *text, uint32_t least, uint32_t most, uint32_t *out);
bool tool_parse_rgb(const char *text, float out[3]);
/* "0,1" into the set of those bits; "all" into BGD_GPUS_ALL. */
bool tool_parse_gpus(const char *text, uint64_t *out);
/* A number of 0..1 up to the byte `end`. */
bool tool_parse_share(const char *text, char end, float *out);

/*
 * A file that ships, NAME ("pipelines/default.json"), in the folder of installed data beside the program (../share/bgdet), or
 * in the source tree that it was built in (../..). Writes `path`; false if there is none.
 */
bool tool_find_data(const char *name, char *path, size_t size);

/* ROOT/FILE, of a root of `length` bytes, to be freed; a file named from "/" on is where it says. NULL: out of memory. */
char *tool_join(const char *root, size_t length, const char *file);

/* Whether a file can be made in the folder of `output`. BGD_ARGUMENT names both. */
int tool_check_folder(const char *output, struct bgd_err *err);

/* Makes the folder of --report, before the work: where nothing can be written, hours of it need not begin. BGD_WRITE,
 * BGD_ARGUMENT: it is none, or may not be written. */
int tool_make_report_folder(const char *folder, struct bgd_err *err);

#endif
