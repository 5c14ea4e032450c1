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
                "SELECT n.public AND p.public public, n.id, n.title, p.state, s.label, n.effect,"
                " iif(n.kind = 'incident', json_object('id', n.id, 'title', n.title, 'state',"
                " p.state, 'effect', n.effect), NULL) AS \"json:incident\","
                " iif(n.kind = 'maintenance', json_object('id', n.id, 'title', n.title, 'state',"
                " p.state, 'starts_at', strftime('%Y-%m-%dT%H:%M:%SZ', n.starts_at, 'unixepoch'),"
                " 'ends_at', strftime('%Y-%m-%dT%H:%M:%SZ', n.ends_at, 'unixepoch')), NULL)"
                " AS \"json:maintenance\","
                " p.message, u.name by, strftime('%Y-%m-%dT%H:%M:%SZ', p.at, 'unixepoch') timestamp"
                " FROM notice_updates p JOIN notices n ON n.id = p.notice_id"
                " JOIN statuses s ON s.name = p.state LEFT JOIN users u ON u.id = p.user_id"
                " WHERE p.id = last_insert_rowid()",
                NO_VALUES);
}

/* The boxes that were ticked. A notice whose services are all hidden is hidden itself. */
static void add_services(struct change *change, int64_t notice_id,
                         const pusherc_http_request *request)
{
    cJSON *services =
        store_rows(change->site->store, "SELECT id FROM services WHERE organization_id = ?",
                   VALUES(INT(change->organization_id)));
    const cJSON *service;
    cJSON_ArrayForEach(service, services)
    {
        char name[32];
        snprintf(name, sizeof name, "service_%" PRId64, row_int(service, "id"));
        if (pusherc_http_form(request, name).len > 0)
            change_run(change, "INSERT INTO notice_services VALUES (?, ?)",
                       VALUES(INT(notice_id), INT(row_int(service, "id"))));
    }
    cJSON_Delete(services);
    change_run(
        change,
        "UPDATE notices SET public = (SELECT coalesce(max(s.public), 1) FROM notice_services n"
        " JOIN services s ON s.id = n.service_id WHERE n.notice_id = notices.id) WHERE id = ?",
        VALUES(INT(notice_id)));
}

const char *incident_open(struct change *change, int64_t organization_id,
                          const pusherc_http_request *request)
{
    char title[HTTP_LINE_BYTES];
    char effect[32];
    char message[HTTP_LINE_BYTES];
    if (!http_field(title, sizeof title, request, "title") || !title[0] ||
        !http_field(message, sizeof message, request, "message") || !message[0])
        return "Give it a title and say what has happened, in some words.";
    if (!http_field(effect, sizeof effect, request, "effect") ||
        !is_status(change, "service", effect) || strcmp(effect, "operational") == 0)
        return "Choose what it does to services.";
    change_run(change,
               "INSERT INTO notices (organization_id, kind, title, effect, state, starts_at)"
               " VALUES (?, 'incident', ?, ?, 'investigating', unixepoch())",
               VALUES(INT(organization_id), TEXT(title), TEXT(effect)));
    int64_t id = change_new_id(change);
    add_services(change, id, request);
    add_update(change, id, "incident.created", "investigating", message, false);
    services_follow(change, id, message);
    return NULL;
}

const char *incident_update(struct change *change, int64_t notice_id,
                            const pusherc_http_request *request)
{
    char state[32];
    char message[HTTP_LINE_BYTES];
    bool internal = pusherc_http_form(request, "internal").len > 0;
    if (!http_field(state, sizeof state, request, "state") || !is_status(change, "incident", state))
        return "Choose a state.";
    if (!http_field(message, sizeof message, request, "message") || !message[0])
        return "Say what is new, in some words.";
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

const char *maintenance_schedule(struct change *change, int64_t organization_id,
                                 const pusherc_http_request *request)
{
    char title[HTTP_LINE_BYTES];
    char message[HTTP_LINE_BYTES];
    char starts_at[32];
    char minutes_text[8];
    if (!http_field(title, sizeof title, request, "title") || !title[0] ||
        !http_field(message, sizeof message, request, "message"))
        return "Give it a title.";
    /* SQLite reads the time; its other forms ("now", plain numbers) are not for here. */
    if (!http_field(starts_at, sizeof starts_at, request, "starts_at") || !strchr(starts_at, 'T') ||
        !store_has(change->site->store, "SELECT 1 WHERE unixepoch(?) > 0", VALUES(TEXT(starts_at))))
        return "Say when it starts.";
    if (!store_has(change->site->store, "SELECT 1 WHERE unixepoch(?) > unixepoch() - " LATE_S,
                   VALUES(TEXT(starts_at))))
        return "That time is past. Choose a start that is still to come.";
    http_field(minutes_text, sizeof minutes_text, request, "minutes");
    long minutes = strtol(minutes_text, NULL, 10);
    if (minutes < 1 || minutes > MAX_MINUTES)
        return "It can take from a minute to a week.";
    change_run(
        change,
        "INSERT INTO notices (organization_id, kind, title, effect, state, starts_at, ends_at)"
        " VALUES (?1, 'maintenance', ?2, 'maintenance', 'scheduled', unixepoch(?3),"
        " unixepoch(?3) + 60 * ?4)",
        VALUES(INT(organization_id), TEXT(title), TEXT(starts_at), INT(minutes)));
    int64_t id = change_new_id(change);
    add_services(change, id, request);
    add_update(change, id, "maintenance.scheduled", "scheduled", message, false);
    return NULL;
}

/* Early or late, its times become the real ones. */
static const char *move(struct change *change, int64_t notice_id, const char *state)
{
    bool starts = strcmp(state, "started") == 0;
    if (!store_has(change->site->store, "SELECT 1 FROM notices WHERE id = ? AND state = ?",
                   VALUES(INT(notice_id), TEXT(starts ? "scheduled" : "started"))))
        return "This maintenance is in another state already.";
    change_run(change,
               starts ? "UPDATE notices SET ends_at = ends_at - starts_at + unixepoch(),"
                        " starts_at = unixepoch() WHERE id = ? AND starts_at > unixepoch()"
                      : "UPDATE notices SET ends_at = min(ends_at, unixepoch()) WHERE id = ?",
               VALUES(INT(notice_id)));
    add_update(change, notice_id, starts ? "maintenance.started" : "maintenance.completed", state,
               starts ? "The maintenance has begun." : "The maintenance is complete.", false);
    services_follow(change, notice_id, "");
    return NULL;
}

const char *maintenance_move(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request)
{
    char state[16];
    http_field(state, sizeof state, request, "state");
    if (strcmp(state, "started") != 0 && strcmp(state, "completed") != 0)
        return "Start it or complete it.";
    return move(change, notice_id, state);
}

void maintenance_tick(struct site *site)
{
    cJSON *due = store_rows(
        site->store,
        "SELECT id, organization_id, iif(state = 'scheduled', 'started', 'completed') state FROM "
        "notices"
        " WHERE kind = 'maintenance' AND (state = 'scheduled' AND starts_at <= unixepoch()"
        " OR state = 'started' AND ends_at <= unixepoch())",
        NO_VALUES);
    const cJSON *notice;
    cJSON_ArrayForEach(notice, due)
    {
        struct change change;
        change_begin(&change, site, row_int(notice, "organization_id"), 0);
        move(&change, row_int(notice, "id"), row_text(notice, "state"));
        change_end(&change);
    }
    cJSON_Delete(due);
}
