#include "bench_networks.h"

#include "bench_crew.h"
#include "clock.h"
#include "engine.h"
#include "err.h"

#include <math.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- over the batch */

static size_t output_size(const struct bgd_model *model)
{
    return (size_t)shape_size(model_shape(model, model->header->outputs[0]));
}

/* Execs of one network, side by side. */
struct network {
    const struct backend *backend;
    uint32_t n, batch;
    struct exec **execs;
    float **fetched;
};

static int run_network(void *user, uint32_t index, struct crew_round *round, struct bgd_err *err)
{
    const struct network *network = user;
    for (uint64_t i = 0; i < round->passes; i++)
        if (network->backend->run(network->execs[index], network->batch, err))
            return err->code;
    return network->backend->fetch(network->execs[index], 0, 1, network->fetched[index], err);
}

/* As the engine has them: an exec per lane, on the lane's GPU, sharing the weights of the first exec there. */
static int open_network(struct network *network, struct bgd_engine *engine, const struct bgd_model *model, struct bgd_err *err)
{
    network->execs = calloc(network->n, sizeof(struct exec *));
    network->fetched = calloc(network->n, sizeof(float *));
    if (!network->execs || !network->fetched)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i < network->n; i++) {
        const struct engine_lane lane = engine_lane(engine, i);
        uint32_t first = 0;
        while (engine_lane(engine, first).gpu != lane.gpu)
            first++;
        if (lane.backend->prepare(lane.device, lane.gpu, model, network->batch, network->execs[first], &network->execs[i], err))
            return err_prefix(err, "%s, batches of %u: ", model->meta.arch, network->batch);
        if (!(network->fetched[i] = malloc(output_size(model) * sizeof(float))))
            return err_set(err, BGD_MEMORY, "out of memory");
    }
    return 0;
}

static void close_network(struct network *network)
{
    for (uint32_t i = network->n; i > 0; i--) { /* the first last: it is their sibling */
        if (network->execs)
            network->backend->release(network->execs[i - 1]);
        if (network->fetched)
            free(network->fetched[i - 1]);
    }
    free(network->execs);
    free(network->fetched);
}

int bench_network_measure(struct session *session, const struct bgd_model *model, uint32_t batch, double seconds,
                          struct bench_rate *rate, struct bgd_err *err)
{
    struct network network = {.backend = engine_lane(session->engine, 0).backend, .n = bgd_engine_lanes(session->engine), .batch = batch};
    int code = open_network(&network, session->engine, model, err);
    if (!code) {
        const struct crew_work work = {
            .workers = network.n, .images = (uint64_t)network.n * batch, .work = run_network, .user = &network};
        code = crew_measure(&work, seconds, rate, err);
    }
    close_network(&network);
    return code;
}

/* ---------------------------------------------------------------- step by step */

#define REPEATS_LEAST 5u
#define REPEATS_MOST 200u

/* How often a run of the whole batch fits into so many seconds. */
static int count_repeats(const struct backend *backend, struct exec *exec, const struct bgd_model *model, double seconds,
                         uint32_t *repeats, struct bgd_err *err)
{
    float *fetched = malloc(output_size(model) * sizeof *fetched);
    int code = fetched ? 0 : err_set(err, BGD_MEMORY, "out of memory");
    double took = 0;
    for (int i = 0; i < 2 && !code; i++) { /* the first warms up */
        double start = clock_now();
        code = backend->run(exec, backend->batch(exec), err) || backend->fetch(exec, 0, 1, fetched, err) ? err->code : 0;
        took = clock_now() - start;
    }
    free(fetched);
    *repeats = (uint32_t)fmin(fmax(seconds / fmax(took, 1e-9), REPEATS_LEAST), REPEATS_MOST);
    return code;
}

int bench_roofline_measure(const struct backend *backend, struct exec *exec, const struct bgd_model *model,
                           const struct backend_ceilings *ceilings, double seconds, struct roofline *roofline,
                           struct bgd_err *err)
{
    uint32_t repeats = REPEATS_LEAST;
    struct backend_op_time *times = calloc(model->header->n_ops, sizeof *times);
    int code = times ? count_repeats(backend, exec, model, seconds, &repeats, err) : err_set(err, BGD_MEMORY, "out of memory");
    if (!code)
        code = backend->profile(exec, backend->batch(exec), repeats, times, err);
    if (!code)
        code = roofline_build(model, ceilings, times, backend->batch(exec), roofline, err);
    free(times);
    return code;
}
