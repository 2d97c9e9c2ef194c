/*
 * list: a queue of members by links within them. A member is in one list at most per link.
 */
#ifndef RECEIVER_LIST_H
#define RECEIVER_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *previous, *next; /* both NULL: in no list */
};

/* The head is a member of the circle. */
struct list {
    struct list_link head;
};

/* The structure that `link` is a member of. */
#define LIST_OF(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->head.previous = &list->head;
    list->head.next = &list->head;
}

static inline bool list_has(const struct list_link *link)
{
    return link->next != NULL;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->head.next == &list->head;
}

/* NULL: empty. */
static inline struct list_link *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->head.next;
}

/* The one behind; NULL: link was the last. */
static inline struct list_link *list_next(const struct list *list, const struct list_link *link)
{
    return link->next == &list->head ? NULL : link->next;
}

static inline void list_append(struct list *list, struct list_link *link)
{
    link->previous = list->head.previous;
    link->next = &list->head;
    link->previous->next = link;
    list->head.previous = link;
}

/* Nothing happens where it is in no list. */
static inline void list_remove(struct list_link *link)
{
    if (!link->next)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = NULL;
    link->next = NULL;
}

#endif
