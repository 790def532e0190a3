/* Readers: an item's bytes and their hash, or what the ledger knows of them. */
#include "../clock.h"
#include "../err.h"
#include "flow_ring.h"
#include "../sources/remote.h"
#include "../wake.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* One thread, and its connections. */
struct reader {
    struct flow *flow;
    struct remote *remote; /* NULL until the first remote object */
};

/* What became of an item. */
enum outcome { TO_DECODE, COMPLETE, FOLLOWS, BROKEN_OFF };

static void take_entry(struct slot *slot, const struct ledger_entry *entry)
{
    slot->err.code = (enum bgd_code)entry->code;
    memcpy(slot->err.text, entry->detail, sizeof slot->err.text);
    slot->result = entry->result;
    slot->format = entry->format;
    slot->width = entry->width;
    slot->height = entry->height;
    slot->known = true;
}

/* 1: the ledger knows the slot's bytes, 0: not, or they are to be tried again; negative: an error. */
static int look_up(const struct flow *flow, struct slot *slot, struct bgd_err *err)
{
    struct ledger_entry entry;
    int found = ledger_find(flow->options->ledger, slot->digest, &entry, err);
    if (found == 1 && !(flow->options->retry >> -entry.code & 1))
        take_entry(slot, &entry);
    return found == 1 ? slot->known : found;
}

/* A file that changed a moment ago may change again within the same tick of its clock, unseen: its time proves nothing yet. Asked
 * before the file is read: what changes it later has a later time. */
#define SETTLED_NS (2ll * 1000000000)

static bool is_settled(int64_t mtime)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - mtime > SETTLED_NS;
}

/* Fills size and mtime from the file itself, where the manifest has not said them. */
static void find_stamp(struct slot *slot)
{
    struct stat st;
    if (slot->mtime || remote_is(slot->path) || stat(slot->path, &st) || !S_ISREG(st.st_mode))
        return;
    slot->size = (uint64_t)st.st_size;
    slot->mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

/* As look_up, of a file whose size and time are those that the ledger has seen. */
static int look_up_file(const struct flow *flow, struct slot *slot, struct bgd_err *err)
{
    if (!flow->options->trust_mtime || !slot->path)
        return 0;
    find_stamp(slot);
    if (!slot->mtime)
        return 0;
    int found = ledger_find_file(flow->options->ledger, slot->path, slot->size, slot->mtime, slot->digest, err);
    if (found == 1)
        found = look_up(flow, slot, err);
    slot->hashed = found == 1;
    slot->keep_stamp = found == 0 && is_settled(slot->mtime);
    return found;
}

/*
 * Makes the slot the one that stands for its bytes, unless another is: then it follows that one. The sink's thread tells the
 * ledger of a result before it frees the slot, so between the ring and the ledger nothing falls through.
 */
static bool claim(struct flow *flow, struct slot *slot)
{
    pthread_mutex_lock(&flow->lock);
    struct slot **chain = flow_chain(flow, slot->digest), *other = *chain;
    while (other && memcmp(other->digest, slot->digest, HASH_BYTES) != 0)
        other = other->next_claimed;
    if (other) {
        if (!flow->options->files)
            flow_drop_file(flow, slot);
        slot->state = SAME;
        slot->next_follower = other->followers;
        other->followers = slot;
        if (other->state == DONE)
            flow_done(flow, other);
    } else {
        slot->claimed = true;
        slot->next_claimed = *chain;
        *chain = slot;
    }
    pthread_mutex_unlock(&flow->lock);
    return !other; /* a slot that follows is no longer this thread's */
}

static int read_path(struct reader *reader, const char *path, struct file_buffer *file, struct bgd_err *err)
{
    if (!remote_is(path))
        return file_read(path, BGD_IMAGE_BYTES_MAX, file, err);
    if (!reader->remote && remote_open(reader->flow->options->wake, &reader->remote, err))
        return err->code;
    return remote_read(reader->remote, path, BGD_IMAGE_BYTES_MAX, file, err);
}

static int fetch(struct reader *reader, struct slot *slot)
{
    struct flow *flow = reader->flow;
    if (!slot->path)
        return 0;
    double start = clock_now();
    int code = read_path(reader, slot->path, &slot->file, &slot->err);
    double seconds = clock_now() - start;
    if (code) { /* a part is no file */
        free(slot->file.data);
        slot->file = (struct file_buffer){0};
    }
    slot->keep_stamp = slot->keep_stamp && slot->file.size == slot->size; /* or it is not of these bytes */
    pthread_mutex_lock(&flow->lock);
    flow->report.read += seconds;
    flow_add_file(flow, slot);
    pthread_mutex_unlock(&flow->lock);
    return code;
}

static enum outcome read_item(struct reader *reader, struct slot *slot, struct bgd_err *err)
{
    struct flow *flow = reader->flow;
    err->code = BGD_OK;
    if (slot->err.code) /* the catalogue says why */
        return COMPLETE;
    if (flow->options->ledger && look_up_file(flow, slot, err))
        return COMPLETE;
    if (fetch(reader, slot)) /* after a wake NETWORK says nothing of the object */
        return slot->err.code == BGD_NETWORK && wake_is_up(flow->options->wake) ? BROKEN_OFF : COMPLETE;
    hash_bytes(slot->file.data, slot->file.size, slot->digest);
    slot->hashed = true;
    if (!flow->options->ledger)
        return TO_DECODE;
    if (!claim(flow, slot))
        return FOLLOWS;
    return look_up(flow, slot, err) ? COMPLETE : TO_DECODE;
}

/* Is it the machine's fault, or the settings', rather than the card's? Then the run is to be tried again. */
static bool is_of_the_run(int code)
{
    return code == BGD_MEMORY || code == BGD_ARGUMENT;
}

/* Called, and left, with the lock held; works without it. */
static void read_next(struct reader *reader)
{
    struct flow *flow = reader->flow;
    struct slot *slot = &flow->slots[flow->next_read++ % flow->n_slots];
    assert(slot->state == NAMED);
    slot->state = READING;
    flow->reading++;
    pthread_mutex_unlock(&flow->lock);
    struct bgd_err err;
    enum outcome outcome = read_item(reader, slot, &err);
    pthread_mutex_lock(&flow->lock);
    flow->reading--;
    if (err.code) {
        flow_fail(flow, &err);
    } else if (outcome == COMPLETE && is_of_the_run(slot->err.code)) {
        err_prefix(&slot->err, "%s: ", slot->id);
        flow_fail(flow, &slot->err);
    } else if (outcome == COMPLETE) {
        if (!flow->options->files)
            flow_drop_file(flow, slot);
        flow_done(flow, slot);
    } else if (outcome == BROKEN_OFF) {
        slot->state = CUT_OFF;
        pthread_cond_signal(&flow->done);
    } else if (outcome == TO_DECODE) {
        slot->state = READ;
        fifo_put(&flow->read, slot);
        flow_pass_on(flow);
    }
    if (flow_all_read(flow))
        pthread_cond_broadcast(&flow->work);
}

/* Is there an item for which there is room? One that came with its bytes needs none. The one that the sink waits for is read in
 * any case: what takes the room may be behind it. */
static bool may_read(const struct flow *flow)
{
    bool room = flow->file_bytes <= FLOW_FILE_BYTES || flow->next_read == flow->next_out;
    return flow->next_read < flow->next_in && (room || !flow->slots[flow->next_read % flow->n_slots].path);
}

void *flow_read_items(void *argument)
{
    struct flow *flow = argument;
    struct reader reader = {.flow = flow};
    pthread_mutex_lock(&flow->lock);
    while (!flow->failed) {
        if (may_read(flow))
            read_next(&reader);
        else if (flow->closed && flow->next_read == flow->next_in)
            break;
        else
            pthread_cond_wait(&flow->to_read, &flow->lock);
    }
    pthread_mutex_unlock(&flow->lock);
    remote_close(reader.remote);
    return NULL;
}
