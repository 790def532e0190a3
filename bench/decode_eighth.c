#include "decode_eighth.h"

#include "bgdet.h"
#include "file.h"
#include "jpeg_dc.h"
#include "percentile.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 7, PROGRESSIVE = 4, KINDS = 8 }; /* a kind: of `samplings`, and from PROGRESSIVE on the same again */
static const char *const samplings[] = {"grey", "4:4:4", "4:2:0", "other"};

struct library {
    struct jpeg_error_mgr errors; /* first: the library hands back a pointer to it */
    jmp_buf fail;
};

struct kind {
    size_t n, declined, room;
    double library, ours, bytes;
    double *ratios;
};

static void on_error(j_common_ptr info)
{
    longjmp(((struct library *)(void *)info->err)->fail, 1);
}

static void on_message(j_common_ptr info, int level)
{
    (void)info;
    (void)level;
}

/* Of this thread alone: the machine may do other things. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void open_header(struct jpeg_decompress_struct *info, struct library *library, const struct file_buffer *file)
{
    info->err = jpeg_std_error(&library->errors);
    library->errors.error_exit = on_error;
    library->errors.emit_message = on_message;
    jpeg_create_decompress(info);
    jpeg_mem_src(info, file->data, (unsigned long)file->size);
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(info, TRUE);
}

static uint32_t kind_of(const struct jpeg_decompress_struct *info)
{
    uint32_t sampling = 3;
    if (info->num_components == 1)
        sampling = 0;
    else if (info->max_h_samp_factor == 1 && info->max_v_samp_factor == 1)
        sampling = 1;
    else if (info->comp_info[0].h_samp_factor == 2 && info->comp_info[0].v_samp_factor == 2)
        sampling = 2;
    return sampling + (info->progressive_mode ? PROGRESSIVE : 0);
}

/* Both read the header, decode to `rgb`, and clean up. */
static double time_library(const struct file_buffer *file, uint8_t *rgb)
{
    struct jpeg_decompress_struct info;
    struct library library;
    double start = seconds();
    if (setjmp(library.fail) == 0) {
        open_header(&info, &library, file);
        info.scale_num = 1;
        info.scale_denom = 8;
        info.out_color_space = JCS_RGB;
        jpeg_start_decompress(&info);
        while (info.output_scanline < info.output_height) {
            JSAMPROW row = rgb + (size_t)info.output_scanline * info.output_width * 3;
            jpeg_read_scanlines(&info, &row, 1);
        }
    }
    jpeg_destroy_decompress(&info);
    return seconds() - start;
}

/* 0 if our reader declines the file. */
static double time_ours(const struct file_buffer *file, uint8_t *rgb)
{
    struct jpeg_decompress_struct info;
    struct library library;
    struct jpeg_dc dc;
    double start = seconds();
    volatile bool read = false; /* longjmp */
    if (setjmp(library.fail) == 0) {
        open_header(&info, &library, file);
        read = jpeg_dc_read(&info, &dc);
        if (read) {
            jpeg_dc_picture(&dc, rgb);
            jpeg_dc_free(&dc);
        }
    }
    jpeg_destroy_decompress(&info);
    return read ? seconds() - start : 0;
}

/* The file's kind and the size of its picture at 1/8; KINDS if it is none that libjpeg reads, or too large. */
static uint32_t look(const struct file_buffer *file, size_t *size)
{
    struct jpeg_decompress_struct info;
    struct library library;
    volatile uint32_t kind = KINDS; /* longjmp */
    if (file->size < 3 || memcmp(file->data, "\xff\xd8\xff", 3) != 0)
        return KINDS;
    if (setjmp(library.fail) == 0) {
        open_header(&info, &library, file);
        if ((uint64_t)info.image_width * info.image_height <= BGD_IMAGE_PIXELS_MAX && info.image_width <= BGD_IMAGE_SIDE_MAX &&
            info.image_height <= BGD_IMAGE_SIDE_MAX && info.num_components < 4) {
            kind = kind_of(&info);
            *size = (size_t)((info.image_width + 7) / 8) * ((info.image_height + 7) / 8) * 3;
        }
    }
    jpeg_destroy_decompress(&info);
    return kind;
}

/* The best of some rounds, in turn: what disturbs one of the two would disturb the other. False: the pictures differ. */
static bool measure(const struct file_buffer *file, size_t size, struct kind *kind)
{
    uint8_t *theirs = malloc(size), *ours = malloc(size);
    double best[2] = {1e9, 1e9};
    bool declined = false, same = true;
    if (!theirs || !ours)
        abort();
    for (int i = 0; i < ROUNDS && !declined && same; i++) {
        double library = time_library(file, theirs), own = time_ours(file, ours);
        best[0] = library < best[0] ? library : best[0];
        best[1] = own < best[1] ? own : best[1];
        declined = own == 0;
        same = declined || memcmp(ours, theirs, size) == 0;
    }
    free(theirs);
    free(ours);
    if (declined || !same) {
        kind->declined += declined;
        return same;
    }
    if (kind->n == kind->room) {
        kind->room = kind->room ? 2 * kind->room : 64;
        kind->ratios = realloc(kind->ratios, kind->room * sizeof *kind->ratios);
        if (!kind->ratios)
            abort();
    }
    kind->ratios[kind->n++] = best[0] / best[1];
    kind->library += best[0];
    kind->ours += best[1];
    kind->bytes += (double)file->size;
    return true;
}

int decode_eighth(FILE *list)
{
    struct kind kinds[KINDS] = {0};
    struct file_buffer file = {0};
    char name[4096];
    int code = 0;
    while (fgets(name, sizeof name, list)) {
        struct bgd_err err;
        size_t size;
        name[strcspn(name, "\n")] = 0;
        if (file_read(name, BGD_IMAGE_BYTES_MAX, &file, &err)) {
            fprintf(stderr, "%s: %s\n", name, err.text);
            continue;
        }
        uint32_t kind = look(&file, &size);
        if (kind < KINDS && !measure(&file, size, &kinds[kind])) {
            fprintf(stderr, "%s: another picture than libjpeg's\n", name);
            code = 65;
        }
    }
    printf("%-18s %6s %8s %6s %12s %12s %28s\n", "JPEG at 1/8", "files", "declined", "KB", "libjpeg, us", "ours, us",
           "times faster (10 %, 90 %)");
    for (uint32_t i = 0; i < KINDS; i++) {
        struct kind *k = &kinds[i];
        double n = (double)k->n;
        if (k->n + k->declined == 0)
            continue;
        printf("%-11s %-6s %6zu %8zu", i < PROGRESSIVE ? "baseline" : "progressive", samplings[i % 4], k->n, k->declined);
        if (k->n > 0) {
            percentile_sort(k->ratios, k->n);
            printf(" %6.0f %12.1f %12.1f %12.2f (%.2f, %.2f)", k->bytes / n / 1e3, k->library / n * 1e6, k->ours / n * 1e6,
                   percentile(k->ratios, k->n, 50), percentile(k->ratios, k->n, 10), percentile(k->ratios, k->n, 90));
        }
        printf("\n");
        free(k->ratios);
    }
    free(file.data);
    return code;
}
