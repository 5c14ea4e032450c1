#include "people.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audience.h"
#include "common/fields.h"

#define MAX_OFFICES 50

void person_of(struct program *program, const pusherc_http_request *request,
               struct session *session, struct person *out)
{
    accounts_find(program, request, session);
    cJSON *row = store_row(program->store, "SELECT role FROM people WHERE user_id = ?",
                           VALUES(INT(session->user_id)));
    *out = (struct person){.id = row ? session->user_id : 0};
    snprintf(out->role, sizeof out->role, "%s", row_text(row, "role"));
    out->admin = strcmp(out->role, "admin") == 0;
    out->staff = out->admin || strcmp(out->role, "agent") == 0;
    cJSON_Delete(row);
}

bool person_needed(struct program *program, pusherc_http_request *request, enum person_need need,
                   struct session *session, struct person *out)
{
    person_of(program, request, session, out);
    if (out->id == 0)
        http_send_error(request, 401, "Please sign in.");
    else if (need != PERSON_READS && !session_may_write(session, request))
        http_send_error(request, 403, "The page was too old. Please load it again.");
    else if (need == PERSON_ADMINISTERS && !out->admin)
        http_send_error(request, 403, "Only admins can do that.");
    else
        return true;
    return false;
}

#define PEOPLE                                                                                     \
    "SELECT p.id, p.name, p.role, p.private, (SELECT json_group_array(json_object('id', o.id,"     \
    " 'name', o.name)) FROM offices o WHERE p.role = 'admin' OR EXISTS (SELECT 1"                  \
    " FROM office_people m WHERE m.office_id = o.id AND m.user_id = p.id)) \"json:offices\""       \
    " FROM persons p"

cJSON *person_describe(struct program *program, int64_t user_id)
{
    return store_row(program->store, PEOPLE " WHERE p.id = ?", VALUES(INT(user_id)));
}

void people_list(struct program *program, pusherc_http_request *request,
                 const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    if (!person_needed(program, request, PERSON_READS, &session, &person))
        return;
    if (!person.admin) {
        http_send_error(request, 403, "Only admins can do that.");
        return;
    }
    cJSON *list = cJSON_CreateObject();
    cJSON_AddItemToObject(list, "people",
                          store_rows(program->store, PEOPLE " ORDER BY p.role, p.name", NO_VALUES));
    cJSON_AddItemToObject(
        list, "offices",
        store_rows(program->store, "SELECT id, name FROM offices ORDER BY id", NO_VALUES));
    http_send_json(request, 200, list);
    cJSON_Delete(list);
}

/* -- changes -- */

/* Told to the person, whose pages then ask for what they show. */
static void tell(struct change *change, int64_t user_id)
{
    change_to_none(change);
    change_to(change, "private-user.%" PRId64, user_id);
    change_tell(change, "user.updated",
                "SELECT p.role, (SELECT json_group_array(office_id) FROM office_people"
                " WHERE user_id = p.user_id) \"json:offices\", json_object('internal',"
                " json('false')) \"json:for\" FROM people p WHERE p.user_id = ?",
                VALUES(INT(user_id)));
}

/* First the fact, then what open pages may have, then the answer. */
static void end(struct change *change, pusherc_http_request *request, int64_t user_id)
{
    struct program *program = change->program;
    tell(change, user_id);
    if (change_end(change) == 0)
        audience_changed(program, user_id, NULL, request, "/admin");
    else
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
}

/* False, and the request is answered, if there is no such person. */
static bool begin(struct program *program, pusherc_http_request *request,
                  const struct http_params *params, struct change *change, int64_t *user_id)
{
    struct session session;
    struct person person;
    *user_id = strtoll(params->value[0], NULL, 10);
    if (!person_needed(program, request, PERSON_ADMINISTERS, &session, &person))
        return false;
    if (!store_has(program->store, "SELECT 1 FROM people WHERE user_id = ?",
                   VALUES(INT(*user_id)))) {
        http_send_error(request, 404, "There is no such person.");
        return false;
    }
    change_begin(change, program, session.user_id, request);
    return true;
}

/* Numbers with commas between, or an array of them, as an array. NULL: it is none, or there are too many. */
static cJSON *read_offices(const pusherc_http_request *request)
{
    char text[MAX_OFFICES * 4];
    char list[sizeof text + 2];
    pusherc_slice body = pusherc_http_body(request);
    cJSON *object = cJSON_ParseWithLength(body.ptr, body.len);
    cJSON *array = cJSON_DetachItemFromObjectCaseSensitive(object, "offices");
    cJSON_Delete(object);
    if (!cJSON_IsArray(array)) {
        cJSON_Delete(array);
        if (!field_copy(text, sizeof text, request, "offices"))
            return NULL;
        snprintf(list, sizeof list, "[%s]", text);
        array = cJSON_Parse(list);
    }
    const cJSON *office;
    bool fits = cJSON_IsArray(array) && cJSON_GetArraySize(array) <= MAX_OFFICES;
    cJSON_ArrayForEach(office, array) fits = fits && cJSON_IsNumber(office);
    if (fits)
        return array;
    cJSON_Delete(array);
    return NULL;
}

static void set_offices(struct change *change, int64_t user_id, const cJSON *offices)
{
    const cJSON *office;
    change_run(change, "DELETE FROM office_people WHERE user_id = ?", VALUES(INT(user_id)));
    cJSON_ArrayForEach(office, offices)
        change_run(change, "INSERT OR IGNORE INTO office_people (office_id, user_id) VALUES (?, ?)",
                   VALUES(INT((int64_t)office->valuedouble), INT(user_id)));
}

/* Each of them is one. */
static bool are_offices(struct program *program, const cJSON *offices)
{
    const cJSON *office;
    bool known = true;
    cJSON_ArrayForEach(office, offices) known =
        known && store_has(program->store, "SELECT 1 FROM offices WHERE id = ?",
                           VALUES(INT((int64_t)office->valuedouble)));
    return known;
}

void people_set_offices(struct program *program, pusherc_http_request *request,
                        const struct http_params *params)
{
    int64_t user_id;
    struct change change;
    cJSON *offices = read_offices(request);
    if (!begin(program, request, params, &change, &user_id)) {
        cJSON_Delete(offices);
        return;
    }
    bool known = offices && are_offices(program, offices);
    if (known)
        set_offices(&change, user_id, offices);
    cJSON_Delete(offices);
    if (known) {
        end(&change, request, user_id);
        return;
    }
    change.failed = true;
    change_end(&change);
    http_send_error(request, 422, "Name offices by their numbers.");
}

void people_set_role(struct program *program, pusherc_http_request *request,
                     const struct http_params *params)
{
    char role[FIELD_LINE_BYTES];
    int64_t user_id;
    struct change change;
    if (!begin(program, request, params, &change, &user_id))
        return;
    field_line(role, sizeof role, request, "role");
    if (strcmp(role, "customer") == 0 || strcmp(role, "agent") == 0 || strcmp(role, "admin") == 0) {
        change_run(&change, "UPDATE people SET role = ? WHERE user_id = ?",
                   VALUES(TEXT(role), INT(user_id)));
        end(&change, request, user_id);
        return;
    }
    change.failed = true;
    change_end(&change);
    http_send_error(request, 422, "A role is customer, agent or admin.");
}

/* Also one's own. */
void people_set_privacy(struct program *program, pusherc_http_request *request,
                        const struct http_params *params)
{
    struct session session;
    struct person person;
    struct change change;
    int64_t user_id = strtoll(params->value[0], NULL, 10);
    if (!person_needed(program, request, PERSON_WRITES, &session, &person))
        return;
    if (!person.admin && person.id != user_id) {
        http_send_error(request, 403, "Only admins can do that.");
        return;
    }
    change_begin(&change, program, session.user_id, request);
    change_run(&change, "UPDATE people SET private = ? WHERE user_id = ?",
               VALUES(INT(field_ticked(request, "private")), INT(user_id)));
    end(&change, request, user_id);
}

void people_move_me(struct program *program, pusherc_http_request *request,
                    const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    struct change change;
    if (!person_needed(program, request, PERSON_WRITES, &session, &person))
        return;
    if (strcmp(person.role, "agent") != 0 ||
        !store_has(program->store, "SELECT 1 FROM settings WHERE name = 'demo'", NO_VALUES)) {
        http_send_error(request, 403, "Only agents of the demo move themselves.");
        return;
    }
    change_begin(&change, program, person.id, request);
    change_run(&change,
               "UPDATE office_people SET office_id = 3 - office_id WHERE user_id = ?1"
               " AND office_id IN (1, 2) AND (SELECT count(*) FROM office_people"
               " WHERE user_id = ?1) = 1",
               VALUES(INT(person.id)));
    change.except = (pusherc_socket_id){0}; /* that page is to know, too */
    end(&change, request, person.id);
}
