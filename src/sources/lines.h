/* The lines of a file or of standard input, one after another as they come. Memory does not grow with the file. */
#ifndef BGD_LINES_H
#define BGD_LINES_H

#include "bgdet.h"

struct lines;

struct lines_options {
    const char *path; /* "-": standard input; borrowed, as all here */
    char separator;   /* '\n' (a CR before it is dropped, as is a byte order mark), or '\0' */
    size_t most;      /* bytes of a line */
    const int *wake;  /* a descriptor that becomes readable when the lines are to end at once, even in the middle of a wait
                         for their producer; NULL for none */
};

/* BGD_MISSING, BGD_UNREADABLE, BGD_MEMORY. */
int lines_open(const struct lines_options *options, struct lines **lines, struct bgd_err *err);
void lines_close(struct lines *lines);

/*
 * 1: `*line` is the next one that is not empty, NUL-terminated, the caller's to change until the next call. 0: there are no more,
 * or `wake` says so. Negative: BGD_UNREADABLE, or a line holds a NUL byte (BGD_DAMAGED) or is too long (BGD_LIMIT).
 */
int lines_next(struct lines *lines, char **line, size_t *length, struct bgd_err *err);

/* Prefixes the text of an error with where in the file it is: "list: line 3: " + text. Returns err->code. */
int lines_prefix(const struct lines *lines, struct bgd_err *err);

/* Whether it is a regular file, which can be read again. */
bool lines_is_file(const struct lines *lines);

/* The share of the file that has been read, 0..1; NAN of a pipe or an empty file. */
float lines_progress(const struct lines *lines);

#endif
