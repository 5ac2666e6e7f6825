#include "cluster/failure.h"

#include "cluster/topology.h"

#include <stdlib.h>

#define ACCUSERS_MAX (1 + FAILURE_CONFIRMATIONS)
#define TTL 40 /* a message takes O(log members) steps */

struct suspicion {
    TAILQ_ENTRY(suspicion) entry;
    struct member *member;
    uint64_t accusers[ACCUSERS_MAX];
    size_t accuser_count;
    int64_t since_ms, deadline_ms;
};

/* --- suspicions --- */

static int64_t log2_of(size_t value) {
    int64_t log = 0;
    while (value >>= 1)
        log++;
    return log;
}

/*
 * Lifeguard's: from `max` down to `min` with log(confirmations + 1) / log(expected + 1), of which
 * there are as many as FAILURE_CONFIRMATIONS, or as other members: here in thousandths.
 */
int64_t failure_suspicion_ms(size_t members, size_t confirmations) {
    static const int64_t shrinks[FAILURE_CONFIRMATIONS + 1][FAILURE_CONFIRMATIONS + 1] = {
        {1000}, {0, 1000}, {0, 631, 1000}, {0, 500, 792, 1000}};
    size_t expected = members < 3 ? 0 : members - 2;
    if (expected > FAILURE_CONFIRMATIONS)
        expected = FAILURE_CONFIRMATIONS;
    if (confirmations > expected)
        confirmations = expected;
    int64_t min_ms = 400 + 80 * log2_of(members), max_ms = 4 * min_ms;
    return max_ms - (max_ms - min_ms) * shrinks[expected][confirmations] / 1000;
}

static void set_deadline(struct cluster *cluster, struct suspicion *suspicion) {
    suspicion->deadline_ms =
        suspicion->since_ms + failure_suspicion_ms(membership_running(&cluster->membership),
                                                   suspicion->accuser_count - 1);
    cluster_wake_at(cluster, suspicion->deadline_ms);
}

bool failure_accused(struct cluster *cluster, struct member *member, uint64_t accuser) {
    struct suspicion *suspicion = member->suspicion;
    if (suspicion == NULL) {
        suspicion = calloc(1, sizeof *suspicion);
        if (suspicion == NULL)
            return false;
        suspicion->member = member;
        suspicion->since_ms = cluster->now_ms;
        member->suspicion = suspicion;
        TAILQ_INSERT_TAIL(&cluster->suspicions, suspicion, entry);
    }
    for (size_t i = 0; i < suspicion->accuser_count; i++) {
        if (suspicion->accusers[i] == accuser)
            return false;
    }
    if (suspicion->accuser_count == ACCUSERS_MAX)
        return false;
    suspicion->accusers[suspicion->accuser_count++] = accuser;
    set_deadline(cluster, suspicion);
    return true;
}

void failure_absolve(struct cluster *cluster, struct member *member) {
    if (member->suspicion == NULL)
        return;
    TAILQ_REMOVE(&cluster->suspicions, member->suspicion, entry);
    free(member->suspicion);
    member->suspicion = NULL;
}

uint64_t failure_last_accuser(const struct member *member) {
    const struct suspicion *suspicion = member->suspicion;
    return suspicion == NULL || suspicion->accuser_count == 0
               ? 0
               : suspicion->accusers[suspicion->accuser_count - 1];
}

static bool has_accused(const struct member *member, uint64_t accuser) {
    for (size_t i = 0; member->suspicion != NULL && i < member->suspicion->accuser_count; i++) {
        if (member->suspicion->accusers[i] == accuser)
            return true;
    }
    return false;
}

static bool hears(const struct cluster *cluster, const struct contact *contact) {
    return contact != NULL && contact->link != NULL &&
           cluster->now_ms - contact->heard_ms <= FAILURE_HEARD_MS;
}

bool failure_hears(const struct cluster *cluster, const struct member *member) {
    return hears(cluster, contact_of(cluster, member));
}

/* Time is up for one: it goes down, unless we hear it ourselves. Then it must not have heard of the
 * suspicion yet, and is told again. */
static void expire(struct cluster *cluster, struct suspicion *suspicion) {
    struct member *member = suspicion->member;
    if (!hears(cluster, contact_of(cluster, member))) {
        facts_declare_down(cluster, member, CLUSTER_CAUSE_SILENT);
        return;
    }
    suspicion->since_ms = cluster->now_ms;
    set_deadline(cluster, suspicion);
    news_queue(cluster, member, NULL);
}

static void expire_suspicions(struct cluster *cluster) {
    struct suspicion *suspicion = TAILQ_FIRST(&cluster->suspicions);
    while (suspicion != NULL) {
        struct suspicion *next = TAILQ_NEXT(suspicion, entry);
        if (cluster->now_ms >= suspicion->deadline_ms)
            expire(cluster, suspicion);
        suspicion = next;
    }
}

static void accuse(struct cluster *cluster, struct member *member) {
    bool first = member->state == CLUSTER_ALIVE;
    if (!failure_accused(cluster, member, cluster->self->hash))
        return;
    if (first) {
        member->since_ms = cluster->now_ms;
        membership_set_state(&cluster->membership, member, CLUSTER_SUSPECT);
        cluster_tell(cluster, CLUSTER_EVENT_SUSPECT, member->name, CLUSTER_CAUSE_SILENT);
    }
    news_queue(cluster, member, NULL);
}

/* --- asking the witnesses --- */

/* The link over which a frame comes closer to `to`: straight, or along the ring. Silent links are
 * passed over: one of them may be the very path that is asked about. NULL: none. */
static struct cluster_link *route(const struct cluster *cluster, uint64_t to) {
    uint64_t nearest = topology_distance(cluster->self->hash, to);
    struct cluster_link *link, *chosen = NULL;
    TAILQ_FOREACH(link, &cluster->links, entry) {
        if (!link->established || link->gone || !hears(cluster, link->contact))
            continue;
        uint64_t distance = topology_distance(link->contact->hash, to);
        if (distance < nearest) {
            nearest = distance;
            chosen = link;
        }
    }
    return chosen;
}

static bool pass_on(struct cluster *cluster, enum peer_type type, const struct peer_ask *ask) {
    struct cluster_link *link = route(cluster, ask->to);
    if (link == NULL || ask->ttl == 0)
        return false;
    uint8_t buffer[64];
    struct writer writer = writer_of(buffer, sizeof buffer);
    struct peer_ask next = *ask;
    next.ttl--;
    peer_write_ask(&writer, type, &next);
    link_send(cluster, link, &writer);
    return true;
}

/* Nobody hears it. */
static void conclude(struct cluster *cluster, struct contact *contact) {
    struct member *member = contact_member(cluster, contact);
    contact->asked = 0;
    contact->next_ask_ms = cluster->now_ms + FAILURE_ASK_AGAIN_MS;
    if (member == NULL || !member_is_running(member))
        return;
    if (contact->refused)
        facts_declare_down(cluster, member, CLUSTER_CAUSE_REFUSED);
    else
        accuse(cluster, member);
}

static void ask(struct cluster *cluster, struct contact *contact, const struct member *member) {
    struct member *witnesses[TOPOLOGY_MAX];
    size_t count = topology_witnesses(&cluster->membership, member, cluster->self, witnesses);
    contact->ask_number = ++cluster->next_number;
    contact->asked = 0;
    while (count > 0 && contact->asked < FAILURE_WITNESSES) {
        size_t pick = (size_t)random_below(&cluster->random, count);
        struct peer_ask question = {.ttl = TTL,
                                    .to = witnesses[pick]->hash,
                                    .from = cluster->self->hash,
                                    .subject = member->hash,
                                    .number = contact->ask_number};
        if (pass_on(cluster, PEER_ASK, &question))
            contact->asked++;
        witnesses[pick] = witnesses[--count];
    }
    if (contact->asked == 0) {
        conclude(cluster, contact);
        return;
    }
    contact->ask_deadline_ms =
        cluster->now_ms + (contact->refused ? FAILURE_ASK_REFUSED_MS : FAILURE_ASK_MS);
    cluster_wake_at(cluster, contact->ask_deadline_ms);
}

bool failure_receive_ask(struct cluster *cluster, struct bytes payload) {
    struct peer_ask question;
    if (!peer_read_ask(payload, PEER_ASK, &question))
        return false;
    if (question.to != cluster->self->hash) {
        pass_on(cluster, PEER_ASK, &question);
        return true;
    }
    const struct member *subject = membership_find_hash(&cluster->membership, question.subject);
    bool heard = subject == cluster->self ||
                 (subject != NULL && hears(cluster, contact_of(cluster, subject)));
    struct peer_ask answer = {.ttl = TTL,
                              .to = question.from,
                              .subject = question.subject,
                              .number = question.number,
                              .heard = heard};
    pass_on(cluster, PEER_ANSWER, &answer);
    return true;
}

/* Somebody hears it: the path between us is broken, and no more. */
static void path_is_broken(struct cluster *cluster, struct contact *contact) {
    contact->asked = 0;
    contact->refused = false;
    contact->next_ask_ms = cluster->now_ms + FAILURE_ASK_AGAIN_MS;
    cluster_wake_at(cluster, contact->next_ask_ms);
    if (!contact->path_broken) {
        contact->path_broken = true;
        cluster_tell(cluster, CLUSTER_EVENT_PATH_BROKEN, contact->name, CLUSTER_CAUSE_SILENT);
    }
    if (contact->link != NULL)
        link_drop(cluster, contact->link, CLUSTER_CAUSE_SILENT);
}

bool failure_receive_answer(struct cluster *cluster, struct bytes payload) {
    struct peer_ask answer;
    if (!peer_read_ask(payload, PEER_ANSWER, &answer))
        return false;
    if (answer.to != cluster->self->hash) {
        pass_on(cluster, PEER_ANSWER, &answer);
        return true;
    }
    struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        if (contact->asked > 0 && contact->ask_number == answer.number &&
            contact->hash == answer.subject)
            break;
    }
    if (contact == NULL)
        return true;
    if (answer.heard)
        path_is_broken(cluster, contact);
    else if (--contact->asked == 0)
        conclude(cluster, contact);
    return true;
}

/* --- silence --- */

void failure_heard(struct cluster *cluster, struct contact *contact) {
    contact->heard_ms = cluster->now_ms;
    contact->asked = 0;
    contact->refused = false;
    if (!contact->path_broken)
        return;
    contact->path_broken = false;
    cluster_tell(cluster, CLUSTER_EVENT_PATH_HEALED, contact->name, CLUSTER_CAUSE_NONE);
}

void failure_refused(struct cluster *cluster, struct contact *contact) {
    struct member *member = contact_member(cluster, contact);
    if (member == NULL || !member_is_running(member) || contact->link != NULL)
        return;
    contact->refused = true;
    if (contact->asked == 0 && cluster->now_ms >= contact->next_ask_ms)
        ask(cluster, contact, member);
}

static bool is_watched(const struct contact *contact) {
    return contact->link != NULL || (contact->reasons & CONTACT_WANTED) != 0;
}

/* When there is something to do about the silence of this one. */
static int64_t contact_due_ms(const struct cluster *cluster, const struct contact *contact) {
    if (contact->asked > 0)
        return contact->ask_deadline_ms;
    const struct member *member = contact_member(cluster, contact);
    if (member == NULL || !member_is_running(member) || !is_watched(contact) ||
        has_accused(member, cluster->self->hash))
        return INT64_MAX;
    int64_t due_ms = contact->heard_ms + SILENCE_MS;
    return due_ms > contact->next_ask_ms ? due_ms : contact->next_ask_ms;
}

void failure_tick(struct cluster *cluster) {
    struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        if (cluster->now_ms < contact_due_ms(cluster, contact))
            continue;
        if (contact->asked > 0)
            conclude(cluster, contact);
        else
            ask(cluster, contact, contact_member(cluster, contact));
    }
    expire_suspicions(cluster);
}

int64_t failure_due_ms(const struct cluster *cluster) {
    int64_t due_ms = INT64_MAX;
    const struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        int64_t at_ms = contact_due_ms(cluster, contact);
        due_ms = at_ms < due_ms ? at_ms : due_ms;
    }
    const struct suspicion *suspicion;
    TAILQ_FOREACH(suspicion, &cluster->suspicions, entry) {
        due_ms = suspicion->deadline_ms < due_ms ? suspicion->deadline_ms : due_ms;
    }
    return due_ms;
}

void failure_grant(struct cluster *cluster, int64_t lost_ms) {
    struct contact *contact;
    TAILQ_FOREACH(contact, &cluster->contacts, entry) {
        contact->heard_ms += lost_ms;
        if (contact->heard_ms > cluster->now_ms)
            contact->heard_ms = cluster->now_ms;
        contact->ask_deadline_ms += lost_ms;
    }
    struct suspicion *suspicion;
    TAILQ_FOREACH(suspicion, &cluster->suspicions, entry) {
        suspicion->since_ms += lost_ms;
        suspicion->deadline_ms += lost_ms;
    }
}
