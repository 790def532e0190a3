#include "backend.h"

#include "err.h"

#include <stdio.h>
#include <string.h>

const struct backend *const backends[] = {
#ifdef BGDET_CUDA
    &backend_cuda,
#endif
#ifdef BGDET_ONEDNN
    &backend_onednn,
#endif
    &backend_ref, NULL};

void backend_names(char names[BACKEND_NAMES])
{
    names[0] = 0;
    for (size_t i = 0, used = 0; backends[i] && used < BACKEND_NAMES; i++)
        used += (size_t)snprintf(names + used, BACKEND_NAMES - used, "%s%s", i ? ", " : "", backends[i]->name);
}

int backend_open(const char *name, uint64_t gpus, enum bgd_precision precision, const struct backend **backend,
                 struct device **device, struct bgd_err *passed_over, struct bgd_err *err)
{
    passed_over->code = BGD_OK;
    bool any = !name || strcmp(name, "auto") == 0;
    for (size_t i = 0; backends[i]; i++) {
        bool wanted = any ? backends[i] != &backend_ref || i == 0 : strcmp(name, backends[i]->name) == 0;
        if (!wanted)
            continue;
        *backend = backends[i];
        int code = backends[i]->open(gpus, precision, device, err);
        if (code == 0 || !any)
            return code;
        if (!passed_over->code)
            *passed_over = *err;
    }
    if (any) {
        *err = *passed_over;
        return err->code;
    }
    char names[BACKEND_NAMES];
    backend_names(names);
    return err_set(err, BGD_ARGUMENT, "no device \"%s\" in this build (it has %s)", name, names);
}

int backend_check_cpu(const char *name, uint64_t gpus, enum bgd_precision precision, struct bgd_err *err)
{
    if (gpus)
        return err_set(err, BGD_ARGUMENT, "the device \"%s\" is a CPU: it has no GPUs to choose from", name);
    if (precision == BGD_PRECISION_AUTO || precision == BGD_PRECISION_F32)
        return 0;
    return err_set(err, BGD_ARGUMENT, "the device \"%s\" computes in f32 alone", name);
}

int backend_no_autotune(struct device *device, struct bgd_err *err)
{
    (void)device;
    return err_set(err, BGD_ARGUMENT, "autotune: a CPU has no plans to choose among, only CUDA has");
}

uint64_t backend_no_gpus(const struct device *device)
{
    (void)device;
    return 0;
}

void *backend_no_memory(struct device *device, size_t bytes)
{
    (void)device;
    (void)bytes;
    return NULL;
}
