/* Whole files: read under a limit, written so that they appear complete or not at all. */
#ifndef BGD_FILE_H
#define BGD_FILE_H

#include "bgdet.h"

/* A growing buffer, reused from file to file. Zero it before the first use; free(data) at the end. */
struct file_buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
};

/* Opens the regular file `path` for reading and returns its descriptor; `*size` in bytes. Fails as file_read does. */
int file_open(const char *path, size_t most, size_t *size, struct bgd_err *err);

/* Reads the regular file `path`. BGD_MISSING, BGD_UNREADABLE (a directory, a FIFO, EIO), BGD_LIMIT above `most` bytes.
 * The text does not repeat the path. */
int file_read(const char *path, size_t most, struct file_buffer *buffer, struct bgd_err *err);

/* Writes all of it: goes on after EINTR and short writes. -1 with errno. */
int file_write_all(int fd, const void *data, size_t size);

/* Syncs the folder that `path` lies in, so that a rename in it outlives a crash. -1 with errno. */
int file_sync_folder(const char *path);

/* Writes path.tmp-PID-N, syncs it, renames it to `path` and syncs the folder; after a failure it is gone. BGD_WRITE names the file. Threads may
 * write the same path: the last rename wins. A `path` that is a link is replaced, not followed. */
int file_write(const char *path, const void *data, size_t size, struct bgd_err *err);

#endif
