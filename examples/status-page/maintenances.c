#include "maintenances.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/change.h"
#include "common/program.h"
#include "notices.h"
#include "organization.h"
#include "services.h"

#define MAX_MINUTES (7 * 24 * 60)
/* "Now", as a form with minutes says it, is past when it arrives. */
#define LATE_S "60"

/* When it is planned, for SQLite to read; NULL, or why not. */
static const char *read_times(char starts_at[32], int64_t *minutes, struct change *change,
                              const pusherc_http_request *request)
{
    char text[8];
    /* SQLite's other forms ("now", plain numbers) are not for here. */
    if (!field_line(starts_at, 32, request, "starts_at") || !strchr(starts_at, 'T') ||
        !store_has(change->program->store, "SELECT 1 WHERE unixepoch(?) > 0",
                   VALUES(TEXT(starts_at))))
        return "Say when it starts.";
    field_line(text, sizeof text, request, "minutes");
    *minutes = strtol(text, NULL, 10);
    return *minutes < 1 || *minutes > MAX_MINUTES ? "It can take from a minute to a week." : NULL;
}

static const char *check_future(struct change *change, const char *starts_at)
{
    return store_has(change->program->store, "SELECT 1 WHERE unixepoch(?) > unixepoch() - " LATE_S,
                     VALUES(TEXT(starts_at)))
               ? NULL
               : "That time is past. Choose a start that is still to come.";
}

const char *maintenance_schedule(struct change *change, int64_t organization_id,
                                 const pusherc_http_request *request)
{
    char title[FIELD_LINE_BYTES];
    char message[MESSAGE_BYTES];
    char starts_at[32];
    int64_t minutes;
    if (!notice_read_title(title, request))
        return notice_no_title;
    if (!message_read(message, request))
        return notice_no_message;
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
    notice_set_services(change, id, request, true);
    notice_add_update(change, id, "maintenance.scheduled", "scheduled", message, false);
    return NULL;
}

/* "" if there is no such maintenance, or it is over. */
static void find_state(char out[16], struct change *change, int64_t notice_id)
{
    cJSON *row = store_row(change->program->store,
                           "SELECT state FROM notices WHERE id = ? AND kind = 'maintenance'"
                           " AND state IN ('scheduled', 'started')",
                           VALUES(INT(notice_id)));
    snprintf(out, 16, "%s", row_text(row, "state"));
    cJSON_Delete(row);
}

const char *maintenance_edit(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request)
{
    struct store *store = change->program->store;
    char title[FIELD_LINE_BYTES];
    char state[16];
    char starts_at[32];
    int64_t minutes;
    find_state(state, change, notice_id);
    if (!state[0])
        return "This maintenance is over.";
    if (!notice_read_title(title, request))
        return notice_no_title;
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
    bool same_services = !field_ticked(request, "services") ||
                         !notice_set_services(change, notice_id, request, false);
    change->nothing = same_title && same_times && same_services;
    if (same_times)
        notice_tell_correction(change, notice_id, "maintenance.updated");
    else
        notice_add_update(change, notice_id, "maintenance.updated", state,
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
        return notice_no_message;
    notice_add_update(change, notice_id, "maintenance.updated", state, message,
                      field_ticked(request, "internal"));
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
    if (!store_has(change->program->store, "SELECT 1 FROM notices WHERE id = ? AND state = ?",
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
    notice_add_update(change, notice_id, step->event, step->to, step->message, false);
    services_follow(change, notice_id, "");
    return NULL;
}

const char *maintenance_move(struct change *change, int64_t notice_id,
                             const pusherc_http_request *request)
{
    char state[16];
    field_line(state, sizeof state, request, "state");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(state, steps[i].to) == 0)
            return move(change, notice_id, &steps[i]);
    }
    return "Start it, complete it or cancel it.";
}

void maintenance_tick(struct program *program)
{
    cJSON *due = store_rows(
        program->store,
        "SELECT id, organization_id, state = 'started' step FROM notices"
        " WHERE kind = 'maintenance' AND (state = 'scheduled' AND starts_at <= unixepoch()"
        " OR state = 'started' AND ends_at <= unixepoch())",
        NO_VALUES);
    const cJSON *notice;
    cJSON_ArrayForEach(notice, due)
    {
        struct change change;
        organization_begin(&change, program, row_int(notice, "organization_id"), 0, NULL);
        move(&change, row_int(notice, "id"), &steps[row_int(notice, "step")]);
        change_end(&change);
    }
    cJSON_Delete(due);
}
