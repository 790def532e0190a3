/*
 * The reader of JPEGs at 1/8 against libjpeg: the same bytes, and the DC coefficients of jpeg_read_coefficients. Files are the
 * fixtures, the sample cards, real photos where they are there, and what libjpeg's encoder makes here of a drawing.
 */
#include "jpeg_dc.h"
#include "jpeg_scan.h"
#include "picture_files.h"

#include <dirent.h>
#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jerror.h>

/* ---------------------------------------------------------------- libjpeg, as it is */

struct library {
    struct jpeg_error_mgr errors; /* first: the library hands back a pointer to it */
    jmp_buf fail;
    bool ended_early; /* it had to make data up */
};

static void on_error(j_common_ptr info)
{
    longjmp(((struct library *)(void *)info->err)->fail, 1);
}

static void on_message(j_common_ptr info, int level)
{
    if (level < 0 && info->err->msg_code == JWRN_HIT_MARKER)
        ((struct library *)(void *)info->err)->ended_early = true;
}

static void open_library(struct library *library, struct jpeg_decompress_struct *info, struct file file)
{
    library->ended_early = false;
    jpeg_create_decompress(info);
    jpeg_mem_src(info, file.data, file.size);
    jpeg_read_header(info, TRUE);
}

static struct library new_library(void)
{
    struct library library = {0};
    jpeg_std_error(&library.errors);
    library.errors.error_exit = on_error;
    library.errors.emit_message = on_message;
    return library;
}

/* The picture at 1/8 as RGB, to be freed; NULL if the library refuses the file. */
static uint8_t *library_picture(struct file file, bool *ended_early)
{
    struct jpeg_decompress_struct info;
    struct library library = new_library();
    uint8_t *volatile rgb = NULL;
    info.err = &library.errors;
    if (setjmp(library.fail)) {
        free(rgb);
        rgb = NULL;
    } else {
        open_library(&library, &info, file);
        info.scale_num = 1;
        info.scale_denom = 8;
        info.out_color_space = JCS_RGB;
        jpeg_start_decompress(&info);
        rgb = malloc((size_t)info.output_width * info.output_height * 3);
        while (info.output_scanline < info.output_height) {
            JSAMPROW row = rgb + (size_t)info.output_scanline * info.output_width * 3;
            jpeg_read_scanlines(&info, &row, 1);
        }
    }
    jpeg_destroy_decompress(&info);
    *ended_early = library.ended_early;
    return rgb;
}

/* How many DC coefficients differ from the library's; UINT32_MAX if it has none, since it reads files to the end for that. */
static uint32_t count_wrong(struct file file, const struct jpeg_dc *dc)
{
    struct jpeg_decompress_struct info;
    struct library library = new_library();
    volatile uint32_t wrong = 0;
    info.err = &library.errors;
    if (setjmp(library.fail)) {
        wrong = UINT32_MAX;
    } else {
        open_library(&library, &info, file);
        jvirt_barray_ptr *arrays = jpeg_read_coefficients(&info);
        for (int c = 0; c < info.num_components; c++)
            for (JDIMENSION y = 0; y < info.comp_info[c].height_in_blocks; y++) {
                JBLOCKARRAY rows = info.mem->access_virt_barray((j_common_ptr)&info, arrays[c], y, 1, FALSE);
                for (JDIMENSION x = 0; x < info.comp_info[c].width_in_blocks; x++)
                    wrong += dc->planes[c].dc[(size_t)y * dc->planes[c].columns + x] != rows[0][x][0];
            }
    }
    jpeg_destroy_decompress(&info);
    return wrong;
}

/* Whether our reader takes the file; *rgb, to be freed, is then its picture. */
static bool our_picture(struct file file, struct jpeg_dc *dc, uint8_t **rgb)
{
    struct jpeg_decompress_struct info;
    struct library library = new_library();
    volatile bool read = false;
    *rgb = NULL;
    *dc = (struct jpeg_dc){0};
    info.err = &library.errors;
    if (setjmp(library.fail) == 0) {
        open_library(&library, &info, file);
        bool within = (uint64_t)info.image_width * info.image_height <= BGD_IMAGE_PIXELS_MAX &&
                      info.image_width <= BGD_IMAGE_SIDE_MAX && info.image_height <= BGD_IMAGE_SIDE_MAX;
        read = within && jpeg_dc_read(&info, dc);
    }
    jpeg_destroy_decompress(&info);
    if (read) {
        *rgb = malloc((size_t)dc->width * dc->height * 3);
        jpeg_dc_picture(dc, *rgb);
    }
    return read;
}

enum outcome { DECLINED, THE_SAME, DIFFERENT };

/* What may be wrong with a file that is read. */
enum allowance {
    NOTHING = 0,
    BEHIND = 1,                /* what follows the only scan, where nobody looks but jpeg_read_coefficients */
    STEPPED_OVER = BEHIND | 2, /* the data of scans that are stepped over, of which the library says that they end early */
};

/* Reads the file both ways. */
static enum outcome compare(const char *name, struct file file, enum allowance allowance)
{
    struct jpeg_dc dc;
    uint8_t *ours, *theirs;
    bool ended_early = false;
    if (!our_picture(file, &dc, &ours)) {
        cr_expect(dc.memory == NULL && dc.n_planes == 0, "%s: declined, and something is left", name);
        return DECLINED;
    }
    theirs = library_picture(file, &ended_early);
    uint32_t wrong = theirs ? count_wrong(file, &dc) : 0;
    bool same = theirs && memcmp(ours, theirs, (size_t)dc.width * dc.height * 3) == 0;
    bool right =
        same && (wrong == 0 || (wrong == UINT32_MAX && allowance & BEHIND)) && (!ended_early || allowance == STEPPED_OVER);
    cr_expect(right, "%s: %s, %u DC coefficients differ, %s", name,
              !theirs ? "the library refuses it"
              : same  ? "the same picture"
                      : "another picture",
              wrong, ended_early ? "data end early" : "all data are there");
    jpeg_dc_free(&dc);
    free(ours);
    free(theirs);
    return right ? THE_SAME : DIFFERENT;
}

/* ---------------------------------------------------------------- files that libjpeg makes here */

struct recipe {
    int width, height, quality, components;
    int h[3], v[3]; /* sampling */
    int restart;
    bool optimised, wide_steps, arithmetic;
    const jpeg_scan_info *scans; /* NULL: one scan */
    int n_scans;
};

/* Smooth shapes, edges, and noise that changes with the seed: all kinds of coefficients. */
static uint8_t draw(uint32_t x, uint32_t y, uint32_t c, uint32_t seed)
{
    uint32_t noise = (x * 2654435761u ^ y * 2246822519u ^ (c + seed) * 3266489917u);
    noise ^= noise >> 15;
    noise *= 2246822519u;
    uint32_t level = x * (3 + c) + y * (5 - c) + seed * 7;
    if ((x / 13 + y / 9 + c) % 3 == 0)
        level = 255 - level % 97;
    return (uint8_t)(level + (noise >> 28) * ((x / 16 + y / 16) % 4));
}

static void be_quiet(j_common_ptr info, int level)
{
    (void)info;
    (void)level;
}

static struct file encode(const struct recipe *r, uint32_t seed)
{
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    info.err = jpeg_std_error(&errors);
    errors.emit_message = be_quiet;
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &bytes, &size);
    info.image_width = (JDIMENSION)r->width;
    info.image_height = (JDIMENSION)r->height;
    info.input_components = r->components;
    info.in_color_space = r->components == 1 ? JCS_GRAYSCALE : r->components == 4 ? JCS_CMYK : JCS_YCbCr;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, r->quality, !r->wide_steps);
    for (int c = 0; c < r->components && c < 3 && r->h[0]; c++) {
        info.comp_info[c].h_samp_factor = r->h[c];
        info.comp_info[c].v_samp_factor = r->v[c];
    }
    info.restart_interval = (unsigned)r->restart;
    info.optimize_coding = r->optimised || r->scans;
    info.arith_code = r->arithmetic;
    info.scan_info = r->scans;
    info.num_scans = r->n_scans;
    jpeg_start_compress(&info, TRUE);
    uint8_t *row = malloc((size_t)r->width * 4);
    while (info.next_scanline < info.image_height) {
        for (uint32_t i = 0; i < (uint32_t)(r->width * r->components); i++)
            row[i] = draw(i / (uint32_t)r->components, info.next_scanline, i % (uint32_t)r->components, seed);
        JSAMPROW rows = row;
        jpeg_write_scanlines(&info, &rows, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    struct file file = file_of(bytes, size);
    free(bytes);
    free(row);
    return file;
}

static const struct recipe usual = {.width = 90, .height = 70, .quality = 85, .components = 3, .h = {2, 1, 1}, .v = {2, 1, 1}};

/* Encodes and compares. */
static enum outcome try(const char *name, const struct recipe *recipe, uint32_t seed)
{
    struct file file = encode(recipe, seed);
    enum outcome outcome = compare(name, file, NOTHING);
    free(file.data);
    return outcome;
}

/* libjpeg's own progressive script; its separate DC scans and more bits later; colours' AC scans in bands and three steps, before
 * those of the light; one scan a component, from light to red and the other way round; two of three in one scan. */
static const jpeg_scan_info progressive[] = {{3, {0, 1, 2, 0}, 0, 0, 0, 1}, {1, {0}, 1, 5, 0, 2},  {1, {2}, 1, 63, 0, 1},
                                             {1, {1}, 1, 63, 0, 1},         {1, {0}, 6, 63, 0, 2}, {1, {0}, 1, 63, 2, 1},
                                             {3, {0, 1, 2, 0}, 0, 0, 1, 0}, {1, {2}, 1, 63, 1, 0}, {1, {1}, 1, 63, 1, 0},
                                             {1, {0}, 1, 63, 1, 0}};
static const jpeg_scan_info separate[] = {{1, {2}, 0, 0, 0, 3},  {1, {0}, 0, 0, 0, 2}, {1, {1}, 0, 0, 0, 0},
                                          {1, {2}, 0, 0, 3, 2},  {1, {0}, 0, 0, 2, 1}, {1, {2}, 0, 0, 2, 1},
                                          {1, {0}, 0, 0, 1, 0},  {1, {2}, 0, 0, 1, 0}, {1, {1}, 1, 63, 0, 0},
                                          {1, {2}, 1, 63, 0, 0}, {1, {0}, 1, 63, 0, 0}};
static const jpeg_scan_info bands[] = {{3, {0, 1, 2, 0}, 0, 0, 0, 0}, {1, {1}, 1, 2, 0, 3},  {1, {1}, 3, 20, 0, 3},
                                       {1, {1}, 21, 63, 0, 1},        {1, {2}, 1, 63, 0, 3}, {1, {1}, 1, 20, 3, 2},
                                       {1, {1}, 1, 20, 2, 1},         {1, {2}, 1, 63, 3, 2}, {1, {2}, 1, 63, 2, 1},
                                       {1, {0}, 1, 63, 0, 0},         {1, {1}, 1, 63, 1, 0}, {1, {2}, 1, 63, 1, 0}};
static const jpeg_scan_info one_by_one[] = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
static const jpeg_scan_info backwards[] = {{1, {2}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {0}, 0, 63, 0, 0}};
static const jpeg_scan_info two_and_one[] = {{2, {0, 2, 0, 0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}};
static const jpeg_scan_info grey_progressive[] = {
    {1, {0}, 0, 0, 0, 1}, {1, {0}, 1, 63, 0, 1}, {1, {0}, 0, 0, 1, 0}, {1, {0}, 1, 63, 1, 0}};

#define SCANS(name) name, sizeof name / sizeof *name
static const struct {
    const char *name;
    const jpeg_scan_info *scans;
    int n;
} scripts[] = {{"one scan", NULL, 0},
               {"progressive", SCANS(progressive)},
               {"separate DC scans", SCANS(separate)},
               {"colours in bands", SCANS(bands)},
               {"one by one", SCANS(one_by_one)},
               {"backwards", SCANS(backwards)},
               {"two and one", SCANS(two_and_one)}};
#define N_SCRIPTS (sizeof scripts / sizeof *scripts)

/* ---------------------------------------------------------------- claims */

/* All JPEGs below the folder: reads them both ways and counts. */
static void compare_folder(const char *folder, uint32_t *taken, uint32_t *declined)
{
    DIR *dir = opendir(folder);
    cr_assert(dir, "%s", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[4096];
        struct stat st;
        if (entry->d_name[0] == '.' || snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            stat(path, &st))
            continue;
        if (S_ISDIR(st.st_mode)) {
            compare_folder(path, taken, declined);
            continue;
        }
        struct file file = file_load(path);
        if (file.size > 2 && memcmp(file.data, "\xff\xd8", 2) == 0)
            *(compare(path, file, NOTHING) == DECLINED ? declined : taken) += 1;
        free(file.data);
    }
    closedir(dir);
}

Test(jpeg_dc, gives_libjpegs_picture_of_usual_files)
{
    uint32_t taken = 0, declined = 0;
    compare_folder(BGDET_SOURCE_DIR "/samples/cards", &taken, &declined);
    cr_expect(taken >= 10 && declined == 0, "%u cards taken, %u declined", taken, declined);
    compare_folder(BGDET_SOURCE_DIR "/tests/fixtures/pictures", &taken, &declined);
    cr_expect_eq(declined, 7, "%u declined; those of four components are 4, RGB is 1, without an end 2", declined);
}

Test(jpeg_dc, gives_libjpegs_picture_of_real_photos)
{
    const char *folder = BGDET_SOURCE_DIR "/../shared/data";
    uint32_t taken = 0, declined = 0;
    if (access(folder, R_OK))
        cr_skip_test("jpeg_dc::gives_libjpegs_picture_of_real_photos: there is no %s", folder);
    compare_folder(folder, &taken, &declined);
    cr_expect(taken > 0 && declined * 20 <= taken, "%u photos taken, %u declined", taken, declined);
}

Test(jpeg_dc, reads_every_order_of_scans)
{
    for (uint32_t i = 0; i < N_SCRIPTS; i++)
        for (uint32_t seed = 0; seed < 20; seed++) {
            struct recipe r = usual;
            r.scans = scripts[i].scans;
            r.n_scans = scripts[i].n;
            r.quality = 30 + (int)seed * 7 % 70;
            cr_expect_eq(try(scripts[i].name, &r, seed), THE_SAME, "%s", scripts[i].name);
        }
    struct recipe grey = usual;
    grey.components = 1;
    cr_expect_eq(try("grey", &grey, 1), THE_SAME);
    grey.scans = grey_progressive;
    grey.n_scans = sizeof grey_progressive / sizeof *grey_progressive;
    cr_expect_eq(try("grey, progressive", &grey, 1), THE_SAME);
}

/* Samplings of light and colours, each 1 or 2 a side and some beyond, which those of at most twice the blocks are read of. */
Test(jpeg_dc, reads_every_sampling_whose_colours_are_whole_or_half)
{
    for (uint32_t i = 0; i < 64 * 2; i++) {
        struct recipe r = usual;
        uint32_t most_h = 1, most_v = 1;
        for (uint32_t c = 0; c < 3; c++) {
            r.h[c] = 1 + (int)(i >> 2 * c & 1);
            r.v[c] = 1 + (int)(i >> (2 * c + 1) & 1);
            most_h = (uint32_t)r.h[c] > most_h ? (uint32_t)r.h[c] : most_h;
            most_v = (uint32_t)r.v[c] > most_v ? (uint32_t)r.v[c] : most_v;
        }
        r.scans = i < 64 ? NULL : progressive;
        r.n_scans = i < 64 ? 0 : sizeof progressive / sizeof *progressive;
        bool light_is_whole = (uint32_t)r.h[0] == most_h && (uint32_t)r.v[0] == most_v;
        int blocks = r.h[0] * r.v[0] + r.h[1] * r.v[1] + r.h[2] * r.v[2];
        if (blocks > D_MAX_BLOCKS_IN_MCU)
            continue; /* nor would the encoder */
        char name[64];
        snprintf(name, sizeof name, "%dx%d %dx%d %dx%d", r.h[0], r.v[0], r.h[1], r.v[1], r.h[2], r.v[2]);
        cr_expect_eq(try(name, &r, i), light_is_whole ? THE_SAME : DECLINED, "%s", name);
    }
    static const struct {
        int h[3], v[3];
        enum outcome outcome;
    } others[] = {{{4, 2, 2}, {1, 1, 1}, THE_SAME}, {{4, 1, 1}, {1, 1, 1}, DECLINED}, {{1, 1, 1}, {4, 2, 2}, THE_SAME},
                  {{4, 1, 1}, {2, 1, 1}, DECLINED}, {{3, 3, 3}, {1, 1, 1}, THE_SAME}, {{3, 1, 1}, {1, 1, 1}, DECLINED},
                  {{4, 2, 1}, {1, 1, 1}, DECLINED}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct recipe r = usual;
        memcpy(r.h, others[i].h, sizeof r.h);
        memcpy(r.v, others[i].v, sizeof r.v);
        cr_expect_eq(try("other samplings", &r, 1), others[i].outcome, "case %zu", i);
    }
}

Test(jpeg_dc, reads_every_size)
{
    for (int width = 1; width <= 40; width++)
        for (int height = 1; height <= 40; height++) {
            struct recipe r = usual;
            uint32_t script = (uint32_t)(width + height * 3) % N_SCRIPTS;
            r.width = width;
            r.height = height;
            r.scans = scripts[script].scans;
            r.n_scans = scripts[script].n;
            r.h[0] = 1 + width % 2;
            r.v[0] = 1 + height / 2 % 2;
            cr_expect_eq(try("sizes", &r, (uint32_t)width), THE_SAME, "%dx%d, %s", width, height, scripts[script].name);
        }
}

Test(jpeg_dc, reads_every_quality)
{
    for (int quality = 1; quality <= 100; quality++)
        for (uint32_t i = 0; i < 12; i++) {
            struct recipe r = usual;
            r.quality = quality;
            r.h[0] = r.v[0] = 1 + (int)(i & 1);
            r.optimised = i & 2;
            r.wide_steps = i % 3 == 1; /* of 16 bits, at the lowest qualities */
            r.scans = i >= 6 ? progressive : NULL;
            r.n_scans = i >= 6 ? sizeof progressive / sizeof *progressive : 0;
            cr_expect_eq(try("qualities", &r, (uint32_t)quality), THE_SAME, "quality %d, %u", quality, i);
        }
}

Test(jpeg_dc, reads_restart_intervals)
{
    for (int restart = 1; restart <= 40; restart++)
        for (uint32_t i = 0; i < N_SCRIPTS; i++) {
            struct recipe r = usual;
            r.restart = restart;
            r.scans = scripts[i].scans;
            r.n_scans = scripts[i].n;
            cr_expect_eq(try("restarts", &r, i), THE_SAME, "every %d units, %s", restart, scripts[i].name);
        }
}

Test(jpeg_dc, declines_what_is_unusual)
{
    struct recipe r = usual;
    r.arithmetic = true;
    cr_expect_eq(try("arithmetic", &r, 1), DECLINED);
    r = usual;
    r.components = 4;
    cr_expect_eq(try("CMYK", &r, 1), DECLINED);
    static const char *const names[] = {"jpeg_rgb.jpg", "jpeg_ycck.jpg", "jpeg_no_end.jpg", "jpeg_progressive_no_end.jpg"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct file file = picture_load(names[i]);
        cr_expect_eq(compare(names[i], file, NOTHING), DECLINED, "%s", names[i]);
        free(file.data);
    }
}

static uint8_t *find_scan(struct file file, const char *header, size_t size)
{
    uint8_t *at = memmem(file.data, file.size, header, size);
    cr_assert(at);
    return at;
}

/* The marker behind the data at `at`. */
static uint8_t *end_of_data(struct file file, uint8_t *at)
{
    while ((at = memchr(at, 0xff, file.size - (size_t)(at - file.data))) && (at[1] == 0 || (at[1] >= 0xd0 && at[1] <= 0xd7)))
        at += 2;
    cr_assert(at);
    return at;
}

/* Bytes in front of, within, and behind a scan; restart markers and scans that are not where they should be. */
Test(jpeg_dc, declines_what_should_not_be_there)
{
    struct recipe r = usual;
    r.restart = 4;
    struct file file = encode(&r, 3);
    uint8_t *first = memmem(file.data, file.size, "\xff\xd0", 2), *second = memmem(file.data, file.size, "\xff\xd1", 2);
    cr_assert(first && second);
    cr_expect_eq(compare("restarts", file, NOTHING), THE_SAME);
    first[1] = 0xd1;
    cr_expect_eq(compare("a restart marker of another number", file, STEPPED_OVER), DECLINED);
    first[1] = 0xd0;
    struct file longer = {malloc(file.size + 8), file.size + 8};
    for (size_t n = 1; n <= 8; n++) {
        size_t at = (size_t)(second - file.data);
        longer.size = file.size + n;
        memcpy(longer.data, file.data, at);
        memset(longer.data + at, 0x55, n);
        memcpy(longer.data + at + n, second, file.size - at);
        cr_expect_eq(compare("bytes before a restart marker", longer, STEPPED_OVER), DECLINED, "%zu bytes", n);
    }
    free(longer.data);
    free(file.data);

    r = usual;
    r.scans = progressive;
    r.n_scans = sizeof progressive / sizeof *progressive;
    file = encode(&r, 3);
    uint8_t *scan = find_scan(file, "\xff\xda\0\x08\1\1\0\1", 8); /* the first of AC coefficients, of light */
    cr_expect_eq(compare("progressive", file, NOTHING), THE_SAME);
    static const struct {
        size_t at;
        uint8_t value;
        const char *what;
    } changes[] = {{5, 9, "an unknown component"},          {6, 3, "a table that is not there"},
                   {7, 0, "DC and AC in one scan"},         {7, 9, "the first after the last"},
                   {8, 64, "a 65th coefficient"},           {8, 6, "coefficients that come twice"},
                   {9, 0x32, "bits that are not the next"}, {9, 0x0e, "more bits than there are"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        uint8_t old = scan[changes[i].at];
        scan[changes[i].at] = changes[i].value;
        cr_expect_eq(compare(changes[i].what, file, STEPPED_OVER), DECLINED, "%s", changes[i].what);
        scan[changes[i].at] = old;
    }
    scan = find_scan(file, "\xff\xda\0\x0c\3\1", 6);
    struct file behind = {scan + 6, file.size - (size_t)(scan + 6 - file.data)};
    scan = find_scan(behind, "\xff\xda\0\x0c\3\1", 6); /* the last bits of DC coefficients, of which every string is some */
    scan[5] = 2;
    scan[7] = 1;
    cr_expect_eq(compare("components in another order than the frame's", file, STEPPED_OVER), DECLINED);
    free(file.data);
}

/* Of a scan that is stepped over, too, restart markers are counted; and all scans must be there. */
Test(jpeg_dc, declines_scans_that_are_not_whole)
{
    struct recipe r = usual;
    r.restart = 20;
    r.scans = progressive;
    r.n_scans = sizeof progressive / sizeof *progressive;
    struct file file = encode(&r, 3);
    uint8_t *data = find_scan(file, "\xff\xda\0\x08\1\1\0\1", 8) + 10, *end = end_of_data(file, data);
    uint8_t *restart = memmem(data, (size_t)(end - data), "\xff\xd2", 2);
    cr_assert(restart);
    cr_expect_eq(compare("restarts", file, NOTHING), THE_SAME);
    restart[1] = 0xd3;
    cr_expect_eq(compare("a restart marker of another number", file, STEPPED_OVER), DECLINED);
    restart[1] = 0xd2;
    uint8_t *fifth = memmem(data, (size_t)(end - data), "\xff\xd4", 2); /* the last */
    cr_assert(fifth);
    fifth[1] = 0;
    cr_expect_eq(compare("a restart marker fewer", file, STEPPED_OVER), DECLINED);
    fifth[1] = 0xd4;

    uint8_t *last = find_scan(file, "\xff\xda\0\x08\1\1\0\1\x3f\x10", 10); /* the last bits of light */
    end = end_of_data(file, last + 10);
    memmove(last, end, file.size - (size_t)(end - file.data));
    file.size -= (size_t)(end - last);
    cr_expect_eq(compare("without the last scan", file, STEPPED_OVER), DECLINED);
    free(file.data);
}

/* All AC coefficients of light in scans of their own, then `more` of those of blue, and the rest in two scans. */
static struct file encode_scans(int more)
{
    jpeg_scan_info scans[200] = {{3, {0, 1, 2, 0}, 0, 0, 0, 0}};
    int n = 1;
    for (int k = 1; k <= 63; k++)
        scans[n++] = (jpeg_scan_info){1, {0}, k, k, 0, 0};
    for (int k = 1; k <= more; k++)
        scans[n++] = (jpeg_scan_info){1, {1}, k, k, 0, 0};
    scans[n++] = (jpeg_scan_info){1, {1}, more + 1, 63, 0, 0};
    scans[n++] = (jpeg_scan_info){1, {2}, 1, 63, 0, 0};
    struct recipe r = usual;
    r.scans = scans;
    r.n_scans = n;
    return encode(&r, 3);
}

Test(jpeg_dc, reads_as_many_scans_as_are_read)
{
    struct bgd_image image = {0};
    struct bgd_err err = {0};
    struct file file = encode_scans(34);
    cr_expect_eq(compare("100 scans", file, NOTHING), THE_SAME);
    free(file.data);
    file = encode_scans(35);
    cr_expect_eq(compare("101 scans", file, NOTHING), DECLINED);
    cr_expect_eq(bgd_image_decode(file.data, file.size, 12, 9, &image, &err), BGD_LIMIT, "%s", err.text);
    bgd_image_free(&image);
    free(file.data);
}

/* A small picture in the scans of scripts[i]. */
static struct recipe small_of(uint32_t i)
{
    struct recipe r = usual;
    r.width = 37;
    r.height = 29;
    r.restart = (int)i % 3;
    r.scans = scripts[i].scans;
    r.n_scans = scripts[i].n;
    return r;
}

/* Cut anywhere, and whatever is left: what is read is the whole picture. */
Test(jpeg_dc, of_a_cut_file_is_read_only_what_is_whole)
{
    for (uint32_t i = 0; i < N_SCRIPTS; i++) {
        const struct recipe r = small_of(i);
        struct file whole = encode(&r, i);
        uint32_t taken = 0;
        for (size_t size = 3; size < whole.size; size++) {
            struct file cut = file_of(whole.data, size);
            taken += compare(scripts[i].name, cut, NOTHING) != DECLINED;
            free(cut.data);
        }
        cr_expect_eq(taken, 0, "%s: %u cut files are taken", scripts[i].name, taken);
        free(whole.data);
    }
}

/*
 * Any byte changed, and then several: what is read is libjpeg's picture. A file of scans that were stepped over may have damage
 * there, which libjpeg says and draws over as well as it can; a baseline file may not.
 */
Test(jpeg_dc, of_damaged_files_gives_libjpegs_picture_or_none)
{
    uint32_t taken = 0, declined = 0;
    uint64_t state = 42;
    for (uint32_t i = 0; i < N_SCRIPTS; i++) {
        const struct recipe r = small_of(i);
        struct file file = encode(&r, i);
        enum allowance allowance = i >= 1 && i <= 3 ? STEPPED_OVER : BEHIND; /* those are progressive */
        for (size_t at = 2; at < file.size; at++) {
            const uint8_t old = file.data[at];
            const uint8_t values[] = {0, 255, (uint8_t)~old, (uint8_t)(old ^ 1), (uint8_t)(old ^ 0x80)};
            for (size_t k = 0; k < sizeof values; k++) {
                file.data[at] = values[k];
                *(compare(scripts[i].name, file, allowance) == DECLINED ? &declined : &taken) += 1;
            }
            file.data[at] = old;
        }
        for (int round = 0; round < 500; round++) {
            struct file changed = file_of(file.data, file.size);
            for (int k = 0; k < 2 + round % 9; k++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                changed.data[(state >> 33) % changed.size] = (uint8_t)(state >> 24);
            }
            *(compare(scripts[i].name, changed, allowance) == DECLINED ? &declined : &taken) += 1;
            free(changed.data);
        }
        free(file.data);
    }
    cr_expect(taken > 100 && declined > 100, "%u taken, %u declined", taken, declined);
}

/* Colours far beyond what pixels have, at every step from there to where sums would not fit in 16 bits: the library's transform is
 * not one there (C wraps, vectors saturate). */
static void try_large_steps(void)
{
    uint32_t taken = 0, declined = 0;
    for (uint32_t i = 0; i < 6; i++) {
        struct recipe r = usual;
        r.quality = 100 - 40 * (int)(i / 2);
        r.scans = i % 2 ? progressive : NULL;
        r.n_scans = i % 2 ? sizeof progressive / sizeof *progressive : 0;
        struct file file = encode(&r, 5);
        uint8_t *steps = find_scan(file, "\xff\xdb\0\x43\1", 5) + 5; /* the second table */
        for (int step = 1; step <= 255; step++) {
            memset(steps, step, 64);
            *(compare("large steps", file, NOTHING) == DECLINED ? &declined : &taken) += 1;
            memset(steps, 1, 64);
            steps[0] = (uint8_t)step; /* of the DC coefficient alone */
            *(compare("a large step", file, NOTHING) == DECLINED ? &declined : &taken) += 1;
        }
        free(file.data);
    }
    cr_expect(taken > 500 && declined > 500, "%u taken, %u declined", taken, declined);
}

Test(jpeg_dc, of_colours_out_of_range_gives_libjpegs_picture_or_none)
{
    try_large_steps();
}

Test(jpeg_dc, of_colours_out_of_range_gives_the_picture_of_libjpegs_plain_c_or_none)
{
    setenv("JSIMD_FORCENONE", "1", 1); /* the library looks at it once */
    try_large_steps();
}

/* What can no longer be told from a whole file: 1/8 of a progressive one whose light's AC scans are damaged. */
Test(jpeg_dc, reads_past_damage_in_scans_that_are_not_needed)
{
    struct recipe r = usual;
    r.scans = progressive;
    r.n_scans = sizeof progressive / sizeof *progressive;
    struct file file = encode(&r, 3);
    uint8_t *data = find_scan(file, "\xff\xda\0\x08\1\1\0\1", 8) + 10, *next = end_of_data(file, data);
    struct bgd_image before = {0}, after = {0};
    struct bgd_err err = {0};
    cr_assert_eq(bgd_image_decode(file.data, file.size, 12, 9, &before, &err), 0);
    memmove(data + 1, next, file.size - (size_t)(next - file.data)); /* one byte is left of it */
    file.size -= (size_t)(next - data) - 1;
    cr_expect_eq(bgd_image_decode(file.data, file.size, 0, 0, &after, &err), BGD_DAMAGED);
    cr_assert_eq(bgd_image_decode(file.data, file.size, 12, 9, &after, &err), 0, "%s", err.text);
    cr_expect(after.width == 12 && before.width == 12);
    cr_expect_arr_eq(before.rgb, after.rgb, 12 * 9 * 3);
    bgd_image_free(&before);
    bgd_image_free(&after);
    free(file.data);
}

Test(jpeg_dc, is_what_decodes_at_an_eighth)
{
    struct file file = encode(&usual, 7);
    struct bgd_image image = {0};
    struct bgd_err err = {0};
    struct jpeg_dc dc;
    uint8_t *ours;
    cr_assert_eq(bgd_image_decode(file.data, file.size, 12, 9, &image, &err), 0);
    cr_assert(our_picture(file, &dc, &ours));
    cr_expect(image.width == 12 && image.height == 9 && image.full_width == 90 && image.full_height == 70);
    cr_expect_arr_eq(image.rgb, ours, 12 * 9 * 3);
    jpeg_dc_free(&dc);
    free(ours);
    bgd_image_free(&image);
    free(file.data);
}

/* Two blocks of a component, by codes of two bits. */
static bool read_two(enum jpeg_scan_kind kind, uint32_t restart, const char *data, size_t size, const uint8_t values[3],
                     int16_t dc[2], uint64_t present[2])
{
    static struct jpeg_huffman huffman;
    struct jpeg_codes codes = {.counts = {0, 0, 3}, .present = true};
    int16_t kept[2][JPEG_MEAN_PLACES] = {0};
    struct jpeg_scan_target target = {.columns = 2, .dc = dc, .present = present, .values = kept};
    struct jpeg_scan scan = {.kind = kind, .n = 1, .columns = 2, .rows = 1, .from = 1, .to = 1, .restart = restart};
    struct file file = file_of(data, size);
    struct bytes in = bytes_of(file.data, file.size);
    memcpy(codes.values, values, 3);
    jpeg_huffman_build(&codes, &huffman);
    scan.parts[0] = (struct jpeg_scan_part){.target = &target, .dc = &huffman, .ac = &huffman, .across = 1, .down = 1};
    bool read = jpeg_scan_read(&scan, &in);
    cr_expect(!read || in.pos == size - 2);
    free(file.data);
    return read;
}

Test(jpeg_dc, declines_dc_coefficients_of_more_than_16_bits)
{
    int16_t dc[2] = {0};
    const uint8_t values[3] = {15, 1, 0};
    cr_expect(read_two(JPEG_DC_FIRST, 0, "\x3f\xff\x00\xdf\xff\xd9", 6, values, dc, NULL)); /* 32767, and none more */
    cr_expect(dc[0] == 32767 && dc[1] == 32767, "%d, %d", dc[0], dc[1]);
    cr_expect_not(read_two(JPEG_DC_FIRST, 0, "\x3f\xff\x00\xbf\xff\xd9", 6, values, dc, NULL)); /* and 1 more */
}

Test(jpeg_dc, ends_a_run_of_empty_blocks_at_a_restart)
{
    int16_t dc[2] = {0};
    uint64_t present[2] = {0};
    const uint8_t values[3] = {0x10, 0x01, 0};
    cr_expect(read_two(JPEG_AC_FIRST, 1, "\x1f\xff\xd0\x7f\xff\xd9", 6, values, dc, present)); /* two empty ones begin */
    cr_expect(present[0] == 0 && present[1] == 2);
}

Test(jpeg_dc, refuses_the_tables_that_libjpeg_refuses)
{
    struct jpeg_codes codes = {.counts = {0, 0, 3}, .present = true}; /* 00, 01, 10 */
    cr_expect(jpeg_codes_valid(&codes, true));
    codes.present = false;
    cr_expect_not(jpeg_codes_valid(&codes, true));
    codes.present = true;
    codes.counts[2] = 4;
    cr_expect_not(jpeg_codes_valid(&codes, true), "a code of all ones");
    codes = (struct jpeg_codes){.counts = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, .present = true};
    cr_expect_not(jpeg_codes_valid(&codes, false), "more codes than 16 bits have");
    codes.counts[16] = 1;
    cr_expect(jpeg_codes_valid(&codes, false));
    codes.values[16] = 16; /* behind the last */
    cr_expect(jpeg_codes_valid(&codes, true));
    codes.values[15] = 16;
    cr_expect(jpeg_codes_valid(&codes, false));
    cr_expect_not(jpeg_codes_valid(&codes, true), "a DC difference of 16 bits");
    codes = (struct jpeg_codes){.counts = {[9] = 2, [16] = 255}, .present = true};
    cr_expect_not(jpeg_codes_valid(&codes, false), "257 values");
    codes.counts[9] = 1;
    cr_expect(jpeg_codes_valid(&codes, false));
}

/* A look says of any bits what the codes say one by one. */
Test(jpeg_dc, steps_over_as_many_bits_as_the_codes_have)
{
    static struct jpeg_huffman huffman;
    static struct jpeg_skips skips;
    uint64_t state = 7;
    uint32_t ended = 0, none = 0;
    for (uint32_t round = 0; round < 50; round++) {
        struct jpeg_codes codes = {.present = true};
        for (uint32_t bits = 2, room = 3; bits <= 16 && room; bits++, room *= 2) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            uint32_t count = (uint32_t)(state >> 40) % (room + 1);
            codes.counts[bits] = (uint8_t)(count < 16 ? count : 16);
            room -= codes.counts[bits];
        }
        for (uint32_t i = 0; i < 256; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            codes.values[i] = state >> 62 ? (uint8_t)(state >> 40) : 0;
        }
        if (!jpeg_codes_valid(&codes, false))
            continue;
        jpeg_huffman_build(&codes, &huffman);
        jpeg_skips_build(&codes, &skips);
        for (uint32_t i = 0; i < 1u << JPEG_SKIPS_WIDTH; i++) {
            uint32_t entry = skips.entry[i], used = 0, advance = 0;
            struct jpeg_bits bits = {.bits = (uint64_t)i << (64 - JPEG_SKIPS_WIDTH), .n = 63};
            none += entry == JPEG_SKIPS_NONE;
            while (entry != JPEG_SKIPS_NONE && used < (entry & 255)) {
                uint32_t symbol = jpeg_huffman_take(&bits, &huffman);
                cr_assert_neq(symbol, JPEG_NO_CODE);
                jpeg_bits_skip(&bits, symbol & 15);
                used = 63 - bits.n;
                advance += symbol ? (symbol >> 4) + 1 : JPEG_SKIPS_END;
                ended += symbol == 0;
            }
            if (entry != JPEG_SKIPS_NONE)
                cr_assert(used == (entry & 255) && advance == entry >> 8 && used <= JPEG_SKIPS_BITS, "%x: %u bits, %u", entry,
                          used, advance);
        }
    }
    cr_expect(ended > 1000 && none > 1000, "%u, %u", ended, none);
}
