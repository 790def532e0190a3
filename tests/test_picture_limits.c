/*
 * The limits of include/bgdet.h, refused from the header, before anything of the picture's size is allocated: in these tests no
 * more than 64 MB can be had. malloc returns NULL beyond it, by AddressSanitizer's own setting or else by the kernel's, and a
 * decoder that asked for more would say BGD_MEMORY; the first test sees that the fence stands.
 */
#include "picture_files.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "max_allocation_size_mb=64:allocator_may_return_null=1";
}

static void put_up_fence(void)
{
#ifndef __SANITIZE_ADDRESS__ /* whose shadow needs terabytes of addresses */
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages;
    cr_assert(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    rlim_t most = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (64u << 20);
    cr_assert_eq(setrlimit(RLIMIT_AS, &(struct rlimit){most, most}), 0);
#endif
}

static int decode(const void *data, size_t size, struct bgd_err *err)
{
    struct bgd_image image = {0};
    int code = bgd_image_decode(data, size, 0, 0, &image, err);
    bgd_image_free(&image);
    return code;
}

/* A GIF with a canvas of that size and a frame of one pixel. */
static const uint8_t *gif_of(uint32_t width, uint32_t height, size_t *size)
{
    static uint8_t gif[] = {'G', 'I', 'F', '8', '9', 'a', 0, 0, 0, 0, 0x80, 0, 0,    0, 0, 0,  255, 255, 255, /* two colours */
                            ',', 0,   0,   0,   0,   1,   0, 1, 0, 0, 2,    2, 0x44, 1, 0, ';'};
    *size = sizeof gif;
    gif[6] = (uint8_t)width;
    gif[7] = (uint8_t)(width >> 8);
    gif[8] = (uint8_t)height;
    gif[9] = (uint8_t)(height >> 8);
    return gif;
}

Test(picture_limits, stand_behind_a_fence_of_memory)
{
    struct bgd_err err = {0};
    size_t size;
    put_up_fence();
    const uint8_t *gif = gif_of(7000, 7000, &size);
    cr_expect_eq(decode(gif, size, &err), BGD_MEMORY, "%s", err.text); /* within the limits: 147 MB are asked for */
    cr_expect_eq(err.code, BGD_MEMORY);
    gif = gif_of(700, 700, &size);
    cr_expect_eq(decode(gif, size, &err), 0, "%s", err.text);
}

Test(picture_limits, are_refused_without_memory_or_time)
{
    struct file pack = file_load(BGDET_SOURCE_DIR "/tests/fixtures/hostile/pictures.pack");
    put_up_fence();
    uint32_t n = 0;
    for (size_t at = 0; at < pack.size;) {
        char name[80], expected[20], line[128] = "";
        size_t size;
        int length;
        memcpy(line, pack.data + at, pack.size - at < sizeof line - 1 ? pack.size - at : sizeof line - 1);
        cr_assert_eq(sscanf(line, "%79s %19s %zu%n", name, expected, &size, &length), 3);
        at += (size_t)length + 1;
        if (strcmp(expected, "limit") == 0 && !strstr(name, "scans")) {
            struct bgd_err err = {0};
            clock_t start = clock();
            cr_expect_eq(decode(pack.data + at, size, &err), BGD_LIMIT, "%s: %s (%s)", name, bgd_code_name(err.code), err.text);
            cr_expect_lt(clock() - start, CLOCKS_PER_SEC / 20, "%s took %ld us", name, (long)(clock() - start));
            n++;
        }
        at += size;
    }
    cr_expect_geq(n, 25);
    free(pack.data);
}

Test(picture_limits, hold_to_the_pixel)
{
    static const struct {
        uint32_t width, height;
        bool within;
    } cases[] = {{16384, 1, true},    {16385, 1, false},    {1, 16384, true},     {1, 16385, false},
                 {16384, 3051, true}, {16384, 3052, false}, {7071, 7071, true},   {7072, 7071, false},
                 {10000, 5000, true}, {10000, 5001, false}, {65535, 65535, false}};
    put_up_fence();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bgd_err err = {0};
        size_t size;
        const uint8_t *gif = gif_of(cases[i].width, cases[i].height, &size);
        int code = decode(gif, size, &err);
        cr_expect(cases[i].within ? code != BGD_LIMIT : code == BGD_LIMIT, "%ux%u: %s", cases[i].width, cases[i].height,
                  err.text);
    }
}

Test(picture_limits, hold_to_the_byte)
{
    struct file file = picture_load("jpeg_trailing.jpg");
    file.data = realloc(file.data, BGD_IMAGE_BYTES_MAX + 1);
    memset(file.data + file.size, 0xff, BGD_IMAGE_BYTES_MAX + 1 - file.size);
    put_up_fence();
    struct bgd_err err = {0};
    cr_expect_eq(decode(file.data, BGD_IMAGE_BYTES_MAX, &err), 0, "%s", err.text);
    cr_expect_eq(decode(file.data, BGD_IMAGE_BYTES_MAX + 1, &err), BGD_LIMIT);
    cr_expect(strstr(err.text, "20971521"), "%s", err.text);
    free(file.data);
}
