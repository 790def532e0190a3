/* XXH3-128, the one hash of files here: fast, not cryptographic. It finds damage and equal content, not forgery. */
#ifndef BGD_HASH_H
#define BGD_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 16
#define HASH_TEXT 33 /* 32 hexadecimal digits and NUL */

/* The hash in its canonical (big-endian) form, as xxhsum -H2 prints it. */
void hash_bytes(const void *data, size_t size, uint8_t digest[HASH_BYTES]);

void hash_print(const uint8_t digest[HASH_BYTES], char text[HASH_TEXT]);

/* Both in one. */
void hash_text(const void *data, size_t size, char text[HASH_TEXT]);

#endif
