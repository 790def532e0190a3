/* The decoders against Pillow, file by file (fixtures/pictures.py), and their limits. */
#include "exif.h"
#include "feed.h"
#include "picture_files.h"

#include <dirent.h>
#include <math.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { WIDTH = 60, HEIGHT = 80 };

static const struct feed_spec plain = {WIDTH, HEIGHT, 3, {0, 0, 0}, {1, 1, 1}, {0, 0, 0}};

/* The largest difference of any channel from the golden picture, in 1/255. */
static double distance(const float *chw, const uint8_t *goldens, uint32_t stride, uint32_t golden)
{
    double worst = 0;
    for (uint32_t y = 0; y < HEIGHT; y++)
        for (uint32_t x = 0; x < WIDTH; x++)
            for (uint32_t c = 0; c < 3; c++) {
                double want = goldens[((size_t)y * stride + golden * WIDTH + x) * 3 + c];
                double have = 255.0 * (double)chw[((size_t)c * HEIGHT + y) * WIDTH + x];
                worst = fmax(worst, fabs(want - have));
            }
    return worst;
}

static float *feed(const struct bgd_image *image, const struct feed_spec *spec)
{
    struct feed_scratch scratch = {0};
    struct bgd_err err;
    float *chw = malloc(sizeof *chw * 3 * spec->width * spec->height);
    cr_assert_eq(feed_image(image, NULL, spec, &scratch, chw, &err), 0);
    feed_scratch_free(&scratch);
    return chw;
}

/* Two pictures of one file, resized to `spec`: the largest difference of a channel, and the mean, in 1/255. */
static double compare(const struct bgd_image *a, const struct bgd_image *b, const struct feed_spec *spec, double *mean)
{
    float *x = feed(a, spec), *y = feed(b, spec);
    size_t n = (size_t)3 * spec->width * spec->height;
    double worst = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double difference = 255 * fabs((double)x[i] - (double)y[i]);
        worst = fmax(worst, difference);
        sum += difference;
    }
    free(x);
    free(y);
    *mean = sum / (double)n;
    return worst;
}

static int decode_file(struct file file, uint32_t min_width, uint32_t min_height, struct bgd_image *image, struct bgd_err *err)
{
    int code = bgd_image_decode(file.data, file.size, min_width, min_height, image, err);
    free(file.data);
    return code;
}

static void decode_name(const char *name, uint32_t min_width, uint32_t min_height, struct bgd_image *image)
{
    struct bgd_err err = {0};
    cr_assert_eq(decode_file(picture_load(name), min_width, min_height, image, &err), 0, "%s: %s", name, err.text);
}

/*
 * The bound is 1 and a rounding of floats: Pillow rounds to 8 bits after the columns (0.5, kept by the rows' weights, which sum
 * to 1) and after the rows (0.5). The decoded pixels themselves are Pillow's to the bit (both call the same libraries), alpha's
 * rounding included.
 */
Test(decoder, gives_the_picture_that_pillow_gives)
{
    static struct picture pictures[PICTURES_MAX];
    uint32_t n = pictures_list(pictures), stride;
    uint8_t *goldens = goldens_load(&stride);
    for (uint32_t i = 0; i < n; i++) {
        const struct picture *p = &pictures[i];
        struct bgd_image image = {0};
        struct bgd_err err = {0};
        int code = decode_file(picture_load(p->name), 0, 0, &image, &err);
        cr_expect_str_eq(bgd_code_name(code), p->status, "%s: %s (%s), expected %s", p->name, bgd_code_name(code), err.text,
                         p->status);
        if (code || p->golden == UINT32_MAX) {
            bgd_image_free(&image);
            continue;
        }
        cr_expect_str_eq(bgd_format_name(image.format), p->format, "%s", p->name);
        cr_expect(image.width == p->width && image.height == p->height, "%s: %ux%u, expected %ux%u", p->name, image.width,
                  image.height, p->width, p->height);
        cr_expect(image.full_width == p->width && image.full_height == p->height, "%s", p->name);
        float *chw = feed(&image, &plain);
        double worst = distance(chw, goldens, stride, p->golden);
        cr_expect_leq(worst, 1.001, "%s: differs from Pillow by %.3f/255", p->name, worst);
        free(chw);
        bgd_image_free(&image);
    }
    free(goldens);
}

/*
 * How far a reduced picture may be from the exact one, both shrunk to 3/4 of the reduction: a mean of 3.5 and a single 36. It
 * is no defect that they differ. The means of 8x8 squares are what 1/8 is; shrinking them once more weighs pixels by squares
 * where the exact picture has them one by one, most of all at edges and text. The largest seen: mean 3.5, one 35 (4:2:2, whose
 * colours libjpeg-turbo keeps at half the reduced width), others half of that. Half a reduced pixel of misplacement, or a
 * reduction by 16, is beyond both.
 */
Test(decoder, reduces_to_nearly_the_same_picture)
{
    static const char *const names[] = {"jpeg_420.jpg",
                                        "jpeg_422.jpg",
                                        "jpeg_444.jpg",
                                        "jpeg_grey.jpg",
                                        "jpeg_progressive_420.jpg",
                                        "jpeg_progressive_444.jpg",
                                        "jpeg_progressive_grey.jpg",
                                        "webp_lossy.webp"};
    struct bgd_image exact = {0}, small = {0}, again = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (uint32_t by = 2; by <= 8; by *= 2) {
            decode_name(names[i], 0, 0, &exact);
            uint32_t width = (exact.width + by - 1) / by, height = (exact.height + by - 1) / by;
            decode_name(names[i], width, height, &small);
            decode_name(names[i], width, height, &again);
            cr_expect(small.width == width && small.height == height, "%s: %ux%u, expected %ux%u", names[i], small.width,
                      small.height, width, height);
            cr_expect(small.full_width == exact.width && small.full_height == exact.height, "%s", names[i]);
            cr_expect_arr_eq(small.rgb, again.rgb, (size_t)width * height * 3, "%s", names[i]);
            struct feed_spec spec = plain;
            spec.width = width * 3 / 4;
            spec.height = height * 3 / 4;
            double mean, worst = compare(&exact, &small, &spec, &mean);
            cr_expect(mean <= 3.6 && worst <= 36, "%s at 1/%u: mean %.2f, worst %.1f", names[i], by, mean, worst);
        }
    bgd_image_free(&exact);
    bgd_image_free(&small);
    bgd_image_free(&again);
}

Test(decoder, never_reduces_below_the_size_needed)
{
    static const char *const names[] = {
        "jpeg_420.jpg",    "jpeg_orientation_6.jpg", "jpeg_orientation_6_odd.jpg", "jpeg_orientation_2.jpg",
        "webp_lossy.webp", "webp_exif_6.webp",       "webp_lossy_alpha.webp",      "png_rgb8.png"};
    struct bgd_image exact = {0}, small = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        decode_name(names[i], 0, 0, &exact);
        for (uint32_t w = 1; w < exact.width + 20; w += 3)
            for (uint32_t h = 1; h < exact.height + 20; h += 5) {
                decode_name(names[i], w, h, &small);
                cr_expect(small.width >= w || small.width == exact.width, "%s: %u columns, expected %u", names[i], small.width,
                          w);
                cr_expect(small.height >= h || small.height == exact.height, "%s: %u rows, expected %u", names[i], small.height,
                          h);
                cr_expect(small.full_width == exact.width && small.full_height == exact.height, "%s", names[i]);
            }
    }
    /* Upright, this one's left column is the stored last row, the 83rd: no reduction divides it, and feed_extent could not know
     * of it. */
    decode_name("jpeg_orientation_6_odd.jpg", 10, 7, &small);
    cr_expect(small.width == 83 && small.height == 61, "%ux%u", small.width, small.height);
    bgd_image_free(&exact);
    bgd_image_free(&small);
}

/* The pixel of the stored picture that belongs at x, y of the upright one: EXIF 2.3, tag 0x0112, "where the 0th row and column
 * are". */
static void stored_place(uint32_t orientation, uint32_t width, uint32_t height, uint32_t *x, uint32_t *y)
{
    uint32_t a = *x, b = *y, right = width - 1, bottom = height - 1;
    const uint32_t places[9][2] = {[1] = {a, b}, [2] = {right - a, b},  [3] = {right - a, bottom - b}, [4] = {a, bottom - b},
                                   [5] = {b, a}, [6] = {b, bottom - a}, [7] = {right - b, bottom - a}, [8] = {right - b, a}};
    *x = places[orientation][0];
    *y = places[orientation][1];
}

Test(decoder, obeys_the_orientation_of_a_reduced_picture)
{
    struct bgd_image stored = {0}, upright = {0};
    for (uint32_t min = 0; min <= 1; min++)
        for (uint32_t orientation = 1; orientation <= 8; orientation++) {
            char name[64];
            snprintf(name, sizeof name, "jpeg_orientation_%u.jpg", orientation);
            decode_name("jpeg_orientation_1.jpg", min ? 16 : 0, min ? 22 : 0, &stored);
            uint32_t wide = orientation >= 5 ? stored.height : stored.width,
                     high = orientation >= 5 ? stored.width : stored.height;
            decode_name(name, min ? wide : 0, min ? high : 0, &upright);
            cr_assert(upright.width == wide && upright.height == high, "%s: %ux%u, expected %ux%u", name, upright.width,
                      upright.height, wide, high);
            cr_expect_eq(stored.width, min ? 16 : 64);
            cr_expect_eq(upright.full_width, orientation >= 5 ? 88 : 64);
            uint32_t wrong = 0;
            for (uint32_t i = 0; i < wide * high; i++) {
                uint32_t x = i % wide, y = i / wide;
                stored_place(orientation, stored.width, stored.height, &x, &y);
                wrong += memcmp(upright.rgb + (size_t)i * 3, stored.rgb + ((size_t)y * stored.width + x) * 3, 3) != 0;
            }
            cr_expect_eq(wrong, 0, "%s: %u pixels are elsewhere", name, wrong);
        }
    bgd_image_free(&stored);
    bgd_image_free(&upright);
}

Test(decoder, leaves_no_trace_of_an_earlier_picture)
{
    static struct picture pictures[PICTURES_MAX];
    uint32_t n = pictures_list(pictures);
    struct bgd_image reused = {0};
    for (uint32_t i = 0; i < 3 * n; i++) {
        const struct picture *p = &pictures[i * 37 % n]; /* 37: every picture after many others, larger and smaller ones */
        struct bgd_image fresh = {0};
        struct bgd_err err = {0}, again = {0};
        uint32_t min = i % 3 * 8;
        int code = decode_file(picture_load(p->name), min, min, &fresh, &err);
        cr_expect_eq(decode_file(picture_load(p->name), min, min, &reused, &again), code);
        cr_expect(reused.width == fresh.width && reused.height == fresh.height && reused.format == fresh.format &&
                      reused.full_width == fresh.full_width && reused.full_height == fresh.full_height,
                  "%s", p->name);
        if (code)
            cr_expect(reused.width == 0 && reused.format == BGD_FORMAT_NONE && strcmp(err.text, again.text) == 0, "%s",
                      p->name);
        else
            cr_expect_arr_eq(reused.rgb, fresh.rgb, (size_t)fresh.width * fresh.height * 3, "%s", p->name);
        bgd_image_free(&fresh);
    }
    bgd_image_free(&reused);
    cr_expect(reused.rgb == NULL && reused.capacity == 0);
    bgd_image_free(&reused);
}

Test(decoder, refuses_what_is_no_picture)
{
    static const struct {
        const char *bytes;
        size_t size;
        enum bgd_code code;
    } cases[] = {
        {"", 0, BGD_DAMAGED},
        {"P", 1, BGD_UNKNOWN},
        {"just a line of text that is not a picture, of more than 18 bytes", 64, BGD_UNKNOWN},
        {"\x89PNG\n\x1a\n and the CR is lost", 26, BGD_UNKNOWN}, /* sent as text */
        {"%PDF-1.7 ...............", 24, BGD_UNKNOWN},
        {"RIFF\x10\0\0\0WAVEfmt ", 16, BGD_UNKNOWN},
        {"GIF88a..................", 24, BGD_UNKNOWN},
        {"\xff\xd8", 2, BGD_UNKNOWN},
        {"\xff\xd8\xff", 3, BGD_DAMAGED},
        {"GIF89a", 6, BGD_DAMAGED},
        {"BM", 2, BGD_DAMAGED},
        {"RIFF\0\0\0\0WEBP", 12, BGD_DAMAGED},
        {"\x89PNG\r\n\x1a\n", 8, BGD_DAMAGED},
        {"<svg xmlns='http://www.w3.org/2000/svg'/>", 41, BGD_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bgd_image image = {0};
        struct bgd_err err = {0};
        int code = decode_file(file_of(cases[i].bytes, cases[i].size), 0, 0, &image, &err);
        cr_expect_eq(code, cases[i].code, "case %zu: %s (%s)", i, bgd_code_name(code), err.text);
        cr_expect(err.code == cases[i].code && err.text[0], "case %zu", i);
    }
}

Test(decoder, names_the_formats)
{
    cr_expect_str_eq(bgd_format_name(BGD_FORMAT_NONE), "none");
    cr_expect_str_eq(bgd_format_name(BGD_WEBP), "webp");
    cr_expect_str_eq(bgd_format_name(BGD_TGA), "tga");
    cr_expect_str_eq(bgd_format_name((enum bgd_format)99), "none");
}

/* The founders' photos, among them 13 whose name says another format than their content. Bounds as above, of real photos: they
 * are smoother than our drawing, but up to a third are text. */
Test(decoder, reads_the_real_photos)
{
    const char *folder = BGDET_SOURCE_DIR "/../shared/data/originals";
    DIR *dir = opendir(folder);
    if (!dir)
        cr_skip_test("decoder::reads_the_real_photos: there is no %s", folder);
    uint32_t n = 0;
    struct bgd_image exact = {0}, small = {0};
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        struct stat st;
        struct bgd_err err = {0};
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &st) || !S_ISREG(st.st_mode))
            continue;
        struct file file = file_load(path);
        cr_assert_eq(bgd_image_decode(file.data, file.size, 0, 0, &exact, &err), 0, "%s: %s", entry->d_name, err.text);
        cr_assert_eq(bgd_image_decode(file.data, file.size, WIDTH, HEIGHT, &small, &err), 0, "%s: %s", entry->d_name, err.text);
        cr_expect(small.width >= WIDTH && small.height >= HEIGHT, "%s: %ux%u", entry->d_name, small.width, small.height);
        cr_expect(small.full_width == exact.width && small.full_height == exact.height, "%s", entry->d_name);
        double mean, worst = compare(&exact, &small, &plain, &mean);
        cr_expect(mean <= 2.5 && worst <= 36, "%s: mean %.2f, worst %.1f", entry->d_name, mean, worst);
        n++;
        free(file.data);
    }
    closedir(dir);
    cr_expect_gt(n, 0);
    bgd_image_free(&exact);
    bgd_image_free(&small);
}
