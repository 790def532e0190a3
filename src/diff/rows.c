#include "rows.h"

#include "../err.h"
#include "../run/shards_path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct rows {
    const char *group;
    char **files; /* in order */
    size_t n_files, next_file;
    int fd; /* of the file before next_file; -1 between files */
    uint64_t line;
    size_t begin, end; /* what of `buffer` has been read and not been given out */
    struct row row;
    char buffer[ROW_BYTES_MAX + 2]; /* a line, its newline, and a NUL */
};

/* ---------------------------------------------------------------- files */

static int is_shard(const struct dirent *entry)
{
    uint64_t number;
    return shards_name_is(entry->d_name, ".jsonl", &number);
}

/* By number: all have as many digits, or more if they do not fit. */
static int compare_shards(const struct dirent **a, const struct dirent **b)
{
    size_t first = strlen((*a)->d_name), second = strlen((*b)->d_name);
    return first == second ? strcmp((*a)->d_name, (*b)->d_name) : first < second ? -1 : 1;
}

static int list_shards(struct rows *rows, const char *folder, struct bgd_err *err)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, is_shard, compare_shards);
    if (n < 0)
        return err_set(err, errno == ENOMEM ? BGD_MEMORY : BGD_UNREADABLE, "%s: %s", folder, strerror(errno));
    rows->files = calloc((size_t)n + 1, sizeof *rows->files);
    for (int i = 0; i < n; i++) {
        if (rows->files && asprintf(&rows->files[rows->n_files], "%s/%s", folder, entries[i]->d_name) >= 0)
            rows->n_files++;
        free(entries[i]);
    }
    free(entries);
    if (!rows->files || rows->n_files < (size_t)n)
        return err_set(err, BGD_MEMORY, "out of memory");
    return n > 0 ? 0 : err_set(err, BGD_MISSING, "%s: a folder without shards (shard-00000000.jsonl, ...)", folder);
}

static int list_files(struct rows *rows, const char *path, struct bgd_err *err)
{
    struct stat st;
    if (stat(path, &st))
        return err_set(err, errno == ENOENT || errno == ENOTDIR ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", path,
                       strerror(errno));
    if (S_ISDIR(st.st_mode))
        return list_shards(rows, path, err);
    rows->files = calloc(1, sizeof *rows->files);
    if (!rows->files || !(rows->files[0] = strdup(path)))
        return err_set(err, BGD_MEMORY, "out of memory");
    rows->n_files = 1;
    return 0;
}

int rows_open(const char *path, const char *group, struct rows **out, struct bgd_err *err)
{
    *out = NULL;
    struct rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        return err_set(err, BGD_MEMORY, "out of memory");
    rows->group = group;
    rows->fd = -1;
    if (list_files(rows, path, err)) {
        rows_close(rows);
        return err->code;
    }
    *out = rows;
    return 0;
}

void rows_close(struct rows *rows)
{
    if (!rows)
        return;
    if (rows->fd >= 0)
        close(rows->fd);
    for (size_t i = 0; i < rows->n_files; i++)
        free(rows->files[i]);
    free(rows->files);
    row_free(&rows->row);
    free(rows);
}

/* ---------------------------------------------------------------- lines */

static const char *file_of(const struct rows *rows)
{
    return rows->files[rows->next_file - 1];
}

static int open_next(struct rows *rows, struct bgd_err *err)
{
    rows->next_file++;
    rows->line = 0;
    rows->begin = rows->end = 0;
    rows->fd = open(file_of(rows), O_RDONLY | O_CLOEXEC);
    return rows->fd >= 0 ? 0 : err_set(err, BGD_UNREADABLE, "%s: %s", file_of(rows), strerror(errno));
}

/* Reads on behind what is there, which moves to the buffer's begin. Returns the number of bytes, 0 at the file's end or without
 * room; negative: an error. */
static ssize_t read_on(struct rows *rows, struct bgd_err *err)
{
    memmove(rows->buffer, rows->buffer + rows->begin, rows->end - rows->begin);
    rows->end -= rows->begin;
    rows->begin = 0;
    ssize_t n;
    do
        n = read(rows->fd, rows->buffer + rows->end, sizeof rows->buffer - 1 - rows->end);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set(err, BGD_UNREADABLE, "%s: %s", file_of(rows), strerror(errno));
    rows->end += (size_t)n;
    return n;
}

/* 1: the next line of the file is `*size` bytes at `*line`, a NUL after it. 0: there are no more. */
static int next_line(struct rows *rows, char **line, size_t *size, struct bgd_err *err)
{
    char *newline;
    size_t searched = 0;
    while (!(newline = memchr(rows->buffer + rows->begin + searched, '\n', rows->end - rows->begin - searched))) {
        searched = rows->end - rows->begin;
        ssize_t n = read_on(rows, err);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
    }
    if (!newline && rows->begin == rows->end)
        return 0;
    *line = rows->buffer + rows->begin;
    *size = newline ? (size_t)(newline - *line) : rows->end - rows->begin;
    rows->begin += *size + (newline != NULL);
    rows->line++;
    if (*size > ROW_BYTES_MAX)
        return err_set(err, BGD_LIMIT, "%s:%llu: a line of more than %u bytes", file_of(rows), (unsigned long long)rows->line,
                       ROW_BYTES_MAX);
    (*line)[*size] = 0;
    return 1;
}

int rows_next(struct rows *rows, const struct row **row, struct bgd_err *err)
{
    char *line = NULL;
    size_t size = 0;
    int more = 0;
    row_free(&rows->row);
    while (more == 0) {
        if (rows->fd < 0 && rows->next_file == rows->n_files)
            return 0;
        if (rows->fd < 0 && open_next(rows, err))
            return err->code;
        more = next_line(rows, &line, &size, err);
        if (more == 0) {
            close(rows->fd);
            rows->fd = -1;
        }
    }
    if (more < 0)
        return more;
    *row = &rows->row;
    if (row_parse(line, size, rows->group, &rows->row, err))
        return err_prefix(err, "%s:%llu: ", file_of(rows), (unsigned long long)rows->line);
    return 1;
}
