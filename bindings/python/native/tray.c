/*
 * Takes messages and lays them out: the numbers of all messages in one array, all texts in one buffer. Python makes its
 * objects of them with one unpack and one split, which costs a fifth of reading each member of each struct.
 */
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define SEPARATOR        '\xff'
#define FIRST_TEXT_BYTES 65536

struct tray_inside {
    pusherc_message messages[TRAY_MESSAGES];
    size_t text_capacity;
};

tray *tray_new(void)
{
    tray *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->inside = calloc(1, sizeof *t->inside);
    t->text = malloc(FIRST_TEXT_BYTES);
    if (!t->inside || !t->text) {
        tray_free(t);
        return NULL;
    }
    t->inside->text_capacity = FIRST_TEXT_BYTES;
    return t;
}

void tray_free(tray *t)
{
    if (!t)
        return;
    free(t->text);
    free(t->inside);
    free(t);
}

static bool reserve(tray *t, size_t len)
{
    size_t capacity = t->inside->text_capacity;
    if (len <= capacity - t->text_len)
        return true;
    while (len > capacity - t->text_len) {
        if (capacity > SIZE_MAX / 2)
            return false;
        capacity *= 2;
    }
    char *text = realloc(t->text, capacity);
    if (!text)
        return false;
    t->text = text;
    t->inside->text_capacity = capacity;
    return true;
}

static void lay(tray *t, pusherc_slice text)
{
    char *to = t->text + t->text_len;
    unsigned char all = 0;
    for (size_t i = 0; i < text.len; i++) {
        to[i] = text.ptr[i] == SEPARATOR ? '?' : text.ptr[i];
        all |= (unsigned char)to[i];
    }
    to[text.len] = SEPARATOR;
    t->text_len += text.len + 1;
    t->ascii &= all < 0x80;
}

static pusherc_slice socket_text(const pusherc_message *m, char out[PUSHERC_SOCKET_ID_STRLEN])
{
    if (!m->socket_id.a && !m->socket_id.b)
        return (pusherc_slice){NULL, 0};
    return (pusherc_slice){out, pusherc_socket_id_format(m->socket_id, out)};
}

static bool lay_texts(tray *t, const pusherc_message *m)
{
    char socket_id[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_slice texts[4 + PUSHERC_RULE_MAX_PARAMS] = {
        socket_text(m, socket_id), m->app_id, m->channel, m->user_id, m->name, m->data};
    size_t count = TRAY_TEXTS, len = 0;
    if (m->type == PUSHERC_MESSAGE_AUTHORIZE) {
        const tray_rule *rule = m->user_data;
        count = 4 + rule->param_count;
        for (size_t i = 0; i < rule->param_count; i++)
            texts[4 + i] = pusherc_auth_param(m->request, rule->params[i]);
    }
    for (size_t i = 0; i < count; i++)
        len += texts[i].len + 1;
    if (!reserve(t, len))
        return false;
    for (size_t i = 0; i < count; i++)
        lay(t, texts[i]);
    return true;
}

static void lay_numbers(int64_t *to, const pusherc_message *m)
{
    to[TRAY_TYPE] = (int64_t)m->type;
    to[TRAY_NUMBER] = m->number;
    to[TRAY_ID] = (int64_t)m->id;
    to[TRAY_REQUEST] = (int64_t)(intptr_t)m->request;
    to[TRAY_KEY] = (int64_t)(intptr_t)m->user_data;
    to[TRAY_A] = (int64_t)m->a;
    to[TRAY_B] = (int64_t)m->b;
    if (m->type == PUSHERC_MESSAGE_AUTHORIZE) {
        to[TRAY_KEY] = ((const tray_rule *)m->user_data)->index;
        to[TRAY_A] = (int64_t)shelf_key(pusherc_auth_conn_data(m->request));
    }
}

/* Answers what Python cannot be asked. */
static void refuse(const pusherc_message *m)
{
    static const pusherc_slice none = {NULL, 0};
    switch (m->type) {
    case PUSHERC_MESSAGE_AUTHORIZE:
        pusherc_auth_deny(m->request, 403, "Internal error");
        break;
    case PUSHERC_MESSAGE_IDENTIFY:
        pusherc_identify_reject(m->request, 4100, "Internal error");
        break;
    case PUSHERC_MESSAGE_FIND_APP:
        pusherc_app_answer(m->request, NULL);
        break;
    case PUSHERC_MESSAGE_HTTP:
        pusherc_http_respond(m->request, 503, NULL, 0, none);
        break;
    default: /* a notice */
        break;
    }
}

size_t tray_take(tray *t, pusherc_inbox *inbox, uint32_t timeout_ms)
{
    pusherc_message *messages = t->inside->messages;
    size_t count = 0;
    const size_t taken =
        pusherc_inbox_take(inbox, messages, sizeof messages[0], TRAY_MESSAGES, timeout_ms);
    t->text_len = 0;
    t->ascii = true;
    for (size_t i = 0; i < taken; i++) {
        if (lay_texts(t, &messages[i]))
            lay_numbers(&t->numbers[TRAY_NUMBERS * count++], &messages[i]);
        else
            refuse(&messages[i]);
    }
    return count;
}
