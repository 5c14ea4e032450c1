/* The fleet as pages show it. */
#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/store.h"

static bool sees(uint64_t sites, const struct gateway *gateway)
{
    return sites >> gateway->site & 1;
}

void fleet_count(const struct monitor *monitor, uint64_t sites, size_t *active, size_t *inactive)
{
    *active = *inactive = 0;
    for (size_t i = 0; i < monitor->gateway_count; i++) {
        if (sees(sites, &monitor->gateways[i]))
            ++*(monitor->gateways[i].active ? active : inactive);
    }
}

/* "line":[[when,value],...], when in ms since 1970. */
static void put_line(FILE *out, const struct monitor *monitor, const struct point *point,
                     int64_t since_ms)
{
    uint64_t first = point->samples > LINE_SAMPLES ? point->samples - LINE_SAMPLES : 0;
    const char *comma = "";
    fprintf(out, ",\"point\":%" PRId64 ",\"line\":[", point->id);
    for (uint64_t i = first; i < point->samples; i++) {
        const struct sample *sample = &point->line[i % LINE_SAMPLES];
        int64_t at_ms = (int64_t)sample->at_s10 * 100 + monitor->started_ms - 600000;
        if (at_ms <= since_ms)
            continue;
        fprintf(out, "%s[%" PRId64 ",%.4g]", comma, at_ms, (double)sample->value);
        comma = ",";
    }
    fputc(']', out);
}

/* A gateway is [id, active, seconds since it was seen, values, what is not good]: 200 of them in 20 KB. */
static void put_gateway(FILE *out, const struct monitor *monitor, const struct gateway *gateway,
                        int64_t now)
{
    int64_t age_s = gateway->last_seen_ms ? (now - gateway->last_seen_ms) / 1000 : -1;
    bool good = true;
    fprintf(out, "[%" PRId64 ",%d,%" PRId64 ",[", gateway->id, gateway->active, age_s);
    for (size_t i = 0; i < gateway->point_count; i++) {
        const struct point *point = &monitor->points[gateway->first_point + i];
        fprintf(out, "%s%.5g", i ? "," : "", point->value);
        good = good && point->quality == QUALITY_GOOD;
    }
    fputc(']', out);
    for (size_t i = 0; !good && i < gateway->point_count; i++)
        fprintf(out, "%s%d%s", i ? "" : ",\"",
                (int)monitor->points[gateway->first_point + i].quality,
                i + 1 == gateway->point_count ? "\"" : "");
    fputc(']', out);
}

char *fleet_dashboard(const struct monitor *monitor, uint64_t sites, int64_t point_id,
                      int64_t since_ms, size_t *bytes)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    if (!out)
        return NULL;
    int64_t now = now_ms();
    size_t active, inactive;
    const char *comma = "";
    fleet_count(monitor, sites, &active, &inactive);
    fprintf(out, "{\"revision\":%" PRId64 ",\"active\":%zu,\"inactive\":%zu,\"gateways\":[", now,
            active, inactive);
    for (size_t i = 0; i < monitor->gateway_count; i++) {
        if (!sees(sites, &monitor->gateways[i]))
            continue;
        fputs(comma, out);
        put_gateway(out, monitor, &monitor->gateways[i], now);
        comma = ",";
    }
    fputc(']', out);
    const struct point *point = point_id ? fleet_point(monitor, point_id) : NULL;
    if (point && sees(sites, &monitor->gateways[point->gateway]))
        put_line(out, monitor, point, since_ms);
    fputc('}', out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* -- for drawing -- */

static cJSON *draw_points(const struct monitor *monitor, const struct gateway *gateway)
{
    cJSON *points = cJSON_CreateArray();
    for (size_t i = 0; i < gateway->point_count; i++) {
        const struct point *point = &monitor->points[gateway->first_point + i];
        char text[128];
        snprintf(text, sizeof text, "%.1f", point->value);
        cJSON *whole = NULL;
        char *json = NULL;
        if (asprintf(&json, "{%s}", point->json) > 0)
            whole = cJSON_Parse(json);
        free(json);
        cJSON *drawn = cJSON_DetachItemFromObject(whole, "data_point");
        cJSON_Delete(whole);
        cJSON_AddStringToObject(drawn, "value", point->read_at_ms ? text : "-");
        cJSON_AddStringToObject(drawn, "quality", quality_name(point->quality));
        cJSON_AddItemToArray(points, drawn);
    }
    return points;
}

cJSON *fleet_describe(const struct monitor *monitor, const struct gateway *gateway, bool admin)
{
    char seen[TIME_BYTES];
    cJSON *drawn = cJSON_CreateObject();
    cJSON_AddNumberToObject(drawn, "gateway_id", (double)gateway->id);
    cJSON_AddStringToObject(drawn, "name", gateway->name);
    if (admin)
        cJSON_AddStringToObject(drawn, "ip_address", gateway->ip_address);
    cJSON_AddBoolToObject(drawn, "active", gateway->active);
    cJSON_AddStringToObject(drawn, "status", gateway->active ? "active" : "inactive");
    cJSON_AddNumberToObject(drawn, "success_count", (double)gateway->success_count);
    cJSON_AddNumberToObject(drawn, "failure_count", (double)gateway->failure_count);
    if (gateway->last_seen_ms) {
        write_time(seen, gateway->last_seen_ms);
        cJSON_AddStringToObject(drawn, "last_seen_at", seen);
    }
    cJSON_AddItemToObject(drawn, "points", draw_points(monitor, gateway));
    return drawn;
}

cJSON *fleet_sites(const struct monitor *monitor, uint64_t sites)
{
    cJSON *all = cJSON_CreateArray();
    cJSON *rows =
        store_rows(monitor->program->store, "SELECT id, name FROM sites ORDER BY id", NO_VALUES);
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        unsigned id = (unsigned)row_int(row, "id");
        if (!(sites >> id & 1))
            continue;
        cJSON *site = cJSON_CreateObject();
        cJSON_AddNumberToObject(site, "site_id", id);
        cJSON_AddStringToObject(site, "site", row_text(row, "name"));
        cJSON *gateways = cJSON_AddArrayToObject(site, "gateways");
        for (size_t i = 0; i < monitor->gateway_count; i++) {
            if (monitor->gateways[i].site == id)
                cJSON_AddItemToArray(gateways,
                                     fleet_describe(monitor, &monitor->gateways[i], false));
        }
        cJSON_AddItemToArray(all, site);
    }
    cJSON_Delete(rows);
    return all;
}
