/* Two runs compared: the numbers, and the page that shows them. */
#include "diff/comparison.h"
#include "diff/report.h"

#include "pages.h"
#include "random.h"
#include "scratch.h"

#include <math.h>
#include <stdarg.h>

/* ---------------------------------------------------------------- rows */

/* What a row says; zeros are a clean card of score 0 whose picture is the first of all. */
struct card {
    const char *id;
    enum bgd_verdict verdict;
    uint32_t score;    /* in millionths */
    float reasons[2];  /* of text and not_white */
    int picture, code; /* a number for the content; an error */
    const char *group; /* NULL: none */
};

static void put_card(FILE *file, const struct card *card)
{
    fprintf(file, "{\"id\":\"%s\",\"status\":\"%s\",", card->id, card->code ? "error" : "ok");
    if (!card->code)
        fprintf(file, "\"verdict\":\"%s\",\"score\":%.6f,\"reasons\":{\"text\":%.6f,\"not_white\":%.6f},",
                bgd_verdict_name(card->verdict), card->score / 1e6, (double)card->reasons[0], (double)card->reasons[1]);
    fprintf(file, "\"hash\":\"%032x\",\"model\":\"%032x\"", card->picture, 7);
    if (card->code)
        fprintf(file, ",\"error\":{\"code\":\"%s\",\"detail\":\"\"}", bgd_code_name(card->code));
    if (card->group)
        fprintf(file, ",\"carried\":{\"group\":\"%s\"}", card->group);
    fputs("}\n", file);
}

static void write_cards(const char *name, const struct card *cards, size_t n)
{
    FILE *file = fopen(name, "w");
    for (size_t i = 0; i < n; i++)
        put_card(file, &cards[i]);
    fclose(file);
}

static struct comparison *compare_files(size_t moves)
{
    const struct comparison_options options = {.paths = {"a", "b"}, .group = "group", .moves = moves};
    struct comparison *comparison;
    struct bgd_err err = {0};
    cr_assert_eq(comparison_open(&options, &comparison, &err), 0, "%s", err.text);
    return comparison;
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define COMPARE(a, b) compare_cards(a, COUNT(a), b, COUNT(b))

static struct comparison *compare_cards(const struct card *a, size_t n_a, const struct card *b, size_t n_b)
{
    char *folder = scratch_enter();
    write_cards("a", a, n_a);
    write_cards("b", b, n_b);
    struct comparison *comparison = compare_files(48);
    scratch_leave(folder);
    return comparison;
}

/* ---------------------------------------------------------------- who is compared */

Test(diff, counts_cards_in_both_and_in_one_alone)
{
    const struct card a[] = {{.id = "1"}, {.id = "2"}, {.id = "3", .verdict = BGD_DEFECTIVE}, {.id = "only a"}};
    const struct card b[] = {{.id = "only b"}, {.id = "3", .verdict = BGD_REVIEW}, {.id = "another"}, {.id = "1"}, {.id = "2"}};
    struct comparison *c = COMPARE(a, b);
    cr_expect_eq(c->sides[0].rows, 4);
    cr_expect_eq(c->sides[1].rows, 5);
    cr_expect_eq(c->both, 3);
    cr_expect_eq(c->judged, 3);
    cr_expect_eq(c->sides[0].only, 1);
    cr_expect_eq(c->sides[1].only, 2);
    cr_expect_eq(c->outcomes[BGD_CLEAN][BGD_CLEAN], 2);
    cr_expect_eq(c->outcomes[BGD_DEFECTIVE][BGD_REVIEW], 1);
    cr_expect_eq(c->sides[0].n_models, 1);
    cr_expect_eq(c->sides[0].models[0].rows, 4);
    comparison_close(c);
}

Test(diff, of_ids_that_stand_more_than_once_takes_the_first_and_says_so)
{
    const struct card a[] = {
        {.id = "x", .score = 100000}, {.id = "y"}, {.id = "x", .score = 900000, .verdict = BGD_DEFECTIVE}, {.id = "x"}};
    const struct card b[] = {{.id = "y"}, {.id = "x", .score = 100000}, {.id = "z"}, {.id = "z", .code = BGD_DAMAGED}};
    struct comparison *c = COMPARE(a, b);
    cr_expect_eq(c->sides[0].rows, 4);
    cr_expect_eq(c->sides[0].repeats, 2);
    cr_expect_str_eq(c->sides[0].repeated, "x");
    cr_expect_eq(c->sides[1].repeats, 1);
    cr_expect_str_eq(c->sides[1].repeated, "z");
    cr_expect_eq(c->both, 2);
    cr_expect_eq(comparison_flips(c), 0);
    cr_expect_eq(c->sides[0].judged, 2);
    cr_expect_eq(c->sides[1].only, 1);
    cr_expect_eq(c->sides[1].errors[-BGD_DAMAGED], 0);
    comparison_close(c);
}

Test(diff, joins_by_all_bytes_of_an_id)
{
    const struct card a[] = {{.id = "a"}, {.id = "a.jpg"}, {.id = "\\udc80"}, {.id = "\xc2\x80"}},
                      b[] = {{.id = "a.jp"}, {.id = "A"}, {.id = "\\udc80"}, {.id = "./a"}};
    struct comparison *c = COMPARE(a, b);
    cr_expect_eq(c->both, 1);
    cr_expect_eq(c->sides[0].only, 3);
    comparison_close(c);
}

Test(diff, an_empty_run_has_nothing_in_common)
{
    const struct card some[] = {{.id = "1", .score = 500000}, {.id = "2"}}, none[1];
    for (size_t i = 0; i < 3; i++) {
        size_t n_a = i == 1 ? 2 : 0, n_b = i == 2 ? 2 : 0;
        struct comparison *c = compare_cards(n_a ? some : none, n_a, n_b ? some : none, n_b);
        cr_expect_eq(c->both, 0);
        cr_expect_eq(c->sides[0].only, n_a);
        cr_expect_eq(c->sides[1].only, n_b);
        cr_expect(isnan(c->psi) && isnan(c->mean_move));
        cr_expect_eq(isnan(c->sides[0].mean), n_a == 0);
        cr_expect_eq(isnan(c->deciles[0]), n_a == 0);
        cr_expect_str_eq(psi_reading(c->psi), "not defined");
        comparison_close(c);
    }
}

/* ---------------------------------------------------------------- what changed */

Test(diff, errors_are_new_or_gone_by_their_code)
{
    const struct card a[] = {{.id = "1"},
                             {.id = "2", .code = BGD_MISSING},
                             {.id = "3", .code = BGD_DAMAGED},
                             {.id = "4", .code = BGD_DAMAGED},
                             {.id = "5", .code = BGD_NETWORK}};
    const struct card b[] = {{.id = "1", .code = BGD_DAMAGED},
                             {.id = "2"},
                             {.id = "3", .code = BGD_LIMIT},
                             {.id = "4", .code = BGD_DAMAGED},
                             {.id = "6", .code = BGD_MISSING}};
    struct comparison *c = COMPARE(a, b);
    uint64_t appeared[ROW_CODES] = {[-BGD_DAMAGED] = 1, [-BGD_LIMIT] = 1};
    uint64_t gone[ROW_CODES] = {[-BGD_MISSING] = 1, [-BGD_DAMAGED] = 1};
    cr_expect_arr_eq(c->appeared, appeared, sizeof appeared);
    cr_expect_arr_eq(c->gone, gone, sizeof gone);
    cr_expect_eq(c->sides[0].errors[-BGD_DAMAGED], 2);
    cr_expect_eq(c->sides[0].errors[-BGD_NETWORK], 1);
    cr_expect_eq(c->outcomes[OUTCOME_ERROR][OUTCOME_ERROR], 2);
    cr_expect_eq(c->outcomes[BGD_CLEAN][OUTCOME_ERROR], 1);
    cr_expect_eq(c->outcomes[OUTCOME_ERROR][BGD_CLEAN], 1);
    cr_expect_eq(c->judged, 0);
    cr_expect_eq(comparison_flips(c), 0);
    comparison_close(c);
}

Test(diff, a_flip_has_a_direction_and_the_reason_that_changed_the_most_in_it)
{
    const struct card a[] = {{.id = "1", BGD_CLEAN, .reasons = {0.2f, 0.5f}}, /* text rose more, not_white fell further still */
                             {.id = "2", BGD_DEFECTIVE, .reasons = {0.5f, 0.9f}}, /* not_white fell */
                             {.id = "3", BGD_CLEAN, .reasons = {0.5f, 0.5f}},     /* both fell, though the card is worse */
                             {.id = "4", BGD_REVIEW, .reasons = {0.1f, 0.1f}},    /* to defective: up, too */
                             {.id = "5", BGD_REVIEW, .reasons = {0.1f, 0.9f}}};   /* stays */
    const struct card b[] = {{.id = "1", BGD_DEFECTIVE, .reasons = {0.4f, 0.0f}},
                             {.id = "2", BGD_REVIEW, .reasons = {1.0f, 0.7f}},
                             {.id = "3", BGD_REVIEW, .reasons = {0.4f, 0.4f}},
                             {.id = "4", BGD_DEFECTIVE, .reasons = {0.2f, 0.3f}},
                             {.id = "5", BGD_REVIEW, .reasons = {0.9f, 0.1f}}};
    struct comparison *c = COMPARE(a, b);
    cr_expect_eq(c->flips[TOWARDS_DEFECTIVE], 3);
    cr_expect_eq(c->flips[TOWARDS_CLEAN], 1);
    cr_expect_eq(comparison_flips(c), 4);
    uint64_t worse[BGD_REASONS + 1] = {[BGD_TEXT] = 1, [BGD_NOT_WHITE] = 1, [REASON_NONE] = 1};
    uint64_t better[BGD_REASONS + 1] = {[BGD_NOT_WHITE] = 1};
    cr_expect_arr_eq(c->reasons[TOWARDS_DEFECTIVE], worse, sizeof worse);
    cr_expect_arr_eq(c->reasons[TOWARDS_CLEAN], better, sizeof better);
    comparison_close(c);
}

Test(diff, a_flip_without_a_reason_of_its_own_has_none_and_of_equal_ones_the_first)
{
    const struct card a[] = {{.id = "1", .reasons = {0.5f, 0.5f}}, {.id = "2", .reasons = {0.25f, 0.5f}}};
    const struct card b[] = {{.id = "1", BGD_DEFECTIVE, .reasons = {0.5f, 0.5f}},
                             {.id = "2", BGD_DEFECTIVE, .reasons = {0.5f, 0.75f}}};
    struct comparison *c = COMPARE(a, b);
    uint64_t worse[BGD_REASONS + 1] = {[BGD_TEXT] = 1, [REASON_NONE] = 1};
    cr_expect_arr_eq(c->reasons[TOWARDS_DEFECTIVE], worse, sizeof worse);
    comparison_close(c);
}

Test(diff, flips_of_another_picture_are_counted_apart)
{
    const struct card a[] = {{.id = "1"}, {.id = "2"}, {.id = "3"}, {.id = "4"}};
    const struct card b[] = {
        {.id = "1", BGD_DEFECTIVE}, {.id = "2", BGD_DEFECTIVE, .picture = 1}, {.id = "3", .picture = 1}, {.id = "4"}};
    struct comparison *c = COMPARE(a, b);
    cr_expect_eq(comparison_flips(c), 2);
    cr_expect_eq(c->flips_of_changed_pictures, 1);
    cr_expect_eq(c->changed_pictures, 2);
    comparison_close(c);
}

static void expect_group(const struct comparison_group *group, const char *name, uint64_t cards, uint64_t worse,
                         uint64_t better)
{
    cr_expect_str_eq(group->name, name);
    cr_expect_eq(group->cards, cards);
    cr_expect_eq(group->flips[TOWARDS_DEFECTIVE], worse);
    cr_expect_eq(group->flips[TOWARDS_CLEAN], better);
}

Test(diff, groups_are_those_of_b_else_of_a_and_the_most_flips_come_first)
{
    const struct card a[] = {{.id = "1", .group = "toys"},
                             {.id = "2", .group = "shoes"},
                             {.id = "3", BGD_DEFECTIVE, .group = "toys"},
                             {.id = "4"},
                             {.id = "5", .group = "gone"},
                             {.id = "6", .group = "bags"},
                             {.id = "7", .group = "bags", .code = BGD_LIMIT}};
    const struct card b[] = {{.id = "1", BGD_REVIEW, .group = "toys"},
                             {.id = "2", .group = "bags"},
                             {.id = "3", .group = "toys"},
                             {.id = "4", BGD_DEFECTIVE},
                             {.id = "6"},
                             {.id = "7", .group = "bags"}};
    struct comparison *c = COMPARE(a, b);
    cr_assert_eq(c->n_groups, 3);
    expect_group(&c->groups[0], "toys", 2, 1, 1);
    expect_group(&c->groups[1], "", 1, 1, 0);
    expect_group(&c->groups[2], "bags", 2, 0, 0);
    comparison_close(c);
}

/* ---------------------------------------------------------------- scores */

static void read_scores(FILE *file, char side, size_t n, const char *name)
{
    char read;
    cr_assert_eq(fscanf(file, " %c", &read), 1);
    cr_assert_eq(read, side);
    FILE *rows = fopen(name, "w");
    for (size_t i = 0; i < n; i++) {
        unsigned score;
        char id[32];
        cr_assert_eq(fscanf(file, "%u", &score), 1);
        snprintf(id, sizeof id, "%c%zu", side, i); /* no card is in both: all that are judged count */
        put_card(rows, &(struct card){id, .score = score});
    }
    fclose(rows);
}

Test(diff, psi_is_what_numpy_makes_of_it)
{
    char *folder = scratch_enter();
    FILE *file = fopen(BGDET_SOURCE_DIR "/tests/fixtures/psi.txt", "r");
    cr_assert(file);
    char name[32];
    size_t n[2], samples = 0;
    for (double psi; fscanf(file, " sample %31s %zu %zu %lf", name, &n[0], &n[1], &psi) == 4; samples++) {
        read_scores(file, 'a', n[0], "a");
        read_scores(file, 'b', n[1], "b");
        struct comparison *c = compare_files(0);
        cr_expect_float_eq(c->psi, psi, 1e-10 * fmax(1, psi), "%s: %.12g, expected %.12g", name, c->psi, psi);
        comparison_close(c);
    }
    fclose(file);
    cr_expect_eq(samples, 10);
    scratch_leave(folder);
}

Test(diff, psi_is_read_by_custom)
{
    cr_expect_str_eq(psi_reading(0.0999), "no shift");
    cr_expect_str_eq(psi_reading(0.1), "a slight shift");
    cr_expect_str_eq(psi_reading(0.25), "a slight shift");
    cr_expect_str_eq(psi_reading(0.2501), "a major shift");
}

Test(diff, means_and_bars_are_of_the_scores)
{
    const struct card a[] = {
        {.id = "1", .score = 0}, {.id = "2", .score = 50000}, {.id = "3", .score = 1000000}, {.id = "4", .code = BGD_LIMIT}};
    const struct card b[] = {
        {.id = "1", .score = 100000}, {.id = "2", .score = 49999}, {.id = "3", .score = 999999}, {.id = "4", .score = 999999}};
    struct comparison *c = COMPARE(a, b);
    cr_expect_float_eq(c->sides[0].mean, 0.35, 1e-12);
    cr_expect_float_eq(c->sides[1].mean, 2.149997 / 4, 1e-12);
    cr_expect_float_eq(c->mean_move, 0.100002 / 3, 1e-12);
    cr_expect_eq(c->sides[0].bars[0], 1);
    cr_expect_eq(c->sides[0].bars[1], 1);
    cr_expect_eq(c->sides[0].bars[COMPARISON_BARS - 1], 1);
    cr_expect_eq(c->sides[1].bars[0], 1);
    cr_expect_eq(c->sides[1].bars[COMPARISON_BARS - 1], 2);
    comparison_close(c);
}

Test(diff, the_largest_moves_come_first_and_equal_ones_by_id)
{
    char *folder = scratch_enter();
    const struct card a[] = {{.id = "e", .score = 300000},
                             {.id = "d", .score = 100000},
                             {.id = "c", .score = 500000},
                             {.id = "b"},
                             {.id = "a"},
                             {.id = "f"}};
    const struct card b[] = {{.id = "a"},
                             {.id = "b", .score = 200000},
                             {.id = "c", BGD_DEFECTIVE, 900000},
                             {.id = "d", .score = 300000},
                             {.id = "e", .score = 100000},
                             {.id = "f", .score = 1}};
    write_cards("a", a, COUNT(a));
    write_cards("b", b, COUNT(b));
    struct comparison *c = compare_files(3), *one = compare_files(1), *all = compare_files(48), *none = compare_files(0);
    cr_assert_eq(c->n_moves, 3);
    cr_expect_str_eq(c->moves[0].id, "c");
    cr_expect_eq(c->moves[0].facts[1].verdict, BGD_DEFECTIVE);
    cr_expect_eq(c->moves[0].facts[0].score, 500000);
    cr_expect_str_eq(c->moves[1].id, "b");
    cr_expect_str_eq(c->moves[2].id, "d");
    cr_assert_eq(one->n_moves, 1);
    cr_expect_str_eq(one->moves[0].id, "c"); /* which pushed b out */
    cr_assert_eq(all->n_moves, 5);
    cr_expect_str_eq(all->moves[3].id, "e");
    cr_expect_str_eq(all->moves[4].id, "f");
    cr_expect_eq(none->n_moves, 0);
    comparison_close(c);
    comparison_close(one);
    comparison_close(all);
    comparison_close(none);
    scratch_leave(folder);
}

/* ---------------------------------------------------------------- order */

/* The page of "a" and "b", to be freed. */
static char *page_of(size_t moves, const struct bgd_image *picture)
{
    struct comparison *c = compare_files(moves);
    struct bgd_image pictures[COMPARISON_MOVES_MAX] = {picture ? *picture : (struct bgd_image){0}};
    struct bgd_err err = {0};
    cr_assert_eq(diff_report_write(&(struct diff_report){c, pictures}, "page.html", &err), 0, "%s", err.text);
    comparison_close(c);
    return scratch_read("page.html", NULL);
}

Test(diff, the_order_of_the_rows_changes_nothing)
{
    enum { CARDS = 3000 };
    static struct card cards[CARDS];
    static char ids[CARDS][32];
    static const char *const groups[] = {"toys", "shoes", NULL};
    char *folder = scratch_enter(), *pages[3];
    for (int order = 0; order < 3; order++) {
        for (int side = 0; side < 2; side++) {
            for (uint64_t i = 0; i < CARDS; i++) {
                uint32_t score = (uint32_t)(random_bits((uint64_t)side, i) % (ROW_MILLION + 1));
                snprintf(ids[i], sizeof ids[i], "card %llu", (unsigned long long)(i + 100 * (uint64_t)side));
                cards[i] = (struct card){ids[i], score > 500000, score, .group = groups[i % 3]};
            }
            for (size_t i = CARDS - 1; i > 0 && order > 0; i--) { /* Fisher and Yates */
                size_t j = random_bits((uint64_t)(2 * order + side), i) % (i + 1);
                struct card other = cards[i];
                cards[i] = cards[j];
                cards[j] = other;
            }
            write_cards(side ? "b" : "a", cards, CARDS);
        }
        pages[order] = page_of(48, NULL);
        cr_expect_str_eq(pages[order], pages[0]);
    }
    cr_expect(strstr(pages[0], "The 2900 cards that both runs have a row for."));
    for (int order = 0; order < 3; order++)
        free(pages[order]);
    scratch_leave(folder);
}

/* ---------------------------------------------------------------- what cannot be compared */

Test(diff, a_damaged_row_ends_it_and_is_named)
{
    char *folder = scratch_enter();
    write_cards("a", (const struct card[]){{.id = "1"}, {.id = "2"}}, 2);
    scratch_text("b", "{\"id\":\"1\",\"status\":\"ok\"");
    struct comparison *comparison;
    struct bgd_err err = {0};
    const struct comparison_options options = {.paths = {"a", "b"}, .group = "group", .moves = 48};
    cr_expect_eq(comparison_open(&options, &comparison, &err), BGD_DAMAGED);
    cr_expect(strstr(err.text, "b:1: "), "%s", err.text);
    cr_expect_null(comparison);
    scratch_leave(folder);
}

Test(diff, more_groups_than_anybody_reads_are_refused)
{
    char *folder = scratch_enter();
    for (int side = 0; side < 2; side++) {
        FILE *file = fopen(side ? "b" : "a", "w");
        for (unsigned i = 0; i <= COMPARISON_GROUPS_MAX; i++) {
            char id[16];
            snprintf(id, sizeof id, "%u", i);
            put_card(file, &(struct card){id, .group = id});
        }
        fclose(file);
    }
    struct comparison *comparison;
    struct bgd_err err = {0};
    const struct comparison_options options = {.paths = {"a", "b"}, .group = "group"};
    cr_expect_eq(comparison_open(&options, &comparison, &err), BGD_LIMIT);
    cr_expect(strstr(err.text, "more than 10000 groups"), "%s", err.text);
    scratch_leave(folder);
}

/* ---------------------------------------------------------------- the page */

Test(diff, the_page_is_well_formed_and_says_what_a_person_asks)
{
    char *folder = scratch_enter();
    write_cards("a",
                (const struct card[]){{.id = "1", .group = "<b>&toys"},
                                      {.id = "<script>", .picture = 1},
                                      {.id = "\\udcff", .code = BGD_MISSING},
                                      {.id = "2", BGD_REVIEW, 400000},
                                      {.id = "2"},
                                      {.id = "only here"}},
                6);
    write_cards("b",
                (const struct card[]){{.id = "1", BGD_DEFECTIVE, 900000},
                                      {.id = "<script>", BGD_DEFECTIVE, 800000, {0.5f, 0}, .picture = 2},
                                      {.id = "\\udcff", .code = BGD_DAMAGED},
                                      {.id = "2", .score = 300000}},
                4);
    uint8_t rgb[12] = {0};
    char *page = page_of(48, &(struct bgd_image){.rgb = rgb, .width = 2, .height = 2});
    assert_well_formed(page);
    static const char *const said[] = {
        "<b>3 have another verdict in B</b>: 2 went towards defective, 1 towards clean.",
        "The picture itself is another one for 1 cards, and 1 of the changed verdicts are among these.",
        "Not compared: 1 cards that are only in A and 0 that are only in B.",
        "&lt;b&gt;&amp;toys",
        "<bdi>&lt;script&gt;</bdi>",
        "The picture itself has changed",
        "picture not found",
        "src=\"data:image/png;base64,",
        "Ids that stand more than once in A count once",
        "<th scope=\"row\">damaged</th><td>0</td><td>1</td><td>1</td><td>0</td>",
        "<th scope=\"row\">text</th><td>1</td><td>0</td>",
    };
    for (size_t i = 0; i < COUNT(said); i++)
        cr_expect(strstr(page, said[i]), "%s", said[i]);
    free(page);
    scratch_leave(folder);
}

Test(diff, the_page_of_nothing_has_dashes)
{
    char *folder = scratch_enter();
    scratch_text("a", "");
    scratch_text("b", "");
    char *page = page_of(48, NULL);
    assert_well_formed(page);
    cr_expect(strstr(page, "<b>–</b><small>not defined"));
    cr_expect_not(strstr(page, "nan"));
    free(page);
    scratch_leave(folder);
}
