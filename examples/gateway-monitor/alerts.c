#include "alerts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audience.h"
#include "common/change.h"
#include "common/say.h"
#include "post.h"

#define ALERT                                                                                      \
    " FROM alerts a JOIN data_points p ON p.id = a.data_point_id"                                  \
    " JOIN gateways g ON g.id = p.gateway_id LEFT JOIN users u ON u.id = a.acknowledged_by"

static const char alert_event[] =
    "SELECT json_object('id', a.id, 'severity', a.severity, 'rule', a.rule, 'value', "
    "round(a.value, 2),"
    " 'limit', a.limit_value) \"json:alert\", json_object('id', g.id, 'name', g.name) "
    "\"json:gateway\","
    " json_object('id', p.id, 'label', p.label, 'unit', p.unit) \"json:data_point\","
    " strftime('%Y-%m-%dT%H:%M:%fZ') timestamp" ALERT " WHERE a.id = ?";
static const char closed_event[] =
    "SELECT json_object('id', a.id, 'cleared', iif(a.cleared_at_ms, json('true'), json('false')),"
    " 'acknowledged_by', u.name) \"json:alert\", strftime('%Y-%m-%dT%H:%M:%fZ') timestamp" ALERT
    " WHERE a.id = ?";

/* Each user by a channel of his own; a change has room for some of them at a time. */
static void tell_responsible(struct change *change, const char *name, const char *sql,
                             int64_t alert_id)
{
    cJSON *users =
        store_rows(change->program->store,
                   "SELECT m.user_id" ALERT " JOIN permissions m ON m.site_id = g.site_id"
                   " AND m.responsible WHERE a.id = ?",
                   VALUES(INT(alert_id)));
    const cJSON *user;
    change_to_none(change);
    cJSON_ArrayForEach(user, users)
    {
        change_to(change, "private-user.%" PRId64, row_int(user, "user_id"));
        if (change->channel_count < CHANGE_CHANNELS && user->next)
            continue;
        change_tell(change, name, sql, VALUES(INT(alert_id)));
        change_to_none(change);
    }
    cJSON_Delete(users);
}

static void raise_alert(struct monitor *monitor, struct point *point)
{
    struct change change;
    change_begin(&change, monitor->program, 0, NULL);
    change_run(
        &change,
        "INSERT INTO alerts (data_point_id, rule, severity, value, limit_value, raised_at_ms)"
        " VALUES (?, 'above', 'critical', ?, ?, ?)",
        VALUES(INT(point->id), REAL(point->value), REAL(point->limit), INT(point->read_at_ms)));
    int64_t id = change_new_id(&change);
    tell_responsible(&change, "gateway.alert", alert_event, id);
    if (change_end(&change) != 0) {
        say("an alert is not written");
        return; /* the next reading tries again */
    }
    point->alert_id = id;
    if (monitor->alert_url) {
        cJSON *event = store_row(monitor->program->store, alert_event, VALUES(INT(id)));
        post_json(monitor, event);
        cJSON_Delete(event);
    }
}

static void clear_alert(struct monitor *monitor, struct point *point)
{
    struct change change;
    change_begin(&change, monitor->program, 0, NULL);
    change_run(&change, "UPDATE alerts SET cleared_at_ms = ? WHERE id = ?",
               VALUES(INT(point->read_at_ms), INT(point->alert_id)));
    tell_responsible(&change, "gateway.alert-closed", closed_event, point->alert_id);
    if (change_end(&change) == 0)
        point->alert_id = 0;
}

void alerts_check(struct monitor *monitor, struct point *point)
{
    if (point->limit <= 0 || point->quality == QUALITY_BAD)
        return;
    if (point->value <= point->limit) {
        point->above_since_ms = 0;
        if (point->alert_id && point->value < point->limit - point->hysteresis)
            clear_alert(monitor, point);
        return;
    }
    if (!point->above_since_ms)
        point->above_since_ms = point->read_at_ms;
    if (!point->alert_id && point->read_at_ms - point->above_since_ms >= point->delay_ms)
        raise_alert(monitor, point);
}

cJSON *alerts_list(struct program *program, uint64_t sites)
{
    return store_rows(
        program->store,
        "SELECT a.id alert_id, g.id gateway_id, g.name gateway, p.label, p.unit,"
        " round(a.value, 1) value, a.limit_value \"limit\", a.severity, u.name by,"
        " a.acknowledged_by IS NULL open, a.cleared_at_ms IS NOT NULL cleared,"
        " strftime('%Y-%m-%dT%H:%M:%SZ', a.raised_at_ms / 1000, 'unixepoch') raised_at" ALERT
        " WHERE ? >> g.site_id & 1 ORDER BY a.id DESC LIMIT 50",
        VALUES(INT((int64_t)sites)));
}

void alerts_acknowledge(struct program *program, pusherc_http_request *request,
                        const struct http_params *params)
{
    int64_t id = strtoll(params->value[0], NULL, 10);
    struct session session;
    struct audience audience;
    struct change change;
    audience_of(program, request, &session, &audience);
    if (!session_may_write(&session, request)) {
        http_send_error(request, session.user_id ? 403 : 401, "Please sign in.");
        return;
    }
    if (!store_has(program->store, "SELECT 1" ALERT " WHERE a.id = ? AND ? >> g.site_id & 1",
                   VALUES(INT(id), INT((int64_t)audience.sites)))) {
        http_send_error(request, 404, "There is no such alert, or it is not yours.");
        return;
    }
    change_begin(&change, program, session.user_id, request);
    change.nothing = store_has(program->store,
                               "SELECT 1 FROM alerts WHERE id = ? AND acknowledged_by IS NOT NULL",
                               VALUES(INT(id)));
    change_run(&change,
               "UPDATE alerts SET acknowledged_by = ?, acknowledged_at_ms = ? WHERE id = ?",
               VALUES(change_user(&change), INT(now_ms()), INT(id)));
    tell_responsible(&change, "gateway.alert-closed", closed_event, id);
    if (change_end(&change) != 0)
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
    else if (http_wants_json(request))
        http_send(request, &(struct http_answer){.status = 204});
    else
        http_redirect(request, "/alerts", NULL);
}
