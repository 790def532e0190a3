/*
 * NumPy's .npy files of float32: the way for tensors in and out of `bgdet infer`.
 *
 *     \x93NUMPY  major minor  header length (u16le, from version 2 on u32le)
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 80, 60), }   padded with spaces, ends with '\n'
 *     data, row-major
 *
 * Format: numpy/lib/format.py (NEP 1). Read are '<f4' in C order with 1 to 4 dimensions; versions 1.0, 2.0 and 3.0.
 */
#ifndef BGD_NPY_H
#define BGD_NPY_H

#include "bgdet.h"

#define NPY_DIMS_MAX 4
#define NPY_BYTES_MAX (4ull << 30)

struct npy {
    uint32_t ndim;
    uint64_t dims[NPY_DIMS_MAX];
    uint64_t count; /* of values: the product of dims */
    float *values;  /* owned; npy_free */
};

/* BGD_MISSING, BGD_UNREADABLE, BGD_UNKNOWN (no .npy), BGD_DAMAGED, BGD_UNSUPPORTED (another dtype or order), BGD_LIMIT,
 * BGD_MEMORY. The text names the file. */
int npy_read(const char *path, struct npy *npy, struct bgd_err *err);

/* The same from bytes in memory; the text names no file. */
int npy_parse(const void *data, size_t size, struct npy *npy, struct bgd_err *err);

/* Writes (dims[0], ..., dims[ndim-1]) values; the file appears complete or not at all. BGD_WRITE, BGD_MEMORY. */
int npy_write(const char *path, uint32_t ndim, const uint64_t *dims, const float *values, struct bgd_err *err);

void npy_free(struct npy *npy);

#endif
