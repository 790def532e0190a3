/* What is to be scored: one card, as the catalogue gives it out. */
#ifndef BGD_ITEM_H
#define BGD_ITEM_H

#include "bgdet.h"

/* All that it points to is borrowed until the next call of catalogue_next, but `data`. */
struct item {
    const char *id;      /* what its row is called */
    const char *path;    /* where its bytes are: a file, or an object (remote.h); NULL: in `data`, or nowhere (`code`) */
    uint8_t *data;       /* an entry of a tar, malloc'ed: who takes it sets it to NULL, else catalogue_next frees it */
    size_t size;         /* of `data` */
    const char *carried; /* a JSON object to carry into the row, in one line; NULL: none */
    uint64_t shard;      /* the unit of a run that keeps its rows by shard, from 0 */
    uint64_t bytes;      /* of a manifest that says so: the file's size, and its time of change in nanoseconds since 1970; */
    int64_t mtime;       /* both 0: unknown */
    int code;            /* not 0: why it has no picture */
    bool source;         /* it stands for a whole shard, which cannot be read (on): how many cards are lost nobody knows */
    const char *detail;  /* of that, one line; else NULL */
};

#endif
