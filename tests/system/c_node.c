/*
 * A node written in C with erl_interface: publishes itself, connects to a node, loses that
 * connection, and is then connected to. Says each on a line of stdout, and ends when its stdin
 * does.
 *
 *   c_node ALIVE_NAME HOST_ADDRESS COOKIE OTHER_NODE
 */
#include <arpa/inet.h>
#include <ei.h>
#include <ei_connect.h>
#include <stdio.h>
#include <unistd.h>

enum { ACCEPT_MS = 20000 };

static int fail(const char *what) {
    fprintf(stderr, "c_node: cannot %s: erl_errno %d\n", what, erl_errno);
    return 1;
}

static void wait_for_disconnect(int fd) {
    erlang_msg message;
    ei_x_buff buffer;
    ei_x_new(&buffer);
    while (ei_xreceive_msg(fd, &message, &buffer) != ERL_ERROR)
        buffer.index = 0;
    ei_x_free(&buffer);
    ei_close_connection(fd);
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    ei_init();

    struct in_addr address;
    char whole_name[256];
    ei_cnode node;
    inet_pton(AF_INET, argv[2], &address);
    snprintf(whole_name, sizeof(whole_name), "%s@%s", argv[1], argv[2]);
    if (ei_connect_xinit(&node, argv[2], argv[1], whole_name, &address, argv[3], 0) < 0)
        return fail("initialise");

    int port = 0;
    int listener = ei_listen(&node, &port, 5);
    if (listener < 0)
        return fail("listen");
    int epmd = ei_publish(&node, port);
    if (epmd < 0)
        return fail("publish");
    printf("published at %d\n", port);

    int connection = ei_connect(&node, argv[4]);
    if (connection < 0)
        return fail("connect");
    printf("connected: %s\n", argv[4]);
    wait_for_disconnect(connection);
    printf("disconnected\n");

    ErlConnect peer;
    int accepted = ei_accept_tmo(&node, listener, &peer, ACCEPT_MS);
    if (accepted < 0)
        return fail("accept");
    printf("accepted: %s\n", peer.nodename);

    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    close(epmd);
    return 0;
}
