/* The descriptors 0 to 2, as a program finds them. */
#ifndef PORTOLAN_BASE_STANDARD_STREAMS_H
#define PORTOLAN_BASE_STANDARD_STREAMS_H

#include <stdbool.h>

/*
 * Puts /dev/null where standard input, output or error is missing: a socket in their place would
 * get what is meant for them. It is open the wrong way, so that reading and writing fail as before.
 * To be called before anything else is opened. False when it cannot; then there may be no place to
 * say why.
 */
bool standard_streams_open(void);

#endif
