#include "base/control_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_NAME "portolan.sock"
#define SYSTEM_SOCKET "/run/portolan/" SOCKET_NAME

/* A directory that a variable names by an absolute path, or NULL. */
static const char *directory_in(const char *variable) {
    const char *value = getenv(variable);
    return value != NULL && value[0] == '/' ? value : NULL;
}

/* systemd puts colons between several directories: the first is ours. */
static bool in_directory(char *path, const char *directory) {
    int len = snprintf(path, CONTROL_PATH_SIZE, "%.*s/" SOCKET_NAME, (int)strcspn(directory, ":"),
                       directory);
    return len > 0 && len < CONTROL_PATH_SIZE;
}

/* A directory, and no link to one, of this user, that is not writable by others. */
static bool is_private(const char *directory) {
    struct stat status;
    if (lstat(directory, &status) < 0)
        return false;
    errno = EPERM;
    return S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static void runtime_directory(char *directory) {
    snprintf(directory, CONTROL_PATH_SIZE, "/run/user/%lu", (unsigned long)geteuid());
}

static void tmp_directory(char *directory) {
    snprintf(directory, CONTROL_PATH_SIZE, "/tmp/portolan-%lu", (unsigned long)geteuid());
}

bool control_path_default(char path[CONTROL_PATH_SIZE]) {
    char directory[CONTROL_PATH_SIZE];
    const char *from_systemd = directory_in("RUNTIME_DIRECTORY");
    const char *runtime = directory_in("XDG_RUNTIME_DIR");
    if (from_systemd != NULL)
        return in_directory(path, from_systemd);
    if (geteuid() == 0) {
        strcpy(path, SYSTEM_SOCKET);
        return true;
    }
    if (runtime != NULL)
        return in_directory(path, runtime);
    runtime_directory(directory);
    if (!is_private(directory))
        tmp_directory(directory);
    return in_directory(path, directory);
}

bool control_path_is_in_tmp(const char *path) {
    char directory[CONTROL_PATH_SIZE], ours[CONTROL_PATH_SIZE];
    tmp_directory(directory);
    return in_directory(ours, directory) && strcmp(path, ours) == 0;
}

bool control_path_make_private(const char *path) {
    char directory[CONTROL_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    if (mkdir(directory, 0755) < 0 && errno != EEXIST)
        return false;
    return is_private(directory);
}

static bool is_socket(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* Whether the user's own daemon has its socket in this directory. */
static bool has_socket(char *path, const char *directory) {
    return in_directory(path, directory) && is_socket(path);
}

void control_path_find(char path[CONTROL_PATH_SIZE]) {
    char directory[CONTROL_PATH_SIZE];
    const char *runtime = directory_in("XDG_RUNTIME_DIR");
    if (geteuid() != 0) {
        if (runtime != NULL && has_socket(path, runtime))
            return;
        runtime_directory(directory);
        if (is_private(directory) && has_socket(path, directory))
            return;
        tmp_directory(directory);
        if (is_private(directory) && has_socket(path, directory))
            return;
    }
    strcpy(path, SYSTEM_SOCKET);
}
