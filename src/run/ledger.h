/*
 * What is known of pictures from earlier nights: results by content, kept in an SQLite database (WAL).
 *
 * A result belongs to a picture's hash and to the settings that it was made with (pipeline, device, precision, decoding,
 * version: one text; results of other settings stand beside it and are not seen). So a picture that has not changed keeps its
 * row without being decoded again, and one that has two names is scored once. Pictures that cannot be judged (damaged, ...)
 * are kept, too: the same bytes fail the same way.
 *
 * Beside them, where asked for, the hash of each file by name, size and time of change: with that, an unchanged file need not
 * even be read.
 *
 * What is kept waits in memory and is written in one short transaction: after LEDGER_BATCH calls of keep, and when the ledger
 * is closed. Finding sees it at once, other processes when it is written.
 *   Killed     The process loses what waits, at most LEDGER_BATCH calls, and leaves a database that opens and is consistent.
 *   Power cut  May also take the last transactions (synchronous=NORMAL). Either way the pictures are only scored again.
 *   Failure    Of a write that fails, nothing is written. From then on every call fails with that same error, close, too: no
 *              picture is taken for kept that is not.
 *   Sharing    Processes of one machine may share a database; each waits up to 30 s for another's transaction, and so do the
 *              threads that use this ledger meanwhile. A network file system is not for it (SQLite's own rule for WAL): give
 *              each machine its own.
 *   Threads    All functions but open and close may be called from any thread. Not across fork.
 *   Size       Some 70 bytes a card in the database and 22 more a region; a file's name takes its length and some 45.
 *   Trust      Rows are checked as they are read, but a hash is XXH3-128, which is not cryptographic: who can forge a picture
 *              with the hash of another (a seller who knows how, say) gets the other's row. Where that matters, use no ledger.
 */
#ifndef BGD_LEDGER_H
#define BGD_LEDGER_H

#include "bgdet.h"
#include "../hash.h"

#define LEDGER_BATCH 1000

struct ledger;

/* What a row says of a picture's bytes. */
struct ledger_entry {
    int code;          /* 0, or why it could not be judged */
    char detail[1024]; /* of a failure */
    struct bgd_result result;
    enum bgd_format format;
    uint32_t width, height;
};

/* Opens the database, or creates it where there is no file or an empty one; the folder must exist. The line names the file.
 * BGD_ARGUMENT: it is no ledger, or one of another version (it is left as it is); BGD_DAMAGED; BGD_WRITE: it cannot be written,
 * or stays locked for 30 s; BGD_MEMORY. */
int ledger_open(const char *path, const char *settings, struct ledger **ledger, struct bgd_err *err);

/* Writes what waits, and frees the ledger in any case. BGD_WRITE: it was not written. NULL is fine. */
int ledger_close(struct ledger *ledger, struct bgd_err *err);

/* 1: `entry` is what is known of the picture; 0: nothing is; negative: an error, and `entry` means nothing. BGD_DAMAGED: its
 * row is not what a ledger writes; the line names file and hash. It does not stick as a failure does. */
int ledger_find(struct ledger *ledger, const uint8_t hash[HASH_BYTES], struct ledger_entry *entry, struct bgd_err *err);

/* Keeps the entry, in the place of the one that is there. Regions after n_regions are not kept. Keep no failure that is not the
 * bytes' own (BGD_NETWORK, BGD_MEMORY, ...): it would stay. BGD_WRITE: see Failure; BGD_DAMAGED; BGD_MEMORY. */
int ledger_keep(struct ledger *ledger, const uint8_t hash[HASH_BYTES], const struct ledger_entry *entry, struct bgd_err *err);

/* The same for the hash of a file of that name, size and time of change (nanoseconds since 1970). A name has one: of another
 * size or time it is not found, and keeping it replaces the old one. */
int ledger_find_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, uint8_t hash[HASH_BYTES],
                     struct bgd_err *err);
int ledger_keep_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, const uint8_t hash[HASH_BYTES],
                     struct bgd_err *err);

#endif
