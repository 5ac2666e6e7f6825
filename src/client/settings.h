/* The caller's options, checked and with every default in its place. */
#ifndef PORTOLAN_CLIENT_SETTINGS_H
#define PORTOLAN_CLIENT_SETTINGS_H

#include "erlang/node_name.h"
#include "portolan.h"

#define SETTINGS_EPMD_PORTS 2

struct settings {
    int64_t deadline_ms; /* a duration */
    uint16_t epmd_ports[SETTINGS_EPMD_PORTS];
    size_t epmd_port_count;
    uint16_t base_port;
    unsigned sources;
    struct portolan_session *session;    /* NULL: a connection for each call */
    char address[PORTOLAN_ADDRESS_SIZE]; /* empty: look the host up */
    char control_socket[PORTOLAN_CONTROL_SOCKET_SIZE];
};

/* `options` may be NULL. NULL, or why the options cannot be. */
const char *settings_from(const struct portolan_options *options, struct settings *settings);

/* Why options cannot be, or NULL. */
const char *settings_check(const struct portolan_options *options);

/* A node as its two parts; `host` is empty where none was given: this host. */
struct node {
    char name[ALIVE_NAME_MAX_BYTES + 1];
    char host[PORTOLAN_HOST_SIZE];
};

/* Each: NULL, or why the text cannot be one. */
const char *node_parse(const char *text, struct node *node);
const char *node_parse_alive(const char *name, struct node *node);
const char *node_parse_host(const char *host, struct node *node);

#endif
