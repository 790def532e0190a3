#include "page.h"

#include "../err.h"
#include "../file.h"
#include "html.h"
#include "style.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

#define PICTURE_WIDTH 150.0
#define PICTURE_HEIGHT 200.0

int page_put_picture(FILE *page, const char *name, const char *class, const struct bgd_image *image,
                     const struct bgd_image *card, struct bgd_err *err)
{
    if (!image->rgb)
        return 0;
    const struct bgd_image *like = card->rgb ? card : image;
    double scale = fmin(PICTURE_WIDTH / like->width, PICTURE_HEIGHT / like->height);
    fprintf(page, "<div><img class=\"%s\" alt=\"%s\" width=\"%.0f\" style=\"aspect-ratio:%u/%u\" src=\"", class, name,
            fmax(1, like->width * scale), like->width, like->height);
    if (html_picture(page, image, err))
        return err->code;
    fprintf(page, "\"/>%s</div>\n", name);
    return 0;
}

static int put_page(FILE *page, const char *title, page_body body, const void *user, struct bgd_err *err)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>",
          page);
    html_text(page, title);
    fprintf(page, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", page_style);
    if (body(page, user, err))
        return err->code;
    fputs("</main>\n</body>\n</html>\n", page);
    return 0;
}

/* The page in memory, to be freed. */
static int build_page(const char *title, page_body body, const void *user, char **text, size_t *size, struct bgd_err *err)
{
    FILE *page = open_memstream(text, size);
    if (!page)
        return err_set(err, BGD_MEMORY, "out of memory for a report");
    int code = put_page(page, title, body, user, err);
    bool whole = !ferror(page);
    whole = fclose(page) == 0 && whole;
    return code || whole ? code : err_set(err, BGD_MEMORY, "out of memory for a report");
}

int page_write(const char *path, const char *title, page_body body, const void *user, struct bgd_err *err)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", NULL);
    if (!plain)
        return err_set(err, BGD_MEMORY, "out of memory for a report");
    locale_t before = uselocale(plain);
    char *text = NULL;
    size_t size = 0;
    int code = build_page(title, body, user, &text, &size, err);
    uselocale(before);
    freelocale(plain);
    if (!code)
        code = file_write(path, text, size, err);
    free(text);
    return code;
}
