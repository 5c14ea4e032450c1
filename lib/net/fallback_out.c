#include <pusherc/error.h>

#include "codec/xhr.h"
#include "net/fallback_session.h"

/*
 * pusher-js asks again when an answer has more characters (UTF-16) than this and it has read all of them, and gives the
 * old answer up. What is sent to it meanwhile would be lost, so nothing is sent until it has asked. A client that does not
 * ask within REOPEN_MS never does.
 */
#define REOPEN_CHARACTERS (256 * 1024)
#define REOPEN_MS         2000
/* SockJS's own library asks again when an answer has ended, and keeps all of it until then. */
#define SOCKJS_CHARACTERS (128 * 1024)

bool pc_fallback_will_reopen(const struct pc_fallback *f)
{
    return f->streams && !f->never_reopens && f->sent_characters > REOPEN_CHARACTERS;
}

void pc_fallback_send_line(struct pc_fallback *f, struct pc_conn *conn, pusherc_slice line)
{
    char stack[256];
    struct pc_buf chunk;
    pc_buf_init_in(&chunk, conn->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
    if (f->in_chunks)
        pc_xhr_put_chunk(&chunk, line);
    else
        pc_buf_put(&chunk, line);
    if (pc_buf_status(&chunk))
        pc_conn_break(conn);
    else
        pc_conn_send(conn, 0, pc_buf_slice(&chunk));
    pc_buf_free(&chunk);
    f->sent_ms = conn->loop->worker->now_ms;
    f->sent_characters += pc_xhr_characters(line);
}

void pc_fallback_arm(struct pc_fallback *f)
{
    struct pc_worker *worker = f->loop->worker;
    const struct pc_constants *constants = &f->loop->engine->constants;
    uint64_t now_ms = worker->now_ms;
    uint64_t due_ms = now_ms + constants->fallback_absence_ms;
    if (f->receiver && !f->open)
        due_ms = f->sent_ms + f->loop->engine->options.handshake_timeout_ms;
    else if (f->receiver)
        due_ms = pc_fallback_will_reopen(f) ? now_ms + REOPEN_MS
                                            : f->sent_ms + constants->fallback_heartbeat_ms;
    else if (f->close_code)
        due_ms = now_ms + constants->fallback_absence_ms / 2;
    pc_timer_arm(&worker->timers, &f->timer, due_ms);
}

void pc_fallback_end_answer(struct pc_fallback *f)
{
    struct pc_conn *conn = f->receiver;
    f->receiver = NULL;
    pc_absentee_set(&f->absentee, true);
    pc_http_stop_waiting(conn);
    if (!conn->place && pc_conn_take_place(conn, &conn->loop->places[PUSHERC_LISTEN_CLIENTS]))
        pc_conn_break(conn);
    pc_http_end_stream(conn, f->in_chunks ? PC_S(PC_XHR_END) : PC_S(""), f->keep_alive);
    pc_outq_mark(&conn->out);
    pc_conn_go_on(conn);
    pc_fallback_arm(f);
}

void pc_fallback_heartbeat(struct pc_fallback *f)
{
    pc_fallback_send_line(f, f->receiver, PC_S("h\n"));
    if (f->streams)
        pc_fallback_arm(f);
    else
        pc_fallback_end_answer(f);
}

/* Sends the line of a chunk. */
static void send_bare(struct pc_conn *conn, struct pc_slot *slot)
{
    const size_t head = slot->frame->header_len;
    const pusherc_slice line = pc_slice(slot->bytes + head, slot->len - head - PC_XHR_CHUNK_TAIL);
    if (!slot->frame->due) {
        pc_conn_send(conn, 0, line);
        return;
    }
    slot->bytes = line.ptr; /* it is in no other queue */
    slot->len = (uint32_t)line.len;
    slot->frame->header_len = 0;
    if (pc_outq_push(&conn->out, slot))
        pc_conn_break(conn);
}

/* Moves what waits to the connection of the receiver. HTTP/1.0 gets the lines without their chunks. */
static void move_frames(struct pc_fallback *f)
{
    struct pc_conn *conn = f->receiver;
    while (f->out.count > 0) {
        struct pc_slot *slot = pc_outq_take(&f->out);
        f->sent_characters += slot->frame->characters;
        if (!f->in_chunks)
            send_bare(conn, slot);
        else if (pc_outq_push(&conn->out, slot))
            pc_conn_break(conn);
        pc_slot_unref(slot);
    }
}

void pc_fallback_hand_on(struct pc_fallback *f)
{
    struct pc_conn *conn = f->receiver;
    if (!conn || conn->write_blocked)
        return;
    if (pc_fallback_will_reopen(f) && f->out.held > f->loop->engine->options.out_hard_bytes / 2)
        f->never_reopens = true; /* rather than that the queue overflows */
    if (pc_fallback_will_reopen(f) && !f->close_code)
        return;
    bool any = f->out.count > 0;
    if (any) {
        move_frames(f);
        f->sent_ms = f->loop->worker->now_ms;
    }
    if (f->close_code) {
        char stack[256];
        struct pc_buf line;
        pc_buf_init_in(&line, f->loop->worker->mem, SIZE_MAX, stack, sizeof stack);
        pc_xhr_put_close(&line, f->close_code, pc_slice_of(f->close_reason));
        pc_fallback_send_line(f, conn, pc_buf_slice(&line));
        pc_buf_free(&line);
    }
    bool full = f->sockjs && f->sent_characters > SOCKJS_CHARACTERS;
    if (f->close_code || (any && (full || !f->streams)))
        pc_fallback_end_answer(f);
    else if (any)
        pc_fallback_arm(f);
}
