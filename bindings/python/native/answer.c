/* Answers to questions, without structs to fill in Python. */
#include "native.h"

static pusherc_slice slice(const char *text, size_t len)
{
    return (pusherc_slice){text, len};
}

int answer_allow(int64_t request)
{
    return pusherc_auth_allow((pusherc_auth_request *)(intptr_t)request, NULL);
}

int answer_grant(int64_t request, const char *user_id, size_t user_id_len, const char *info,
                 size_t info_len, const char *view, size_t view_len, uint32_t expires_in_ms)
{
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    grant.user_id = slice(user_id, user_id_len);
    grant.user_info_json = slice(info, info_len);
    grant.view = slice(view, view_len);
    grant.expires_in_ms = expires_in_ms;
    return pusherc_auth_allow((pusherc_auth_request *)(intptr_t)request, &grant);
}

int answer_deny(int64_t request, int status, const char *reason)
{
    return pusherc_auth_deny((pusherc_auth_request *)(intptr_t)request, status, reason);
}

int answer_identity(int64_t request, const char *user_id, size_t user_id_len, const char *info,
                    size_t info_len, uint32_t expires_in_ms, void *data)
{
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    identity.user_id = slice(user_id, user_id_len);
    identity.user_info_json = slice(info, info_len);
    identity.expires_in_ms = expires_in_ms;
    identity.data = data;
    identity.free_data = shelf_drop;
    return pusherc_identify_accept((pusherc_identify_request *)(intptr_t)request, &identity);
}

int answer_reject(int64_t request, uint16_t close_code, const char *reason)
{
    return pusherc_identify_reject((pusherc_identify_request *)(intptr_t)request, close_code,
                                   reason);
}

int answer_app(int64_t request, const pusherc_app_options *app)
{
    return pusherc_app_answer((pusherc_app_request *)(intptr_t)request, app);
}

int answer_http(int64_t request, int status, const pusherc_http_field *fields, size_t field_count,
                const char *body, size_t body_len)
{
    return pusherc_http_respond((pusherc_http_request *)(intptr_t)request, status, fields,
                                field_count, slice(body, body_len));
}
