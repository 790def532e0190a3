#include "progress.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR 24

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void progress_start(struct progress *progress, bool wanted)
{
    *progress = (struct progress){.on = wanted && isatty(STDERR_FILENO), .start = now()};
}

double progress_seconds(const struct progress *progress)
{
    return now() - progress->start;
}

static void put_time(double seconds)
{
    unsigned long s = (unsigned long)(seconds + 0.5);
    if (s >= 3600)
        fprintf(stderr, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        fprintf(stderr, "%lu:%02lu", s / 60, s % 60);
}

void progress_show(struct progress *progress, uint64_t rows, uint64_t errors, float share)
{
    double time = progress->on ? now() : 0;
    if (!progress->on || time - progress->drawn < 0.1)
        return;
    progress->drawn = time;
    double elapsed = time - progress->start;
    fputs("\r\033[K", stderr);
    if (!isnan(share)) {
        int full = (int)(share * BAR + 0.5f);
        fputs("  [", stderr);
        for (int i = 0; i < BAR; i++)
            putc(i < full ? '#' : '.', stderr);
        fprintf(stderr, "] %3.0f %%", (double)share * 100);
    }
    fprintf(stderr, "  %llu cards", (unsigned long long)rows);
    if (errors)
        fprintf(stderr, " (%llu errors)", (unsigned long long)errors);
    if (elapsed > 0.5)
        fprintf(stderr, "  %.0f/s", (double)rows / elapsed);
    if (share > 0 && share < 1 && elapsed > 2) {
        fputs("  left ", stderr);
        put_time(elapsed * (1 / (double)share - 1));
    }
    fflush(stderr);
}

void progress_clear(const struct progress *progress)
{
    if (progress->on) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
