/*
 * One small file of state in the data directory: read once at the start, then written whole to a
 * new file and renamed, so that there is always one that is whole. A lock keeps a second daemon
 * away from it.
 *
 * A directory that cannot be used, a full disk and a damaged file are reported in the log and
 * survived: the daemon goes on in memory.
 */
#ifndef PORTOLAN_DAEMON_STATE_FILE_H
#define PORTOLAN_DAEMON_STATE_FILE_H

#include "base/bytes.h"

struct state_file;

/*
 * `directory` is made if it is missing; NULL: nothing is kept. `outcome` says in the log what it
 * means when the state is not kept; borrowed. NULL only when out of memory.
 */
struct state_file *state_file_open(const char *directory, const char *name, const char *outcome);
void state_file_free(struct state_file *file);

/*
 * Hands what the file holds, of `most` bytes, to `restore`. What that calls damaged is set aside as
 * NAME.damaged and reported. Without a file nothing happens.
 */
void state_file_load(struct state_file *file, size_t most,
                     bool (*restore)(void *context, struct bytes text), void *context);

/* Whether a save can be tried: false without a directory, and for a minute after a failure. */
bool state_file_writable(const struct state_file *file);

/* The owner could not make the text to save: reported and tried again like a failed save. */
void state_file_not_saved(struct state_file *file, int error);

/*
 * Replaces the file. `durable`: it must survive a crash of the machine too, not only of the daemon.
 * False, and said in the log, when it did not work: then the old file is still there.
 */
bool state_file_save(struct state_file *file, struct bytes text, bool durable);

#endif
