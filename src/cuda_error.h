/* What CUDA says, as our errors. */
#ifndef BGD_CUDA_ERROR_H
#define BGD_CUDA_ERROR_H

#include "bgdet.h"

#include <cuda_runtime_api.h>

/* Sets the error of a failed call and returns its code, BGD_MEMORY or BGD_DEVICE; 0 for cudaSuccess. */
int cuda_check(cudaError_t error, const char *what, struct bgd_err *err);

#endif
