#include "results.h"

#include "../err.h"
#include "output.h"
#include "../utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct results {
    struct results_options options;
    struct output *output;
    struct results_counts counts;
};

const char *results_place(const struct results *results)
{
    return output_place(results->output);
}

const struct results_counts *results_counts(const struct results *results)
{
    return &results->counts;
}

static const char csv_header[] = "id,status,verdict,score,text,not_white,extra_objects,cropped,duplicates,evidence,"
                                 "width,height,format,hash,model,carried,error_code,error_detail\r\n";

static bool write_head(const struct results *results)
{
    FILE *file = output_stream(results->output);
    if (results->options.form == RESULTS_CSV)
        return fputs(csv_header, file) >= 0;
    if (results->options.form == RESULTS_TABLE)
        return fprintf(file, "%-9s  %5s  %-44s  %s\n", "verdict", "score", "reasons", "card") > 0;
    return true;
}

int results_open(const struct results_options *options, struct results **out, struct bgd_err *err)
{
    *out = NULL;
    struct results *results = calloc(1, sizeof *results);
    if (!results)
        return err_set(err, BGD_MEMORY, "out of memory");
    results->options = *options;
    if (output_open(options->path, &results->output, err) || (!write_head(results) && output_failed(results->output, err))) {
        results_close(results);
        return err->code;
    }
    *out = results;
    return 0;
}

void results_close(struct results *results)
{
    if (!results)
        return;
    output_close(results->output);
    free(results);
}

int results_seal(struct results *results, char hash[HASH_TEXT], struct bgd_err *err)
{
    if (output_seal(results->output, hash, err))
        return err->code;
    results->counts.safe = results->counts.rows;
    return 0;
}

int results_publish(struct results *results, struct bgd_err *err)
{
    return output_publish(results->output, err);
}

/* ---------------------------------------------------------------- text */

/* A JSON string; see the header for bytes that are not UTF-8. */
static void put_json(FILE *file, const char *text)
{
    putc('"', file);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s, SIZE_MAX);
        if (n == 0)
            fprintf(file, "\\udc%02x", *s++);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(file, "\\u%04x", *s++);
        else if (*s == '"' || *s == '\\')
            fprintf(file, "\\%c", *s++);
        else
            for (; n > 0; n--)
                putc(*s++, file);
    }
    putc('"', file);
}

static void put_csv(FILE *file, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, file);
        return;
    }
    putc('"', file);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', file);
        putc(*text, file);
    }
    putc('"', file);
}

/* ---------------------------------------------------------------- rows */

static const char *verdict(const struct flow_row *row)
{
    return bgd_verdict_name(row->result.verdict);
}

static void put_json_evidence(FILE *file, const struct bgd_result *result)
{
    for (uint32_t i = 0; i < result->n_regions; i++) {
        const struct bgd_region *r = &result->regions[i];
        fprintf(file, "%s{\"reason\":\"%s\",\"box\":[%.4f,%.4f,%.4f,%.4f],\"share\":%.4f", i ? "," : ",\"evidence\":[",
                bgd_reason_name(r->reason), (double)r->left, (double)r->top, (double)r->right, (double)r->bottom,
                (double)r->share);
        if (r->side != BGD_NO_SIDE)
            fprintf(file, ",\"side\":\"%s\"", bgd_side_name(r->side));
        putc('}', file);
    }
    if (result->n_regions)
        putc(']', file);
}

static void put_csv_evidence(FILE *file, const struct bgd_result *result)
{
    for (uint32_t i = 0; i < result->n_regions; i++) {
        const struct bgd_region *r = &result->regions[i];
        fprintf(file, "%s%s %.4f %.4f %.4f %.4f", i ? "; " : "", bgd_reason_name(r->reason), (double)r->left, (double)r->top,
                (double)r->right, (double)r->bottom);
    }
}

static void put_jsonl(const struct results *results, const struct flow_row *row)
{
    FILE *file = output_stream(results->output);
    fputs("{\"id\":", file);
    put_json(file, row->id);
    fprintf(file, ",\"status\":\"%s\"", row->code ? "error" : "ok");
    if (!row->code) {
        fprintf(file, ",\"verdict\":\"%s\",\"score\":%.6f,\"reasons\":{", verdict(row), (double)row->result.score);
        const char *comma = "";
        for (int i = 0; i < BGD_REASONS; i++) {
            if (isnan(row->result.reasons[i]))
                continue;
            fprintf(file, "%s\"%s\":%.6f", comma, bgd_reason_name((enum bgd_reason)i), (double)row->result.reasons[i]);
            comma = ",";
        }
        putc('}', file);
        put_json_evidence(file, &row->result);
        fprintf(file, ",\"width\":%u,\"height\":%u,\"format\":\"%s\"", row->width, row->height, bgd_format_name(row->format));
    }
    if (*row->hash)
        fprintf(file, ",\"hash\":\"%s\"", row->hash);
    fprintf(file, ",\"model\":\"%s\"", results->options.model_hash);
    if (row->carried)
        fprintf(file, ",\"carried\":%s", row->carried);
    if (row->code) {
        fprintf(file, ",\"error\":{\"code\":\"%s\",\"detail\":", bgd_code_name(row->code));
        put_json(file, row->detail);
        putc('}', file);
    }
    fputs("}\n", file);
}

static void put_csv_row(const struct results *results, const struct flow_row *row)
{
    FILE *file = output_stream(results->output);
    put_csv(file, row->id);
    if (row->code) {
        fprintf(file, ",error,,,,,,,,,,,,%s,%s,", row->hash, results->options.model_hash);
        put_csv(file, row->carried ? row->carried : "");
        fprintf(file, ",%s,", bgd_code_name(row->code));
        put_csv(file, row->detail);
        fputs("\r\n", file);
        return;
    }
    fprintf(file, ",ok,%s,%.6f", verdict(row), (double)row->result.score);
    for (int i = 0; i < BGD_REASONS; i++) {
        putc(',', file);
        if (!isnan(row->result.reasons[i]))
            fprintf(file, "%.6f", (double)row->result.reasons[i]);
    }
    putc(',', file);
    put_csv_evidence(file, &row->result);
    fprintf(file, ",%u,%u,%s,%s,%s,", row->width, row->height, bgd_format_name(row->format), row->hash,
            results->options.model_hash);
    put_csv(file, row->carried ? row->carried : "");
    fputs(",,\r\n", file);
}

#define REASONS_TEXT 128

/* "text 97 %, not white 81 %": those that hold, the strongest first; of a card that is not clean at least the strongest. */
static void list_reasons(const struct flow_row *row, char text[REASONS_TEXT])
{
    bool listed[BGD_REASONS] = {false};
    size_t used = 0;
    text[0] = 0;
    for (int n = 0; n < BGD_REASONS; n++) {
        int best = -1;
        for (int i = 0; i < BGD_REASONS; i++)
            if (!listed[i] && !isnan(row->result.reasons[i]) &&
                (best < 0 || row->result.reasons[i] > row->result.reasons[best]))
                best = i;
        if (best < 0 || (!row->result.holds[best] && (n > 0 || row->result.verdict == BGD_CLEAN)))
            return;
        listed[best] = true;
        int put = snprintf(text + used, REASONS_TEXT - used, "%s%s %.0f %%", n ? ", " : "",
                           bgd_reason_name((enum bgd_reason)best), (double)row->result.reasons[best] * 100);
        used += put > 0 ? (size_t)put : 0;
    }
}

static void put_table_row(const struct results *results, const struct flow_row *row)
{
    char reasons[REASONS_TEXT] = "";
    static const char *const colours[] = {[BGD_CLEAN] = "\033[32m", [BGD_REVIEW] = "\033[36m", [BGD_DEFECTIVE] = "\033[31m"};
    const char *colour = row->code ? "\033[33m" : colours[row->result.verdict];
    FILE *file = output_stream(results->output);
    if (results->options.colour)
        fputs(colour, file);
    fprintf(file, "%-9s", row->code ? "error" : verdict(row));
    if (results->options.colour)
        fputs("\033[0m", file);
    if (row->code) {
        fprintf(file, "  %5s  ", "");
        utf8_print(file, row->id);
        fprintf(file, ": %s: ", bgd_code_name(row->code));
        utf8_print(file, row->detail);
    } else {
        list_reasons(row, reasons);
        fprintf(file, "  %3.0f %%  %-44s  ", (double)row->result.score * 100, reasons);
        utf8_print(file, row->id);
    }
    putc('\n', file);
}

void results_count(struct results_counts *counts, const struct flow_row *row)
{
    counts->rows++;
    counts->known += row->known;
    if (row->code) {
        counts->errors++;
        counts->codes[-row->code]++;
        counts->sources += row->source;
        counts->unfetched += row->source && row->code == BGD_NETWORK;
        return;
    }
    counts->scored += !row->known;
    counts->verdicts[row->result.verdict]++;
    for (int i = 0; i < BGD_REASONS; i++)
        counts->reasons[i] += row->result.holds[i];
}

int results_add(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct results *results = user;
    results_count(&results->counts, row);
    if (results->options.form == RESULTS_JSONL)
        put_jsonl(results, row);
    else if (results->options.form == RESULTS_CSV)
        put_csv_row(results, row);
    else
        put_table_row(results, row);
    /* Whoever reads a pipe gets each row as soon as there is nothing more to send with it. */
    FILE *file = output_stream(results->output);
    if ((!row->more && fflush(file)) || ferror(file))
        return output_failed(results->output, err);
    if (!row->more)
        results->counts.safe = results->counts.rows;
    return 0;
}
