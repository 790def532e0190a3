#include "html.h"

#include "../pngfile.h"
#include "../utf8.h"

#include <stdlib.h>
#include <string.h>

static const char *escape(unsigned char byte)
{
    switch (byte) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

/* C0, DEL and C1 (U+0080..U+009F). */
static bool is_control(const unsigned char *s)
{
    return *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
}

static void put_text(FILE *page, const unsigned char *s, size_t size)
{
    for (const unsigned char *end = s + size; s < end;) {
        size_t n = utf8_length(s, (size_t)(end - s));
        if (n == 0 || is_control(s))
            fputs("\uFFFD", page);
        else if (escape(*s))
            fputs(escape(*s), page);
        else
            fwrite(s, 1, n, page);
        s += n ? n : 1;
    }
}

void html_text(FILE *page, const char *text)
{
    put_text(page, (const unsigned char *)text, strlen(text));
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

void html_name(FILE *page, const char *name)
{
    const unsigned char *s = (const unsigned char *)name;
    size_t size = strlen(name), head = size, tail = size;
    if (size > HTML_NAME_BYTES) {
        head = HTML_NAME_BYTES / 2;
        tail = size - HTML_NAME_BYTES / 2;
        for (int i = 0; i < 3 && is_continuation(s[head]); i++)
            head--;
        for (int i = 0; i < 3 && is_continuation(s[tail]); i++)
            tail++;
    }
    fputs("<bdi>", page);
    put_text(page, s, head);
    if (head < tail)
        fputs("…", page);
    put_text(page, s + tail, size - tail);
    fputs("</bdi>", page);
}

/* RFC 4648, section 4. */
static void put_base64(FILE *page, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= i + 1 < size ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= i + 2 < size ? bytes[i + 2] : 0;
        putc(digits[group >> 18], page);
        putc(digits[group >> 12 & 63], page);
        putc(i + 1 < size ? digits[group >> 6 & 63] : '=', page);
        putc(i + 2 < size ? digits[group & 63] : '=', page);
    }
}

int html_picture(FILE *page, const struct bgd_image *image, struct bgd_err *err)
{
    uint8_t *png;
    size_t size;
    if (pngfile_encode(image->rgb, image->width, image->height, &png, &size, err))
        return err->code;
    fputs("data:image/png;base64,", page);
    put_base64(page, png, size);
    free(png);
    return 0;
}
