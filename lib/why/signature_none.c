/* In place of signature_public.c in a build without diagnosis. */
#include <pusherc/sign.h>

int pusherc_explain_auth(const pusherc_credentials *credentials, pusherc_slice auth,
                         pusherc_socket_id socket_id, pusherc_slice channel, pusherc_slice data,
                         char *out, size_t cap, size_t *len)
{
    (void)credentials, (void)auth, (void)socket_id, (void)channel, (void)data;
    (void)out, (void)cap, (void)len;
    return PUSHERC_ENOSYS;
}

int pusherc_explain_request(const pusherc_credentials *credentials, const char *method,
                            const char *path, pusherc_slice query, pusherc_slice body,
                            uint64_t unix_time_s, char *out, size_t cap, size_t *len)
{
    (void)credentials, (void)method, (void)path, (void)query, (void)body;
    (void)unix_time_s, (void)out, (void)cap, (void)len;
    return PUSHERC_ENOSYS;
}
