/*
 * Opens what the configuration asks to listen on, before the daemon goes to the background, and
 * says on standard error what cannot be opened, why, and what to do.
 */
#ifndef PORTOLAN_PREFLIGHT_LISTENING_H
#define PORTOLAN_PREFLIGHT_LISTENING_H

#include "config/start_options.h"
#include "control/listen.h"
#include "net/listener.h"

/*
 * epmd's port and the front port, or the sockets from systemd. False with the exit code: EXIT_DONE
 * when a taken port is what options->quiet_if_taken expects, else EXIT_FAILED.
 */
bool listening_open(struct listeners *listeners, const struct config *config,
                    const struct start_options *options, enum exit_code *code);

/* What to do about an address that cannot be listened on, for the end of a sentence: "; ...". */
const char *listening_cure(int error);

/* The port on which nodes of this host find the daemon: epmd's, or the front port. */
uint16_t listening_epmd_port(const struct listeners *listeners);

/* What stands in the place of the control socket and what to do, for people; NULL: it is free. */
const char *listening_control_obstacle(enum control_path_state place);

/*
 * The control socket's descriptor, or -errno. LISTENING_NO_CONTROL: the default place is in /tmp
 * and cannot be trusted (base/control_path.h); the daemon runs without a socket, and logs it.
 */
#define LISTENING_NO_CONTROL (-4096) /* below every -errno */
int listening_open_control(const struct config *config, const struct start_options *options);

#endif
