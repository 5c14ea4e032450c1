#include <stdbool.h>
#include <stdio.h>

#include <unistd.h>

#include "net/curl.h"

/* Where systems keep all authorities in one file. */
static const char *const usual[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Gentoo, Alpine */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* earlier ones */
    "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
    "/etc/ssl/cert.pem",                                 /* BSD, macOS, Alpine */
    "/usr/local/share/certs/ca-root-nss.crt",            /* FreeBSD's ports */
};

static bool can_be_read(const char *root, const char *path)
{
    char whole[512];
    int n = snprintf(whole, sizeof whole, "%s%s", root, path);
    return n > 0 && (size_t)n < sizeof whole && access(whole, R_OK) == 0;
}

static bool has_its_own(const struct pc_curl *curl, const char *root)
{
    char *path = NULL;
    CURL *easy = curl->easy_init();
    bool has = easy && curl->easy_getinfo(easy, CURLINFO_CAINFO, &path) == CURLE_OK && path &&
               can_be_read(root, path);
    curl->easy_cleanup(easy);
    return has;
}

const char *pc_curl_ca_file(const struct pc_curl *curl, const char *root)
{
    if (has_its_own(curl, root))
        return NULL;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (can_be_read(root, usual[i]))
            return usual[i];
    return NULL;
}
