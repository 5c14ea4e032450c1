#include "ws_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include <mbedtls/base64.h>
#include <psa/crypto.h>
#include <wslay/wslay.h>

#define NONCE_SIZE 16
#define SHA1_SIZE  20
static const char rfc_text[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */

static void fail(struct cli_ws *ws, const struct cli_error *error)
{
    ws->state = CLI_WS_CLOSED;
    ws->broken = true;
    ws->error = *error;
}

static void fail_with(struct cli_ws *ws, const char *text)
{
    struct cli_error error;

    (void)cli_fail(&error, "%s", text);
    fail(ws, &error);
}

/* -- the upgrade -- */

/* Fills the key of the request, and what the answer has to have. */
static int make_key(char key[32], char accept[32])
{
    unsigned char nonce[NONCE_SIZE], digest[SHA1_SIZE];
    char text[32 + sizeof rfc_text];
    size_t len;

    if (psa_crypto_init() != PSA_SUCCESS || getrandom(nonce, sizeof nonce, 0) != sizeof nonce ||
        mbedtls_base64_encode((unsigned char *)key, 32, &len, nonce, sizeof nonce))
        return -1;
    (void)snprintf(text, sizeof text, "%s%s", key, rfc_text);
    if (psa_hash_compute(PSA_ALG_SHA_1, (const unsigned char *)text, strlen(text), digest,
                         sizeof digest, &len) != PSA_SUCCESS)
        return -1;
    return mbedtls_base64_encode((unsigned char *)accept, 32, &len, digest, sizeof digest);
}

static int make_request(struct cli_ws *ws, const struct cli_address *address, const char *target,
                        const char *fields)
{
    char key[32], host[300];
    FILE *memory;

    cli_http_host(address, host);
    if (make_key(key, ws->accept) || !(memory = open_memstream(&ws->request, &ws->request_len)))
        return -1;
    (void)fprintf(memory,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: pusherc\r\n"
                  "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                  target, host, key, fields ? fields : "");
    return fclose(memory);
}

void cli_ws_connect(struct cli_ws *ws, const struct cli_wire_addresses *to, size_t index,
                    struct cli_wire_tls *tls, const struct cli_address *address, const char *target,
                    const char *fields)
{
    *ws = (struct cli_ws){.on_text = ws->on_text, .user = ws->user, .wire.fd = -1};
    ws->parser = cli_http_parser_new(&ws->answer);
    if (!ws->parser || make_request(ws, address, target, fields)) {
        fail_with(ws, "out of memory");
        return;
    }
    cli_wire_connect(&ws->wire, to, index, tls, address->host);
    if (ws->wire.state == CLI_WIRE_FAILED)
        fail(ws, &ws->wire.error);
}

static void write_request(struct cli_ws *ws)
{
    while (ws->request_sent < ws->request_len) {
        ssize_t count = cli_wire_write(&ws->wire, ws->request + ws->request_sent,
                                       ws->request_len - ws->request_sent);
        if (count < 0 && errno == EAGAIN)
            return;
        if (count < 0) {
            fail(ws, &ws->wire.error);
            return;
        }
        ws->request_sent += (size_t)count;
    }
    ws->wire.wants = POLLIN;
}

/* -- wslay -- */

static ssize_t on_recv(wslay_event_context_ptr context, uint8_t *out, size_t cap, int flags,
                       void *user)
{
    struct cli_ws *ws = user;
    ssize_t count;

    (void)flags;
    if (ws->early_read < ws->early_len) {
        size_t left = ws->early_len - ws->early_read;
        if (cap > left)
            cap = left;
        memcpy(out, ws->early + ws->early_read, cap);
        ws->early_read += cap;
        return (ssize_t)cap;
    }
    count = cli_wire_read(&ws->wire, out, cap);
    if (count > 0)
        return count;
    if (count < 0 && errno == EAGAIN) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (count == 0)
        (void)cli_fail(&ws->wire.error, "the connection was closed without a Close");
    ws->broken = true;
    wslay_event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr context, const uint8_t *bytes, size_t len, int flags,
                       void *user)
{
    struct cli_ws *ws = user;
    ssize_t count = cli_wire_write(&ws->wire, bytes, len);

    (void)flags;
    if (count >= 0)
        return count;
    if (errno != EAGAIN)
        ws->broken = true;
    wslay_event_set_error(context,
                          errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int on_mask(wslay_event_context_ptr context, uint8_t *out, size_t len, void *user)
{
    (void)context;
    (void)user;
    return getrandom(out, len, 0) == (ssize_t)len ? 0 : -1;
}

static void on_message(wslay_event_context_ptr context,
                       const struct wslay_event_on_msg_recv_arg *message, void *user)
{
    struct cli_ws *ws = user;

    (void)context;
    if (message->opcode == WSLAY_CONNECTION_CLOSE) {
        size_t len = message->msg_length > 2 ? message->msg_length - 2 : 0;
        ws->close_code = message->status_code ? message->status_code : 1005;
        (void)snprintf(ws->close_reason, sizeof ws->close_reason, "%.*s", (int)len,
                       len ? (const char *)message->msg + 2 : "");
        cli_make_plain(ws->close_reason);
        ws->state = CLI_WS_CLOSED;
    } else if (message->opcode == WSLAY_TEXT_FRAME && ws->on_text) {
        ws->on_text(ws->user, (const char *)message->msg, message->msg_length);
    }
}

static int begin_messages(struct cli_ws *ws)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = on_recv,
                                                           .send_callback = on_send,
                                                           .genmask_callback = on_mask,
                                                           .on_msg_recv_callback = on_message};
    wslay_event_context_ptr context;

    if (wslay_event_context_client_init(&context, &callbacks, ws))
        return -1;
    wslay_event_config_set_max_recv_msg_length(context, CLI_WS_MAX_MESSAGE);
    ws->context = context;
    return 0;
}

/* The answer is there: it opens the WebSocket, or it is kept for the caller. */
static void end_upgrade(struct cli_ws *ws, const char *behind, size_t len)
{
    char accept[64];

    if (!ws->answer.upgraded) {
        char text[80];
        (void)snprintf(text, sizeof text, "the answer to the upgrade is HTTP %d, not 101",
                       ws->answer.status);
        fail_with(ws, text);
        return;
    }
    (void)cli_http_field(&ws->answer, "sec-websocket-accept", 0, accept, sizeof accept);
    ws->wrong_accept = strcmp(accept, ws->accept) != 0;
    if (ws->wrong_accept) {
        fail_with(ws, "Sec-WebSocket-Accept of the answer does not belong to this request");
        return;
    }
    if (len > sizeof ws->early || begin_messages(ws)) {
        fail_with(ws, "out of memory");
        return;
    }
    memcpy(ws->early, behind, len);
    ws->early_len = len;
    ws->state = CLI_WS_OPEN;
}

static void read_answer(struct cli_ws *ws)
{
    char bytes[sizeof ws->early];
    size_t used;

    while (ws->state == CLI_WS_UPGRADING) {
        ssize_t count = cli_wire_read(&ws->wire, bytes, sizeof bytes);
        if (count < 0) {
            if (errno != EAGAIN)
                fail(ws, &ws->wire.error);
            return;
        }
        int status = cli_http_parser_feed(ws->parser, bytes, (size_t)count, &used);
        if (status > 0)
            end_upgrade(ws, bytes + used, (size_t)count - used);
        else if (status < 0)
            fail_with(ws, count == 0 ? "the connection was closed before an answer to the upgrade"
                                     : "what answered the upgrade is no HTTP");
    }
}

/* -- steps -- */

void cli_ws_step(struct cli_ws *ws)
{
    if (ws->state == CLI_WS_CONNECTING) {
        cli_wire_step(&ws->wire);
        if (ws->wire.state == CLI_WIRE_FAILED)
            fail(ws, &ws->wire.error);
        else if (ws->wire.state == CLI_WIRE_OPEN)
            ws->state = CLI_WS_UPGRADING;
    }
    if (ws->state == CLI_WS_UPGRADING && ws->request_sent < ws->request_len)
        write_request(ws);
    if (ws->state == CLI_WS_UPGRADING && ws->request_sent == ws->request_len)
        read_answer(ws);
    if (ws->state != CLI_WS_OPEN)
        return;
    int err = wslay_event_recv(ws->context);
    if (err == 0)
        err = wslay_event_send(ws->context);
    if (ws->state == CLI_WS_CLOSED || (err == 0 && wslay_event_want_read(ws->context)))
        return;
    if (ws->broken)
        fail(ws, &ws->wire.error);
    else
        fail_with(ws, "the peer broke the rules of WebSocket");
}

short cli_ws_wants(const struct cli_ws *ws)
{
    if (ws->state != CLI_WS_OPEN)
        return ws->wire.wants;
    return (short)(POLLIN | (wslay_event_want_write(ws->context) ? POLLOUT : 0));
}

int cli_ws_send(struct cli_ws *ws, const char *text, size_t len)
{
    const struct wslay_event_msg message = {
        .opcode = WSLAY_TEXT_FRAME, .msg = (const uint8_t *)text, .msg_length = len};

    if (ws->state != CLI_WS_OPEN)
        return -1;
    if (wslay_event_queue_msg(ws->context, &message) == 0 && wslay_event_send(ws->context) == 0)
        return 0;
    fail_with(ws, "the message could not be sent");
    return -1;
}

bool cli_ws_wait(struct cli_ws *ws, int64_t deadline_us)
{
    if (ws->state == CLI_WS_CLOSED)
        return true;
    ws->wire.wants = cli_ws_wants(ws);
    if (ws->early_read == ws->early_len && !cli_wire_wait(&ws->wire, deadline_us))
        return false;
    cli_ws_step(ws);
    return true;
}

void cli_ws_close(struct cli_ws *ws)
{
    if (ws->context)
        wslay_event_context_free(ws->context);
    cli_http_parser_free(ws->parser);
    cli_http_answer_free(&ws->answer);
    free(ws->request);
    cli_wire_close(&ws->wire);
    ws->context = ws->parser = NULL;
    ws->request = NULL;
    ws->state = CLI_WS_CLOSED;
}
