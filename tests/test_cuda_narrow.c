/* FP8: what is converted, on which devices, and what comes of it. */
#include "cuda_nets.h"
#include "e4m3.h"
#include "half.h"
#include "kernels.h"

#include <math.h>

Test(cuda_narrow, narrow_converts_every_half_and_pads)
{
    enum { C = 24, PITCH = 32, COUNT = (65536 + C - 1) / C };
    static _Alignas(16) uint16_t halves[COUNT][C];
    static _Alignas(16) uint8_t bytes[COUNT][PITCH];
    for (uint32_t i = 0; i < COUNT * C; i++)
        halves[i / C][i % C] = (uint16_t)i;
    memset(bytes, 0xff, sizeof bytes);
    const struct kernel_value x = {halves, C, COUNT, 1, C, KERNEL_F16}, y = {bytes, C, COUNT, 1, PITCH, KERNEL_F8};
    cr_assert_eq(kernel_narrow(NULL, 1, x, y), cudaSuccess);
    for (uint32_t i = 0; i < COUNT * PITCH; i++) {
        uint32_t lane = i % PITCH;
        uint8_t expected = lane < C ? e4m3_from_float(half_to_float(halves[i / PITCH][lane])) : 0;
        cr_assert_eq(bytes[i / PITCH][lane], expected, "pixel %u, lane %u", i / PITCH, lane);
    }
}

Test(cuda_narrow, f8_wants_a_device_that_has_it)
{
    struct device *device;
    struct bgd_err err = {0};
    emulation_capability(86);
    cr_expect_eq(backend_cuda.open(0, BGD_PRECISION_F8, &device, &err), BGD_ARGUMENT);
    cr_expect_null(device);
    cr_expect(strstr(err.text, "compute capability 8.6, f8 needs 8.9"), "%s", err.text);
    must(backend_cuda.open(0, BGD_PRECISION_F16, &device, &err), &err);
    backend_cuda.close(device);
    emulation_capability(89);
    must(backend_cuda.open(0, BGD_PRECISION_F8, &device, &err), &err);
    backend_cuda.close(device);
}

/* As f16 differs from E4M3 by a rounding of the result: inputs and weights of E4M3 are multiplied as they are. A channel's weights
 * are E4M3 times a power of two of its own, with 448 among them; one channel's are zeros but for a value that is none in E4M3. */
Test(cuda_narrow, f8_of_e4m3_values_is_exact)
{
    enum { C = 136, OUT = 120, SIDE = 17, N = 2, TAPS = 9 };
    static float weight[OUT][C][TAPS], bias[OUT], input[N * C * SIDE * SIDE], expected[N * OUT * SIDE * SIDE],
        y[sizeof expected / 4];
    float *inputs[] = {input}, *ref[1];
    for (uint32_t o = 0; o < OUT; o++) {
        float scale = ldexpf(1, -14 - (int)(o % 5));
        bias[o] = (float)(o % 7) / 8 - 0.25f;
        for (uint32_t i = 0; i < C; i++)
            for (uint32_t k = 0; k < TAPS; k++)
                weight[o][i][k] = scale * e4m3_to_float((uint8_t)(random_bits(1, (o * C + i) * TAPS + k) % 0x7f |
                                                                  (random_bits(2, (o * C + i) * TAPS + k) & 0x80)));
        weight[o][o][4] = scale * E4M3_MOST;
    }
    memset(weight[3], 0, sizeof weight[3]);
    weight[3][0][0] = 0x1p-149f;
    for (size_t i = 0; i < sizeof input / 4; i++)
        input[i] = e4m3_to_float((uint8_t)(random_bits(3, i) % 0x48 | (random_bits(4, i) & 0x80)));
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){C, SIDE, SIDE});
    x = graph_conv(g, "a", x, OUT, graph_window(3, 1, 1), 1, weight[0][0], bias);
    graph_output(g, unary(g, BGD_OP_SELU, "selu", x));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    net_run(&backend_ref, net.model, N, N, inputs, ref);
    struct device *device = open_device(BGD_PRECISION_F8);
    struct exec *exec = prepare(device, &net, N, NULL);
    struct bgd_err err = {0};
    must(backend_cuda.load(exec, 0, N, input, &err) || backend_cuda.run(exec, N, &err) ||
             backend_cuda.fetch(exec, 0, N, y, &err),
         &err);
    for (size_t i = 0; i < sizeof y / 4; i++)
        cr_assert_leq(fabsf(y[i] - ref[0][i]), 0x1p-11f * fabsf(ref[0][i]) + 1e-6f, "%zu: %g, not %g", i, (double)y[i],
                      (double)ref[0][i]);
    backend_cuda.release(exec);
    backend_cuda.close(device);
    free(ref[0]);
    net_close(&net);
}
