/* The emulated device beyond what CUDA's own functions do: for tests, and for the emulated cuDNN. */
#ifndef EMULATION_H
#define EMULATION_H

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Also from the environment, for programs as a whole, read at their start: BGDET_EMULATED_DEVICES (emulation_devices),
 * BGDET_EMULATED_MEMORY (emulation_fail_memory), BGDET_EMULATED_FAIL_AT (that call, and all after it: emulation_sticky).
 */

/* What cudaGetDeviceCount finds; 1 at first. */
void emulation_devices(int n);

/* The device's compute capability, 10 * major + minor; 90 at first. */
void emulation_capability(int capability);

/* The call-th call of the runtime from now on returns cudaErrorUnknown; 0: none does. What it would have made is not made,
 * but what it would have freed is freed. */
void emulation_fail_at(unsigned long call);

/* All calls from now on return cudaErrorIllegalAddress, as after a kernel that has crashed. */
void emulation_sticky(void);

/* Device allocations beyond this many bytes together fail; 0: no limit. */
void emulation_fail_memory(size_t bytes);

/* Calls of the runtime so far. */
unsigned long emulation_calls(void);

/* Of device memory, allocated now. */
size_t emulation_device_bytes(void);

/* The clock of events: milliseconds since any time; NULL, at first: the host's. */
void emulation_clock(double (*milliseconds)(void));

/* Counts as a call of the runtime, with the error that it must return. */
cudaError_t emulation_call(void);

/* function(copy of the argument's bytes) now or, if the stream is being captured, whenever its graph is launched. */
void emulation_enqueue(cudaStream_t stream, void (*function)(void *copy), const void *argument, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
