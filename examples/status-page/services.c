#include "services.h"

#include "common/change.h"
#include "common/fields.h"
#include "common/program.h"

/* What the log has got in this change. */
#define TELL                                                                                       \
    "SELECT s.public, l.service_id, l.old_status, l.new_status, l.message, l.notice_id,"           \
    " json_object('id', s.id, 'name', s.name, 'status', l.new_status) AS \"json:service\","        \
    " strftime('%Y-%m-%dT%H:%M:%SZ', l.at, 'unixepoch') timestamp, u.name by"                      \
    " FROM status_log l JOIN services s ON s.id = l.service_id LEFT JOIN users u ON u.id = "       \
    "l.user_id"

bool message_read(char out[MESSAGE_BYTES], const pusherc_http_request *request)
{
    bool text = field_text(out, MESSAGE_BYTES, request, "message");
    if (text && !out[0])
        text = field_text(out, MESSAGE_BYTES, request, "description");
    return text && field_characters(out) <= MESSAGE_MAX;
}

const char *service_add(struct change *change, int64_t organization_id,
                        const pusherc_http_request *request)
{
    char group[FIELD_LINE_BYTES];
    char name[FIELD_LINE_BYTES];
    char description[FIELD_LINE_BYTES];
    bool lines = field_line(group, sizeof group, request, "group") &&
                 field_line(name, sizeof name, request, "name") &&
                 field_line(description, sizeof description, request, "description");
    if (!lines || !group[0] || !name[0] || field_characters(group) > TITLE_MAX ||
        field_characters(name) > TITLE_MAX || field_characters(description) > TITLE_MAX)
        return "Give it a name and a group, and a description that is not too long.";
    change_run(change,
               "INSERT INTO services (organization_id, group_name, name, description, position,"
               " public, created_at) SELECT ?1, ?2, ?3, ?4, coalesce(max(position), 0) + 1, ?5,"
               " unixepoch() FROM services WHERE organization_id = ?1",
               VALUES(INT(organization_id), TEXT(group), TEXT(name), TEXT(description),
                      INT(!field_ticked(request, "hidden"))));
    change_tell(change, "service.created",
                "SELECT s.public, strftime('%Y-%m-%dT%H:%M:%SZ', s.created_at, 'unixepoch')"
                " timestamp, json_object('id', s.id, 'name', s.name, 'status', s.status)"
                " AS \"json:service\", u.name by FROM services s LEFT JOIN users u ON u.id = ?"
                " WHERE s.id = last_insert_rowid()",
                VALUES(change_user(change)));
    return NULL;
}

const char *service_change(struct change *change, int64_t service_id,
                           const pusherc_http_request *request)
{
    char status[32];
    char message[MESSAGE_BYTES];
    if (!field_line(status, sizeof status, request, "status") ||
        !store_has(change->program->store,
                   "SELECT 1 FROM statuses WHERE name = ? AND kind = 'service'",
                   VALUES(TEXT(status))))
        return "Choose a status.";
    if (!message_read(message, request))
        return "The message is too long.";
    /* An empty message does not take away the explanation that is shown. */
    change->nothing = store_has(
        change->program->store,
        "SELECT 1 FROM services s WHERE id = ?1 AND status = ?2 AND (?3 = '' OR ?3 = (SELECT"
        " message FROM status_log WHERE service_id = s.id ORDER BY id DESC LIMIT 1))",
        VALUES(INT(service_id), TEXT(status), TEXT(message)));
    if (change->nothing)
        return NULL;
    change_run(change,
               "INSERT INTO status_log (service_id, old_status, new_status, message, user_id, at)"
               " SELECT id, status, ?, ?, ?, unixepoch() FROM services WHERE id = ?",
               VALUES(TEXT(status), TEXT(message), change_user(change), INT(service_id)));
    change_run(change, "UPDATE services SET status = ? WHERE id = ?",
               VALUES(TEXT(status), INT(service_id)));
    change_tell(change, "service.status.changed", TELL " WHERE l.id = last_insert_rowid()",
                NO_VALUES);
    return NULL;
}

/* The worst of the notices that hold a service now. */
#define HELD                                                                                       \
    "coalesce((SELECT e.name FROM notice_services o JOIN notices m ON m.id = o.notice_id"          \
    " JOIN statuses e ON e.name = m.effect"                                                        \
    " WHERE o.service_id = s.id AND m.state NOT IN ('resolved', 'scheduled', 'completed', "        \
    "'cancelled')"                                                                                 \
    " ORDER BY e.rank DESC LIMIT 1), 'operational')"

void services_follow(struct change *change, int64_t notice_id, const char *message)
{
    /* A service whose status was set by hand meanwhile keeps it when the notice ends. */
    change_run(
        change,
        "INSERT INTO status_log (service_id, old_status, new_status, message, notice_id, "
        "user_id, at)"
        " SELECT s.id, s.status, " HELD ", ?, n.id, ?, unixepoch()"
        " FROM notices n JOIN services s ON s.id IN (SELECT service_id FROM notice_services"
        " WHERE notice_id = n.id) OR n.id = (SELECT notice_id FROM status_log"
        " WHERE service_id = s.id ORDER BY id DESC LIMIT 1)"
        " WHERE n.id = ? AND s.status <> " HELD
        " AND (n.state NOT IN ('resolved', 'completed', 'cancelled') OR s.status = n.effect)",
        VALUES(TEXT(message), change_user(change), INT(notice_id)));
    change_tell(change, "service.status.changed",
                TELL " WHERE l.id = (SELECT max(id) FROM status_log WHERE service_id = s.id)"
                     " AND l.notice_id = ? AND l.new_status <> s.status ORDER BY l.id",
                VALUES(INT(notice_id)));
    change_run(change,
               "UPDATE services SET status = l.new_status FROM status_log l"
               " WHERE l.id = (SELECT max(id) FROM status_log WHERE service_id = services.id)"
               " AND l.notice_id = ? AND l.service_id = services.id",
               VALUES(INT(notice_id)));
}
