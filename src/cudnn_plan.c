#include "cudnn_plan.h"

#include "cudnn_cache.h"
#include "cudnn_library.h"
#include "cudnn_tuner.h"
#include "err.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKSPACE_ALIGN 256u
#define STEPS_MAX 5u      /* of an epilogue: scale, residual, bias, ELU, scale */
#define CANDIDATES_MAX 8u /* that are timed: to build one takes 1 to 2 s, where the engine is compiled for it */
#define TIE 1.02

/* torch.nn.SELU's digits */
#define SELU_SCALE 1.0507009873554804934193349852946f
#define SELU_ALPHA 1.6732632423543772848170429916717

struct cudnn_plan {
    const struct cudnn *cudnn;
    struct cudnn_conv conv;
    cudnnBackendDescriptor_t descriptor;
    size_t workspace;
    bool tuned;
    char name[CUDNN_NAME];
};

/* ---------------------------------------------------------------- a convolution as a graph of operations */

/* Tensors by their unique ids; what goes from step to step of the epilogue is INNER and on. */
enum tensor { X = 1, W, BIAS, RESIDUAL, Y, SELU_FACTOR, SCALE, INNER };
enum storage { STORED, VIRTUAL, BY_VALUE };

static cudnnDataType_t data_type(enum kernel_type type)
{
    static const cudnnDataType_t types[] = {
        [KERNEL_F32] = CUDNN_DATA_FLOAT,
        [KERNEL_F16] = CUDNN_DATA_HALF,
        [KERNEL_BF16] = CUDNN_DATA_BFLOAT16,
        [KERNEL_F8] = CUDNN_DATA_FP8_E4M3,
    };
    return types[type];
}

/* Of bias, residual and y. */
static cudnnDataType_t outer_type(enum kernel_type type)
{
    return data_type(type == KERNEL_F8 ? KERNEL_F16 : type);
}

/* (n, c, h, w), channels innermost, pixels `pitch` elements apart. */
static cudnnBackendDescriptor_t add_tensor(struct cudnn_builder *b, int64_t id, cudnnDataType_t type, enum storage storage,
                                           const int64_t dims[4], int64_t pitch)
{
    int64_t alignment = 16, strides[4] = {dims[2] * dims[3] * pitch, 1, dims[3] * pitch, pitch};
    bool is_virtual = storage == VIRTUAL, by_value = storage == BY_VALUE;
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id},
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims},
        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment},
        {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual},
        {CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value},
        {0},
    };
    return cudnn_add(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor", attributes);
}

static cudnnBackendDescriptor_t add_convolution(struct cudnn_builder *b, const struct cudnn_conv *conv,
                                                cudnnBackendDescriptor_t y)
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
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims},
        {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sum},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides},
        {0},
    };
    cudnnBackendDescriptor_t convolution = cudnn_add(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution", attributes);

    const float alpha = 1, beta = 0;
    const struct cudnn_attribute operation[] = {
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &convolution},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &alpha},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &beta},
        {0},
    };
    return cudnn_add(b, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "a convolution's operation", operation);
}

/* y = f(x), or f(x, operand). */
static cudnnBackendDescriptor_t add_pointwise(struct cudnn_builder *b, cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                                              cudnnBackendDescriptor_t operand, cudnnBackendDescriptor_t y)
{
    const cudnnDataType_t precision = CUDNN_DATA_FLOAT;
    const double elu_alpha = SELU_ALPHA;
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode},
        {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &precision},
        {CUDNN_ATTR_POINTWISE_ELU_ALPHA, CUDNN_TYPE_DOUBLE, mode == CUDNN_POINTWISE_ELU_FWD, &elu_alpha},
        {0},
    };
    cudnnBackendDescriptor_t function = cudnn_add(b, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "a pointwise function", attributes);
    const struct cudnn_attribute operation[] = {
        {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &function},
        {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x},
        {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, operand != NULL, &operand},
        {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y},
        {0},
    };
    return cudnn_add(b, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "a pointwise operation", operation);
}

/* A step of the epilogue. */
struct step {
    cudnnPointwiseMode_t mode;
    cudnnBackendDescriptor_t operand; /* NULL: none */
};

static uint32_t add_steps(struct cudnn_builder *b, const struct cudnn_conv *conv, const int64_t y_dims[4],
                          struct step steps[STEPS_MAX])
{
    static const cudnnPointwiseMode_t modes[] = {
        [KERNEL_RELU] = CUDNN_POINTWISE_RELU_FWD,
        [KERNEL_SIGMOID] = CUDNN_POINTWISE_SIGMOID_FWD,
        [KERNEL_SILU] = CUDNN_POINTWISE_SWISH_FWD,
        [KERNEL_SELU] = CUDNN_POINTWISE_ELU_FWD,
    };
    const int64_t channels[4] = {1, y_dims[1], 1, 1}, one[4] = {1, 1, 1, 1};
    uint32_t n = 0;
    if (conv->type == KERNEL_F8)
        steps[n++] = (struct step){CUDNN_POINTWISE_MUL, add_tensor(b, SCALE, CUDNN_DATA_FLOAT, STORED, channels, y_dims[1])};
    /* The residual comes before the bias, which has the values' type: else Hopper's own engines are not offered (cuDNN 9.19). */
    if (conv->residual_pitch)
        steps[n++] = (struct step){CUDNN_POINTWISE_ADD,
                                   add_tensor(b, RESIDUAL, outer_type(conv->type), STORED, y_dims, conv->residual_pitch)};
    steps[n++] = (struct step){CUDNN_POINTWISE_ADD, add_tensor(b, BIAS, outer_type(conv->type), STORED, channels, y_dims[1])};
    if (conv->activation != KERNEL_NONE)
        steps[n++] = (struct step){modes[conv->activation], NULL};
    if (conv->activation == KERNEL_SELU)
        steps[n++] = (struct step){CUDNN_POINTWISE_MUL, add_tensor(b, SELU_FACTOR, CUDNN_DATA_FLOAT, BY_VALUE, one, 1)};
    return n;
}

static cudnnBackendDescriptor_t add_graph(struct cudnn_builder *b, const struct cudnn_conv *conv)
{
    const int64_t y_dims[4] = {conv->n, conv->out_c, conv->out_h, conv->out_w};
    struct step steps[STEPS_MAX];
    uint32_t n = add_steps(b, conv, y_dims, steps);
    cudnnBackendDescriptor_t operations[1 + STEPS_MAX];
    cudnnBackendDescriptor_t x = add_tensor(b, INNER, CUDNN_DATA_FLOAT, VIRTUAL, y_dims, y_dims[1]);
    operations[0] = add_convolution(b, conv, x);
    for (uint32_t i = 0; i < n; i++) {
        cudnnBackendDescriptor_t y = i + 1 < n ? add_tensor(b, INNER + 1 + i, CUDNN_DATA_FLOAT, VIRTUAL, y_dims, y_dims[1])
                                               : add_tensor(b, Y, outer_type(conv->type), STORED, y_dims, conv->out_pitch);
        operations[1 + i] = add_pointwise(b, steps[i].mode, x, steps[i].operand, y);
        x = y;
    }
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, b->cudnn->handle != NULL, &b->cudnn->handle},
        {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1 + n, operations},
        {0},
    };
    return cudnn_add(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "a graph", attributes);
}

/* ---------------------------------------------------------------- from a graph to a plan */

/* A plan from `source`: an engine's configuration, or JSON. Its name is empty. */
static cudnnStatus_t make_plan(const struct cudnn *cudnn, const struct cudnn_conv *conv, struct cudnn_attribute source,
                               struct cudnn_plan **out)
{
    *out = NULL;
    struct cudnn_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    plan->cudnn = cudnn;
    plan->conv = *conv;
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, cudnn->handle != NULL, &cudnn->handle},
        {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, cudnn->description != NULL, &cudnn->description},
        source,
        {0},
    };
    int64_t bytes = 0, count;
    cudnnStatus_t status = cudnn_make(cudnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, attributes, &plan->descriptor);
    if (!status)
        status = cudnn->f.get(plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &bytes);
    if (status) {
        cudnn_plan_free(plan);
        return status;
    }
    plan->workspace = ((size_t)bytes + WORKSPACE_ALIGN - 1) / WORKSPACE_ALIGN * WORKSPACE_ALIGN;
    *out = plan;
    return status;
}

/* Whether an engine is passed over: results must be the same from run to run, sums f32, and f32 must stay f32 (no TF32). */
static bool is_refused(struct cudnn_builder *b, cudnnBackendDescriptor_t engine, enum kernel_type type)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = cudnn_get(b, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                          CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes, "an engine's notes");
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

/* Appends to a string of CUDNN_NAME bytes what fits. */
__attribute__((format(printf, 2, 3))) static void append(char *text, const char *format, ...)
{
    size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, CUDNN_NAME - length, format, arguments);
    va_end(arguments);
}

/* The plans of a convolution that could be built, in their order, and which could not. */
struct candidates {
    const struct cudnn_conv *conv;
    uint32_t n, most;
    struct cudnn_plan *plans[CANDIDATES_MAX];
    char tried[CUDNN_NAME];
};

/* Makes the plan of one configuration, if its engine may be taken. */
static void try_config(struct cudnn_builder *b, cudnnBackendDescriptor_t config, struct candidates *c)
{
    cudnnBackendDescriptor_t engine = cudnn_add(b, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "an engine", NULL);
    int64_t index = 0;
    cudnn_get(b, config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine, "a configuration's engine");
    cudnn_get(b, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index, "an engine's number");
    bool refused = is_refused(b, engine, c->conv->type);
    if (refused || b->failed)
        return;
    const struct cudnn_attribute source = {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config};
    cudnnStatus_t status = make_plan(b->cudnn, c->conv, source, &c->plans[c->n]);
    if (status)
        append(c->tried, "%sengine %lld failed: %s", *c->tried ? ", " : "", (long long)index,
               cudnn_status_name(b->cudnn, status));
    else
        append(c->plans[c->n++]->name, "engine %lld", (long long)index);
}

/* Tries the configurations of one list of the heuristics, in its order, until there are plans enough. */
static void try_list(struct cudnn_builder *b, cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode, struct candidates *c)
{
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph},
        {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode},
        {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, b->cudnn->description != NULL,
         &b->cudnn->description},
        {0},
    };
    cudnnBackendDescriptor_t list = cudnn_add(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "the heuristics", attributes);
    cudnnBackendDescriptor_t configs[CUDNN_CONFIGS_MAX];
    for (uint32_t i = 0; i < CUDNN_CONFIGS_MAX; i++)
        configs[i] = cudnn_add(b, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "a configuration", NULL);
    int64_t n = cudnn_get(b, list, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, CUDNN_CONFIGS_MAX, configs,
                          "the heuristics' results");
    for (int64_t i = 0; i < n && c->n < c->most && !b->failed; i++)
        try_config(b, configs[i], c);
}

static int find_candidates(const struct cudnn *cudnn, struct candidates *c, struct bgd_err *err)
{
    static const cudnnBackendHeurMode_t lists[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
    struct cudnn_builder b = {.cudnn = cudnn, .err = err};
    cudnnBackendDescriptor_t graph = add_graph(&b, c->conv);
    for (size_t i = 0; graph && i < sizeof lists / sizeof *lists && c->n < c->most; i++) {
        struct bgd_err reason;
        struct cudnn_builder list = {.cudnn = cudnn, .err = &reason};
        try_list(&list, graph, lists[i], c);
        if (list.failed) /* the other may still name an engine */
            append(c->tried, "%s%s", *c->tried ? ", " : "", reason.text);
        cudnn_destroy_all(&list);
    }
    cudnn_destroy_all(&b);
    if (!graph)
        return err->code;
    if (c->n == 0)
        return err_set(err, BGD_DEVICE, "%s has no plan for this convolution: %s", cudnn->version,
                       *c->tried ? c->tried : "no engine may be taken");
    return 0;
}

/* Times the candidates; *chosen is the place of the one to take, whose name then says by how much. */
static int choose(struct cudnn_tuner *tuner, struct candidates *c, uint32_t *chosen, struct bgd_err *err)
{
    double times[CANDIDATES_MAX], fastest = INFINITY;
    for (uint32_t i = 0; i < c->n; i++) {
        struct bgd_err reason;
        if (cudnn_tuner_start(tuner, err)) /* each time: a plan that crashes takes the device with it */
            return err->code;
        if (cudnn_tuner_time(tuner, c->conv, c->plans[i], &times[i], &reason)) {
            if (reason.code == BGD_MEMORY) { /* of a batch that fits all of them are timed */
                *err = reason;
                return err->code;
            }
            times[i] = INFINITY;
            append(c->tried, "%s%s does not run: %s", *c->tried ? ", " : "", c->plans[i]->name, reason.text);
        }
        fastest = fmin(fastest, times[i]);
    }
    if (fastest == INFINITY)
        return err_set(err, BGD_DEVICE, "cuDNN has no plan for this convolution that runs: %s", c->tried);
    uint32_t first = 0, next = c->n;
    while (times[first] > TIE * fastest)
        first++;
    for (uint32_t i = 0; i < c->n; i++)
        if (i != first && times[i] < (next < c->n ? times[next] : INFINITY))
            next = i;
    struct cudnn_plan *plan = c->plans[first];
    append(plan->name, ", tuned: %.1f us", times[first]);
    if (next < c->n)
        append(plan->name, ", next %s: %.1f us", c->plans[next]->name, times[next]);
    plan->tuned = true;
    *chosen = first;
    return 0;
}

/* ---------------------------------------------------------------- plans */

static struct cudnn_plan *build(const struct cudnn *cudnn, const struct cudnn_conv *conv, struct cudnn_tuner *tuner,
                                struct bgd_err *err)
{
    struct candidates c = {.conv = conv, .most = tuner ? CANDIDATES_MAX : 1};
    struct cudnn_plan *plan = NULL;
    uint32_t chosen = 0;
    if (find_candidates(cudnn, &c, err) == 0 && (!tuner || choose(tuner, &c, &chosen, err) == 0)) {
        plan = c.plans[chosen];
        c.plans[chosen] = c.plans[--c.n];
        if (*c.tried)
            append(plan->name, " (%s)", c.tried);
    }
    while (c.n)
        cudnn_plan_free(c.plans[--c.n]);
    return plan;
}

/* The plan that was kept, if it loads. */
static struct cudnn_plan *load(const struct cudnn *cudnn, const struct cudnn_conv *conv)
{
    struct cudnn_kept kept;
    struct cudnn_plan *plan;
    if (!cudnn_cache_read(cudnn->folder, conv, &kept))
        return NULL;
    const struct cudnn_attribute source = {CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                           (int64_t)strlen(kept.json), kept.json};
    if (make_plan(cudnn, conv, source, &plan) == 0) {
        append(plan->name, "%s", kept.name);
        plan->tuned = kept.tuned;
    }
    free(kept.json);
    return plan;
}

static void keep(const struct cudnn_plan *plan)
{
    struct bgd_err err;
    struct cudnn_kept kept = {.tuned = plan->tuned};
    kept.json = cudnn_read_json(plan->cudnn, plan->descriptor, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, &err);
    snprintf(kept.name, sizeof kept.name, "%s", plan->name);
    if (kept.json)
        cudnn_cache_write(plan->cudnn->folder, &plan->conv, &kept);
    free(kept.json);
}

int cudnn_plan_make(struct cudnn *cudnn, const struct cudnn_conv *conv, struct cudnn_tuner *tuner, struct cudnn_plan **plan,
                    struct bgd_err *err)
{
    *plan = cudnn->folder ? load(cudnn, conv) : NULL;
    if (*plan && (!tuner || (*plan)->tuned))
        return 0;
    cudnn_plan_free(*plan);
    *plan = build(cudnn, conv, tuner, err);
    if (!*plan)
        return err->code;
    if (cudnn->folder)
        keep(*plan);
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
                   const void *bias, const float *scale, const void *residual, void *y, void *workspace, struct bgd_err *err)
{
    static const float selu_factor = SELU_SCALE; /* by value: read from the host */
    int64_t ids[INNER] = {X, W, BIAS, Y}, n = 4;
    const void *pointers[INNER] = {x, w, bias, y};
    if (plan->conv.residual_pitch) {
        ids[n] = RESIDUAL;
        pointers[n++] = residual;
    }
    if (plan->conv.type == KERNEL_F8) {
        ids[n] = SCALE;
        pointers[n++] = scale;
    }
    if (plan->conv.activation == KERNEL_SELU) {
        ids[n] = SELU_FACTOR;
        pointers[n++] = &selu_factor;
    }
    const struct cudnn_attribute attributes[] = {
        {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace},
        {0},
    };
    struct cudnn_builder b = {.cudnn = cudnn, .err = err};
    cudnnBackendDescriptor_t pack = cudnn_add(&b, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "a plan's pointers", attributes);
    if (!b.failed)
        cudnn_check(&b, cudnn->f.set_stream(cudnn->handle, stream), "a stream");
    if (!b.failed)
        cudnn_check(&b, cudnn->f.execute(cudnn->handle, plan->descriptor, pack), "running a plan");
    cudnn_destroy_all(&b);
    return b.failed ? err->code : 0;
}
