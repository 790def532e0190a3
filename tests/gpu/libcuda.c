/*
 * What a stand-in for NVIDIA's driver must answer so that cuDNN builds plans where there is none: compiled kernels are "loaded",
 * nothing can be run. All other functions of the driver are `unavailable` (make_libcuda.sh). Without prototypes of cuda.h,
 * since the parameters do not matter.
 */
#include <dlfcn.h>
#include <stddef.h>

int unavailable(void);
int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuGetProcAddress(const char *name, void **function);
int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long flags, int *found);
int cuLibraryLoadData(void **library);
int cuLibraryUnload(void *library);
int cuLibraryGetKernel(void **kernel);

int unavailable(void)
{
    return 34; /* CUDA_ERROR_STUB_LIBRARY */
}

int cuInit(unsigned flags)
{
    (void)flags;
    return 0;
}

int cuDriverGetVersion(int *version)
{
    *version = 13000;
    return 0;
}

int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long flags, int *found)
{
    (void)version, (void)flags;
    void *self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    *function = self ? dlsym(self, name) : NULL;
    if (found)
        *found = *function ? 0 : 1; /* CU_GET_PROC_ADDRESS_SUCCESS, _SYMBOL_NOT_FOUND */
    if (self)
        dlclose(self);
    return *function ? 0 : 500; /* CUDA_ERROR_NOT_FOUND */
}

int cuGetProcAddress(const char *name, void **function)
{
    return cuGetProcAddress_v2(name, function, 0, 0, NULL);
}

int cuLibraryLoadData(void **library)
{
    static char loaded;
    *library = &loaded;
    return 0;
}

int cuLibraryUnload(void *library)
{
    (void)library;
    return 0;
}

int cuLibraryGetKernel(void **kernel)
{
    static char found;
    *kernel = &found;
    return 0;
}
