#include "daemon/event_program.h"

#include "base/log.h"
#include "net/loop.h"

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
    char *variables[EVENT_PROGRAM_VARIABLES];
    size_t count;
    TAILQ_ENTRY(run) link;
};
TAILQ_HEAD(runs, run);

struct event_program {
    char *path;
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

static struct run *copy_run(const struct event_program_run *of) {
    struct run *run = calloc(1, sizeof *run);
    bool good = run != NULL && (run->event = strdup(of->event)) != NULL &&
                (run->name = strdup(of->name)) != NULL;
    for (size_t i = 0; good && i < of->count && i < EVENT_PROGRAM_VARIABLES; i++) {
        run->variables[i] = strdup(of->variables[i]);
        good = run->variables[i] != NULL;
        run->count++;
    }
    if (!good && run != NULL)
        free_run(run);
    return good ? run : NULL;
}

static void start_later(struct event_program *program) {
    if (program->pid == 0 && !TAILQ_EMPTY(&program->waiting))
        loop_set_timer_or_now(program->start_event, 0);
}

void event_program_start(struct event_program *program, const struct event_program_run *of) {
    struct run *run = program->count >= EVENT_PROGRAM_QUEUE ? NULL : copy_run(of);
    if (run == NULL) {
        if (program->dropped++ == 0)
            log_event(LOG_LEVEL_WARN, "event_program_behind", log_text("program", program->path),
                      log_text("outcome", "events are dropped until it has caught up"));
        return;
    }
    TAILQ_INSERT_TAIL(&program->waiting, run, link);
    program->count++;
    start_later(program);
}

static void drop_first(struct event_program *program) {
    struct run *first = TAILQ_FIRST(&program->waiting);
    TAILQ_REMOVE(&program->waiting, first, link);
    program->count--;
    free_run(first);
}

/* --- one run --- */

/* The daemon's own settings, the cookie perhaps among them, are no concern of the program's. */
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
static int spawn(struct event_program *program, const struct run *run) {
    char *arguments[] = {program->path, run->event, run->name, NULL};
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
    int error =
        posix_spawn(&program->pid, program->path, &files, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    free(environment);
    return error;
}

static void on_start(evutil_socket_t fd, short what, void *context) {
    struct event_program *program = context;
    (void)fd;
    (void)what;
    if (program->pid != 0 || TAILQ_EMPTY(&program->waiting))
        return;
    if (program->dropped > 0)
        log_event(LOG_LEVEL_WARN, "event_program_missed", log_text("program", program->path),
                  log_number("events", (int64_t)program->dropped));
    program->dropped = 0;
    const struct run *run = TAILQ_FIRST(&program->waiting);
    int error = spawn(program, run);
    if (error == 0) {
        if (!loop_set_timer(program->time_event, EVENT_PROGRAM_MS))
            kill(-program->pid, SIGKILL); /* nothing runs without a limit */
        return;
    }
    program->pid = 0;
    log_event(LOG_LEVEL_ERROR, "event_program_not_run", log_text("program", program->path),
              log_text("event", run->event), log_text("reason", strerror(error)),
              log_text("cure", "make the file of cluster.on_event executable by the daemon"));
    drop_first(program);
    start_later(program);
}

static void log_outcome(const struct event_program *program, int status) {
    const char *event = TAILQ_FIRST(&program->waiting)->event;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        log_event(LOG_LEVEL_DEBUG, "event_program_ran", log_text("event", event));
    else if (WIFEXITED(status))
        log_event(LOG_LEVEL_WARN, "event_program_failed", log_text("program", program->path),
                  log_text("event", event), log_number("exit_code", WEXITSTATUS(status)));
    else
        log_event(LOG_LEVEL_WARN, "event_program_failed", log_text("program", program->path),
                  log_text("event", event), log_number("signal", WTERMSIG(status)));
}

void event_program_ended(struct event_program *program, pid_t pid, int status) {
    if (program == NULL || program->pid == 0 || program->pid != pid)
        return;
    program->pid = 0;
    event_del(program->time_event);
    log_outcome(program, status);
    drop_first(program);
    start_later(program);
}

static void on_child(evutil_socket_t number, short what, void *context) {
    struct event_program *program = context;
    int status;
    (void)number;
    (void)what;
    if (program->pid != 0 && waitpid(program->pid, &status, WNOHANG) == program->pid)
        event_program_ended(program, program->pid, status);
}

static void on_time(evutil_socket_t fd, short what, void *context) {
    struct event_program *program = context;
    (void)fd;
    (void)what;
    log_event(LOG_LEVEL_WARN, "event_program_killed", log_text("program", program->path),
              log_text("event", TAILQ_FIRST(&program->waiting)->event),
              log_number("after_ms", EVENT_PROGRAM_MS));
    kill(-program->pid, SIGKILL);
}

/* --- beginning and end --- */

struct event_program *event_program_new(struct event_base *base, const char *path) {
    struct event_program *program = calloc(1, sizeof *program);
    if (program == NULL)
        return NULL;
    TAILQ_INIT(&program->waiting);
    program->path = strdup(path);
    program->child_event = evsignal_new(base, SIGCHLD, on_child, program);
    program->time_event = event_new(base, -1, 0, on_time, program);
    program->start_event = event_new(base, -1, 0, on_start, program);
    if (program->path != NULL && program->child_event != NULL && program->time_event != NULL &&
        program->start_event != NULL && event_add(program->child_event, NULL) == 0)
        return program;
    event_program_free(program);
    return NULL;
}

void event_program_free(struct event_program *program) {
    if (program == NULL)
        return;
    if (program->pid != 0)
        kill(-program->pid, SIGKILL);
    while (!TAILQ_EMPTY(&program->waiting))
        drop_first(program);
    struct event *events[] = {program->child_event, program->time_event, program->start_event};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        loop_free_event(events[i]);
    free(program->path);
    free(program);
}
