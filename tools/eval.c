/* bgdet eval: how right a pipeline is on labelled cards. */
#include "eval.h"
#include "err.h"
#include "pictures.h"
#include "sheet.h"
#include "tools.h"
#include "utf8.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: bgdet eval --labels LABELS.csv [options]\n"
    "\n"
    "Judges labelled cards and says how right that was: accuracy, cross-entropy, confusion matrix; precision, recall, F1,\n"
    "ROC-AUC, average precision and calibration error of the verdict and of each reason; of all cards and of each group; with\n"
    "95 % intervals (1,000 bootstrap draws, always the same).\n"
    "\n"
    "LABELS.csv has the columns file,clean,text,not_white,extra_objects,cropped,duplicates and, if cards come in groups, "
    "group.\n"
    "1 is yes, 0 is no; a reason that nobody has looked for stays empty. src/eval/labels.h has the details.\n"
    "\n"
    "      --labels FILE       the labelled cards\n"
    "      --root FOLDER       where their files are looked for (default: the folder of LABELS.csv)\n"
    "  -p, --pipeline FILE     what judges: a pipeline file (JSON) or a classifier's model file (default: the one that ships,\n"
    "                          pipelines/default.json); also -m, --model\n"
    "      --json              one JSON object instead of tables\n"
    "      --report FOLDER     also write FOLDER/index.html: the same with curves, and the worst mistakes as pictures\n"
    "      --calibrate[=HOW]   fit the classifier's outputs to these labels, one temperature each (HOW: temperature, default)\n"
    "                          or a Platt pair each (platt), and its thresholds, and write its model file with them; with few\n"
    "                          cards, P is drawn towards the middle: take a hundred or more\n"
    "      --target WHAT       f1: thresholds of the highest F1 (default); precision=P: of the most recall at precision P\n"
    "      --review LO:HI      with --calibrate: cards with LO <= P(defective) < HI get the verdict \"review\" (default:\n"
    "                          the band that the model has, if any); the threshold must lie between them\n"
    "  -o, --output MODEL      with --calibrate: the model file to write; it may be the one that is read\n"
    "      --decode HOW        scaled: decode JPEG and WebP no larger than needed (default); exact: every pixel\n"
    "      --device NAME       auto, onednn, ref, cuda (default auto: the fastest that is there)\n"
    "      --precision P       auto, f32, f16, bf16 (default auto: f16 on cuda, f32 on a CPU)\n"
    "      --threads N         threads that decode and score (default: one per processor)\n"
    "  -q, --quiet             no progress\n"
    "\n"
    "Exit: 0 evaluated (cards that could not be judged are listed and counted), 64 usage, 65 unusable labels or model, or no\n"
    "card could be judged, 66 no such file, 75 try again later, or no such device.\n";

#define DRAWS 1000
#define SEED 20261124
#define MISTAKES 48 /* in a report */

struct settings {
    struct session_settings session;
    struct calibrate_settings calibrate;
    const char *root, *report;
    bool wants_calibration, wants_target, json, help;
};

enum { OPT_LABELS = 256, OPT_ROOT, OPT_JSON, OPT_REPORT, OPT_CALIBRATE, OPT_TARGET, OPT_REVIEW };

static const struct option options[] = {
    {"labels", required_argument, NULL, OPT_LABELS},
    {"root", required_argument, NULL, OPT_ROOT},
    {"pipeline", required_argument, NULL, 'p'},
    {"model", required_argument, NULL, 'm'},
    {"json", no_argument, NULL, OPT_JSON},
    {"report", required_argument, NULL, OPT_REPORT},
    {"calibrate", optional_argument, NULL, OPT_CALIBRATE},
    {"target", required_argument, NULL, OPT_TARGET},
    {"review", required_argument, NULL, OPT_REVIEW},
    {"output", required_argument, NULL, 'o'},
    {"decode", required_argument, NULL, SESSION_DECODE},
    {"device", required_argument, NULL, SESSION_DEVICE},
    {"precision", required_argument, NULL, SESSION_PRECISION},
    {"threads", required_argument, NULL, SESSION_THREADS},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static int set_target(struct fit_target *target)
{
    static const char precision[] = "precision=";
    target->f1 = strcmp(optarg, "f1") == 0;
    if (target->f1)
        return 0;
    char *end = optarg;
    if (strncmp(optarg, precision, strlen(precision)) == 0)
        target->precision = strtod(optarg + strlen(precision), &end);
    if (end == optarg || end == optarg + strlen(precision) || *end || !(target->precision >= 0 && target->precision <= 1))
        return tool_usage("eval", "--target %s: expected f1, or precision=P with P of 0..1", optarg);
    return 0;
}

static int set_review(float review[2])
{
    const char *colon = strchr(optarg, ':');
    if (!colon || !tool_parse_share(optarg, ':', &review[0]) || !tool_parse_share(colon + 1, '\0', &review[1]) ||
        review[0] >= review[1])
        return tool_usage("eval", "--review %s: expected LO:HI with 0 <= LO < HI <= 1", optarg);
    return 0;
}

static int set_option(struct settings *s, int option, char **argv)
{
    int code = session_set_option(&s->session, "eval", option);
    if (code != SESSION_OTHER)
        return code;
    switch (option) {
    case OPT_LABELS: s->calibrate.labels = optarg; return 0;
    case OPT_ROOT: s->root = optarg; return 0;
    case OPT_JSON: s->json = true; return 0;
    case OPT_REPORT: s->report = optarg; return 0;
    case OPT_CALIBRATE:
        s->wants_calibration = true;
        s->calibrate.method = optarg && strcmp(optarg, "platt") == 0 ? FIT_PLATT : FIT_TEMPERATURE;
        return !optarg || strcmp(optarg, "temperature") == 0 || strcmp(optarg, "platt") == 0
                   ? 0
                   : tool_usage("eval", "--calibrate=%s: expected temperature or platt", optarg);
    case OPT_TARGET: s->wants_target = true; return set_target(&s->calibrate.target);
    case OPT_REVIEW: return set_review(s->calibrate.review);
    case 'o': s->calibrate.output = optarg; return 0;
    case 'h': s->help = true; return 0;
    default: return tool_bad_option("eval", option, argv);
    }
}

static int parse(struct settings *s, int argc, char **argv)
{
    int option, code;
    while ((option = getopt_long(argc, argv, ":p:m:o:qh", options, NULL)) != -1)
        if ((code = set_option(s, option, argv)))
            return code;
    if (s->help)
        return 0;
    if (optind < argc)
        return tool_usage("eval", "%s: cards are named by the labels, not on the command line", argv[optind]);
    if (!s->calibrate.labels)
        return tool_usage("eval", "no --labels LABELS.csv");
    if (s->wants_calibration && !s->calibrate.output)
        return tool_usage("eval", "--calibrate writes a model file: name it with --output (it may be the one that is read)");
    if (!s->wants_calibration && (s->wants_target || s->calibrate.review[1] > 0 || s->calibrate.output))
        return tool_usage("eval", "--target, --review and --output say what --calibrate is to do, which is missing");
    s->session.engine.uncalibrated = s->wants_calibration;
    return 0;
}

/* ---------------------------------------------------------------- the cards */

struct eval {
    const struct settings *settings;
    struct session session;
    struct labels *labels;
    struct evaluation *evaluation;
    char **paths; /* one per label */
    float thresholds[OUTPUTS];
    struct pictures pictures;
    struct report_mistake mistakes[MISTAKES];
    size_t n_mistakes;
};

static int find_cards(struct eval *eval, struct bgd_err *err)
{
    const char *root = eval->settings->root ? eval->settings->root : eval->settings->calibrate.labels;
    const char *slash = strrchr(root, '/');
    size_t length = eval->settings->root ? strlen(root) : slash == root ? 1 : slash ? (size_t)(slash - root) : 0;
    eval->paths = calloc(eval->labels->count, sizeof *eval->paths);
    for (size_t i = 0; eval->paths && i < eval->labels->count; i++)
        if (!(eval->paths[i] = tool_join(root, length, eval->labels->rows[i].file)))
            return err_set(err, BGD_MEMORY, "out of memory");
    return eval->paths ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static int open_all(struct eval *eval, struct bgd_err *err)
{
    const struct settings *s = eval->settings;
    if (labels_open(s->calibrate.labels, &eval->labels, err) || find_cards(eval, err) ||
        session_open(&s->session, &eval->session, err) || evaluation_open(eval->labels, &eval->evaluation, err))
        return err->code;
    if ((s->wants_calibration && calibrate_check_output(s->calibrate.output, err)) ||
        (s->report && tool_make_report_folder(s->report, err)))
        return err->code;
    if (*eval->labels->ignored) {
        fputs("bgdet: columns that are not read: ", stderr);
        utf8_print(stderr, eval->labels->ignored);
        putc('\n', stderr);
    }
    const struct meta *meta = &eval->session.pipeline->classifier->meta;
    for (int i = 0; i < OUTPUTS; i++) {
        int label = meta_label(meta, output_name(i));
        eval->thresholds[i] = label < 0 ? 0.5f : meta->thresholds[label];
    }
    return 0;
}

static void close_all(struct eval *eval)
{
    for (size_t i = 0; i < eval->n_mistakes; i++) {
        bgd_image_free(&eval->mistakes[i].image);
        bgd_image_free(&eval->mistakes[i].mask);
        bgd_image_free(&eval->mistakes[i].judged);
    }
    for (size_t i = 0; eval->paths && i < eval->labels->count; i++)
        free(eval->paths[i]);
    free(eval->paths);
    pictures_free(&eval->pictures);
    evaluation_close(eval->evaluation);
    labels_close(eval->labels);
    session_close(&eval->session);
}

/* Runs `n` cards by their paths. BGD_OK with session_stopped() where a signal ended it. */
static int run_paths(struct eval *eval, char *const *paths, size_t n, bool masks, flow_sink sink, struct bgd_err *err)
{
    const struct catalogue_options names = {.paths = paths, .n_paths = n, .separator = '\n', .wake = session_wake()};
    struct catalogue *catalogue;
    if (catalogue_open(&names, &catalogue, err))
        return err->code;
    const struct flow_options wants = {.masks = masks};
    int code = session_run(&eval->session, catalogue, &wants, PROGRESS_BAR, sink, eval, err);
    catalogue_close(catalogue);
    return code;
}

static int on_card(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct eval *eval = user;
    progress_show(&eval->session.progress, row->index + 1, eval->evaluation->failed, row->progress);
    return evaluation_add(eval->evaluation, row, err);
}

/* ---------------------------------------------------------------- the report */

static void take_image(struct bgd_image *from, struct bgd_image *to)
{
    *to = *from;
    *from = (struct bgd_image){0};
}

static int on_mistake(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct eval *eval = user;
    struct report_mistake *mistake = &eval->mistakes[row->index];
    (void)err;
    if (row->code)
        return 0;
    if (row->mask && pictures_mask(&eval->session, row->mask, &mistake->mask))
        pictures_judged(&eval->pictures, &eval->session, row, &mistake->judged);
    if (pictures_decode(&eval->pictures, row, SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT))
        take_image(&eval->pictures.image, &mistake->image);
    return 0;
}

/* The worst mistakes are judged once more, for their masks: those of all cards would not fit in memory. */
static int collect_mistakes(struct eval *eval, struct bgd_err *err)
{
    size_t worst[MISTAKES];
    char *paths[MISTAKES];
    eval->n_mistakes = evaluation_worst(eval->evaluation, worst, MISTAKES);
    for (size_t i = 0; i < eval->n_mistakes; i++) {
        eval->mistakes[i].card = worst[i];
        paths[i] = eval->paths[worst[i]];
    }
    return run_paths(eval, paths, eval->n_mistakes, bgd_engine_mask_width(eval->session.engine) > 0, on_mistake, err);
}

static int write_report(struct eval *eval, struct report *report, struct bgd_err *err)
{
    char *path = NULL;
    if (collect_mistakes(eval, err))
        return err->code;
    report->mistakes = eval->mistakes;
    report->n_mistakes = eval->n_mistakes;
    if (asprintf(&path, "%s/index.html", eval->settings->report) < 0)
        return err_set(err, BGD_MEMORY, "out of memory");
    int code = report_write(report, path, err);
    if (!code)
        fprintf(stderr, "%s: written\n", path);
    free(path);
    return code;
}

/* ---------------------------------------------------------------- the command */

static int evaluate(struct eval *eval, struct bgd_err *err)
{
    const struct settings *s = eval->settings;
    if (open_all(eval, err) || run_paths(eval, eval->paths, eval->labels->count, false, on_card, err))
        return err->code;
    if (session_stopped())
        return err_set(err, BGD_WRITE, "stopped by a signal: nothing is evaluated");
    if (eval->evaluation->judged == 0)
        return err_set(err, BGD_UNREADABLE, "%s: none of its %zu cards could be judged; the first: %s: %s%s",
                       s->calibrate.labels, eval->labels->count, eval->paths[0], eval->evaluation->cards[0].detail,
                       s->root ? "" : " (--root names the folder that files are looked for in)");
    session_let_go();
    char hash[HASH_TEXT];
    snprintf(hash, sizeof hash, "%s", bgd_pipeline_hash(eval->session.pipeline));
    if (s->wants_calibration && calibrate_model(&s->calibrate, &eval->session, eval->evaluation, eval->thresholds, hash, err))
        return err->code;
    if (evaluation_measure(eval->evaluation, eval->thresholds, DRAWS, SEED, err))
        return err->code;
    struct report report = {.evaluation = eval->evaluation,
                            .title = s->calibrate.labels,
                            .pipeline = bgd_pipeline_name(eval->session.pipeline),
                            .model_hash = hash,
                            .device = bgd_engine_device(eval->session.engine),
                            .fitted = s->wants_calibration ||
                                      calibrate_was_on(eval->session.pipeline->classifier, eval->labels->hash)};
    if (!s->json)
        eval_print(stdout, &report);
    else if (eval_print_json(stdout, &report, err))
        return err->code;
    return s->report ? write_report(eval, &report, err) : 0;
}

int tool_eval(int argc, char **argv)
{
    struct settings s = {.calibrate = {.target = {.f1 = true}}};
    int code = parse(&s, argc, argv);
    if (code)
        return code;
    if (s.help) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    struct eval eval = {.settings = &s};
    struct bgd_err err;
    code = evaluate(&eval, &err) ? tool_fail(&err) : EXIT_DONE;
    close_all(&eval);
    return code;
}
