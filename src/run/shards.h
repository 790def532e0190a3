/*
 * The results of a run in a folder, shard by shard, so that a run can be killed anywhere and go on, and so that many machines can
 * share one:
 *
 *   run.lock              empty: what processes lock that begin or end a run here
 *   run.json              what the run is: sources, pipeline, settings, version; who comes later must be the same
 *   shard-00000012.jsonl  the rows of shard 12 (results.h)
 *   shard-00000012.json   its receipt: {"shard", "rows", "hash" (XXH3-128) of that file, counts as in the manifest}
 *   manifest.json         once all shards are there: {"run": what run.json says, "shards", "rows", "broken": rows that stand
 *                         for a shard whose source could not be read (on), "verdicts": {name: rows},
 *                         "reasons": {name: rows for which it holds}, "errors": {code: rows}}
 *
 * Each appears by one rename when the disk has it (output.h), a receipt before its rows: a shard whose rows are there is done, and
 * is not done again. All are functions of the run alone: whoever does a shard, however often it was begun, writes the same
 * bytes. What a killed process leaves is a .part, which whoever does that shard next begins anew.
 *
 * Processes agree by run.json and by the shards' numbers alone: part K of N does the shards of number K modulo N. They share
 * the folder, by a network file system if they are on several machines.
 */
#ifndef BGD_SHARDS_H
#define BGD_SHARDS_H

#include "results.h"

#include <cjson/cJSON.h>

struct shards_options {
    const char *folder; /* created if it is not there, in a folder that is */
    const cJSON *run;   /* for run.json; borrowed by shards_open */
    const char *model_hash;
    uint32_t part, parts; /* part < parts */
    bool look;            /* nothing is written: another run is refused likewise, and shards_wanted answers */
    bool replace;         /* the results of another run in the folder are removed, instead of refused */
    uint32_t retry;       /* bit -code: shards with such rows are done again */
};

struct shards;

/* BGD_ARGUMENT: the folder holds another run, and in what it differs, or results of nobody knows which; BGD_DAMAGED: run.json is
 * none; BGD_WRITE, also if a process still does the run that is to be replaced. Borrows the strings. */
int shards_open(const struct shards_options *options, struct shards **shards, struct bgd_err *err);
void shards_close(struct shards *shards);

/* For catalogue_options.wanted, with the shards as its user: is the shard this part's, and still to do? */
bool shards_wanted(void *shards, uint64_t shard);

/* A flow_sink with the shards as its user: rows of wanted shards, in order. Publishes a shard when the next one's rows come. One that
 * the network did not give as a whole is left undone, for another time. */
int shards_add(void *shards, const struct flow_row *row, struct bgd_err *err);

/* `n`: the shards of the catalogue, whose end was reached: publishes what is left, and if all `n` are there, the manifest.
 * BGD_NETWORK: there are shards that were left undone. */
int shards_finish(struct shards *shards, uint64_t n, struct bgd_err *err);

/* Of this process; "safe" are the rows of the shards that it has published. */
const struct results_counts *shards_counts(const struct shards *shards);
uint64_t shards_published(const struct shards *shards);

/* Shards of this part that were done before, and of these the sources that could not be read (on). Not while a run goes. */
uint64_t shards_there(const struct shards *shards);
uint64_t shards_broken(const struct shards *shards);

/* ---------------------------------------------------------------- what a folder holds */

struct shards_state {
    bool finished;           /* manifest.json is there */
    uint64_t shards;         /* that are to be there: known once finished; else those up to the last that is */
    uint64_t missing, first; /* of them; the first's number */
    uint64_t rows;
};

/*
 * Reads all rows, in order, and checks them: each file against its receipt (number of lines, hash), their sums against the
 * manifest. `take`, unless NULL, gets the bytes as they are read; they are proven only when all has returned 0. `user` is its
 * own; a negative code of it ends all. BGD_DAMAGED names the file, what was expected and what was found. A folder that is not
 * finished is no error: `state` says so.
 */
int shards_read(const char *folder, int (*take)(void *user, const void *data, size_t size, struct bgd_err *err), void *user,
                struct shards_state *state, struct bgd_err *err);

#endif
