/*
 * One member of a cluster of daemons: who else is in it, who runs, and which Erlang nodes each has.
 *
 * This is the state machine alone. It does no I/O and reads no clock. The shell (sockets in the
 * daemon, a queue of events in the simulator) calls the functions below with the time and carries
 * out what they ask for through struct cluster_io. docs/cluster-protocol.md tells the protocol.
 *
 *     shell                                   cluster
 *     cluster_join(target) ------------------>
 *                          <------------------ io.connect(name)
 *     cluster_link_up(handle, name) --------->
 *                          <------------------ io.send(handle, frames)
 *     cluster_receive(link, bytes) ---------->
 *                          <------------------ io.notify(CLUSTER_EVENT_JOIN_DONE)
 *                          <------------------ io.persist()
 *     cluster_tick() when the returned time has come
 *
 * Rules for the shell:
 *
 *   - `now_ms` is a monotonic clock that never steps back. The wall clock is read once, at the
 *     start.
 *   - The functions of cluster_io must not call back into the cluster: what happens at once (a
 *     connection refused on the spot, say) is queued and told after the outer call has returned.
 *   - After any call that takes `now_ms`, ask cluster_due_ms() when cluster_tick wants to be
 *     called: the earlier of that and the timer already set. INT64_MAX: never, until something
 *     else happens.
 *   - Links: a struct cluster_link belongs to the cluster, its handle to the shell. It ends in one
 *     of two ways: the shell says cluster_link_down, or the cluster calls io.disconnect, after
 *     which the shell sends what is queued, closes, and says nothing more of this handle. That may
 *     be before the shell has the link: see cluster_link_up.
 *   - Bytes arrive in the order in which they were sent, whole or not at all; a link that lost
 *     something is down. When cluster_receive returns fewer bytes than it got, an unfinished frame
 *     is left: keep the rest (at most CLUSTER_FRAME_MAX) and hand it in again with what follows.
 *   - Names are node names, Name@Host, at most CLUSTER_NAME_MAX bytes, with a NUL.
 *
 * Member states, and what moves a member from one to another. `joined` and `incarnation` are the
 * numbers of its record (membership.h); a record with the higher (joined, incarnation, state) wins.
 *
 *   from        event                                                         to
 *   ---------   -----------------------------------------------------------   ---------
 *   (unknown)   its record is seen, by itself or carried by others            ALIVE
 *   ALIVE       silent for 3 s, and none of three of its neighbours hears it  SUSPECT
 *   ALIVE       reconnection refused, and none of three neighbours hears it   DOWN
 *   ALIVE       it says that it stops                                         DOWN
 *   SUSPECT     it says a higher incarnation                                  ALIVE
 *   SUSPECT     its time is up (less with independent confirmations)          DOWN
 *   SUSPECT     reconnection refused, or it says that it stops                DOWN
 *   any         a higher record of it is merged                               as there
 *   DOWN        it says a higher incarnation (healed, or started again)       ALIVE
 *   DOWN        down for longer than autoclean                                CLEANED
 *   CLEANED     it says a higher incarnation                                  ALIVE
 *   CLEANED     a day has passed                                              (unknown)
 *   all above   it leaves                                                     LEFT
 *   all above   an operator forces it out                                     FORCED_OUT
 *   LEFT        it joins again: a higher `joined`                             ALIVE
 *   FORCED_OUT  it joins again: a higher `joined`                             ALIVE
 *
 * ALIVE, SUSPECT and DOWN members are in the list that users see; CLEANED is each daemon's own
 * memory, LEFT and FORCED_OUT are tombstones that everyone keeps.
 *
 * Bounds (all memory is bounded whatever authenticated peers send): see the constants below.
 */
#ifndef PORTOLAN_CLUSTER_CLUSTER_H
#define PORTOLAN_CLUSTER_CLUSTER_H

#include "cluster/types.h"

/* autoheal on, autoclean 5m, everything else zero: name, wall_ms, random and io are to be set. */
struct cluster_options cluster_options_default(void);

/* All that the options point to is copied. *made is set when the answer is CLUSTER_STARTED, and
 * before io is called: a restored member is connected to at once. */
enum cluster_start cluster_new(const struct cluster_options *options, int64_t now_ms,
                               struct cluster **made);

/* Tells all links that this daemon stops, so that nobody needs to find out, and ends them. */
void cluster_stop(struct cluster *cluster, int64_t now_ms);

/* Frees without a word; the handles of links that are left are the shell's to close. */
void cluster_free(struct cluster *cluster);

/* Commands. cluster_join's target is tried for CLUSTER_JOIN_MS at most. */
enum cluster_verdict cluster_join(struct cluster *cluster, const char *target, int64_t now_ms);
enum cluster_verdict cluster_leave(struct cluster *cluster, int64_t now_ms);
enum cluster_verdict cluster_force_leave(struct cluster *cluster, const char *name, int64_t now_ms);

/*
 * What discovery found: names, our own may be among them. To be told again each time the strategy
 * has asked (every 5 s, say) until cluster_wants_discovery is false: those that are no members yet
 * are contacted, and two clusters that so find each other merge. Rests after leave and force-leave.
 */
void cluster_discovered(struct cluster *cluster, const char *const *names, size_t count,
                        int64_t now_ms);
bool cluster_wants_discovery(const struct cluster *cluster);

/* The local registry's doings. A name that is registered again replaces what it had. */
void cluster_name_registered(struct cluster *cluster, const struct directory_name *name,
                             int64_t now_ms);
void cluster_name_unregistered(struct cluster *cluster, struct bytes name, int64_t now_ms);

/*
 * A connection stands, authenticated. `name`: whom io.connect was asked for; NULL: the peer called
 * us. The cluster may say HELLO, and call io.send or io.disconnect with `handle`, before this
 * returns. NULL is returned
 *
 *   - without a call of io.disconnect when there are too many links, the cluster stops, or memory
 *     is out: the shell is to close the connection;
 *   - after a call of io.disconnect for this handle when the link was given up at once (io.send
 *     took no HELLO): the connection is on its way out already.
 *
 * So a shell's way to end a handle must be one that does no harm the second time.
 */
struct cluster_link *cluster_link_up(struct cluster *cluster, void *handle, const char *name,
                                     int64_t now_ms);
void cluster_link_down(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause,
                       int64_t now_ms);
void cluster_connect_failed(struct cluster *cluster, const char *name, enum cluster_cause cause,
                            int64_t now_ms);

/* Takes the whole frames at the start of `bytes`; says how many bytes that were. The link may be
 * gone afterwards: io.disconnect was called then. */
size_t cluster_receive(struct cluster *cluster, struct cluster_link *link, struct bytes bytes,
                       int64_t now_ms);

void cluster_tick(struct cluster *cluster, int64_t now_ms);
int64_t cluster_due_ms(const struct cluster *cluster);

/*
 * The state to save: cluster id, members, own numbers, tombstones, cleaned members
 * (store.h). Newly allocated, the caller frees it. NULL when out of memory: to be tried
 * again soon, for what is not saved is forgotten in a crash.
 */
uint8_t *cluster_store_of(const struct cluster *cluster, size_t *len);

/*
 * Whether all holds that must hold inside between two calls: NULL, or what does not. For tests; it
 * walks over all members for each link.
 */
const char *cluster_check(const struct cluster *cluster);

/* --- questions --- */

struct cluster_member_view {
    const char *name;         /* borrowed until the next call that takes now_ms */
    enum cluster_state state; /* oneself: CLUSTER_ALIVE */
    bool is_self;
    bool linked;      /* a link stands between us */
    bool path_broken; /* it should stand, does not, and others hear the member */
    uint64_t joined, generation, incarnation;
    uint16_t port;
    int64_t since_ms;         /* in this state, in terms of now_ms */
    enum cluster_cause cause; /* of DOWN */
    size_t names;
};

/* ALIVE, SUSPECT and DOWN members, oneself among them. */
size_t cluster_member_count(const struct cluster *cluster);

/*
 * A walk over all records in the order of the ring. *cursor starts at 0; false at the end. `all`:
 * CLEANED, LEFT and FORCED_OUT too. Good as long as no call that takes now_ms comes in between.
 */
bool cluster_member_next(const struct cluster *cluster, size_t *cursor, bool all,
                         struct cluster_member_view *view);
bool cluster_member_find(const struct cluster *cluster, const char *name,
                         struct cluster_member_view *view);

const char *cluster_self(const struct cluster *cluster);
struct cluster_id cluster_id(const struct cluster *cluster);
uint64_t cluster_incarnation(const struct cluster *cluster);

/* Whether there is anything to leave: another member in the list, or one that was cleaned. */
bool cluster_is_in(const struct cluster *cluster);
bool cluster_is_joining(const struct cluster *cluster);
bool cluster_is_discovery_paused(const struct cluster *cluster);
bool cluster_was_forced_out(const struct cluster *cluster); /* therefore it rests, alone */
size_t cluster_link_count(const struct cluster *cluster);

/* The names of all members; owners that are DOWN keep theirs (directory_owner_context of an entry's
 * owner is for cluster_owner_state). */
const struct directory *cluster_directory(const struct cluster *cluster);
enum cluster_state cluster_owner_state(const struct directory_owner *owner);

#endif
