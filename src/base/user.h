/* A user of this host, as a plain number: what the kernel says of its sockets and processes. */
#ifndef PORTOLAN_BASE_USER_H
#define PORTOLAN_BASE_USER_H

#include <stdbool.h>
#include <stdint.h>

#define USER_ROOT 0

/* The users below are the system's: those that packages make for their servers (SYS_UID_MAX of
 * login.defs(5) is 999 everywhere). */
#define USER_FIRST_OF_PEOPLE 1000

/* Unknown. The kernel never assigns this number (setuid(2) takes it for "no change"). */
#define USER_NOBODY UINT32_MAX

/* Whether both are the same user: nobody is the same as no one, also not as another nobody. */
static inline bool user_same(uint32_t a, uint32_t b) {
    return a == b && a != USER_NOBODY;
}

#endif
