/* Tars byte by byte, for what no honest writer would make. */
#ifndef BGD_TESTS_TARS_H
#define BGD_TESTS_TARS_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct tar_bytes {
    uint8_t data[1 << 20];
    size_t size;
};

/* A ustar header; `size` as its 12 bytes say it. */
static inline void tars_header(struct tar_bytes *tar, const char *name, const char size[12], char type)
{
    uint8_t *header = tar->data + tar->size;
    unsigned sum = 0;
    cr_assert(tar->size + 512 <= sizeof tar->data);
    memset(header, 0, 512);
    strncpy((char *)header, name, 100);
    memcpy(header + 100, "0000644\0000000000\0000000000\0", 24);
    memcpy(header + 124, size, 12);
    memcpy(header + 136, "00000000000\0        ", 20);
    header[156] = (uint8_t)type;
    if (type == '1' || type == '2')
        memcpy(header + 157, "target", 6);
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < 512; i++)
        sum += header[i];
    char text[8];
    snprintf(text, sizeof text, "%06o", sum);
    memcpy(header + 148, text, 7);
    tar->size += 512;
}

static inline void tars_data(struct tar_bytes *tar, const void *data, size_t size)
{
    size_t padded = (size + 511) / 512 * 512;
    cr_assert(tar->size + padded <= sizeof tar->data);
    memset(tar->data + tar->size, 0, padded);
    memcpy(tar->data + tar->size, data, size);
    tar->size += padded;
}

static inline void tars_add_typed(struct tar_bytes *tar, const char *name, const void *data, size_t size, char type)
{
    char octal[24];
    snprintf(octal, sizeof octal, "%011zo", size);
    tars_header(tar, name, octal, type);
    tars_data(tar, data, size);
}

static inline void tars_add(struct tar_bytes *tar, const char *name, const char *text)
{
    tars_add_typed(tar, name, text, strlen(text), '0');
}

static inline void tars_end(struct tar_bytes *tar)
{
    cr_assert(tar->size + 1024 <= sizeof tar->data);
    memset(tar->data + tar->size, 0, 1024);
    tar->size += 1024;
}

#endif
