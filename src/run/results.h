/*
 * Rows as text: JSON lines for programs, CSV for spreadsheets, a table for people.
 *
 * JSONL, one object a line, fields in this order:
 *   "id"      the name as it was given. Bytes that are not UTF-8 are written as lone surrogates \udc80..\udcff, which
 *             Python's os.fsencode and others turn back (PEP 383): no name is lost
 *   "status"  "ok" or "error"
 *   "verdict" "clean", "defective", or "review" where the model has a band for it; "score" P(defective); "reasons" {name: P} of those that the model knows;
 *   "evidence" [{"reason", "box": [left, top, right, bottom] in shares of the picture, "share" of its area, "side" of a cropped
 *             one}], where the reasons show (struct bgd_region); absent without regions
 *   "width", "height", "format" of the picture                                                 (these seven: if ok)
 *   "hash"    XXH3-128 of the file's bytes; absent if it could not be read
 *   "model"   the pipeline's hash (bgd_pipeline_hash); a classifier's own, as `inspect` shows it, if it stands alone
 *   "carried" what the card's source says of it: members of a manifest's line, or the fields beside a picture in a tar, as an object
 *             keyed by extension; absent if there are none
 *   "error"   {"code": bgd_code_name, "detail": one line}                                        (if error)
 * CSV has a header and the same fields as columns: id,status,verdict,score,text,not_white,extra_objects,cropped,duplicates,
 * evidence,width,height,format,hash,model,carried,error_code,error_detail (RFC 4180; bytes of a name as they are; carried as JSON); evidence is
 * "text 0.1000 0.2000 0.3000 0.4000; cropped ...": reasons and boxes, without shares and sides.
 * Probabilities have 6 decimals, boxes and shares 4. There are no timings: the same bytes, model and settings give the same row.
 */
#ifndef BGD_RESULTS_H
#define BGD_RESULTS_H

#include "flow.h"
#include "../hash.h"

enum results_form { RESULTS_JSONL, RESULTS_CSV, RESULTS_TABLE };

struct results_options {
    const char *path; /* NULL: standard output */
    enum results_form form;
    bool colour;            /* ANSI colours in a table */
    const char *model_hash; /* for "model"; borrowed */
};

struct results_counts {
    uint64_t rows, verdicts[BGD_VERDICTS], errors;
    uint64_t codes[BGD_CODES];     /* errors by -code */
    uint64_t sources;              /* errors that stand for a whole shard that cannot be read (on) */
    uint64_t unfetched;            /* of these: those that the network did not give; another time it may */
    uint64_t known;                /* rows whose result was not computed, but known from the ledger or from the same picture */
    uint64_t scored;               /* rows with a verdict that was computed */
    uint64_t reasons[BGD_REASONS]; /* rows for which the reason holds */
    uint64_t safe;                 /* rows that have left the program's buffer: those that stand if the run ends here */
};

/* Counts the row. */
void results_count(struct results_counts *counts, const struct flow_row *row);

struct results;

/* Opens output.h's file for the rows. */
int results_open(const struct results_options *options, struct results **results, struct bgd_err *err);

/* A flow_sink with the results as its user. BGD_WRITE: disk full, closed pipe. */
int results_add(void *results, const struct flow_row *row, struct bgd_err *err);

/* As output_seal and output_publish: no more rows follow; the file gets its name. */
int results_seal(struct results *results, char hash[HASH_TEXT], struct bgd_err *err);
int results_publish(struct results *results, struct bgd_err *err);
void results_close(struct results *results);

const struct results_counts *results_counts(const struct results *results);

/* As output_place. */
const char *results_place(const struct results *results);

#endif
