/*
 * bgdet_format.h - the model file, byte by byte.
 *
 * One file holds one network: its graph, its weights and what people need to know about it. It is flat and
 * little-endian, meant to be mapped. All that a reader must trust is fixed by the first 32 bytes: the hash covers every byte after them.
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
 *   "kind"        "classifier", or "network" for any other graph; what follows, but for "provenance", is a classifier's
 *   "labels"      array of strings, one per channel of the output "scores"
 *   "head"        "softmax" or "sigmoid": the op that computes the output "scores" from the output "logits"
 *   "input"       {"width", "height", "channels": integers that equal value 0's shape,
 *                  "mean", "std": 3 numbers, on the scale 0..1, "filter": "bilinear"}
 *   "thresholds"  optional object: label -> P in 0..1 from which the label holds (0.5 where absent)
 *   "provenance"  object, for people: the checkpoint's name and XXH3-128, its form, the converter's version
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
    uint32_t dtype; /* enum bgd_dtype */
    uint32_t ndim;  /* 1..4 */
    uint32_t dims[4]; /* each >= 1, row-major; unused entries 0 */
    uint64_t offset;  /* from the start of the file, a multiple of 256 */
    uint64_t bytes;   /* product of dims x 2 or 4 */
};

/* The closed list of ops. x, y are inputs (values), W, b tensors; "window" and others are attributes. */
enum bgd_op {
    BGD_OP_CONV = 1,        /* cross-correlation of x with W (out, in / groups, kernel_h, kernel_w), plus b (out); window, groups */
    BGD_OP_DENSE = 2,       /* W (out, c*h*w) . flatten(x) + b (out); value (out, 1, 1) */
    BGD_OP_RELU = 3,        /* max(x, 0) */
    BGD_OP_SIGMOID = 4,     /* 1 / (1 + exp(-x)) */
    BGD_OP_SOFTMAX = 5,     /* over c, at each h, w */
    BGD_OP_ADD = 6,         /* x + y, same shape */
    BGD_OP_MAX_POOL = 7,    /* maximum over the window; padding never wins; window, dilation 1, every pad smaller than the kernel */
    BGD_OP_GLOBAL_MEAN = 8, /* mean over h, w; value (c, 1, 1) */
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
    uint32_t tensors[3]; /* unused entries 0 */
    struct bgd_window window; /* all 0 where the op has none */
    uint32_t groups;          /* conv: 1..; all else 0 */
    uint32_t reserved[7];     /* 0 */
};

#endif
