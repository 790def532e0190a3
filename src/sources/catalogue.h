/*
 * The list of what is to be scored: file names, folders, lists of names, manifests and tar shards, one item after another in a
 * fixed order.
 *
 * A name that ends in .tar, .tar.gz, .tgz or .tar.zst, wherever it stands but in a manifest, is a shard, and its pictures are
 * items (tar.h). So is such an object (remote.h). Any other name is an item, and nothing looks whether it leads anywhere: one that
 * does not becomes a row that says so. A shard that is damaged, or breaks off, gives the items before that; it, and one that is
 * missing or cannot be read, gives one item more, with the shard's name and a code, and the next name has its turn.
 *
 * Memory does not grow with the list; of a folder that is being walked the names are held, sorted by byte, which makes the
 * order the same on every machine.
 */
#ifndef BGD_CATALOGUE_H
#define BGD_CATALOGUE_H

#include "item.h"

#define CATALOGUE_NAME_MAX 65536u /* bytes of a line of a list; the kernel takes names of 4,095 */
#define CATALOGUE_DEPTH_MAX 128u  /* folders inside folders */
#define CATALOGUE_SHARD_ITEMS 10000u

struct catalogue_options { /* all that it points to is borrowed */
    char *const *paths;    /* given in this order, before the list. A name with ranges (range.h) stands for several, unless a
                              file is called just so */
    size_t n_paths;
    bool recursive;       /* a path that is a folder stands for every file in it, hidden ones (".x") left out, links to
                             folders not followed; one that cannot be read, and any without this, is an item itself */
    const char *list;     /* a file of names, "-" for standard input, NULL for none */
    char separator;       /* '\n' (a CR before it is dropped, as are empty lines and a byte order mark), or '\0' */
    const char *manifest; /* instead of a list: a file with an item a line (manifest.h), "-" for standard input */
    const int *wake;      /* a descriptor that becomes readable when the catalogue is to end at once, even in the middle of a
                             tar, an object, or a wait for a list's producer; NULL for none */
    /* Files that a walk leaves out, whatever name leads to them: the run's own output. NULL-terminated, or NULL. */
    const char *const *skip;

    bool names;   /* a shard is an item like any other: no tar is opened */
    bool literal; /* `paths` are items, one each, whatever they are called and whatever is there */

    /* Shards are counted from 0. A tar is one; it ends the one before it. Items that are in no tar make shards of `shard_items`
     * each, in order; 0: CATALOGUE_SHARD_ITEMS. `wanted` is asked once for each, in order, when it is entered; one that is not
     * wanted is passed over, and its tar not even opened. NULL: all are wanted. */
    uint32_t shard_items;
    bool (*wanted)(void *user, uint64_t shard);
    void *user;

    /* The first `limit` items alone (0: all), and of these a uniform sample of so many (0: all), in order, the same on every
     * machine for the same `seed`. The catalogue is then read twice, once to count it, at the first call of catalogue_next.
     * What is chosen does not depend on `wanted`: with either, the items of shards that are not wanted count, and their tars
     * are read; one that the network does not give to its end then ends all, with BGD_NETWORK. */
    uint64_t limit;
    uint64_t sample, seed;
};

struct catalogue;

/* BGD_MISSING, BGD_UNREADABLE: the list cannot be opened. BGD_LIMIT: ranges of more than RANGE_NAMES_MAX names. BGD_ARGUMENT: a
 * sample of a list that can be read once only (standard input from a pipe, a FIFO). */
int catalogue_open(const struct catalogue_options *options, struct catalogue **catalogue, struct bgd_err *err);
void catalogue_close(struct catalogue *catalogue);

/*
 * 1: `*item` is the next one. It is zeroed before the first call and handed in again for the next, which frees its `data` unless
 * that was taken (who breaks off frees it). 0: there are no more, or `wake` says so. Negative: the list or the manifest cannot be read on
 * (BGD_UNREADABLE), or a line of it is damaged (BGD_DAMAGED: a NUL byte, no JSON) or too long (BGD_LIMIT); memory is short
 * (BGD_MEMORY).
 */
int catalogue_next(struct catalogue *catalogue, struct item *item, struct bgd_err *err);

/* Shards entered so far; at the end of the catalogue, all that there are. */
uint64_t catalogue_shards(const struct catalogue *catalogue);

/* The share of the list that has been given out, 0..1, by place among the names or bytes known so far; NAN if unknown
 * (a pipe). */
float catalogue_progress(const struct catalogue *catalogue);

#endif
