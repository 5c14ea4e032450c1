#include "pages.h"

#include <stdio.h>
#include <string.h>

#include "people.h"
#include "replies.h"
#include "tickets.h"

static bool is_demo(struct program *program)
{
    return store_has(program->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES);
}

/* What each page has. */
static cJSON *page_values(struct program *program, const struct session *session, const char *page)
{
    cJSON *values = cJSON_CreateObject();
    cJSON_AddStringToObject(values, "key", program->app_key);
    cJSON_AddStringToObject(values, "page", page);
    cJSON_AddStringToObject(values, "csrf", session->csrf);
    cJSON_AddStringToObject(values, "user", session->name);
    cJSON_AddNumberToObject(values, "user_id", (double)session->user_id);
    return values;
}

void page_start(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    (void)params;
    struct session session;
    accounts_find(program, request, &session);
    cJSON *values = page_values(program, &session, "start");
    cJSON_DeleteItemFromObject(values, "key"); /* it is not live itself */
    cJSON_AddStringToObject(values, "version", pusherc_version_string());
    if (is_demo(program)) /* Theo's ticket, which Mina has */
        cJSON_AddItemToObject(
            values, "demo",
            store_row(program->store, "SELECT uuid FROM tickets WHERE id = 1", NO_VALUES));
    http_send_page(request, "start", values, &(struct http_answer){.framed = true});
}

/* False: the visitor is asked to sign in. */
static bool begin(struct program *program, pusherc_http_request *request, const char *uuid,
                  struct session *session, struct person *person)
{
    struct login_wanted wanted = {0};
    person_of(program, request, session, person);
    if (person->id)
        return true;
    snprintf(wanted.value[0], sizeof wanted.value[0], "%s", uuid);
    login_ask(program, request, &wanted);
    return false;
}

static void add_staff(cJSON *values, const struct person *person)
{
    cJSON_AddBoolToObject(values, "staff", person->staff);
    cJSON_AddBoolToObject(values, "admin", person->admin);
}

void page_tickets(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    if (!begin(program, request, "", &session, &person))
        return;
    cJSON *values = page_values(program, &session, "tickets");
    cJSON *list = tickets_describe(program, &person);
    cJSON_AddItemToObject(values, "tickets", cJSON_DetachItemFromObject(list, "tickets"));
    cJSON_AddItemToObject(values, "offices", cJSON_DetachItemFromObject(list, "offices"));
    cJSON_Delete(list);
    add_staff(values, &person);
    http_send_page(request, "tickets", values, &(struct http_answer){0});
}

/* Templates show bytes. */
static void add_file_links(cJSON *replies, const char *uuid)
{
    cJSON *reply;
    cJSON *file;
    cJSON_ArrayForEach(reply, replies)
    {
        int place = 0;
        cJSON_ArrayForEach(file, cJSON_GetObjectItem(reply, "attachments"))
        {
            char link[128];
            snprintf(link, sizeof link, "/tickets/%s/files/%lld-%d", uuid,
                     (long long)row_int(reply, "id"), place++);
            cJSON_AddStringToObject(file, "link", link);
        }
    }
}

void page_ticket(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    struct session session;
    struct person person;
    struct ticket ticket;
    if (!begin(program, request, params->value[0], &session, &person))
        return;
    if (!ticket_find(program, &person, params->value[0], &ticket)) {
        http_send_error(request, 404, "There is no such ticket, or it is not yours.");
        return;
    }
    cJSON *values = page_values(program, &session, "ticket");
    cJSON *replies = replies_describe(program, &ticket, 0);
    add_file_links(replies, ticket.uuid);
    cJSON_AddItemToObject(values, "ticket", ticket_describe(program, &person, &ticket));
    cJSON_AddItemToObject(values, "conversation", replies); /* a ticket has "replies" */
    cJSON_AddStringToObject(values, "uuid", ticket.uuid);
    add_staff(values, &person);
    if (ticket.as_staff)
        cJSON_AddItemToObject(
            values, "offices",
            store_rows(program->store, "SELECT id, name FROM offices ORDER BY id", NO_VALUES));
    http_send_page(request, "ticket", values, &(struct http_answer){0});
}

void page_admin(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    if (!begin(program, request, "", &session, &person))
        return;
    if (!person.admin) {
        http_send_error(request, 403, "This page is for admins.");
        return;
    }
    cJSON *values = page_values(program, &session, "admin");
    add_staff(values, &person);
    http_send_page(request, "admin", values, &(struct http_answer){0});
}

void page_demo(struct program *program, pusherc_http_request *request,
               const struct http_params *params)
{
    const char *who = params->value[0];
    const char *uuid = params->value[1];
    cJSON *user =
        store_row(program->store,
                  "SELECT u.email, lower(u.name) || '-demo' password, p.role <> 'customer' staff"
                  " FROM users u JOIN people p ON p.user_id = u.id"
                  " WHERE u.name = ?1 COLLATE NOCASE AND u.email LIKE '%@desk.example'"
                  " AND EXISTS (SELECT 1 FROM settings WHERE name = 'demo')",
                  VALUES(TEXT(who)));
    if (!user) {
        http_send_error(request, 404, "There is no such user of the demo.");
        return;
    }
    const struct session nobody = {0};
    cJSON *values = page_values(program, &nobody, *uuid ? "ticket" : "tickets");
    cJSON_AddStringToObject(values, "as", who);
    cJSON_AddStringToObject(values, "email", row_text(user, "email"));
    cJSON_AddStringToObject(values, "password", row_text(user, "password"));
    cJSON_AddStringToObject(values, "uuid", uuid);
    cJSON_AddBoolToObject(values, "staff", row_int(user, "staff") == 1);
    if (*uuid)
        cJSON_AddItemToObject(values, "ticket", cJSON_CreateObject());
    cJSON_Delete(user);
    http_send_page(request, *uuid ? "ticket" : "tickets", values,
                   &(struct http_answer){.framed = true});
}
