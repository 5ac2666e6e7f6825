/* The listening end of the control socket. */
#ifndef PORTOLAN_CONTROL_LISTEN_H
#define PORTOLAN_CONTROL_LISTEN_H

/* What is in the place of the socket. */
enum control_path_state {
    CONTROL_PATH_FREE,    /* nothing, or a socket that was left behind */
    CONTROL_PATH_ANSWERS, /* a socket on which a program answers */
    CONTROL_PATH_BUSY,    /* the same, and its queue of callers is full */
    CONTROL_PATH_CLOSED,  /* a socket that this user may not connect to */

    /* something other than a control socket */
    CONTROL_PATH_OTHER_SOCKET, /* its type is another one */
    CONTROL_PATH_FILE,
    CONTROL_PATH_DIRECTORY,
    CONTROL_PATH_FIFO,
    CONTROL_PATH_LINK, /* symbolic, wherever it leads */
    CONTROL_PATH_DEVICE,
};
enum control_path_state control_path_inspect(const char *path);

/*
 * Makes the socket at `path`, open to everybody, and the directory it is in. A socket that nobody
 * answers on is a leftover and is replaced. For the start, when nothing else runs: it changes the
 * process's umask for a moment. A listening descriptor, or -errno: EADDRINUSE when the place is not
 * free.
 */
int control_listen(const char *path);

/* Closes and removes it again. */
void control_unlisten(int listener, const char *path);

#endif
