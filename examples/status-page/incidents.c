#include "incidents.h"

#include <stdio.h>
#include <string.h>

#include "common/change.h"
#include "common/program.h"
#include "notices.h"
#include "services.h"

static bool is_status(struct change *change, const char *kind, const char *name)
{
    return store_has(change->program->store, "SELECT 1 FROM statuses WHERE kind = ? AND name = ?",
                     VALUES(TEXT(kind), TEXT(name)));
}

static const char no_effect[] = "Choose what it does to services.";

/* "effect", or "severity" as others call it. */
static bool read_effect(char out[32], struct change *change, const pusherc_http_request *request)
{
    static const char *const severities[][2] = {
        {"minor", "degraded"}, {"major", "partial_outage"}, {"critical", "major_outage"}};
    char severity[16];
    field_line(out, 32, request, "effect");
    field_line(severity, sizeof severity, request, "severity");
    for (size_t i = 0; !out[0] && i < sizeof severities / sizeof severities[0]; i++) {
        if (strcmp(severity, severities[i][0]) == 0)
            snprintf(out, 32, "%s", severities[i][1]);
    }
    return is_status(change, "service", out) && strcmp(out, "operational") != 0;
}

const char *incident_open(struct change *change, int64_t organization_id,
                          const pusherc_http_request *request)
{
    char title[FIELD_LINE_BYTES];
    char effect[32];
    char message[MESSAGE_BYTES];
    if (!notice_read_title(title, request))
        return notice_no_title;
    if (!message_read(message, request) || !message[0])
        return notice_no_message;
    if (!read_effect(effect, change, request))
        return no_effect;
    change_run(change,
               "INSERT INTO notices (organization_id, kind, title, effect, state, starts_at)"
               " VALUES (?, 'incident', ?, ?, 'investigating', unixepoch())",
               VALUES(INT(organization_id), TEXT(title), TEXT(effect)));
    int64_t id = change_new_id(change);
    notice_set_services(change, id, request, true);
    notice_add_update(change, id, "incident.created", "investigating", message, false);
    services_follow(change, id, message);
    return NULL;
}

const char *incident_edit(struct change *change, int64_t notice_id,
                          const pusherc_http_request *request)
{
    struct store *store = change->program->store;
    char title[FIELD_LINE_BYTES];
    char effect[32];
    if (!store_has(store, "SELECT 1 FROM notices WHERE id = ? AND state <> 'resolved'",
                   VALUES(INT(notice_id))))
        return "This incident is over.";
    if (!notice_read_title(title, request))
        return notice_no_title;
    if (!read_effect(effect, change, request))
        return no_effect;
    bool same_title = store_has(store, "SELECT 1 FROM notices WHERE id = ? AND title = ?",
                                VALUES(INT(notice_id), TEXT(title)));
    bool same_effect = store_has(store, "SELECT 1 FROM notices WHERE id = ? AND effect = ?",
                                 VALUES(INT(notice_id), TEXT(effect)));
    change_run(change, "UPDATE notices SET title = ?, effect = ? WHERE id = ?",
               VALUES(TEXT(title), TEXT(effect), INT(notice_id)));
    bool same_services = !field_ticked(request, "services") ||
                         !notice_set_services(change, notice_id, request, false);
    change->nothing = same_title && same_effect && same_services;
    notice_tell_correction(change, notice_id, "incident.updated");
    if (!same_effect || !same_services)
        services_follow(change, notice_id, "");
    return NULL;
}

const char *incident_update(struct change *change, int64_t notice_id,
                            const pusherc_http_request *request)
{
    char state[32];
    char message[MESSAGE_BYTES];
    bool internal = field_ticked(request, "internal");
    if (!field_line(state, sizeof state, request, "state") || !is_status(change, "incident", state))
        return "Choose a state.";
    if (!message_read(message, request) || !message[0])
        return notice_no_message;
    bool over = strcmp(state, "resolved") == 0;
    if (internal && over)
        return "Visitors have to hear of the end, so this cannot be an internal note.";
    if (!store_has(change->program->store,
                   "SELECT 1 FROM notices WHERE id = ? AND state <> 'resolved'",
                   VALUES(INT(notice_id))))
        return "This incident is over.";
    notice_add_update(change, notice_id, over ? "incident.resolved" : "incident.updated", state,
                      message, internal);
    if (over)
        services_follow(change, notice_id, message);
    return NULL;
}
