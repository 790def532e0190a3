#include "cudnn_tuner.h"

#include "cuda_error.h"
#include "cudnn_library.h"
#include "err.h"

#include <assert.h>
#include <stdlib.h>

#define ALIGN 256u
#define FILL 0x2c   /* as every byte, a small normal number in each type: 0.065 in f16, 0.375 in E4M3 */
#define RUNS 8u     /* in a graph: what its launch takes is shared by so many */
#define LAUNCHES 7u /* that are timed */

/* The tensors of a convolution, one behind another. */
enum tensor { X, W, BIAS, SCALE, RESIDUAL, Y, TENSORS };

struct cudnn_tuner {
    struct cudnn *cudnn;
    cudaStream_t stream;
    cudaEvent_t start, stop;
    size_t bytes, workspace_bytes;
    uint8_t *memory, *workspace;
};

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* Fills in where each tensor starts; returns where the last one ends. */
static size_t lay_out(const struct cudnn_conv *c, size_t offsets[TENSORS])
{
    size_t out_pixels = (size_t)c->n * c->out_h * c->out_w;
    size_t element = kernel_type_bytes(c->type), outer = c->type == KERNEL_F8 ? 2 : element;
    const size_t bytes[TENSORS] = {
        [X] = (size_t)c->n * c->h * c->w * c->pitch * element,
        [W] = (size_t)c->out_c * c->window.kernel_h * c->window.kernel_w * c->c * element,
        [BIAS] = c->out_c * outer,
        [SCALE] = c->out_c * sizeof(float),
        [RESIDUAL] = out_pixels * c->residual_pitch * outer,
        [Y] = out_pixels * c->out_pitch * outer,
    };
    size_t end = 0;
    for (int i = 0; i < TENSORS; i++) {
        offsets[i] = end;
        end += aligned(bytes[i]);
    }
    return end;
}

size_t cudnn_tuner_bytes(const struct cudnn_conv *conv)
{
    size_t offsets[TENSORS];
    return lay_out(conv, offsets);
}

int cudnn_tuner_open(struct cudnn *cudnn, size_t bytes, struct cudnn_tuner **tuner, struct bgd_err *err)
{
    *tuner = NULL;
    if (cudnn->description)
        return err_set(err, BGD_ARGUMENT, "plans cannot be timed on a device that is only described");
    *tuner = calloc(1, sizeof **tuner);
    if (!*tuner)
        return err_set(err, BGD_MEMORY, "out of memory");
    (*tuner)->cudnn = cudnn;
    (*tuner)->bytes = bytes;
    return 0;
}

void cudnn_tuner_close(struct cudnn_tuner *tuner)
{
    if (!tuner)
        return;
    cudaFree(tuner->memory);
    cudaFree(tuner->workspace);
    if (tuner->start)
        cudaEventDestroy(tuner->start);
    if (tuner->stop)
        cudaEventDestroy(tuner->stop);
    if (tuner->stream)
        cudaStreamDestroy(tuner->stream);
    free(tuner);
}

int cudnn_tuner_start(struct cudnn_tuner *tuner, struct bgd_err *err)
{
    cudaError_t error = cudaSuccess;
    if (!tuner->stream)
        error = cudaStreamCreateWithFlags(&tuner->stream, cudaStreamNonBlocking);
    if (!error && !tuner->start)
        error = cudaEventCreateWithFlags(&tuner->start, cudaEventDefault);
    if (!error && !tuner->stop)
        error = cudaEventCreateWithFlags(&tuner->stop, cudaEventDefault);
    if (!error && !tuner->memory) {
        error = cudaMalloc((void **)&tuner->memory, tuner->bytes);
        if (!error)
            error = cudaMemsetAsync(tuner->memory, FILL, tuner->bytes, tuner->stream);
    }
    if (!error)
        error = cudaStreamSynchronize(tuner->stream);
    return cuda_check(error, "getting ready to time plans", err);
}

static int grow_workspace(struct cudnn_tuner *tuner, size_t bytes, struct bgd_err *err)
{
    if (bytes <= tuner->workspace_bytes)
        return 0;
    cudaFree(tuner->workspace);
    tuner->workspace = NULL;
    tuner->workspace_bytes = 0;
    if (cuda_check(cudaMalloc((void **)&tuner->workspace, bytes), "a plan's workspace", err))
        return err->code;
    tuner->workspace_bytes = bytes;
    return 0;
}

static int run(struct cudnn_tuner *tuner, const struct cudnn_conv *conv, const struct cudnn_plan *plan, struct bgd_err *err)
{
    size_t at[TENSORS];
    size_t end = lay_out(conv, at);
    assert(end <= tuner->bytes);
    (void)end;
    uint8_t *memory = tuner->memory;
    return cudnn_plan_run(tuner->cudnn, plan, tuner->stream, memory + at[X], memory + at[W], memory + at[BIAS],
                          (const float *)(const void *)(memory + at[SCALE]), memory + at[RESIDUAL], memory + at[Y],
                          tuner->workspace, err);
}

/* RUNS of the plan as a graph; after one that is not captured, since the first launch of a kernel loads it. */
static int capture(struct cudnn_tuner *tuner, const struct cudnn_conv *conv, const struct cudnn_plan *plan,
                   cudaGraphExec_t *runs, struct bgd_err *err)
{
    cudaGraph_t graph = NULL;
    if (run(tuner, conv, plan, err) || cuda_check(cudaStreamSynchronize(tuner->stream), "running a plan", err) ||
        cuda_check(cudaStreamBeginCapture(tuner->stream, cudaStreamCaptureModeThreadLocal), "capturing a plan", err))
        return err->code;
    int code = 0;
    for (uint32_t i = 0; i < RUNS && !code; i++)
        code = run(tuner, conv, plan, err);
    cudaError_t error = cudaStreamEndCapture(tuner->stream, &graph);
    if (!code)
        code = cuda_check(error, "capturing a plan", err);
    if (!code)
        code = cuda_check(cudaGraphInstantiate(runs, graph, 0), "making a graph of a plan", err);
    if (graph)
        cudaGraphDestroy(graph);
    return code;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int cudnn_tuner_time(struct cudnn_tuner *tuner, const struct cudnn_conv *conv, const struct cudnn_plan *plan,
                     double *microseconds, struct bgd_err *err)
{
    float times[LAUNCHES]; /* milliseconds */
    cudaGraphExec_t runs = NULL;
    *microseconds = 0;
    if (grow_workspace(tuner, cudnn_plan_workspace(plan), err) || capture(tuner, conv, plan, &runs, err))
        return err->code;
    cudaError_t error = cudaGraphLaunch(runs, tuner->stream); /* the first one is not timed */
    for (uint32_t i = 0; i < LAUNCHES && !error; i++) {
        error = cudaEventRecord(tuner->start, tuner->stream);
        if (!error)
            error = cudaGraphLaunch(runs, tuner->stream);
        if (!error)
            error = cudaEventRecord(tuner->stop, tuner->stream);
        if (!error)
            error = cudaEventSynchronize(tuner->stop);
        if (!error)
            error = cudaEventElapsedTime(&times[i], tuner->start, tuner->stop);
    }
    cudaGraphExecDestroy(runs);
    if (cuda_check(error, "timing a plan", err))
        return err->code;
    qsort(times, LAUNCHES, sizeof *times, compare);
    *microseconds = 1e3 / RUNS * (double)times[LAUNCHES / 2];
    return 0;
}
