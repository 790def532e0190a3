/* Objects of S3, in libcurl's terms, by the environment's settings (remote.h). */
#ifndef BGD_S3_H
#define BGD_S3_H

#include <curl/curl.h>
#include <stdbool.h>

/* True if `name` begins with s3://. */
bool s3_is(const char *name);

/* The server that the environment names, borrowed; "" for Amazon's. */
const char *s3_endpoint(void);

/* The http(s) address of s3://BUCKET/KEY. CURLUE_OUT_OF_MEMORY; any other code: the name has no bucket or no key, or the
 * endpoint is no address. */
CURLUcode s3_set_url(CURLU *url, const char *name);

/*
 * Lets libcurl sign the GET request of `easy` with all of `headers`, to which it adds S3's own; they are the caller's to set and
 * to free. Without a key in the environment it does nothing. False: out of memory. Redirects are not to be followed: libcurl
 * would sign again, but take the session token to whatever server the answer names.
 */
bool s3_sign(CURL *easy, struct curl_slist **headers);

#endif
