/*
 * The command line as tables: a command says once what it takes, and parsing, --help, the manual page and the shells'
 * completions (manual.h) come from that.
 *
 *     static const struct option_entry output_options[] = {
 *         {'o', "output", "FILE", "rows to FILE", OPTION_FILE(struct settings, output)},
 *         {0, "threads", "N", "threads that decode and score", OPTION_COUNT(struct settings, threads, 1, 1024)},
 *         {'q', "quiet", NULL, "no summary", OPTION_FLAG(struct settings, quiet)},
 *         {0},
 *     };
 *
 * Options write into a struct; a group says where in the command's settings that lies, so commands share a table though their
 * settings differ. Tables are constant, and all of this is for the main thread (getopt).
 */
#ifndef BGD_OPTIONS_H
#define BGD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
    OPTION_IS_FLAG,   /* bool: true */
    OPTION_IS_FILE,   /* const char *: a file's name, borrowed from argv; "" is refused */
    OPTION_IS_FOLDER, /* const char *: a folder's, likewise */
    OPTION_IS_TEXT,   /* const char *: any text, borrowed from argv */
    OPTION_IS_COUNT,  /* uint32_t: a number of least..most */
    OPTION_IS_CHOICE, /* an enum or uint32_t: the place of the value among the choices */
    OPTION_IS_PARSED, /* what a function of the command's makes of it */
};

struct option_entry {
    char letter; /* 0: none */
    const char *name;
    const char *placeholder; /* of the value: "FILE"; "[=HOW]" if it may be left out; NULL if there is none */
    const char *text;        /* no full stop, no line breaks */
    /* The rest is written by the macros below. */
    enum option_kind kind;
    size_t offset; /* of the member */
    uint32_t least, most;
    const char *const *choices; /* plain words, NULL-terminated, or NULL; if not all that is taken, what completions offer */
    bool (*parse)(void *settings, const char *value);
    const char *expected; /* by `parse`, for its error; NULL: one of the choices */
};

/* A member of another type than the option's does not compile. */
#define OPTION_MEMBER(type, member, c_type) _Generic(((type *)0)->member, c_type : offsetof(type, member))
#define OPTION_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

#define OPTION_FLAG(type, member) .kind = OPTION_IS_FLAG, .offset = OPTION_MEMBER(type, member, bool)
#define OPTION_FILE(type, member) .kind = OPTION_IS_FILE, .offset = OPTION_MEMBER(type, member, const char *)
#define OPTION_FOLDER(type, member) .kind = OPTION_IS_FOLDER, .offset = OPTION_MEMBER(type, member, const char *)
#define OPTION_TEXT(type, member) .kind = OPTION_IS_TEXT, .offset = OPTION_MEMBER(type, member, const char *)
#define OPTION_COUNT(type, member, low, high)                                                                                  \
    .kind = OPTION_IS_COUNT, .offset = OPTION_MEMBER(type, member, uint32_t), .least = (low), .most = (high)
#define OPTION_CHOICE(type, member, ...)                                                                                       \
    .kind = OPTION_IS_CHOICE, .offset = OPTION_MEMBER(type, member, uint32_t), .choices = OPTION_NAMES(__VA_ARGS__)
/* `function` writes what it makes of the value into the table's struct; false is an error. NULL: it was left out, which is none. */
#define OPTION_PARSED(function, what) .kind = OPTION_IS_PARSED, .parse = (function), .expected = (what)
#define OPTION_PARSED_CHOICE(function, ...) .kind = OPTION_IS_PARSED, .parse = (function), .choices = OPTION_NAMES(__VA_ARGS__)
/* Behind OPTION_TEXT or OPTION_PARSED: values worth offering. */
#define OPTION_OFFERS(...) .choices = OPTION_NAMES(__VA_ARGS__)

struct option_group {
    const char *heading;                /* NULL: goes on under the one before */
    const struct option_entry *entries; /* the last one has no name */
    size_t offset;                      /* of the entries' struct in the command's settings */
};

struct command_exit {
    int code;
    const char *when;
};

struct command {
    const char *name, *summary;
    const char *synopsis[6];           /* what follows the name, a line each, NULL behind the last */
    const char *text;                  /* sentences; '\n' between paragraphs */
    const struct option_group *groups; /* the last one has no entries; NULL: none. --help is not among them */
    const struct command_exit *exits;  /* the last one has no `when` */
    const char *const *operands;       /* the words that it takes for operands, NULL-terminated; NULL: files */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
};

/*
 * Sets what argv asks for, a later option over an earlier one, and moves *argc and *argv on to the operands: what is no option,
 * wherever it stands, "-", and all behind "--". Long names may be abbreviated. False if the command ends here, with *exit_code:
 * --help has been printed, or what is wrong (tool_usage).
 */
bool options_parse(const struct command *command, void *settings, int *argc, char ***argv, int *exit_code);

/* The command's groups, then that of --help, then NULL. */
const struct option_group *options_group(const struct command *command, size_t index);

/* True if the option may stand without its value, "--calibrate"; with it, it is one word, "--calibrate=platt". */
bool option_is_optional(const struct option_entry *option);

/* --help: in lines of 100 columns. */
void options_print_help(const struct command *command, FILE *file);

#endif
