/*
 * TGA (Truevision 2.0): palettes, grey, 15 to 32 bits, plain or run-length, from any corner. It has no magic: a file is one
 * if every field of its header makes sense.
 */
#include "bytes.h"
#include "decoder.h"
#include "err.h"

#include <string.h>

struct tga {
    uint8_t id_size, map_type, type, map_bits, bits, flags;
    uint16_t map_first, map_count, width, height;
    const uint8_t *map;
    uint32_t pixel_bytes;
};

static bool tga_header(struct bytes *bytes, struct tga *t)
{
    uint16_t x, y;
    return bytes_u8(bytes, &t->id_size) && bytes_u8(bytes, &t->map_type) && bytes_u8(bytes, &t->type) &&
           bytes_u16le(bytes, &t->map_first) && bytes_u16le(bytes, &t->map_count) && bytes_u8(bytes, &t->map_bits) &&
           bytes_u16le(bytes, &x) && bytes_u16le(bytes, &y) && bytes_u16le(bytes, &t->width) &&
           bytes_u16le(bytes, &t->height) && bytes_u8(bytes, &t->bits) && bytes_u8(bytes, &t->flags);
}

static bool tga_is_colour(uint8_t bits)
{
    return bits == 15 || bits == 16 || bits == 24 || bits == 32;
}

bool decoder_is_tga(const uint8_t *data, size_t size)
{
    struct bytes bytes = bytes_of(data, size);
    struct tga t;
    if (!tga_header(&bytes, &t) || t.width == 0 || t.height == 0 || (t.flags & 0xc0))
        return false;
    if (t.type == 1 || t.type == 9)
        return t.map_type == 1 && t.bits == 8 && t.map_count > 0 && t.map_first + t.map_count <= 256 &&
               tga_is_colour(t.map_bits);
    if (t.map_type != 0 || t.map_count != 0)
        return false;
    if (t.type == 2 || t.type == 10)
        return tga_is_colour(t.bits);
    return (t.type == 3 || t.type == 11) && (t.bits == 8 || t.bits == 16);
}

static void tga_colour(const uint8_t *p, uint8_t bits, uint8_t rgba[4])
{
    if (bits <= 16) { /* 1 unused bit, 5 each of R, G, B */
        uint32_t value = (uint32_t)p[0] | (uint32_t)p[1] << 8;
        for (int c = 0; c < 3; c++)
            rgba[c] = (uint8_t)((value >> (10 - 5 * c) & 31) * 255 / 31);
    } else {
        rgba[0] = p[2];
        rgba[1] = p[1];
        rgba[2] = p[0];
    }
    rgba[3] = bits == 32 ? p[3] : 255;
}

static void tga_pixel(const struct tga *t, const uint8_t *p, uint8_t rgba[4])
{
    switch (t->type & 7) {
    case 1: /* an index that is not in the map is black */
        memcpy(rgba, (const uint8_t[4]){0, 0, 0, 255}, 4);
        if (p[0] >= t->map_first && p[0] - t->map_first < t->map_count)
            tga_colour(t->map + (size_t)(p[0] - t->map_first) * ((t->map_bits + 7u) / 8), t->map_bits, rgba);
        break;
    case 2: tga_colour(p, t->bits, rgba); break;
    default: /* grey, or grey and alpha */ memset(rgba, p[0], 3); rgba[3] = t->bits == 16 ? p[1] : 255;
    }
}

/* The pixels come row by row, from the bottom and the left unless the flags say otherwise; with run lengths a packet of
 * 1..128 pixels begins with a byte, whose upper bit says that they are all the one that follows. Returns their number. */
static uint64_t tga_pixels(const struct tga *t, struct bytes *bytes, struct bgd_image *image)
{
    uint64_t done = 0, pixels = (uint64_t)t->width * t->height;
    uint32_t left = 0;
    uint8_t head = 0;
    const uint8_t *p = NULL;
    for (; done < pixels; done++, left--) {
        bool fresh = left == 0;
        if (fresh && t->type < 8)
            left = 1;
        else if (fresh && bytes_u8(bytes, &head))
            left = (head & 0x7fu) + 1;
        if (left == 0 || ((fresh || !(head & 0x80)) && !bytes_take(bytes, t->pixel_bytes, &p)))
            break;
        uint8_t rgba[4];
        uint32_t x = (uint32_t)(done % t->width), y = (uint32_t)(done / t->width);
        tga_pixel(t, p, rgba);
        decoder_put(image, t->flags & 0x10 ? t->width - 1 - x : x, t->flags & 0x20 ? y : t->height - 1 - y, rgba);
    }
    return done;
}

int decoder_tga(const struct decoder_input *in, struct bgd_image *image, struct bgd_err *err)
{
    struct bytes bytes = bytes_of(in->data, in->size);
    struct tga t;
    if (!tga_header(&bytes, &t))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (decoder_check_size(t.width, t.height, err))
        return err->code;
    t.pixel_bytes = (t.bits + 7u) / 8;
    if (!bytes_skip(&bytes, t.id_size) || !bytes_take(&bytes, (uint64_t)t.map_count * ((t.map_bits + 7u) / 8), &t.map))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    uint64_t whole = bytes_left(&bytes) / t.pixel_bytes;
    if (t.type < 8 && whole < (uint64_t)t.width * t.height)
        return decoder_too_few(whole, t.width, t.height, err);
    if (decoder_reserve_full(image, t.width, t.height, err))
        return err->code;
    uint64_t found = tga_pixels(&t, &bytes, image);
    return found < (uint64_t)t.width * t.height ? decoder_too_few(found, t.width, t.height, err) : 0;
}
