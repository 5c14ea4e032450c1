#include "events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "common/publish.h"
#include "common/say.h"

/* clang-format off */
#define TICKET "json_object('uuid', t.uuid, 'subject', t.subject) \"json:ticket\""
#define USER "json_object('id', u.id, 'name', u.name, 'role', u.role) \"json:user\""
#define FOR(internal) \
    "t.revision, json_object('internal', " BOOL(internal) ", 'public_revision', t.public_revision," \
    " 'initials', iif(u.private, u.initials, NULL)) \"json:for\""
#define OF_TICKET " FROM tickets t JOIN persons u ON u.id = ?2 WHERE t.id = ?1"

/* Of reply ?1. */
static const char reply_sql[] =
    "SELECT " TICKET ", json_patch(json_object('id', r.id, 'message', substr(r.message, 1, r.event_characters),"
    " 'is_internal', " BOOL("r.is_internal") ", 'created_at', " ISO("r.created_ms") ","
    " 'user', json_object('id', u.id, 'name', u.name, 'role', r.role),"
    " 'attachments', json((SELECT json_group_array(json_object('filename', filename, 'size', size))"
    "  FROM (SELECT * FROM attachments WHERE reply_id = r.id ORDER BY place)))),"
    " iif(r.event_characters < length(r.message), '{\"truncated\":true}', '{}')) \"json:reply\", " FOR("r.is_internal")
    " FROM replies r JOIN tickets t ON t.id = r.ticket_id JOIN persons u ON u.id = r.user_id WHERE r.id = ?1";
/* Of ticket ?1, by user ?2: what has changed, ?3; whether it is internal, ?4. */
static const char updated_sql[] =
    "SELECT " TICKET ", " USER ", ?3 \"json:changes\", " ISO("t.updated_ms") " updated_at, " FOR("?4") OF_TICKET;
/* ... what its status was, ?3. */
static const char status_sql[] =
    "SELECT " TICKET ", ?3 old_status, t.status new_status, " USER ", " ISO("t.updated_ms") " changed_at, " FOR("0") OF_TICKET;
/* ... up to reply ?3; whether that is internal, ?4; now, ?5. */
static const char mark_sql[] =
    "SELECT json_object('uuid', t.uuid) \"json:ticket\", ?3 reply_id, ?2 user_id, " ISO("?5") " at,"
    " json_object('internal', " BOOL("?4") ") \"json:for\" FROM tickets t WHERE t.id = ?1";
/* clang-format on */

void events_configure(pusherc_app_options *app)
{
    static const pusherc_history_pattern history[] = {
        {.struct_size = sizeof history[0],
         .pattern = "private-tickets.{uuid}",
         .max_events = 50,
         .max_age_s = 300},
        {.struct_size = sizeof history[0],
         .pattern = "private-user.{userId}",
         .max_events = 50,
         .max_age_s = 300},
    };
    app->history = history; /* who was away is told what it missed */
    app->history_count = 2;
    app->shaping =
        "private-office.{officeId} event=ticket.updated conflate key=/ticket/uuid max_per_s=5";
    app->client_events = true;
    app->max_client_events_per_s = 10;
    /* Notes are a state of their own: their begin and their end are the agents'. */
    app->ephemeral = "presence-tickets.{uuid} event=client-typing ttl_ms=4000 key=/internal";
    app->receipts =
        "private-tickets.{uuid} event=ticket.reply.created id=/reply/id shown=client-read ;"
        " private-user.{userId} event=ticket.reply.created id=/reply/id";
    app->presence_grace_ms = 4000; /* a page is loaded again */
}

void events_also(struct change *change, const char *kind, int64_t id)
{
    char name[CHANGE_CHANNEL_BYTES];
    snprintf(name, sizeof name, "private-%s.%" PRId64, kind, id);
    for (size_t i = 0; i < change->channel_count; i++) {
        if (strcmp(change->channels[i], name) == 0)
            return;
    }
    if (id)
        change_to(change, "%s", name);
}

void events_of_ticket(struct change *change, int64_t ticket_id)
{
    cJSON *row = store_row(change->program->store,
                           "SELECT uuid, created_by_id, office_id FROM tickets WHERE id = ?",
                           VALUES(INT(ticket_id)));
    change_to_none(change);
    change_to(change, "private-tickets.%s", row_text(row, "uuid")); /* first: the full name */
    events_also(change, "user", row_int(row, "created_by_id"));
    events_also(change, "office", row_int(row, "office_id"));
    cJSON_Delete(row);
}

void event_reply(struct change *change, int64_t reply_id)
{
    change_tell(change, "ticket.reply.created", reply_sql, VALUES(INT(reply_id)));
}

void event_updated(struct change *change, int64_t ticket_id, cJSON *changes, bool internal)
{
    char *text = cJSON_PrintUnformatted(changes);
    change_tell(
        change, "ticket.updated", updated_sql,
        VALUES(INT(ticket_id), INT(change->user_id), TEXT(text ? text : "{}"), INT(internal)));
    cJSON_free(text);
    cJSON_Delete(changes);
}

void event_status(struct change *change, int64_t ticket_id, const char *before)
{
    change_tell(change, "ticket.status.changed", status_sql,
                VALUES(INT(ticket_id), INT(change->user_id), TEXT(before)));
}

void event_mark(struct change *change, const char *what, int64_t ticket_id, int64_t reply_id,
                int64_t user_id, bool internal)
{
    change_tell(change, strcmp(what, "read") == 0 ? "ticket.reply.read" : "ticket.reply.delivered",
                mark_sql,
                VALUES(INT(ticket_id), INT(user_id), INT(reply_id), INT(internal), INT(now_ms())));
}

/* -- --trigger -- */

struct triggered {
    struct program *program;
    int status;
    bool done;
};

static void stopped(void *user_data)
{
    publish_close(user_data);
}

static void triggered(int status, void *user_data)
{
    struct triggered *result = user_data;
    result->status = status;
    result->done = true;
}

/* What the newest reply of the ticket, or its last change, would be told as. */
static bool put_event(struct change *change, const char *name, int64_t ticket_id)
{
    cJSON *row = store_row(change->program->store,
                           "SELECT max(r.id) id, t.created_by_id FROM tickets t LEFT JOIN replies"
                           " r ON r.ticket_id = t.id WHERE t.id = ?",
                           VALUES(INT(ticket_id)));
    int64_t reply_id = row_int(row, "id");
    change->user_id = row_int(row, "created_by_id");
    cJSON_Delete(row);
    events_of_ticket(change, ticket_id);
    if (strcmp(name, "ticket.reply.created") == 0)
        event_reply(change, reply_id);
    else if (strcmp(name, "ticket.updated") == 0)
        event_updated(change, ticket_id, cJSON_CreateObject(), false);
    else if (strcmp(name, "ticket.status.changed") == 0)
        event_status(change, ticket_id, "open");
    else
        return false;
    return change->events->child != NULL;
}

int event_trigger(struct program *program)
{
    const struct desk *desk = desk_of(program);
    const char *uuid = desk->ticket ? desk->ticket : "";
    struct triggered result = {program, -1, false};
    pusherc_errinfo info = {0};
    char secret[129];
    cJSON *row =
        store_row(program->store, "SELECT id FROM tickets WHERE uuid = ?", VALUES(TEXT(uuid)));
    struct change change = {.program = program, .events = cJSON_CreateArray()};
    bool known = row && put_event(&change, desk->trigger, row_int(row, "id"));
    cJSON_Delete(row);
    if (!known) {
        say("--trigger wants ticket.reply.created, ticket.updated or ticket.status.changed, and "
            "--ticket the uuid of one in --data FILE");
    } else if (strcmp(getenv("BROADCAST_CONNECTION") ? getenv("BROADCAST_CONNECTION") : "local",
                      "local") == 0) {
        say("--trigger publishes to another program: BROADCAST_CONNECTION=reverb, and "
            "REVERB_HOST and REVERB_PORT say where that is");
    } else {
        publish_read_app(program, secret);
        if (publish_open(program, pusherc_log_to_stderr, &info) != 0)
            say("cannot publish: %s", info.text);
    }
    if (program->broadcaster) {
        program->now = true;
        if (!publish(program, change.events, (pusherc_socket_id){0}, triggered, &result))
            result.done = true;
        while (!result.done && uv_run(program->loop, UV_RUN_ONCE))
            ;
        bool published = result.status == 0 && program_publishes(program);
        result.status = published ? 0 : -1;
        if (published)
            printf("%s of %s: published by %s\n", desk->trigger, uuid, program->driver);
        pusherc_broadcaster_stop(program->broadcaster, 0, stopped, program);
        uv_run(program->loop, UV_RUN_DEFAULT);
    }
    cJSON_Delete(change.events);
    return result.status;
}
