/*
 * A plan's file:
 *
 *     bgdet-plan 1 XXH3-128 of all that follows
 *     engine 7
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

#define PLAN_FORMAT "bgdet-plan 1" /* another number when plans of the same convolution are built in another way */
#define HEADER_BYTES (sizeof PLAN_FORMAT + HASH_TEXT + 1) /* of a plan's file: the line, and NUL */
#define PLAN_BYTES_MAX (64u << 20)

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

static char *parse(const uint8_t *data, size_t size, char name[CUDNN_NAME])
{
    const size_t header_size = HEADER_BYTES - 1;
    if (size < header_size)
        return NULL;
    const char *line = (const char *)data + header_size, *end = memchr(line, '\n', size - header_size);
    char header[HEADER_BYTES];
    print_header(line, size - header_size, header);
    if (memcmp(data, header, header_size) || !end || end - line >= CUDNN_NAME)
        return NULL;
    snprintf(name, CUDNN_NAME, "%.*s", (int)(end - line), line);
    return strndup(end + 1, size - header_size - (size_t)(end + 1 - line));
}

char *cudnn_cache_read(const char *folder, const struct cudnn_conv *conv, char name[CUDNN_NAME])
{
    struct file_buffer buffer = {0};
    struct bgd_err err;
    char *path = plan_path(folder, conv), *json = NULL;
    if (path && !file_read(path, PLAN_BYTES_MAX, &buffer, &err))
        json = parse(buffer.data, buffer.size, name);
    free(buffer.data);
    free(path);
    return json;
}

void cudnn_cache_write(const char *folder, const struct cudnn_conv *conv, const char *name, const char *json)
{
    struct bgd_err err;
    char *path = plan_path(folder, conv), *rest = NULL, *text = NULL, header[HEADER_BYTES];
    if (path && asprintf(&rest, "%s\n%s", name, json) >= 0) {
        print_header(rest, strlen(rest), header);
        if (asprintf(&text, "%s%s", header, rest) >= 0) {
            file_write(path, text, strlen(text), &err);
            free(text);
        }
        free(rest);
    }
    free(path);
}
