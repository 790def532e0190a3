/* The ring of slots in which items travel: what the parts of flow share. */
#ifndef BGD_FLOW_RING_H
#define BGD_FLOW_RING_H

#include "../file.h"
#include "flow.h"

#include <pthread.h>
#include <string.h>

/* A slot's way round: FREE -(catalogue)-> NAMED -(reader)-> READING -> READ -(worker)-> DECODING -> READY -> SCORING -> DONE
 * -(sink)-> FREE. What cannot be read or decoded, and what the ledger knows, goes straight to DONE; SAME waits for another slot
 * with the same bytes; CUT_OFF is what `wake` has kept a reader from: it has no row, and those behind it have none. */
enum state { FREE, NAMED, READING, CUT_OFF, SAME, READ, DECODING, READY, SCORING, DONE };

struct slot {
    enum state state;
    char *id, *path, *carried; /* path: NULL if the bytes came with the item */
    uint64_t shard;
    bool source; /* see item.h */
    float progress;
    uint64_t size; /* of the file and its time of change, where they are known before it is read; mtime 0: they are not */
    int64_t mtime;
    bool keep_stamp; /* the ledger is to learn them */
    struct file_buffer file;
    bool hashed; /* digest is that of the bytes */
    uint8_t digest[HASH_BYTES];
    bool known;                 /* the result was not computed for this slot */
    bool claimed;               /* the slot stands for its bytes: others with the same ones follow it */
    struct slot *next_claimed;  /* of its chain in flow.claims */
    struct slot *followers;     /* those that are SAME and wait for this one */
    struct slot *next_follower; /* of the same slot */
    struct bgd_image image;
    struct bgd_err err; /* code 0: the result holds */
    struct bgd_result result;
    float *mask; /* NULL unless masks are asked for */
    enum bgd_format format;
    uint32_t width, height;
};

/* One of the engine's, and what its calls work with: a batch. */
struct lane {
    bool busy;
    struct slot **slots;
    const struct bgd_image **images;
    struct bgd_result *results;
    float *masks; /* NULL unless masks are asked for */
};

/* Slots that wait, first come, first served. */
struct fifo {
    struct slot **slots;
    uint32_t size, at, n;
};

struct flow {
    const struct flow_options *options;
    uint8_t *memory; /* `kept` bytes for each slot's picture, where the device likes to read it; NULL: the heap is as good */
    size_t kept;     /* of a larger picture's memory nothing is kept when it has been scored */
    flow_sink sink;
    void *user;
    uint32_t batch;    /* of the engine */
    uint32_t decoders; /* workers that may decode at the same time */
    size_t mask_size;  /* floats of a mask; 0 unless masks are asked for */
    uint32_t n_slots;
    struct slot *slots; /* item i travels in slot i % n_slots */

    pthread_mutex_t lock;                  /* guards all below, and the states */
    pthread_cond_t named;                  /* for the catalogue: a slot is free again */
    pthread_cond_t to_read;                /* for readers: there may be something to read */
    pthread_cond_t work;                   /* for workers: there may be a job */
    pthread_cond_t done;                   /* for the sink: a slot is DONE */
    uint64_t next_in, next_read, next_out; /* items named, taken by a reader, given to the sink */
    uint32_t reading, decoding;
    struct slot **claims;    /* n_slots chains: the slots that have claimed their bytes, by digest */
    struct fifo read, ready; /* those that wait to be decoded, and to be scored */
    size_t file_bytes;       /* of all slots */
    size_t pixel_bytes;      /* on the heap, of the slots that are READY or SCORING */
    uint32_t n_lanes;
    struct lane *lanes;
    bool closed;        /* no further items */
    bool ended;         /* because there are none */
    bool failed;        /* everybody leaves */
    struct bgd_err err; /* the run's first error */
    struct flow_report report;
};

static inline void fifo_put(struct fifo *fifo, struct slot *slot)
{
    fifo->slots[(fifo->at + fifo->n++) % fifo->size] = slot;
}

static inline struct slot *fifo_take(struct fifo *fifo)
{
    struct slot *slot = fifo->slots[fifo->at];
    fifo->at = (fifo->at + 1) % fifo->size;
    fifo->n--;
    return slot;
}

/* The chain of the slots that have claimed bytes with this digest, and some others. */
static inline struct slot **flow_chain(const struct flow *flow, const uint8_t digest[HASH_BYTES])
{
    uint64_t key;
    memcpy(&key, digest, sizeof key);
    return &flow->claims[key % flow->n_slots];
}

/* With the lock held, all of these. */

/* No reader will hand on another item. */
static inline bool flow_all_read(const struct flow *flow)
{
    return flow->closed && flow->next_read == flow->next_in && flow->reading == 0;
}

/* Wakes a worker if there is something to do. For who makes work, and for a worker that takes a piece of it and may leave
 * another; what it makes it sees itself. */
void flow_pass_on(struct flow *flow);

/* Ends the run, and wakes everybody. `err` NULL: nothing is wrong, but the rows that are not DONE will not come. */
void flow_fail(struct flow *flow, const struct bgd_err *err);

/* The slot's row is complete; so are those of the slots that follow it. */
void flow_done(struct flow *flow, struct slot *slot);

/* Counts the bytes that the slot's file has, and gives them back. */
void flow_add_file(struct flow *flow, const struct slot *slot);
void flow_drop_file(struct flow *flow, struct slot *slot);

/* A reader's thread; the argument is the flow. */
void *flow_read_items(void *flow);

#endif
