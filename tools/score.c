/* bgdet score: cards in, a row for each out. */
#include "run.h"
#include "tools.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    struct run_settings run;
    bool null;       /* names in a list end with NUL */
    uint32_t format; /* enum results_form, or FORMAT_BY_NAME */
};

#define FORMAT_BY_NAME UINT32_MAX

static bool set_fail_on(void *settings, const char *value)
{
    struct settings *s = settings;
    s->run.fail_on_defective = true;
    return strcmp(value, "defective") == 0;
}

static const struct option_entry card_options[] = {
    {'r', "recursive", NULL, "walk into folders: every file in them is a card",
     OPTION_FLAG(struct settings, run.catalogue.recursive)},
    {0, "files-from", "LIST", "read names from LIST, one a line; - is standard input",
     OPTION_FILE(struct settings, run.catalogue.list)},
    {'0', "null", NULL, "names in LIST are separated by NUL, not by newlines (find -print0)",
     OPTION_FLAG(struct settings, null)},
    {0},
};

static const struct option_entry output_options[] = {
    {'o', "output", "FILE", "rows to FILE, complete or not there; the unfinished rows stand in FILE.part",
     OPTION_FILE(struct settings, run.results.path)},
    {'f', "format", "FORM", "jsonl, csv or table (default: table on a terminal, csv for FILE.csv, else jsonl)",
     OPTION_CHOICE(struct settings, format, [RESULTS_JSONL] = "jsonl", [RESULTS_CSV] = "csv", [RESULTS_TABLE] = "table")},
    {0, "sheet", "FILE.png", "also draw a contact sheet of the first 400 cards with their verdicts",
     OPTION_FILE(struct settings, run.sheet)},
    {0, "masks", "FOLDER", "also write each card's mask, its object white, as FOLDER/CARD.png of the card's own size",
     OPTION_FOLDER(struct settings, run.masks)},
    {0, "fail-on", "WHAT", "defective: exit with 1 if any card is; cards to review do not count",
     OPTION_PARSED_CHOICE(set_fail_on, "defective")},
    {0},
};

static const struct option_entry batch_options[] = {
    {0, "batch", "N", "cards scored at once (default: what suits the device)",
     OPTION_COUNT(struct settings, run.session.engine.batch, 1, 4096)},
    {0},
};

static const struct option_group groups[] = {
    {"Cards", card_options, 0},
    {"Output", output_options, 0},
    {"Judging", session_options, offsetof(struct settings, run.session)},
    {NULL, batch_options, 0},
    {0},
};

static const struct command_exit exits[] = {
    {EXIT_DONE, "every input got a row"},
    {EXIT_FOUND, "--fail-on"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "unusable input"},
    {EXIT_MISSING, "no such model or list"},
    {EXIT_RETRY, "try again later, or no such device"},
    {0},
};

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

static void choose_form(struct settings *s)
{
    struct results_options *results = &s->run.results;
    bool terminal = !results->path && isatty(STDOUT_FILENO);
    results->colour = terminal && !getenv("NO_COLOR");
    if (s->format != FORMAT_BY_NAME)
        results->form = (enum results_form)s->format;
    else if (terminal)
        results->form = RESULTS_TABLE;
    else
        results->form = results->path && ends_with(results->path, ".csv") ? RESULTS_CSV : RESULTS_JSONL;
}

static int run(int argc, char **argv)
{
    struct settings s = {.format = FORMAT_BY_NAME};
    int code;
    if (!options_parse(&tool_score, &s, &argc, &argv, &code))
        return code;
    if (s.run.results.path && strcmp(s.run.results.path, "-") == 0)
        s.run.results.path = NULL;
    s.run.catalogue.separator = s.null ? '\0' : '\n';
    s.run.catalogue.paths = argv;
    s.run.catalogue.n_paths = (size_t)argc;
    choose_form(&s);
    code = run_check_paths(&s.run, "score");
    return code ? code : run_cards(&s.run);
}

const struct command tool_score = {
    .name = "score",
    .summary = "judge the background of product cards",
    .synopsis = {"[options] FILE...", "[options] -r FOLDER...", "[options] --files-from LIST"},
    .text =
        "Judges each card: defective if its background shows text, is not white, shows extra objects, or if the main object "
        "is cropped or there more than once. A model may also have a band in which its verdict is review (bgdet eval). "
        "Every input gets a row, in the order given; that of a card that is not clean says where it shows why.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
