/*
 * A checkpoint: the named tensors of a PyTorch file, read as data and never as code.
 *
 * Three forms are told apart by content:
 *   zip          what torch.save writes since 1.6: a stored zip with NAME/data.pkl and NAME/data/0, 1, ...   (zip.c + pickle.c)
 *   legacy       before 1.6: stacked pickles (magic, protocol, system info, object, storage keys), then raw storages  (legacy.c + pickle.c)
 *   safetensors  8-byte length, JSON header, data    (safetensors.c)
 * The pickled object must be a state_dict (an OrderedDict or dict of tensors), or a dict that holds one under
 * "state_dict" or "model". When every key carries the prefix "module." (nn.DataParallel), it is taken off.
 *
 * Limits: 4 GiB a file, 100,000 tensors, 8 dimensions, names of 1 to 255 bytes, and those of hostile-input lists for pickles.
 */
#ifndef BGD_CHECKPOINT_H
#define BGD_CHECKPOINT_H

#include "bgdet.h"

#define CHECKPOINT_DIMS_MAX 8

enum checkpoint_dtype {
    CHECKPOINT_F64, CHECKPOINT_F32, CHECKPOINT_F16, CHECKPOINT_BF16,
    CHECKPOINT_I64, CHECKPOINT_I32, CHECKPOINT_I16, CHECKPOINT_I8, CHECKPOINT_U8, CHECKPOINT_BOOL,
};

/* Bytes of one element. */
size_t checkpoint_dtype_size(enum checkpoint_dtype dtype);
/* "f32", "i64", ... */
const char *checkpoint_dtype_name(enum checkpoint_dtype dtype);

struct checkpoint_tensor {
    const char *name; /* NUL-terminated, borrowed from the checkpoint; unique in it */
    enum checkpoint_dtype dtype;
    uint32_t ndim; /* 0 for a scalar */
    uint64_t dims[CHECKPOINT_DIMS_MAX];
    uint64_t strides[CHECKPOINT_DIMS_MAX]; /* in elements; checked to stay inside the storage */
    uint64_t numel;                        /* product of dims; 0 for an empty tensor */
    const uint8_t *data;                   /* first element, little-endian, maybe unaligned; borrowed from the mapping; NULL if numel is 0 */
    bool used;                             /* for the converter's book-keeping; false after opening */
};

struct checkpoint {
    struct checkpoint_tensor *tensors; /* in file order */
    size_t count;
    const char *form; /* "zip", "legacy" or "safetensors" */
    /* owned by checkpoint.c: */
    const uint8_t *map;
    size_t map_size;
    char *names; /* every name, NUL-separated */
};

/* Maps `path`, tells the form, reads and checks everything. Errors name the file and the member, opcode or tensor. */
int checkpoint_open(const char *path, struct checkpoint **checkpoint, struct bgd_err *err);
void checkpoint_close(struct checkpoint *checkpoint);

/* The tensor of that name, or NULL. Constant or logarithmic time. */
struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

/* Writes numel values to `out` in row-major order, as float. A float dtype is converted (f64 rounds once); integers too. */
void checkpoint_read(const struct checkpoint_tensor *tensor, float *out);

#endif
