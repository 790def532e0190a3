#include "cuda_error.h"

#include "err.h"

int cuda_check(cudaError_t error, const char *what, struct bgd_err *err)
{
    if (error == cudaSuccess)
        return 0;
    (void)cudaGetLastError(); /* one that can be lived with shall not be found again by the next call */
    return err_set(err, error == cudaErrorMemoryAllocation ? BGD_MEMORY : BGD_DEVICE, "CUDA: %s: %s (%s)", what,
                   cudaGetErrorString(error), cudaGetErrorName(error));
}
