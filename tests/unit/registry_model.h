/* In registry_model.c: the registry against a simple model of it. */
#ifndef PORTOLAN_TESTS_UNIT_REGISTRY_MODEL_H
#define PORTOLAN_TESTS_UNIT_REGISTRY_MODEL_H

#include <check.h>

void registry_model_add(TCase *tests);

#endif
