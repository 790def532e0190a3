#include "progress.h"

#include "clock.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#define BAR 24

void progress_start(struct progress *progress, enum progress_form form)
{
    if (form == PROGRESS_BAR && !isatty(STDERR_FILENO))
        form = PROGRESS_NONE;
    *progress = (struct progress){.form = form, .start = clock_now(), .share = NAN};
}

double progress_seconds(const struct progress *progress)
{
    return clock_now() - progress->start;
}

static double seconds_left(const struct progress *progress, double elapsed)
{
    return elapsed * (1 / (double)progress->share - 1);
}

/* ---------------------------------------------------------------- JSON */

void progress_json(const struct progress *progress, double elapsed, char line[PROGRESS_LINE])
{
    char share[32] = "", left[80] = "";
    if (!isnan(progress->share))
        snprintf(share, sizeof share, ",\"share\":%.4f", (double)progress->share);
    if (progress->share > 0 && progress->share <= 1)
        snprintf(left, sizeof left, ",\"seconds_left\":%.1f", seconds_left(progress, elapsed));
    snprintf(line, PROGRESS_LINE, "{\"event\":\"progress\",\"rows\":%llu,\"errors\":%llu%s,\"per_second\":%.1f%s}\n",
             (unsigned long long)progress->rows, (unsigned long long)progress->errors, share,
             elapsed > 0 ? (double)progress->rows / elapsed : 0, left);
}

/* In one write, so that the lines of several processes on one stderr stay whole. */
static void write_json(const struct progress *progress)
{
    char line[PROGRESS_LINE];
    progress_json(progress, progress_seconds(progress), line);
    fputs(line, stderr);
}

/* ---------------------------------------------------------------- the bar */

static void put_time(double seconds)
{
    unsigned long s = (unsigned long)(seconds + 0.5);
    if (s >= 3600)
        fprintf(stderr, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(stderr, "%lu:%02lu", s / 60, s % 60);
}

static void clear_line(void)
{
    fputs("\r\033[K", stderr);
}

static void put_share(float share)
{
    int full = (int)(share * BAR + 0.5f);
    fputs("  [", stderr);
    for (int i = 0; i < BAR; i++)
        putc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "] %3.0f %%", (double)share * 100);
}

static void draw_bar(const struct progress *progress)
{
    double elapsed = progress_seconds(progress);
    clear_line();
    if (!isnan(progress->share))
        put_share(progress->share);
    fprintf(stderr, "  %llu cards", (unsigned long long)progress->rows);
    if (progress->errors)
        fprintf(stderr, " (%llu errors)", (unsigned long long)progress->errors);
    if (elapsed > 0.5)
        fprintf(stderr, "  %.0f/s", (double)progress->rows / elapsed);
    if (progress->share > 0 && progress->share < 1 && elapsed > 2) {
        fputs("  left ", stderr);
        put_time(seconds_left(progress, elapsed));
    }
    fflush(stderr);
}

/* ---------------------------------------------------------------- either */

void progress_show(struct progress *progress, uint64_t rows, uint64_t errors, float share)
{
    progress->rows = rows;
    progress->errors = errors;
    progress->share = share;
    if (progress->form == PROGRESS_NONE)
        return;
    double time = clock_now();
    if (time - progress->shown < (progress->form == PROGRESS_BAR ? 0.1 : 1))
        return;
    progress->shown = time;
    if (progress->form == PROGRESS_BAR)
        draw_bar(progress);
    else
        write_json(progress);
}

void progress_step(const struct progress *progress, const char *step, float share)
{
    if (progress->form != PROGRESS_BAR)
        return;
    clear_line();
    put_share(share);
    fprintf(stderr, "  %s", step);
    fflush(stderr);
}

void progress_end(const struct progress *progress)
{
    if (progress->form == PROGRESS_BAR) {
        clear_line();
        fflush(stderr);
    } else if (progress->form == PROGRESS_JSON) {
        write_json(progress);
    }
}
