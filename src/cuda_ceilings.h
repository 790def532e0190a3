/* What a GPU can do at the most: `ceilings` of the CUDA backend. */
#ifndef BGD_CUDA_CEILINGS_H
#define BGD_CUDA_CEILINGS_H

#include "backend.h"
#include "cudnn_plan.h"

/* On the current device, for elements of that type. Needs for a moment 512 MB of its memory, in f32 805 MB, and a workspace.
 * BGD_DEVICE, BGD_MEMORY. */
int cuda_ceilings_measure(enum kernel_type type, struct cudnn *cudnn, struct backend_ceilings *ceilings, struct bgd_err *err);

#endif
