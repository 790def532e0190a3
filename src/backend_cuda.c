/*
 * An NVIDIA GPU: cuDNN's convolutions with fused epilogues, kernels of ours (kernels/) for the rest, f16 by default.
 *
 * prepare turns the graph into a list of steps over one arena (cuda_network.h), runs it once, and captures it in a CUDA graph
 * for whole batches: a short one is run like a full one, what is behind its pictures being of no interest. Nothing is allocated
 * afterwards but for the first load. An exec has a stream of its own, so that while one lane's batch is computed the next one's
 * pixels are copied in; only fetch waits for the device.
 *
 * A device is one GPU or several of one kind, each with a cuDNN and weights of its own; page-locked memory is for all of them.
 * CUDA numbers those that CUDA_VISIBLE_DEVICES leaves. With BGDET_CUDA_UNFUSED in the environment the blocks of EfficientNets are
 * not fused (cuda_blocks.h): for comparing the two. After an error that a GPU does not recover from, every call fails; the
 * process must be started anew.
 */
#include "backend.h"
#include "bytes.h"
#include "cuda_ceilings.h"
#include "cuda_error.h"
#include "cuda_feed.h"
#include "cuda_network.h"
#include "err.h"
#include "measure.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPABILITY_LEAST 8 /* Ampere: what kernels are compiled for (CMakeLists.txt) */
#define F8_LEAST 89        /* Ada: 8.9, the first with products of E4M3 */
#define LANES 3u           /* one copies in, one computes, one copies out and turns scores into results */
#define GPUS_MAX 64        /* bits of a set */

struct gpu {
    int number;          /* CUDA's */
    struct cudnn *cudnn; /* NULL: it is not used */
};

/* Page-locked memory that somebody else fills. */
struct memory {
    struct memory *next;
    uint8_t *bytes;
    size_t size;
};

struct device {
    enum kernel_type type;
    uint64_t gpus;
    struct gpu numbered[GPUS_MAX];
    bool autotune;
    struct memory *memory;
};

struct exec {
    const struct device *device;
    const struct gpu *gpu;
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

/* ---------------------------------------------------------------- one GPU of several */

/* What a thread asks of CUDA it asks of its current device: whatever is about to be done with a GPU begins with this. */
static int take(const struct gpu *gpu, struct bgd_err *err)
{
    return cuda_check(cudaSetDevice(gpu->number), "taking the device", err);
}

/* The error of a GPU says whose it is. */
static int failed_on(const struct gpu *gpu, struct bgd_err *err)
{
    return err->code == BGD_DEVICE || err->code == BGD_MEMORY ? err_prefix(err, "GPU %d: ", gpu->number) : err->code;
}

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
    for (int i = 0; i < GPUS_MAX; i++)
        if (device->numbered[i].cudnn) {
            cudaSetDevice(i);
            cudnn_close(device->numbered[i].cudnn);
        }
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

static int open_gpu(struct gpu *gpu, enum bgd_precision precision, struct bgd_err *err)
{
    int major, minor;
    char path[4096];
    if (cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu->number), "looking at the device",
                   err) ||
        cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, gpu->number), "looking at the device", err))
        return err->code;
    if (major < CAPABILITY_LEAST)
        return err_set(err, BGD_DEVICE, "the CUDA device has compute capability %d.x, expected %d.0 or later", major,
                       CAPABILITY_LEAST);
    if (precision == BGD_PRECISION_F8 && 10 * major + minor < F8_LEAST)
        return err_set(err, BGD_ARGUMENT, "the CUDA device has compute capability %d.%d, f8 needs %d.%d or later", major, minor,
                       F8_LEAST / 10, F8_LEAST % 10);
    /* A thread that waits shall sleep, not spin. */
    return take(gpu, err) || cuda_check(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync), "setting up the device", err) ||
                   cudnn_open(NULL, cache_folder(path, sizeof path), &gpu->cudnn, err)
               ? err->code
               : 0;
}

/* Another kind of GPU has other plans, and its sums other last bits: a row would depend on who had computed it. */
static int check_kind(int first, int number, struct bgd_err *err)
{
    struct cudaDeviceProp a, b;
    if (cuda_check(cudaGetDeviceProperties(&a, first), "looking at the device", err) ||
        cuda_check(cudaGetDeviceProperties(&b, number), "looking at the device", err))
        return err->code;
    if (strcmp(a.name, b.name) != 0 || a.multiProcessorCount != b.multiProcessorCount)
        return err_set(err, BGD_ARGUMENT, "GPU %d is %s with %d multiprocessors, GPU %d %s with %d: expected GPUs of one kind",
                       first, a.name, a.multiProcessorCount, number, b.name, b.multiProcessorCount);
    return 0;
}

static int open_gpus(struct device *device, enum bgd_precision precision, struct bgd_err *err)
{
    int first = __builtin_ctzll(device->gpus);
    for (int i = first; i < GPUS_MAX; i++) {
        struct gpu *gpu = &device->numbered[i];
        gpu->number = i;
        if (!(device->gpus >> i & 1))
            continue;
        if ((i > first && check_kind(first, i, err)) || open_gpu(gpu, precision, err))
            return failed_on(gpu, err);
    }
    return 0;
}

static int cuda_open(uint64_t gpus, enum bgd_precision precision, struct device **out, struct bgd_err *err)
{
    static const enum kernel_type types[] = {[BGD_PRECISION_AUTO] = KERNEL_F16,
                                             [BGD_PRECISION_F32] = KERNEL_F32,
                                             [BGD_PRECISION_F16] = KERNEL_F16,
                                             [BGD_PRECISION_BF16] = KERNEL_BF16,
                                             [BGD_PRECISION_F8] = KERNEL_F8};
    int count;
    *out = NULL;
    cudaError_t found = cudaGetDeviceCount(&count);
    if (found)
        return no_device(found, err);
    uint64_t there = count < GPUS_MAX ? ((uint64_t)1 << count) - 1 : UINT64_MAX;
    uint64_t wanted = gpus == BGD_GPUS_ALL ? there : gpus ? gpus : 1;
    if (wanted & ~there)
        return err_set(err, BGD_ARGUMENT, "GPU %d: there %s %d, from 0 on", __builtin_ctzll(wanted & ~there),
                       count == 1 ? "is" : "are", count);
    struct device *device = calloc(1, sizeof *device);
    if (!device)
        return err_set(err, BGD_MEMORY, "out of memory");
    device->type = types[precision];
    device->gpus = wanted;
    if (open_gpus(device, precision, err)) {
        cuda_close(device);
        return err->code;
    }
    *out = device;
    return 0;
}

static void cuda_describe(const struct device *device, char text[BACKEND_TEXT])
{
    static const char *const types[] = {[KERNEL_F32] = "f32", [KERNEL_F16] = "f16", [KERNEL_BF16] = "bf16", [KERNEL_F8] = "f8"};
    int n = __builtin_popcountll(device->gpus), first = __builtin_ctzll(device->gpus);
    char times[16] = "";
    struct cudaDeviceProp properties;
    bool known = cudaGetDeviceProperties(&properties, first) == cudaSuccess;
    (void)cudaGetLastError();
    if (n > 1)
        snprintf(times, sizeof times, "%d x ", n);
    snprintf(text, BACKEND_TEXT, "%s%s, %s, %s", times, known ? properties.name : "a CUDA device",
             cudnn_version(device->numbered[first].cudnn), types[device->type]);
}

static uint64_t cuda_gpus(const struct device *device)
{
    return device->gpus;
}

static int cuda_autotune(struct device *device, struct bgd_err *err)
{
    (void)err;
    device->autotune = true;
    return 0;
}

static void *cuda_memory(struct device *device, size_t bytes)
{
    struct memory *memory = calloc(1, sizeof *memory);
    if (!memory || cudaSetDevice(__builtin_ctzll(device->gpus)) ||
        cudaHostAlloc((void **)&memory->bytes, bytes, cudaHostAllocPortable)) {
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
        if (cuda_step_run(net, &net->steps[i], exec->gpu->cudnn, exec->arena, exec->outputs, exec->stream, err))
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

static int cuda_prepare(const struct device *device, const struct gpu *gpu, const struct bgd_model *model, uint32_t batch,
                        struct exec *sibling, struct exec **out, struct bgd_err *err)
{
    struct exec *exec = calloc(1, sizeof *exec);
    if (!exec)
        return err_set(err, BGD_MEMORY, "out of memory");
    exec->device = device;
    exec->gpu = gpu;
    assert(!sibling || sibling->gpu == gpu);
    if (sibling)
        exec->network = sibling->network;
    else if (cuda_network_create(model, device->type, batch, !getenv("BGDET_CUDA_UNFUSED"), &exec->network, err))
        goto fail;
    exec->network->users++;
    if ((!sibling && cuda_network_load(exec->network, gpu->cudnn, device->autotune, err)) ||
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

/* ---------------------------------------------------------------- measuring */

/* A pass, step by step, with an event before each step and behind the last. The captured pass goes before it, so that the device
 * is busy while the host puts the steps into the stream: what is measured between events is then the device's time alone, unless
 * a pass is shorter than that takes (single pictures: 100 steps, some microseconds each). */
static int time_pass(struct exec *exec, uint32_t n, cudaEvent_t *events, uint32_t repeat, struct measure_steps *times,
                     struct bgd_err *err)
{
    const struct cuda_network *net = exec->network;
    if (cuda_run(exec, n, err))
        return err->code;
    cudaError_t error = cudaEventRecord(events[0], exec->stream);
    for (uint32_t i = 0; i < net->n_steps && !error; i++) {
        if (cuda_step_run(net, &net->steps[i], exec->gpu->cudnn, exec->arena, exec->outputs, exec->stream, err))
            return err->code;
        error = cudaEventRecord(events[i + 1], exec->stream);
    }
    if (!error)
        error = cudaStreamSynchronize(exec->stream);
    for (uint32_t i = 0; i < net->n_steps && !error; i++) {
        float milliseconds = 0;
        error = cudaEventElapsedTime(&milliseconds, events[i], events[i + 1]);
        if (net->steps[i].leader != NONE)
            measure_steps_add(times, net->steps[i].leader, repeat, (double)milliseconds / 1000);
    }
    return cuda_check(error, "timing a pass", err);
}

static int cuda_profile(struct exec *exec, uint32_t n, uint32_t repeats, struct backend_op_time *times, struct bgd_err *err)
{
    const struct cuda_network *net = exec->network;
    struct measure_steps steps;
    cudaEvent_t *events = calloc((size_t)net->n_steps + 1, sizeof *events);
    int code = measure_steps_open(&steps, net->model, net->leaders, repeats, err);
    if (!code && !events)
        code = err_set(err, BGD_MEMORY, "out of memory");
    for (uint32_t i = 0; i <= net->n_steps && !code; i++)
        code = cuda_check(cudaEventCreateWithFlags(&events[i], cudaEventDefault), "timing a pass", err);
    for (uint32_t i = 0; i < repeats && !code; i++)
        code = time_pass(exec, n, events, i, &steps, err);
    if (!code)
        measure_steps_times(&steps, times);
    for (uint32_t i = 0; events && i <= net->n_steps; i++)
        if (events[i])
            cudaEventDestroy(events[i]);
    free(events);
    measure_steps_close(&steps);
    return code;
}

static uint32_t cuda_batch_for(const struct device *device, const struct bgd_model *model)
{
    return cuda_network_batch(model, device->type);
}

/* ---------------------------------------------------------------- the same, on the exec's GPU */

static int prepare_on_gpu(struct device *device, uint32_t number, const struct bgd_model *model, uint32_t batch,
                          struct exec *sibling, struct exec **exec, struct bgd_err *err)
{
    assert(number < GPUS_MAX && device->gpus >> number & 1);
    const struct gpu *gpu = &device->numbered[number];
    *exec = NULL;
    return take(gpu, err) || cuda_prepare(device, gpu, model, batch, sibling, exec, err) ? failed_on(gpu, err) : 0;
}

static void release_on_gpu(struct exec *exec)
{
    if (exec)
        cudaSetDevice(exec->gpu->number);
    cuda_release(exec);
}

static int load_on_gpu(struct exec *exec, uint32_t input, uint32_t n, const float *values, struct bgd_err *err)
{
    return take(exec->gpu, err) || cuda_load(exec, input, n, values, err) ? failed_on(exec->gpu, err) : 0;
}

static int feed_on_gpu(struct exec *exec, uint32_t n, const struct bgd_image *const *images, const struct backend_mask *mask,
                       struct bgd_err *err)
{
    return take(exec->gpu, err) || cuda_feed(exec, n, images, mask, err) ? failed_on(exec->gpu, err) : 0;
}

static int run_on_gpu(struct exec *exec, uint32_t n, struct bgd_err *err)
{
    return take(exec->gpu, err) || cuda_run(exec, n, err) ? failed_on(exec->gpu, err) : 0;
}

static int fetch_on_gpu(struct exec *exec, uint32_t output, uint32_t n, float *values, struct bgd_err *err)
{
    return take(exec->gpu, err) || cuda_fetch(exec, output, n, values, err) ? failed_on(exec->gpu, err) : 0;
}

static int profile_on_gpu(struct exec *exec, uint32_t n, uint32_t repeats, struct backend_op_time *times, struct bgd_err *err)
{
    return take(exec->gpu, err) || cuda_profile(exec, n, repeats, times, err) ? failed_on(exec->gpu, err) : 0;
}

static int ceilings_of_first(struct device *device, struct backend_ceilings *ceilings, struct bgd_err *err)
{
    const struct gpu *gpu = &device->numbered[__builtin_ctzll(device->gpus)];
    bool failed = take(gpu, err) || cuda_ceilings_measure(device->type, gpu->cudnn, ceilings, err);
    return failed ? failed_on(gpu, err) : 0;
}

const struct backend backend_cuda = {
    .name = "cuda",
    .lanes = LANES,
    .own_memory = true,
    .open = cuda_open,
    .close = cuda_close,
    .describe = cuda_describe,
    .gpus = cuda_gpus,
    .autotune = cuda_autotune,
    .memory = cuda_memory,
    .batch_for = cuda_batch_for,
    .prepare = prepare_on_gpu,
    .release = release_on_gpu,
    .batch = cuda_batch,
    .load = load_on_gpu,
    .feed = feed_on_gpu,
    .run = run_on_gpu,
    .fetch = fetch_on_gpu,
    .ceilings = ceilings_of_first,
    .profile = profile_on_gpu,
};
