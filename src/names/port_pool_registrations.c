#include "names/port_pool_inner.h"

#include <stdlib.h>
#include <string.h>

#define STARTS_EPMD "epmd-starter-"
#define BEFORE_LAUNCH "_prelaunch_"

/* --- users --- */

/* Whether a lease of that owner is for this user. */
static bool is_for(uint32_t owner, uint32_t user) {
    if (owner == USER_NOBODY || user == USER_ROOT || user_same(owner, user))
        return true;
    return owner == USER_ROOT && user < USER_FIRST_OF_PEOPLE;
}

static bool may_claim(const struct port_pool *pool, const struct claim *claim, uint32_t user) {
    return pool->options.any_user || is_for(claim->user, user);
}

/* A lease of root's, or for anybody, is from now on that of the user who has claimed it. */
static void settle_owner(struct port_pool *pool, struct claim *claim, uint32_t user) {
    bool is_open = claim->user == USER_ROOT || claim->user == USER_NOBODY;
    if (claim->leased && (!is_open || user == USER_NOBODY || user == claim->user))
        return;
    claim->user = user;
    if (pool_is_saved(claim))
        pool->changes++;
}

/* --- helper nodes --- */

/* Takes the prefix off. False when it does not stand there. */
static bool strip(struct bytes *text, struct bytes prefix) {
    if (text->len < prefix.len || memcmp(text->data, prefix.data, prefix.len) != 0)
        return false;
    *text = bytes_of(text->data + prefix.len, text->len - prefix.len);
    return true;
}

static bool are_digits(struct bytes text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    }
    return text.len > 0;
}

/*
 * Whether the name is that of a helper node which the server `owner` starts before itself: RabbitMQ
 * does, up to 4.3, and lets both listen where it will listen itself.
 */
static bool is_helper_of(struct bytes name, struct bytes owner) {
    if (strip(&name, bytes_of_text(STARTS_EPMD)))
        return are_digits(name);
    return strip(&name, owner) && strip(&name, bytes_of_text(BEFORE_LAUNCH)) && are_digits(name);
}

static struct bytes name_of(const struct claim *claim) {
    return bytes_of(claim->name, claim->len);
}

/* Whether it is such a helper on a port of its server. */
static bool is_guest(const struct port_pool *pool, const struct claim *on_port,
                     const struct port_applicant *applicant) {
    return on_port != NULL && applicant->loopback && may_claim(pool, on_port, applicant->user) &&
           !bytes_equal(applicant->name, name_of(on_port)) &&
           is_helper_of(applicant->name, name_of(on_port));
}

/* --- what is seen while a lease waits --- */

static bool waits(const struct claim *claim) {
    return claim != NULL && claim->waits;
}

/* The first of those on the port is remembered; without memory nobody is. */
static void note_other_name(struct claim *claim, struct bytes name) {
    if (claim->other_name != NULL || name.len == 0)
        return;
    claim->other_name = malloc(name.len);
    if (claim->other_name == NULL)
        return;
    memcpy(claim->other_name, name.data, name.len);
    claim->other_len = name.len;
}

/* What the registration says, to the lease of its name and to that of its port. */
static void note(struct port_pool *pool, const struct port_applicant *applicant) {
    struct claim *on_port = pool_claim_on_port(pool, applicant->port);
    struct claim *of_name = pool_claim_of_name(pool, applicant->name);
    if (of_name == on_port)
        return;
    if (waits(of_name))
        of_name->other_port = applicant->port;
    if (waits(on_port))
        note_other_name(on_port, applicant->name);
}

static void forget_others(struct claim *claim) {
    free(claim->other_name);
    claim->other_name = NULL;
    claim->other_len = 0;
    claim->other_port = 0;
}

/* --- registrations --- */

enum port_verdict port_pool_admits(const struct port_pool *pool,
                                   const struct port_applicant *applicant) {
    const struct claim *on_port = pool_claim_on_port(pool, applicant->port);
    const struct claim *of_name = pool_claim_of_name(pool, applicant->name);
    if (waits(of_name) && !may_claim(pool, of_name, applicant->user))
        return applicant->user == USER_NOBODY ? PORT_LEASED_TO_UNKNOWN : PORT_LEASED_TO_USER;
    if (!pool->options.enforce || is_guest(pool, on_port, applicant))
        return PORT_OK;
    if (on_port != NULL && !bytes_equal(name_of(on_port), applicant->name))
        return PORT_LEASED_TO_OTHER;
    return pool_fits_policy(pool, applicant->name, applicant->port);
}

void port_pool_refused(struct port_pool *pool, const struct port_applicant *applicant) {
    note(pool, applicant);
}

/* A lease whose node has gone elsewhere goes with it, where it could have been for that port. */
static bool follows(const struct port_pool *pool, const struct claim *claim) {
    return pool_could_give(pool, name_of(claim), claim->place->port) &&
           claim == TAILQ_FIRST(&claim->place->claims) && !claim->place->front;
}

void port_pool_registered(struct port_pool *pool, const struct port_applicant *applicant) {
    const struct claim *on_port = pool_claim_on_port(pool, applicant->port);
    struct claim *claim = pool_claim_of_name(pool, applicant->name);
    bool moved = claim != NULL && claim->place->port != applicant->port;
    bool was_leased = moved && claim->leased;
    if (applicant->port == 0 || is_guest(pool, on_port, applicant))
        return;
    note(pool, applicant);
    if (moved) {
        pool_end_lease(pool, claim, PORT_LEASE_MOVED);
        claim = NULL;
    }
    if (claim == NULL)
        claim = pool_add_claim(pool, applicant->name, applicant->port);
    if (claim == NULL)
        return;
    claim->held = true;
    pool_stop_waiting(pool, claim);
    forget_others(claim);
    settle_owner(pool, claim, applicant->user);
    if (was_leased && follows(pool, claim)) {
        claim->leased = true;
        pool->changes++;
    }
}

void port_pool_unregistered(struct port_pool *pool, struct bytes name) {
    struct claim *claim = pool_claim_of_name(pool, name);
    if (claim != NULL && claim->held)
        pool_drop_claim(pool, claim);
}
