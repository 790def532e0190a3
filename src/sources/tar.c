#include "tar.h"

#include "../err.h"
#include "json.h"
#include "../utf8.h"
#include "../wake.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BLOCK_BYTES (64u << 10)

struct picture {
    char *id;
    uint8_t *data; /* NULL: it is above BGD_IMAGE_BYTES_MAX */
    size_t size;
};

/* Where an entry belongs. */
struct name {
    const char *text;
    size_t key;            /* bytes of the sample's name; 0: it belongs to none, or is no file */
    const char *extension; /* behind the first dot */
    const char *kind;      /* behind the last one */
};

/* What follows each other under one key. */
struct sample_entries {
    char *key;
    struct picture pictures[TAR_SAMPLE_ENTRIES];
    size_t n_pictures, given;
    cJSON *fields;
    size_t n_entries, bytes;
    char *carried; /* the fields as text, once the sample is complete */
};

struct tar {
    char *name;
    struct archive *archive;
    int file;                     /* -1: an object */
    struct remote_stream *stream; /* of an object */
    const int *wake;
    uint64_t size;         /* of file or object; 0: unknown */
    struct bgd_err source; /* code not 0: why the bytes stopped to come */
    uint8_t block[BLOCK_BYTES];

    struct archive_entry *entry; /* whose header has been read, and which has not been taken; NULL: none */
    int64_t entry_end;           /* where in the tar the last entry ended */
    bool ended;
    struct bgd_err err;      /* code not 0: why it ended early */
    uint64_t cards;          /* pictures found so far */
    struct file_buffer text; /* of a field */
    struct sample_entries sample;
};

bool tar_is(const char *name)
{
    static const char *const ends[] = {".tar", ".tar.gz", ".tgz", ".tar.zst"};
    size_t length = remote_is(name) ? strcspn(name, "?") : strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (length > n && strncmp(name + length - n, ends[i], n) == 0)
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------- bytes */

/* A packed tar that is nothing but a way to keep us busy. */
static bool is_bomb(struct archive *archive)
{
    int64_t plain = archive_filter_bytes(archive, 0), packed = archive_filter_bytes(archive, -1);
    return plain > TAR_EXPANSION_FREE && plain / TAR_EXPANSION_MAX > packed;
}

static int64_t read_source(struct tar *tar)
{
    if (wake_is_up(tar->wake))
        return err_set(&tar->source, BGD_NETWORK, "stopped");
    if (is_bomb(tar->archive))
        return err_set(&tar->source, BGD_LIMIT, "expands to more than %u times its size", TAR_EXPANSION_MAX);
    if (tar->stream)
        return remote_stream_read(tar->stream, tar->block, sizeof tar->block, &tar->source);
    ssize_t got;
    while ((got = read(tar->file, tar->block, sizeof tar->block)) < 0 && errno == EINTR)
        continue;
    return got < 0 ? err_set(&tar->source, BGD_UNREADABLE, "%s", strerror(errno)) : got;
}

static la_ssize_t on_read(struct archive *archive, void *user, const void **block)
{
    struct tar *tar = user;
    int64_t got = read_source(tar);
    *block = tar->block;
    if (got < 0)
        archive_set_error(archive, EIO, "%s", tar->source.text);
    return got < 0 ? -1 : (la_ssize_t)got;
}

/* Ends the tar with the reason why it cannot go on: the source's own, if it has one, of which libarchive knows only that bytes
 * are missing. */
static int fail(struct tar *tar)
{
    const char *text = archive_error_string(tar->archive);
    tar->ended = true;
    if (tar->source.code)
        tar->err = tar->source;
    else
        err_set(&tar->err, archive_errno(tar->archive) == ENOMEM ? BGD_MEMORY : BGD_DAMAGED, "%s", text ? text : "damaged");
    size_t n = strlen(tar->err.text);
    snprintf(tar->err.text + n, sizeof tar->err.text - n, ", after %llu cards", (unsigned long long)tar->cards);
    return tar->err.code;
}

static int fail_for_memory(struct tar *tar)
{
    tar->ended = true;
    return err_set(&tar->err, BGD_MEMORY, "out of memory");
}

/* Makes room for more in the buffer: it grows with what is there, whatever the header says. */
static int grow(struct tar *tar, struct file_buffer *buffer)
{
    size_t more = buffer->capacity ? buffer->capacity * 2 : BLOCK_BYTES;
    uint8_t *grown = realloc(buffer->data, more);
    if (!grown)
        return fail_for_memory(tar);
    buffer->data = grown;
    buffer->capacity = more;
    return 0;
}

/* Reads the entry's data, and not the padding behind: where that is cut, the data may be whole. Leaves room for a byte more. 1;
 * 0: there are more than `most` bytes, of which some were read; or an error. */
static int read_data(struct tar *tar, size_t most, struct file_buffer *buffer)
{
    int64_t size = archive_entry_size(tar->entry);
    la_ssize_t got = 1;
    buffer->size = 0;
    while (got > 0 && buffer->size <= most) {
        if (buffer->size == buffer->capacity && grow(tar, buffer))
            return BGD_MEMORY;
        if ((int64_t)buffer->size == size)
            break;
        size_t room = buffer->capacity - buffer->size, left = (size_t)(size - (int64_t)buffer->size);
        got = archive_read_data(tar->archive, buffer->data + buffer->size, room < left ? room : left);
        if (got < 0)
            return fail(tar);
        buffer->size += (size_t)got;
    }
    return buffer->size <= most;
}

/* ---------------------------------------------------------------- samples */

static struct name name_of(struct archive_entry *entry)
{
    const char *text = archive_entry_pathname(entry);
    struct name name = {.text = text};
    if (!text || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
        return name;
    const char *slash = strrchr(text, '/'), *last = slash ? slash + 1 : text;
    const char *dot = strchr(last, '.');
    if (!dot || dot == last || !dot[1])
        return name;
    name.key = (size_t)(dot - text);
    name.extension = dot + 1;
    name.kind = strrchr(text, '.') + 1;
    return name;
}

static bool is_picture(const char *kind)
{
    static const char *const kinds[] = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tga"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcasecmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static bool is_text(const uint8_t *data, size_t size)
{
    for (size_t at = 0, n; at < size; at += n)
        if (data[at] == 0 || (n = utf8_length(data + at, size - at)) == 0)
            return false;
    return true;
}

static void sample_free(struct sample_entries *sample)
{
    for (size_t i = 0; i < sample->n_pictures; i++) {
        free(sample->pictures[i].id);
        free(sample->pictures[i].data);
    }
    free(sample->key);
    cJSON_Delete(sample->fields);
    cJSON_free(sample->carried);
    *sample = (struct sample_entries){0};
}

/* Whether the entry goes on with the sample that is held, or can begin one. */
static bool belongs(const struct sample_entries *sample, const struct name *name)
{
    return !sample->key || (sample->n_entries < TAR_SAMPLE_ENTRIES && sample->bytes < TAR_SAMPLE_BYTES &&
                            strlen(sample->key) == name->key && memcmp(sample->key, name->text, name->key) == 0);
}

static int take_picture(struct tar *tar, const struct name *name)
{
    struct sample_entries *sample = &tar->sample;
    struct file_buffer buffer = {0};
    int code = read_data(tar, BGD_IMAGE_BYTES_MAX, &buffer);
    struct picture picture = {.data = buffer.data, .size = buffer.size};
    if (code < 0 || asprintf(&picture.id, "%s/%s", tar->name, name->text) < 0) {
        free(buffer.data);
        return code < 0 ? code : fail_for_memory(tar);
    }
    if (code == 0) {
        free(buffer.data);
        picture.data = NULL;
        picture.size = 0;
    } else { /* it may wait long: without what the buffer has too much */
        uint8_t *fitted = realloc(buffer.data, buffer.size + !buffer.size);
        picture.data = fitted ? fitted : buffer.data;
    }
    sample->pictures[sample->n_pictures++] = picture;
    sample->bytes += picture.size;
    tar->cards++;
    return 0;
}

/* The field as JSON: the text itself if it is JSON and says so, else as a string; NULL: out of memory. */
static cJSON *field_of(char *text, size_t size, const char *kind)
{
    cJSON *tree = strcasecmp(kind, "json") == 0 ? json_parse(text, size) : NULL;
    if (tree) {
        cJSON_Delete(tree);
        json_compact(text);
        return cJSON_CreateRaw(text);
    }
    if (size > 0 && text[size - 1] == '\n')
        text[--size] = 0;
    if (size > 0 && text[size - 1] == '\r')
        text[--size] = 0;
    return cJSON_CreateString(text);
}

/* The extension in lower case, to be freed; NULL: it is not text, or out of memory. */
static char *field_key(const struct name *name)
{
    char *key = is_text((const uint8_t *)name->extension, strlen(name->extension)) ? strdup(name->extension) : NULL;
    for (char *c = key; c && *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    return key;
}

/* Adds the text that was read to the sample's fields. */
static int add_field(struct tar *tar, const char *key, const char *kind)
{
    struct sample_entries *sample = &tar->sample;
    tar->text.data[tar->text.size] = 0;
    if (!sample->fields)
        sample->fields = cJSON_CreateObject();
    if (cJSON_HasObjectItem(sample->fields, key))
        return 0;
    cJSON *field = field_of((char *)tar->text.data, tar->text.size, kind);
    if (!cJSON_AddItemToObject(sample->fields, key, field)) {
        cJSON_Delete(field);
        return fail_for_memory(tar);
    }
    sample->bytes += tar->text.size;
    return 0;
}

static int take_field(struct tar *tar, const struct name *name)
{
    int code = read_data(tar, TAR_FIELD_BYTES, &tar->text);
    if (code <= 0 || !is_text(tar->text.data, tar->text.size))
        return code < 0 ? code : 0;
    char *key = field_key(name);
    code = key ? add_field(tar, key, name->kind) : 0;
    free(key);
    return code;
}

/* Reads on to the next header, unless there is one that waits. */
static void read_header(struct tar *tar)
{
    if (tar->entry)
        return;
    int code = archive_read_next_header(tar->archive, &tar->entry);
    if (code == ARCHIVE_OK || code == ARCHIVE_WARN) /* warned of: letters that a locale lacks, odd attributes */
        return;
    tar->entry = NULL;
    tar->ended = true;
    if (code == ARCHIVE_EOF && archive_filter_bytes(tar->archive, 0) > tar->entry_end)
        return;
    if (code == ARCHIVE_EOF) /* libarchive forgives that */
        archive_set_error(tar->archive, EINVAL, "cut short: there is no end-of-archive mark");
    fail(tar);
}

static int take_entry(struct tar *tar, const struct name *name)
{
    struct sample_entries *sample = &tar->sample;
    int code = 0;
    if (name->key) {
        if (!sample->key && !(sample->key = strndup(name->text, name->key)))
            return fail_for_memory(tar);
        sample->n_entries++;
        code = is_picture(name->kind) ? take_picture(tar, name) : take_field(tar, name);
    }
    if (!code && archive_read_data_skip(tar->archive) != ARCHIVE_OK)
        code = fail(tar);
    tar->entry_end = archive_filter_bytes(tar->archive, 0);
    tar->entry = NULL;
    return code;
}

/* Gathers what belongs together. It may be nothing, and what is whole before damage is a sample, too. */
static void read_sample(struct tar *tar)
{
    struct sample_entries *sample = &tar->sample;
    sample_free(sample);
    while (read_header(tar), !tar->ended) {
        const struct name name = name_of(tar->entry);
        if (name.key && !belongs(sample, &name))
            break;
        if (take_entry(tar, &name))
            break;
    }
    if (sample->fields && sample->n_pictures > 0 && !(sample->carried = cJSON_PrintUnformatted(sample->fields))) {
        sample_free(sample);
        fail_for_memory(tar);
    }
}

/* ---------------------------------------------------------------- the shard */

static int open_archive(struct tar *tar, struct bgd_err *err)
{
    struct archive *archive = tar->archive = archive_read_new();
    if (!archive || archive_read_support_format_tar(archive) != ARCHIVE_OK)
        return err_set(err, BGD_MEMORY, "out of memory");
    /* Behind the end of a tar there may be another; without this it would be lost without a word. */
    if (archive_read_set_option(archive, "tar", "read_concatenated_archives", "1") != ARCHIVE_OK)
        return err_set(err, BGD_UNSUPPORTED, "libarchive: %s", archive_error_string(archive));
    /* No more than a warning: this libarchive would start a program to unpack it. */
    if (archive_read_support_filter_gzip(archive) != ARCHIVE_OK || archive_read_support_filter_zstd(archive) != ARCHIVE_OK)
        return err_set(err, BGD_UNSUPPORTED, "this libarchive was built without zlib or zstd");
    if (archive_read_open(archive, tar, NULL, on_read, NULL) != ARCHIVE_OK)
        fail(tar); /* what is no tar is one without a card: tar_next says so */
    return 0;
}

static int open_source(struct tar *tar, struct remote *remote, struct bgd_err *err)
{
    size_t size = 0;
    if (!remote_is(tar->name)) {
        tar->file = file_open(tar->name, SIZE_MAX, &size, err);
        tar->size = size;
        return tar->file < 0 ? tar->file : 0;
    }
    if (remote_stream_open(remote, tar->name, &tar->stream, err))
        return err->code;
    tar->size = remote_stream_size(tar->stream);
    return 0;
}

int tar_open(const char *name, struct remote *remote, const int *wake, struct tar **out, struct bgd_err *err)
{
    *out = NULL;
    struct tar *tar = calloc(1, sizeof *tar);
    if (!tar)
        return err_set(err, BGD_MEMORY, "out of memory");
    tar->file = -1;
    tar->wake = wake;
    tar->name = strdup(name);
    int code = tar->name ? open_source(tar, remote, err) : err_set(err, BGD_MEMORY, "out of memory");
    if (code || (code = open_archive(tar, err))) {
        tar_close(tar);
        return code;
    }
    *out = tar;
    return 0;
}

void tar_close(struct tar *tar)
{
    if (!tar)
        return;
    sample_free(&tar->sample);
    archive_read_free(tar->archive);
    if (tar->stream)
        remote_stream_close(tar->stream);
    if (tar->file >= 0)
        close(tar->file);
    free(tar->text.data);
    free(tar->name);
    free(tar);
}

int tar_next(struct tar *tar, struct item *item, struct bgd_err *err)
{
    struct sample_entries *sample = &tar->sample;
    while (sample->given == sample->n_pictures) {
        if (tar->ended) {
            *err = tar->err;
            return tar->err.code;
        }
        read_sample(tar);
    }
    struct picture *picture = &sample->pictures[sample->given++];
    *item = (struct item){.id = picture->id, .data = picture->data, .size = picture->size, .carried = sample->carried};
    picture->data = NULL;
    if (!item->data) {
        item->code = BGD_LIMIT;
        static_assert(BGD_IMAGE_BYTES_MAX == 20u << 20, "the text below says so");
        item->detail = "larger than 20 MiB, the most that is read of a picture";
    }
    return 1;
}

float tar_progress(const struct tar *tar)
{
    return tar->size ? (float)((double)archive_filter_bytes(tar->archive, -1) / (double)tar->size) : 0;
}
