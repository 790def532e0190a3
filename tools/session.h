/* A pipeline on a device, and runs of cards through it that a signal ends in good order: what score, show and eval share. */
#ifndef BGD_SESSION_H
#define BGD_SESSION_H

#include "run/flow.h"
#include "options.h"
#include "pipeline.h"
#include "progress.h"

struct session_settings {
    const char *pipeline; /* a pipeline or model file; NULL: the one that ships */
    struct bgd_engine_options engine;
    uint32_t threads; /* 0: one per processor */
    bool exact, quiet;
};

/* The options of a struct session_settings. */
extern const struct option_entry session_options[];

/* One of them that infer has, too, for any struct with such a member. */
#define SESSION_PRECISION(type, member)                                                                                        \
    {                                                                                                                          \
        0, "precision", "P",                                                                                                   \
            "auto, f32, f16, bf16, f8: f16 but for large convolutions (default auto: f16 on cuda, f32 on a CPU)",              \
            OPTION_CHOICE(type, member, [BGD_PRECISION_AUTO] = "auto", [BGD_PRECISION_F32] = "f32",                            \
                          [BGD_PRECISION_F16] = "f16", [BGD_PRECISION_BF16] = "bf16", [BGD_PRECISION_F8] = "f8")               \
    }

struct session {
    struct session_settings settings; /* threads filled in */
    struct bgd_pipeline *pipeline;
    struct bgd_engine *engine;
    bool announced;
    struct progress progress; /* of the last run, for its sink to show */
    struct flow_report report;
};

/* The pipeline alone; `named` NULL: the one that ships. */
int session_open_pipeline(const char *named, struct bgd_pipeline **pipeline, struct bgd_err *err);

/* Takes SIGINT and SIGTERM over, once in a process. BGD_MEMORY. */
int session_catch_signals(struct bgd_err *err);

/* Opens the pipeline on its device, and catches signals. session_close after a failure, too. */
int session_open(const struct session_settings *settings, struct session *session, struct bgd_err *err);
void session_close(struct session *session);

/* "onednn"; "cuda (GPUs 0, 1)" where --gpus has named them. */
void session_print_device(const struct session *session, FILE *file);

/* The eventfd that ends waits for lists, tars and the network when the run is to end: catalogue_options.wake, flow_options.wake. */
const int *session_wake(void);

/* True after SIGINT or SIGTERM. */
bool session_stopped(void);

/* Gives the signals back: from here on they end the process at once. For work that has no good order to end in. */
void session_let_go(void);

/* Says on stderr that the work is done on the CPU, and why: `passed_over`, "" if no faster device was asked. */
void session_announce_cpu(const char *device, const char *passed_over);

/* Says on stderr, once, what a person should know of the device: why it is not a faster one, and that its memory is small. */
void session_announce(struct session *session);

/* Announces, and runs (flow_run) with what `wants` asks for and the session's engine, threads, decoding and signals. `form`: of
 * the progress; none if quiet. */
int session_run(struct session *session, struct catalogue *catalogue, const struct flow_options *wants, enum progress_form form,
                flow_sink sink, void *user, struct bgd_err *err);

#endif
