#include "base/assert.h"
#include "names/port_pool_inner.h"

#include <stdlib.h>
#include <string.h>

#define STARTS_EPMD "epmd-starter-"
#define BEFORE_LAUNCH "_prelaunch_"

/* --- users --- */

/* Whether a lease of that owner is for this user. */
static bool lease_permits(uint32_t owner, uint32_t user) {
    if (owner == USER_NOBODY || user == USER_ROOT || user_same(owner, user))
        return true;
    return owner == USER_ROOT && user < USER_FIRST_OF_PEOPLE;
}

static bool may_use_lease(const struct port_pool *pool, const struct allocation *allocation,
                          uint32_t user) {
    return pool->options.any_user || lease_permits(allocation->user, user);
}

/* A lease of root's, or for anybody, is from now on that of the user who has claimed it. */
static void assign_owner(struct port_pool *pool, struct allocation *allocation, uint32_t user) {
    bool is_open = allocation->user == USER_ROOT || allocation->user == USER_NOBODY;
    if (allocation->leased && (!is_open || user == USER_NOBODY || user == allocation->user))
        return;
    allocation->user = user;
    if (pool_is_saved(allocation))
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

static struct bytes name_of(const struct allocation *allocation) {
    return bytes_of(allocation->name, allocation->len);
}

/* Whether it is such a helper on a port of its server. */
static bool is_admitted_helper(const struct port_pool *pool, const struct allocation *on_port,
                               const struct port_applicant *applicant) {
    return on_port != NULL && applicant->loopback &&
           may_use_lease(pool, on_port, applicant->user) &&
           !bytes_equal(applicant->name, name_of(on_port)) &&
           is_helper_of(applicant->name, name_of(on_port));
}

/* --- what is seen while a lease waits --- */

static bool waits(const struct allocation *allocation) {
    return allocation != NULL && allocation->waits;
}

/* The first of those on the port is remembered; without memory nobody is. */
static void record_other_name(struct allocation *allocation, struct bytes name) {
    if (allocation->other_name != NULL || name.len == 0)
        return;
    allocation->other_name = malloc(name.len);
    if (allocation->other_name == NULL)
        return;
    memcpy(allocation->other_name, name.data, name.len);
    allocation->other_len = name.len;
}

/* What the registration says, to the lease of its name and to that of its port. */
static void record_conflicts(struct port_pool *pool, const struct port_applicant *applicant) {
    struct allocation *on_port = pool_allocation_on_port(pool, applicant->port);
    struct allocation *of_name = pool_allocation_of_name(pool, applicant->name);
    if (of_name == on_port)
        return;
    if (waits(of_name))
        of_name->other_port = applicant->port;
    if (waits(on_port))
        record_other_name(on_port, applicant->name);
}

static void clear_conflicts(struct allocation *allocation) {
    free(allocation->other_name);
    allocation->other_name = NULL;
    allocation->other_len = 0;
    allocation->other_port = 0;
}

/* --- registrations --- */

enum port_verdict port_pool_admits(const struct port_pool *pool,
                                   const struct port_applicant *applicant) {
    const struct allocation *on_port = pool_allocation_on_port(pool, applicant->port);
    const struct allocation *of_name = pool_allocation_of_name(pool, applicant->name);
    if (waits(of_name) && !may_use_lease(pool, of_name, applicant->user))
        return applicant->user == USER_NOBODY ? PORT_LEASED_TO_UNKNOWN : PORT_LEASED_TO_USER;
    if (!pool->options.enforce || is_admitted_helper(pool, on_port, applicant))
        return PORT_OK;
    if (on_port != NULL && !bytes_equal(name_of(on_port), applicant->name))
        return PORT_LEASED_TO_OTHER;
    return pool_fits_policy(pool, applicant->name, applicant->port);
}

void port_pool_refused(struct port_pool *pool, const struct port_applicant *applicant) {
    record_conflicts(pool, applicant);
}

/* A lease whose node has gone elsewhere goes with it, where it could have been for that port. */
static bool keeps_lease(const struct port_pool *pool, const struct allocation *allocation) {
    return pool_could_give(pool, name_of(allocation), allocation->port_entry->port) &&
           allocation == TAILQ_FIRST(&allocation->port_entry->allocations) &&
           !allocation->port_entry->front;
}

void port_pool_registered(struct port_pool *pool, const struct port_applicant *applicant) {
    const struct allocation *on_port = pool_allocation_on_port(pool, applicant->port);
    struct allocation *allocation = pool_allocation_of_name(pool, applicant->name);
    bool moved = allocation != NULL && allocation->port_entry->port != applicant->port;
    bool was_leased = moved && allocation->leased;
    if (applicant->port == 0 || is_admitted_helper(pool, on_port, applicant))
        return;
    record_conflicts(pool, applicant);
    if (moved) {
        pool_end_lease(pool, allocation, PORT_LEASE_MOVED);
        allocation = NULL;
    }
    if (allocation == NULL)
        allocation = pool_add_allocation(pool, applicant->name, applicant->port);
    if (allocation == NULL)
        return;
    allocation->held = true;
    pool_stop_waiting(pool, allocation);
    clear_conflicts(allocation);
    PORTOLAN_ASSERT(allocation->port_entry->port == applicant->port && !allocation->waits);
    assign_owner(pool, allocation, applicant->user);
    if (was_leased && keeps_lease(pool, allocation)) {
        allocation->leased = true;
        pool->changes++;
    }
}

void port_pool_unregistered(struct port_pool *pool, struct bytes name) {
    struct allocation *allocation = pool_allocation_of_name(pool, name);
    if (allocation != NULL && allocation->held)
        pool_drop_allocation(pool, allocation);
}
