/*
 * Takes secrets out of what other users may see of a process: its arguments, which ps shows to
 * everybody, and its environment, which its own user can read.
 */
#ifndef PORTOLAN_PROCESS_SECRETS_H
#define PORTOLAN_PROCESS_SECRETS_H

/*
 * To be called first. The values of node.cookie among the arguments and of variables whose names
 * end in COOKIE are overwritten; `argv` and `environ` lead to copies from then on. Out of memory
 * nothing is hidden. What was seen before the call was seen: node.cookie_file shows nothing ever.
 */
void secrets_hide(int argc, char **argv);

#endif
