/* A folder of a test's own, removed with all that is in it; files and networks made in it. */
#ifndef BGD_TESTS_SCRATCH_H
#define BGD_TESTS_SCRATCH_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int scratch_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

/* Makes a folder under $TMPDIR or /tmp and moves into it. */
static inline char *scratch_enter(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    cr_assert(asprintf(&path, "%s/bgdet-test-XXXXXX", parent ? parent : "/tmp") > 0);
    cr_assert(mkdtemp(path), "no folder %s", path);
    cr_assert_eq(chdir(path), 0);
    return path;
}

static inline void scratch_leave(char *path)
{
    cr_assert_eq(chdir("/"), 0);
    nftw(path, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

static inline void scratch_write(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "wb");
    cr_assert(file, "%s", name);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static inline void scratch_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

/* The whole file, NUL-terminated, to be freed. */
static inline char *scratch_read(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    cr_assert(file, "%s", name);
    fseek(file, 0, SEEK_END);
    size_t n = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(n + 1);
    cr_assert_eq(fread(data, 1, n, file), n);
    data[n] = 0;
    fclose(file);
    if (size)
        *size = n;
    return data;
}

#endif
