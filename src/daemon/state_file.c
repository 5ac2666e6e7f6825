#include "daemon/state_file.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* After a failed save the next one is tried this much later. */
#define RETRY_MS 60000

#define NAME_SIZE 48

struct state_file {
    char *directory;
    const char *outcome;
    int directory_fd; /* -1: nothing is kept */
    int lock_fd;
    int64_t failed_ms; /* 0: the last save went well */
    char name[NAME_SIZE];
    char new_name[NAME_SIZE + 8];
    char damaged_name[NAME_SIZE + 8];
    char lock_name[NAME_SIZE + 8];
};

static void warn(const struct state_file *file, const char *what, int error) {
    log_event(LOG_LEVEL_WARN, "state_not_kept", log_text("reason", what),
              log_text("error", strerror(error)), log_text("directory", file->directory),
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
        warn(file, "cannot make the directory", -error);
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
    file->lock_fd = openat(file->directory_fd, file->lock_name,
                           O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (file->lock_fd < 0) {
        warn(file, "cannot write in the directory", errno);
        return false;
    }
    if (flock(file->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        warn(file, "another daemon of this port uses it", EBUSY);
        return false;
    }
    return true;
}

/* The whole file, to be freed; *len is -errno on failure. */
static uint8_t *read_file(const struct state_file *file, size_t most, ssize_t *len) {
    uint8_t *text = NULL;
    size_t have = 0;
    ssize_t got = -1;
    int fd = openat(file->directory_fd, file->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && (text = malloc(most)) != NULL) {
        while (have < most && (got = read(fd, text + have, most - have)) > 0)
            have += (size_t)got;
    }
    *len = fd < 0 || got < 0 ? -errno : (ssize_t)have;
    if (fd >= 0)
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
    uint8_t *text = read_file(file, most, &len);
    if (len >= 0 && !restore(context, bytes_of(text, (size_t)len)))
        set_damaged_aside(file);
    free(text);
    if (len < 0 && len != -ENOENT) {
        warn(file, "cannot read the file", (int)-len);
        give_up(file);
    }
}

struct state_file *state_file_open(const char *directory, const char *name, const char *outcome) {
    struct state_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->outcome = outcome;
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
    return file;
}

void state_file_free(struct state_file *file) {
    if (file == NULL)
        return;
    give_up(file);
    free(file->directory);
    free(file);
}

static int write_all(int fd, struct bytes text) {
    while (text.len > 0) {
        ssize_t wrote = write(fd, text.data, text.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        text = bytes_of(text.data + wrote, text.len - (size_t)wrote);
    }
    return 0;
}

/* 0 or -errno; the old file is whole whatever happens. */
static int replace_file(const struct state_file *file, struct bytes text, bool durable) {
    int fd = openat(file->directory_fd, file->new_name,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return -errno;
    int error = write_all(fd, text);
    if (error == 0 && durable && fsync(fd) < 0)
        error = -errno;
    close(fd);
    if (error == 0 &&
        renameat(file->directory_fd, file->new_name, file->directory_fd, file->name) < 0)
        error = -errno;
    if (error == 0 && durable && fsync(file->directory_fd) < 0)
        error = -errno;
    if (error != 0)
        unlinkat(file->directory_fd, file->new_name, 0);
    return error;
}

bool state_file_writable(const struct state_file *file) {
    if (file->directory_fd < 0)
        return false;
    return file->failed_ms == 0 || clock_monotonic_ms() - file->failed_ms >= RETRY_MS;
}

void state_file_not_saved(struct state_file *file, int error) {
    file->failed_ms = clock_monotonic_ms();
    warn(file, "cannot save", error);
}

bool state_file_save(struct state_file *file, struct bytes text, bool durable) {
    int error = replace_file(file, text, durable);
    if (error != 0)
        state_file_not_saved(file, -error);
    else
        file->failed_ms = 0;
    return error == 0;
}
