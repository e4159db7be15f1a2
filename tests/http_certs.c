/* SPDX-License-Identifier: MIT */
/* For tests: certificates, made with OpenSSL in a temporary directory. */
#include "http_certs.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY (24L * 60 * 60)
#define HERE "DNS:localhost,DNS:xn--bcher-kva.localhost,IP:127.0.0.1"

struct issuer {
    X509 *certificate;
    EVP_PKEY *key;
};

static void bail_out_unless(bool is_good, const char *what)
{
    if (is_good)
        return;
    printf("Bail out! certificates: %s\n", what);
    fflush(stdout);
    exit(1);
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bail_out_unless(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

/* A certificate valid from `from` to `to` seconds from now; `issuer` NULL: signed by itself.
 * `names` NULL: an authority's. */
static struct issuer make(const struct issuer *issuer, const char *name, const char *names,
                          long from, long to)
{
    static long serial = 1;
    /* EVP_EC_gen() is a macro that casts a const away. */
    struct issuer made = {.certificate = X509_new(),
                          .key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")};
    X509 *certificate = made.certificate;

    bail_out_unless(certificate != NULL && made.key != NULL, "no memory");
    const struct issuer *by = issuer == NULL ? &made : issuer;
    X509_NAME *subject = X509_get_subject_name(certificate);
    bool is_good = X509_set_version(certificate, X509_VERSION_3) == 1 &&
                   ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++) == 1 &&
                   X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                              (const unsigned char *)name, -1, -1, 0) == 1 &&
                   X509_set_issuer_name(certificate, X509_get_subject_name(by->certificate)) == 1 &&
                   X509_gmtime_adj(X509_getm_notBefore(certificate), from) != NULL &&
                   X509_gmtime_adj(X509_getm_notAfter(certificate), to) != NULL &&
                   X509_set_pubkey(certificate, made.key) == 1;
    bail_out_unless(is_good, name);
    if (names == NULL)
        add_extension(certificate, by->certificate, NID_basic_constraints, "critical,CA:TRUE");
    else
        add_extension(certificate, by->certificate, NID_subject_alt_name, names);
    bail_out_unless(X509_sign(certificate, by->key, EVP_sha256()) > 0, "not signed");
    return made;
}

static FILE *create(const char *path)
{
    FILE *file = fopen(path, "we");

    bail_out_unless(file != NULL, path);
    return file;
}

static void put(const char *directory, const char *name, const struct issuer *made, char *path,
                size_t size, char *key_path)
{
    snprintf(path, size, "%s/%s.crt", directory, name);
    FILE *file = create(path);
    bail_out_unless(PEM_write_X509(file, made->certificate) == 1 && fclose(file) == 0, path);
    if (key_path == NULL)
        return;
    snprintf(key_path, size, "%s/%s.key", directory, name);
    file = create(key_path);
    bail_out_unless(PEM_write_PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL) == 1 &&
                        fclose(file) == 0,
                    key_path);
}

/* OpenSSL finds a certificate in a directory by the hash of its name. */
static void link_by_hash(const struct certs *certs, const struct issuer *ca, char *path,
                         size_t size)
{
    unsigned long hash =
        X509_NAME_hash_ex(X509_get_subject_name(ca->certificate), NULL, NULL, NULL);

    snprintf(path, size, "%s/%08lx.0", certs->directory, hash);
    bail_out_unless(symlink(certs->ca, path) == 0, path);
}

/* One PEM file after another. */
static void join(const char *first, const char *second, const char *directory, char *path,
                 size_t size)
{
    const char *const parts[] = {first, second};

    snprintf(path, size, "%s/both.pem", directory);
    FILE *file = create(path);
    for (int i = 0; i < 2; i++) {
        FILE *part = fopen(parts[i], "re");
        bail_out_unless(part != NULL, parts[i]);
        for (int byte = fgetc(part); byte != EOF; byte = fgetc(part))
            fputc(byte, file);
        fclose(part);
    }
    bail_out_unless(fclose(file) == 0, path);
}

static void forget(struct issuer *made)
{
    X509_free(made->certificate);
    EVP_PKEY_free(made->key);
}

void certs_make(struct certs *certs)
{
    struct issuer ca = make(NULL, "weir test authority", NULL, -DAY, 30 * DAY);
    const struct leaf {
        const char *name;
        const char *names;
        const struct issuer *issuer;
        long from, to;
        char *path;
        char *key_path;
    } leaves[] = {
        {"good", HERE, &ca, -DAY, 30 * DAY, certs->good, certs->good_key},
        {"wrong", "DNS:elsewhere.test", &ca, -DAY, 30 * DAY, certs->wrong, certs->wrong_key},
        {"expired", HERE, &ca, -3 * DAY, -DAY, certs->expired, certs->expired_key},
        {"self", HERE, NULL, -DAY, 30 * DAY, certs->self, certs->self_key},
        {"client", "DNS:client.test", &ca, -DAY, 30 * DAY, certs->client, certs->client_key},
    };

    snprintf(certs->directory, sizeof(certs->directory), "/tmp/weir-certs-XXXXXX");
    bail_out_unless(mkdtemp(certs->directory) != NULL, "no temporary directory");
    put(certs->directory, "ca", &ca, certs->ca, sizeof(certs->ca), NULL);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        const struct leaf *leaf = &leaves[i];
        struct issuer made = make(leaf->issuer, leaf->name, leaf->names, leaf->from, leaf->to);
        put(certs->directory, leaf->name, &made, leaf->path, sizeof(certs->good), leaf->key_path);
        forget(&made);
    }
    link_by_hash(certs, &ca, certs->link, sizeof(certs->link));
    join(certs->client, certs->client_key, certs->directory, certs->client_both,
         sizeof(certs->client_both));
    forget(&ca);
}

void certs_remove(const struct certs *certs)
{
    const char *const paths[] = {
        certs->ca,         certs->good,        certs->good_key, certs->wrong,    certs->wrong_key,
        certs->expired,    certs->expired_key, certs->self,     certs->self_key, certs->client,
        certs->client_key, certs->client_both, certs->link};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        unlink(paths[i]);
    rmdir(certs->directory);
}
