#include "cluster/step.h"

#include <pusherc/error.h>

uint64_t pc_step_number(const struct pc_step *s, size_t i)
{
    uint64_t number = 0;
    (void)pc_slice_to_u64(s->args[i], &number); /* the caller of the step has checked it */
    return number;
}

int pc_step_reserve(struct pc_step *s, size_t count, size_t size)
{
    s->reserved_count += 3 * count;
    s->reserved_size += size + count * PC_MESSAGE_FIXED;
    return pc_values_reserve(&s->messages, s->reserved_count, s->reserved_size);
}

struct pc_incarnation *pc_step_guard(struct pc_step *s)
{
    struct pc_incarnation *inc = pc_incarnation_find(s->partition, s->args[0]);
    if (!pc_partition_is_epoch(s->partition, s->args[1])) {
        pc_values_put(&s->answer, PC_S("EPOCH"));
        return NULL;
    }
    if (!inc || !inc->alive) {
        pc_values_put(&s->answer, PC_S("FENCED"));
        return NULL;
    }
    return inc;
}

bool pc_step_reads(struct pc_step *s)
{
    bool is = pc_partition_is_epoch(s->partition, s->args[0]);
    pc_values_put(&s->answer, is ? PC_S("OK") : PC_S("EPOCH"));
    return is;
}
