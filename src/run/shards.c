#include "shards.h"

#include "../err.h"
#include "../file.h"
#include "receipt.h"
#include "shards_path.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct shards {
    struct shards_options options;
    cJSON *run;
    int joined;              /* run.json, locked in common with the run's other processes; -1: none */
    bool emptied;            /* looking: what is there would be removed */
    struct results *results; /* of the shard that is being written; NULL: none */
    uint64_t shard;
    struct results_counts counts;
    uint64_t published, undone, there, broken;

    pthread_mutex_t lock; /* guards the queue: the catalogue's thread fills it, the sink's empties it */
    uint64_t *queue;      /* wanted shards whose rows have not begun, a ring in ascending order */
    size_t room, at, n;
    struct bgd_err lost; /* why one that was to be done could not be put in; code 0: all could */
};

/* ---------------------------------------------------------------- opening */

/* DIR/run.lock, between processes that begin or end a run there: a file, open for writing, which network file systems lock as well.
 * -1 with errno. */
static int lock_folder(const char *folder)
{
    char path[SHARDS_PATH_MAX];
    int fd = open(shards_path(path, folder, "run.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The first member in which the two differ, as "sources.list.hash" in `name`; false if they are equal. */
static bool find_difference(const cJSON *a, const cJSON *b, char *name, size_t room, const cJSON **there, const cJSON **here)
{
    if (cJSON_Compare(a, b, true))
        return false;
    *there = a;
    *here = b;
    if (!cJSON_IsObject(a) || !cJSON_IsObject(b))
        return true;
    const cJSON *both[] = {a, b}, *item;
    for (int i = 0; i < 2; i++)
        cJSON_ArrayForEach(item, both[i])
        {
            const cJSON *x = cJSON_GetObjectItemCaseSensitive(a, item->string);
            const cJSON *y = cJSON_GetObjectItemCaseSensitive(b, item->string);
            size_t used = strlen(name);
            snprintf(name + used, room - used, "%s%s", used ? "." : "", item->string);
            if (find_difference(x, y, name, room, there, here))
                return true;
            name[used] = 0;
        }
    return true;
}

static int refuse(const struct shards *shards, const cJSON *found, struct bgd_err *err)
{
    char name[256] = "";
    const cJSON *there = NULL, *here = NULL;
    find_difference(found, shards->run, name, sizeof name, &there, &here);
    char *was = there ? cJSON_PrintUnformatted(there) : NULL, *is = here ? cJSON_PrintUnformatted(here) : NULL;
    err_set(err, BGD_ARGUMENT, "%s holds another run: its %s is %.300s, this one's %.300s", shards->options.folder, name,
            was ? was : "not there", is ? is : "not there");
    free(was);
    free(is);
    return err->code;
}

/* Counts the files in the folder that are a shard's and end so, and removes them if `gone`. No others: tars of cards may be
 * called shard-000000.tar, and be in the same folder. */
static int sweep(const char *folder, const char *end, bool gone, uint64_t *n, struct bgd_err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, BGD_WRITE, "%s: %s", folder, strerror(errno));
    struct dirent *entry;
    uint64_t shard;
    err->code = BGD_OK;
    while (!err->code && (errno = 0, entry = readdir(dir)))
        if (shards_name_is(entry->d_name, end, &shard)) {
            ++*n;
            if (gone && unlinkat(dirfd(dir), entry->d_name, 0) && errno != ENOENT)
                err_set(err, BGD_WRITE, "%s/%s: %s", folder, entry->d_name, strerror(errno));
        }
    if (!err->code && errno)
        err_set(err, BGD_WRITE, "%s: %s", folder, strerror(errno));
    closedir(dir);
    return err->code;
}

/* Removes the results of the run that is there. run.json stays, and says whose the rest is, until another takes its place. */
static int remove_results(const char *folder, struct bgd_err *err)
{
    static const char *const ends[] = {".jsonl", ".jsonl.part", ".json", ".json.part"}; /* rows without a receipt are damage */
    char path[SHARDS_PATH_MAX];
    uint64_t n = 0;
    err->code = BGD_OK;
    if (unlink(shards_path(path, folder, "manifest.json")) && errno != ENOENT)
        err_set(err, BGD_WRITE, "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0] && !err->code; i++)
        sweep(folder, ends[i], true, &n, err);
    if (!err->code && file_sync_folder(path)) /* or they may be back after a crash, under another's run.json */
        err_set(err, BGD_WRITE, "%s: %s", folder, strerror(errno));
    return err->code;
}

/* Locks run.json, in common or alone, until the descriptor is closed. -1: it is not there; others have it. */
static int lock_run(const char *path, int how)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && flock(fd, how | LOCK_NB) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Removes what is there, of which `path` is the run.json, and puts this run's in its place. The rows of a process that still
 * did the other run would come to stand among this one's. */
static int take_over(const struct shards *shards, const char *path, struct bgd_err *err)
{
    int fd = lock_run(path, LOCK_EX);
    if (fd < 0 && errno != ENOENT)
        err_set(err, BGD_WRITE, "%s: its run is still going: %s", path, strerror(errno));
    else if (remove_results(shards->options.folder, err) == 0)
        receipt_write(path, shards->run, err);
    if (fd >= 0)
        close(fd);
    return err->code;
}

/* With the folder locked: run.json is this run's, or becomes it. */
static int agree(struct shards *shards, struct bgd_err *err)
{
    const struct shards_options *options = &shards->options;
    char path[SHARDS_PATH_MAX];
    uint64_t n = 0;
    shards_path(path, options->folder, "run.json");
    cJSON *found = receipt_read(path, err);
    if ((!found && err->code != BGD_MISSING) || sweep(options->folder, ".jsonl", false, &n, err))
        ;
    else if (found && cJSON_Compare(found, shards->run, true))
        err->code = BGD_OK;
    else if (found && !options->replace)
        refuse(shards, found, err);
    else if (n > 0 && !options->replace)
        err_set(err, BGD_ARGUMENT, "%s holds results and no run.json that says of what run", options->folder);
    else if (options->look)
        shards->emptied = true;
    else
        take_over(shards, path, err);
    cJSON_Delete(found);
    if (!err->code && !options->look && (shards->joined = lock_run(path, LOCK_SH)) < 0)
        err_set(err, BGD_WRITE, "%s: %s", path, strerror(errno));
    return err->code;
}

static int open_shards(struct shards *shards, struct bgd_err *err)
{
    const char *folder = shards->options.folder;
    if (strlen(folder) > SHARDS_FOLDER_MAX)
        return err_set(err, BGD_ARGUMENT, "%.60s...: a folder's name of more than %d bytes", folder, SHARDS_FOLDER_MAX);
    if (!shards->run)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (shards->options.look && access(folder, F_OK))
        return 0;
    if (mkdir(folder, 0777) && errno != EEXIST)
        return err_set(err, errno == ENOSPC || errno == EDQUOT || errno == EIO ? BGD_WRITE : BGD_ARGUMENT, "%s: %s", folder,
                       strerror(errno));
    int fd = shards->options.look ? -1 : lock_folder(folder);
    bool ours = errno == ENOTDIR || errno == EACCES || errno == EROFS;
    if (fd < 0 && !shards->options.look)
        return err_set(err, ours ? BGD_ARGUMENT : BGD_WRITE, "%s: %s", folder, strerror(errno));
    agree(shards, err);
    if (fd >= 0)
        close(fd);
    return err->code;
}

int shards_open(const struct shards_options *options, struct shards **out, struct bgd_err *err)
{
    *out = NULL;
    struct shards *shards = calloc(1, sizeof *shards);
    if (!shards)
        return err_set(err, BGD_MEMORY, "out of memory");
    shards->options = *options;
    shards->joined = -1;
    shards->run = cJSON_Duplicate(options->run, true);
    pthread_mutex_init(&shards->lock, NULL);
    err->code = BGD_OK;
    if (open_shards(shards, err)) {
        shards_close(shards);
        return err->code;
    }
    *out = shards;
    return 0;
}

void shards_close(struct shards *shards)
{
    if (!shards)
        return;
    results_close(shards->results);
    if (shards->joined >= 0)
        close(shards->joined);
    cJSON_Delete(shards->run);
    free(shards->queue);
    pthread_mutex_destroy(&shards->lock);
    free(shards);
}

const struct results_counts *shards_counts(const struct shards *shards)
{
    return &shards->counts;
}

uint64_t shards_published(const struct shards *shards)
{
    return shards->published;
}

uint64_t shards_there(const struct shards *shards)
{
    return shards->there;
}

uint64_t shards_broken(const struct shards *shards)
{
    return shards->broken;
}

/* ---------------------------------------------------------------- which shards */

/* Is the shard done, and not to be tried again? Then `counts` are its rows'. One whose receipt is none is not. */
static bool is_done(const struct shards *shards, uint64_t shard, struct results_counts *counts)
{
    char path[SHARDS_PATH_MAX];
    struct bgd_err ignored;
    if (shards->emptied || access(shards_rows_path(path, shards->options.folder, shard), F_OK))
        return false;
    cJSON *receipt = receipt_read(shards_receipt_path(path, shards->options.folder, shard), &ignored);
    bool done = receipt && receipt_add(receipt, counts);
    for (int i = 1; i < BGD_CODES; i++)
        done = done && !(counts->codes[i] && shards->options.retry >> i & 1);
    cJSON_Delete(receipt);
    return done;
}

/* Takes the rows of a shard away before its receipt is another's (what is there must match, or not be there), and the manifest,
 * for which nobody who ends the run meanwhile shall take them into account. */
static int withdraw(const struct shards *shards, const char *rows, struct bgd_err *err)
{
    char manifest[SHARDS_PATH_MAX];
    int fd = lock_folder(shards->options.folder);
    shards_path(manifest, shards->options.folder, "manifest.json");
    if (fd < 0 || (unlink(manifest) && errno != ENOENT) || unlink(rows) || file_sync_folder(rows))
        err_set(err, BGD_WRITE, "%s: cannot be done again: %s", rows, strerror(errno));
    if (fd >= 0)
        close(fd);
    return err->code;
}

static bool push(struct shards *shards, uint64_t shard)
{
    if (shards->n == shards->room) {
        size_t room = shards->room ? 2 * shards->room : 64;
        uint64_t *queue = malloc(room * sizeof *queue);
        if (!queue)
            return false;
        for (size_t i = 0; i < shards->n; i++)
            queue[i] = shards->queue[(shards->at + i) % shards->room];
        free(shards->queue);
        shards->queue = queue;
        shards->room = room;
        shards->at = 0;
    }
    shards->queue[(shards->at + shards->n++) % shards->room] = shard;
    return true;
}

bool shards_wanted(void *user, uint64_t shard)
{
    struct shards *shards = user;
    struct results_counts counts = {0};
    struct bgd_err err = {0};
    char path[SHARDS_PATH_MAX];
    if (shard % shards->options.parts != shards->options.part)
        return false;
    if (is_done(shards, shard, &counts)) {
        shards->there++;
        shards->broken += counts.sources;
        return false;
    }
    if (!shards->options.look && access(shards_rows_path(path, shards->options.folder, shard), F_OK) == 0)
        withdraw(shards, path, &err);
    pthread_mutex_lock(&shards->lock);
    if (!err.code && !push(shards, shard))
        err_set(&err, BGD_MEMORY, "out of memory: not all shards were done");
    if (!shards->lost.code)
        shards->lost = err;
    pthread_mutex_unlock(&shards->lock);
    return !err.code;
}

static bool pop(struct shards *shards, uint64_t *shard)
{
    pthread_mutex_lock(&shards->lock);
    bool any = shards->n > 0;
    if (any) {
        *shard = shards->queue[shards->at];
        shards->at = (shards->at + 1) % shards->room;
        shards->n--;
    }
    pthread_mutex_unlock(&shards->lock);
    return any;
}

/* ---------------------------------------------------------------- rows */

static int write_receipt(const struct shards *shards, const char hash[HASH_TEXT], struct bgd_err *err)
{
    char path[SHARDS_PATH_MAX];
    cJSON *receipt = cJSON_CreateObject();
    shards_receipt_path(path, shards->options.folder, shards->shard);
    if (receipt && cJSON_AddNumberToObject(receipt, "shard", (double)shards->shard) &&
        cJSON_AddStringToObject(receipt, "hash", hash) && receipt_put(receipt, results_counts(shards->results)))
        receipt_write(path, receipt, err);
    else
        err_set(err, BGD_MEMORY, "%s: out of memory", path);
    cJSON_Delete(receipt);
    return err->code;
}

static int publish(struct shards *shards, struct bgd_err *err)
{
    char hash[HASH_TEXT];
    err->code = BGD_OK;
    if (results_seal(shards->results, hash, err) || write_receipt(shards, hash, err) || results_publish(shards->results, err))
        return err->code;
    shards->counts.safe += results_counts(shards->results)->rows;
    shards->published++;
    results_close(shards->results);
    shards->results = NULL;
    return 0;
}

/* What stands in its .part is no shard. */
static void leave_undone(struct shards *shards)
{
    shards->undone++;
    results_close(shards->results);
    shards->results = NULL;
}

/* Ends the shard that is being written, and begins the next that is wanted. 1, 0: there is none, or an error. */
static int advance(struct shards *shards, struct bgd_err *err)
{
    char path[SHARDS_PATH_MAX];
    if (shards->results && publish(shards, err))
        return err->code;
    if (!pop(shards, &shards->shard))
        return 0;
    const struct results_options options = {.path = shards_rows_path(path, shards->options.folder, shards->shard),
                                            .form = RESULTS_JSONL,
                                            .model_hash = shards->options.model_hash};
    return results_open(&options, &shards->results, err) ? err->code : 1;
}

int shards_add(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct shards *shards = user;
    while (!shards->results || shards->shard != row->shard) { /* those in between have no rows */
        int code = advance(shards, err);
        if (code < 0)
            return code;
        if (code == 0)
            return err_set(err, BGD_ARGUMENT, "%s: a row of shard %llu, which is not wanted", shards->options.folder,
                           (unsigned long long)row->shard);
    }
    results_count(&shards->counts, row);
    if (results_add(shards->results, row, err))
        return err->code;
    if (row->source && row->code == BGD_NETWORK) /* the last row of its shard */
        leave_undone(shards);
    return 0;
}

/* ---------------------------------------------------------------- the end */

/* Writes the manifest if all shards are there. With the folder locked. */
static int write_manifest(const struct shards *shards, uint64_t n, struct bgd_err *err)
{
    const char *folder = shards->options.folder;
    struct results_counts counts = {0};
    char path[SHARDS_PATH_MAX];
    for (uint64_t i = 0; i < n; i++) {
        if (access(shards_rows_path(path, folder, i), F_OK))
            return 0;
        cJSON *receipt = receipt_read(shards_receipt_path(path, folder, i), err);
        bool added = receipt && receipt_add(receipt, &counts);
        cJSON_Delete(receipt);
        if (!added)
            return !receipt && err->code != BGD_MISSING
                       ? err->code
                       : err_set(err, BGD_DAMAGED, "%s: no receipt of a shard: remove its rows to have it done again", path);
    }
    cJSON *manifest = cJSON_CreateObject();
    cJSON *run = cJSON_Duplicate(shards->run, true);
    shards_path(path, folder, "manifest.json");
    if (!manifest || !run || !cJSON_AddItemToObject(manifest, "run", run) ||
        !cJSON_AddNumberToObject(manifest, "shards", (double)n) || !receipt_put(manifest, &counts))
        err_set(err, BGD_MEMORY, "%s: out of memory", path);
    else
        receipt_write(path, manifest, err);
    cJSON_Delete(manifest);
    return err->code;
}

int shards_finish(struct shards *shards, uint64_t n, struct bgd_err *err)
{
    int code;
    while ((code = advance(shards, err)) > 0)
        ;
    if (code < 0)
        return code;
    if (shards->undone)
        return err_set(err, BGD_NETWORK,
                       "%s: %llu shards are not done, since they could not be fetched as a whole: try again later",
                       shards->options.folder, (unsigned long long)shards->undone);
    if (shards->lost.code) {
        *err = shards->lost;
        return err->code;
    }
    int fd = lock_folder(shards->options.folder);
    if (fd < 0)
        return err_set(err, BGD_WRITE, "%s: %s", shards->options.folder, strerror(errno));
    err->code = BGD_OK;
    write_manifest(shards, n, err);
    close(fd);
    return err->code;
}
