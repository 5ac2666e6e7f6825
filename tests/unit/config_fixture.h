/* What the tests of the configuration share: one configuration, and what is said about it. */
#ifndef PORTOLAN_TESTS_UNIT_CONFIG_FIXTURE_H
#define PORTOLAN_TESTS_UNIT_CONFIG_FIXTURE_H

#include "config/config.h"

extern struct config config;
extern struct config_report report;

/* Fixtures: portoland's defaults and an empty report, in an environment without any setting. */
void config_fixture_begin(void);
void config_fixture_end(void);

/* Begins anew. */
void config_fixture_become(enum config_personality personality);

/* Sets a key as a flag called --set does. */
bool set(const char *key, const char *value);

/* The file's text, as lines of a file called "test.conf". */
bool parse_file(const char *text);

/* All that the report has of one kind; good until the next call. */
const char *remarks(enum config_remark_kind kind);

/* There are errors, and they have this in them. */
void assert_error(const char *part);

#endif
