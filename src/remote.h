/*
 * Objects that are not files here: http://, https:// and s3://BUCKET/KEY, read by libcurl.
 *
 * s3:// is signed with AWS Signature Version 4 by the environment's AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * AWS_SESSION_TOKEN (optional) and AWS_REGION or AWS_DEFAULT_REGION (us-east-1 without both); without a key the request goes
 * unsigned. AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL names another server, whose buckets are then folders of its root (path
 * style), as MinIO and Ceph have them. Proxies and certificates are what libcurl's own variables say.
 *
 * A request that fails for a reason that may pass (no connection, a name that does not resolve, time-out, a body that breaks
 * off, 408, 429, 500, 502, 503, 504) is made again, up to REMOTE_TRIES times, after a pause that doubles from 0.2 s (with
 * jitter; Retry-After is obeyed, up to 30 s). What then still fails is BGD_NETWORK. 404 and 410 are BGD_MISSING; 401, 403 and every
 * other answer BGD_UNREADABLE. Redirects are followed, 5 at the most, and never from https to anything else; credentials do not
 * go along to another host.
 */
#ifndef BGD_REMOTE_H
#define BGD_REMOTE_H

#include "file.h"

#include <signal.h>

#define REMOTE_TRIES 5

/* True if `name` begins with http://, https:// or s3://. */
bool remote_is(const char *name);

/* A connection that is used again from object to object; one thread at a time. */
struct remote;

/* `stop`: not 0 ends a transfer or a pause within a second, with BGD_NETWORK; NULL: never. BGD_MEMORY. */
int remote_open(const volatile sig_atomic_t *stop, struct remote **remote, struct bgd_err *err);
void remote_close(struct remote *remote);

/* Reads the whole object. BGD_LIMIT above `most` bytes, whatever Content-Length says. The text does not repeat the name. */
int remote_read(struct remote *remote, const char *name, size_t most, struct file_buffer *buffer, struct bgd_err *err);

/*
 * An object of any size, piece by piece. A transfer that breaks off goes on where it broke off (Range), as long as the
 * object's ETag or Last-Modified shows it to be the same one; otherwise BGD_NETWORK says that it changed.
 */
struct remote_stream;
int remote_stream_open(struct remote *remote, const char *name, struct remote_stream **stream, struct bgd_err *err);
/* Up to `most` bytes, 0 at the end, negative an error. */
int64_t remote_stream_read(struct remote_stream *stream, void *data, size_t most, struct bgd_err *err);
/* Bytes in all, if the server says so; else 0. */
uint64_t remote_stream_size(const struct remote_stream *stream);
void remote_stream_close(struct remote_stream *stream);

#endif
