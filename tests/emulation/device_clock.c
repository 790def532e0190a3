#include "device_clock.h"

#include <math.h>
#include <stdio.h>

bool device_rates_read(const char *text, struct device_rates *rates)
{
    int end = 0;
    int n = sscanf(text, "us/picture=%lf GB/s=%lf us/call=%lf%n", &rates->picture_us, &rates->copy_gb, &rates->call_us, &end);
    return n == 3 && text[end] == 0 && rates->picture_us >= 0 && rates->picture_us <= 1e9 && rates->copy_gb > 0 &&
           rates->call_us >= 0 && rates->call_us <= 1e6;
}

static int64_t work(struct device_clock *clock, enum device_engine engine, int64_t now, int64_t ready, double ns)
{
    int64_t *until = &clock->until[engine], start = now;
    start = *until > start ? *until : start;
    start = ready > start ? ready : start;
    clock->busy[engine] += llround(ns);
    return *until = start + llround(ns);
}

int64_t device_clock_pass(struct device_clock *clock, int64_t now, int64_t ready, uint32_t pictures)
{
    return work(clock, DEVICE_COMPUTES, now, ready, pictures * clock->rates.picture_us * 1e3);
}

int64_t device_clock_copy(struct device_clock *clock, int64_t now, int64_t ready, bool in, size_t bytes)
{
    return work(clock, in ? DEVICE_COPIES_IN : DEVICE_COPIES_OUT, now, ready, (double)bytes / clock->rates.copy_gb);
}
