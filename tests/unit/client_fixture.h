/* What the tests of the client library share: answers, options, and calls against a fake server. */
#ifndef PORTOLAN_TESTS_UNIT_CLIENT_FIXTURE_H
#define PORTOLAN_TESTS_UNIT_CLIENT_FIXTURE_H

#include "assertions.h"
#include "fake_server.h"
#include "portolan.h"

#define FOUND LITERAL("w\x00\x64\x54\x4d\x00\x00\x06\x00\x05\x00\x06rabbit\x00\x00")
#define UNKNOWN LITERAL("w\x01")
#define REGISTERED LITERAL("v\x00\x00\x00\x00\x09")
#define REFUSED LITERAL("v\x01\x00\x00\x00\x63")
#define LISTING LITERAL("\0\0\x11\x11name a at port 1\n")

#define PATIENCE_MS 300   /* the deadline where it is to pass */
#define TOLERANCE_MS 3000 /* how late a machine under load, sanitizers or valgrind may be */

/* 127.0.0.1 for every host, and no daemon's control socket. */
struct portolan_options options_for(uint16_t epmd_port, unsigned sources);

/* A control socket of this test's own. */
void use_own_control_socket(struct portolan_options *options);

extern struct portolan_error last_error;

/* Asks for rabbit@s1. */
enum portolan_code resolve_rabbit(const struct portolan_options *options,
                                  struct portolan_endpoint *endpoint);

/* The same by epmd alone, from a server that plays the script. */
enum portolan_code resolve_from(struct fake_script script, int64_t deadline_ms);

/* Lists the names of s1, likewise. */
enum portolan_code names_from(struct fake_script script, int64_t deadline_ms);

/* Registers rabbit, hidden, with port 25684. */
enum portolan_code register_at(const struct fake_server *server,
                               struct portolan_registration **registration);

/* That the last message has this in it. */
void assert_message(const char *part);

#endif
