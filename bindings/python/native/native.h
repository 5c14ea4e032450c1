/*
 * What the Python package has in C beside the library: a gate that lets calls come from any thread while the server is
 * being freed, and a tray that takes messages out of the inbox and lays them out so that Python reads many at once.
 *
 * Requests and keys are numbers here: Python makes small integers faster than pointers. None of these functions calls
 * the interpreter. They run without its lock.
 */
#ifndef PUSHERC_PYTHON_NATIVE_H
#define PUSHERC_PYTHON_NATIVE_H

#include <pusherc/pusherc.h>

/* -- gate: see gate.c -- */

typedef struct gate gate;

/* NULL = out of memory. Owns the server from then on. */
gate *gate_new(pusherc_server *server);
/* The server, for calls until gate_leave(); NULL = it was freed, or this is a forked child. */
pusherc_server *gate_enter(gate *g);
void gate_leave(gate *g);
/* No call enters any more. */
void gate_close(gate *g);
/* This is a forked child: as gate_close(), and the lock is not used any more. */
void gate_forked(gate *g);
/* Waits for the calls that are inside, and frees the server. Several times is harmless. */
void gate_free_server(gate *g);
/* Frees the server and the gate. */
void gate_free(gate *g);
/* pusherc_publish_to() and pusherc_send_to_user() inside the gate; PUSHERC_ESTATE outside. */
int gate_publish(gate *g, const char *app_id, const char *channel, size_t channel_len,
                 const char *name, size_t name_len, const char *data, size_t data_len,
                 const char *except);
int gate_send_to_user(gate *g, const char *app_id, const char *user_id, size_t user_id_len,
                      const char *name, size_t name_len, const char *data, size_t data_len);

/* -- shelf: see shelf.c -- */

/* Keys that Python has attached to connections and whose connections have gone. */
typedef struct shelf shelf;

shelf *shelf_new(void); /* NULL = out of memory */
void shelf_free(shelf *s);
/* For pusherc_identity.data, with shelf_drop() as free_data. NULL = out of memory. */
void *shelf_put(shelf *s, uint64_t key);
void shelf_drop(void *item);
uint64_t shelf_key(const void *item); /* of NULL: 0 */
/* Keys that were dropped, at most `capacity` of them; returns how many. */
size_t shelf_sweep(shelf *s, uint64_t *keys, size_t capacity);

/* -- tray: see tray.c -- */

enum {
    TRAY_MESSAGES = 256, /* in one take */
    TRAY_NUMBERS = 7,    /* of one message, in this order */
    TRAY_TYPE = 0,       /* pusherc_message_type */
    TRAY_NUMBER,         /* pusherc_message.number */
    TRAY_ID,
    TRAY_REQUEST, /* of a question, as a number */
    TRAY_KEY,     /* AUTHORIZE: index of the rule; others: user_data */
    TRAY_A,       /* AUTHORIZE: the key of the connection's shelf item, 0 = none; others: a */
    TRAY_B,
    /* Texts of one message: socket id, app id, channel, user id, and then those of TRAY_TEXTS - 4 more: name and data. For
     * AUTHORIZE, the values of the rule's parameters instead. */
    TRAY_TEXTS = 6
};

/* The user_data of a rule. */
typedef struct tray_rule {
    int64_t index;
    size_t param_count;
    const char *params[8]; /* PUSHERC_RULE_MAX_PARAMS names */
} tray_rule;

typedef struct tray {
    /* All texts of the last take, each followed by a byte 0xff, which no UTF-8 has. */
    char *text;
    size_t text_len;
    bool ascii;            /* but for those bytes */
    int64_t numbers[1792]; /* TRAY_MESSAGES * TRAY_NUMBERS */
    struct tray_inside *inside;
} tray;

tray *tray_new(void); /* NULL = out of memory */
void tray_free(tray *t);
/* How many were taken. A message for whose texts there is no memory is left out; if it is a question, it is refused. */
size_t tray_take(tray *t, pusherc_inbox *inbox, uint32_t timeout_ms);

/* -- post: see post.c -- */

enum {
    POST_FAILED = 1,
    POST_REQUEST,
    POST_LOG
};

typedef struct post post;

typedef struct post_item {
    struct post_item *next;
    int kind;                           /* POST_FAILED, POST_REQUEST, POST_LOG */
    int code;                           /* FAILED: of the result; LOG: the level */
    int status;                         /* FAILED */
    uint32_t attempts;                  /* FAILED */
    pusherc_broadcast_request *request; /* REQUEST: owned until the host takes it out */
    pusherc_slice name;                 /* FAILED: of the event; LOG: the subject */
    pusherc_slice data;                 /* FAILED: of the event; LOG: the line */
    pusherc_slice reason;               /* FAILED */
    pusherc_socket_id except;           /* FAILED */
    size_t channel_count;               /* FAILED */
    pusherc_slice *channels;
} post_item;

post *post_new(void); /* NULL = out of memory */
/* No broadcaster uses it any more, and no thread takes. */
void post_free(post *p);
/* Waits for the next item; NULL = closed, and nothing is left. */
post_item *post_take(post *p);
/* A request that is still in it has failed. */
void post_item_free(post_item *item);
/* Wakes the thread that takes. */
void post_close(post *p);
/* Items that found no room. */
uint64_t post_lost(post *p);
/* Make a broadcaster that puts what it has to tell here. `driver`: NULL = none of the host's. */
int post_broadcaster(post *p, pusherc_broadcaster **out, pusherc_broadcaster_options *options,
                     pusherc_broadcast_driver *driver, pusherc_errinfo *info);

/* -- answers: see answer.c -- */

/* The request is consumed, whatever is returned. Texts: NULL = none. */
int answer_allow(int64_t request);
int answer_grant(int64_t request, const char *user_id, size_t user_id_len, const char *info,
                 size_t info_len, const char *view, size_t view_len, uint32_t expires_in_ms);
int answer_deny(int64_t request, int status, const char *reason);
/* `data`: of shelf_put(), or NULL. */
int answer_identity(int64_t request, const char *user_id, size_t user_id_len, const char *info,
                    size_t info_len, uint32_t expires_in_ms, void *data);
int answer_reject(int64_t request, uint16_t close_code, const char *reason);
int answer_app(int64_t request, const pusherc_app_options *app);
int answer_http(int64_t request, int status, const pusherc_http_field *fields, size_t field_count,
                const char *body, size_t body_len);

#endif
