/*
 * safetensors: 8 bytes little-endian N, N bytes of JSON, the tensors' bytes up to the end of the file.
 *
 *     {"__metadata__":{"format":"pt"},"weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}, ...}
 *
 * The reference is strict, we are a little stricter: the data is covered without hole or overlap, nothing follows it;
 * names are unique after escapes are resolved; a tensor has these three fields once and no other; numbers are digits
 * only, up to 2^53; the types are F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL.
 *
 * Limits: a header of 16 MB, 100,000 tensors, nesting of 4, 8 dimensions.
 */
#ifndef BGD_SAFETENSORS_H
#define BGD_SAFETENSORS_H

#include "checkpoint.h"

#define SAFETENSORS_HEADER_MAX (16u << 20)
#define SAFETENSORS_DEPTH_MAX 4u

/* Adds every tensor to `checkpoint`. Takes any bytes; they must outlive it. */
int safetensors_read(const uint8_t *bytes, size_t size, struct checkpoint *checkpoint, struct bgd_err *err);

#endif
