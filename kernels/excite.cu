/*
 * The two small layers of squeeze-and-excite (Hu et al. 2018, arXiv 1709.01507), in one launch: a block a picture, which keeps
 * x and the squeezed layer in shared memory. Reading the weights (from the L2 cache, since all blocks want the same) is the
 * bound; both layers read them along their last axis by neighbouring threads.
 */
#include "device.h"

#define TEAM 32u  /* threads that share a squeezed neuron's sum */
#define TEAMS 16u /* of a block */
#define THREADS (TEAM * TEAMS)

/* squeezed = f(w1 x + b1). The members of a team sum every 32nd product; the first adds the members' sums, in order. */
template <class T>
__device__ static void squeeze(uint32_t wide, const float *x, uint32_t squeezed_size, const float *w1, const float *b1,
                               kernel_activation f, float *squeezed)
{
    __shared__ float sums[TEAMS][TEAM + 1]; /* + 1: the teams' first threads read different banks */
    uint32_t team = threadIdx.x / TEAM, member = threadIdx.x % TEAM;
    for (uint32_t first = 0; first < squeezed_size; first += TEAMS) { /* all teams do, since all threads must meet */
        uint32_t neuron = first + team;
        float sum = 0;
        if (neuron < squeezed_size)
            for (uint32_t i = member; i < wide; i += TEAM)
                sum += w1[(size_t)neuron * wide + i] * x[i];
        sums[team][member] = sum;
        __syncthreads();
        if (member == 0 && neuron < squeezed_size) {
            for (uint32_t i = 1; i < TEAM; i++)
                sum += sums[team][i];
            squeezed[neuron] = activated<T>(sum + b1[neuron], f);
        }
        __syncthreads();
    }
}

/* The mean of a channel over the picture that is this block's. */
__device__ static float mean_of(kernel_value x, kernel_sums sums, uint32_t channels, uint32_t channel)
{
    const float *tile = sums.data + (size_t)blockIdx.x * sums.tiles * channels + channel;
    float sum = 0;
    for (uint32_t i = 0; i < sums.tiles; i++)
        sum += tile[(size_t)i * channels];
    return sum / (float)((size_t)x.h * x.w);
}

template <class T>
static __global__ void excite(kernel_value x, kernel_sums sums, uint32_t squeezed_size, const float *w1, const float *b1,
                              kernel_activation f, const float *w2, const float *b2, kernel_activation g, kernel_value y)
{
    __shared__ float values[KERNEL_EXCITE_MAX]; /* x, then squeezed */
    uint32_t wide = lane_groups(x.c) * KERNEL_LANES, excited = lane_groups(y.c) * KERNEL_LANES;
    float *squeezed = values + wide;
    for (uint32_t i = threadIdx.x; i < wide; i += THREADS)
        values[i] = sums.data ? mean_of(x, sums, wide, i) : to_float(*element<T>(x, blockIdx.x, i));
    __syncthreads();
    squeeze<T>(wide, values, squeezed_size, w1, b1, f, squeezed);
    for (uint32_t i = threadIdx.x; i < excited; i += THREADS) {
        float sum = b2[i];
        for (uint32_t k = 0; k < squeezed_size; k++)
            sum += w2[(size_t)k * excited + i] * squeezed[k];
        *element<T>(y, blockIdx.x, i) = from_float<T>(activated<T>(sum, g));
    }
}

cudaError_t kernel_excite(cudaStream_t stream, uint32_t n, kernel_value x, kernel_sums sums, uint32_t squeezed, const float *w1,
                          const float *b1, kernel_activation f, const float *w2, const float *b2, kernel_activation g,
                          kernel_value y)
{
    return for_type(x.type, [&](auto zero) {
        return launch(stream, n, THREADS, excite<decltype(zero)>, x, sums, squeezed, w1, b1, f, w2, b2, g, y);
    });
}
