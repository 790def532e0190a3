/*
 * WebP by libwebp. Opaque pictures are decoded straight into the image, reduced where that suffices (libwebp averages
 * areas); those with alpha are decoded in full and put over white. Of an animation the first frame is taken, on a white canvas.
 */
#include "decoder.h"
#include "err.h"
#include "exif.h"

#include <stdlib.h>
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

static int status_failed(VP8StatusCode status, struct bgd_err *err)
{
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY: return err_set(err, BGD_MEMORY, "out of memory");
    case VP8_STATUS_UNSUPPORTED_FEATURE: return err_set(err, BGD_UNSUPPORTED, "an unsupported feature");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED: return err_set(err, BGD_DAMAGED, "the data ends before the last row");
    default: return err_set(err, BGD_DAMAGED, "the bitstream is damaged (libwebp's status %d)", (int)status);
    }
}

static int decode_opaque(const WebPIterator *frame, uint32_t by, struct bgd_image *image, struct bgd_err *err)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return err_set(err, BGD_DEVICE, "libwebp's version does not fit its header");
    uint32_t width = ((uint32_t)frame->width + by - 1) / by, height = ((uint32_t)frame->height + by - 1) / by;
    if (decoder_reserve(image, width, height, err))
        return err->code;
    config.options.use_scaling = by > 1;
    config.options.scaled_width = (int)width;
    config.options.scaled_height = (int)height;
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image->rgb;
    config.output.u.RGBA.stride = (int)width * 3;
    config.output.u.RGBA.size = (size_t)width * height * 3;
    VP8StatusCode status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    return status ? status_failed(status, err) : 0;
}

static int decode_over_white(const WebPIterator *frame, uint32_t width, uint32_t height, struct bgd_image *image,
                             struct bgd_err *err)
{
    if (decoder_reserve(image, width, height, err))
        return err->code;
    memset(image->rgb, 255, (size_t)width * height * 3);
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return err_set(err, BGD_DEVICE, "libwebp's version does not fit its header");
    config.output.colorspace = MODE_RGBA;
    VP8StatusCode status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    if (status) {
        WebPFreeDecBuffer(&config.output);
        return status_failed(status, err);
    }
    if (config.output.width != frame->width || config.output.height != frame->height) {
        WebPFreeDecBuffer(&config.output);
        return err_set(err, BGD_DAMAGED, "a bitstream of %dx%d in a frame of %dx%d", config.output.width, config.output.height,
                       frame->width, frame->height);
    }
    for (int i = 0; i < frame->height; i++)
        decoder_over_white(config.output.u.RGBA.rgba + (size_t)i * (size_t)config.output.u.RGBA.stride,
                           image->rgb + ((size_t)(frame->y_offset + i) * width + (size_t)frame->x_offset) * 3,
                           (uint32_t)frame->width);
    WebPFreeDecBuffer(&config.output);
    return 0;
}

static uint32_t find_orientation(WebPDemuxer *demuxer)
{
    WebPChunkIterator chunk;
    uint32_t orientation = 1;
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk))
        orientation = exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

int decoder_webp(const struct decoder_input *in, struct bgd_image *image, uint32_t *orientation, struct bgd_err *err)
{
    const WebPData data = {in->data, in->size};
    WebPIterator frame;
    memset(&frame, 0, sizeof frame);
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer)
        return err_set(err, BGD_DAMAGED, "the chunks are damaged or cut short");
    uint32_t width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH), height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    int code = decoder_check_size(width, height, err);
    if (code)
        goto done;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) {
        code = err_set(err, BGD_DAMAGED, "there is no frame");
        goto done;
    }
    if (frame.width < 1 || frame.height < 1 || frame.x_offset < 0 || frame.y_offset < 0 ||
        (uint32_t)frame.x_offset + (uint32_t)frame.width > width ||
        (uint32_t)frame.y_offset + (uint32_t)frame.height > height) {
        code = err_set(err, BGD_DAMAGED, "a frame of %dx%d at %d, %d does not fit its canvas of %ux%u", frame.width,
                       frame.height, frame.x_offset, frame.y_offset, width, height);
        goto done;
    }
    *orientation = find_orientation(demuxer);
    bool whole = (uint32_t)frame.width == width && (uint32_t)frame.height == height;
    code = whole && !frame.has_alpha ? decode_opaque(&frame, decoder_reduction(in, width, height, *orientation), image, err)
                                     : decode_over_white(&frame, width, height, image, err);
    image->full_width = width;
    image->full_height = height;
done:
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return code;
}
