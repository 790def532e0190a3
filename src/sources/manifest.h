/*
 * A line of a manifest: a JSON object that says what a card is called, where it is, and what else its row shall carry.
 *
 *     {"id": "4711", "path": "cards/4711.jpg", "size": 48213, "mtime": "2026-11-23T18:00:00Z", "brand": "Acme", "price": 1290}
 *
 *     id     what its row is called. "id" or "path" may be missing: it is then the other
 *     path   a file, relative to the working directory, or an object (remote.h)
 *     size   the file's bytes, an integer below 2^53; optional
 *     mtime  the file's time of change: seconds since 1970, a number, or an RFC 3339 time; optional
 *
 * All other members are carried as they are written.
 */
#ifndef BGD_MANIFEST_H
#define BGD_MANIFEST_H

#include "bgdet.h"

#define MANIFEST_LINE_MAX (1u << 20) /* bytes */

struct manifest_line {
    char *id, *path;
    char *carried;  /* a JSON object without white space; NULL: there are no other members */
    uint64_t bytes; /* both 0 unless the line has both; mtime in nanoseconds */
    int64_t mtime;
};

/*
 * Reads `text`, `size` bytes that a NUL follows; white space in it is removed. `line` is zeroed before its first use, and what
 * it held is freed. BGD_DAMAGED: no JSON object, or a member that is not as above; BGD_MEMORY. Hostile input is safe.
 */
int manifest_parse(char *text, size_t size, struct manifest_line *line, struct bgd_err *err);

void manifest_free(struct manifest_line *line);

#endif
