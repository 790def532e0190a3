/*
 * A run over a catalogue: items in, one row for each out, in order.
 *
 *     catalogue --items--> [slots] --readers: bytes, hash--> --workers: picture, batches, engine--> rows --> sink
 *
 * A ring of slots carries the items. The caller's thread names them; readers, who mostly wait for a disk or a network, fetch
 * their bytes; a pool of workers decodes and scores, each worker taking whatever is most urgent, so that decoding and inference
 * share the cores without a fixed split; one thread hands the rows to the sink in the catalogue's order. Everything that waits is
 * bounded by the ring, bytes of files by FLOW_FILE_BYTES, and pictures by FLOW_PIXEL_BYTES: memory does not depend on the
 * catalogue's length.
 *
 * Where scoring waits for a device (bgd_engine_waits), there is a further worker for each lane, and still no more decode at a
 * time: so all lanes may wait, and as many threads decode as without them. Pictures are decoded into memory that the device
 * reads straight from (FLOW_LOCKED_BYTES): no thread copies them.
 *
 * A row depends on its file, the model, the settings and the device alone: not on the number of threads or the neighbours,
 * and on a CPU not on the batch. A file that cannot be scored gets a row that says why.
 *
 * With a ledger, what earlier runs found out of the same bytes is taken from there, and the same bytes under several names are
 * scored once; the rows are the same as without.
 */
#ifndef BGD_FLOW_H
#define BGD_FLOW_H

#include "../sources/catalogue.h"
#include "ledger.h"

#include <signal.h>

/* Files that were read and wait, and what is carried beside them, take this much; each reader may add the one that it is reading. */
#define FLOW_FILE_BYTES (256u << 20)

/* Decoded pictures that wait to be scored take this much; each worker may add the one that it is decoding. Those in memory of
 * the device's choice are not among them. */
#define FLOW_PIXEL_BYTES (512u << 20)

/*
 * Memory of the device's choice (bgd_engine_memory), for each lane and one more, is this much at the most. A slot's share of it
 * is 2w * 2h * 3 bytes where the networks see w x h, in whole pages: a JPEG of their shape is decoded to less than twice that
 * on a side, unless it has more than 16 times as many pixels there. A picture that needs more is decoded into the heap, from
 * where its lane's thread copies it once more.
 *
 * With 16 threads, 16 readers, batches of 256 and networks that see 120x160: a GPU has 3 lanes, and 2 * 256 * (3 + 1) +
 * 4 * 16 + 2 * 16 = 2,144 slots of 233,472 bytes are 501 MB; for two GPUs it is 859 MB, for eight 3.0 GB.
 */
#define FLOW_LOCKED_BYTES (256u << 20)

/* What the run has done: its totals. */
struct flow_report {
    bool ended;            /* the catalogue's end was reached: not stopped, not failed */
    double read, decode;   /* seconds, all threads added up; what the networks took: bgd_engine_seconds */
    uint64_t files, bytes; /* that were read */
    uint64_t pictures;     /* decoded, or tried */
    uint64_t waiting;      /* items that are named and have no row yet */
};

struct flow_row {
    uint64_t index;   /* from 0 */
    const char *id;   /* as the catalogue gave it; so are path, carried and shard */
    const char *path; /* NULL: it came with its bytes */
    const char *carried;
    uint64_t shard;
    bool source;        /* it stands for a whole shard that cannot be read (on) */
    int code;           /* 0, or the bgd_code that says why there is no result */
    const char *detail; /* of a failure: one line; "" otherwise */
    struct bgd_result result;
    enum bgd_format format; /* of a picture that was decoded; so are width and height, upright, in full */
    uint32_t width, height;
    bool known;          /* the result is an earlier one, of the same bytes */
    const char *hash;    /* XXH3-128 of the file's bytes, 32 hexadecimal digits; "" if it could not be read */
    const uint8_t *file; /* the file's bytes, where options.files asks for them and they were read; else NULL */
    size_t file_size;
    const float *mask; /* (mask_height, mask_width) of the engine: P(object); NULL unless it was asked for */
    float progress;    /* catalogue_progress when the item was named */
    struct flow_report so_far;
    bool more; /* another row follows at once: output may stay in its buffer */
};

/* Takes the rows, in order, one at a time, from one thread. What it borrows is valid during the call. A negative code
 * stops the run. */
typedef int (*flow_sink)(void *user, const struct flow_row *row, struct bgd_err *err);

struct flow_options {
    struct bgd_engine *engine;
    uint32_t threads;      /* workers that compute; 0: one per processor that this process may use */
    uint32_t readers;      /* files that are read at the same time; 0: FLOW_READERS */
    struct ledger *ledger; /* what earlier runs have found out, and where this one's results are kept; NULL: none */
    bool trust_mtime;      /* a file of the size and time of change that the ledger knows has the hash that it knows */
    uint32_t retry;        /* bit -code: pictures that failed so are tried again, although the ledger knows them */
    bool exact;            /* decode every pixel; false: see bgd_image_decode */
    bool files;            /* rows carry the files' bytes */
    bool masks;            /* rows carry the mask; not with a ledger, which has none; the engine's pipeline has a segmenter */
    const volatile sig_atomic_t *stop; /* not 0: begin no further items, finish those that are under way; NULL: never */
    const int *wake; /* an eventfd: written when the run fails, so that the catalogue, which has it, too, stops waiting for
                        its producer, and readers for remote objects. Who sets `stop` writes it to the same end: objects that
                        are not there yet are given up, and have no row, nor have the items behind them. NULL: they wait */
};

/*
 * Runs to the end of the catalogue, or until `stop`. Returns 0 when every item that was begun has had its row, or every one
 * before an object that was given up (wake). Otherwise the first error of the catalogue, the ledger, the engine or the sink, or
 * one that is no card's fault: BGD_MEMORY, and BGD_ARGUMENT of the settings for remote objects; rows handed out before it stay
 * valid. `report` is filled in either case; NULL: nobody wants to know.
 */
int flow_run(const struct flow_options *options, struct catalogue *catalogue, flow_sink sink, void *user,
             struct flow_report *report, struct bgd_err *err);

/* Enough to keep a fast disk busy. */
#define FLOW_READERS 16

/* The processors that this process may use: what `threads` 0 stands for. */
uint32_t flow_processors(void);

#endif
