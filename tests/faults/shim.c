/*
 * A disk that fails on demand, and a machine that stops on demand: a library to be preloaded (LD_PRELOAD).
 *
 * It counts the calls that change something in or below a folder: files opened for writing, written, cut, synced, closed,
 * renamed, linked and removed, folders made, and folders synced. One of them can be hit. The environment says:
 *   FAULT_FOLDER  the folder, an absolute path without links
 *   FAULT_LOG     a file, outside the folder, that gets a line for each call, before it is made, its fields separated by tabs:
 *                 number, call, path, size of the file or new name (else "-"), what happens to it (else "-")
 *   FAULT_AT      the number of the call that is hit; 1 is the first. Not set: none is
 *   FAULT         what happens to it: kill (SIGKILL before the call), kill-after, EIO, ENOSPC, EINTR, short (a write
 *                 takes half of its bytes)
 *   FAULT_LASTING set: all later calls, too
 * What cannot happen to a call leaves it as it is: EINTR to calls that do not wait, a short write to anything but a write.
 *
 * What the C library does inside itself is not seen: what stdio writes, and files that it opens. Nor is memory that is mapped.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE, KILL, KILL_AFTER, SHORT, ERROR };

/* What a call acts on. An empty path: nothing of ours, such a call is neither counted nor hit. */
struct target {
    char path[PATH_MAX];
    char detail[PATH_MAX]; /* the log's fourth field */
    bool waits;            /* the call may return EINTR */
    bool writes;           /* the call may write less than it was given */
};

static struct {
    char folder[PATH_MAX];
    size_t folder_length;
    int log; /* -1: none */
    enum fault fault;
    int error; /* of ERROR */
    const char *name;
    long at; /* 0: never */
    bool lasting;
    atomic_long calls;
} shim = {.log = -1};

__attribute__((constructor)) static void shim_open(void)
{
    static const struct {
        const char *name;
        enum fault fault;
        int error;
    } faults[] = {{"kill", KILL, 0},   {"kill-after", KILL_AFTER, 0}, {"short", SHORT, 0},
                  {"EIO", ERROR, EIO}, {"ENOSPC", ERROR, ENOSPC},     {"EINTR", ERROR, EINTR}};
    const char *folder = getenv("FAULT_FOLDER"), *log = getenv("FAULT_LOG"), *at = getenv("FAULT_AT"), *name = getenv("FAULT");
    if (!folder)
        return;
    snprintf(shim.folder, sizeof shim.folder, "%s", folder);
    shim.folder_length = strlen(shim.folder);
    shim.at = at ? atol(at) : 0;
    shim.lasting = getenv("FAULT_LASTING");
    for (size_t i = 0; name && i < sizeof faults / sizeof *faults; i++)
        if (strcmp(faults[i].name, name) == 0) {
            shim.name = faults[i].name;
            shim.fault = faults[i].fault;
            shim.error = faults[i].error;
        }
    if (log)
        shim.log = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if ((shim.at && !shim.name) || (log && shim.log < 0)) {
        fprintf(stderr, "faults: FAULT %s, FAULT_LOG %s: no such fault, or no such file\n", name ? name : "-", log ? log : "-");
        _exit(99);
    }
}

/* ---------------------------------------------------------------- what a call acts on */

static bool in_folder(const char *path)
{
    return shim.folder_length > 0 && strncmp(path, shim.folder, shim.folder_length) == 0 &&
           (path[shim.folder_length] == '/' || path[shim.folder_length] == 0);
}

static void path_of_fd(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    path[n > 0 ? n : 0] = 0;
}

static void path_of_name(int folder, const char *name, char path[PATH_MAX])
{
    *path = 0;
    if (*name != '/')
        path_of_fd(folder, path);
    size_t used = strlen(path);
    snprintf(path + used, PATH_MAX - used, "%s%s", *name == '/' ? "" : "/", name);
}

static struct target *by_name(struct target *target, int folder, const char *name, int new_folder, const char *new_name)
{
    path_of_name(folder, name, target->path);
    snprintf(target->detail, sizeof target->detail, "-");
    if (new_name)
        path_of_name(new_folder, new_name, target->detail);
    if (!in_folder(target->path) && !in_folder(target->detail))
        *target->path = 0;
    return target;
}

static struct target *by_fd(struct target *target, int fd)
{
    struct stat st;
    path_of_fd(fd, target->path);
    if (!in_folder(target->path) || fstat(fd, &st))
        *target->path = 0;
    else
        snprintf(target->detail, sizeof target->detail, "%lld", (long long)st.st_size);
    return target;
}

/* ---------------------------------------------------------------- the call that is hit */

static bool applies(const struct target *target)
{
    return shim.fault == SHORT ? target->writes : shim.error == EINTR ? target->waits : true;
}

/* Counts and logs the call, and says what happens to it. `target` may be NULL. */
static enum fault meet(const char *call, const struct target *target)
{
    if (!target || !*target->path)
        return NONE;
    int kept = errno;
    long number = atomic_fetch_add(&shim.calls, 1) + 1;
    bool hit = shim.at && (number == shim.at || (shim.lasting && number > shim.at)) && applies(target);
    if (shim.log >= 0) {
        char line[2 * PATH_MAX + 100];
        int n = snprintf(line, sizeof line, "%ld\t%s\t%s\t%s\t%s\n", number, call, target->path, target->detail,
                         hit ? shim.name : "-");
        syscall(SYS_write, shim.log, line, (size_t)n);
    }
    if (hit && shim.fault == KILL)
        kill(getpid(), SIGKILL);
    errno = hit && shim.fault == ERROR ? shim.error : kept;
    return hit ? shim.fault : NONE;
}

static void leave(enum fault fault)
{
    if (fault == KILL_AFTER)
        kill(getpid(), SIGKILL);
}

static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function)
        abort();
    return function;
}

/* ---------------------------------------------------------------- the calls */

/* Calls that fail without having done anything. `aim` fills the target `t`, or is NULL. */
#define CALL(type, name, parameters, arguments, aim)                                                                           \
    type name parameters                                                                                                       \
    {                                                                                                                          \
        static type(*_Atomic real) parameters;                                                                                 \
        if (!real)                                                                                                             \
            real = next(#name);                                                                                                \
        struct target t = {0};                                                                                                 \
        enum fault fault = meet(#name, aim);                                                                                   \
        type result = fault == ERROR ? -1 : real arguments;                                                                    \
        leave(fault);                                                                                                          \
        return result;                                                                                                         \
    }

static struct target *waiting(struct target *t)
{
    t->waits = true;
    return t;
}

CALL(int, ftruncate, (int fd, off_t size), (fd, size), waiting(by_fd(&t, fd)))
CALL(int, ftruncate64, (int fd, off64_t size), (fd, size), waiting(by_fd(&t, fd)))
CALL(int, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size), waiting(by_fd(&t, fd)))
CALL(int, fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size), waiting(by_fd(&t, fd)))
CALL(int, mkdir, (const char *name, mode_t mode), (name, mode), by_name(&t, AT_FDCWD, name, 0, NULL))
CALL(int, mkdirat, (int at, const char *name, mode_t mode), (at, name, mode), by_name(&t, at, name, 0, NULL))
CALL(int, unlink, (const char *name), (name), by_name(&t, AT_FDCWD, name, 0, NULL))
CALL(int, unlinkat, (int at, const char *name, int flags), (at, name, flags), by_name(&t, at, name, 0, NULL))
CALL(int, remove, (const char *name), (name), by_name(&t, AT_FDCWD, name, 0, NULL))
CALL(int, rmdir, (const char *name), (name), by_name(&t, AT_FDCWD, name, 0, NULL))
CALL(int, rename, (const char *from, const char *to), (from, to), by_name(&t, AT_FDCWD, from, AT_FDCWD, to))
CALL(int, renameat, (int from_at, const char *from, int to_at, const char *to), (from_at, from, to_at, to),
     by_name(&t, from_at, from, to_at, to))
CALL(int, renameat2, (int from_at, const char *from, int to_at, const char *to, unsigned flags),
     (from_at, from, to_at, to, flags), by_name(&t, from_at, from, to_at, to))
CALL(int, link, (const char *from, const char *to), (from, to), by_name(&t, AT_FDCWD, from, AT_FDCWD, to))
CALL(int, linkat, (int from_at, const char *from, int to_at, const char *to, int flags), (from_at, from, to_at, to, flags),
     by_name(&t, from_at, from, to_at, to))

/* Nothing is really synced: the trials are many, and the machine that they run on does not stop. */
static int sync_hit(const char *call, int fd, long number)
{
    struct target t = {0};
    enum fault fault = meet(call, waiting(by_fd(&t, fd)));
    int result = fault == ERROR ? -1 : *t.path ? 0 : (int)syscall(number, fd);
    leave(fault);
    return result;
}

int fsync(int fd)
{
    return sync_hit("fsync", fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_hit("fdatasync", fd, SYS_fdatasync);
}

/* Opening counts if the file may be changed by it or through it. */
static struct target *opened(struct target *t, int folder, const char *name, int flags)
{
    bool changes = (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
    return changes ? waiting(by_name(t, folder, name, 0, NULL)) : NULL;
}

static int open_hit(int folder, const char *name, int flags, mode_t mode)
{
    struct target t = {0};
    enum fault fault = meet("open", opened(&t, folder, name, flags));
    int fd = fault == ERROR ? -1 : (int)syscall(SYS_openat, folder, name, flags, mode);
    leave(fault);
    return fd;
}

static bool takes_mode(int flags)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
}

#define OPEN(function, folder, ...)                                                                                            \
    int function(__VA_ARGS__, int flags, ...)                                                                                  \
    {                                                                                                                          \
        va_list list;                                                                                                          \
        va_start(list, flags);                                                                                                 \
        mode_t mode = takes_mode(flags) ? va_arg(list, mode_t) : 0;                                                            \
        va_end(list);                                                                                                          \
        return open_hit(folder, name, flags, mode);                                                                            \
    }

OPEN(open, AT_FDCWD, const char *name)
OPEN(open64, AT_FDCWD, const char *name)
OPEN(openat, folder, int folder, const char *name)
OPEN(openat64, folder, int folder, const char *name)

/* A file that was written tells at its closing, at the latest, what went wrong; it is closed nevertheless. */
int close(int fd)
{
    struct target t = {0};
    int flags = shim.folder_length ? fcntl(fd, F_GETFL) : -1;
    bool written = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
    enum fault fault = meet("close", written ? waiting(by_fd(&t, fd)) : NULL);
    int reason = errno, result = (int)syscall(SYS_close, fd);
    leave(fault);
    if (fault != ERROR)
        return result;
    errno = reason;
    return -1;
}

/* ---------------------------------------------------------------- writing */

/* All writes pass here; at -1: where the file stands. */
static ssize_t write_hit(const char *call, int fd, const struct iovec *pieces, int n, off_t at)
{
    struct target t = {.writes = true};
    enum fault fault = meet(call, waiting(by_fd(&t, fd)));
    if (fault == ERROR)
        return -1;
    struct iovec half;
    if (fault == SHORT) {
        half = (struct iovec){pieces[0].iov_base, (pieces[0].iov_len + 1) / 2};
        pieces = &half;
        n = 1;
    }
    ssize_t put = at < 0 ? syscall(SYS_writev, fd, pieces, n) : syscall(SYS_pwritev, fd, pieces, n, at, 0L);
    leave(fault);
    return put;
}

ssize_t write(int fd, const void *data, size_t size)
{
    return write_hit("write", fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, -1);
}

ssize_t writev(int fd, const struct iovec *pieces, int n)
{
    return write_hit("writev", fd, pieces, n, -1);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return write_hit("pwrite", fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return write_hit("pwrite", fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, at);
}
