#include "labels.h"

#include "../err.h"
#include "../file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN_FILE, COLUMN_CLEAN, COLUMN_REASON, COLUMN_GROUP = COLUMN_REASON + BGD_REASONS, COLUMNS };

#define IGNORED COLUMNS

/* The text is cut into values in place: quotes are undone, and a NUL ends each value. */
struct reader {
    char *at; /* what comes next; a NUL ends the text, which has no other */
    uint32_t line;
    uint8_t columns[LABELS_COLUMNS_MAX]; /* what each value of a row is: COLUMN_ or IGNORED */
    size_t width;                        /* values in a row */
};

const char *output_name(int output)
{
    assert(output >= 0 && output < OUTPUTS);
    return output == OUTPUT_DEFECTIVE ? "defective" : bgd_reason_name((enum bgd_reason)(output - OUTPUT_REASON));
}

static const char *column_name(int column)
{
    if (column >= COLUMN_REASON && column < COLUMN_GROUP)
        return bgd_reason_name((enum bgd_reason)(column - COLUMN_REASON));
    return column == COLUMN_FILE ? "file" : column == COLUMN_CLEAN ? "clean" : "group";
}

/* ---------------------------------------------------------------- lines and values */

/* Moves the quoted value to where its opening quote is, and past its closing one. */
static int read_quoted(struct reader *reader, struct bgd_err *err)
{
    char *to = reader->at, *from = reader->at + 1;
    uint32_t line = reader->line;
    for (; *from != '"' || from[1] == '"'; from++) {
        if (!*from)
            return err_set(err, BGD_DAMAGED, "line %u: a quote that is not closed", reader->line);
        if (*from == '"')
            from++;
        line += *from == '\n';
        *to++ = *from;
    }
    *to = 0;
    reader->at = from + 1;
    reader->line = line;
    return 0;
}

/* Takes what ends a value: *last if it ends the row, too. */
static int read_end(struct reader *reader, bool *last, struct bgd_err *err)
{
    if (*reader->at == '\r' && reader->at[1] == '\n')
        reader->at++;
    *last = *reader->at != ',';
    switch (*reader->at) {
    case 0: return 0;
    case ',': reader->at++; return 0;
    case '\n': reader->at++, reader->line++; return 0;
    case '\r': return err_set(err, BGD_DAMAGED, "line %u: a CR without LF outside of quotes", reader->line);
    case '"': return err_set(err, BGD_DAMAGED, "line %u: a quote inside a value that does not begin with one", reader->line);
    default:
        return err_set(err, BGD_DAMAGED, "line %u: text after a closing quote, expected a comma or the line's end",
                       reader->line);
    }
}

static int read_value(struct reader *reader, char **value, bool *last, struct bgd_err *err)
{
    *value = reader->at;
    if (*reader->at == '"')
        return read_quoted(reader, err) ? err->code : read_end(reader, last, err);
    char *end = reader->at += strcspn(reader->at, ",\n\r\"");
    int code = read_end(reader, last, err);
    *end = 0; /* only now: it was what ended the value */
    return code;
}

/* Goes to the next line that is not empty; false at the text's end. */
static bool next_row(struct reader *reader)
{
    for (; *reader->at == '\n' || (*reader->at == '\r' && reader->at[1] == '\n'); reader->line++)
        reader->at += *reader->at == '\r' ? 2 : 1;
    return *reader->at;
}

/* ---------------------------------------------------------------- the header */

static uint8_t find_column(const char *name)
{
    uint8_t column = 0;
    while (column < COLUMNS && strcmp(name, column_name(column)) != 0)
        column++;
    return column;
}

/* A header that names no column of ours but would, were it cut elsewhere: what spreadsheets write in many countries. */
static int check_separator(const struct labels *labels, uint32_t line, struct bgd_err *err)
{
    static const char separators[] = ";\t";
    for (const char *s = separators; *s; s++)
        if (strchr(labels->ignored, *s))
            return err_set(err, BGD_DAMAGED, "line %u: values seem to be separated by %s, expected commas", line,
                           *s == ';' ? "semicolons" : "tabs");
    return 0;
}

static int check_columns(const struct reader *reader, const struct labels *labels, uint32_t line, struct bgd_err *err)
{
    for (int column = 0; column < COLUMNS; column++) {
        size_t n = 0;
        for (size_t i = 0; i < reader->width; i++)
            n += reader->columns[i] == column;
        if (n > 1)
            return err_set(err, BGD_DAMAGED, "line %u: %zu columns are called \"%s\"", line, n, column_name(column));
        if (n > 0 || column == COLUMN_GROUP)
            continue;
        if (check_separator(labels, line, err))
            return err->code;
        return err_set(err, BGD_DAMAGED, "line %u: no column is called \"%s\"%s%s%s", line, column_name(column),
                       column >= COLUMN_REASON ? " (its values may be empty)" : "",
                       *labels->ignored ? "; found but not read: " : "", labels->ignored);
    }
    return 0;
}

/* Adds the name of an ignored column. */
static int add_ignored(struct labels *labels, const char *name, struct bgd_err *err)
{
    size_t used = labels->ignored ? strlen(labels->ignored) : 0, size = used + strlen(name) + sizeof ", ";
    char *grown = realloc(labels->ignored, size);
    if (!grown)
        return err_set(err, BGD_MEMORY, "out of memory");
    stpcpy(stpcpy(grown + used, used > 0 ? ", " : ""), name);
    labels->ignored = grown;
    return 0;
}

static int read_header(struct reader *reader, struct labels *labels, struct bgd_err *err)
{
    if (!next_row(reader))
        return err_set(err, BGD_DAMAGED, "empty, expected a header with the columns file, clean and the reasons");
    uint32_t line = reader->line;
    for (bool last = false; !last;) {
        char *name;
        if (read_value(reader, &name, &last, err))
            return err->code;
        if (reader->width == LABELS_COLUMNS_MAX)
            return err_set(err, BGD_LIMIT, "line %u: more than %u columns", line, LABELS_COLUMNS_MAX);
        uint8_t column = find_column(name);
        if (column == IGNORED && add_ignored(labels, name, err))
            return err->code;
        reader->columns[reader->width++] = column;
    }
    if (!labels->ignored && !(labels->ignored = strdup("")))
        return err_set(err, BGD_MEMORY, "out of memory");
    return check_columns(reader, labels, line, err);
}

/* ---------------------------------------------------------------- rows */

/* The values of a row by what they are; NULL for a group where there is no such column. */
static int read_row(struct reader *reader, const char *values[COLUMNS], struct bgd_err *err)
{
    uint32_t line = reader->line;
    size_t n = 0;
    for (bool last = false; !last; n++) {
        char *value;
        if (read_value(reader, &value, &last, err))
            return err->code;
        if (n < reader->width && reader->columns[n] != IGNORED)
            values[reader->columns[n]] = value;
    }
    if (n != reader->width)
        return err_set(err, BGD_DAMAGED, "line %u: %zu values, expected %zu as in the header", line, n, reader->width);
    return 0;
}

/* A row of commas alone: spreadsheets leave them behind the last card. */
static bool is_blank(const char *values[COLUMNS])
{
    bool blank = true;
    for (int column = 0; column < COLUMNS; column++)
        blank = blank && (!values[column] || !*values[column]);
    return blank;
}

/* From "clean" and the reasons, which stand in the order of the outputs. */
static int get_truth(const char *values[COLUMNS], struct label *label, struct bgd_err *err)
{
    for (int i = 0; i < OUTPUTS; i++) {
        const char *value = values[COLUMN_CLEAN + i], *expected = i == OUTPUT_DEFECTIVE ? "1 or 0" : "1, 0 or nothing";
        bool one = strcmp(value, "1") == 0, zero = strcmp(value, "0") == 0, none = i != OUTPUT_DEFECTIVE && !*value;
        if (!one && !zero && !none)
            return err_set(err, BGD_DAMAGED, "line %u: expected %s for \"%s\", found \"%s\"", label->line, expected,
                           column_name(COLUMN_CLEAN + i), value);
        label->truth[i] = (int8_t)(none ? -1 : one);
    }
    bool clean = label->truth[OUTPUT_DEFECTIVE] == 1;
    label->truth[OUTPUT_DEFECTIVE] = !clean;
    for (int i = OUTPUT_REASON; i < OUTPUTS && clean; i++)
        if (label->truth[i] == 1)
            return err_set(err, BGD_DAMAGED, "line %u: \"clean\" and \"%s\" are both 1", label->line, output_name(i));
    return 0;
}

static int get_group(const char *name, struct labels *labels, struct label *label, struct bgd_err *err)
{
    uint32_t group = 0;
    if (strlen(name) > LABELS_GROUP_BYTES_MAX)
        return err_set(err, BGD_LIMIT, "line %u: a group's name of %zu bytes, at most %u are read", label->line, strlen(name),
                       LABELS_GROUP_BYTES_MAX);
    while (group < labels->n_groups && strcmp(labels->groups[group], name) != 0)
        group++;
    if (group == LABELS_GROUPS_MAX)
        return err_set(err, BGD_LIMIT, "line %u: more than %u groups", label->line, LABELS_GROUPS_MAX);
    if (group == labels->n_groups)
        labels->groups[labels->n_groups++] = name;
    label->group = (uint8_t)group;
    return 0;
}

static int add_row(const char *values[COLUMNS], uint32_t line, struct labels *labels, size_t *capacity, struct bgd_err *err)
{
    if (labels->count == LABELS_ROWS_MAX)
        return err_set(err, BGD_LIMIT, "line %u: more than %u cards", line, LABELS_ROWS_MAX);
    if (labels->count == *capacity) {
        size_t more = *capacity ? *capacity * 2 : 256;
        struct label *grown = realloc(labels->rows, more * sizeof *grown);
        if (!grown)
            return err_set(err, BGD_MEMORY, "out of memory");
        labels->rows = grown;
        *capacity = more;
    }
    struct label *label = &labels->rows[labels->count++];
    *label = (struct label){.file = values[COLUMN_FILE], .line = line};
    if (!*label->file)
        return err_set(err, BGD_DAMAGED, "line %u: \"file\" is empty", line);
    if (get_truth(values, label, err))
        return err->code;
    return values[COLUMN_GROUP] ? get_group(values[COLUMN_GROUP], labels, label, err) : 0;
}

static int read_rows(struct reader *reader, struct labels *labels, struct bgd_err *err)
{
    size_t capacity = 0;
    while (next_row(reader)) {
        const char *values[COLUMNS] = {NULL};
        uint32_t line = reader->line;
        if (read_row(reader, values, err))
            return err->code;
        if (!is_blank(values) && add_row(values, line, labels, &capacity, err))
            return err->code;
    }
    return labels->count > 0 ? 0 : err_set(err, BGD_DAMAGED, "line %u: no cards after the header", reader->line);
}

/* ---------------------------------------------------------------- files that are named twice */

struct name {
    uint8_t hash[HASH_BYTES];
    const struct label *label;
};

/* Equal names become neighbours. By their hashes first: that is faster than by the names, which often begin alike. */
static int compare_names(const void *a, const void *b)
{
    const struct name *first = a, *second = b;
    int order = memcmp(first->hash, second->hash, HASH_BYTES);
    if (order == 0)
        order = strcmp(first->label->file, second->label->file);
    return order ? order : (first->label->line > second->label->line) - (first->label->line < second->label->line);
}

static int check_names(const struct labels *labels, struct bgd_err *err)
{
    struct name *names = malloc(labels->count * sizeof *names);
    if (!names)
        return err_set(err, BGD_MEMORY, "out of memory");
    for (size_t i = 0; i < labels->count; i++) {
        names[i].label = &labels->rows[i];
        hash_bytes(labels->rows[i].file, strlen(labels->rows[i].file), names[i].hash);
    }
    qsort(names, labels->count, sizeof *names, compare_names);
    const struct label *again = NULL, *before = NULL; /* the first that is named again */
    for (size_t i = 1; i < labels->count; i++) {
        const struct label *label = names[i].label;
        if (strcmp(names[i - 1].label->file, label->file) == 0 && (!again || label->line < again->line)) {
            before = names[i - 1].label;
            again = label;
        }
    }
    free(names);
    return again ? err_set(err, BGD_DAMAGED, "lines %u and %u name the same file: %s", before->line, again->line, again->file)
                 : 0;
}

/* ---------------------------------------------------------------- the whole */

static int check_bytes(const char *text, size_t size, struct bgd_err *err)
{
    const char *nul = memchr(text, 0, size);
    uint32_t line = 1;
    for (const char *s = text; nul && s < nul; s++)
        line += *s == '\n';
    return nul ? err_set(err, BGD_DAMAGED, "line %u: a NUL byte: this is no CSV, or one in UTF-16", line) : 0;
}

/* Takes over `text`, of `size` bytes and a NUL. */
static int parse(char *text, size_t size, struct labels **out, struct bgd_err *err)
{
    struct labels *labels = calloc(1, sizeof *labels);
    if (!labels) {
        free(text);
        return err_set(err, BGD_MEMORY, "out of memory");
    }
    labels->text = text;
    hash_text(text, size, labels->hash);                 /* before it is cut */
    bool marked = strncmp(text, "\xef\xbb\xbf", 3) == 0; /* UTF-8's byte order mark */
    struct reader reader = {.at = text + (marked ? 3 : 0), .line = 1};
    if (check_bytes(text, size, err) || read_header(&reader, labels, err) || read_rows(&reader, labels, err) ||
        check_names(labels, err)) {
        labels_close(labels);
        return err->code;
    }
    *out = labels;
    return 0;
}

int labels_parse(const void *bytes, size_t size, struct labels **labels, struct bgd_err *err)
{
    *labels = NULL;
    if (size > LABELS_BYTES_MAX)
        return err_set(err, BGD_LIMIT, "%zu bytes, at most %u are read", size, LABELS_BYTES_MAX);
    char *text = malloc(size + 1);
    if (!text)
        return err_set(err, BGD_MEMORY, "out of memory");
    if (size > 0)
        memcpy(text, bytes, size);
    text[size] = 0;
    return parse(text, size, labels, err);
}

static int read_text(const char *path, struct file_buffer *file, struct bgd_err *err)
{
    if (file_read(path, LABELS_BYTES_MAX, file, err))
        return err->code;
    uint8_t *grown = realloc(file->data, file->size + 1);
    if (!grown)
        return err_set(err, BGD_MEMORY, "out of memory");
    file->data = grown;
    file->data[file->size] = 0;
    return 0;
}

int labels_open(const char *path, struct labels **labels, struct bgd_err *err)
{
    *labels = NULL;
    struct file_buffer file = {0};
    if (read_text(path, &file, err)) {
        free(file.data);
        return err_prefix(err, "%s: ", path);
    }
    return parse((char *)file.data, file.size, labels, err) ? err_prefix(err, "%s: ", path) : 0;
}

void labels_close(struct labels *labels)
{
    if (!labels)
        return;
    free(labels->rows);
    free(labels->ignored);
    free(labels->text);
    free(labels);
}
