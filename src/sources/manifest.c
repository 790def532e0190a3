#include "manifest.h"

#include "../err.h"
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIZE_LIMIT 0x1p53   /* above it, a JSON number need not be what was written */
#define SECONDS_LIMIT 9.2e9 /* in nanoseconds they fit 64 bits: the year 2261 */

/* A member that we read, and its value as it is written. */
struct member {
    const cJSON *value;
    const char *text;
    size_t size;
};

struct members {
    struct member id, path, size, mtime;
};

static struct member *member_of(struct members *members, const char *name)
{
    static const char *const names[] = {"id", "path", "size", "mtime"};
    struct member *const known[] = {&members->id, &members->path, &members->size, &members->mtime};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, names[i]) == 0)
            return known[i];
    return NULL;
}

/* Tells our members from those that are carried, whose text goes to `carried`. The tree and the text, which has no white
 * space, are walked side by side. */
static int read_members(const cJSON *root, const char *text, struct members *members, FILE *carried, struct bgd_err *err)
{
    const cJSON *value;
    bool first = true;
    text++; /* the brace */
    cJSON_ArrayForEach(value, root)
    {
        const char *start = text;
        text += json_length(text);
        struct member *member = member_of(members, value->string);
        if (member && member->value)
            return err_set(err, BGD_DAMAGED, "\"%s\" is there twice", value->string);
        if (member) {
            const char *colon = strchr(start, ':'); /* none of our names has one, however it is escaped */
            *member = (struct member){value, colon + 1, (size_t)(text - colon - 1)};
        } else {
            fprintf(carried, "%c%.*s", first ? '{' : ',', (int)(text - start), start);
            first = false;
        }
        text++;
    }
    if (!first)
        fputc('}', carried);
    return 0;
}

static int read_text(const struct member *member, const char *name, char **out, struct bgd_err *err)
{
    if (!member->value)
        return 0;
    if (!cJSON_IsString(member->value) || !member->value->valuestring[0])
        return err_set(err, BGD_DAMAGED, "\"%s\" is not a string, or an empty one", name);
    if (memmem(member->text, member->size, "\\u0000", 6))
        return err_set(err, BGD_DAMAGED, "\"%s\" holds a NUL", name);
    *out = strdup(member->value->valuestring);
    return *out ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static int read_size(const struct member *member, uint64_t *bytes, struct bgd_err *err)
{
    double size = cJSON_GetNumberValue(member->value);
    if (!(size >= 0) || size >= SIZE_LIMIT || size != floor(size))
        return err_set(err, BGD_DAMAGED, "\"size\" is not a number of bytes");
    *bytes = (uint64_t)size;
    return 0;
}

/* ---------------------------------------------------------------- times */

/* Exactly `n` digits and the byte behind them, unless that is 0; moves behind both. */
static bool take(const char **s, size_t n, char behind, int *number)
{
    *number = 0;
    for (; n > 0 && **s >= '0' && **s <= '9'; n--)
        *number = *number * 10 + *(*s)++ - '0';
    if (n > 0 || (behind && **s != behind))
        return false;
    *s += behind != 0;
    return true;
}

/* The part of a second behind a dot, of which nine digits count. */
static int64_t take_fraction(const char **s)
{
    int64_t nanoseconds = 0;
    int digits = 0;
    for (; **s >= '0' && **s <= '9'; (*s)++)
        if (digits++ < 9)
            nanoseconds = nanoseconds * 10 + **s - '0';
    for (; digits < 9; digits++)
        nanoseconds *= 10;
    return nanoseconds;
}

/* "Z", "+03:00", in seconds. */
static bool take_offset(const char **s, int64_t *offset)
{
    char sign = *(*s)++;
    int hours = 0, minutes = 0;
    *offset = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if ((sign != '+' && sign != '-') || !take(s, 2, ':', &hours) || !take(s, 2, 0, &minutes) || hours > 23 || minutes > 59)
        return false;
    *offset = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

/* 2026-11-23T18:00:00.5+03:00 */
static bool read_rfc3339(const char *s, int64_t *nanoseconds)
{
    struct tm tm = {0};
    int64_t fraction = 0, offset;
    if (!take(&s, 4, '-', &tm.tm_year) || !take(&s, 2, '-', &tm.tm_mon) || !take(&s, 2, 0, &tm.tm_mday) || !strchr("Tt ", *s) ||
        !*s++ || !take(&s, 2, ':', &tm.tm_hour) || !take(&s, 2, ':', &tm.tm_min) || !take(&s, 2, 0, &tm.tm_sec))
        return false;
    if (s[0] == '.' && s[1] >= '0' && s[1] <= '9') {
        s++;
        fraction = take_fraction(&s);
    }
    if (!take_offset(&s, &offset) || *s || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    const struct tm written = tm;
    int64_t seconds = timegm(&tm) - offset;
    if (written.tm_sec < 60 && (tm.tm_mday != written.tm_mday || tm.tm_mon != written.tm_mon))
        return false; /* the 31st of February */
    if (fabs((double)seconds) > SECONDS_LIMIT)
        return false;
    *nanoseconds = seconds * 1000000000 + fraction;
    return true;
}

static int read_mtime(const struct member *member, int64_t *mtime, struct bgd_err *err)
{
    if (cJSON_IsString(member->value) && read_rfc3339(member->value->valuestring, mtime))
        return 0;
    if (!cJSON_IsNumber(member->value) || !(fabs(member->value->valuedouble) <= SECONDS_LIMIT))
        return err_set(err, BGD_DAMAGED, "\"mtime\" is neither seconds since 1970 nor a time as 2026-11-23T18:00:00Z");
    *mtime = llroundl(strtold(member->text, NULL) * 1e9L); /* a double would have a third of a microsecond */
    return 0;
}

/* ---------------------------------------------------------------- the line */

static int read_line(const struct members *members, struct manifest_line *line, struct bgd_err *err)
{
    if (!members->id.value && !members->path.value)
        return err_set(err, BGD_DAMAGED, "neither \"id\" nor \"path\"");
    if (read_text(&members->id, "id", &line->id, err) || read_text(&members->path, "path", &line->path, err))
        return err->code;
    if (members->size.value && read_size(&members->size, &line->bytes, err))
        return err->code;
    if (members->mtime.value && read_mtime(&members->mtime, &line->mtime, err))
        return err->code;
    if (!members->size.value || !members->mtime.value)
        line->bytes = 0, line->mtime = 0;
    if (!line->id)
        line->id = strdup(line->path);
    if (!line->path)
        line->path = strdup(line->id);
    return line->id && line->path ? 0 : err_set(err, BGD_MEMORY, "out of memory");
}

static int read_object(const cJSON *root, const char *text, struct manifest_line *line, struct bgd_err *err)
{
    struct members members = {0};
    size_t size;
    FILE *carried = open_memstream(&line->carried, &size);
    if (!carried)
        return err_set(err, BGD_MEMORY, "out of memory");
    int code = read_members(root, text, &members, carried, err);
    if (fclose(carried))
        return err_set(err, BGD_MEMORY, "out of memory");
    if (size == 0) {
        free(line->carried);
        line->carried = NULL;
    }
    return code ? code : read_line(&members, line, err);
}

int manifest_parse(char *text, size_t size, struct manifest_line *line, struct bgd_err *err)
{
    manifest_free(line);
    cJSON *root = json_parse(text, size);
    int code = 0;
    if (cJSON_IsObject(root)) {
        json_compact(text);
        code = read_object(root, text, line, err);
    } else
        code = err_set(err, BGD_DAMAGED, "not a JSON object");
    cJSON_Delete(root);
    return code;
}

void manifest_free(struct manifest_line *line)
{
    free(line->id);
    free(line->path);
    free(line->carried);
    *line = (struct manifest_line){0};
}
