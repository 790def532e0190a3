#include "cudnn_plan.h"

#include "err.h"
#include "file.h"
#include "hash.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <ctype.h>
#include <cudnn_graph.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VERSION_LEAST 90800        /* the first with CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR */
#define PLAN_FORMAT "bgdet-plan 1" /* another number when plans of the same convolution are built in another way */
#define HEADER_BYTES (sizeof PLAN_FORMAT + HASH_TEXT + 1) /* of a plan's file: the line, and NUL */
#define PLAN_BYTES_MAX (64u << 20)
#define PLAN_NAME 512u
#define WORKSPACE_ALIGN 256u
#define CONFIGS_MAX 64u /* of one list of the heuristics; those behind are not tried */
#define STEPS_MAX 4u    /* of an epilogue: residual, bias, ELU, scale */
#define DESCRIPTORS_MAX (2 * CONFIGS_MAX + 32u)

/* torch.nn.SELU's digits */
#define SELU_SCALE 1.0507009873554804934193349852946f
#define SELU_ALPHA 1.6732632423543772848170429916717

/* What is used of cuDNN, with the types of its header. */
struct functions {
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

static const struct {
    const char *name;
    size_t at; /* in struct functions */
} symbols[] = {
    {"cudnnGetVersion", offsetof(struct functions, get_version)},
    {"cudnnGetErrorString", offsetof(struct functions, error_string)},
    {"cudnnGetLastErrorString", offsetof(struct functions, last_error)},
    {"cudnnCreate", offsetof(struct functions, create_handle)},
    {"cudnnDestroy", offsetof(struct functions, destroy_handle)},
    {"cudnnSetStream", offsetof(struct functions, set_stream)},
    {"cudnnBackendCreateDescriptor", offsetof(struct functions, create)},
    {"cudnnBackendSetAttribute", offsetof(struct functions, set)},
    {"cudnnBackendFinalize", offsetof(struct functions, finalize)},
    {"cudnnBackendGetAttribute", offsetof(struct functions, get)},
    {"cudnnBackendExecute", offsetof(struct functions, execute)},
    {"cudnnBackendDestroyDescriptor", offsetof(struct functions, destroy)},
};

struct cudnn {
    void *library;
    struct functions f;
    char version[32];
    cudnnHandle_t handle;                 /* of the current device, or NULL: */
    cudnnBackendDescriptor_t description; /* of the device that is not there */
    char *folder;                         /* for plans; NULL: none are kept */
};

struct cudnn_plan {
    const struct cudnn *cudnn;
    struct cudnn_conv conv;
    cudnnBackendDescriptor_t descriptor;
    size_t workspace;
    char name[PLAN_NAME];
};

/* ---------------------------------------------------------------- errors */

/* "NOT_SUPPORTED" */
static const char *status_name(const struct cudnn *cudnn, cudnnStatus_t status)
{
    static const char prefix[] = "CUDNN_STATUS_";
    const char *name = cudnn->f.error_string(status);
    return strncmp(name, prefix, sizeof prefix - 1) ? name : name + sizeof prefix - 1;
}

static int failed(const struct cudnn *cudnn, cudnnStatus_t status, const char *what, struct bgd_err *err)
{
    char text[512] = "";
    cudnn->f.last_error(text, sizeof text);
    bool memory = status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
                  status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
    return err_set(err, memory ? BGD_MEMORY : BGD_DEVICE, "cuDNN: %s: %s: %s", what, status_name(cudnn, status), text);
}

/* ---------------------------------------------------------------- descriptors */

struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;      /* 0: not set */
    const void *values; /* NULL ends a list */
};

/* Creates, sets and finalises; without attributes creates only: cuDNN fills it. After a failure there is nothing. */
static cudnnStatus_t make(const struct cudnn *cudnn, cudnnBackendDescriptorType_t type, const struct attribute *attributes,
                          cudnnBackendDescriptor_t *descriptor)
{
    *descriptor = NULL;
    cudnnStatus_t status = cudnn->f.create(type, descriptor);
    if (status || !attributes)
        return status;
    for (const struct attribute *a = attributes; a->values && !status; a++)
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

/* Descriptors that are destroyed together. After a failure, which `err` tells, no more are made: callers look once, last. */
struct builder {
    const struct cudnn *cudnn;
    struct bgd_err *err;
    bool failed;
    uint32_t n;
    cudnnBackendDescriptor_t descriptors[DESCRIPTORS_MAX];
};

static void check(struct builder *b, cudnnStatus_t status, const char *what)
{
    if (!status)
        return;
    b->failed = true;
    failed(b->cudnn, status, what, b->err);
}

static cudnnBackendDescriptor_t add(struct builder *b, cudnnBackendDescriptorType_t type, const char *what,
                                    const struct attribute *attributes)
{
    if (b->failed)
        return NULL;
    assert(b->n < DESCRIPTORS_MAX);
    check(b, make(b->cudnn, type, attributes, &b->descriptors[b->n]), what);
    return b->failed ? NULL : b->descriptors[b->n++];
}

/* At most `most` values; returns how many. */
static int64_t get(struct builder *b, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t most, void *values, const char *what)
{
    int64_t count = 0;
    if (!b->failed)
        check(b, b->cudnn->f.get(descriptor, name, type, most, &count, values), what);
    if (b->failed)
        return 0;
    return count < most ? count : most;
}

static void destroy_all(struct builder *b)
{
    while (b->n)
        b->cudnn->f.destroy(b->descriptors[--b->n]);
}

/* A descriptor as JSON, to be freed. */
static char *read_json(const struct cudnn *cudnn, cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
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
    failed(cudnn, status, "JSON", err);
    free(json);
    return NULL;
}

/* ---------------------------------------------------------------- the library and the device */

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
        return status ? failed(cudnn, status, "no device", err) : 0;
    }
    const struct attribute attributes[] = {
        {CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(description), description},
        {0},
    };
    cudnnStatus_t status = make(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, attributes, &cudnn->description);
    return status ? failed(cudnn, status, "the device's description", err) : 0;
}

char *cudnn_describe(const struct cudnn *cudnn, struct bgd_err *err)
{
    if (cudnn->description)
        return read_json(cudnn, cudnn->description, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, err);
    const struct attribute attributes[] = {
        {CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &cudnn->handle},
        {0},
    };
    struct builder b = {.cudnn = cudnn, .err = err};
    cudnnBackendDescriptor_t device = add(&b, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, "the device's description", attributes);
    char *json = device ? read_json(cudnn, device, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, err) : NULL;
    destroy_all(&b);
    return json;
}

/* cache/9.19.0-NVIDIA_H200-900; NULL if the device cannot be told: then no plan is kept. */
static char *cache_folder(const struct cudnn *cudnn, const char *cache)
{
    struct bgd_err err = {0};
    char *json = cudnn_describe(cudnn, &err), *folder = NULL;
    cJSON *device = json ? cJSON_Parse(json) : NULL;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(device, "deviceName"));
    double capability = cJSON_GetNumberValue(cJSON_GetObjectItem(device, "deviceVer"));
    const char *version = strchr(cudnn->version, ' ') + 1;
    if (name && asprintf(&folder, "%s/%s-%s-%.0f", cache, version, name, capability) < 0)
        folder = NULL;
    if (folder)
        for (char *p = folder + strlen(cache) + 1; *p; p++)
            if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-')
                *p = '_';
    cJSON_Delete(device);
    free(json);
    return folder;
}

/* A folder and those that it lies in. Where nothing can be written, plans are built each time. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    mkdir(path, 0777);
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
    if (cache && (cudnn->folder = cache_folder(cudnn, cache))) {
        make_folders(cudnn->folder);
    }
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

/* ---------------------------------------------------------------- a convolution as a graph of operations */

/* Tensors by their unique ids; what goes from step to step of the epilogue is INNER and on. */
enum tensor { X = 1, W, BIAS, RESIDUAL, Y, SCALE, INNER };
enum storage { STORED, VIRTUAL, BY_VALUE };

static cudnnDataType_t data_type(enum kernel_type type)
{
    static const cudnnDataType_t types[] = {
        [KERNEL_F32] = CUDNN_DATA_FLOAT, [KERNEL_F16] = CUDNN_DATA_HALF, [KERNEL_BF16] = CUDNN_DATA_BFLOAT16};
    return types[type];
}

/* (n, c, h, w), channels innermost, pixels `pitch` elements apart. */
static cudnnBackendDescriptor_t add_tensor(struct builder *b, int64_t id, cudnnDataType_t type, enum storage storage,
                                           const int64_t dims[4], int64_t pitch)
{
    int64_t alignment = 16, strides[4] = {dims[2] * dims[3] * pitch, 1, dims[3] * pitch, pitch};
    bool is_virtual = storage == VIRTUAL, by_value = storage == BY_VALUE;
    const struct attribute attributes[] = {
        {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id},
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims},
        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment},
        {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual},
        {CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value},
        {0},
    };
    return add(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor", attributes);
}

static cudnnBackendDescriptor_t add_convolution(struct builder *b, const struct cudnn_conv *conv, cudnnBackendDescriptor_t y)
{
    const struct bgd_window *window = &conv->window;
    const int64_t x_dims[4] = {conv->n, conv->c, conv->h, conv->w};
    const int64_t w_dims[4] = {kernel_lanes(conv->out_c), conv->c, window->kernel_h, window->kernel_w};
    cudnnBackendDescriptor_t x = add_tensor(b, X, data_type(conv->type), STORED, x_dims, conv->pitch);
    cudnnBackendDescriptor_t w = add_tensor(b, W, data_type(conv->type), STORED, w_dims, conv->c);

    const int64_t dims = 2, strides[2] = {window->stride_h, window->stride_w};
    const int64_t before[2] = {window->pad_top, window->pad_left}, after[2] = {window->pad_bottom, window->pad_right};
    const int64_t dilations[2] = {window->dilation_h, window->dilation_w};
    const cudnnDataType_t sum = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const struct attribute attributes[] = {
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims},
        {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sum},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides},
        {0},
    };
    cudnnBackendDescriptor_t convolution = add(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution", attributes);

    const float alpha = 1, beta = 0;
    const struct attribute operation[] = {
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &alpha},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &beta},
        {0},
    };
    return add(b, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "a convolution's operation", operation);
}

/* y = f(x), or f(x, operand). */
static cudnnBackendDescriptor_t add_pointwise(struct builder *b, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                                              cudnnBackendDescriptor_t operand, cudnnBackendDescriptor_t y)
{
    const cudnnDataType_t precision = CUDNN_DATA_FLOAT;
    const double elu_alpha = SELU_ALPHA;
    const struct attribute attributes[] = {
        {CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode},
        {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision},
        {CUDNN_ATTR_POINTWISE_ELU_ALPHA, CUDNN_TYPE_DOUBLE, mode == CUDNN_POINTWISE_ELU_FWD, &elu_alpha},
        {0},
    };
    cudnnBackendDescriptor_t function = add(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "a pointwise function", attributes);
    const struct attribute operation[] = {
        {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &function},
        {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x},
        {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, operand != NULL, &operand},
        {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y},
        {0},
    };
    return add(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "a pointwise operation", operation);
}

/* A step of the epilogue. */
struct step {
    cudnnPointwiseMode_t mode;
    cudnnBackendDescriptor_t operand; /* NULL: none */
};

static uint32_t add_steps(struct builder *b, const struct cudnn_conv *conv, const int64_t y_dims[4],
                          struct step steps[STEPS_MAX])
{
    static const cudnnPointwiseMode_t modes[] = {
        [KERNEL_RELU] = CUDNN_POINTWISE_RELU_FWD,
        [KERNEL_SIGMOID] = CUDNN_POINTWISE_SIGMOID_FWD,
        [KERNEL_SILU] = CUDNN_POINTWISE_SWISH_FWD,
        [KERNEL_SELU] = CUDNN_POINTWISE_ELU_FWD,
    };
    const int64_t bias[4] = {1, y_dims[1], 1, 1}, scale[4] = {1, 1, 1, 1};
    uint32_t n = 0;
    /* The residual comes first, and the bias has the values' type: else Hopper's own engines are not offered (cuDNN 9.19). */
    if (conv->residual_pitch)
        steps[n++] = (struct step){CUDNN_POINTWISE_ADD,
                                   add_tensor(b, RESIDUAL, data_type(conv->type), STORED, y_dims, conv->residual_pitch)};
    steps[n++] = (struct step){CUDNN_POINTWISE_ADD, add_tensor(b, BIAS, data_type(conv->type), STORED, bias, y_dims[1])};
    if (conv->activation != KERNEL_NONE)
        steps[n++] = (struct step){modes[conv->activation], NULL};
    if (conv->activation == KERNEL_SELU)
        steps[n++] = (struct step){CUDNN_POINTWISE_MUL, add_tensor(b, SCALE, CUDNN_DATA_FLOAT, BY_VALUE, scale, 1)};
    return n;
}

static cudnnBackendDescriptor_t add_graph(struct builder *b, const struct cudnn_conv *conv)
{
    const int64_t y_dims[4] = {conv->n, conv->out_c, conv->out_h, conv->out_w};
    struct step steps[STEPS_MAX];
    uint32_t n = add_steps(b, conv, y_dims, steps);
    cudnnBackendDescriptor_t operations[1 + STEPS_MAX];
    cudnnBackendDescriptor_t x = add_tensor(b, INNER, CUDNN_DATA_FLOAT, VIRTUAL, y_dims, y_dims[1]);
    operations[0] = add_convolution(b, conv, x);
    for (uint32_t i = 0; i < n; i++) {
        cudnnBackendDescriptor_t y = i + 1 < n ? add_tensor(b, INNER + 1 + i, CUDNN_DATA_FLOAT, VIRTUAL, y_dims, y_dims[1])
                                               : add_tensor(b, Y, data_type(conv->type), STORED, y_dims, conv->out_pitch);
        operations[1 + i] = add_pointwise(b, steps[i].mode, x, steps[i].operand, y);
        x = y;
    }
    const struct attribute attributes[] = {
        {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, b->cudnn->handle != NULL, &b->cudnn->handle},
        {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1 + n, operations},
        {0},
    };
    return add(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "a graph", attributes);
}

/* ---------------------------------------------------------------- from a graph to a plan */

/* A plan from `source`: an engine's configuration, or JSON. */
static cudnnStatus_t make_plan(const struct cudnn *cudnn, struct attribute source, cudnnBackendDescriptor_t *plan)
{
    const struct attribute attributes[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, cudnn->handle != NULL, &cudnn->handle},
        {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, cudnn->description != NULL, &cudnn->description},
        source,
        {0},
    };
    return make(cudnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, attributes, plan);
}

/* Whether an engine is passed over: results must be the same from run to run, sums f32, and f32 must stay f32 (no TF32). */
static bool is_refused(struct builder *b, cudnnBackendDescriptor_t engine, enum kernel_type type)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = get(b, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                    notes, "an engine's notes");
    for (int64_t i = 0; i < n; i++)
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return true;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
            if (type == KERNEL_F32)
                return true;
            break;
        default: break;
        }
    return false;
}

/* Appends to a string of PLAN_NAME bytes what fits. */
__attribute__((format(printf, 2, 3))) static void append(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, PLAN_NAME - length, format, arguments);
    va_end(arguments);
}

/* Makes the plan of one configuration, if its engine may be taken; `tried` has those that cuDNN could not build. */
static void try_config(struct builder *b, cudnnBackendDescriptor_t config, struct cudnn_plan *plan, char tried[PLAN_NAME])
{
    cudnnBackendDescriptor_t engine = add(b, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine", NULL);
    int64_t index = 0;
    get(b, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine, "a configuration's engine");
    get(b, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index, "an engine's number");
    bool refused = is_refused(b, engine, plan->conv.type);
    if (refused || b->failed)
        return;
    const struct attribute source = {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config};
    cudnnStatus_t status = make_plan(b->cudnn, source, &plan->descriptor);
    if (status)
        append(tried, "%sengine %lld failed: %s", *tried ? ", " : "", (long long)index, status_name(b->cudnn, status));
    else
        append(plan->name, "engine %lld", (long long)index);
}

/* Tries the configurations of one list of the heuristics, in its order, until a plan is made. */
static void try_list(struct builder *b, cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode, struct cudnn_plan *plan,
                     char tried[PLAN_NAME])
{
    const struct attribute attributes[] = {
        {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph},
        {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode},
        {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, b->cudnn->description != NULL,
         &b->cudnn->description},
        {0},
    };
    cudnnBackendDescriptor_t list = add(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "the heuristics", attributes);
    cudnnBackendDescriptor_t configs[CONFIGS_MAX];
    for (uint32_t i = 0; i < CONFIGS_MAX; i++)
        configs[i] = add(b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "a configuration", NULL);
    int64_t n = get(b, list, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, CONFIGS_MAX, configs,
                    "the heuristics' results");
    for (int64_t i = 0; i < n && !plan->descriptor && !b->failed; i++)
        try_config(b, configs[i], plan, tried);
}

static int build(struct cudnn_plan *plan, struct bgd_err *err)
{
    static const cudnnBackendHeurMode_t lists[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    char tried[PLAN_NAME] = "";
    struct builder b = {.cudnn = plan->cudnn, .err = err};
    cudnnBackendDescriptor_t graph = add_graph(&b, &plan->conv);
    for (size_t i = 0; graph && i < sizeof lists / sizeof *lists && !plan->descriptor; i++) {
        struct bgd_err reason;
        struct builder list = {.cudnn = plan->cudnn, .err = &reason};
        try_list(&list, graph, lists[i], plan, tried);
        if (list.failed) /* the other may still name an engine */
            append(tried, "%s%s", *tried ? ", " : "", reason.text);
        destroy_all(&list);
    }
    destroy_all(&b);
    if (!graph)
        return err->code;
    if (!plan->descriptor)
        return err_set(err, BGD_DEVICE, "%s has no plan for this convolution: %s", plan->cudnn->version,
                       *tried ? tried : "no engine may be taken");
    if (*tried)
        append(plan->name, " (%s)", tried);
    return 0;
}

/* ---------------------------------------------------------------- plans that were built before
 *
 *     bgdet-plan 1 XXH3-128 of all that follows
 *     engine 7
 *     {"..."}     the plan as cuDNN writes it, its compiled kernels included
 */

static void print_header(const void *rest, size_t size, char header[HEADER_BYTES])
{
    char hash[HASH_TEXT];
    hash_text(rest, size, hash);
    snprintf(header, HEADER_BYTES, PLAN_FORMAT " %s\n", hash);
}

/* To be freed; NULL: there is no cache, or no memory. */
static char *kept_path(const struct cudnn_plan *plan)
{
    char hash[HASH_TEXT], *path = NULL;
    hash_text(&plan->conv, sizeof plan->conv, hash);
    return plan->cudnn->folder && asprintf(&path, "%s/%s", plan->cudnn->folder, hash) >= 0 ? path : NULL;
}

/* Fills name and descriptor from the file's bytes, or neither. */
static void parse_kept(const uint8_t *data, size_t size, struct cudnn_plan *plan)
{
    const size_t header_size = HEADER_BYTES - 1;
    if (size < header_size)
        return;
    const char *name = (const char *)data + header_size, *end = memchr(name, '\n', size - header_size);
    char header[HEADER_BYTES];
    print_header(name, size - header_size, header);
    if (memcmp(data, header, header_size) || !end || end - name >= PLAN_NAME)
        return;
    const char *json = end + 1, *json_end = (const char *)data + size;
    const struct attribute source = {CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, json_end - json, json};
    if (!make_plan(plan->cudnn, source, &plan->descriptor))
        append(plan->name, "%.*s", (int)(end - name), name);
}

static void load_kept(struct cudnn_plan *plan, const char *path)
{
    struct file_buffer buffer = {0};
    struct bgd_err err;
    if (path && !file_read(path, PLAN_BYTES_MAX, &buffer, &err))
        parse_kept(buffer.data, buffer.size, plan);
    free(buffer.data);
}

/* Not an error if it cannot be: the plan is built again next time. */
static void keep(const struct cudnn_plan *plan, const char *path)
{
    struct bgd_err err;
    char *json = path ? read_json(plan->cudnn, plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, &err) : NULL;
    char *rest = NULL, *text = NULL, header[HEADER_BYTES];
    if (json && asprintf(&rest, "%s\n%s", plan->name, json) >= 0) {
        print_header(rest, strlen(rest), header);
        if (asprintf(&text, "%s%s", header, rest) >= 0) {
            file_write(path, text, strlen(text), &err);
            free(text);
        }
        free(rest);
    }
    free(json);
}

/* ---------------------------------------------------------------- plans */

static int read_workspace(struct cudnn_plan *plan, struct bgd_err *err)
{
    int64_t bytes = 0;
    struct builder b = {.cudnn = plan->cudnn, .err = err};
    get(&b, plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &bytes, "a plan's workspace");
    plan->workspace = ((size_t)bytes + WORKSPACE_ALIGN - 1) / WORKSPACE_ALIGN * WORKSPACE_ALIGN;
    return b.failed ? err->code : 0;
}

int cudnn_plan_make(struct cudnn *cudnn, const struct cudnn_conv *conv, struct cudnn_plan **out, struct bgd_err *err)
{
    *out = NULL;
    struct cudnn_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return err_set(err, BGD_MEMORY, "out of memory");
    plan->cudnn = cudnn;
    plan->conv = *conv;
    char *path = kept_path(plan);
    load_kept(plan, path);
    if (!plan->descriptor && !build(plan, err))
        keep(plan, path);
    free(path);
    if (!plan->descriptor || read_workspace(plan, err)) {
        cudnn_plan_free(plan);
        return err->code;
    }
    *out = plan;
    return 0;
}

void cudnn_plan_free(struct cudnn_plan *plan)
{
    if (!plan)
        return;
    if (plan->descriptor)
        plan->cudnn->f.destroy(plan->descriptor);
    free(plan);
}

size_t cudnn_plan_workspace(const struct cudnn_plan *plan)
{
    return plan->workspace;
}

const char *cudnn_plan_name(const struct cudnn_plan *plan)
{
    return plan->name;
}

int cudnn_plan_run(struct cudnn *cudnn, const struct cudnn_plan *plan, cudaStream_t stream, const void *x, const void *w,
                   const void *bias, const void *residual, void *y, void *workspace, struct bgd_err *err)
{
    static const float scale = SELU_SCALE; /* by value: read from the host */
    int64_t ids[INNER] = {X, W, BIAS, Y}, n = 4;
    const void *pointers[INNER] = {x, w, bias, y};
    if (plan->conv.residual_pitch) {
        ids[n] = RESIDUAL;
        pointers[n++] = residual;
    }
    if (plan->conv.activation == KERNEL_SELU) {
        ids[n] = SCALE;
        pointers[n++] = &scale;
    }
    const struct attribute attributes[] = {
        {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace},
        {0},
    };
    struct builder b = {.cudnn = cudnn, .err = err};
    cudnnBackendDescriptor_t pack = add(&b, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "a plan's pointers", attributes);
    if (!b.failed)
        check(&b, cudnn->f.set_stream(cudnn->handle, stream), "a stream");
    if (!b.failed)
        check(&b, cudnn->f.execute(cudnn->handle, plan->descriptor, pack), "running a plan");
    destroy_all(&b);
    return b.failed ? err->code : 0;
}
