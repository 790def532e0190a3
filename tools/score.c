/* bgdet score: cards in, a row for each out. */
#include "run.h"
#include "tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    struct run_settings run;
    bool null; /* names in a list end with NUL */
    uint32_t progress;
    uint32_t format; /* enum results_form, or FORMAT_BY_NAME */
};

#define FORMAT_BY_NAME UINT32_MAX

static bool set_fail_on(void *settings, const char *value)
{
    struct settings *s = settings;
    s->run.fail_on_defective = true;
    return strcmp(value, "defective") == 0;
}

static bool parse_number(const char *text, uint64_t least, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno && *out >= least;
}

static bool set_limit(void *settings, const char *value)
{
    return parse_number(value, 1, &((struct settings *)settings)->run.catalogue.limit);
}

static bool set_sample(void *settings, const char *value)
{
    return parse_number(value, 1, &((struct settings *)settings)->run.catalogue.sample);
}

static bool set_seed(void *settings, const char *value)
{
    return parse_number(value, 0, &((struct settings *)settings)->run.catalogue.seed);
}

static const struct option_entry card_options[] = {
    {'r', "recursive", NULL, "walk into folders: every file in them is a card",
     OPTION_FLAG(struct settings, run.catalogue.recursive)},
    {0, "files-from", "LIST", "read names from LIST, one a line; - is standard input",
     OPTION_FILE(struct settings, run.catalogue.list)},
    {'0', "null", NULL, "names in LIST are separated by NUL, not by newlines (find -print0)",
     OPTION_FLAG(struct settings, null)},
    {0, "manifest", "FILE",
     "cards from a file of JSON lines: id and path, size and mtime if known; what else a line says is carried into the row; - "
     "is "
     "standard input",
     OPTION_FILE(struct settings, run.catalogue.manifest)},
    {0, "limit", "N", "the first N cards", OPTION_PARSED(set_limit, "a number from 1 on")},
    {0, "sample", "N", "N of the cards, drawn at random, in their order", OPTION_PARSED(set_sample, "a number from 1 on")},
    {0, "seed", "N", "another sample (default: 0)", OPTION_PARSED(set_seed, "a number")},
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

static bool set_shard(void *settings, const char *value)
{
    struct settings *s = settings;
    struct shards_options *shards = &s->run.shards;
    char part[16];
    size_t length = strcspn(value, "/");
    if (length >= sizeof part || value[length] != '/' || !tool_parse_count(value + length + 1, 1, 1000000, &shards->parts))
        return false;
    memcpy(part, value, length);
    part[length] = 0;
    return tool_parse_count(part, 0, shards->parts - 1, &shards->part);
}

/* NULL: every kind. */
static bool set_retry(void *settings, const char *value)
{
    struct settings *s = settings;
    for (int i = 1; i < BGD_CODES; i++)
        if (!value || strcmp(value, bgd_code_name(-i)) == 0)
            s->run.shards.retry |= 1u << i;
    return s->run.shards.retry != 0;
}

static bool set_error_rate(void *settings, const char *value)
{
    struct settings *s = settings;
    return tool_parse_share(value, 0, &s->run.max_error_rate);
}

static const struct option_entry shard_options[] = {
    {0, "out", "DIR",
     "rows to DIR, a file for each shard, and a manifest: a run that was killed goes on where it was. A tar is a shard, and so "
     "are "
     "every 10,000 other cards",
     OPTION_FOLDER(struct settings, run.shards.folder)},
    {0, "shard", "K/N", "only the shards whose number modulo N is K: N processes, on as many machines, share DIR",
     OPTION_PARSED(set_shard, "K/N with K of 0 to N - 1")},
    {0, "shard-cards", "N", "cards to a shard that is no tar (default: 10,000)",
     OPTION_COUNT(struct settings, run.catalogue.shard_items, 1, UINT32_MAX)},
    {0, "replace", NULL, "if DIR holds another run (other sources, model or settings), remove its results instead of refusing",
     OPTION_FLAG(struct settings, run.shards.replace)},
    {0},
};

static const struct option_entry night_options[] = {
    {0, "ledger", "FILE",
     "a database of results by content: what an earlier run with this model and these settings has judged is not decoded "
     "again, and "
     "the same picture under several names is scored once",
     OPTION_FILE(struct settings, run.ledger)},
    {0, "trust-mtime", NULL, "with --ledger: a file of the name, size and time of change that it knows is not even read",
     OPTION_FLAG(struct settings, run.trust_mtime)},
    {0, "retry-failed", "[=CODE]", "try cards again that ended in an error (or in this one), although --ledger or DIR has it",
     OPTION_PARSED(set_retry, "an error code of a row"),
     OPTION_OFFERS("missing", "unreadable", "unknown_format", "damaged", "unsupported", "limit", "network")},
    {0, "max-error-rate", "P", "stop with 65 when, of 100 cards or more, a larger share than P (0..1) are errors",
     OPTION_PARSED(set_error_rate, "a share of 0..1")},
    {0, "metrics", "FILE",
     "keep the run's numbers in FILE, for Prometheus (node_exporter's textfile collector); a FILE that cannot be written ends "
     "nothing",
     OPTION_FILE(struct settings, run.metrics)},
    {0, "dry-run", NULL, "read the sources through, say what there is to do, and write nothing",
     OPTION_FLAG(struct settings, run.dry_run)},
    {0, "progress", "FORM", "bar: on a terminal (default); json: a line a second on stderr; none",
     OPTION_CHOICE(struct settings, progress, [PROGRESS_NONE] = "none", [PROGRESS_BAR] = "bar", [PROGRESS_JSON] = "json")},
    {0},
};

static const struct option_entry batch_options[] = {
    {0, "readers", "N", "files, or remote objects, that are read at the same time (default: 16)",
     OPTION_COUNT(struct settings, run.readers, 1, 1024)},
    {0, "batch", "N", "cards scored at once (default: what suits the device)",
     OPTION_COUNT(struct settings, run.session.engine.batch, 1, 4096)},
    {0},
};

static const struct option_group groups[] = {
    {"Cards", card_options, 0},
    {"Output", output_options, 0},
    {"Many cards", shard_options, 0},
    {"Every night", night_options, 0},
    {"Judging", session_options, offsetof(struct settings, run.session)},
    {NULL, batch_options, 0},
    {0},
};

static const struct command_exit exits[] = {
    {EXIT_DONE, "every input got a row"},
    {EXIT_FOUND, "--fail-on"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "unusable model, list or shard, or --max-error-rate"},
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

/* What excludes what, or needs it. */
static int check_combination(const struct settings *s)
{
    const struct shards_options *shards = &s->run.shards;
    if (shards->folder && (s->run.results.path || s->format != FORMAT_BY_NAME))
        return tool_usage("score", "--out has its own files, JSON lines: it excludes --output and --format");
    if (!shards->folder && (shards->parts > 1 || shards->replace || s->run.catalogue.shard_items))
        return tool_usage("score", "--shard, --shard-cards and --replace need --out DIR");
    if (s->run.ledger && s->run.masks)
        return tool_usage("score", "--masks excludes --ledger, which keeps results and no masks");
    if (s->run.trust_mtime && !s->run.ledger)
        return tool_usage("score", "--trust-mtime needs --ledger FILE");
    if (shards->retry && !s->run.ledger && !shards->folder)
        return tool_usage("score", "--retry-failed needs --ledger FILE or --out DIR");
    if (s->run.catalogue.list && s->run.catalogue.manifest)
        return tool_usage("score", "--files-from excludes --manifest");
    return 0;
}

static int run(int argc, char **argv)
{
    struct settings s = {.format = FORMAT_BY_NAME, .progress = PROGRESS_BAR, .run = {.shards.parts = 1, .max_error_rate = 1}};
    int code;
    if (!options_parse(&tool_score, &s, &argc, &argv, &code))
        return code;
    if (s.run.results.path && strcmp(s.run.results.path, "-") == 0)
        s.run.results.path = NULL;
    s.run.catalogue.separator = s.null ? '\0' : '\n';
    s.run.catalogue.paths = argv;
    s.run.catalogue.n_paths = (size_t)argc;
    s.run.progress = (enum progress_form)s.progress;
    choose_form(&s);
    code = check_combination(&s);
    if (!code)
        code = run_check_paths(&s.run, "score");
    return code ? code : run_cards(&s.run);
}

const struct command tool_score = {
    .name = "score",
    .summary = "judge the background of product cards",
    .synopsis = {"[options] FILE...", "[options] -r FOLDER...", "[options] --files-from LIST",
                 "[options] --out DIR SHARDS-{000..127}.tar"},
    .text =
        "Judges each card: defective if its background shows text, is not white, shows extra objects, or if the main object "
        "is cropped or there more than once. A model may also have a band in which its verdict is review (bgdet eval). "
        "Every input gets a row, in the order given; that of a card that is not clean says where it shows why.\n"
        "A card is a file, an object (http://, https://, s3://BUCKET/KEY, with credentials from AWS's environment variables), "
        "or a "
        "picture in a tar (.tar, .tar.gz, .tgz, .tar.zst; text beside it with the same basename is carried into its row). "
        "cards-{000..127}.tar stands for 128 names.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
