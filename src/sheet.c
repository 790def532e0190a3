#include "sheet.h"

#include "err.h"
#include "font.h"
#include "pngfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- cards */

struct thumb {
    uint8_t *rgb; /* (height, width, 3); NULL when there was no picture */
    int width, height;
};

enum { CARD, MASK, JUDGED, THUMBS };

struct card {
    char *name;
    char *error; /* NULL when there is a result */
    struct thumb thumbs[THUMBS];
    struct bgd_result result;
};

struct sheet {
    struct card cards[SHEET_CARDS_MAX];
    uint32_t n;
    bool cut_out; /* mask and judged stand beside each card */
};

int sheet_open(struct sheet **sheet, struct bgd_err *err)
{
    *sheet = calloc(1, sizeof **sheet);
    return *sheet ? 0 : err_set(err, BGD_MEMORY, "out of memory for a contact sheet");
}

static void clear(struct card *card)
{
    free(card->name);
    free(card->error);
    for (int i = 0; i < THUMBS; i++)
        free(card->thumbs[i].rgb);
    *card = (struct card){0};
}

void sheet_close(struct sheet *sheet)
{
    if (!sheet)
        return;
    for (uint32_t i = 0; i < sheet->n; i++)
        clear(&sheet->cards[i]);
    free(sheet);
}

/* How much of each source pixel falls into output pixel `at` of `out`: source pixels first, first + 1, ..., the first
 * and the last of them in part. Works in both directions: enlarging, a pixel lies in one or two. */
struct overlap {
    uint32_t first, last;
    double from, to;
};

static struct overlap overlap_at(uint32_t at, uint32_t out, uint32_t in)
{
    struct overlap o = {.from = (double)at * in / out, .to = (double)(at + 1) * in / out};
    o.first = (uint32_t)o.from;
    o.last = (uint32_t)ceil(o.to) - 1;
    if (o.last >= in)
        o.last = in - 1;
    return o;
}

static double weight(const struct overlap *o, uint32_t at)
{
    return fmin(o->to, at + 1.0) - fmax(o->from, at);
}

/* The mean of the source pixels under each output pixel, weighted by area. */
static void shrink(const struct bgd_image *image, struct thumb *thumb)
{
    uint8_t *out = thumb->rgb;
    for (uint32_t y = 0; y < (uint32_t)thumb->height; y++) {
        struct overlap rows = overlap_at(y, (uint32_t)thumb->height, image->height);
        for (uint32_t x = 0; x < (uint32_t)thumb->width; x++, out += 3) {
            struct overlap columns = overlap_at(x, (uint32_t)thumb->width, image->width);
            double sum[3] = {0}, area = 0;
            for (uint32_t i = rows.first; i <= rows.last; i++)
                for (uint32_t j = columns.first; j <= columns.last; j++) {
                    const uint8_t *pixel = image->rgb + ((size_t)i * image->width + j) * 3;
                    double share = weight(&rows, i) * weight(&columns, j);
                    area += share;
                    for (int c = 0; c < 3; c++)
                        sum[c] += share * pixel[c];
                }
            for (int c = 0; c < 3; c++)
                out[c] = (uint8_t)(sum[c] / area + 0.5);
        }
    }
}

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* The largest size with the picture's aspect, or with that of the card whose mask it is (NULL: of none), that fits the box. */
static int make_thumb(const struct bgd_image *image, const struct bgd_image *card, struct thumb *thumb)
{
    if (!image || image->width == 0 || image->height == 0)
        return 0;
    const struct bgd_image *like = card && card->width && card->height ? card : image;
    double scale = fmin((double)SHEET_THUMB_WIDTH / like->width, (double)SHEET_THUMB_HEIGHT / like->height);
    thumb->width = max_int(1, (int)(like->width * scale + 0.5));
    thumb->height = max_int(1, (int)(like->height * scale + 0.5));
    thumb->rgb = malloc((size_t)thumb->width * (size_t)thumb->height * 3);
    if (!thumb->rgb)
        return BGD_MEMORY;
    shrink(image, thumb);
    return 0;
}

int sheet_add(struct sheet *sheet, const struct sheet_card *source, struct bgd_err *err)
{
    if (sheet->n == SHEET_CARDS_MAX)
        return err_set(err, BGD_LIMIT, "%s: a contact sheet holds %u cards at the most", source->name, SHEET_CARDS_MAX);
    struct card card = {.name = strdup(source->name)};
    if (!card.name || make_thumb(source->image, NULL, &card.thumbs[CARD]) ||
        make_thumb(source->mask, source->image, &card.thumbs[MASK]) ||
        make_thumb(source->judged, source->image, &card.thumbs[JUDGED]))
        goto fail;
    if (source->result)
        card.result = *source->result;
    else if (!(card.error = strdup(source->error ? source->error : "")))
        goto fail;
    sheet->cut_out = sheet->cut_out || source->mask;
    sheet->cards[sheet->n++] = card;
    return 0;
fail:
    clear(&card);
    return err_set(err, BGD_MEMORY, "%s: out of memory for its place on the contact sheet", source->name);
}

/* ---------------------------------------------------------------- canvas */

struct canvas {
    uint8_t *rgb; /* (height, width, 3) */
    int width, height;
};

enum colour { /* 0xrrggbb */
              PAPER = 0xf3f5f7,
              PANEL = 0xffffff,
              EDGE = 0xdce0e5,
              FRAME = 0xc9ced5,
              INK = 0x1c2330,
              SOFT = 0x6a7381,
              TRACK = 0xeceff2,
              BAR = 0xa9b2be,
              GREEN = 0x1b7f4d,
              AMBER = 0xa15c00,
              RED = 0xc92a37,
              GREY = 0x77808d,
              BLUE = 0x1f5fd0,
              ORANGE = 0xd97706,
              VIOLET = 0x7c3aed,
              MAGENTA = 0xc81e8a,
              TEAL = 0x0c8599,
};

static void blend(struct canvas *canvas, int x, int y, enum colour colour, float alpha)
{
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height)
        return;
    uint8_t *pixel = canvas->rgb + ((size_t)y * (size_t)canvas->width + (size_t)x) * 3;
    for (int c = 0; c < 3; c++) {
        float value = (float)((unsigned)colour >> (16 - 8 * c) & 0xffu);
        pixel[c] = (uint8_t)((float)pixel[c] + (value - (float)pixel[c]) * alpha + 0.5f);
    }
}

/* A rectangle with round corners: a pixel's alpha is its distance from the outline, which antialiases the corners and
 * leaves the straight edges sharp. */
static void fill(struct canvas *canvas, int x, int y, int width, int height, int radius, enum colour colour)
{
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++) {
            float dx = fmaxf((float)radius - 0.5f - (float)(j < width - 1 - j ? j : width - 1 - j), 0);
            float dy = fmaxf((float)radius - 0.5f - (float)(i < height - 1 - i ? i : height - 1 - i), 0);
            float alpha = dx > 0 && dy > 0 ? (float)radius + 0.5f - sqrtf(dx * dx + dy * dy) : 1;
            blend(canvas, x + j, y + i, colour, fminf(fmaxf(alpha, 0), 1));
        }
}

static void copy(struct canvas *canvas, int x, int y, const struct thumb *thumb)
{
    size_t row = (size_t)thumb->width * 3;
    for (int i = 0; i < thumb->height; i++)
        memcpy(canvas->rgb + ((size_t)(y + i) * (size_t)canvas->width + (size_t)x) * 3, thumb->rgb + (size_t)i * row, row);
}

/* ---------------------------------------------------------------- text */

/* Decodes one code point and moves on. A byte that starts no valid sequence is one '?' by itself. */
static uint32_t next_code(const char **text)
{
    const unsigned char *s = (const unsigned char *)*text;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    int more = s[0] < 0x80 ? 0 : s[0] >> 5 == 6 ? 1 : s[0] >> 4 == 14 ? 2 : s[0] >> 3 == 30 ? 3 : -1;
    uint32_t code = more <= 0 ? s[0] : s[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) { /* the closing NUL is no continuation byte: never read past it */
        if (s[i] >> 6 != 2)
            more = -1;
        else
            code = code << 6 | (s[i] & 0x3fu);
    }
    if (more < 0 || code < least[more])
        code = '?', more = 0;
    *text += 1 + more;
    return code;
}

static int compare_code(const void *code, const void *glyph)
{
    uint32_t a = *(const uint32_t *)code, b = ((const struct font_glyph *)glyph)->code;
    return (a > b) - (a < b);
}

/* The glyph of a code; that of '?' if the font has none; NULL if it has not even that. */
static const struct font_glyph *find_glyph(const struct font *font, uint32_t code)
{
    const struct font_glyph *glyph = bsearch(&code, font->glyphs, font->n, sizeof *font->glyphs, compare_code);
    return glyph || code == '?' ? glyph : find_glyph(font, '?');
}

/* The advance of the letter at `text`, which moves on. */
static int next_advance(const struct font *font, const char **text)
{
    const struct font_glyph *glyph = find_glyph(font, next_code(text));
    return glyph ? glyph->advance : 0;
}

static int text_width(const struct font *font, const char *text)
{
    int width = 0;
    while (*text)
        width += next_advance(font, &text);
    return width;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Draws from (x, y), the left top of the line, and returns where the pen ends. */
static int draw(struct canvas *canvas, const struct font *font, int x, int y, enum colour colour, const char *text,
                const char *end)
{
    while (text < end && *text) {
        const struct font_glyph *glyph = find_glyph(font, next_code(&text));
        if (!glyph)
            continue;
        for (int i = 0; i < glyph->width * glyph->height; i++)
            blend(canvas, x + glyph->left + i % glyph->width, y + glyph->top + i / glyph->width, colour,
                  (float)hex_digit(glyph->pixels[i]) / 15);
        x += glyph->advance;
    }
    return x;
}

static int draw_text(struct canvas *canvas, const struct font *font, int x, int y, enum colour colour, const char *text)
{
    return draw(canvas, font, x, y, colour, text, text + strlen(text));
}

static void draw_right(struct canvas *canvas, const struct font *font, int x, int y, enum colour colour, const char *text)
{
    draw_text(canvas, font, x - text_width(font, text), y, colour, text);
}

/* The end of the longest start of `text`, in whole letters, that fits `width`. */
static const char *head_that_fits(const struct font *font, const char *text, int width)
{
    const char *end = text;
    for (const char *next = text; *next; end = next)
        if ((width -= next_advance(font, &next)) < 0)
            break;
    return end;
}

/* The longest end of `text` that fits `width`. */
static const char *tail_that_fits(const struct font *font, const char *text, int width)
{
    int rest = text_width(font, text);
    while (rest > width)
        rest -= next_advance(font, &text);
    return text;
}

/* Draws as much as fits; of more, the start and the end with an ellipsis between: names of a catalogue differ there. */
static void draw_ellipsised(struct canvas *canvas, const struct font *font, int x, int y, int width, enum colour colour,
                            const char *text)
{
    static const char ellipsis[] = "…";
    if (text_width(font, text) <= width) {
        draw_text(canvas, font, x, y, colour, text);
        return;
    }
    int half = (width - text_width(font, ellipsis)) / 2;
    x = draw(canvas, font, x, y, colour, text, head_that_fits(font, text, half));
    x = draw_text(canvas, font, x, y, colour, ellipsis);
    draw_text(canvas, font, x, y, colour, tail_that_fits(font, text, half));
}

/* Draws at most `lines` lines, broken at a space where there is one. The last takes what is left, ellipsised. */
static void draw_wrapped(struct canvas *canvas, const struct font *font, int x, int y, int width, int lines, enum colour colour,
                         const char *text)
{
    for (; lines > 1 && text_width(font, text) > width; lines--, y += font->height) {
        const char *end = head_that_fits(font, text, width);
        const char *space = end;
        while (space > text && *space != ' ')
            space--;
        if (space > text)
            end = space;
        draw(canvas, font, x, y, colour, text, end);
        text = end + strspn(end, " ");
    }
    draw_ellipsised(canvas, font, x, y, width, colour, text);
}

/* ---------------------------------------------------------------- layout */

/* A panel, from top to bottom: thumbnail, band with the verdict, name, five bars (or the error). In pixels. */
enum {
    MARGIN = 28,
    HEADER = 100,
    GAP = 16,
    PAD = 12,
    INNER = SHEET_THUMB_WIDTH,
    BAND_TOP = PAD + SHEET_THUMB_HEIGHT + 12,
    BAND = 28,
    NAME_TOP = BAND_TOP + BAND + 9,
    BARS_TOP = NAME_TOP + 27,
    BAR_STEP = 20,
    BAR_LEFT = 116,
    BAR_RIGHT = 46,
    BAR_HEIGHT = 6,
    PANEL_WIDTH = INNER + 2 * PAD,
    PANEL_HEIGHT = BARS_TOP + BGD_REASONS * BAR_STEP + PAD - 2,
};

/* Of what a panel holds: one thumbnail, or three. */
static int inner_width(const struct sheet *sheet)
{
    return INNER + (sheet->cut_out ? (THUMBS - 1) * (INNER + PAD) : 0);
}

static int panel_width(const struct sheet *sheet)
{
    return inner_width(sheet) + 2 * PAD;
}

/* Few cards stand in one row; more in rows of four to six, whichever leaves the fewest places empty. */
static int choose_columns(const struct sheet *sheet)
{
    int n = (int)sheet->n;
    if (sheet->cut_out) /* wide panels */
        return n < 2 ? n : 2;
    if (n <= 6)
        return n;
    int best = 6;
    for (int columns = 5; columns >= 4; columns--)
        if ((columns - n % columns) % columns < (best - n % best) % best)
            best = columns;
    return best;
}

static void percent(char text[8], float share)
{
    snprintf(text, 8, "%.0f%%", (double)fminf(fmaxf(share, 0), 1) * 100);
}

/* Of a reason's regions and, where it has any, its bar. None is a verdict's colour, all are seen on white. */
static enum colour reason_colour(enum bgd_reason reason)
{
    static const enum colour colours[] = {[BGD_TEXT] = BLUE,
                                          [BGD_NOT_WHITE] = ORANGE,
                                          [BGD_EXTRA_OBJECTS] = VIOLET,
                                          [BGD_CROPPED] = MAGENTA,
                                          [BGD_DUPLICATES] = TEAL};
    return colours[reason];
}

static bool has_region(const struct bgd_result *result, enum bgd_reason reason)
{
    for (uint32_t i = 0; i < result->n_regions; i++)
        if (result->regions[i].reason == reason)
            return true;
    return false;
}

/* A frame of that thickness, inside the rectangle: all of it where it is no thicker than that. */
static void outline(struct canvas *canvas, int left, int top, int right, int bottom, int thickness, enum colour colour)
{
    thickness = min_int(thickness, min_int(right - left, bottom - top));
    fill(canvas, left, top, right - left, thickness, 0, colour);
    fill(canvas, left, bottom - thickness, right - left, thickness, 0, colour);
    fill(canvas, left, top, thickness, bottom - top, 0, colour);
    fill(canvas, right - thickness, top, thickness, bottom - top, 0, colour);
}

/* 2 pixels of the reason's colour between light rims, which show on dark ground. It runs around the region, not over what it
 * shows, unless the thumbnail, at (left, top), ends there. */
static void draw_region(struct canvas *canvas, int left, int top, const struct thumb *thumb, const struct bgd_region *region)
{
    enum { LINE = 2, RIM = 1, AROUND = LINE + 2 * RIM };
    int x = max_int(0, (int)(region->left * (float)thumb->width) - AROUND);
    int y = max_int(0, (int)(region->top * (float)thumb->height) - AROUND);
    int right = min_int(thumb->width, (int)ceilf(region->right * (float)thumb->width) + AROUND);
    int bottom = min_int(thumb->height, (int)ceilf(region->bottom * (float)thumb->height) + AROUND);
    outline(canvas, left + x, top + y, left + right, top + bottom, AROUND, PANEL);
    outline(canvas, left + x + RIM, top + y + RIM, left + right - RIM, top + bottom - RIM, LINE, reason_colour(region->reason));
}

static void draw_thumb(struct canvas *canvas, int x, int y, const struct thumb *thumb, const struct bgd_result *result)
{
    if (!thumb->rgb) {
        static const char none[] = "no picture";
        fill(canvas, x, y, INNER, SHEET_THUMB_HEIGHT, 0, TRACK);
        draw_text(canvas, &font_text, x + (INNER - text_width(&font_text, none)) / 2,
                  y + ((int)SHEET_THUMB_HEIGHT - font_text.height) / 2, SOFT, none);
        return;
    }
    int left = x + (INNER - thumb->width) / 2;
    int top = y + ((int)SHEET_THUMB_HEIGHT - thumb->height) / 2;
    fill(canvas, left - 1, top - 1, thumb->width + 2, thumb->height + 2, 0, FRAME); /* white cards end at this line */
    copy(canvas, left, top, thumb);
    for (uint32_t i = 0; result && i < result->n_regions; i++)
        draw_region(canvas, left, top, thumb, &result->regions[i]);
}

/* The card, with its evidence, alone, or with its mask and what was judged beside it; those have a caption where the card has
 * its verdict. */
static void draw_thumbs(struct canvas *canvas, int x, int y, const struct card *card)
{
    static const char *const captions[] = {NULL, "main object (white)", "background that it leaves"};
    draw_thumb(canvas, x, y, &card->thumbs[CARD], &card->result);
    for (int i = MASK; i < THUMBS && card->thumbs[i].rgb; i++) {
        x += INNER + PAD;
        draw_thumb(canvas, x, y, &card->thumbs[i], NULL);
        draw_ellipsised(canvas, &font_text, x, y + BAND_TOP - PAD + (BAND - font_text.height) / 2, INNER, SOFT, captions[i]);
    }
}

static void draw_band(struct canvas *canvas, int x, int y, const struct card *card)
{
    const struct bgd_result *result = &card->result;
    static const enum colour colours[] = {[BGD_CLEAN] = GREEN, [BGD_REVIEW] = AMBER, [BGD_DEFECTIVE] = RED};
    fill(canvas, x, y, INNER, BAND, 6, card->error ? GREY : colours[result->verdict]);
    int text_top = y + (BAND - font_bold.height) / 2;
    draw_text(canvas, &font_bold, x + 10, text_top, PANEL, card->error ? "error" : bgd_verdict_name(result->verdict));
    if (card->error)
        return;
    char score[8];
    percent(score, result->score);
    draw_right(canvas, &font_bold, x + INNER - 10, text_top, PANEL, score);
}

static void draw_bar(struct canvas *canvas, int x, int y, int width, enum bgd_reason reason, const struct bgd_result *result)
{
    char label[32], value[8];
    float share = result->reasons[reason];
    snprintf(label, sizeof label, "%s", bgd_reason_name(reason));
    for (char *p = label; *p; p++)
        if (*p == '_')
            *p = ' ';
    percent(value, share);
    bool strong = result->holds[reason];
    enum colour colour = has_region(result, reason) ? reason_colour(reason) : strong ? RED : BAR;
    const struct font *font = strong ? &font_bold : &font_text;
    int bar_top = y + (font->height - BAR_HEIGHT) / 2 + 1;
    int most = width - BAR_LEFT - BAR_RIGHT, length = (int)(fminf(fmaxf(share, 0), 1) * (float)most + 0.5f);
    draw_text(canvas, font, x, y, strong ? INK : SOFT, label);
    fill(canvas, x + BAR_LEFT, bar_top, most, BAR_HEIGHT, BAR_HEIGHT / 2, TRACK);
    fill(canvas, x + BAR_LEFT, bar_top, length, BAR_HEIGHT, BAR_HEIGHT / 2, colour);
    draw_right(canvas, font, x + width, y, colour == BAR ? SOFT : colour, value);
}

static void draw_card(struct canvas *canvas, int x, int y, const struct sheet *sheet, const struct card *card)
{
    fill(canvas, x, y, panel_width(sheet), PANEL_HEIGHT, 10, EDGE);
    fill(canvas, x + 1, y + 1, panel_width(sheet) - 2, PANEL_HEIGHT - 2, 9, PANEL);
    x += PAD;
    draw_thumbs(canvas, x, y + PAD, card);
    draw_band(canvas, x, y + BAND_TOP, card);
    int width = inner_width(sheet), line = y + BARS_TOP;
    draw_ellipsised(canvas, &font_text, x, y + NAME_TOP, width, INK, card->name);
    if (card->error)
        draw_wrapped(canvas, &font_text, x, line, width, BGD_REASONS, SOFT, card->error);
    for (int i = 0; i < BGD_REASONS && !card->error; i++)
        if (!isnan(card->result.reasons[i])) {
            draw_bar(canvas, x, line, width, (enum bgd_reason)i, &card->result);
            line += BAR_STEP;
        }
}

static void draw_header(struct canvas *canvas, const struct sheet *sheet, int columns)
{
    uint32_t verdicts[BGD_VERDICTS] = {0}, errors = 0;
    for (uint32_t i = 0; i < sheet->n; i++) {
        const struct card *card = &sheet->cards[i];
        ++*(card->error ? &errors : &verdicts[card->result.verdict]);
    }
    char line[96];
    int used = snprintf(line, sizeof line, "%u %s, %u clean, %u defective", sheet->n, sheet->n == 1 ? "card" : "cards",
                        verdicts[BGD_CLEAN], verdicts[BGD_DEFECTIVE]);
    if (verdicts[BGD_REVIEW])
        used += snprintf(line + used, sizeof line - (size_t)used, ", %u to review", verdicts[BGD_REVIEW]);
    if (errors)
        snprintf(line + used, sizeof line - (size_t)used, ", %u %s", errors, errors == 1 ? "error" : "errors");
    draw_text(canvas, &font_title, MARGIN, MARGIN - 6, INK, "Background Detector");
    draw_text(canvas, &font_text, MARGIN, MARGIN + 35, SOFT, line);
    if (columns >= 3 || sheet->cut_out)
        draw_right(canvas, &font_text, canvas->width - MARGIN, MARGIN + 35, SOFT, "score: probability of a defect");
}

int sheet_write(const struct sheet *sheet, const char *path, struct bgd_err *err)
{
    if (sheet->n == 0)
        return err_set(err, BGD_ARGUMENT, "%s: a contact sheet of no cards", path);
    int n = (int)sheet->n, columns = choose_columns(sheet);
    int rows = (n + columns - 1) / columns;
    struct canvas canvas = {
        .width =
            2 * MARGIN - GAP + max_int(columns * (panel_width(sheet) + GAP), 2 * (PANEL_WIDTH + GAP)), /* the title needs two */
        .height = MARGIN + HEADER - GAP + rows * (PANEL_HEIGHT + GAP),
    };
    size_t size = (size_t)canvas.width * (size_t)canvas.height * 3;
    canvas.rgb = malloc(size);
    if (!canvas.rgb)
        return err_set(err, BGD_MEMORY, "%s: out of memory for %zu bytes", path, size);
    fill(&canvas, 0, 0, canvas.width, canvas.height, 0, PAPER);
    draw_header(&canvas, sheet, columns);
    for (int i = 0; i < n; i++)
        draw_card(&canvas, MARGIN + i % columns * (panel_width(sheet) + GAP), HEADER + i / columns * (PANEL_HEIGHT + GAP),
                  sheet, &sheet->cards[i]);
    int code = pngfile_write(path, canvas.rgb, (uint32_t)canvas.width, (uint32_t)canvas.height, err);
    free(canvas.rgb);
    return code;
}
