#include "net/authorities.h"

#include <stddef.h>
#include <stdio.h>

#include <unistd.h>

static const char *const usual[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Gentoo, Alpine */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* earlier ones */
    "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
    "/etc/ssl/cert.pem",                                 /* BSD, macOS, Alpine */
    "/usr/local/share/certs/ca-root-nss.crt",            /* FreeBSD's ports */
};

bool pc_authorities_readable(const char *root, const char *path)
{
    char whole[512];
    int n = snprintf(whole, sizeof whole, "%s%s", root, path);
    return n > 0 && (size_t)n < sizeof whole && access(whole, R_OK) == 0;
}

const char *pc_authorities_file(const char *root)
{
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (pc_authorities_readable(root, usual[i]))
            return usual[i];
    return NULL;
}
