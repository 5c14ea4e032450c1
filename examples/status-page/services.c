#include "services.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "site.h"
#include "store.h"
#include "uptime.h"

#define ISO  "'%Y-%m-%dT%H:%M:%SZ'"
#define TEXT "'%Y-%m-%d %H:%M UTC'"

static const struct {
    const char *name;
    const char *label;
    const char *overall; /* if it is the worst */
} statuses[] = {
    [STATUS_OPERATIONAL] = {"operational", "Operational", "All systems operational"},
    [STATUS_MAINTENANCE] = {"maintenance", "Maintenance", "Maintenance under way"},
    [STATUS_DEGRADED] = {"degraded", "Degraded performance", "Some systems are slow"},
    [STATUS_PARTIAL_OUTAGE] = {"partial_outage", "Partial outage", "Partial system outage"},
    [STATUS_MAJOR_OUTAGE] = {"major_outage", "Major outage", "Major system outage"},
};

#define STATUS_COUNT ((int)(sizeof statuses / sizeof statuses[0]))

const char *service_status_name(enum service_status status)
{
    return statuses[status].name;
}

const char *service_label(enum service_status status)
{
    return statuses[status].label;
}

enum service_status service_status(const char *name)
{
    for (int i = 0; i < STATUS_COUNT; i++) {
        if (strcmp(statuses[i].name, name) == 0)
            return (enum service_status)i;
    }
    return STATUS_OPERATIONAL;
}

bool service_is_status(const char *name)
{
    return strcmp(statuses[service_status(name)].name, name) == 0;
}

cJSON *organization_by_slug(struct site *site, const char *slug)
{
    return store_row(site->store,
                     "SELECT id, slug, name, tagline, revision FROM organizations WHERE slug = ?",
                     STORE_VALUES(STORE_TEXT(slug)));
}

int64_t service_organization(struct site *site, int64_t service_id)
{
    cJSON *row = store_row(site->store, "SELECT organization_id FROM services WHERE id = ?",
                           STORE_VALUES(STORE_INT(service_id)));
    int64_t id = row_int(row, "organization_id");
    cJSON_Delete(row);
    return id;
}

/* Viewing */

/* The label beside each "status", "old_status" and "new_status". */
static void add_label(cJSON *row, const char *column, const char *name)
{
    enum service_status status = service_status(row_text(row, column));
    cJSON_AddStringToObject(row, name, service_label(status));
}

static void add_choices(cJSON *service)
{
    cJSON *choices = cJSON_AddArrayToObject(service, "choices");
    for (int i = 0; i < STATUS_COUNT; i++) {
        cJSON *choice = cJSON_CreateObject();
        cJSON_AddStringToObject(choice, "status", statuses[i].name);
        cJSON_AddStringToObject(choice, "label", statuses[i].label);
        cJSON_AddBoolToObject(choice, "chosen",
                              strcmp(statuses[i].name, row_text(service, "status")) == 0);
        cJSON_AddItemToArray(choices, choice);
    }
}

static void add_groups(struct site *site, cJSON *organization, cJSON *services,
                       enum service_view view)
{
    int64_t now_s = (int64_t)time(NULL);
    enum service_status worst = STATUS_OPERATIONAL;
    cJSON *groups = cJSON_AddArrayToObject(organization, "groups");
    cJSON *in_group = NULL;
    const char *group_name = "";
    while (services && services->child) {
        cJSON *service = cJSON_DetachItemFromArray(services, 0);
        enum service_status status = service_status(row_text(service, "status"));
        worst = status > worst ? status : worst;
        add_label(service, "status", "label");
        uptime_add(site->store, service, now_s);
        if (view == VIEW_EDITOR)
            add_choices(service);
        if (!in_group || strcmp(group_name, row_text(service, "group_name")) != 0) {
            cJSON *group = cJSON_CreateObject();
            group_name = row_text(service, "group_name");
            cJSON_AddStringToObject(group, "group", group_name);
            in_group = cJSON_AddArrayToObject(group, "services");
            cJSON_AddItemToArray(groups, group);
        }
        cJSON_AddItemToArray(in_group, service);
    }
    cJSON *overall = cJSON_AddObjectToObject(organization, "overall");
    cJSON_AddStringToObject(overall, "overall_status", statuses[worst].name);
    cJSON_AddStringToObject(overall, "overall_text", statuses[worst].overall);
}

void services_add(struct site *site, cJSON *organization, enum service_view view)
{
    int64_t id = row_int(organization, "id");
    cJSON *services =
        store_rows(site->store,
                   "SELECT s.id, s.name, s.group_name, s.description, s.status, s.created_at,"
                   " CASE WHEN s.status <> 'operational' THEN l.message END note,"
                   " strftime(" ISO ", l.at, 'unixepoch') since, strftime(" TEXT
                   ", l.at, 'unixepoch') since_text"
                   " FROM services s LEFT JOIN status_log l"
                   " ON l.id = (SELECT max(id) FROM status_log WHERE service_id = s.id)"
                   " WHERE s.organization_id = ? ORDER BY s.position",
                   STORE_VALUES(STORE_INT(id)));
    add_groups(site, organization, services, view);
    cJSON_Delete(services);

    cJSON *activity = store_rows(
        site->store,
        "SELECT l.id, s.name, l.old_status, l.new_status, l.message,"
        " strftime(" ISO ", l.at, 'unixepoch') at, strftime(" TEXT ", l.at, 'unixepoch') at_text,"
        " CASE WHEN ? THEN coalesce(u.name, '') ELSE '' END who"
        " FROM status_log l JOIN services s ON s.id = l.service_id"
        " LEFT JOIN users u ON u.id = l.user_id"
        " WHERE s.organization_id = ? ORDER BY l.at DESC, l.id DESC LIMIT 12",
        STORE_VALUES(STORE_INT(view != VIEW_PUBLIC), STORE_INT(id)));
    cJSON *entry;
    cJSON_ArrayForEach(entry, activity)
    {
        add_label(entry, "old_status", "old_label");
        add_label(entry, "new_status", "new_label");
    }
    if (activity)
        cJSON_AddItemToObject(organization, "activity", activity);
}

/* Changing */

static int write_change(struct store *store, int64_t service_id, int64_t user_id,
                        enum service_status status, const char *message)
{
    const char *name = service_status_name(status);
    if (store_run(
            store,
            "INSERT INTO status_log (service_id, old_status, new_status, message, user_id, at)"
            " SELECT id, status, ?, ?, ?, unixepoch() FROM services WHERE id = ?",
            STORE_VALUES(STORE_TEXT(name), STORE_TEXT(message), STORE_INT(user_id),
                         STORE_INT(service_id))) != 0 ||
        store_run(store, "UPDATE services SET status = ? WHERE id = ?",
                  STORE_VALUES(STORE_TEXT(name), STORE_INT(service_id))) != 0)
        return -1;
    return store_run(store,
                     "UPDATE organizations SET revision = revision + 1"
                     " WHERE id = (SELECT organization_id FROM services WHERE id = ?)",
                     STORE_VALUES(STORE_INT(service_id)));
}

int service_change(struct site *site, int64_t service_id, int64_t user_id,
                   enum service_status status, const char *message)
{
    struct store *store = site->store;
    if (store_run(store, "BEGIN IMMEDIATE", NULL, 0) != 0)
        return -1;
    if (write_change(store, service_id, user_id, status, message) != 0 ||
        store_run(store, "COMMIT", NULL, 0) != 0) {
        store_run(store, "ROLLBACK", NULL, 0);
        return -1;
    }
    /* First written, then told: whoever hears of it can already read it. */
    cJSON *change = store_row(store,
                              "SELECT o.id organization_id, o.revision, l.service_id, l.old_status,"
                              " l.new_status, l.message, strftime(" ISO ", l.at, 'unixepoch') at"
                              " FROM status_log l JOIN services s ON s.id = l.service_id"
                              " JOIN organizations o ON o.id = s.organization_id"
                              " WHERE l.service_id = ? ORDER BY l.id DESC LIMIT 1",
                              STORE_VALUES(STORE_INT(service_id)));
    if (change)
        events_status_changed(site, change);
    cJSON_Delete(change);
    return 0;
}
