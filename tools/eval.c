/* bgdet eval: how right a pipeline is on labelled cards. */
#include "eval.h"
#include "err.h"
#include "pictures.h"
#include "sheet.h"
#include "tools.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRAWS 1000
#define SEED 20261124
#define MISTAKES 48 /* in a report */

struct settings {
    struct session_settings session;
    struct calibrate_settings calibrate;
    const char *root, *report;
    bool wants_calibration, wants_target, json;
};

static bool set_calibrate(void *settings, const char *value)
{
    struct settings *s = settings;
    s->wants_calibration = true;
    s->calibrate.method = value && strcmp(value, "platt") == 0 ? FIT_PLATT : FIT_TEMPERATURE;
    return !value || s->calibrate.method == FIT_PLATT || strcmp(value, "temperature") == 0;
}

static bool set_target(void *settings, const char *value)
{
    static const char precision[] = "precision=";
    struct settings *s = settings;
    struct fit_target *target = &s->calibrate.target;
    s->wants_target = true;
    target->f1 = strcmp(value, "f1") == 0;
    if (target->f1)
        return true;
    if (strncmp(value, precision, strlen(precision)) != 0)
        return false;
    const char *number = value + strlen(precision);
    char *end;
    target->precision = strtod(number, &end);
    return end != number && !*end && target->precision >= 0 && target->precision <= 1;
}

static bool set_review(void *settings, const char *value)
{
    struct settings *s = settings;
    float *review = s->calibrate.review;
    const char *colon = strchr(value, ':');
    return colon && tool_parse_share(value, ':', &review[0]) && tool_parse_share(colon + 1, '\0', &review[1]) &&
           review[0] < review[1];
}

static const struct option_entry own_options[] = {
    {0, "labels", "FILE", "the labelled cards", OPTION_FILE(struct settings, calibrate.labels)},
    {0, "root", "FOLDER", "where their files are looked for (default: the folder of LABELS.csv)",
     OPTION_FOLDER(struct settings, root)},
    {0, "json", NULL, "one JSON object instead of tables", OPTION_FLAG(struct settings, json)},
    {0, "report", "FOLDER", "also write FOLDER/index.html: the same with curves, and the worst mistakes as pictures",
     OPTION_FOLDER(struct settings, report)},
    {0},
};

static const struct option_entry calibration_options[] = {
    {0, "calibrate", "[=HOW]",
     "fit the classifier's outputs to these labels, one temperature each (HOW: temperature, default) or a Platt pair each "
     "(platt), and its thresholds, and write its model file with them; with few cards, P is drawn towards the middle: take a "
     "hundred or more",
     OPTION_PARSED_CHOICE(set_calibrate, "temperature", "platt")},
    {0, "target", "WHAT", "f1: thresholds of the highest F1 (default); precision=P: of the most recall at precision P",
     OPTION_PARSED(set_target, "f1, or precision=P with P of 0..1"), OPTION_OFFERS("f1", "precision=")},
    {0, "review", "LO:HI",
     "cards with LO <= P(defective) < HI get the verdict \"review\" (default: the band that the model has, if any); the "
     "threshold must lie between them",
     OPTION_PARSED(set_review, "LO:HI with 0 <= LO < HI <= 1")},
    {'o', "output", "MODEL", "the model file to write; it may be the one that is read",
     OPTION_FILE(struct settings, calibrate.output)},
    {0},
};

static const struct option_group groups[] = {
    {"Evaluation", own_options, 0},
    {"Calibration", calibration_options, 0},
    {"Judging", session_options, offsetof(struct settings, session)},
    {0},
};

static const struct command_exit exits[] = {
    {EXIT_DONE, "evaluated (cards that could not be judged are listed and counted)"},
    {EXIT_USAGE, "usage"},
    {EXIT_INPUT, "unusable labels or model, or no card could be judged"},
    {EXIT_MISSING, "no such file"},
    {EXIT_RETRY, "try again later, or no such device"},
    {0},
};

/* What only makes sense together. 0 or an exit code. */
static int check(const struct settings *s, int n_operands, char **operands)
{
    if (n_operands > 0)
        return tool_usage("eval", "%s: cards are named by the labels, not on the command line", operands[0]);
    if (!s->calibrate.labels)
        return tool_usage("eval", "no --labels LABELS.csv");
    if (s->wants_calibration && !s->calibrate.output)
        return tool_usage("eval", "--calibrate writes a model file: name it with --output (it may be the one that is read)");
    if (!s->wants_calibration && (s->wants_target || s->calibrate.review[1] > 0 || s->calibrate.output))
        return tool_usage("eval", "--target, --review and --output say what --calibrate is to do, which is missing");
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
    const struct catalogue_options names = {
        .paths = paths, .n_paths = n, .literal = true, .separator = '\n', .wake = session_wake()};
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

static int run(int argc, char **argv)
{
    struct settings s = {.calibrate = {.target = {.f1 = true}}};
    int code;
    if (!options_parse(&tool_eval, &s, &argc, &argv, &code) || (code = check(&s, argc, argv)))
        return code;
    s.session.engine.uncalibrated = s.wants_calibration;
    struct eval eval = {.settings = &s};
    struct bgd_err err;
    code = evaluate(&eval, &err) ? tool_fail(&err) : EXIT_DONE;
    close_all(&eval);
    return code;
}

const struct command tool_eval = {
    .name = "eval",
    .summary = "say how right verdicts are on labelled cards, and calibrate a model",
    .synopsis = {"--labels LABELS.csv [options]"},
    .text =
        "Judges labelled cards and says how right that was: accuracy, cross-entropy, confusion matrix; precision, recall, F1, "
        "ROC-AUC, average precision and calibration error of the verdict and of each reason; of all cards and of each group; "
        "with 95 % intervals (1,000 bootstrap draws, always the same).\n"
        "LABELS.csv has the columns file,clean,text,not_white,extra_objects,cropped,duplicates and, if cards come in groups, "
        "group. 1 is yes, 0 is no; a reason that nobody has looked for stays empty. src/eval/labels.h has the details.",
    .groups = groups,
    .exits = exits,
    .run = run,
};
