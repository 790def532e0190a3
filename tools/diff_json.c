/* A comparison as one JSON object. What is not defined (a dash in the tables) is null. */
#include "diff.h"
#include "hash.h"
#include "json.h"

#include <math.h>
#include <string.h>

static void add_count(cJSON *object, const char *name, uint64_t count)
{
    cJSON_AddNumberToObject(object, name, (double)count);
}

/* {"damaged": 3}: those that there are. */
static void add_codes(cJSON *object, const char *name, const uint64_t codes[ROW_CODES])
{
    cJSON *list = cJSON_AddObjectToObject(object, name);
    for (int i = 1; i < ROW_CODES; i++)
        if (codes[i] > 0)
            add_count(list, bgd_code_name(-i), codes[i]);
}

static void add_side(cJSON *root, const char *name, const struct comparison_side *side)
{
    cJSON *object = cJSON_AddObjectToObject(root, name);
    json_add_name(object, "path", side->path);
    add_count(object, "rows", side->rows);
    add_count(object, "repeats", side->repeats);
    if (side->repeated)
        json_add_name(object, "repeated_id", side->repeated);
    add_count(object, "only_here", side->only);
    add_count(object, "judged", side->judged);
    add_codes(object, "errors", side->errors);
    cJSON_AddItemToObject(object, "mean_score", json_number(side->mean));
    cJSON *models = cJSON_AddObjectToObject(object, "models");
    for (size_t i = 0; i < side->n_models; i++)
        add_count(models, side->models[i].hash, side->models[i].rows);
}

static void add_outcomes(cJSON *root, const struct comparison *c)
{
    cJSON *matrix = cJSON_AddObjectToObject(root, "verdicts");
    for (int before = 0; before < OUTCOMES; before++) {
        cJSON *row = cJSON_AddObjectToObject(matrix, outcome_name(before));
        for (int after = 0; after < OUTCOMES; after++)
            add_count(row, outcome_name(after), c->outcomes[before][after]);
    }
}

static void add_directions(cJSON *object, const uint64_t flips[DIRECTIONS])
{
    add_count(object, "towards_defective", flips[TOWARDS_DEFECTIVE]);
    add_count(object, "towards_clean", flips[TOWARDS_CLEAN]);
}

static void add_flips(cJSON *root, const struct comparison *c)
{
    cJSON *flips = cJSON_AddObjectToObject(root, "flips");
    add_count(flips, "all", comparison_flips(c));
    add_directions(flips, c->flips);
    add_count(flips, "same_picture", comparison_flips(c) - c->flips_of_changed_pictures);
    add_count(flips, "changed_picture", c->flips_of_changed_pictures);
    cJSON *reasons = cJSON_AddObjectToObject(flips, "reasons");
    for (int i = 0; i <= BGD_REASONS; i++) {
        const uint64_t by_direction[DIRECTIONS] = {c->reasons[0][i], c->reasons[1][i]};
        const char *name = i == REASON_NONE ? "none" : bgd_reason_name((enum bgd_reason)i);
        add_directions(cJSON_AddObjectToObject(reasons, name), by_direction);
    }
}

static void add_groups(cJSON *root, const struct comparison *c)
{
    cJSON *groups = cJSON_AddArrayToObject(root, "groups");
    for (size_t i = 0; i < c->n_groups; i++) {
        cJSON *group = cJSON_CreateObject();
        json_add_name(group, "name", c->groups[i].name);
        add_count(group, "cards", c->groups[i].cards);
        add_directions(group, c->groups[i].flips);
        cJSON_AddItemToArray(groups, group);
    }
}

static void add_psi(cJSON *root, const struct comparison *c)
{
    cJSON *psi = cJSON_AddObjectToObject(root, "psi");
    cJSON_AddItemToObject(psi, "value", json_number(c->psi));
    cJSON_AddStringToObject(psi, "reading", psi_reading(c->psi));
    cJSON *bins = cJSON_AddArrayToObject(psi, "bins");
    for (int i = 0; i < PSI_BINS; i++) {
        cJSON *bin = cJSON_CreateObject();
        cJSON_AddItemToObject(bin, "up_to", json_number(i < PSI_BINS - 1 ? c->deciles[i] : 1));
        cJSON_AddItemToObject(bin, "a", json_number(c->sides[0].shares[i]));
        cJSON_AddItemToObject(bin, "b", json_number(c->sides[1].shares[i]));
        cJSON_AddItemToArray(bins, bin);
    }
}

static void add_row(cJSON *move, const char *name, const struct row_facts *facts)
{
    cJSON *row = cJSON_AddObjectToObject(move, name);
    char hash[HASH_TEXT];
    hash_print(facts->hash, hash);
    cJSON_AddStringToObject(row, "verdict", bgd_verdict_name(facts->verdict));
    cJSON_AddNumberToObject(row, "score", (double)facts->score / ROW_MILLION);
    cJSON_AddStringToObject(row, "hash", hash);
}

static void add_moves(cJSON *root, const struct comparison *c)
{
    cJSON *moves = cJSON_AddArrayToObject(root, "moves");
    for (size_t i = 0; i < c->n_moves; i++) {
        cJSON *move = cJSON_CreateObject();
        json_add_name(move, "id", c->moves[i].id);
        add_row(move, "a", &c->moves[i].facts[0]);
        add_row(move, "b", &c->moves[i].facts[1]);
        cJSON_AddItemToArray(moves, move);
    }
}

int diff_print_json(FILE *file, const struct comparison *c, struct bgd_err *err)
{
    cJSON *root = cJSON_CreateObject();
    add_side(root, "a", &c->sides[0]);
    add_side(root, "b", &c->sides[1]);
    add_count(root, "in_both", c->both);
    add_count(root, "judged_in_both", c->judged);
    add_count(root, "changed_pictures", c->changed_pictures);
    add_outcomes(root, c);
    add_codes(root, "errors_new", c->appeared);
    add_codes(root, "errors_gone", c->gone);
    add_flips(root, c);
    add_groups(root, c);
    add_psi(root, c);
    cJSON_AddItemToObject(root, "mean_move", json_number(c->mean_move));
    add_moves(root, c);
    return json_print(file, root, err);
}
