/*
 * cuDNN as the files of cudnn_plan.h have it: what is used of the library, the device it is for, and descriptors, which are made,
 * read and destroyed here alone.
 */
#ifndef BGD_CUDNN_LIBRARY_H
#define BGD_CUDNN_LIBRARY_H

#include "cudnn_plan.h"

#include <cudnn_graph.h>

#define CUDNN_CONFIGS_MAX 64u /* of one list of the heuristics; those behind are not tried */
#define CUDNN_DESCRIPTORS_MAX (2 * CUDNN_CONFIGS_MAX + 32u)

/* What is used of cuDNN, with the types of its header. */
struct cudnn_functions {
    __typeof__(&cudnnGetVersion) get_version;
    __typeof__(&cudnnGetErrorString) error_string;
    __typeof__(&cudnnGetLastErrorString) last_error;
    __typeof__(&cudnnCreate) create_handle;
    __typeof__(&cudnnDestroy) destroy_handle;
    __typeof__(&cudnnSetStream) set_stream;
    __typeof__(&cudnnBackendCreateDescriptor) create;
    __typeof__(&cudnnBackendSetAttribute) set;
    __typeof__(&cudnnBackendFinalize) finalize;
    __typeof__(&cudnnBackendGetAttribute) get;
    __typeof__(&cudnnBackendExecute) execute;
    __typeof__(&cudnnBackendDestroyDescriptor) destroy;
};

struct cudnn {
    void *library;
    struct cudnn_functions f;
    char version[32];
    cudnnHandle_t handle;                 /* of the current device, or NULL: */
    cudnnBackendDescriptor_t description; /* of the device that is not there */
    char *folder;                         /* for plans; NULL: none are kept */
};

/* "NOT_SUPPORTED" */
const char *cudnn_status_name(const struct cudnn *cudnn, cudnnStatus_t status);

/* The error of a call that has returned `status`. */
int cudnn_failed(const struct cudnn *cudnn, cudnnStatus_t status, const char *what, struct bgd_err *err);

struct cudnn_attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;      /* 0: not set */
    const void *values; /* NULL ends a list */
};

/* Creates, sets and finalises; without attributes creates only: cuDNN fills it. After a failure there is nothing. */
cudnnStatus_t cudnn_make(const struct cudnn *cudnn, cudnnBackendDescriptorType_t type, const struct cudnn_attribute *attributes,
                         cudnnBackendDescriptor_t *descriptor);

/* Descriptors that are destroyed together. After a failure, which `err` tells, no more are made: callers look once, last. */
struct cudnn_builder {
    const struct cudnn *cudnn;
    struct bgd_err *err;
    bool failed;
    uint32_t n;
    cudnnBackendDescriptor_t descriptors[CUDNN_DESCRIPTORS_MAX];
};

/* A call that has returned `status`: unless it is success, the builder has failed. */
void cudnn_check(struct cudnn_builder *b, cudnnStatus_t status, const char *what);

/* cudnn_make, of a descriptor that is the builder's. NULL once that has failed. */
cudnnBackendDescriptor_t cudnn_add(struct cudnn_builder *b, cudnnBackendDescriptorType_t type, const char *what,
                                   const struct cudnn_attribute *attributes);

/* At most `most` values; returns how many. */
int64_t cudnn_get(struct cudnn_builder *b, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t type, int64_t most, void *values, const char *what);

void cudnn_destroy_all(struct cudnn_builder *b);

/* A descriptor as JSON, to be freed; NULL and an error if it cannot be had. */
char *cudnn_read_json(const struct cudnn *cudnn, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                      struct bgd_err *err);

#endif
