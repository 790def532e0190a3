/*
 * When a device would be done: the arithmetic behind an emulated device that takes its time and computes nothing (emulation.h).
 * There is one engine that computes, and one for copies each way. An engine does one thing at a time, in the order in which it was
 * asked to: what waits for its stream holds up what is behind it. A GPU may let it pass, so this is the slower of the two.
 *
 * Times are nanoseconds on one clock, whichever that is. Not thread-safe.
 */
#ifndef DEVICE_CLOCK_H
#define DEVICE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All of them positive; an infinite rate, or 0 us, takes no time. */
struct device_rates {
    double
        picture_us; /* a pass takes it for each picture of its batch, however many are real; so a card takes as many as networks */
    double copy_gb; /* 1e9 bytes a second, each way */
    double call_us; /* of the caller's processor, for each call of the runtime */
};

enum device_engine { DEVICE_COMPUTES, DEVICE_COPIES_IN, DEVICE_COPIES_OUT, DEVICE_ENGINES };

/* Zero it, but for the rates, before the first use. */
struct device_clock {
    struct device_rates rates;
    int64_t until[DEVICE_ENGINES]; /* when each has done all that it was asked to */
    int64_t busy[DEVICE_ENGINES];  /* for how long each has worked, or will have */
};

/* Reads "us/picture=9.52 GB/s=55 us/call=5", in this order. False: it is something else, or a rate cannot be. */
bool device_rates_read(const char *text, struct device_rates *rates);

/* The engine is asked for something at `now` that may begin at `ready`; returns when it is done. */
int64_t device_clock_pass(struct device_clock *clock, int64_t now, int64_t ready, uint32_t pictures);
int64_t device_clock_copy(struct device_clock *clock, int64_t now, int64_t ready, bool in, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
