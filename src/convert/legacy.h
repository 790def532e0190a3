/*
 * What torch.save wrote before PyTorch 1.6, and still writes with _use_new_zipfile_serialization=False: five pickles of
 * protocol 2, one behind the other, then the storages.
 *
 *     magic number   0x1950a86a20f9469cfc6c
 *     protocol       1001
 *     system info    {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {...}}
 *     object         the state_dict, with persistent ids of six items
 *     storage keys   ['451201664', '451202368', ...]
 *     per key        number of elements (8 bytes, little-endian), the elements
 *
 * Nothing follows the last storage. There is no checksum: a changed weight cannot be told.
 */
#ifndef BGD_LEGACY_H
#define BGD_LEGACY_H

#include "pickle.h"

#define LEGACY_MAGIC_BYTES 15u

/* Whether the bytes begin with the magic number's pickle. */
bool legacy_recognises(const uint8_t *bytes, size_t size);

/* Reads the object and gives each of its storages its place. Takes any bytes; they must outlive the pickle. */
int legacy_read(const uint8_t *bytes, size_t size, struct pickle **pickle, struct bgd_err *err);

#endif
