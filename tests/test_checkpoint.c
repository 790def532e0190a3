/* Whole checkpoints: what torch wrote is read as torch reads it, in every form; what is no checkpoint is refused. */
#include "checkpoints.h"

#include <math.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* One line of a golden file: "name dtype 2x3 values..." */
static void expect_line(const struct checkpoint *checkpoint, size_t index, char *line, const char *path)
{
    const struct checkpoint_tensor *t = &checkpoint->tensors[index];
    char *name = strtok(line, " \n"), *dtype = strtok(NULL, " \n"), *shape = strtok(NULL, " \n");
    cr_assert(name && dtype && shape, "%s: line %zu", path, index + 1);
    cr_expect_str_eq(t->name, name, "%s: tensor %zu", path, index);
    cr_expect_eq(checkpoint_find(checkpoint, name), t, "%s: %s is not found", path, name);
    cr_expect_str_eq(checkpoint_dtype_name(t->dtype), dtype, "%s: %s", path, name);
    char stated[128] = "";
    for (uint32_t i = 0; i < t->ndim; i++)
        snprintf(stated + strlen(stated), sizeof stated - strlen(stated), "%s%llu", i ? "x" : "",
                 (unsigned long long)t->dims[i]);
    cr_expect_str_eq(t->ndim ? stated : "scalar", shape, "%s: %s", path, name);
    cr_expect_not(t->used);
    float *values = malloc((size_t)(t->numel + 1) * sizeof *values);
    checkpoint_read(t, values);
    for (uint64_t i = 0; i < t->numel; i++) {
        const char *text = strtok(NULL, " \n");
        cr_assert(text, "%s: %s has %llu values, expected fewer", path, name, (unsigned long long)t->numel);
        float expected = strtof(text, NULL);
        cr_expect(memcmp(&values[i], &expected, sizeof expected) == 0, "%s: %s[%llu] is %.9g, expected %s", path, name,
                  (unsigned long long)i, (double)values[i], text);
    }
    cr_expect_null(strtok(NULL, " \n"), "%s: %s has %llu values, expected more", path, name, (unsigned long long)t->numel);
    free(values);
}

static void expect_golden(const char *path, const char *golden, const char *form)
{
    struct checkpoint *checkpoint = NULL;
    struct bgd_err err = {0};
    cr_assert_eq(checkpoint_open(path, &checkpoint, &err), 0, "%s", err.text);
    cr_expect_str_eq(checkpoint->form, form, "%s", path);
    FILE *file = fopen(golden, "r");
    cr_assert(file, "%s", golden);
    char line[8192];
    size_t lines = 0;
    for (; fgets(line, sizeof line, file); lines++) {
        cr_assert_lt(lines, checkpoint->count, "%s: more tensors expected than %zu", path, checkpoint->count);
        expect_line(checkpoint, lines, line, path);
    }
    cr_expect_eq(lines, checkpoint->count, "%s: %zu tensors, expected %zu", path, checkpoint->count, lines);
    fclose(file);
    checkpoint_close(checkpoint);
}

Test(checkpoint, reads_every_dtype_and_layout_as_torch_does)
{
    expect_golden(FIXTURE("kinds.pth"), FIXTURE("kinds.txt"), "zip");
    expect_golden(FIXTURE("kinds-legacy.pth"), FIXTURE("kinds.txt"), "legacy");
    expect_golden(FIXTURE("kinds.safetensors"), FIXTURE("kinds.txt"), "safetensors");
}

Test(checkpoint, finds_the_state_dict_among_what_training_saves)
{
    expect_golden(FIXTURE("trained.pth"), FIXTURE("trained.txt"), "zip");
    expect_golden(FIXTURE("trained-legacy.pth"), FIXTURE("trained.txt"), "legacy");
}

Test(checkpoint, reads_what_python_2_wrote)
{
    expect_golden(FIXTURE("python2.pth"), FIXTURE("python2.txt"), "legacy");
}

Test(checkpoint, takes_module_off_when_every_key_has_it)
{
    expect_golden(FIXTURE("module.pth"), FIXTURE("trained.txt"), "zip");
    expect_golden(FIXTURE("partly-module.pth"), FIXTURE("partly-module.txt"), "zip");
}

Test(checkpoint, tied_weights_share_their_bytes)
{
    struct file_buffer file = read_fixture(FIXTURE("kinds.pth"));
    struct checkpoint *checkpoint = open_good(file.data, file.size);
    cr_expect_eq(checkpoint_find(checkpoint, "tied.a")->data, checkpoint_find(checkpoint, "tied.b")->data);
    cr_expect_null(checkpoint_find(checkpoint, "tied.c"));
    cr_expect_null(checkpoint_find(checkpoint, ""));
    checkpoint_close(checkpoint);
    free(file.data);
}

/* 893 keys and 7,453,090 parameters, as the file's README states them; the buffers come on top. */
Test(checkpoint, opens_a_whole_network)
{
    static const char path[] = BGDET_SOURCE_DIR "/../shared/fixtures/tracer-te0.pth";
    if (access(path, R_OK) != 0)
        cr_skip_test("shared/fixtures/tracer-te0.pth is not here");
    struct checkpoint *checkpoint = NULL;
    struct bgd_err err = {0};
    cr_assert_eq(checkpoint_open(path, &checkpoint, &err), 0, "%s", err.text);
    cr_expect_eq(checkpoint->count, 893);
    uint64_t parameters = 0;
    for (size_t i = 0; i < checkpoint->count; i++) {
        const char *name = checkpoint->tensors[i].name;
        bool buffer = strstr(name, ".running_") || strstr(name, ".num_batches_tracked");
        if (!buffer)
            parameters += checkpoint->tensors[i].numel;
    }
    cr_expect_eq(parameters, 7453090, "%llu", (unsigned long long)parameters);
    read_everything(checkpoint);
    checkpoint_close(checkpoint);
}

Test(checkpoint, refuses_what_is_no_checkpoint)
{
    static const char *const others[] = {"\0", "GIF89a.......", "\x89PNG\r\n\x1a\n......", "bgdet model...", "<html>......"};
    expect_refused("", 0, "empty");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        expect_refused(others[i], i ? strlen(others[i]) : 1, "neither a file of torch.save");
    expect_refused("\x80\2}.", 4, "magic number is missing");
    char tar[512] = "storages";
    memcpy(tar + 257, "ustar", 5);
    expect_refused(tar, sizeof tar, "a tar file");
}

Test(checkpoint, refuses_what_is_no_regular_file)
{
    struct checkpoint *checkpoint = (void *)1;
    struct bgd_err err = {0};
    char folder[] = "test_checkpoint-XXXXXX", path[64];
    cr_assert(mkdtemp(folder));
    cr_expect_eq(checkpoint_open(folder, &checkpoint, &err), BGD_UNREADABLE);
    cr_expect(mentions(&err, "not a regular file") && mentions(&err, folder), "%s", err.text);
    cr_expect_null(checkpoint);
    snprintf(path, sizeof path, "%s/fifo", folder);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(checkpoint_open(path, &checkpoint, &err), BGD_UNREADABLE);
    unlink(path);
    cr_expect_eq(checkpoint_open("/dev/zero", &checkpoint, &err), BGD_UNREADABLE);
    snprintf(path, sizeof path, "%s/none", folder);
    cr_expect_eq(checkpoint_open(path, &checkpoint, &err), BGD_MISSING);
    cr_expect(mentions(&err, path), "%s", err.text);
    FILE *file = fopen(path, "w");
    fclose(file);
    cr_expect_eq(checkpoint_open(path, &checkpoint, &err), BGD_DAMAGED);
    cr_expect(mentions(&err, "0 bytes") && mentions(&err, path), "%s", err.text);
    cr_assert_eq(truncate(path, ((off_t)1 << 32) + 1), 0); /* a hole: takes no space */
    cr_expect_eq(checkpoint_open(path, &checkpoint, &err), BGD_LIMIT);
    cr_assert_eq(truncate(path, (off_t)1 << 32), 0);
    cr_expect_eq(checkpoint_open(path, &checkpoint, &err), BGD_UNKNOWN, "4 GiB itself is read");
    unlink(path);
    rmdir(folder);
}

Test(checkpoint, tells_utf8_from_what_only_looks_like_it)
{
    static const char *const good[] = {"", "weight", "вес", "\u20ac", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe2\x82\x41",
                                      "\xf0\x9f\x98\x41"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint8_t *copy = copy_of(good[i], strlen(good[i]));
        cr_expect(checkpoint_is_utf8(copy, strlen(good[i])), "good %zu", i);
        free(copy);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t *copy = copy_of(bad[i], strlen(bad[i]));
        cr_expect_not(checkpoint_is_utf8(copy, strlen(bad[i])), "bad %zu", i);
        free(copy);
    }
}

Test(checkpoint, a_failure_leaves_null_and_closing_null_is_fine)
{
    struct checkpoint *checkpoint = (void *)1;
    struct bgd_err err;
    memset(&err, 0xa5, sizeof err); /* an error that was never zeroed must do */
    cr_expect_eq(checkpoint_parse("no", 2, &checkpoint, &err), BGD_UNKNOWN);
    cr_expect_null(checkpoint);
    checkpoint_close(NULL);
    struct file_buffer file = read_fixture(FIXTURE("kinds-legacy.pth"));
    memset(&err, 0xa5, sizeof err);
    cr_expect_eq(checkpoint_parse(file.data, file.size, &checkpoint, &err), 0);
    checkpoint_close(checkpoint);
    free(file.data);
}

/* Views that torch could not have made of a storage, checked without any file around them. */
Test(checkpoint, checks_views_against_their_storage)
{
    static const struct {
        const char *what;
        uint32_t ndim;
        uint64_t dims[3], strides[3], offset, storage;
        enum bgd_code code;
    } cases[] = {
        {"scalar", 0, {0}, {0}, 0, 1, BGD_OK},
        {"scalar of nothing", 0, {0}, {0}, 0, 0, BGD_DAMAGED},
        {"exact end", 2, {2, 3}, {3, 1}, 4, 10, BGD_OK},
        {"one past the end", 2, {2, 3}, {3, 1}, 5, 10, BGD_DAMAGED},
        {"transposed", 2, {3, 2}, {1, 3}, 0, 6, BGD_OK},
        {"expanded", 2, {5, 1}, {0, 1}, 0, 1, BGD_OK},
        {"offset alone outside", 1, {1}, {1}, 1, 1, BGD_DAMAGED},
        {"offset 2^64-1", 1, {2}, {1}, UINT64_MAX, 8, BGD_DAMAGED},
        {"product wraps", 2, {3, 3}, {UINT64_MAX / 2, 1}, 0, 100, BGD_DAMAGED},
        {"size times stride wraps", 1, {UINT64_MAX / 2}, {4}, 0, 100, BGD_DAMAGED},
        {"overlapping rows", 2, {2, 3}, {2, 1}, 0, 10, BGD_UNSUPPORTED},
        {"same stride twice", 2, {2, 2}, {1, 1}, 0, 10, BGD_UNSUPPORTED},
        {"interleaved without overlap", 2, {2, 3}, {1, 2}, 0, 6, BGD_OK},
        {"a gap of one", 2, {2, 3}, {4, 1}, 0, 7, BGD_OK},
        {"stride of a single row does not matter", 2, {1, 3}, {1, 1}, 0, 3, BGD_OK},
        {"empty at the end", 2, {0, 3}, {3, 1}, 6, 6, BGD_OK},
        {"empty behind the end", 2, {0, 3}, {3, 1}, 7, 6, BGD_DAMAGED},
        {"empty with a huge stride", 2, {0, 3}, {UINT64_MAX / 2, 1}, 0, 6, BGD_DAMAGED},
        {"stride of 2^32", 1, {1}, {(uint64_t)1 << 32}, 0, 1, BGD_OK},
        {"stride of 2^32+1", 1, {1}, {((uint64_t)1 << 32) + 1}, 0, 1, BGD_DAMAGED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct checkpoint_tensor t = {.ndim = cases[i].ndim};
        struct bgd_err err = {0};
        memcpy(t.dims, cases[i].dims, sizeof cases[i].dims);
        memcpy(t.strides, cases[i].strides, sizeof cases[i].strides);
        cr_assert(checkpoint_count(&t), "%s", cases[i].what);
        int code = checkpoint_check_view(&t, cases[i].offset, cases[i].storage, &err);
        cr_expect_eq(code, (int)cases[i].code, "%s: %d %s", cases[i].what, code, err.text);
    }
}

Test(checkpoint, counts_elements_without_overflow)
{
    struct checkpoint_tensor t = {.ndim = 3, .dims = {4194305, 4194305, 211106198978564}}; /* wraps to 4 */
    cr_expect_not(checkpoint_count(&t));
    t = (struct checkpoint_tensor){.ndim = 3, .dims = {0, UINT64_MAX, 2}};
    cr_expect_not(checkpoint_count(&t), "an empty tensor's other sizes");
    t = (struct checkpoint_tensor){.ndim = 2, .dims = {UINT64_MAX, 1}};
    cr_expect(checkpoint_count(&t) && t.numel == UINT64_MAX);
    t = (struct checkpoint_tensor){.ndim = 3, .dims = {3, 0, 2}};
    cr_expect(checkpoint_count(&t) && t.numel == 0);
}
