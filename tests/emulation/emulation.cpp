/*
 * The emulated CUDA runtime. What is put into a stream runs at once, in the caller; while a stream is captured it is kept, and
 * runs when the graph is launched. So nothing here finds a missing wait. What it does find, and a GPU does not: a barrier that
 * only some threads of a block reach, memory that is read before it was written (it is NAN), and, under AddressSanitizer,
 * accesses outside of an allocation.
 */
#undef _FORTIFY_SOURCE /* its longjmp refuses to go to another stack */

#include "emulation.h"

#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

/* ---------------------------------------------------------------- contexts: a stack, and where it is left off */

namespace
{

const size_t guard_size = 4096; /* a page that cannot be accessed, below the stack */
const size_t stack_size = 256 * 1024;

struct context {
    jmp_buf left_off;
    ucontext_t start; /* of a fiber that has not started yet */
    bool started = true;
    const void *stack = nullptr; /* bounds and handle as the sanitizers need them */
    size_t size = 0;
    void *handle = nullptr;
};

thread_local context *previous; /* the one that the running context was entered from */

/* What the sanitizers must be told before and after the stack changes under them. */
#if defined(__SANITIZE_ADDRESS__)
void before_switch(context &, context &to, void **fake_stack)
{
    __sanitizer_start_switch_fiber(fake_stack, to.stack, to.size);
}

void after_switch(void *fake_stack)
{
    __sanitizer_finish_switch_fiber(fake_stack, &previous->stack, &previous->size);
}
#elif defined(__SANITIZE_THREAD__)
void before_switch(context &from, context &to, void **)
{
    from.handle = __tsan_get_current_fiber();
    if (!to.handle)
        to.handle = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(to.handle, 0);
}

void after_switch(void *)
{
}
#else
void before_switch(context &, context &, void **)
{
}

void after_switch(void *)
{
}
#endif

/* Goes on with `to`, and returns when something switches back. A context is started by setcontext, and then switched by
 * longjmp, which, unlike swapcontext, makes no system call. */
void switch_to(context &from, context &to)
{
    void *fake_stack = nullptr;
    previous = &from;
    before_switch(from, to, &fake_stack);
    if (_setjmp(from.left_off) == 0) {
        if (to.started)
            _longjmp(to.left_off, 1);
        to.started = true;
        setcontext(&to.start);
    }
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

struct block {
    const std::function<void()> *kernel;
    unsigned threads, begun, finished;
    std::vector<fiber *> waiting; /* at the barrier */

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

fiber::~fiber()
{
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(handle);
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

void check_barrier()
{
    if (block.waiting.empty() || block.waiting.size() == block.threads)
        return;
    fprintf(stderr, "emulation: %zu of %u threads of block (%u, %u, %u) wait at a barrier, the others have left\n",
            block.waiting.size(), block.threads, blockIdx.x, blockIdx.y, blockIdx.z);
    abort();
}

void run_block(const std::function<void()> &kernel)
{
    block.kernel = &kernel;
    block.threads = blockDim.x * blockDim.y * blockDim.z;
    block.begun = block.finished = 0;
    while (block.begun < block.threads)
        enter(idle_fiber());
    while (check_barrier(), block.finished < block.threads)
        for (fiber *fiber : std::exchange(block.waiting, {})) {
            threadIdx = fiber->thread;
            enter(fiber);
        }
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
    fiber *fiber = block.running;
    fiber->thread = threadIdx;
    block.waiting.push_back(fiber);
    switch_to(*fiber, block.scheduler);
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
std::atomic<int> capability{90};
std::atomic<size_t> memory_limit{from_environment("BGDET_EMULATED_MEMORY", 0)};
std::atomic<unsigned long> calls{0}, failing_call{0};
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

unsigned long emulation_calls(void)
{
    return calls;
}

cudaError_t emulation_call(void)
{
    unsigned long call = ++calls;
    if (first_sticky_call && call >= first_sticky_call)
        return result(cudaErrorIllegalAddress);
    return call == failing_call ? result(cudaErrorUnknown) : cudaSuccess;
}

/* ---------------------------------------------------------------- streams, events, graphs */

namespace
{

using task_list = std::vector<std::function<void()>>;

/* Of a stream, and of those that have waited for an event of it. */
struct capture {
    cudaStream_t origin;
    bool active = true;
    bool invalid = false; /* something was called that must not be meanwhile */
    task_list tasks;
};

thread_local std::shared_ptr<capture> own_capture; /* the last that this thread began */

double host_milliseconds()
{
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::atomic<double (*)(void)> event_clock{host_milliseconds};

} // namespace

struct CUstream_st {
    std::shared_ptr<struct capture> capture;
};

struct CUevent_st {
    std::shared_ptr<struct capture> capture; /* in which it was recorded last */
    bool timed;
    bool recorded = false;
    double milliseconds = 0;
};

struct CUgraph_st {
    task_list tasks;
};

struct CUgraphExec_st {
    task_list tasks;
};

namespace
{

std::shared_ptr<capture> capture_of(cudaStream_t stream)
{
    return stream && stream->capture && stream->capture->active ? stream->capture : nullptr;
}

void enqueue(cudaStream_t stream, std::function<void()> task)
{
    if (auto capture = capture_of(stream))
        capture->tasks.push_back(std::move(task));
    else
        task();
}

/* A call that must not be made while `capture` goes on. */
cudaError_t call_outside(const std::shared_ptr<capture> &capture)
{
    if (cudaError_t error = emulation_call())
        return error;
    if (!capture || !capture->active)
        return cudaSuccess;
    capture->invalid = true;
    return result(cudaErrorStreamCaptureUnsupported);
}

} // namespace

void emulation_enqueue(cudaStream_t stream, void (*function)(void *copy), const void *argument, size_t bytes)
{
    const char *from = static_cast<const char *>(argument);
    enqueue(stream, [function, copy = std::vector<char>(from, from + bytes)]() mutable { function(copy.data()); });
}

cudaError_t emulation_launch(const cudaLaunchConfig_t &config, std::function<void()> kernel)
{
    if (cudaError_t error = emulation_call())
        return error;
    dim3 grid = config.gridDim, threads = config.blockDim;
    size_t block_size = size_t(threads.x) * threads.y * threads.z;
    if (block_size == 0 || block_size > 1024 || threads.z > 64 || grid.x == 0 || grid.x > 0x7fffffff || grid.y == 0 ||
        grid.y > 65535 || grid.z == 0 || grid.z > 65535 || config.dynamicSmemBytes)
        return result(cudaErrorInvalidConfiguration);
    enqueue(config.stream, [grid, threads, kernel = std::move(kernel)] { run_grid(grid, threads, kernel); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned int)
{
    if (cudaError_t error = emulation_call())
        return error;
    *stream = new CUstream_st;
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
    return call_outside(capture_of(stream));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int)
{
    if (cudaError_t error = emulation_call())
        return error;
    if (event->capture && !event->capture->active)
        return result(cudaErrorCapturedEvent);
    auto capture = capture_of(stream);
    if ((capture || !stream) && event->capture != capture)
        return result(cudaErrorStreamCaptureIsolation);
    if (event->capture)
        stream->capture = event->capture;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode)
{
    if (cudaError_t error = emulation_call())
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
    if (cudaError_t error = emulation_call())
        return error;
    if (!capture || capture->origin != stream)
        return result(cudaErrorStreamCaptureUnmatched);
    if (capture->invalid)
        return result(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st{std::move(capture->tasks)};
    return cudaSuccess;
}

void emulation_clock(double (*milliseconds)(void))
{
    event_clock = milliseconds ? milliseconds : host_milliseconds;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    if (cudaError_t error = emulation_call())
        return error;
    *event = new CUevent_st{nullptr, !(flags & cudaEventDisableTiming)};
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    delete event;
    return emulation_call();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call())
        return error;
    event->capture = capture_of(stream);
    event->recorded = true;
    event->milliseconds = event_clock.load()();
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    if (cudaError_t error = emulation_call())
        return error;
    if (start->capture || end->capture)
        return result(cudaErrorCapturedEvent);
    if (!start->timed || !end->timed || !start->recorded || !end->recorded)
        return result(cudaErrorInvalidResourceHandle);
    *milliseconds = static_cast<float>(end->milliseconds - start->milliseconds);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    if (cudaError_t error = emulation_call())
        return error;
    return event->capture ? result(cudaErrorCapturedEvent) : cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    if (cudaError_t error = emulation_call())
        return error;
    *exec = new CUgraphExec_st{graph->tasks};
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call())
        return error;
    for (const auto &task : exec->tasks)
        enqueue(stream, task);
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
    void *allocate(size_t size, size_t limit)
    {
        std::lock_guard<std::mutex> guard(lock);
        void *pointer;
        if ((limit && (size > limit || bytes > limit - size)) || posix_memalign(&pointer, 256, size))
            return nullptr;
        memset(pointer, 0xff, size); /* NAN in f16, bf16 and f32 */
        blocks[pointer] = size;
        bytes += size;
        return pointer;
    }

    bool release(void *pointer)
    {
        std::lock_guard<std::mutex> guard(lock);
        auto found = blocks.find(pointer);
        if (found == blocks.end())
            return false;
        bytes -= found->second;
        blocks.erase(found);
        free(pointer);
        return true;
    }

    size_t allocated()
    {
        std::lock_guard<std::mutex> guard(lock);
        return bytes;
    }

  private:
    std::mutex lock;
    std::map<void *, size_t> blocks;
    size_t bytes = 0;
};

memory device_memory, pinned_memory;

cudaError_t allocate(memory &memory, size_t limit, void **pointer, size_t size)
{
    *pointer = nullptr;
    if (cudaError_t error = call_outside(own_capture))
        return error;
    if (size == 0)
        return cudaSuccess;
    *pointer = memory.allocate(size, limit);
    return *pointer ? cudaSuccess : result(cudaErrorMemoryAllocation);
}

cudaError_t release(memory &memory, void *pointer)
{
    bool known = !pointer || memory.release(pointer);
    if (cudaError_t error = call_outside(own_capture))
        return error;
    return known ? cudaSuccess : result(cudaErrorInvalidValue);
}

void copy(void *to, const void *from, size_t size)
{
    if (size) /* else the pointers may be NULL */
        memmove(to, from, size);
}

} // namespace

size_t emulation_device_bytes(void)
{
    return device_memory.allocated();
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    if (cudaError_t error = emulation_call())
        return error;
    *total = memory_limit ? memory_limit.load() : size_t(16) << 30;
    size_t used = device_memory.allocated();
    *free = used < *total ? *total - used : 0;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **pointer, size_t size)
{
    return allocate(device_memory, memory_limit, pointer, size);
}

cudaError_t cudaFree(void *pointer)
{
    return release(device_memory, pointer);
}

cudaError_t cudaHostAlloc(void **pointer, size_t size, unsigned int)
{
    return allocate(pinned_memory, 0, pointer, size);
}

cudaError_t cudaFreeHost(void *pointer)
{
    return release(pinned_memory, pointer);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind)
{
    if (cudaError_t error = call_outside(own_capture))
        return error;
    copy(to, from, size);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call())
        return error;
    enqueue(stream, [to, from, size] { copy(to, from, size); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *pointer, int value, size_t size, cudaStream_t stream)
{
    if (cudaError_t error = emulation_call())
        return error;
    enqueue(stream, [pointer, value, size] { memset(pointer, value, size); });
    return cudaSuccess;
}

/* ---------------------------------------------------------------- devices */

namespace
{

cudaError_t call_of_device(int device)
{
    if (cudaError_t error = emulation_call())
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
    return call_of_device(device);
}

cudaError_t cudaSetDeviceFlags(unsigned int)
{
    return call_of_device(0);
}

cudaError_t cudaInitDevice(int device, unsigned int, unsigned int)
{
    return call_of_device(device);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    if (cudaError_t error = call_of_device(device))
        return error;
    *properties = {"emulated", memory_limit ? memory_limit.load() : size_t(16) << 30, capability / 10, capability % 10,
                   multiprocessors};
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
