#include "tickets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "audience.h"
#include "common/fields.h"
#include "events.h"
#include "replies.h"

#define MAX_BULK 500

static const char none[] = "There is no such ticket, or it is not yours.";

bool ticket_find(struct program *program, const struct person *person, const char *uuid,
                 struct ticket *out)
{
    cJSON *row = store_row(program->store,
                           "SELECT t.id, t.uuid, a.audience, t.status, t.created_by_id"
                           " FROM access a JOIN tickets t ON t.id = a.ticket_id"
                           " WHERE a.uuid = ?1 AND a.user_id = ?2 AND a.audience IS NOT NULL",
                           VALUES(TEXT(uuid), INT(person->id)));
    *out = (struct ticket){.id = row_int(row, "id"),
                           .as_staff = strcmp(row_text(row, "audience"), "agent") == 0,
                           .created_by_id = row_int(row, "created_by_id")};
    snprintf(out->uuid, sizeof out->uuid, "%s", row_text(row, "uuid"));
    snprintf(out->status, sizeof out->status, "%s", row_text(row, "status"));
    cJSON_Delete(row);
    return out->id != 0;
}

bool ticket_needed(struct program *program, pusherc_http_request *request, enum person_need need,
                   const char *uuid, struct session *session, struct person *person,
                   struct ticket *out)
{
    if (!person_needed(program, request, need, session, person))
        return false;
    if (ticket_find(program, person, uuid, out))
        return true;
    http_send_error(request, 404, none);
    return false;
}

/* -- reading -- */

/* What person ?1 sees of a ticket. In a list the office has the initials only of a customer who wants that; who opens the
 * ticket has the name. */
/* clang-format off */
#define TICKETS(shortens) \
    "SELECT t.uuid, t.subject, t.status, t.priority, t.office_id, o.name office, t.tags, a.audience," \
    " iif(a.audience = 'agent', t.revision, t.public_revision) revision, " \
    ISO("iif(a.audience = 'agent', t.updated_ms, t.public_ms)") " updated_at," \
    " json_object('id', c.id, 'name', iif(" shortens " AND c.private AND c.id <> ?1 AND t.assigned_to_id IS NOT ?1," \
    "  c.initials, c.name), 'role', c.role) \"json:creator\"," \
    " iif(g.id, json_object('id', g.id, 'name', g.name), NULL) \"json:assigned_to\"," \
    " (SELECT count(*) FROM replies WHERE ticket_id = t.id AND is_internal = 0) replies," \
    " iif(a.audience = 'agent', (SELECT count(*) FROM replies WHERE ticket_id = t.id AND is_internal = 1), NULL) notes" \
    " FROM access a JOIN tickets t ON t.id = a.ticket_id JOIN offices o ON o.id = t.office_id" \
    " JOIN persons c ON c.id = t.created_by_id LEFT JOIN users g ON g.id = t.assigned_to_id" \
    " WHERE a.user_id = ?1 AND a.audience IS NOT NULL"
/* clang-format on */

cJSON *ticket_describe(struct program *program, const struct person *person,
                       const struct ticket *ticket)
{
    return store_row(program->store, TICKETS("0") " AND t.id = ?2",
                     VALUES(INT(person->id), INT(ticket->id)));
}

cJSON *tickets_describe(struct program *program, const struct person *person)
{
    cJSON *list = cJSON_CreateObject();
    cJSON_AddItemToObject(
        list, "tickets",
        store_rows(program->store,
                   TICKETS("a.audience = 'agent'") " ORDER BY updated_at DESC, t.id LIMIT 1000",
                   VALUES(INT(person->id))));
    cJSON_AddItemToObject(list, "me", person_describe(program, person->id));
    cJSON_AddItemToObject(
        list, "offices",
        store_rows(program->store, "SELECT id, name FROM offices ORDER BY id", NO_VALUES));
    return list;
}

void tickets_list(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    if (!person_needed(program, request, PERSON_READS, &session, &person))
        return;
    cJSON *list = tickets_describe(program, &person);
    http_send_json(request, 200, list);
    cJSON_Delete(list);
}

/* -- writing -- */

void ticket_done(pusherc_http_request *request, int status, const char *uuid)
{
    char location[64];
    snprintf(location, sizeof location, "/tickets/%s", uuid);
    if (status != 0)
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
    else if (http_wants_json(request))
        http_send(request, &(struct http_answer){.status = 204});
    else
        http_redirect(request, location, NULL);
}

void ticket_touch(struct change *change, int64_t ticket_id, bool internal)
{
    change_run(change,
               "UPDATE tickets SET revision = revision + 1, updated_ms = ?2,"
               " public_revision = public_revision + iif(?3, 0, 1),"
               " public_ms = iif(?3, public_ms, ?2) WHERE id = ?1",
               VALUES(INT(ticket_id), INT(now_ms()), INT(internal)));
}

void ticket_set_status(struct change *change, const struct ticket *ticket, const char *status)
{
    if (strcmp(ticket->status, status) == 0)
        return;
    change_run(change, "UPDATE tickets SET status = ? WHERE id = ?",
               VALUES(TEXT(status), INT(ticket->id)));
    ticket_touch(change, ticket->id, false);
    event_status(change, ticket->id, ticket->status);
}

/* What a request asks for; "" and -1: it says nothing of it. */
struct wanted {
    char subject[FIELD_LINE_BYTES * 2], status[FIELD_LINE_BYTES], priority[FIELD_LINE_BYTES];
    char tags[FIELD_LINE_BYTES * 2];
    int64_t office_id, assigned_to_id; /* 0: no agent */
};

static bool is_one_of(const char *text, const char *const *all)
{
    while (*all && strcmp(text, *all) != 0)
        all++;
    return *all != NULL;
}

static int64_t read_id(const pusherc_http_request *request, const char *name)
{
    char text[FIELD_LINE_BYTES];
    field_line(text, sizeof text, request, name);
    if (strcmp(text, "none") == 0)
        return 0;
    return *text && !text[strspn(text, "0123456789")] ? strtoll(text, NULL, 10) : *text ? -2 : -1;
}

/* NULL, or what is wrong with it. */
static const char *read_wanted(struct program *program, const pusherc_http_request *request,
                               struct wanted *wanted)
{
    static const char *const statuses[] = {"open", "pending", "solved", "closed", "", NULL};
    static const char *const priorities[] = {"low", "normal", "high", "urgent", "", NULL};
    bool lines = field_line(wanted->subject, sizeof wanted->subject, request, "subject") &&
                 field_line(wanted->status, sizeof wanted->status, request, "status") &&
                 field_line(wanted->priority, sizeof wanted->priority, request, "priority") &&
                 field_line(wanted->tags, sizeof wanted->tags, request, "tags");
    wanted->office_id = read_id(request, "office_id");
    wanted->assigned_to_id = read_id(request, "assigned_to_id");
    if (!lines || field_characters(wanted->subject) > SUBJECT_CHARACTERS ||
        field_characters(wanted->tags) > SUBJECT_CHARACTERS)
        return "A subject, and tags, are one line of at most 200 characters.";
    if (!is_one_of(wanted->status, statuses))
        return "A status is open, pending, solved or closed.";
    if (!is_one_of(wanted->priority, priorities))
        return "A priority is low, normal, high or urgent.";
    if (wanted->office_id != -1 && !store_has(program->store, "SELECT 1 FROM offices WHERE id = ?",
                                              VALUES(INT(wanted->office_id))))
        return "There is no such office.";
    if (wanted->assigned_to_id != -1 && wanted->assigned_to_id != 0 &&
        !store_has(program->store, "SELECT 1 FROM people WHERE user_id = ? AND role <> 'customer'",
                   VALUES(INT(wanted->assigned_to_id))))
        return "A ticket is assigned to an agent.";
    return NULL;
}

static void add_change(cJSON *changes, const char *name, const cJSON *before, cJSON *after)
{
    cJSON *one = cJSON_CreateObject();
    cJSON_AddItemToObject(one, "old", before ? cJSON_Duplicate(before, true) : cJSON_CreateNull());
    cJSON_AddItemToObject(one, "new", after);
    cJSON_AddItemToObject(changes, name, one);
}

static void want_text(cJSON *changes, const cJSON *row, const char *name, const char *wanted)
{
    if (*wanted && strcmp(wanted, "none") == 0)
        wanted = "";
    else if (!*wanted)
        return;
    if (strcmp(row_text(row, name), wanted) != 0)
        add_change(changes, name, cJSON_GetObjectItem(row, name), cJSON_CreateString(wanted));
}

static void want_id(cJSON *changes, const cJSON *row, const char *name, int64_t wanted)
{
    if (wanted >= 0 && row_int(row, name) != wanted)
        add_change(changes, name, cJSON_GetObjectItem(row, name),
                   wanted ? cJSON_CreateNumber((double)wanted) : cJSON_CreateNull());
}

/* Write what differs from what is, and tell: true if any of it says who may have the ticket. */
static bool apply(struct change *change, const struct ticket *ticket, const struct wanted *wanted)
{
    cJSON *row = store_row(change->program->store,
                           "SELECT subject, priority, office_id, assigned_to_id, tags"
                           " FROM tickets WHERE id = ?",
                           VALUES(INT(ticket->id)));
    cJSON *changes = cJSON_CreateObject();
    want_text(changes, row, "subject", wanted->subject);
    want_text(changes, row, "priority", wanted->priority);
    want_text(changes, row, "tags", wanted->tags);
    want_id(changes, row, "office_id", wanted->office_id);
    want_id(changes, row, "assigned_to_id", wanted->assigned_to_id);
    bool moves = cJSON_GetObjectItem(changes, "office_id") != NULL;
    bool assigns = cJSON_GetObjectItem(changes, "assigned_to_id") != NULL;
    int64_t office_id = row_int(row, "office_id");
    int64_t before = row_int(row, "assigned_to_id");
    cJSON_Delete(row);
    events_of_ticket(change, ticket->id);
    if (changes->child) {
        char *text = cJSON_PrintUnformatted(changes);
        change_run(change,
                   "UPDATE tickets SET subject = coalesce(?2 ->> '$.subject.new', subject),"
                   " priority = coalesce(?2 ->> '$.priority.new', priority),"
                   " tags = coalesce(?2 ->> '$.tags.new', tags),"
                   " office_id = coalesce(?2 ->> '$.office_id.new', office_id),"
                   " assigned_to_id = iif(?2 -> '$.assigned_to_id' IS NULL, assigned_to_id,"
                   "  ?2 ->> '$.assigned_to_id.new') WHERE id = ?1",
                   VALUES(INT(ticket->id), TEXT(text ? text : "{}")));
        cJSON_free(text);
        ticket_touch(change, ticket->id, false);
        events_of_ticket(change, ticket->id);
        if (moves)
            events_also(change, "office", office_id);
        events_also(change, "user", before);
        if (wanted->assigned_to_id > 0)
            events_also(change, "user", wanted->assigned_to_id);
        event_updated(change, ticket->id, changes, false);
        events_of_ticket(change, ticket->id);
    } else {
        cJSON_Delete(changes);
    }
    if (*wanted->status)
        ticket_set_status(change, ticket, wanted->status);
    return moves || assigns;
}

/* A customer may say that it is solved, or that it is not. */
static bool may_want(const struct ticket *ticket, const struct wanted *wanted)
{
    return ticket->as_staff ||
           (!*wanted->subject && !*wanted->priority && !*wanted->tags && wanted->office_id == -1 &&
            wanted->assigned_to_id == -1 && strcmp(wanted->status, "pending") != 0 &&
            strcmp(wanted->status, "closed") != 0 && strcmp(ticket->status, "closed") != 0);
}

void tickets_change(struct program *program, pusherc_http_request *request,
                    const struct http_params *params)
{
    struct session session;
    struct person person;
    struct ticket ticket;
    struct wanted wanted;
    struct change change;
    char location[64];
    if (!ticket_needed(program, request, PERSON_WRITES, params->value[0], &session, &person,
                       &ticket))
        return;
    const char *wrong = read_wanted(program, request, &wanted);
    if (wrong || !may_want(&ticket, &wanted)) {
        http_send_error(request, wrong ? 422 : 403, wrong ? wrong : "Only agents can do that.");
        return;
    }
    change_begin(&change, program, person.id, request);
    bool moved = apply(&change, &ticket, &wanted);
    change.nothing = !change.events->child;
    int status = change_end(&change);
    snprintf(location, sizeof location, "/tickets/%s", ticket.uuid);
    if (status == 0 && moved)
        audience_changed(program, 0, ticket.uuid, request, location);
    else
        ticket_done(request, status, ticket.uuid);
}

void tickets_change_many(struct program *program, pusherc_http_request *request,
                         const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    struct wanted wanted;
    struct change change;
    const cJSON *uuid;
    if (!person_needed(program, request, PERSON_WRITES, &session, &person))
        return;
    pusherc_slice body = pusherc_http_body(request);
    cJSON *object = cJSON_ParseWithLength(body.ptr, body.len);
    const cJSON *uuids = cJSON_GetObjectItemCaseSensitive(object, "uuids");
    const char *wrong = read_wanted(program, request, &wanted);
    if (!wrong && (!cJSON_IsArray(uuids) || cJSON_GetArraySize(uuids) > MAX_BULK))
        wrong = "Name at most 500 tickets: an array \"uuids\".";
    if (wrong || !person.staff) {
        http_send_error(request, person.staff ? 422 : 403,
                        person.staff ? wrong : "Only agents can do that.");
        cJSON_Delete(object);
        return;
    }
    bool moved = false, found = true;
    change_begin(&change, program, person.id, request);
    cJSON_ArrayForEach(uuid, uuids)
    {
        struct ticket ticket;
        const char *text = cJSON_IsString(uuid) ? uuid->valuestring : "";
        found = found && ticket_find(program, &person, text, &ticket);
        if (found)
            moved = apply(&change, &ticket, &wanted) || moved;
    }
    cJSON_Delete(object);
    change.failed = change.failed || !found;
    change.nothing = !change.events->child;
    int status = change_end(&change);
    if (!found)
        http_send_error(request, 404, none);
    else if (status == 0 && moved)
        audience_changed(program, 0, "", request, "/tickets");
    else
        ticket_done(request, status, "");
}

/* -- new ones -- */

static void make_uuid(char out[UUID_BYTES])
{
    unsigned char raw[16];
    randombytes_buf(raw, sizeof raw);
    raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    char *at = out;
    for (size_t i = 0; i < sizeof raw; i++)
        at += snprintf(at, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", raw[i]);
}

void tickets_create(struct program *program, pusherc_http_request *request,
                    const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    struct wanted wanted;
    struct ticket ticket = {.status = "open"};
    struct change change;
    struct reply *reply;
    if (!person_needed(program, request, PERSON_WRITES, &session, &person))
        return;
    const char *wrong = read_wanted(program, request, &wanted);
    if (!wrong && (!*wanted.subject || wanted.office_id < 1))
        wrong = "Write a subject, and choose an office.";
    if (wrong) {
        http_send_error(request, 422, wrong);
        return;
    }
    if (!(reply = reply_read(program, request, &person, false)))
        return;
    make_uuid(ticket.uuid);
    change_begin(&change, program, person.id, request);
    change_run(&change,
               "INSERT INTO tickets (uuid, subject, priority, office_id, created_by_id)"
               " VALUES (?, ?, iif(?3 = '', 'normal', ?3), ?, ?)",
               VALUES(TEXT(ticket.uuid), TEXT(wanted.subject), TEXT(wanted.priority),
                      INT(wanted.office_id), INT(person.id)));
    ticket.id = change_new_id(&change);
    reply_write(&change, &ticket, &person, reply);
    reply_free(reply);
    int status = change_end(&change);
    if (status != 0 || !http_wants_json(request)) {
        ticket_done(request, status, ticket.uuid);
        return;
    }
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "uuid", ticket.uuid);
    http_send_json(request, 201, answer);
    cJSON_Delete(answer);
}
