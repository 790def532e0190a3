/* Files that appear complete or not at all. */
#include "run/output.h"

#include "scratch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct output *opened(const char *path)
{
    struct output *output;
    struct bgd_err err;
    cr_assert_eq(output_open(path, &output, &err), 0, "%s", err.text);
    return output;
}

Test(output, appears_when_it_is_published_and_not_before)
{
    char *folder = scratch_enter(), hash[HASH_TEXT], expected[HASH_TEXT];
    struct bgd_err err;
    struct output *output = opened("a");
    fputs("first ", output_stream(output));
    cr_expect_str_eq(output_place(output), "a.part");
    fputs("second", output_stream(output));
    cr_assert_eq(output_seal(output, hash, &err), 0);
    cr_expect_neq(access("a", F_OK), 0);
    cr_assert_eq(output_publish(output, &err), 0);
    output_close(output);
    char *text = scratch_read("a", NULL);
    cr_expect_str_eq(text, "first second");
    hash_text("first second", 12, expected);
    cr_expect_str_eq(hash, expected, "the hash of pieces is that of the whole");
    cr_expect_neq(access("a.part", F_OK), 0);
    free(text);
    scratch_leave(folder);
}

Test(output, begins_anew_what_a_killed_process_left)
{
    char *folder = scratch_enter();
    struct bgd_err err;
    if (fork() == 0) {
        struct output *output = opened("a");
        fputs("much longer than what follows", output_stream(output));
        fflush(output_stream(output));
        raise(SIGKILL);
    }
    wait(NULL);
    cr_assert_eq(access("a.part", F_OK), 0);
    struct output *output = opened("a");
    fputs("short", output_stream(output));
    cr_assert_eq(output_seal(output, NULL, &err), 0);
    cr_assert_eq(output_publish(output, &err), 0);
    output_close(output);
    char *text = scratch_read("a", NULL);
    cr_expect_str_eq(text, "short");
    free(text);
    scratch_leave(folder);
}

Test(output, the_hash_of_a_long_stream_is_that_of_its_file)
{
    char *folder = scratch_enter(), hash[HASH_TEXT], expected[HASH_TEXT];
    struct bgd_err err;
    struct output *output = opened("a");
    for (int i = 0; i < 100000; i++)
        fprintf(output_stream(output), "%d\n", i * 7919);
    cr_assert_eq(output_seal(output, hash, &err), 0);
    cr_assert_eq(output_publish(output, &err), 0);
    output_close(output);
    size_t size;
    char *text = scratch_read("a", &size);
    hash_text(text, size, expected);
    cr_expect_str_eq(hash, expected);
    free(text);
    scratch_leave(folder);
}

Test(output, a_full_disk_is_an_error_and_the_old_file_stays)
{
    char *folder = scratch_enter();
    struct bgd_err err;
    scratch_text("a", "old");
    struct output *output = opened("a");
    int full = open("/dev/full", O_WRONLY), part = open("a.part", O_WRONLY);
    cr_assert(full >= 0 && part >= 0);
    for (int fd = 3; fd < full; fd++) { /* the output's own descriptor becomes one that is always full */
        struct stat a, b;
        if (fstat(fd, &a) == 0 && fstat(part, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev)
            dup2(full, fd);
    }
    fputs("new", output_stream(output));
    cr_expect_eq(output_seal(output, NULL, &err), BGD_WRITE);
    cr_expect(strstr(err.text, "a.part: No space"), "%s", err.text);
    output_close(output);
    char *text = scratch_read("a", NULL);
    cr_expect_str_eq(text, "old");
    free(text);
    scratch_leave(folder);
}
