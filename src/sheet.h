/*
 * A contact sheet: one PNG that shows cards with their verdict, score and reasons, for people to look at.
 *
 * A card is copied into a thumbnail when it is added, so its picture may be freed or reused at once, and a sheet of 400
 * takes about 85 MB, with cut-outs three times that. A sheet belongs to one thread at a time.
 */
#ifndef BGD_SHEET_H
#define BGD_SHEET_H

#include "bgdet.h"

#define SHEET_CARDS_MAX 400u

/* Thumbnails fill this box on one side at least. Pictures decoded below it look soft. */
#define SHEET_THUMB_WIDTH 228u
#define SHEET_THUMB_HEIGHT 304u

struct sheet;

/* An empty sheet. BGD_MEMORY. */
int sheet_open(struct sheet **sheet, struct bgd_err *err);

/* Frees the sheet; NULL is fine. */
void sheet_close(struct sheet *sheet);

/* What is shown of a card. All of it is copied. */
struct sheet_card {
    const char *name;                /* UTF-8, shown with its middle left out where it is too long */
    const struct bgd_image *image;   /* NULL: the thumbnail is blank */
    const struct bgd_image *mask;    /* where the object is, white; NULL for all cards, or for none but those in error; shown in
                                        the    card's own shape, whatever the network's */
    const struct bgd_image *judged;  /* what the classifier saw; as mask */
    const struct bgd_result *result; /* NULL: an error, with the line; its regions are outlined on the card */
    const char *error;               /* may be NULL */
};

/* Adds a card after the others. BGD_LIMIT for card SHEET_CARDS_MAX + 1, BGD_MEMORY; the sheet then stays as it was. */
int sheet_add(struct sheet *sheet, const struct sheet_card *card, struct bgd_err *err);

/* Draws the cards added so far into the PNG file `path`, which appears complete or not at all. BGD_ARGUMENT for an
 * empty sheet, BGD_WRITE naming the file, BGD_MEMORY. The sheet may grow and be written again. */
int sheet_write(const struct sheet *sheet, const char *path, struct bgd_err *err);

#endif
