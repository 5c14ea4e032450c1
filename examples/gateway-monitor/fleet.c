#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store.h"

const char *quality_name(enum quality quality)
{
    static const char *const names[] = {"good", "bad", "uncertain"};
    return names[quality];
}

/* -- loading -- */

/* Names, addresses and limits of gateways without a name of their own. */
static int make_gateways(struct store *store, int64_t wanted)
{
    static const char gateways[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        " INSERT INTO gateways (id, site_id, name, ip_address)"
        " SELECT i, (i - 1) % (SELECT count(*) FROM sites) + 1,"
        " CASE i % 4 WHEN 0 THEN 'Pump station ' WHEN 1 THEN 'Reservoir ' WHEN 2 THEN 'Well '"
        " ELSE 'Booster ' END || i,"
        " format('10.%d.%d.%d', i % 6 + 1, i / 250, i % 250 + 2)"
        " FROM n WHERE i > (SELECT count(*) FROM gateways) AND (SELECT count(*) FROM sites) > 0";
    static const char points[] = "WITH kinds(n, part, label, unit, middle, swing, dead_band, high, "
                                 "hysteresis, delay_s) AS (VALUES"
                                 " (1, 'climate', 'Temperature', '°C', 21, 6, 0.1, NULL, 0, 0),"
                                 " (2, 'tank', 'Level', '%', 55, 20, 0.4, 90, 5, 3),"
                                 " (3, 'power', 'Voltage', 'V', 230, 4, 0.3, NULL, 0, 0),"
                                 " (4, 'pump', 'Flow', 'm³/h', 40, 15, 0.5, NULL, 0, 0),"
                                 " (5, 'radio', 'Signal', 'dBm', -70, 8, 1, NULL, 0, 0))"
                                 " INSERT INTO data_points SELECT (g.id - 1) * 5 + n, g.id, part, "
                                 "label, unit, middle, swing,"
                                 " dead_band, high, hysteresis, delay_s FROM gateways g, kinds"
                                 " WHERE g.id NOT IN (SELECT gateway_id FROM data_points)";
    if (store_run(store, "BEGIN IMMEDIATE", NO_VALUES) != 0)
        return -1;
    int status = store_run(store, gateways, VALUES(INT(wanted)));
    if (status == 0)
        status = store_run(store, points, NO_VALUES);
    return store_run(store, status == 0 ? "COMMIT" : "ROLLBACK", NO_VALUES) == 0 ? status : -1;
}

static double row_real(const cJSON *row, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, name);
    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

/* What each event says about the point: it is the same each time. */
static char *describe_point(const struct gateway *gateway, const cJSON *row)
{
    cJSON *all = cJSON_CreateObject();
    cJSON *point = cJSON_AddObjectToObject(all, "data_point");
    cJSON_AddNumberToObject(point, "id", (double)row_int(row, "id"));
    cJSON_AddNumberToObject(point, "gateway_id", (double)gateway->id);
    cJSON_AddStringToObject(point, "gateway", gateway->name);
    cJSON_AddStringToObject(point, "group", row_text(row, "part"));
    cJSON_AddStringToObject(point, "label", row_text(row, "label"));
    cJSON_AddStringToObject(point, "unit", row_text(row, "unit"));
    char *text = cJSON_PrintUnformatted(all);
    cJSON_Delete(all);
    char *inside = text ? strndup(text + 1, strlen(text) - 2) : NULL; /* without its braces */
    cJSON_free(text);
    return inside;
}

static int add_point(struct monitor *monitor, const cJSON *row)
{
    struct gateway *gateway = &monitor->gateways[monitor->gateway_count - 1];
    struct point *point = &monitor->points[monitor->point_count];
    if (gateway->point_count == MAX_POINTS)
        return 0;
    *point = (struct point){
        .id = row_int(row, "id"),
        .gateway = monitor->gateway_count - 1,
        .middle = row_real(row, "middle"),
        .swing = row_real(row, "swing"),
        .dead_band = monitor->every_value ? 0 : row_real(row, "dead_band"),
        .limit = row_real(row, "high"),
        .hysteresis = row_real(row, "hysteresis"),
        .delay_ms = row_int(row, "delay_s") * 1000,
        .alert_id = row_int(row, "alert_id"),
        .value = row_real(row, "middle"),
        .json = describe_point(gateway, row),
        .line = calloc(LINE_SAMPLES, sizeof(struct sample)),
    };
    if (!point->json || !point->line)
        return -1;
    monitor->point_count++;
    gateway->point_count++;
    return 0;
}

static void add_gateway(struct monitor *monitor, const cJSON *row)
{
    struct gateway *gateway = &monitor->gateways[monitor->gateway_count++];
    *gateway = (struct gateway){.id = row_int(row, "gateway_id"),
                                .site = (unsigned)row_int(row, "site_id"),
                                .active = row_int(row, "active") == 1,
                                .success_count = row_int(row, "success_count"),
                                .failure_count = row_int(row, "failure_count"),
                                .last_seen_ms = row_int(row, "last_seen_ms"),
                                .first_point = monitor->point_count};
    snprintf(gateway->name, sizeof gateway->name, "%s", row_text(row, "name"));
    snprintf(gateway->ip_address, sizeof gateway->ip_address, "%s", row_text(row, "ip_address"));
}

/* The last ten minutes, after a restart. */
static void load_lines(struct monitor *monitor, const struct gateway *gateway)
{
    cJSON *rows = store_rows(monitor->program->store,
                             "SELECT data_point_id id, read_at_ms, scaled_value FROM readings"
                             " WHERE gateway_id = ? AND read_at_ms > ? ORDER BY read_at_ms",
                             VALUES(INT(gateway->id), INT(monitor->started_ms - 600000)));
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        for (size_t i = 0; i < gateway->point_count; i++) {
            struct point *point = &monitor->points[gateway->first_point + i];
            if (point->id != row_int(row, "id"))
                continue;
            point->value = row_real(row, "scaled_value");
            point->read_at_ms = row_int(row, "read_at_ms");
            fleet_add_sample(monitor, point, point->read_at_ms, point->value);
        }
    }
    cJSON_Delete(rows);
}

int fleet_load(struct monitor *monitor, int64_t wanted)
{
    struct store *store = monitor->program->store;
    if (wanted > MAX_GATEWAYS || make_gateways(store, wanted) != 0)
        return -1;
    int64_t last = monitor->gateway_count ? monitor->gateways[monitor->gateway_count - 1].id : 0;
    cJSON *rows =
        store_rows(store,
                   "SELECT p.*, g.site_id, g.name, g.ip_address, g.active, g.success_count,"
                   " g.failure_count, g.last_seen_ms, a.id alert_id FROM gateways g"
                   " JOIN data_points p ON p.gateway_id = g.id LEFT JOIN alerts a"
                   " ON a.data_point_id = p.id AND a.cleared_at_ms IS NULL"
                   " WHERE g.id > ? ORDER BY g.id, p.id",
                   VALUES(INT(last)));
    size_t more = (size_t)cJSON_GetArraySize(rows);
    struct gateway *gateways =
        realloc(monitor->gateways, (monitor->gateway_count + more + 1) * sizeof *gateways);
    if (gateways)
        monitor->gateways = gateways;
    struct point *points =
        realloc(monitor->points, (monitor->point_count + more + 1) * sizeof *points);
    if (points)
        monitor->points = points;
    int status = rows && gateways && points ? 0 : -1;
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (status != 0)
            break;
        size_t count = monitor->gateway_count;
        if (count == 0 || monitor->gateways[count - 1].id != row_int(row, "gateway_id"))
            add_gateway(monitor, row);
        status = add_point(monitor, row);
    }
    cJSON_Delete(rows);
    for (size_t i = 0; status == 0 && i < monitor->gateway_count; i++) {
        if (monitor->gateways[i].id > last)
            load_lines(monitor, &monitor->gateways[i]);
    }
    return status;
}

void fleet_save(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->gateway_count; i++) {
        const struct gateway *gateway = &monitor->gateways[i];
        if (!gateway->polled_ms)
            continue; /* nothing new, or another server's */
        writer_put(monitor->writer,
                   "UPDATE gateways SET active = ?, success_count = ?, failure_count = ?,"
                   " last_seen_ms = ? WHERE id = ?",
                   VALUES(INT(gateway->active), INT(gateway->success_count),
                          INT(gateway->failure_count), INT(gateway->last_seen_ms),
                          INT(gateway->id)));
    }
}

void fleet_free(struct monitor *monitor)
{
    for (size_t i = 0; i < monitor->point_count; i++) {
        free(monitor->points[i].json);
        free(monitor->points[i].line);
    }
    free(monitor->points);
    free(monitor->gateways);
}

/* -- finding -- */

struct gateway *fleet_gateway(const struct monitor *monitor, int64_t id)
{
    for (size_t low = 0, high = monitor->gateway_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (monitor->gateways[middle].id == id)
            return &monitor->gateways[middle];
        if (monitor->gateways[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

struct point *fleet_point(const struct monitor *monitor, int64_t id)
{
    for (size_t i = 0; i < monitor->point_count; i++) {
        if (monitor->points[i].id == id)
            return &monitor->points[i];
    }
    return NULL;
}

void fleet_add_sample(struct monitor *monitor, struct point *point, int64_t at_ms, double value)
{
    int64_t since = at_ms - monitor->started_ms + 600000; /* those before the start are kept, too */
    point->line[point->samples++ % LINE_SAMPLES] =
        (struct sample){.at_s10 = (uint32_t)(since / 100), .value = (float)value};
}
