/* The contact sheet, judged by the PNG that it writes. */
#include "sheet.h"

#include <criterion/criterion.h>
#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct picture {
    uint8_t *rgb;
    uint32_t width, height;
};

static const struct bgd_result clean = {.score = 0.03f, .reasons = {0.03f, 0.02f, 0.01f, 0.02f, 0.0f}};

static struct sheet *open_sheet(void)
{
    struct sheet *sheet;
    struct bgd_err err;
    cr_assert_eq(sheet_open(&sheet, &err), 0);
    return sheet;
}

static void add(struct sheet *sheet, const char *name, const struct bgd_image *image, const struct bgd_result *result,
                const char *error)
{
    struct bgd_err err = {0};
    cr_assert_eq(sheet_add(sheet, &(struct sheet_card){.name = name, .image = image, .result = result, .error = error}, &err),
                 0, "%s", err.text);
}

/* Writes and closes the sheet, and reads back what a viewer would see. */
static struct picture finish(struct sheet *sheet)
{
    char path[] = "test_sheet-XXXXXX.png";
    int fd = mkstemps(path, 4);
    cr_assert_geq(fd, 0);
    close(fd);
    struct bgd_err err = {0};
    cr_assert_eq(sheet_write(sheet, path, &err), 0, "%s", err.text);
    sheet_close(sheet);
    png_image png = {.version = PNG_IMAGE_VERSION};
    cr_assert(png_image_begin_read_from_file(&png, path), "%s", png.message);
    png.format = PNG_FORMAT_RGB;
    struct picture picture = {malloc(PNG_IMAGE_SIZE(png)), png.width, png.height};
    cr_assert(png_image_finish_read(&png, NULL, picture.rgb, 0, NULL), "%s", png.message);
    unlink(path);
    return picture;
}

static struct picture picture_of(const char *name, const struct bgd_image *image, const struct bgd_result *result,
                                 const char *error)
{
    struct sheet *sheet = open_sheet();
    add(sheet, name, image, result, error);
    return finish(sheet);
}

static bool same(struct picture a, struct picture b)
{
    bool equal = a.width == b.width && a.height == b.height && !memcmp(a.rgb, b.rgb, (size_t)a.width * a.height * 3);
    free(a.rgb);
    free(b.rgb);
    return equal;
}

static bool same_names(const char *a, const char *b)
{
    return same(picture_of(a, NULL, &clean, NULL), picture_of(b, NULL, &clean, NULL));
}

struct box {
    uint32_t left, top, right, bottom; /* right and bottom: one past the last */
    uint32_t pixels;
};

/* Where the pixels of one colour are. */
static struct box find_colour(struct picture picture, uint8_t r, uint8_t g, uint8_t b)
{
    struct box box = {.left = UINT32_MAX, .top = UINT32_MAX};
    for (uint32_t y = 0; y < picture.height; y++)
        for (uint32_t x = 0; x < picture.width; x++) {
            const uint8_t *p = picture.rgb + ((size_t)y * picture.width + x) * 3;
            if (p[0] != r || p[1] != g || p[2] != b)
                continue;
            box.pixels++;
            box.left = x < box.left ? x : box.left;
            box.top = y < box.top ? y : box.top;
            box.right = x + 1 > box.right ? x + 1 : box.right;
            box.bottom = y + 1;
        }
    return box;
}

static struct bgd_image plain_image(uint32_t width, uint32_t height, uint8_t r, uint8_t g, uint8_t b)
{
    struct bgd_image image = {.rgb = malloc((size_t)width * height * 3), .width = width, .height = height};
    for (size_t i = 0; i < (size_t)width * height; i++)
        memcpy(image.rgb + i * 3, (uint8_t[]){r, g, b}, 3);
    return image;
}

static void check_aspect(uint32_t width, uint32_t height)
{
    struct bgd_image image = plain_image(width, height, 255, 0, 255);
    struct picture picture = picture_of("magenta", &image, &clean, NULL);
    struct box box = find_colour(picture, 255, 0, 255);
    double w = box.right - box.left, h = box.bottom - box.top;
    cr_expect(w == SHEET_THUMB_WIDTH || h == SHEET_THUMB_HEIGHT, "%ux%u is shown at %gx%g", width, height, w, h);
    cr_expect(fabs(w - h * width / height) <= 1 || fabs(h - w * height / width) <= 1, "%ux%u is shown at %gx%g", width, height,
              w, h);
    free(picture.rgb);
    free(image.rgb);
}

Test(sheet, keeps_the_aspect_of_a_card)
{
    check_aspect(900, 1200);
    check_aspect(1200, 900);
    check_aspect(1600, 200);
    check_aspect(31, 41); /* smaller than the thumbnail: enlarged */
    check_aspect(1, 1);
    check_aspect(1, 5000); /* a line still has its one pixel of width */
}

Test(sheet, averages_the_pixels_under_a_thumbnail_pixel)
{
    struct bgd_image image = plain_image(SHEET_THUMB_WIDTH * 2, SHEET_THUMB_HEIGHT * 2, 0, 0, 0);
    for (size_t i = 0; i < (size_t)image.width * image.height; i += 2) /* stripes: half of every 2x2 */
        memcpy(image.rgb + i * 3, (uint8_t[]){254, 0, 254}, 3);
    struct picture picture = picture_of("stripes", &image, &clean, NULL);
    cr_expect_eq(find_colour(picture, 127, 0, 127).pixels, SHEET_THUMB_WIDTH * SHEET_THUMB_HEIGHT);
    free(picture.rgb);
    free(image.rgb);
}

Test(sheet, shows_the_verdict_in_its_colour)
{
    struct bgd_result defective = clean;
    defective.verdict = BGD_DEFECTIVE;
    struct picture green = picture_of("a", NULL, &clean, NULL), red = picture_of("a", NULL, &defective, NULL);
    struct picture grey = picture_of("a", NULL, NULL, "damaged");
    cr_expect_gt(find_colour(green, 0x1b, 0x7f, 0x4d).pixels, 4000);
    cr_expect_gt(find_colour(red, 0xc9, 0x2a, 0x37).pixels, 4000);
    cr_expect_gt(find_colour(grey, 0x77, 0x80, 0x8d).pixels, 4000);
    free(green.rgb);
    free(red.rgb);
    free(grey.rgb);
}

Test(sheet, shows_what_went_wrong)
{
    cr_expect(!same(picture_of("a", NULL, NULL, "damaged: cut"), picture_of("a", NULL, NULL, "unknown format")));
    cr_expect(same(picture_of("a", NULL, NULL, NULL), picture_of("a", NULL, NULL, "")));
}

Test(sheet, draws_cyrillic_letters)
{
    cr_expect(!same_names("Чайник", "??????"));
    cr_expect(!same_names("ё", "?"));
    cr_expect(!same_names("чайник", "Чайник"));
    cr_expect(same_names("\xe8\x8c\xb6", "?"), "a letter that the font lacks is one '?'");
}

Test(sheet, shows_bytes_that_are_not_utf8_as_question_marks)
{
    cr_expect(same_names("a\xff", "a?"));
    cr_expect(same_names("a\xd0", "a?"), "a letter cut by the end of the name");
    cr_expect(same_names("\xf0\x9f\x98", "???"));
    cr_expect(same_names("\xc0\xaf", "??"), "an overlong '/'");
    cr_expect(same_names("a\nb", "a?b"));
}

Test(sheet, leaves_out_the_middle_of_a_long_name)
{
    static const char one[] = "catalogue/2026/11/23/seller-1000/card-1234567890-front.jpg";
    static const char two[] = "catalogue/2026/11/23/seller-2000/card-1234567890-front.jpg";
    static const char end[] = "catalogue/2026/11/23/seller-1000/card-1234567890-front.png";
    cr_expect(same_names(one, two));
    cr_expect(!same_names(one, end));
}

Test(sheet, leaves_out_a_reason_that_is_nan)
{
    struct bgd_result some = clean, none = clean;
    some.reasons[BGD_CROPPED] = NAN;
    for (int i = 0; i < BGD_REASONS; i++)
        none.reasons[i] = NAN;
    struct bgd_image image = plain_image(3, 4, 0, 0, 0);
    struct picture all = picture_of("a", &image, &clean, NULL), four = picture_of("a", &image, &some, NULL);
    struct picture zero = picture_of("a", &image, &none, NULL);
    uint32_t pixels = find_colour(all, 0xec, 0xef, 0xf2).pixels; /* of the bars' tracks */
    cr_expect_gt(pixels, 0);
    cr_expect_lt(find_colour(four, 0xec, 0xef, 0xf2).pixels, pixels);
    cr_expect_eq(find_colour(zero, 0xec, 0xef, 0xf2).pixels, 0);
    free(all.rgb);
    free(four.rgb);
    free(zero.rgb);
    free(image.rgb);
}

Test(sheet, emphasises_a_reason_that_holds)
{
    struct bgd_result not = clean, holding = clean;
    not .reasons[BGD_TEXT] = holding.reasons[BGD_TEXT] = 0.4f;
    holding.holds[BGD_TEXT] = true;
    struct picture weak = picture_of("a", NULL, &not, NULL), strong = picture_of("a", NULL, &holding, NULL);
    cr_expect_eq(find_colour(weak, 0xc9, 0x2a, 0x37).pixels, 0);
    cr_expect_gt(find_colour(strong, 0xc9, 0x2a, 0x37).pixels, 100);
    free(weak.rgb);
    free(strong.rgb);
}

/* The colours are white, and blue for text, as in sheet.c. */
Test(sheet, outlines_evidence_around_what_it_shows)
{
    struct bgd_image image = plain_image(SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT, 0, 0, 0);
    struct picture without = picture_of("a", &image, &clean, NULL);
    struct box thumb = find_colour(without, 0, 0, 0);
    struct bgd_result result = clean;
    result.n_regions = 1;
    result.regions[0] = (struct bgd_region){.reason = BGD_TEXT, .left = 0.5f, .top = 0.25f, .right = 0.75f, .bottom = 0.5f};
    struct picture with = picture_of("a", &image, &result, NULL);
    uint32_t left = thumb.left + SHEET_THUMB_WIDTH / 2, top = thumb.top + SHEET_THUMB_HEIGHT / 4;
    uint32_t right = thumb.left + SHEET_THUMB_WIDTH * 3 / 4, bottom = thumb.top + SHEET_THUMB_HEIGHT / 2;
    for (uint32_t y = thumb.top; y < thumb.bottom; y++)
        for (uint32_t x = thumb.left; x < thumb.right; x++) {
            const uint8_t *p = with.rgb + ((size_t)y * with.width + x) * 3;
            uint32_t dx = x < left ? left - x : x >= right ? x - right + 1 : 0;
            uint32_t dy = y < top ? top - y : y >= bottom ? y - bottom + 1 : 0;
            uint32_t distance = dx > dy ? dx : dy;
            bool line = distance == 2 || distance == 3, rim = distance == 1 || distance == 4;
            const uint8_t *expected = line  ? (uint8_t[]){0x1f, 0x5f, 0xd0}
                                      : rim ? (uint8_t[]){255, 255, 255}
                                            : (uint8_t[]){0, 0, 0};
            cr_assert(memcmp(p, expected, 3) == 0, "%u, %u: %u %u %u at a distance of %u", x, y, p[0], p[1], p[2], distance);
        }
    free(without.rgb);
    free(with.rgb);
    free(image.rgb);
}

Test(sheet, an_outline_ends_with_its_card)
{
    static const uint32_t sizes[][2] = {{SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT}, {1, 400}, {5000, 3}};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        struct bgd_image image = plain_image(sizes[k][0], sizes[k][1], 0, 0, 0);
        struct bgd_result result = clean;
        result.n_regions = BGD_REASONS;
        for (int i = 0; i < BGD_REASONS; i++)
            result.regions[i] = (struct bgd_region){.reason = (enum bgd_reason)i, .right = 1, .bottom = 1};
        struct picture without = picture_of("a", &image, &clean, NULL), with = picture_of("a", &image, &result, NULL);
        struct box thumb = find_colour(without, 0, 0, 0);
        cr_expect_lt(find_colour(with, 0, 0, 0).pixels, thumb.pixels);
        for (uint32_t y = 0; y < thumb.bottom; y++) /* below it stand the bars */
            for (uint32_t x = 0; x < with.width; x++) {
                size_t at = ((size_t)y * with.width + x) * 3;
                bool inside = x >= thumb.left && x < thumb.right && y >= thumb.top;
                cr_assert(inside || memcmp(without.rgb + at, with.rgb + at, 3) == 0, "%ux%u: %u, %u", sizes[k][0], sizes[k][1],
                          x, y);
            }
        free(without.rgb);
        free(with.rgb);
        free(image.rgb);
    }
}

Test(sheet, a_reason_has_the_colour_of_its_evidence)
{
    struct bgd_result result = clean;
    result.reasons[BGD_TEXT] = 0.8f;
    result.holds[BGD_TEXT] = true;
    result.n_regions = 1;
    result.regions[0] = (struct bgd_region){.reason = BGD_TEXT, .right = 1, .bottom = 1};
    struct picture picture = picture_of("a", NULL, &result, NULL);
    cr_expect_eq(find_colour(picture, 0xc9, 0x2a, 0x37).pixels, 0);
    cr_expect_gt(find_colour(picture, 0x1f, 0x5f, 0xd0).pixels, 100);
    free(picture.rgb);
}

Test(sheet, draws_any_number_of_cards_and_any_score)
{
    static const float scores[] = {-INFINITY, -1, 0, 1, 2, INFINITY, NAN};
    struct bgd_image image = plain_image(3, 4, 255, 0, 255);
    for (uint32_t n = 1; n <= 13; n++) {
        struct sheet *sheet = open_sheet();
        for (uint32_t i = 0; i < n; i++) {
            struct bgd_result result = {.score = scores[i % 7], .reasons = {scores[i % 7], scores[(i + 1) % 7]}};
            add(sheet, "a", &image, &result, NULL);
        }
        struct picture picture = finish(sheet);
        cr_expect_eq(find_colour(picture, 255, 0, 255).pixels, n * SHEET_THUMB_WIDTH * SHEET_THUMB_HEIGHT,
                     "a card of %u is missing or cut off", n);
        free(picture.rgb);
    }
    free(image.rgb);
}

Test(sheet, names_the_file_that_cannot_be_written)
{
    struct sheet *sheet = open_sheet();
    add(sheet, "a", NULL, &clean, NULL);
    struct bgd_err err = {0};
    cr_expect_eq(sheet_write(sheet, "no/such/folder/sheet.png", &err), BGD_WRITE);
    cr_expect_eq(err.code, BGD_WRITE);
    cr_expect(strstr(err.text, "no/such/folder/sheet.png"), "%s", err.text);
    sheet_close(sheet);
}

Test(sheet, refuses_one_card_too_many)
{
    struct sheet *sheet = open_sheet();
    for (uint32_t i = 0; i < SHEET_CARDS_MAX; i++)
        add(sheet, "a", NULL, &clean, NULL);
    struct bgd_err err = {0};
    cr_expect_eq(sheet_add(sheet, &(struct sheet_card){.name = "card-401.jpg", .result = &clean}, &err), BGD_LIMIT);
    cr_expect(strstr(err.text, "card-401.jpg") && strstr(err.text, "400"), "%s", err.text);
    sheet_close(sheet);
}

Test(sheet, refuses_to_write_no_cards)
{
    struct sheet *sheet = open_sheet();
    struct bgd_err err = {0};
    cr_expect_eq(sheet_write(sheet, "sheet.png", &err), BGD_ARGUMENT);
    cr_expect_neq(access("sheet.png", F_OK), 0);
    sheet_close(sheet);
    sheet_close(NULL);
}

/* ---------------------------------------------------------------- cut-outs */

static struct sheet_card cut_card(const struct bgd_image *image, const struct bgd_image *mask, const struct bgd_image *judged)
{
    return (struct sheet_card){.name = "a", .image = image, .mask = mask, .judged = judged, .result = &clean};
}

/* Magenta, yellow and cyan thumbnails from left to right, each of the card's size, none over another. */
static void check_cut_out(uint32_t width, uint32_t height)
{
    struct bgd_image image = plain_image(width, height, 255, 0, 255), mask = plain_image(32, 32, 255, 255, 0);
    struct bgd_image judged = plain_image(60, 80, 0, 255, 255);
    const struct sheet_card card = cut_card(&image, &mask, &judged);
    struct sheet *sheet = open_sheet();
    struct bgd_err err = {0};
    cr_assert_eq(sheet_add(sheet, &card, &err), 0);
    struct picture picture = finish(sheet);
    struct box boxes[] = {find_colour(picture, 255, 0, 255), find_colour(picture, 255, 255, 0),
                          find_colour(picture, 0, 255, 255)};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(boxes[i].pixels, (boxes[i].right - boxes[i].left) * (boxes[i].bottom - boxes[i].top), "thumbnail %d", i);
        cr_expect_eq(boxes[i].pixels, boxes[0].pixels, "thumbnail %d has not the card's shape", i);
        cr_expect_eq(boxes[i].top, boxes[0].top);
        cr_expect(i == 0 || boxes[i].left >= boxes[i - 1].right + 2, "thumbnail %d touches its neighbour", i);
    }
    cr_expect_gt(picture.width, 3 * SHEET_THUMB_WIDTH);
    free(picture.rgb);
    free(image.rgb);
    free(mask.rgb);
    free(judged.rgb);
}

Test(sheet, shows_mask_and_what_was_judged_beside_the_card)
{
    check_cut_out(900, 1200);
    check_cut_out(1600, 200);
    check_cut_out(3, 400);
}

/* A card in error has no mask: its panel is as wide as the others, and they keep theirs. */
Test(sheet, draws_an_error_among_cut_outs)
{
    struct bgd_image image = plain_image(3, 4, 255, 0, 255), mask = plain_image(3, 4, 255, 255, 0);
    struct bgd_image judged = plain_image(3, 4, 0, 255, 255);
    const struct sheet_card card = cut_card(&image, &mask, &judged), bad = {.name = "bad", .error = "damaged: cut short"};
    for (uint32_t at = 0; at < 5; at++) {
        struct sheet *sheet = open_sheet();
        struct bgd_err err = {0};
        for (uint32_t i = 0; i < 5; i++)
            cr_assert_eq(sheet_add(sheet, i == at ? &bad : &card, &err), 0);
        struct picture picture = finish(sheet);
        cr_expect_eq(find_colour(picture, 255, 0, 255).pixels, 4 * SHEET_THUMB_WIDTH * SHEET_THUMB_HEIGHT, "bad card at %u",
                     at);
        cr_expect_eq(find_colour(picture, 255, 255, 0).pixels, 4 * SHEET_THUMB_WIDTH * SHEET_THUMB_HEIGHT);
        cr_expect_eq(find_colour(picture, 0, 255, 255).pixels, 4 * SHEET_THUMB_WIDTH * SHEET_THUMB_HEIGHT);
        cr_expect_gt(find_colour(picture, 0x77, 0x80, 0x8d).pixels, 4000);
        free(picture.rgb);
    }
    free(image.rgb);
    free(mask.rgb);
    free(judged.rgb);
}

/* The sheet of `bgdet score` is what it was. */
Test(sheet, is_no_wider_without_masks)
{
    struct bgd_image image = plain_image(3, 4, 255, 0, 255), mask = plain_image(3, 4, 255, 255, 0);
    struct sheet *narrow = open_sheet(), *wide = open_sheet();
    const struct sheet_card card = cut_card(&image, &mask, &mask);
    struct bgd_err err = {0};
    for (int i = 0; i < 2; i++) {
        add(narrow, "a", &image, &clean, NULL);
        cr_assert_eq(sheet_add(wide, &card, &err), 0);
    }
    struct picture a = finish(narrow), b = finish(wide);
    cr_expect_eq(b.height, a.height);
    cr_expect_gt(b.width, 2 * a.width);
    cr_expect_eq(find_colour(b, 255, 255, 0).pixels, 4 * SHEET_THUMB_WIDTH * SHEET_THUMB_HEIGHT);
    free(a.rgb);
    free(b.rgb);
    free(image.rgb);
    free(mask.rgb);
}
