#include "process/orphans.h"

#include "base/log.h"
#include "loop/loop.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct orphans {
    struct event *child_event; /* SIGCHLD */
    struct orphans_hooks hooks;
};

static void on_child(evutil_socket_t number, short what, void *context) {
    const struct orphans *orphans = context;
    pid_t pid;
    int status;
    (void)number;
    (void)what;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        log_event(LOG_LEVEL_DEBUG, "process_ended", log_number("process", pid));
        orphans->hooks.ended(orphans->hooks.context, pid, status);
    }
}

bool orphans_new(struct event_base *base, const struct orphans_hooks *hooks,
                 struct orphans **made) {
    *made = NULL;
    if (getpid() != 1)
        return true;
    struct orphans *orphans = calloc(1, sizeof *orphans);
    if (orphans == NULL)
        return false;
    orphans->hooks = *hooks;
    orphans->child_event = evsignal_new(base, SIGCHLD, on_child, orphans);
    if (orphans->child_event == NULL || event_add(orphans->child_event, NULL) < 0) {
        orphans_free(orphans);
        return false;
    }
    event_active(orphans->child_event, EV_SIGNAL, 1); /* those that ended before */
    *made = orphans;
    return true;
}

void orphans_free(struct orphans *orphans) {
    if (orphans == NULL)
        return;
    loop_free_event(orphans->child_event);
    free(orphans);
}
