/*
 * Runs the unit tests of all modules.
 *
 * PORTOLAN_TEST=NAME runs one test, CK_RUN_SUITE=NAME one suite. PORTOLAN_TEST_SEED=N repeats the
 * random choices of an earlier run. CK_FORK=no keeps all in one process, for a debugger.
 */
#include "seeded.h"
#include "suites.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST_TIMEOUT_S 120

/*
 * A test may end while a thread of the system's resolver is still under way, and what glibc keeps
 * for that thread then looks lost to the leak sanitizer.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:__res_context_send\nleak:__res_vinit\n";
}

static Suite *(*const suites[])(void) = {
    assert_suite,
    bytes_suite,
    text_suite,
    log_suite,
    checksum_suite,
    log_limits_suite,
    random_suite,
    port_set_suite,
    thread_suite,
    regular_file_suite,
    control_path_suite,
    hash_table_suite,
    turn_budget_suite,
    node_name_suite,
    epmd_wire_suite,
    dist_wire_suite,
    tls_hello_suite,
    first_bytes_suite,
    creations_suite,
    registry_suite,
    listing_suite,
    epmd_service_suite,
    routes_suite,
    lookup_queue_suite,
    epmd_service_fronts_suite,
    address_suite,
    handshake_limit_suite,
    host_limit_suite,
    sock_diag_suite,
    sock_diag_failures_suite,
    comma_list_suite,
    discovery_suite,
    local_users_suite,
    subordinate_users_suite,
    listener_suite,
    acceptor_suite,
    listener_owner_suite,
    port_probe_suite,
    port_search_suite,
    pump_suite,
    proxy_suite,
    proxy_log_suite,
    proxy_streams_suite,
    proxy_turns_suite,
    epmd_turns_suite,
    epmd_log_suite,
    proxy_admission_suite,
    hop_mark_suite,
    json_whole_suite,
    event_hook_suite,
    events_suite,
    explain_suite,
    config_types_suite,
    shell_settings_suite,
    exec_environment_suite,
    listening_suite,
    allow_list_suite,
    front_suite,
    front_nodes_suite,
    config_suite,
    config_environment_suite,
    config_file_suite,
    config_keys_suite,
    config_reload_suite,
    creation_store_suite,
    client_suite,
    client_nodes_suite,
    client_cluster_suite,
    client_replies_suite,
    client_troubles_suite,
    client_json_suite,
    client_session_suite,
    client_faults_suite,
    output_suite,
    ekka_port_suite,
    checksummed_text_suite,
    nearest_suite,
    process_suite,
    port_pool_suite,
    port_pool_registrations_suite,
    port_pool_saved_suite,
    topology_suite,
    anti_entropy_suite,
    wire_suite,
    membership_suite,
    directory_suite,
    cluster_store_suite,
    term_text_suite,
    tls_suite,
    busy_poll_suite,
    epmd_query_suite,
    control_suite,
    control_slots_suite,
    control_server_suite,
    cursors_suite,
};
#define SUITES (sizeof suites / sizeof suites[0])

Suite *suite_begin(const char *name, TCase **tests) {
    Suite *suite = suite_create(name);
    *tests = tcase_create(name);
    tcase_set_timeout(*tests, TEST_TIMEOUT_S);
    suite_add_tcase(suite, *tests);
    return suite;
}

/* Every test is added by this function of check, which the linker leads here first. */
void __real__tcase_add_test(TCase *tests, const TTest *test, int signal, int exit_code, int start,
                            int end);
void __wrap__tcase_add_test(TCase *tests, const TTest *test, int signal, int exit_code, int start,
                            int end);
void __wrap__tcase_add_test(TCase *tests, const TTest *test, int signal, int exit_code, int start,
                            int end) {
    const char *wanted = getenv("PORTOLAN_TEST");
    if (wanted == NULL || strcmp(wanted, test->name) == 0)
        __real__tcase_add_test(tests, test, signal, exit_code, start, end);
}

static bool ran_nothing(SRunner *runner) {
    if (srunner_ntests_run(runner) > 0)
        return false;
    printf("no test has that name: see PORTOLAN_TEST and CK_RUN_SUITE\n");
    return true;
}

int main(void) {
    uint64_t seed = seeded_begin();
    SRunner *runner = srunner_create(suites[0]());
    for (size_t i = 1; i < SUITES; i++)
        srunner_add_suite(runner, suites[i]());
    printf("PORTOLAN_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    srunner_run_all(runner, CK_NORMAL);
    bool nothing = ran_nothing(runner);
    int failed = srunner_ntests_failed(runner);
    if (failed > 0)
        printf("PORTOLAN_TEST_SEED=%" PRIu64 " makes the same random choices again\n", seed);
    srunner_free(runner);
    return failed == 0 && !nothing ? EXIT_SUCCESS : EXIT_FAILURE;
}
