#include "session.h"

#include "err.h"
#include "tools.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static bool set_decode(void *settings, const char *value)
{
    struct session_settings *s = settings;
    s->exact = strcmp(value, "exact") == 0;
    return s->exact || strcmp(value, "scaled") == 0;
}

static bool set_gpus(void *settings, const char *value)
{
    return tool_parse_gpus(value, &((struct session_settings *)settings)->engine.gpus);
}

const struct option_entry session_options[] = {
    {'p', "pipeline", "FILE",
     "how to judge: a pipeline file (JSON) or a classifier's model file (default: the one that ships, pipelines/default.json)",
     OPTION_FILE(struct session_settings, pipeline)},
    {'m', "model", "FILE", "the same as --pipeline", OPTION_FILE(struct session_settings, pipeline)},
    {0, "decode", "HOW", "scaled: decode JPEG and WebP no larger than needed (default); exact: every pixel",
     OPTION_PARSED_CHOICE(set_decode, "scaled", "exact")},
    {0, "device", "NAME", "auto, onednn, ref, cuda (default auto: the fastest that is there)",
     OPTION_TEXT(struct session_settings, engine.device), OPTION_OFFERS("auto", "onednn", "ref", "cuda")},
    {0, "gpus", "LIST", "the GPUs that share the work, by their numbers: 0,1; all: those that are there (default: 0)",
     OPTION_PARSED(set_gpus, "numbers below 64, each once, as in 0,1, or all"), OPTION_OFFERS("all")},
    SESSION_PRECISION(struct session_settings, engine.precision),
    {0, "autotune", NULL,
     "time cuDNN's plans once on this device and keep the fastest for all later runs (cuda only); scores may change in their "
     "last digits, so not between the parts of one run",
     OPTION_FLAG(struct session_settings, engine.autotune)},
    {0, "threads", "N", "threads that decode and score (default: one per processor)",
     OPTION_COUNT(struct session_settings, threads, 1, 1024)},
    {'q', "quiet", NULL, "no progress and no summary; show prints no table either",
     OPTION_FLAG(struct session_settings, quiet)},
    {0},
};

/* ---------------------------------------------------------------- signals */

static volatile sig_atomic_t stopped;
static int wake = -1;

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

static const int numbers[] = {SIGINT, SIGTERM};
static bool caught[sizeof numbers / sizeof numbers[0]];

/* The first signal ends the run in good order. One that our parent has told us to ignore stays ignored. */
int session_catch_signals(struct bgd_err *err)
{
    wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0)
        return err_set(err, BGD_MEMORY, "no event descriptor: %s", strerror(errno));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction action = {.sa_handler = on_signal}, old;
        sigemptyset(&action.sa_mask);
        sigaddset(&action.sa_mask, SIGINT);
        sigaddset(&action.sa_mask, SIGTERM);
        caught[i] = sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN;
        if (caught[i])
            sigaction(numbers[i], &action, NULL);
    }
    return 0;
}

const int *session_wake(void)
{
    return &wake;
}

bool session_stopped(void)
{
    return stopped != 0;
}

void session_let_go(void)
{
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (caught[i])
            signal(numbers[i], SIG_DFL);
}

/* ---------------------------------------------------------------- the session */

int session_open_pipeline(const char *named, struct bgd_pipeline **pipeline, struct bgd_err *err)
{
    static const char shipped[] = "pipelines/default.json";
    char path[4096];
    if (!named && !tool_find_data(shipped, path, sizeof path))
        return err_set(err, BGD_MISSING,
                       "%s is neither installed nor in the source tree: name a pipeline or model file with "
                       "--pipeline",
                       shipped);
    return bgd_pipeline_open(named ? named : path, pipeline, err);
}

int session_open(const struct session_settings *settings, struct session *session, struct bgd_err *err)
{
    *session = (struct session){.settings = *settings};
    struct session_settings *s = &session->settings;
    if (s->threads == 0)
        s->threads = flow_processors();
    s->engine.lanes = s->threads;
    s->engine.gpu_lanes = UINT32_MAX; /* as many as help */
    return session_catch_signals(err) || session_open_pipeline(s->pipeline, &session->pipeline, err) ||
                   bgd_engine_open(session->pipeline, &s->engine, &session->engine, err)
               ? err->code
               : 0;
}

void session_close(struct session *session)
{
    bgd_engine_close(session->engine);
    bgd_pipeline_close(session->pipeline);
}

void session_announce_cpu(const char *device, const char *passed_over)
{
    if (*passed_over)
        fprintf(stderr, "bgdet: on the CPU (%s), since %s\n", device, passed_over);
}

void session_announce(struct session *session)
{
    const struct bgd_engine *engine = session->engine;
    if (!session->announced && !session->settings.quiet)
        session_announce_cpu(bgd_engine_device(engine), bgd_engine_passed_over(engine));
    if (!session->announced && bgd_engine_halved(engine))
        fprintf(stderr, "bgdet: the device's memory holds batches of %u, not more\n", bgd_engine_batch(engine));
    session->announced = true;
}

void session_print_device(const struct session *session, FILE *file)
{
    uint64_t gpus = bgd_engine_gpus(session->engine);
    fputs(bgd_engine_device(session->engine), file);
    if (!session->settings.engine.gpus)
        return;
    const char *separator = gpus & (gpus - 1) ? " (GPUs " : " (GPU ";
    for (int i = 0; i < 64; i++)
        if (gpus >> i & 1) {
            fprintf(file, "%s%d", separator, i);
            separator = ", ";
        }
    putc(')', file);
}

int session_run(struct session *session, struct catalogue *catalogue, const struct flow_options *wants, enum progress_form form,
                flow_sink sink, void *user, struct bgd_err *err)
{
    const struct session_settings *s = &session->settings;
    struct flow_options flow = *wants;
    flow.engine = session->engine;
    flow.threads = s->threads;
    flow.exact = s->exact;
    flow.stop = &stopped;
    flow.wake = &wake;
    session_announce(session);
    progress_start(&session->progress, s->quiet ? PROGRESS_NONE : form);
    int code = flow_run(&flow, catalogue, sink, user, &session->report, err);
    progress_end(&session->progress);
    return code;
}
