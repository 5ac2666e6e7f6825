#include "config/defaults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A variable that holds an absolute path, or NULL. */
static const char *path_in(const char *variable) {
    const char *value = getenv(variable);
    return value != NULL && value[0] == '/' ? value : NULL;
}

/* systemd puts colons between several directories: the first is ours. */
static bool set_from(char *path, const char *directory, const char *rest) {
    int len =
        snprintf(path, CONFIG_PATH_SIZE, "%.*s%s", (int)strcspn(directory, ":"), directory, rest);
    return len >= 0 && len < CONFIG_PATH_SIZE;
}

bool config_default_data_dir(char *path) {
    const char *from_systemd = path_in("STATE_DIRECTORY");
    const char *state_home = path_in("XDG_STATE_HOME");
    const char *home = path_in("HOME");
    if (from_systemd != NULL)
        return set_from(path, from_systemd, "");
    if (geteuid() == 0)
        return set_from(path, "/var/lib/portolan", "");
    if (state_home != NULL)
        return set_from(path, state_home, "/portolan");
    return home != NULL && set_from(path, home, "/.local/state/portolan");
}
