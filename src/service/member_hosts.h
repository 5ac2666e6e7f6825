/*
 * Which addresses the hosts of this cluster's members have: for questions such as "may this caller
 * list names?", which are answered at once, without a look-up of a host.
 *
 *   a member Name@Host where Host is    its addresses are
 *   numeric                             that one
 *   a name                              what a look-up on the side says (net/host_lookup): one at a
 *                                       time, MEMBER_HOSTS_LOOKUP_MS each; begun when the member
 *                                       comes into the list or comes up, and again for all when an
 *                                       unknown address asks, once in MEMBER_HOSTS_AGAIN_MS
 *
 * Members of any state but those that left, were forced out or cleaned have a host.
 */
#ifndef PORTOLAN_SERVICE_MEMBER_HOSTS_H
#define PORTOLAN_SERVICE_MEMBER_HOSTS_H

#include "base/bytes.h"

#include <stdbool.h>

#define MEMBER_HOSTS_LOOKUP_MS 5000
#define MEMBER_HOSTS_AGAIN_MS 10000

struct cluster;
struct cluster_event;
struct event_base;
struct member_hosts;

/* Both are borrowed. NULL when out of memory. */
struct member_hosts *member_hosts_new(struct event_base *base, const struct cluster *cluster);
void member_hosts_free(struct member_hosts *hosts);

/* The cluster has told this: where the list of members may have changed, it is looked at soon, from
 * the event loop; a member that comes up is looked up again, for its address may be another. */
void member_hosts_update(struct member_hosts *hosts, const struct cluster_event *event);

/* Whether a member's host has the address: 4 or 16 bytes, as address_host gives them. */
bool member_hosts_has(struct member_hosts *hosts, struct bytes address);

#endif
