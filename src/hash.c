#include "hash.h"

#include <string.h>
#include <xxhash.h>

static void put_canonical(XXH128_hash_t hash, uint8_t digest[HASH_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest, canonical.digest, HASH_BYTES);
}

void hash_bytes(const void *data, size_t size, uint8_t digest[HASH_BYTES])
{
    put_canonical(XXH3_128bits(data, size), digest);
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

/* XXH3's state is our stream: it is aligned as it must be by its own allocator. */
struct hash_stream *hash_begin(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state)
        XXH3_128bits_reset(state);
    return (struct hash_stream *)state;
}

void hash_add(struct hash_stream *stream, const void *data, size_t size)
{
    XXH3_128bits_update((XXH3_state_t *)stream, data, size);
}

void hash_end(struct hash_stream *stream, uint8_t digest[HASH_BYTES])
{
    if (stream && digest)
        put_canonical(XXH3_128bits_digest((XXH3_state_t *)stream), digest);
    XXH3_freeState((XXH3_state_t *)stream);
}
