/* The emulated device beyond what CUDA's own functions do: for tests, and for the emulated cuDNN. */
#ifndef EMULATION_H
#define EMULATION_H

#include "device_clock.h"

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Also from the environment, for programs as a whole, read at their start: BGDET_EMULATED_DEVICES (emulation_devices),
 * BGDET_EMULATED_MEMORY (emulation_fail_memory), BGDET_EMULATED_FAIL_AT (that call, and all after it: emulation_sticky), and
 * BGDET_EMULATED_CLOCK (emulation_clock, as device_rates_read takes it; such a program says on standard error that its rows are
 * meaningless, and at its end how long the device was busy).
 */

/* What cudaGetDeviceCount finds, 0 to 8; 1 at first. */
void emulation_devices(int n);

/* The device has another name than the others. */
void emulation_other_kind(int device);

/* All calls return cudaErrorIllegalAddress from now on while that device is the thread's current one. */
void emulation_lose(int device);

/* Kernels and graphs that were put into streams of the device so far. */
unsigned long emulation_launches(int device);

/* What cudaSetDeviceFlags has been told of it. */
unsigned emulation_flags(int device);

/* The device's compute capability, 10 * major + minor; 90 at first. */
void emulation_capability(int capability);

/* The call-th call of the runtime from now on returns cudaErrorUnknown; 0: none does. What it would have made is not made,
 * but what it would have freed is freed. */
void emulation_fail_at(unsigned long call);

/* All calls from now on return cudaErrorIllegalAddress, as after a kernel that has crashed. */
void emulation_sticky(void);

/* On each device, allocations beyond this many bytes together fail; 0: no limit. */
void emulation_fail_memory(size_t bytes);

/* Allocations from now on hold what malloc left there, not NaNs: where no value is looked at, that saves most of the time. */
void emulation_leave_memory(void);

/* Calls of the runtime so far. */
unsigned long emulation_calls(void);

/* Of the memory of all devices, allocated now. */
size_t emulation_device_bytes(void);

/* The thread's current device. */
int emulation_device(void);

/*
 * From now on nothing is computed, and everything takes its time: kernels and plans are not run, nor are bytes copied, and what is
 * fetched is zeros. A captured pass, a copy and a call of the runtime take what device_clock.h says, on each device by itself;
 * kernels outside of a pass, which belong to it, and the setting of memory take none. Who waits for a stream or an event sleeps.
 * So the host's part in a run can be watched with a device of any speed behind it; how fast a device is, this does not tell. The
 * driver's own locks, for which real calls of several threads wait, are not there.
 *
 * Set it before anything is allocated.
 */
void emulation_clock(const struct device_rates *rates);

/* With a clock: when the stream will have done all that it was asked to, in nanoseconds of CLOCK_MONOTONIC. */
int64_t emulation_busy_until(cudaStream_t stream);

/* The clock of events: milliseconds since any time; NULL, at first: the host's. */
void emulation_event_clock(double (*milliseconds)(void));

/* Counts as a call of the runtime, with the error that it must return. */
cudaError_t emulation_call(void);

/* Likewise of one with a stream: an error, too, unless the stream's device is the current one. */
cudaError_t emulation_call_in(cudaStream_t stream);

/* function(copy of the argument's bytes), which computes something of `pictures`, now or, if the stream is being captured, whenever
 * its graph is launched. */
void emulation_enqueue(cudaStream_t stream, uint32_t pictures, void (*function)(void *copy), const void *argument,
                       size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
