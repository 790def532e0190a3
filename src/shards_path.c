#include "shards_path.h"

#include <stdio.h>

const char *shards_path(char path[SHARDS_PATH_MAX], const char *folder, const char *name)
{
    snprintf(path, SHARDS_PATH_MAX, "%s/%s", folder, name);
    return path;
}

const char *shards_rows_path(char path[SHARDS_PATH_MAX], const char *folder, uint64_t shard)
{
    snprintf(path, SHARDS_PATH_MAX, "%s/shard-%08llu.jsonl", folder, (unsigned long long)shard);
    return path;
}

const char *shards_receipt_path(char path[SHARDS_PATH_MAX], const char *folder, uint64_t shard)
{
    snprintf(path, SHARDS_PATH_MAX, "%s/shard-%08llu.json", folder, (unsigned long long)shard);
    return path;
}
