/* Steps into launches. */
#include "cuda_builder.h"
#include "cuda_error.h"

#include <assert.h>

struct kernel_value cuda_resolve(const struct cuda_network *net, const struct cuda_operand *operand, uint8_t *arena)
{
    struct kernel_value value = operand->value;
    if (operand->block != NONE)
        value.data = arena + net->blocks[operand->block].offset + operand->channel * cuda_type_bytes(value.type);
    return value;
}

/* NULL: there is none. */
static void *block_of(const struct cuda_network *net, uint32_t block, uint8_t *arena)
{
    return block == NONE ? NULL : arena + net->blocks[block].offset;
}

static const float *constant(const struct cuda_network *net, const struct cuda_step *step, uint32_t i)
{
    return (const float *)(const void *)(net->constants + step->constants[i]);
}

static struct kernel_waves waves_of(const struct cuda_network *net, const struct cuda_step *step)
{
    return (struct kernel_waves){.nu = step->nu,
                                 .nv = step->nv,
                                 .row_re = constant(net, step, 0),
                                 .row_im = constant(net, step, 1),
                                 .col_re = constant(net, step, 2),
                                 .col_im = constant(net, step, 3),
                                 .inside = constant(net, step, 4)};
}

static cudaError_t launch_upsample(const struct cuda_network *net, const struct cuda_step *step, const struct kernel_value *x,
                                   struct kernel_value y, float *const *outputs, cudaStream_t stream)
{
    struct kernel_enlarged enlarged[CUDA_INPUTS];
    uint32_t count = 0;
    for (; count < CUDA_INPUTS && step->x[count].block != NONE; count++)
        enlarged[count] = (struct kernel_enlarged){x[count], step->align_corners[count]};
    if (step->y.block == NONE)
        y.data = outputs[step->at];
    return kernel_upsample(stream, net->batch, enlarged, count, step->scaled ? constant(net, step, 0) : NULL,
                           step->scaled ? constant(net, step, 1) : NULL, step->f, y);
}

static cudaError_t launch(const struct cuda_network *net, const struct cuda_step *step, const struct kernel_value *x,
                          struct kernel_value y, struct kernel_sums sums, void *scratch, float *const *outputs,
                          cudaStream_t stream)
{
    const struct bgd_format_op *op = step->op;
    uint32_t n = net->batch;
    switch (step->kind) {
    case CUDA_DEPTHWISE:
        return kernel_depthwise(stream, n, x[0], &op->window, constant(net, step, 0), constant(net, step, 1), step->f, y, sums);
    case CUDA_EXPAND:
        return kernel_expand(stream, n, x[0], constant(net, step, 0), constant(net, step, 1), step->f, &op->window,
                             constant(net, step, 2), constant(net, step, 3), step->g, y, sums);
    case CUDA_GROUPED:
        return kernel_grouped(stream, n, x[0], &op->window, op->groups, constant(net, step, 0), constant(net, step, 1), step->f,
                              y);
    case CUDA_ACTIVATE: return kernel_activate(stream, n, x[0], step->f, y);
    case CUDA_COMBINE: return kernel_combine(stream, n, op->code == BGD_OP_MUL, x[0], x[1], y);
    case CUDA_DENOISE: return kernel_denoise(stream, n, x[0], op->parameter, y);
    case CUDA_MAX_POOL: return kernel_max_pool(stream, n, x[0], &op->window, y);
    case CUDA_GLOBAL_MEAN: return kernel_global_mean(stream, n, x[0], y);
    case CUDA_ADAPTIVE_MEAN: return kernel_adaptive_mean(stream, n, x[0], y);
    case CUDA_LRN: return kernel_lrn(stream, n, x[0], op->size[0], op->parameter, op->beta, op->k, y);
    case CUDA_EXCITE:
        return kernel_excite(stream, n, x[0], sums, step->squeezed, constant(net, step, 0), constant(net, step, 1), step->f,
                             constant(net, step, 2), constant(net, step, 3), step->g, y);
    case CUDA_PROJECT:
        return kernel_project(stream, n, x[0], x[1], constant(net, step, 0), constant(net, step, 1), x[2], step->f, y);
    case CUDA_UPSAMPLE: return launch_upsample(net, step, x, y, outputs, stream);
    case CUDA_SOFTMAX: return kernel_softmax(stream, n, x[0], y);
    case CUDA_ATTENTION: return kernel_attention(stream, n, x[0], x[1], x[2], y);
    case CUDA_QUANTILE_MASK: return kernel_quantile_mask(stream, n, x[0], op->parameter, y);
    case CUDA_HIGH_PASS: return kernel_high_pass(stream, n, x[0], waves_of(net, step), scratch, y);
    case CUDA_COPY: return kernel_copy(stream, n, x[0], step->at, y);
    case CUDA_OUTPUT: return kernel_unpack(stream, n, x[0], outputs[step->at]);
    case CUDA_CONV: break;
    }
    assert(false && "a step that is cuDNN's");
    return cudaErrorUnknown;
}

int cuda_step_run(const struct cuda_network *net, const struct cuda_step *step, struct cudnn *cudnn, uint8_t *arena,
                  float *const *outputs, cudaStream_t stream, struct bgd_err *err)
{
    struct kernel_value x[CUDA_INPUTS], y = cuda_resolve(net, &step->y, arena);
    for (uint32_t i = 0; i < CUDA_INPUTS; i++)
        x[i] = cuda_resolve(net, &step->x[i], arena);
    void *scratch = block_of(net, step->scratch, arena);
    const struct kernel_sums sums = {block_of(net, step->sums, arena), step->tiles};
    if (step->kind == CUDA_CONV)
        return cudnn_plan_run(cudnn, step->plan, stream, x[0].data, constant(net, step, 0), constant(net, step, 1), x[1].data,
                              y.data, scratch, err);
    return cuda_check(launch(net, step, x, y, sums, scratch, outputs, stream), step->name, err);
}
