#include "host/port_owner.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTEN_STATE 0x0a

/* Looks in /proc/net/tcp or tcp6 for the inode of a socket that listens on the port. */
static bool find_inode(const char *table, uint16_t port, unsigned long *inode) {
    FILE *file = fopen(table, "re");
    char line[512];
    bool found = false;
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        unsigned local_port, state;
        found = sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %lu",
                       &local_port, &state, inode) == 3 &&
                local_port == port && state == TCP_LISTEN_STATE;
    }
    fclose(file);
    return found;
}

static bool holds_socket(const char *pid, const char *wanted) {
    char path[64 + NAME_MAX], target[64];
    snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
    DIR *fds = opendir(path);
    bool found = false;
    if (fds == NULL)
        return false;
    for (const struct dirent *fd; !found && (fd = readdir(fds)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%.16s/fd/%s", pid, fd->d_name);
        ssize_t len = readlink(path, target, sizeof target - 1);
        if (len <= 0)
            continue;
        target[len] = '\0';
        found = strcmp(target, wanted) == 0;
    }
    closedir(fds);
    return found;
}

static void read_program(struct port_owner *owner) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", (int)owner->pid);
    snprintf(owner->program, sizeof owner->program, "?");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(owner->program, sizeof owner->program, file) != NULL)
        owner->program[strcspn(owner->program, "\n")] = '\0';
    fclose(file);
}

bool port_owner_find(uint16_t port, struct port_owner *owner) {
    unsigned long inode;
    if (!find_inode("/proc/net/tcp", port, &inode) && !find_inode("/proc/net/tcp6", port, &inode))
        return false;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    DIR *processes = opendir("/proc");
    bool found = false;
    if (processes == NULL)
        return false;
    for (const struct dirent *process; !found && (process = readdir(processes)) != NULL;) {
        if (!isdigit((unsigned char)process->d_name[0]) || !holds_socket(process->d_name, wanted))
            continue;
        owner->pid = (pid_t)strtol(process->d_name, NULL, 10);
        read_program(owner);
        found = true;
    }
    closedir(processes);
    return found;
}
