/*
 * What --decode scaled costs: every file decoded both ways, shrunk to the classifier's input and scored.
 *
 *     decode_cost PIPELINE < LIST         names, one a line: find FOLDER -type f | decode_cost weights/resnet18-60x80.bgd
 *     decode_cost --eighth < LIST         another thing: what JPEGs cost at 1/8 (decode_eighth.h)
 *
 * Prints, for each format: pictures, how far the two inputs are apart (in 1/255 of a channel: mean, and the largest mean
 * of a single picture), how far the scores are, and how many verdicts flip.
 */
#include "decode_eighth.h"

#include "bgdet.h"
#include "feed.h"
#include "file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cost {
    unsigned long pictures, flips;
    double pixels, pixels_most, score, score_most;
};

/* Mean difference of the two pictures at the classifier's size, in 1/255. */
static double difference(const struct bgd_image *a, const struct bgd_image *b, const struct feed_spec *spec)
{
    static struct feed_scratch scratch;
    size_t n = (size_t)spec->width * spec->height * 3;
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    struct bgd_err err;
    double sum = 0;
    if (!x || !y || feed_image(a, NULL, spec, &scratch, x, &err) || feed_image(b, NULL, spec, &scratch, y, &err))
        abort();
    for (size_t i = 0; i < n; i++)
        sum += fabs((double)(x[i] - y[i])) * 255;
    free(x);
    free(y);
    return sum / (double)n;
}

static void add(struct cost *cost, double pixels, const struct bgd_result *a, const struct bgd_result *b)
{
    double score = fabs((double)(a->score - b->score));
    cost->pictures++;
    cost->flips += a->verdict != b->verdict;
    cost->pixels += pixels;
    cost->pixels_most = fmax(cost->pixels_most, pixels);
    cost->score += score;
    cost->score_most = fmax(cost->score_most, score);
}

static void print(const char *name, const struct cost *cost)
{
    double n = (double)cost->pictures;
    if (cost->pictures)
        printf("%-6s %8lu %12.3f %12.3f %12.5f %12.5f %7lu  %.2f %%\n", name, cost->pictures, cost->pixels / n,
               cost->pixels_most, cost->score / n, cost->score_most, cost->flips, 100 * (double)cost->flips / n);
}

int main(int argc, char **argv)
{
    struct bgd_pipeline *pipeline = NULL;
    struct bgd_engine *engine = NULL;
    struct bgd_err err;
    if (argc != 2)
        return fputs("usage: decode_cost PIPELINE < LIST\n       decode_cost --eighth < LIST\n", stderr), 64;
    if (strcmp(argv[1], "--eighth") == 0)
        return decode_eighth(stdin);
    const struct bgd_engine_options options = {.batch = 2};
    if (bgd_pipeline_open(argv[1], &pipeline, &err) || bgd_engine_open(pipeline, &options, &engine, &err))
        return fprintf(stderr, "decode_cost: %s\n", err.text), 65;
    const struct feed_spec spec = {bgd_engine_width(engine), bgd_engine_height(engine), 3, {0}, {1, 1, 1}, {0}};
    struct cost formats[BGD_TGA + 1] = {0}, all = {0};
    struct file_buffer file = {0};
    struct bgd_image exact = {0}, scaled = {0};
    const struct bgd_image *const both[] = {&exact, &scaled};
    struct bgd_result results[2];
    char name[4096];
    while (fgets(name, sizeof name, stdin)) {
        name[strcspn(name, "\n")] = 0;
        if (file_read(name, BGD_IMAGE_BYTES_MAX, &file, &err) || bgd_image_decode(file.data, file.size, 0, 0, &exact, &err) ||
            bgd_image_decode(file.data, file.size, spec.width, spec.height, &scaled, &err) ||
            bgd_engine_score(engine, 0, both, 2, results, &err)) {
            fprintf(stderr, "%s: %s\n", name, err.text);
            continue;
        }
        double pixels = difference(&exact, &scaled, &spec);
        add(&formats[exact.format], pixels, &results[0], &results[1]);
        add(&all, pixels, &results[0], &results[1]);
    }
    printf("%-6s %8s %12s %12s %12s %12s %7s\n", "format", "pictures", "pixels/255", "largest", "score", "largest", "flips");
    for (int i = BGD_JPEG; i <= BGD_TGA; i++)
        print(bgd_format_name((enum bgd_format)i), &formats[i]);
    print("all", &all);
    bgd_image_free(&exact);
    bgd_image_free(&scaled);
    free(file.data);
    bgd_engine_close(engine);
    bgd_pipeline_close(pipeline);
    return 0;
}
