#include "fake_cudnn.h"

#include <cudnn_graph.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_cudnn fake_cudnn = {.version = 91900};

static const struct engine {
    int64_t index;
    cudnnBackendNumericalNote_t note;
    bool builds;
} lists[][10] = {
    {{41, CUDNN_NUMERICAL_NOTE_FFT, false},
     {13, CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, true},
     {7, CUDNN_NUMERICAL_NOTE_TENSOR_CORE, true}},
    {{5, CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, true},
     {0, CUDNN_NUMERICAL_NOTE_FFT, true},
     {21, CUDNN_NUMERICAL_NOTE_FFT, true},
     {22, CUDNN_NUMERICAL_NOTE_FFT, true},
     {23, CUDNN_NUMERICAL_NOTE_FFT, true},
     {24, CUDNN_NUMERICAL_NOTE_FFT, true},
     {25, CUDNN_NUMERICAL_NOTE_FFT, true},
     {26, CUDNN_NUMERICAL_NOTE_FFT, true},
     {27, CUDNN_NUMERICAL_NOTE_FFT, true},
     {28, CUDNN_NUMERICAL_NOTE_FFT, true}},
};
static const int64_t list_sizes[] = {3, 10};

struct cudnnContext {
    cudaStream_t stream;
};

struct descriptor {
    cudnnBackendDescriptorType_t type;
    bool final;
    bool broken;                 /* a call has failed: nothing but destroying it is right */
    int list;                    /* of heuristics */
    const struct engine *engine; /* of a configuration, an engine, a plan */
    char json[256];              /* of a device or a plan */
};

static char message[256];

static cudnnStatus_t fail(cudnnStatus_t status, const char *text)
{
    snprintf(message, sizeof message, "%s", text);
    return status;
}

static bool fails(void)
{
    if (++fake_cudnn.calls != fake_cudnn.fail_at)
        return false;
    snprintf(message, sizeof message, "call %u was made to fail", fake_cudnn.calls);
    return true;
}

size_t cudnnGetVersion(void)
{
    return fake_cudnn.version;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    switch (status) {
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_EXECUTION_FAILED: return "CUDNN_STATUS_EXECUTION_FAILED";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    default: return "CUDNN_STATUS_INTERNAL_ERROR";
    }
}

void cudnnGetLastErrorString(char *text, size_t size)
{
    snprintf(text, size, "%s", message);
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    if (fails())
        return CUDNN_STATUS_INTERNAL_ERROR;
    *handle = calloc(1, sizeof **handle);
    fake_cudnn.live++;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    free(handle);
    fake_cudnn.live--;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    if (fails())
        return CUDNN_STATUS_INTERNAL_ERROR;
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor)
{
    if (fails())
        return CUDNN_STATUS_INTERNAL_ERROR;
    struct descriptor *made = calloc(1, sizeof *made);
    made->type = type;
    *descriptor = made;
    fake_cudnn.live++;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    free(descriptor);
    fake_cudnn.live--;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    struct descriptor *d = descriptor;
    if ((d->broken |= fails()))
        return CUDNN_STATUS_INTERNAL_ERROR;
    if (d->final)
        return fail(CUDNN_STATUS_BAD_PARAM, "set after finalize");
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR)
        for (int64_t i = 0; i < count; i++) {
            const struct descriptor *value = ((const cudnnBackendDescriptor_t *)values)[i];
            if (!value || (!value->final && value->type != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR))
                return fail(CUDNN_STATUS_BAD_PARAM, "not finalized");
        }
    if (name == CUDNN_ATTR_ENGINEHEUR_MODE)
        d->list = *(const cudnnBackendHeurMode_t *)values == CUDNN_HEUR_MODE_FALLBACK;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
        d->engine = (*(struct descriptor *const *)values)->engine;
    if (name == CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION || name == CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION)
        snprintf(d->json, sizeof d->json, "%.*s", (int)count, (const char *)values);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    struct descriptor *d = descriptor;
    if (fails())
        return CUDNN_STATUS_INTERNAL_ERROR;
    if (d->final || d->broken)
        return fail(CUDNN_STATUS_BAD_PARAM, "finalized twice, or after a failure");
    if (d->json[0] && d->json[strlen(d->json) - 1] != '}')
        return fail(CUDNN_STATUS_BAD_PARAM, "cut JSON");
    if (d->engine && !d->engine->builds)
        return fail(CUDNN_STATUS_NOT_SUPPORTED, "an engine that cannot be built");
    if (d->engine)
        snprintf(d->json, sizeof d->json, "{\"engine\":%d}", (int)d->engine->index);
    if (d->type == CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR && !d->json[0])
        snprintf(d->json, sizeof d->json, "{\"deviceName\":\"Fake GPU/80\",\"deviceVer\":900}");
    fake_cudnn.lists += d->type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR;
    d->final = true;
    return CUDNN_STATUS_SUCCESS;
}

/* Gives the configurations of a list their engines. */
static int64_t fill_configs(const struct descriptor *heuristics, int64_t most, const cudnnBackendDescriptor_t *configs)
{
    int64_t n = list_sizes[heuristics->list] < most ? list_sizes[heuristics->list] : most;
    for (int64_t i = 0; i < n; i++)
        ((struct descriptor *)configs[i])->engine = &lists[heuristics->list][i];
    return n;
}

cudnnStatus_t cudnnBackendGetAttribute(const cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t most, int64_t *count, void *values)
{
    const struct descriptor *d = descriptor;
    (void)type;
    if (fails())
        return CUDNN_STATUS_INTERNAL_ERROR;
    *count = 1;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS: *count = fill_configs(d, most, values); return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINECFG_ENGINE: (*(struct descriptor **)values)->engine = d->engine; return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX: *(int64_t *)values = d->engine->index; return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        *(cudnnBackendNumericalNote_t *)values = d->engine->note;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: *(int64_t *)values = 1000; return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION:
    case CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION:
        *count = (int64_t)strlen(d->json);
        if (most)
            memcpy(values, d->json, (size_t)most);
        return CUDNN_STATUS_SUCCESS;
    default: return fail(CUDNN_STATUS_BAD_PARAM, "an attribute that the fake does not know");
    }
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
    if (fails())
        return CUDNN_STATUS_INTERNAL_ERROR;
    const struct descriptor *d = plan;
    int engine = 0;
    if (!handle || !d->final || !((struct descriptor *)pack)->final || sscanf(d->json, "{\"engine\":%d}", &engine) != 1)
        return fail(CUDNN_STATUS_BAD_PARAM, "not finalized");
    fake_cudnn.runs++;
    if (fake_cudnn.run && !fake_cudnn.run(handle->stream, engine))
        return fail(CUDNN_STATUS_EXECUTION_FAILED, "an engine that does not run");
    return CUDNN_STATUS_SUCCESS;
}
