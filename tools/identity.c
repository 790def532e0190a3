#include "identity.h"

#include "err.h"
#include "hash.h"
#include "sources/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *precision_name(const struct session *session)
{
    static const char *const names[] = {
        [BGD_PRECISION_F32] = "f32", [BGD_PRECISION_F16] = "f16", [BGD_PRECISION_BF16] = "bf16", [BGD_PRECISION_F8] = "f8"};
    enum bgd_precision precision = session->settings.engine.precision;
    if (precision == BGD_PRECISION_AUTO)
        return strcmp(bgd_engine_device(session->engine), "cuda") == 0 ? "f16" : "f32";
    return names[precision];
}

cJSON *identity_of_session(const struct session *session)
{
    cJSON *identity = cJSON_CreateObject();
    cJSON *pipeline = identity ? cJSON_AddObjectToObject(identity, "pipeline") : NULL;
    if (pipeline && cJSON_AddStringToObject(identity, "version", BGD_VERSION) &&
        cJSON_AddStringToObject(pipeline, "name", bgd_pipeline_name(session->pipeline)) &&
        cJSON_AddStringToObject(pipeline, "hash", bgd_pipeline_hash(session->pipeline)) &&
        cJSON_AddStringToObject(identity, "device", bgd_engine_device(session->engine)) &&
        cJSON_AddStringToObject(identity, "precision", precision_name(session)) &&
        cJSON_AddStringToObject(identity, "decode", session->settings.exact ? "exact" : "scaled"))
        return identity;
    cJSON_Delete(identity);
    return NULL;
}

static int hash_fd(int fd, char hash[HASH_TEXT])
{
    char piece[65536];
    uint8_t digest[HASH_BYTES];
    struct hash_stream *stream = hash_begin();
    ssize_t got = stream ? 1 : -1;
    while (got > 0 || (got < 0 && stream && errno == EINTR))
        if ((got = read(fd, piece, sizeof piece)) > 0)
            hash_add(stream, piece, (size_t)got);
    hash_end(stream, digest);
    hash_print(digest, hash);
    return got < 0 ? -1 : 0;
}

/* A list whose lines change between two beginnings of a run would move its shards. */
static int add_list(cJSON *sources, const char *kind, const char *path, struct bgd_err *err)
{
    char hash[HASH_TEXT];
    struct stat st;
    if (!path)
        return 0;
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && !standard)
        err_set(err, errno == ENOENT ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", path, strerror(errno));
    else if (standard || fstat(fd, &st) || !S_ISREG(st.st_mode))
        err_set(err, BGD_ARGUMENT, "%s: --out needs a list that can be read again: a file", path);
    else if (hash_fd(fd, hash))
        err_set(err, BGD_UNREADABLE, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (err->code)
        return err->code;
    cJSON *list = cJSON_AddObjectToObject(sources, kind);
    return list && cJSON_AddStringToObject(list, "name", path) && cJSON_AddStringToObject(list, "hash", hash)
               ? 0
               : err_set(err, BGD_MEMORY, "out of memory");
}

/* As text: a number of JSON's holds 53 bits. */
static bool add_count(cJSON *object, const char *name, uint64_t count)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    return cJSON_AddStringToObject(object, name, text);
}

/* Likewise for the files of folders. */
static int add_walk(cJSON *sources, const struct catalogue_options *options, struct bgd_err *err)
{
    char hash[HASH_TEXT];
    uint8_t digest[HASH_BYTES];
    struct item item = {0};
    struct catalogue *catalogue;
    const struct catalogue_options walk = {
        .paths = options->paths, .n_paths = options->n_paths, .recursive = true, .names = true, .skip = options->skip};
    if (!options->recursive)
        return 0;
    struct hash_stream *stream = hash_begin();
    int code = stream ? catalogue_open(&walk, &catalogue, err) : err_set(err, BGD_MEMORY, "out of memory");
    if (!code) {
        while (!session_stopped() && (code = catalogue_next(catalogue, &item, err)) > 0)
            hash_add(stream, item.id, strlen(item.id) + 1);
        catalogue_close(catalogue);
        if (session_stopped())
            code = err_set(err, BGD_NETWORK, "stopped by a signal");
    }
    hash_end(stream, digest);
    hash_print(digest, hash);
    if (!code && !cJSON_AddStringToObject(sources, "names", hash))
        return err_set(err, BGD_MEMORY, "out of memory");
    return code;
}

/* A name that means another file in another folder. */
static bool is_relative(const char *name)
{
    return name && *name != '/' && !remote_is(name);
}

int identity_add_sources(cJSON *identity, const struct catalogue_options *options, struct bgd_err *err)
{
    cJSON *sources = cJSON_AddObjectToObject(identity, "sources");
    cJSON *paths = sources ? cJSON_AddArrayToObject(sources, "paths") : NULL;
    bool added = paths;
    for (size_t i = 0; i < options->n_paths && added; i++)
        added = cJSON_AddItemToArray(paths, cJSON_CreateString(options->paths[i]));
    added =
        added &&
        cJSON_AddNumberToObject(sources, "shard_cards", options->shard_items ? options->shard_items : CATALOGUE_SHARD_ITEMS) &&
        (!options->limit || add_count(sources, "limit", options->limit)) &&
        (!options->sample || (add_count(sources, "sample", options->sample) && add_count(sources, "seed", options->seed)));
    bool relative = is_relative(options->list) || is_relative(options->manifest);
    for (size_t i = 0; i < options->n_paths; i++)
        relative = relative || is_relative(options->paths[i]);
    char *folder = relative ? getcwd(NULL, 0) : NULL;
    added = added && (!folder || cJSON_AddStringToObject(sources, "folder", folder));
    free(folder);
    err->code = BGD_OK;
    if (!added)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (add_walk(sources, options, err) || add_list(sources, "list", options->list, err))
        return err->code;
    return add_list(sources, "manifest", options->manifest, err);
}
