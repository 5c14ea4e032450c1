/* In place of wire_tls.c in a build without TLS: each connection with TLS fails, and says why. */
#include "wire.h"

#include <errno.h>

static const char why[] = "this pusherc was built without TLS";

int cli_wire_tls_new(struct cli_wire_tls **out, const char *ca_file, bool strict,
                     struct cli_error *error)
{
    (void)ca_file;
    (void)strict;
    *out = NULL;
    return cli_fail(error, "%s", why);
}

void cli_wire_tls_free(struct cli_wire_tls *tls)
{
    (void)tls;
}

struct cli_wire_tls_session *cli_wire_tls_begin(struct cli_wire_tls *tls, int *fd, const char *name,
                                                struct cli_error *error)
{
    (void)tls;
    (void)fd;
    (void)name;
    (void)cli_fail(error, "%s", why);
    return NULL;
}

void cli_wire_tls_end(struct cli_wire_tls_session *session)
{
    (void)session;
}

int cli_wire_tls_shake(struct cli_wire *wire)
{
    return cli_fail(&wire->error, "%s", why);
}

ssize_t cli_wire_tls_read(struct cli_wire *wire, void *out, size_t cap)
{
    (void)out;
    (void)cap;
    errno = ENOSYS;
    return cli_fail(&wire->error, "%s", why);
}

ssize_t cli_wire_tls_write(struct cli_wire *wire, const void *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    errno = ENOSYS;
    return cli_fail(&wire->error, "%s", why);
}

bool cli_wire_certificate(const struct cli_wire *wire, struct cli_wire_certificate *out)
{
    (void)wire;
    *out = (struct cli_wire_certificate){0};
    return false;
}
