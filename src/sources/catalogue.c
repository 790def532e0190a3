#include "catalogue.h"

#include "../err.h"
#include "lines.h"
#include "manifest.h"
#include "range.h"
#include "remote.h"
#include "sample.h"
#include "tar.h"
#include "../wake.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A folder that is being walked. */
struct folder {
    char *path; /* without the '/' at its end */
    char **names;
    size_t n, at;
};

struct catalogue {
    struct catalogue_options options;
    size_t path_at;                             /* arguments that were begun */
    char *path;                                 /* the last of them, without slashes at its end */
    bool is_range;                              /* it stands for */
    uint64_t range_at, range_n;                 /* so many names, of which some were begun */
    struct folder folders[CATALOGUE_DEPTH_MAX]; /* the walk: each but the first lies in the one before it */
    size_t depth;
    char *name;                /* of path or folder, that was given out or entered last */
    struct lines *lines;       /* of list or manifest, NULL without one */
    struct manifest_line line; /* what catalogue_next gave out last */
    struct remote *remote;     /* NULL until a tar needs it */
    struct tar *tar;           /* whose items are being given out, or NULL */
    const char *tar_name;      /* in `name` or in the line of the list */
    struct bgd_err damage;     /* of a tar: the detail of its last item */

    uint64_t shards, loose; /* shards begun; items of the last one, 0 if it is a tar */
    bool wanted;            /* the last one */
    uint64_t counted;       /* items that limit and sample have seen */
    struct sample sample;
    bool ended;
};

static int open_lines(struct catalogue *catalogue, struct bgd_err *err)
{
    const struct catalogue_options *options = &catalogue->options;
    assert(!options->list || !options->manifest);
    struct lines_options lines = {options->list, options->separator, CATALOGUE_NAME_MAX, options->wake};
    if (options->manifest)
        lines = (struct lines_options){options->manifest, '\n', MANIFEST_LINE_MAX, options->wake};
    if (!lines.path)
        return 0;
    if (lines_open(&lines, &catalogue->lines, err))
        return err->code;
    if (options->sample && (strcmp(lines.path, "-") == 0 || !lines_is_file(catalogue->lines)))
        return err_set(err, BGD_ARGUMENT, "%s: a sample takes a file, which can be read twice", lines.path);
    return 0;
}

static bool is_there(const char *path)
{
    struct stat st;
    return !remote_is(path) && lstat(path, &st) == 0;
}

/* Ranges are refused before anything is scored. */
static int check_ranges(const struct catalogue_options *options, struct bgd_err *err)
{
    uint64_t names;
    for (size_t i = 0; i < options->n_paths; i++)
        if (!options->literal && !is_there(options->paths[i]) && range_count(options->paths[i], &names, err))
            return err->code;
    return 0;
}

int catalogue_open(const struct catalogue_options *options, struct catalogue **out, struct bgd_err *err)
{
    *out = NULL;
    struct catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (!catalogue)
        return err_set(err, BGD_MEMORY, "out of memory");
    catalogue->options = *options;
    if (!catalogue->options.shard_items)
        catalogue->options.shard_items = CATALOGUE_SHARD_ITEMS;
    if (check_ranges(options, err) || open_lines(catalogue, err)) {
        catalogue_close(catalogue);
        return err->code;
    }
    *out = catalogue;
    return 0;
}

static void folder_leave(struct folder *folder)
{
    for (size_t i = 0; i < folder->n; i++)
        free(folder->names[i]);
    free(folder->names);
    free(folder->path);
    *folder = (struct folder){0};
}

void catalogue_close(struct catalogue *catalogue)
{
    if (!catalogue)
        return;
    while (catalogue->depth > 0)
        folder_leave(&catalogue->folders[--catalogue->depth]);
    tar_close(catalogue->tar);
    if (catalogue->remote)
        remote_close(catalogue->remote);
    lines_close(catalogue->lines);
    manifest_free(&catalogue->line);
    free(catalogue->path);
    free(catalogue->name);
    free(catalogue);
}

/* ---------------------------------------------------------------- shards */

static void enter_shard(struct catalogue *catalogue)
{
    const struct catalogue_options *options = &catalogue->options;
    catalogue->wanted = !options->wanted || options->wanted(options->user, catalogue->shards);
    catalogue->shards++;
    catalogue->loose = 0;
}

/* Counts an item that is in no tar. */
static void enter_loose(struct catalogue *catalogue)
{
    if (catalogue->loose == 0 || catalogue->loose == catalogue->options.shard_items)
        enter_shard(catalogue);
    catalogue->loose++;
}

/* A shard that fails is an item: the others are not held up by it. Unless items are counted: had the network given it, a limit
 * or a sample would be of others, and the processes of a run would not agree. */
static int shard_failed(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    const struct catalogue_options *options = &catalogue->options;
    bool uncounted = err->code == BGD_NETWORK && (options->limit || options->sample);
    err_prefix(err, "%s: ", catalogue->tar_name);
    if (err->code == BGD_MEMORY || uncounted || wake_is_up(options->wake))
        return err->code;
    catalogue->damage = *err;
    *item = (struct item){.id = catalogue->tar_name, .source = true, .code = (int)err->code, .detail = catalogue->damage.text};
    return 1;
}

static int enter_tar(struct catalogue *catalogue, const char *name, struct item *item, struct bgd_err *err)
{
    const struct catalogue_options *options = &catalogue->options;
    enter_shard(catalogue);
    if (!catalogue->wanted && !options->limit && !options->sample)
        return 0;
    if (remote_is(name) && !catalogue->remote && remote_open(options->wake, &catalogue->remote, err))
        return err->code;
    catalogue->tar_name = name;
    return tar_open(name, catalogue->remote, options->wake, &catalogue->tar, err) ? shard_failed(catalogue, item, err) : 0;
}

static int next_of_tar(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    int code = tar_next(catalogue->tar, item, err);
    if (code > 0)
        return code;
    tar_close(catalogue->tar);
    catalogue->tar = NULL;
    return code ? shard_failed(catalogue, item, err) : 0;
}

/* Gives out the name, or enters the shard that it is. 1, or 0 when nothing was given out, or an error. */
static int give(struct catalogue *catalogue, const char *name, struct item *item, struct bgd_err *err)
{
    if (tar_is(name) && !catalogue->options.names && !catalogue->options.literal)
        return enter_tar(catalogue, name, item, err);
    enter_loose(catalogue);
    *item = (struct item){.id = name, .path = name};
    return 1;
}

/* ---------------------------------------------------------------- folders */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct folder *folder, size_t *capacity, const char *name)
{
    if (folder->n == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 64;
        char **grown = realloc(folder->names, more * sizeof *grown);
        if (!grown)
            return BGD_MEMORY;
        folder->names = grown;
        *capacity = more;
    }
    folder->names[folder->n] = strdup(name);
    return folder->names[folder->n++] ? 0 : BGD_MEMORY;
}

/* Lists the folder and makes it the innermost of the walk. BGD_UNREADABLE, BGD_LIMIT or BGD_MEMORY. */
static int folder_enter(struct catalogue *catalogue, const char *path)
{
    if (catalogue->depth == CATALOGUE_DEPTH_MAX)
        return BGD_LIMIT;
    DIR *dir = opendir(path);
    if (!dir)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? BGD_MEMORY : BGD_UNREADABLE;
    struct folder folder = {.path = strdup(path)};
    size_t capacity = 0;
    int code = folder.path ? 0 : BGD_MEMORY;
    struct dirent *entry;
    while (!code && (errno = 0, entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            code = add_name(&folder, &capacity, entry->d_name);
    if (!code && errno)
        code = BGD_UNREADABLE;
    closedir(dir);
    if (code) {
        folder_leave(&folder);
        return code;
    }
    if (folder.n > 0)
        qsort(folder.names, folder.n, sizeof *folder.names, compare_names);
    catalogue->folders[catalogue->depth++] = folder;
    return 0;
}

static bool is_folder(const char *path, bool follow)
{
    struct stat st;
    return (follow ? stat(path, &st) : lstat(path, &st)) == 0 && S_ISDIR(st.st_mode);
}

/* A link to a folder: neither a file nor walked. */
static bool is_link_to_folder(const char *path)
{
    return !is_folder(path, false) && is_folder(path, true);
}

/* Gives out `name` (taken over), or walks into it. A folder that cannot be walked is given out, too: its row then says
 * so, and the run goes on. 1, or 0 when nothing was given out, or an error. */
static int give_or_enter(struct catalogue *catalogue, char *name, bool follow, struct item *item, struct bgd_err *err)
{
    if (!name)
        return err_set(err, BGD_MEMORY, "out of memory");
    free(catalogue->name);
    catalogue->name = name;
    bool walk = catalogue->options.recursive && !remote_is(name) && is_folder(name, follow);
    int code = walk ? folder_enter(catalogue, name) : BGD_UNREADABLE;
    if (code == BGD_MEMORY)
        return err_set(err, BGD_MEMORY, "out of memory or file handles walking folders");
    return code ? give(catalogue, name, item, err) : 0;
}

static bool is_skipped(const struct catalogue *catalogue, const char *path)
{
    struct stat a, b;
    const char *const *skip = catalogue->options.skip;
    for (bool there = skip && stat(path, &a) == 0; there && *skip; skip++)
        if (stat(*skip, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            return true;
    return false;
}

static int next_of_folder(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    struct folder *folder = &catalogue->folders[catalogue->depth - 1];
    if (folder->at == folder->n) {
        folder_leave(folder);
        catalogue->depth--;
        return 0;
    }
    char *path = NULL;
    if (asprintf(&path, "%s/%s", folder->path, folder->names[folder->at++]) < 0)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (is_link_to_folder(path) || is_skipped(catalogue, path)) {
        free(path);
        return 0;
    }
    return give_or_enter(catalogue, path, false, item, err);
}

/* ---------------------------------------------------------------- arguments */

static char *without_slashes(const char *path)
{
    size_t length = strlen(path);
    while (!remote_is(path) && length > 1 && path[length - 1] == '/')
        length--;
    return strndup(path, length);
}

static int enter_path(struct catalogue *catalogue, struct bgd_err *err)
{
    free(catalogue->path);
    catalogue->path = without_slashes(catalogue->options.paths[catalogue->path_at++]);
    if (!catalogue->path)
        return err_set(err, BGD_MEMORY, "out of memory");
    catalogue->is_range = !catalogue->options.literal && !is_there(catalogue->path);
    catalogue->range_at = 0;
    catalogue->range_n = 1;
    return catalogue->is_range ? range_count(catalogue->path, &catalogue->range_n, err) : 0;
}

static int next_of_path(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    uint64_t at = catalogue->range_at++;
    char *name = catalogue->is_range ? range_name(catalogue->path, at) : strdup(catalogue->path);
    return give_or_enter(catalogue, name, true, item, err);
}

/* ---------------------------------------------------------------- lists */

static int next_of_lines(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    struct manifest_line *line = &catalogue->line;
    char *text = NULL;
    size_t size = 0;
    int code = lines_next(catalogue->lines, &text, &size, err);
    catalogue->ended = code == 0;
    if (code <= 0)
        return code;
    if (!catalogue->options.manifest)
        return give(catalogue, text, item, err);
    if (manifest_parse(text, size, line, err))
        return lines_prefix(catalogue->lines, err);
    enter_loose(catalogue);
    *item =
        (struct item){.id = line->id, .path = line->path, .carried = line->carried, .bytes = line->bytes, .mtime = line->mtime};
    return 1;
}

/* ---------------------------------------------------------------- all of them */

/* One step through what there is: 1, an item; 0, none this time, or the end; or an error. */
static int step(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    if (catalogue->tar)
        return next_of_tar(catalogue, item, err);
    if (catalogue->depth > 0)
        return next_of_folder(catalogue, item, err);
    if (catalogue->range_at < catalogue->range_n)
        return next_of_path(catalogue, item, err);
    if (catalogue->path_at < catalogue->options.n_paths)
        return enter_path(catalogue, err);
    if (catalogue->lines)
        return next_of_lines(catalogue, item, err);
    catalogue->ended = true;
    return 0;
}

/* Whether an item is to be given out. */
static bool takes(struct catalogue *catalogue)
{
    bool chosen = !catalogue->options.sample || sample_takes(&catalogue->sample);
    catalogue->counted++;
    catalogue->ended = catalogue->counted == catalogue->options.limit;
    return chosen && catalogue->wanted;
}

/* Reads the whole catalogue, another one, to know how many items a sample is of. */
static int count_items(struct catalogue *catalogue, struct bgd_err *err)
{
    struct catalogue_options all = catalogue->options;
    struct catalogue *other;
    struct item item = {0};
    uint64_t n = 0;
    all.sample = 0;
    all.wanted = NULL;
    if (catalogue_open(&all, &other, err))
        return err->code;
    int code;
    while ((code = catalogue_next(other, &item, err)) > 0)
        n++;
    catalogue_close(other);
    sample_begin(&catalogue->sample, n, catalogue->options.sample, catalogue->options.seed);
    return code;
}

static void item_clear(struct item *item)
{
    free(item->data);
    *item = (struct item){0};
}

int catalogue_next(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    item_clear(item);
    int code = catalogue->options.sample && catalogue->counted == 0 ? count_items(catalogue, err) : 0;
    while (code == 0 && !catalogue->ended && !(catalogue->tar && wake_is_up(catalogue->options.wake))) {
        code = step(catalogue, item, err);
        if (code > 0 && !takes(catalogue)) {
            item_clear(item);
            code = 0;
        }
    }
    if (code > 0)
        item->shard = catalogue->shards - 1;
    return code < 0 && wake_is_up(catalogue->options.wake) ? 0 : code;
}

uint64_t catalogue_shards(const struct catalogue *catalogue)
{
    return catalogue->shards;
}

float catalogue_progress(const struct catalogue *catalogue)
{
    if (catalogue->lines)
        return lines_progress(catalogue->lines);
    bool inside = catalogue->tar; /* a share of a name: of the tar, then of the folder that it is in, ... */
    double share = inside ? (double)tar_progress(catalogue->tar) : 0;
    for (size_t i = catalogue->depth; i > 0; i--) {
        const struct folder *folder = &catalogue->folders[i - 1];
        share = folder->n ? ((double)folder->at - inside + share) / (double)folder->n : 1;
        inside = true;
    }
    if (catalogue->range_n > 0)
        share = ((double)catalogue->range_at - inside + share) / (double)catalogue->range_n;
    double place = (double)catalogue->path_at - (catalogue->range_n > 0) + share;
    return catalogue->options.n_paths ? (float)(place / (double)catalogue->options.n_paths) : 1;
}
