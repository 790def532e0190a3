/*
 * Pictures to the device, and there into the first value of a network: the CUDA backend's feed.
 *
 * Pixels are gathered in a buffer of fixed size on the device: one call copies, and one launch makes network input of, all that
 * are there, as a rule a whole batch's. They come straight from page-locked memory; from elsewhere by a buffer that is. A picture
 * larger than a buffer goes in pieces, some output rows at a time with the rows of pixels under their taps. So memory is the same
 * for pictures of any size: 64 MB on the device and 32 MB page-locked, or what one row of a network of few rows needs.
 */
#ifndef BGD_CUDA_FEED_H
#define BGD_CUDA_FEED_H

#include "feed.h"
#include "kernels.h"

struct cuda_feed;

/* For pictures that are resized to `height` rows. BGD_MEMORY, BGD_DEVICE. */
int cuda_feed_open(uint32_t height, struct cuda_feed **feed, struct bgd_err *err);
void cuda_feed_close(struct cuda_feed *feed);

/* Is `pixels` page-locked? Such pixels are copied straight to the device, and must stay until the stream has come so far. */
typedef bool (*cuda_feed_locked)(const void *user, const uint8_t *pixels);

/* Puts into the stream: pictures 0 .. n - 1 of y. Of `spec`, all but the pictures is filled in. Returns when pixels that are not
 * page-locked have been taken. Waits for the device only before a buffer is used again whose copy has not ended: in the middle
 * of a batch that does not fit, or while the one before it is under way. */
int cuda_feed_run(struct cuda_feed *feed, uint32_t n, const struct bgd_image *const *images, cuda_feed_locked locked,
                  const void *user, const struct kernel_feed_spec *spec, struct kernel_value y, cudaStream_t stream,
                  struct bgd_err *err);

#endif
