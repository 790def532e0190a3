/* bgdet diff: what changed between two runs of score. */
#include "diff.h"
#include "diff/report.h"
#include "err.h"
#include "pictures.h"
#include "sheet.h"
#include "tools.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct settings {
    struct comparison_options comparison;
    const char *report, *root;
    double max_flips; /* a number, or a percentage; negative: any number will do */
    bool percent, json;
};

/* "12" or "0.5%" */
static bool set_max_flips(void *settings, const char *value)
{
    struct settings *s = settings;
    uint32_t count;
    char *end;
    s->percent = !tool_parse_count(value, 0, UINT32_MAX, &count);
    s->max_flips = s->percent ? strtod(value, &end) : count;
    return !s->percent || (end != value && strcmp(end, "%") == 0 && s->max_flips >= 0 && s->max_flips <= 100);
}

static bool set_moves(void *settings, const char *value)
{
    struct settings *s = settings;
    uint32_t moves;
    bool parsed = tool_parse_count(value, 0, COMPARISON_MOVES_MAX, &moves);
    s->comparison.moves = parsed ? moves : 0;
    return parsed;
}

static const struct option_entry own_options[] = {
    {0, "group", "NAME", "the member of \"carried\" that is a card's group (default: group)",
     OPTION_TEXT(struct settings, comparison.group)},
    {0, "moves", "N", "the N largest moves (default: 48)", OPTION_PARSED(set_moves, "0..400")},
    {0, "json", NULL, "one JSON object instead of tables", OPTION_FLAG(struct settings, json)},
    {0, "report", "FOLDER", "also write FOLDER/index.html: the same with charts, and the largest moves as pictures",
     OPTION_FOLDER(struct settings, report)},
    {0, "root", "FOLDER",
     "with --report: where the cards' files are looked for (default: as they are named); cards of tars and objects have no "
     "picture there",
     OPTION_FOLDER(struct settings, root)},
    {0, "max-flips", "N",
     "exit with 1 if more than N cards flipped, or N% of the cards in both, or if none is judged in both; errors are no flips",
     OPTION_PARSED(set_max_flips, "a number of cards, or P% with P of 0..100")},
    {0},
};

static const struct option_group groups[] = {{NULL, own_options, 0}, {0}};

static const struct command_exit exits[] = {
    {EXIT_DONE, "compared"},
    {EXIT_FOUND, "--max-flips"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "unusable rows"},
    {EXIT_MISSING, "no such file"},
    {EXIT_RETRY, "try again later, or --max-flips with a run that has not come to its end"},
    {0},
};

/* ---------------------------------------------------------------- the report */

/* Of each move the card's picture; none where there is no such file. */
static int take_pictures(const struct settings *s, const struct comparison *comparison, struct bgd_image *images,
                         struct bgd_err *err)
{
    struct pictures pictures = {0};
    int code = 0;
    for (size_t i = 0; i < comparison->n_moves && !code; i++) {
        char *path = tool_join(s->root, s->root ? strlen(s->root) : 0, comparison->moves[i].id);
        if (path)
            pictures_thumbnail(&pictures, &(struct flow_row){.path = path}, SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT, &images[i]);
        else
            code = err_set(err, BGD_MEMORY, "out of memory");
        free(path);
    }
    pictures_free(&pictures);
    return code;
}

static int write_report(const struct settings *s, const struct comparison *comparison, struct bgd_err *err)
{
    char *path = tool_join(s->report, strlen(s->report), "index.html");
    struct bgd_image *images = calloc(comparison->n_moves + 1, sizeof *images);
    int code = path && images ? take_pictures(s, comparison, images, err) : err_set(err, BGD_MEMORY, "out of memory");
    if (!code)
        code = diff_report_write(&(struct diff_report){comparison, images}, path, err);
    if (!code)
        fprintf(stderr, "%s: written\n", path);
    for (size_t i = 0; images && i < comparison->n_moves; i++)
        bgd_image_free(&images[i]);
    free(images);
    free(path);
    return code;
}

/* ---------------------------------------------------------------- the command */

/* A gate through which nothing goes that could not be compared. */
static bool too_many_flips(const struct settings *s, const struct comparison *comparison)
{
    if (s->max_flips >= 0 && comparison->judged == 0) {
        fputs("bgdet: no card is judged in both: there is nothing to compare\n", stderr);
        return true;
    }
    double most = s->percent ? s->max_flips / 100 * (double)comparison->both : s->max_flips;
    return s->max_flips >= 0 && (double)comparison_flips(comparison) > most;
}

static int show(const struct settings *s, const struct comparison *comparison, struct bgd_err *err)
{
    if (!s->json)
        diff_print(stdout, comparison);
    else if (diff_print_json(stdout, comparison, err))
        return err->code;
    return s->report ? write_report(s, comparison, err) : 0;
}

/* Of the folder of a run, which may not have come to its end. */
static bool is_unfinished(const char *path)
{
    struct stat st;
    char *manifest = stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? tool_join(path, strlen(path), "manifest.json") : NULL;
    bool unfinished = manifest && access(manifest, F_OK) != 0;
    if (unfinished)
        fprintf(stderr, "bgdet: %s: there is no manifest.json: the run has not come to its end\n", path);
    free(manifest);
    return unfinished;
}

static int compare(const struct settings *s)
{
    struct comparison *comparison = NULL;
    struct bgd_err err;
    bool unfinished = is_unfinished(s->comparison.paths[0]);
    unfinished = is_unfinished(s->comparison.paths[1]) || unfinished;
    int code = EXIT_DONE;
    if ((s->report && tool_make_report_folder(s->report, &err)) || comparison_open(&s->comparison, &comparison, &err) ||
        show(s, comparison, &err))
        code = tool_fail(&err);
    else if (unfinished && s->max_flips >= 0)
        code = EXIT_RETRY;
    else if (too_many_flips(s, comparison))
        code = EXIT_FOUND;
    comparison_close(comparison);
    return code;
}

static int run(int argc, char **argv)
{
    struct settings s = {.comparison = {.group = "group", .moves = 48}, .max_flips = -1};
    int code;
    if (!options_parse(&tool_diff, &s, &argc, &argv, &code))
        return code;
    if (argc != 2)
        return tool_usage("diff", "two runs are compared: expected A and B, found %d name%s", argc, argc == 1 ? "" : "s");
    for (int i = 0; i < 2; i++)
        s.comparison.paths[i] = argv[i];
    return compare(&s);
}

const struct command tool_diff = {
    .name = "diff",
    .summary = "say what changed between two runs of score",
    .synopsis = {"[options] A B"},
    .text =
        "Compares two runs of score, by night or by model: which cards have another verdict (flips), by direction, reason "
        "and group; which errors are new or gone; how far the scores have shifted (population stability index); the largest "
        "moves.\n"
        "A and B are rows as JSON lines, or the folder of a sharded run. Rows are joined by their ids, in any order. While "
        "they are sorted, temporary files in $TMPDIR take some 150 bytes a row; memory does not grow with the rows. "
        "src/diff/comparison.h says what each number means.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
