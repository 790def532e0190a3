/*
 * Cards that people have labelled: what a model's verdicts are held against.
 *
 * CSV (RFC 4180) with a header; names are UTF-8 or any other bytes but NUL. A byte order mark, empty lines and both LF and CRLF
 * are fine; a CR alone ends no line and stands in quotes only. The columns, in any order, their names spelt exactly so:
 *   file                                              a path, once, byte by byte: "a.jpg" and "./a.jpg" are two
 *   clean                                             1 or 0
 *   text,not_white,extra_objects,cropped,duplicates   1, 0, or empty: nobody has looked for this reason
 *   group                                             optional, any text: "beauty"
 * No spaces are trimmed: " 1" is no 1. Columns of other names are ignored, and said to be (`ignored`). A card that is clean and
 * has a reason is refused; one that is not clean and has none is defective for a reason of its own.
 */
#ifndef BGD_LABELS_H
#define BGD_LABELS_H

#include "../hash.h"
#include "bgdet.h"

#define LABELS_BYTES_MAX (1u << 30)
#define LABELS_ROWS_MAX 10000000u
#define LABELS_COLUMNS_MAX 256u
#define LABELS_GROUPS_MAX 64u
#define LABELS_GROUP_BYTES_MAX 200u /* of a group's name */

/* What is judged of a card: that it is defective, and each reason. */
enum { OUTPUT_DEFECTIVE, OUTPUT_REASON, OUTPUTS = OUTPUT_REASON + BGD_REASONS };

/* "defective", then the reasons' names. */
const char *output_name(int output);

struct label {
    const char *file;      /* as it stands in the list */
    uint32_t line;         /* 1-based, where its row begins */
    uint8_t group;         /* index into groups; 0 where there is no such column */
    int8_t truth[OUTPUTS]; /* 1, 0, or -1: not known */
};

struct labels {
    struct label *rows;                    /* in file order */
    size_t count;                          /* at least 1 */
    const char *groups[LABELS_GROUPS_MAX]; /* in order of appearance; "" is the group of rows that name none */
    uint32_t n_groups;                     /* 0 without such a column */
    char *ignored;                         /* names of columns that are not read, ", " between them; "" */
    char hash[HASH_TEXT];                  /* XXH3-128 of the file's bytes */
    char *text;                            /* what rows and groups borrow */
};

/*
 * Reads and checks the whole file. Errors name the file and the line, what was expected and what was found: BGD_MISSING,
 * BGD_UNREADABLE; BGD_LIMIT; BGD_MEMORY; BGD_DAMAGED (no header, a column missing or twice, a row of another length, a value
 * that is not 0 or 1, a file named twice (both lines) or not at all, a quote that is not closed or out of place, a NUL byte, a
 * CR without LF, no rows). A quoted value of several lines counts as many.
 */
int labels_open(const char *path, struct labels **labels, struct bgd_err *err);

/* The same from memory. Takes any bytes. The text does not name a file. */
int labels_parse(const void *bytes, size_t size, struct labels **labels, struct bgd_err *err);

void labels_close(struct labels *labels);

#endif
