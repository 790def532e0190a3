/*
 * bgdet-gpu-check FOLDER [--json FILE] [--device NAME] [--precision NAME] [--quick] - does a device compute what the reference
 * does?
 *
 * FOLDER has shapes/ (the tables of tests/shapes), weights/ (model files) and cards/ (JPEG). Every op on every shape, small
 * graphs where a backend fuses ops, the feed, and whole networks run on backend_ref and on the device, in f32, f16 and bf16, or
 * the one that is named; in f8 what it computes otherwise than f16. A line for each:
 *
 *     name  shapes  precision  worst error of its bound  mean error of its bound  PASS or FAIL
 *
 * Errors are absolute, divided by the largest value of the reference's output or 1. Then a few of the pictures run again, as a
 * short batch behind the full one: they must give the same bits as before.
 *
 * CUDA fuses the blocks of EfficientNets unless BGDET_CUDA_UNFUSED is in the environment: what differs between a run with it and
 * one without is theirs.
 *
 * --quick takes the first shape of each table and no networks: for tools that make a device a hundred times slower. Exits with
 * 1 if a check failed, with 2 if something else is wrong.
 */
#include "err.h"
#include "file.h"
#include "gpu_check.h"

#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void check_stop(const struct bgd_err *err)
{
    fprintf(stderr, "bgdet-gpu-check: %s\n", err->text);
    exit(2);
}

void *check_allocate(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory)
        check_stop(&(struct bgd_err){.text = "out of memory"});
    return memory;
}

/* ---------------------------------------------------------------- cards */

static void read_cards(struct checker *c)
{
    char pattern[CHECK_PATH];
    glob_t found;
    struct bgd_err err = {0};
    struct file_buffer file = {0};
    snprintf(pattern, sizeof pattern, "%s/cards/*.jpg", c->folder);
    if (glob(pattern, 0, NULL, &found) || found.gl_pathc < COUNT(c->cards)) {
        err_set(&err, BGD_MISSING, "%s: expected %zu files or more", pattern, COUNT(c->cards));
        check_stop(&err);
    }
    for (size_t i = 0; i < COUNT(c->cards); i++) {
        const char *path = found.gl_pathv[i * found.gl_pathc / COUNT(c->cards)];
        if (file_read(path, BGD_IMAGE_BYTES_MAX, &file, &err) ||
            bgd_image_decode(file.data, file.size, 0, 0, &c->cards[i], &err)) {
            err_prefix(&err, "%s: ", path);
            check_stop(&err);
        }
    }
    free(file.data);
    globfree(&found);
}

/* ---------------------------------------------------------------- the program */

/* A precision that the device does not have is skipped; any other trouble with the device ends the program. */
static void open_targets(struct checker *c, const char *device)
{
    for (struct target *target = c->targets; target < c->targets + COUNT(c->targets); target++) {
        struct bgd_err err = {0}, passed_over;
        if (c->only && strcmp(c->only, target->name) != 0)
            continue;
        if (backend_open(device, 0, target->precision, &c->backend, &target->device, &passed_over, &err) == 0)
            continue;
        if (err.code != BGD_ARGUMENT)
            check_stop(&err);
        target->device = NULL;
        printf("%s  SKIP: %s\n", target->name, err.text);
        c->skipped++;
    }
    if (c->skipped == (c->only ? 1 : COUNT(c->targets)))
        check_stop(&(struct bgd_err){.text = "the device computes in none of these precisions"});
}

static void check_all(struct checker *c)
{
    read_cards(c);
    check_ops(c);
    check_chains(c);
    check_feeds(c);
    if (!c->quick)
        check_networks(c);
}

static void write_json(const struct checker *c, const char *path)
{
    struct bgd_err err = {0};
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "device", c->backend->name);
    cJSON_AddNumberToObject(json, "passed", c->passed);
    cJSON_AddNumberToObject(json, "failed", c->failed);
    cJSON_AddNumberToObject(json, "skipped_precisions", c->skipped);
    cJSON_AddItemReferenceToObject(json, "checks", c->rows);
    char *text = cJSON_Print(json);
    if (!text)
        err_set(&err, BGD_MEMORY, "out of memory");
    if (!text || file_write(path, text, strlen(text), &err))
        check_stop(&err);
    free(text);
    cJSON_Delete(json);
}

static void close_all(struct checker *c)
{
    for (size_t i = 0; i < COUNT(c->targets); i++)
        if (c->targets[i].device)
            c->backend->close(c->targets[i].device);
    for (size_t i = 0; i < COUNT(c->cards); i++)
        bgd_image_free(&c->cards[i]);
    cJSON_Delete(c->rows);
}

static const struct option options[] = {
    {"json", required_argument, NULL, 'j'},
    {"device", required_argument, NULL, 'd'},
    {"precision", required_argument, NULL, 'p'},
    {"quick", no_argument, NULL, 'q'},
    {0},
};

int main(int argc, char **argv)
{
    struct checker c = {.targets = {{"f32", BGD_PRECISION_F32, EPS, NULL},
                                    {"f16", BGD_PRECISION_F16, 0x1p-11, NULL},
                                    {"bf16", BGD_PRECISION_BF16, 0x1p-8, NULL},
                                    {"f8", BGD_PRECISION_F8, 0x1p-4, NULL}}};
    const char *json = NULL, *device = "cuda";
    int option;
    bool usage = false;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'j': json = optarg; break;
        case 'd': device = optarg; break;
        case 'p': c.only = optarg; break;
        case 'q': c.quick = true; break;
        default: usage = true;
        }
    if (usage || argc - optind != 1) {
        fprintf(stderr,
                "usage: bgdet-gpu-check FOLDER [--json FILE] [--device NAME] [--precision f32|f16|bf16|f8] [--quick]\n");
        return 2;
    }
    c.folder = argv[optind];
    c.rows = cJSON_CreateArray();
    open_targets(&c, device);
    check_all(&c);
    printf("%u checks passed, %u failed on %s\n", c.passed, c.failed, c.backend->name);
    if (json)
        write_json(&c, json);
    close_all(&c);
    return c.failed > 0;
}
