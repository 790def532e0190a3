#include "high_pass.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* Places of a shifted axis within the radius of the centre: the first, and how many. */
static uint32_t near_centre(uint32_t n, double centre, double radius, uint32_t *first)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (fabs(i - centre) < radius) {
            *first = count ? *first : i;
            count++;
        }
    return count;
}

/* cos and -sin of 2 pi f k / n for the frequencies of `count` places from `first` on. */
static void fill_waves(uint32_t n, uint32_t first, uint32_t count, float *re, float *im)
{
    const double pi = 3.14159265358979323846;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t frequency = (first + i + n - n / 2) % n;
        for (uint32_t k = 0; k < n; k++) {
            double angle = 2 * pi * (double)(frequency * k % n) / n;
            re[(size_t)i * n + k] = (float)cos(angle);
            im[(size_t)i * n + k] = (float)-sin(angle);
        }
    }
}

static float *take(float **at, size_t n)
{
    float *taken = *at;
    *at += n;
    return taken;
}

struct high_pass *high_pass_create(struct shape s, double radius)
{
    double centre = s.h / 2.0;
    uint32_t first_u = 0, first_v = 0;
    uint32_t nu = near_centre(s.h, centre, radius, &first_u), nv = near_centre(s.w, centre, radius, &first_v);
    size_t floats = 2 * ((size_t)nu * s.h + (size_t)nv * s.w) + (size_t)nu * nv;
    struct high_pass *h = malloc(sizeof *h + floats * sizeof(float));
    if (!h)
        return NULL;
    float *at = (float *)(void *)(h + 1);
    h->nu = nu;
    h->nv = nv;
    h->row_re = take(&at, (size_t)nu * s.h);
    h->row_im = take(&at, (size_t)nu * s.h);
    h->col_re = take(&at, (size_t)nv * s.w);
    h->col_im = take(&at, (size_t)nv * s.w);
    h->inside = take(&at, (size_t)nu * nv);
    fill_waves(s.h, first_u, nu, h->row_re, h->row_im);
    fill_waves(s.w, first_v, nv, h->col_re, h->col_im);
    for (uint32_t u = 0; u < nu; u++)
        for (uint32_t v = 0; v < nv; v++) {
            double down = first_u + u - centre, across = first_v + v - centre;
            bool inside = sqrt(down * down + across * across) < radius;
            h->inside[(size_t)u * nv + v] = inside ? (float)(1.0 / ((double)s.h * s.w)) : 0;
        }
    return h;
}
