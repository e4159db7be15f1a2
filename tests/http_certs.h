/* SPDX-License-Identifier: MIT */
/* For tests: a certificate authority of one's own, and certificates good and bad, made when asked. */
#ifndef WEIR_TESTS_HTTP_CERTS_H
#define WEIR_TESTS_HTTP_CERTS_H

/* Paths of PEM files in a directory that certs_remove() deletes. */
struct certs {
    char directory[64];
    char ca[96];   /* what a client is to trust */
    char link[96]; /* the same under the name that makes the directory a ca_path */
    char good[96]; /* for localhost, bücher.localhost and 127.0.0.1 */
    char good_key[96];
    char wrong[96]; /* for elsewhere.test */
    char wrong_key[96];
    char expired[96]; /* yesterday */
    char expired_key[96];
    char self[96]; /* for the same, signed by itself */
    char self_key[96];
    char client[96]; /* for a client, signed by the same authority */
    char client_key[96];
    char client_both[96]; /* the certificate and its key in one file */
};

/* Ends the test with "Bail out!" when it cannot. */
void certs_make(struct certs *certs);
void certs_remove(const struct certs *certs);

#endif
