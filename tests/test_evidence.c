/* Where on a card its defects are, judged on cards that are drawn; connected components against SciPy's. */
#include "evidence.h"

#include "random.h"
#include "scratch.h"

#include <math.h>

enum { WIDTH = 48, HEIGHT = 64, PIXELS = WIDTH * HEIGHT, COLUMNS = 2, ROWS = 3 };

struct drawing {
    uint8_t rgb[PIXELS * 3];
    float mask[PIXELS];
    float activation[BGD_REASONS][COLUMNS * ROWS];
    struct evidence_card card;
    struct bgd_result result;
};

/* A white card without an object, no activation, nothing to look for. */
static struct drawing *draw(void)
{
    struct drawing *d = calloc(1, sizeof *d);
    memset(d->rgb, 255, sizeof d->rgb);
    d->card = (struct evidence_card){
        .rgb = d->rgb, .mask = d->mask, .width = WIDTH, .height = HEIGHT, .columns = COLUMNS, .rows = ROWS};
    return d;
}

/* A grey rectangle; right and bottom are one past the last pixel. */
static void paint(struct drawing *d, uint32_t left, uint32_t top, uint32_t right, uint32_t bottom, uint8_t grey)
{
    for (uint32_t y = top; y < bottom; y++)
        memset(d->rgb + (y * WIDTH + left) * 3, grey, (right - left) * 3);
}

static void place_object(struct drawing *d, uint32_t left, uint32_t top, uint32_t right, uint32_t bottom)
{
    paint(d, left, top, right, bottom, 90);
    for (uint32_t y = top; y < bottom; y++)
        for (uint32_t x = left; x < right; x++)
            d->mask[y * WIDTH + x] = 0.9f;
}

/* The reason is seen in one cell: `there` in logits, -1 elsewhere. */
static void activate(struct drawing *d, enum bgd_reason reason, uint32_t column, uint32_t row, float there)
{
    for (int i = 0; i < COLUMNS * ROWS; i++)
        d->activation[reason][i] = -1;
    d->activation[reason][row * COLUMNS + column] = there;
    d->card.activation[reason] = d->activation[reason];
}

static void find_with(struct drawing *d, struct evidence_scratch *scratch)
{
    struct bgd_err err = {0};
    cr_assert_eq(evidence_find(&d->card, scratch, &d->result, &err), 0, "%s", err.text);
    for (uint32_t i = 0; i < d->result.n_regions; i++) {
        const struct bgd_region *r = &d->result.regions[i];
        cr_expect(r->left >= 0 && r->top >= 0 && r->left < r->right && r->top < r->bottom && r->right <= 1 && r->bottom <= 1);
        cr_expect(r->share > 0 && r->share <= (r->right - r->left) * (r->bottom - r->top) * 1.00001f, "share %g",
                  (double)r->share);
        cr_expect(d->card.wanted[r->reason], "%s was not looked for", bgd_reason_name(r->reason));
        cr_expect(r->side == BGD_NO_SIDE || r->reason == BGD_CROPPED);
    }
}

static void find(struct drawing *d, enum bgd_reason reason)
{
    struct evidence_scratch scratch = {0};
    d->card.wanted[reason] = true;
    find_with(d, &scratch);
    evidence_scratch_free(&scratch);
}

/* Region i is that rectangle, to a pixel. */
static void expect_box(const struct drawing *d, uint32_t i, uint32_t left, uint32_t top, uint32_t right, uint32_t bottom)
{
    cr_assert_lt(i, d->result.n_regions, "%u regions, no number %u", d->result.n_regions, i);
    const struct bgd_region *r = &d->result.regions[i];
    double box[] = {r->left * WIDTH, r->top * HEIGHT, r->right * WIDTH, r->bottom * HEIGHT};
    cr_expect(fabs(box[0] - left) <= 1 && fabs(box[1] - top) <= 1 && fabs(box[2] - right) <= 1 && fabs(box[3] - bottom) <= 1,
              "region %u is %g %g %g %g, expected %u %u %u %u", i, box[0], box[1], box[2], box[3], left, top, right, bottom);
}

/* ---------------------------------------------------------------- not white */

Test(evidence, a_white_background_has_no_region_that_is_not_white)
{
    struct drawing *d = draw();
    place_object(d, 16, 20, 32, 50); /* dark, but no background */
    find(d, BGD_NOT_WHITE);
    cr_expect_eq(d->result.n_regions, 0);
    free(d);
}

Test(evidence, an_off_white_of_243_passes_and_a_grey_of_229_does_not)
{
    struct drawing *d = draw();
    paint(d, 0, 0, WIDTH, 20, 243);
    find(d, BGD_NOT_WHITE);
    cr_expect_eq(d->result.n_regions, 0);
    paint(d, 0, 0, WIDTH, 20, 229);
    find(d, BGD_NOT_WHITE);
    expect_box(d, 0, 0, 0, WIDTH, 20);
    cr_expect_float_eq(d->result.regions[0].share, 20.0f / HEIGHT, 1e-6f);
    free(d);
}

Test(evidence, parts_that_are_not_white_come_by_size_and_dust_does_not)
{
    struct drawing *d = draw();
    paint(d, 2, 2, 8, 8, 200);
    paint(d, 20, 30, 45, 60, 200);
    paint(d, 40, 3, 42, 5, 0); /* 4 pixels of 3072 */
    find(d, BGD_NOT_WHITE);
    cr_expect_eq(d->result.n_regions, 2);
    expect_box(d, 0, 20, 30, 45, 60);
    expect_box(d, 1, 2, 2, 8, 8);
    free(d);
}

Test(evidence, the_rim_of_an_object_is_no_background)
{
    struct drawing *d = draw();
    place_object(d, 16, 20, 32, 50);
    paint(d, 15, 19, 33, 51, 160); /* a pixel more than the mask says */
    find(d, BGD_NOT_WHITE);
    cr_expect_eq(d->result.n_regions, 0);
    free(d);
}

/* ---------------------------------------------------------------- text and extra objects */

Test(evidence, a_thing_beside_the_object_is_found_to_a_pixel)
{
    struct drawing *d = draw();
    place_object(d, 24, 20, 40, 50);
    paint(d, 4, 30, 14, 44, 60);
    find(d, BGD_EXTRA_OBJECTS);
    cr_expect_eq(d->result.n_regions, 1);
    expect_box(d, 0, 4, 30, 14, 44);
    cr_expect_float_eq(d->result.regions[0].share, 140.0f / PIXELS, 1e-6f);
    free(d);
}

Test(evidence, a_smaller_thing_in_the_mask_is_an_extra_object)
{
    struct drawing *d = draw();
    place_object(d, 24, 20, 44, 50);
    place_object(d, 4, 30, 14, 44);
    find(d, BGD_EXTRA_OBJECTS);
    cr_expect_eq(d->result.n_regions, 1);
    expect_box(d, 0, 4, 30, 14, 44);
    cr_expect_float_eq(d->result.regions[0].share, 140.0f / PIXELS, 1e-6f);
    free(d);
}

Test(evidence, letters_make_a_line_and_lines_far_apart_do_not)
{
    struct drawing *d = draw();
    for (uint32_t x = 5; x < 40; x += 5) { /* letters of 3x6 with gaps of 2 */
        paint(d, x, 4, x + 3, 10, 0);
        paint(d, x, 40, x + 3, 44, 0);
    }
    find(d, BGD_TEXT);
    cr_expect_eq(d->result.n_regions, 2);
    expect_box(d, 0, 5, 4, 38, 10);
    expect_box(d, 1, 5, 40, 38, 44);
    cr_expect_float_eq(d->result.regions[0].share, 7 * 18.0f / PIXELS, 1e-6f, "the gaps are counted");
    free(d);
}

Test(evidence, what_stands_on_coloured_ground_differs_from_that_ground)
{
    struct drawing *d = draw();
    paint(d, 0, 0, WIDTH, HEIGHT, 150);
    paint(d, 10, 10, 30, 16, 255);
    find(d, BGD_TEXT);
    cr_expect_eq(d->result.n_regions, 1);
    expect_box(d, 0, 10, 10, 30, 16);
    free(d);
}

Test(evidence, text_on_a_two_coloured_ground_differs_from_the_colour_it_stands_on)
{
    struct drawing *d = draw();
    paint(d, 0, HEIGHT / 2, WIDTH, HEIGHT, 210); /* half of the ground differs from the other */
    for (uint32_t x = 10; x < 30; x += 5)
        paint(d, x, 44, x + 2, 50, 150);
    find(d, BGD_TEXT);
    cr_expect_eq(d->result.n_regions, 1);
    expect_box(d, 0, 10, 44, 27, 50);
    cr_expect_float_eq(d->result.regions[0].share, 4 * 12.0f / PIXELS, 1e-6f);
    free(d);
}

Test(evidence, on_a_ground_of_many_colours_a_thing_differs_from_what_is_around_it)
{
    struct drawing *d = draw();
    for (uint32_t y = 0; y < HEIGHT; y++) /* a gradient: most of it is far from any one colour */
        paint(d, 0, y, WIDTH, y + 1, (uint8_t)(40 + y * 3));
    paint(d, 20, 30, 24, 34, 0);
    find(d, BGD_EXTRA_OBJECTS);
    cr_expect_eq(d->result.n_regions, 1);
    expect_box(d, 0, 20, 30, 24, 34);
    free(d);
}

Test(evidence, activation_divides_text_from_extra_objects)
{
    struct drawing *d = draw();
    paint(d, 10, 4, 40, 12, 0);
    paint(d, 4, 46, 18, 60, 60);
    activate(d, BGD_TEXT, 0, 0, 4);
    activate(d, BGD_EXTRA_OBJECTS, 0, 2, 4);
    d->card.wanted[BGD_EXTRA_OBJECTS] = true;
    find(d, BGD_TEXT);
    cr_expect_eq(d->result.n_regions, 2);
    cr_expect(d->result.regions[0].reason == BGD_TEXT && d->result.regions[1].reason == BGD_EXTRA_OBJECTS);
    expect_box(d, 0, 10, 4, 40, 12);
    expect_box(d, 1, 4, 46, 18, 60);
    free(d);
}

Test(evidence, a_reason_that_is_seen_less_everywhere_still_has_its_parts)
{
    struct drawing *d = draw();
    paint(d, 4, 46, 18, 60, 60);
    activate(d, BGD_TEXT, 0, 2, 4);
    activate(d, BGD_EXTRA_OBJECTS, 0, 2, 2);
    d->card.wanted[BGD_TEXT] = true;
    find(d, BGD_EXTRA_OBJECTS);
    cr_expect_eq(d->result.n_regions, 2);
    expect_box(d, 0, 4, 46, 18, 60);
    expect_box(d, 1, 4, 46, 18, 60);
    free(d);
}

Test(evidence, parts_in_which_the_reason_is_seen_stay_and_without_one_the_best_alone)
{
    static const struct {
        float upper, lower; /* activation where the two parts are */
        uint32_t n;
    } cases[] = {{0.25f, 4, 2}, {-0.25f, 4, 1}, {-2, -0.25f, 1}};
    for (size_t i = 0; i < 3; i++) {
        struct drawing *d = draw();
        paint(d, 5, 4, 19, 14, 60);
        paint(d, 30, 50, 44, 60, 60);
        activate(d, BGD_EXTRA_OBJECTS, 1, 2, cases[i].lower);
        d->activation[BGD_EXTRA_OBJECTS][0] = cases[i].upper;
        find(d, BGD_EXTRA_OBJECTS);
        cr_expect_eq(d->result.n_regions, cases[i].n, "case %zu", i);
        expect_box(d, cases[i].n - 1, 30, 50, 44, 60);
        free(d);
    }
}

Test(evidence, a_coloured_frame_round_the_card_hides_no_thing_within)
{
    struct drawing *d = draw();
    paint(d, 0, 0, WIDTH, HEIGHT, 120);
    paint(d, 4, 4, WIDTH - 4, HEIGHT - 4, 255);
    paint(d, 16, 40, 26, 50, 60);
    find(d, BGD_EXTRA_OBJECTS);
    cr_expect_eq(d->result.n_regions, 2);
    expect_box(d, 0, 0, 0, WIDTH, HEIGHT); /* the frame */
    expect_box(d, 1, 16, 40, 26, 50);
    free(d);
}

Test(evidence, a_large_ground_is_not_white_whatever_else_is_seen_there)
{
    struct drawing *d = draw();
    paint(d, 0, 0, WIDTH, 40, 200);
    paint(d, 4, 50, 14, 56, 200);
    activate(d, BGD_NOT_WHITE, 0, 2, 1);
    activate(d, BGD_EXTRA_OBJECTS, 0, 0, 4);
    d->card.wanted[BGD_EXTRA_OBJECTS] = true;
    find(d, BGD_NOT_WHITE);
    expect_box(d, 0, 0, 0, WIDTH, 40);
    cr_expect_eq(d->result.regions[0].reason, BGD_NOT_WHITE);
    free(d);
}

Test(evidence, letters_are_text_and_not_ground_that_is_not_white)
{
    struct drawing *d = draw();
    paint(d, 10, 4, 40, 12, 0);
    paint(d, 4, 40, 30, 60, 200);
    activate(d, BGD_TEXT, 0, 0, 4);
    activate(d, BGD_NOT_WHITE, 0, 2, 4);
    d->card.wanted[BGD_TEXT] = true;
    find(d, BGD_NOT_WHITE);
    cr_expect_eq(d->result.n_regions, 2);
    cr_expect(d->result.regions[0].reason == BGD_TEXT && d->result.regions[1].reason == BGD_NOT_WHITE);
    expect_box(d, 1, 4, 40, 30, 60);
    free(d);
}

/* ---------------------------------------------------------------- the object */

Test(evidence, a_cropped_object_names_its_side)
{
    static const struct {
        enum bgd_side side;
        uint32_t object[4], strip[4];
    } cases[] = {
        {BGD_LEFT, {0, 20, 20, 50}, {0, 20, 3, 50}},
        {BGD_TOP, {10, 0, 30, 40}, {10, 0, 30, 4}},
        {BGD_RIGHT, {20, 20, 48, 50}, {45, 20, 48, 50}},
        {BGD_BOTTOM, {10, 20, 30, 64}, {10, 60, 30, 64}},
    };
    for (size_t i = 0; i < 4; i++) {
        const uint32_t *o = cases[i].object, *s = cases[i].strip;
        struct drawing *d = draw();
        place_object(d, o[0], o[1], o[2], o[3]);
        find(d, BGD_CROPPED);
        cr_expect_eq(d->result.n_regions, 1);
        cr_expect_eq(d->result.regions[0].side, cases[i].side, "%s", bgd_side_name(d->result.regions[0].side));
        expect_box(d, 0, s[0], s[1], s[2], s[3]);
        free(d);
    }
}

Test(evidence, sides_that_an_object_hardly_touches_are_not_where_it_is_cropped)
{
    struct drawing *d = draw();
    place_object(d, 8, 40, 40, HEIGHT);
    place_object(d, 0, 50, 8, 56); /* 6 pixels of the left side, beside 32 of the lower one */
    find(d, BGD_CROPPED);
    cr_expect_eq(d->result.n_regions, 1);
    cr_expect_eq(d->result.regions[0].side, BGD_BOTTOM);
    free(d);
}

Test(evidence, an_object_within_the_frame_is_not_cropped)
{
    struct drawing *d = draw();
    place_object(d, 1, 1, WIDTH - 1, HEIGHT - 1);
    place_object(d, 20, 0, 21, 2); /* a pixel of the side: 2 % */
    find(d, BGD_CROPPED);
    cr_expect_eq(d->result.n_regions, 0);
    free(d);
}

Test(evidence, copies_are_a_region_each)
{
    struct drawing *d = draw();
    place_object(d, 4, 20, 20, 50);
    place_object(d, 28, 24, 44, 50);
    place_object(d, 2, 2, 5, 5); /* too small for a copy */
    find(d, BGD_DUPLICATES);
    cr_expect_eq(d->result.n_regions, 2);
    expect_box(d, 0, 4, 20, 20, 50);
    expect_box(d, 1, 28, 24, 44, 50);
    free(d);
}

Test(evidence, touching_copies_fall_apart)
{
    struct drawing *d = draw();
    place_object(d, 4, 20, 22, 50);
    place_object(d, 26, 20, 44, 50);
    place_object(d, 22, 34, 26, 38); /* a bridge of 4 pixels: gone at a radius of 2 */
    find(d, BGD_DUPLICATES);
    cr_expect_eq(d->result.n_regions, 2);
    expect_box(d, 0, 4, 20, 22, 50);
    expect_box(d, 1, 26, 20, 44, 50);
    free(d);
}

Test(evidence, an_object_that_does_not_fall_apart_is_one_region)
{
    struct drawing *d = draw();
    place_object(d, 4, 20, 44, 50);
    find(d, BGD_DUPLICATES);
    cr_expect_eq(d->result.n_regions, 1);
    expect_box(d, 0, 4, 20, 44, 50);
    free(d);
}

/* ---------------------------------------------------------------- what is not known */

Test(evidence, without_a_mask_all_is_background)
{
    struct drawing *d = draw();
    paint(d, 16, 20, 32, 50, 60);
    d->card.mask = NULL;
    d->card.wanted[BGD_EXTRA_OBJECTS] = d->card.wanted[BGD_CROPPED] = d->card.wanted[BGD_DUPLICATES] = true;
    find(d, BGD_NOT_WHITE);
    cr_expect_eq(d->result.n_regions, 2);
    cr_expect(d->result.regions[0].reason == BGD_NOT_WHITE && d->result.regions[1].reason == BGD_EXTRA_OBJECTS);
    expect_box(d, 0, 16, 20, 32, 50);
    expect_box(d, 1, 16, 20, 32, 50);
    free(d);
}

Test(evidence, where_nothing_is_found_activation_says_where)
{
    for (int reason = 0; reason < BGD_REASONS; reason++) {
        struct drawing *d = draw();
        d->card.mask = NULL;
        activate(d, (enum bgd_reason)reason, 1, 2, reason == BGD_CROPPED ? -0.5f : 3); /* the greatest, if not positive */
        find(d, (enum bgd_reason)reason);
        cr_expect_eq(d->result.n_regions, 1, "%s", bgd_reason_name((enum bgd_reason)reason));
        expect_box(d, 0, WIDTH / 2, HEIGHT * 2 / 3, WIDTH, HEIGHT);
        cr_expect_float_eq(d->result.regions[0].share, 1.0f / (COLUMNS * ROWS), 1e-6f);
        free(d);
    }
}

Test(evidence, numbers_that_are_not_finite_harm_nobody)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        struct drawing *d = draw();
        paint(d, 10, 4, 40, 12, 0);
        for (int k = 0; k < PIXELS; k += 2)
            d->mask[k] = bad[i];
        for (int reason = 0; reason < BGD_REASONS; reason++) {
            for (int k = 0; k < COLUMNS * ROWS; k++)
                d->activation[reason][k] = bad[(i + k) % 3];
            d->card.activation[reason] = d->activation[reason];
            d->card.wanted[reason] = true;
        }
        find(d, BGD_TEXT);
        free(d);
    }
}

Test(evidence, a_card_of_one_pixel_is_a_card)
{
    static const uint8_t rgb[3] = {10, 20, 30};
    static const float mask[1] = {1}, map[1] = {1};
    struct evidence_card card = {.rgb = rgb, .width = 1, .height = 1, .columns = 1, .rows = 1};
    for (int with_mask = 0; with_mask < 2; with_mask++) {
        struct evidence_scratch scratch = {0};
        struct bgd_result result = {0};
        struct bgd_err err;
        card.mask = with_mask ? mask : NULL;
        for (int reason = 0; reason < BGD_REASONS; reason++) {
            card.activation[reason] = map;
            card.wanted[reason] = true;
        }
        cr_expect_eq(evidence_find(&card, &scratch, &result, &err), 0);
        cr_expect_geq(result.n_regions, BGD_REASONS);
        evidence_scratch_free(&scratch);
    }
}

/* ---------------------------------------------------------------- what is kept */

Test(evidence, the_largest_are_kept_where_there_are_more_than_fit)
{
    struct drawing *d = draw();
    uint32_t n = 0;
    for (uint32_t y = 0; y < 6; y++)
        for (uint32_t x = 0; x < 4; x++, n++) /* 24 of 3 rows and, shuffled, of 2 to 5 columns */
            paint(d, 1 + x * 12, 1 + y * 10, 1 + x * 12 + 2 + n * 5 % 24 / 6, 1 + y * 10 + 3, 0);
    find(d, BGD_TEXT);
    cr_expect_eq(d->result.n_regions, BGD_REGIONS_MAX);
    for (uint32_t i = 0; i < BGD_REGIONS_MAX; i++) {
        uint32_t columns = i < 6 ? 5 : i < 12 ? 4 : 3;
        cr_expect_float_eq(d->result.regions[i].share, (float)(columns * 3) / PIXELS, 1e-7f, "region %u", i);
    }
    free(d);
}

Test(evidence, many_regions_of_one_reason_leave_room_for_the_others)
{
    struct drawing *d = draw();
    for (uint32_t y = 0; y < 6; y++)
        for (uint32_t x = 0; x < 4; x++)
            paint(d, 1 + x * 12, 1 + y * 10, 6 + x * 12, 4 + y * 10, 0);
    place_object(d, 0, 60, WIDTH, HEIGHT);
    for (int reason = 0; reason < BGD_REASONS; reason++)
        d->card.wanted[reason] = true;
    find(d, BGD_TEXT);
    uint32_t n[BGD_REASONS] = {0};
    for (uint32_t i = 0; i < d->result.n_regions; i++)
        n[d->result.regions[i].reason]++;
    cr_expect(n[BGD_TEXT] == 3 && n[BGD_NOT_WHITE] == 3 && n[BGD_EXTRA_OBJECTS] == 3 && n[BGD_CROPPED] == 1 &&
                  n[BGD_DUPLICATES] == 1,
              "%u %u %u %u %u", n[0], n[1], n[2], n[3], n[4]);
    for (uint32_t i = 1; i < d->result.n_regions; i++)
        cr_expect_leq(d->result.regions[i - 1].reason, d->result.regions[i].reason);
    free(d);
}

/* A noisy card of 100x120 before each of ours. */
Test(evidence, nothing_depends_on_what_a_larger_card_has_left)
{
    static uint8_t noise[100 * 120 * 3];
    static float mask[100 * 120];
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)(i * 2654435761u >> 13);
        mask[i / 3] = (float)(i * 40503u >> 5 & 255) / 255;
    }
    struct evidence_card larger = {.rgb = noise, .mask = mask, .width = 100, .height = 120, .wanted = {1, 1, 1, 1, 1}};
    struct drawing *d = draw();
    struct evidence_scratch fresh = {0}, used = {0};
    struct bgd_result result = {0};
    struct bgd_err err;
    place_object(d, 0, 20, 22, 50);
    place_object(d, 26, 20, 44, 50);
    place_object(d, 22, 34, 26, 38);
    paint(d, 10, 4, 40, 12, 0);
    for (int reason = 0; reason < BGD_REASONS; reason++) {
        d->card.wanted[reason] = true;
        activate(d, (enum bgd_reason)reason, (uint32_t)reason % 2, (uint32_t)reason % 3, 2);
    }
    find_with(d, &fresh);
    result = d->result;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(evidence_find(&larger, &used, &d->result, &err), 0);
        const void *kept = used.ground.marks;
        find_with(d, &used);
        cr_expect_eq(used.ground.marks, kept, "memory is asked for again");
        cr_expect_eq(d->result.n_regions, result.n_regions);
        cr_expect(memcmp(d->result.regions, result.regions, result.n_regions * sizeof *result.regions) == 0);
    }
    evidence_scratch_free(&fresh);
    evidence_scratch_free(&used);
    free(d);
}

/* ---------------------------------------------------------------- components */

Test(components, are_those_of_scipy)
{
    FILE *file = fopen(BGDET_SOURCE_DIR "/tests/fixtures/components.txt", "r");
    uint32_t width, height, n, box[5];
    cr_assert(file && fscanf(file, "%u %u %u", &width, &height, &n) == 3);
    uint8_t *marks = malloc((size_t)width * height);
    for (uint32_t i = 0; i < width * height; i++) {
        char c;
        cr_assert_eq(fscanf(file, " %c", &c), 1);
        marks[i] = c == '#';
    }
    struct components components = {0};
    struct bgd_err err;
    cr_assert_eq(components_find(&components, marks, width, height, 1, &err), 0);
    cr_assert_eq(components.n, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct component *c = &components.items[i];
        struct box b = c->box;
        for (int k = 0; k < 5; k++)
            cr_assert_eq(fscanf(file, "%u", &box[k]), 1);
        cr_expect(b.left == box[0] && b.top == box[1] && b.right == box[2] && b.bottom == box[3] && c->n == box[4],
                  "component %u", i);
        for (uint32_t k = 0; k < c->n; k++) {
            uint32_t x = components.pixels[c->first + k] % width, y = components.pixels[c->first + k] / width;
            cr_expect(x >= b.left && x < b.right && y >= b.top && y < b.bottom);
        }
    }
    for (uint32_t i = 0; i < width * height; i++)
        cr_assert_eq(marks[i], 0, "pixel %u is still marked", i);
    components_free(&components);
    free(marks);
    fclose(file);
}

Test(components, reach_across_gaps_and_no_further)
{
    struct components components = {0};
    struct bgd_err err;
    for (uint32_t reach = 1; reach <= 5; reach++) {
        uint8_t marks[2 * 7] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}; /* 4 columns apart */
        cr_assert_eq(components_find(&components, marks, 7, 2, reach, &err), 0);
        cr_expect_eq(components.n, reach < 4 ? 2 : 1, "reach %u", reach);
    }
    components_free(&components);
}

/* The definition, spelt out: the smaller of two labels, over and over, of any two marked pixels that are near each other. */
static void label_marks(const uint8_t *marks, uint32_t width, uint32_t height, uint32_t reach, uint32_t *labels)
{
    bool changed = true;
    for (uint32_t i = 0; i < width * height; i++)
        labels[i] = i;
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < width * height; i++)
            for (uint32_t k = 0; k < width * height; k++) {
                uint32_t dx = i % width > k % width ? i % width - k % width : k % width - i % width;
                uint32_t dy = i / width > k / width ? i / width - k / width : k / width - i / width;
                if (marks[i] && marks[k] && dx <= reach && dy <= reach && labels[k] < labels[i]) {
                    labels[i] = labels[k];
                    changed = true;
                }
            }
    }
}

Test(components, are_what_hangs_together_in_planes_of_any_width)
{
    static const uint32_t widths[] = {1, 63, 64, 65, 130};
    enum { TALL = 6, MOST = 130 * TALL };
    struct components components = {0};
    struct bgd_err err;
    for (uint32_t i = 0; i < 5; i++)
        for (uint32_t reach = 1; reach <= 5; reach += 2) {
            uint8_t marks[MOST];
            uint32_t labels[MOST], width = widths[i], n = 0;
            for (uint32_t at = 0; at < width * TALL; at++)
                n += marks[at] = random_bits(reach, at) % (3 * reach * reach) == 0;
            label_marks(marks, width, TALL, reach, labels);
            cr_assert_eq(components_find(&components, marks, width, TALL, reach, &err), 0);
            for (uint32_t k = 0; k < components.n; k++) {
                const struct component *c = &components.items[k];
                n -= c->n;
                for (uint32_t j = 0; j < c->n; j++)
                    cr_assert_eq(labels[components.pixels[c->first + j]], labels[components.pixels[c->first]]);
                cr_expect(k == 0 || components.pixels[c->first] > components.pixels[c[-1].first], "not row by row");
                for (uint32_t j = 0; j < k; j++)
                    cr_assert_neq(labels[components.pixels[c->first]], labels[components.pixels[components.items[j].first]]);
            }
            cr_expect_eq(n, 0, "pixels are left out, or twice there");
        }
    components_free(&components);
}

Test(components, erosion_leaves_what_is_marked_all_around_in_the_frame)
{
    static const uint8_t marks[5 * 6] = {1, 1, 1, 1, 1, 1, /**/ 1, 1, 1, 1,      1, 1, /**/ 1, 1, 1,
                                         0, 1, 1, 1, 1, 1, 1,      1, 1, /**/ 1, 1, 1, 1,      1, 1};
    static const uint8_t left[5 * 6] = {1, 1, 1, 1, 1, 1, /**/ 1, 1, 0, 0,      0, 1, /**/ 1, 1, 0,
                                        0, 0, 1, 1, 1, 0, 0,      0, 1, /**/ 1, 1, 1, 1,      1, 1};
    uint8_t out[5 * 6];
    components_erode(marks, out, 6, 5);
    cr_expect_arr_eq(out, left, sizeof left);
    const uint8_t row[4] = {1, 1, 0, 1};
    components_erode(row, out, 4, 1);
    cr_expect_arr_eq(out, ((uint8_t[]){1, 0, 0, 0}), 4);
    components_erode(row, out, 1, 4);
    cr_expect_arr_eq(out, ((uint8_t[]){1, 0, 0, 0}), 4);
}
