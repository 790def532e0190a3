#include "run.h"

#include "err.h"
#include "identity.h"
#include "maskfile.h"
#include "pictures.h"
#include "run/prometheus.h"
#include "sheet.h"
#include "sources/remote.h"
#include "tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int run_check_paths(const struct run_settings *s, const char *command)
{
    if (s->catalogue.n_paths == 0 && !s->catalogue.list && !s->catalogue.manifest)
        return tool_usage(command, "no cards: name files, folders with -r%s",
                          strcmp(command, "score") == 0 ? ", a list with --files-from, or a --manifest" : "");
    for (size_t i = 0; i < s->catalogue.n_paths; i++) {
        struct stat st;
        const char *path = s->catalogue.paths[i];
        bool there = stat(path, &st) == 0;
        if (!s->catalogue.recursive && there && S_ISDIR(st.st_mode))
            return tool_usage(command, "%s is a folder: -r takes the files in it", path);
        if (s->catalogue.recursive && !there && errno == ENOENT && !remote_is(path) && !strchr(path, '{')) {
            /* A disk that is not mounted must not look like a night without cards. */
            fprintf(stderr, "bgdet: %s: no such file or folder\n", path);
            return EXIT_MISSING;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- the run */

struct run {
    struct run_settings *settings;
    struct session session;
    struct catalogue *catalogue;
    struct results *results; /* one of the two is where rows go */
    struct shards *shards;
    char broken[256];      /* why the first shard that is unusable is so; "": none is */
    struct ledger *ledger; /* NULL: none is wanted */
    struct sheet *sheet;   /* NULL: none is wanted */
    time_t start, written; /* of the run, and of its metrics */
    bool unwatched;        /* they cannot be written; it has been said */
    char *own[10];         /* what a walk leaves out, NULL-terminated */
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
        pictures_judged(&run->pictures, &run->session, row, &judged)) {
        card.mask = &mask;
        card.judged = &judged;
    }
    if (!row->code && pictures_decode(&run->pictures, row, SHEET_THUMB_WIDTH, SHEET_THUMB_HEIGHT))
        card.image = &run->pictures.image;
    int code = sheet_add(run->sheet, &card, err);
    bgd_image_free(&mask);
    bgd_image_free(&judged);
    return code;
}

/* "3 cards" */
static void print_count(uint64_t n, const char *one, const char *many)
{
    fprintf(stderr, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

static const struct results_counts *counts_of(const struct run *run)
{
    return run->shards ? shards_counts(run->shards) : results_counts(run->results);
}

#define ERROR_RATE_ROWS 100 /* before so many rows, a few errors say nothing of the rest */

/* What goes wrong with this many is the disk, the list or the model, not the cards. */
static int check_error_rate(const struct run *run, struct bgd_err *err)
{
    const struct results_counts *counts = counts_of(run);
    float most = run->settings->max_error_rate;
    if (counts->rows < ERROR_RATE_ROWS || (double)counts->errors <= (double)most * (double)counts->rows)
        return 0;
    return err_set(err, BGD_DAMAGED,
                   "%llu of %llu cards are errors, --max-error-rate is %g: something is wrong with all of them",
                   (unsigned long long)counts->errors, (unsigned long long)counts->rows, (double)most);
}

static struct prometheus_stage stage(double seconds, uint64_t images)
{
    return (struct prometheus_stage){.seconds = seconds, .images = images};
}

/* Writes the run's numbers for Prometheus, if they are wanted. Where they cannot be written a person is told, once, and the run
 * goes on: what watches it must not end it, and that the numbers are old is an alert of its own. */
static void write_metrics(struct run *run, const struct flow_report *report, bool finished, int exit_code)
{
    struct bgd_err err;
    if (!run->settings->metrics)
        return;
    const struct session *session = &run->session;
    const struct results_counts none = {0}, *counts = run->shards || run->results ? counts_of(run) : &none;
    struct bgd_engine_seconds engine = session->engine ? bgd_engine_seconds(session->engine) : (struct bgd_engine_seconds){0};
    run->written = time(NULL);
    const struct prometheus_state state = {.pipeline = session->engine ? bgd_pipeline_name(session->pipeline) : "",
                                           .hash = session->engine ? bgd_pipeline_hash(session->pipeline) : "",
                                           .device = session->engine ? bgd_engine_device(session->engine) : "",
                                           .counts = *counts,
                                           .read_bytes = report->bytes,
                                           .read = stage(report->read, report->files),
                                           .decode = stage(report->decode, report->pictures),
                                           .segment = stage(engine.segment, engine.segment > 0 ? counts->scored : 0),
                                           .classify = stage(engine.classify, counts->scored),
                                           .evidence = stage(engine.evidence, counts->scored),
                                           .queue = report->waiting,
                                           .shards = run->shards ? shards_published(run->shards) : 0,
                                           .start = run->start,
                                           .last_update = run->written,
                                           .finished = finished,
                                           .exit_code = exit_code};
    if (prometheus_write(run->settings->metrics, &state, &err) == 0 || run->unwatched)
        return;
    fprintf(stderr, "bgdet: the run goes on without --metrics: %s\n", err.text);
    run->unwatched = true;
}

#define METRICS_EVERY 5 /* seconds */

static int on_row(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct run *run = user;
    int code = run->shards ? shards_add(run->shards, row, err) : results_add(run->results, row, err);
    if (row->source && !*run->broken)
        snprintf(run->broken, sizeof run->broken, "%s", row->detail);
    if (!code)
        code = add_to_sheet(run, row, err);
    if (!code && run->settings->masks && !row->code)
        code = maskfile_write(run->settings->masks, run->session.engine, row, err);
    if (!code)
        code = check_error_rate(run, err);
    if (time(NULL) - run->written >= METRICS_EVERY)
        write_metrics(run, &row->so_far, false, 0);
    const struct results_counts *counts = counts_of(run);
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

static bool is_same(const char *a, const char *b)
{
    return a && b && (strcmp(a, b) == 0 || same_file(a, b));
}

/* An output over a card, or over another output, would destroy it. */
static int check_outputs(const struct run_settings *s, struct bgd_err *err)
{
    const char *const outputs[] = {s->results.path, s->sheet, s->metrics, s->ledger}, *const inputs[] = {s->catalogue.list,
                                                                                                         s->catalogue.manifest,
                                                                                                         s->session.pipeline};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        for (size_t k = 0; outputs[i] && k < sizeof inputs / sizeof inputs[0]; k++)
            if (inputs[k] && same_file(outputs[i], inputs[k]))
                return err_set(err, BGD_ARGUMENT, "%s is an input of this run: it would be overwritten", outputs[i]);
        for (size_t k = 0; outputs[i] && k < s->catalogue.n_paths; k++)
            if (same_file(outputs[i], s->catalogue.paths[k]))
                return err_set(err, BGD_ARGUMENT, "%s is one of the cards: it would be overwritten", outputs[i]);
        for (size_t k = 0; k < i; k++)
            if (is_same(outputs[i], outputs[k]))
                return err_set(err, BGD_ARGUMENT, "%s is to hold two outputs of this run", outputs[i]);
    }
    for (size_t k = 0; s->masks && k < s->catalogue.n_paths; k++)
        if (same_file(s->masks, s->catalogue.paths[k]))
            return err_set(err, BGD_ARGUMENT, "--masks %s is one of the folders of cards: masks would be taken for cards",
                           s->masks);
    for (size_t k = 0; s->shards.folder && k < s->catalogue.n_paths; k++)
        if (same_file(s->shards.folder, s->catalogue.paths[k]))
            return err_set(err, BGD_ARGUMENT, "--out %s is one of the folders of cards: results would be taken for cards",
                           s->shards.folder);
    return 0;
}

/* Where the rows go: one file, or a folder of shards. */
static int open_rows(struct run *run, struct bgd_err *err)
{
    struct run_settings *s = run->settings;
    const char *hash = bgd_pipeline_hash(run->session.pipeline);
    if (!s->shards.folder && s->dry_run)
        return 0;
    if (!s->shards.folder) {
        s->results.model_hash = hash;
        return results_open(&s->results, &run->results, err);
    }
    cJSON *identity = identity_of_session(&run->session);
    if (!identity)
        err_set(err, BGD_MEMORY, "out of memory");
    else if (identity_add_sources(identity, &s->catalogue, err) == 0) {
        s->shards.run = identity;
        s->shards.look = s->dry_run;
        s->shards.model_hash = hash;
        shards_open(&s->shards, &run->shards, err);
    }
    s->shards.run = NULL;
    cJSON_Delete(identity);
    s->catalogue.wanted = shards_wanted;
    s->catalogue.user = run->shards;
    return err->code;
}

static int open_ledger(struct run *run, struct bgd_err *err)
{
    if (!run->settings->ledger)
        return 0;
    cJSON *identity = identity_of_session(&run->session);
    char *text = identity ? cJSON_PrintUnformatted(identity) : NULL;
    int code = text ? ledger_open(run->settings->ledger, text, &run->ledger, err) : err_set(err, BGD_MEMORY, "out of memory");
    free(text);
    cJSON_Delete(identity);
    return code;
}

static int close_ledger(struct run *run, struct bgd_err *err)
{
    struct ledger *ledger = run->ledger;
    run->ledger = NULL;
    return ledger_close(ledger, err);
}

/* What a walk leaves out: the run's own files, and the folders of its masks and shards. */
static int note_own(struct run *run, struct bgd_err *err)
{
    const struct run_settings *s = run->settings;
    const struct {
        const char *path, *end;
    } own[] = {{s->results.path, ""}, {s->results.path, ".part"}, {s->sheet, ""},      {s->masks, ""},  {s->shards.folder, ""},
               {s->ledger, ""},       {s->ledger, "-wal"},        {s->ledger, "-shm"}, {s->metrics, ""}};
    size_t n = 0;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (own[i].path && asprintf(&run->own[n++], "%s%s", own[i].path, own[i].end) < 0) {
            run->own[n - 1] = NULL;
            return err_set(err, BGD_MEMORY, "out of memory");
        }
    run->settings->catalogue.skip = (const char *const *)run->own;
    return 0;
}

static int open_all(struct run *run, struct bgd_err *err)
{
    struct run_settings *s = run->settings;
    err->code = BGD_OK;
    s->session.engine.evidence = true;
    if (check_outputs(s, err))
        return err->code;
    run->start = time(NULL);
    if (session_open(&s->session, &run->session, err) || (s->sheet && sheet_open(&run->sheet, err)))
        return err->code;
    s->catalogue.wake = session_wake();
    if (s->masks && bgd_engine_mask_width(run->session.engine) == 0)
        return err_set(err, BGD_ARGUMENT, "--masks: the pipeline %s has no segmenter",
                       bgd_pipeline_name(run->session.pipeline));
    if (s->masks && !s->dry_run && mkdir(s->masks, 0777) && errno != EEXIST)
        return err_set(err, BGD_WRITE, "%s: %s", s->masks, strerror(errno));
    if (note_own(run, err) || open_rows(run, err))
        return err->code;
    if (s->dry_run)
        return 0;
    if (open_ledger(run, err))
        return err->code;
    return catalogue_open(&s->catalogue, &run->catalogue, err);
}

static void close_all(struct run *run)
{
    struct bgd_err ignored; /* a run that ends well has closed it already */
    close_ledger(run, &ignored);
    results_close(run->results);
    shards_close(run->shards);
    sheet_close(run->sheet);
    catalogue_close(run->catalogue);
    session_close(&run->session);
    pictures_free(&run->pictures);
    for (char **own = run->own; *own; own++)
        free(*own);
}

static void print_summary(const struct run *run)
{
    const struct results_counts *c = counts_of(run);
    double seconds = progress_seconds(&run->session.progress);
    print_count(c->rows, "card", "cards");
    fprintf(stderr, " in %.1f s (%.0f/s) with %s on ", seconds, (double)c->rows / seconds,
            bgd_pipeline_name(run->session.pipeline));
    session_print_device(&run->session, stderr);
    fputs(", ", stderr);
    print_count(run->session.settings.threads, "thread", "threads");
    fprintf(stderr, ": %llu clean, %llu defective", (unsigned long long)c->verdicts[BGD_CLEAN],
            (unsigned long long)c->verdicts[BGD_DEFECTIVE]);
    if (c->verdicts[BGD_REVIEW])
        fprintf(stderr, ", %llu to review", (unsigned long long)c->verdicts[BGD_REVIEW]);
    fputs(", ", stderr);
    print_count(c->errors, "error", "errors");
    putc('\n', stderr);
    const char *separator = "  reasons: ";
    for (int i = 0; i < BGD_REASONS; i++)
        if (c->reasons[i]) {
            fprintf(stderr, "%s%s %llu", separator, bgd_reason_name((enum bgd_reason)i), (unsigned long long)c->reasons[i]);
            separator = ", ";
        }
    if (*separator == ',')
        putc('\n', stderr);
    if (run->shards && shards_there(run->shards)) {
        fputs("  ", stderr);
        print_count(shards_there(run->shards), "shard was", "shards were");
        fputs(" there already\n", stderr);
    } else if (c->rows == 0 && run->session.report.ended)
        fputs("bgdet: there was no card in what was named\n", stderr);
    if (run->settings->ledger)
        fprintf(stderr, "  %llu known from the ledger or the same picture, %llu scored\n", (unsigned long long)c->known,
                (unsigned long long)c->scored);
    struct bgd_engine_seconds engine = bgd_engine_seconds(run->session.engine);
    double n = c->rows ? (double)c->rows / 1000 : 1;
    fprintf(stderr, "  milliseconds of a thread per card: read %.2f, decode %.2f, ", run->session.report.read / n,
            run->session.report.decode / n);
    if (bgd_engine_mask_width(run->session.engine))
        fprintf(stderr, "segment %.2f, ", engine.segment / n);
    fprintf(stderr, "classify %.2f, evidence %.2f\n", engine.classify / n, engine.evidence / n);
}

/* Of a run that has come to its end. */
static int exit_code_of(const struct run *run)
{
    const struct results_counts *counts = counts_of(run);
    uint64_t broken = counts->sources + (run->shards ? shards_broken(run->shards) : 0); /* started again, it is still so */
    if (broken) {
        fputs("bgdet: ", stderr);
        print_count(broken, "shard", "shards");
        fprintf(stderr, " could not be read, or not to the end%s%s\n", *run->broken ? ", the first: " : "", run->broken);
        return counts->unfetched ? EXIT_RETRY : EXIT_INPUT;
    }
    return run->settings->fail_on_defective && counts->verdicts[BGD_DEFECTIVE] ? EXIT_FOUND : EXIT_DONE;
}

/* Ends what the rows were written to; complete or not. */
static int finish_rows(struct run *run, struct bgd_err *err)
{
    bool complete = run->session.report.ended;
    if (run->shards)
        return complete ? shards_finish(run->shards, catalogue_shards(run->catalogue), err) : 0;
    return results_seal(run->results, NULL, err) || (complete && results_publish(run->results, err)) ? err->code : 0;
}

static void print_stop(const struct run *run, int exit_code)
{
    fprintf(stderr, "bgdet: stopped%s; ", session_stopped() ? " by a signal" : "");
    if (run->shards) {
        print_count(shards_published(run->shards), "shard is", "shards are");
        fprintf(stderr, " done%s\n", exit_code == EXIT_RETRY ? "; the same command goes on" : "");
    } else
        fprintf(stderr, "the rows of the first %llu cards stand in %s\n",
                (unsigned long long)results_counts(run->results)->safe, results_place(run->results));
}

static int run_opened(struct run *run)
{
    struct run_settings *s = run->settings;
    struct bgd_err err;
    bool masks = bgd_engine_mask_width(run->session.engine) && (s->masks || (s->sheet && s->cut_out));
    /* A table on the terminal is its own progress, and the two would write over each other. */
    bool table = !s->shards.folder && !s->results.path && isatty(STDOUT_FILENO);
    enum progress_form form = table && s->progress == PROGRESS_BAR ? PROGRESS_NONE : s->progress;
    const struct flow_options wants = {.masks = masks,
                                       .files = s->sheet,
                                       .readers = s->readers,
                                       .ledger = run->ledger,
                                       .trust_mtime = s->trust_mtime,
                                       .retry = s->shards.retry};
    write_metrics(run, &run->session.report, false, 0);
    int code = session_run(&run->session, run->catalogue, &wants, form, on_row, run, &err);
    int exit_code = code ? tool_fail(&err) : EXIT_DONE;
    if (finish_rows(run, &err) && !exit_code) /* or it is the first failure once more */
        exit_code = tool_fail(&err);
    if (close_ledger(run, &err))
        exit_code = tool_fail(&err);
    if (run->sheet && counts_of(run)->rows > 0 && sheet_write(run->sheet, s->sheet, &err))
        exit_code = tool_fail(&err);
    if (!s->session.quiet)
        print_summary(run);
    bool ended = run->session.report.ended;
    if (!exit_code)
        exit_code = ended ? exit_code_of(run) : EXIT_RETRY;
    if (!ended)
        print_stop(run, exit_code);
    return exit_code;
}

struct dry_run {
    struct shards *shards; /* NULL: none */
    uint64_t todo;         /* shards */
};

static bool count_shard(void *user, uint64_t shard)
{
    struct dry_run *dry = user;
    dry->todo += dry->shards && shards_wanted(dry->shards, shard);
    return true;
}

/* Reads the sources through, and says what a run over them would do. */
static int run_dry(struct run *run, struct bgd_err *err)
{
    struct run_settings *s = run->settings;
    struct dry_run dry = {.shards = run->shards};
    struct item item = {0};
    uint64_t cards = 0;
    int code;
    s->catalogue.wanted = count_shard;
    s->catalogue.user = &dry;
    if (catalogue_open(&s->catalogue, &run->catalogue, err))
        return err->code;
    while ((code = catalogue_next(run->catalogue, &item, err)) > 0) {
        cards += !item.source;
        if (item.source)
            fprintf(stderr, "bgdet: %s\n", item.detail);
        if (item.source && !*run->broken)
            snprintf(run->broken, sizeof run->broken, "%s", item.detail);
    }
    if (code < 0 || session_stopped())
        return code;
    printf("%llu cards in %llu shards", (unsigned long long)cards, (unsigned long long)catalogue_shards(run->catalogue));
    if (run->shards)
        printf(", of which %llu are for this process to do", (unsigned long long)dry.todo);
    printf(", with %s on ", bgd_pipeline_name(run->session.pipeline));
    session_print_device(&run->session, stdout);
    putchar('\n');
    return 0;
}

int run_cards(struct run_settings *settings)
{
    struct run run = {.settings = settings};
    struct bgd_err err;
    int code = open_all(&run, &err) ? tool_fail(&err) : EXIT_DONE;
    if (!code && settings->dry_run)
        code = run_dry(&run, &err) ? tool_fail(&err) : session_stopped() ? EXIT_RETRY : *run.broken ? EXIT_INPUT : EXIT_DONE;
    else if (!code)
        code = run_opened(&run);
    if (run.start && !settings->dry_run) /* of a run that could not begin, too: last night's file must not speak for it */
        write_metrics(&run, &run.session.report, true, code);
    close_all(&run);
    return code;
}
