#include "certificates.h"

#include <stdlib.h>
#include <string.h>

static size_t count(const char *names)
{
    size_t n = 1;
    for (; (names = strchr(names, ',')) != NULL; names++)
        n++;
    return n;
}

/* Cuts the first name off *names. */
static const char *next(char **names)
{
    char *name = *names, *comma = strchr(name, ',');
    if (comma)
        *comma = '\0';
    *names = comma ? comma + 1 : name + strlen(name);
    return name;
}

int cli_certificates_init(struct cli_certificates *certificates,
                          const struct cli_settings *settings, struct cli_error *error)
{
    *certificates = (struct cli_certificates){0};
    if (!settings->tls_cert || !settings->tls_key)
        return 0;
    size_t n = count(settings->tls_cert), cert_size = strlen(settings->tls_cert) + 1,
           key_size = strlen(settings->tls_key) + 1;
    if (count(settings->tls_key) != n)
        return cli_fail(error,
                        "TLS needs a key for each certificate: tls_cert names %zu, tls_key "
                        "%zu",
                        n, count(settings->tls_key));
    certificates->names = malloc(cert_size + key_size);
    certificates->items = calloc(n, sizeof *certificates->items);
    if (!certificates->names || !certificates->items)
        return cli_fail_no_memory(error);
    char *certs = memcpy(certificates->names, settings->tls_cert, cert_size);
    char *keys = memcpy(certificates->names + cert_size, settings->tls_key, key_size);
    for (size_t i = 0; i < n; i++) {
        pusherc_tls_options *tls = &certificates->items[i];
        pusherc_tls_options_init(tls, sizeof *tls);
        tls->cert_file = next(&certs);
        tls->key_file = next(&keys);
        tls->key_password = settings->tls_password;
        tls->next = i + 1 < n ? tls + 1 : NULL;
    }
    return 0;
}

void cli_certificates_free(struct cli_certificates *certificates)
{
    free(certificates->names);
    free(certificates->items);
    *certificates = (struct cli_certificates){0};
}
