/* Replaces tls_client.c in a library without TLS. pc_tls_trust_new() always fails, so no other function is called. */
#include "net/tls_client.h"

#include <pusherc/error.h>

#include "base/log.h"

int pc_tls_trust_new(struct pc_tls_trust **out, const struct pc_mem *mem,
                     const struct pc_tls_trust_files *files, pusherc_errinfo *info)
{
    (void)mem;
    (void)files;
    *out = NULL;
    return pc_errinfo(info, PUSHERC_ENOSYS, 0, "TLS was not compiled in");
}

void pc_tls_trust_free(struct pc_tls_trust *trust)
{
    (void)trust;
}

struct pc_tls_client *pc_tls_client_new(const struct pc_tls_trust *trust, const char *name)
{
    (void)trust;
    (void)name;
    return NULL;
}

void pc_tls_client_free(struct pc_tls_client *client)
{
    (void)client;
}

struct pc_buf *pc_tls_client_out(struct pc_tls_client *client)
{
    (void)client;
    return NULL;
}

bool pc_tls_client_is_open(const struct pc_tls_client *client)
{
    (void)client;
    return false;
}

void pc_tls_client_feed(struct pc_tls_client *client, pusherc_slice bytes)
{
    (void)client;
    (void)bytes;
}

int pc_tls_client_read(struct pc_tls_client *client, pusherc_slice *text)
{
    (void)client;
    (void)text;
    return PUSHERC_ETLS;
}

int pc_tls_client_write(struct pc_tls_client *client, pusherc_slice text)
{
    (void)client;
    (void)text;
    return PUSHERC_ETLS;
}

const char *pc_tls_client_reason(const struct pc_tls_client *client)
{
    (void)client;
    return "";
}
