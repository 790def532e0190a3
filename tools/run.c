#include "run.h"

#include "err.h"
#include "mask.h"
#include "pictures.h"
#include "pngfile.h"
#include "sheet.h"
#include "tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

struct run {
    struct run_settings *settings;
    struct session session;
    struct catalogue *catalogue;
    struct results *results;
    struct sheet *sheet; /* NULL: none is wanted */
    const char *own[5];  /* what a walk leaves out: the run's own files, and the folder of its masks */
    struct pictures pictures;
};

/* ---------------------------------------------------------------- pictures */

static int add_to_sheet(struct run *run, const struct flow_row *row, struct bgd_err *err)
{
    if (!run->sheet || row->index >= SHEET_CARDS_MAX)
        return 0;
    const char *slash = strrchr(row->id, '/');
    struct bgd_image mask = {0}, judged = {0};
    struct sheet_card card = {
        .name = slash && slash[1] ? slash + 1 : row->id, .result = row->code ? NULL : &row->result, .error = row->detail};
    if (!row->code && run->settings->cut_out && row->mask && pictures_mask(&run->session, row->mask, &mask) &&
        pictures_judged(&run->pictures, &run->session, row->id, row->mask, &judged)) {
        card.mask = &mask;
        card.judged = &judged;
    }
    if (!row->code && pictures_decode(&run->pictures, row->id, SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT))
        card.image = &run->pictures.image;
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
        mask_enlarge(row->mask, bgd_engine_mask_width(run->session.engine), bgd_engine_mask_height(run->session.engine), grey,
                     row->width, row->height);
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
    progress_show(&run->session.progress, counts->rows, counts->errors, row->progress);
    return code;
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
    const char *const outputs[] = {s->results.path, s->sheet}, *const inputs[] = {s->catalogue.list, s->session.pipeline};
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
    s->session.engine.evidence = true;
    if (check_outputs(s, err) || session_open(&s->session, &run->session, err) || (s->sheet && sheet_open(&run->sheet, err)))
        return err->code;
    s->catalogue.wake = session_wake();
    if (s->masks && bgd_engine_mask_width(run->session.engine) == 0)
        return err_set(err, BGD_ARGUMENT, "--masks: the pipeline %s has no segmenter",
                       bgd_pipeline_name(run->session.pipeline));
    if (s->masks && mkdir(s->masks, 0777) && errno != EEXIST)
        return err_set(err, BGD_WRITE, "%s: %s", s->masks, strerror(errno));
    s->results.model_hash = bgd_pipeline_hash(run->session.pipeline);
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
    session_close(&run->session);
    pictures_free(&run->pictures);
}

static void print_summary(const struct run *run)
{
    const struct results_counts *c = results_counts(run->results);
    double seconds = progress_seconds(&run->session.progress);
    fprintf(stderr, "%llu %s in %.1f s (%.0f/s) with %s on %s, %u %s: %llu clean, %llu defective", (unsigned long long)c->rows,
            c->rows == 1 ? "card" : "cards", seconds, (double)c->rows / seconds, bgd_pipeline_name(run->session.pipeline),
            bgd_engine_device(run->session.engine), run->session.settings.threads,
            run->session.settings.threads == 1 ? "thread" : "threads", (unsigned long long)c->verdicts[BGD_CLEAN],
            (unsigned long long)c->verdicts[BGD_DEFECTIVE]);
    if (c->verdicts[BGD_REVIEW])
        fprintf(stderr, ", %llu to review", (unsigned long long)c->verdicts[BGD_REVIEW]);
    fprintf(stderr, ", %llu %s\n", (unsigned long long)c->errors, c->errors == 1 ? "error" : "errors");
    const char *separator = "  reasons: ";
    for (int i = 0; i < BGD_REASONS; i++)
        if (c->reasons[i]) {
            fprintf(stderr, "%s%s %llu", separator, bgd_reason_name((enum bgd_reason)i), (unsigned long long)c->reasons[i]);
            separator = ", ";
        }
    if (*separator == ',')
        putc('\n', stderr);
    struct bgd_engine_seconds engine = bgd_engine_seconds(run->session.engine);
    double n = c->rows ? (double)c->rows / 1000 : 1;
    fprintf(stderr, "  milliseconds of a thread per card: read %.2f, decode %.2f, ", run->session.report.read / n,
            run->session.report.decode / n);
    if (bgd_engine_mask_width(run->session.engine))
        fprintf(stderr, "segment %.2f, ", engine.segment / n);
    fprintf(stderr, "classify %.2f\n", engine.classify / n);
}

static int run_opened(struct run *run)
{
    struct run_settings *s = run->settings;
    struct bgd_err err;
    bool masks = bgd_engine_mask_width(run->session.engine) && (s->masks || (s->sheet && s->cut_out));
    /* A table on the terminal is its own progress, and the two would write over each other. */
    enum progress_form form = s->results.path || !isatty(STDOUT_FILENO) ? PROGRESS_BAR : PROGRESS_NONE;
    int code = session_run(&run->session, run->catalogue, masks, form, on_row, run, &err);
    int exit_code = code ? tool_fail(&err) : EXIT_DONE;
    bool complete = run->session.report.ended;
    if (results_finish(run->results, complete, &err))
        exit_code = tool_fail(&err);
    const struct results_counts *counts = results_counts(run->results);
    if (run->sheet && counts->rows > 0 && sheet_write(run->sheet, s->sheet, &err))
        exit_code = tool_fail(&err);
    if (!s->session.quiet)
        print_summary(run);
    if (!complete) {
        fprintf(stderr, "bgdet: stopped%s; the rows of the first %llu cards stand in %s\n",
                session_stopped() ? " by a signal" : "", (unsigned long long)counts->safe, results_place(run->results));
        return exit_code ? exit_code : EXIT_RETRY;
    }
    return exit_code ? exit_code : s->fail_on_defective && counts->verdicts[BGD_DEFECTIVE] ? EXIT_FOUND : EXIT_DONE;
}

int run_cards(struct run_settings *settings)
{
    struct run run = {.settings = settings};
    struct bgd_err err;
    int code = open_all(&run, &err) ? tool_fail(&err) : run_opened(&run);
    close_all(&run);
    return code;
}
