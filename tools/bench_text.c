/* A benchmark as tables for people. */
#include "bench.h"

#include "utf8.h"

#include <math.h>
#include <string.h>

#define BAR 30
#define STEPS_SHOWN 5u
#define NAME 28

/* Three digits or more: "0.0519", "8.21", "187", "52310". */
static void print_number(char text[24], double value)
{
    int decimals = value >= 100 ? 0 : value >= 10 ? 1 : value >= 1 ? 2 : 4;
    snprintf(text, 24, "%.*f", decimals, value);
}

static void put_number(FILE *file, int width, double value)
{
    char text[24];
    print_number(text, value);
    fprintf(file, " %*s", width, text);
}

static void put_bar(FILE *file, double share)
{
    int length = (int)(share * BAR + 0.5);
    fputs(length > 0 ? "  " : "", file);
    for (int i = 0; i < length; i++)
        putc('#', file);
}

static void put_rate(FILE *file, const struct bench_rate *rate)
{
    put_number(file, 10, rate->median);
    put_number(file, 9, rate->low);
    put_number(file, 9, rate->high);
    put_number(file, 9, 1000 / rate->median);
}

void bench_formats(const struct bench_cards *cards, char text[BENCH_FORMATS_TEXT])
{
    size_t used = 0;
    text[0] = 0;
    for (int i = BGD_JPEG; i <= BGD_TGA; i++) {
        if (cards->formats[i] == 0)
            continue;
        used += (size_t)snprintf(text + used, BENCH_FORMATS_TEXT - used, "%s%u %s", used ? ", " : "", cards->formats[i],
                                 bgd_format_name((enum bgd_format)i));
        if (i == BGD_JPEG)
            used += (size_t)snprintf(text + used, BENCH_FORMATS_TEXT - used, " (%u progressive)", cards->progressive);
    }
}

static void print_head(FILE *file, const struct bench_report *r)
{
    char formats[BENCH_FORMATS_TEXT];
    fprintf(file, "bgdet " BGD_VERSION "%s%s, %s UTC\n", *r->commit ? ", commit " : "", r->commit, r->date);
    if (r->device) {
        fprintf(file, "device     %s: ", r->device);
        utf8_print(file, r->text);
        if (r->cards)
            fprintf(file, "; %u lane%s, batches of %u", r->lanes, r->lanes == 1 ? "" : "s", r->batch);
        fprintf(file, "\nprocessor  %s; %u usable", *r->cpu ? r->cpu : "of a model that the system does not say",
                r->processors);
        if (r->cards)
            fprintf(file, ", %u thread%s", r->threads, r->threads == 1 ? "" : "s");
        putc('\n', file);
    }
    if (r->pipeline)
        fprintf(file, "pipeline   %s, %s\n", r->pipeline, r->hash);
    if (r->cards) {
        bench_formats(r->cards, formats);
        fprintf(file, "cards      %u: %s; median %.2f megapixels, %.0f KB; decoded %s\n", r->cards->n, formats,
                r->cards->pixels / 1e6, r->cards->bytes / 1e3, r->exact ? "in full" : "no larger than needed");
    }
}

/* ---------------------------------------------------------------- stages */

/* Seconds that an image takes of the stages on one side. */
static double side_seconds(const struct bench_report *r, bool on_device)
{
    double sum = 0;
    for (uint32_t i = 0; i < r->n_stages; i++)
        if (r->stages[i].on_device == on_device)
            sum += bench_stage_seconds(&r->stages[i]);
    return sum;
}

static const struct bench_stage *slowest(const struct bench_report *r)
{
    const struct bench_stage *worst = &r->stages[0];
    for (uint32_t i = 1; i < r->n_stages; i++)
        if (r->stages[i].rate.median < worst->rate.median)
            worst = &r->stages[i];
    return worst;
}

static void print_stages(FILE *file, const struct bench_report *r)
{
    fprintf(file, "\n%-18s %10s %9s %9s %9s  share of the time%s\n", "stage", "images/s", "p10", "p90", "ms/image",
            r->own_memory ? ", host's or device's" : "");
    for (uint32_t i = 0; i < r->n_stages; i++) {
        const struct bench_stage *stage = &r->stages[i];
        double share = bench_stage_seconds(stage) / side_seconds(r, stage->on_device);
        fprintf(file, "%-9s%-9s", stage->name, stage->on_device ? " (device)" : "");
        put_rate(file, &stage->rate);
        fprintf(file, " %5.1f %%", 100 * share);
        put_bar(file, share);
        putc('\n', file);
    }
    fprintf(file, "%-18s", "end to end");
    put_rate(file, &r->whole);
    char whole[24], allowed[24];
    print_number(whole, r->whole.median);
    print_number(allowed, r->allowed);
    fprintf(file, "\n\nend to end %s cards/s, %.2f of the %s that its stages allow, %.2f of the slowest alone (%s)\n", whole,
            r->whole.median / r->allowed, allowed, r->whole.median / slowest(r)->rate.median, slowest(r)->name);
}

/* ---------------------------------------------------------------- sweeps */

static void print_point(FILE *file, const struct bench_curve *curve, uint32_t i)
{
    char numbers[3][24];
    if (i >= curve->n) {
        fprintf(file, "  %*s", NAME, "-");
        return;
    }
    print_number(numbers[0], curve->points[i].rate.median);
    print_number(numbers[1], curve->points[i].rate.low);
    print_number(numbers[2], curve->points[i].rate.high);
    fprintf(file, "  %9s %8s to %-7s", numbers[0], numbers[1], numbers[2]);
}

static void print_curves(FILE *file, const char *over, const struct bench_curve *curves, uint32_t n)
{
    const struct bench_curve *longest = &curves[0];
    if (n == 0)
        return;
    fprintf(file, "\n%-10s", over);
    for (uint32_t i = 0; i < n; i++) {
        fprintf(file, "  %*.*s", NAME, NAME, curves[i].name);
        longest = curves[i].n > longest->n ? &curves[i] : longest;
    }
    fprintf(file, "   (images/s, p10 to p90)\n");
    for (uint32_t p = 0; p < longest->n; p++) {
        fprintf(file, "%-10u", longest->points[p].at);
        for (uint32_t i = 0; i < n; i++)
            print_point(file, &curves[i], p);
        putc('\n', file);
    }
}

/* ---------------------------------------------------------------- rooflines */

/* The last part of a long name. */
static const char *tail(const char *name, size_t most)
{
    size_t length = strlen(name);
    return length > most ? name + length - most : name;
}

static void print_limit(FILE *file, const char *name, const struct roofline *roof, const struct roofline_limit *limit)
{
    fprintf(file, "    %-9s", name);
    put_number(file, 9, limit->bytes / 1e6);
    put_number(file, 12, limit->stepwise);
    put_number(file, 12, limit->overall);
    if (roof->measured > 0)
        fprintf(file, " %7.1f %%", 100 * roofline_share(roof, limit));
    putc('\n', file);
}

static void print_step(FILE *file, const struct roofline_step *step)
{
    fprintf(file, "    %-*.*s %-9s %3u", NAME, NAME, tail(step->name, NAME), step->kind, step->n_ops);
    put_number(file, 9, step->macs / 1e6);
    put_number(file, 9, step->bytes / 1e6);
    put_number(file, 9, step->seconds * 1e6);
    put_number(file, 9, step->limit * 1e6);
    fprintf(file, " %6.1f %%  %s\n", 100 * step->limit / step->seconds, step->memory ? "bytes" : "arithmetic");
}

static void print_network(FILE *file, const struct bench_network *network)
{
    const struct roofline *roof = &network->roofline;
    fputs("\n", file);
    utf8_print(file, network->name);
    fprintf(file, ": %.1f million multiply-accumulates an image, batches of %u\n", roof->macs / 1e6, roof->batch);
    if (roof->measured > 0) {
        fputs("  measured", file);
        put_number(file, 1, roof->measured);
        fprintf(file, " images/s in %u steps\n", roof->n_steps);
    }
    fprintf(file, "    %-9s %9s %12s %12s%s\n", "bytes", "MB/image", "allows", "overlapped",
            roof->measured > 0 ? "   reached" : "");
    print_limit(file, "unfused", roof, &roof->unfused);
    if (roof->measured > 0)
        print_limit(file, "as run", roof, &roof->as_run);
    print_limit(file, "fused", roof, &roof->fused);
    if (roof->n_steps == 0)
        return;
    fprintf(file, "    %-*s %-9s %3s %9s %9s %9s %9s %8s\n", NAME, "steps that lose the most", "", "ops", "MMAC", "MB", "us",
            "allowed", "reached");
    for (uint32_t i = 0; i < roof->n_steps && i < STEPS_SHOWN; i++)
        print_step(file, &roof->steps[i]);
}

static void print_rooflines(FILE *file, const struct bench_report *r)
{
    const struct backend_ceilings *ceilings = &r->networks[0].roofline.ceilings;
    fprintf(file, "\nceilings: %.4g GB/s copied, %.4g TFLOP/s, %u bytes an element; per image and second%s\n",
            ceilings->copy / 1e9, 2 * ceilings->macs / 1e12, ceilings->element_bytes,
            r->device && !r->own_memory ? " of one thread" : "");
    for (uint32_t i = 0; i < r->n_networks; i++)
        print_network(file, &r->networks[i]);
}

void bench_print(FILE *file, const struct bench_report *r)
{
    print_head(file, r);
    if (r->n_stages)
        print_stages(file, r);
    print_curves(file, "batch", r->by_batch, r->n_by_batch);
    print_curves(file, "threads", r->by_threads, r->n_by_threads);
    if (r->n_networks)
        print_rooflines(file, r);
}
