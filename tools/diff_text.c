/* A comparison as tables for people. What is not defined is a dash. */
#include "diff.h"
#include "utf8.h"

#include <math.h>

#define GROUPS_SHOWN 20
#define MOVES_SHOWN 10

typedef unsigned long long count_t; /* what printf takes of a uint64_t */

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100 * (double)part / (double)whole : 0;
}

static void print_number(FILE *file, const char *name, double value, const char *after)
{
    if (isnan(value))
        fprintf(file, "%s-%s", name, after);
    else
        fprintf(file, "%s%.4f%s", name, value, after);
}

static void print_side(FILE *file, char name, const struct comparison_side *side)
{
    fprintf(file, "%c: ", name);
    utf8_print(file, side->path);
    fprintf(file, "\n   %llu rows, %llu of them with an id that was there before; %llu cards judged, %llu only in %c\n   ",
            (count_t)side->rows, (count_t)side->repeats, (count_t)side->judged, (count_t)side->only, name);
    fprintf(file, "%zu model%s", side->n_models, side->n_models == 1 ? "" : "s");
    for (size_t i = 0; i < side->n_models; i++)
        fprintf(file, "%s%s", i ? ", " : ": ", side->models[i].hash);
    putc('\n', file);
    if (side->repeated) {
        fputs("   an id that stands more than once: ", file);
        utf8_print(file, side->repeated);
        putc('\n', file);
    }
}

static void print_outcomes(FILE *file, const struct comparison *c)
{
    fprintf(file, "\nin both: %llu cards, %llu judged in both\n\n%-14s", (count_t)c->both, (count_t)c->judged, "A \\ B");
    for (int after = 0; after < OUTCOMES; after++)
        fprintf(file, " %12s", outcome_name(after));
    for (int before = 0; before < OUTCOMES; before++) {
        fprintf(file, "\n%-14s", outcome_name(before));
        for (int after = 0; after < OUTCOMES; after++)
            fprintf(file, " %12llu", (count_t)c->outcomes[before][after]);
    }
    putc('\n', file);
}

static void print_errors(FILE *file, const struct comparison *c)
{
    const char *head = "\nerrors                 in A         in B          new         gone\n";
    for (int i = 1; i < ROW_CODES; i++)
        if (c->sides[0].errors[i] + c->sides[1].errors[i] > 0) {
            fprintf(file, "%s%-14s %12llu %12llu %12llu %12llu\n", head, bgd_code_name(-i), (count_t)c->sides[0].errors[i],
                    (count_t)c->sides[1].errors[i], (count_t)c->appeared[i], (count_t)c->gone[i]);
            head = "";
        }
}

static void print_flips(FILE *file, const struct comparison *c)
{
    uint64_t flips = comparison_flips(c);
    fprintf(file,
            "\nflips: %llu (%.3f %% of the judged): %llu towards defective, %llu towards clean\n"
            "       %llu of the same picture, %llu of the %llu whose picture changed\n",
            (count_t)flips, percent(flips, c->judged), (count_t)c->flips[TOWARDS_DEFECTIVE], (count_t)c->flips[TOWARDS_CLEAN],
            (count_t)(flips - c->flips_of_changed_pictures), (count_t)c->flips_of_changed_pictures,
            (count_t)c->changed_pictures);
    if (flips == 0)
        return;
    fputs("\nby reason         to defective     to clean\n", file);
    for (int i = 0; i <= BGD_REASONS; i++)
        fprintf(file, "%-14s %15llu %12llu\n", i == REASON_NONE ? "none of these" : bgd_reason_name((enum bgd_reason)i),
                (count_t)c->reasons[TOWARDS_DEFECTIVE][i], (count_t)c->reasons[TOWARDS_CLEAN][i]);
}

static void print_groups(FILE *file, const struct comparison *c)
{
    if (c->n_groups == 0 || (c->n_groups == 1 && !*c->groups[0].name))
        return;
    fputs("\n       cards        flips  to defective     to clean  group\n", file);
    for (size_t i = 0; i < c->n_groups && i < GROUPS_SHOWN; i++) {
        const struct comparison_group *group = &c->groups[i];
        fprintf(file, "%12llu %12llu  %12llu %12llu  ", (count_t)group->cards,
                (count_t)(group->flips[TOWARDS_DEFECTIVE] + group->flips[TOWARDS_CLEAN]),
                (count_t)group->flips[TOWARDS_DEFECTIVE], (count_t)group->flips[TOWARDS_CLEAN]);
        utf8_print(file, *group->name ? group->name : "(none)");
        putc('\n', file);
    }
    if (c->n_groups > GROUPS_SHOWN)
        fprintf(file, "and %zu more groups (--json has all)\n", c->n_groups - GROUPS_SHOWN);
}

static void print_scores(FILE *file, const struct comparison *c)
{
    fputs("\nscores: ", file);
    print_number(file, "PSI ", c->psi, "");
    fprintf(file, " (%s); ", psi_reading(c->psi));
    print_number(file, "mean ", c->sides[0].mean, " in A, ");
    print_number(file, "", c->sides[1].mean, " in B; ");
    print_number(file, "mean move ", c->mean_move, "\n");
}

static void print_moves(FILE *file, const struct comparison *c)
{
    if (c->n_moves > 0)
        fputs("\nA                    B                    the largest moves\n", file);
    for (size_t i = 0; i < c->n_moves && i < MOVES_SHOWN; i++) {
        for (int side = 0; side < 2; side++) {
            const struct row_facts *facts = &c->moves[i].facts[side];
            fprintf(file, "%-9s %.4f     ", bgd_verdict_name(facts->verdict), (double)facts->score / ROW_MILLION);
        }
        utf8_print(file, c->moves[i].id);
        putc('\n', file);
    }
    if (c->n_moves > MOVES_SHOWN)
        fprintf(file, "and %zu more (--json and --report have them)\n", c->n_moves - MOVES_SHOWN);
}

void diff_print(FILE *file, const struct comparison *c)
{
    print_side(file, 'A', &c->sides[0]);
    print_side(file, 'B', &c->sides[1]);
    print_outcomes(file, c);
    print_errors(file, c);
    print_flips(file, c);
    print_groups(file, c);
    print_scores(file, c);
    print_moves(file, c);
}
