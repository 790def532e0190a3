/*
 * BMP of Windows and OS/2, not compressed: palettes of 1, 4 and 8 bits, 16 and 32 bits with masks, 24 bits. The fourth byte
 * of a pixel is alpha only where a mask says so.
 */
#include "bytes.h"
#include "decoder.h"
#include "err.h"

#include <string.h>

struct bmp {
    uint32_t offset, header, width, height, compression, colour_count;
    uint16_t bits;
    bool top_down;
    const uint8_t *colours, *rows; /* BGR or BGR0; rows of `stride` bytes */
    uint32_t colour_bytes;
    size_t stride;
    uint32_t masks[4]; /* R, G, B, A; 16 and 32 bits only */
};

enum { BMP_RGB = 0, BMP_BITFIELDS = 3, BMP_ALPHABITFIELDS = 6 };

/* The sizes in the header and what follows it up to the masks. */
static bool bmp_fields(struct bmp *b, struct bytes *bytes, uint16_t *planes)
{
    if (b->header == 12) { /* OS/2 1.x */
        uint16_t w, h;
        if (!bytes_u16le(bytes, &w) || !bytes_u16le(bytes, &h))
            return false;
        b->width = w;
        b->height = h;
        return bytes_u16le(bytes, planes) && bytes_u16le(bytes, &b->bits);
    }
    if (!bytes_u32le(bytes, &b->width) || !bytes_u32le(bytes, &b->height) || !bytes_u16le(bytes, planes) ||
        !bytes_u16le(bytes, &b->bits) || !bytes_u32le(bytes, &b->compression) || !bytes_skip(bytes, 12) ||
        !bytes_u32le(bytes, &b->colour_count) || !bytes_skip(bytes, 4))
        return false;
    b->top_down = b->height > INT32_MAX; /* negative */
    b->height = b->top_down ? 0u - b->height : b->height;
    return true;
}

static int bmp_compression(const struct bmp *b, struct bgd_err *err)
{
    if (b->compression == BMP_RGB ||
        (b->header != 64 && (b->compression == BMP_BITFIELDS || b->compression == BMP_ALPHABITFIELDS)))
        return 0;
    static const char *const names[] = {"", "run lengths of 8 bits", "run lengths of 4 bits", "Huffman codes", "JPEG", "PNG"};
    return err_set(err, BGD_UNSUPPORTED, "compression %u (%s), expected none or bit fields", b->compression,
                   b->compression < 6 ? names[b->compression] : "unknown");
}

/* Fills the masks: those of the file, which lie in the header from version 2 on and behind it in version 1, or the usual ones.
 */
static int bmp_masks(struct bmp *b, struct bytes *bytes, struct bgd_err *err)
{
    static const uint32_t usual[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    if (b->compression == BMP_RGB) {
        memcpy(b->masks, usual[b->bits == 32], sizeof usual[0]);
        return 0; /* the fourth byte means nothing */
    }
    int count = b->header >= 56 || b->compression == BMP_ALPHABITFIELDS ? 4 : 3;
    for (int i = 0; i < count; i++)
        if (!bytes_u32le(bytes, &b->masks[i]))
            return err_set(err, BGD_DAMAGED, "the header is cut short");
    for (int i = 0; i < 4; i++) {
        uint32_t mask = b->masks[i], low = mask & (0u - mask);
        if ((mask == 0 && i < 3) || (mask & (mask + low)) != 0 || (b->bits == 16 && mask > 0xffff))
            return err_set(err, BGD_DAMAGED, "mask 0x%x of channel %d, expected a row of ones in %u bits", mask, i, b->bits);
    }
    return 0;
}

static int bmp_colours(struct bmp *b, struct bytes *bytes, struct bgd_err *err)
{
    uint32_t most = 1u << b->bits, room;
    b->colour_bytes = b->header == 12 ? 3 : 4;
    if (b->colour_count == 0 || b->colour_count > most)
        b->colour_count = most;
    room = (uint32_t)((b->offset - bytes->pos) / b->colour_bytes); /* OS/2 1.x does not say how many there are */
    if (b->colour_count > room)
        b->colour_count = room;
    if (b->colour_count == 0 || !bytes_take(bytes, (uint64_t)b->colour_count * b->colour_bytes, &b->colours))
        return err_set(err, BGD_DAMAGED, "there is no colour table");
    return 0;
}

static int bmp_header(struct bmp *b, const struct decoder_input *in, struct bgd_err *err)
{
    struct bytes bytes = bytes_of(in->data, in->size);
    uint16_t planes = 0;
    if (!bytes_seek(&bytes, 10) || !bytes_u32le(&bytes, &b->offset) || !bytes_u32le(&bytes, &b->header))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (b->header != 12 && b->header != 40 && b->header != 52 && b->header != 56 && b->header != 64 && b->header != 108 &&
        b->header != 124)
        return err_set(err, BGD_UNSUPPORTED, "a header of %u bytes, expected 12, 40, 52, 56, 64, 108 or 124", b->header);
    if (!bmp_fields(b, &bytes, &planes))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    if (decoder_check_size(b->width, b->height, err) || bmp_compression(b, err))
        return err->code;
    bool masked = b->bits == 16 || b->bits == 32;
    if (planes != 1 || (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 24 && !masked))
        return err_set(err, BGD_DAMAGED, "%u planes of %u bits, expected 1 of 1, 4, 8, 16, 24 or 32", planes, b->bits);
    if (masked && bmp_masks(b, &bytes, err))
        return err->code;
    if (bytes.pos < 14 + (size_t)b->header && !bytes_seek(&bytes, 14 + b->header))
        return err_set(err, BGD_DAMAGED, "the header is cut short");
    b->stride = ((size_t)b->width * b->bits + 31) / 32 * 4;
    uint64_t needed = (uint64_t)b->stride * b->height;
    if (b->offset < bytes.pos || b->offset > in->size || needed > in->size - b->offset)
        return err_set(err, BGD_DAMAGED, "%zu bytes, its header needs %llu from byte %u on", in->size,
                       (unsigned long long)needed, b->offset);
    b->rows = in->data + b->offset;
    return b->bits <= 8 ? bmp_colours(b, &bytes, err) : 0;
}

static uint32_t bmp_value(const struct bmp *b, const uint8_t *row, uint32_t x)
{
    uint32_t bytes = b->bits / 8u, value = 0;
    if (b->bits < 8)
        return (uint32_t)row[(size_t)x * b->bits / 8] >> (8 - b->bits - (x * b->bits & 7)) & ((1u << b->bits) - 1);
    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint32_t)row[(size_t)x * bytes + i] << 8 * i;
    return value;
}

/* Of `mask`'s size to 8 bits, rounded down as Pillow does. */
static uint8_t bmp_channel(uint32_t value, uint32_t mask)
{
    uint32_t low = mask & (0u - mask);
    return (uint8_t)((uint64_t)((value & mask) / low) * 255 / (mask / low));
}

static void bmp_pixel(const struct bmp *b, const uint8_t *row, uint32_t x, uint8_t rgba[4])
{
    uint32_t value = bmp_value(b, row, x);
    memset(rgba, 0, 3);
    rgba[3] = 255;
    if (b->bits <= 8 && value < b->colour_count) {
        const uint8_t *bgr = b->colours + (size_t)value * b->colour_bytes;
        rgba[0] = bgr[2];
        rgba[1] = bgr[1];
        rgba[2] = bgr[0];
    } else if (b->bits == 24) {
        rgba[0] = (uint8_t)(value >> 16);
        rgba[1] = (uint8_t)(value >> 8);
        rgba[2] = (uint8_t)value;
    } else if (b->bits > 8) {
        for (int c = 0; c < 4; c++)
            if (b->masks[c])
                rgba[c] = bmp_channel(value, b->masks[c]);
    }
}

/* Writers that know nothing of alpha leave it 0 everywhere; a picture of which nothing is to be seen is not meant. */
static bool bmp_alpha_is_used(const struct bmp *b)
{
    for (uint32_t y = 0; y < b->height; y++)
        for (uint32_t x = 0; x < b->width; x++)
            if (bmp_value(b, b->rows + y * b->stride, x) & b->masks[3])
                return true;
    return false;
}

int decoder_bmp(const struct decoder_input *in, struct bgd_image *image, struct bgd_err *err)
{
    struct bmp b = {0};
    if (bmp_header(&b, in, err) || decoder_reserve_full(image, b.width, b.height, err))
        return err->code;
    if (b.masks[3] && !bmp_alpha_is_used(&b))
        b.masks[3] = 0;
    for (uint32_t i = 0; i < b.height; i++)
        for (uint32_t x = 0; x < b.width; x++) {
            uint8_t rgba[4];
            bmp_pixel(&b, b.rows + i * b.stride, x, rgba);
            decoder_put(image, x, b.top_down ? i : b.height - 1 - i, rgba);
        }
    return 0;
}
