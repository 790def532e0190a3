/*
 * The CPU default: oneDNN (2.x C API), f32.
 *
 * prepare turns the graph into a list of steps, each one primitive or a loop of ours (onednn_network.c, onednn_ops.c):
 *   - conv and dense take the activation that follows them, and conv also the add of a residual and the activation behind
 *     that, as post-ops;
 *   - a convolution chooses its own layouts, and a value stays in the layout that its producer chose; where
 *     the next step wants another one, a reorder step stands between them;
 *   - constants are reordered once into the layout that their step asked for.
 * A step is compiled for a *tile*: a fixed number of pictures that depends on the model alone. A batch is run tile by
 * tile, the last one padded, so that oneDNN's choices, and with them the last bits, never depend on the batch's size.
 * A tile also keeps neighbouring values in the cache, which a whole batch would not.
 *
 * An exec runs on its caller's thread alone; lanes are how more cores are used. This spares the barriers of
 * splitting each small convolution, and the number of threads cannot change a sum's order.
 */
#include "backend.h"
#include "bytes.h"
#include "err.h"
#include "measure.h"
#include "onednn.h"

#include <assert.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device {
    dnnl_engine_t engine;
};

struct exec {
    struct network *network;
    uint32_t batch;
    dnnl_stream_t stream;
    uint8_t *arena;
    uint8_t *scratchpad;
    dnnl_memory_t scratchpad_memory;
    float *inputs[BGD_FORMAT_INPUTS_MAX]; /* (batch rounded up to tiles, c, h, w) */
    float *outputs[BGD_FORMAT_OUTPUTS_MAX];
    dnnl_memory_t *memories; /* one per block */
    dnnl_exec_arg_t *args;   /* STEP_ARGS_MAX + 1 per step */
    struct feed_scratch scratch;
};

static int onednn_open(uint64_t gpus, enum bgd_precision precision, struct device **device, struct bgd_err *err)
{
    *device = NULL;
    if (backend_check_cpu("onednn", gpus, precision, err))
        return err->code;
    *device = calloc(1, sizeof **device);
    if (!*device)
        return err_set(err, BGD_MEMORY, "out of memory");
    /* oneDNN makes its cache of primitives when it is first asked for: here, before networks are made ready by several threads. (It is
     * guarded, which ThreadSanitizer cannot see.) */
    int capacity;
    dnnl_status_t status = dnnl_get_primitive_cache_capacity(&capacity);
    if (!status)
        status = dnnl_engine_create(&(*device)->engine, dnnl_cpu, 0);
    if (!status)
        return 0;
    free(*device);
    *device = NULL;
    return onednn_failed(status, "creating an engine", err);
}

static void onednn_close(struct device *device)
{
    if (!device)
        return;
    dnnl_engine_destroy(device->engine);
    free(device);
}

/* dnnl_cpu_isa_t is a set of bits: an instruction set has those of the ones that it builds on. */
static void onednn_describe(const struct device *device, char text[BACKEND_TEXT])
{
    (void)device;
    static const struct {
        dnnl_cpu_isa_t isa;
        const char *name;
    } sets[] = {{dnnl_cpu_isa_avx512_core_amx, "AVX-512 and AMX"},
                {dnnl_cpu_isa_avx512_core, "AVX-512"},
                {dnnl_cpu_isa_avx2, "AVX2"},
                {dnnl_cpu_isa_avx, "AVX"},
                {dnnl_cpu_isa_sse41, "SSE4.1"},
                {dnnl_cpu_isa_all, "plain loops"}};
    const dnnl_version_t *version = dnnl_version();
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    size_t i = 0;
    while ((isa & sets[i].isa) != sets[i].isa)
        i++;
    snprintf(text, BACKEND_TEXT, "oneDNN %d.%d.%d, f32, %s", version->major, version->minor, version->patch, sets[i].name);
}

/* Zeros that take no memory until they are touched, as a lane that is never run does not. */
static void *aligned_zeros(size_t bytes)
{
    uint8_t *start = calloc(1, bytes + 2 * PLAN_ALIGN), *aligned;
    if (!start)
        return NULL;
    aligned = start + 2 * PLAN_ALIGN - (uintptr_t)start % PLAN_ALIGN;
    memcpy(aligned - sizeof start, &start, sizeof start);
    return aligned;
}

static void free_aligned(void *aligned)
{
    uint8_t *start;
    if (!aligned)
        return;
    memcpy(&start, (uint8_t *)aligned - sizeof start, sizeof start);
    free(start);
}

static void onednn_release(struct exec *exec)
{
    if (!exec)
        return;
    for (uint32_t i = 0; exec->memories && i < exec->network->n_blocks; i++)
        dnnl_memory_destroy(exec->memories[i]);
    dnnl_memory_destroy(exec->scratchpad_memory);
    dnnl_stream_destroy(exec->stream);
    for (uint32_t i = 0; i < BGD_FORMAT_INPUTS_MAX; i++)
        free_aligned(exec->inputs[i]);
    for (uint32_t i = 0; i < BGD_FORMAT_OUTPUTS_MAX; i++)
        free_aligned(exec->outputs[i]);
    free(exec->memories);
    free(exec->args);
    free_aligned(exec->arena);
    free_aligned(exec->scratchpad);
    feed_scratch_free(&exec->scratch);
    if (exec->network && --exec->network->users == 0)
        onednn_network_destroy(exec->network);
    free(exec);
}

/* Buffers for whole tiles, so that a padded last tile reads and writes inside of them. */
static float *new_staging(const struct exec *exec, uint32_t value)
{
    uint64_t tile = exec->network->tile, pictures = (exec->batch + tile - 1) / tile * tile, bytes;
    if (!checked_mul(pictures, shape_size(model_shape(exec->network->model, value)) * sizeof(float), &bytes) ||
        bytes > SIZE_MAX / 2)
        return NULL;
    return aligned_zeros((size_t)bytes);
}

static int allocate(struct exec *exec, struct bgd_err *err)
{
    struct network *net = exec->network;
    const struct bgd_format_header *h = net->model->header;
    exec->arena = aligned_zeros(net->arena_bytes);
    exec->scratchpad = aligned_zeros(net->scratchpad_bytes);
    exec->memories = calloc(net->n_blocks, sizeof *exec->memories);
    exec->args = calloc((size_t)net->n_steps * (STEP_ARGS_MAX + 1), sizeof *exec->args);
    bool complete = exec->arena && exec->scratchpad && exec->memories && exec->args;
    for (uint32_t i = 0; i < h->n_inputs; i++)
        complete = (exec->inputs[i] = new_staging(exec, i)) && complete;
    for (uint32_t i = 0; i < h->n_outputs; i++)
        complete = (exec->outputs[i] = new_staging(exec, h->outputs[i])) && complete;
    return complete ? 0 : err_set(err, BGD_MEMORY, "out of memory for a lane of %u pictures", exec->batch);
}

/* Binds the blocks to this exec's memory and writes down the arguments of every step. */
static int bind(struct exec *exec, struct bgd_err *err)
{
    struct network *net = exec->network;
    const dnnl_dims_t scratchpad_dims = {(dnnl_dim_t)net->scratchpad_bytes};
    dnnl_memory_desc_t scratchpad;
    dnnl_memory_desc_init_by_tag(&scratchpad, 1, scratchpad_dims, dnnl_u8, dnnl_a);
    dnnl_status_t status = dnnl_memory_create(&exec->scratchpad_memory, &scratchpad, net->engine, exec->scratchpad);
    for (uint32_t i = 0; i < net->n_blocks && !status; i++)
        status =
            dnnl_memory_create(&exec->memories[i], &net->blocks[i].desc, net->engine, exec->arena + net->blocks[i].span.offset);
    if (!status)
        status = dnnl_stream_create(&exec->stream, net->engine, dnnl_stream_default_flags);
    if (status)
        return onednn_failed(status, "creating a lane", err);
    for (uint32_t i = 0; i < net->n_steps; i++) {
        const struct step *step = &net->steps[i];
        dnnl_exec_arg_t *args = exec->args + (size_t)i * (STEP_ARGS_MAX + 1);
        for (uint32_t k = 0; k < step->n_args; k++)
            args[k] = (dnnl_exec_arg_t){step->args[k].name, step->args[k].block == NONE ? step->args[k].constant
                                                                                        : exec->memories[step->args[k].block]};
        args[step->n_args] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, exec->scratchpad_memory};
    }
    return 0;
}

static uint32_t onednn_batch_for(const struct device *device, const struct bgd_model *model)
{
    (void)device;
    return onednn_tile(model);
}

static int onednn_prepare(struct device *device, uint32_t gpu, const struct bgd_model *model, uint32_t batch,
                          struct exec *sibling, struct exec **out, struct bgd_err *err)
{
    (void)gpu;
    *out = NULL;
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return err_set(err, BGD_MEMORY, "out of memory");
    int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* of this thread's oneDNN calls: primitives are compiled for, and run on, one thread */
    if (sibling)
        exec->network = sibling->network;
    else if (onednn_network_create(device->engine, model, &exec->network, err))
        goto fail;
    exec->network->users++;
    exec->batch = batch;
    if (allocate(exec, err) || bind(exec, err))
        goto fail;
    omp_set_num_threads(threads);
    *out = exec;
    return 0;
fail:
    omp_set_num_threads(threads);
    onednn_release(exec);
    return err->code;
}

static uint32_t onednn_batch(const struct exec *exec)
{
    return exec->batch;
}

static int onednn_load(struct exec *exec, uint32_t input, uint32_t n, const float *values, struct bgd_err *err)
{
    (void)err;
    assert(n <= exec->batch && input < exec->network->model->header->n_inputs);
    memcpy(exec->inputs[input], values, n * shape_size(model_shape(exec->network->model, input)) * sizeof *values);
    return 0;
}

static int onednn_feed(struct exec *exec, uint32_t n, const struct bgd_image *const *images, const struct backend_mask *mask,
                       struct bgd_err *err)
{
    assert(n <= exec->batch);
    const struct bgd_model *model = exec->network->model;
    size_t size = (size_t)shape_size(model_shape(model, 0));
    for (uint32_t i = 0; i < n; i++) {
        struct feed_mask own = {0};
        if (mask) {
            const struct bgd_model *segmenter = mask->exec->network->model;
            struct shape s = model_shape(segmenter, segmenter->header->outputs[0]);
            own = (struct feed_mask){mask->exec->outputs[0] + i * shape_size(s), s.w, s.h, mask->threshold};
        }
        if (feed_image(images[i], mask ? &own : NULL, &model->meta.input, &exec->scratch, exec->inputs[0] + i * size, err))
            return err->code;
    }
    return 0;
}

static void run_loop(struct exec *exec, const struct step *step, uint32_t pictures)
{
    void *blocks[STEP_ARGS_MAX];
    const float *sources[STEP_ARGS_MAX];
    for (uint32_t i = 0; i < step->n_args; i++) {
        dnnl_memory_get_data_handle(exec->memories[step->args[i].block], &blocks[i]);
        sources[i] = blocks[i];
    }
    step->loop->run(step->loop, pictures, sources, blocks[step->n_args - 1], (float *)(void *)exec->scratchpad);
}

/* Runs a step over each of its parts. */
static dnnl_status_t run_parts(struct exec *exec, const struct step *step, const dnnl_exec_arg_t *whole)
{
    const_dnnl_primitive_desc_t pd;
    dnnl_exec_arg_t args[STEP_ARGS_MAX + 1];
    dnnl_status_t status = dnnl_primitive_get_primitive_desc(step->primitive, &pd);
    args[step->n_args] = whole[step->n_args];
    for (uint32_t i = 0; i < step->parts && !status; i++) {
        uint32_t made = 0;
        for (; made < step->n_args && !status; made++) {
            const dnnl_memory_desc_t *desc = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, whole[made].arg);
            void *first;
            args[made].arg = whole[made].arg;
            args[made].memory = NULL;
            if (!(status = dnnl_memory_get_data_handle(whole[made].memory, &first)))
                status = dnnl_memory_create(&args[made].memory, desc, exec->network->engine,
                                            (uint8_t *)first + i * onednn_part_bytes(desc));
        }
        if (!status)
            status = dnnl_primitive_execute(step->primitive, exec->stream, (int)step->n_args + 1, args);
        while (made)
            dnnl_memory_destroy(args[--made].memory);
    }
    return status;
}

static int run_step(struct exec *exec, uint32_t i, uint32_t pictures, struct bgd_err *err)
{
    const struct step *step = &exec->network->steps[i];
    if (step->loop) {
        run_loop(exec, step, pictures);
        return 0;
    }
    const dnnl_exec_arg_t *args = exec->args + (size_t)i * (STEP_ARGS_MAX + 1);
    dnnl_status_t status = step->parts > 1 ? run_parts(exec, step, args)
                                           : dnnl_primitive_execute(step->primitive, exec->stream, (int)step->n_args + 1, args);
    return status ? onednn_failed(status, "running a step", err) : 0;
}

/* Runs the pictures first..n - 1, or as many of them as a tile has; primitives compute all of it, whatever lies there. `times` NULL:
 * they are not taken. */
static int run_tile(struct exec *exec, uint32_t first, uint32_t n, struct measure_steps *times, uint32_t repeat,
                    struct bgd_err *err)
{
    struct network *net = exec->network;
    const struct bgd_format_header *h = net->model->header;
    uint32_t pictures = n - first < net->tile ? n - first : net->tile;
    for (uint32_t i = 0; i < h->n_inputs; i++)
        dnnl_memory_set_data_handle(exec->memories[net->inputs[i]],
                                    exec->inputs[i] + first * shape_size(model_shape(net->model, i)));
    for (uint32_t i = 0; i < h->n_outputs; i++)
        dnnl_memory_set_data_handle(exec->memories[net->outputs[i]],
                                    exec->outputs[i] + first * shape_size(model_shape(net->model, h->outputs[i])));
    double before = times ? measure_now() : 0;
    for (uint32_t i = 0; i < net->n_steps; i++) {
        if (run_step(exec, i, pictures, err))
            return err->code;
        if (!times)
            continue;
        double now = measure_now();
        if (net->steps[i].leader != NONE)
            measure_steps_add(times, net->steps[i].leader, repeat, now - before);
        before = now;
    }
    dnnl_status_t status = dnnl_stream_wait(exec->stream);
    return status ? onednn_failed(status, "waiting for a run", err) : 0;
}

static int onednn_run(struct exec *exec, uint32_t n, struct bgd_err *err)
{
    assert(n <= exec->batch);
    int threads = omp_get_max_threads(), code = 0;
    omp_set_num_threads(1);
    for (uint32_t first = 0; first < n && !code; first += exec->network->tile)
        code = run_tile(exec, first, n, NULL, 0, err);
    omp_set_num_threads(threads);
    return code;
}

static int onednn_fetch(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err)
{
    (void)err;
    uint32_t value = exec->network->model->header->outputs[output];
    memcpy(values, exec->outputs[output], n * shape_size(model_shape(exec->network->model, value)) * sizeof *values);
    return 0;
}

/* Of square matrices. On one core of an EPYC with AVX2, products of 256 ran at up to 40 GMAC/s, of 512 to 2048 at up to 35. */
#define PRODUCT_SIDE 256

static int product_row(void *user, uint32_t times, double *seconds, struct bgd_err *err)
{
    float *matrices = user, *a = matrices, *b = a + PRODUCT_SIDE * PRODUCT_SIDE, *c = b + PRODUCT_SIDE * PRODUCT_SIDE;
    const dnnl_dim_t side = PRODUCT_SIDE;
    dnnl_status_t status = dnnl_success;
    double start = measure_now();
    for (uint32_t i = 0; i < times && !status; i++)
        status = dnnl_sgemm('N', 'T', side, side, side, 1, a, side, b, side, 0, c, side);
    *seconds = measure_now() - start;
    return status ? onednn_failed(status, "a matrix product", err) : 0;
}

static int onednn_ceilings(struct device *device, struct backend_ceilings *ceilings, struct bgd_err *err)
{
    (void)device;
    const size_t size = (size_t)PRODUCT_SIDE * PRODUCT_SIDE;
    double seconds;
    float *matrices = aligned_zeros(3 * size * sizeof *matrices);
    if (!matrices)
        return err_set(err, BGD_MEMORY, "out of memory for a matrix product");
    for (size_t i = 0; i < 2 * size; i++)
        matrices[i] = (float)(i % 1021) / 1021;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    int code = measure_fastest(product_row, matrices, &seconds, err);
    omp_set_num_threads(threads);
    free_aligned(matrices);
    *ceilings = (struct backend_ceilings){.element_bytes = sizeof(float)};
    if (!code)
        ceilings->macs = (double)size * PRODUCT_SIDE / seconds;
    return code ? code : measure_copy(&ceilings->copy, err);
}

static int onednn_profile(struct exec *exec, uint32_t n, uint32_t repeats, struct backend_op_time *times, struct bgd_err *err)
{
    struct measure_steps steps;
    if (onednn_run(exec, n, err))
        return err->code;
    int threads = omp_get_max_threads(),
        code = measure_steps_open(&steps, exec->network->model, exec->network->leaders, repeats, err);
    omp_set_num_threads(1);
    for (uint32_t i = 0; i < repeats; i++)
        for (uint32_t first = 0; first < n && !code; first += exec->network->tile)
            code = run_tile(exec, first, n, &steps, i, err);
    omp_set_num_threads(threads);
    if (!code)
        measure_steps_times(&steps, times);
    measure_steps_close(&steps);
    return code;
}

const struct backend backend_onednn = {
    .name = "onednn",
    .lanes = UINT32_MAX,
    .open = onednn_open,
    .close = onednn_close,
    .describe = onednn_describe,
    .gpus = backend_no_gpus,
    .autotune = backend_no_autotune,
    .memory = backend_no_memory,
    .batch_for = onednn_batch_for,
    .prepare = onednn_prepare,
    .release = onednn_release,
    .batch = onednn_batch,
    .load = onednn_load,
    .feed = onednn_feed,
    .run = onednn_run,
    .fetch = onednn_fetch,
    .ceilings = onednn_ceilings,
    .profile = onednn_profile,
};
