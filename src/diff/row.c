#include "row.h"

#include "../err.h"
#include "../utf8.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------- text */

/* What the escape \uXXXX at `s` stands for; -1 if there is none. */
static int32_t escaped_unit(const char *s, size_t size)
{
    int32_t unit = 0;
    if (size < 6 || s[0] != '\\' || s[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef", *digit = s[i] ? strchr(digits, s[i] | 0x20) : NULL;
        if (!digit)
            return -1;
        unit = unit << 4 | (int32_t)(digit - digits);
    }
    return unit;
}

/* The bytes at `s` that belong together: a character, an escape, or both of a surrogate pair. 0: not UTF-8, or a NUL. */
static size_t token_length(const char *s, size_t size)
{
    if (*s == 0)
        return 0;
    if (*s != '\\')
        return utf8_length((const unsigned char *)s, size);
    int32_t unit = escaped_unit(s, size), next = unit >> 10 == 0xd800 >> 10 ? escaped_unit(s + 6, size - 6) : -1;
    if (unit == 0)
        return 0;
    return unit < 0 ? (size < 2 ? size : 2) : next >> 10 == 0xdc00 >> 10 ? 12 : 6;
}

/* Checks that the text is UTF-8 without NULs, and turns lone \udc80..\udcff into the bytes that they stand for, which cJSON
 * would refuse. */
static int restore_bytes(char *line, size_t *size, struct bgd_err *err)
{
    size_t out = 0;
    for (size_t in = 0, n; in < *size; in += n) {
        int32_t unit = escaped_unit(line + in, *size - in);
        n = token_length(line + in, *size - in);
        if (n == 0)
            return err_set(err, BGD_DAMAGED, "byte %zu: expected UTF-8 without NUL, found 0x%02x", in + 1,
                           (unsigned char)line[in]);
        if (unit >= 0xdc80 && unit <= 0xdcff) {
            line[out++] = (char)(unit & 0xff);
        } else {
            if (out < in)
                memmove(line + out, line + in, n);
            out += n;
        }
    }
    line[out] = 0;
    *size = out;
    return 0;
}

/* ---------------------------------------------------------------- members */

static int expected(struct bgd_err *err, const char *member, const char *what)
{
    return err_set(err, BGD_DAMAGED, "\"%s\": expected %s", member, what);
}

static const char *get_text(const cJSON *object, const char *member)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
    return text ? text : "";
}

/* A number of 0..1. */
static bool is_share(const cJSON *item)
{
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 1;
}

static bool parse_hash(const char *text, uint8_t digest[HASH_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != 2 * HASH_BYTES || strspn(text, digits) != 2 * HASH_BYTES)
        return false;
    for (int i = 0; i < HASH_BYTES; i++)
        digest[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 | (strchr(digits, text[2 * i + 1]) - digits));
    return true;
}

static bool parse_verdict(const char *text, enum bgd_verdict *verdict)
{
    for (int i = 0; i < BGD_VERDICTS; i++)
        if (strcmp(text, bgd_verdict_name((enum bgd_verdict)i)) == 0) {
            *verdict = (enum bgd_verdict)i;
            return true;
        }
    return false;
}

static int get_reasons(const cJSON *json, struct row_facts *facts, struct bgd_err *err)
{
    const cJSON *reasons = cJSON_GetObjectItemCaseSensitive(json, "reasons");
    if (!cJSON_IsObject(reasons))
        return expected(err, "reasons", "an object");
    for (int i = 0; i < BGD_REASONS; i++) {
        const char *name = bgd_reason_name((enum bgd_reason)i);
        const cJSON *p = cJSON_GetObjectItemCaseSensitive(reasons, name);
        if (p && !is_share(p))
            return expected(err, name, "a number of 0..1");
        facts->reasons[i] = p ? (float)p->valuedouble : NAN;
    }
    return 0;
}

static int get_result(const cJSON *json, struct row_facts *facts, struct bgd_err *err)
{
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(json, "score");
    if (!parse_verdict(get_text(json, "verdict"), &facts->verdict))
        return expected(err, "verdict", "clean, review or defective");
    if (!is_share(score))
        return expected(err, "score", "a number of 0..1");
    facts->score = (uint32_t)lround(score->valuedouble * ROW_MILLION);
    return get_reasons(json, facts, err);
}

static int get_error(const cJSON *json, struct row_facts *facts, struct bgd_err *err)
{
    const char *name = get_text(cJSON_GetObjectItemCaseSensitive(json, "error"), "code");
    for (int i = 1; i < ROW_CODES && !facts->code; i++)
        if (strcmp(name, bgd_code_name(-i)) == 0)
            facts->code = -i;
    return facts->code ? 0 : expected(err, "error", "an object with one of the codes of bgdet.h");
}

static int get_hash(const cJSON *json, struct row_facts *facts, struct bgd_err *err)
{
    bool may_lack = facts->code && !cJSON_HasObjectItem(json, "hash");
    if (may_lack || parse_hash(get_text(json, "hash"), facts->hash))
        return 0;
    return expected(err, "hash", "32 hexadecimal digits");
}

static const char *get_group(const cJSON *json, const char *member, struct row *row)
{
    const cJSON *carried = cJSON_GetObjectItemCaseSensitive(json, "carried");
    const cJSON *group = cJSON_GetObjectItemCaseSensitive(carried, member);
    if (!group)
        group = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(carried, "json"), member);
    if (!cJSON_IsNumber(group))
        return cJSON_IsString(group) ? group->valuestring : "";
    snprintf(row->number, sizeof row->number, "%.15g", group->valuedouble);
    return row->number;
}

/* ---------------------------------------------------------------- rows */

static int get_facts(const cJSON *json, struct row_facts *facts, struct bgd_err *err)
{
    const char *status = get_text(json, "status");
    bool ok = strcmp(status, "ok") == 0;
    if (!ok && strcmp(status, "error") != 0)
        return expected(err, "status", "ok or error");
    int code = ok ? get_result(json, facts, err) : get_error(json, facts, err);
    return code ? code : get_hash(json, facts, err);
}

int row_parse(char *line, size_t size, const char *group, struct row *row, struct bgd_err *err)
{
    uint8_t ignored[HASH_BYTES];
    assert(line[size] == 0);
    *row = (struct row){0};
    if (restore_bytes(line, &size, err))
        return err->code;
    row->json = cJSON_ParseWithLengthOpts(line, size + 1, NULL, true);
    if (!cJSON_IsObject(row->json))
        return err_set(err, BGD_DAMAGED, "expected one whole JSON object, found %zu bytes that are none", size);
    row->id = get_text(row->json, "id");
    row->model = get_text(row->json, "model");
    row->group = get_group(row->json, group, row);
    if (!*row->id)
        return expected(err, "id", "a text");
    if (get_facts(row->json, &row->facts, err))
        return err->code;
    if (!parse_hash(row->model, ignored))
        return expected(err, "model", "32 hexadecimal digits");
    if (strlen(row->group) > ROW_GROUP_BYTES_MAX)
        return err_set(err, BGD_LIMIT, "a group's name of %zu bytes, at most %u are read", strlen(row->group),
                       ROW_GROUP_BYTES_MAX);
    return 0;
}

void row_free(struct row *row)
{
    cJSON_Delete(row->json);
    *row = (struct row){0};
}
