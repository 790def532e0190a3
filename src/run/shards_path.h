/* The names of the files in a folder of shards. */
#ifndef BGD_SHARDS_PATH_H
#define BGD_SHARDS_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARDS_FOLDER_MAX 4000 /* bytes of the folder's name */
#define SHARDS_PATH_MAX (SHARDS_FOLDER_MAX + 64)

/* Each writes `path` and returns it. */
const char *shards_path(char path[SHARDS_PATH_MAX], const char *folder, const char *name);
const char *shards_rows_path(char path[SHARDS_PATH_MAX], const char *folder, uint64_t shard);
const char *shards_receipt_path(char path[SHARDS_PATH_MAX], const char *folder, uint64_t shard);

/* Is `name` the name of a shard's file that ends in `end`, as it is written here? Then `shard` is its number. */
bool shards_name_is(const char *name, const char *end, uint64_t *shard);

#endif
