/*
 * The emulated CUDA runtime. What is put into a stream runs at once, in the caller; while a stream is captured it is kept, and
 * runs when the graph is launched. With a clock (emulation_clock) nothing runs. So nothing here finds a missing wait. What it does
 * find, and a GPU does not: a barrier that only some threads of a block or of a warp reach, memory that is read before it was
 * written (it is NAN), a copy in a batch whose source is not page-locked, and, under AddressSanitizer, accesses outside of an allocation.
 *
 * Of several devices each thread has one that is current. Streams, events, graphs and device memory are one device's, and are
 * used while that one is current, or it is an error, also where CUDA would allow it; but for freeing and destroying.
 */

#include "emulation.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <errno.h>
#include <map>
#include <memory>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

/* ---------------------------------------------------------------- contexts: a stack, and where it is left off */

namespace
{

const size_t guard_size = 4096; /* a page that cannot be accessed, below the stack */
const size_t stack_size = 256 * 1024;

struct context {
    void *left_off[5]; /* of __builtin_setjmp */
    ucontext_t start; /* of a fiber that has not started yet */
    bool started = true;
    const void *stack = nullptr; /* its bounds, as AddressSanitizer needs them */
    size_t size = 0;
};

thread_local context *previous; /* the one that the running context was entered from */

/* What AddressSanitizer must be told before and after the stack changes under it. ThreadSanitizer is told nothing: neither this
 * file nor the kernels are compiled for it (tests/CMakeLists.txt), and so it takes what fibers do for their host thread's doing. */
#if defined(__SANITIZE_ADDRESS__)
void before_switch(context &to, void **fake_stack)
{
    __sanitizer_start_switch_fiber(fake_stack, to.stack, to.size);
}

void after_switch(void *fake_stack)
{
    __sanitizer_finish_switch_fiber(fake_stack, &previous->stack, &previous->size);
}
#else
void before_switch(context &, void **)
{
}

void after_switch(void *)
{
}
#endif

/* Returns where `to` left off, or starts it. */
[[noreturn]] __attribute__((noinline, no_sanitize("address"))) void go_on(context &to)
{
    if (to.started)
        __builtin_longjmp(to.left_off, 1);
    to.started = true;
    setcontext(&to.start);
    abort();
}

/* Goes on with `to`, and returns when something switches back. A context is started by setcontext, and then switched by the
 * compiler's own longjmp: unlike swapcontext it makes no system call, and unlike longjmp, AddressSanitizer does not take it for
 * the end of the stack's frames, each of which it would then forget. */
__attribute__((no_sanitize("address"))) void switch_to(context &from, context &to)
{
    void *fake_stack = nullptr;
    previous = &from;
    before_switch(to, &fake_stack);
    if (__builtin_setjmp(from.left_off) == 0)
        go_on(to);
    after_switch(fake_stack);
}

/* ---------------------------------------------------------------- a block */

/*
 * A fiber runs threads of a block one after another, by plain calls. Only where a thread waits at a barrier is its fiber left
 * in the middle of it, and another goes on with the next thread; so a kernel without barriers needs one fiber.
 */
struct fiber : context {
    fiber();
    ~fiber();
    void *memory;
    uint3 thread; /* that waits */
};

const unsigned warp_size = 32, warps_of_block = 1024 / warp_size;

/* What the threads of a warp left for each other, twice: a thread that leaves the next may be ahead of one that reads the last.
 * The second is read no more when a third is left, since all have met between. */
struct warp {
    std::vector<fiber *> waiting; /* at its barrier */
    unsigned meetings;
    alignas(16) char left[2][warp_size][EMULATION_EXCHANGE];
};

struct block {
    const std::function<void()> *kernel;
    unsigned threads, begun, finished;
    std::vector<fiber *> waiting;  /* at the block's barrier */
    std::vector<fiber *> released; /* that waited for their warp, which has met */
    struct warp warps[warps_of_block];

    context scheduler; /* the host's own stack */
    fiber *running;
    std::vector<fiber *> idle;
    std::vector<std::unique_ptr<fiber>> fibers; /* all of this host thread; kept from block to block */
};

thread_local block block;

uint3 thread_index(unsigned i)
{
    return {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
}

[[noreturn]] void fiber_main()
{
    after_switch(nullptr);
    for (;;) {
        while (block.begun < block.threads) {
            threadIdx = thread_index(block.begun++);
            (*block.kernel)();
            block.finished++;
        }
        block.idle.push_back(block.running);
        switch_to(*block.running, block.scheduler);
    }
}

fiber::fiber()
{
    memory = mmap(nullptr, guard_size + stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, guard_size, PROT_NONE)) {
        perror("emulation: no stack for a thread");
        abort();
    }
    stack = static_cast<char *>(memory) + guard_size;
    size = stack_size;
    started = false;
    getcontext(&start);
    start.uc_stack.ss_sp = static_cast<char *>(memory) + guard_size;
    start.uc_stack.ss_size = stack_size;
    makecontext(&start, fiber_main, 0);
}

/* fiber_main never returns, so AddressSanitizer still guards its frame: also in what is mapped there next, the shared memory of
 * another host thread's blocks, say. */
fiber::~fiber()
{
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, size);
#endif
    munmap(memory, guard_size + stack_size);
}

fiber *idle_fiber()
{
    if (block.idle.empty()) {
        block.fibers.push_back(std::make_unique<fiber>());
        return block.fibers.back().get();
    }
    fiber *fiber = block.idle.back();
    block.idle.pop_back();
    return fiber;
}

void enter(fiber *fiber)
{
    block.running = fiber;
    switch_to(block.scheduler, *fiber);
}

unsigned threads_waiting(const struct warp &warp)
{
    return static_cast<unsigned>(warp.waiting.size());
}

/* The others have left, or wait for something else. */
[[noreturn]] void never_meet(const char *of, unsigned waiting, unsigned threads)
{
    fprintf(stderr, "emulation: %u of %u threads of %s of block (%u, %u, %u) wait at a barrier that the others do not reach\n",
            waiting, threads, of, blockIdx.x, blockIdx.y, blockIdx.z);
    abort();
}

/* The fibers that can go on. */
std::vector<fiber *> next_fibers()
{
    if (!block.released.empty())
        return std::exchange(block.released, {});
    for (const struct warp &warp : block.warps)
        if (threads_waiting(warp) > 0)
            never_meet("a warp", threads_waiting(warp), warp_size);
    if (block.waiting.size() != block.threads)
        never_meet("all", static_cast<unsigned>(block.waiting.size()), block.threads);
    return std::exchange(block.waiting, {});
}

void run_block(const std::function<void()> &kernel)
{
    block.kernel = &kernel;
    block.threads = blockDim.x * blockDim.y * blockDim.z;
    block.begun = block.finished = 0;
    while (block.begun < block.threads)
        enter(idle_fiber());
    while (block.finished < block.threads)
        for (fiber *fiber : next_fibers()) {
            threadIdx = fiber->thread;
            enter(fiber);
        }
}

/* Leaves the running fiber in the middle of its thread, until it is entered again. */
void wait_among(std::vector<fiber *> &waiting)
{
    fiber *fiber = block.running;
    fiber->thread = threadIdx;
    waiting.push_back(fiber);
    switch_to(*fiber, block.scheduler);
}

unsigned thread_in_block()
{
    return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
}

void run_grid(dim3 grid, dim3 threads, const std::function<void()> &kernel)
{
    gridDim = grid;
    blockDim = threads;
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++)
                run_block(kernel);
}

} // namespace

__thread uint3 threadIdx, blockIdx;
__thread dim3 blockDim, gridDim;

void __syncthreads()
{
    wait_among(block.waiting);
}

void __syncwarp()
{
    struct warp &warp = block.warps[thread_in_block() / warp_size];
    unsigned first = thread_in_block() / warp_size * warp_size, threads = min(warp_size, block.threads - first);
    if (threads_waiting(warp) + 1 < threads) {
        wait_among(warp.waiting);
        return;
    }
    warp.meetings++;
    block.released.insert(block.released.end(), warp.waiting.begin(), warp.waiting.end());
    warp.waiting.clear();
}

const void *emulation_exchange(const void *mine, size_t bytes)
{
    struct warp &warp = block.warps[thread_in_block() / warp_size];
    auto &left = warp.left[warp.meetings % 2];
    memcpy(left[thread_in_block() % warp_size], mine, bytes);
    __syncwarp();
    return left;
}

/* ---------------------------------------------------------------- a clock */

namespace
{

std::atomic<unsigned long> calls{0};

int64_t clock_ns(clockid_t clock)
{
    timespec t;
    clock_gettime(clock, &t);
    return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

/* Of this thread's processor, and no less if others want it, too. */
void spend(double us)
{
    int64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + int64_t(us * 1e3);
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        continue;
}

void sleep_until(int64_t ns)
{
    const timespec t = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR)
        continue;
}

const int devices_most = 8;

/* What keeps the time, if devices have clocks: each has one of its own. */
class device_timer
{
  public:
    device_timer()
    {
        const char *text = getenv("BGDET_EMULATED_CLOCK");
        if (!text)
            return;
        device_rates read;
        if (!device_rates_read(text, &read)) {
            fprintf(stderr, "emulation: BGDET_EMULATED_CLOCK is \"%s\", expected \"us/picture=N GB/s=N us/call=N\"\n", text);
            exit(64);
        }
        fputs("emulation: a device with a clock, which computes nothing: the rows are meaningless\n", stderr);
        set(&read);
        reports = true;
    }

    ~device_timer()
    {
        double seconds[DEVICE_ENGINES] = {};
        for (const device_clock &clock : clocks)
            for (int engine = 0; engine < DEVICE_ENGINES; engine++)
                seconds[engine] += double(clock.busy[engine]) * 1e-9;
        if (reports)
            fprintf(stderr, "emulation: the device computed for %.3f s and copied for %.3f s in and %.3f s out; %lu calls\n",
                    seconds[DEVICE_COMPUTES], seconds[DEVICE_COPIES_IN], seconds[DEVICE_COPIES_OUT], calls.load());
    }

    void set(const device_rates *rates)
    {
        on = rates;
        for (device_clock &clock : clocks) {
            clock = {};
            clock.rates = rates ? *rates : device_rates{};
        }
    }

    const device_rates &rates() const
    {
        return clocks[0].rates;
    }

    /* See device_clock.h. */
    int64_t pass(int device, int64_t ready, uint32_t pictures)
    {
        std::lock_guard<std::mutex> guard(lock);
        return device_clock_pass(&clocks[device], clock_ns(CLOCK_MONOTONIC), ready, pictures);
    }

    int64_t copy(int device, int64_t ready, cudaMemcpyKind kind, size_t bytes)
    {
        std::lock_guard<std::mutex> guard(lock);
        return device_clock_copy(&clocks[device], clock_ns(CLOCK_MONOTONIC), ready, kind == cudaMemcpyHostToDevice, bytes);
    }

    bool on = false;

  private:
    bool reports = false;
    std::mutex lock;
    device_clock clocks[devices_most] = {};
};

device_timer timer;

} // namespace

void emulation_clock(const struct device_rates *rates)
{
    timer.set(rates);
}

/* ---------------------------------------------------------------- failures, wanted ones */

namespace
{

size_t from_environment(const char *name, size_t otherwise)
{
    const char *value = getenv(name);
    return value ? strtoull(value, nullptr, 10) : otherwise;
}

std::atomic<int> devices{static_cast<int>(from_environment("BGDET_EMULATED_DEVICES", 1))};
std::atomic<int> other_kind{-1};
std::atomic<bool> lost[devices_most];
std::atomic<unsigned long> launches[devices_most];
std::atomic<unsigned> flags[devices_most];
thread_local int current; /* device */
std::atomic<int> capability{90};
std::atomic<size_t> memory_limit{from_environment("BGDET_EMULATED_MEMORY", 0)};
std::atomic<bool> memory_left{false};
std::atomic<unsigned long> failing_call{0};
std::atomic<unsigned long> first_sticky_call{from_environment("BGDET_EMULATED_FAIL_AT", 0)};

thread_local cudaError_t last_error;

cudaError_t result(cudaError_t error)
{
    if (error)
        last_error = error;
    return error;
}

} // namespace

void emulation_capability(int number)
{
    capability = number;
}

void emulation_devices(int n)
{
    devices = n;
}

void emulation_other_kind(int device)
{
    other_kind = device;
}

void emulation_lose(int device)
{
    lost[device] = true;
}

unsigned long emulation_launches(int device)
{
    return launches[device];
}

unsigned emulation_flags(int device)
{
    return flags[device];
}

int emulation_device(void)
{
    return current;
}

void emulation_fail_at(unsigned long call)
{
    failing_call = call ? calls + call : 0;
}

void emulation_sticky(void)
{
    first_sticky_call = calls + 1;
}

void emulation_fail_memory(size_t bytes)
{
    memory_limit = bytes;
}

void emulation_leave_memory(void)
{
    memory_left = true;
}

unsigned long emulation_calls(void)
{
    return calls;
}

namespace
{

/* Of no device, or of one that is not the current one. */
cudaError_t call_anywhere()
{
    unsigned long call = ++calls;
    if (timer.on)
        spend(timer.rates().call_us);
    if (first_sticky_call && call >= first_sticky_call)
        return result(cudaErrorIllegalAddress);
    return call == failing_call ? result(cudaErrorUnknown) : cudaSuccess;
}

} // namespace

cudaError_t emulation_call(void)
{
    cudaError_t error = call_anywhere();
    return error || !lost[current] ? error : result(cudaErrorIllegalAddress);
}

/* ---------------------------------------------------------------- streams, events, graphs */

namespace
{

/* What a graph does when it is launched, and for how many pictures. */
struct pass {
    std::vector<std::function<void()>> tasks;
    uint32_t pictures = 0;
};

/* Of a stream, and of those that have waited for an event of it. */
struct capture {
    cudaStream_t origin;
    bool active = true;
    bool invalid = false; /* something was called that must not be meanwhile */
    struct pass pass;
};

thread_local std::shared_ptr<capture> own_capture; /* the last that this thread began */

double host_milliseconds()
{
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::atomic<double (*)(void)> event_clock{host_milliseconds};

} // namespace

struct CUstream_st {
    int device;
    std::shared_ptr<struct capture> capture;
    int64_t until = 0; /* with a clock: when it will have done all */
};

struct CUevent_st {
    int device;
    bool timed;
    std::shared_ptr<struct capture> capture = nullptr; /* in which it was recorded last */
    bool recorded = false;
    double milliseconds = 0;
    int64_t at = 0; /* with a clock: when it comes */
};

struct CUgraph_st {
    struct pass pass;
};

struct CUgraphExec_st {
    int device;
    struct pass pass;
};

namespace
{

std::shared_ptr<capture> capture_of(cudaStream_t stream)
{
    return stream && stream->capture && stream->capture->active ? stream->capture : nullptr;
}

void enqueue(cudaStream_t stream, uint32_t pictures, std::function<void()> task)
{
    if (auto capture = capture_of(stream)) {
        capture->pass.tasks.push_back(std::move(task));
        capture->pass.pictures = std::max(capture->pass.pictures, pictures);
    } else if (!timer.on) {
        task();
    }
}

/* Of something that must be the current device's. */
cudaError_t call_on(int device)
{
    cudaError_t error = emulation_call();
    return error ? error : result(device == current ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

/* A call that must not be made while `capture` goes on, and what the call itself says. */
cudaError_t call_outside(const std::shared_ptr<capture> &capture, cudaError_t error)
{
    if (error)
        return error;
    if (!capture || !capture->active)
        return cudaSuccess;
    capture->invalid = true;
    return result(cudaErrorStreamCaptureUnsupported);
}

} // namespace

cudaError_t emulation_call_in(cudaStream_t stream)
{
    return call_on(stream ? stream->device : current);
}

int64_t emulation_busy_until(cudaStream_t stream)
{
    return stream->until;
}

void emulation_enqueue(cudaStream_t stream, uint32_t pictures, void (*function)(void *copy), const void *argument, size_t bytes)
{
    const char *from = static_cast<const char *>(argument);
    enqueue(stream, pictures, [function, copy = std::vector<char>(from, from + bytes)]() mutable { function(copy.data()); });
}

cudaError_t emulation_launch(const cudaLaunchConfig_t &config, std::function<void()> kernel)
{
    if (cudaError_t error = emulation_call_in(config.stream))
        return error;
    dim3 grid = config.gridDim, threads = config.blockDim;
    size_t block_size = size_t(threads.x) * threads.y * threads.z;
    if (block_size == 0 || block_size > 1024 || threads.z > 64 || grid.x == 0 || grid.x > 0x7fffffff || grid.y == 0 ||
        grid.y > 65535 || grid.z == 0 || grid.z > 65535 || config.dynamicSmemBytes)
        return result(cudaErrorInvalidConfiguration);
    launches[current]++;
    enqueue(config.stream, 0, [grid, threads, kernel = std::move(kernel)] { run_grid(grid, threads, kernel); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int)
{
    if (cudaError_t error = emulation_call())
        return error;
    *stream = new CUstream_st{current, nullptr};
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (auto capture = capture_of(stream))
        capture->active = false;
    delete stream;
    return emulation_call();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (cudaError_t error = call_outside(capture_of(stream), emulation_call_in(stream)))
        return error;
    if (stream)
        sleep_until(stream->until);
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int)
{
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (event->capture && !event->capture->active)
        return result(cudaErrorCapturedEvent);
    auto capture = capture_of(stream);
    if ((capture || !stream) && event->capture != capture)
        return result(cudaErrorStreamCaptureIsolation);
    if (event->capture)
        stream->capture = event->capture;
    if (stream)
        stream->until = std::max(stream->until, event->at);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode)
{
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (!stream || capture_of(stream))
        return result(cudaErrorStreamCaptureUnsupported);
    own_capture = stream->capture = std::make_shared<capture>();
    own_capture->origin = stream;
    return cudaSuccess;
}

/* Whatever it returns, the capture is over. */
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = nullptr;
    auto capture = capture_of(stream);
    if (capture)
        capture->active = false;
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (!capture || capture->origin != stream)
        return result(cudaErrorStreamCaptureUnmatched);
    if (capture->invalid)
        return result(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st{std::move(capture->pass)};
    return cudaSuccess;
}

void emulation_event_clock(double (*milliseconds)(void))
{
    event_clock = milliseconds ? milliseconds : host_milliseconds;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    if (cudaError_t error = emulation_call())
        return error;
    *event = new CUevent_st{current, !(flags & cudaEventDisableTiming)};
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return emulation_call();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (event->device != current)
        return result(cudaErrorInvalidResourceHandle);
    event->capture = capture_of(stream);
    event->recorded = true;
    event->milliseconds = event_clock.load()();
    event->at = stream ? stream->until : 0;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (cudaError_t error = call_on(event->device))
        return error;
    if (event->capture)
        return result(cudaErrorCapturedEvent);
    sleep_until(event->at);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t first, cudaEvent_t last)
{
    if (cudaError_t error = emulation_call())
        return error;
    if (first->capture || last->capture)
        return result(cudaErrorCapturedEvent);
    if (!first->timed || !last->timed || !first->recorded || !last->recorded)
        return result(cudaErrorInvalidResourceHandle);
    *milliseconds = static_cast<float>(last->milliseconds - first->milliseconds);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    if (cudaError_t error = emulation_call())
        return error;
    *exec = new CUgraphExec_st{current, graph->pass};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (exec->device != current)
        return result(cudaErrorInvalidResourceHandle);
    launches[current]++;
    if (timer.on && !capture_of(stream))
        stream->until = timer.pass(current, stream->until, exec->pass.pictures);
    else
        for (const auto &task : exec->pass.tasks)
            enqueue(stream, exec->pass.pictures, task);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    delete exec;
    return emulation_call();
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return emulation_call();
}

/* ---------------------------------------------------------------- memory */

namespace
{

/* Blocks that malloc has, so that AddressSanitizer knows where they end. */
class memory
{
  public:
    /* `owner`: a device, or -1: all of them. */
    void *allocate(int owner, size_t size, size_t limit)
    {
        std::lock_guard<std::mutex> guard(lock);
        size_t used = total(owner);
        void *pointer;
        if ((limit && (size > limit || used > limit - size)) || posix_memalign(&pointer, 256, size))
            return nullptr;
        if (!timer.on && !memory_left)
            memset(pointer, 0xff, size); /* NAN in f16, bf16 and f32 */
        blocks[static_cast<char *>(pointer)] = {owner, size};
        return pointer;
    }

    bool release(void *pointer)
    {
        std::lock_guard<std::mutex> guard(lock);
        auto found = blocks.find(static_cast<char *>(pointer));
        if (found == blocks.end())
            return false;
        blocks.erase(found);
        free(pointer);
        return true;
    }

    size_t allocated(int owner)
    {
        std::lock_guard<std::mutex> guard(lock);
        return total(owner);
    }

    /* Does the pointer lead into a block, and is that the device's? */
    bool has(const void *pointer, int device, bool *own)
    {
        std::lock_guard<std::mutex> guard(lock);
        const char *at = static_cast<const char *>(pointer);
        auto found = blocks.upper_bound(const_cast<char *>(at));
        if (found == blocks.begin() || at >= (--found)->first + found->second.size)
            return false;
        *own = found->second.owner == device || found->second.owner < 0;
        return true;
    }

  private:
    struct block {
        int owner;
        size_t size;
    };

    size_t total(int owner)
    {
        size_t sum = 0;
        for (const auto &block : blocks)
            sum += owner < 0 || block.second.owner == owner ? block.second.size : 0;
        return sum;
    }

    std::mutex lock;
    std::map<char *, block> blocks;
};

memory device_memory, pinned_memory;

cudaError_t allocate(memory &memory, int owner, size_t limit, void **pointer, size_t size)
{
    *pointer = nullptr;
    if (cudaError_t error = call_outside(own_capture, emulation_call()))
        return error;
    if (size == 0)
        return cudaSuccess;
    *pointer = memory.allocate(owner, size, limit);
    return *pointer ? cudaSuccess : result(cudaErrorMemoryAllocation);
}

cudaError_t release(memory &memory, void *pointer)
{
    bool known = !pointer || memory.release(pointer);
    if (cudaError_t error = call_outside(own_capture, emulation_call()))
        return error;
    return known ? cudaSuccess : result(cudaErrorInvalidValue);
}

/* Memory of another device, or page-locked for another one alone, is out of reach; other pointers are the host's. */
bool in_reach(const void *pointer)
{
    bool own = true;
    return !(device_memory.has(pointer, current, &own) || pinned_memory.has(pointer, current, &own)) || own;
}

bool is_device(const void *pointer)
{
    bool own;
    return device_memory.has(pointer, current, &own) && own;
}

bool is_pinned(const void *pointer)
{
    bool own;
    return pinned_memory.has(pointer, current, &own) && own;
}

/* A batch of copies to the device, as this project makes them. */
bool are_copies(void *const *to, const void *const *from, const size_t *sizes, size_t n)
{
    bool good = n > 0;
    for (size_t i = 0; i < n && good; i++)
        good = sizes[i] > 0 && is_device(to[i]) && is_pinned(from[i]);
    return good;
}

/* The copies from firsts[i] on have attributes i. */
bool are_attributes(const cudaMemcpyAttributes *attributes, const size_t *firsts, size_t n, size_t copies)
{
    bool good = n > 0 && n <= copies && firsts[0] == 0;
    for (size_t i = 0; i < n && good; i++)
        good = attributes[i].srcAccessOrder >= cudaMemcpySrcAccessOrderStream &&
               attributes[i].srcAccessOrder <= cudaMemcpySrcAccessOrderAny && firsts[i] < copies &&
               (i == 0 || firsts[i] > firsts[i - 1]);
    return good;
}

void copy(void *to, const void *from, size_t size)
{
    if (size) /* else the pointers may be NULL */
        memmove(to, from, size);
}

} // namespace

size_t emulation_device_bytes(void)
{
    return device_memory.allocated(-1);
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    if (cudaError_t error = emulation_call())
        return error;
    *total = memory_limit ? memory_limit.load() : size_t(16) << 30;
    size_t used = device_memory.allocated(current);
    *free = used < *total ? *total - used : 0;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **pointer, size_t size)
{
    return allocate(device_memory, current, memory_limit, pointer, size);
}

cudaError_t cudaFree(void *pointer)
{
    return release(device_memory, pointer);
}

cudaError_t cudaHostAlloc(void **pointer, size_t size, unsigned int how)
{
    cudaError_t error = allocate(pinned_memory, how & cudaHostAllocPortable ? -1 : current, 0, pointer, size);
    if (!error && timer.on && size)
        memset(*pointer, 0, size); /* what is fetched */
    return error;
}

cudaError_t cudaFreeHost(void *pointer)
{
    return release(pinned_memory, pointer);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind)
{
    if (cudaError_t error = call_outside(own_capture, emulation_call()))
        return error;
    if (!in_reach(to) || !in_reach(from))
        return result(cudaErrorInvalidValue);
    if (timer.on)
        sleep_until(timer.copy(current, 0, kind, size));
    else
        copy(to, from, size);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (!in_reach(to) || !in_reach(from))
        return result(cudaErrorInvalidValue);
    if (timer.on && !capture_of(stream))
        stream->until = timer.copy(current, stream->until, kind, size);
    else
        enqueue(stream, 0, [to, from, size] { copy(to, from, size); });
    return cudaSuccess;
}

cudaError_t cudaMemcpyBatchAsync(void *const *to, const void *const *from, const size_t *sizes, size_t n,
                                 cudaMemcpyAttributes *attributes, size_t *firsts, size_t n_attributes, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (!stream || !are_copies(to, from, sizes, n) || !are_attributes(attributes, firsts, n_attributes, n))
        return result(cudaErrorInvalidValue);
    if (timer.on && !capture_of(stream)) {
        size_t bytes = 0;
        for (size_t i = 0; i < n; i++)
            bytes += sizes[i];
        stream->until = timer.copy(current, stream->until, cudaMemcpyHostToDevice, bytes);
        return cudaSuccess;
    }
    for (size_t i = 0; i < n; i++)
        enqueue(stream, 0, [to = to[i], from = from[i], size = sizes[i]] { copy(to, from, size); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *pointer, int value, size_t size, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call_in(stream))
        return error;
    if (!in_reach(pointer))
        return result(cudaErrorInvalidValue);
    enqueue(stream, 0, [pointer, value, size] { memset(pointer, value, size); });
    return cudaSuccess;
}

/* ---------------------------------------------------------------- devices */

namespace
{

cudaError_t call_of_device(int device)
{
    if (cudaError_t error = call_anywhere())
        return error;
    if (devices == 0)
        return result(cudaErrorNoDevice);
    return device >= 0 && device < devices ? cudaSuccess : result(cudaErrorInvalidDevice);
}

const int multiprocessors = 1;

} // namespace

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = devices ? CUDART_VERSION : 0; /* 0: no driver */
    return emulation_call();
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return emulation_call();
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 0;
    if (cudaError_t error = call_of_device(0))
        return error;
    *count = devices;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    cudaError_t error = call_of_device(device);
    if (!error)
        current = device;
    return error;
}

cudaError_t cudaSetDeviceFlags(unsigned int wanted)
{
    cudaError_t error = call_of_device(current);
    if (!error)
        flags[current] = wanted;
    return error;
}

cudaError_t cudaInitDevice(int device, unsigned int, unsigned int)
{
    return call_of_device(device);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    if (cudaError_t error = call_of_device(device))
        return error;
    *properties = {"", memory_limit ? memory_limit.load() : size_t(16) << 30, capability / 10, capability % 10, multiprocessors};
    snprintf(properties->name, sizeof properties->name, "%s", device == other_kind ? "emulated otherwise" : "emulated");
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    if (cudaError_t error = call_of_device(device))
        return error;
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = multiprocessors; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor: *value = capability / 10; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: *value = capability % 10; return cudaSuccess;
    }
    return result(cudaErrorInvalidValue);
}

/* ---------------------------------------------------------------- errors */

namespace
{

const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

} // namespace

const char *cudaGetErrorName(cudaError_t error)
{
    for (const auto &known : errors)
        if (known.error == error)
            return known.name;
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (const auto &known : errors)
        if (known.error == error)
            return known.text;
    return "unrecognized error code";
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

cudaError_t cudaGetLastError(void)
{
    return std::exchange(last_error, cudaSuccess);
}
