/*
 * What people are told when something went wrong: what was tried, on what, why not, what to do.
 *
 *   cannot VERB 'SUBJECT': NOTE; NOTE; ADVICE?
 *
 * Notes gather while servers are tried; the code that is the most telling of all stands at the end.
 */
#ifndef PORTOLAN_CLIENT_FAILURE_H
#define PORTOLAN_CLIENT_FAILURE_H

#include "base/bytes.h"
#include "portolan.h"

#define FAILURE_NOTES_SIZE 640
#define FAILURE_SHOWN_SIZE 160 /* enough for most names */

struct failure {
    enum portolan_code code; /* PORTOLAN_OK while nothing failed */
    bool is_advised;         /* the last note says itself what to do */
    char notes[FAILURE_NOTES_SIZE];
};

/* Adds a note, cut where it does not fit. */
void failure_note(struct failure *failure, enum portolan_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes the sentence. With code PORTOLAN_OK it is the notes alone. */
void failure_message(const struct failure *failure, enum portolan_code code, const char *verb,
                     const char *subject, char *message);

/* Fills the caller's error, which may be NULL; returns the code. */
enum portolan_code failure_report(struct portolan_error *error, enum portolan_code code,
                                  const char *message);

/* Reports what could not even be tried, and why; returns the code. */
enum portolan_code failure_refuse(const char *verb, const char *subject, enum portolan_code code,
                                  const char *why, struct portolan_error *error);

/* The bytes made fit for a terminal, cut to `size` with the NUL; returns `out`. */
const char *failure_show(struct bytes bytes, char *out, size_t size);

#define FAILURE_ERRNO_SIZE 96
/* What an errno means, into FAILURE_ERRNO_SIZE bytes, as threads may ask for it. */
const char *failure_errno(int error, char *out);

#endif
