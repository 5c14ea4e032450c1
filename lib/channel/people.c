#include "channel/people.h"

void pc_people_init(struct pc_people *people, const struct pc_mem *mem, const uint64_t seed[2])
{
    people->mem = *mem;
    pthread_mutex_init(&people->mutex, NULL);
    pc_map_init(&people->by_id, &people->mem, seed);
    pc_list_init(&people->here);
    pc_list_init(&people->away);
}

static void forget(struct pc_people *people, struct pc_person *person)
{
    pc_list_remove(&person->link);
    people->away_count--;
    pc_map_remove(&people->by_id, &person->node);
    pc_free(&people->mem, person);
}

static void forget_above(struct pc_people *people, uint32_t max)
{
    while (people->away_count > max)
        forget(people, PC_CONTAINER(people->away.next, struct pc_person, link));
}

void pc_people_free(struct pc_people *people)
{
    forget_above(people, 0);
    pc_map_free(&people->by_id);
    pthread_mutex_destroy(&people->mutex);
}

struct pc_person *pc_people_find(const struct pc_people *people, pusherc_slice user_id)
{
    struct pc_map_node *node = pc_map_find(&people->by_id, user_id);
    return node ? PC_CONTAINER(node, struct pc_person, node) : NULL;
}

static struct pc_person *person_new(struct pc_people *people, pusherc_slice user_id)
{
    struct pc_person *person = pc_alloc_zero(&people->mem, sizeof *person + user_id.len);
    if (!person)
        return NULL;
    memcpy(person->key, user_id.ptr, user_id.len);
    person->node.key = pc_slice(person->key, user_id.len);
    pc_list_init(&person->link);
    if (pc_map_insert(&people->by_id, &person->node) == 0) {
        pc_list_push_back(&people->here, &person->link);
        return person;
    }
    pc_free(&people->mem, person);
    return NULL;
}

struct pc_person *pc_people_take(struct pc_people *people, pusherc_slice user_id)
{
    struct pc_person *person = pc_people_find(people, user_id);
    if (!person)
        return person_new(people, user_id);
    if (person->is_kept) {
        person->is_kept = false;
        people->away_count--;
        pc_list_remove(&person->link);
        pc_list_push_back(&people->here, &person->link);
    }
    return person;
}

void pc_people_put_back(struct pc_people *people, struct pc_person *person, uint32_t max)
{
    bool used = !pc_person_is_away(person) || person->online || person->timed || person->reserved;
    if (used || person->is_kept)
        return;
    person->is_kept = true;
    pc_list_remove(&person->link);
    pc_list_push_back(&people->away, &person->link);
    people->away_count++;
    forget_above(people, max);
}
