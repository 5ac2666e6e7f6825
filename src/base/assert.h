/*
 * Assertions: what must hold inside the program, whatever peers, operators and the system do.
 *
 * They are on in release builds: a state that breaks its own rules ends the process at once, with a
 * line that says where, before it can give a wrong answer. Never assert what comes from outside (a
 * peer's bytes, a file, a call that may fail): that has an outcome of its own. The condition is
 * cheap, a comparison or two, and has no side effects: a build with -DPORTOLAN_NO_ASSERT leaves it
 * out. A rule that takes a walk through a structure is a function `thing_check`, which returns NULL
 * or the rule that is broken, and is called by the tests.
 */
#ifndef PORTOLAN_BASE_ASSERT_H
#define PORTOLAN_BASE_ASSERT_H

#ifdef PORTOLAN_NO_ASSERT
#define PORTOLAN_ASSERT(condition) ((void)sizeof((condition) ? 1 : 0))
#else
#define PORTOLAN_ASSERT(condition)                                                                 \
    ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__, __func__))
#endif

/* Writes "src/x.c:12: f: assertion failed: condition" to the standard error stream, or to what
 * assert_report_to named, and ends the process with SIGABRT. Does not allocate. */
_Noreturn void assert_failed(const char *condition, const char *file, int line,
                             const char *function);

/* Where the text goes instead, such as the log. NULL: the standard error stream again. `report` is
 * borrowed for good; an assertion that fails inside it goes to the standard error stream. */
void assert_report_to(void (*report)(const char *text));

#endif
