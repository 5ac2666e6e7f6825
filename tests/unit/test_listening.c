/* What a start says of an address or a control socket that it cannot have: whole texts. */
#include "preflight/listening.h"
#include "suites.h"

#include <errno.h>

START_TEST(an_error_of_listening_has_a_cure) {
    static const struct {
        int error;
        const char *cure;
    } cures[] = {
        {EADDRNOTAVAIL, "; is it an address of this host? 'ip address' lists them"},
        {EACCES, "; ports below 1024 need root or CAP_NET_BIND_SERVICE"},
        {EPERM, "; ports below 1024 need root or CAP_NET_BIND_SERVICE"},
        {EMFILE, "; allow more descriptors with 'ulimit -n'"},
        {ENFILE, "; allow more descriptors with 'ulimit -n'"},
        {E2BIG, "; the list has too many addresses"},
        {ENOMEM, ""},
    };
    for (size_t i = 0; i < sizeof cures / sizeof cures[0]; i++)
        ck_assert_str_eq(listening_cure(cures[i].error), cures[i].cure);
}
END_TEST

START_TEST(what_stands_in_the_place_of_the_socket_is_said_with_a_cure) {
    static const struct {
        enum control_path_state place;
        const char *text;
    } places[] = {
        {CONTROL_PATH_ANSWERS, "another daemon answers there; stop it"},
        {CONTROL_PATH_BUSY, "another daemon listens there, and its queue is full; stop it"},
        {CONTROL_PATH_CLOSED, "there is a socket that this user may not connect to; stop the "
                              "program that listens there"},
        {CONTROL_PATH_OTHER_SOCKET,
         "it is a socket of another type; remove it if it is not needed"},
        {CONTROL_PATH_FILE, "it is an existing file; move it away"},
        {CONTROL_PATH_DIRECTORY, "it is a directory; use a path in it"},
        {CONTROL_PATH_FIFO, "it is a FIFO; remove it"},
        {CONTROL_PATH_LINK, "it is a symbolic link; remove it"},
        {CONTROL_PATH_DEVICE, "it is a device; remove it if it is not needed"},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        ck_assert_str_eq(listening_control_obstacle(places[i].place), places[i].text);
    ck_assert_ptr_null(listening_control_obstacle(CONTROL_PATH_FREE));
}
END_TEST

START_TEST(nodes_find_the_daemon_at_epmds_port_or_the_front_port) {
    struct listeners listeners = {.count = 0};
    ck_assert_uint_eq(listening_epmd_port(&listeners), 0);
    listeners.all[0] = (struct listener){.address = address_any_v4(4370), .role = LISTENER_FRONT};
    listeners.all[1] = (struct listener){.address = address_any_v6(4370), .role = LISTENER_FRONT};
    listeners.count = 2;
    ck_assert_uint_eq(listening_epmd_port(&listeners), 4370);
    listeners.all[2] = (struct listener){.address = address_any_v4(4369), .role = LISTENER_EPMD};
    listeners.count = 3;
    ck_assert_uint_eq(listening_epmd_port(&listeners), 4369);
}
END_TEST

Suite *listening_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("listening", &tests);
    tcase_add_test(tests, an_error_of_listening_has_a_cure);
    tcase_add_test(tests, what_stands_in_the_place_of_the_socket_is_said_with_a_cure);
    tcase_add_test(tests, nodes_find_the_daemon_at_epmds_port_or_the_front_port);
    return suite;
}
