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

/* The hash of what comes piece by piece. hash_end frees; `digest` may be NULL. hash_begin gives NULL without memory. */
struct hash_stream;
struct hash_stream *hash_begin(void);
void hash_add(struct hash_stream *stream, const void *data, size_t size);
void hash_end(struct hash_stream *stream, uint8_t digest[HASH_BYTES]);

/* Both in one. */
void hash_text(const void *data, size_t size, char text[HASH_TEXT]);

#endif
