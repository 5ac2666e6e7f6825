/*
 * The addresses of a host, without blocking and without the caller's thread waiting for DNS.
 *
 * getaddrinfo has no form that can be given up: so it runs in a detached thread of its own, which
 * takes no signals and shares one object with the caller. Whichever of the two lets go last frees
 * it; so a look-up that is given up leaks nothing and touches nothing of the caller's.
 * (getaddrinfo_a would announce its end from a thread that takes the program's signals.) The
 * descriptor is the caller's alone and is closed when the caller lets go; after fork the child's
 * copy is released as any other, without the thread, which it does not have.
 */
#ifndef PORTOLAN_NET_HOST_LOOKUP_H
#define PORTOLAN_NET_HOST_LOOKUP_H

#include "net/address.h"

#define HOST_ADDRESSES_MAX 8 /* of more, the resolver's first */

struct host_addresses {
    struct address list[HOST_ADDRESSES_MAX];
    size_t count;
    int error;        /* of getaddrinfo (EAI_...); 0: count > 0 */
    int system_error; /* errno where this host lacks something, not the name an address; else 0 */
};

/* A numeric address, or none ("": 127.0.0.1, then ::1). False: it is a name, to be looked up. */
bool host_numeric(const char *host, struct host_addresses *addresses);

/* What host_numeric knows, and the names that are this host whatever a name server says (RFC 6761):
 * localhost, and names that end in .localhost. */
bool host_known(const char *host, struct host_addresses *addresses);

struct host_lookup;

/* Starts looking the name up. NULL with *error the errno that says why it cannot be. */
struct host_lookup *host_lookup_start(const char *host, int *error);

/* Becomes readable when the look-up is done. Borrowed. */
int host_lookup_descriptor(const struct host_lookup *lookup);

/* Whether it is done; then *addresses is set. */
bool host_lookup_done(const struct host_lookup *lookup, struct host_addresses *addresses);

/* Lets go of it, done or not. */
void host_lookup_release(struct host_lookup *lookup);

/* "192.0.2.1" or "2001:db8::1", without the port; `out` has room for PORTOLAN_ADDRESS_SIZE. */
void host_address_text(const struct address *address, char *out);

#endif
