#include "evidence.h"

#include <math.h>
#include <stdlib.h>

#define MOST 0.6          /* of the background: more cannot stand out from it; it is a room, a gradient, a texture */
#define LETTERS 5         /* letters and words of a line are at most this many pixels apart: gaps of 4 are bridged */
#define TEXT_LEAST 0.001  /* of the frame: less cannot be read */
#define THING_LEAST 0.003 /* of the frame: less is dust, or a rim that the mask has missed */
#define GROUND_LEAST 0.1  /* of the frame: what is not white and larger is the ground, whatever stands there as well */
#define CONTACT 0.03      /* of a side: less is an object that touches it */

void evidence_scratch_free(struct evidence_scratch *scratch)
{
    object_free(&scratch->object);
    ground_free(&scratch->ground);
    components_free(&scratch->marked);
}

/* One card's search. */
struct search {
    const struct evidence_card *card;
    struct evidence_scratch *scratch;
    struct bgd_result *result;
    uint32_t limit; /* regions of one reason */
};

/* ---------------------------------------------------------------- regions */

/* Adds a region, or where its reason has as many as it may, puts it in the place of the smallest if that is smaller. */
static void add(const struct search *search, struct bgd_region region)
{
    struct bgd_result *result = search->result;
    struct bgd_region *smallest = NULL;
    uint32_t n = 0;
    for (struct bgd_region *r = result->regions; r < result->regions + result->n_regions; r++)
        if (r->reason == region.reason) {
            smallest = !smallest || r->share < smallest->share ? r : smallest;
            n++;
        }
    if (n < search->limit)
        result->regions[result->n_regions++] = region;
    else if (smallest->share < region.share)
        *smallest = region;
}

/* A region of which `pixels` show the reason; the box is of a picture (height, width). */
static struct bgd_region region_of(enum bgd_reason reason, struct box box, uint32_t pixels, uint32_t width, uint32_t height)
{
    return (struct bgd_region){.reason = reason,
                               .left = (float)box.left / (float)width,
                               .top = (float)box.top / (float)height,
                               .right = (float)box.right / (float)width,
                               .bottom = (float)box.bottom / (float)height,
                               .share = (float)((double)pixels / ((double)width * height))};
}

static bool has_region(const struct bgd_result *result, enum bgd_reason reason)
{
    for (uint32_t i = 0; i < result->n_regions; i++)
        if (result->regions[i].reason == reason)
            return true;
    return false;
}

/* By reason, the largest first; the rest only makes the order of equals a fixed one. */
static int compare_regions(const void *a, const void *b)
{
    const struct bgd_region *x = a, *y = b;
    if (x->reason != y->reason)
        return x->reason < y->reason ? -1 : 1;
    if (x->share != y->share)
        return x->share > y->share ? -1 : 1;
    if (x->top != y->top)
        return x->top < y->top ? -1 : 1;
    return (x->left > y->left) - (x->left < y->left);
}

/* ---------------------------------------------------------------- candidates: what is marked of the ground */

/* A candidate as a region of a reason. */
struct merit {
    double activation; /* 0 where it is not known */
    bool own;          /* it belongs to no other reason */
};

static struct activation_map map_of(const struct evidence_card *card, enum bgd_reason reason)
{
    return (struct activation_map){card->activation[reason], card->columns, card->rows};
}

static double mean_activation(const struct search *search, enum bgd_reason reason, const struct component *c)
{
    const struct evidence_card *card = search->card;
    const struct activation_map map = map_of(card, reason);
    const uint32_t *pixels = search->scratch->marked.pixels + c->first;
    return activation_mean(&map, pixels, c->n, card->width, card->height);
}

/* Whether no other reason for which things stand on the ground is seen more there. */
static bool belongs(const struct search *search, enum bgd_reason reason, double activation, const struct component *c)
{
    static const enum bgd_reason rivals[] = {BGD_TEXT, BGD_EXTRA_OBJECTS};
    const struct evidence_card *card = search->card;
    for (int i = 0; i < 2; i++)
        if (rivals[i] != reason && card->wanted[rivals[i]] && card->activation[rivals[i]] &&
            mean_activation(search, rivals[i], c) > activation)
            return false;
    return true;
}

static struct merit merit_of(const struct search *search, enum bgd_reason reason, const struct component *c)
{
    const struct evidence_card *card = search->card;
    if (!card->activation[reason] || (reason == BGD_NOT_WHITE && c->n > GROUND_LEAST * card->width * card->height))
        return (struct merit){0, true};
    /* A small part that is not white is left to text and extra objects where those are seen there. */
    double activation = reason == BGD_NOT_WHITE ? 0 : mean_activation(search, reason, c);
    return (struct merit){activation, belongs(search, reason, activation, c)};
}

/* The best of the candidates of at least `least` pixels: of the reason's own if there are any, the greatest activation. */
static struct merit best_merit(const struct search *search, enum bgd_reason reason, double least)
{
    const struct components *marked = &search->scratch->marked;
    struct merit best = {-INFINITY, false};
    for (uint32_t i = 0; i < marked->n; i++) {
        if (marked->items[i].n < least)
            continue;
        struct merit merit = merit_of(search, reason, &marked->items[i]);
        if (merit.own && !best.own)
            best = merit;
        else if (merit.own == best.own)
            best.activation = fmax(best.activation, merit.activation);
    }
    return best;
}

/* Adds the candidates of at least `share` of the frame that belong to the reason, or all if none does. Those
 * without activation are left out, but never the best one. */
static void add_candidates(const struct search *search, enum bgd_reason reason, double share)
{
    const struct evidence_card *card = search->card;
    const struct components *marked = &search->scratch->marked;
    double least = share * card->width * card->height;
    struct merit best = best_merit(search, reason, least);
    double level = fmin(best.activation, 0); /* with a positive one everywhere the card would have the reason */
    for (uint32_t i = 0; i < marked->n; i++) {
        const struct component *c = &marked->items[i];
        if (c->n < least)
            continue;
        struct merit merit = merit_of(search, reason, c);
        if (merit.own == best.own && merit.activation >= level)
            add(search, region_of(reason, c->box, c->n, card->width, card->height));
    }
}

static int add_marked(const struct search *search, enum bgd_reason reason, uint32_t reach, double share, struct bgd_err *err)
{
    struct ground *ground = &search->scratch->ground;
    if (components_find(&search->scratch->marked, ground->marks, ground->width, ground->height, reach, err))
        return err->code;
    add_candidates(search, reason, share);
    return 0;
}

/* Letters differ from what they stand on, whatever else that is. */
static int add_text(const struct search *search, struct bgd_err *err)
{
    ground_mark_distinct(&search->scratch->ground);
    ground_keep_local(&search->scratch->ground);
    return add_marked(search, BGD_TEXT, LETTERS, TEXT_LEAST, err);
}

static int add_not_white(const struct search *search, struct bgd_err *err)
{
    ground_mark_not_white(&search->scratch->ground);
    return add_marked(search, BGD_NOT_WHITE, 1, THING_LEAST, err);
}

/* Marks what the segmenter took for the main object but is apart from the largest such thing. */
static int mark_lesser_objects(const struct search *search, struct bgd_err *err)
{
    struct object *object = &search->scratch->object;
    if (object_parts(object, err))
        return err->code;
    const struct component *largest = components_largest(&object->parts);
    for (const struct component *c = object->parts.items; c < object->parts.items + object->parts.n; c++)
        for (uint32_t i = 0; c != largest && i < c->n; i++)
            search->scratch->ground.marks[object->parts.pixels[c->first + i]] = 1;
    return 0;
}

static int add_things(const struct search *search, struct bgd_err *err)
{
    struct ground *ground = &search->scratch->ground;
    if (ground_mark_distinct(ground) > MOST)
        ground_keep_local(ground);
    if (mark_lesser_objects(search, err))
        return err->code;
    return add_marked(search, BGD_EXTRA_OBJECTS, LETTERS, THING_LEAST, err);
}

/* ---------------------------------------------------------------- the object, and activation alone */

static void add_object(const struct search *search, enum bgd_reason reason, enum bgd_side side, struct box box)
{
    struct bgd_region region =
        region_of(reason, box, object_count(&search->scratch->object, box), search->card->width, search->card->height);
    region.side = side;
    add(search, region);
}

static void add_cropped(const struct search *search)
{
    struct box strips[BGD_SIDES];
    double contacts[BGD_SIDES], longest = 0;
    for (int side = BGD_LEFT; side < BGD_SIDES; side++) {
        contacts[side] = object_touch(&search->scratch->object, (enum bgd_side)side, &strips[side]);
        longest = fmax(longest, contacts[side]);
    }
    for (int side = BGD_LEFT; side < BGD_SIDES; side++)
        if (contacts[side] >= CONTACT && contacts[side] >= longest / 2)
            add_object(search, BGD_CROPPED, (enum bgd_side)side, strips[side]);
}

static int add_copies(const struct search *search, struct bgd_err *err)
{
    struct object *object = &search->scratch->object;
    if (object_copies(object, err))
        return err->code;
    for (uint32_t i = 0; i < object->parts.n; i++)
        add_object(search, BGD_DUPLICATES, BGD_NO_SIDE, object->parts.items[i].box);
    return 0;
}

/* The part of the card in which the classifier saw the reason the most. */
static void add_hottest(const struct search *search, enum bgd_reason reason)
{
    const struct activation_map map = map_of(search->card, reason);
    struct box box;
    uint32_t n = activation_hottest(&map, &box);
    if (n > 0)
        add(search, region_of(reason, box, n, map.columns, map.rows));
}

/* ---------------------------------------------------------------- the search */

/* The regions that the pixels show. */
static int look(const struct search *search, struct bgd_err *err)
{
    const bool *wanted = search->card->wanted;
    if (wanted[BGD_TEXT] && add_text(search, err))
        return err->code;
    if (wanted[BGD_EXTRA_OBJECTS] && add_things(search, err))
        return err->code;
    if (wanted[BGD_NOT_WHITE] && add_not_white(search, err))
        return err->code;
    if (wanted[BGD_CROPPED])
        add_cropped(search);
    if (wanted[BGD_DUPLICATES] && add_copies(search, err))
        return err->code;
    return 0;
}

int evidence_find(const struct evidence_card *card, struct evidence_scratch *scratch, struct bgd_result *result,
                  struct bgd_err *err)
{
    uint32_t wanted = 0;
    result->n_regions = 0;
    for (int i = 0; i < BGD_REASONS; i++)
        wanted += card->wanted[i];
    if (wanted == 0)
        return 0;
    if (object_read(&scratch->object, card->mask, card->width, card->height, err) ||
        ground_read(&scratch->ground, card->rgb, scratch->object.marks, card->width, card->height, err))
        return err->code;
    const struct search search = {card, scratch, result, BGD_REGIONS_MAX / wanted};
    if (look(&search, err))
        return err->code;
    for (int i = 0; i < BGD_REASONS; i++)
        if (card->wanted[i] && card->activation[i] && !has_region(result, (enum bgd_reason)i))
            add_hottest(&search, (enum bgd_reason)i);
    qsort(result->regions, result->n_regions, sizeof *result->regions, compare_regions);
    return 0;
}
