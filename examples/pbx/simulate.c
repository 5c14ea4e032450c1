#include "simulate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "calls.h"
#include "common/random.h"
#include "common/say.h"

#define TICK_MS       20
#define RUNNING       4096
#define ORGANIZATIONS 3
#define DAY_MS        600000.0
#define STORM_MS      20000
#define STORM_GAP_MS  20 /* 50 calls a second */
#define BREAK_MS      15000
#define QUICK         3 /* the first calls of each organization come at once */

/* A call that runs, and what it does next. */
struct run {
    bool used;
    struct call_word next;
    int64_t due_ms;
    char extension_id[CALL_ID_BYTES]; /* that is called */
};

struct simulation {
    uv_timer_t timer;
    struct pbx *pbx;
    uint64_t random;
    double speed, pace; /* pace: calm 0.4, usual 1, busy 4 */
    int64_t began_ms, storm_until_ms, mute_until_ms, storm_next_ms;
    int64_t next_ms[ORGANIZATIONS + 1];
    unsigned calls[ORGANIZATIONS + 1];
    struct run runs[RUNNING];
};

/* By the clock of the simulation. */
static int64_t time_of(const struct simulation *simulation)
{
    return (int64_t)((double)(now_ms() - simulation->began_ms) * simulation->speed);
}

/* Each third call is for who has a page open last: one wants to see one's own extension ring. */
static bool choose_called(struct simulation *simulation, int64_t organization_id, struct run *run)
{
    struct program *program = simulation->pbx->program;
    bool own = simulation->calls[organization_id] % 3 == 1;
    int64_t nth = random_between(&simulation->random, 0, 7);
    cJSON *row = own ? store_row(program->store,
                                 "SELECT d.id, d.number, e.id extension_id FROM page_tokens t"
                                 " JOIN sessions s ON s.token_hash = t.parent"
                                 " JOIN extensions e ON e.user_id = s.user_id JOIN dids d ON"
                                 " d.extension_id = e.id WHERE e.organization_id = ?"
                                 " ORDER BY s.rowid DESC LIMIT 1",
                                 VALUES(INT(organization_id)))
                     : NULL;
    if (!row)
        row = store_row(program->store,
                        "SELECT d.id, d.number, e.id extension_id FROM dids d JOIN extensions e"
                        " ON e.id = d.extension_id WHERE e.organization_id = ?1"
                        " ORDER BY d.id LIMIT 1 OFFSET ?2",
                        VALUES(INT(organization_id), INT(nth)));
    bool found = row != NULL;
    snprintf(run->next.to, sizeof run->next.to, "%s", row_text(row, "number"));
    snprintf(run->next.did_id, sizeof run->next.did_id, "%lld", (long long)row_int(row, "id"));
    snprintf(run->extension_id, sizeof run->extension_id, "%lld",
             (long long)row_int(row, "extension_id"));
    cJSON_Delete(row);
    return found;
}

static void apply(struct simulation *simulation, struct call_word *word)
{
    struct change change;
    word->at_ms = now_ms();
    change_begin(&change, simulation->pbx->program, 0, NULL);
    change.nothing = calls_apply(&change, word) != CALL_DONE;
    change_end(&change);
}

/* What becomes of a call that rings. */
static void decide_end(struct simulation *simulation, struct run *run, int64_t now)
{
    int64_t fate = random_between(&simulation->random, 1, 100);
    int64_t rings_ms = random_between(&simulation->random, 2000, 12000);
    run->due_ms = now + rings_ms;
    run->next.step = fate <= 80 ? CALL_ANSWERED : CALL_ENDED;
    snprintf(run->next.extension_id, sizeof run->next.extension_id, "%s", run->extension_id);
    snprintf(run->next.status, sizeof run->next.status, "%s",
             fate <= 90   ? "no_answer"
             : fate <= 95 ? "busy"
             : fate <= 98 ? "failed"
                          : "canceled");
}

static void begin_call(struct simulation *simulation, int64_t organization_id, int64_t now)
{
    struct run *run = simulation->runs;
    while (run < simulation->runs + RUNNING && run->used)
        run++;
    if (run == simulation->runs + RUNNING)
        return;
    *run = (struct run){.used = true, .next = {.organization_id = organization_id}};
    call_make_id(run->next.call_id);
    snprintf(run->next.from, sizeof run->next.from, "+447700900%03d",
             (int)random_between(&simulation->random, 0, 999));
    run->used = choose_called(simulation, organization_id, run);
    if (!run->used)
        return;
    simulation->calls[organization_id]++;
    apply(simulation, &run->next);
    decide_end(simulation, run, now);
}

static void go_on(struct simulation *simulation, struct run *run, int64_t now)
{
    apply(simulation, &run->next);
    run->used = run->next.step != CALL_ENDED;
    run->next.step = CALL_ENDED;
    snprintf(run->next.status, sizeof run->next.status, "completed");
    run->due_ms = now + random_between(&simulation->random, 5000, 90000);
}

/* 2 to 6 seconds, fewer in a peak. */
static int64_t gap_ms(struct simulation *simulation, int64_t organization_id, int64_t now)
{
    double peak = 0.5 - 0.5 * cos((double)now / DAY_MS * 4 * M_PI);
    double gap = 2000 + random_part(&simulation->random) * 4000 * (1 - 0.7 * peak);
    if (simulation->calls[organization_id] < QUICK)
        return 700;
    return (int64_t)(gap / simulation->pace);
}

static void tick(struct simulation *simulation)
{
    int64_t now = time_of(simulation);
    struct program *program = simulation->pbx->program;
    if (simulation->mute_until_ms && now >= simulation->mute_until_ms) {
        simulation->mute_until_ms = 0;
        program->muted = false;
    }
    for (int64_t id = 1; id <= ORGANIZATIONS; id++) {
        if (now < simulation->next_ms[id])
            continue;
        begin_call(simulation, id, now);
        simulation->next_ms[id] = now + gap_ms(simulation, id, now);
    }
    for (; simulation->storm_next_ms < now && now < simulation->storm_until_ms;
         simulation->storm_next_ms += STORM_GAP_MS)
        begin_call(simulation, random_between(&simulation->random, 1, ORGANIZATIONS), now);
    for (struct run *run = simulation->runs; run < simulation->runs + RUNNING; run++) {
        if (run->used && run->due_ms <= now)
            go_on(simulation, run, now);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct simulation *simulation = timer->data;
    if (!simulation->pbx->program->ending)
        tick(simulation);
}

/* Calls that a run before has left end soon. */
static void adopt(struct simulation *simulation)
{
    const cJSON *row;
    size_t count = 0;
    cJSON *rows = store_rows(simulation->pbx->program->store,
                             "SELECT organization_id, call_id, answered_at FROM calls"
                             " WHERE ended_at IS NULL LIMIT ?",
                             VALUES(INT(RUNNING / 2)));
    cJSON_ArrayForEach(row, rows)
    {
        struct run *run = &simulation->runs[count++];
        *run = (struct run){
            .used = true,
            .due_ms = random_between(&simulation->random, 1000, 20000),
            .next = {.step = CALL_ENDED, .organization_id = row_int(row, "organization_id")}};
        snprintf(run->next.call_id, sizeof run->next.call_id, "%s", row_text(row, "call_id"));
        snprintf(run->next.status, sizeof run->next.status, "%s",
                 row_int(row, "answered_at") ? "completed" : "no_answer");
    }
    cJSON_Delete(rows);
}

void simulate_begin(struct pbx *pbx)
{
    struct simulation *simulation = calloc(1, sizeof *simulation);
    if (!simulation) {
        say("no memory for the simulation");
        return;
    }
    simulation->pbx = pbx;
    simulation->random = random_begin(pbx->seed);
    simulation->speed = pbx->speed ? strtod(pbx->speed, NULL) : 1;
    simulation->pace = 1;
    simulation->began_ms = now_ms();
    adopt(simulation);
    for (int64_t id = 1; id <= ORGANIZATIONS; id++)
        simulation->next_ms[id] = 300 * id;
    uv_timer_init(pbx->program->loop, &simulation->timer);
    simulation->timer.data = simulation;
    uv_timer_start(&simulation->timer, on_tick, TICK_MS, TICK_MS);
    pbx->simulation = simulation;
}

static void closed(uv_handle_t *handle)
{
    struct simulation *simulation = handle->data;
    simulation->pbx->simulation = NULL;
    free(simulation);
}

void simulate_end(struct pbx *pbx)
{
    if (pbx->simulation)
        uv_close((uv_handle_t *)&pbx->simulation->timer, closed);
}

bool simulate_do(struct pbx *pbx, const char *what)
{
    struct simulation *simulation = pbx->simulation;
    if (!simulation)
        return false;
    int64_t now = time_of(simulation);
    if (strcmp(what, "calm") == 0) {
        simulation->pace = 0.4;
    } else if (strcmp(what, "busy") == 0) {
        simulation->pace = 4;
    } else if (strcmp(what, "storm") == 0) {
        simulation->storm_next_ms = now;
        simulation->storm_until_ms = now + STORM_MS;
    } else if (strcmp(what, "break") == 0) {
        simulation->mute_until_ms = now + BREAK_MS;
        pbx->program->muted = true;
    } else {
        return false;
    }
    return true;
}
