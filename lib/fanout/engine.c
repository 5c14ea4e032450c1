#include "fanout/engine.h"

#include <pusherc/error.h>

#include "codec/crypto.h"
#include "fanout/channel_timer.h"

int pc_engine_init(struct pc_engine *engine, const struct pc_mem *mem,
                   const struct pc_limits *limits, const pusherc_hooks *hooks,
                   pusherc_slice path_prefix, uint32_t worker_count, uint64_t now_ms)
{
    uint64_t seeds[4];
    engine->mem = *mem;
    engine->limits = *limits;
    if (hooks)
        engine->hooks = *hooks;
    int rc = pc_crypto_init();
    if (rc == 0)
        rc = pc_random(seeds, sizeof seeds);
    if (rc)
        return rc;
    memcpy(engine->seed, seeds, sizeof engine->seed);
    pc_idgen_init(&engine->ids, seeds + 2);
    pc_wipe(seeds, sizeof seeds);

    engine->path_prefix = pc_dup(mem, path_prefix);
    engine->workers = pc_alloc_array(mem, worker_count, sizeof *engine->workers);
    if (!engine->path_prefix || !engine->workers) {
        pc_free(mem, engine->path_prefix);
        pc_free(mem, engine->workers);
        return PUSHERC_ENOMEM;
    }
    engine->worker_count = worker_count;
    pc_rules_init(&engine->rules, &engine->mem);
    pc_apps_init(&engine->apps, &engine->mem, engine->seed, worker_count);
    pc_directory_init(&engine->directory, &engine->mem, engine->seed, worker_count);
    engine->directory.max_cached_bytes = limits->max_cache_bytes;
    for (uint32_t i = 0; i < worker_count; i++)
        pc_worker_init(&engine->workers[i], engine, i, now_ms);
    return 0;
}

void pc_engine_free(struct pc_engine *engine)
{
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        pc_channel_timers_forget(&engine->workers[i]);
        pc_worker_free(&engine->workers[i]);
    }
    pc_free(&engine->mem, engine->workers);
    pc_directory_free(&engine->directory);
    pc_apps_free(&engine->apps);
    pc_rules_free(&engine->rules);
    pc_free(&engine->mem, engine->path_prefix);
    pc_free(&engine->mem, engine->auth_path);
    pc_free(&engine->mem, engine->user_auth_path);
    pc_free(&engine->mem, engine->metrics_prefix);
}
