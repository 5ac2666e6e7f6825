#include "base/port_set.h"

#include "suites.h"

START_TEST(the_next_port_is_the_lowest_from_there_on) {
    static const uint16_t ports[] = {0, 1, 63, 64, 127, 128, 4369, 65472, 65534, 65535};
    const size_t count = sizeof ports / sizeof ports[0];
    struct port_set set = {{0}};
    ck_assert_uint_gt(port_set_next(&set, 0), 65535);
    for (size_t i = 0; i < count; i++)
        port_set_add(&set, ports[i]);
    uint32_t from = 0;
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(port_set_next(&set, from), ports[i]);
        ck_assert_uint_eq(port_set_next(&set, ports[i]), ports[i]);
        from = ports[i] + 1U;
    }
    ck_assert_uint_gt(port_set_next(&set, from), 65535);
}
END_TEST

START_TEST(a_removed_port_leaves_its_neighbours) {
    struct port_set set = {{0}};
    for (uint16_t port = 120; port < 136; port++)
        port_set_add(&set, port);
    for (uint16_t port = 120; port < 136; port += 2)
        port_set_remove(&set, port);
    port_set_remove(&set, 120); /* again */
    for (uint32_t port = 121; port < 135; port += 2)
        ck_assert_uint_eq(port_set_next(&set, port - 1), port);
    ck_assert_uint_gt(port_set_next(&set, 136), 65535);
}
END_TEST

Suite *port_set_suite(void) {
    TCase *tests;
    Suite *suite = suite_begin("port_set", &tests);
    tcase_add_test(tests, the_next_port_is_the_lowest_from_there_on);
    tcase_add_test(tests, a_removed_port_leaves_its_neighbours);
    return suite;
}
