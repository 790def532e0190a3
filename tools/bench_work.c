#include "bench_work.h"

#include "bench_networks.h"
#include "bench_rows.h"
#include "bench_whole.h"
#include "commit.h"
#include "engine.h"
#include "err.h"
#include "tools.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_UNKNOWN 256u /* what CUDA chooses for small networks: of a device that is not here, the batch is not known */

struct bench {
    const struct bench_settings *settings;
    struct session session;
    struct bgd_pipeline *pipeline; /* of a device that is not here */
    const struct backend *backend; /* of models alone, as its device */
    struct device *device;
    struct bench_cards cards;
    struct bgd_result *results; /* one per card */
    char folder[BENCH_FOLDER];  /* for rows; "": none yet */
    struct bench_stages *stages;
    size_t n_models;
    struct bgd_model **models; /* the operands */
    struct bench_report report;
    struct progress progress;
    uint32_t step, n_steps;
};

static void begin(struct bench *bench, const char *step)
{
    progress_step(&bench->progress, step, (float)bench->step++ / (float)bench->n_steps);
}

static int measure_part(struct bench *bench, enum bench_part part, uint32_t threads, struct bench_rate *rate,
                        struct bgd_err *err)
{
    begin(bench, bench_part_name(part));
    return bench_stages_measure(bench->stages, part, threads, bench->settings->seconds, rate, err);
}

static int measure_whole(struct bench *bench, uint32_t threads, struct bench_rate *rate, struct bgd_err *err)
{
    begin(bench, "end to end");
    return bench_whole_measure(&bench->session, &bench->cards, threads, bench->settings->seconds, bench->folder, bench->results,
                               rate, err);
}

static int measure_stages(struct bench *bench, struct bgd_err *err)
{
    struct bench_report *report = &bench->report;
    bench->results = calloc(bench->cards.n, sizeof *bench->results);
    if (!bench->results)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (bench_rows_make_folder(bench->folder, err))
        return err->code;
    if (measure_whole(bench, report->threads, &report->whole, err))
        return err->code;
    if (session_stopped())
        return 0;
    if (bench_stages_open(&bench->session, &bench->cards, bench->results, bench->folder, &bench->stages, err))
        return err->code;
    for (enum bench_part part = 0; part < BENCH_PARTS && !session_stopped(); part++) {
        if (part == BENCH_SEGMENT && !bench->session.pipeline->segmenter)
            continue;
        struct bench_stage *stage = &report->stages[report->n_stages++];
        *stage = (struct bench_stage){.name = bench_part_name(part),
                                      .on_device = bench_part_on_device(part, &bench->session),
                                      .part = bench_part_of(part, &bench->session, report->threads)};
        if (measure_part(bench, part, report->threads, &stage->rate, err))
            return err->code;
    }
    report->allowed = bench_allowed(report->stages, report->n_stages);
    return 0;
}

/* ---------------------------------------------------------------- sweeps */

/* 1, 2, 4, ... and `most`; 0 behind it. */
static uint32_t next_point(uint32_t at, uint32_t most)
{
    return at == most ? 0 : at > most / 2 ? most : 2 * at;
}

static uint32_t count_points(uint32_t most)
{
    uint32_t n = 0;
    for (uint32_t at = 1; at > 0; at = next_point(at, most))
        n++;
    return n;
}

/* Up to the batch for which a device has memory beside the engine's own lanes. */
static int sweep_batch(struct bench *bench, const struct bgd_model *model, struct bgd_err *err)
{
    struct bench_curve *curve = &bench->report.by_batch[bench->report.n_by_batch];
    char step[64];
    curve->name = model->meta.arch;
    for (uint32_t at = 1; at > 0 && !session_stopped(); at = next_point(at, bench->report.batch)) {
        struct bench_point *point = &curve->points[curve->n];
        point->at = at;
        snprintf(step, sizeof step, "%.40s, batch %u", model->meta.arch, at);
        begin(bench, step);
        int code = bench_network_measure(&bench->session, model, at, bench->settings->seconds, &point->rate, err);
        if (code == BGD_MEMORY && bench->report.own_memory)
            break;
        if (code)
            return code;
        curve->n++;
    }
    bench->report.n_by_batch += curve->n > 0;
    return 0;
}

static int sweep_threads(struct bench *bench, struct bgd_err *err)
{
    struct bench_report *report = &bench->report;
    struct bench_curve *decode = &report->by_threads[0], *whole = &report->by_threads[1];
    decode->name = bench_part_name(BENCH_DECODE);
    whole->name = "end to end";
    report->n_by_threads = 2;
    for (uint32_t at = 1; at > 0 && !session_stopped(); at = next_point(at, report->threads)) {
        struct bench_point *points[] = {&decode->points[decode->n++], &whole->points[whole->n++]};
        points[0]->at = points[1]->at = at;
        if (measure_part(bench, BENCH_DECODE, at, &points[0]->rate, err) ||
            (!session_stopped() && measure_whole(bench, at, &points[1]->rate, err)))
            return err->code;
    }
    return 0;
}

static int sweep(struct bench *bench, struct bgd_err *err)
{
    const struct bgd_pipeline *pipeline = bench->session.pipeline;
    if ((pipeline->segmenter && sweep_batch(bench, pipeline->segmenter, err)) || sweep_batch(bench, pipeline->classifier, err))
        return err->code;
    return sweep_threads(bench, err);
}

/* ---------------------------------------------------------------- rooflines */

static int add_networks(struct bench *bench, size_t n, struct bgd_err *err)
{
    bench->report.networks = calloc(n, sizeof *bench->report.networks);
    return bench->report.networks ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static struct bench_network *next_network(struct bench *bench, const char *name)
{
    struct bench_network *network = &bench->report.networks[bench->report.n_networks++];
    network->name = name;
    return network;
}

/* Of a network whose exec is there. */
static int profile_network(struct bench *bench, const char *name, const struct backend *backend, struct exec *exec,
                           const struct bgd_model *model, const struct backend_ceilings *ceilings, struct bgd_err *err)
{
    if (session_stopped())
        return 0;
    begin(bench, name);
    struct bench_network *network = next_network(bench, name);
    return bench_roofline_measure(backend, exec, model, ceilings, bench->settings->seconds, &network->roofline, err);
}

static int measure_ceilings(struct bench *bench, const struct backend *backend, struct device *device,
                            struct backend_ceilings *ceilings, struct bgd_err *err)
{
    begin(bench, "ceilings");
    return backend->ceilings(device, ceilings, err);
}

static int profile_pipeline(struct bench *bench, struct bgd_err *err)
{
    const struct bgd_pipeline *p = bench->session.pipeline;
    const struct engine_lane lane = engine_lane(bench->session.engine, 0);
    struct backend_ceilings ceilings;
    if (add_networks(bench, BENCH_NETWORKS, err) || measure_ceilings(bench, lane.backend, lane.device, &ceilings, err))
        return err->code;
    if (p->segmenter &&
        profile_network(bench, p->segmenter->meta.arch, lane.backend, lane.segmenter, p->segmenter, &ceilings, err))
        return err->code;
    return profile_network(bench, p->classifier->meta.arch, lane.backend, lane.classifier, p->classifier, &ceilings, err);
}

/* What prepare wants; the ceilings are those of the first GPU, too. */
static uint32_t first_gpu(const struct backend *backend, const struct device *device)
{
    uint64_t gpus = backend->gpus(device);
    return gpus ? (uint32_t)__builtin_ctzll(gpus) : 0;
}

static int profile_models(struct bench *bench, struct bgd_err *err)
{
    const struct bench_settings *s = bench->settings;
    const struct backend *backend = bench->backend;
    struct backend_ceilings ceilings;
    int code = measure_ceilings(bench, backend, bench->device, &ceilings, err);
    for (size_t i = 0; i < bench->n_models && !code && !session_stopped(); i++) {
        struct exec *exec = NULL;
        uint32_t asked = s->session.engine.batch, batch = asked ? asked : backend->batch_for(bench->device, bench->models[i]);
        code = backend->prepare(bench->device, first_gpu(backend, bench->device), bench->models[i], batch, NULL, &exec, err);
        if (!code)
            code = profile_network(bench, s->operands[i], backend, exec, bench->models[i], &ceilings, err);
        if (code)
            err_prefix(err, "%s: ", s->operands[i]);
        backend->release(exec);
    }
    return code;
}

/* Nothing is timed. */
static int reckon(struct bench *bench, const char *name, const struct bgd_model *model, struct bgd_err *err)
{
    const struct bench_settings *s = bench->settings;
    enum bgd_precision precision = s->session.engine.precision;
    bool halves = precision == BGD_PRECISION_F16 || precision == BGD_PRECISION_BF16 || precision == BGD_PRECISION_F8;
    const struct backend_ceilings ceilings = {.copy = s->copy, .macs = s->flops / 2, .element_bytes = halves ? 2 : 4};
    uint32_t batch = s->session.engine.batch ? s->session.engine.batch : BATCH_UNKNOWN;
    return roofline_build(model, &ceilings, NULL, batch, &next_network(bench, name)->roofline, err);
}

/* ---------------------------------------------------------------- what is measured of what */

static void read_cpu(char cpu[128])
{
    static const char key[] = "model name";
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || !value)
            continue;
        value += 1 + strspn(value + 1, " \t");
        snprintf(cpu, 128, "%.*s", (int)strcspn(value, "\n"), value);
        break;
    }
    if (file)
        fclose(file);
}

static void fill_head(struct bench *bench)
{
    struct bench_report *report = &bench->report;
    time_t now = time(NULL);
    struct tm utc;
    report->commit = BGD_COMMIT;
    strftime(report->date, sizeof report->date, "%Y-%m-%d %H:%M", gmtime_r(&now, &utc));
    read_cpu(report->cpu);
    report->processors = flow_processors();
}

static void fill_device(struct bench_report *report, const struct backend *backend, const struct device *device)
{
    report->device = backend->name;
    report->own_memory = backend->own_memory;
    backend->describe(device, report->text);
}

static void fill_pipeline(struct bench_report *report, const struct bgd_pipeline *pipeline)
{
    report->pipeline = bgd_pipeline_name(pipeline);
    report->hash = bgd_pipeline_hash(pipeline);
}

/* Cards through a pipeline: stages, end to end, and what else is asked for. */
static int measure_cards(struct bench *bench, struct bgd_err *err)
{
    const struct bench_settings *s = bench->settings;
    struct bench_report *report = &bench->report;
    struct session_settings wants = s->session;
    char shipped[4096];
    char *const samples[] = {shipped};
    if (s->n_operands == 0 && !tool_find_data("samples/cards", shipped, sizeof shipped))
        return err_set(err, BGD_MISSING,
                       "samples/cards is neither installed nor in the source tree: name cards, or folders of them");
    wants.engine.evidence = true; /* as score has it */
    if (session_open(&wants, &bench->session, err))
        return err->code;
    const struct engine_lane lane = engine_lane(bench->session.engine, 0);
    fill_device(report, lane.backend, lane.device);
    fill_pipeline(report, bench->session.pipeline);
    report->exact = s->session.exact;
    report->threads = bench->session.settings.threads;
    report->lanes = bgd_engine_lanes(bench->session.engine);
    report->batch = bgd_engine_batch(bench->session.engine);
    bench->n_steps = BENCH_PARTS + 2; /* with the cards themselves, and end to end */
    if (s->sweep)
        bench->n_steps += BENCH_NETWORKS * count_points(report->batch) + 2 * count_points(report->threads);
    if (s->roofline)
        bench->n_steps += 1 + BENCH_NETWORKS;
    session_announce(&bench->session);
    begin(bench, "cards");
    if (bench_cards_open(s->n_operands ? s->operands : samples, s->n_operands ? s->n_operands : 1, &bench->session,
                         &bench->cards, err))
        return err->code;
    if (session_stopped())
        return 0;
    report->cards = &bench->cards;
    if (measure_stages(bench, err) || (s->sweep && !session_stopped() && sweep(bench, err)) ||
        (s->roofline && !session_stopped() && profile_pipeline(bench, err)))
        return err->code;
    return 0;
}

static int open_models(struct bench *bench, struct bgd_err *err)
{
    const struct bench_settings *s = bench->settings;
    bench->models = calloc(s->n_operands, sizeof(struct bgd_model *));
    if (!bench->models)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (; bench->n_models < s->n_operands; bench->n_models++)
        if (bgd_model_open(s->operands[bench->n_models], &bench->models[bench->n_models], err))
            return err->code;
    return add_networks(bench, bench->n_models, err);
}

/* Models by themselves, on a device that is here. */
static int measure_models(struct bench *bench, struct bgd_err *err)
{
    const struct bgd_engine_options *engine = &bench->settings->session.engine;
    struct bgd_err passed_over;
    if (session_catch_signals(err) || open_models(bench, err) ||
        backend_open(engine->device, engine->gpus, engine->precision, &bench->backend, &bench->device, &passed_over, err) ||
        (engine->autotune && bench->backend->autotune(bench->device, err)))
        return err->code;
    if (!bench->settings->session.quiet)
        session_announce_cpu(bench->backend->name, passed_over.code ? passed_over.text : "");
    fill_device(&bench->report, bench->backend, bench->device);
    bench->n_steps = 1 + (uint32_t)bench->n_models;
    return profile_models(bench, err);
}

/* The same of a device that is not: of models, or of a pipeline's networks. */
static int measure_nothing(struct bench *bench, struct bgd_err *err)
{
    const struct bench_settings *s = bench->settings;
    if (s->models) {
        int code = open_models(bench, err);
        for (size_t i = 0; i < bench->n_models && !code; i++)
            code = reckon(bench, s->operands[i], bench->models[i], err);
        return code;
    }
    if (session_open_pipeline(s->session.pipeline, &bench->pipeline, err) || add_networks(bench, BENCH_NETWORKS, err))
        return err->code;
    fill_pipeline(&bench->report, bench->pipeline);
    const struct bgd_model *segmenter = bench->pipeline->segmenter, *classifier = bench->pipeline->classifier;
    if (segmenter && reckon(bench, segmenter->meta.arch, segmenter, err))
        return err->code;
    return reckon(bench, classifier->meta.arch, classifier, err);
}

void bench_close(struct bench *bench)
{
    if (!bench)
        return;
    for (uint32_t i = 0; i < bench->report.n_networks; i++)
        roofline_free(&bench->report.networks[i].roofline);
    free(bench->report.networks);
    for (size_t i = 0; i < bench->n_models; i++)
        bgd_model_close(bench->models[i]);
    free(bench->models);
    if (bench->device)
        bench->backend->close(bench->device);
    bench_stages_close(bench->stages);
    if (*bench->folder)
        bench_rows_remove_folder(bench->folder);
    bench_cards_close(&bench->cards);
    free(bench->results);
    session_close(&bench->session);
    bgd_pipeline_close(bench->pipeline);
    free(bench);
}

int bench_measure(const struct bench_settings *settings, struct bench **out, struct bgd_err *err)
{
    struct bench *bench = *out = calloc(1, sizeof *bench);
    if (!bench)
        return err_set(err, BGD_MEMORY, "out of memory");
    bench->settings = settings;
    fill_head(bench);
    progress_start(&bench->progress, settings->session.quiet ? PROGRESS_NONE : PROGRESS_BAR);
    int code = settings->copy > 0 ? measure_nothing(bench, err)
               : settings->models ? measure_models(bench, err)
                                  : measure_cards(bench, err);
    progress_end(&bench->progress);
    return code;
}

const struct bench_report *bench_report(const struct bench *bench)
{
    return &bench->report;
}
