#include "prometheus.h"

#include "../err.h"
#include "../file.h"
#include "../utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- text */

static void put_family(FILE *file, const char *name, const char *type, const char *help)
{
    fprintf(file, "# HELP bgdet_%s %s\n# TYPE bgdet_%s %s\n", name, help, name, type);
}

/* A family of a single number. */
static void put_number(FILE *file, const char *name, const char *type, const char *help, uint64_t value)
{
    put_family(file, name, type, help);
    fprintf(file, "bgdet_%s %llu\n", name, (unsigned long long)value);
}

/* One series of counts; the label's value is a name of ours, which needs no escaping. */
static void put_series(FILE *file, const char *name, const char *label, const char *of, uint64_t value)
{
    fprintf(file, "bgdet_%s{%s=\"%s\"} %llu\n", name, label, of, (unsigned long long)value);
}

/* A label with a value from outside. The format is UTF-8; what is none becomes '?', or the collector would refuse the file. */
static void put_label(FILE *file, const char *label, const char *value)
{
    fprintf(file, "%s=\"", label);
    for (const unsigned char *s = (const unsigned char *)value; *s;) {
        size_t n = utf8_length(s, SIZE_MAX);
        if (n == 0) {
            putc('?', file);
            s++;
        } else if (*s == '\n') {
            fputs("\\n", file);
            s++;
        } else {
            if (*s == '"' || *s == '\\')
                putc('\\', file);
            for (; n > 0; n--)
                putc(*s++, file);
        }
    }
    putc('"', file);
}

static void put_images(FILE *file, const struct prometheus_state *state)
{
    const struct results_counts *counts = &state->counts;
    put_family(file, "images_total", "counter", "Images that have a row, by what the row says.");
    for (int i = 0; i < BGD_VERDICTS; i++)
        put_series(file, "images_total", "result", bgd_verdict_name((enum bgd_verdict)i), counts->verdicts[i]);
    put_series(file, "images_total", "result", "error", counts->errors);

    put_family(file, "image_errors_total", "counter", "Images that could not be judged, by why.");
    for (int i = 1; i < BGD_CODES; i++)
        put_series(file, "image_errors_total", "reason", bgd_code_name(-i), counts->codes[i]);

    put_family(file, "image_reasons_total", "counter", "Images for which a reason holds; one image may have several.");
    for (int i = 0; i < BGD_REASONS; i++)
        put_series(file, "image_reasons_total", "reason", bgd_reason_name((enum bgd_reason)i), counts->reasons[i]);
}

static void put_stage(FILE *file, const char *name, const struct prometheus_stage *stage)
{
    /* printf of a double would write the comma of a locale that a program around the library has set. */
    unsigned long long microseconds = (unsigned long long)llround(stage->seconds * 1e6);
    fprintf(file, "bgdet_stage_duration_seconds_sum{stage=\"%s\"} %llu.%06llu\n", name, microseconds / 1000000,
            microseconds % 1000000);
    put_series(file, "stage_duration_seconds_count", "stage", name, stage->images);
}

static void put_work(FILE *file, const struct prometheus_state *state)
{
    put_number(file, "ledger_hits_total", "counter", "Images whose result was known of the same bytes.", state->counts.known);
    put_number(file, "read_bytes_total", "counter", "Bytes of images that were read.", state->read_bytes);
    put_family(file, "stage_duration_seconds", "summary", "Time spent on images, all threads added up, by stage.");
    put_stage(file, "read", &state->read);
    put_stage(file, "decode", &state->decode);
    put_stage(file, "segment", &state->segment);
    put_stage(file, "classify", &state->classify);
    put_stage(file, "evidence", &state->evidence);
    put_number(file, "queue_images", "gauge", "Images that wait for their row.", state->queue);
    put_number(file, "shards_total", "counter", "Shards of the output that were published.", state->shards);
}

static void put_model(FILE *file, const struct prometheus_state *state)
{
    put_family(file, "model_info", "gauge", "What judges the images; always 1.");
    fputs("bgdet_model_info{", file);
    put_label(file, "pipeline", state->pipeline);
    putc(',', file);
    put_label(file, "hash", state->hash);
    putc(',', file);
    put_label(file, "device", state->device);
    putc(',', file);
    put_label(file, "version", BGD_VERSION);
    fputs("} 1\n", file);
}

static void put_run(FILE *file, const struct prometheus_state *state)
{
    put_number(file, "start_time_seconds", "gauge", "When the run began, since the Unix epoch.", (uint64_t)state->start);
    put_number(file, "last_update_timestamp_seconds", "gauge", "When this was written, since the Unix epoch.",
               (uint64_t)state->last_update);
    put_number(file, "finished", "gauge", "1 if the run has ended.", state->finished);
    put_number(file, "exit_code", "gauge", "Exit code of a run that has ended; 0 until then.", (uint64_t)state->exit_code);
}

int prometheus_write(const char *path, const struct prometheus_state *state, struct bgd_err *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return err_set(err, BGD_MEMORY, "%s: out of memory", path);
    put_images(file, state);
    put_work(file, state);
    put_model(file, state);
    put_run(file, state);
    bool whole = !ferror(file);
    whole = fclose(file) == 0 && whole;
    int code = whole ? file_write(path, text, size, err) : err_set(err, BGD_MEMORY, "%s: out of memory", path);
    free(text);
    return code;
}
