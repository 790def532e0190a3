#include "cuda_ceilings.h"

#include "cuda_builder.h"
#include "cuda_error.h"
#include "measure.h"
#include "splitmix.h"

/* Sides of square matrices. The large product takes a millisecond of the fastest GPUs, and minutes of a device that is emulated:
 * it is left out where the small one takes longer than PRODUCT_SECONDS. */
#define PRODUCT_SMALL 128u
#define PRODUCT_LARGE 8192u
#define PRODUCT_SECONDS 1e-4

/* Work that is put into a stream time and again, between two events: y = x w + bias by `plan`, or y = x where that is NULL. */
struct work {
    cudaStream_t stream;
    cudaEvent_t first, last;
    struct cudnn *cudnn;
    struct cudnn_plan *plan;
    uint8_t *x, *w, *bias, *y, *workspace; /* in one allocation, which begins with x */
};

static int run_row(void *user, uint32_t times, double *seconds, struct bgd_err *err)
{
    struct work *work = user;
    float milliseconds = 0;
    cudaError_t error = cudaEventRecord(work->first, work->stream);
    for (uint32_t i = 0; i < times && !error; i++) {
        if (!work->plan)
            error = cudaMemcpyAsync(work->y, work->x, MEASURE_COPY_BYTES, cudaMemcpyDeviceToDevice, work->stream);
        else if (cudnn_plan_run(work->cudnn, work->plan, work->stream, work->x, work->w, work->bias, NULL, NULL, work->y,
                                work->workspace, err))
            return err->code;
    }
    if (!error)
        error = cudaEventRecord(work->last, work->stream);
    if (!error)
        error = cudaEventSynchronize(work->last);
    if (!error)
        error = cudaEventElapsedTime(&milliseconds, work->first, work->last);
    *seconds = (double)milliseconds / 1000;
    return cuda_check(error, "measuring the device", err);
}

/* Fills memory with numbers of either sign, from 0.5 to 1: a product of zeros draws less power than others, and so runs at a
 * higher clock. */
static cudaError_t fill(enum kernel_type type, uint8_t *memory, size_t bytes, cudaStream_t stream)
{
    static const struct {
        uint32_t random, fixed; /* bits of an element; of two in f16 and bf16 */
    } bits[] = {[KERNEL_F32] = {0x807fffff, 0x3f000000},
                [KERNEL_F16] = {0x83ff83ff, 0x38003800},
                [KERNEL_BF16] = {0x807f807f, 0x3f003f00}};
    uint32_t pattern[4096];
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof pattern / sizeof pattern[0]; i++)
        pattern[i] = ((uint32_t)random_bits(&state) & bits[type].random) | bits[type].fixed;
    size_t filled = bytes < sizeof pattern ? bytes : sizeof pattern;
    cudaError_t error = cudaMemcpyAsync(memory, pattern, filled, cudaMemcpyHostToDevice, stream);
    for (size_t more; filled < bytes && !error; filled += more) {
        more = bytes - filled < filled ? bytes - filled : filled;
        error = cudaMemcpyAsync(memory + filled, memory, more, cudaMemcpyDeviceToDevice, stream);
    }
    return error;
}

/* Bytes per second, read and written. */
static int measure_copies(struct work *work, double *bytes_per_second, struct bgd_err *err)
{
    double seconds;
    cudaError_t error = cudaMalloc((void **)&work->x, 2 * (size_t)MEASURE_COPY_BYTES);
    if (!error)
        error = cudaMemsetAsync(work->x, 1, MEASURE_COPY_BYTES, work->stream);
    work->y = work->x + MEASURE_COPY_BYTES;
    int code = cuda_check(error, "allocating a copy", err);
    if (!code && !(code = measure_fastest(run_row, work, &seconds, err)))
        *bytes_per_second = 2.0 * MEASURE_COPY_BYTES / seconds;
    cudaFree(work->x);
    return code;
}

/* The seconds of a product of matrices of that side: a 1x1 convolution of as many pixels as there are channels. */
static int measure_product(struct work *work, enum kernel_type type, uint32_t side, double *seconds, struct bgd_err *err)
{
    const size_t element = kernel_type_bytes(type), matrix = (size_t)side * side * element;
    const struct cudnn_conv conv = {.type = type,
                                    .n = side / 64,
                                    .c = side,
                                    .h = 8,
                                    .w = 8,
                                    .pitch = side,
                                    .out_c = side,
                                    .out_h = 8,
                                    .out_w = 8,
                                    .out_pitch = side,
                                    .window = {1, 1, 1, 1, 0, 0, 0, 0, 1, 1}};
    work->x = NULL;
    int code = cudnn_plan_make(work->cudnn, &conv, NULL, &work->plan, err);
    if (code)
        return code;
    cudaError_t error =
        cudaMalloc((void **)&work->x, 3 * matrix + side * element + CUDA_ALIGN + cudnn_plan_workspace(work->plan));
    work->w = work->x + matrix;
    work->y = work->w + matrix;
    work->bias = work->y + matrix;
    work->workspace = work->bias + (side * element + CUDA_ALIGN - 1) / CUDA_ALIGN * CUDA_ALIGN;
    if (!error)
        error = fill(type, work->x, 3 * matrix + side * element, work->stream);
    code = cuda_check(error, "allocating a matrix product", err);
    if (!code)
        code = measure_fastest(run_row, work, seconds, err);
    cudaFree(work->x);
    cudnn_plan_free(work->plan);
    work->plan = NULL;
    return code;
}

static int measure_products(struct work *work, enum kernel_type type, double *macs, struct bgd_err *err)
{
    uint32_t side = PRODUCT_SMALL;
    double seconds;
    if (measure_product(work, type, side, &seconds, err))
        return err->code;
    if (seconds < PRODUCT_SECONDS && measure_product(work, type, side = PRODUCT_LARGE, &seconds, err))
        return err->code;
    *macs = (double)side * side * side / seconds;
    return 0;
}

int cuda_ceilings_measure(enum kernel_type type, struct cudnn *cudnn, struct backend_ceilings *ceilings, struct bgd_err *err)
{
    struct work work = {.cudnn = cudnn};
    if (type == KERNEL_F8) /* its values are f16; only some convolutions multiply the narrower type */
        type = KERNEL_F16;
    *ceilings = (struct backend_ceilings){.element_bytes = (uint32_t)kernel_type_bytes(type)};
    cudaError_t error = cudaStreamCreateWithFlags(&work.stream, cudaStreamNonBlocking);
    if (!error)
        error = cudaEventCreateWithFlags(&work.first, cudaEventDefault);
    if (!error)
        error = cudaEventCreateWithFlags(&work.last, cudaEventDefault);
    int code = cuda_check(error, "making a stream", err);
    if (!code)
        code = measure_copies(&work, &ceilings->copy, err);
    if (!code)
        code = measure_products(&work, type, &ceilings->macs, err);
    if (work.stream)
        cudaStreamSynchronize(work.stream); /* after a failure something may still run */
    if (work.first)
        cudaEventDestroy(work.first);
    if (work.last)
        cudaEventDestroy(work.last);
    if (work.stream)
        cudaStreamDestroy(work.stream);
    return code;
}
