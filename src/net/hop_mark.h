/*
 * A mark on the connections that the proxy makes, so that a front port knows one of them again.
 *
 * Where a name leads from one proxy to another, or back, each connection makes the next, until
 * there are no descriptors left. The mark is a hop limit that no system has by default. Connections
 * within a host keep it, the kernel saves it with the packet that opened the connection, and who
 * causes the connection can neither see nor change it. It needs no netlink, knows the proxies of
 * all users of this host, and costs nothing but where a caller of this host opens distribution.
 */
#ifndef PORTOLAN_NET_HOP_MARK_H
#define PORTOLAN_NET_HOP_MARK_H

#include <stdbool.h>

#define HOP_MARK_LIMIT 93

/* Of a socket that is not connected yet. */
void hop_mark_set(int fd);

/* Lets a listening socket save what hop_mark_found looks at. */
void hop_mark_save(int listening_fd);

/*
 * Whether an accepted connection has the mark. Also true where it should have been saved and was
 * not, as when the kernel is flooded with connections that are never finished; false where the
 * kernel cannot save it.
 */
bool hop_mark_found(int fd);

#endif
