#include "run.h"

#include "err.h"
#include "file.h"
#include "mask.h"
#include "pipeline.h"
#include "pngfile.h"
#include "progress.h"
#include "sheet.h"
#include "tools.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

int run_set_option(struct run_settings *s, const char *command, int option)
{
    switch (option) {
    case 'p':
    case 'm': s->pipeline = optarg; return 0;
    case 'r': s->catalogue.recursive = true; return 0;
    case 'q': s->quiet = true; return 0;
    case RUN_DECODE:
        s->exact = strcmp(optarg, "exact") == 0;
        return s->exact || strcmp(optarg, "scaled") == 0 ? 0
                                                         : tool_usage(command, "--decode %s: expected scaled or exact", optarg);
    case RUN_DEVICE: s->engine.device = optarg; return 0;
    case RUN_PRECISION:
        return tool_parse_precision(optarg, &s->engine.precision)
                   ? 0
                   : tool_usage(command, "--precision %s: expected auto, f32, f16 or bf16", optarg);
    case RUN_THREADS:
        return tool_parse_count(optarg, 1, 1024, &s->threads) ? 0
                                                              : tool_usage(command, "--threads %s: expected 1..1024", optarg);
    default: return RUN_OTHER;
    }
}

int run_check_paths(const struct run_settings *s, const char *command)
{
    if (s->catalogue.n_paths == 0 && !s->catalogue.list)
        return tool_usage(command, "no cards: name files, folders with -r%s",
                          strcmp(command, "score") == 0 ? ", or a list with --files-from" : "");
    for (size_t i = 0; i < s->catalogue.n_paths; i++) {
        struct stat st;
        if (!s->catalogue.recursive && stat(s->catalogue.paths[i], &st) == 0 && S_ISDIR(st.st_mode))
            return tool_usage(command, "%s is a folder: -r takes the files in it", s->catalogue.paths[i]);
    }
    return 0;
}

/* ---------------------------------------------------------------- the run */

static volatile sig_atomic_t stopped;
static int wake = -1; /* an eventfd: ends the wait for a list's producer */

static void on_signal(int number)
{
    static const uint64_t one = 1;
    int kept = errno;
    stopped = number;
    signal(SIGINT, SIG_DFL); /* a second one kills */
    signal(SIGTERM, SIG_DFL);
    if (write(wake, &one, sizeof one) < 0)
        errno = kept; /* it is full, so it is readable */
    errno = kept;
}

/* The first signal ends the run in good order. One that our parent has told us to ignore stays ignored. */
static int catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && wake >= 0; i++) {
        struct sigaction action = {.sa_handler = on_signal}, old;
        sigemptyset(&action.sa_mask);
        sigaddset(&action.sa_mask, SIGINT);
        sigaddset(&action.sa_mask, SIGTERM);
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
    return wake < 0 ? -1 : 0;
}

struct run {
    struct run_settings *settings;
    struct bgd_pipeline *pipeline;
    struct bgd_engine *engine;
    struct catalogue *catalogue;
    struct results *results;
    struct sheet *sheet; /* NULL: none is wanted */
    const char *own[5];  /* what a walk leaves out: the run's own files, and the folder of its masks */
    struct progress progress;
    struct flow_report report;
    struct file_buffer file; /* for what is shown */
    struct bgd_image image;
    struct feed_scratch scratch;
};

/* ---------------------------------------------------------------- pictures */

/* The card at its own shape, decoded anew: scores must not depend on what is shown. */
static bool decode_again(struct run *run, const struct flow_row *row, uint32_t width, uint32_t height, struct bgd_image *image)
{
    struct bgd_err ignored;
    return file_read(row->id, BGD_IMAGE_BYTES_MAX, &run->file, &ignored) == 0 &&
           bgd_image_decode(run->file.data, run->file.size, width, height, image, &ignored) == 0;
}

/* The mask as grey RGB of its own size. */
static int mask_picture(const struct run *run, const struct flow_row *row, struct bgd_image *out)
{
    uint32_t width = bgd_engine_mask_width(run->engine), height = bgd_engine_mask_height(run->engine);
    *out = (struct bgd_image){.rgb = malloc((size_t)width * height * 3), .width = width, .height = height};
    if (!out->rgb)
        return BGD_MEMORY;
    for (size_t i = 0; i < (size_t)width * height; i++)
        memset(out->rgb + 3 * i, (int)(fminf(fmaxf(row->mask[i], 0), 1) * 255 + 0.5f), 3);
    return 0;
}

/* What the classifier saw of the card, its normalisation undone. Four channels are shown on the fill colour, too. */
static int judged_picture(struct run *run, const struct flow_row *row, struct bgd_image *out)
{
    struct feed_spec spec = run->pipeline->classifier->meta.input;
    size_t plane = (size_t)spec.width * spec.height;
    float *chw = malloc(plane * 3 * sizeof *chw);
    struct bgd_err ignored;
    for (int c = 0; c < 3; c++) {
        spec.mean[c] = 0;
        spec.std[c] = 1;
    }
    spec.channels = 3;
    const struct feed_mask mask = {row->mask, bgd_engine_mask_width(run->engine), bgd_engine_mask_height(run->engine),
                                   run->pipeline->threshold};
    uint32_t width = run->settings->exact ? 0 : bgd_engine_width(run->engine);
    uint32_t height = run->settings->exact ? 0 : bgd_engine_height(run->engine);
    *out = (struct bgd_image){.rgb = malloc(plane * 3), .width = spec.width, .height = spec.height};
    bool made = chw && out->rgb && decode_again(run, row, width, height, &run->image) &&
                feed_image(&run->image, &mask, &spec, &run->scratch, chw, &ignored) == 0;
    for (size_t i = 0; i < plane * 3 && made; i++)
        out->rgb[i] = (uint8_t)(fminf(fmaxf(chw[i % 3 * plane + i / 3], 0), 1) * 255 + 0.5f);
    free(chw);
    return made ? 0 : BGD_MEMORY;
}

static int add_to_sheet(struct run *run, const struct flow_row *row, struct bgd_err *err)
{
    if (!run->sheet || row->index >= SHEET_CARDS_MAX)
        return 0;
    const char *slash = strrchr(row->id, '/');
    struct bgd_image mask = {0}, judged = {0};
    struct sheet_card card = {
        .name = slash && slash[1] ? slash + 1 : row->id, .result = row->code ? NULL : &row->result, .error = row->detail};
    if (!row->code && run->settings->cut_out && row->mask && mask_picture(run, row, &mask) == 0 &&
        judged_picture(run, row, &judged) == 0) {
        card.mask = &mask;
        card.judged = &judged;
    }
    if (!row->code && decode_again(run, row, SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT, &run->image))
        card.image = &run->image;
    int code = sheet_add(run->sheet, &card, err);
    bgd_image_free(&mask);
    bgd_image_free(&judged);
    return code;
}

/* FOLDER/ID.png, with the folders that ID names; what would lead out of FOLDER ("..", a leading "/") does not. */
static char *mask_path(const char *folder, const char *id)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.png", folder, id + strspn(id, "/")) < 0)
        return NULL;
    for (char *part = path + strlen(folder); part; part = strchr(part + 1, '/'))
        if (strncmp(part, "/..", 3) == 0 && (part[3] == '/' || part[3] == 0))
            memcpy(part, "/__", 3);
    for (char *part = strchr(path + strlen(folder) + 1, '/'); part; part = strchr(part + 1, '/')) {
        *part = 0;
        mkdir(path, 0777);
        *part = '/';
    }
    return path;
}

/* The folder that a path's last name lies in. */
static bool folder_of(const char *path, struct stat *st)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    bool found = folder && stat(folder, st) == 0;
    free(folder);
    return found;
}

/* A mask beside its card could be another card's file, and would be a card itself for the next run. */
static bool lies_beside(const char *mask, const char *card)
{
    struct stat a, b;
    return folder_of(mask, &a) && folder_of(card, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

#define MASK_NAME_MAX 220 /* of the 255 bytes that a name may have; the rest is for the temporary file's */

static int write_mask(struct run *run, const struct flow_row *row, struct bgd_err *err)
{
    if (!run->settings->masks || row->code)
        return 0;
    char *path = mask_path(run->settings->masks, row->id);
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (slash && strlen(slash + 1) > MASK_NAME_MAX) {
        fprintf(stderr, "bgdet: %s: no mask, its name would be too long\n", row->id);
        free(path);
        return 0;
    }
    if (path && lies_beside(path, row->id)) {
        err_set(err, BGD_ARGUMENT, "%s: its mask would lie among the cards: name another folder for --masks", row->id);
        free(path);
        return err->code;
    }
    uint8_t *grey = malloc((size_t)row->width * row->height);
    int code;
    if (!path || !grey) {
        code = err_set(err, BGD_MEMORY, "%s: out of memory for its mask", row->id);
    } else {
        mask_enlarge(row->mask, bgd_engine_mask_width(run->engine), bgd_engine_mask_height(run->engine), grey, row->width,
                     row->height);
        code = pngfile_write_grey(path, grey, row->width, row->height, err);
    }
    free(path);
    free(grey);
    return code;
}

static int on_row(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct run *run = user;
    int code = results_add(run->results, row, err);
    if (!code)
        code = add_to_sheet(run, row, err);
    if (!code)
        code = write_mask(run, row, err);
    const struct results_counts *counts = results_counts(run->results);
    progress_show(&run->progress, counts->rows, counts->errors, row->progress);
    return code;
}

static int open_pipeline(struct run *run, struct bgd_err *err)
{
    static const char shipped[] = "pipelines/default.json";
    char path[4096];
    const char *named = run->settings->pipeline;
    if (!named && !tool_find_data(shipped, path, sizeof path))
        return err_set(err, BGD_MISSING,
                       "%s is neither installed nor in the source tree: name a pipeline or model file with "
                       "--pipeline",
                       shipped);
    return bgd_pipeline_open(named ? named : path, &run->pipeline, err);
}

/* A name for the same file or folder; devices may be both read and written. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino &&
           (S_ISREG(x.st_mode) || S_ISDIR(x.st_mode));
}

/* An output over a card, or over the other output, would destroy it. */
static int check_outputs(const struct run_settings *s, struct bgd_err *err)
{
    const char *const outputs[] = {s->results.path, s->sheet}, *const inputs[] = {s->catalogue.list, s->pipeline};
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; outputs[i] && k < 2; k++)
            if (inputs[k] && same_file(outputs[i], inputs[k]))
                return err_set(err, BGD_ARGUMENT, "%s is an input of this run: it would be overwritten", outputs[i]);
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; outputs[i] && k < s->catalogue.n_paths; k++)
            if (same_file(outputs[i], s->catalogue.paths[k]))
                return err_set(err, BGD_ARGUMENT, "%s is one of the cards: it would be overwritten", outputs[i]);
    for (size_t k = 0; s->masks && k < s->catalogue.n_paths; k++)
        if (same_file(s->masks, s->catalogue.paths[k]))
            return err_set(err, BGD_ARGUMENT, "--masks %s is one of the folders of cards: masks would be taken for cards",
                           s->masks);
    if (s->results.path && s->sheet && (strcmp(s->results.path, s->sheet) == 0 || same_file(s->results.path, s->sheet)))
        return err_set(err, BGD_ARGUMENT, "%s is to hold both the rows and the sheet", s->sheet);
    return 0;
}

static int open_all(struct run *run, struct bgd_err *err)
{
    struct run_settings *s = run->settings;
    if (s->threads == 0)
        s->threads = flow_processors();
    s->engine.lanes = s->threads;
    if (catch_signals())
        return err_set(err, BGD_MEMORY, "no event descriptor: %s", strerror(errno));
    if (check_outputs(s, err))
        return err->code;
    s->catalogue.wake = &wake;
    if (open_pipeline(run, err) || bgd_engine_open(run->pipeline, &s->engine, &run->engine, err) ||
        (s->sheet && sheet_open(&run->sheet, err)))
        return err->code;
    if (s->masks && bgd_engine_mask_width(run->engine) == 0)
        return err_set(err, BGD_ARGUMENT, "--masks: the pipeline %s has no segmenter", bgd_pipeline_name(run->pipeline));
    if (s->masks && mkdir(s->masks, 0777) && errno != EEXIST)
        return err_set(err, BGD_WRITE, "%s: %s", s->masks, strerror(errno));
    s->results.model_hash = bgd_pipeline_hash(run->pipeline);
    if (results_open(&s->results, &run->results, err))
        return err->code;
    const char *const own[] = {s->results.path ? results_place(run->results) : NULL, s->results.path, s->sheet, s->masks};
    for (size_t i = 0, n = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i])
            run->own[n++] = own[i];
    s->catalogue.skip = run->own;
    return catalogue_open(&s->catalogue, &run->catalogue, err);
}

static void close_all(struct run *run)
{
    results_close(run->results);
    sheet_close(run->sheet);
    catalogue_close(run->catalogue);
    bgd_engine_close(run->engine);
    bgd_pipeline_close(run->pipeline);
    feed_scratch_free(&run->scratch);
    bgd_image_free(&run->image);
    free(run->file.data);
}

static void print_summary(const struct run *run)
{
    const struct results_counts *c = results_counts(run->results);
    double seconds = progress_seconds(&run->progress);
    fprintf(stderr, "%llu %s in %.1f s (%.0f/s) with %s on %s, %u %s: %llu clean, %llu defective, %llu %s\n",
            (unsigned long long)c->rows, c->rows == 1 ? "card" : "cards", seconds, (double)c->rows / seconds,
            bgd_pipeline_name(run->pipeline), bgd_engine_device(run->engine), run->settings->threads,
            run->settings->threads == 1 ? "thread" : "threads", (unsigned long long)c->clean, (unsigned long long)c->defective,
            (unsigned long long)c->errors, c->errors == 1 ? "error" : "errors");
    const char *separator = "  reasons: ";
    for (int i = 0; i < BGD_REASONS; i++)
        if (c->reasons[i]) {
            fprintf(stderr, "%s%s %llu", separator, bgd_reason_name((enum bgd_reason)i), (unsigned long long)c->reasons[i]);
            separator = ", ";
        }
    if (*separator == ',')
        putc('\n', stderr);
    struct bgd_engine_seconds engine = bgd_engine_seconds(run->engine);
    double n = c->rows ? (double)c->rows / 1000 : 1;
    fprintf(stderr, "  milliseconds of a thread per card: read %.2f, decode %.2f, ", run->report.read / n,
            run->report.decode / n);
    if (bgd_engine_mask_width(run->engine))
        fprintf(stderr, "segment %.2f, ", engine.segment / n);
    fprintf(stderr, "classify %.2f\n", engine.classify / n);
}

static int run_opened(struct run *run)
{
    struct run_settings *s = run->settings;
    struct bgd_err err;
    bool masks = bgd_engine_mask_width(run->engine) && (s->masks || (s->sheet && s->cut_out));
    const struct flow_options flow = {
        .engine = run->engine, .threads = s->threads, .exact = s->exact, .masks = masks, .stop = &stopped, .wake = &wake};
    if (!s->quiet && *bgd_engine_passed_over(run->engine))
        fprintf(stderr, "bgdet: on the CPU (%s), since %s\n", bgd_engine_device(run->engine),
                bgd_engine_passed_over(run->engine));
    if (bgd_engine_halved(run->engine))
        fprintf(stderr, "bgdet: the device's memory holds batches of %u, not more\n", bgd_engine_batch(run->engine));
    /* A table on the terminal is its own progress, and the two would write over each other. */
    progress_start(&run->progress, !s->quiet && (s->results.path || !isatty(STDOUT_FILENO)));
    int code = flow_run(&flow, run->catalogue, on_row, run, &run->report, &err);
    progress_clear(&run->progress);
    int exit_code = code ? tool_fail(&err) : EXIT_DONE;
    bool complete = run->report.ended;
    if (results_finish(run->results, complete, &err))
        exit_code = tool_fail(&err);
    const struct results_counts *counts = results_counts(run->results);
    if (run->sheet && counts->rows > 0 && sheet_write(run->sheet, s->sheet, &err))
        exit_code = tool_fail(&err);
    if (!s->quiet)
        print_summary(run);
    if (!complete) {
        fprintf(stderr, "bgdet: stopped%s; the rows of the first %llu cards stand in %s\n", stopped ? " by a signal" : "",
                (unsigned long long)counts->safe, results_place(run->results));
        return exit_code ? exit_code : EXIT_RETRY;
    }
    return exit_code ? exit_code : s->fail_on_defective && counts->defective ? EXIT_FOUND : EXIT_DONE;
}

int run_cards(struct run_settings *settings)
{
    struct run run = {.settings = settings};
    struct bgd_err err;
    int code = open_all(&run, &err) ? tool_fail(&err) : run_opened(&run);
    close_all(&run);
    return code;
}
