/* The listening end of the control socket. */
#ifndef PORTOLAN_NET_CONTROL_LISTEN_H
#define PORTOLAN_NET_CONTROL_LISTEN_H

/*
 * Makes the socket at `path`, open to everybody, and the directory it is in. A socket that nobody
 * answers on is a leftover and is replaced. For the start, when nothing else runs: it changes the
 * process's umask for a moment. A listening descriptor, or -errno: EADDRINUSE when a daemon answers
 * there.
 */
int control_listen(const char *path);

/* Closes and removes it again. */
void control_unlisten(int listener, const char *path);

#endif
