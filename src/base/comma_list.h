/* Lists in a value: items with commas and blanks between them, as in "10.0.0.0/8, 192.0.2.1". */
#ifndef PORTOLAN_BASE_COMMA_LIST_H
#define PORTOLAN_BASE_COMMA_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Cuts the next item off *list and copies it to `item`, NUL-terminated. False at the end. An item
 * that does not fit is cut short: it then has size - 1 bytes.
 */
bool comma_list_next(const char **list, char *item, size_t size);

/* Whether it has no items. */
bool comma_list_is_empty(const char *list);

#endif
