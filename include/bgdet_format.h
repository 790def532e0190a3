/*
 * bgdet_format.h - the model file, byte by byte.
 *
 * One file holds one network: its graph, its weights and what people need to know about it. It is flat and
 * little-endian, usable as it lies in memory. All that a reader must trust is fixed by the first 32 bytes: the hash covers every byte after them.
 *
 *     offset                      what
 *     0                           struct bgd_format_header                     (128 bytes)
 *     128                         struct bgd_format_value  [n_values]          (80 bytes each)
 *     then                        struct bgd_format_tensor [n_tensors]         (104 bytes each)
 *     then                        struct bgd_format_op     [n_ops]             (128 bytes each)
 *     then                        metadata, JSON in UTF-8                      (meta_bytes, no NUL)
 *     next multiple of 256        data of tensor 0
 *     next multiple of 256        data of tensor 1, ... the file ends with the last tensor's last byte
 *
 * Gaps before a multiple of 256 are zero bytes. There is no other place for a byte to be: no holes, no overlaps.
 *
 * The graph
 *   A *value* is an activation of shape (n, c, h, w): n is free, c, h, w are fixed here. A *tensor* is a constant.
 *   Values 0 .. n_inputs-1 are the graph's inputs; value n_inputs + i is what op i computes. Every op computes
 *   exactly one value and reads only earlier ones, so the list is in topological order and cannot have a cycle.
 *   There are no strings, expressions or code in an op: a new network needs a new list, rarely a new op.
 *
 * Metadata: one JSON object. Keys that the engine reads:
 *   "arch"        string, for people: "resnet18"
 *   "kind"        "classifier", "segmenter", or "network" for any other graph
 *   "input"       of a classifier or segmenter: {"width", "height", "channels": integers that equal value 0's shape,
 *                  "mean", "std": 3 numbers, on the scale 0..1, "filter": "bilinear",
 *                  "fill": 3 numbers 0..1: what stands where the object was cut out, for 3 channels; white if absent}
 *   "labels"      of a classifier: array of strings, one per channel of the output "scores"
 *   "head"        of a classifier: "softmax" or "sigmoid": the op that computes the output "scores" from the output "logits"
 *   "thresholds"  of a classifier, optional: object: label -> P in 0..1 from which the label holds (0.5 where absent)
 *   "calibration" of a classifier, optional: object: label -> {"slope": 2^-10..1024, "offset": -100..100}: P of the label is
 *                  1 / (1 + exp(-(slope * ln(s / (1 - s)) + offset))) of its score s (src/calibration.h); s where absent
 *   "review"      of a classifier, optional: [lo, hi], 0 <= lo < hi <= 1, with the threshold of "defective" in it: a card whose
 *                  P(defective) is at least lo and below hi is up for review
 *   "provenance"  object, for people: the checkpoint's name and XXH3-128, its form, the converter's version
 *
 * A segmenter has 3 input channels and the one output "mask" (1, height, width): P(object).
 *
 * A classifier has the outputs "logits" and "scores" (labels, 1, 1), and may have "activation" (labels, h, w), whose means over
 * h, w the logits are: how much each part of the picture adds to each of them. Networks that end in dense layers over many
 * pixels (VGG, AlexNet, ZFNet) have none.
 */
#ifndef BGDET_FORMAT_H
#define BGDET_FORMAT_H

#include <stdint.h>

#define BGD_FORMAT_MAGIC "bgdmodel" /* 8 bytes, without the NUL */
#define BGD_FORMAT_VERSION 1u
#define BGD_FORMAT_ALIGN 256u

/* Limits that a reader checks before it believes a count. */
#define BGD_FORMAT_VALUES_MAX 4096u
#define BGD_FORMAT_TENSORS_MAX 8192u
#define BGD_FORMAT_META_MAX (1u << 20)
#define BGD_FORMAT_FILE_MAX (4ull << 30)
#define BGD_FORMAT_SIDE_MAX 65536u /* c, h, w of a value and each dimension of a tensor but dense weights' */
#define BGD_FORMAT_INPUTS_MAX 4u
#define BGD_FORMAT_OUTPUTS_MAX 8u
#define BGD_FORMAT_NAME 64u /* bytes of a name with its NUL; the rest of the field is zero */

struct bgd_format_header {
    char magic[8];
    uint32_t version;
    uint32_t header_bytes; /* 128 */
    uint8_t hash[16];      /* XXH3-128, canonical (big-endian) form, of the bytes from 32 to the end */
    uint64_t file_bytes;
    uint64_t meta_bytes;
    uint32_t n_values; /* n_inputs + n_ops */
    uint32_t n_tensors;
    uint32_t n_ops;
    uint32_t n_inputs;
    uint32_t n_outputs;
    uint32_t outputs[BGD_FORMAT_OUTPUTS_MAX]; /* values; unused entries 0 */
    uint32_t reserved[7];                     /* 0 */
};

struct bgd_format_value {
    char name[BGD_FORMAT_NAME]; /* of an input, or of the op that computes it; unique; printable ASCII */
    uint32_t c, h, w;           /* >= 1 */
    uint32_t reserved;          /* 0 */
};

enum bgd_dtype { BGD_F32 = 1, BGD_F16 = 2 };

struct bgd_format_tensor {
    char name[BGD_FORMAT_NAME]; /* unique among tensors; printable ASCII */
    uint32_t dtype;             /* enum bgd_dtype */
    uint32_t ndim;              /* 1..4 */
    uint32_t dims[4];           /* each >= 1, row-major; unused entries 0 */
    uint64_t offset;            /* from the start of the file, a multiple of 256 */
    uint64_t bytes;             /* product of dims x 2 or 4 */
};

/* The closed list of ops. x, y are inputs (values), W, b tensors; "window" and others are attributes. */
enum bgd_op {
    BGD_OP_CONV = 1,    /* cross-correlation of x with W (out, in / groups, kernel_h, kernel_w), plus b (out); window, groups */
    BGD_OP_DENSE = 2,   /* W (out, c*h*w) . flatten(x) + b (out); value (out, 1, 1) */
    BGD_OP_RELU = 3,    /* max(x, 0) */
    BGD_OP_SIGMOID = 4, /* 1 / (1 + exp(-x)) */
    BGD_OP_SOFTMAX = 5, /* over c, at each h, w */
    BGD_OP_ADD = 6,     /* x + y; y has x's shape, or is (c, 1, 1) or (1, h, w) and repeated */
    BGD_OP_MAX_POOL =
        7, /* maximum over the window; padding never wins; window, dilation 1, every pad smaller than the kernel */
    BGD_OP_GLOBAL_MEAN = 8, /* mean over h, w; value (c, 1, 1) */
    BGD_OP_SILU = 9,        /* x / (1 + exp(-x)) */
    BGD_OP_SELU = 10,       /* 1.05070099 * (x > 0 ? x : 1.67326324 * (exp(x) - 1)) (Klambauer et al. 2017, arXiv 1706.02515) */
    BGD_OP_MUL = 11,        /* x * y; y as in add */
    BGD_OP_CONCAT = 12,     /* 2 to 8 inputs of the same h, w, one behind the other in c */
    BGD_OP_UPSAMPLE = 13,   /* bilinear, to (c, h * scale, w * scale); scale, align_corners as PyTorch's interpolate has it */
    BGD_OP_ATTENTION = 14,  /* softmax(Q K^T) V; q, k, v of one shape, each taken for a matrix (c * h, w) */
    BGD_OP_QUANTILE_MASK =
        15,              /* 0 where x <= its quantile at `parameter` over all of a picture's values, else x. The quantile is
                                  linear between the two values around position parameter * (n - 1), as torch.quantile's */
    BGD_OP_DENOISE = 16, /* x + b, where b = 1 - x is the background's share, 0 where it is above `parameter` (TRACER's object
                               attention: certain background is left to the object's share alone) */
    BGD_OP_HIGH_PASS =
        17, /* |ifft2(fft2(x) * m)| per channel, m = 0 at frequencies inside a disc of radius `parameter`, else 1.
                               The disc's centre is (h / 2, h / 2) in the shifted spectrum, on both axes (TRACER's edge module) */
    BGD_OP_ADAPTIVE_MEAN = 18, /* means over size[0] x size[1] windows that cover x: row i is the mean of the rows from
                                  floor(i * h / size[0]) up to ceil((i + 1) * h / size[0]), columns alike, as PyTorch's
                                  adaptive_avg_pool2d: windows overlap, or repeat pixels where x is smaller */
    BGD_OP_LRN =
        19, /* x[c] / (k + parameter / size[0] * sum of x[j]^2)^beta, j = c - size[0] / 2 .. c + (size[0] - 1) / 2 as far
                        as there are such channels: PyTorch's local_response_norm, its alpha is `parameter`
                        (Krizhevsky et al. 2012, section 3.3, where alpha is not divided by the size) */
};

/* Where a sliding window stands: output (i, j) covers input rows i*stride_h - pad_top + k*dilation_h, columns alike.
 * Pads are explicit on each side, since "same" padding frozen for another size cannot be derived from the shapes. */
struct bgd_window {
    uint32_t kernel_h, kernel_w;     /* 1..64 */
    uint32_t stride_h, stride_w;     /* 1..64 */
    uint32_t pad_top, pad_left;      /* 0..1024 */
    uint32_t pad_bottom, pad_right;  /* 0..1024 */
    uint32_t dilation_h, dilation_w; /* 1..64 */
};

struct bgd_format_op {
    uint32_t code; /* enum bgd_op */
    uint32_t n_inputs;
    uint32_t inputs[8]; /* values, each < n_inputs(graph) + this op's index; unused entries 0 */
    uint32_t n_tensors;
    uint32_t tensors[3];      /* unused entries 0 */
    struct bgd_window window; /* all 0 where the op has none */
    uint32_t groups;          /* conv: 1..; all else 0 */
    uint32_t scale;           /* upsample: 2..16; all else 0 */
    uint32_t align_corners;   /* upsample: 0 or 1; all else 0 */
    float parameter;          /* quantile_mask (of at most 2^24 values), denoise: 0..1; high_pass, lrn: 0..1024; all else 0 */
    uint32_t size[2];         /* adaptive_mean: its value's h, w, 1..1024; lrn: channels, 1..64, and 0; all else 0 */
    float beta, k;            /* lrn: 0..8, and 2^-10..1024; all else 0 */
};

#endif
