#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void replace_control_bytes(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

int err_set(struct bgd_err *err, enum bgd_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    replace_control_bytes(err->text);
    err->code = code;
    return code;
}

int err_prefix(struct bgd_err *err, const char *format, ...)
{
    char rest[sizeof err->text];
    memcpy(rest, err->text, sizeof rest);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        snprintf(err->text + used, sizeof err->text - (size_t)used, "%s", rest);
    replace_control_bytes(err->text);
    return err->code;
}

const char *bgd_code_name(int code)
{
    switch (code) {
    case BGD_OK: return "ok";
    case BGD_MISSING: return "missing";
    case BGD_UNREADABLE: return "unreadable";
    case BGD_UNKNOWN: return "unknown_format";
    case BGD_DAMAGED: return "damaged";
    case BGD_UNSUPPORTED: return "unsupported";
    case BGD_LIMIT: return "limit";
    case BGD_MEMORY: return "memory";
    case BGD_ARGUMENT: return "argument";
    case BGD_DEVICE: return "device";
    case BGD_WRITE: return "write";
    case BGD_NETWORK: return "network";
    default: return "unknown";
    }
}
