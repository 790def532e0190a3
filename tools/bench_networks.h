/* Networks alone: over the size of the batch, and step by step. */
#ifndef BGD_BENCH_NETWORKS_H
#define BGD_BENCH_NETWORKS_H

#include "bench_rates.h"
#include "roofline.h"
#include "session.h"

/* The model in batches of `batch`, in as many lanes as the session's engine has, input already there; as crew_measure. BGD_MEMORY
 * also if the device has none left for it. */
int bench_network_measure(struct session *session, const struct bgd_model *model, uint32_t batch, double seconds,
                          struct bench_rate *rate, struct bgd_err *err);

/* The steps of a run of whole batches, timed for about `seconds`, against what the ceilings allow. roofline_free releases it. */
int bench_roofline_measure(const struct backend *backend, struct exec *exec, const struct bgd_model *model,
                           const struct backend_ceilings *ceilings, double seconds, struct roofline *roofline,
                           struct bgd_err *err);

#endif
