/*
 * The list of what is to be scored: file names, folders and lists of names, one item after another in a fixed order.
 *
 * Nothing is opened here but lists and folders: a name that leads nowhere is an item like any other, and becomes a row
 * that says so. Memory does not grow with the list; of a folder that is being walked the names are held, sorted by
 * byte, which makes the order the same on every machine.
 */
#ifndef BGD_CATALOGUE_H
#define BGD_CATALOGUE_H

#include "bgdet.h"

#define CATALOGUE_NAME_MAX 65536u    /* bytes of a line of a list; the kernel takes names of 4,095 */
#define CATALOGUE_DEPTH_MAX 128u     /* folders inside folders */
#define CATALOGUE_SHARD_ITEMS 10000u /* what shard_items 0 stands for */

/* What is to be scored: one card. All that it points to is borrowed until the next call of catalogue_next, but `data`. */
struct item {
    const char *id;   /* what its row is called */
    const char *path; /* where its bytes are: a file, or an object (remote.h); NULL: in `data`, or nowhere (`code`) */
    uint8_t *data;    /* an entry of a tar, malloc'ed: who takes it sets it to NULL, else catalogue_next frees it */
    size_t size;
    const char *carried; /* a JSON object to carry into the row, one line; NULL: none */
    uint64_t shard;      /* the unit of a run with --out, from 0 */
    uint64_t bytes;      /* of a manifest that says so: the file's size, and its time of change in ns since 1970; */
    int64_t mtime;       /* both 0: unknown */
    int code;            /* not 0: why it has no picture */
    const char *detail;  /* of that, one line; else NULL */
};

struct catalogue_options {
    char *const *paths; /* borrowed; given in this order, before the list */
    size_t n_paths;
    bool recursive;       /* a path that is a folder stands for every file in it, hidden ones (".x") left out, links to
                         folders not followed; one that cannot be read, and any without this, is an item itself */
    const char *list;     /* a file of names, "-" for standard input, NULL for none; borrowed */
    char separator;       /* '\n' (a CR before it is dropped, as are empty lines and a byte order mark), or '\0' */
    const int *wake;      /* a descriptor that becomes readable when the list is to end at once, even in the middle of a wait
                         for its producer; NULL for none; borrowed */
    uint32_t shard_items; /* so many items make a shard */
    bool (*wanted)(void *user, uint64_t shard); /* asked once for each shard, in order; one that is not wanted is passed over */
    void *user;
    const char *const *skip; /* files that a walk leaves out, whatever name leads to them: the run's own output.
                                NULL-terminated, or NULL; borrowed */
};

struct catalogue;

/* BGD_MISSING, BGD_UNREADABLE: the list cannot be opened. */
int catalogue_open(const struct catalogue_options *options, struct catalogue **catalogue, struct bgd_err *err);
void catalogue_close(struct catalogue *catalogue);

/*
 * 1: `item` is the next one. 0: there are no more, or `wake` says so. Negative: the list cannot be read on
 * (BGD_UNREADABLE), or a line of it holds a NUL byte (BGD_DAMAGED) or is too long (BGD_LIMIT).
 */
int catalogue_next(struct catalogue *catalogue, struct item *item, struct bgd_err *err);

/* Shards seen so far: after the end, all. */
uint64_t catalogue_shards(const struct catalogue *catalogue);

/* The share of the list that has been given out, 0..1, by place among the names or bytes known so far; NAN if unknown
 * (a pipe). */
float catalogue_progress(const struct catalogue *catalogue);

#endif
