#include "simulate.h"

#include <math.h>
#include <stdlib.h>

#include "common/random.h"
#include "common/say.h"
#include "poll.h"

#define TICK_MS       20
#define TICKS         50 /* of a round: each gateway's turn comes once a second */
#define DROP_EVERY_S  8
#define FLOOD_EVERY_S 45

struct simulation {
    uv_timer_t timer;
    uint64_t state; /* of the random numbers */
    uint64_t tick;
    uint64_t began_ms; /* by the loop's clock */
    double late_ms_max;
};

static double measure(struct simulation *simulation, const struct gateway *gateway,
                      const struct point *point, int64_t now)
{
    double phase = (double)(point->id % 97) / 97 * 2 * M_PI;
    double period_s = 60 + (double)(point->id % 11) * 20;
    double noise = (random_part(&simulation->state) - 0.5) * point->swing * 0.02;
    if (point->limit > 0 && gateway->overflow_until_ms > now)
        return fmin(point->limit + 8, fmax(point->value, point->middle) + 6 + noise);
    return point->middle + point->swing * sin((double)now / 1000 / period_s * 2 * M_PI + phase) +
           noise;
}

static void poll(struct monitor *monitor, struct gateway *gateway, int64_t now)
{
    struct measured measured[MAX_POINTS];
    if (gateway->down_until_ms > now) {
        poll_ended(monitor, gateway, NULL);
        return;
    }
    for (size_t i = 0; i < gateway->point_count; i++) {
        const struct point *point = &monitor->points[gateway->first_point + i];
        bool odd = random_part(&monitor->simulation->state) < 0.0005;
        measured[i].value = measure(monitor->simulation, gateway, point, now);
        measured[i].quality = odd ? QUALITY_UNCERTAIN : QUALITY_GOOD;
    }
    poll_ended(monitor, gateway, measured);
}

static struct gateway *any_gateway(struct monitor *monitor)
{
    size_t nth =
        (size_t)(random_part(&monitor->simulation->state) * (double)monitor->gateway_count);
    return &monitor->gateways[nth];
}

static void on_tick(uv_timer_t *timer)
{
    struct monitor *monitor = timer->data;
    struct simulation *simulation = monitor->simulation;
    uint64_t passed_ms = uv_now(timer->loop) - simulation->began_ms;
    uint64_t due = passed_ms / TICK_MS;
    int64_t now = now_ms();
    if (monitor->program->ending)
        return;
    if (due > simulation->tick + TICKS)
        simulation->tick = due - TICKS; /* the machine slept */
    double late_ms = (double)passed_ms - (double)(simulation->tick * TICK_MS);
    if (late_ms > simulation->late_ms_max)
        simulation->late_ms_max = late_ms;
    for (; simulation->tick < due && monitor->gateway_count; simulation->tick++) {
        for (size_t i = simulation->tick % TICKS; i < monitor->gateway_count; i += TICKS)
            poll(monitor, &monitor->gateways[i], now);
        if (simulation->tick % (DROP_EVERY_S * TICKS) == TICKS)
            any_gateway(monitor)->down_until_ms =
                now + 5000 + (int64_t)(random_part(&simulation->state) * 35000);
        if (simulation->tick % (FLOOD_EVERY_S * TICKS) == 2 * TICKS)
            any_gateway(monitor)->overflow_until_ms = now + 20000;
    }
}

void simulate_begin(struct monitor *monitor)
{
    struct simulation *simulation = calloc(1, sizeof *simulation);
    if (!simulation) {
        say("no memory for the simulation");
        return;
    }
    simulation->state = random_begin(monitor->seed);
    simulation->began_ms = uv_now(monitor->program->loop);
    uv_timer_init(monitor->program->loop, &simulation->timer);
    simulation->timer.data = monitor;
    uv_timer_start(&simulation->timer, on_tick, TICK_MS, TICK_MS);
    monitor->simulation = simulation;
}

static void closed(uv_handle_t *handle)
{
    struct monitor *monitor = handle->data;
    free(monitor->simulation);
    monitor->simulation = NULL;
}

void simulate_end(struct monitor *monitor)
{
    if (monitor->simulation)
        uv_close((uv_handle_t *)&monitor->simulation->timer, closed);
}

void simulate_lose_site(struct monitor *monitor, unsigned site, int64_t for_ms)
{
    int64_t until = now_ms() + for_ms;
    for (size_t i = 0; i < monitor->gateway_count; i++) {
        if (monitor->gateways[i].site == site)
            monitor->gateways[i].down_until_ms = until;
    }
}
