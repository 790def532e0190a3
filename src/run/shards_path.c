#include "shards_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool shards_name_is(const char *name, const char *end, uint64_t *shard)
{
    char written[64];
    if (strncmp(name, "shard-", 6) != 0)
        return false;
    *shard = strtoull(name + 6, NULL, 10);
    snprintf(written, sizeof written, "shard-%08llu%s", (unsigned long long)*shard, end);
    return strcmp(name, written) == 0 && *shard < UINT64_MAX;
}
