/* The events that are kept for those who watch. */
#include "control/inner.h"

#include <stdlib.h>
#include <string.h>

bool control_events_open(struct control_events *events) {
    if (events->ring == NULL)
        events->ring = malloc(CONTROL_EVENTS_SIZE);
    return events->ring != NULL;
}

void control_events_close(struct control_events *events) {
    free(events->ring);
    events->ring = NULL;
    events->start = events->end;
}

void control_events_add(struct control_events *events, struct bytes line) {
    size_t at = events->end % CONTROL_EVENTS_SIZE, first = CONTROL_EVENTS_SIZE - at;
    if (events->ring == NULL || line.len > CONTROL_PART_MAX)
        return;
    first = line.len < first ? line.len : first;
    memcpy(events->ring + at, line.data, first);
    memcpy(events->ring, line.data + first, line.len - first);
    events->end += line.len;
    if (events->end - events->start > CONTROL_EVENTS_SIZE)
        events->start = events->end - CONTROL_EVENTS_SIZE;
}

/* No position is of the byte that is left out here. */
void control_events_lose(struct control_events *events) {
    events->start = ++events->end;
}

/* How many bytes from a position on are whole lines, `most` at most. */
static size_t whole_lines(const struct control_events *events, uint64_t position, size_t most) {
    while (most > 0 && events->ring[(position + most - 1) % CONTROL_EVENTS_SIZE] != '\n')
        most--;
    return most;
}

bool control_events_read(const struct control_events *events, uint64_t *position,
                         struct writer *out) {
    uint64_t left = events->end - *position;
    size_t room = out->capacity - out->len;
    if (*position < events->start)
        return false;
    size_t len = whole_lines(events, *position, left < room ? (size_t)left : room);
    size_t at = *position % CONTROL_EVENTS_SIZE, first = CONTROL_EVENTS_SIZE - at;
    first = len < first ? len : first;
    write_bytes(out, bytes_of(events->ring + at, first));
    write_bytes(out, bytes_of(events->ring, len - first));
    *position += len;
    return true;
}
