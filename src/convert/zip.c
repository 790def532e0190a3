#include "zip.h"

#include "../bytes.h"
#include "../err.h"
#include "checkpoint.h"

#include <stdlib.h>

#define LOCAL_SIGNATURE 0x04034b50u
#define DESCRIPTOR_SIGNATURE 0x08074b50u
#define CENTRAL_SIGNATURE 0x02014b50u
#define END64_SIGNATURE 0x06064b50u
#define LOCATOR_SIGNATURE 0x07064b50u
#define END_SIGNATURE 0x06054b50u

#define CENTRAL_BYTES 46u
#define END64_BYTES 56u
#define LOCATOR_BYTES 20u
#define END_BYTES 22u

#define FLAG_DESCRIPTOR 0x0008u
#define FLAG_UTF8 0x0800u

/* Where the central directory is: offset + size is where the end records begin. */
struct directory {
    uint64_t count, size, offset;
};

/* One entry of the central directory. */
struct entry {
    uint16_t made_by, needed, flags, method, time, date;
    uint32_t crc, packed, size;
    uint16_t name_size, extra_size, comment_size, disk, internal;
    uint32_t external, offset;
};

/* ------------------------------------------------------------ CRC-32 */

/* Eight tables, so that eight bytes go in one step: a file of 4 GiB is read in seconds. */
struct crc_tables {
    uint32_t of[8][256];
};

static void crc_prepare(struct crc_tables *tables)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        tables->of[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) {
            uint32_t before = tables->of[t - 1][i];
            tables->of[t][i] = before >> 8 ^ tables->of[0][before & 0xff];
        }
}

static uint32_t crc_of(const struct crc_tables *tables, const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (; size >= 8; size -= 8, data += 8) {
        uint32_t low = crc ^ ((uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24);
        crc = tables->of[7][low & 0xff] ^ tables->of[6][low >> 8 & 0xff] ^ tables->of[5][low >> 16 & 0xff] ^
              tables->of[4][low >> 24] ^ tables->of[3][data[4]] ^ tables->of[2][data[5]] ^ tables->of[1][data[6]] ^
              tables->of[0][data[7]];
    }
    for (; size > 0; size--, data++)
        crc = crc >> 8 ^ tables->of[0][(crc ^ *data) & 0xff];
    return ~crc;
}

/* ------------------------------------------------------------ the end records */

/* Below 4 GiB zip64 is never needed, but torch always writes it; `dir` comes from the plain record and must agree. */
static int read_end64(const uint8_t *bytes, uint64_t end, struct directory *dir, uint64_t *start, struct bgd_err *err)
{
    struct bytes in = bytes_of(bytes, (size_t)end);
    uint32_t signature = 0, disk = 0, disks = 0, start_disk = 0;
    uint64_t offset = 0, record = 0, here = 0;
    struct directory dir64 = {0};
    if (!bytes_seek(&in, end - LOCATOR_BYTES) || !bytes_u32le(&in, &signature) || !bytes_u32le(&in, &disk) ||
        !bytes_u64le(&in, &offset) || !bytes_u32le(&in, &disks))
        return err_set(err, BGD_DAMAGED, "the zip64 locator is cut short");
    if (disk != 0 || disks != 1)
        return err_set(err, BGD_UNSUPPORTED, "the zip is spread over %u disks, expected 1", disks);
    if (end < LOCATOR_BYTES + END64_BYTES || offset != end - LOCATOR_BYTES - END64_BYTES)
        return err_set(err, BGD_DAMAGED,
                       "the zip64 end record is said to be at %llu, expected right before its locator at %llu",
                       (unsigned long long)offset, (unsigned long long)(end - LOCATOR_BYTES));
    (void)bytes_seek(&in, offset);
    if (!bytes_u32le(&in, &signature) || signature != END64_SIGNATURE || !bytes_u64le(&in, &record) ||
        record != END64_BYTES - 12 || !bytes_skip(&in, 4) /* versions */ || !bytes_u32le(&in, &disk) ||
        !bytes_u32le(&in, &start_disk) || !bytes_u64le(&in, &here) || !bytes_u64le(&in, &dir64.count) ||
        !bytes_u64le(&in, &dir64.size) || !bytes_u64le(&in, &dir64.offset))
        return err_set(err, BGD_DAMAGED, "no zip64 end record of %u bytes at %llu", END64_BYTES, (unsigned long long)offset);
    if (disk != 0 || start_disk != 0 || here != dir64.count)
        return err_set(err, BGD_UNSUPPORTED, "the zip64 end record says that the zip is spread over several disks");
    if ((dir->count != dir64.count && dir->count != UINT16_MAX) || dir->size != dir64.size || dir->offset != dir64.offset)
        return err_set(
            err, BGD_DAMAGED,
            "the zip64 end record says %llu members and a directory of %llu bytes at %llu, the plain one %llu, %llu, %llu",
            (unsigned long long)dir64.count, (unsigned long long)dir64.size, (unsigned long long)dir64.offset,
            (unsigned long long)dir->count, (unsigned long long)dir->size, (unsigned long long)dir->offset);
    *dir = dir64;
    *start = offset;
    return 0;
}

/* The file ends with the end record: no comment, nothing behind it. So there is one place to look, and one answer. */
static int read_end(const uint8_t *bytes, size_t size, struct directory *dir, struct bgd_err *err)
{
    struct bytes in = bytes_of(bytes, size);
    uint32_t signature = 0, dir_size = 0, dir_offset = 0;
    uint16_t disk = 0, start_disk = 0, here = 0, count = 0, comment = 0;
    if (size < END_BYTES || !bytes_seek(&in, size - END_BYTES) || !bytes_u32le(&in, &signature) || signature != END_SIGNATURE ||
        !bytes_u16le(&in, &disk) || !bytes_u16le(&in, &start_disk) || !bytes_u16le(&in, &here) || !bytes_u16le(&in, &count) ||
        !bytes_u32le(&in, &dir_size) || !bytes_u32le(&in, &dir_offset) || !bytes_u16le(&in, &comment))
        return err_set(err, BGD_DAMAGED,
                       "%zu bytes do not end with a zip's end record: cut short, a comment or bytes behind it", size);
    if (comment != 0)
        return err_set(err, BGD_DAMAGED, "the zip's end record announces a comment of %u bytes, the file ends here", comment);
    if (disk != 0 || start_disk != 0 || here != count)
        return err_set(err, BGD_UNSUPPORTED, "the zip is spread over several disks");
    *dir = (struct directory){.count = count, .size = dir_size, .offset = dir_offset};
    uint64_t start = size - END_BYTES;
    (void)bytes_seek(&in, start >= LOCATOR_BYTES ? start - LOCATOR_BYTES : 0);
    if (bytes_u32le(&in, &signature) && signature == LOCATOR_SIGNATURE && start >= LOCATOR_BYTES &&
        read_end64(bytes, start, dir, &start, err))
        return err->code;
    uint64_t end;
    if (!checked_add(dir->offset, dir->size, &end) || end != start)
        return err_set(
            err, BGD_DAMAGED,
            "the directory is said to be %llu bytes at %llu, expected to end at %llu: bytes were put before the zip, "
            "or it is damaged",
            (unsigned long long)dir->size, (unsigned long long)dir->offset, (unsigned long long)start);
    if (dir->count > ZIP_MEMBERS_MAX)
        return err_set(err, BGD_LIMIT, "%llu members, at most %u are read", (unsigned long long)dir->count, ZIP_MEMBERS_MAX);
    if (dir->count == 0 || dir->count > dir->size / CENTRAL_BYTES)
        return err_set(err, BGD_DAMAGED, "%llu members in a directory of %llu bytes", (unsigned long long)dir->count,
                       (unsigned long long)dir->size);
    return 0;
}

/* ------------------------------------------------------------ members */

/* Why a name is refused, or NULL. Nothing is ever extracted, but a name that tries is a sign of what the file is. */
static const char *name_fault(const char *name, size_t size)
{
    if (size < 1 || size > ZIP_NAME_MAX)
        return "it is not 1..255 bytes long";
    if (!checkpoint_is_utf8(name, size))
        return "it is not UTF-8";
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f || name[i] == '\\')
            return "it has a control byte or a backslash";
    if (name[0] == '/')
        return "it is absolute";
    for (size_t start = 0, i = 0; i <= size; i++) {
        if (i < size && name[i] != '/')
            continue;
        size_t part = i - start;
        if (part == 0 || (part == 1 && name[start] == '.') || (part == 2 && name[start] == '.' && name[start + 1] == '.'))
            return "it has an empty part, . or ..";
        start = i + 1;
    }
    return NULL;
}

static int check_entry(const struct entry *e, struct bgd_err *err)
{
    if (e->flags & ~(FLAG_DESCRIPTOR | FLAG_UTF8))
        return err_set(err, BGD_UNSUPPORTED, "flags 0x%04x: encrypted or another variant that torch does not write", e->flags);
    if (e->method != 0)
        return err_set(err, BGD_UNSUPPORTED, "compressed (method %u), expected stored", e->method);
    if (e->packed == UINT32_MAX || e->size == UINT32_MAX || e->offset == UINT32_MAX)
        return err_set(err, BGD_UNSUPPORTED, "sizes in zip64 form, which a file under 4 GiB does not need");
    if (e->packed != e->size)
        return err_set(err, BGD_DAMAGED, "stored %u bytes as %u", e->size, e->packed);
    if (e->disk != 0)
        return err_set(err, BGD_UNSUPPORTED, "it begins on disk %u", e->disk);
    if (e->comment_size != 0)
        return err_set(err, BGD_UNSUPPORTED, "it has a comment");
    uint32_t type = e->external >> 28; /* the upper half is Unix's st_mode; 8 is a regular file, 10 a symbolic link */
    if (type != 0 && type != 8)
        return err_set(err, BGD_UNSUPPORTED, "it is not a regular file (mode 0%o)", e->external >> 16);
    return 0;
}

/* Extra fields are skipped, but a zip64 one would be another place for sizes, and a broken list is damage. */
static int check_extra(const uint8_t *extra, size_t size, struct bgd_err *err)
{
    struct bytes in = bytes_of(extra, size);
    while (bytes_left(&in) > 0) {
        uint16_t id, length;
        if (!bytes_u16le(&in, &id) || !bytes_u16le(&in, &length) || !bytes_skip(&in, length))
            return err_set(err, BGD_DAMAGED, "its extra fields are cut short");
        if (id == 1)
            return err_set(err, BGD_UNSUPPORTED, "sizes in zip64 form, which a file under 4 GiB does not need");
    }
    return 0;
}

static int read_entry(struct bytes *central, struct entry *e, struct zip_member *member, struct bgd_err *err)
{
    uint32_t signature = 0;
    const uint8_t *name = NULL, *extra = NULL;
    if (!bytes_u32le(central, &signature) || signature != CENTRAL_SIGNATURE || !bytes_u16le(central, &e->made_by) ||
        !bytes_u16le(central, &e->needed) || !bytes_u16le(central, &e->flags) || !bytes_u16le(central, &e->method) ||
        !bytes_u16le(central, &e->time) || !bytes_u16le(central, &e->date) || !bytes_u32le(central, &e->crc) ||
        !bytes_u32le(central, &e->packed) || !bytes_u32le(central, &e->size) || !bytes_u16le(central, &e->name_size) ||
        !bytes_u16le(central, &e->extra_size) || !bytes_u16le(central, &e->comment_size) || !bytes_u16le(central, &e->disk) ||
        !bytes_u16le(central, &e->internal) || !bytes_u32le(central, &e->external) || !bytes_u32le(central, &e->offset) ||
        !bytes_take(central, e->name_size, &name) || !bytes_take(central, e->extra_size, &extra) ||
        !bytes_skip(central, e->comment_size))
        return err_set(err, BGD_DAMAGED, "its entry in the directory is cut short or damaged");
    member->path = (const char *)name;
    member->path_size = e->name_size;
    const char *fault = name_fault(member->path, member->path_size);
    if (fault)
        return err_set(err, BGD_UNSUPPORTED, "a name that torch does not write: %s", fault);
    if (check_entry(e, err) || check_extra(extra, e->extra_size, err))
        return err->code;
    return 0;
}

static int check_local(const struct entry *e, const struct zip_member *member, struct bytes *file, struct bgd_err *err)
{
    uint32_t signature = 0, crc = 0, packed = 0, size = 0;
    uint16_t needed = 0, flags = 0, method = 0, time = 0, date = 0, name_size = 0, extra_size = 0;
    const uint8_t *name = NULL, *extra = NULL;
    if (e->offset != file->pos)
        return err_set(err, BGD_DAMAGED, "it begins at %u, expected at %zu: members overlap or leave a gap", e->offset,
                       file->pos);
    if (!bytes_u32le(file, &signature) || signature != LOCAL_SIGNATURE || !bytes_u16le(file, &needed) ||
        !bytes_u16le(file, &flags) || !bytes_u16le(file, &method) || !bytes_u16le(file, &time) || !bytes_u16le(file, &date) ||
        !bytes_u32le(file, &crc) || !bytes_u32le(file, &packed) || !bytes_u32le(file, &size) ||
        !bytes_u16le(file, &name_size) || !bytes_u16le(file, &extra_size) || !bytes_take(file, name_size, &name) ||
        !bytes_take(file, extra_size, &extra))
        return err_set(err, BGD_DAMAGED, "no local header at %u, or one that is cut short", e->offset);
    if (needed != e->needed || flags != e->flags || method != e->method || time != e->time || date != e->date ||
        name_size != e->name_size || memcmp(name, member->path, name_size) != 0)
        return err_set(err, BGD_DAMAGED, "its local header and the directory differ (version, flags, method, time or name)");
    bool later = flags & FLAG_DESCRIPTOR && crc == 0 && packed == 0 && size == 0;
    if (!later && (crc != e->crc || packed != e->packed || size != e->size))
        return err_set(err, BGD_DAMAGED, "its local header says CRC %08x and %u bytes, the directory %08x and %u", crc, size,
                       e->crc, e->size);
    return check_extra(extra, extra_size, err);
}

static int check_descriptor(const struct entry *e, struct bytes *file, struct bgd_err *err)
{
    uint32_t signature = 0, crc = 0, packed = 0, size = 0;
    if (!(e->flags & FLAG_DESCRIPTOR))
        return 0;
    if (!bytes_u32le(file, &signature) || signature != DESCRIPTOR_SIGNATURE || !bytes_u32le(file, &crc) ||
        !bytes_u32le(file, &packed) || !bytes_u32le(file, &size))
        return err_set(err, BGD_DAMAGED, "no data descriptor behind its %u bytes", e->size);
    if (crc != e->crc || packed != e->packed || size != e->size)
        return err_set(err, BGD_DAMAGED, "its data descriptor says CRC %08x and %u bytes, the directory %08x and %u", crc, size,
                       e->crc, e->size);
    return 0;
}

/* All members are in the folder of the first. */
static int split_path(const struct zip_member *first, struct zip_member *member, struct bgd_err *err)
{
    const char *slash = memchr(member->path, '/', member->path_size);
    if (!slash)
        return err_set(err, BGD_UNSUPPORTED, "it is in no folder; torch puts every member in one");
    size_t folder = (size_t)(slash - member->path) + 1;
    if (folder > first->path_size || memcmp(member->path, first->path, folder) != 0)
        return err_set(err, BGD_UNSUPPORTED, "it is in another folder than the first member, %.*s", (int)first->path_size,
                       first->path);
    member->name = member->path + folder;
    member->name_size = member->path_size - folder;
    return 0;
}

static int read_member(struct zip *zip, struct zip_member *member, struct bytes *central, struct bytes *file,
                       const struct crc_tables *tables, struct bgd_err *err)
{
    struct entry e = {0};
    if (read_entry(central, &e, member, err) || split_path(&zip->members[0], member, err) || check_local(&e, member, file, err))
        return err->code;
    if (!bytes_take(file, e.size, &member->data))
        return err_set(err, BGD_DAMAGED, "%u bytes at %zu, the members end at %zu", e.size, file->pos, file->size);
    member->size = e.size;
    if (check_descriptor(&e, file, err))
        return err->code;
    uint32_t crc = crc_of(tables, member->data, member->size);
    if (crc != e.crc)
        return err_set(err, BGD_DAMAGED, "its CRC is %08x, expected %08x: the file was changed or damaged", crc, e.crc);
    return 0;
}

/* ------------------------------------------------------------ the index */

static int compare_folded(const char *a, size_t a_size, const char *b, size_t b_size)
{
    for (size_t i = 0; i < a_size && i < b_size; i++) {
        int x = a[i] >= 'A' && a[i] <= 'Z' ? a[i] + 32 : a[i];
        int y = b[i] >= 'A' && b[i] <= 'Z' ? b[i] + 32 : b[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return a_size == b_size ? 0 : a_size < b_size ? -1 : 1;
}

static int compare_members(const void *a, const void *b)
{
    const struct zip_member *x = *(const struct zip_member *const *)a, *y = *(const struct zip_member *const *)b;
    return compare_folded(x->name, x->name_size, y->name, y->name_size);
}

static int build_index(struct zip *zip, struct bgd_err *err)
{
    for (size_t i = 0; i < zip->count; i++)
        zip->index[i] = &zip->members[i];
    qsort(zip->index, zip->count, sizeof *zip->index, compare_members);
    for (size_t i = 1; i < zip->count; i++)
        if (compare_members(&zip->index[i - 1], &zip->index[i]) == 0)
            return err_set(err, BGD_DAMAGED, "two members are named %.*s (case aside)", (int)zip->index[i]->path_size,
                           zip->index[i]->path);
    return 0;
}

const struct zip_member *zip_find(const struct zip *zip, const char *name)
{
    size_t size = strlen(name), low = 0, high = zip->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct zip_member *member = zip->index[middle];
        int order = compare_folded(member->name, member->name_size, name, size);
        if (order == 0)
            return memcmp(member->name, name, size) == 0 ? member : NULL;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int zip_open(const uint8_t *bytes, size_t size, struct zip **out, struct bgd_err *err)
{
    *out = NULL;
    struct directory dir = {0};
    if (read_end(bytes, size, &dir, err))
        return err->code;
    struct zip *zip = calloc(1, sizeof *zip);
    struct crc_tables *tables = malloc(sizeof *tables);
    if (!zip || !tables || !(zip->members = calloc((size_t)dir.count, sizeof *zip->members)) ||
        !(zip->index = calloc((size_t)dir.count, sizeof *zip->index))) {
        err_set(err, BGD_MEMORY, "out of memory for %llu members", (unsigned long long)dir.count);
        goto fail;
    }
    crc_prepare(tables);
    struct bytes file = bytes_of(bytes, (size_t)dir.offset);
    struct bytes central = bytes_of(bytes + dir.offset, (size_t)dir.size);
    for (; zip->count < dir.count; zip->count++) {
        struct zip_member *member = &zip->members[zip->count];
        if (read_member(zip, member, &central, &file, tables, err)) {
            err_prefix(err, "member %zu (%.*s): ", zip->count, (int)(member->path_size <= 255 ? member->path_size : 255),
                       member->path ? member->path : "");
            goto fail;
        }
    }
    if (bytes_left(&central) > 0 || bytes_left(&file) > 0) {
        err_set(err, BGD_DAMAGED, "%zu bytes behind the last member and %zu behind the directory's last entry, expected none",
                bytes_left(&file), bytes_left(&central));
        goto fail;
    }
    if (build_index(zip, err))
        goto fail;
    free(tables);
    *out = zip;
    return 0;
fail:
    free(tables);
    zip_close(zip);
    return err->code;
}

void zip_close(struct zip *zip)
{
    if (!zip)
        return;
    free(zip->members);
    free(zip->index);
    free(zip);
}
