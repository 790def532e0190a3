/* bgdet score: cards in, a row for each out. */
#include "err.h"
#include "file.h"
#include "flow.h"
#include "model.h"
#include "progress.h"
#include "results.h"
#include "sheet.h"
#include "tools.h"

#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "usage: bgdet score [options] FILE...            files\n"
    "       bgdet score [options] -r FOLDER...       and every file in folders\n"
    "       bgdet score [options] --files-from LIST  names, one a line; - is standard input\n"
    "\n"
    "Judges each card: defective if its background shows text, is not white, shows extra objects, or if the\n"
    "main object is cropped or there more than once. Every input gets a row, in the order given.\n"
    "\n"
    "  -m, --model FILE        model file (default: the one that ships, resnet18-60x80.bgd)\n"
    "  -o, --output FILE       rows to FILE, complete or not there; the unfinished rows stand in FILE.part\n"
    "  -f, --format FORM       jsonl, csv or table (default: table on a terminal, csv for FILE.csv, else jsonl)\n"
    "      --sheet FILE.png    also draw a contact sheet of the first 400 cards with their verdicts\n"
    "      --fail-on defective exit with 1 if any card is defective\n"
    "  -r, --recursive         walk into folders\n"
    "      --files-from LIST   read names from LIST\n"
    "  -0, --null              names in LIST are separated by NUL, not by newlines (find -print0)\n"
    "      --decode HOW        scaled: decode JPEG and WebP no larger than needed (default); exact: every pixel\n"
    "      --device NAME       auto, onednn, ref, cuda (default auto: the fastest that is there)\n"
    "      --threads N         threads that decode and score (default: one per processor)\n"
    "      --batch N           cards scored at once (default: what suits the device)\n"
    "  -q, --quiet             no progress, no summary\n"
    "\n"
    "Exit: 0 every input got a row, 1 --fail-on, 64 usage, 65 unusable input, 66 missing input, 75 try again later.\n";

struct settings {
    struct catalogue_options catalogue;
    struct results_options results;
    struct bgd_engine_options engine;
    const char *model, *sheet, *format;
    uint32_t threads;
    bool exact, quiet, fail_on_defective, help;
};

enum { OPT_FILES_FROM = 256, OPT_SHEET, OPT_FAIL_ON, OPT_DECODE, OPT_DEVICE, OPT_THREADS, OPT_BATCH };

static const struct option options[] = {
    {"model", required_argument, NULL, 'm'},
    {"output", required_argument, NULL, 'o'},
    {"format", required_argument, NULL, 'f'},
    {"sheet", required_argument, NULL, OPT_SHEET},
    {"fail-on", required_argument, NULL, OPT_FAIL_ON},
    {"recursive", no_argument, NULL, 'r'},
    {"files-from", required_argument, NULL, OPT_FILES_FROM},
    {"null", no_argument, NULL, '0'},
    {"decode", required_argument, NULL, OPT_DECODE},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int set_option(struct settings *s, int option, char **argv)
{
    switch (option) {
    case 'm': s->model = optarg; return 0;
    case 'o': s->results.path = optarg; return 0;
    case 'f': s->format = optarg; return 0;
    case OPT_SHEET: s->sheet = optarg; return 0;
    case OPT_FAIL_ON:
        s->fail_on_defective = true;
        return strcmp(optarg, "defective") == 0 ? 0 : tool_usage("score", "--fail-on %s: expected defective", optarg);
    case 'r': s->catalogue.recursive = true; return 0;
    case OPT_FILES_FROM: s->catalogue.list = optarg; return 0;
    case '0': s->catalogue.separator = '\0'; return 0;
    case OPT_DECODE:
        s->exact = strcmp(optarg, "exact") == 0;
        return s->exact || strcmp(optarg, "scaled") == 0 ? 0 : tool_usage("score", "--decode %s: expected scaled or exact", optarg);
    case OPT_DEVICE: s->engine.device = optarg; return 0;
    case OPT_THREADS:
        return tool_parse_count(optarg, 1, 1024, &s->threads) ? 0 : tool_usage("score", "--threads %s: expected 1..1024", optarg);
    case OPT_BATCH:
        return tool_parse_count(optarg, 1, 4096, &s->engine.batch) ? 0 : tool_usage("score", "--batch %s: expected 1..4096", optarg);
    case 'q': s->quiet = true; return 0;
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
    bool terminal = !s->results.path && isatty(STDOUT_FILENO);
    s->results.form = terminal                                                ? RESULTS_TABLE
                      : s->results.path && ends_with(s->results.path, ".csv") ? RESULTS_CSV
                                                                              : RESULTS_JSONL;
    s->results.colour = terminal && !getenv("NO_COLOR");
    for (size_t i = 0; s->format && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(s->format, names[i]) == 0) {
            s->results.form = (enum results_form)i;
            return 0;
        }
    return s->format ? tool_usage("score", "--format %s: expected jsonl, csv or table", s->format) : 0;
}

static int parse(struct settings *s, int argc, char **argv)
{
    int option, code;
    s->catalogue.separator = '\n';
    while ((option = getopt_long(argc, argv, ":m:o:f:r0qh", options, NULL)) != -1)
        if ((code = set_option(s, option, argv)))
            return code;
    if (s->help)
        return 0;
    s->catalogue.paths = argv + optind;
    s->catalogue.n_paths = (size_t)(argc - optind);
    if (s->catalogue.n_paths == 0 && !s->catalogue.list)
        return tool_usage("score", "no cards: name files, folders with -r, or a list with --files-from");
    for (size_t i = 0; i < s->catalogue.n_paths; i++) {
        struct stat st;
        if (!s->catalogue.recursive && stat(argv[optind + (int)i], &st) == 0 && S_ISDIR(st.st_mode))
            return tool_usage("score", "%s is a folder: -r scores the files in it", argv[optind + (int)i]);
    }
    return choose_form(s);
}

/* ---------------------------------------------------------------- the run */

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    stopped = signal;
}

/* The first signal ends the run in good order; the handler is gone then, and a second one kills. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

struct run {
    struct settings settings;
    struct bgd_model *model;
    struct bgd_engine *engine;
    struct catalogue *catalogue;
    struct results *results;
    struct sheet *sheet; /* NULL: none is wanted */
    struct progress progress;
    struct file_buffer file; /* for the sheet's pictures */
    struct bgd_image image;
};

/* The sheet shows more pixels than the classifier sees, so its pictures are decoded anew: scores must not depend on it. */
static int add_to_sheet(struct run *run, const struct flow_row *row, struct bgd_err *err)
{
    if (!run->sheet || row->index >= SHEET_CARDS_MAX)
        return 0;
    struct bgd_err ignored;
    bool decoded = !row->code && file_read(row->id, BGD_IMAGE_BYTES_MAX, &run->file, &ignored) == 0 &&
                   bgd_image_decode(run->file.data, run->file.size, SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT, &run->image,
                                    &ignored) == 0;
    const char *slash = strrchr(row->id, '/');
    const char *name = slash && slash[1] ? slash + 1 : row->id;
    return sheet_add(run->sheet, name, decoded ? &run->image : NULL, row->code ? NULL : &row->result, row->detail, err);
}

static int on_row(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct run *run = user;
    int code = results_add(run->results, row, err);
    if (!code)
        code = add_to_sheet(run, row, err);
    const struct results_counts *counts = results_counts(run->results);
    progress_show(&run->progress, counts->rows, counts->errors, row->progress);
    return code;
}

static int open_model(struct run *run, struct bgd_err *err)
{
    char path[4096];
    const char *named = run->settings.model;
    if (!named && !tool_find_weights("resnet18-60x80.bgd", path, sizeof path))
        return err_set(err, BGD_MISSING, "resnet18-60x80.bgd is neither installed nor in the source tree: name a model file "
                                         "with --model");
    return bgd_model_open(named ? named : path, &run->model, err);
}

static int open_all(struct run *run, struct bgd_err *err)
{
    struct settings *s = &run->settings;
    char hash[HASH_TEXT];
    if (s->threads == 0)
        s->threads = flow_processors();
    s->engine.lanes = s->threads;
    if (open_model(run, err) || bgd_engine_open(run->model, &s->engine, &run->engine, err) ||
        catalogue_open(&s->catalogue, &run->catalogue, err) || (s->sheet && sheet_open(&run->sheet, err)))
        return err->code;
    model_hash_text(run->model, hash);
    s->results.model_hash = strdup(hash);
    if (!s->results.model_hash)
        return err_set(err, BGD_MEMORY, "out of memory");
    return results_open(&s->results, &run->results, err);
}

static void close_all(struct run *run)
{
    results_close(run->results);
    free((char *)(uintptr_t)run->settings.results.model_hash);
    sheet_close(run->sheet);
    catalogue_close(run->catalogue);
    bgd_engine_close(run->engine);
    bgd_model_close(run->model);
    bgd_image_free(&run->image);
    free(run->file.data);
}

static void print_summary(const struct run *run)
{
    const struct results_counts *c = results_counts(run->results);
    double seconds = progress_seconds(&run->progress);
    fprintf(stderr, "%llu %s in %.1f s (%.0f/s) with %s on %s, %u %s: %llu clean, %llu defective, %llu %s\n",
            (unsigned long long)c->rows, c->rows == 1 ? "card" : "cards", seconds, (double)c->rows / seconds,
            run->model->meta.arch, bgd_engine_device(run->engine), run->settings.threads,
            run->settings.threads == 1 ? "thread" : "threads", (unsigned long long)c->clean,
            (unsigned long long)c->defective, (unsigned long long)c->errors, c->errors == 1 ? "error" : "errors");
    const char *separator = "  reasons: ";
    for (int i = 0; i < BGD_REASONS; i++)
        if (c->reasons[i]) {
            fprintf(stderr, "%s%s %llu", separator, bgd_reason_name((enum bgd_reason)i), (unsigned long long)c->reasons[i]);
            separator = ", ";
        }
    if (*separator == ',')
        putc('\n', stderr);
}

static int score(struct run *run)
{
    struct settings *s = &run->settings;
    struct bgd_err err;
    if (open_all(run, &err))
        return tool_fail(&err);
    const struct flow_options flow = {
        .engine = run->engine, .lanes = s->engine.lanes, .threads = s->threads, .exact = s->exact, .stop = &stopped};
    /* A table on the terminal is its own progress, and the two would write over each other. */
    progress_start(&run->progress, !s->quiet && (s->results.path || !isatty(STDOUT_FILENO)));
    catch_signals();
    int code = flow_run(&flow, run->catalogue, on_row, run, &err);
    progress_clear(&run->progress);
    int exit_code = code ? tool_fail(&err) : EXIT_DONE;
    bool complete = !code && !stopped;
    if (results_finish(run->results, complete, &err))
        exit_code = tool_fail(&err);
    const struct results_counts *counts = results_counts(run->results);
    if (run->sheet && counts->rows > 0 && sheet_write(run->sheet, s->sheet, &err))
        exit_code = tool_fail(&err);
    if (!s->quiet)
        print_summary(run);
    if (!complete) {
        fprintf(stderr, "bgdet: stopped%s; the rows of the first %llu cards stand in %s\n", stopped ? " by a signal" : "",
                (unsigned long long)counts->rows, results_place(run->results));
        return exit_code ? exit_code : EXIT_RETRY;
    }
    return exit_code ? exit_code : s->fail_on_defective && counts->defective ? EXIT_FOUND : EXIT_DONE;
}

int tool_score(int argc, char **argv)
{
    struct run run = {0};
    int code = parse(&run.settings, argc, argv);
    if (code || run.settings.help) {
        if (!code)
            fputs(help, stdout);
        return code;
    }
    code = score(&run);
    close_all(&run);
    return code;
}
