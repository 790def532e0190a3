/* What a folder of shards holds: read, and held against its receipts. */
#include "err.h"
#include "receipt.h"
#include "shards.h"
#include "shards_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (256u << 10)

typedef int (*taker)(void *user, const void *data, size_t size, struct bgd_err *err);

struct reader {
    const char *folder;
    taker take;
    void *user;
    uint8_t *piece;
    struct results_counts counts; /* the receipts' sum */
};

/* Reads the file to its end: its hash, and its lines. */
static int read_rows(const struct reader *reader, const char *path, char hash[HASH_TEXT], uint64_t *lines, struct bgd_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct hash_stream *stream = hash_begin();
    uint8_t digest[HASH_BYTES];
    ssize_t got = 1;
    err->code = BGD_OK;
    if (fd < 0 || !stream)
        err_set(err, stream ? BGD_UNREADABLE : BGD_MEMORY, "%s: %s", path, strerror(errno));
    while (!err->code && got > 0) {
        got = read(fd, reader->piece, PIECE);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0)
            err_set(err, BGD_UNREADABLE, "%s: %s", path, strerror(errno));
        else if (got > 0) {
            hash_add(stream, reader->piece, (size_t)got);
            for (const uint8_t *at = reader->piece, *end = at + got; (at = memchr(at, '\n', (size_t)(end - at))); at++)
                ++*lines;
            if (reader->take)
                reader->take(reader->user, reader->piece, (size_t)got, err);
        }
    }
    hash_end(stream, digest);
    hash_print(digest, hash);
    if (fd >= 0)
        close(fd);
    return err->code;
}

static int check_shard(struct reader *reader, uint64_t shard, struct bgd_err *err)
{
    char path[SHARDS_PATH_MAX], hash[HASH_TEXT];
    struct results_counts counts = {0};
    uint64_t lines = 0;
    cJSON *receipt = receipt_read(shards_receipt_path(path, reader->folder, shard), err);
    if (!receipt)
        return err->code == BGD_MISSING ? err_set(err, BGD_DAMAGED, "%s: expected a receipt beside its rows", path) : err->code;
    const cJSON *said = cJSON_GetObjectItemCaseSensitive(receipt, "hash");
    err->code = BGD_OK;
    if (!cJSON_IsString(said) || !receipt_add(receipt, &counts) || !receipt_add(receipt, &reader->counts))
        err_set(err, BGD_DAMAGED, "%s: no receipt of a shard", path);
    else if (read_rows(reader, shards_rows_path(path, reader->folder, shard), hash, &lines, err) == 0 &&
             (lines != counts.rows || strcmp(hash, said->valuestring) != 0))
        err_set(err, BGD_DAMAGED, "%s: %llu rows with hash %s, its receipt says %llu with %.32s", path,
                (unsigned long long)lines, hash, (unsigned long long)counts.rows, said->valuestring);
    cJSON_Delete(receipt);
    return err->code;
}

/* One more than the largest number of a shard whose rows are there. */
static int count_shards(const char *folder, uint64_t *n, struct bgd_err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, errno == ENOENT ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", folder, strerror(errno));
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        unsigned long long shard;
        int end = 0;
        if (sscanf(entry->d_name, "shard-%20llu.jsonl%n", &shard, &end) == 1 && end && !entry->d_name[end] && shard >= *n)
            *n = shard + 1;
    }
    closedir(dir);
    return 0;
}

/* The manifest's number of shards; 0 and no error without one. */
static int read_manifest(const char *folder, cJSON **manifest, struct shards_state *state, struct bgd_err *err)
{
    char path[SHARDS_PATH_MAX];
    shards_path(path, folder, "manifest.json");
    *manifest = receipt_read(path, err);
    if (!*manifest && err->code == BGD_MISSING)
        err->code = BGD_OK;
    if (!*manifest)
        return err->code;
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(*manifest, "shards");
    if (!cJSON_IsNumber(n) || !(n->valuedouble >= 0 && n->valuedouble <= 1e15))
        return err_set(err, BGD_DAMAGED, "%s: expected a number of shards", path);
    state->finished = true;
    state->shards = (uint64_t)n->valuedouble;
    return 0;
}

static int read_shards(struct reader *reader, struct shards_state *state, struct bgd_err *err)
{
    for (uint64_t i = 0; i < state->shards; i++) {
        char path[SHARDS_PATH_MAX];
        if (access(shards_rows_path(path, reader->folder, i), F_OK) == 0) {
            if (check_shard(reader, i, err))
                return err->code;
        } else if (state->missing++ == 0) {
            state->first = i;
        }
    }
    state->rows = reader->counts.rows;
    return 0;
}

/* The manifest says what the receipts say. */
static int check_sums(const struct reader *reader, const cJSON *manifest, struct bgd_err *err)
{
    struct results_counts said = {0}, sum = reader->counts;
    if (!receipt_add(manifest, &said))
        return err_set(err, BGD_DAMAGED, "%s/manifest.json: no manifest of a run", reader->folder);
    if (memcmp(&said, &sum, sizeof said) != 0)
        return err_set(err, BGD_DAMAGED, "%s/manifest.json: its counts are not the sums of the receipts' (%llu rows, %llu)",
                       reader->folder, (unsigned long long)said.rows, (unsigned long long)sum.rows);
    return 0;
}

int shards_read(const char *folder, taker take, void *user, struct shards_state *state, struct bgd_err *err)
{
    struct reader reader = {.folder = folder, .take = take, .user = user};
    cJSON *manifest = NULL;
    *state = (struct shards_state){0};
    if (strlen(folder) > SHARDS_FOLDER_MAX)
        return err_set(err, BGD_ARGUMENT, "%.60s...: a folder's name of more than %d bytes", folder, SHARDS_FOLDER_MAX);
    if (count_shards(folder, &state->shards, err))
        return err->code;
    reader.piece = malloc(PIECE);
    if (!reader.piece)
        return err_set(err, BGD_MEMORY, "out of memory");
    err->code = BGD_OK;
    if (read_manifest(folder, &manifest, state, err) == 0 && read_shards(&reader, state, err) == 0 && manifest &&
        state->missing == 0)
        check_sums(&reader, manifest, err);
    cJSON_Delete(manifest);
    free(reader.piece);
    return err->code;
}
