#include "file.h"

#include "err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A shortage of the machine's is not the file's fault: it must not become its verdict. */
static enum bgd_code open_code(int number)
{
    if (number == EMFILE || number == ENFILE || number == ENOMEM)
        return BGD_MEMORY;
    return number == ENOENT || number == ENOTDIR ? BGD_MISSING : BGD_UNREADABLE;
}

int file_open(const char *path, size_t most, size_t *size, struct bgd_err *err)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer; it is refused below. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, open_code(errno), "%s", strerror(errno));
    struct stat st;
    if (fstat(fd, &st))
        err_set(err, BGD_UNREADABLE, "%s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err_set(err, BGD_UNREADABLE, "not a regular file");
    else if ((uint64_t)st.st_size > most)
        err_set(err, BGD_LIMIT, "%lld bytes, at most %zu are read", (long long)st.st_size, most);
    else {
        *size = (size_t)st.st_size;
        return fd;
    }
    close(fd);
    return err->code;
}

int file_read(const char *path, size_t most, struct file_buffer *buffer, struct bgd_err *err)
{
    size_t size = 0;
    int fd = file_open(path, most, &size, err);
    if (fd < 0)
        return fd;
    if (size > buffer->capacity) {
        uint8_t *grown = realloc(buffer->data, size);
        if (!grown) {
            err_set(err, BGD_MEMORY, "out of memory for %zu bytes", size);
            goto fail;
        }
        buffer->data = grown;
        buffer->capacity = size;
    }
    for (buffer->size = 0; buffer->size < size;) {
        ssize_t got = read(fd, buffer->data + buffer->size, size - buffer->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            err_set(err, BGD_UNREADABLE, "%s", strerror(errno));
            goto fail;
        }
        if (got == 0)
            break; /* the file shrank meanwhile: what was read is judged */
        buffer->size += (size_t)got;
    }
    close(fd);
    return 0;
fail:
    close(fd);
    return err->code;
}

int file_write_all(int fd, const void *bytes, size_t size)
{
    const uint8_t *data = bytes;
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        size -= (size_t)put;
    }
    return 0;
}

int file_sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int reason = errno;
    bool synced = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL); /* some file systems have no such thing */
    if (fd >= 0) {
        reason = errno;
        close(fd);
    }
    free(folder);
    errno = reason;
    return synced ? 0 : -1;
}

/* Creates a file beside `path` that is nobody else's: O_EXCL follows no link and takes no file that is there, be it another
 * thread's or left behind by a killed process of the same number. */
static int open_temporary(const char *path, char *temporary, size_t room)
{
    static atomic_uint count;
    for (int i = 0; i < 100; i++) {
        snprintf(temporary, room, "%s.tmp-%ld-%u", path, (long)getpid(), atomic_fetch_add(&count, 1));
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* A device or a pipe is written as it is: a rename would put a file in its place. */
static bool write_special(const char *path, const void *data, size_t size, struct bgd_err *err)
{
    struct stat st;
    if (stat(path, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return false;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    err->code = BGD_OK;
    if (fd < 0 || file_write_all(fd, data, size))
        err_set(err, BGD_WRITE, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return true;
}

int file_write(const char *path, const void *data, size_t size, struct bgd_err *err)
{
    if (write_special(path, data, size, err))
        return err->code;
    size_t room = strlen(path) + 48;
    char *temporary = malloc(room);
    if (!temporary)
        return err_set(err, BGD_MEMORY, "out of memory");
    int fd = open_temporary(path, temporary, room);
    bool written = fd >= 0 && file_write_all(fd, data, size) == 0 && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0 && close(fd) && written) {
        written = false;
        reason = errno;
    }
    if (written && (rename(temporary, path) || file_sync_folder(path))) {
        written = false;
        reason = errno;
    }
    if (!written && fd >= 0)
        unlink(temporary);
    free(temporary);
    return written ? 0 : err_set(err, BGD_WRITE, "%s: %s", path, strerror(reason));
}
