/*
 * A checkpoint: the named tensors of a PyTorch file, read as data and never as code.
 *
 * Three forms are told apart by content:
 *   zip          what torch.save writes since 1.6: a stored zip with NAME/data.pkl and NAME/data/0, 1, ...
 *   legacy       before 1.6: stacked pickles (magic, protocol, system info, object, storage keys), then raw storages
 *   safetensors  8-byte length, JSON header, data
 * zip.h, legacy.h, pickle.h (used by both) and safetensors.h draw them.
 *
 * The pickled object must be a state_dict (an OrderedDict or dict of tensors), or a dict that holds one under
 * "state_dict" or, failing that, under "model". What such a dict holds beside it (epoch, optimizer, settings) is read
 * as data and ignored; in the state_dict itself, anything but a tensor is refused by its name. When every key carries
 * the prefix "module." (nn.DataParallel), it is taken off once. A checkpoint without a tensor is refused.
 *
 * Limits: 4 GiB a file, 100,000 tensors, 8 dimensions, names of 1 to 255 bytes of UTF-8 without NUL. All tensors
 * together may be at most 4 times as large as the storages that they view: tied weights fit, a stride of 0 cannot blow
 * up. pickle.h and safetensors.h add their own.
 */
#ifndef BGD_CHECKPOINT_H
#define BGD_CHECKPOINT_H

#include "bgdet.h"

#define CHECKPOINT_DIMS_MAX 8
#define CHECKPOINT_TENSORS_MAX 100000u
#define CHECKPOINT_NAME_MAX 255u
#define CHECKPOINT_BYTES_MAX ((uint64_t)1 << 32)

/* clang-format off */
enum checkpoint_dtype {
    CHECKPOINT_F64, CHECKPOINT_F32, CHECKPOINT_F16, CHECKPOINT_BF16,
    CHECKPOINT_I64, CHECKPOINT_I32, CHECKPOINT_I16, CHECKPOINT_I8, CHECKPOINT_U8, CHECKPOINT_BOOL
};
/* clang-format on */

/* Bytes of one element. */
size_t checkpoint_dtype_size(enum checkpoint_dtype dtype);
/* "f32", "i64", ... */
const char *checkpoint_dtype_name(enum checkpoint_dtype dtype);

struct checkpoint_tensor {
    const char *name; /* NUL-terminated, borrowed from the checkpoint; unique in it */
    enum checkpoint_dtype dtype;
    uint32_t ndim; /* 0 for a scalar */
    uint64_t dims[CHECKPOINT_DIMS_MAX];
    uint64_t strides[CHECKPOINT_DIMS_MAX]; /* in elements; every element is checked to lie in the storage */
    uint64_t numel;                        /* product of dims; 0 for an empty tensor */
    /* The first element, little-endian, maybe unaligned; borrowed from the mapping; NULL if numel is 0. */
    const uint8_t *data;
    bool used; /* for the converter's book-keeping; false after opening */
};

struct checkpoint {
    struct checkpoint_tensor *tensors; /* in file order */
    size_t count;
    const char *form; /* "zip", "legacy" or "safetensors" */
    /* owned by checkpoint.c: */
    const uint8_t *map;
    size_t map_size;
    bool mapped; /* close unmaps `map` */
    char *names; /* every name, NUL-separated */
    size_t names_size;
    struct checkpoint_tensor **index; /* sorted by name */
};

/*
 * Maps `path`, tells the form, reads and checks everything. Errors name the file and the member, opcode or tensor.
 * The file must not change while it is open: the tensors are its mapped pages.
 */
int checkpoint_open(const char *path, struct checkpoint **checkpoint, struct bgd_err *err);

/* The same from `size` bytes in memory, which must outlive the checkpoint. Takes any bytes. */
int checkpoint_parse(const void *bytes, size_t size, struct checkpoint **checkpoint, struct bgd_err *err);

void checkpoint_close(struct checkpoint *checkpoint);

/* The tensor of that name, or NULL. Logarithmic time. */
struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

/* Whether there is one of that name; if not, `why` says "no NAME". Networks are told apart by this. */
bool checkpoint_has(const struct checkpoint *checkpoint, const char *name, struct bgd_err *why);

/* Writes numel values to `out` in row-major order, as float. A float dtype is converted (f64 rounds once); integers
 * too; a bool is 0 or 1. */
void checkpoint_read(const struct checkpoint_tensor *tensor, float *out);

/* ---------------------------------------------------------------- for the readers of the forms */

/* Makes room, once, for `count` tensors whose names have `name_bytes` bytes together. */
int checkpoint_reserve(struct checkpoint *checkpoint, uint64_t count, uint64_t name_bytes, struct bgd_err *err);

/* Adds a copy of `tensor` under the name of `size` bytes, which is checked; that it is unique is checked at the end. */
int checkpoint_add(struct checkpoint *checkpoint, const char *name, size_t size, const struct checkpoint_tensor *tensor,
                   struct bgd_err *err);

/* The product of tensor->dims into tensor->numel. False when it overflows, also with every 0 taken as 1, so that an
 * empty tensor's other dimensions can be multiplied without a check. */
bool checkpoint_count(struct checkpoint_tensor *tensor);

/* Whether the view that begins at element `offset` lies in a storage of `numel` elements, and no two of its elements
 * share their place. A stride of 0 (torch's expand) may repeat everything; the limit on all tensors together bounds
 * that. */
int checkpoint_check_view(const struct checkpoint_tensor *tensor, uint64_t offset, uint64_t numel, struct bgd_err *err);

/* UTF-8 as Unicode defines it: no overlong form, no surrogate, nothing above U+10FFFF. */
bool checkpoint_is_utf8(const void *text, size_t size);

#endif
