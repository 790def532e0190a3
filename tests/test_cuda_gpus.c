/* Several GPUs behind one engine. */
#include "cuda_nets.h"

#include <pthread.h>

static struct bgd_engine *open_on(const struct engine_case *c, uint64_t gpus, uint32_t lanes)
{
    const struct bgd_engine_options options = {
        .device = "cuda", .gpus = gpus, .precision = BGD_PRECISION_F16, .batch = BATCH, .gpu_lanes = lanes};
    struct bgd_engine *engine;
    struct bgd_err err = {0};
    must(bgd_engine_open(&c->pipeline, &options, &engine, &err), &err);
    return engine;
}

/* A lane, in a thread to which another GPU is the current one at first. */
struct turn {
    struct bgd_engine *engine;
    const struct engine_case *c;
    uint32_t lane;
    struct bgd_result results[BATCH];
    float mask[BATCH * PIXELS];
    int code;
    struct bgd_err err;
};

static void *take_turn(void *argument)
{
    struct turn *turn = argument;
    turn->code = bgd_engine_score(turn->engine, turn->lane, turn->c->pictures, BATCH, turn->results, &turn->err);
    if (!turn->code)
        turn->code = bgd_engine_masks(turn->engine, turn->lane, BATCH, turn->mask, &turn->err);
    return NULL;
}

/* Which GPU the lane has computed on: the only one that was given anything. */
static int gpu_of_turn(struct turn *turn)
{
    unsigned long before[8];
    pthread_t thread;
    int gpu = -1;
    for (int i = 0; i < 8; i++)
        before[i] = emulation_launches(i);
    cr_assert_eq(pthread_create(&thread, NULL, take_turn, turn), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 8; i++)
        if (emulation_launches(i) != before[i]) {
            cr_expect_eq(gpu, -1, "lane %u launches on GPU %d and GPU %d", turn->lane, gpu, i);
            gpu = i;
        }
    return gpu;
}

Test(cuda_gpus, lanes_take_turns_among_gpus_and_give_the_same_bits)
{
    static struct turn first, turn;
    static const struct {
        uint64_t asked;
        int n, numbers[3];
    } sets[] = {{0, 1, {0}}, {1, 1, {0}}, {1 << 2, 1, {2}}, {3, 2, {0, 1}}, {5, 2, {0, 2}}, {BGD_GPUS_ALL, 3, {0, 1, 2}}};
    struct engine_case *c = open_engine_case();
    emulation_devices(3);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct bgd_engine *engine = open_on(c, sets[i].asked, 2);
        uint64_t used = 0;
        for (int k = 0; k < sets[i].n; k++)
            used |= (uint64_t)1 << sets[i].numbers[k];
        cr_expect_eq(bgd_engine_gpus(engine), used);
        cr_assert_eq(bgd_engine_lanes(engine), 2 * (uint32_t)sets[i].n);
        for (uint32_t lane = 0; lane < bgd_engine_lanes(engine); lane++) {
            turn = (struct turn){.engine = engine, .c = c, .lane = lane};
            int gpu = gpu_of_turn(&turn);
            cr_assert_eq(turn.code, 0, "set %zu, lane %u: %s", i, lane, turn.err.text);
            cr_expect_eq(gpu, sets[i].numbers[lane % (uint32_t)sets[i].n], "set %zu, lane %u: GPU %d", i, lane, gpu);
            if (i == 0 && lane == 0)
                first = turn;
            for (uint32_t k = 0; k < BATCH; k++)
                cr_expect_eq(turn.results[k].score, first.results[k].score, "set %zu, lane %u, picture %u", i, lane, k);
            cr_expect_eq(memcmp(turn.mask, first.mask, sizeof first.mask), 0, "set %zu, lane %u", i, lane);
        }
        bgd_engine_close(engine);
        cr_expect_eq(emulation_device_bytes(), 0);
    }
    close_engine_case(c);
}

Test(cuda_gpus, every_gpu_reads_the_memory_that_the_engine_lends)
{
    struct engine_case *c = open_engine_case();
    emulation_devices(2);
    struct bgd_engine *engine = open_on(c, 3, 1);
    uint8_t *lent = bgd_engine_memory(engine, 40 * 40 * 3);
    cr_assert(lent);
    struct bgd_result on_heap[BATCH], results[BATCH];
    struct bgd_err err = {0};
    must(bgd_engine_score(engine, 0, c->pictures, BATCH, on_heap, &err), &err);
    memcpy(lent, c->images[0].rgb, 40 * 40 * 3);
    for (uint32_t i = 0; i < BATCH; i++)
        c->images[i].rgb = lent;
    for (uint32_t lane = 0; lane < 2; lane++) {
        must(bgd_engine_score(engine, lane, c->pictures, BATCH, results, &err), &err);
        for (uint32_t i = 0; i < BATCH; i++)
            cr_expect_eq(results[i].score, on_heap[i].score, "lane %u, picture %u", lane, i);
    }
    bgd_engine_close(engine);
    close_engine_case(c);
}

static void check_open_fails(const struct engine_case *c, const char *device, uint64_t gpus, int code, const char *text)
{
    const struct bgd_engine_options options = {.device = device, .gpus = gpus};
    struct bgd_engine *engine = (void *)1;
    struct bgd_err err = {0};
    cr_expect_eq(bgd_engine_open(&c->pipeline, &options, &engine, &err), code, "%s", err.text);
    cr_expect(strstr(err.text, text), "\"%s\", expected \"%s\"", err.text, text);
    cr_expect_null(engine);
    cr_expect_eq(emulation_device_bytes(), 0);
}

Test(cuda_gpus, gpus_that_are_not_there_or_not_alike_are_refused)
{
    struct engine_case *c = open_engine_case();
    check_open_fails(c, "cuda", 2, BGD_ARGUMENT, "GPU 1: there is 1, from 0 on");
    emulation_devices(2);
    check_open_fails(c, "cuda", 4, BGD_ARGUMENT, "GPU 2: there are 2, from 0 on");
    check_open_fails(c, "auto", 1 | (uint64_t)1 << 63, BGD_ARGUMENT, "GPU 63: there are 2, from 0 on");
    check_open_fails(c, "onednn", 1, BGD_ARGUMENT, "the device \"onednn\" is a CPU");
    check_open_fails(c, "ref", BGD_GPUS_ALL, BGD_ARGUMENT, "the device \"ref\" is a CPU");
    emulation_other_kind(1);
    check_open_fails(c, "cuda", 3, BGD_ARGUMENT, "GPU 0 is emulated with 1 multiprocessors, GPU 1 emulated otherwise with 1: ");
    bgd_engine_close(open_on(c, 2, 1));
    emulation_devices(0); /* no CPU does what GPUs were asked to do */
    check_open_fails(c, "auto", 1, BGD_DEVICE, "no CUDA-capable device");
    close_engine_case(c);
}

Test(cuda_gpus, a_gpu_that_fails_is_named)
{
    struct engine_case *c = open_engine_case();
    struct bgd_result results[BATCH];
    struct bgd_err err = {0};
    emulation_devices(3);
    struct bgd_engine *engine = open_on(c, 6, 1);
    emulation_lose(2);
    must(bgd_engine_score(engine, 0, c->pictures, BATCH, results, &err), &err);
    cr_expect_eq(bgd_engine_score(engine, 1, c->pictures, BATCH, results, &err), BGD_DEVICE);
    cr_expect(strstr(err.text, "GPU 2: CUDA: ") && strstr(err.text, "cudaErrorIllegalAddress"), "%s", err.text);
    bgd_engine_close(engine);
    cr_expect_eq(emulation_device_bytes(), 0);
    check_open_fails(c, "cuda", 6, BGD_DEVICE, "GPU 2: ");
    close_engine_case(c);
}

Test(cuda_gpus, a_thread_that_waits_for_any_gpu_sleeps)
{
    struct engine_case *c = open_engine_case();
    emulation_devices(3);
    bgd_engine_close(open_on(c, 6, 1));
    for (int i = 0; i < 3; i++)
        cr_expect_eq(emulation_flags(i), i ? cudaDeviceScheduleBlockingSync : 0, "GPU %d", i);
    close_engine_case(c);
}

/* An engine's life on two GPUs, with a lane on each. */
static int live_on_two(const struct engine_case *c, struct bgd_err *err)
{
    const struct bgd_engine_options options = {.device = "cuda", .gpus = 3, .batch = 2};
    struct bgd_engine *engine;
    struct bgd_result results[2];
    int code = bgd_engine_open(&c->pipeline, &options, &engine, err);
    if (code)
        return code;
    bgd_engine_memory(engine, 1000);
    for (uint32_t lane = 0; lane < 2 && !code; lane++)
        code = bgd_engine_score(engine, lane, c->pictures, 2, results, err);
    bgd_engine_close(engine);
    return code;
}

Test(cuda_gpus, every_call_may_fail_on_two_gpus)
{
    struct engine_case *c = open_engine_case();
    struct bgd_err err = {0};
    emulation_leave_memory();
    emulation_devices(2);
    unsigned long start = emulation_calls();
    must(live_on_two(c, &err), &err);
    unsigned long all = emulation_calls() - start;
    for (unsigned long n = 1; n <= all; n++) {
        emulation_fail_at(n);
        err = (struct bgd_err){0};
        int code = live_on_two(c, &err);
        cr_expect_eq(emulation_device_bytes(), 0, "call %lu: %zu bytes are left", n, emulation_device_bytes());
        cr_expect(code == 0 || (code == BGD_DEVICE && strlen(err.text) > 10), "call %lu: %d, \"%s\"", n, code, err.text);
    }
    close_engine_case(c);
}
