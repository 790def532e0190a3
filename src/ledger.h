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
 * All functions but open and close may be called from any thread. Several processes of one machine may share a database;
 * a network file system is not for it (SQLite's own rule for WAL): give each machine its own. What was kept is committed every
 * LEDGER_BATCH results and when the ledger is closed; a process that is killed loses the rest, which is scored again, and
 * leaves a database that opens and is consistent.
 */
#ifndef BGD_LEDGER_H
#define BGD_LEDGER_H

#include "bgdet.h"
#include "hash.h"

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

/* Opens or creates the database. BGD_ARGUMENT: it is no ledger, or one of a newer version; BGD_DAMAGED; BGD_WRITE: it cannot be
 * written, or stays locked for 30 s. The line names the file. */
int ledger_open(const char *path, const char *settings, struct ledger **ledger, struct bgd_err *err);

/* Commits. After a failure nothing is torn, but the last results are not kept. Frees in any case. */
int ledger_close(struct ledger *ledger, struct bgd_err *err);

/* 1: `entry` is what is known of the picture; 0: nothing is; negative: an error. */
int ledger_find(struct ledger *ledger, const uint8_t hash[HASH_BYTES], struct ledger_entry *entry, struct bgd_err *err);

/* Keeps the entry, in the place of the one that is there. */
int ledger_keep(struct ledger *ledger, const uint8_t hash[HASH_BYTES], const struct ledger_entry *entry, struct bgd_err *err);

/* The same for the hash of a file of that name, size and time of change (nanoseconds since 1970). */
int ledger_find_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, uint8_t hash[HASH_BYTES],
                     struct bgd_err *err);
int ledger_keep_file(struct ledger *ledger, const char *name, uint64_t size, int64_t mtime, const uint8_t hash[HASH_BYTES],
                     struct bgd_err *err);

#endif
