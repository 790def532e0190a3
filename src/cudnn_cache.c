/*
 * A plan's file:
 *
 *     bgdet-plan 2 XXH3-128 of all that follows
 *     tuned       or "untuned"
 *     engine 7, tuned: 41.2 us, next engine 2: 44.0 us
 *     {"..."}     the plan as cuDNN writes it, its compiled kernels included
 */
#include "cudnn_cache.h"

#include "file.h"
#include "hash.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PLAN_FORMAT "bgdet-plan 2" /* another number when plans of the same convolution are built in another way */
#define HEADER_BYTES (sizeof PLAN_FORMAT + HASH_TEXT + 1) /* of a plan's file: the line, and NUL */
#define PLAN_BYTES_MAX (64u << 20)
#define TUNED "tuned"

/* A folder and those that it lies in. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0777);
        *slash = '/';
    }
    mkdir(path, 0777);
}

char *cudnn_cache_open(const char *cache, const char *version, const char *description)
{
    char *folder = NULL;
    cJSON *device = cJSON_Parse(description);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(device, "deviceName"));
    double capability = cJSON_GetNumberValue(cJSON_GetObjectItem(device, "deviceVer"));
    if (name && asprintf(&folder, "%s/%s-%s-%.0f", cache, version, name, capability) < 0)
        folder = NULL;
    cJSON_Delete(device);
    if (!folder)
        return NULL;
    for (char *p = folder + strlen(cache) + 1; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '.' && *p != '-')
            *p = '_';
    make_folders(folder);
    return folder;
}

static void print_header(const void *rest, size_t size, char header[HEADER_BYTES])
{
    char hash[HASH_TEXT];
    hash_text(rest, size, hash);
    snprintf(header, HEADER_BYTES, PLAN_FORMAT " %s\n", hash);
}

/* Where a convolution's plan lies, to be freed; NULL when memory ran out. */
static char *plan_path(const char *folder, const struct cudnn_conv *conv)
{
    char hash[HASH_TEXT], *path = NULL;
    hash_text(conv, sizeof *conv, hash);
    return asprintf(&path, "%s/%s", folder, hash) < 0 ? NULL : path;
}

/* Moves *text behind its next line, which is `length` bytes at `line`; false if there is none. */
static bool next_line(const char **text, const char *end, const char **line, size_t *length)
{
    const char *newline = memchr(*text, '\n', (size_t)(end - *text));
    if (!newline)
        return false;
    *line = *text;
    *length = (size_t)(newline - *text);
    *text = newline + 1;
    return true;
}

static bool parse(const char *text, size_t size, struct cudnn_kept *kept)
{
    const size_t header_size = HEADER_BYTES - 1;
    if (size < header_size)
        return false;
    const char *end = text + size, *line;
    size_t length;
    char header[HEADER_BYTES];
    print_header(text + header_size, size - header_size, header);
    if (memcmp(text, header, header_size))
        return false;
    text += header_size;
    if (!next_line(&text, end, &line, &length))
        return false;
    kept->tuned = length == strlen(TUNED) && memcmp(line, TUNED, length) == 0;
    if (!next_line(&text, end, &line, &length) || length >= CUDNN_NAME)
        return false;
    snprintf(kept->name, CUDNN_NAME, "%.*s", (int)length, line);
    kept->json = strndup(text, (size_t)(end - text));
    return kept->json != NULL;
}

bool cudnn_cache_read(const char *folder, const struct cudnn_conv *conv, struct cudnn_kept *kept)
{
    struct file_buffer buffer = {0};
    struct bgd_err err;
    char *path = plan_path(folder, conv);
    bool whole = path && !file_read(path, PLAN_BYTES_MAX, &buffer, &err) && parse((const char *)buffer.data, buffer.size, kept);
    free(buffer.data);
    free(path);
    return whole;
}

void cudnn_cache_write(const char *folder, const struct cudnn_conv *conv, const struct cudnn_kept *kept)
{
    struct bgd_err err;
    char *path = plan_path(folder, conv), *rest = NULL, *text = NULL, header[HEADER_BYTES];
    if (path && asprintf(&rest, "%s\n%s\n%s", kept->tuned ? TUNED : "un" TUNED, kept->name, kept->json) >= 0) {
        print_header(rest, strlen(rest), header);
        if (asprintf(&text, "%s%s", header, rest) >= 0) {
            file_write(path, text, strlen(text), &err);
            free(text);
        }
        free(rest);
    }
    free(path);
}
