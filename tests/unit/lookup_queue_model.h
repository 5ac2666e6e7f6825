/* In lookup_queue_model.c: random histories of the queue of look-ups, and what holds in all. */
#ifndef PORTOLAN_TESTS_UNIT_LOOKUP_QUEUE_MODEL_H
#define PORTOLAN_TESTS_UNIT_LOOKUP_QUEUE_MODEL_H

#include <check.h>

void lookup_queue_model_add(TCase *tests);

#endif
