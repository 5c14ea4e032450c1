/*
 * A session of a client over HTTP (fallback.h), and what its parts do: what it is sent (fallback_out.c), what it sends
 * (fallback_send.c), how it ends (fallback_life.c). The worker's thread.
 */
#ifndef PC_NET_FALLBACK_SESSION_H
#define PC_NET_FALLBACK_SESSION_H

#include "codec/json.h"
#include "net/absent.h"
#include "net/http_conn.h"
#include "net/turns.h"
#include "session/session.h"

struct pc_fallbacks {
    struct pc_loop *loop;
    struct pc_map by_name;
    struct pc_list all; /* struct pc_fallback */
    struct pc_absentees absentees;
    struct pc_companion companion;
};

/* A session over HTTP. */
struct pc_fallback {
    struct pc_map_node
        by_name; /* key: the app's key and the session's name, as in the path; behind the struct */
    struct pc_list of_all;
    struct pc_absentee absentee; /* absent: without a receiver */
    struct pc_loop *loop;
    struct pc_session session;
    struct pc_outq out;       /* what the client has to get */
    struct pc_conn *receiver; /* a request of the client waits here for frames; NULL = none */
    struct pc_timer timer;    /* without receiver: until it has left; otherwise until a heartbeat */
    struct pc_timer goodbye;
    uint16_t close_code; /* 0 = open */
    char close_reason[124];
    uint64_t sent_ms;       /* when the receiver last got something */
    size_t sent_characters; /* of its answer */
    bool never_reopens;
    bool streams;    /* the receiver's answer has no end */
    bool in_chunks;  /* false: the receiver speaks HTTP/1.0 */
    bool alone;      /* what the receiver's connection has not written is all of this answer */
    bool keep_alive; /* the receiver's connection, after the answer */
    bool sockjs;     /* a client of SockJS's own library */
    bool open;       /* `session` is; false: the client has not said yet which app it wants */
    bool greeted;    /* it has been told that the session is open */
    bool counted;    /* in pc_engine.clients */
    struct pc_turns turns; /* of the requests that send */
    struct pc_timer turn;  /* for the first that waits in `turns` */
};

/* -- what it is sent -- */

/* The client will ask for another answer before it can get more. */
bool pc_fallback_will_reopen(const struct pc_fallback *f);
void pc_fallback_send_line(struct pc_fallback *f, struct pc_conn *conn, pusherc_slice line);
/* Sends a line that says nothing. */
void pc_fallback_heartbeat(struct pc_fallback *f);
/* Hands on what waits, if the connection of the receiver takes it, and the end. */
void pc_fallback_hand_on(struct pc_fallback *f);
/* The receiver's answer is complete; its connection may bring the next request. */
void pc_fallback_end_answer(struct pc_fallback *f);
/* Sets the timer anew. */
void pc_fallback_arm(struct pc_fallback *f);

/* -- what it sends -- */

/* Serves the request, or lets it wait for its turn. */
void pc_fallback_take_send(struct pc_fallback *f, struct pc_conn *conn,
                           const struct pc_http_message *m, uint64_t number);
/* Serves the requests that wait, as far as their turns have come and the client may send. */
void pc_fallback_serve_waiting(struct pc_fallback *f);
/* The session has closed. */
void pc_fallback_refuse_waiting(struct pc_fallback *f);
/* The time of a request that waits for its turn has come, or is over. */
void pc_fallback_on_turn(struct pc_timer *timer, uint64_t now_ms);
void pc_fallback_refuse_send(struct pc_conn *conn, const struct pc_http_message *m, bool named);
void pc_fallback_take_messages(struct pc_fallback *f, struct pc_json_iter items);
#define PC_FALLBACK_MAX_MESSAGES 100 /* in one request */
/* `named`: names the page's origin. */
void pc_fallback_reply(struct pc_conn *conn, const struct pc_http_message *m, int status,
                       const char *text, bool named);
/* Names the page's origin in place of "*", so that browsers send its cookies. */
void pc_fallback_name_origin(struct pc_api_reply *reply, const struct pc_http_message *m);

/* -- its life -- */

extern const struct pc_transport pc_fallback_transport;

/* A session without its client. NULL: out of memory. */
struct pc_fallback *pc_fallback_new(struct pc_loop *loop, pusherc_slice name,
                                    pusherc_slice network);
/* Opens the session of a newcomer, which it takes over on success, for the request of the connection. 0, PUSHERC_ELIMIT or
 * PUSHERC_ENOMEM. */
PC_CHECKED int pc_fallback_open(struct pc_fallback *f, struct pc_conn *conn,
                                struct pc_newcomer *newcomer, uint32_t expires_in_ms);
/* Its receiver is one of an established client from now on. */
void pc_fallback_establish(struct pc_fallback *f);
/* Closes its session, if it has one; the client is told with the next answer that it receives. */
void pc_fallback_close(struct pc_fallback *f, uint16_t code, pusherc_slice reason);
void pc_fallback_free(struct pc_fallback *f); /* it has no receiver */
struct pc_fallback *pc_fallback_find(const struct pc_loop *loop, pusherc_slice name);
/* The server stops. */
void pc_fallback_say_goodbye(struct pc_fallback *f, uint64_t grace_ms);

#endif
