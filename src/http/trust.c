/* SPDX-License-Identifier: MIT */
/* The certificates that a session trusts, parsed once and shared by every connection. */
#include "http/trust.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct trust {
    X509_STORE *store;
};

bool weir__has_openssl(void)
{
    const char *name = curl_version_info(CURLVERSION_NOW)->ssl_version;

    return name != NULL && strncmp(name, "OpenSSL/", 8) == 0;
}

/* Where libcurl would look by itself; either may be NULL. Valid as long as the handle. */
static void default_places(CURL *easy, const char **ret_file, const char **ret_path)
{
    char *file = NULL;
    char *path = NULL;

    if (curl_easy_getinfo(easy, CURLINFO_CAINFO, &file) != CURLE_OK)
        file = NULL;
    if (curl_easy_getinfo(easy, CURLINFO_CAPATH, &path) != CURLE_OK)
        path = NULL;
    *ret_file = file;
    *ret_path = path;
}

static bool is_directory(const char *path)
{
    struct stat is;

    return stat(path, &is) == 0 && S_ISDIR(is.st_mode);
}

static weir_status load(X509_STORE *store, const char *file, const char *path, bool is_given,
                        weir_error *reterr)
{
    if (file != NULL && X509_STORE_load_file(store, file) != 1 && is_given)
        return weir_error_set(reterr, WEIR_INVALID, "ca_file \"%s\": no certificates can be read",
                              file);
    if (path != NULL && is_given && !is_directory(path))
        return weir_error_set(reterr, WEIR_INVALID, "ca_path \"%s\": is not a directory", path);
    if (path != NULL && X509_STORE_load_path(store, path) != 1 && is_given)
        return weir_error_set(reterr, WEIR_INVALID, "ca_path \"%s\": cannot be used", path);
    return WEIR_OK;
}

/* A system without certificates trusts nobody; that is said when somebody is connected to. */
static weir_status fill(X509_STORE *store, const weir_http_options *options, weir_error *reterr)
{
    bool is_given = options->ca_file != NULL || options->ca_path != NULL;
    const char *file = options->ca_file;
    const char *path = options->ca_path;
    CURL *easy = curl_easy_init();

    if (easy == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "certificates: out of memory");
    if (!is_given)
        default_places(easy, &file, &path);
    weir_status status = load(store, file, path, is_given, reterr);
    curl_easy_cleanup(easy);
    return status;
}

/* ---- our own certificate ----------------------------------------------------------------- */

/* Nobody is asked for a passphrase. */
static int no_passphrase(char *buffer, int size, int for_writing, void *arg)
{
    (void)buffer, (void)size, (void)for_writing, (void)arg;
    return 0;
}

static weir_status try_pair(SSL_CTX *context, const char *cert, const char *key, weir_error *reterr)
{
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        return weir_error_set(reterr, WEIR_INVALID, "cert_file \"%s\": no certificate can be read",
                              cert);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return weir_error_set(reterr, WEIR_INVALID,
                              "key_file \"%s\": no key can be read that fits the certificate "
                              "and has no passphrase",
                              key);
    return WEIR_OK;
}

/* libcurl would find out at the first connection. */
static weir_status check_own(const weir_http_options *options, weir_error *reterr)
{
    const char *key = options->key_file != NULL ? options->key_file : options->cert_file;

    if (options->cert_file == NULL)
        return WEIR_OK;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL)
        return weir_error_set(reterr, WEIR_NO_MEMORY, "certificates: out of memory");
    weir_status status = try_pair(context, options->cert_file, key, reterr);
    SSL_CTX_free(context);
    ERR_clear_error();
    return status;
}

/* ---- open -------------------------------------------------------------------------------- */

static weir_status read_trusted(const weir_http_options *options, struct trust **ret_trust,
                                weir_error *reterr)
{
    if (!options->verify_tls)
        return WEIR_OK;

    struct trust *trust = calloc(1, sizeof *trust);
    if (trust != NULL)
        trust->store = X509_STORE_new();
    if (trust == NULL || trust->store == NULL) {
        free(trust);
        return weir_error_set(reterr, WEIR_NO_MEMORY, "certificates: out of memory");
    }
    /* As libcurl does: a server may send a longer chain than needed, and an intermediate
     * certificate that is trusted needs no root. */
    X509_STORE_set_flags(trust->store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    weir_status status = fill(trust->store, options, reterr);
    /* What OpenSSL could not read of the system's is no error of the next call's. */
    ERR_clear_error();
    if (status != WEIR_OK) {
        weir__trust_close(trust);
        return status;
    }
    *ret_trust = trust;
    return WEIR_OK;
}

weir_status weir__trust_open(const weir_http_options *options, struct trust **ret_trust,
                             weir_error *reterr)
{
    *ret_trust = NULL;
    if (!weir__has_openssl())
        return WEIR_OK;
    weir_status status = check_own(options, reterr);
    if (status != WEIR_OK)
        return status;
    return read_trusted(options, ret_trust, reterr);
}

void weir__trust_close(struct trust *trust)
{
    if (trust == NULL)
        return;
    X509_STORE_free(trust->store);
    free(trust);
}

/* libcurl's last word before it connects: the context gets a reference of its own. */
static CURLcode lend_store(CURL *easy, void *context, void *arg)
{
    const struct trust *trust = arg;

    (void)easy;
    SSL_CTX_set1_cert_store(context, trust->store);
    return CURLE_OK;
}

void weir__trust_apply(struct trust *trust, const weir_http_options *options, CURL *easy)
{
    if (!options->verify_tls) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        return;
    }
    if (trust == NULL) {
        if (options->ca_file != NULL || options->ca_path != NULL) {
            curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
            curl_easy_setopt(easy, CURLOPT_CAPATH, options->ca_path);
        }
        return;
    }
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, lend_store);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, trust);
}
