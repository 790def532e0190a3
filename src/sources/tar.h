/*
 * A shard: a tar of cards, as WebDataset has them (https://github.com/webdataset/webdataset, "The WebDataset Format").
 *
 * Entries that have the same name up to the first dot of its last component, and follow each other, are one sample; what is
 * behind that dot is the extension. Entries without an extension, or with nothing before it, belong to none, nor do folders,
 * links and devices.
 * Each picture of a sample (jpg, jpeg, png, webp, gif, bmp, tga as the last part of the extension, in any case) is an item, and
 * what else the sample has is carried with it, by extension in lower case:
 *
 *     0001.jpg  0001.json  0001.txt    the item SHARD/0001.jpg, with {"json":{...},"txt":"..."}
 *
 * A .json that is JSON is carried as it is, other text (UTF-8 without NUL, at most TAR_FIELD_BYTES) as a string without the line
 * end at its end, anything else is not. The first of two entries with the same extension counts. A sample has at most
 * TAR_SAMPLE_ENTRIES entries and about TAR_SAMPLE_BYTES: what is beyond makes a sample of its own.
 *
 * ustar, pax, GNU and old tars are read, several behind each other as one, plain or packed by gzip or zstd, whatever the name
 * says. Nothing is written to disk: a name is a name, even "../../x". What a packed shard may cost is bounded by
 * TAR_EXPANSION_MAX.
 */
#ifndef BGD_TAR_H
#define BGD_TAR_H

#include "item.h"
#include "remote.h"

#define TAR_FIELD_BYTES (64u << 10)
#define TAR_SAMPLE_ENTRIES 64u
#define TAR_SAMPLE_BYTES (64u << 20)
#define TAR_EXPANSION_MAX 1000u       /* bytes that a packed byte may become, */
#define TAR_EXPANSION_FREE (1u << 30) /* once there are more than these */

struct tar;

/* Whether a file or object of that name is a shard: .tar, .tar.gz, .tgz, .tar.zst; what follows a '?' of an object is its query. */
bool tar_is(const char *name);

/*
 * `remote` serves names that remote_is knows, and outlives the tar; else it may be NULL. `wake`: a descriptor that becomes readable when
 * reading is to end at once, with BGD_NETWORK; NULL: never. BGD_MISSING, BGD_UNREADABLE, BGD_NETWORK, BGD_MEMORY. Texts of this and tar_next do not repeat the name.
 */
int tar_open(const char *name, struct remote *remote, const int *wake, struct tar **tar, struct bgd_err *err);
void tar_close(struct tar *tar);

/*
 * 1: `item` is the next picture: id, size, carried, code and detail, borrowed until the next call, and data, which is the
 * caller's. 0: there are no more. Negative, after every picture that was whole: BGD_DAMAGED (not a tar, cut short, against the
 * rules), BGD_LIMIT (TAR_EXPANSION_MAX), BGD_UNREADABLE, BGD_NETWORK, BGD_MEMORY; and again the same from then on.
 */
int tar_next(struct tar *tar, struct item *item, struct bgd_err *err);

/* The share of its bytes that has been read, 0..1; 0 if they are not known. */
float tar_progress(const struct tar *tar);

#endif
