/* PORTOLAN_VERSION, of the programs and of the library: it stands in the public header. */
#ifndef PORTOLAN_BASE_VERSION_H
#define PORTOLAN_BASE_VERSION_H

#include "portolan.h"

#endif
