/* SPDX-License-Identifier: MIT */
/* Doubly linked lists through members of what is listed. */
#ifndef WEIR_COMMON_LIST_H
#define WEIR_COMMON_LIST_H

#include <stddef.h>

/*
 * `item` is what is listed, `next` and `previous` are the names of its two links, `first` and `last` are the ends of
 * the list, both NULL when it is empty. All but the names may be evaluated more than once.
 */
#define LIST_ADD_FIRST(item, next, previous, first, last)                                          \
    do {                                                                                           \
        (item)->previous = NULL;                                                                   \
        (item)->next = (first);                                                                    \
        *((first) != NULL ? &(first)->previous : &(last)) = (item);                                \
        (first) = (item);                                                                          \
    } while (0)

/* The same list, seen from its other end. */
#define LIST_ADD_LAST(item, next, previous, first, last)                                           \
    LIST_ADD_FIRST(item, previous, next, last, first)

#define LIST_REMOVE(item, next, previous, first, last)                                             \
    do {                                                                                           \
        *((item)->previous != NULL ? &(item)->previous->next : &(first)) = (item)->next;           \
        *((item)->next != NULL ? &(item)->next->previous : &(last)) = (item)->previous;            \
    } while (0)

#endif
