/* What a folder of shards holds: read, and held against its receipts. */
#include "../err.h"
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
    uint64_t *shards; /* whose rows are there, in ascending order */
    size_t n;
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
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(receipt, "shard");
    err->code = BGD_OK;
    if (!cJSON_IsString(said) || !receipt_add(receipt, &counts) || !receipt_add(receipt, &reader->counts))
        err_set(err, BGD_DAMAGED, "%s: no receipt of a shard", path);
    else if (!cJSON_IsNumber(number) || number->valuedouble != (double)shard)
        err_set(err, BGD_DAMAGED, "%s: the receipt of another shard", path);
    else if (read_rows(reader, shards_rows_path(path, reader->folder, shard), hash, &lines, err) == 0 &&
             (lines != counts.rows || strcmp(hash, said->valuestring) != 0))
        err_set(err, BGD_DAMAGED, "%s: %llu rows with hash %s, its receipt says %llu with %.32s", path,
                (unsigned long long)lines, hash, (unsigned long long)counts.rows, said->valuestring);
    cJSON_Delete(receipt);
    return err->code;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Fills reader->shards. */
static int find_shards(struct reader *reader, struct bgd_err *err)
{
    DIR *dir = opendir(reader->folder);
    if (!dir)
        return err_set(err, errno == ENOENT ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", reader->folder, strerror(errno));
    struct dirent *entry;
    uint64_t shard;
    size_t room = 0;
    err->code = BGD_OK;
    while (!err->code && (errno = 0, entry = readdir(dir))) {
        if (!shards_name_is(entry->d_name, ".jsonl", &shard))
            continue;
        if (reader->n == room) {
            room = room ? 2 * room : 64;
            uint64_t *grown = realloc(reader->shards, room * sizeof *grown);
            if (!grown) {
                err_set(err, BGD_MEMORY, "out of memory");
                break;
            }
            reader->shards = grown;
        }
        reader->shards[reader->n++] = shard;
    }
    if (!err->code && errno)
        err_set(err, BGD_UNREADABLE, "%s: %s", reader->folder, strerror(errno));
    closedir(dir);
    if (reader->n > 0)
        qsort(reader->shards, reader->n, sizeof *reader->shards, compare_numbers);
    return err->code;
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
    uint64_t last = reader->n ? reader->shards[reader->n - 1] : 0;
    if (!state->finished)
        state->shards = reader->n ? last + 1 : 0;
    else if (reader->n && last >= state->shards)
        return err_set(err, BGD_DAMAGED, "%s/manifest.json: its shards are %llu, but there are rows of a shard %llu",
                       reader->folder, (unsigned long long)state->shards, (unsigned long long)last);
    state->missing = state->shards - reader->n;
    while (state->first < reader->n && reader->shards[state->first] == state->first)
        state->first++;
    for (size_t i = 0; i < reader->n; i++)
        if (check_shard(reader, reader->shards[i], err))
            return err->code;
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
    reader.piece = malloc(PIECE);
    if (!reader.piece)
        return err_set(err, BGD_MEMORY, "out of memory");
    /* The manifest first: shards that are done while this runs are then no surprise. */
    if (read_manifest(folder, &manifest, state, err) == 0 && find_shards(&reader, err) == 0 &&
        read_shards(&reader, state, err) == 0 && manifest && state->missing == 0)
        check_sums(&reader, manifest, err);
    cJSON_Delete(manifest);
    free(reader.shards);
    free(reader.piece);
    return err->code;
}
