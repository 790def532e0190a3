/*
 * A file that is written piece by piece and appears complete or not at all: what is written stands in PATH.part, which is
 * locked meanwhile (a second writer of the same file is refused) and takes PATH's name at the end, when the disk has it. A PATH
 * that is no regular file (/dev/null, a pipe), and standard output, are written as they are.
 *
 * PATH.part stays where writing ended early; whoever writes PATH next begins it anew. Locks are flock's: on a network file system
 * they hold as far as it has them.
 */
#ifndef BGD_OUTPUT_H
#define BGD_OUTPUT_H

#include "bgdet.h"
#include "../hash.h"

#include <stdio.h>

struct output;

/* NULL: standard output. BGD_ARGUMENT: `path` is a folder, or in none, or may not be written; BGD_WRITE: everything else. Both
 * name the file. */
int output_open(const char *path, struct output **output, struct bgd_err *err);

/* Frees; what is not finished stays in PATH.part. */
void output_close(struct output *output);

/* What to write to. Its writes go on after EINTR and short ones; others fail it (ferror). */
FILE *output_stream(struct output *output);

/* Where what is written stands: "PATH.part", PATH itself, or "standard output". */
const char *output_place(const struct output *output);

/* The error that `errno` is, for the file: BGD_WRITE. */
int output_failed(const struct output *output, struct bgd_err *err);

/* Nothing more follows: flushes, and syncs a file, once: after an fsync that failed the disk may lack what the next one says it
 * has. Then `hash`, unless NULL, is the hash of all that was written. */
int output_seal(struct output *output, char hash[HASH_TEXT], struct bgd_err *err);

/* Gives the file, sealed, its name, and syncs the folder. */
int output_publish(struct output *output, struct bgd_err *err);

#endif
