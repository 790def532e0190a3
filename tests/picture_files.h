/* What the tests of the decoders share: the files of fixtures/pictures, in copies that end where the file ends. */
#ifndef PICTURE_FILES_H
#define PICTURE_FILES_H

#include "bgdet.h"

#include <criterion/criterion.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICTURES BGDET_SOURCE_DIR "/tests/fixtures/pictures/"

struct file {
    uint8_t *data; /* exactly `size` bytes of the heap: a read past the end is AddressSanitizer's to see */
    size_t size;
};

static inline struct file file_of(const void *data, size_t size)
{
    struct file file = {malloc(size ? size : 1), size};
    memcpy(file.data, data, size);
    return file;
}

static inline struct file file_load(const char *path)
{
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s is missing", path);
    fseek(f, 0, SEEK_END);
    struct file file = {.size = (size_t)ftell(f)};
    file.data = malloc(file.size ? file.size : 1);
    rewind(f);
    cr_assert_eq(fread(file.data, 1, file.size, f), file.size);
    fclose(f);
    return file;
}

static inline struct file picture_load(const char *name)
{
    char path[4096];
    cr_assert_lt(snprintf(path, sizeof path, PICTURES "%s", name), (int)sizeof path);
    return file_load(path);
}

/* A line of pictures.txt. */
struct picture {
    char name[64], format[8], status[16];
    uint32_t width, height;
    uint32_t golden; /* its place in goldens.png */
};

#define PICTURES_MAX 256u

static inline uint32_t pictures_list(struct picture *pictures)
{
    FILE *f = fopen(PICTURES "pictures.txt", "r");
    cr_assert(f, "pictures.txt is missing");
    uint32_t n = 0, goldens = 0;
    struct picture p;
    while (fscanf(f, "%63s %7s %15s %u %u", p.name, p.format, p.status, &p.width, &p.height) == 5) {
        p.golden = strcmp(p.status, "ok") == 0 ? goldens++ : UINT32_MAX;
        cr_assert_lt(n, PICTURES_MAX);
        pictures[n++] = p;
    }
    fclose(f);
    cr_assert_gt(n, 100);
    return n;
}

/* goldens.png as RGB, by libpng's simplified reader. */
static inline uint8_t *goldens_load(uint32_t *width)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    cr_assert(png_image_begin_read_from_file(&png, PICTURES "goldens.png"), "%s", png.message);
    png.format = PNG_FORMAT_RGB;
    uint8_t *rgb = malloc(PNG_IMAGE_SIZE(png));
    cr_assert(png_image_finish_read(&png, NULL, rgb, 0, NULL), "%s", png.message);
    *width = png.width;
    return rgb;
}

#endif
