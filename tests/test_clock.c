/*
 * The emulated device with a clock: when it is done, by hand arithmetic, and that it computes nothing. What is compared is when things
 * will be done, not how long anything took: only that a wait is not too short is seen by a real clock. Each test is a process of
 * its own.
 */
#include "backend.h"
#include "emulation.h"
#include "nets.h"

#include <time.h>

#define HOUR 3600000000000ll /* in ns; nobody waits for it */

static struct device_clock clock_of(double picture_us, double copy_gb)
{
    return (struct device_clock){.rates = {picture_us, copy_gb, 0}};
}

/* ---------------------------------------------------------------- the arithmetic */

Test(clock, a_pass_takes_its_time_for_each_picture)
{
    struct device_clock clock = clock_of(9.5, 55);
    cr_expect_eq(device_clock_pass(&clock, 1000, 0, 256), 1000 + 2432000);
    cr_expect_eq(clock.busy[DEVICE_COMPUTES], 2432000);
}

Test(clock, a_pass_begins_when_its_stream_has_come_so_far)
{
    struct device_clock clock = clock_of(1, 55);
    cr_expect_eq(device_clock_pass(&clock, 1000, 7000, 10), 17000);
}

Test(clock, passes_queue_and_an_engine_rests_between_them)
{
    struct device_clock clock = clock_of(1, 55);
    cr_expect_eq(device_clock_pass(&clock, 0, 0, 10), 10000);
    cr_expect_eq(device_clock_pass(&clock, 4000, 0, 10), 20000, "the second waits for the first");
    cr_expect_eq(device_clock_pass(&clock, 50000, 0, 10), 60000, "the third finds it idle");
    cr_expect_eq(clock.busy[DEVICE_COMPUTES], 30000, "it was busy half of the time");
}

Test(clock, a_copy_takes_its_bytes_by_the_rate_each_way_by_itself)
{
    struct device_clock clock = clock_of(1, 50);
    cr_expect_eq(device_clock_copy(&clock, 0, 0, true, 1000000), 20000);
    cr_expect_eq(device_clock_copy(&clock, 0, 0, true, 500000), 30000, "one way they queue");
    cr_expect_eq(device_clock_copy(&clock, 0, 0, false, 500000), 10000, "the other way is free");
}

Test(clock, copies_and_passes_overlap)
{
    struct device_clock clock = clock_of(1, 50);
    cr_expect_eq(device_clock_pass(&clock, 0, 0, 1000), 1000000);
    cr_expect_eq(device_clock_copy(&clock, 0, 0, true, 1000000), 20000);
}

Test(clock, rates_are_read_or_refused)
{
    struct device_rates rates;
    cr_assert(device_rates_read("us/picture=9.52 GB/s=55 us/call=5", &rates));
    cr_expect(rates.picture_us == 9.52 && rates.copy_gb == 55 && rates.call_us == 5);
    static const char *const wrong[] = {"",
                                        "52500",
                                        "us/picture=9.52",
                                        "us/picture=9.52 GB/s=55 us/call=5 more",
                                        "GB/s=55 us/picture=9.52 us/call=5",
                                        "us/picture=-1 GB/s=55 us/call=5",
                                        "us/picture=1 GB/s=0 us/call=5",
                                        "us/picture=nan GB/s=55 us/call=5",
                                        "us/picture=1 GB/s=55 us/call=inf"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(device_rates_read(wrong[i], &rates), "\"%s\" is taken", wrong[i]);
}

/* ---------------------------------------------------------------- the emulated device */

static void set_rates(double picture_us, double copy_gb)
{
    const struct device_rates rates = {picture_us, copy_gb, 0};
    emulation_clock(&rates);
}

/* What a test has made, destroyed after it. */
enum { MADE_MAX = 4 };
static struct {
    cudaStream_t streams[MADE_MAX];
    cudaGraphExec_t passes[MADE_MAX];
    cudaEvent_t events[MADE_MAX];
    size_t stream_count, pass_count, event_count;
} made;

static void destroy_made(void)
{
    for (size_t i = 0; i < made.event_count; i++)
        cudaEventDestroy(made.events[i]);
    for (size_t i = 0; i < made.pass_count; i++)
        cudaGraphExecDestroy(made.passes[i]);
    for (size_t i = 0; i < made.stream_count; i++)
        cudaStreamDestroy(made.streams[i]);
}

TestSuite(clock, .fini = destroy_made);

static cudaStream_t make_stream(void)
{
    cr_assert_lt(made.stream_count, MADE_MAX);
    cudaStream_t *stream = &made.streams[made.stream_count];
    cr_assert_eq(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), cudaSuccess);
    made.stream_count++;
    return *stream;
}

static cudaEvent_t make_event(void)
{
    cr_assert_lt(made.event_count, MADE_MAX);
    cudaEvent_t *event = &made.events[made.event_count];
    cr_assert_eq(cudaEventCreateWithFlags(event, cudaEventDisableTiming), cudaSuccess);
    made.event_count++;
    return *event;
}

static void compute(void *argument)
{
    **(int **)argument = 1;
}

/* A pass of so many pictures, that would set *computed. */
static cudaGraphExec_t make_pass(cudaStream_t stream, uint32_t pictures, int *computed)
{
    cr_assert_lt(made.pass_count, MADE_MAX);
    cudaGraph_t graph;
    cudaGraphExec_t *pass = &made.passes[made.pass_count];
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    emulation_enqueue(stream, pictures, compute, &computed, sizeof computed);
    cr_assert_eq(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    cr_assert_eq(cudaGraphInstantiate(pass, graph, 0), cudaSuccess);
    made.pass_count++;
    cudaGraphDestroy(graph);
    return *pass;
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

Test(clock, passes_of_two_streams_queue_behind_one_another)
{
    set_rates(3.6e8, 55); /* ten pictures take an hour */
    cudaStream_t a = make_stream(), b = make_stream();
    int computed = 0;
    cudaGraphExec_t pass = make_pass(a, 10, &computed);
    int64_t before = now_ns();
    cudaGraphLaunch(pass, a);
    cudaGraphLaunch(pass, b);
    cr_expect_geq(emulation_busy_until(a), before + HOUR);
    cr_expect_eq(emulation_busy_until(b), emulation_busy_until(a) + HOUR);
    cr_expect_eq(computed, 0);
}

Test(clock, devices_do_not_wait_for_each_other)
{
    set_rates(3.6e8, 55);
    emulation_devices(2);
    cudaStream_t streams[2];
    int computed = 0;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(cudaSetDevice(i), cudaSuccess);
        streams[i] = make_stream();
        cr_assert_eq(cudaGraphLaunch(make_pass(streams[i], 10, &computed), streams[i]), cudaSuccess);
    }
    cr_expect_lt(emulation_busy_until(streams[1]), emulation_busy_until(streams[0]) + HOUR / 2);
}

Test(clock, outside_of_a_pass_nothing_is_computed_either_nor_takes_time)
{
    set_rates(3.6e8, 55);
    cudaStream_t stream = make_stream();
    int computed = 0, *at = &computed;
    emulation_enqueue(stream, 10, compute, &at, sizeof at);
    cr_expect_eq(computed, 0);
    cr_expect_eq(emulation_busy_until(stream), 0);
}

Test(clock, a_copy_of_another_stream_overlaps_a_pass_and_one_of_the_same_waits)
{
    set_rates(3.6e8, 1e-3); /* 1 MB a second */
    cudaStream_t a = make_stream(), b = make_stream();
    int computed = 0, host = 1, device = 2;
    cudaGraphLaunch(make_pass(a, 10, &computed), a);
    int64_t pass = emulation_busy_until(a);
    cudaMemcpyAsync(&device, &host, 1000, cudaMemcpyHostToDevice, b);
    cr_expect_leq(emulation_busy_until(b), pass - HOUR / 2);
    cudaMemcpyAsync(&host, &device, 1000, cudaMemcpyDeviceToHost, a);
    cr_expect_eq(emulation_busy_until(a), pass + 1000000);
    cr_expect(host == 1 && device == 2, "bytes were copied");
}

Test(clock, an_event_makes_one_stream_wait_for_another)
{
    set_rates(3.6e8, 55);
    cudaStream_t a = make_stream(), b = make_stream();
    cudaEvent_t event = make_event();
    int computed = 0;
    cudaGraphLaunch(make_pass(a, 10, &computed), a);
    cudaEventRecord(event, a);
    cr_expect_lt(emulation_busy_until(b), emulation_busy_until(a));
    cudaStreamWaitEvent(b, event, 0);
    cr_expect_eq(emulation_busy_until(b), emulation_busy_until(a));
}

Test(clock, who_waits_sleeps_until_it_is_done)
{
    set_rates(1000, 55);
    cudaStream_t stream = make_stream();
    cudaEvent_t event = make_event();
    int computed = 0;
    cudaGraphExec_t pass = make_pass(stream, 5, &computed);
    cudaGraphLaunch(pass, stream);
    cudaEventRecord(event, stream);
    cudaEventSynchronize(event);
    cr_expect_geq(now_ns(), emulation_busy_until(stream));
    cudaGraphLaunch(pass, stream);
    cudaStreamSynchronize(stream);
    cr_expect_geq(now_ns(), emulation_busy_until(stream));
}

/* The whole batch, whatever is real of it: what a GPU does, too. */
Test(clock, a_backends_pass_is_of_its_whole_batch_and_what_it_fetches_is_zeros)
{
    set_rates(1000, 55);
    struct graph *g = net_graph();
    uint32_t x = graph_input(g, "input", (struct shape){8, 4, 4});
    graph_output(g, graph_op(g, BGD_OP_SIGMOID, "y", net_conv(g, "conv", x, 8, graph_window(3, 1, 1), 1, 1), 0));
    struct net net = net_finish(g, &net_plain_meta, BGD_F32);
    struct device *device;
    struct exec *exec;
    struct bgd_err err;
    float values[3 * 8 * 4 * 4] = {0};
    cr_assert_eq(backend_cuda.open(0, BGD_PRECISION_F32, &device, &err), 0);
    cr_assert_eq(backend_cuda.prepare(device, 0, net.model, 7, NULL, &exec, &err), 0, "%s", err.text);
    int64_t before = now_ns();
    memset(values, 0xff, sizeof values);
    cr_assert_eq(backend_cuda.load(exec, 0, 3, values, &err), 0);
    cr_assert_eq(backend_cuda.run(exec, 3, &err), 0);
    cr_assert_eq(backend_cuda.fetch(exec, 0, 3, values, &err), 0, "%s", err.text);
    cr_expect_geq(now_ns(), before + 7000000);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        cr_assert(values[i] == 0, "a sigmoid was computed: %g", (double)values[i]);
    backend_cuda.release(exec);
    backend_cuda.close(device);
    net_close(&net);
}
