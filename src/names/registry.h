/*
 * The registry: the names that local nodes have registered at this daemon, and the last names that
 * left.
 *
 * It owns its registrations: registry_register makes one, registry_remove ends it, and until then
 * pointers to it are good. Register, look-up and removal take constant time, whatever is
 * registered and whoever walks over it. What holds a
 * registration (its connection) is the caller's: the registry keeps the pointer and the number that
 * DUMP shows, and looks at neither.
 */
#ifndef PORTOLAN_NAMES_REGISTRY_H
#define PORTOLAN_NAMES_REGISTRY_H

#include "base/user.h"
#include "erlang/epmd_wire.h"
#include "names/creations.h"

#define REGISTRY_DEPARTED_MAX 1000 /* as many as OTP's epmd remembers */

struct registration {
    struct epmd_node node; /* its name and extra data live as long as the registration */
    uint32_t creation;
    int64_t since_ms;       /* the caller's time of the registration */
    uint32_t user;          /* of this host, who registered it; USER_NOBODY: not known */
    uint16_t front_port;    /* where other hosts reach it through the proxy; 0: nowhere but at its
                               own port. The owner of the front ports sets it */
    bool loopback_only;     /* its own port is open to 127/8 and ::1 alone; set by the same */
    void *holder;           /* borrowed */
    uint32_t holder_number; /* what DUMP prints as the descriptor */
};

struct registry;

/* `creations` is borrowed and must live longer. NULL when out of memory. */
struct registry *registry_new(struct creations *creations);
void registry_free(struct registry *registry);

enum registry_verdict {
    REGISTRY_OK,
    REGISTRY_NAME_TAKEN,
    REGISTRY_NAME_INVALID, /* not UTF-8 */
    REGISTRY_NAME_TOO_LONG,
    REGISTRY_EXTRA_TOO_LONG,
    REGISTRY_NO_MEMORY,
};
const char *registry_reason(enum registry_verdict verdict);

/* Copies the node. *made is set when the verdict is REGISTRY_OK. */
enum registry_verdict registry_register(struct registry *registry, const struct epmd_node *node,
                                        void *holder, uint32_t holder_number,
                                        struct registration **made);

/* Ends it. Its name is remembered among the departed until it comes back or 1,000 others have left.
 */
void registry_remove(struct registry *registry, struct registration *registration);

struct registration *registry_find(const struct registry *registry, struct bytes name);
struct registration *registry_newest(const struct registry *registry); /* NULL: there is none */
size_t registry_count(const struct registry *registry);

/*
 * A walk over all names that may pause while names come and go: what left before the walk reached
 * it is not seen. A cursor must be ended; ending one twice, or one that came to its end, is
 * harmless.
 */
enum registry_part {
    REGISTRY_LIVE,     /* the newest first */
    REGISTRY_DEPARTED, /* the longest gone first */
};

struct registry_cursor {
    struct registry *registry; /* NULL once ended */
    void *next;
    struct registry_cursor *previous_cursor, *next_cursor; /* that see the same name next */
};

void registry_cursor_begin(struct registry_cursor *cursor, struct registry *registry,
                           enum registry_part part);
const struct registration *registry_cursor_peek(const struct registry_cursor *cursor);
void registry_cursor_advance(struct registry_cursor *cursor);
void registry_cursor_end(struct registry_cursor *cursor);

/* NULL, or what does not hold inside that must: for tests, for it walks over everything. */
const char *registry_check(const struct registry *registry);

#endif
