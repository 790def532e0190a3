/* bgdet score: cards in, a row for each out. */
#include "run.h"
#include "tools.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: bgdet score [options] FILE...            files\n"
    "       bgdet score [options] -r FOLDER...       and every file in folders\n"
    "       bgdet score [options] --files-from LIST  names, one a line; - is standard input\n"
    "\n"
    "Judges each card: defective if its background shows text, is not white, shows extra objects, or if the\n"
    "main object is cropped or there more than once. A model may also have a band in which its verdict is review (bgdet "
    "eval).\n"
    "Every input gets a row, in the order given; that of a card that is not clean says where it shows why.\n"
    "\n"
    "  -p, --pipeline FILE     how to judge: a pipeline file (JSON) or a classifier's model file (default: the one that\n"
    "                          ships, pipelines/default.json); also -m, --model\n"
    "  -o, --output FILE       rows to FILE, complete or not there; the unfinished rows stand in FILE.part\n"
    "  -f, --format FORM       jsonl, csv or table (default: table on a terminal, csv for FILE.csv, else jsonl)\n"
    "      --sheet FILE.png    also draw a contact sheet of the first 400 cards with their verdicts\n"
    "      --masks FOLDER      also write each card's mask, its object white, as FOLDER/CARD.png of the card's own size\n"
    "      --fail-on defective exit with 1 if any card is defective; cards to review do not count\n"
    "  -r, --recursive         walk into folders\n"
    "      --files-from LIST   read names from LIST\n"
    "  -0, --null              names in LIST are separated by NUL, not by newlines (find -print0)\n"
    "      --decode HOW        scaled: decode JPEG and WebP no larger than needed (default); exact: every pixel\n"
    "      --device NAME       auto, onednn, ref, cuda (default auto: the fastest that is there)\n"
    "      --precision P       auto, f32, f16, bf16 (default auto: f16 on cuda, f32 on a CPU)\n"
    "      --threads N         threads that decode and score (default: one per processor)\n"
    "      --batch N           cards scored at once (default: what suits the device)\n"
    "  -q, --quiet             no progress, no summary\n"
    "\n"
    "Exit: 0 every input got a row, 1 --fail-on, 64 usage, 65 unusable input, 66 no such model or list, 75 try again later,\n"
    "or no such device.\n";

struct settings {
    struct run_settings run;
    const char *format;
    bool help;
};

enum {
    OPT_FILES_FROM = 256,
    OPT_SHEET,
    OPT_MASKS,
    OPT_FAIL_ON,
    OPT_BATCH,
    OPT_OUT,
    OPT_SHARD,
    OPT_SHARD_CARDS,
    OPT_REPLACE,
    OPT_LEDGER,
    OPT_TRUST_MTIME,
    OPT_MAX_ERROR_RATE
};

static const struct option options[] = {
    {"pipeline", required_argument, NULL, 'p'},
    {"model", required_argument, NULL, 'm'},
    {"output", required_argument, NULL, 'o'},
    {"format", required_argument, NULL, 'f'},
    {"sheet", required_argument, NULL, OPT_SHEET},
    {"masks", required_argument, NULL, OPT_MASKS},
    {"fail-on", required_argument, NULL, OPT_FAIL_ON},
    {"recursive", no_argument, NULL, 'r'},
    {"files-from", required_argument, NULL, OPT_FILES_FROM},
    {"null", no_argument, NULL, '0'},
    {"decode", required_argument, NULL, SESSION_DECODE},
    {"device", required_argument, NULL, SESSION_DEVICE},
    {"precision", required_argument, NULL, SESSION_PRECISION},
    {"threads", required_argument, NULL, SESSION_THREADS},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"out", required_argument, NULL, OPT_OUT},
    {"shard", required_argument, NULL, OPT_SHARD},
    {"shard-cards", required_argument, NULL, OPT_SHARD_CARDS},
    {"replace", no_argument, NULL, OPT_REPLACE},
    {"ledger", required_argument, NULL, OPT_LEDGER},
    {"trust-mtime", no_argument, NULL, OPT_TRUST_MTIME},
    {"max-error-rate", required_argument, NULL, OPT_MAX_ERROR_RATE},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int set_option(struct settings *s, int option, char **argv)
{
    int code = session_set_option(&s->run.session, "score", option);
    if (code != SESSION_OTHER)
        return code;
    switch (option) {
    case 'o':
        s->run.results.path = strcmp(optarg, "-") == 0 ? NULL : optarg;
        return *optarg ? 0 : tool_usage("score", "--output \"\": expected a file's name");
    case 'f': s->format = optarg; return 0;
    case OPT_SHEET: s->run.sheet = optarg; return 0;
    case OPT_MASKS: s->run.masks = optarg; return 0;
    case OPT_FAIL_ON:
        s->run.fail_on_defective = true;
        return strcmp(optarg, "defective") == 0 ? 0 : tool_usage("score", "--fail-on %s: expected defective", optarg);
    case OPT_FILES_FROM: s->run.catalogue.list = optarg; return 0;
    case 'r': s->run.catalogue.recursive = true; return 0;
    case '0': s->run.catalogue.separator = '\0'; return 0;
    case OPT_BATCH:
        return tool_parse_count(optarg, 1, 4096, &s->run.session.engine.batch)
                   ? 0
                   : tool_usage("score", "--batch %s: expected 1..4096", optarg);
    case OPT_OUT: s->run.shards.folder = optarg; return 0;
    case OPT_SHARD: {
        char *slash = strchr(optarg, '/');
        if (slash)
            *slash = 0;
        return slash && tool_parse_count(slash + 1, 1, 1000000, &s->run.shards.parts) &&
                       tool_parse_count(optarg, 0, s->run.shards.parts - 1, &s->run.shards.part)
                   ? 0
                   : tool_usage("score", "--shard %s: expected K/N, K of 0 to N - 1", optarg);
    }
    case OPT_SHARD_CARDS:
        return tool_parse_count(optarg, 1, 1000000000, &s->run.catalogue.shard_items)
                   ? 0
                   : tool_usage("score", "--shard-cards %s: expected 1 or more", optarg);
    case OPT_REPLACE: s->run.shards.replace = true; return 0;
    case OPT_LEDGER: s->run.ledger = optarg; return 0;
    case OPT_TRUST_MTIME: s->run.trust_mtime = true; return 0;
    case OPT_MAX_ERROR_RATE:
        return tool_parse_share(optarg, 0, &s->run.max_error_rate)
                   ? 0
                   : tool_usage("score", "--max-error-rate %s: expected a share, 0 to 1", optarg);
    case 'h': s->help = true; return 0;
    default: return tool_bad_option("score", option, argv);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

static int choose_form(struct settings *s)
{
    static const char *const names[] = {"jsonl", "csv", "table"};
    bool terminal = !s->run.results.path && isatty(STDOUT_FILENO);
    s->run.results.form = terminal                                                        ? RESULTS_TABLE
                          : s->run.results.path && ends_with(s->run.results.path, ".csv") ? RESULTS_CSV
                                                                                          : RESULTS_JSONL;
    s->run.results.colour = terminal && !getenv("NO_COLOR");
    for (size_t i = 0; s->format && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(s->format, names[i]) == 0) {
            s->run.results.form = (enum results_form)i;
            return 0;
        }
    return s->format ? tool_usage("score", "--format %s: expected jsonl, csv or table", s->format) : 0;
}

static int parse(struct settings *s, int argc, char **argv)
{
    int option, code;
    s->run.catalogue.separator = '\n';
    s->run.shards.parts = 1;
    s->run.max_error_rate = 1;
    while ((option = getopt_long(argc, argv, ":p:m:o:f:r0qh", options, NULL)) != -1)
        if ((code = set_option(s, option, argv)))
            return code;
    if (s->help)
        return 0;
    s->run.catalogue.paths = argv + optind;
    s->run.catalogue.n_paths = (size_t)(argc - optind);
    code = run_check_paths(&s->run, "score");
    return code ? code : choose_form(s);
}

int tool_score(int argc, char **argv)
{
    struct settings s = {0};
    int code = parse(&s, argc, argv);
    if (code || !s.help)
        return code ? code : run_cards(&s.run);
    fputs(help, stdout);
    return EXIT_DONE;
}
