/* In routes_model.c: the front ports against a simple model of them. */
#ifndef PORTOLAN_TESTS_UNIT_FRONT_PORTS_MODEL_H
#define PORTOLAN_TESTS_UNIT_FRONT_PORTS_MODEL_H

#include <check.h>

void routes_model_add(TCase *tests);

#endif
