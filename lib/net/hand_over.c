/*
 * How it works. The connection waits until its answers are written and its input is saved; then the socket, its TLS
 * state, the request and the saved input go to the other worker by mail, in one struct. A socket that cannot arrive,
 * because the worker has gone, has no room or no memory, is closed: its client tries again.
 */
#include "net/hand_over.h"

#include "net/reclaim.h"

struct hand_over {
    struct pc_mail mail;
    struct pc_mem mem;
    struct pc_worker *to;
    struct pc_moving socket;
    struct pc_http_parser *parser; /* owned: the request */
    pc_http_serve_fn serve;
};

static void refuse(struct hand_over *h)
{
    pc_moving_free(&h->socket, &h->mem);
    pc_http_parser_free(h->parser);
}

static void arrive(struct hand_over *h, struct pc_worker *worker)
{
    struct pc_loop *loop = pc_loop_of(worker);
    struct pc_places *places = &loop->places[PUSHERC_LISTEN_CLIENTS];
    struct pc_address peer = pc_peer_address(h->socket.fd);
    if (!pc_make_room(loop, places, &peer)) {
        refuse(h);
        return;
    }
    struct pc_conn *conn = pc_http_conn_move_in(loop, &h->socket, h->parser, h->serve);
    if (!conn) {
        pc_http_parser_free(h->parser);
        return;
    }
    if (pc_conn_take_place(conn, places)) {
        pc_conn_destroy(conn);
        return;
    }
    h->serve(conn, pc_http_message(conn));
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
}

static void on_arrival(struct pc_mail *mail, struct pc_worker *worker)
{
    struct hand_over *h = PC_CONTAINER(mail, struct hand_over, mail);
    if (worker)
        arrive(h, worker);
    else
        refuse(h);
    struct pc_mem mem = h->mem;
    pc_free(&mem, h);
}

/* The connection has been flushed. */
static void leave(struct pc_conn *conn, void *of)
{
    struct hand_over *h = of;
    if (conn->out.count > 0 || conn->write_blocked)
        return;
    pc_http_stop_waiting(conn); /* it is not abandoned */
    h->parser = pc_http_take_request(conn);
    pc_conn_move_out(conn, &h->socket);
    if (pc_mailbox_send(h->to->mailbox, &h->mail, PC_MAIL_CONTROL)) {
        refuse(h);
        pc_free(&h->mem, h);
    }
}

static void abandon(struct pc_conn *conn, void *of)
{
    pc_free(conn->loop->worker->mem, of);
}

void pc_hand_over(struct pc_conn *conn, const struct pc_http_message *message, struct pc_worker *to)
{
    static const struct pc_http_waiting waiting = {
        .abandon = abandon, .flushed = leave, .ends_with_peer = true};
    const struct pc_mem *mem = conn->loop->worker->mem;
    struct hand_over *h = pc_alloc_zero(mem, sizeof *h);
    if (!h) {
        pc_http_reply_text(conn, 500, "Out of memory", message);
        return;
    }
    h->mem = *mem;
    h->mail.run = on_arrival;
    h->to = to;
    h->serve = pc_http_server_of(conn);
    pc_http_wait(conn, &waiting, h, message, 0);
    pc_outq_mark(&conn->out);
}
