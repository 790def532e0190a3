#include "backend.h"

#include "err.h"

#include <string.h>

const struct backend *const backends[] = {&backend_onednn, &backend_ref, NULL};

int backend_open(const char *name, const struct backend **backend, struct device **device, struct bgd_err *err)
{
    bool any = !name || strcmp(name, "auto") == 0;
    for (size_t i = 0; backends[i]; i++) {
        if (!any && strcmp(name, backends[i]->name) != 0)
            continue;
        *backend = backends[i];
        int code = backends[i]->open(device, err);
        if (code == 0 || !any)
            return code;
    }
    if (any)
        return err->code;
    return err_set(err, BGD_ARGUMENT, "no device \"%s\" in this build (it has onednn, ref)", name);
}
