#include "output.h"

#include "../err.h"
#include "../file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct output {
    char *path, *part; /* NULL: standard output; NULL: written as it is */
    int fd;
    FILE *stream;
    struct hash_stream *hash;
};

const char *output_place(const struct output *output)
{
    return output->part ? output->part : output->path ? output->path : "standard output";
}

FILE *output_stream(struct output *output)
{
    return output->stream;
}

int output_failed(const struct output *output, struct bgd_err *err)
{
    return err_set(err, BGD_WRITE, "%s: %s", output_place(output), strerror(errno));
}

/* Neither follows a link that somebody has put at PATH.part, nor waits for a FIFO's reader there, nor shares it. */
static int open_part(const struct output *output, struct bgd_err *err)
{
    int fd = open(output->part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    struct stat st, named;
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        err_set(err, BGD_ARGUMENT, "%s: there is something that is no file", output->part);
    else if (flock(fd, LOCK_EX | LOCK_NB) || stat(output->part, &named) || named.st_ino != st.st_ino)
        err_set(err, BGD_WRITE, "%s: another run is writing it", output->part); /* or has just given it its name */
    else if (ftruncate(fd, 0) == 0)
        return fd;
    else
        output_failed(output, err);
    close(fd);
    return -1;
}

static ssize_t write_stream(void *cookie, const char *data, size_t size)
{
    struct output *output = cookie;
    if (file_write_all(output->fd, data, size))
        return 0; /* what fopencookie takes for an error */
    hash_add(output->hash, data, size);
    return (ssize_t)size;
}

static int open_file(struct output *output, struct bgd_err *err)
{
    err->code = BGD_OK;
    output->fd = output->part ? open_part(output, err) : open(output->path, O_WRONLY | O_CLOEXEC);
    if (output->fd >= 0)
        return 0;
    bool ours = errno == ENOENT || errno == ENOTDIR || errno == EISDIR || errno == EACCES || errno == EROFS || errno == ELOOP;
    return err->code ? err->code
                     : err_set(err, ours ? BGD_ARGUMENT : BGD_WRITE, "%s: %s", output_place(output), strerror(errno));
}

static int open_output(struct output *output, const char *path, struct bgd_err *err)
{
    static const cookie_io_functions_t functions = {.write = write_stream};
    struct stat st;
    bool exists = path && stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode))
        return err_set(err, BGD_ARGUMENT, "%s: a folder, expected a file to write", path);
    if (path && !(output->path = strdup(path)))
        return err_set(err, BGD_MEMORY, "out of memory");
    if (path && (!exists || S_ISREG(st.st_mode)) && asprintf(&output->part, "%s.part", path) < 0) {
        output->part = NULL;
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    if (path && open_file(output, err))
        return err->code;
    output->hash = hash_begin();
    output->stream = output->hash ? fopencookie(output, "w", functions) : NULL;
    return output->stream ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

int output_open(const char *path, struct output **out, struct bgd_err *err)
{
    *out = NULL;
    struct output *output = calloc(1, sizeof *output);
    if (!output)
        return err_set(err, BGD_MEMORY, "out of memory");
    output->fd = path ? -1 : STDOUT_FILENO;
    if (open_output(output, path, err)) {
        output_close(output);
        return err->code;
    }
    *out = output;
    return 0;
}

void output_close(struct output *output)
{
    if (!output)
        return;
    if (output->stream)
        fclose(output->stream);
    if (output->path && output->fd >= 0)
        close(output->fd);
    hash_end(output->hash, NULL);
    free(output->path);
    free(output->part);
    free(output);
}

int output_seal(struct output *output, char hash[HASH_TEXT], struct bgd_err *err)
{
    if (fflush(output->stream) || ferror(output->stream) || (output->part && fsync(output->fd)))
        return output_failed(output, err);
    uint8_t digest[HASH_BYTES];
    hash_end(output->hash, digest);
    output->hash = NULL;
    if (hash)
        hash_print(digest, hash);
    return 0;
}

int output_publish(struct output *output, struct bgd_err *err)
{
    if (output->part && (rename(output->part, output->path) || file_sync_folder(output->path)))
        return output_failed(output, err);
    return 0;
}
