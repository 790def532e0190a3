/* A descriptor that becomes readable when whoever waits is to end at once: an eventfd that a signal or a failure writes. */
#ifndef BGD_WAKE_H
#define BGD_WAKE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

/* For poll beside what is waited for; NULL: never. */
static inline struct pollfd wake_pollfd(const int *wake)
{
    return (struct pollfd){.fd = wake ? *wake : -1, .events = POLLIN};
}

static inline bool wake_is_up(const int *wake)
{
    struct pollfd ready = wake_pollfd(wake);
    return wake && poll(&ready, 1, 0) > 0;
}

#endif
