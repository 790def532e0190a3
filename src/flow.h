/*
 * A run over a catalogue: names in, one row for each out, in order.
 *
 *     catalogue --names--> [slots] --bytes, picture--> batches --engine--> rows --> sink
 *
 * A ring of slots carries the items. The caller's thread names them; a pool of workers reads, decodes and scores, each
 * worker taking whatever is most urgent, so that decoding and inference share the cores without a fixed split; one
 * thread hands the rows to the sink in the catalogue's order. Everything that waits is bounded by the ring, and pictures
 * by FLOW_PIXEL_BYTES: memory does not depend on the catalogue's length.
 *
 * A row depends on its file, the model, the settings and the device alone: not on the number of threads or the neighbours,
 * and on a CPU not on the batch. A file that cannot be scored gets a row that says why.
 */
#ifndef BGD_FLOW_H
#define BGD_FLOW_H

#include "catalogue.h"

#include <signal.h>

/* Decoded pictures that wait to be scored take this much; each worker may add the one that it is decoding. */
#define FLOW_PIXEL_BYTES (512u << 20)

struct flow_row {
    uint64_t index;     /* from 0 */
    const char *id;     /* the name as the catalogue gave it */
    int code;           /* 0, or the bgd_code that says why there is no result */
    const char *detail; /* of a failure: one line; "" otherwise */
    struct bgd_result result;
    enum bgd_format format; /* of a picture that was decoded; so are width and height, upright, in full */
    uint32_t width, height;
    const char *hash;  /* XXH3-128 of the file's bytes, 32 hexadecimal digits; "" if it could not be read */
    const float *mask; /* (mask_height, mask_width) of the engine: P(object); NULL unless it was asked for */
    float progress;    /* catalogue_progress when the item was named */
    bool more;         /* another row follows at once: output may stay in its buffer */
};

/* Takes the rows, in order, one at a time, from one thread. What it borrows is valid during the call. A negative code
 * stops the run. */
typedef int (*flow_sink)(void *user, const struct flow_row *row, struct bgd_err *err);

struct flow_options {
    struct bgd_engine *engine;
    uint32_t threads;                  /* workers; 0: one per processor that this process may use */
    bool exact;                        /* decode every pixel; false: see bgd_image_decode */
    bool masks;                        /* rows carry the mask; the engine's pipeline has a segmenter */
    const volatile sig_atomic_t *stop; /* not 0: begin no further items, finish those that are under way; NULL: never */
    const int *wake; /* an eventfd: written when the run fails, so that the catalogue, which has it, too, stops waiting for
                        its producer; NULL: it waits */
};

struct flow_report {
    bool ended;          /* the catalogue's end was reached: not stopped, not failed */
    double read, decode; /* seconds of the workers, all threads added up; what the networks took: bgd_engine_seconds */
};

/*
 * Runs to the end of the catalogue, or until `stop`. Returns 0 when every item that was begun has had its row.
 * Otherwise the first error of the catalogue, the engine or the sink; rows handed out before it stay valid. `report` is
 * filled in either case; NULL: nobody wants to know.
 */
int flow_run(const struct flow_options *options, struct catalogue *catalogue, flow_sink sink, void *user,
             struct flow_report *report, struct bgd_err *err);

/* The processors that this process may use: what `threads` 0 stands for. */
uint32_t flow_processors(void);

#endif
