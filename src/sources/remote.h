/*
 * Objects that are not files here: http://, https:// and s3://BUCKET/KEY, read by libcurl.
 *
 * s3:// is signed with AWS Signature Version 4 by the environment's AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN (optional) and AWS_REGION or AWS_DEFAULT_REGION (us-east-1 without both); without a key the request goes
 * unsigned. AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL names another server, whose buckets are then folders of its root (path
 * style), as MinIO and Ceph have them. Proxies are what libcurl's own variables say.
 *
 * A request that fails for a reason that may pass (no connection, a name that does not resolve, a body that breaks off, no byte
 * for long, 408, 429, 500, 502, 503, 504) is made again, up to REMOTE_TRIES times, after a pause that doubles from 0.2 s (with
 * jitter; Retry-After is obeyed, up to 30 s). What then still fails is BGD_NETWORK. 404 and 410 are BGD_MISSING; 401, 403 and
 * every other answer, and a name that is no address, BGD_UNREADABLE. A connection may take 10 s; a transfer below 1 KB/s for
 * 20 s has broken off.
 *
 * Redirects are followed, 5 at the most, for https:// to https:// alone, and without credentials to another server; for s3://
 * none is, since a signature is for one server. Bytes are passed on as they come: nothing is decompressed.
 *
 * Texts do not repeat the name, nor anything that the server or the environment says but numbers.
 */
#ifndef BGD_REMOTE_H
#define BGD_REMOTE_H

#include "../file.h"

#define REMOTE_TRIES 5

/* True if `name` begins with http://, https:// or s3://. */
bool remote_is(const char *name);

/* Connections that are used again from object to object; one thread at a time. */
struct remote;

/* `wake`: a descriptor that becomes readable when transfers and pauses are to end, within a second and with BGD_NETWORK
 * (catalogue_options.wake); NULL: never. Borrowed. BGD_MEMORY; BGD_ARGUMENT: the environment's endpoint is no http(s) address. */
int remote_open(const int *wake, struct remote **remote, struct bgd_err *err);
void remote_close(struct remote *remote);

/* Reads the whole object: what breaks off is read from its start again. BGD_LIMIT above `most` (< SIZE_MAX) bytes, whatever
 * Content-Length says. */
int remote_read(struct remote *remote, const char *name, size_t most, struct file_buffer *buffer, struct bgd_err *err);

/*
 * An object of any size, piece by piece, in 16 KB of memory. A transfer that breaks off goes on where it broke off (Range,
 * If-Range), as long as the object's strong ETag or its Last-Modified shows it to be the same one; otherwise BGD_NETWORK says
 * that it changed or cannot be resumed. REMOTE_TRIES counts tries without a new byte. Streams of one remote may be open at the
 * same time, and be read in turn; they are closed before it.
 */
struct remote_stream;
int remote_stream_open(struct remote *remote, const char *name, struct remote_stream **stream, struct bgd_err *err);
/* `most` bytes, fewer only at the end, 0 after it; negative an error, which ends the stream. */
int64_t remote_stream_read(struct remote_stream *stream, void *data, size_t most, struct bgd_err *err);
/* Bytes in all, if the server says so; else 0. */
uint64_t remote_stream_size(const struct remote_stream *stream);
void remote_stream_close(struct remote_stream *stream);

#endif
