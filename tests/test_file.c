/* Whole files: what is refused, and that a failed write leaves nothing behind. */
#include "file.h"
#include "scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char *folder;

static void enter(void)
{
    folder = scratch_enter();
}

static void leave(void)
{
    scratch_leave(folder);
}

TestSuite(file, .init = enter, .fini = leave);

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    cr_assert(dir);
    int n = 0;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; /* . and .. */
}

static void check_refused(const char *path, size_t most, enum bgd_code code, const char *text)
{
    struct file_buffer buffer = {0};
    struct bgd_err err = {0};
    cr_expect_eq(file_read(path, most, &buffer, &err), code, "%s: %s", path, err.text);
    cr_expect_eq(err.code, code);
    cr_expect(strstr(err.text, text), "%s: \"%s\"", path, err.text);
    free(buffer.data);
}

Test(file, reads_what_was_written)
{
    struct file_buffer buffer = {0};
    struct bgd_err err = {0};
    for (size_t size = 0; size < 100000; size = size * 3 + 1) {
        uint8_t *data = malloc(size + 1);
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)(i * 7);
        cr_assert_eq(file_write("a", data, size, &err), 0, "%s", err.text);
        cr_assert_eq(file_read("a", size, &buffer, &err), 0, "%s", err.text);
        cr_expect(buffer.size == size && (size == 0 || memcmp(buffer.data, data, size) == 0), "%zu bytes", size);
        cr_expect_eq(entries("."), 1);
        free(data);
    }
    cr_assert_eq(file_write("a", "xy", 2, &err), 0);
    cr_assert_eq(file_read("a", 10, &buffer, &err), 0);
    cr_expect_eq(buffer.size, 2, "a buffer that was larger keeps its memory, not its size");
    free(buffer.data);
}

Test(file, refuses_what_is_no_file_by_its_reason)
{
    scratch_text("ten", "0123456789");
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_assert_eq(mkdir("directory", 0700), 0);
    cr_assert_eq(symlink("loop", "loop"), 0);
    check_refused("nothing", 100, BGD_MISSING, "No such file");
    check_refused("ten/below", 100, BGD_MISSING, "directory");
    check_refused("", 100, BGD_MISSING, "No such file");
    check_refused("fifo", 100, BGD_UNREADABLE, "not a regular file"); /* at once: nobody writes to it */
    check_refused("directory", 100, BGD_UNREADABLE, "not a regular file");
    check_refused("/dev/zero", 100, BGD_UNREADABLE, "not a regular file");
    check_refused("loop", 100, BGD_UNREADABLE, "symbolic links");
    check_refused("ten", 9, BGD_LIMIT, "10 bytes, at most 9");
    if (geteuid() != 0) { /* root reads everything */
        cr_assert_eq(chmod("ten", 0), 0);
        check_refused("ten", 100, BGD_UNREADABLE, "ermission");
    }
}

Test(file, a_failed_write_names_the_file_and_leaves_nothing)
{
    struct bgd_err err = {0};
    cr_expect_eq(file_write("no/such/folder/a", "x", 1, &err), BGD_WRITE);
    cr_expect(strstr(err.text, "no/such/folder/a: No such file"), "%s", err.text);
    cr_assert_eq(mkdir("taken", 0700), 0);
    scratch_text("taken/inside", "x");
    cr_expect_eq(file_write("taken", "x", 1, &err), BGD_WRITE, "a folder cannot be replaced");
    cr_expect(strstr(err.text, "taken: "), "%s", err.text);
    cr_expect_eq(entries("."), 1);
    cr_expect_eq(file_write("", "x", 1, &err), BGD_WRITE);
    cr_expect_eq(entries("."), 1);
}

Test(file, a_write_that_meets_a_limit_keeps_the_old_file)
{
    struct bgd_err err = {0};
    scratch_text("a", "old");
    signal(SIGXFSZ, SIG_IGN); /* the write then fails with EFBIG, as it would with ENOSPC on a full disk */
    const struct rlimit limit = {4096, 4096};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char *data = calloc(1, 100000);
    cr_expect_eq(file_write("a", data, 100000, &err), BGD_WRITE, "%s", err.text);
    cr_expect(strstr(err.text, "a: File too large"), "%s", err.text);
    char *kept = scratch_read("a", NULL);
    cr_expect_str_eq(kept, "old");
    cr_expect_eq(entries("."), 1, "the temporary file is left");
    free(kept);
    free(data);
}

Test(file, a_stale_temporary_file_and_a_link_in_its_place_are_left_alone)
{
    struct bgd_err err = {0};
    char name[64];
    scratch_text("victim", "precious");
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "a.tmp-%ld-%d", (long)getpid(), i);
        cr_assert_eq(symlink("victim", name), 0);
    }
    cr_expect_eq(file_write("a", "new", 3, &err), 0, "%s", err.text);
    char *victim = scratch_read("victim", NULL), *a = scratch_read("a", NULL);
    cr_expect_str_eq(victim, "precious");
    cr_expect_str_eq(a, "new");
    free(victim);
    free(a);
}

static void *write_often(void *letter)
{
    char data[5000];
    struct bgd_err err = {0};
    memset(data, *(char *)letter, sizeof data);
    for (int i = 0; i < 30; i++)
        if (file_write("a", data, sizeof data, &err))
            return letter;
    return NULL;
}

Test(file, threads_that_write_one_path_never_mix)
{
    pthread_t threads[4];
    char letters[] = "abcd";
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_often, &letters[i]), 0);
    struct file_buffer buffer = {0};
    struct bgd_err err = {0};
    for (int i = 0; i < 200; i++)
        if (file_read("a", 10000, &buffer, &err) == 0) { /* whatever is there is whole */
            cr_assert_eq(buffer.size, 5000);
            cr_assert(memcmp(buffer.data, buffer.data + 1, 4999) == 0);
        }
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_expect_null(failed);
    }
    cr_expect_eq(entries("."), 1);
    free(buffer.data);
}

Test(file, writes_into_a_pipe_and_replaces_none)
{
    char *place = scratch_enter();
    struct bgd_err err = {0};
    struct stat st;
    cr_assert_eq(mkfifo("pipe", 0666), 0);
    int reader = open("pipe", O_RDONLY | O_NONBLOCK);
    cr_expect_eq(file_write("pipe", "abc", 3, &err), 0, "%s", err.text);
    char got[4] = "";
    cr_expect_eq(read(reader, got, 3), 3);
    cr_expect_str_eq(got, "abc");
    cr_expect(stat("pipe", &st) == 0 && S_ISFIFO(st.st_mode), "a file stands where the pipe was");
    close(reader);
    scratch_leave(place);
}
