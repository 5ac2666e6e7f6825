#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>

struct timeval loop_timeval(int64_t ms) {
    int64_t rest_ms = ms < 0 ? 0 : ms;
    return (struct timeval){.tv_sec = (time_t)(rest_ms / 1000),
                            .tv_usec = (suseconds_t)(rest_ms % 1000 * 1000)};
}

bool loop_set_timer(struct event *event, int64_t ms) {
    const struct timeval time = loop_timeval(ms);
    return event_add(event, &time) == 0;
}

void loop_free_event(struct event *event) {
    if (event != NULL)
        event_free(event);
}

int loop_open_reserve(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool loop_is_out_of_descriptors(int error) {
    return error == EMFILE || error == ENFILE;
}
