#include "receipt.h"

#include "../err.h"
#include "../file.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

#define JSON_MAX (64u << 20)         /* run.json holds the paths of a command line: up to 6 MB, and \u takes six for one */
#define COUNT_MAX 9007199254740992.0 /* 2^53: what JSON's numbers hold exactly */

static const char *verdict_name(int i)
{
    return bgd_verdict_name((enum bgd_verdict)i);
}

static const char *reason_name(int i)
{
    return bgd_reason_name((enum bgd_reason)i);
}

static const char *code_name(int i)
{
    return bgd_code_name(-i);
}

/* Members of an object that has a count by name. Zeros of errors are left out: few of the codes ever occur. */
static bool put_counts(cJSON *object, const char *name, const uint64_t *counts, int from, int n, const char *(*name_of)(int),
                       bool zeros)
{
    cJSON *member = cJSON_AddObjectToObject(object, name);
    bool put = member;
    for (int i = from; i < n && put; i++)
        put = (!zeros && counts[i] == 0) || cJSON_AddNumberToObject(member, name_of(i), (double)counts[i]);
    return put;
}

bool receipt_put(cJSON *object, const struct results_counts *counts)
{
    return cJSON_AddNumberToObject(object, "rows", (double)counts->rows) &&
           cJSON_AddNumberToObject(object, "broken", (double)counts->sources) &&
           put_counts(object, "verdicts", counts->verdicts, 0, BGD_VERDICTS, verdict_name, true) &&
           put_counts(object, "reasons", counts->reasons, 0, BGD_REASONS, reason_name, true) &&
           put_counts(object, "errors", counts->codes, 1, BGD_CODES, code_name, false);
}

static bool add_count(const cJSON *item, uint64_t *count)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= COUNT_MAX) ||
        item->valuedouble != (double)(uint64_t)item->valuedouble)
        return false;
    *count += (uint64_t)item->valuedouble;
    return true;
}

static bool add_counts(const cJSON *object, const char *name, uint64_t *counts, int from, int n, const char *(*name_of)(int))
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name), *item;
    bool known = cJSON_IsObject(member);
    cJSON_ArrayForEach(item, member)
    {
        int i = from;
        while (i < n && strcmp(name_of(i), item->string) != 0)
            i++;
        known = known && i < n && add_count(item, &counts[i]);
    }
    return known;
}

bool receipt_add(const cJSON *object, struct results_counts *counts)
{
    uint64_t before[BGD_CODES];
    memcpy(before, counts->codes, sizeof before);
    if (!add_count(cJSON_GetObjectItemCaseSensitive(object, "rows"), &counts->rows) ||
        !add_count(cJSON_GetObjectItemCaseSensitive(object, "broken"), &counts->sources) ||
        !add_counts(object, "verdicts", counts->verdicts, 0, BGD_VERDICTS, verdict_name) ||
        !add_counts(object, "reasons", counts->reasons, 0, BGD_REASONS, reason_name) ||
        !add_counts(object, "errors", counts->codes, 1, BGD_CODES, code_name))
        return false;
    for (int i = 1; i < BGD_CODES; i++)
        counts->errors += counts->codes[i] - before[i];
    return true;
}

int receipt_write(const char *path, const cJSON *object, struct bgd_err *err)
{
    struct output *output = NULL;
    char *text = cJSON_PrintUnformatted(object);
    err->code = BGD_OK;
    if (!text)
        err_set(err, BGD_MEMORY, "%s: out of memory", path);
    else if (output_open(path, &output, err) == 0 && fprintf(output_stream(output), "%s\n", text) < 0)
        output_failed(output, err);
    else if (!err->code && output_seal(output, NULL, err) == 0)
        output_publish(output, err);
    output_close(output);
    free(text);
    return err->code;
}

cJSON *receipt_read(const char *path, struct bgd_err *err)
{
    struct file_buffer file = {0};
    cJSON *object = NULL;
    if (file_read(path, JSON_MAX, &file, err)) {
        err_prefix(err, "%s: ", path);
    } else {
        object = cJSON_ParseWithLength((const char *)file.data, file.size);
        if (!cJSON_IsObject(object)) {
            cJSON_Delete(object);
            object = NULL;
            err_set(err, BGD_DAMAGED, "%s: expected a JSON object", path);
        }
    }
    free(file.data);
    return object;
}
