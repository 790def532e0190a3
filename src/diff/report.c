#include "report.h"

#include "../err.h"
#include "../eval/chart.h"
#include "../page/html.h"
#include "../page/page.h"

#include <math.h>
#include <string.h>

#define GROUPS_SHOWN 50

typedef unsigned long long count_t; /* what printf takes of a uint64_t */

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static void put_number(FILE *page, double value)
{
    if (isnan(value))
        fputs("–", page);
    else
        fprintf(page, "%.3f", value);
}

/* ---------------------------------------------------------------- what was compared */

static uint64_t errors_of(const uint64_t codes[ROW_CODES])
{
    uint64_t sum = 0;
    for (int i = 0; i < ROW_CODES; i++)
        sum += codes[i];
    return sum;
}

static void put_models(FILE *page, const struct comparison_side *side)
{
    if (side->n_models != 1)
        fprintf(page, "%zu models", side->n_models);
    else
        fprintf(page, "<code>%s</code>", side->models[0].hash);
}

static void put_sides(FILE *page, const struct comparison *c)
{
    fputs("<h2>The two runs</h2>\n<div class=\"wide\"><table>\n<thead><tr><th></th><th scope=\"col\">rows</th>"
          "<th scope=\"col\">repeated ids</th><th scope=\"col\">cards only here</th><th scope=\"col\">judged</th>"
          "<th scope=\"col\">in error</th><th scope=\"col\">mean P(defective)</th><th scope=\"col\">model</th></tr></thead>\n"
          "<tbody>\n",
          page);
    for (int i = 0; i < 2; i++) {
        const struct comparison_side *side = &c->sides[i];
        fprintf(page, "<tr><th scope=\"row\">%c: ", 'A' + i);
        html_name(page, side->path);
        fprintf(page, "</th><td>%llu</td><td>%llu</td><td>%llu</td><td>%llu</td><td>%llu</td><td>", (count_t)side->rows,
                (count_t)side->repeats, (count_t)side->only, (count_t)side->judged, (count_t)errors_of(side->errors));
        put_number(page, side->mean);
        fputs("</td><td>", page);
        put_models(page, side);
        fputs("</td></tr>\n", page);
    }
    fputs("</tbody>\n</table></div>\n", page);
    for (int i = 0; i < 2; i++)
        if (c->sides[i].repeated) {
            fprintf(page, "<p class=\"note\">Ids that stand more than once in %c count once, by their first row; one is ",
                    'A' + i);
            html_name(page, c->sides[i].repeated);
            fputs(".</p>\n", page);
        }
}

static void put_head(FILE *page, const struct comparison *c)
{
    fputs("<h1>What changed between two runs</h1>\n<p>A: ", page);
    html_name(page, c->sides[0].path);
    fputs("<br/>B: ", page);
    html_name(page, c->sides[1].path);
    fprintf(page, "</p>\n<p>Of %llu cards that are judged in both, <b>%llu have another verdict in B</b>", (count_t)c->judged,
            (count_t)comparison_flips(c));
    if (comparison_flips(c) > 0)
        fprintf(page, ": %llu went towards defective, %llu towards clean", (count_t)c->flips[TOWARDS_DEFECTIVE],
                (count_t)c->flips[TOWARDS_CLEAN]);
    fputs(".\n", page);
    if (c->changed_pictures > 0)
        fprintf(page, "The picture itself is another one for %llu cards, and %llu of the changed verdicts are among these.\n",
                (count_t)c->changed_pictures, (count_t)c->flips_of_changed_pictures);
    if (c->sides[0].only + c->sides[1].only > 0)
        fprintf(page, "Not compared: %llu cards that are only in A and %llu that are only in B.\n", (count_t)c->sides[0].only,
                (count_t)c->sides[1].only);
    fputs("</p>\n", page);
}

static void put_headline(FILE *page, const struct comparison *c)
{
    fprintf(page,
            "<div class=\"headline\">\n<div><span>another verdict</span><b>%.2f %%</b><small>%llu of %llu cards</small></div>\n"
            "<div><span>population stability</span><b>",
            share(comparison_flips(c), c->judged) * 100, (count_t)comparison_flips(c), (count_t)c->judged);
    put_number(page, c->psi);
    fprintf(page, "</b><small>%s of the scores</small></div>\n<div><span>mean move of a score</span><b>", psi_reading(c->psi));
    put_number(page, c->mean_move);
    fputs("</b><small>mean P(defective): ", page);
    put_number(page, c->sides[0].mean);
    fputs(" → ", page);
    put_number(page, c->sides[1].mean);
    fprintf(
        page,
        "</small></div>\n<div><span>new errors</span><b>%llu</b><small>%llu are gone</small></div>\n</div>\n"
        "<p class=\"note\">The population stability index (PSI) says how far the scores as a whole have shifted: below %g is "
        "read as no shift, up to %g as a slight one, above as a major one.</p>\n",
        (count_t)errors_of(c->appeared), (count_t)errors_of(c->gone), PSI_SLIGHT, PSI_MAJOR);
}

/* ---------------------------------------------------------------- verdicts */

static const char *cell_class(int before, int after)
{
    if (before == OUTCOME_ERROR || after == OUTCOME_ERROR)
        return "review";
    return before == after ? "good" : "bad";
}

/* A row or a column of a matrix that has no card in it is left out. */
static bool is_used(const struct comparison *c, int outcome)
{
    uint64_t cards = 0;
    for (int i = 0; i < OUTCOMES; i++)
        cards += c->outcomes[outcome][i] + c->outcomes[i][outcome];
    return cards > 0 || outcome == BGD_CLEAN || outcome == BGD_DEFECTIVE;
}

static void put_outcome_row(FILE *page, const struct comparison *c, int before)
{
    uint64_t cards = 0;
    for (int after = 0; after < OUTCOMES; after++)
        cards += c->outcomes[before][after];
    fprintf(page, "<tr><th scope=\"row\">%s in A</th>", outcome_name(before));
    for (int after = 0; after < OUTCOMES; after++) {
        uint64_t n = c->outcomes[before][after];
        if (!is_used(c, after))
            continue;
        if (n == 0)
            fputs("<td class=\"soft\">0</td>", page);
        else
            fprintf(page, "<td class=\"%s\" style=\"--share:%.3f\"><b>%llu</b><small>%.1f %%</small></td>",
                    cell_class(before, after), share(n, cards), (count_t)n, share(n, cards) * 100);
    }
    fprintf(page, "<td>%llu</td></tr>\n", (count_t)cards);
}

static void put_outcomes(FILE *page, const struct comparison *c)
{
    fprintf(page, "<h2>Verdicts</h2>\n<p class=\"note\">The %llu cards that both runs have a row for.</p>\n", (count_t)c->both);
    fputs("<table class=\"confusion\">\n<thead><tr><th></th>", page);
    for (int i = 0; i < OUTCOMES; i++)
        if (is_used(c, i))
            fprintf(page, "<th scope=\"col\">%s in B</th>", outcome_name(i));
    fputs("<th scope=\"col\">cards</th></tr></thead>\n<tbody>\n", page);
    for (int i = 0; i < OUTCOMES; i++)
        if (is_used(c, i))
            put_outcome_row(page, c, i);
    fputs("</tbody>\n</table>\n", page);
}

static void put_errors(FILE *page, const struct comparison *c)
{
    if (errors_of(c->sides[0].errors) + errors_of(c->sides[1].errors) == 0)
        return;
    fputs("<h2>Errors</h2>\n<p class=\"note\">Cards that could not be judged, and among the cards in both those whose error is "
          "new "
          "in B or gone.</p>\n<table>\n<thead><tr><th></th><th scope=\"col\">in A</th><th scope=\"col\">in B</th>"
          "<th scope=\"col\">new</th><th scope=\"col\">gone</th></tr></thead>\n<tbody>\n",
          page);
    for (int i = 1; i < ROW_CODES; i++)
        if (c->sides[0].errors[i] + c->sides[1].errors[i] > 0)
            fprintf(page, "<tr><th scope=\"row\">%s</th><td>%llu</td><td>%llu</td><td>%llu</td><td>%llu</td></tr>\n",
                    bgd_code_name(-i), (count_t)c->sides[0].errors[i], (count_t)c->sides[1].errors[i], (count_t)c->appeared[i],
                    (count_t)c->gone[i]);
    fputs("</tbody>\n</table>\n", page);
}

/* ---------------------------------------------------------------- flips */

static void put_reasons(FILE *page, const struct comparison *c)
{
    if (comparison_flips(c) == 0)
        return;
    fputs("<h2>Why verdicts changed</h2>\n<p class=\"note\">A changed verdict counts for the reason whose probability changed "
          "the "
          "most in its direction.</p>\n<table>\n<thead><tr><th></th><th scope=\"col\">towards defective</th>"
          "<th scope=\"col\">towards clean</th></tr></thead>\n<tbody>\n",
          page);
    for (int i = 0; i <= BGD_REASONS; i++)
        if (i < BGD_REASONS || c->reasons[0][i] + c->reasons[1][i] > 0)
            fprintf(page, "<tr><th scope=\"row\">%s</th><td>%llu</td><td>%llu</td></tr>\n",
                    i == REASON_NONE ? "none of these" : bgd_reason_name((enum bgd_reason)i),
                    (count_t)c->reasons[TOWARDS_DEFECTIVE][i], (count_t)c->reasons[TOWARDS_CLEAN][i]);
    fputs("</tbody>\n</table>\n", page);
}

static void put_group(FILE *page, const struct comparison_group *group)
{
    uint64_t flips = group->flips[TOWARDS_CLEAN] + group->flips[TOWARDS_DEFECTIVE];
    fputs("<tr><th scope=\"row\">", page);
    if (*group->name)
        html_name(page, group->name);
    else
        fputs("<i>no group</i>", page);
    fprintf(page, "</th><td>%llu</td><td>%llu</td><td>%.2f %%</td><td>%llu</td><td>%llu</td></tr>\n", (count_t)group->cards,
            (count_t)flips, share(flips, group->cards) * 100, (count_t)group->flips[TOWARDS_DEFECTIVE],
            (count_t)group->flips[TOWARDS_CLEAN]);
}

static void put_groups(FILE *page, const struct comparison *c)
{
    if (c->n_groups == 0 || (c->n_groups == 1 && !*c->groups[0].name))
        return;
    fputs("<h2>Groups</h2>\n<p class=\"note\">Cards that are judged in both.</p>\n<table>\n<thead><tr><th></th>"
          "<th scope=\"col\">cards</th><th scope=\"col\" colspan=\"2\">another verdict</th>"
          "<th scope=\"col\">towards defective</th><th scope=\"col\">towards clean</th></tr></thead>\n<tbody>\n",
          page);
    for (size_t i = 0; i < c->n_groups && i < GROUPS_SHOWN; i++)
        put_group(page, &c->groups[i]);
    fputs("</tbody>\n</table>\n", page);
    if (c->n_groups > GROUPS_SHOWN)
        fprintf(page, "<p class=\"note\">and %zu more groups, with no more changed verdicts each than the last of these</p>\n",
                c->n_groups - GROUPS_SHOWN);
}

/* ---------------------------------------------------------------- scores */

static void put_charts(FILE *page, const struct comparison *c)
{
    double shares[2][COMPARISON_BARS];
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < COMPARISON_BARS; i++)
            shares[side][i] = share(c->sides[side].bars[i], c->sides[side].judged);
    fputs("<h2>Scores</h2>\n<div class=\"plots two\">\n<figure><figcaption><b>P(defective)</b><span>All cards judged in A and "
          "all "
          "judged in B.</span></figcaption>\n",
          page);
    chart_put_bars(page, &(struct chart_axes){"Histogram of scores", "P(defective)", "share of the cards", false},
                   &(struct chart_bars){{"A", "B"}, {shares[0], shares[1]}, COMPARISON_BARS});
    fputs("</figure>\n<figure><figcaption><b>What the PSI is made of</b><span>Ten bins that hold a tenth of A each, as far as "
          "equal "
          "scores allow. Where B differs, the scores have shifted.</span></figcaption>\n",
          page);
    chart_put_bars(page,
                   &(struct chart_axes){"Bins of the PSI", "rank in A, from the lowest score", "share of the cards", false},
                   &(struct chart_bars){{"A", "B"}, {c->sides[0].shares, c->sides[1].shares}, PSI_BINS});
    fputs("</figure>\n</div>\n", page);
}

/* ---------------------------------------------------------------- moves */

static double score(const struct row_facts *facts)
{
    return (double)facts->score / ROW_MILLION;
}

static void put_move_reasons(FILE *page, const struct comparison_move *move)
{
    fputs("<table><thead><tr><th></th>", page);
    for (int i = 0; i < BGD_REASONS; i++)
        fprintf(page, "<th scope=\"col\">%s</th>", bgd_reason_name((enum bgd_reason)i));
    fputs("</tr></thead>\n<tbody>", page);
    for (int side = 0; side < 2; side++) {
        fprintf(page, "<tr><th scope=\"row\">%c</th>", 'A' + side);
        for (int i = 0; i < BGD_REASONS; i++)
            if (isnan(move->facts[side].reasons[i]))
                fputs("<td>–</td>", page);
            else
                fprintf(page, "<td>%.2f</td>", (double)move->facts[side].reasons[i]);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table>\n", page);
}

static int put_move(FILE *page, const struct comparison_move *move, const struct bgd_image *picture, struct bgd_err *err)
{
    fputs("<figure><div class=\"pictures\">\n", page);
    if (page_put_picture(page, "card", "smooth", picture, picture, err))
        return err_prefix(err, "%s: ", move->id);
    if (!picture->rgb)
        fputs("<div class=\"gone\">picture not found</div>", page);
    fputs("</div>\n<figcaption>", page);
    html_name(page, move->id);
    fprintf(page, "<br/>A: <b>%s</b>, P(defective)\u00a0%.3f<br/>B: <b>%s</b>, P(defective)\u00a0%.3f\n",
            bgd_verdict_name(move->facts[0].verdict), score(&move->facts[0]), bgd_verdict_name(move->facts[1].verdict),
            score(&move->facts[1]));
    if (memcmp(move->facts[0].hash, move->facts[1].hash, HASH_BYTES) != 0)
        fputs("<br/>The picture itself has changed; this is the one that is there now.\n", page);
    put_move_reasons(page, move);
    fputs("</figcaption></figure>\n", page);
    return 0;
}

static int put_moves(FILE *page, const struct diff_report *report, struct bgd_err *err)
{
    const struct comparison *c = report->comparison;
    fputs("<h2>The largest moves</h2>\n", page);
    if (c->n_moves == 0) {
        fputs("<p class=\"note\">No score of a card that is judged in both has moved.</p>\n", page);
        return 0;
    }
    fprintf(page,
            "<p class=\"note\">The %zu cards whose P(defective) moved the most, and below each the P of the reasons.</p>\n"
            "<div class=\"cards\">\n",
            c->n_moves);
    for (size_t i = 0; i < c->n_moves; i++)
        if (put_move(page, &c->moves[i], &report->pictures[i], err))
            return err->code;
    fputs("</div>\n", page);
    return 0;
}

/* ---------------------------------------------------------------- the page */

static int put_report(FILE *page, const void *user, struct bgd_err *err)
{
    const struct diff_report *report = user;
    const struct comparison *c = report->comparison;
    put_head(page, c);
    put_headline(page, c);
    put_outcomes(page, c);
    put_reasons(page, c);
    put_groups(page, c);
    put_errors(page, c);
    put_charts(page, c);
    put_sides(page, c);
    return put_moves(page, report, err);
}

int diff_report_write(const struct diff_report *report, const char *path, struct bgd_err *err)
{
    return page_write(path, "What changed between two runs", put_report, report, err);
}
