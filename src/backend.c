#include "backend.h"

#include "err.h"

#include <stdio.h>
#include <string.h>

const struct backend *const backends[] = {&backend_onednn, &backend_ref, NULL};

int backend_open(const char *name, const struct backend **backend, struct device **device, struct bgd_err *err)
{
    bool any = !name || strcmp(name, "auto") == 0;
    for (size_t i = 0; backends[i]; i++) {
        bool wanted = any ? backends[i] != &backend_ref || i == 0 : strcmp(name, backends[i]->name) == 0;
        if (!wanted)
            continue;
        *backend = backends[i];
        int code = backends[i]->open(device, err);
        if (code == 0 || !any)
            return code;
    }
    if (any)
        return err->code;
    char names[64] = "";
    for (size_t i = 0, used = 0; backends[i] && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", backends[i]->name);
    return err_set(err, BGD_ARGUMENT, "no device \"%s\" in this build (it has %s)", name, names);
}
