#include "cudnn_library.h"

#include "cudnn_cache.h"
#include "err.h"

#include <assert.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_LEAST 90800 /* the first with CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR */

/* ---------------------------------------------------------------- errors */

const char *cudnn_status_name(const struct cudnn *cudnn, cudnnStatus_t status)
{
    static const char prefix[] = "CUDNN_STATUS_";
    const char *name = cudnn->f.error_string(status);
    return strncmp(name, prefix, sizeof prefix - 1) ? name : name + sizeof prefix - 1;
}

int cudnn_failed(const struct cudnn *cudnn, cudnnStatus_t status, const char *what, struct bgd_err *err)
{
    char text[512] = "";
    cudnn->f.last_error(text, sizeof text);
    bool memory = status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                  status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
    return err_set(err, memory ? BGD_MEMORY : BGD_DEVICE, "cuDNN: %s: %s: %s", what, cudnn_status_name(cudnn, status), text);
}

/* ---------------------------------------------------------------- descriptors */

cudnnStatus_t cudnn_make(const struct cudnn *cudnn, cudnnBackendDescriptorType_t type, const struct cudnn_attribute *attributes,
                         cudnnBackendDescriptor_t *descriptor)
{
    *descriptor = NULL;
    cudnnStatus_t status = cudnn->f.create(type, descriptor);
    if (status || !attributes)
        return status;
    for (const struct cudnn_attribute *a = attributes; a->values && !status; a++)
        if (a->count)
            status = cudnn->f.set(*descriptor, a->name, a->type, a->count, a->values);
    if (!status)
        status = cudnn->f.finalize(*descriptor);
    if (status) {
        cudnn->f.destroy(*descriptor);
        *descriptor = NULL;
    }
    return status;
}

void cudnn_check(struct cudnn_builder *b, cudnnStatus_t status, const char *what)
{
    if (!status)
        return;
    b->failed = true;
    cudnn_failed(b->cudnn, status, what, b->err);
}

cudnnBackendDescriptor_t cudnn_add(struct cudnn_builder *b, cudnnBackendDescriptorType_t type, const char *what,
                                   const struct cudnn_attribute *attributes)
{
    if (b->failed)
        return NULL;
    assert(b->n < CUDNN_DESCRIPTORS_MAX);
    cudnn_check(b, cudnn_make(b->cudnn, type, attributes, &b->descriptors[b->n]), what);
    return b->failed ? NULL : b->descriptors[b->n++];
}

int64_t cudnn_get(struct cudnn_builder *b, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                  cudnnBackendAttributeType_t type, int64_t most, void *values, const char *what)
{
    int64_t count = 0;
    if (!b->failed)
        cudnn_check(b, b->cudnn->f.get(descriptor, name, type, most, &count, values), what);
    if (b->failed)
        return 0;
    return count < most ? count : most;
}

void cudnn_destroy_all(struct cudnn_builder *b)
{
    while (b->n)
        b->cudnn->f.destroy(b->descriptors[--b->n]);
}

char *cudnn_read_json(const struct cudnn *cudnn, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                      struct bgd_err *err)
{
    int64_t size = 0, written = 0;
    char *json = NULL;
    cudnnStatus_t status = cudnn->f.get(descriptor, name, CUDNN_TYPE_CHAR, 0, &size, NULL);
    if (!status && !(json = calloc(1, (size_t)size + 1))) {
        err_set(err, BGD_MEMORY, "out of memory for %lld bytes", (long long)size);
        return NULL;
    }
    if (!status)
        status = cudnn->f.get(descriptor, name, CUDNN_TYPE_CHAR, size, &written, json);
    if (!status)
        return json;
    cudnn_failed(cudnn, status, "JSON", err);
    free(json);
    return NULL;
}

/* ---------------------------------------------------------------- the library and the device */

static const struct {
    const char *name;
    size_t at; /* in struct cudnn_functions */
} symbols[] = {
    {"cudnnGetVersion", offsetof(struct cudnn_functions, get_version)},
    {"cudnnGetErrorString", offsetof(struct cudnn_functions, error_string)},
    {"cudnnGetLastErrorString", offsetof(struct cudnn_functions, last_error)},
    {"cudnnCreate", offsetof(struct cudnn_functions, create_handle)},
    {"cudnnDestroy", offsetof(struct cudnn_functions, destroy_handle)},
    {"cudnnSetStream", offsetof(struct cudnn_functions, set_stream)},
    {"cudnnBackendCreateDescriptor", offsetof(struct cudnn_functions, create)},
    {"cudnnBackendSetAttribute", offsetof(struct cudnn_functions, set)},
    {"cudnnBackendFinalize", offsetof(struct cudnn_functions, finalize)},
    {"cudnnBackendGetAttribute", offsetof(struct cudnn_functions, get)},
    {"cudnnBackendExecute", offsetof(struct cudnn_functions, execute)},
    {"cudnnBackendDestroyDescriptor", offsetof(struct cudnn_functions, destroy)},
};

static int load_functions(struct cudnn *cudnn, struct bgd_err *err)
{
    /* The first has the graph API; the second forwards to it. */
    static const char *const libraries[] = {"libcudnn_graph.so.9", "libcudnn.so.9"};
    char reasons[512] = "";
    /* NODELETE: cuDNN's threads and exit handlers are not made to be unloaded. */
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries && !cudnn->library; i++) {
        cudnn->library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
        size_t length = strlen(reasons);
        if (!cudnn->library)
            snprintf(reasons + length, sizeof reasons - length, "%s%s", length ? "; " : "", dlerror());
    }
    if (!cudnn->library)
        return err_set(err, BGD_DEVICE, "cuDNN 9 cannot be loaded: %s", reasons);
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(cudnn->library, symbols[i].name);
        if (!symbol)
            return err_set(err, BGD_DEVICE, "cuDNN: %s", dlerror());
        memcpy((char *)&cudnn->f + symbols[i].at, &symbol, sizeof symbol);
    }
    size_t version = cudnn->f.get_version();
    snprintf(cudnn->version, sizeof cudnn->version, "cuDNN %zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
    if (version < VERSION_LEAST)
        return err_set(err, BGD_DEVICE, "%s is too old: 9.8 or newer is needed", cudnn->version);
    return 0;
}

static int find_device(struct cudnn *cudnn, const char *description, struct bgd_err *err)
{
    if (!description) {
        cudnnStatus_t status = cudnn->f.create_handle(&cudnn->handle);
        return status ? cudnn_failed(cudnn, status, "no device", err) : 0;
    }
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(description), description},
        {0},
    };
    cudnnStatus_t status = cudnn_make(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, attributes, &cudnn->description);
    return status ? cudnn_failed(cudnn, status, "the device's description", err) : 0;
}

char *cudnn_describe(const struct cudnn *cudnn, struct bgd_err *err)
{
    if (cudnn->description)
        return cudnn_read_json(cudnn, cudnn->description, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, err);
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &cudnn->handle},
        {0},
    };
    struct cudnn_builder b = {.cudnn = cudnn, .err = err};
    cudnnBackendDescriptor_t device =
        cudnn_add(&b, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "the device's description", attributes);
    char *json = device ? cudnn_read_json(cudnn, device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, err) : NULL;
    cudnn_destroy_all(&b);
    return json;
}

/* Where the device cannot be told, no plan is kept. */
static void open_cache(struct cudnn *cudnn, const char *cache)
{
    struct bgd_err err = {0};
    char *description = cudnn_describe(cudnn, &err);
    if (description)
        cudnn->folder = cudnn_cache_open(cache, strchr(cudnn->version, ' ') + 1, description);
    free(description);
}

int cudnn_open(const char *description, const char *cache, struct cudnn **out, struct bgd_err *err)
{
    *out = NULL;
    struct cudnn *cudnn = calloc(1, sizeof *cudnn);
    if (!cudnn)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (load_functions(cudnn, err) || find_device(cudnn, description, err)) {
        cudnn_close(cudnn);
        return err->code;
    }
    if (cache)
        open_cache(cudnn, cache);
    *out = cudnn;
    return 0;
}

void cudnn_close(struct cudnn *cudnn)
{
    if (!cudnn)
        return;
    if (cudnn->description)
        cudnn->f.destroy(cudnn->description);
    if (cudnn->handle)
        cudnn->f.destroy_handle(cudnn->handle);
    if (cudnn->library)
        dlclose(cudnn->library);
    free(cudnn->folder);
    free(cudnn);
}

const char *cudnn_version(const struct cudnn *cudnn)
{
    return cudnn->version;
}
