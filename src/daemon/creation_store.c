#include "daemon/creation_store.h"

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

struct creation_store {
    struct creations *creations; /* borrowed */
    char *directory;
    int directory_fd; /* -1: nothing is kept */
    int lock_fd;
    int64_t failed_ms; /* 0: the last save went well */
    char file[32];
    char new_file[40];
    char damaged_file[40];
    char lock_file[40];
};

static void warn(const struct creation_store *store, const char *what, int error) {
    log_event(LOG_LEVEL_WARN, "state_not_kept", log_text("reason", what),
              log_text("error", strerror(error)), log_text("directory", store->directory),
              log_text("outcome", "creations follow the clock"));
}

/* Makes the directory and, where they are missing, those above it. */
static int make_directories(const char *path) {
    char part[4096];
    if (strlen(path) >= sizeof part)
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

static bool open_directory(struct creation_store *store) {
    int error = make_directories(store->directory);
    if (error < 0) {
        warn(store, "cannot make the directory", -error);
        return false;
    }
    store->directory_fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->directory_fd < 0) {
        warn(store, "cannot open the directory", errno);
        return false;
    }
    return true;
}

/* Two daemons on one port at different addresses must not write over each other. */
static bool lock(struct creation_store *store) {
    store->lock_fd = openat(store->directory_fd, store->lock_file,
                            O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (store->lock_fd < 0) {
        warn(store, "cannot write in the directory", errno);
        return false;
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        warn(store, "another daemon of this port uses it", EBUSY);
        return false;
    }
    return true;
}

/* The whole file, to be freed; *len is -errno on failure. */
static uint8_t *read_file(const struct creation_store *store, ssize_t *len) {
    uint8_t *text = NULL;
    size_t have = 0;
    ssize_t got = -1;
    int fd = openat(store->directory_fd, store->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && (text = malloc(CREATIONS_TEXT_MAX)) != NULL) {
        while (have < CREATIONS_TEXT_MAX &&
               (got = read(fd, text + have, CREATIONS_TEXT_MAX - have)) > 0)
            have += (size_t)got;
    }
    *len = fd < 0 || got < 0 ? -errno : (ssize_t)have;
    if (fd >= 0)
        close(fd);
    return text;
}

static void set_damaged_aside(const struct creation_store *store) {
    if (renameat(store->directory_fd, store->file, store->directory_fd, store->damaged_file) < 0)
        warn(store, "cannot set the damaged file aside", errno);
    log_event(LOG_LEVEL_ERROR, "state_damaged", log_text("directory", store->directory),
              log_text("file", store->file), log_text("set_aside_as", store->damaged_file),
              log_text("outcome", "creations follow the clock from here on"));
}

static bool load(struct creation_store *store) {
    ssize_t len;
    uint8_t *text = read_file(store, &len);
    if (len >= 0 && !creations_restore(store->creations, bytes_of(text, (size_t)len)))
        set_damaged_aside(store);
    free(text);
    if (len >= 0 || len == -ENOENT)
        return true;
    warn(store, "cannot read the file", (int)-len);
    return false;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

struct creation_store *creation_store_open(const char *directory, uint16_t port,
                                           struct creations *creations) {
    struct creation_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->creations = creations;
    store->directory_fd = store->lock_fd = -1;
    store->directory = strdup(directory == NULL ? "" : directory);
    snprintf(store->file, sizeof store->file, "creations-%u", port);
    snprintf(store->new_file, sizeof store->new_file, "%s.new", store->file);
    snprintf(store->damaged_file, sizeof store->damaged_file, "%s.damaged", store->file);
    snprintf(store->lock_file, sizeof store->lock_file, "%s.lock", store->file);
    if (store->directory == NULL) {
        creation_store_free(store);
        return NULL;
    }
    if (directory == NULL)
        return store;
    if (!open_directory(store) || !lock(store) || !load(store)) {
        close_fd(&store->directory_fd);
        close_fd(&store->lock_fd);
    }
    return store;
}

void creation_store_free(struct creation_store *store) {
    if (store == NULL)
        return;
    close_fd(&store->directory_fd);
    close_fd(&store->lock_fd);
    free(store->directory);
    free(store);
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
static int replace_file(const struct creation_store *store, struct bytes text) {
    int fd = openat(store->directory_fd, store->new_file,
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return -errno;
    int error = write_all(fd, text);
    if (error == 0 && fsync(fd) < 0)
        error = -errno;
    close(fd);
    if (error == 0 &&
        renameat(store->directory_fd, store->new_file, store->directory_fd, store->file) < 0)
        error = -errno;
    if (error == 0 && fsync(store->directory_fd) < 0)
        error = -errno;
    if (error != 0)
        unlinkat(store->directory_fd, store->new_file, 0);
    return error;
}

static int save(struct creation_store *store) {
    uint8_t *buffer = malloc(CREATIONS_TEXT_MAX);
    if (buffer == NULL)
        return -ENOMEM;
    struct writer writer = writer_of(buffer, CREATIONS_TEXT_MAX);
    int error = creations_encode(store->creations, &writer)
                    ? replace_file(store, writer_bytes(&writer))
                    : -E2BIG;
    free(buffer);
    return error;
}

void creation_store_sync(struct creation_store *store) {
    if (store->directory_fd < 0 || !creations_unsaved(store->creations))
        return;
    int64_t now_ms = clock_monotonic_ms();
    if (store->failed_ms != 0 && now_ms - store->failed_ms < RETRY_MS)
        return;
    int error = save(store);
    store->failed_ms = error == 0 ? 0 : now_ms;
    if (error == 0)
        creations_saved(store->creations);
    else
        warn(store, "cannot save", -error);
}
