/* The order and the completeness of what is to be scored. */
#include "catalogue.h"

#include "scratch.h"

#include <fcntl.h>
#include <math.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* Every name of the catalogue, each with '|' behind it; or the error's text behind "!". */
static char *walk(const struct catalogue_options *options)
{
    static char all[1 << 16];
    struct catalogue *catalogue;
    struct bgd_err err = {0};
    const char *name;
    int code;
    all[0] = 0;
    cr_assert_eq(catalogue_open(options, &catalogue, &err), 0, "%s", err.text);
    while ((code = catalogue_next(catalogue, &name, &err)) > 0) {
        strcat(all, name);
        strcat(all, "|");
    }
    if (code < 0)
        sprintf(all + strlen(all), "!%s", err.text);
    catalogue_close(catalogue);
    return all;
}

static char *walk_list(const char *text, size_t size, char separator)
{
    scratch_write("list", text, size);
    return walk(&(struct catalogue_options){.list = "list", .separator = separator});
}

Test(catalogue, gives_paths_in_their_order_then_the_list)
{
    char *folder = scratch_enter();
    scratch_text("list", "c\nd\n");
    char *paths[] = {"b", "a"};
    cr_expect_str_eq(walk(&(struct catalogue_options){.paths = paths, .n_paths = 2, .list = "list", .separator = '\n'}),
                     "b|a|c|d|");
    scratch_leave(folder);
}

Test(catalogue, walks_folders_sorted_and_deep)
{
    char *folder = scratch_enter();
    mkdir("x", 0777), mkdir("x/sub", 0777), mkdir("x/sub/empty", 0777);
    scratch_text("x/b.jpg", ""), scratch_text("x/a.jpg", ""), scratch_text("x/z.jpg", ""), scratch_text("x/sub/c", "");
    char *paths[] = {"x/", "gone"};
    cr_expect_str_eq(walk(&(struct catalogue_options){.paths = paths, .n_paths = 2, .recursive = true, .separator = '\n'}),
                     "x/a.jpg|x/b.jpg|x/sub/c|x/z.jpg|gone|");
    scratch_leave(folder);
}

Test(catalogue, leaves_hidden_files_and_links_to_folders_out)
{
    char *folder = scratch_enter();
    mkdir("x", 0777);
    scratch_text("x/.hidden", ""), scratch_text("x/a", "");
    cr_assert_eq(symlink("..", "x/loop"), 0);
    cr_assert_eq(symlink("a", "x/link"), 0);
    cr_assert_eq(symlink("nowhere", "x/broken"), 0);
    char *paths[] = {"x"};
    cr_expect_str_eq(walk(&(struct catalogue_options){.paths = paths, .n_paths = 1, .recursive = true, .separator = '\n'}),
                     "x/a|x/broken|x/link|");
    scratch_leave(folder);
}

Test(catalogue, gives_a_folder_out_where_it_is_not_walked)
{
    char *folder = scratch_enter();
    mkdir("x", 0777);
    char *paths[] = {"x"};
    cr_expect_str_eq(walk(&(struct catalogue_options){.paths = paths, .n_paths = 1, .separator = '\n'}), "x|");
    /* 130 folders inside each other: the 129th is an item */
    char path[1024] = "x";
    for (int i = 0; i < 130; i++) {
        strcat(path, "/d");
        mkdir(path, 0777);
    }
    char *names = walk(&(struct catalogue_options){.paths = paths, .n_paths = 1, .recursive = true, .separator = '\n'});
    cr_expect_eq(strlen(names), strlen("x") + 2 * CATALOGUE_DEPTH_MAX + 1, "%s", names);
    scratch_leave(folder);
}

Test(catalogue, reads_lists_of_other_systems)
{
    char *folder = scratch_enter();
    const char list[] = "\xef\xbb\xbf"
                        "a b.jpg\r\n\r\n\n \xff\n-\nlast";
    cr_expect_str_eq(walk_list(list, sizeof list - 1, '\n'), "a b.jpg| \xff|-|last|");
    cr_expect_str_eq(walk_list("", 0, '\n'), "");
    cr_expect_str_eq(walk_list("\n\n", 2, '\n'), "");
    scratch_leave(folder);
}

Test(catalogue, separates_by_nul_if_told)
{
    char *folder = scratch_enter();
    cr_expect_str_eq(walk_list("a\nb\0c\r\0\0d", 9, '\0'), "a\nb|c\r|d|");
    scratch_leave(folder);
}

Test(catalogue, refuses_a_line_that_is_no_name)
{
    char *folder = scratch_enter();
    char *walked = walk_list("good\nx\0y\n", 9, '\n');
    cr_expect(strncmp(walked, "good|!list: line 2 holds a NUL byte", 35) == 0, "%s", walked);
    char *line = malloc(CATALOGUE_NAME_MAX + 1);
    memset(line, 'a', CATALOGUE_NAME_MAX + 1);
    walked = walk_list(line, CATALOGUE_NAME_MAX + 1, '\n');
    cr_expect(strstr(walked, "!list: line 1 is longer than 65,536 bytes"), "%s", walked);
    free(line);
    scratch_leave(folder);
}

Test(catalogue, names_a_list_that_is_not_there)
{
    struct catalogue *catalogue;
    struct bgd_err err;
    cr_expect_eq(catalogue_open(&(struct catalogue_options){.list = "/no/such/list"}, &catalogue, &err), BGD_MISSING);
    cr_expect(strstr(err.text, "/no/such/list"), "%s", err.text);
    cr_expect_null(catalogue);
}

Test(catalogue, knows_how_far_it_is)
{
    char *folder = scratch_enter();
    mkdir("x", 0777), mkdir("x/sub", 0777);
    scratch_text("x/a", ""), scratch_text("x/sub/b", ""), scratch_text("x/sub/c", ""), scratch_text("x/sub/d", "");
    scratch_text("x/sub/e", "");
    char *paths[] = {"x", "y"};
    static const float expected[] = {0.25f, 0.3125f, 0.375f, 0.4375f, 0.5f, 1}; /* half for x: a, then b..e */
    struct catalogue *catalogue;
    struct bgd_err err;
    const char *name;
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.paths = paths, .n_paths = 2, .recursive = true, .separator = '\n'},
                                &catalogue, &err),
                 0);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(catalogue_next(catalogue, &name, &err), 1);
        cr_expect_float_eq(catalogue_progress(catalogue), expected[i], 1e-6f, "%s: %g", name,
                           (double)catalogue_progress(catalogue));
    }
    catalogue_close(catalogue);
    scratch_text("list", "abc\ndefghij\n");
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.list = "list", .separator = '\n'}, &catalogue, &err), 0);
    cr_assert_eq(catalogue_next(catalogue, &name, &err), 1);
    cr_expect_float_eq(catalogue_progress(catalogue), 4.0f / 12, 1e-6f);
    catalogue_close(catalogue);
    scratch_leave(folder);
}

Test(catalogue, leaves_the_runs_own_output_out)
{
    char *folder = scratch_enter();
    mkdir("x", 0777);
    scratch_text("x/a", ""), scratch_text("x/rows.part", ""), scratch_text("x/z", "");
    char *paths[] = {"x"};
    const char *const skip[] = {"./x/rows.part", "not-there", NULL};
    cr_expect_str_eq(walk(&(struct catalogue_options){.paths = paths, .n_paths = 1, .recursive = true, .skip = skip}),
                     "x/a|x/z|");
    scratch_leave(folder);
}

Test(catalogue, ends_a_wait_when_woken)
{
    int wake = eventfd(0, 0), names[2];
    cr_assert_eq(pipe(names), 0);
    cr_assert_eq(write(names[1], "first\nsec", 9), 9);
    cr_assert_eq(dup2(names[0], STDIN_FILENO), STDIN_FILENO);
    struct catalogue *catalogue;
    struct bgd_err err;
    const char *name;
    const struct catalogue_options options = {.list = "-", .separator = '\n', .wake = &wake};
    cr_assert_eq(catalogue_open(&options, &catalogue, &err), 0);
    cr_assert_eq(catalogue_next(catalogue, &name, &err), 1);
    cr_expect_str_eq(name, "first");
    const uint64_t one = 1; /* nothing more will come through the pipe, and nobody closes it */
    cr_assert_eq(write(wake, &one, sizeof one), (ssize_t)sizeof one);
    alarm(20);
    cr_expect_eq(catalogue_next(catalogue, &name, &err), 0);
    catalogue_close(catalogue);
}
