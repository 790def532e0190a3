/* Plans that were built before: a file for each convolution, in a folder for each device and version of cuDNN. */
#ifndef BGD_CUDNN_CACHE_H
#define BGD_CUDNN_CACHE_H

#include "cudnn_plan.h"

#define CUDNN_NAME 512u /* bytes of a plan's name, NUL included */

/* The folder below `cache` for that version ("9.19.0") and the device that the JSON describes, made if it is missing, to be freed;
 * NULL if it cannot be told. Where nothing can be written, plans are built each time. */
char *cudnn_cache_open(const char *cache, const char *version, const char *description);

struct cudnn_kept {
    char name[CUDNN_NAME];
    bool tuned; /* chosen by timing (cudnn_tuner.h), not by cuDNN's heuristics alone */
    char *json; /* the plan as cuDNN writes it, to be freed */
};

/* The plan that was kept for a convolution; false if there is none that is whole. */
bool cudnn_cache_read(const char *folder, const struct cudnn_conv *conv, struct cudnn_kept *kept);

/* Not an error if it cannot be kept: it is built again next time. */
void cudnn_cache_write(const char *folder, const struct cudnn_conv *conv, const struct cudnn_kept *kept);

#endif
