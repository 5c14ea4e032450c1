#include "notices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "http.h"
#include "services.h"
#include "site.h"

#define MAX_MINUTES (7 * 24 * 60)
/* "Now", as a form with minutes says it, is past when it arrives. */
#define LATE_S "60"

static bool is_status(struct change *change, const char *kind, const char *name)
{
    return store_has(change->site->store, "SELECT 1 FROM statuses WHERE kind = ? AND name = ?",
                     VALUES(TEXT(kind), TEXT(name)));
}

/* Of an event about a notice n. */
#define TELL_NOTICE                                                                                \
    " n.id, n.title, n.state, s.label, n.effect,"                                                  \
    " iif(n.kind = 'incident', json_object('id', n.id, 'title', n.title, 'state', n.state,"        \
    " 'effect', n.effect), NULL) AS \"json:incident\","                                            \
    " iif(n.kind = 'maintenance', json_object('id', n.id, 'title', n.title, 'state', n.state,"     \
    " 'starts_at', strftime('%Y-%m-%dT%H:%M:%SZ', n.starts_at, 'unixepoch'), 'ends_at',"           \
    " strftime('%Y-%m-%dT%H:%M:%SZ', n.ends_at, 'unixepoch')), NULL) AS \"json:maintenance\""

/* The story goes on. */
static void add_update(struct change *change, int64_t notice_id, const char *event,
                       const char *state, const char *message, bool internal)
{
    change_run(change, "UPDATE notices SET state = ? WHERE id = ?",
               VALUES(TEXT(state), INT(notice_id)));
    change_run(
        change,
        "INSERT INTO notice_updates (notice_id, state, message, public, user_id, at)"
        " VALUES (?, ?, ?, ?, ?, unixepoch())",
        VALUES(INT(notice_id), TEXT(state), TEXT(message), INT(!internal), change_user(change)));
    change_tell(change, event,
                "SELECT n.public AND p.public public, p.message, u.name by,"
                " strftime('%Y-%m-%dT%H:%M:%SZ', p.at, 'unixepoch') timestamp," TELL_NOTICE
                " FROM notice_updates p JOIN notices n ON n.id = p.notice_id"
                " JOIN statuses s ON s.name = p.state LEFT JOIN users u ON u.id = p.user_id"
                " WHERE p.id = last_insert_rowid()",
                NO_VALUES);
}

/* It was corrected, which is no part of its story. */
static void tell_correction(struct change *change, int64_t notice_id, const char *event)
{
    change_tell(change, event,
                "SELECT n.public, '' message, u.name by,"
                " strftime('%Y-%m-%dT%H:%M:%SZ', 'now') timestamp," TELL_NOTICE
                " FROM notices n JOIN statuses s ON s.name = n.state LEFT JOIN users u ON u.id = ?"
                " WHERE n.id = ?",
                VALUES(change_user(change), INT(notice_id)));
}

/* The boxes that were ticked. A notice whose services are all hidden is hidden itself, but not from visitors who
 * have seen it already. True if something is different now. */
static bool set_services(struct change *change, int64_t notice_id,
                         const pusherc_http_request *request, bool is_new)
{
    bool different = false;
    cJSON *services = store_rows(
        change->site->store,
        "SELECT s.id, n.service_id IS NOT NULL ticked FROM services s LEFT JOIN notice_services n"
        " ON n.service_id = s.id AND n.notice_id = ? WHERE s.organization_id = ?",
        VALUES(INT(notice_id), INT(change->organization_id)));
    const cJSON *service;
    cJSON_ArrayForEach(service, services)
    {
        char name[32];
        snprintf(name, sizeof name, "service_%" PRId64, row_int(service, "id"));
        bool ticked = http_ticked(request, name);
        if (ticked == (row_int(service, "ticked") != 0))
            continue;
        different = true;
        change_run(change,
                   ticked ? "INSERT INTO notice_services VALUES (?, ?)"
                          : "DELETE FROM notice_services WHERE notice_id = ? AND service_id = ?",
                   VALUES(INT(notice_id), INT(row_int(service, "id"))));
    }
    cJSON_Delete(services);
    change_run(
        change,
        "UPDATE notices SET public = (public AND NOT ?1) OR (SELECT coalesce(max(s.public), 1)"
        " FROM notice_services n JOIN services s ON s.id = n.service_id"
        " WHERE n.notice_id = notices.id) WHERE id = ?2",
        VALUES(INT(is_new), INT(notice_id)));
    return different;
}

static bool read_title(char out[HTTP_LINE_BYTES], const pusherc_http_request *request)
{
    return http_field(out, HTTP_LINE_BYTES, request, "title") && out[0] &&
           http_characters(out) <= TITLE_MAX;
}

/* "effect", or "severity" as others call it. */
static bool read_effect(char out[32], struct change *change, const pusherc_http_request *request)
{
    static const char *const severities[][2] = {
        {"minor", "degraded"}, {"major", "partial_outage"}, {"critical", "major_outage"}};
    char severity[16];
    http_field(out, 32, request, "effect");
    http_field(severity, sizeof severity, request, "severity");
    for (size_t i = 0; !out[0] && i < sizeof severities / sizeof severities[0]; i++) {
        if (strcmp(severity, severities[i][0]) == 0)
            snprintf(out, 32, "%s", severities[i][1]);
    }
    return is_status(change, "service", out) && strcmp(out, "operational") != 0;
}

static const char no_title[] = "Give it a title of at most 120 characters.";
static const char no_effect[] = "Choose what it does to services.";
static const char no_message[] = "Say what there is to know, in at most 2,000 characters.";

const char *incident_open(struct change *change, int64_t organization_id,
                          const pusherc_http_request *request)
{
    char title[HTTP_LINE_BYTES];
    char effect[32];
    char message[MESSAGE_BYTES];
    if (!read_title(title, request))
        return no_title;
    if (!message_read(message, request) || !message[0])
        return no_message;
    if (!read_effect(effect, change, request))
        return no_effect;
    change_run(change,
               "INSERT INTO notices (organization_id, kind, title, effect, state, starts_at)"
               " VALUES (?, 'incident', ?, ?, 'investigating', unixepoch())",
               VALUES(INT(organization_id), TEXT(title), TEXT(effect)));
    int64_t id = change_new_id(change);
    set_services(change, id, request, true);
    add_update(change, id, "incident.created", "investigating", message, false);
    services_follow(change, id, message);
    return NULL;
}

const char *incident_edit(struct change *change, int64_t notice_id,
                          const pusherc_http_request *request)
{
    struct store *store = change->site->store;
    char title[HTTP_LINE_BYTES];
    char effect[32];
    if (!store_has(store, "SELECT 1 FROM notices WHERE id = ? AND state <> 'resolved'",
                   VALUES(INT(notice_id))))
        return "This incident is over.";
    if (!read_title(title, request))
        return no_title;
    if (!read_effect(effect, change, request))
        return no_effect;
    bool same_title = store_has(store, "SELECT 1 FROM notices WHERE id = ? AND title = ?",
                                VALUES(INT(notice_id), TEXT(title)));
    bool same_effect = store_has(store, "SELECT 1 FROM notices WHERE id = ? AND effect = ?",
                                 VALUES(INT(notice_id), TEXT(effect)));
    change_run(change, "UPDATE notices SET title = ?, effect = ? WHERE id = ?",
               VALUES(TEXT(title), TEXT(effect), INT(notice_id)));
    bool same_services =
        !http_ticked(request, "services") || !set_services(change, notice_id, request, false);
    change->nothing = same_title && same_effect && same_services;
    tell_correction(change, notice_id, "incident.updated");
    if (!same_effect || !same_services)
        services_follow(change, notice_id, "");
    return NULL;
}

const char *incident_update(struct change *change, int64_t notice_id,
                            const pusherc_http_request *request)
{
    char state[32];
    char message[MESSAGE_BYTES];
    bool internal = http_ticked(request, "internal");
    if (!http_field(state, sizeof state, request, "state") || !is_status(change, "incident", state))
        return "Choose a state.";
    if (!message_read(message, request) || !message[0])
        return no_message;
    bool over = strcmp(state, "resolved") == 0;
    if (internal && over)
        return "Visitors have to hear of the end, so this cannot be an internal note.";
    if (!store_has(change->site->store,
                   "SELECT 1 FROM notices WHERE id = ? AND state <> 'resolved'",
                   VALUES(INT(notice_id))))
        return "This incident is over.";
    add_update(change, notice_id, over ? "incident.resolved" : "incident.updated", state, message,
               internal);
    if (over)
        services_follow(change, notice_id, message);
    return NULL;
}

/* When it is planned, for SQLite to read; NULL, or why not. */
static const char *read_times(char starts_at[32], int64_t *minutes, struct change *change,
                              const pusherc_http_request *request)
{
    char text[8];
    /* SQLite's other forms ("now", plain numbers) are not for here. */
    if (!http_field(starts_at, 32, request, "starts_at") || !strchr(starts_at, 'T') ||
        !store_has(change->site->store, "SELECT 1 WHERE unixepoch(?) > 0", VALUES(TEXT(starts_at))))
        return "Say when it starts.";
    http_field(text, sizeof text, request, "minutes");
    *minutes = strtol(text, NULL, 10);
    return *minutes < 1 || *minutes > MAX_MINUTES ? "It can take from a minute to a week." : NULL;
}

static const char *check_future(struct change *change, const char *starts_at)
{
    return store_has(change->site->store, "SELECT 1 WHERE unixepoch(?) > unixepoch() - " LATE_S,
                     VALUES(TEXT(starts_at)))
               ? NULL
               : "That time is past. Choose a start that is still to come.";
}

const char *maintenance_schedule(struct change *change, int64_t organization_id,
                                 const pusherc_http_request *request)
{
    char title[HTTP_LINE_BYTES];
    char message[MESSAGE_BYTES];
    char starts_at[32];
    int64_t minutes;
    if (!read_title(title, request))
        return no_title;
    if (!message_read(message, request))
        return no_message;
    const char *error = read_times(starts_at, &minutes, change, request);
    error = error ? error : check_future(change, starts_at);
    if (error)
        return error;
    change_run(
        change,
        "INSERT INTO notices (organization_id, kind, title, effect, state, starts_at, ends_at)"
        " VALUES (?1, 'maintenance', ?2, 'maintenance', 'scheduled', unixepoch(?3),"
        " unixepoch(?3) + 60 * ?4)",
        VALUES(INT(organization_id), TEXT(title), TEXT(starts_at), INT(minutes)));
    int64_t id = change_new_id(change);
    set_services(change, id, request, true);
    add_update(change, id, "maintenance.scheduled", "scheduled", message, false);
    return NULL;
}

/* "" if there is no such maintenance, or it is over. */
static void find_state(char out[16], struct change *change, int64_t notice_id)
{
    cJSON *row = store_row(change->site->store,
                           "SELECT state FROM notices WHERE id = ? AND kind = 'maintenance'"
                           " AND state IN ('scheduled', 'started')",
                           VALUES(INT(notice_id)));
    snprintf(out, 16, "%s", row_text(row, "state"));
    cJSON_Delete(row);
}

const char *maintenance_edit(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request)
{
    struct store *store = change->site->store;
    char title[HTTP_LINE_BYTES];
    char state[16];
    char starts_at[32];
    int64_t minutes;
    find_state(state, change, notice_id);
    if (!state[0])
        return "This maintenance is over.";
    if (!read_title(title, request))
        return no_title;
    const char *error = read_times(starts_at, &minutes, change, request);
    if (error)
        return error;
    bool same_title = store_has(store, "SELECT 1 FROM notices WHERE id = ? AND title = ?",
                                VALUES(INT(notice_id), TEXT(title)));
    /* The form has minutes, the database seconds. */
    bool same_start = store_has(
        store, "SELECT 1 FROM notices WHERE id = ? AND starts_at / 60 = unixepoch(?) / 60",
        VALUES(INT(notice_id), TEXT(starts_at)));
    bool same_times = same_start && store_has(store,
                                              "SELECT 1 FROM notices WHERE id = ?"
                                              " AND (ends_at - starts_at + 59) / 60 = ?",
                                              VALUES(INT(notice_id), INT(minutes)));
    if (!same_start && strcmp(state, "started") == 0)
        return "It has begun. Only its end can be moved.";
    error = same_start ? NULL : check_future(change, starts_at);
    if (error)
        return error;
    change_run(change,
               "UPDATE notices SET title = ?2, starts_at = iif(?5, starts_at, unixepoch(?3)),"
               " ends_at = iif(?5, starts_at, unixepoch(?3)) + 60 * ?4 WHERE id = ?1",
               VALUES(INT(notice_id), TEXT(title), TEXT(starts_at), INT(minutes), INT(same_start)));
    bool same_services =
        !http_ticked(request, "services") || !set_services(change, notice_id, request, false);
    change->nothing = same_title && same_times && same_services;
    if (same_times)
        tell_correction(change, notice_id, "maintenance.updated");
    else
        add_update(change, notice_id, "maintenance.updated", state,
                   "The maintenance has been moved: please note its new times.", false);
    if (!same_services && strcmp(state, "started") == 0)
        services_follow(change, notice_id, "");
    return NULL;
}

const char *maintenance_update(struct change *change, int64_t notice_id,
                               const pusherc_http_request *request)
{
    char message[MESSAGE_BYTES];
    char state[16];
    find_state(state, change, notice_id);
    if (!state[0])
        return "This maintenance is over.";
    if (!message_read(message, request) || !message[0])
        return no_message;
    add_update(change, notice_id, "maintenance.updated", state, message,
               http_ticked(request, "internal"));
    return NULL;
}

/* What a maintenance becomes: from which state, and what is said of it. */
static const struct step {
    const char *to;
    const char *from;
    const char *event;
    const char *message;
} steps[] = {
    {"started", "scheduled", "maintenance.started", "The maintenance has begun."},
    {"completed", "started", "maintenance.completed", "The maintenance is complete."},
    {"cancelled", "scheduled", "maintenance.cancelled", "The maintenance will not take place."},
};

/* Early or late, its times become the real ones. */
static const char *move(struct change *change, int64_t notice_id, const struct step *step)
{
    if (!store_has(change->site->store, "SELECT 1 FROM notices WHERE id = ? AND state = ?",
                   VALUES(INT(notice_id), TEXT(step->from))))
        return "This maintenance is in another state already.";
    if (strcmp(step->to, "started") == 0)
        change_run(change,
                   "UPDATE notices SET ends_at = ends_at - starts_at + unixepoch(),"
                   " starts_at = unixepoch() WHERE id = ? AND starts_at > unixepoch()",
                   VALUES(INT(notice_id)));
    else if (strcmp(step->to, "completed") == 0)
        change_run(change, "UPDATE notices SET ends_at = min(ends_at, unixepoch()) WHERE id = ?",
                   VALUES(INT(notice_id)));
    add_update(change, notice_id, step->event, step->to, step->message, false);
    services_follow(change, notice_id, "");
    return NULL;
}

const char *maintenance_move(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request)
{
    char state[16];
    http_field(state, sizeof state, request, "state");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(state, steps[i].to) == 0)
            return move(change, notice_id, &steps[i]);
    }
    return "Start it, complete it or cancel it.";
}

void maintenance_tick(struct site *site)
{
    cJSON *due = store_rows(
        site->store,
        "SELECT id, organization_id, state = 'started' step FROM notices"
        " WHERE kind = 'maintenance' AND (state = 'scheduled' AND starts_at <= unixepoch()"
        " OR state = 'started' AND ends_at <= unixepoch())",
        NO_VALUES);
    const cJSON *notice;
    cJSON_ArrayForEach(notice, due)
    {
        struct change change;
        change_begin(&change, site, row_int(notice, "organization_id"), 0);
        move(&change, row_int(notice, "id"), &steps[row_int(notice, "step")]);
        change_end(&change);
    }
    cJSON_Delete(due);
}
