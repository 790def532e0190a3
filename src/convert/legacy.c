#include "legacy.h"

#include "../err.h"

/* PROTO 2, LONG1 of 10 bytes, STOP. Compared as it stands: as a number it would not fit in 64 bits. */
static const uint8_t magic[LEGACY_MAGIC_BYTES] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                                  0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};

#define PROTOCOL 1001

bool legacy_recognises(const uint8_t *bytes, size_t size)
{
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static int read_protocol(struct bytes *in, struct bgd_err *err)
{
    struct pickle *pickle;
    if (pickle_load(in, 0, &pickle, err))
        return err_prefix(err, "protocol number: ");
    struct pickle_value root = pickle->root;
    pickle_free(pickle);
    if (root.kind != PICKLE_INT || root.integer != PROTOCOL)
        return err_set(err, BGD_UNSUPPORTED, "protocol number: %s (%lld), expected %d", pickle_kind_name(root.kind),
                       root.kind == PICKLE_INT ? (long long)root.integer : 0LL, PROTOCOL);
    return 0;
}

static int check_system_info(const struct pickle *pickle, struct bgd_err *err)
{
    if (!pickle_is_dict(pickle->root))
        return err_set(err, BGD_DAMAGED, "%s, expected a dict", pickle_kind_name(pickle->root.kind));
    const struct pickle_object *info = pickle_object(pickle, pickle->root);
    bool little = false;
    for (uint32_t i = 0; i < info->count; i += 2) {
        struct pickle_value key = info->items[i], value = info->items[i + 1];
        if (pickle_is_text(key, "little_endian")) {
            if (value.kind != PICKLE_BOOL || !value.integer)
                return err_set(err, BGD_UNSUPPORTED, "little_endian is not True: the storages are of a big-endian machine");
            little = true;
        }
        if (pickle_is_text(key, "protocol_version") && (value.kind != PICKLE_INT || value.integer != PROTOCOL))
            return err_set(err, BGD_UNSUPPORTED, "protocol_version is not %d", PROTOCOL);
    }
    return little ? 0 : err_set(err, BGD_DAMAGED, "it does not state little_endian");
}

static int read_system_info(struct bytes *in, struct bgd_err *err)
{
    struct pickle *pickle;
    int code = pickle_load(in, 0, &pickle, err);
    if (!code)
        code = check_system_info(pickle, err);
    pickle_free(pickle);
    return code ? err_prefix(err, "system info: ") : 0;
}

/* One storage: its number of elements, which must be the one that the object stated, and the elements. */
static int place_storage(struct bytes *in, struct pickle_value key, struct pickle *object, struct bgd_err *err)
{
    if (key.kind != PICKLE_TEXT)
        return err_set(err, BGD_DAMAGED, "a key is %s, expected a text", pickle_kind_name(key.kind));
    int shown = key.size < 100 ? (int)key.size : 100;
    struct pickle_storage *storage = pickle_storage(object, key.text, key.size);
    if (!storage)
        return err_set(err, BGD_DAMAGED, "key %.*s names no storage of the object", shown, key.text);
    if (storage->data)
        return err_set(err, BGD_DAMAGED, "key %.*s comes twice", shown, key.text);
    uint64_t numel = 0;
    if (!bytes_u64le(in, &numel))
        return err_set(err, BGD_DAMAGED, "storage %.*s: the file ends at %zu, before its number of elements", shown, key.text,
                       in->size);
    if (numel != storage->numel)
        return err_set(err, BGD_DAMAGED, "storage %.*s: %llu elements, the object says %llu", shown, key.text,
                       (unsigned long long)numel, (unsigned long long)storage->numel);
    /* The product is below 2^36: pickle_load allows no more than 2^32 elements. */
    if (!bytes_take(in, numel * checkpoint_dtype_size(storage->dtype), &storage->data))
        return err_set(err, BGD_DAMAGED, "storage %.*s: %llu elements of %s at %zu, the file ends at %zu", shown, key.text,
                       (unsigned long long)numel, checkpoint_dtype_name(storage->dtype), in->pos, in->size);
    return 0;
}

static int place_storages(struct bytes *in, struct pickle *object, const struct pickle *keys, struct bgd_err *err)
{
    const struct pickle_object *list = pickle_object(keys, keys->root);
    if (keys->root.kind != PICKLE_LIST)
        return err_set(err, BGD_DAMAGED, "%s, expected a list", pickle_kind_name(keys->root.kind));
    for (uint32_t i = 0; i < list->count; i++)
        if (place_storage(in, list->items[i], object, err))
            return err->code;
    for (uint32_t i = 0; i < object->n_storages; i++)
        if (!object->storages[i].data)
            return err_set(err, BGD_DAMAGED, "storage %.*s of the object is not listed", (int)object->storages[i].key_size,
                           object->storages[i].key);
    if (bytes_left(in) > 0)
        return err_set(err, BGD_DAMAGED, "%zu bytes behind the last storage, expected none", bytes_left(in));
    return 0;
}

int legacy_read(const uint8_t *bytes, size_t size, struct pickle **out, struct bgd_err *err)
{
    *out = NULL;
    struct bytes in = bytes_of(bytes, size);
    struct pickle *object = NULL, *keys = NULL;
    if (!legacy_recognises(bytes, size) || !bytes_skip(&in, LEGACY_MAGIC_BYTES))
        return err_set(err, BGD_UNKNOWN, "no legacy checkpoint: it does not begin with the magic number");
    if (read_protocol(&in, err) || read_system_info(&in, err))
        return err->code;
    if (pickle_load(&in, 6, &object, err))
        return err_prefix(err, "object: ");
    if (pickle_load(&in, 0, &keys, err) || place_storages(&in, object, keys, err)) {
        err_prefix(err, "storage keys: ");
        goto fail;
    }
    pickle_free(keys);
    *out = object;
    return 0;
fail:
    pickle_free(keys);
    pickle_free(object);
    return err->code;
}
