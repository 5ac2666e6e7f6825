#include "port_pool_fixture.h"

#include "some_pool.h"

#include <stdio.h>
#include <stdlib.h>

struct port_pool *pool;
struct some_host *host;
struct port_pool_options options;

static char ended[512];

static void on_ended(void *context, const struct port_lease_ending *ending) {
    size_t len = strlen(ended);
    (void)context;
    ck_assert(!ending->lease.held);
    len += (size_t)snprintf(ended + len, sizeof ended - len, "%s%.*s %u %s", len == 0 ? "" : ", ",
                            (int)ending->lease.name.len, (const char *)ending->lease.name.data,
                            ending->lease.port, port_lease_end_names[ending->end]);
    if (ending->other_port != 0)
        len += (size_t)snprintf(ended + len, sizeof ended - len, " to %u", ending->other_port);
    if (ending->other_name.len > 0)
        snprintf(ended + len, sizeof ended - len, " by %.*s", (int)ending->other_name.len,
                 (const char *)ending->other_name.data);
}

const char *endings(void) {
    static char told[sizeof ended];
    memcpy(told, ended, sizeof told);
    ended[0] = '\0';
    return told;
}

void port_pool_fixture_begin(void) {
    options = (struct port_pool_options){
        .policy = PORT_POLICY_RANGE, .first = FIRST, .last = LAST, .base = 4370};
    pool = port_pool_new(&options);
    host = calloc(1, sizeof *host);
    ck_assert(pool != NULL && host != NULL);
    ended[0] = '\0';
    port_pool_on_ended(pool, on_ended, NULL);
}

void port_pool_fixture_end(void) {
    port_pool_free(pool);
    free(host);
}

void policy(enum port_policy chosen) {
    options.policy = chosen;
    port_pool_configure(pool, &options);
}

void enforce(enum port_policy chosen) {
    options.enforce = true;
    policy(chosen);
}

void range(uint16_t first, uint16_t last) {
    options.first = first;
    options.last = last;
    port_pool_configure(pool, &options);
}

enum port_verdict try_lease(const char *name, uint16_t *port) {
    const struct port_probe probe = some_host_probe(host);
    return port_pool_lease(pool, bytes_of_text(name), USER_ROOT, NOW, &probe, port);
}

static uint16_t lease_of(const char *name, uint32_t user, int64_t now_ms) {
    const struct port_probe probe = some_host_probe(host);
    uint16_t port = 0;
    ck_assert_int_eq(port_pool_lease(pool, bytes_of_text(name), user, now_ms, &probe, &port),
                     PORT_OK);
    return port;
}

uint16_t lease_at(const char *name, int64_t now_ms) {
    return lease_of(name, USER_ROOT, now_ms);
}

uint16_t lease_for(uint32_t user, const char *name) {
    return lease_of(name, user, NOW);
}

uint16_t lease(const char *name) {
    return lease_at(name, NOW);
}

enum port_verdict refusal(const char *name) {
    uint16_t port = 0;
    return try_lease(name, &port);
}

struct port_applicant applicant_of(const char *name, uint16_t port) {
    return (struct port_applicant){.name = bytes_of_text(name), .port = port, .loopback = true};
}

void registers_as(uint32_t user, const char *name, uint16_t port) {
    struct port_applicant applicant = applicant_of(name, port);
    applicant.user = user;
    port_pool_registered(pool, &applicant);
}

void registers(const char *name, uint16_t port) {
    registers_as(USER_ROOT, name, port);
}

void leaves(const char *name) {
    port_pool_unregistered(pool, bytes_of_text(name));
}

bool release(const char *name) {
    return port_pool_release(pool, bytes_of_text(name));
}

enum port_verdict admits(const char *name, uint16_t port) {
    return admits_as(USER_ROOT, name, port);
}

enum port_verdict admits_as(uint32_t user, const char *name, uint16_t port) {
    struct port_applicant applicant = applicant_of(name, port);
    applicant.user = user;
    enum port_verdict verdict = port_pool_admits(pool, &applicant);
    if (verdict != PORT_OK)
        port_pool_refused(pool, &applicant);
    return verdict;
}

bool has(const char *name) {
    struct port_lease found;
    return port_pool_find(pool, bytes_of_text(name), &found);
}

struct port_lease find(const char *name) {
    struct port_lease found;
    ck_assert_msg(port_pool_find(pool, bytes_of_text(name), &found), "%s has nothing", name);
    return found;
}

/* What was shown, as "a 6369, b 6370 held". */
static char shown[512];

static void show(void *context, const struct port_lease *lease) {
    size_t len = strlen(shown);
    const char *name = lease->front ? "front" : (const char *)lease->name.data;
    int name_len = (int)(lease->front ? strlen(name) : lease->name.len);
    (void)context;
    len += (size_t)snprintf(shown + len, sizeof shown - len, "%s%.*s %u%s", len == 0 ? "" : ", ",
                            name_len, name, lease->port, lease->held ? " held" : "");
    if (!lease->front && lease->conflict.len > 0)
        len += (size_t)snprintf(shown + len, sizeof shown - len, " behind %.*s",
                                (int)lease->conflict.len, (const char *)lease->conflict.data);
    if (!lease->front && lease->conflict_is_front)
        snprintf(shown + len, sizeof shown - len, " behind front");
}

const char *all(void) {
    struct port_pool_cursor cursor;
    struct port_lease lease;
    shown[0] = '\0';
    port_pool_cursor_begin(&cursor, pool);
    for (; port_pool_cursor_peek(&cursor, &lease); port_pool_cursor_advance(&cursor))
        show(NULL, &lease);
    port_pool_cursor_end(&cursor);
    return shown;
}

const char *expired(int64_t now_ms, int64_t *next_ms) {
    endings();
    *next_ms = port_pool_expire(pool, now_ms);
    return endings();
}

/* The daemon ends and comes back at another time of its clock. */
void restart(int64_t now_ms, int64_t again_ms) {
    struct bytes text = some_pool_text(pool, now_ms);
    port_pool_free(pool);
    pool = port_pool_new(&options);
    ck_assert_ptr_nonnull(pool);
    port_pool_on_ended(pool, on_ended, NULL);
    ck_assert(port_pool_restore(pool, text, again_ms));
}
