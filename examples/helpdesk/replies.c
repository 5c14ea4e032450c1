#include "replies.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

#include "common/fields.h"
#include "common/multipart.h"
#include "events.h"
#include "marks.h"

#define EVENT_BYTES     4096 /* of a message in its event, as JSON has it */
#define SHOWN           200
#define A_MINUTE        20 /* replies of one customer */
#define MINUTE_MS       60000
#define NAME_CHARACTERS 120

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct reply {
    char message[MESSAGE_BYTES + 1];
    bool internal;
    size_t file_count;
    struct {
        char filename[FILENAME_BYTES];
        pusherc_slice data;
    } files[FILES];
};

/* -- reading -- */

/* How many characters of it go into the event. */
static size_t event_characters(const char *message)
{
    size_t bytes = 0, characters = 0;
    while (*message) {
        size_t len = 1;
        while ((message[len] & 0xc0) == 0x80)
            len++;
        bytes += len + (strchr("\"\\\n\t", *message) != NULL);
        if (bytes > EVENT_BYTES)
            break;
        characters++;
        message += len;
    }
    return characters;
}

/* NULL, or what is wrong. */
static const char *read_files(struct reply *reply, const pusherc_http_request *request)
{
    struct multipart all;
    struct multipart_part part;
    if (!multipart_begin(&all, request))
        return NULL;
    while (multipart_next(&all, &part)) {
        if (!part.is_file || (part.filename.len == 0 && part.data.len == 0))
            continue; /* an input without a file */
        if (reply->file_count == FILES)
            return "At most five files go with a reply.";
        char *name = reply->files[reply->file_count].filename;
        if (part.data.len > FILE_BYTES)
            return "A file has at most 5 MB.";
        if (!http_copy(name, FILENAME_BYTES, part.filename) || !*name || !field_is_line(name) ||
            field_characters(name) > NAME_CHARACTERS)
            return "A file has a name of 1 to 120 characters.";
        reply->files[reply->file_count++].data = part.data;
    }
    return NULL;
}

struct reply *reply_read(struct program *program, pusherc_http_request *request,
                         const struct person *person, bool may_be_internal)
{
    struct reply *reply = calloc(1, sizeof *reply);
    const char *wrong = reply ? NULL : "There is no memory for it.";
    int status = reply ? 422 : 503;
    bool customer = !person->staff;
    if (!wrong && customer &&
        store_has(program->store,
                  "SELECT 1 FROM replies WHERE user_id = ?1 AND created_ms > ?2"
                  " GROUP BY user_id HAVING count(*) >= ?3",
                  VALUES(INT(person->id), INT(now_ms() - MINUTE_MS), INT(A_MINUTE)))) {
        desk_of(program)->throttled++;
        http_send_wait(request, MINUTE_MS / 1000,
                       "You have written 20 replies within a minute. Please wait a minute; what "
                       "you have written stays in the form.");
        free(reply);
        return NULL;
    }
    if (!wrong && (!field_text(reply->message, sizeof reply->message, request, "message") ||
                   !*reply->message))
        wrong = "Write a message of at most 64 KB.";
    if (!wrong)
        wrong = read_files(reply, request);
    if (!wrong && field_ticked(request, "internal")) {
        reply->internal = true;
        if (customer || !may_be_internal) {
            wrong = "Only agents write internal notes.";
            status = 403;
        }
    }
    if (!wrong)
        return reply;
    free(reply);
    http_send_error(request, status, wrong);
    return NULL;
}

void reply_free(struct reply *reply)
{
    free(reply);
}

/* -- writing -- */

static void write_file(struct change *change, int64_t reply_id, size_t place, const char *filename,
                       pusherc_slice data)
{
    sqlite3_stmt *statement = NULL;
    bool done = !change->failed &&
                sqlite3_prepare_v2(store_db(change->program->store),
                                   "INSERT INTO attachments VALUES (?, ?, ?, ?, ?)", -1, &statement,
                                   NULL) == SQLITE_OK &&
                sqlite3_bind_int64(statement, 1, reply_id) == SQLITE_OK &&
                sqlite3_bind_int64(statement, 2, (int64_t)place) == SQLITE_OK &&
                sqlite3_bind_text(statement, 3, filename, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_int64(statement, 4, (int64_t)data.len) == SQLITE_OK &&
                sqlite3_bind_blob64(statement, 5, data.len ? data.ptr : "", data.len,
                                    SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_DONE;
    sqlite3_finalize(statement);
    change->failed = change->failed || !done;
}

/* The agents see how many notes there are. */
static void tell_notes(struct change *change, int64_t ticket_id)
{
    cJSON *row =
        store_row(change->program->store,
                  "SELECT json_object('notes', json_object('old', count(*) - 1, 'new', count(*)))"
                  " \"json:changes\" FROM replies WHERE ticket_id = ? AND is_internal = 1",
                  VALUES(INT(ticket_id)));
    cJSON *changes = cJSON_DetachItemFromObject(row, "changes");
    cJSON_Delete(row);
    event_updated(change, ticket_id, changes ? changes : cJSON_CreateObject(), true);
}

int64_t reply_write(struct change *change, const struct ticket *ticket, const struct person *person,
                    const struct reply *reply)
{
    change_run(change,
               "INSERT INTO replies (ticket_id, user_id, role, message, event_characters,"
               " is_internal, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
               VALUES(INT(ticket->id), INT(person->id), TEXT(person->role), TEXT(reply->message),
                      INT((int64_t)event_characters(reply->message)), INT(reply->internal),
                      INT(now_ms())));
    int64_t id = change_new_id(change);
    for (size_t i = 0; i < reply->file_count; i++)
        write_file(change, id, i, reply->files[i].filename, reply->files[i].data);
    ticket_touch(change, ticket->id, reply->internal);
    events_of_ticket(change, ticket->id);
    event_reply(change, id);
    if (reply->internal)
        tell_notes(change, ticket->id);
    else if (!person->staff)
        ticket_set_status(change, ticket, "open");
    return id;
}

/* What has been sent is not being written any more. */
static void end_typing(struct program *program, const struct ticket *ticket,
                       const struct person *person, bool internal)
{
    char channel[64], user_id[24];
    pusherc_ephemeral state = PUSHERC_EPHEMERAL_INIT;
    snprintf(channel, sizeof channel, "presence-tickets.%s", ticket->uuid);
    snprintf(user_id, sizeof user_id, "%" PRId64, person->id);
    state.channel = pusherc_slice_of(channel);
    state.event = pusherc_slice_of("client-typing");
    state.user_id = pusherc_slice_of(user_id);
    state.key = pusherc_slice_of(internal ? "true" : "false");
    pusherc_end_ephemeral(program->server, program->app_id, &state); /* or there is none */
}

void replies_add(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    struct session session;
    struct person person;
    struct ticket ticket;
    struct change change;
    struct reply *reply;
    if (!ticket_needed(program, request, PERSON_WRITES, params->value[0], &session, &person,
                       &ticket))
        return;
    if (strcmp(ticket.status, "closed") == 0 && !person.staff) {
        http_send_error(request, 409, "This ticket is closed. Please write a new one.");
        return;
    }
    if (!(reply = reply_read(program, request, &person, ticket.as_staff)))
        return;
    bool internal = reply->internal;
    change_begin(&change, program, person.id, request);
    int64_t id = reply_write(&change, &ticket, &person, reply);
    reply_free(reply);
    int status = change_end(&change);
    if (status == 0)
        end_typing(program, &ticket, &person, internal);
    if (status != 0 || !http_wants_json(request)) {
        ticket_done(request, status, ticket.uuid);
        return;
    }
    cJSON *answer = cJSON_CreateObject();
    cJSON *replies = replies_describe(program, &ticket, id - 1);
    cJSON_AddItemToObject(answer, "reply", cJSON_DetachItemFromArray(replies, 0));
    cJSON_Delete(replies);
    http_send_json(request, 201, answer);
    cJSON_Delete(answer);
}

/* -- showing -- */

/* clang-format off */
static const char replies_sql[] =
    "SELECT r.id, r.message, " BOOL("r.is_internal") " \"json:is_internal\", " ISO("r.created_ms") " created_at,"
    " json_object('id', u.id, 'name', u.name, 'role', r.role) \"json:user\","
    " (SELECT json_group_array(json_object('filename', filename, 'size', size))"
    "  FROM (SELECT * FROM attachments WHERE reply_id = r.id ORDER BY place)) \"json:attachments\""
    " FROM (SELECT * FROM replies WHERE ticket_id = ?1 AND is_internal <= ?2 AND id > ?3 ORDER BY id DESC LIMIT ?4) r"
    " JOIN users u ON u.id = r.user_id ORDER BY r.id";
/* clang-format on */

cJSON *replies_describe(struct program *program, const struct ticket *ticket, int64_t since)
{
    return store_rows(program->store, replies_sql,
                      VALUES(INT(ticket->id), INT(ticket->as_staff), INT(since), INT(SHOWN)));
}

void replies_get(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    char since[24];
    struct session session;
    struct person person;
    struct ticket ticket;
    if (!ticket_needed(program, request, PERSON_READS, params->value[0], &session, &person,
                       &ticket))
        return;
    http_copy(since, sizeof since, pusherc_http_query(request, "since"));
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddItemToObject(answer, "ticket", ticket_describe(program, &person, &ticket));
    cJSON_AddItemToObject(answer, "replies",
                          replies_describe(program, &ticket, strtoll(since, NULL, 10)));
    cJSON_AddItemToObject(answer, "marks", marks_describe(program, &ticket));
    cJSON_AddItemToObject(answer, "me", person_describe(program, person.id));
    if (ticket.as_staff) {
        cJSON_AddItemToObject(
            answer, "offices",
            store_rows(program->store, "SELECT id, name FROM offices ORDER BY id", NO_VALUES));
        cJSON_AddItemToObject(answer, "agents",
                              store_rows(program->store,
                                         "SELECT id, name FROM persons WHERE role <> 'customer'"
                                         " ORDER BY name",
                                         NO_VALUES));
    }
    http_send_json(request, 200, answer);
    cJSON_Delete(answer);
}

/* -- files -- */

/* As RFC 8187 has it: letters and digits, other bytes as "%41". */
static void write_disposition(char out[FILENAME_BYTES * 3 + 64], const char *filename)
{
    char *at = stpcpy(out, "attachment; filename*=UTF-8''");
    for (; *filename; filename++) {
        bool plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._",
                            *filename) != NULL;
        if (plain)
            *at++ = *filename;
        else
            at += snprintf(at, 4, "%%%02X", (unsigned char)*filename);
    }
    *at = '\0';
}

void replies_file(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    struct session session;
    struct person person;
    struct ticket ticket;
    const char *digits = "0123456789";
    const char *file = params->value[1];
    size_t reply_bytes = strspn(file, digits);
    if (!ticket_needed(program, request, PERSON_READS, params->value[0], &session, &person,
                       &ticket))
        return;
    const char *place = file + reply_bytes + (file[reply_bytes] == '-');
    sqlite3_stmt *statement = NULL;
    bool found = *place && file[reply_bytes] == '-' && !place[strspn(place, digits)] &&
                 sqlite3_prepare_v2(store_db(program->store),
                                    "SELECT a.filename, a.content FROM attachments a JOIN replies r"
                                    " ON r.id = a.reply_id WHERE a.reply_id = ? AND a.place = ?"
                                    " AND r.ticket_id = ? AND r.is_internal <= ?",
                                    -1, &statement, NULL) == SQLITE_OK &&
                 sqlite3_bind_int64(statement, 1, strtoll(file, NULL, 10)) == SQLITE_OK &&
                 sqlite3_bind_int64(statement, 2, strtoll(place, NULL, 10)) == SQLITE_OK &&
                 sqlite3_bind_int64(statement, 3, ticket.id) == SQLITE_OK &&
                 sqlite3_bind_int64(statement, 4, ticket.as_staff) == SQLITE_OK &&
                 sqlite3_step(statement) == SQLITE_ROW;
    if (found) {
        char disposition[FILENAME_BYTES * 3 + 64];
        write_disposition(disposition, (const char *)sqlite3_column_text(statement, 0));
        http_send(request,
                  &(struct http_answer){.type = "application/octet-stream",
                                        .disposition = disposition,
                                        .body = sqlite3_column_blob(statement, 1),
                                        .body_bytes = (size_t)sqlite3_column_bytes(statement, 1)});
    } else {
        http_send_error(request, 404, "There is no such file, or it is not yours.");
    }
    sqlite3_finalize(statement);
}
