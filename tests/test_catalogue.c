/* The order and the completeness of what is to be scored. */
#include "sources/catalogue.h"

#include "scratch.h"
#include "tars.h"

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
    struct item item = {0};
    int code;
    all[0] = 0;
    cr_assert_eq(catalogue_open(options, &catalogue, &err), 0, "%s", err.text);
    while ((code = catalogue_next(catalogue, &item, &err)) > 0) {
        strcat(all, item.id);
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
    cr_expect(strncmp(walked, "good|!list: line 2: a NUL byte", 29) == 0, "%s", walked);
    char *line = malloc(CATALOGUE_NAME_MAX + 1);
    memset(line, 'a', CATALOGUE_NAME_MAX + 1);
    walked = walk_list(line, CATALOGUE_NAME_MAX + 1, '\n');
    cr_expect(strstr(walked, "!list: line 1: longer than 65536 bytes"), "%s", walked);
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
    struct item item = {0};
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.paths = paths, .n_paths = 2, .recursive = true, .separator = '\n'},
                                &catalogue, &err),
                 0);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
        cr_expect_float_eq(catalogue_progress(catalogue), expected[i], 1e-6f, "%s: %g", item.id,
                           (double)catalogue_progress(catalogue));
    }
    catalogue_close(catalogue);
    scratch_text("list", "abc\ndefghij\n");
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.list = "list", .separator = '\n'}, &catalogue, &err), 0);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
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

/* ---------------------------------------------------------------- shards */

/* A tar of `n` cards, with a field for each. */
static void make_tar(const char *path, int n)
{
    static struct tar_bytes tar;
    tar.size = 0;
    for (int i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.jpg", i);
        tars_add(&tar, name, "picture");
        snprintf(name, sizeof name, "%d.txt", i);
        tars_add(&tar, name, "text");
    }
    tars_end(&tar);
    scratch_write(path, tar.data, tar.size);
}

/* Every item as "SHARD:ID|", "SHARD:ID!CODE|", and the number of shards at the end. */
static char *walk_shards(const struct catalogue_options *options)
{
    static char all[1 << 16];
    char *out = all;
    struct catalogue *catalogue;
    struct bgd_err err = {0};
    struct item item = {0};
    int code;
    cr_assert_eq(catalogue_open(options, &catalogue, &err), 0, "%s", err.text);
    while ((code = catalogue_next(catalogue, &item, &err)) > 0) {
        out += sprintf(out, "%d:%s%s%s|", (int)item.shard, item.id, item.code ? "!" : "",
                       item.code ? bgd_code_name(item.code) : "");
        cr_expect(item.code ? !item.path && !item.data && item.detail : !item.detail && !item.path == !!item.data);
    }
    cr_expect_eq(catalogue_next(catalogue, &item, &err), code, "the end stays the end");
    sprintf(out, "%d", (int)catalogue_shards(catalogue));
    if (code < 0)
        sprintf(out, "!%s", err.text);
    catalogue_close(catalogue);
    return all;
}

Test(catalogue, gives_the_cards_of_tars_wherever_they_stand)
{
    char *folder = scratch_enter();
    mkdir("x", 0777);
    make_tar("a.tar", 2), make_tar("b.tar", 1), make_tar("x/c.tar", 1);
    scratch_text("x/d.jpg", ""), scratch_text("list", "e.jpg\nb.tar\nf.jpg\n");
    char *paths[] = {"a.tar", "x", "s3://bucket/key.jpg"};
    cr_expect_str_eq(
        walk_shards(
            &(struct catalogue_options){.paths = paths, .n_paths = 3, .recursive = true, .list = "list", .separator = '\n'}),
        "0:a.tar/0.jpg|0:a.tar/1.jpg|1:x/c.tar/0.jpg|2:x/d.jpg|2:s3://bucket/key.jpg|2:e.jpg|3:b.tar/0.jpg|4:f.jpg|5");
    scratch_leave(folder);
}

Test(catalogue, hands_data_over_or_frees_it)
{
    char *folder = scratch_enter();
    make_tar("a.tar", 3);
    char *paths[] = {"a.tar"};
    struct catalogue *catalogue;
    struct bgd_err err;
    struct item item = {0};
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.paths = paths, .n_paths = 1}, &catalogue, &err), 0);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    uint8_t *taken = item.data;
    item.data = NULL;
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_expect_str_eq(item.carried, "{\"txt\":\"text\"}");
    cr_expect_eq(item.size, 7);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 0);
    cr_expect_null(item.data);
    catalogue_close(catalogue);
    cr_expect_eq(memcmp(taken, "picture", 7), 0);
    free(taken);
    scratch_leave(folder);
}

Test(catalogue, goes_on_behind_a_shard_that_fails)
{
    char *folder = scratch_enter();
    make_tar("b.tar", 2);
    cr_assert_eq(truncate("b.tar", 5 * 512), 0);
    make_tar("c.tar", 1);
    char *paths[] = {"a.tar", "b.tar", "c.tar"};
    cr_expect_str_eq(walk_shards(&(struct catalogue_options){.paths = paths, .n_paths = 3}),
                     "0:a.tar!missing|1:b.tar/0.jpg|1:b.tar!damaged|2:c.tar/0.jpg|3");
    struct catalogue *catalogue;
    struct bgd_err err;
    struct item item = {0};
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.paths = paths + 1, .n_paths = 1}, &catalogue, &err), 0);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_expect(strncmp(item.detail, "b.tar: ", 7) == 0 && strstr(item.detail, "after 1 cards"), "%s", item.detail);
    catalogue_close(catalogue);
    scratch_leave(folder);
}

/* What may be there tomorrow is no card's verdict: the run ends, and is begun again. Nobody listens at port 1. */
Test(catalogue, an_object_out_of_reach_does_not_hold_up_the_others)
{
    char *paths[] = {"http://127.0.0.1:1/a.tar", "b"};
    cr_expect_str_eq(walk_shards(&(struct catalogue_options){.paths = paths, .n_paths = 2}),
                     "0:http://127.0.0.1:1/a.tar!network|1:b|2");
}

Test(catalogue, makes_shards_of_loose_items)
{
    char *folder = scratch_enter();
    make_tar("t.tar", 1), make_tar("empty.tar", 0);
    scratch_text("list", "a\nb\nc\nt.tar\nempty.tar\nd\ne\nf\n");
    cr_expect_str_eq(walk_shards(&(struct catalogue_options){.list = "list", .separator = '\n', .shard_items = 2}),
                     "0:a|0:b|1:c|2:t.tar/0.jpg|4:d|4:e|5:f|6");
    scratch_leave(folder);
}

static bool is_odd(void *user, uint64_t shard)
{
    cr_expect_eq(shard, (*(uint64_t *)user)++, "asked once for each, in order");
    return shard % 2 == 1;
}

Test(catalogue, passes_over_shards_that_are_not_wanted)
{
    char *folder = scratch_enter();
    uint64_t asked = 0;
    make_tar("t.tar", 1); /* shards 0, 2 and 4 are not wanted: 2 is not even there */
    scratch_text("list", "a\nt.tar\nmissing.tar\nb\nc\nd\n");
    struct catalogue_options options = {.list = "list", .separator = '\n', .shard_items = 2, .wanted = is_odd, .user = &asked};
    cr_expect_str_eq(walk_shards(&options), "1:t.tar/0.jpg|3:b|3:c|5");
    cr_expect_eq(asked, 5);
    scratch_leave(folder);
}

Test(catalogue, chooses_by_limit_and_sample_whatever_is_wanted)
{
    char *folder = scratch_enter();
    uint64_t asked = 0;
    make_tar("t.tar", 3), make_tar("u.tar", 3);
    scratch_text("list", "a\nt.tar\nu.tar\nb\n");
    struct catalogue_options options = {.list = "list", .separator = '\n', .limit = 6};
    cr_expect_str_eq(walk_shards(&options), "0:a|1:t.tar/0.jpg|1:t.tar/1.jpg|1:t.tar/2.jpg|2:u.tar/0.jpg|2:u.tar/1.jpg|3");
    options.wanted = is_odd, options.user = &asked;
    cr_expect_str_eq(walk_shards(&options), "1:t.tar/0.jpg|1:t.tar/1.jpg|1:t.tar/2.jpg|3");
    options.wanted = NULL, options.limit = 0, options.sample = 8;
    cr_expect_str_eq(walk_shards(&options),
                     "0:a|1:t.tar/0.jpg|1:t.tar/1.jpg|1:t.tar/2.jpg|2:u.tar/0.jpg|2:u.tar/1.jpg|2:u.tar/2.jpg|3:b|4");
    bool seen[8] = {false};
    for (options.sample = 3, options.seed = 0; options.seed < 30; options.seed++) {
        options.wanted = NULL;
        char *all = strdup(walk_shards(&options)), *odd = all;
        int n = 0;
        for (char *c = all; *c; c++)
            n += *c == '|';
        cr_expect_eq(n, 3, "%s", all);
        static const char *const ids[] = {"0:a|", "t.tar/0", "t.tar/1", "t.tar/2", "u.tar/0", "u.tar/1", "u.tar/2", "3:b|"};
        for (int i = 0; i < 8; i++)
            seen[i] |= strstr(all, ids[i]) != NULL;
        options.wanted = is_odd, asked = 0; /* the same sample, less what is not wanted */
        char *wanted = walk_shards(&options);
        for (char *item = strtok(odd, "|"); item; item = strtok(NULL, "|"))
            if (strchr(item, ':'))
                cr_expect_eq(strstr(wanted, item) != NULL, (item[0] - '0') % 2 == 1, "%s in %s", item, wanted);
        free(all);
    }
    for (int i = 0; i < 8; i++)
        cr_expect(seen[i], "%d", i);
    scratch_leave(folder);
}

Test(catalogue, samples_only_what_can_be_read_twice)
{
    char *folder = scratch_enter();
    cr_assert_eq(mkfifo("list", 0666), 0);
    int keep = open("list", O_RDWR);
    struct catalogue *catalogue;
    struct bgd_err err;
    cr_expect_eq(catalogue_open(&(struct catalogue_options){.list = "list", .separator = '\n', .sample = 1}, &catalogue, &err),
                 BGD_ARGUMENT);
    cr_expect_eq(catalogue_open(&(struct catalogue_options){.manifest = "list", .sample = 1}, &catalogue, &err), BGD_ARGUMENT);
    close(keep);
    scratch_leave(folder);
}

Test(catalogue, expands_ranges_of_arguments)
{
    char *folder = scratch_enter();
    make_tar("t-08.tar", 1), make_tar("t-10.tar", 1);
    scratch_text("x{1..2}", ""), scratch_text("list", "y{1..2}\n");
    char *paths[] = {"t-{08..10}.tar", "x{1..2}", "z{2..1}/"};
    cr_expect_str_eq(walk_shards(&(struct catalogue_options){.paths = paths, .n_paths = 3, .list = "list", .separator = '\n'}),
                     "0:t-08.tar/0.jpg|1:t-09.tar!missing|2:t-10.tar/0.jpg|3:x{1..2}|3:z2|3:z1|3:y{1..2}|4");
    struct catalogue *catalogue;
    struct bgd_err err;
    char *many[] = {"a", "{0..1000000}"};
    cr_expect_eq(catalogue_open(&(struct catalogue_options){.paths = many, .n_paths = 2}, &catalogue, &err), BGD_LIMIT);
    scratch_leave(folder);
}

Test(catalogue, reads_manifests)
{
    char *folder = scratch_enter();
    scratch_text("m", "{\"id\":\"1\",\"path\":\"a.jpg\",\"brand\":\"B\",\"size\":5,\"mtime\":1}\n\n"
                      "{\"path\":\"b.jpg\"}\r\n[]\n");
    struct catalogue *catalogue;
    struct bgd_err err;
    struct item item = {0};
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.manifest = "m", .shard_items = 1}, &catalogue, &err), 0);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_expect_str_eq(item.id, "1");
    cr_expect_str_eq(item.path, "a.jpg");
    cr_expect_str_eq(item.carried, "{\"brand\":\"B\"}");
    cr_expect(item.bytes == 5 && item.mtime == 1000000000 && item.shard == 0);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_expect_str_eq(item.id, "b.jpg");
    cr_expect(!item.carried && item.bytes == 0 && item.mtime == 0 && item.shard == 1);
    cr_expect_eq(catalogue_next(catalogue, &item, &err), BGD_DAMAGED);
    cr_expect_str_eq(err.text, "m: line 4: not a JSON object");
    catalogue_close(catalogue);
    scratch_leave(folder);
}

Test(catalogue, knows_how_far_it_is_in_a_tar)
{
    char *folder = scratch_enter();
    make_tar("a.tar", 400), make_tar("b.tar", 0); /* 400 KiB and more, read in blocks of 64 KiB */
    char *paths[] = {"a.tar", "b.tar"};
    struct catalogue *catalogue;
    struct bgd_err err;
    struct item item = {0};
    float last = 0;
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.paths = paths, .n_paths = 2}, &catalogue, &err), 0);
    for (int i = 0; i < 400; i++) {
        cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
        float at = catalogue_progress(catalogue), exact = (float)(i + 1) / 800;
        cr_expect(at >= last && at > exact - 0.01f && at < exact + 0.1f, "%d: %g", i, (double)at);
        last = at;
    }
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 0);
    cr_expect_float_eq(catalogue_progress(catalogue), 1, 1e-6f);
    catalogue_close(catalogue);
    scratch_leave(folder);
}

Test(catalogue, ends_when_it_is_to_stop)
{
    char *folder = scratch_enter();
    int stop = eventfd(0, 0);
    make_tar("a.tar", 3);
    char *paths[] = {"a.tar"};
    struct catalogue *catalogue;
    struct bgd_err err;
    struct item item = {0};
    cr_assert_eq(catalogue_open(&(struct catalogue_options){.paths = paths, .n_paths = 1, .wake = &stop}, &catalogue, &err), 0);
    cr_expect_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_assert_eq(eventfd_write(stop, 1), 0);
    cr_expect_eq(catalogue_next(catalogue, &item, &err), 0);
    catalogue_close(catalogue);
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
    struct item item = {0};
    const struct catalogue_options options = {.list = "-", .separator = '\n', .wake = &wake};
    cr_assert_eq(catalogue_open(&options, &catalogue, &err), 0);
    cr_assert_eq(catalogue_next(catalogue, &item, &err), 1);
    cr_expect_str_eq(item.id, "first");
    const uint64_t one = 1; /* nothing more will come through the pipe, and nobody closes it */
    cr_assert_eq(write(wake, &one, sizeof one), (ssize_t)sizeof one);
    alarm(20);
    cr_expect_eq(catalogue_next(catalogue, &item, &err), 0);
    catalogue_close(catalogue);
}

Test(catalogue, literal_paths_are_items_whatever_they_are_called)
{
    char *folder = scratch_enter();
    make_tar("a.tar", 3);
    mkdir("folder", 0777);
    char *paths[] = {"x{1..3}.jpg", "a.tar", "folder"};
    cr_expect_str_eq(walk(&(struct catalogue_options){.paths = paths, .n_paths = 3, .literal = true}),
                     "x{1..3}.jpg|a.tar|folder|");
    scratch_leave(folder);
}

Test(catalogue, a_sample_of_standard_input_is_refused_even_where_that_is_a_file)
{
    char *folder = scratch_enter();
    struct catalogue *catalogue;
    struct bgd_err err;
    scratch_text("list", "a\nb\nc\n");
    int list = open("list", O_RDONLY);
    cr_assert_eq(dup2(list, STDIN_FILENO), STDIN_FILENO);
    cr_expect_eq(catalogue_open(&(struct catalogue_options){.list = "-", .separator = '\n', .sample = 2}, &catalogue, &err),
                 BGD_ARGUMENT);
    cr_expect_eq(catalogue_open(&(struct catalogue_options){.list = "list", .separator = '\n', .sample = 2}, &catalogue, &err),
                 0);
    catalogue_close(catalogue);
    scratch_leave(folder);
}
