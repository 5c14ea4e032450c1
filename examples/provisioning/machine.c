#include "machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <uv.h>

#include "common/say.h"
#include "logs.h"
#include "servers.h"
#include "steps.h"

#define FIRST_MS     1000 /* both owners of the demo have something to see at once */
#define ORDER_MS     25000
#define RETRY_MS     10000
#define STORM_MS     10000
#define STORM_LINES  1000 /* each tick */
#define MUTE_MS      20000
#define SERVERS_EACH 8 /* of an owner; above it the simulator takes away its oldest */
#define BLOCK_LINES  400

static const char *const works[STEPS + 1] = {"",
                                             "ssh: knocking",
                                             "check: reading",
                                             "apt: unpacking package",
                                             "swap: writing block",
                                             "ufw: rule",
                                             "php: setting up part",
                                             "nginx: writing file",
                                             "db: creating page",
                                             "cron: entry",
                                             "done: checking"};

/* From low to high; the same sequence for the same seed. */
static uint64_t pick(struct factory *factory, uint64_t low, uint64_t high)
{
    uint64_t x = factory->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    factory->random = x;
    return low + x % (high - low + 1);
}

/* In so many milliseconds of a demo that runs at its usual pace. */
static uint64_t later(const struct factory *factory, const struct program *program, uint64_t ms)
{
    return uv_now(program->loop) + ms / strtoull(factory->speed, NULL, 10);
}

static void begin_step(struct factory *factory, struct program *program, struct machine *machine)
{
    machine->began_ms = uv_now(program->loop);
    machine->due_ms = later(factory, program, pick(factory, 2000, 4000));
    machine->lines = (int)pick(factory, 20, 400);
    machine->written = 0;
}

/* Those that have none yet get a machine. */
static void adopt(struct factory *factory, struct program *program)
{
    const cJSON *row;
    cJSON *servers = store_rows(program->store,
                                "SELECT s.id, s.provision_status = 'failed' failed, (SELECT step"
                                " FROM steps WHERE server_id = s.id AND status <> 'completed'"
                                " ORDER BY step LIMIT 1) step FROM servers s"
                                " WHERE simulated AND provision_status <> 'completed'",
                                NO_VALUES);
    cJSON_ArrayForEach(row, servers)
    {
        struct machine *free_one = NULL;
        bool there = false;
        for (size_t i = 0; i < MACHINES; i++) {
            there = there || factory->machines[i].server_id == row_int(row, "id");
            if (!free_one && factory->machines[i].server_id == 0)
                free_one = &factory->machines[i];
        }
        if (there || !free_one)
            continue;
        *free_one = (struct machine){.server_id = row_int(row, "id"),
                                     .step = (int)row_int(row, "step"),
                                     .failed = row_int(row, "failed") != 0};
        if (pick(factory, 1, 6) == 1)
            free_one->fails_at = (int)pick(factory, 2, STEPS);
        begin_step(factory, program, free_one);
        if (free_one->failed)
            free_one->due_ms = later(factory, program, RETRY_MS);
    }
    cJSON_Delete(servers);
}

int factory_start(struct factory *factory, struct program *program)
{
    if (strtoull(factory->speed, NULL, 10) == 0) {
        say("--speed wants a number");
        return -1;
    }
    factory->random = factory->seed ? strtoull(factory->seed, NULL, 10) : 0;
    if (!factory->seed)
        randombytes_buf(&factory->random, sizeof factory->random);
    factory->random = factory->random * 2654435769u + 1;
    factory->order_ms = uv_now(program->loop);
    return 0;
}

static int64_t order(struct factory *factory, struct program *program, int64_t user_id)
{
    static const char *const kinds[] = {"web", "shop", "api", "queue", "cache", "build"};
    char name[32];
    char token[TOKEN_BYTES];
    cJSON *old = store_row(program->store,
                           "SELECT min(id) id FROM servers WHERE user_id = ?1 AND simulated"
                           " AND provision_status = 'completed' AND (SELECT count(*) FROM servers"
                           " WHERE user_id = ?1) >= ?2",
                           VALUES(INT(user_id), INT(SERVERS_EACH)));
    if (row_int(old, "id"))
        server_delete(program, NULL, row_int(old, "id"));
    cJSON_Delete(old);
    snprintf(name, sizeof name, "%s-%u", kinds[pick(factory, 0, 5)],
             (unsigned)pick(factory, 10, 99));
    int64_t id = server_order(program, NULL, user_id, name, true, token);
    adopt(factory, program);
    return id;
}

static void moved(const char *refused, int status, void *user_data)
{
    struct machine *machine = user_data;
    machine->waits = false;
    if (refused || status != 0)
        *machine = (struct machine){0}; /* it is gone, or another request has moved it */
}

/* The installer says where it is, and goes on when that is published. */
static void say_step(struct program *program, struct machine *machine, const char *status)
{
    struct step_word word = {machine->step, status, "The installer ended with status 1"};
    machine->waits = true;
    steps_move(program, machine->server_id, &word, moved, machine);
}

static void write_lines(struct program *program, int64_t server_id, const char *what, int from,
                        int to, int of)
{
    char block[BLOCK_LINES * 80];
    while (from < to) {
        size_t len = 0;
        for (int i = 0; i < BLOCK_LINES && from < to; i++)
            len += (size_t)snprintf(block + len, sizeof block - len, "%s %d of %d\n", what, ++from,
                                    of);
        log_append(program, server_id, "provision", block);
    }
}

/* Its log grows in bursts, and stops when the step fails. */
static void write_log(struct factory *factory, struct program *program, struct machine *machine)
{
    uint64_t now = uv_now(program->loop);
    uint64_t whole = machine->due_ms - machine->began_ms;
    uint64_t so_far = now < machine->due_ms ? now - machine->began_ms : whole;
    int due = whole ? (int)((uint64_t)machine->lines * so_far / whole) : machine->lines;
    if (due <= machine->written || (due < machine->lines && pick(factory, 1, 3) != 1))
        return;
    write_lines(program, machine->server_id, works[machine->step], machine->written, due,
                machine->lines);
    machine->written = due;
}

static void run(struct factory *factory, struct program *program, struct machine *machine)
{
    if (machine->waits)
        return;
    if (machine->step > STEPS) {
        *machine = (struct machine){0};
        return;
    }
    if (!machine->failed)
        write_log(factory, program, machine);
    if (uv_now(program->loop) < machine->due_ms)
        return;
    if (machine->failed) {
        if (steps_retry(program, machine->server_id, 0, NULL) < 0)
            return;
        machine->failed = false;
        machine->fails_at = 0;
        begin_step(factory, program, machine);
    } else if (machine->step == machine->fails_at) {
        log_append(program, machine->server_id, "provision", "installer: exit status 1");
        machine->failed = true;
        machine->due_ms = later(factory, program, RETRY_MS);
        say_step(program, machine, "failed");
    } else {
        say_step(program, machine, "completed");
        machine->step++;
        begin_step(factory, program, machine);
    }
}

static int64_t next_owner(struct factory *factory, struct program *program)
{
    cJSON *row = store_row(program->store,
                           "SELECT id FROM users ORDER BY id LIMIT 1 OFFSET ? %"
                           " max(1, (SELECT count(*) FROM users))",
                           VALUES(INT(factory->turn++)));
    int64_t id = row_int(row, "id");
    cJSON_Delete(row);
    return id;
}

void factory_tick(struct factory *factory, struct program *program)
{
    uint64_t now = uv_now(program->loop);
    adopt(factory, program);
    if (now >= factory->order_ms) {
        int64_t owner = next_owner(factory, program);
        factory->order_ms = later(factory, program, factory->turn < 2 ? FIRST_MS : ORDER_MS);
        if (owner)
            order(factory, program, owner);
    }
    for (size_t i = 0; i < MACHINES; i++) {
        if (factory->machines[i].server_id)
            run(factory, program, &factory->machines[i]);
    }
    if (now < factory->storm_ms)
        write_lines(program, factory->storm_server, "storm: line", 0, STORM_LINES, STORM_LINES);
    program->muted = now < factory->mute_ms;
}

bool factory_do(struct factory *factory, struct program *program, int64_t user_id, const char *what,
                int64_t server_id)
{
    bool fail = strcmp(what, "fail") == 0;
    if (strcmp(what, "order") == 0 || fail) {
        int64_t id = order(factory, program, user_id);
        for (size_t i = 0; i < MACHINES; i++) {
            if (factory->machines[i].server_id == id)
                factory->machines[i].fails_at = fail ? 6 : 0;
        }
        return id != 0;
    }
    if (strcmp(what, "storm") == 0) {
        cJSON *row = store_row(program->store,
                               "SELECT max(id) id FROM servers WHERE user_id = ?1"
                               " AND (?2 = 0 OR id = ?2)",
                               VALUES(INT(user_id), INT(server_id)));
        factory->storm_server = row_int(row, "id");
        factory->storm_ms = later(factory, program, STORM_MS);
        cJSON_Delete(row);
        return factory->storm_server != 0;
    }
    bool mute = strcmp(what, "mute") == 0;
    if (mute)
        factory->mute_ms = later(factory, program, MUTE_MS);
    return mute;
}
