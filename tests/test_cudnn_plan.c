/* Plans without a GPU (emulation/emulation.h) and without cuDNN (gpu/fake_cudnn.h): what is chosen, what is kept, and that every
 * failing call is an error value that leaves nothing behind. */
#include "cudnn_plan.h"
#include "cudnn_tuner.h"
#include "emulation.h"
#include "gpu/fake_cudnn.h"
#include "scratch.h"

#include <dirent.h>

#define DESCRIPTION "{\"deviceName\":\"Fake GPU\",\"deviceVer\":800}"

static char *folder;

static void enter(void)
{
    folder = scratch_enter();
}

static void leave(void)
{
    cr_expect_eq(fake_cudnn.live, 0, "%d descriptors were left", fake_cudnn.live);
    cr_expect_eq(emulation_device_bytes(), 0, "%zu bytes of device memory were left", emulation_device_bytes());
    scratch_leave(folder);
}

TestSuite(cudnn_plan, .init = enter, .fini = leave);

/* Zeroed as cudnn_plan.h wants it; with all that a graph can have. */
static struct cudnn_conv example(enum kernel_type type)
{
    struct cudnn_conv conv;
    memset(&conv, 0, sizeof conv);
    conv.type = type;
    conv.n = 2;
    conv.c = conv.pitch = conv.out_c = conv.out_pitch = conv.residual_pitch = 8;
    conv.h = conv.w = conv.out_h = conv.out_w = 5;
    conv.window = (struct bgd_window){3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
    conv.activation = KERNEL_SELU;
    return conv;
}

static struct cudnn *open_cudnn(const char *description, const char *cache)
{
    struct cudnn *cudnn;
    struct bgd_err err = {0};
    cr_assert_eq(cudnn_open(description, cache, &cudnn, &err), 0, "%s", err.text);
    return cudnn;
}

static void check_made(struct cudnn *cudnn, enum kernel_type type, struct cudnn_tuner *tuner, const char *name)
{
    struct cudnn_conv conv = example(type);
    struct cudnn_plan *plan;
    struct bgd_err err = {0};
    cr_assert_eq(cudnn_plan_make(cudnn, &conv, tuner, &plan, &err), 0, "%s", err.text);
    cr_expect_str_eq(cudnn_plan_name(plan), name);
    cr_expect_eq(cudnn_plan_workspace(plan), 1024);
    cudnn_plan_free(plan);
}

static void check_plan(struct cudnn *cudnn, enum kernel_type type, const char *name)
{
    check_made(cudnn, type, NULL, name);
}

/* The only file of the only folder in `cache`, as a path to be freed. */
static char *kept_file(const char *cache)
{
    char *path = strdup(cache);
    for (int depth = 0; depth < 2; depth++) {
        DIR *dir = opendir(path);
        cr_assert(dir, "%s", path);
        struct dirent *entry;
        while ((entry = readdir(dir)) && entry->d_name[0] == '.')
            continue;
        char *deeper = NULL;
        cr_assert(entry && asprintf(&deeper, "%s/%s", path, entry->d_name) > 0, "%s is empty", path);
        closedir(dir);
        free(path);
        path = deeper;
    }
    return path;
}

Test(cudnn_plan, takes_the_first_engine_that_is_exact_and_can_be_built)
{
    struct cudnn *cudnn = open_cudnn(NULL, NULL);
    cr_expect_str_eq(cudnn_version(cudnn), "cuDNN 9.19.0");
    check_plan(cudnn, KERNEL_F16, "engine 7 (engine 41 failed: NOT_SUPPORTED)");
    check_plan(cudnn, KERNEL_BF16, "engine 7 (engine 41 failed: NOT_SUPPORTED)");
    check_plan(cudnn, KERNEL_F32, "engine 0 (engine 41 failed: NOT_SUPPORTED)");
    cudnn_close(cudnn);
}

Test(cudnn_plan, describes_the_device)
{
    struct cudnn *cudnn = open_cudnn(DESCRIPTION, NULL);
    struct bgd_err err = {0};
    char *description = cudnn_describe(cudnn, &err);
    cr_expect_str_eq(description, DESCRIPTION);
    free(description);
    cudnn_close(cudnn);
    cudnn = open_cudnn(NULL, NULL);
    description = cudnn_describe(cudnn, &err);
    cr_expect(description && strstr(description, "Fake GPU/80"), "%s", err.text);
    free(description);
    cudnn_close(cudnn);
}

Test(cudnn_plan, refuses_an_old_library)
{
    struct cudnn *cudnn;
    struct bgd_err err = {0};
    fake_cudnn.version = 90799;
    cr_expect_eq(cudnn_open(NULL, NULL, &cudnn, &err), BGD_DEVICE);
    cr_expect_null(cudnn);
    cr_expect(strstr(err.text, "cuDNN 9.7.99 is too old"), "%s", err.text);
}

Test(cudnn_plan, loads_a_kept_plan_instead_of_building_it)
{
    const char *const descriptions[] = {NULL, DESCRIPTION};
    for (int i = 0; i < 2; i++) {
        const char *cache = i ? "b" : "a";
        for (int run = 0; run < 2; run++) {
            struct cudnn *cudnn = open_cudnn(descriptions[i], cache);
            fake_cudnn.lists = 0;
            check_plan(cudnn, KERNEL_F16, "engine 7 (engine 41 failed: NOT_SUPPORTED)");
            cr_expect_eq(fake_cudnn.lists, run ? 0 : 1);
            cudnn_close(cudnn);
        }
        char *path = kept_file(cache);
        cr_expect(strstr(path, i ? "b/9.19.0-Fake_GPU-800/" : "a/9.19.0-Fake_GPU_80-900/"), "%s", path);
        free(path);
    }
}

Test(cudnn_plan, builds_a_damaged_plan_anew)
{
    struct cudnn *cudnn = open_cudnn(NULL, "cache");
    check_plan(cudnn, KERNEL_F16, "engine 7 (engine 41 failed: NOT_SUPPORTED)");
    size_t size;
    char *path = kept_file("cache"), *kept = scratch_read(path, &size);
    for (size_t i = 0; i < 2 * size; i++) { /* cut, then a byte changed */
        char *damaged = strdup(kept);
        damaged[i % size] ^= 1;
        scratch_write(path, i < size ? kept : damaged, i < size ? i : size);
        free(damaged);
        fake_cudnn.lists = 0;
        check_plan(cudnn, KERNEL_F16, "engine 7 (engine 41 failed: NOT_SUPPORTED)");
        cr_expect_eq(fake_cudnn.lists, 1, "%zu was taken", i);
        char *again = scratch_read(path, NULL);
        cr_expect_str_eq(again, kept);
        free(again);
    }
    free(kept);
    free(path);
    cudnn_close(cudnn);
}

Test(cudnn_plan, does_without_a_cache_that_cannot_be_written)
{
    scratch_text("file", "not a folder");
    struct cudnn *cudnn = open_cudnn(NULL, "file");
    check_plan(cudnn, KERNEL_F16, "engine 7 (engine 41 failed: NOT_SUPPORTED)");
    cudnn_close(cudnn);
}

/* ---------------------------------------------------------------- plans that are timed */

static struct {
    double clock;            /* milliseconds */
    double microseconds[32]; /* of an engine's run */
    bool stuck[32];          /* engines that do not run */
    int64_t crashes;         /* the engine that takes the device with it; 0: none */
} script;

static double read_clock(void)
{
    return script.clock;
}

static void pass_time(void *engine)
{
    script.clock += script.microseconds[*(int64_t *)engine] / 1e3;
    if (script.crashes == *(int64_t *)engine && script.crashes)
        emulation_sticky();
}

static bool run_engine(cudaStream_t stream, int64_t engine)
{
    if (!script.stuck[engine])
        emulation_enqueue(stream, 1, pass_time, &engine, sizeof engine);
    return !script.stuck[engine];
}

/* Engine 7 takes 50 us, engine 0 `zero`, and all others 60. */
static void set_times(double zero)
{
    fake_cudnn.run = run_engine;
    emulation_event_clock(read_clock);
    for (int i = 0; i < 32; i++)
        script.microseconds[i] = 60;
    script.microseconds[7] = 50;
    script.microseconds[0] = zero;
}

static struct cudnn_tuner *open_tuner(struct cudnn *cudnn)
{
    const struct cudnn_conv conv = example(KERNEL_F32);
    struct cudnn_tuner *tuner;
    struct bgd_err err = {0};
    cr_assert_eq(cudnn_tuner_open(cudnn, cudnn_tuner_bytes(&conv), &tuner, &err), 0, "%s", err.text);
    return tuner;
}

/* The plan that is chosen in f16; `cache` may be NULL. */
static void check_tuned(const char *cache, const char *name)
{
    struct cudnn *cudnn = open_cudnn(NULL, cache);
    struct cudnn_tuner *tuner = open_tuner(cudnn);
    check_made(cudnn, KERNEL_F16, tuner, name);
    cudnn_tuner_close(tuner);
    cudnn_close(cudnn);
}

Test(cudnn_plan, a_tuner_takes_the_fastest)
{
    set_times(44);
    check_tuned(NULL, "engine 0, tuned: 44.0 us, next engine 7: 50.0 us (engine 41 failed: NOT_SUPPORTED)");
    set_times(55);
    check_tuned(NULL, "engine 7, tuned: 50.0 us, next engine 0: 55.0 us (engine 41 failed: NOT_SUPPORTED)");
}

Test(cudnn_plan, within_two_percent_the_first_is_taken)
{
    set_times(49.1); /* 50 / 49.1 is 1.018 */
    check_tuned(NULL, "engine 7, tuned: 50.0 us, next engine 0: 49.1 us (engine 41 failed: NOT_SUPPORTED)");
    set_times(48.9);
    check_tuned(NULL, "engine 0, tuned: 48.9 us, next engine 7: 50.0 us (engine 41 failed: NOT_SUPPORTED)");
}

Test(cudnn_plan, eight_are_timed_and_no_more)
{
    set_times(60);
    script.microseconds[26] = 30; /* the eighth that can be built and may be taken */
    script.microseconds[27] = 10;
    check_tuned(NULL, "engine 26, tuned: 30.0 us, next engine 7: 50.0 us (engine 41 failed: NOT_SUPPORTED)");
}

Test(cudnn_plan, one_that_does_not_run_is_passed_over)
{
    set_times(55);
    script.stuck[7] = true;
    check_tuned(NULL,
                "engine 0, tuned: 55.0 us, next engine 21: 60.0 us (engine 41 failed: NOT_SUPPORTED, engine 7 does not run: "
                "cuDNN: running a plan: EXECUTION_FAILED: an engine that does not run)");
}

Test(cudnn_plan, is_an_error_if_none_runs)
{
    struct cudnn *cudnn = open_cudnn(NULL, NULL);
    struct cudnn_tuner *tuner = open_tuner(cudnn);
    struct cudnn_conv conv = example(KERNEL_F16);
    struct cudnn_plan *plan;
    struct bgd_err err;
    set_times(50);
    memset(script.stuck, true, sizeof script.stuck);
    cr_expect_eq(cudnn_plan_make(cudnn, &conv, tuner, &plan, &err), BGD_DEVICE);
    cr_expect_null(plan);
    cr_expect(strstr(err.text, "no plan for this convolution that runs: engine 41 failed"), "%s", err.text);
    cudnn_tuner_close(tuner);
    cudnn_close(cudnn);
}

/* Or a plan that needs little would be kept for all later runs, whatever their batch is. */
Test(cudnn_plan, too_little_memory_to_time_one_is_the_error_that_halves_a_batch)
{
    struct cudnn *cudnn = open_cudnn(NULL, NULL);
    struct cudnn_tuner *tuner = open_tuner(cudnn);
    const struct cudnn_conv conv = example(KERNEL_F16), largest = example(KERNEL_F32);
    struct cudnn_plan *plan;
    struct bgd_err err;
    set_times(50);
    emulation_fail_memory(cudnn_tuner_bytes(&largest) + 999); /* a workspace has 1,000 */
    cr_expect_eq(cudnn_plan_make(cudnn, &conv, tuner, &plan, &err), BGD_MEMORY);
    cr_expect_null(plan);
    cr_expect(strstr(err.text, "a plan's workspace"), "%s", err.text);
    emulation_fail_memory(0);
    cudnn_tuner_close(tuner);
    cudnn_close(cudnn);
}

Test(cudnn_plan, is_an_error_if_one_takes_the_device_with_it)
{
    struct cudnn *cudnn = open_cudnn(NULL, NULL);
    struct cudnn_tuner *tuner = open_tuner(cudnn);
    struct cudnn_conv conv = example(KERNEL_F16);
    struct cudnn_plan *plan;
    struct bgd_err err;
    set_times(50);
    script.crashes = 21;
    cr_expect_eq(cudnn_plan_make(cudnn, &conv, tuner, &plan, &err), BGD_DEVICE);
    cr_expect_null(plan);
    cr_expect(strstr(err.text, "cudaErrorIllegalAddress"), "%s", err.text);
    cudnn_tuner_close(tuner);
    cudnn_close(cudnn);
}

Test(cudnn_plan, tuned_once_it_is_taken_ever_after)
{
    static const char name[] = "engine 0, tuned: 44.0 us, next engine 7: 50.0 us (engine 41 failed: NOT_SUPPORTED)";
    set_times(44);
    check_tuned("cache", name);
    cr_expect_gt(fake_cudnn.runs, 0);
    fake_cudnn.runs = fake_cudnn.lists = 0;
    set_times(99);
    check_tuned("cache", name);
    struct cudnn *cudnn = open_cudnn(NULL, "cache");
    check_plan(cudnn, KERNEL_F16, name);
    cudnn_close(cudnn);
    cr_expect_eq(fake_cudnn.runs, 0);
    cr_expect_eq(fake_cudnn.lists, 0);
}

Test(cudnn_plan, one_that_was_kept_untuned_is_tuned)
{
    struct cudnn *cudnn = open_cudnn(NULL, "cache");
    check_plan(cudnn, KERNEL_F16, "engine 7 (engine 41 failed: NOT_SUPPORTED)");
    cudnn_close(cudnn);
    set_times(44);
    check_tuned("cache", "engine 0, tuned: 44.0 us, next engine 7: 50.0 us (engine 41 failed: NOT_SUPPORTED)");
    set_times(99);
    check_tuned("cache", "engine 0, tuned: 44.0 us, next engine 7: 50.0 us (engine 41 failed: NOT_SUPPORTED)");
}

Test(cudnn_plan, a_damaged_plan_is_tuned_anew)
{
    size_t size;
    set_times(44);
    check_tuned("cache", "engine 0, tuned: 44.0 us, next engine 7: 50.0 us (engine 41 failed: NOT_SUPPORTED)");
    char *path = kept_file("cache"), *kept = scratch_read(path, &size);
    kept[strlen("bgdet-plan 2 ") + 33] ^= 1; /* "tuned" */
    scratch_write(path, kept, size);
    set_times(99);
    check_tuned("cache", "engine 7, tuned: 50.0 us, next engine 21: 60.0 us (engine 41 failed: NOT_SUPPORTED)");
    free(kept);
    free(path);
}

Test(cudnn_plan, a_described_device_times_nothing)
{
    struct cudnn *cudnn = open_cudnn(DESCRIPTION, NULL);
    struct cudnn_tuner *tuner;
    struct bgd_err err = {0};
    cr_expect_eq(cudnn_tuner_open(cudnn, 1, &tuner, &err), BGD_ARGUMENT);
    cr_expect_null(tuner);
    cr_expect(strstr(err.text, "only described"), "%s", err.text);
    cudnn_close(cudnn);
}

Test(cudnn_plan, a_tuner_without_memory_is_an_error)
{
    struct cudnn *cudnn = open_cudnn(NULL, NULL);
    struct cudnn_tuner *tuner = open_tuner(cudnn);
    struct cudnn_conv conv = example(KERNEL_F16);
    struct cudnn_plan *plan;
    struct bgd_err err;
    emulation_fail_memory(1000);
    cr_expect_eq(cudnn_plan_make(cudnn, &conv, tuner, &plan, &err), BGD_MEMORY);
    cudnn_tuner_close(tuner);
    cudnn_close(cudnn);
}

/* ---------------------------------------------------------------- calls that fail */

/* Opens, makes and runs; 0, or the first error. `name` is the plan's. */
static int whole_life(const char *cache, bool tune, char name[1024], struct bgd_err *err)
{
    struct cudnn *cudnn;
    struct cudnn_tuner *tuner = NULL;
    struct cudnn_plan *plan = NULL;
    struct cudnn_conv conv = example(KERNEL_F16);
    static float value[8];
    int code = cudnn_open(NULL, cache, &cudnn, err);
    if (!code && tune)
        code = cudnn_tuner_open(cudnn, cudnn_tuner_bytes(&conv), &tuner, err);
    if (!code)
        code = cudnn_plan_make(cudnn, &conv, tuner, &plan, err);
    cudnn_tuner_close(tuner);
    fake_cudnn.runs = 0;
    if (!code)
        code = cudnn_plan_run(cudnn, plan, NULL, value, value, value, value, value, value, NULL, err);
    snprintf(name, 1024, "%s", plan ? cudnn_plan_name(plan) : "");
    cudnn_plan_free(plan);
    cudnn_close(cudnn);
    return code;
}

/* What can be mended is no error: an engine that fails is passed over, and the plan's name tells; a plan that does not load is
 * built, one that cannot be kept is not. */
static void fail_each_call(const char *cache, bool tune)
{
    bool reached = true;
    for (unsigned call = 1; reached; call++) {
        struct bgd_err err = {0};
        char name[1024];
        fake_cudnn.calls = 0;
        fake_cudnn.fail_at = call;
        int code = whole_life(cache, tune, name, &err);
        reached = fake_cudnn.calls >= call;
        cr_expect_eq(fake_cudnn.live, 0, "call %u: %d left", call, fake_cudnn.live);
        cr_expect_eq(code, err.code, "call %u", call);
        cr_expect_eq(fake_cudnn.runs, code ? 0 : 1, "call %u", call);
        cr_expect(!code || (code == BGD_DEVICE && strstr(err.text, "was made to fail")), "call %u: %d %s", call, code,
                  err.text);
        cr_expect(reached ? code || cache || strstr(name, "INTERNAL_ERROR") : !code, "call %u: %s %s", call, name, err.text);
    }
}

Test(cudnn_plan, any_failing_call_is_an_error_that_leaves_nothing)
{
    fail_each_call(NULL, false);
    cr_expect_gt(fake_cudnn.calls, 100);
}

Test(cudnn_plan, any_failing_call_with_a_cache_too)
{
    fail_each_call("cache", false); /* until one is kept */
    fail_each_call("cache", false); /* while it is loaded */
}

Test(cudnn_plan, any_failing_call_while_plans_are_timed)
{
    set_times(44);
    fail_each_call(NULL, true);
    cr_expect_gt(fake_cudnn.calls, 500);
    fail_each_call("cache", true);
    fail_each_call("cache", true);
}

Test(cudnn_plan, any_failing_call_of_cuda_while_plans_are_timed)
{
    set_times(44);
    bool reached = true;
    unsigned long first = 0, call;
    for (call = 1; reached; call++) {
        struct bgd_err err = {0};
        char name[1024];
        emulation_fail_at(call);
        first = emulation_calls();
        int code = whole_life(NULL, true, name, &err);
        reached = emulation_calls() - first >= call;
        cr_expect_eq(fake_cudnn.live, 0, "call %lu: %d left", call, fake_cudnn.live);
        cr_expect_eq(emulation_device_bytes(), 0, "call %lu: %zu bytes left", call, emulation_device_bytes());
        cr_expect_eq(code, err.code, "call %lu", call);
        cr_expect(code ? strstr(err.text, "cudaErrorUnknown") : strstr(name, "tuned"), "call %lu: %s %s", call, name, err.text);
    }
    cr_expect_gt(call, 100);
}
