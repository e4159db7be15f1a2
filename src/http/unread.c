/* SPDX-License-Identifier: MIT */
/* A filter between OpenSSL and libcurl's socket, for writes that fail while there is something to read. */
#include "http/unread.h"

#include "http/trust.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* How often in a row a write is put off although nothing was read since the last time. */
#define MAX_DEFERRALS 3

struct filter {
    struct handle *handle; /* whose connection it is, for as long as that stands */
    int socket;
    int unread; /* bytes that were there when a write was last put off */
    int times;  /* how often that was so */
};

/* Whether the failure may wait until more of what has arrived is read. Nothing comes after it: a
 * connection that cannot be written to was reset. */
static bool can_wait(struct filter *f)
{
    int unread = 0;

    if (ioctl(f->socket, FIONREAD, &unread) != 0 || unread == 0)
        return false;
    f->times = unread == f->unread ? f->times + 1 : 1;
    f->unread = unread;
    return f->times <= MAX_DEFERRALS;
}

static int on_write(BIO *bio, const char *data, int size)
{
    struct filter *f = BIO_get_data(bio);
    int written = BIO_write(BIO_next(bio), data, size);

    f->handle->has_written = f->handle->has_written || written > 0;
    BIO_clear_retry_flags(bio);
    BIO_copy_next_retry(bio);
    if (written <= 0 && size > 0 && !BIO_should_retry(bio) && can_wait(f))
        BIO_set_retry_write(bio);
    return written;
}

static long on_ctrl(BIO *bio, int command, long number, void *arg)
{
    long result = BIO_ctrl(BIO_next(bio), command, number, arg);

    BIO_clear_retry_flags(bio);
    BIO_copy_next_retry(bio);
    return result;
}

static int on_destroy(BIO *bio)
{
    free(BIO_get_data(bio));
    return 1;
}

/* Made once, for the process. */
static BIO_METHOD *method;
static int type;

static void make_method(void)
{
    type = BIO_get_new_index() | BIO_TYPE_FILTER;
    BIO_METHOD *made = BIO_meth_new(type, "weir");

    if (made != NULL && BIO_meth_set_write(made, on_write) == 1 &&
        BIO_meth_set_ctrl(made, on_ctrl) == 1 && BIO_meth_set_destroy(made, on_destroy) == 1)
        method = made;
    else
        BIO_meth_free(made);
}

/* The filter without anything behind it; NULL: out of memory. */
static BIO *open_filter(struct handle *handle)
{
    struct filter *f = malloc(sizeof *f);
    BIO *bio = f != NULL ? BIO_new(method) : NULL;

    if (bio == NULL) {
        free(f);
        return NULL;
    }
    *f = (struct filter){.handle = handle, .socket = handle->lent};
    BIO_set_data(bio, f);
    BIO_set_init(bio, 1);
    return bio;
}

/* The TLS of the connection; NULL: it has none. */
static SSL *tls_of(CURL *easy)
{
    struct curl_tlssessioninfo *info = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &info) != CURLE_OK || info == NULL ||
        info->backend != CURLSSLBACKEND_OPENSSL)
        return NULL;
    return info->internals;
}

void weir__read_before_failing(struct handle *handle)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    SSL *tls = weir__has_openssl() ? tls_of(handle->easy) : NULL;
    BIO *out = tls != NULL ? SSL_get_wbio(tls) : NULL;
    if (out == NULL)
        return;

    pthread_once(&once, make_method);
    if (method == NULL || BIO_method_type(out) == type)
        return;
    BIO *filter = open_filter(handle);
    if (filter == NULL)
        return;
    BIO_up_ref(out); /* SSL_set0_wbio() gives up the one that the connection had */
    SSL_set0_wbio(tls, BIO_push(filter, out));
}
