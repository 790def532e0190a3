/* bgdet diff: what changed between two runs of score. */
#include "diff.h"
#include "diff/report.h"
#include "err.h"
#include "pictures.h"
#include "sheet.h"
#include "tools.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: bgdet diff [options] A B\n"
    "\n"
    "Compares two runs of score, by night or by model: which cards have another verdict (flips), by direction, reason and\n"
    "group; which errors are new or gone; how far the scores have shifted (population stability index); the largest moves.\n"
    "\n"
    "A and B are rows as JSON lines, or the folder of a sharded run. Rows are joined by their ids, in any order. While they "
    "are\n"
    "sorted, temporary files in $TMPDIR take some 150 bytes a row; memory does not grow with the rows.\n"
    "src/diff/comparison.h says what each number means.\n"
    "\n"
    "      --group NAME        the member of \"carried\" that is a card's group (default: group)\n"
    "      --moves N           the N largest moves, 0..400 (default 48)\n"
    "      --json              one JSON object instead of tables\n"
    "      --report FOLDER     also write FOLDER/index.html: the same with charts, and the largest moves as pictures\n"
    "      --root FOLDER       with --report: where the cards' files are looked for (default: as they are named)\n"
    "      --max-flips N       exit with 1 if more than N cards flipped, or of N% of the cards in both; errors are no flips\n"
    "\n"
    "Exit: 0 compared, 1 --max-flips, 64 usage, 65 unusable rows, 66 no such file, 75 try again later.\n";

struct settings {
    struct comparison_options comparison;
    const char *report, *root;
    double max_flips; /* a number, or a percentage; negative: any number will do */
    bool percent, json, help;
};

enum { OPT_GROUP = 256, OPT_MOVES, OPT_JSON, OPT_REPORT, OPT_ROOT, OPT_MAX_FLIPS };

static const struct option options[] = {
    {"group", required_argument, NULL, OPT_GROUP},
    {"moves", required_argument, NULL, OPT_MOVES},
    {"json", no_argument, NULL, OPT_JSON},
    {"report", required_argument, NULL, OPT_REPORT},
    {"root", required_argument, NULL, OPT_ROOT},
    {"max-flips", required_argument, NULL, OPT_MAX_FLIPS},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* "12" or "0.5%" */
static int set_max_flips(struct settings *s)
{
    uint32_t count;
    char *end;
    if (tool_parse_count(optarg, 0, UINT32_MAX, &count)) {
        s->max_flips = count;
        s->percent = false;
        return 0;
    }
    s->max_flips = strtod(optarg, &end);
    s->percent = true;
    if (end == optarg || strcmp(end, "%") != 0 || !(s->max_flips >= 0 && s->max_flips <= 100))
        return tool_usage("diff", "--max-flips %s: expected a number of cards, or P%% with P of 0..100", optarg);
    return 0;
}

static int set_moves(struct settings *s)
{
    uint32_t moves;
    if (!tool_parse_count(optarg, 0, COMPARISON_MOVES_MAX, &moves))
        return tool_usage("diff", "--moves %s: expected a number of 0..%u", optarg, COMPARISON_MOVES_MAX);
    s->comparison.moves = moves;
    return 0;
}

static int set_option(struct settings *s, int option, char **argv)
{
    switch (option) {
    case OPT_GROUP: s->comparison.group = optarg; return 0;
    case OPT_MOVES: return set_moves(s);
    case OPT_JSON: s->json = true; return 0;
    case OPT_REPORT: s->report = optarg; return 0;
    case OPT_ROOT: s->root = optarg; return 0;
    case OPT_MAX_FLIPS: return set_max_flips(s);
    case 'h': s->help = true; return 0;
    default: return tool_bad_option("diff", option, argv);
    }
}

static int parse(struct settings *s, int argc, char **argv)
{
    int option, code;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1)
        if ((code = set_option(s, option, argv)))
            return code;
    if (s->help)
        return 0;
    if (argc - optind != 2)
        return tool_usage("diff", "two runs are compared: expected A and B, found %d name%s", argc - optind,
                          argc - optind == 1 ? "" : "s");
    for (int i = 0; i < 2; i++)
        s->comparison.paths[i] = argv[optind + i];
    return 0;
}

/* ---------------------------------------------------------------- the report */

/* The card's picture, shrunk by its decoder; none where there is no such file. */
static int take_picture(const struct settings *s, const char *id, struct bgd_image *picture, struct bgd_err *err)
{
    struct pictures pictures = {0};
    char *path = tool_join(s->root, s->root ? strlen(s->root) : 0, id);
    if (!path)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (pictures_decode(&pictures, &(struct flow_row){.path = path}, SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT)) {
        *picture = pictures.image;
        pictures.image = (struct bgd_image){0};
    }
    pictures_free(&pictures);
    free(path);
    return 0;
}

static int write_report(const struct settings *s, const struct comparison *comparison, struct bgd_err *err)
{
    char *path = tool_join(s->report, strlen(s->report), "index.html");
    struct bgd_image *images = calloc(comparison->n_moves + 1, sizeof *images);
    int code = path && images ? 0 : err_set(err, BGD_MEMORY, "out of memory");
    for (size_t i = 0; i < comparison->n_moves && !code; i++)
        code = take_picture(s, comparison->moves[i].id, &images[i], err);
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

static bool too_many_flips(const struct settings *s, const struct comparison *comparison)
{
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

static int compare(const struct settings *s)
{
    struct comparison *comparison = NULL;
    struct bgd_err err;
    int code = EXIT_DONE;
    if ((s->report && tool_make_report_folder(s->report, &err)) || comparison_open(&s->comparison, &comparison, &err) ||
        show(s, comparison, &err))
        code = tool_fail(&err);
    else if (too_many_flips(s, comparison))
        code = EXIT_FOUND;
    comparison_close(comparison);
    return code;
}

int tool_diff(int argc, char **argv)
{
    struct settings s = {.comparison = {.group = "group", .moves = 48}, .max_flips = -1};
    int code = parse(&s, argc, argv);
    if (code)
        return code;
    if (s.help) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    return compare(&s);
}
