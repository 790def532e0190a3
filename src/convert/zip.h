/*
 * The zip that torch.save writes, and no other: every member stored, one after the other without a gap, all under one
 * folder. Nothing is copied or unpacked; a member is a part of the caller's bytes.
 *
 * What torch writes, even for a file of 1 KB, and general readers are not ready for: local headers with zeros for CRC
 * and sizes (flag 0x0808), the real ones behind the data in a descriptor, and zip64 end records. So the central
 * directory is what is believed, and everything else that states the same must agree with it.
 */
#ifndef BGD_ZIP_H
#define BGD_ZIP_H

#include "bgdet.h"

#define ZIP_MEMBERS_MAX 131072u
#define ZIP_NAME_MAX 255u

struct zip_member {
    const char *path; /* as in the file: "FOLDER/data/0"; not NUL-terminated */
    size_t path_size;
    const char *name; /* the part behind "FOLDER/" */
    size_t name_size;
    const uint8_t *data;
    size_t size;
};

struct zip {
    struct zip_member *members; /* in file order */
    size_t count;
    const struct zip_member **index; /* sorted by name without regard to case */
};

/* Checks everything, each member's CRC included. Takes any bytes; they must outlive the zip. Errors name the member. */
int zip_open(const uint8_t *bytes, size_t size, struct zip **zip, struct bgd_err *err);
void zip_close(struct zip *zip);

/* The member FOLDER/NAME, or NULL. Logarithmic time. */
const struct zip_member *zip_find(const struct zip *zip, const char *name);

#endif
