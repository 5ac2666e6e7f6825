/* Which version of the library a program runs with. */
#include "portolan.h"

const char *portolan_version(void) {
    return PORTOLAN_VERSION;
}

unsigned portolan_version_number(void) {
    return PORTOLAN_VERSION_NUMBER;
}
