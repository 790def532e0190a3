#include "lines.h"

#include "../err.h"
#include "../wake.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 65536u

struct lines {
    struct lines_options options;
    int file;
    bool is_file;
    uint64_t line, read, size; /* size 0: unknown */
    char *buffer;              /* most + 1 bytes, for a line */
    char ahead[READ_BYTES];    /* what was read and not yet given out */
    size_t ahead_at, ahead_n;
};

int lines_open(const struct lines_options *options, struct lines **out, struct bgd_err *err)
{
    *out = NULL;
    struct lines *lines = calloc(1, sizeof *lines);
    char *buffer = malloc(options->most + 1);
    if (!lines || !buffer) {
        free(lines);
        free(buffer);
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    lines->options = *options;
    lines->buffer = buffer;
    lines->file = strcmp(options->path, "-") == 0 ? STDIN_FILENO : open(options->path, O_RDONLY | O_CLOEXEC);
    if (lines->file < 0) {
        err_set(err, errno == ENOENT ? BGD_MISSING : BGD_UNREADABLE, "%s: %s", options->path, strerror(errno));
        lines_close(lines);
        return err->code;
    }
    struct stat st;
    lines->is_file = fstat(lines->file, &st) == 0 && S_ISREG(st.st_mode);
    if (lines->is_file)
        lines->size = (uint64_t)st.st_size;
    *out = lines;
    return 0;
}

void lines_close(struct lines *lines)
{
    if (!lines)
        return;
    if (lines->file > STDIN_FILENO)
        close(lines->file);
    free(lines->buffer);
    free(lines);
}

int lines_prefix(const struct lines *lines, struct bgd_err *err)
{
    const char *path = strcmp(lines->options.path, "-") == 0 ? "standard input" : lines->options.path;
    return err_prefix(err, "%s: line %llu: ", path, (unsigned long long)lines->line);
}

static int fail(const struct lines *lines, enum bgd_code code, const char *what, struct bgd_err *err)
{
    err_set(err, code, "%s", what);
    return lines_prefix(lines, err);
}

/* The next byte, or -1 at the end, when woken, or with an error (err->code is set then). */
static int next_byte(struct lines *lines, struct bgd_err *err)
{
    struct pollfd ready[2] = {{.fd = lines->file, .events = POLLIN}, wake_pollfd(lines->options.wake)};
    while (lines->ahead_at == lines->ahead_n) {
        int n = poll(ready, 2, -1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && ready[1].revents)
            return -1;
        ssize_t got = n < 0 ? -1 : read(lines->file, lines->ahead, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail(lines, BGD_UNREADABLE, strerror(errno), err);
        if (got <= 0)
            return -1;
        lines->ahead_at = 0;
        lines->ahead_n = (size_t)got;
    }
    lines->read++;
    return (unsigned char)lines->ahead[lines->ahead_at++];
}

/* One line into the buffer, its separator left out. 1, 0 at the end, or an error. */
static int read_line(struct lines *lines, size_t *length, struct bgd_err *err)
{
    char separator = lines->options.separator;
    size_t n = 0;
    int byte;
    lines->line++;
    err->code = BGD_OK;
    while ((byte = next_byte(lines, err)) >= 0) {
        if (byte == separator)
            break;
        if (byte == 0)
            return fail(lines, BGD_DAMAGED, "a NUL byte (names that are separated by NUL need --null)", err);
        if (n == lines->options.most) {
            err_set(err, BGD_LIMIT, "longer than %zu bytes", lines->options.most);
            return lines_prefix(lines, err);
        }
        lines->buffer[n++] = (char)byte;
    }
    if (byte < 0 && (err->code || n == 0 || wake_is_up(lines->options.wake)))
        return err->code; /* a line that is cut short by a stop is none */
    if (separator == '\n' && n > 0 && lines->buffer[n - 1] == '\r')
        n--;
    lines->buffer[n] = 0;
    *length = n;
    return 1;
}

int lines_next(struct lines *lines, char **line, size_t *length, struct bgd_err *err)
{
    int code;
    while ((code = read_line(lines, length, err)) > 0) {
        *line = lines->buffer;
        if (lines->line == 1 && lines->options.separator == '\n' && strncmp(*line, "\xef\xbb\xbf", 3) == 0) {
            *line += 3;
            *length -= 3;
        }
        if (*length > 0)
            return 1;
    }
    return code;
}

bool lines_is_file(const struct lines *lines)
{
    return lines->is_file;
}

float lines_progress(const struct lines *lines)
{
    return lines->size ? (float)((double)lines->read / (double)lines->size) : NAN;
}
