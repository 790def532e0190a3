/*
 * An NVIDIA GPU: cuDNN's convolutions with fused epilogues, kernels of ours (kernels/) for the rest, f16 by default.
 *
 * prepare turns the graph into a list of steps over one arena (cuda_network.h), runs it once, and captures it in a CUDA graph
 * for whole batches: a short one is run like a full one, what is behind its pictures being of no interest. Nothing is allocated
 * afterwards but for the first load. An exec has a stream of its own, so that while one lane's batch is computed the next one's
 * pixels are copied in; only fetch waits for the device.
 *
 * The first CUDA device is used (CUDA_VISIBLE_DEVICES says which that is). With BGDET_CUDA_UNFUSED in the environment the
 * blocks of EfficientNets are not fused (cuda_blocks.h): for comparing the two. After an error that the device does not recover
 * from, every call fails; the process must be started anew.
 */
#include "backend.h"
#include "bytes.h"
#include "cuda_error.h"
#include "cuda_feed.h"
#include "cuda_network.h"
#include "err.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPABILITY_LEAST 8 /* Ampere: what kernels are compiled for (CMakeLists.txt) */
#define LANES 3u           /* one copies in, one computes, one copies out and turns scores into results */

/* Page-locked memory that somebody else fills. */
struct memory {
    struct memory *next;
    uint8_t *bytes;
    size_t size;
};

struct device {
    enum kernel_type type;
    struct cudnn *cudnn;
    struct memory *memory;
};

struct exec {
    struct device *device;
    struct cuda_network *network;
    cudaStream_t stream;
    cudaEvent_t done; /* the last run */
    cudaGraphExec_t pass;
    uint8_t *arena;
    float *outputs[BGD_FORMAT_OUTPUTS_MAX]; /* on the device: (batch, c, h, w) */
    float *fetched;                         /* page-locked: the largest of them */
    float *loaded;                          /* on the device, made by the first load: the largest input */
    struct cuda_feed *feed;                 /* of a network that sees pictures */
    uint32_t *not_finite;                   /* on the device, and page-locked: was a mask fed that is not finite? */
    uint32_t *not_finite_fetched;
};

/* ---------------------------------------------------------------- device */

/* The folder where plans are kept between runs, in path; NULL where no home is known. */
static const char *cache_folder(char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache)
        snprintf(path, size, "%s/bgdet", cache);
    else if (home && *home)
        snprintf(path, size, "%s/.cache/bgdet", home);
    else
        return NULL;
    return path;
}

static void cuda_close(struct device *device)
{
    if (!device)
        return;
    while (device->memory) {
        struct memory *memory = device->memory;
        device->memory = memory->next;
        cudaFreeHost(memory->bytes);
        free(memory);
    }
    cudnn_close(device->cudnn);
    free(device);
}

/* No device: most often for want of a driver, which CUDA reports as one that is too old. */
static int no_device(cudaError_t error, struct bgd_err *err)
{
    int driver = 0;
    if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess) {
        (void)cudaGetLastError();
        if (driver == 0)
            return err_set(err, BGD_DEVICE, "CUDA: there is no NVIDIA driver on this machine");
        return err_set(err, BGD_DEVICE, "CUDA: the NVIDIA driver is for CUDA %d.%d, expected %d.%d or later", driver / 1000,
                       driver % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    }
    return cuda_check(error, "looking for a device", err);
}

static int cuda_open(enum bgd_precision precision, struct device **out, struct bgd_err *err)
{
    static const enum kernel_type types[] = {[BGD_PRECISION_AUTO] = KERNEL_F16,
                                             [BGD_PRECISION_F32] = KERNEL_F32,
                                             [BGD_PRECISION_F16] = KERNEL_F16,
                                             [BGD_PRECISION_BF16] = KERNEL_BF16};
    int count, major;
    *out = NULL;
    cudaError_t found = cudaGetDeviceCount(&count);
    if (found)
        return no_device(found, err);
    if (cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "looking at the device", err))
        return err->code;
    if (major < CAPABILITY_LEAST)
        return err_set(err, BGD_DEVICE, "the CUDA device has compute capability %d.x, expected %d.0 or later", major,
                       CAPABILITY_LEAST);
    /* A thread that waits shall sleep, not spin. */
    if (cuda_check(cudaSetDevice(0), "taking the device", err) ||
        cuda_check(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync), "setting up the device", err))
        return err->code;
    struct device *device = calloc(1, sizeof *device);
    if (!device)
        return err_set(err, BGD_MEMORY, "out of memory");
    char path[4096];
    device->type = types[precision];
    if (cudnn_open(NULL, cache_folder(path, sizeof path), &device->cudnn, err)) {
        cuda_close(device);
        return err->code;
    }
    *out = device;
    return 0;
}

static void *cuda_memory(struct device *device, size_t bytes)
{
    struct memory *memory = calloc(1, sizeof *memory);
    if (!memory || cudaHostAlloc((void **)&memory->bytes, bytes, cudaHostAllocDefault)) {
        (void)cudaGetLastError(); /* the heap will do */
        free(memory);
        return NULL;
    }
    *memory = (struct memory){device->memory, memory->bytes, bytes};
    device->memory = memory;
    return memory->bytes;
}

static bool is_locked(const void *user, const uint8_t *pixels)
{
    const struct device *device = user;
    for (const struct memory *m = device->memory; m; m = m->next)
        if (pixels >= m->bytes && pixels < m->bytes + m->size)
            return true;
    return false;
}

/* ---------------------------------------------------------------- exec */

static void cuda_release(struct exec *exec)
{
    if (!exec)
        return;
    if (exec->stream)
        cudaStreamSynchronize(exec->stream);
    cuda_feed_close(exec->feed);
    if (exec->pass)
        cudaGraphExecDestroy(exec->pass);
    for (uint32_t i = 0; i < BGD_FORMAT_OUTPUTS_MAX; i++)
        cudaFree(exec->outputs[i]);
    cudaFree(exec->arena);
    cudaFree(exec->loaded);
    cudaFree(exec->not_finite);
    cudaFreeHost(exec->fetched);
    cudaFreeHost(exec->not_finite_fetched);
    if (exec->done)
        cudaEventDestroy(exec->done);
    if (exec->stream)
        cudaStreamDestroy(exec->stream);
    if (exec->network && --exec->network->users == 0)
        cuda_network_destroy(exec->network);
    free(exec);
}

/* Bytes of a batch of the value in f32. */
static size_t batch_bytes(const struct exec *exec, uint32_t value)
{
    uint64_t bytes;
    bool small =
        checked_mul(shape_size(model_shape(exec->network->model, value)) * sizeof(float), exec->network->batch, &bytes);
    return small && bytes <= SIZE_MAX / 4 ? (size_t)bytes : SIZE_MAX / 4; /* which no device has */
}

static cudaError_t allocate(struct exec *exec)
{
    const struct bgd_format_header *h = exec->network->model->header;
    size_t largest = 0;
    cudaError_t error = cudaMalloc((void **)&exec->arena, exec->network->arena_bytes);
    for (uint32_t i = 0; i < h->n_outputs && !error; i++) {
        size_t bytes = batch_bytes(exec, h->outputs[i]);
        largest = bytes > largest ? bytes : largest;
        error = cudaMalloc((void **)&exec->outputs[i], bytes);
    }
    if (!error)
        error = cudaHostAlloc((void **)&exec->fetched, largest, cudaHostAllocDefault);
    if (!error)
        error = cudaMalloc((void **)&exec->not_finite, sizeof *exec->not_finite);
    if (!error)
        error = cudaHostAlloc((void **)&exec->not_finite_fetched, sizeof *exec->not_finite, cudaHostAllocDefault);
    if (!error)
        error = cudaStreamCreateWithFlags(&exec->stream, cudaStreamNonBlocking);
    if (!error)
        error = cudaEventCreateWithFlags(&exec->done, cudaEventDisableTiming);
    if (!error) /* so that no run ever reads what was not written */
        error = cudaMemsetAsync(exec->arena, 0, exec->network->arena_bytes, exec->stream);
    if (!error)
        error = cudaMemsetAsync(exec->not_finite, 0, sizeof *exec->not_finite, exec->stream);
    return error;
}

static int run_steps(struct exec *exec, struct bgd_err *err)
{
    const struct cuda_network *net = exec->network;
    for (uint32_t i = 0; i < net->n_steps; i++)
        if (cuda_step_run(net, &net->steps[i], exec->device->cudnn, exec->arena, exec->outputs, exec->stream, err))
            return err->code;
    return 0;
}

/* The pass as a CUDA graph. It is run once before: the first launch of a kernel loads it, which a capture does not allow. */
static int capture(struct exec *exec, struct bgd_err *err)
{
    cudaGraph_t graph = NULL;
    if (run_steps(exec, err) || cuda_check(cudaStreamSynchronize(exec->stream), "running a first pass", err) ||
        cuda_check(cudaStreamBeginCapture(exec->stream, cudaStreamCaptureModeThreadLocal), "capturing a pass", err))
        return err->code;
    int code = run_steps(exec, err);
    cudaError_t error = cudaStreamEndCapture(exec->stream, &graph);
    if (!code)
        code = cuda_check(error, "capturing a pass", err);
    if (!code)
        code = cuda_check(cudaGraphInstantiate(&exec->pass, graph, 0), "making a graph of a pass", err);
    if (graph)
        cudaGraphDestroy(graph);
    return code;
}

static int cuda_prepare(struct device *device, const struct bgd_model *model, uint32_t batch, struct exec *sibling,
                        struct exec **out, struct bgd_err *err)
{
    *out = NULL;
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return err_set(err, BGD_MEMORY, "out of memory");
    exec->device = device;
    if (sibling)
        exec->network = sibling->network;
    else if (cuda_network_create(model, device->type, batch, !getenv("BGDET_CUDA_UNFUSED"), &exec->network, err))
        goto fail;
    exec->network->users++;
    if ((!sibling && cuda_network_load(exec->network, device->cudnn, err)) ||
        cuda_check(allocate(exec), "making a lane", err) ||
        (model->meta.kind != META_NETWORK && cuda_feed_open(model->meta.input.height, &exec->feed, err)) || capture(exec, err))
        goto fail;
    *out = exec;
    return 0;
fail:
    cuda_release(exec);
    return err->code;
}

static uint32_t cuda_batch(const struct exec *exec)
{
    return exec->network->batch;
}

/* ---------------------------------------------------------------- a batch */

static int cuda_load(struct exec *exec, uint32_t input, uint32_t n, const float *values, struct bgd_err *err)
{
    const struct cuda_network *net = exec->network;
    assert(n <= net->batch && input < net->model->header->n_inputs);
    size_t largest = 0;
    for (uint32_t i = 0; i < net->model->header->n_inputs; i++)
        largest = batch_bytes(exec, i) > largest ? batch_bytes(exec, i) : largest;
    if (!exec->loaded && cuda_check(cudaMalloc((void **)&exec->loaded, largest), "allocating an input", err))
        return err->code;
    size_t bytes = n * (size_t)shape_size(model_shape(net->model, input)) * sizeof *values;
    cudaError_t error = cudaMemcpyAsync(exec->loaded, values, bytes, cudaMemcpyHostToDevice, exec->stream);
    if (!error)
        error = kernel_pack(exec->stream, n, exec->loaded, cuda_resolve(net, &net->inputs[input], exec->arena));
    return cuda_check(error, "loading an input", err);
}

static int cuda_feed(struct exec *exec, uint32_t n, const struct bgd_image *const *images, const struct backend_mask *mask,
                     struct bgd_err *err)
{
    const struct feed_spec *input = &exec->network->model->meta.input;
    assert(n <= exec->network->batch && exec->feed);
    struct kernel_feed_spec spec = {.channels = input->channels, .not_finite = exec->not_finite};
    memcpy(spec.mean, input->mean, sizeof spec.mean);
    memcpy(spec.std, input->std, sizeof spec.std);
    memcpy(spec.fill, input->fill, sizeof spec.fill);
    if (mask) {
        const struct bgd_model *segmenter = mask->exec->network->model;
        struct shape s = model_shape(segmenter, segmenter->header->outputs[0]);
        spec.mask = mask->exec->outputs[0];
        spec.mask_width = s.w;
        spec.mask_height = s.h;
        spec.threshold = mask->threshold;
        if (cuda_check(cudaStreamWaitEvent(exec->stream, mask->exec->done, 0), "waiting for masks", err))
            return err->code;
    }
    return cuda_feed_run(exec->feed, n, images, is_locked, exec->device, &spec,
                         cuda_resolve(exec->network, &exec->network->inputs[0], exec->arena), exec->stream, err);
}

static int cuda_run(struct exec *exec, uint32_t n, struct bgd_err *err)
{
    assert(n <= exec->network->batch);
    (void)n;
    cudaError_t error = cudaGraphLaunch(exec->pass, exec->stream);
    if (!error)
        error = cudaMemcpyAsync(exec->not_finite_fetched, exec->not_finite, sizeof *exec->not_finite, cudaMemcpyDeviceToHost,
                                exec->stream);
    if (!error)
        error = cudaEventRecord(exec->done, exec->stream);
    return cuda_check(error, "running a batch", err);
}

static int cuda_fetch(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err)
{
    const struct bgd_model *model = exec->network->model;
    size_t bytes = n * (size_t)shape_size(model_shape(model, model->header->outputs[output])) * sizeof *values;
    cudaError_t error = cudaMemcpyAsync(exec->fetched, exec->outputs[output], bytes, cudaMemcpyDeviceToHost, exec->stream);
    if (!error)
        error = cudaStreamSynchronize(exec->stream);
    if (cuda_check(error, "waiting for a batch", err))
        return err->code;
    if (*exec->not_finite_fetched)
        return err_set(err, BGD_DAMAGED, "the segmenter computes a mask that is not finite");
    memcpy(values, exec->fetched, bytes);
    return 0;
}

const struct backend backend_cuda = {
    .name = "cuda",
    .lanes = LANES,
    .own_memory = true,
    .open = cuda_open,
    .close = cuda_close,
    .memory = cuda_memory,
    .prepare = cuda_prepare,
    .release = cuda_release,
    .batch = cuda_batch,
    .load = cuda_load,
    .feed = cuda_feed,
    .run = cuda_run,
    .fetch = cuda_fetch,
};
