#include "marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "common/fields.h"
#include "events.h"
#include "people.h"

#define ROOM      4096 /* receipts that wait; what is more is told by the page that asks next */
#define GATHER_MS 20

cJSON *marks_describe(struct program *program, const struct ticket *ticket)
{
    return store_rows(
        program->store,
        "SELECT user_id, " BOOL(
            "is_internal") " \"json:is_internal\", delivered,"
                           " read FROM marks WHERE ticket_id = ? AND is_internal <= ?",
        VALUES(INT(ticket->id), INT(ticket->as_staff)));
}

/* Of replies of one kind, up to that one: the last that is another's. A customer's page hears of marks on public ones. */
static void set_mark(struct change *change, int64_t ticket_id, int64_t user_id, const char *what,
                     bool internal, int64_t up_to)
{
    struct program *program = change->program;
    bool read = strcmp(what, "read") == 0;
    cJSON *row = store_row(
        program->store,
        "SELECT max(r.id) id, (SELECT iif(?5, read, delivered) FROM marks WHERE ticket_id = ?1"
        " AND user_id = ?2 AND is_internal = ?3) known FROM replies r WHERE r.ticket_id = ?1"
        " AND r.is_internal = ?3 AND r.id <= ?4 AND r.user_id <> ?2",
        VALUES(INT(ticket_id), INT(user_id), INT(internal), INT(up_to), INT(read)));
    int64_t id = row_int(row, "id");
    bool newer = id > row_int(row, "known");
    cJSON_Delete(row);
    if (!newer)
        return;
    change_run(change,
               "INSERT INTO marks VALUES (?1, ?2, ?3, ?4, iif(?5, ?4, 0)) ON CONFLICT DO UPDATE SET"
               " delivered = max(delivered, ?4), read = iif(?5, ?4, read)",
               VALUES(INT(ticket_id), INT(user_id), INT(internal), INT(id), INT(read)));
    event_mark(change, what, ticket_id, id, user_id, internal);
}

void marks_post(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    char up_to[24];
    struct session session;
    struct person person;
    struct ticket ticket;
    struct change change;
    if (!ticket_needed(program, request, PERSON_WRITES, params->value[0], &session, &person,
                       &ticket))
        return;
    field_copy(up_to, sizeof up_to, request, "up_to");
    if (!*up_to || up_to[strspn(up_to, "0123456789")]) {
        http_send_error(request, 422, "Say up to which reply.");
        return;
    }
    change_begin(&change, program, person.id, request);
    change_to(&change, "private-tickets.%s", ticket.uuid);
    for (int internal = 0; internal <= (int)ticket.as_staff; internal++)
        set_mark(&change, ticket.id, person.id, params->extra, internal, strtoll(up_to, NULL, 10));
    change.nothing = !change.events->child;
    ticket_done(request, change_end(&change), ticket.uuid);
}

/* -- receipts -- */

/* Those of some milliseconds are written together. */
struct marks {
    struct program *program;
    uv_timer_t timer;
    size_t count;
    struct receipt {
        int64_t reply_id;
        bool read;
        char session[TOKEN_BYTES]; /* to the library a user is a session */
    } all[ROOM];
};

static void write_receipt(struct program *program, const struct receipt *receipt)
{
    struct change change;
    cJSON *row = store_row(program->store,
                           "SELECT r.ticket_id, t.uuid, r.is_internal, s.user_id FROM replies r"
                           " JOIN tickets t ON t.id = r.ticket_id JOIN sessions s"
                           " ON s.token_hash = ?2 AND s.user_id <> r.user_id WHERE r.id = ?1",
                           VALUES(INT(receipt->reply_id), TEXT(receipt->session)));
    if (row) {
        change_begin(&change, program, row_int(row, "user_id"), NULL);
        change_to(&change, "private-tickets.%s", row_text(row, "uuid"));
        set_mark(&change, row_int(row, "ticket_id"), change.user_id,
                 receipt->read ? "read" : "delivered", row_int(row, "is_internal") == 1,
                 receipt->reply_id);
        change.nothing = !change.events->child;
        change_end(&change);
    }
    cJSON_Delete(row);
}

static void write_receipts(uv_timer_t *timer)
{
    struct marks *marks = timer->data;
    size_t count = marks->count;
    for (size_t i = 0; i < count && !marks->program->ending; i++)
        write_receipt(marks->program, &marks->all[i]);
    marks->count -= count; /* telling them may write events that waited, which have receipts */
    memmove(marks->all, marks->all + count, marks->count * sizeof marks->all[0]);
    if (marks->count > 0)
        uv_timer_start(timer, write_receipts, GATHER_MS, 0);
}

/* In the middle of what the server does: kept for later. */
static void on_receipt(const pusherc_receipt *receipt, void *user_data)
{
    struct marks *marks = desk_of(user_data)->marks;
    char id[24];
    if (!marks || marks->count == ROOM || !http_copy(id, sizeof id, receipt->id))
        return;
    struct receipt *kept = &marks->all[marks->count];
    *kept = (struct receipt){.reply_id = strtoll(id, NULL, 10),
                             .read = receipt->kind == PUSHERC_RECEIPT_SHOWN};
    if (!http_copy(kept->session, sizeof kept->session, receipt->user_id))
        return;
    if (marks->count++ == 0)
        uv_timer_start(&marks->timer, write_receipts, GATHER_MS, 0);
}

void marks_watch(pusherc_hooks *hooks)
{
    hooks->on_receipt = on_receipt;
}

void marks_begin(struct program *program)
{
    struct marks *marks = calloc(1, sizeof *marks);
    if (!marks)
        return; /* pages tell by their requests */
    marks->program = program;
    uv_timer_init(program->loop, &marks->timer);
    marks->timer.data = marks;
    desk_of(program)->marks = marks;
}

static void closed(uv_handle_t *handle)
{
    free(handle->data);
}

void marks_end(struct program *program)
{
    struct marks *marks = desk_of(program)->marks;
    desk_of(program)->marks = NULL;
    if (marks)
        uv_close((uv_handle_t *)&marks->timer, closed);
}
