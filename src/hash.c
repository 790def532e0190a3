#include "hash.h"

#include <string.h>
#include <xxhash.h>

void hash_bytes(const void *data, size_t size, uint8_t digest[HASH_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
    memcpy(digest, canonical.digest, HASH_BYTES);
}

void hash_print(const uint8_t digest[HASH_BYTES], char text[HASH_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < HASH_BYTES; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[2 * HASH_BYTES] = 0;
}

void hash_text(const void *data, size_t size, char text[HASH_TEXT])
{
    uint8_t digest[HASH_BYTES];
    hash_bytes(data, size, digest);
    hash_print(digest, text);
}
