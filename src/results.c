#include "results.h"

#include "err.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct results {
    struct results_options options;
    FILE *file;
    char *part; /* PATH.part; NULL if the rows go straight to their place */
    struct results_counts counts;
};

static int write_failed(const struct results *results, struct bgd_err *err)
{
    return err_set(err, BGD_WRITE, "%s: %s", results_place(results), strerror(errno));
}

const char *results_place(const struct results *results)
{
    return results->part ? results->part : results->options.path ? results->options.path : "standard output";
}

const struct results_counts *results_counts(const struct results *results)
{
    return &results->counts;
}

static const char csv_header[] = "id,status,verdict,score,text,not_white,extra_objects,cropped,duplicates,evidence,"
                                 "width,height,format,hash,model,error_code,error_detail\r\n";

static bool write_head(const struct results *results)
{
    if (results->options.form == RESULTS_CSV)
        return fputs(csv_header, results->file) >= 0;
    if (results->options.form == RESULTS_TABLE)
        return fprintf(results->file, "%-9s  %5s  %-44s  %s\n", "verdict", "score", "reasons", "card") > 0;
    return true;
}

/* Neither follows a link that somebody has put at PATH.part, nor waits for a FIFO's reader there, nor shares it. */
static int open_part(struct results *results, struct bgd_err *err)
{
    int fd = open(results->part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    struct stat st;
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode))
        err_set(err, BGD_ARGUMENT, "%s: there is something that is no file", results->part);
    else if (flock(fd, LOCK_EX | LOCK_NB))
        err_set(err, BGD_WRITE, "%s: another run is writing it", results->part);
    else if (ftruncate(fd, 0) == 0)
        return fd;
    else
        write_failed(results, err);
    close(fd);
    return -1;
}

static int open_file(struct results *results, struct bgd_err *err)
{
    err->code = BGD_OK;
    int fd = results->part ? open_part(results, err) : open(results->options.path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && (results->file = fdopen(fd, "w")))
        return 0;
    if (err->code)
        return err->code;
    bool ours = errno == ENOENT || errno == ENOTDIR || errno == EISDIR || errno == EACCES || errno == EROFS || errno == ELOOP;
    err_set(err, ours ? BGD_ARGUMENT : BGD_WRITE, "%s: %s", results_place(results), strerror(errno));
    if (fd >= 0)
        close(fd);
    return err->code;
}

int results_open(const struct results_options *options, struct results **out, struct bgd_err *err)
{
    *out = NULL;
    struct results *results = calloc(1, sizeof *results);
    if (!results)
        return err_set(err, BGD_MEMORY, "out of memory");
    results->options = *options;
    struct stat st;
    bool exists = options->path && stat(options->path, &st) == 0;
    bool in_part = options->path && (!exists || S_ISREG(st.st_mode));
    if (exists && S_ISDIR(st.st_mode)) {
        err_set(err, BGD_ARGUMENT, "%s: a folder, expected a file to write", options->path);
        goto fail;
    }
    if (in_part && asprintf(&results->part, "%s.part", options->path) < 0) {
        results->part = NULL;
        err_set(err, BGD_MEMORY, "out of memory");
        goto fail;
    }
    if (options->path ? open_file(results, err) : (results->file = stdout, 0))
        goto fail;
    if (!write_head(results)) {
        write_failed(results, err);
        goto fail;
    }
    *out = results;
    return 0;
fail:
    results_close(results);
    return err->code;
}

void results_close(struct results *results)
{
    if (!results)
        return;
    if (results->file && results->file != stdout)
        fclose(results->file);
    free(results->part);
    free(results);
}

int results_finish(struct results *results, bool complete, struct bgd_err *err)
{
    if (fflush(results->file) || ferror(results->file))
        return write_failed(results, err);
    results->counts.safe = results->counts.rows;
    if (!results->part)
        return 0;
    /* A rename that survives a crash where the rows do not would look like a complete file. */
    if (complete && (fsync(fileno(results->file)) || rename(results->part, results->options.path)))
        return write_failed(results, err);
    return 0;
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
    FILE *file = results->file;
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
    if (row->code) {
        fprintf(file, ",\"error\":{\"code\":\"%s\",\"detail\":", bgd_code_name(row->code));
        put_json(file, row->detail);
        putc('}', file);
    }
    fputs("}\n", file);
}

static void put_csv_row(const struct results *results, const struct flow_row *row)
{
    FILE *file = results->file;
    put_csv(file, row->id);
    if (row->code) {
        fprintf(file, ",error,,,,,,,,,,,,%s,%s,%s,", row->hash, results->options.model_hash, bgd_code_name(row->code));
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
    fprintf(file, ",%u,%u,%s,%s,%s,,\r\n", row->width, row->height, bgd_format_name(row->format), row->hash,
            results->options.model_hash);
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
    FILE *file = results->file;
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

static void count(struct results_counts *counts, const struct flow_row *row)
{
    counts->rows++;
    if (row->code) {
        counts->errors++;
        return;
    }
    counts->verdicts[row->result.verdict]++;
    for (int i = 0; i < BGD_REASONS; i++)
        counts->reasons[i] += row->result.holds[i];
}

int results_add(void *user, const struct flow_row *row, struct bgd_err *err)
{
    struct results *results = user;
    count(&results->counts, row);
    if (results->options.form == RESULTS_JSONL)
        put_jsonl(results, row);
    else if (results->options.form == RESULTS_CSV)
        put_csv_row(results, row);
    else
        put_table_row(results, row);
    /* Whoever reads a pipe gets each row as soon as there is nothing more to send with it. */
    if ((!row->more && fflush(results->file)) || ferror(results->file))
        return write_failed(results, err);
    if (!row->more)
        results->counts.safe = results->counts.rows;
    return 0;
}
