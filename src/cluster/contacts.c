/* Whom we connect to, and the links that come of it. */
#include "cluster/cluster_inner.h"
#include "cluster/failure.h"
#include "cluster/sync.h"
#include "cluster/topology.h"

#include <stdlib.h>
#include <string.h>

#define CALLEE_WAITS_MS 200 /* of two who want a link, the one with the higher name waits */

/* --- contacts --- */

static struct contact *find_hash(const struct cluster *cluster, uint64_t hash) {
    struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        if (contact->hash == hash)
            return contact;
    }
    return NULL;
}

struct contact *contact_find(const struct cluster *cluster, struct bytes name) {
    struct contact *contact = find_hash(cluster, membership_hash(name));
    return contact != NULL && bytes_equal(bytes_of_text(contact->name), name) ? contact : NULL;
}

struct contact *contact_of(const struct cluster *cluster, const struct member *member) {
    return find_hash(cluster, member->hash);
}

struct member *contact_member(const struct cluster *cluster, const struct contact *contact) {
    return membership_find_hash(&cluster->membership, contact->hash);
}

struct contact *contact_get(struct cluster *cluster, struct bytes name) {
    uint64_t hash = membership_hash(name);
    struct contact *contact = find_hash(cluster, hash);
    if (contact != NULL)
        return contact;
    contact = calloc(1, sizeof *contact + name.len + 1);
    if (contact == NULL)
        return NULL;
    contact->hash = hash;
    memcpy(contact->name, name.data, name.len);
    contact->next_try_ms = INT64_MAX;
    contact->heard_ms = cluster->now_ms;
    contact->unwanted_ms = cluster->now_ms;
    TAILQ_INSERT_TAIL(&cluster->contacts, contact, entry);
    return contact;
}

void contact_attach(struct contact *contact, struct cluster_link *link) {
    link->contact = contact;
    contact->link_count++;
}

void contact_try_at(struct cluster *cluster, struct contact *contact, int64_t when_ms) {
    if (contact->connecting || contact->link != NULL || contact->next_try_ms <= when_ms)
        return;
    contact->next_try_ms = when_ms;
    if (when_ms < cluster->next_connect_ms)
        cluster->next_connect_ms = when_ms;
    cluster_wake_at(cluster, when_ms);
}

/* Only links for the topology and a join are tried again and again; discovery and autoheal have
 * their own rhythm. */
void contact_try_later(struct cluster *cluster, struct contact *contact) {
    contact->next_try_ms = INT64_MAX;
    if ((contact->reasons & (CONTACT_WANTED | CONTACT_JOIN)) == 0 || contact->link != NULL)
        return;
    int64_t wait_ms = RETRY_FIRST_MS;
    for (unsigned i = 1; i < contact->attempts && wait_ms < RETRY_LAST_MS; i++)
        wait_ms *= 2;
    wait_ms = wait_ms > RETRY_LAST_MS ? RETRY_LAST_MS : wait_ms;
    contact_try_at(cluster, contact,
                   cluster->now_ms + random_between(&cluster->random, wait_ms / 2, wait_ms));
}

static bool is_joining_it(const struct cluster *cluster, const struct contact *contact) {
    return cluster->join == contact && contact != NULL && !cluster->join_adopted;
}

/* An attempt, or a link that never stood, came to nothing. */
static void attempt_failed(struct cluster *cluster, struct contact *contact,
                           enum cluster_cause cause, bool by_us) {
    contact->reasons &= ~(unsigned)(CONTACT_SEED | CONTACT_HEAL);
    cluster->litter = true;
    struct cluster_event event = {
        .type = CLUSTER_EVENT_LINK_REFUSED, .name = contact->name, .cause = cause, .by_us = by_us};
    cluster->io.notify(cluster->io_context, &event);
    bool ends_join =
        is_joining_it(cluster, contact) && contact->link_count == 0 && !contact->connecting;
    if (ends_join && cause == CLUSTER_CAUSE_BUSY)
        cluster->join_cause = cause; /* it may have room in a moment */
    else if (ends_join)
        commands_join_failed(cluster, cause, by_us);
    contact_try_later(cluster, contact);
    if (cause == CLUSTER_CAUSE_REFUSED)
        failure_refused(cluster, contact);
}

void contacts_connect(struct cluster *cluster) {
    if (cluster->now_ms < cluster->next_connect_ms)
        return;
    struct contact *contact;
    cluster->next_connect_ms = INT64_MAX;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        if (contact->connecting || contact->link != NULL)
            continue;
        if (contact->next_try_ms > cluster->now_ms) {
            if (contact->next_try_ms < cluster->next_connect_ms)
                cluster->next_connect_ms = contact->next_try_ms;
            continue;
        }
        contact->next_try_ms = INT64_MAX;
        if (contact->reasons == 0 || cluster->stopping)
            continue;
        contact->connecting = true;
        contact->attempts++;
        if (cluster->io.connect(cluster->io_context, contact->name))
            continue;
        contact->unbegun = true;
        cluster_wake_at(cluster, cluster->now_ms + 1);
    }
}

/* Not within the call that wanted the connection: whoever made it is not ready to be told yet. */
void contacts_fail_unbegun(struct cluster *cluster) {
    struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        if (!contact->unbegun)
            continue;
        contact->unbegun = contact->connecting = false;
        attempt_failed(cluster, contact, CLUSTER_CAUSE_NO_MEMORY, true);
    }
}

static void want(struct cluster *cluster, const struct member *member) {
    struct contact *contact = contact_get(cluster, member_name(member));
    if (contact == NULL) {
        cluster->ring_changed = true; /* the next tick tries again */
        cluster_wake_at(cluster, cluster->now_ms + HEARTBEAT_MS);
        return;
    }
    if ((contact->reasons & CONTACT_WANTED) == 0) {
        contact->reasons |= CONTACT_WANTED;
        if (contact->link == NULL) {
            contact->next_ask_ms = 0;
            contact->attempts = 0;
            contact->heard_ms = cluster->now_ms;
            bool calls = strcmp(cluster->self->name, member->name) < 0;
            contact_try_at(cluster, contact, cluster->now_ms + (calls ? 0 : CALLEE_WAITS_MS));
            cluster_wake_at(cluster, cluster->now_ms + SILENCE_MS);
        }
    }
}

void contacts_follow_topology(struct cluster *cluster) {
    struct member *neighbours[TOPOLOGY_MAX];
    size_t count = topology_neighbours(&cluster->membership, cluster->self, neighbours);
    struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        bool wanted = false;
        for (size_t i = 0; i < count && !wanted; i++)
            wanted = neighbours[i]->hash == contact->hash;
        if (wanted || (contact->reasons & CONTACT_WANTED) == 0)
            continue;
        contact->reasons &= ~(unsigned)CONTACT_WANTED;
        cluster->litter = true;
        contact->unwanted_ms = cluster->now_ms;
        contact->path_broken = false;
        contact->asked = 0;
    }
    for (size_t i = 0; i < count; i++)
        want(cluster, neighbours[i]);
}

/* Nothing watches a link to a member that others found to be down, but its own silence. */
static bool is_dead(const struct cluster *cluster, const struct contact *contact) {
    const struct member *member = contact_member(cluster, contact);
    return (member == NULL || !member_is_running(member)) &&
           cluster->now_ms - contact->heard_ms >= SILENCE_MS;
}

/* Who began a link ends it when it is needed no more; the other end may begin one of its own. */
void contacts_close_unwanted(struct cluster *cluster) {
    struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        if (contact->link != NULL && is_dead(cluster, contact))
            link_drop(cluster, contact->link, CLUSTER_CAUSE_SILENT);
        if (contact->link != NULL && contact->link->outgoing && contact->reasons == 0 &&
            cluster->now_ms - contact->unwanted_ms >= UNWANTED_MS && sync_is_done(contact->link))
            link_drop(cluster, contact->link, CLUSTER_CAUSE_NOT_NEEDED);
    }
}

static bool is_idle(const struct contact *contact) {
    return contact->reasons == 0 && contact->link_count == 0 && !contact->connecting;
}

void contacts_bury(struct cluster *cluster) {
    if (!cluster->litter)
        return;
    cluster->litter = false;
    struct cluster_link *link = TAILQ_FIRST(&cluster->links);
    while (link != NULL) {
        struct cluster_link *next = TAILQ_NEXT(link, entry);
        if (link->gone) {
            TAILQ_REMOVE(&cluster->links, link, entry);
            cluster->link_count--;
            free(link);
        }
        link = next;
    }
    struct contact *contact = TAILQ_FIRST(&cluster->contacts);
    while (contact != NULL) {
        struct contact *next = TAILQ_NEXT(contact, entry);
        if (is_idle(contact)) {
            TAILQ_REMOVE(&cluster->contacts, contact, entry);
            free(contact);
        }
        contact = next;
    }
}

int64_t contacts_due_ms(const struct cluster *cluster) {
    int64_t due_ms = INT64_MAX;
    const struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        if (contact->next_try_ms < due_ms && !contact->connecting && contact->link == NULL)
            due_ms = contact->next_try_ms;
        if (contact->unbegun && cluster->now_ms + 1 < due_ms)
            due_ms = cluster->now_ms + 1;
    }
    const struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (!link->established && link->up_ms + GREETING_MS < due_ms)
            due_ms = link->up_ms + GREETING_MS;
    }
    return due_ms;
}

/* --- links --- */

/* Takes the link out of everything that knows it; it is freed when the call settles. */
static void detach(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    struct contact *contact = link->contact;
    bool was_established = link->established;
    link->gone = true;
    cluster->litter = true;
    link->established = false;
    catalogue_link_gone(cluster, link);
    for (size_t i = 0; i < cluster->news_count; i++) {
        if (cluster->news[i].from == link)
            cluster->news[i].from = NULL;
    }
    if (contact == NULL)
        return;
    contact->link_count--;
    bool was_theirs = contact->link == link;
    if (was_theirs)
        contact->link = NULL;
    if (was_established && was_theirs) {
        cluster_tell(cluster, CLUSTER_EVENT_LINK_DOWN, contact->name, cause);
        contact->attempts = 0;
    } else if (!was_established && cause != CLUSTER_CAUSE_DUPLICATE) {
        if (link->outgoing)
            contact->connecting = false;
        attempt_failed(cluster, contact, cause, link->objected);
    } else if (link->outgoing && !was_established) {
        contact->connecting = false;
    }
}

void link_drop(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    if (link->gone)
        return;
    struct contact *contact = link->contact;
    detach(cluster, link, cause);
    cluster->io.disconnect(cluster->io_context, link->handle, cause);
    if (contact != NULL)
        contact_try_later(cluster, contact);
}

void link_send(struct cluster *cluster, struct cluster_link *link, const struct writer *writer) {
    if (link->gone)
        return;
    if (writer->failed)
        link_drop(cluster, link, CLUSTER_CAUSE_PROTOCOL);
    else if (!cluster->io.send(cluster->io_context, link->handle, writer_bytes(writer)))
        link_drop(cluster, link, CLUSTER_CAUSE_OVERFLOW);
}

void link_refuse(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause) {
    uint8_t buffer[PEER_HEAD + 1];
    struct writer writer = writer_of(buffer, sizeof buffer);
    size_t begun = peer_begin(&writer, PEER_REFUSE);
    write_u8(&writer, (uint8_t)cause);
    peer_end(&writer, begun);
    link_send(cluster, link, &writer);
    link->objected = true;
    link_drop(cluster, link, cause);
}

void links_expire_greetings(struct cluster *cluster) {
    struct cluster_link *link;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (!link->established && !link->gone && cluster->now_ms - link->up_ms >= GREETING_MS)
            link_drop(cluster, link, CLUSTER_CAUSE_TIMED_OUT);
    }
}

struct cluster_link *cluster_link_up(struct cluster *cluster, void *handle, const char *name,
                                     int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    struct contact *contact = name == NULL ? NULL : contact_get(cluster, bytes_of_text(name));
    struct cluster_link *link = NULL;
    if (!cluster->stopping && cluster->link_count < CLUSTER_LINKS_MAX &&
        (name == NULL || contact != NULL))
        link = calloc(1, sizeof *link);
    if (link != NULL) {
        link->handle = handle;
        link->outgoing = name != NULL;
        link->up_ms = now_ms;
        TAILQ_INSERT_TAIL(&cluster->links, link, entry);
        cluster->link_count++;
        cluster_wake_at(cluster, now_ms + GREETING_MS);
        if (contact != NULL) {
            contact_attach(contact, link);
            contact->connecting = true; /* until it is established or gone */
            greeting_send_hello(cluster, link);
        }
    } else if (contact != NULL) {
        contact->connecting = false;
        attempt_failed(cluster, contact, CLUSTER_CAUSE_NO_MEMORY, true);
    }
    bool refused = link == NULL || link->gone;
    cluster_settle(cluster);
    return refused ? NULL : link;
}

/* A link that was lost is tried again at once: the answer tells whether the process is gone. */
void cluster_link_down(struct cluster *cluster, struct cluster_link *link, enum cluster_cause cause,
                       int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    if (!link->gone) {
        struct contact *contact = link->contact;
        bool was_established = link->established;
        detach(cluster, link, cause);
        if (contact != NULL && was_established && (contact->reasons & CONTACT_WANTED) != 0)
            contact_try_at(cluster, contact, now_ms);
    }
    cluster_settle(cluster);
}

void cluster_connect_failed(struct cluster *cluster, const char *name, enum cluster_cause cause,
                            int64_t now_ms) {
    cluster_enter(cluster, now_ms);
    struct contact *contact = contact_find(cluster, bytes_of_text(name));
    if (contact != NULL && contact->connecting && !contact->unbegun) {
        contact->connecting = false;
        attempt_failed(cluster, contact, cause, false);
    }
    cluster_settle(cluster);
}
