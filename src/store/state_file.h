/*
 * One small file of state in the data directory: read once at the start, then written whole to a
 * new file and renamed, so that there is always one that is whole. A lock keeps a second daemon
 * away from it, and only regular files are read or written: no link, no FIFO.
 *
 * What changes is saved off the event loop (store/state_worker), one write at a time; what changes
 * during one is in the next. Who promised something that a crash must not undo waits until it is on
 * disk, by the number of the write; nobody else does. Nobody waits for longer than
 * STATE_FILE_LATE_MS: a disk that does not answer is as good as none.
 *
 * A directory that cannot be used, a full disk and a damaged file are reported in the log and
 * survived: the daemon goes on in memory. After a failure the save is tried again, also where
 * nothing has changed since: after 1, 2, 4 ... and at last every 60 seconds, until it is on disk.
 */
#ifndef PORTOLAN_STORE_STATE_FILE_H
#define PORTOLAN_STORE_STATE_FILE_H

#include "base/bytes.h"
#include "store/state_worker.h"

#define STATE_FILE_LATE_MS 2000

struct state_file;

/* What a state file asks of its owner and reports to it, in the event loop. */
struct state_hooks {
    /* Makes a part of what `encode` is to give, of a millisecond at most; the loop turns between
     * parts. What changes from the first of them on is in the next write, or in this. True: all is
     * made. NULL: `encode` makes it all. */
    bool (*prepare)(void *context);
    /* The state, from malloc; the file frees it. NULL: no memory. */
    uint8_t *(*encode)(void *context, size_t *len);
    /* Whether it has changed since what is on disk. */
    bool (*unsaved)(void *context);
    /* What `encode` gave last is on disk, or could not be kept. */
    void (*saved)(void *context, bool kept);
    /* Writes up to this number are no longer waited for. NULL: they never are. */
    void (*settled)(void *context, uint64_t number);
    void *context;
    bool durable; /* it must survive a crash of the machine too, not only of the daemon */
};

/*
 * `directory` is made if it is missing; NULL: nothing is kept. `outcome` says in the log what it
 * means when the state is not kept; borrowed. NULL only when out of memory.
 */
struct state_file *state_file_open(const char *directory, const char *name, const char *outcome,
                                   const struct state_hooks *hooks);
void state_file_free(struct state_file *file);

/*
 * Hands what the file holds, of `most` bytes, to `restore`. What that calls damaged is set aside as
 * NAME.damaged and reported. Without a file nothing happens.
 */
void state_file_load(struct state_file *file, size_t most,
                     bool (*restore)(void *context, struct bytes text), void *context);

/* Shows what such a file holds, and changes nothing, also while a daemon has it. One that is not
 * there or cannot be read is not shown. */
void state_file_peek(const char *directory, const char *name, size_t most,
                     void (*visit)(void *context, struct bytes text), void *context);

/* From here on writes are the worker's; until then they are done at once. The worker is borrowed.
 * False: no memory. */
bool state_file_attach(struct state_file *file, struct state_worker *worker);

/*
 * Saves the state as it is now. The number of the write that will have it, for `settled`; 0: nobody
 * needs to wait. It is on disk already, or it cannot be kept, which is said in the log.
 */
uint64_t state_file_save(struct state_file *file);

/* Saves what is not saved yet, also just after a failure, and waits for it as long as the end of
 * the daemon may take. */
void state_file_save_last(struct state_file *file);

#endif
