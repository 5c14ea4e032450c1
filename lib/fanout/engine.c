#include "fanout/engine.h"

#include <pusherc/error.h>

#include "codec/crypto.h"
#include "codec/deflate.h"
#include "fanout/channel_timer.h"
#include "fanout/people.h"

/* The texts among the options. */
#define TEXT_COUNT 6

static const char **text_of(struct pc_engine *engine, size_t i)
{
    pusherc_server_options *o = &engine->options;
    const char **const texts[TEXT_COUNT] = {&o->path_prefix,    &o->auth_path,
                                            &o->user_auth_path, &o->metrics_prefix,
                                            &o->metrics_names,  &o->inspector_token};
    return texts[i];
}

static void free_texts(struct pc_engine *engine)
{
    pusherc_slice token = pc_slice_of(engine->options.inspector_token);
    if (token.len)
        pc_wipe((char *)token.ptr, token.len);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        pc_free(&engine->mem, (char *)*text_of(engine, i));
}

static int keep_options(struct pc_engine *engine, const pusherc_server_options *options)
{
    int err = 0;
    engine->options = *options;
    engine->options.allocator = NULL;
    engine->options.log_fn = NULL;
    engine->options.log_user_data = NULL;
    engine->options.loop = NULL;
    engine->options.hooks = NULL;
    engine->options.inbox = NULL;
    engine->options.webhook_ca_file = NULL;
    if (options->hooks)
        engine->hooks = *options->hooks;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        const char **text = text_of(engine, i);
        *text = pc_dup(&engine->mem, pc_slice_of(*text));
        err = *text ? err : PUSHERC_ENOMEM;
    }
    if (err)
        free_texts(engine);
    return err;
}

/* What a build may lack. 0, PUSHERC_ENOMEM, PUSHERC_ENOSYS. */
static int make_parts(struct pc_engine *engine, const pusherc_server_options *options,
                      uint32_t worker_count)
{
    int err = 0;
    if (options->deflate_min_bytes)
        err = pc_deflaters_new(&engine->deflaters, &engine->mem);
    if (err == 0 && pc_slice_of(options->inspector_token).len)
        err = pc_happened_new(&engine->happened, &engine->mem, worker_count);
    if (err)
        pc_deflaters_free(engine->deflaters);
    return err;
}

int pc_engine_init(struct pc_engine *engine, const struct pc_mem *mem,
                   const pusherc_server_options *options, uint32_t worker_count, uint64_t now_ms)
{
    uint64_t seeds[4];
    engine->mem = *mem;
    engine->constants = (struct pc_constants){
        .request_timeout_ms = 30000,
        .keep_alive_ms = 75000,
        .fallback_absence_ms = 10000,
        .fallback_heartbeat_ms = 25000,
        .fallback_patience_ms = 250,
        .idempotency_max_bytes = 4194304,
    };
    int err = pc_crypto_init();
    if (err == 0)
        err = pc_random(seeds, sizeof seeds);
    if (err)
        return err;
    memcpy(engine->seed, seeds, sizeof engine->seed);
    pc_idgen_init(&engine->ids, seeds + 2);
    engine->last_question = &engine->own_last_question;
    pc_wipe(seeds, sizeof seeds);

    engine->workers = pc_alloc_array(mem, worker_count, sizeof *engine->workers);
    err = engine->workers ? keep_options(engine, options) : PUSHERC_ENOMEM;
    if (err == 0) {
        err = make_parts(engine, options, worker_count);
        if (err)
            free_texts(engine);
    }
    if (err) {
        pc_free(mem, engine->workers);
        return err;
    }
    engine->worker_count = worker_count;
    pc_recent_init(&engine->figures.process, &engine->mem);
    pc_recent_init(&engine->figures.metrics, &engine->mem);
    pc_recent_init(&engine->figures.json, &engine->mem);
    pc_why_ended_init(&engine->ended);
    pc_rules_init(&engine->rules, &engine->mem);
    pc_apps_init(&engine->apps, &engine->mem, engine->seed, worker_count);
    pc_directory_init(&engine->directory, &engine->mem, engine->seed, worker_count);
    engine->directory.kept.max_bytes = options->max_cache_bytes;
    engine->directory.histories.max_bytes = options->max_history_bytes;
    for (uint32_t i = 0; i < worker_count; i++)
        pc_worker_init(&engine->workers[i], engine, i, now_ms);
    return 0;
}

void pc_engine_free(struct pc_engine *engine)
{
    for (uint32_t i = 0; i < engine->worker_count; i++) {
        pc_channel_timers_forget(&engine->workers[i]);
        pc_people_forget(&engine->workers[i]);
        pc_worker_free(&engine->workers[i]);
    }
    pc_free(&engine->mem, engine->workers);
    pc_directory_free(&engine->directory);
    pc_apps_free(&engine->apps);
    pc_rules_free(&engine->rules);
    pc_deflaters_free(engine->deflaters);
    pc_happened_free(engine->happened);
    free_texts(engine);
    pc_recent_free(&engine->figures.process);
    pc_recent_free(&engine->figures.metrics);
    pc_recent_free(&engine->figures.json);
    pc_why_ended_free(&engine->ended);
}
