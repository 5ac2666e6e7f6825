/* In port_pool_model.c: the port pool against a simple model of it. */
#ifndef PORTOLAN_TESTS_UNIT_PORT_POOL_MODEL_H
#define PORTOLAN_TESTS_UNIT_PORT_POOL_MODEL_H

#include <check.h>

void port_pool_model_add(TCase *tests);

#endif
