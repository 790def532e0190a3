#include "bench.h"

int bench_put_chart(FILE *file, const struct bench_report *report, struct bgd_err *err)
{
    (void)report;
    (void)err;
    fputs("<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n", file);
    return 0;
}
