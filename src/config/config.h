/*
 * The settings of the daemon: their values, and where each came from.
 *
 * A key (config/keys has the table) may be set by a flag of the command line, a variable of
 * the environment (config/environment), or a line of the file (config/file). A flag
 * beats the environment, which beats the file, which beats the default; so the order of the calls
 * below does not matter. What is wrong is told to a struct config_report.
 *
 *   config_init -> config_set for each flag -> config_load -> config_check -> use -> config_free
 */
#ifndef PORTOLAN_CONFIG_CONFIG_H
#define PORTOLAN_CONFIG_CONFIG_H

#include "base/log.h"
#include "config/emqx_keys.h"
#include "config/report.h"

/* The name that the program was started under: the defaults differ. */
enum config_personality { CONFIG_AS_PORTOLAND, CONFIG_AS_EPMD };

/* The weakest first. */
enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_ENVIRONMENT,
    CONFIG_FROM_FLAG,
};
extern const char *const config_source_names[]; /* by enum config_source */

struct config_origin {
    enum config_source source;
    const char *where; /* "/etc/portolan/portolan.conf:12", "PORTOLAN_EPMD__PORT", "-port" */
};

/* More than there are keys; the table checks it. */
#define CONFIG_KEYS_MAX 64

/* Texts are owned and never NULL, unless it says so. */
struct config {
    char *node_name;
    char *cookie;      /* "": none; never printed or logged */
    char *cookie_file; /* an absolute path, "": none */
    char *data_dir;    /* an absolute path; NULL: nowhere */
    uint16_t dist_base_port;
    uint16_t dist_listen_min, dist_listen_max;
    uint64_t dist_tool_ports; /* at the end of that range; fewer than it has */
    int port_policy;          /* enum port_policy */
    bool port_enforce;
    bool epmd_enable;
    uint16_t epmd_port;
    char *epmd_address; /* comma list, "" for all */
    int64_t packet_timeout_ms;
    bool relaxed_commands;
    int remote_names;          /* enum remote_names */
    uint64_t peer_connections; /* 0: any number */
    bool front_enable;
    char *front_address; /* comma list, "" for all */
    bool front_proxy;
    uint64_t front_peer_streams; /* 0: any number */
    char *front_allow;           /* see net/allow_list */
    bool front_check_owner;
    uint64_t user_share; /* percent */
    uint64_t front_offset_max;
    char *cluster_name;
    int cluster_discovery; /* enum discovery_kind */
    bool cluster_autoheal;
    int64_t cluster_autoclean_ms;                                  /* 0: never */
    char *cluster_seeds;                                           /* comma list of node names */
    char *cluster_cacertfile, *cluster_certfile, *cluster_keyfile; /* absolute paths, "": none */
    char *cluster_on_event;                                        /* the same */
    char *control_socket; /* an absolute path; "" for none */
    int log_level;        /* enum log_level */
    char *log_to;         /* "console", "syslog" or a path */
    int log_format;       /* enum log_format */

    enum config_source sources[CONFIG_KEYS_MAX]; /* by config_key_number */
    char *wheres[CONFIG_KEYS_MAX];               /* struct config_origin's; NULL: the default */
    enum config_personality personality;
    char *directory; /* where relative paths start from */
    char *file;      /* -c, made absolute; NULL: CONFIG_DEFAULT_FILE if there is one */
    bool file_read;
    struct emqx_keys ignored; /* of the file: what is EMQX's own */
};

/* Read by portoland when no other is named and it is there; never under the name epmd. */
#define CONFIG_DEFAULT_FILE "/etc/portolan/portolan.conf"

/* Sets the defaults. False when out of memory. Free with config_free in any case. */
bool config_init(struct config *config, enum config_personality personality);
void config_free(struct config *config);

/* Names the file to read. False when out of memory. */
bool config_use_file(struct config *config, const char *path);

/*
 * Sets one key from its text form, unless a source with precedence has set it: then the text is
 * judged all the same. False when the key or the text is wrong, which the report then has.
 */
bool config_set(struct config *config, const char *name, const char *value,
                const struct config_origin *origin, struct config_report *report);

/* Sets what "KEY=VALUE" says, on behalf of a flag. */
bool config_set_pair(struct config *config, const char *pair, const char *flag,
                     struct config_report *report);

/* Where the value of a key came from, for a sentence: "the default", or config_origin's `where`. */
const char *config_where(const struct config *config, const char *name);

/* Reads the environment and the file. False when the report has errors. */
bool config_load(struct config *config, struct config_report *report);

/* Logs which file was read, and how many of its keys are not ours. */
void config_log_loaded(const struct config *config);

#endif
