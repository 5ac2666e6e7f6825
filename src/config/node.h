/* node.name: what a daemon may be called. */
#ifndef PORTOLAN_CONFIG_NODE_H
#define PORTOLAN_CONFIG_NODE_H

/*
 * NULL when the text is Name@Host, where Name is one to 255 letters, digits, '_' and '-', and Host
 * an IP address or a fully qualified name; else why not. Other hosts find a daemon by its name, so
 * a short host name, which means something on its own host alone, will not do.
 */
const char *config_node_check(const char *node);

#endif
