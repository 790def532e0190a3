/* kernels/mma.h: where each element of a fragment belongs, against the plain product; and what a warp that never meets does. */
#include "emulation.h"
#include "mma.h"

#include <criterion/criterion.h>
#include <signal.h>

enum { ROWS = 16, COLUMNS = 8, K = 16, WARPS = 3 };

/* A (WARPS, 16, 16) by rows, B (WARPS, 16, 8) and the sums (WARPS, 16, 8) by rows, too: element by element, as the PTX ISA
 * lists them. */
template <class T> static __global__ void products_by_element(const T *a, const T *b, float *sums)
{
    const uint32_t warp = threadIdx.x / WARP, g = mma_group(), t = mma_member();
    T a_elements[8], b_elements[4];
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t row = i < 2 || (i >= 4 && i < 6) ? g : g + 8, k = 2 * t + (i & 1) + (i < 4 ? 0 : 8);
        a_elements[i] = a[(warp * ROWS + row) * K + k];
    }
    for (uint32_t i = 0; i < 4; i++)
        b_elements[i] = b[(warp * K + 2 * t + (i & 1) + (i < 2 ? 0 : 8)) * COLUMNS + g];
    uint32_t a_registers[4], b_registers[2];
    memcpy(a_registers, a_elements, sizeof a_registers);
    memcpy(b_registers, b_elements, sizeof b_registers);
    float mine[4];
    for (uint32_t i = 0; i < 4; i++)
        mine[i] = sums[(warp * ROWS + g + (i < 2 ? 0 : 8)) * COLUMNS + 2 * t + (i & 1)];
    mma<T>(mine, a_registers, b_registers);
    for (uint32_t i = 0; i < 4; i++)
        sums[(warp * ROWS + g + (i < 2 ? 0 : 8)) * COLUMNS + 2 * t + (i & 1)] = mine[i];
}

/* The same with k = 16 * STEPS, B by columns: by pieces of neighbours. */
template <class T, uint32_t STEPS> static __global__ void products_by_piece(const T *a, const T *b, float *sums)
{
    const uint32_t warp = threadIdx.x / WARP, g = mma_group(), t = mma_member(), k = STEPS * K;
    const T *rows = a + warp * ROWS * k + t * 4 * STEPS, *columns = b + warp * COLUMNS * k + t * 4 * STEPS;
    float mine[4];
    for (uint32_t i = 0; i < 4; i++)
        mine[i] = sums[(warp * ROWS + g + (i < 2 ? 0 : 8)) * COLUMNS + 2 * t + (i & 1)];
    add_products<T>(mine, load_piece<STEPS>(rows + g * k), load_piece<STEPS>(rows + (g + 8) * k),
                    load_piece<STEPS>(columns + g * k));
    for (uint32_t i = 0; i < 4; i++)
        sums[(warp * ROWS + g + (i < 2 ? 0 : 8)) * COLUMNS + 2 * t + (i & 1)] = mine[i];
}

/* Every element another number, of 8 bits: all products and sums are exact. */
template <class T> static T element_of(uint32_t warp, uint32_t row, uint32_t column)
{
    return from_float<T>((float)((warp * 89 + row * 37 + column * 101 + row * column * 13) % 251) - 125);
}

template <class T> static void check(uint32_t k, bool by_columns, void (*kernel)(const T *, const T *, float *))
{
    alignas(16) static T a[WARPS * ROWS * 2 * K], b[WARPS * COLUMNS * 2 * K];
    static float sums[WARPS * ROWS * COLUMNS], expected[WARPS * ROWS * COLUMNS];
    for (uint32_t warp = 0; warp < WARPS; warp++)
        for (uint32_t i = 0; i < ROWS; i++)
            for (uint32_t j = 0; j < COLUMNS; j++) {
                float sum = sums[(warp * ROWS + i) * COLUMNS + j] = (float)(1000 * i + j);
                for (uint32_t l = 0; l < k; l++) {
                    T x = a[(warp * ROWS + i) * k + l] = element_of<T>(warp, i, l);
                    T w = b[warp * COLUMNS * k + (by_columns ? j * k + l : l * COLUMNS + j)] = element_of<T>(warp + 7, l, j);
                    sum += to_float(x) * to_float(w);
                }
                expected[(warp * ROWS + i) * COLUMNS + j] = sum;
            }
    cr_assert_eq(launch(nullptr, 1, WARPS * WARP, kernel, a, b, sums), cudaSuccess);
    for (uint32_t i = 0; i < WARPS * ROWS * COLUMNS; i++)
        cr_expect_eq(sums[i], expected[i], "sum %u: %g, expected %g", i, (double)sums[i], (double)expected[i]);
}

Test(mma, elements_lie_where_the_isa_has_them)
{
    check<__half>(K, false, products_by_element<__half>);
    check<__nv_bfloat16>(K, false, products_by_element<__nv_bfloat16>);
}

Test(mma, pieces_of_neighbours_make_the_same_sums)
{
    check<__half>(K, true, products_by_piece<__half, 1>);
    check<__half>(2 * K, true, products_by_piece<__half, 2>);
    check<__nv_bfloat16>(K, true, products_by_piece<__nv_bfloat16, 1>);
    check<__nv_bfloat16>(2 * K, true, products_by_piece<__nv_bfloat16, 2>);
}

/* ---------------------------------------------------------------- the emulated warp */

/* Each thread's right neighbour in the warp writes what it read; then the same from the left, with barriers of both kinds
 * between. */
static __global__ void pass_around(uint32_t *values)
{
    __shared__ uint32_t seen[WARPS * WARP];
    const uint32_t i = threadIdx.x, first = i / WARP * WARP, right = first + (i + 1) % WARP,
                   left = first + (i + WARP - 1) % WARP;
    for (uint32_t round = 0; round < 3; round++) {
        seen[i] = values[i];
        __syncwarp();
        values[i] += seen[right];
        __syncwarp();
        if (round == 1)
            __syncthreads();
        seen[i] = values[i];
        __syncwarp();
        values[i] += seen[left];
        __syncwarp();
    }
}

Test(mma, a_warp_waits_for_its_own_threads)
{
    uint32_t values[WARPS * WARP], expected[WARPS * WARP], before[WARPS * WARP];
    for (uint32_t i = 0; i < WARPS * WARP; i++)
        values[i] = expected[i] = i * i;
    for (uint32_t half = 0; half < 6; half++) {
        memcpy(before, expected, sizeof before);
        for (uint32_t i = 0; i < WARPS * WARP; i++)
            expected[i] += before[i / WARP * WARP + (i + (half % 2 ? WARP - 1 : 1)) % WARP];
    }
    cr_assert_eq(launch(nullptr, 1, WARPS * WARP, pass_around, values), cudaSuccess);
    for (uint32_t i = 0; i < WARPS * WARP; i++)
        cr_expect_eq(values[i], expected[i], "thread %u", i);
}

static __global__ void leave_early(uint32_t lane)
{
    if (threadIdx.x % WARP != lane)
        __syncwarp();
}

Test(mma, a_warp_that_never_meets_ends_the_program, .signal = SIGABRT)
{
    launch(nullptr, 1, WARPS * WARP, leave_early, 5);
}

static __global__ void wait_alone()
{
    if (threadIdx.x < WARP)
        __syncthreads();
}

Test(mma, a_block_that_never_meets_ends_the_program, .signal = SIGABRT)
{
    launch(nullptr, 1, WARPS * WARP, wait_alone);
}
