/*
 * Damaged and malicious pictures: fixtures/hostile_pictures.py makes most of them, the large ones are built here. Whatever the
 * bytes are, a picture is decoded with sizes within the limits or refused with a code and a text; AddressSanitizer sees reads
 * past the end, since each case is an allocation of its own, and an alarm ends a loop without end. (Not Criterion's .timeout:
 * its timer leaks in about one run of three, which LeakSanitizer then makes a failure of.)
 */
#include "picture_files.h"

#include <time.h>
#include <unistd.h>

struct hostile {
    char name[80], expected[20];
    const uint8_t *data;
    size_t size;
};

#define HOSTILE_MAX 2000u

/* The pack stays in memory until the test ends. */
static uint32_t load_pack(struct hostile *cases, struct file *pack)
{
    *pack = file_load(BGDET_SOURCE_DIR "/tests/fixtures/hostile/pictures.pack");
    uint32_t n = 0;
    for (size_t at = 0; at < pack->size; n++) {
        char line[128] = "";
        int length;
        cr_assert_lt(n, HOSTILE_MAX);
        memcpy(line, pack->data + at, pack->size - at < sizeof line - 1 ? pack->size - at : sizeof line - 1);
        cr_assert_eq(sscanf(line, "%79s %19s %zu%n", cases[n].name, cases[n].expected, &cases[n].size, &length), 3, "%s", line);
        at += (size_t)length + 1;
        cr_assert_leq(cases[n].size, pack->size - at);
        cases[n].data = pack->data + at;
        at += cases[n].size;
    }
    return n;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Decodes and checks what holds for all bytes; the picture stays in `image`. */
static int decode(const char *name, const void *data, size_t size, uint32_t min, struct bgd_image *image)
{
    struct file file = file_of(data, size);
    struct bgd_err err = {0};
    alarm(60);
    int code = bgd_image_decode(file.data, file.size, min, min, image, &err);
    alarm(0);
    free(file.data);
    if (code) {
        cr_expect(code == (int)err.code && err.text[0], "%s: refused without a text", name);
        cr_expect(code >= BGD_MEMORY && code <= BGD_UNKNOWN, "%s: code %d (%s)", name, code, err.text);
        cr_expect(image->width == 0 && image->height == 0 && image->format == BGD_FORMAT_NONE, "%s: a refused picture is left",
                  name);
        return code;
    }
    cr_expect(image->width >= 1 && image->height >= 1 && image->full_width >= image->width &&
                  image->full_height >= image->height,
              "%s", name);
    cr_expect(image->full_width <= BGD_IMAGE_SIDE_MAX && image->full_height <= BGD_IMAGE_SIDE_MAX, "%s", name);
    cr_expect((uint64_t)image->full_width * image->full_height <= BGD_IMAGE_PIXELS_MAX, "%s", name);
    cr_expect((size_t)image->width * image->height * 3 <= image->capacity, "%s", name);
    /* All of it was written: memory that was never set is MemorySanitizer's, but a sum makes the reads happen. */
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < (size_t)image->width * image->height * 3; i += 997)
        sum = (uint8_t)(sum + image->rgb[i]);
    return 0;
}

Test(hostile_pictures, are_refused_or_read_as_expected)
{
    static struct hostile cases[HOSTILE_MAX];
    struct file pack;
    uint32_t n = load_pack(cases, &pack);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t min = 0; min <= 3; min += 3) {
            struct bgd_image image = {0};
            double start = seconds();
            int code = decode(cases[i].name, cases[i].data, cases[i].size, min, &image);
            double took = seconds() - start;
            const char *name = bgd_code_name(code), *expected = cases[i].expected;
            bool right =
                strcmp(expected, "any") == 0 || (strcmp(expected, "refused") == 0 ? code != 0 : strcmp(expected, name) == 0);
            cr_expect(right, "%s: %s, expected %s", cases[i].name, name, expected);
            cr_expect_lt(took, 3, "%s took %.1f s", cases[i].name, took);
            bgd_image_free(&image);
        }
    cr_expect_gt(n, 500);
    free(pack.data);
}

Test(hostile_pictures, name_the_variant_that_is_not_read)
{
    static const char *const words[][2] = {{"jpeg_lossless_c3", "lossless"},     {"jpeg_hierarchical_c5", "hierarchical"},
                                           {"jpeg_arithmetic_c9", "arithmetic"}, {"jpeg_12_bits", "12 bits"},
                                           {"bmp_compression_1", "run lengths"}, {"png_of_an_iphone", "CgBI"},
                                           {"jpeg_65535x65535", "65500"},        {"png_65535x65535", "65535"},
                                           {"gif_canvas_65535x65535", "65535"},  {"bmp_65535x65535", "65535x65535"},
                                           {"tga_65535x65535", "65535x65535"},   {"jpeg_101_scans", "100 scans"}};
    static struct hostile cases[HOSTILE_MAX];
    struct file pack;
    uint32_t n = load_pack(cases, &pack), found = 0;
    for (uint32_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
            if (strcmp(cases[i].name, words[k][0]) != 0)
                continue;
            struct bgd_image image = {0};
            struct bgd_err err = {0};
            cr_expect_lt(bgd_image_decode(cases[i].data, cases[i].size, 0, 0, &image, &err), 0);
            cr_expect(strstr(err.text, words[k][1]), "%s: %s", cases[i].name, err.text);
            bgd_image_free(&image);
            found++;
        }
    cr_expect_eq(found, sizeof words / sizeof *words);
    free(pack.data);
}

/* Cut anywhere, a file is refused, unless what is left is the whole picture (a trailer is missing, or bytes that say nothing).
 */
Test(hostile_pictures, cut_at_any_byte_are_refused_or_whole)
{
    static struct hostile cases[HOSTILE_MAX];
    struct file pack;
    uint32_t n = load_pack(cases, &pack), seeds = 0;
    struct bgd_image whole = {0}, cut = {0};
    for (uint32_t i = 0; i < n; i++) {
        if (strncmp(cases[i].name, "seed_", 5) != 0)
            continue;
        seeds++;
        cr_assert_eq(decode(cases[i].name, cases[i].data, cases[i].size, 0, &whole), 0, "%s", cases[i].name);
        size_t size = (size_t)whole.width * whole.height * 3, accepted = 0;
        for (size_t length = 0; length < cases[i].size; length++) {
            if (decode(cases[i].name, cases[i].data, length, 0, &cut))
                continue;
            accepted++;
            cr_expect(cut.width == whole.width && cut.height == whole.height && memcmp(cut.rgb, whole.rgb, size) == 0,
                      "%s cut to %zu of %zu bytes is another picture", cases[i].name, length, cases[i].size);
        }
        bool animated = strstr(cases[i].name, "animated"); /* a GIF's later frames may be cut off */
        cr_expect(accepted <= 3 || animated, "%s: %zu cut files are taken", cases[i].name, accepted);
    }
    cr_expect_geq(seeds, 25);
    bgd_image_free(&whole);
    bgd_image_free(&cut);
    free(pack.data);
}

Test(hostile_pictures, with_any_byte_changed_do_no_harm)
{
    static struct hostile cases[HOSTILE_MAX];
    struct file pack;
    uint32_t n = load_pack(cases, &pack);
    for (uint32_t i = 0; i < n; i++) {
        if (strncmp(cases[i].name, "seed_", 5) != 0)
            continue;
        struct file file = file_of(cases[i].data, cases[i].size);
        for (size_t at = 0; at < file.size; at++) {
            const uint8_t old = file.data[at];
            const uint8_t values[] = {
                0, 255, (uint8_t)~old, (uint8_t)(old ^ 1), (uint8_t)(old ^ 0x80), (uint8_t)(old + 1), (uint8_t)(old - 1)};
            for (size_t k = 0; k < sizeof values; k++) {
                struct bgd_image image = {0};
                file.data[at] = values[k];
                decode(cases[i].name, file.data, file.size, k & 1 ? 2 : 0, &image);
                bgd_image_free(&image);
            }
            file.data[at] = old;
        }
        free(file.data);
    }
    free(pack.data);
}

/* Several bytes at a time, chosen by a generator with a fixed seed. */
Test(hostile_pictures, with_many_bytes_changed_do_no_harm)
{
    static struct hostile cases[HOSTILE_MAX];
    struct file pack;
    uint32_t n = load_pack(cases, &pack);
    uint64_t state = 42;
    for (uint32_t i = 0; i < n; i++) {
        if (strncmp(cases[i].name, "seed_", 5) != 0)
            continue;
        for (int round = 0; round < 150; round++) {
            struct file file = file_of(cases[i].data, cases[i].size);
            for (int k = 0; k < 2 + round % 9; k++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                file.data[(state >> 33) % file.size] = (uint8_t)(state >> 24);
            }
            struct bgd_image image = {0};
            decode(cases[i].name, file.data, file.size, 0, &image);
            bgd_image_free(&image);
            free(file.data);
        }
    }
    free(pack.data);
}

/* ------------------------------------------------------------ large ones */

static void append(struct file *file, const void *data, size_t size)
{
    memcpy(file->data + file->size, data, size);
    file->size += size;
}

static struct hostile find(const char *name, struct file *pack)
{
    static struct hostile cases[HOSTILE_MAX];
    uint32_t n = load_pack(cases, pack);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(cases[i].name, name) == 0)
            return cases[i];
    cr_assert(false, "%s is not in the pack", name);
    abort();
}

static const uint8_t *find_bytes(const struct hostile *h, const char *bytes, size_t size)
{
    const uint8_t *at = memmem(h->data, h->size, bytes, size);
    cr_assert(at);
    return at;
}

static int decode_large(const char *name, struct file *file)
{
    struct bgd_image image = {0};
    double start = seconds();
    int code = decode(name, file->data, file->size, 0, &image);
    double took = seconds() - start;
    cr_expect_lt(took, 10, "%s took %.1f s", name, took);
    bgd_image_free(&image);
    free(file->data);
    return code;
}

/* PNG's checksum, a bit at a time. */
static uint32_t crc_of(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size * 8; i++)
        crc = crc >> 1 ^ ((crc ^ (uint32_t)data[i / 8] >> i % 8) & 1 ? 0xedb88320u : 0);
    return ~crc;
}

/* The data chunk split to single bytes is in the pack; here a million chunks of text and 100,000 of no data. */
Test(hostile_pictures, of_a_million_chunks_take_no_memory)
{
    struct file pack;
    struct hostile seed = find("seed_rgb.png", &pack);
    static const struct {
        const char *name, *kind;
        uint32_t count, size;
    } cases[] = {{"a million tEXt", "tEXt", 1000000, 3},
                 {"a million unknown", "abCd", 1000000, 0},
                 {"100,000 empty IDAT", "IDAT", 100000, 0},
                 {"100,000 sPLT", "sPLT", 100000, 12}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct file file = {malloc(seed.size + (size_t)cases[i].count * (12 + cases[i].size)), 0};
        uint8_t chunk[32] = {0, 0, 0, (uint8_t)cases[i].size};
        memcpy(chunk + 4, cases[i].kind, 4);
        memcpy(chunk + 8, "a\0\x08 some data", cases[i].size);
        uint32_t crc = crc_of(chunk + 4, 4 + cases[i].size);
        for (int k = 0; k < 4; k++)
            chunk[8 + cases[i].size + (uint32_t)k] = (uint8_t)(crc >> (24 - 8 * k));
        append(&file, seed.data, 33);
        for (uint32_t k = 0; k < cases[i].count; k++)
            append(&file, chunk, 12 + cases[i].size);
        append(&file, seed.data + 33, seed.size - 33);
        cr_expect_eq(decode_large(cases[i].name, &file), 0, "%s", cases[i].name);
    }
    free(pack.data);
}

Test(hostile_pictures, of_a_hundred_thousand_scans_are_refused)
{
    struct file pack;
    struct hostile seed = find("seed_progressive.jpg", &pack);
    const uint8_t *scan = find_bytes(&seed, "\xff\xda\0\x08\1\1\0\1", 8); /* the first of AC coefficients */
    const uint8_t *end = memmem(scan + 2, seed.size - (size_t)(scan + 2 - seed.data), "\xff\xc4", 2);
    cr_assert(end);
    size_t size = (size_t)(end - scan);
    struct file file = {malloc(seed.size + 100000 * size), 0};
    append(&file, seed.data, (size_t)(end - seed.data));
    for (int i = 0; i < 100000 && file.size + size + seed.size < BGD_IMAGE_BYTES_MAX; i++)
        append(&file, scan, size);
    append(&file, end, seed.size - (size_t)(end - seed.data));
    cr_expect_eq(decode_large("100,000 scans", &file), BGD_LIMIT);
    free(pack.data);
}

Test(hostile_pictures, of_many_frames_cost_only_the_first)
{
    struct file pack;
    struct hostile seed = find("seed_animated.gif", &pack);
    const uint8_t *frame = find_bytes(&seed, "!\xf9\x04", 3);
    size_t size = seed.size - 1 - (size_t)(frame - seed.data);
    struct file file = {malloc(seed.size + 100000 * size), 0};
    append(&file, seed.data, seed.size - 1);
    for (int i = 0; i < 100000 && file.size + size < BGD_IMAGE_BYTES_MAX; i++)
        append(&file, frame, size);
    append(&file, ";", 1);
    cr_expect_eq(decode_large("many GIF frames", &file), 0);
    free(pack.data);

    seed = find("seed_animated.webp", &pack);
    frame = find_bytes(&seed, "ANMF", 4);
    size = 8 + (size_t)(frame[4] | frame[5] << 8 | frame[6] << 16);
    size += size & 1;
    struct file webp = {malloc(seed.size + 10000 * size), 0};
    append(&webp, seed.data, seed.size);
    for (int i = 0; i < 10000; i++)
        append(&webp, frame, size);
    for (int i = 0; i < 4; i++)
        webp.data[4 + i] = (uint8_t)((webp.size - 8) >> 8 * i);
    cr_expect_eq(decode_large("10,000 WebP frames", &webp), 0);
    free(pack.data);
}
