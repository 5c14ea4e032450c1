/* The opening handshake: RFC 6455, section 4.2. */
#include "codec/ws.h"

#include <pusherc/error.h>

#include "codec/crypto.h"

#define KEY_SIZE    16
#define ACCEPT_SIZE 28 /* base64 of a SHA-1 */

static int refuse_handshake(int *status, const char **text, int with, const char *why)
{
    *status = with;
    *text = why;
    return PUSHERC_EPROTO;
}

/* The Swift client offers "pusher-channels-protocol-7" and closes if the server does not choose it. */
static bool is_pusher_protocol(pusherc_slice subprotocol)
{
    uint64_t version;
    pusherc_slice prefix = PC_S("pusher-channels-protocol-");
    return pc_slice_starts(subprotocol, prefix) &&
           pc_slice_to_u64(pc_slice_skip(subprotocol, prefix.len), &version);
}

static pusherc_slice choose_subprotocol(const struct pc_http_message *request)
{
    for (size_t i = 0; i < request->field_count; i++) {
        pusherc_slice list = request->fields[i].value, item;
        if (!pc_slice_eq_nocase(request->fields[i].name, PC_S("Sec-WebSocket-Protocol")))
            continue;
        while (pc_http_list_next(&list, &item))
            if (is_pusher_protocol(item))
                return item;
    }
    return pc_slice(NULL, 0);
}

static int accept_value(pusherc_slice key, char out[ACCEPT_SIZE])
{
    char text[24 + 36]; /* base64 of 16 bytes, then the constant of RFC 6455 */
    uint8_t digest[20];
    memcpy(text, key.ptr, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    int status = pc_sha1(pc_slice(text, sizeof text), digest);
    if (status == 0)
        pc_base64_encode(pc_slice((const char *)digest, sizeof digest), out);
    return status;
}

int pc_ws_handshake(const struct pc_http_message *request, struct pc_buf *out,
                    struct pc_ws_deflate *deflate, int *status, const char **text)
{
    if (!pc_slice_eq(request->method, PC_S("GET")))
        return refuse_handshake(status, text, 405, "A WebSocket is opened with GET.");
    if (!pc_http_field_has(request, PC_S("Upgrade"), PC_S("websocket")) ||
        !pc_http_field_has(request, PC_S("Connection"), PC_S("upgrade")))
        return refuse_handshake(status, text, 426, "This address is for WebSocket clients.");
    if (!request->upgrade)
        return refuse_handshake(status, text, 400,
                                "A WebSocket is opened with HTTP/1.1 and without a body.");
    if (!pc_slice_eq(pc_http_field(request, PC_S("Sec-WebSocket-Version")), PC_S("13")))
        return refuse_handshake(status, text, 426, "The WebSocket version is 13.");
    pusherc_slice key = pc_http_field(request, PC_S("Sec-WebSocket-Key"));
    uint8_t nonce[KEY_SIZE];
    size_t nonce_len;
    if (key.len != 24 || !pc_base64_decode(key, nonce, sizeof nonce, &nonce_len) ||
        nonce_len != sizeof nonce)
        return refuse_handshake(status, text, 400, "Sec-WebSocket-Key is missing or malformed.");

    char accept[ACCEPT_SIZE];
    if (accept_value(key, accept))
        return refuse_handshake(status, text, 500, "Digest failed.");
    pc_buf_put(out, PC_S("HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\n"
                         "Connection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: "));
    pc_buf_put(out, pc_slice(accept, sizeof accept));
    pusherc_slice subprotocol = choose_subprotocol(request);
    if (subprotocol.len) {
        pc_buf_put(out, PC_S("\r\nSec-WebSocket-Protocol: "));
        pc_buf_put(out, subprotocol);
    }
    if (deflate) {
        pc_ws_choose_deflate(request, deflate);
        pc_ws_put_deflate(out, deflate);
    }
    pc_buf_put(out, PC_S("\r\n\r\n"));
    return pc_buf_status(out);
}

const struct pc_pair *pc_ws_refusal_fields(int status, size_t *count)
{
    static const struct pc_pair upgrade[] = {
        {PUSHERC_LIT("Upgrade"), PUSHERC_LIT("websocket")},
        {PUSHERC_LIT("Connection"), PUSHERC_LIT("Upgrade")}, /* beside the reply's own */
        {PUSHERC_LIT("Sec-WebSocket-Version"), PUSHERC_LIT("13")},
    };
    static const struct pc_pair method[] = {
        {PUSHERC_LIT("Allow"), PUSHERC_LIT("GET")},
    };
    *count = status == 426   ? sizeof upgrade / sizeof upgrade[0]
             : status == 405 ? sizeof method / sizeof method[0]
                             : 0;
    return status == 426 ? upgrade : status == 405 ? method : NULL;
}
