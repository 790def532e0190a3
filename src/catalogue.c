#include "catalogue.h"

#include "err.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
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
    size_t path_at;
    struct folder folders[CATALOGUE_DEPTH_MAX]; /* the walk: each but the first lies in the one before it */
    size_t depth;
    char *name; /* what catalogue_next gave out last */
    FILE *list;
    uint64_t line, list_read, list_size; /* size 0: unknown */
    char *buffer;                        /* CATALOGUE_NAME_MAX + 1 bytes, for a line of the list */
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
    catalogue->list = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!catalogue->list)
        return err_set(err, errno == ENOENT ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", path, strerror(errno));
    if (fstat(fileno(catalogue->list), &st) == 0 && S_ISREG(st.st_mode))
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
    if (catalogue->list && catalogue->list != stdin)
        fclose(catalogue->list);
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
        return BGD_UNREADABLE;
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
        return code ? err_set(err, BGD_MEMORY, "out of memory") : 0;
    }
    free(catalogue->name);
    *out = catalogue->name = name;
    return 1;
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
    if (is_link_to_folder(path)) {
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

/* One name into the buffer, its separator left out. 1, 0 at the end, or an error. */
static int read_line(struct catalogue *catalogue, size_t *length, struct bgd_err *err)
{
    char separator = catalogue->options.separator;
    size_t n = 0;
    int byte;
    catalogue->line++;
    while ((byte = getc(catalogue->list)) != EOF) {
        catalogue->list_read++;
        if (byte == separator)
            break;
        if (byte == 0)
            return list_failed(catalogue, BGD_DAMAGED, "holds a NUL byte (names that are separated by NUL need --null)", err);
        if (n == CATALOGUE_NAME_MAX)
            return list_failed(catalogue, BGD_LIMIT, "is longer than 65,536 bytes", err);
        catalogue->buffer[n++] = (char)byte;
    }
    if (byte == EOF && ferror(catalogue->list))
        return list_failed(catalogue, BGD_UNREADABLE, strerror(errno), err);
    if (byte == EOF && n == 0)
        return 0;
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
        if (catalogue->line == 1 && strncmp(start, "\xef\xbb\xbf", 3) == 0)
            start += 3;
        if (*start) {
            *name = start;
            return 1;
        }
    }
}

int catalogue_next(struct catalogue *catalogue, const char **name, struct bgd_err *err)
{
    int code = 0;
    while (code == 0 && (catalogue->depth > 0 || catalogue->path_at < catalogue->options.n_paths)) {
        if (catalogue->depth > 0)
            code = next_of_folder(catalogue, name, err);
        else
            code = give_or_enter(catalogue, without_slashes(catalogue->options.paths[catalogue->path_at++]), true, name, err);
    }
    return code == 0 && catalogue->list ? next_of_list(catalogue, name, err) : code;
}

float catalogue_progress(const struct catalogue *catalogue)
{
    if (catalogue->list)
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
