/*
 * What the tests of the port pool share: one pool of policy "range" on a host of its own, and short
 * words for what is done with it. Names are C strings.
 */
#ifndef PORTOLAN_TESTS_UNIT_PORT_POOL_FIXTURE_H
#define PORTOLAN_TESTS_UNIT_PORT_POOL_FIXTURE_H

#include "some_pool.h"

#define NOW INT64_C(1000000)
#define FIRST 6369 /* of the range */
#define LAST 6378

extern struct port_pool *pool;
extern struct some_host *host;
extern struct port_pool_options options; /* that the pool has now */

void port_pool_fixture_begin(void);
void port_pool_fixture_end(void);

/* New options. */
void policy(enum port_policy chosen);
void enforce(enum port_policy chosen);
void range(uint16_t first, uint16_t last);

/* Leases at NOW, or then; the port. The first may be refused, the others must not be. */
enum port_verdict try_lease(const char *name, uint16_t *port);
uint16_t lease_at(const char *name, int64_t now_ms);
uint16_t lease(const char *name);
uint16_t lease_for(uint32_t user, const char *name); /* the others are root's */

/* Why a lease is refused. */
enum port_verdict refusal(const char *name);
bool release(const char *name);

/* From this host, by loopback, of root's or another user's; what is not admitted is refused. */
void registers(const char *name, uint16_t port);
void leaves(const char *name);
enum port_verdict admits(const char *name, uint16_t port);
void registers_as(uint32_t user, const char *name, uint16_t port);
enum port_verdict admits_as(uint32_t user, const char *name, uint16_t port);
struct port_applicant applicant_of(const char *name, uint16_t port);

/* How leases ended since it was asked last, as "a 6369 moved 40000, b 6370 expired by x"; good
 * until the next call. */
const char *endings(void);

bool has(const char *name);
struct port_lease find(const char *name); /* which it must have */

/* As "a 6369, b 6370 held, c 6370 held behind b, front 6371"; good until the next call. The second
 * are the leases whose time was over. */
const char *all(void);
const char *expired(int64_t now_ms, int64_t *next_ms);

/* The daemon ends and comes back at another time of its clock. */
void restart(int64_t now_ms, int64_t again_ms);

#endif
