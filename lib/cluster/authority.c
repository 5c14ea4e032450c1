/* The public calls of an authority: what each step takes, and what becomes of what it publishes and answers. */
#include <pusherc/cluster.h>

#include <pusherc/error.h>

#include "cluster/step.h"
#include "codec/crypto.h"

/* Scripts compute with doubles. */
#define MAX_NUMBER (UINT64_C(1) << 53)

struct pusherc_authority {
    struct pc_partition partition;
};

/* What the arguments of a step are, one letter for each: s any bytes, n a number, o a number or nothing. What follows
 * the star comes any number of times. */
struct step_kind {
    const char *args;
    int (*run)(struct pc_step *s);
};

static const struct step_kind kinds[] = {
    [PUSHERC_STEP_ATTACH] = {"ssnnss", pc_step_attach},
    [PUSHERC_STEP_DETACH] = {"ss", pc_step_detach},
    [PUSHERC_STEP_RENEW] = {"sssnn", pc_step_renew},
    [PUSHERC_STEP_SYNCED] = {"ss", pc_step_synced},
    [PUSHERC_STEP_MINE] = {"ss", pc_step_mine},
    [PUSHERC_STEP_JOIN] = {"sssssnnn", pc_step_join},
    [PUSHERC_STEP_LEAVE] = {"ssssn", pc_step_leave},
    [PUSHERC_STEP_COUNT] = {"ssn*ssnon", pc_step_count},
    [PUSHERC_STEP_FETCH] = {"ss", pc_step_fetch},
    [PUSHERC_STEP_VERIFY] = {"s*snn", pc_step_verify},
    [PUSHERC_STEP_PEEK] = {"sn", pc_step_peek},
    [PUSHERC_STEP_REAP] = {"ssnsnn*s", pc_step_reap},
    [PUSHERC_STEP_TELL] = {"sssn", pc_step_tell},
    [PUSHERC_STEP_TOLD] = {"ss*s", pc_step_told},
    [PUSHERC_STEP_CHECK] = {"s*ss", pc_step_check},
    [PUSHERC_STEP_CHANNELS] = {"ssnn", pc_step_channels},
    [PUSHERC_STEP_KEEP] = {"sns", pc_step_keep},
    [PUSHERC_STEP_REKEEP] = {"snns", pc_step_rekeep},
    [PUSHERC_STEP_KEPT] = {"s", pc_step_kept},
    [PUSHERC_STEP_ONCE_BEGIN] = {"sssn", pc_step_once_begin},
    [PUSHERC_STEP_ONCE_DONE] = {"sssn", pc_step_once_done},
    [PUSHERC_STEP_ONCE_UNDO] = {"ss", pc_step_once_undo},
    [PUSHERC_STEP_ORDER] = {"sn", pc_step_order},
    [PUSHERC_STEP_ORDERS] = {"sn", pc_step_orders},
    [PUSHERC_STEP_TOTALS] = {"*s", pc_step_totals},
};

static const struct step_kind *kind_of(pusherc_step step)
{
    size_t i = (size_t)step;
    return i < sizeof kinds / sizeof kinds[0] && kinds[i].run ? &kinds[i] : NULL;
}

static bool arg_is(char letter, pusherc_slice arg)
{
    uint64_t number;
    if (letter == 's' || (letter == 'o' && arg.len == 0))
        return true;
    return pc_slice_to_u64(arg, &number) && number <= MAX_NUMBER;
}

static bool args_fit(const struct step_kind *kind, const pusherc_slice *args, size_t count)
{
    const char *letter = kind->args, *repeated = NULL;
    for (size_t i = 0; i < count; i++) {
        if (*letter == '*')
            repeated = ++letter;
        else if (*letter == '\0' && repeated)
            letter = repeated;
        if (*letter == '\0' || !arg_is(*letter, args[i]))
            return false;
        letter++;
    }
    return *letter == '\0' || *letter == '*';
}

int pusherc_authority_new(pusherc_authority **out, const pusherc_allocator *allocator)
{
    uint64_t seed[2];
    if (!out)
        return PUSHERC_EINVAL;
    *out = NULL;
    struct pc_mem mem = pc_mem_make(allocator);
    int err = pc_crypto_init();
    if (err == 0)
        err = pc_random(seed, sizeof seed);
    if (err)
        return err;
    pusherc_authority *authority = pc_alloc_zero(&mem, sizeof *authority);
    if (!authority)
        return PUSHERC_ENOMEM;
    pc_partition_init(&authority->partition, &mem, seed);
    *out = authority;
    return 0;
}

void pusherc_authority_free(pusherc_authority *authority)
{
    if (!authority)
        return;
    struct pc_mem mem = authority->partition.mem;
    pc_records_free(&authority->partition);
    pc_partition_free(&authority->partition);
    pc_free(&mem, authority);
}

int pusherc_authority_execute(pusherc_authority *authority, uint64_t unix_us, pusherc_step step,
                              const pusherc_slice *args, size_t arg_count,
                              pusherc_authority_publish_fn publish,
                              pusherc_authority_answer_fn answer, void *user_data)
{
    const struct step_kind *kind = kind_of(step);
    if (!authority || !kind || !publish || !answer || !args_fit(kind, args, arg_count))
        return PUSHERC_EINVAL;
    struct pc_step s = {.partition = &authority->partition,
                        .now_us = unix_us,
                        .now_ms = unix_us / 1000,
                        .args = args,
                        .arg_count = arg_count};
    pc_values_init(&s.answer, &authority->partition.mem);
    pc_values_init(&s.messages, &authority->partition.mem);
    int err = kind->run(&s);
    if (err == 0)
        err = pc_values_status(&s.answer);
    if (err == 0) {
        const pusherc_slice *m = pc_values_list(&s.messages);
        for (size_t i = 0; i < s.messages.count; i += 3)
            publish((pusherc_topic)m[i].ptr[0], m[i + 1], m[i + 2], user_data);
        answer(pc_values_list(&s.answer), s.answer.count, user_data);
    }
    pc_values_free(&s.answer);
    pc_values_free(&s.messages);
    return err;
}
