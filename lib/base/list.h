/* Doubly linked list of links inside objects. An unlinked link points to itself. */
#ifndef PC_BASE_LIST_H
#define PC_BASE_LIST_H

#include <stdbool.h>

struct pc_list {
    struct pc_list *next, *prev;
};

static inline void pc_list_init(struct pc_list *l)
{
    l->next = l->prev = l;
}

static inline bool pc_list_empty(const struct pc_list *l)
{
    return l->next == l;
}

static inline void pc_list_push_back(struct pc_list *head, struct pc_list *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

/* Harmless on an unlinked link. */
static inline void pc_list_remove(struct pc_list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    pc_list_init(l);
}

/* for (...) over the links of the list, first to last. The body does not remove the link. */
#define PC_LIST_EACH(link, head)                                                                   \
    for (struct pc_list *link = (head)->next; link != (head); link = link->next)
/* The same; the body may remove and free the link, but not the next one. */
#define PC_LIST_EACH_SAFE(link, following, head)                                                   \
    for (struct pc_list *link = (head)->next, *following = link->next; link != (head);             \
         link = following, following = link->next)

/* Moves everything from `from` into the empty list `to`, so that callbacks may change `from`. */
static inline void pc_list_take(struct pc_list *to, struct pc_list *from)
{
    pc_list_init(to);
    if (pc_list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to->prev->next = to;
    pc_list_init(from);
}

/* Moves everything from `from` to the front of `to`. */
static inline void pc_list_put_back(struct pc_list *to, struct pc_list *from)
{
    if (pc_list_empty(from))
        return;
    from->prev->next = to->next;
    to->next->prev = from->prev;
    to->next = from->next;
    to->next->prev = to;
    pc_list_init(from);
}

#endif
