#include "cli/exec_environment.h"

#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/shell_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_SIZE 192
#define PORT_SIZE 8

/* The node that a `portolan exec` around this one was for: what it has set is not the user's. */
#define OUTER_NODE "PORTOLAN_EXEC_NODE"

static bool is_set(const char *variable) {
    const char *value = getenv(variable);
    return value != NULL && *value != '\0';
}

static void set(const char *variable, const char *value) {
    if (setenv(variable, value, 1) != 0)
        alloc_or_exit(NULL);
}

static void set_port(const char *variable, uint16_t port) {
    char text[PORT_SIZE];
    snprintf(text, sizeof text, "%u", (unsigned)port);
    set(variable, text);
}

/* --- the name of the node --- */

/* Each server takes its name and whether it is a long one from two variables. */
static const struct naming {
    const char *node, *kind;
    const char *long_names, *short_names; /* what the second says */
} namings[] = {
    {"RABBITMQ_NODENAME", "RABBITMQ_USE_LONGNAME", "true", "false"},
    {"RELEASE_NODE", "RELEASE_DISTRIBUTION", "name", "sname"},
};
#define NAMINGS (sizeof namings / sizeof namings[0])

static size_t alive_len(const char *node) {
    return strcspn(node, "@");
}

/* "rabbit" is rabbit at any host: the server adds its own. */
static bool is_same_node(const char *a, const char *b) {
    size_t len = alive_len(a);
    if (len != alive_len(b) || strncmp(a, b, len) != 0)
        return false;
    return a[len] == '\0' || b[len] == '\0' || strcmp(a + len, b + len) == 0;
}

/* As Erlang has it: a host with a dot is for long names only. IPv6 addresses are as well. */
static bool is_long(const char *node) {
    return strpbrk(node + alive_len(node), ".:") != NULL;
}

/* Whether the outer exec has set the variables, so that the user has not asked for them. */
static bool is_from_outer(const char *node) {
    const char *outer = getenv(OUTER_NODE);
    return outer != NULL && node != NULL && is_same_node(node, outer);
}

/* What the user wants the node to be, where that is said; else NULL. */
static const char *wanted(const struct naming *naming, const char *variable) {
    return is_set(variable) && !is_from_outer(getenv(naming->node)) ? getenv(variable) : NULL;
}

static bool names_agree(const struct naming *naming, const char *node) {
    const char *set_already = wanted(naming, naming->node);
    if (set_already == NULL || is_same_node(set_already, node))
        return true;
    cli_error("cannot start %s: %s is set to another node, %s; unset it, or name that node", node,
              naming->node, set_already);
    return false;
}

/* The one of the two that says the host. */
static const char *whole_name(const struct naming *naming, const char *node) {
    const char *name = wanted(naming, naming->node);
    return name == NULL || strchr(node, '@') != NULL ? node : name;
}

/* Long names may be had with any host; short ones not with a dot, and no name means no node. */
static bool kinds_agree(const struct naming *naming, const char *node) {
    const char *kind = wanted(naming, naming->kind);
    bool short_wanted = kind != NULL && strcmp(kind, naming->short_names) == 0;
    bool none_wanted = kind != NULL && strcmp(kind, "none") == 0;
    if (!none_wanted && !(short_wanted && is_long(whole_name(naming, node))))
        return true;
    cli_error("cannot start %s: %s is %s, and %s; unset it", node, naming->kind, kind,
              none_wanted ? "the server would have no name" : "that host takes long names only");
    return false;
}

bool exec_environment_agrees(const char *node) {
    for (size_t i = 0; i < NAMINGS; i++) {
        if (!names_agree(&namings[i], node) || !kinds_agree(&namings[i], node))
            return false;
    }
    return true;
}

static void set_names(const struct naming *naming, const char *node) {
    const char *name = whole_name(naming, node), *kind = wanted(naming, naming->kind);
    bool keeps_long = kind != NULL && strcmp(kind, naming->long_names) == 0;
    set(naming->kind, keeps_long || is_long(name) ? naming->long_names : naming->short_names);
    set(naming->node, name);
}

/* --- the port --- */

/* Puts the flags before or behind those that are in the variable. */
static void add_flags(const char *variable, const char *flags, bool before) {
    const char *present = is_set(variable) ? getenv(variable) : "";
    const char *blank = *present == '\0' ? "" : " ";
    size_t size = strlen(flags) + strlen(present) + 2;
    char *all = alloc_or_exit(malloc(size));
    snprintf(all, size, "%s%s%s", before ? flags : present, blank, before ? present : flags);
    set(variable, all);
    free(all);
}

/*
 * Of several values of one parameter Erlang takes the first, and ERL_AFLAGS comes before the
 * command line: so the lease's port beats those that the program's own scripts set. Where a script
 * sets ERL_AFLAGS anew, ERL_ZFLAGS has the same once more, behind the command line.
 */
static void set_listen_flags(const struct exec_port *port) {
    char flags[FLAGS_SIZE];
    snprintf(flags, sizeof flags, "-kernel inet_dist_listen_min %u inet_dist_listen_max %u%s",
             (unsigned)port->port, (unsigned)port->last, port->interface);
    add_flags("ERL_AFLAGS", flags, true);
    add_flags("ERL_ZFLAGS", flags, false);
}

void exec_environment_set(const struct exec_port *port) {
    set_port("ERL_EPMD_PORT", port->epmd_port);
    set_listen_flags(port);
    set_port("RABBITMQ_DIST_PORT", port->port);
    for (size_t i = 0; i < NAMINGS; i++)
        set_names(&namings[i], port->node);
    set(OUTER_NODE, port->node);
}

/* --- warnings --- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* The value of the last such option among the words, "-c FILE"; NULL: none has it. */
static const char *option_of(char **words, const char *name, const char *short_name) {
    const char *found = NULL;
    for (; *words != NULL; words++) {
        if ((strcmp(*words, name) == 0 || strcmp(*words, short_name) == 0) && words[1] != NULL)
            found = words[1];
    }
    return found;
}

static bool is_port(const char *value, uint16_t port) {
    uint64_t number;
    return text_parse_number(value, 0, UINT16_MAX, &number) && number == port;
}

/* What the file says of the variable, when that is something else than the port. */
static void warn_of_port(const char *path, const char *variable, uint16_t port,
                         const char *consequence) {
    char value[SHELL_SETTING_SIZE];
    if (shell_setting(path, variable, value) && !is_port(value, port))
        cli_error("%s sets %s to %s, which overrides the leased port %u: %s; remove the line", path,
                  variable, value, (unsigned)port, consequence);
}

static void warn_of_name(const char *path, const char *variable, const char *node) {
    char value[SHELL_SETTING_SIZE];
    if (shell_setting(path, variable, value) && !is_same_node(value, node))
        cli_error(
            "%s sets %s to %s, which overrides %s: the lease will not be used; remove the line, or "
            "lease a port for that node",
            path, variable, value, node);
}

#define ASKS_ELSEWHERE "the server will register at another daemon"
#define LISTENS_ELSEWHERE "the server will listen there, and the lease will not be used"

static void warn_of_rabbitmq(const struct exec_port *port, char **words) {
    const char *path = getenv("RABBITMQ_CONF_ENV_FILE");
    (void)words;
    if (path == NULL || *path == '\0')
        path = "/etc/rabbitmq/rabbitmq-env.conf";
    warn_of_port(path, "RABBITMQ_DIST_PORT", port->port, LISTENS_ELSEWHERE);
    warn_of_name(path, "RABBITMQ_NODENAME", port->node);
    warn_of_port(path, "ERL_EPMD_PORT", port->epmd_port, ASKS_ELSEWHERE);
}

static void warn_of_ejabberd(const struct exec_port *port, char **words) {
    char made[512];
    const char *path = option_of(words, "--ctl-config", "-c");
    const char *directory = option_of(words, "--config-dir", "-d");
    snprintf(made, sizeof made, "%s/ejabberdctl.cfg",
             directory == NULL ? "/etc/ejabberd" : directory);
    if (path == NULL)
        path = made;
    warn_of_port(path, "ERL_DIST_PORT", port->port, LISTENS_ELSEWHERE);
    warn_of_port(path, "ERL_EPMD_PORT", port->epmd_port, ASKS_ELSEWHERE);
    if (option_of(words, "--node", "-n") == NULL)
        warn_of_name(path, "ERLANG_NODE", port->node);
}

static void warn_of_emqx(const struct exec_port *port, char **words) {
    (void)words;
    if (!is_set("WITH_EPMD") && !is_set("EPMD_ARGS"))
        cli_error(
            "emqx chooses its own port from the digits of its name and does not register: the lease"
            " of %s will not be used; set WITH_EPMD=1 (EMQX 4), or EPMD_ARGS='-start_epmd true "
            "-proto_dist inet_tcp' (EMQX 5)",
            port->node);
}

void exec_environment_warn(const struct exec_port *port, char **words) {
    static const struct {
        const char *program;
        void (*warn)(const struct exec_port *port, char **words);
    } known[] = {{"rabbitmq-server", warn_of_rabbitmq},
                 {"ejabberdctl", warn_of_ejabberd},
                 {"emqx", warn_of_emqx}};
    if (is_set("ERL_DIST_PORT") && !is_port(getenv("ERL_DIST_PORT"), port->port))
        cli_error(
            "ERL_DIST_PORT is set to %s: ejabberdctl and releases built with relx will listen "
            "there, not on the leased port %u; unset it",
            getenv("ERL_DIST_PORT"), (unsigned)port->port);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(base_name(words[0]), known[i].program) == 0)
            known[i].warn(port, words + 1);
    }
}
