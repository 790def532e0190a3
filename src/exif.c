#include "exif.h"

#include "bytes.h"

struct tiff {
    struct bytes bytes;
    bool big;
};

static bool read16(struct tiff *t, uint16_t *out)
{
    return t->big ? bytes_u16be(&t->bytes, out) : bytes_u16le(&t->bytes, out);
}

static bool read32(struct tiff *t, uint32_t *out)
{
    return t->big ? bytes_u32be(&t->bytes, out) : bytes_u32le(&t->bytes, out);
}

uint32_t exif_orientation(const void *data, size_t size)
{
    if (size >= 6 && memcmp(data, "Exif\0\0", 6) == 0) {
        data = (const uint8_t *)data + 6;
        size -= 6;
    }
    struct tiff t = {.bytes = bytes_of(data, size)};
    const uint8_t *order;
    uint16_t magic, count;
    uint32_t ifd;
    if (!bytes_take(&t.bytes, 2, &order))
        return 1;
    t.big = order[0] == 'M';
    if (order[0] != order[1] || (order[0] != 'M' && order[0] != 'I') || !read16(&t, &magic) || magic != 42 ||
        !read32(&t, &ifd) || !bytes_seek(&t.bytes, ifd) || !read16(&t, &count))
        return 1;
    for (uint32_t i = 0; i < count; i++) { /* only the first IFD: no links are followed, so none can loop */
        uint16_t tag, type, value, rest;
        uint32_t n;
        if (!read16(&t, &tag) || !read16(&t, &type) || !read32(&t, &n) || !read16(&t, &value) || !read16(&t, &rest))
            return 1;
        if (tag == 0x0112)
            return type == 3 && n == 1 && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}
