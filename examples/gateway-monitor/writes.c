#include "writes.h"

#include <stdlib.h>
#include <string.h>

#include "audience.h"
#include "common/change.h"
#include "common/fields.h"
#include "fleet.h"
#include "poll.h"
#include "simulate.h"

/* False, and the request is answered, if it is no admin who may write. */
static bool may_write(struct program *program, pusherc_http_request *request)
{
    struct session session;
    struct audience audience;
    audience_of(program, request, &session, &audience);
    bool good = session_may_write(&session, request) && audience.admin;
    if (!good)
        http_send_error(request, session.user_id ? 403 : 401,
                        session.user_id ? "This is for admins." : "Please sign in.");
    return good;
}

/* What a poller elsewhere has read: `values`, one for each point, with commas; without them there was no answer. */
void write_poll(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    struct monitor *monitor = monitor_of(program);
    struct gateway *gateway = fleet_gateway(monitor, strtoll(params->value[0], NULL, 10));
    struct measured measured[MAX_POINTS];
    char text[FIELD_LINE_BYTES], quality[16], *at = text;
    if (!may_write(program, request))
        return;
    field_line(text, sizeof text, request, "values");
    field_line(quality, sizeof quality, request, "quality");
    size_t count = 0;
    for (; gateway && *at && count < gateway->point_count; count++) {
        measured[count].value = strtod(at, &at);
        measured[count].quality = strcmp(quality, "bad") == 0         ? QUALITY_BAD
                                  : strcmp(quality, "uncertain") == 0 ? QUALITY_UNCERTAIN
                                                                      : QUALITY_GOOD;
        at += *at == ',';
    }
    if (!gateway || *at || (count && count != gateway->point_count)) {
        http_send_error(request, 422,
                        "Say one value for each point of a gateway, with commas between.");
        return;
    }
    poll_ended(monitor, gateway, count ? measured : NULL);
    http_send(request, &(struct http_answer){.status = 204});
}

static void permissions_are_changed(uint64_t kept, uint64_t revoked, void *user_data)
{
    (void)kept, (void)revoked;
    http_send(user_data, &(struct http_answer){.status = 204});
}

/* `sites`: their numbers, with commas. Answered when each open page has what the user may see now. */
void write_permissions(struct program *program, pusherc_http_request *request,
                       const struct http_params *params)
{
    char sites[FIELD_LINE_BYTES];
    int64_t user_id = strtoll(params->value[0], NULL, 10);
    struct change change;
    if (!may_write(program, request))
        return;
    if (!field_line(sites, sizeof sites, request, "sites") || sites[strspn(sites, "0123456789,")]) {
        http_send_error(request, 422, "Say the numbers of sites, with commas between.");
        return;
    }
    if (!store_has(program->store, "SELECT 1 FROM people WHERE user_id = ?",
                   VALUES(INT(user_id)))) {
        http_send_error(request, 422, "There is no such user.");
        return;
    }
    change_begin(&change, program, user_id, request);
    change_run(&change, "DELETE FROM permissions WHERE user_id = ?", VALUES(INT(user_id)));
    change_run(&change,
               "INSERT INTO permissions (user_id, site_id) SELECT ?, s.id FROM sites s"
               " WHERE instr(',' || ? || ',', ',' || s.id || ',')",
               VALUES(INT(user_id), TEXT(sites)));
    if (change_end(&change) != 0)
        http_send_error(request, 500, "It could not be written. Nothing was changed.");
    else if (pusherc_reauthorize(program->server, program->app_id, NULL, permissions_are_changed,
                                 request) != 0)
        http_send_error(request, 500, "It is written, but open pages could not be asked again.");
}

void write_demo(struct program *program, pusherc_http_request *request,
                const struct http_params *params)
{
    struct monitor *monitor = monitor_of(program);
    struct session session;
    struct audience audience;
    char site[24];
    audience_of(program, request, &session, &audience);
    if (!monitor->simulation || !session_may_write(&session, request)) {
        http_send_error(request, session.user_id ? 403 : 401, "This is for users of the demo.");
        return;
    }
    field_line(site, sizeof site, request, "site");
    if (params->extra)
        fleet_load(monitor, 2000);
    else
        simulate_lose_site(monitor, (unsigned)strtoul(site, NULL, 10), 20000);
    if (http_wants_json(request))
        http_send(request, &(struct http_answer){.status = 204});
    else
        http_redirect(request, "/", NULL);
}
