/*
 * A run's numbers for whoever watches many of them: a text file that node_exporter's textfile collector gives to Prometheus.
 *
 *   bgdet_images_total{result}               counter  rows: "clean", "review", "defective", "error"
 *   bgdet_image_errors_total{reason}         counter  of those with "error": bgd_code_name
 *   bgdet_image_reasons_total{reason}        counter  rows for which a reason holds: bgd_reason_name; one row may have several
 *   bgdet_ledger_hits_total                  counter  rows whose result was known of the same bytes (results.h)
 *   bgdet_read_bytes_total                   counter
 *   bgdet_stage_duration_seconds{stage}      summary  "read", "decode", "segment", "classify", "evidence": its _sum, all
 *                                                     threads added up, and the _count of pictures
 *   bgdet_queue_images                       gauge    pictures that are named and have no row yet
 *   bgdet_shards_total                       counter  shards published
 *   bgdet_model_info{pipeline,hash,device,version}  1
 *   bgdet_start_time_seconds                 gauge    when the run began, and
 *   bgdet_last_update_timestamp_seconds      gauge    when this was written: both seconds since 1970
 *   bgdet_finished                           gauge    1: the run has ended; the file is its last
 *   bgdet_exit_code                          gauge    of a run that has ended; 0 until then
 *
 * Counters count from the start of the run; Prometheus takes the next run's for a counter's reset. Every series is there from
 * the first file on, in the same order. Two files of one machine would be the same series twice, which the collector refuses:
 * a machine has one run that is watched.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
 * https://prometheus.io/docs/practices/naming/
 */
#ifndef BGD_PROMETHEUS_H
#define BGD_PROMETHEUS_H

#include "results.h"

struct prometheus_stage {
    double seconds; /* of all threads; finite, not negative */
    uint64_t images;
};

struct prometheus_state {
    const char *pipeline, *hash, *device; /* bgd_pipeline_name, bgd_pipeline_hash, bgd_engine_device; borrowed */
    struct results_counts counts;
    uint64_t read_bytes;
    struct prometheus_stage read, decode, segment, classify, evidence;
    uint64_t queue;
    uint64_t shards;
    int64_t start, last_update; /* seconds since 1970 */
    bool finished;
    int exit_code;
};

/* Writes the file as file_write does: a reader sees the old text or the new one. The collector takes files called *.prom, which
 * the temporary one is not. BGD_WRITE names the file; BGD_MEMORY. */
int prometheus_write(const char *path, const struct prometheus_state *state, struct bgd_err *err);

#endif
