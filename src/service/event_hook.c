#include "service/event_hook.h"

#include "base/log.h"
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct run {
    char *event, *name;
    char *variables[EVENT_HOOK_VARIABLES];
    size_t count;
    TAILQ_ENTRY(run) entry;
};
TAILQ_HEAD(runs, run);

struct event_hook {
    char *path;
    int64_t limit_ms;
    struct event *child_event; /* SIGCHLD */
    struct event *time_event;  /* its time is over */
    struct event *start_event; /* the next is to be started */
    struct runs waiting;       /* the first is the one under way, when `pid` is set */
    size_t count;
    size_t dropped; /* since the last that was started */
    pid_t pid;      /* 0: none runs */
};

/* --- the queue --- */

static void free_run(struct run *run) {
    for (size_t i = 0; i < run->count; i++)
        free(run->variables[i]);
    free(run->event);
    free(run->name);
    free(run);
}

static struct run *copy_run(const struct event_hook_run *of) {
    struct run *run = calloc(1, sizeof *run);
    bool good = run != NULL && (run->event = strdup(of->event)) != NULL &&
                (run->name = strdup(of->name)) != NULL;
    for (size_t i = 0; good && i < of->count && i < EVENT_HOOK_VARIABLES; i++) {
        run->variables[i] = strdup(of->variables[i]);
        good = run->variables[i] != NULL;
        run->count++;
    }
    if (!good && run != NULL)
        free_run(run);
    return good ? run : NULL;
}

static void start_later(struct event_hook *hook) {
    if (hook->pid == 0 && !TAILQ_EMPTY(&hook->waiting))
        loop_set_timer_or_now(hook->start_event, 0);
}

void event_hook_start(struct event_hook *hook, const struct event_hook_run *of) {
    struct run *run = hook->count >= EVENT_HOOK_QUEUE ? NULL : copy_run(of);
    if (run == NULL) {
        if (hook->dropped++ == 0)
            log_event(LOG_LEVEL_WARN, "event_program_behind", log_text("program", hook->path),
                      log_text("outcome", "events are dropped until it catches up"));
        return;
    }
    TAILQ_INSERT_TAIL(&hook->waiting, run, entry);
    hook->count++;
    start_later(hook);
}

static void drop_first(struct event_hook *hook) {
    struct run *first = TAILQ_FIRST(&hook->waiting);
    TAILQ_REMOVE(&hook->waiting, first, entry);
    hook->count--;
    free_run(first);
}

/* --- one run --- */

/* The daemon's own settings, the cookie perhaps among them, do not concern the program. */
static bool is_setting(const char *variable) {
    return strncmp(variable, "PORTOLAN_", strlen("PORTOLAN_")) == 0 ||
           strncmp(variable, "EMQX_", strlen("EMQX_")) == 0;
}

/* The daemon's environment and the run's variables. NULL: no memory. Only the array is new. */
static char **environment_of(const struct run *run) {
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    char **all = calloc(count + run->count + 1, sizeof *all);
    if (all == NULL)
        return NULL;
    memcpy(all, run->variables, run->count * sizeof *all);
    size_t at = run->count;
    for (size_t i = 0; i < count; i++) {
        if (!is_setting(environ[i]))
            all[at++] = environ[i];
    }
    return all;
}

/* An errno, or 0: then it runs. */
static int spawn(struct event_hook *hook, const struct run *run) {
    char *arguments[] = {hook->path, run->event, run->name, NULL};
    char **environment = environment_of(run);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    if (environment == NULL)
        return ENOMEM;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, STDIN_FILENO, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int error = posix_spawn(&hook->pid, hook->path, &files, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    free(environment);
    return error;
}

static void on_start(evutil_socket_t fd, short what, void *context) {
    struct event_hook *hook = context;
    (void)fd;
    (void)what;
    if (hook->pid != 0 || TAILQ_EMPTY(&hook->waiting))
        return;
    if (hook->dropped > 0)
        log_event(LOG_LEVEL_WARN, "event_program_missed", log_text("program", hook->path),
                  log_number("events", (int64_t)hook->dropped));
    hook->dropped = 0;
    const struct run *run = TAILQ_FIRST(&hook->waiting);
    int error = spawn(hook, run);
    if (error == 0) {
        if (!loop_set_timer(hook->time_event, hook->limit_ms))
            kill(-hook->pid, SIGKILL); /* nothing runs without a limit */
        return;
    }
    hook->pid = 0;
    log_event(
        LOG_LEVEL_ERROR, "event_program_not_run", log_text("program", hook->path),
        log_text("event", run->event), log_text("reason", strerror(error)),
        log_text("cure", "make the file of cluster.on_event executable for the daemon's user"));
    drop_first(hook);
    start_later(hook);
}

static void log_outcome(const struct event_hook *hook, int status) {
    const char *event = TAILQ_FIRST(&hook->waiting)->event;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        log_event(LOG_LEVEL_DEBUG, "event_program_ran", log_text("event", event));
    else if (WIFEXITED(status))
        log_event(LOG_LEVEL_WARN, "event_program_failed", log_text("program", hook->path),
                  log_text("event", event), log_number("exit_code", WEXITSTATUS(status)));
    else
        log_event(LOG_LEVEL_WARN, "event_program_failed", log_text("program", hook->path),
                  log_text("event", event), log_number("signal", WTERMSIG(status)));
}

void event_hook_ended(struct event_hook *hook, pid_t pid, int status) {
    if (hook == NULL || hook->pid == 0 || hook->pid != pid)
        return;
    hook->pid = 0;
    event_del(hook->time_event);
    log_outcome(hook, status);
    drop_first(hook);
    start_later(hook);
}

static void on_child(evutil_socket_t number, short what, void *context) {
    struct event_hook *hook = context;
    int status;
    (void)number;
    (void)what;
    if (hook->pid != 0 && waitpid(hook->pid, &status, WNOHANG) == hook->pid)
        event_hook_ended(hook, hook->pid, status);
}

static void on_time(evutil_socket_t fd, short what, void *context) {
    struct event_hook *hook = context;
    (void)fd;
    (void)what;
    log_event(LOG_LEVEL_WARN, "event_program_killed", log_text("program", hook->path),
              log_text("event", TAILQ_FIRST(&hook->waiting)->event),
              log_number("after_ms", hook->limit_ms));
    kill(-hook->pid, SIGKILL);
}

/* --- beginning and end --- */

struct event_hook *event_hook_new(struct event_base *base, const char *path, int64_t limit_ms) {
    struct event_hook *hook = calloc(1, sizeof *hook);
    if (hook == NULL)
        return NULL;
    TAILQ_INIT(&hook->waiting);
    hook->path = strdup(path);
    hook->limit_ms = limit_ms;
    hook->child_event = evsignal_new(base, SIGCHLD, on_child, hook);
    hook->time_event = event_new(base, -1, 0, on_time, hook);
    hook->start_event = event_new(base, -1, 0, on_start, hook);
    if (hook->path != NULL && hook->child_event != NULL && hook->time_event != NULL &&
        hook->start_event != NULL && event_add(hook->child_event, NULL) == 0)
        return hook;
    event_hook_free(hook);
    return NULL;
}

void event_hook_free(struct event_hook *hook) {
    if (hook == NULL)
        return;
    if (hook->pid != 0)
        kill(-hook->pid, SIGKILL);
    while (!TAILQ_EMPTY(&hook->waiting))
        drop_first(hook);
    struct event *events[] = {hook->child_event, hook->time_event, hook->start_event};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        loop_free_event(events[i]);
    free(hook->path);
    free(hook);
}
