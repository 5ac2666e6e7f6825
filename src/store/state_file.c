#include "store/state_file.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/regular_file.h"
#include "loop/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The pauses after saves that failed one after the other: the first, and each is twice the one
 * before, up to the longest. */
#define RETRY_FIRST_MS 1000
#define RETRY_LONGEST_MS 60000

#define NAME_SIZE 48

/* One write, and all that the thread looks at. */
struct write {
    struct state_job job; /* first: a job is its write */
    struct state_file *file;
    int directory_fd;
    const char *name, *new_name;
    bool durable;
    uint8_t *text; /* owned */
    size_t len;
    int error; /* an errno, of the whole */
};

struct state_file {
    char *directory;
    const char *outcome;
    int directory_fd; /* -1: nothing is kept */
    int lock_fd;
    int error;        /* an errno, of the last save; 0: it went well */
    int64_t pause_ms; /* after a failure, until the next one is tried */
    int64_t retry_ms; /* when that is over */
    struct state_hooks hooks;
    struct state_worker *worker;                          /* borrowed; NULL: there is none yet */
    struct event *begin_event, *late_event, *retry_event; /* NULL: no worker */
    struct write write;
    bool wanted;     /* a write is to begin when the callback under way is over */
    bool busy;       /* a write is under way */
    bool preparing;  /* … and its text is not whole yet */
    bool late;       /* … and has been for too long: it is no longer waited for */
    bool again;      /* … and is to be followed by another */
    bool orphaned;   /* … and is not reported: its owner is gone */
    uint64_t number; /* of the last write */
    char name[NAME_SIZE];
    char new_name[NAME_SIZE + 8];
    char damaged_name[NAME_SIZE + 8];
    char lock_name[NAME_SIZE + 8];
};

static void warn(const struct state_file *file, const char *what, int error) {
    log_event(LOG_LEVEL_WARN, "state_not_kept", log_text("reason", what),
              log_text("error", regular_file_error(error)), log_text("directory", file->directory),
              log_text("file", file->name), log_text("outcome", file->outcome));
}

/* Makes the directory and, where they are missing, those above it. */
static int make_directories(const char *path) {
    char part[4096];
    if (path[0] == '\0' || strlen(path) >= sizeof part)
        return -ENAMETOOLONG;
    strcpy(part, path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(part, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

static bool open_directory(struct state_file *file) {
    int error = make_directories(file->directory);
    if (error < 0) {
        warn(file, "cannot create the directory", -error);
        return false;
    }
    file->directory_fd = open(file->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->directory_fd < 0) {
        warn(file, "cannot open the directory", errno);
        return false;
    }
    return true;
}

/* Two daemons on one port at different addresses must not write over each other. */
static bool lock(struct state_file *file) {
    file->lock_fd =
        regular_file_open(file->directory_fd, file->lock_name, O_RDWR | O_CREAT | O_NOFOLLOW, 0640);
    if (file->lock_fd < 0) {
        warn(file, "cannot open the lock file", -file->lock_fd);
        file->lock_fd = -1;
        return false;
    }
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        warn(file, "another daemon on this port uses it", EBUSY);
        return false;
    }
    return true;
}

/* The whole file, to be freed; *len is -errno on failure. */
static uint8_t *read_file(int directory_fd, const char *name, size_t most, ssize_t *len) {
    uint8_t *text = NULL;
    size_t have = 0;
    ssize_t got = -1;
    int fd = regular_file_open(directory_fd, name, O_RDONLY | O_NOFOLLOW, 0);
    if (fd < 0) {
        *len = fd;
        return NULL;
    }
    if ((text = malloc(most)) != NULL) {
        while (have < most && (got = read(fd, text + have, most - have)) > 0)
            have += (size_t)got;
    }
    *len = got < 0 ? -errno : (ssize_t)have;
    close(fd);
    return text;
}

static void set_damaged_aside(const struct state_file *file) {
    if (renameat(file->directory_fd, file->name, file->directory_fd, file->damaged_name) < 0)
        warn(file, "cannot set the damaged file aside", errno);
    log_event(LOG_LEVEL_ERROR, "state_damaged", log_text("directory", file->directory),
              log_text("file", file->name), log_text("set_aside_as", file->damaged_name),
              log_text("outcome", file->outcome));
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void give_up(struct state_file *file) {
    close_fd(&file->directory_fd);
    close_fd(&file->lock_fd);
}

void state_file_load(struct state_file *file, size_t most,
                     bool (*restore)(void *context, struct bytes text), void *context) {
    ssize_t len;
    if (file->directory_fd < 0)
        return;
    uint8_t *text = read_file(file->directory_fd, file->name, most, &len);
    if (len >= 0 && !restore(context, bytes_of(text, (size_t)len)))
        set_damaged_aside(file);
    free(text);
    if (len < 0 && len != -ENOENT) {
        warn(file, "cannot read the file", (int)-len);
        give_up(file);
    }
}

void state_file_peek(const char *directory, const char *name, size_t most,
                     void (*visit)(void *context, struct bytes text), void *context) {
    ssize_t len = -1;
    int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint8_t *text = directory_fd < 0 ? NULL : read_file(directory_fd, name, most, &len);
    if (text != NULL && len >= 0)
        visit(context, bytes_of(text, (size_t)len));
    free(text);
    close_fd(&directory_fd);
}

static void work(struct state_job *job);
static void done(struct state_job *job);

struct state_file *state_file_open(const char *directory, const char *name, const char *outcome,
                                   const struct state_hooks *hooks) {
    struct state_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->outcome = outcome;
    file->hooks = *hooks;
    file->directory_fd = file->lock_fd = -1;
    file->directory = strdup(directory == NULL ? "" : directory);
    snprintf(file->name, sizeof file->name, "%s", name);
    snprintf(file->new_name, sizeof file->new_name, "%s.new", file->name);
    snprintf(file->damaged_name, sizeof file->damaged_name, "%s.damaged", file->name);
    snprintf(file->lock_name, sizeof file->lock_name, "%s.lock", file->name);
    if (file->directory == NULL) {
        state_file_free(file);
        return NULL;
    }
    if (directory != NULL && (!open_directory(file) || !lock(file)))
        give_up(file);
    file->write = (struct write){.job = {.work = work, .done = done},
                                 .file = file,
                                 .directory_fd = file->directory_fd,
                                 .name = file->name,
                                 .new_name = file->new_name,
                                 .durable = hooks->durable};
    return file;
}

void state_file_free(struct state_file *file) {
    if (file == NULL)
        return;
    loop_free_event(file->begin_event);
    loop_free_event(file->late_event);
    loop_free_event(file->retry_event);
    file->begin_event = file->late_event = file->retry_event = NULL;
    /* what the thread has it may go on with one day */
    file->orphaned = file->busy && !file->preparing;
    if (file->orphaned)
        return;
    give_up(file);
    free(file->directory);
    free(file);
}

/* --- one write, in the thread --- */

static int write_all(int fd, struct bytes text) {
    while (text.len > 0) {
        ssize_t wrote = write(fd, text.data, text.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return errno;
        text = bytes_of(text.data + wrote, text.len - (size_t)wrote);
    }
    return 0;
}

/* The new file, whatever stood there before. An errno. */
static int write_new(const struct write *write) {
    if (unlinkat(write->directory_fd, write->new_name, 0) < 0 && errno != ENOENT)
        return errno;
    int fd = openat(write->directory_fd, write->new_name,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return errno;
    int error = write_all(fd, bytes_of(write->text, write->len));
    if (error == 0 && write->durable && fsync(fd) < 0)
        error = errno;
    if (close(fd) < 0 && error == 0)
        error = errno;
    return error;
}

/* The old file is whole whatever happens. */
static void work(struct state_job *job) {
    struct write *write = (struct write *)job;
    int error = write_new(write);
    if (error == 0 &&
        renameat(write->directory_fd, write->new_name, write->directory_fd, write->name) < 0)
        error = errno;
    if (error == 0 && write->durable && fsync(write->directory_fd) < 0)
        error = errno;
    if (error != 0)
        unlinkat(write->directory_fd, write->new_name, 0);
    write->error = error;
}

/* --- saving, in the event loop --- */

static bool is_writable(const struct state_file *file) {
    if (file->directory_fd < 0)
        return false;
    return file->error == 0 || clock_monotonic_ms() >= file->retry_ms;
}

static void settle(const struct state_file *file, uint64_t number) {
    if (file->hooks.settled != NULL)
        file->hooks.settled(file->hooks.context, number);
}

/* A fault that lasts is in the log once: a full disk is often that of the log. */
static void retry_later(struct state_file *file, int error) {
    bool is_new = error != file->error;
    int64_t pause_ms = file->error == 0 ? RETRY_FIRST_MS : 2 * file->pause_ms;
    file->error = error;
    file->pause_ms = pause_ms < RETRY_LONGEST_MS ? pause_ms : RETRY_LONGEST_MS;
    file->retry_ms = clock_monotonic_ms() + file->pause_ms;
    if (file->retry_event != NULL)
        loop_set_timer_or_now(file->retry_event, file->pause_ms);
    if (is_new)
        warn(file, "cannot save", error);
    else
        log_event(LOG_LEVEL_DEBUG, "state_retried", log_text("directory", file->directory),
                  log_text("file", file->name), log_text("error", regular_file_error(error)));
}

static void tell_kept(struct state_file *file) {
    file->error = 0;
    log_event(LOG_LEVEL_INFO, "state_kept", log_text("directory", file->directory),
              log_text("file", file->name));
}

/* The outcome of the write that has the number. */
static void end_write(struct state_file *file, int error) {
    bool was_missed = file->late || file->error != 0;
    file->busy = file->late = false;
    if (error != 0)
        retry_later(file, error);
    else if (was_missed)
        tell_kept(file);
    file->hooks.saved(file->hooks.context, error == 0);
    settle(file, file->number);
}

static void on_late(evutil_socket_t fd, short what, void *context) {
    struct state_file *file = context;
    (void)fd;
    (void)what;
    if (!file->busy)
        return;
    file->late = true;
    warn(file, "the disk does not respond", ETIMEDOUT);
    settle(file, UINT64_MAX);
}

/* Hands the text over; `file` may be gone behind it. */
static void put(struct state_file *file) {
    struct write *write = &file->write;
    file->preparing = false;
    write->text = file->hooks.encode(file->hooks.context, &write->len);
    if (write->text == NULL) {
        write->error = ENOMEM;
        done(&write->job);
        return;
    }
    if (file->worker == NULL) {
        work(&write->job);
        done(&write->job);
        return;
    }
    if (!loop_set_timer(file->late_event, STATE_FILE_LATE_MS)) {
        file->late = true; /* what cannot be waited for with a limit is not waited for */
        settle(file, file->number);
    }
    state_worker_put(file->worker, &write->job);
}

/* One more part of the text. False: it is not whole yet. */
static bool prepare(struct state_file *file) {
    return file->hooks.prepare == NULL || file->hooks.prepare(file->hooks.context);
}

static void go_on(struct state_file *file) {
    if (prepare(file))
        put(file);
    else
        loop_set_timer_or_now(file->begin_event, 0); /* in the next turn, behind all others */
}

static void prepare_whole(struct state_file *file) {
    while (!prepare(file)) {
    }
    put(file);
}

static void begin(struct state_file *file) {
    file->wanted = false;
    file->number++;
    file->busy = file->preparing = true;
    if (file->worker == NULL)
        prepare_whole(file);
    else
        go_on(file);
}

static void done(struct state_job *job) {
    struct write *write = (struct write *)job;
    struct state_file *file = write->file;
    free(write->text);
    write->text = NULL;
    if (file->orphaned) {
        file->busy = false;
        state_file_free(file);
        return;
    }
    if (file->late_event != NULL)
        event_del(file->late_event);
    end_write(file, write->error);
    if (!file->again)
        return;
    file->again = false;
    if (file->hooks.unsaved(file->hooks.context) && is_writable(file))
        begin(file);
    else
        settle(file, ++file->number);
}

/* What was changed by requests that came together is in one write. */
static void on_begin(evutil_socket_t fd, short what, void *context) {
    struct state_file *file = context;
    (void)fd;
    (void)what;
    if (file->preparing)
        go_on(file);
    else if (file->wanted)
        begin(file);
}

/* Also where nothing has changed since: what could not be saved is still to be. */
static void on_retry(evutil_socket_t fd, short what, void *context) {
    struct state_file *file = context;
    (void)fd;
    (void)what;
    if (file->error != 0 && !file->busy && file->hooks.unsaved(file->hooks.context))
        begin(file);
}

uint64_t state_file_save(struct state_file *file) {
    if (!is_writable(file))
        return 0;
    if (file->busy) {
        file->again = true;
        return file->late ? 0 : file->number + 1;
    }
    if (file->worker == NULL) {
        begin(file);
        return 0;
    }
    file->wanted = true;
    event_active(file->begin_event, EV_TIMEOUT, 0);
    return file->number + 1;
}

void state_file_save_last(struct state_file *file) {
    bool has_worker = file->worker != NULL;
    if (file->preparing)
        prepare_whole(file);
    bool in_time = !has_worker || state_worker_wait(file->worker);
    file->error = 0; /* no later time to try it at */
    if (in_time && file->directory_fd >= 0 && file->hooks.unsaved(file->hooks.context)) {
        begin(file);
        if (file->preparing)
            prepare_whole(file);
        in_time = !has_worker || state_worker_wait(file->worker);
    }
    if (!in_time)
        warn(file, "the disk does not respond", ETIMEDOUT);
}

bool state_file_attach(struct state_file *file, struct state_worker *worker) {
    file->begin_event = event_new(state_worker_base(worker), -1, 0, on_begin, file);
    file->late_event = event_new(state_worker_base(worker), -1, 0, on_late, file);
    file->retry_event = event_new(state_worker_base(worker), -1, 0, on_retry, file);
    if (file->begin_event == NULL || file->late_event == NULL || file->retry_event == NULL)
        return false;
    if (file->error != 0)
        loop_set_timer_or_now(file->retry_event, file->pause_ms);
    file->worker = worker;
    return true;
}
