#include "catalogue.h"

#include "err.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 65536u

/* A folder that is being walked. */
struct folder {
    char *path; /* without the '/' at its end */
    char **names;
    size_t n, at;
};

struct catalogue {
    struct catalogue_options options;
    size_t path_at;
    struct folder folders[CATALOGUE_DEPTH_MAX]; /* the walk: each but the first lies in the one before it */
    size_t depth;
    uint64_t items;
    bool wanted;
    char *name;                          /* what catalogue_next gave out last */
    int list;                            /* descriptor, -1 without one */
    uint64_t line, list_read, list_size; /* size 0: unknown */
    char *buffer;                        /* CATALOGUE_NAME_MAX + 1 bytes, for a line of the list */
    char ahead[READ_BYTES];              /* what was read of it and not yet given out */
    size_t ahead_at, ahead_n;
};

static int open_list(struct catalogue *catalogue, struct bgd_err *err)
{
    const char *path = catalogue->options.list;
    struct stat st;
    if (!path)
        return 0;
    catalogue->buffer = malloc(CATALOGUE_NAME_MAX + 1);
    if (!catalogue->buffer)
        return err_set(err, BGD_MEMORY, "out of memory");
    catalogue->list = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (catalogue->list < 0)
        return err_set(err, errno == ENOENT ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", path, strerror(errno));
    if (fstat(catalogue->list, &st) == 0 && S_ISREG(st.st_mode))
        catalogue->list_size = (uint64_t)st.st_size;
    return 0;
}

int catalogue_open(const struct catalogue_options *options, struct catalogue **out, struct bgd_err *err)
{
    *out = NULL;
    struct catalogue *catalogue = calloc(1, sizeof *catalogue);
    if (!catalogue)
        return err_set(err, BGD_MEMORY, "out of memory");
    catalogue->options = *options;
    catalogue->list = -1;
    if (open_list(catalogue, err)) {
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
    if (catalogue->list > STDIN_FILENO)
        close(catalogue->list);
    free(catalogue->name);
    free(catalogue->buffer);
    free(catalogue);
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
static int give_or_enter(struct catalogue *catalogue, char *name, bool follow, const char **out, struct bgd_err *err)
{
    if (!name)
        return err_set(err, BGD_MEMORY, "out of memory");
    int code = catalogue->options.recursive && is_folder(name, follow) ? folder_enter(catalogue, name) : BGD_UNREADABLE;
    if (code == 0 || code == BGD_MEMORY) {
        free(name);
        return code ? err_set(err, BGD_MEMORY, "out of memory or file handles walking folders") : 0;
    }
    free(catalogue->name);
    *out = catalogue->name = name;
    return 1;
}

static bool is_skipped(const struct catalogue *catalogue, const char *path)
{
    struct stat a, b;
    for (const char *const *skip = catalogue->options.skip; skip && *skip; skip++)
        if (stat(path, &a) == 0 && stat(*skip, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            return true;
    return false;
}

static int next_of_folder(struct catalogue *catalogue, const char **name, struct bgd_err *err)
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
    return give_or_enter(catalogue, path, false, name, err);
}

static char *without_slashes(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return strndup(path, length);
}

/* ---------------------------------------------------------------- lists */

static int list_failed(const struct catalogue *catalogue, enum bgd_code code, const char *what, struct bgd_err *err)
{
    const char *path = strcmp(catalogue->options.list, "-") == 0 ? "standard input" : catalogue->options.list;
    return err_set(err, code, "%s: line %llu %s", path, (unsigned long long)catalogue->line, what);
}

static bool is_woken(const struct catalogue *catalogue)
{
    struct pollfd wake = {.fd = catalogue->options.wake ? *catalogue->options.wake : -1, .events = POLLIN};
    return poll(&wake, 1, 0) > 0;
}

/* The next byte of the list, or -1 at its end, when woken, or with an error (err->code is set then). */
static int next_byte(struct catalogue *catalogue, struct bgd_err *err)
{
    struct pollfd ready[2] = {{.fd = catalogue->list, .events = POLLIN},
                              {.fd = catalogue->options.wake ? *catalogue->options.wake : -1, .events = POLLIN}};
    while (catalogue->ahead_at == catalogue->ahead_n) {
        int n = poll(ready, 2, -1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && ready[1].revents)
            return -1;
        ssize_t got = n < 0 ? -1 : read(catalogue->list, catalogue->ahead, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            list_failed(catalogue, BGD_UNREADABLE, strerror(errno), err);
        if (got <= 0)
            return -1;
        catalogue->ahead_at = 0;
        catalogue->ahead_n = (size_t)got;
    }
    catalogue->list_read++;
    return (unsigned char)catalogue->ahead[catalogue->ahead_at++];
}

/* One name into the buffer, its separator left out. 1, 0 at the end, or an error. */
static int read_line(struct catalogue *catalogue, size_t *length, struct bgd_err *err)
{
    char separator = catalogue->options.separator;
    size_t n = 0;
    int byte;
    catalogue->line++;
    err->code = BGD_OK;
    while ((byte = next_byte(catalogue, err)) >= 0) {
        if (byte == separator)
            break;
        if (byte == 0)
            return list_failed(catalogue, BGD_DAMAGED, "holds a NUL byte (names that are separated by NUL need --null)", err);
        if (n == CATALOGUE_NAME_MAX)
            return list_failed(catalogue, BGD_LIMIT, "is longer than 65,536 bytes", err);
        catalogue->buffer[n++] = (char)byte;
    }
    if (byte < 0 && (err->code || n == 0 || is_woken(catalogue)))
        return err->code; /* a name that is cut short by a stop is none */
    if (separator == '\n' && n > 0 && catalogue->buffer[n - 1] == '\r')
        n--;
    catalogue->buffer[n] = 0;
    *length = n;
    return 1;
}

static int next_of_list(struct catalogue *catalogue, const char **name, struct bgd_err *err)
{
    for (;;) {
        size_t length = 0;
        int code = read_line(catalogue, &length, err);
        if (code <= 0)
            return code;
        const char *start = catalogue->buffer;
        if (catalogue->line == 1 && catalogue->options.separator == '\n' && strncmp(start, "\xef\xbb\xbf", 3) == 0)
            start += 3;
        if (*start) {
            *name = start;
            return 1;
        }
    }
}

static int next_name(struct catalogue *catalogue, const char **name, struct bgd_err *err)
{
    int code = 0;
    while (code == 0 && (catalogue->depth > 0 || catalogue->path_at < catalogue->options.n_paths)) {
        if (catalogue->depth > 0)
            code = next_of_folder(catalogue, name, err);
        else
            code = give_or_enter(catalogue, without_slashes(catalogue->options.paths[catalogue->path_at++]), true, name, err);
    }
    return code == 0 && catalogue->list >= 0 ? next_of_list(catalogue, name, err) : code;
}

static uint64_t shard_items(const struct catalogue *catalogue)
{
    return catalogue->options.shard_items ? catalogue->options.shard_items : CATALOGUE_SHARD_ITEMS;
}

int catalogue_next(struct catalogue *catalogue, struct item *item, struct bgd_err *err)
{
    const struct catalogue_options *o = &catalogue->options;
    const char *name = NULL;
    int code;
    do {
        code = next_name(catalogue, &name, err);
        if (code <= 0)
            return code;
        uint64_t shard = catalogue->items / shard_items(catalogue);
        if (catalogue->items++ % shard_items(catalogue) == 0)
            catalogue->wanted = !o->wanted || o->wanted(o->user, shard);
        *item = (struct item){.id = name, .path = name, .shard = shard};
    } while (!catalogue->wanted);
    return code;
}

uint64_t catalogue_shards(const struct catalogue *catalogue)
{
    return (catalogue->items + shard_items(catalogue) - 1) / shard_items(catalogue);
}

float catalogue_progress(const struct catalogue *catalogue)
{
    if (catalogue->list >= 0)
        return catalogue->list_size ? (float)((double)catalogue->list_read / (double)catalogue->list_size) : NAN;
    double inner = 0; /* the share of the innermost folder, then of the one around it, ... */
    for (size_t i = catalogue->depth; i > 0; i--) {
        const struct folder *folder = &catalogue->folders[i - 1];
        bool inside = i < catalogue->depth;
        inner = folder->n ? ((double)folder->at - inside + inner) / (double)folder->n : 1;
    }
    double place = (double)catalogue->path_at - (catalogue->depth > 0) + inner;
    return catalogue->options.n_paths ? (float)(place / (double)catalogue->options.n_paths) : 1;
}
