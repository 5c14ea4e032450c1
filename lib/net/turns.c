#include "net/turns.h"

#include "base/mem.h"

#define REMEMBERED 64 /* bits of pc_turns.passed */

void pc_turns_init(struct pc_turns *turns, uint32_t patience_ms)
{
    *turns = (struct pc_turns){.patience_ms = patience_ms, .most_ms = patience_ms};
    pc_list_init(&turns->waiting);
}

struct pc_turn *pc_turns_first(const struct pc_turns *turns)
{
    return pc_list_empty(&turns->waiting)
               ? NULL
               : PC_CONTAINER(turns->waiting.next, struct pc_turn, of_turns);
}

/* No gap is before it, or none that matters. */
static bool follows(const struct pc_turns *turns, uint64_t number)
{
    return number <= turns->next || turns->next == 0 || turns->patience_ms == 0;
}

bool pc_turns_ready(const struct pc_turns *turns)
{
    const struct pc_turn *first = pc_turns_first(turns);
    return first && follows(turns, first->number);
}

bool pc_turns_come(struct pc_turns *turns, uint64_t number)
{
    const struct pc_turn *first = pc_turns_first(turns);
    bool fills = number == turns->next && first && first->number > number;
    if (number > 0 && (number < turns->next || fills))
        turns->patience_ms = turns->most_ms;
    return follows(turns, number) && (!first || first->number > number);
}

static void skip_to(struct pc_turns *turns, uint64_t number)
{
    uint64_t skipped = number - turns->next;
    turns->passed = skipped < REMEMBERED ? turns->passed >> skipped : 0;
    turns->next = number;
}

void pc_turns_pass(struct pc_turns *turns, uint64_t number)
{
    if (number > turns->next && follows(turns, number))
        skip_to(turns, number);
    if (number == 0 || number < turns->next)
        return;
    if (number - turns->next < REMEMBERED)
        turns->passed |= (uint64_t)1 << (number - turns->next);
    for (; turns->passed & 1; turns->passed >>= 1)
        turns->next++;
}

void pc_turns_wait(struct pc_turns *turns, struct pc_turn *turn)
{
    struct pc_list *later = &turns->waiting;
    while (later->prev != &turns->waiting &&
           PC_CONTAINER(later->prev, struct pc_turn, of_turns)->number > turn->number)
        later = later->prev;
    pc_list_push_back(later, &turn->of_turns);
}

void pc_turns_give_up(struct pc_turns *turns)
{
    const struct pc_turn *first = pc_turns_first(turns);
    if (!first || follows(turns, first->number))
        return;
    turns->patience_ms /= 2;
    skip_to(turns, first->number);
}
