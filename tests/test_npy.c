/* .npy files: NumPy's own bytes are read, ours are NumPy's. */
#include "npy.h"

#include "scratch.h"

/* numpy 1.24: np.save(f, np.array([[1, -2.5, 3]], np.float32)) */
static const char numpy_bytes[] = "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }"
                                  "                                                          \n"
                                  "\x00\x00\x80\x3f\x00\x00\x20\xc0\x00\x00\x40\x40";
enum { NUMPY_SIZE = 128 + 12 };

_Static_assert(sizeof numpy_bytes - 1 == NUMPY_SIZE, "as NumPy pads it");

Test(npy, reads_what_numpy_writes)
{
    struct npy npy;
    struct bgd_err err = {0};
    cr_assert_eq(npy_parse(numpy_bytes, NUMPY_SIZE, &npy, &err), 0, "%s", err.text);
    cr_expect(npy.ndim == 2 && npy.dims[0] == 1 && npy.dims[1] == 3 && npy.count == 3);
    cr_expect(npy.values[0] == 1 && npy.values[1] == -2.5f && npy.values[2] == 3);
    npy_free(&npy);
}

Test(npy, writes_what_numpy_writes)
{
    char *folder = scratch_enter();
    const uint64_t dims[] = {1, 3};
    const float values[] = {1, -2.5f, 3};
    struct bgd_err err = {0};
    cr_assert_eq(npy_write("x.npy", 2, dims, values, &err), 0, "%s", err.text);
    size_t size;
    char *bytes = scratch_read("x.npy", &size);
    cr_expect_eq(size, NUMPY_SIZE);
    cr_expect_eq(memcmp(bytes, numpy_bytes, size), 0);
    free(bytes);
    scratch_leave(folder);
}

Test(npy, refuses_every_truncation_and_a_byte_more)
{
    for (size_t size = 0; size <= NUMPY_SIZE + 1; size++) {
        char *bytes = calloc(1, size + !size);
        memcpy(bytes, numpy_bytes, size < NUMPY_SIZE ? size : NUMPY_SIZE);
        struct npy npy;
        struct bgd_err err = {0};
        int code = npy_parse(bytes, size, &npy, &err);
        cr_expect_eq(code == 0, size == NUMPY_SIZE, "%zu bytes: %s", size, err.text);
        npy_free(&npy);
        free(bytes);
    }
}

Test(npy, survives_any_damage_to_its_header)
{
    for (size_t at = 0; at < 128; at++)
        for (int value = 0; value < 256; value++) {
            char *bytes = malloc(NUMPY_SIZE);
            memcpy(bytes, numpy_bytes, NUMPY_SIZE);
            bytes[at] = (char)value;
            struct npy npy;
            struct bgd_err err = {0};
            if (npy_parse(bytes, NUMPY_SIZE, &npy, &err) == 0)
                cr_expect_eq(npy.count, 3, "byte %zu = %d", at, value);
            else
                cr_expect(err.code < 0 && err.text[0]);
            npy_free(&npy);
            free(bytes);
        }
}

static void expect_refusal(const char *dict, enum bgd_code code, const char *text)
{
    char bytes[300] = "\x93NUMPY\x01\x00\xc8\x00";
    memset(bytes + 10, ' ', 200);
    memcpy(bytes + 10, dict, strlen(dict));
    bytes[209] = '\n';
    struct npy npy;
    struct bgd_err err = {0};
    cr_expect_eq(npy_parse(bytes, 210 + 12, &npy, &err), code, "%s: %s", dict, err.text);
    cr_expect(strstr(err.text, text), "%s: %s", dict, err.text);
    cr_expect_null(npy.values);
}

Test(npy, says_what_it_cannot_read)
{
    expect_refusal("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }", BGD_UNSUPPORTED, "<f8");
    expect_refusal("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", BGD_UNSUPPORTED, "float32");
    expect_refusal("{'descr': '<f4', 'fortran_order': True, 'shape': (3,), }", BGD_UNSUPPORTED, "column-major");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 3), }", BGD_UNSUPPORTED, "at most 4");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }", BGD_UNSUPPORTED, "shape");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, }", BGD_DAMAGED, "lacks");
    expect_refusal("{'descr': '<f4', 'descr': '<f4', 'shape': (3,), }", BGD_DAMAGED, "no key");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", BGD_DAMAGED, "too many");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", BGD_UNSUPPORTED, "shape");
    expect_refusal("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", BGD_DAMAGED,
                   "12 bytes of data, the shape needs 16");
}

Test(npy, names_the_file)
{
    struct npy npy;
    struct bgd_err err;
    cr_expect_eq(npy_read("/no/such.npy", &npy, &err), BGD_MISSING);
    cr_expect(strstr(err.text, "/no/such.npy"), "%s", err.text);
}
