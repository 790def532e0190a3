#include "cuda_feed.h"

#include "cuda_error.h"
#include "err.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PIXEL_BYTES (64u << 20)   /* 256 pictures of 240x320, the most that JPEGs have for a network of 120x160 (59 MB) */
#define STAGING_BYTES (32u << 20) /* of pictures that are not where they should be */
#define PIECES_MAX 1024u

struct cuda_feed {
    size_t capacity, staging_capacity;
    uint8_t *pixels;             /* on the device */
    uint8_t *staging;            /* page-locked: for pixels that are not */
    struct kernel_piece *pieces; /* page-locked, */
    struct kernel_piece *device_pieces;
    uint32_t n_pieces;        /* gathered so far */
    void *to[PIECES_MAX + 1]; /* the copies to come: of each piece's pixels, and of the pieces themselves behind them */
    const void *from[PIECES_MAX + 1];
    size_t sizes[PIECES_MAX + 1];
    size_t used, staged; /* of the two buffers */
    cudaEvent_t copied;  /* staging and pieces have been read */
};

/* Every picture's rows under the taps of one output row must fit into a buffer: of 16,384 rows, to `height`. */
static size_t capacity_for(uint32_t height, size_t bytes)
{
    uint64_t rows = 2 * (uint64_t)(BGD_IMAGE_SIDE_MAX / height + 1) + 2;
    rows = rows < BGD_IMAGE_SIDE_MAX ? rows : BGD_IMAGE_SIDE_MAX;
    uint64_t least = rows * BGD_IMAGE_SIDE_MAX * 3, most = (uint64_t)BGD_IMAGE_PIXELS_MAX * 3;
    least = least < most ? least : most;
    return bytes > least ? bytes : (size_t)least;
}

int cuda_feed_open(uint32_t height, struct cuda_feed **out, struct bgd_err *err)
{
    *out = NULL;
    struct cuda_feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return err_set(err, BGD_MEMORY, "out of memory");
    feed->capacity = capacity_for(height, PIXEL_BYTES);
    feed->staging_capacity = capacity_for(height, STAGING_BYTES);
    if (cuda_check(cudaHostAlloc((void **)&feed->staging, feed->staging_capacity, cudaHostAllocDefault), "page-locking memory",
                   err) ||
        cuda_check(cudaMalloc((void **)&feed->pixels, feed->capacity), "allocating pixels", err) ||
        cuda_check(cudaHostAlloc((void **)&feed->pieces, PIECES_MAX * sizeof *feed->pieces, cudaHostAllocDefault),
                   "page-locking memory", err) ||
        cuda_check(cudaMalloc((void **)&feed->device_pieces, PIECES_MAX * sizeof *feed->pieces), "allocating pieces", err) ||
        cuda_check(cudaEventCreateWithFlags(&feed->copied, cudaEventDisableTiming | cudaEventBlockingSync), "creating an event",
                   err)) {
        cuda_feed_close(feed);
        return err->code;
    }
    *out = feed;
    return 0;
}

void cuda_feed_close(struct cuda_feed *feed)
{
    if (!feed)
        return;
    cudaFreeHost(feed->staging);
    cudaFree(feed->pixels);
    cudaFreeHost(feed->pieces);
    cudaFree(feed->device_pieces);
    if (feed->copied)
        cudaEventDestroy(feed->copied);
    free(feed);
}

/* What a run works with. */
struct run {
    struct cuda_feed *feed;
    const struct kernel_feed_spec *spec;
    struct kernel_value y;
    cudaStream_t stream;
    struct bgd_err *err;
};

static void add_copy(struct cuda_feed *feed, void *to, const void *from, size_t bytes)
{
    feed->to[feed->n_pieces] = to;
    feed->from[feed->n_pieces] = from;
    feed->sizes[feed->n_pieces] = bytes;
}

/* Copies and launches what has been gathered. */
static int flush(const struct run *run)
{
    /* All sources are page-locked. Copies shall not take multiprocessors from another lane's kernels. */
    struct cudaMemcpyAttributes attributes = {.srcAccessOrder = cudaMemcpySrcAccessOrderStream,
                                              .flags = cudaMemcpyFlagPreferOverlapWithCompute};
    size_t first = 0; /* of the copies that they are the attributes of: all */
    struct cuda_feed *feed = run->feed;
    if (feed->n_pieces == 0)
        return 0;
    add_copy(feed, feed->device_pieces, feed->pieces, feed->n_pieces * sizeof *feed->pieces);
    cudaError_t error =
        cudaMemcpyBatchAsync(feed->to, feed->from, feed->sizes, feed->n_pieces + 1, &attributes, &first, 1, run->stream);
    if (!error)
        error = cudaEventRecord(feed->copied, run->stream);
    if (!error)
        error = kernel_feed(run->stream, feed->n_pieces, feed->device_pieces, feed->pixels, *run->spec, run->y);
    feed->n_pieces = 0;
    feed->used = feed->staged = 0;
    return cuda_check(error, "feeding pictures", run->err);
}

/* Bytes of the picture's rows under the taps of output rows row0 .. row1 - 1, the first of which is *first. */
static size_t bytes_under(const struct run *run, const struct kernel_piece *piece, uint32_t row1, uint32_t *first)
{
    double centre, reach;
    uint32_t end, other;
    feed_taps(piece->height, piece->extent_y, run->y.h, row1 - 1, &centre, &reach, &other, &end);
    feed_taps(piece->height, piece->extent_y, run->y.h, piece->row0, &centre, &reach, first, &other);
    return (size_t)(end - *first) * piece->width * 3;
}

/* Bytes that can be gathered yet, of pixels that are page-locked or not. */
static size_t room(const struct cuda_feed *feed, bool locked)
{
    size_t pixels = feed->capacity - feed->used, staging = feed->staging_capacity - feed->staged;
    return locked || pixels < staging ? pixels : staging;
}

/* Gathers output rows of the picture from piece->row0 on: all, or half, or ..., until they fit. */
static int gather(const struct run *run, const struct bgd_image *image, bool locked, struct kernel_piece *piece)
{
    struct cuda_feed *feed = run->feed;
    size_t bytes;
    uint32_t rows = run->y.h - piece->row0;
    while ((bytes = bytes_under(run, piece, piece->row0 + rows, &piece->first_row)) > room(feed, locked)) {
        assert(rows > 1 && "an empty buffer holds one row of any picture");
        rows /= 2;
    }
    /* Copies of the gathering before may still read what is now written. */
    if (feed->n_pieces == 0 && cuda_check(cudaEventSynchronize(feed->copied), "waiting for a copy", run->err))
        return run->err->code;
    const uint8_t *source = image->rgb + (size_t)piece->first_row * image->width * 3;
    if (!locked) {
        source = memcpy(feed->staging + feed->staged, source, bytes);
        feed->staged += bytes;
    }
    add_copy(feed, feed->pixels + feed->used, source, bytes);
    piece->offset = feed->used;
    piece->row1 = piece->row0 + rows;
    feed->pieces[feed->n_pieces++] = *piece;
    feed->used += bytes;
    return 0;
}

static int feed_picture(const struct run *run, uint32_t picture, const struct bgd_image *image, bool locked)
{
    struct cuda_feed *feed = run->feed;
    struct kernel_piece piece = {.picture = picture, .width = image->width, .height = image->height};
    feed_extent(image, &piece.extent_x, &piece.extent_y);
    bool fits = (size_t)image->width * image->height * 3 <= room(feed, locked) && feed->n_pieces < PIECES_MAX;
    while (piece.row0 < run->y.h) {
        if ((!fits && flush(run)) || gather(run, image, locked, &piece))
            return run->err->code;
        piece.row0 = piece.row1;
    }
    return 0;
}

int cuda_feed_run(struct cuda_feed *feed, uint32_t n, const struct bgd_image *const *images, cuda_feed_locked locked,
                  const void *user, const struct kernel_feed_spec *spec, struct kernel_value y, cudaStream_t stream,
                  struct bgd_err *err)
{
    const struct run run = {feed, spec, y, stream, err};
    for (uint32_t i = 0; i < n; i++)
        if (feed_picture(&run, i, images[i], locked(user, images[i]->rgb)))
            return err->code;
    return flush(&run);
}
