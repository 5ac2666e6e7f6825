/* The suites of the unit tests, one a module of src/, and how each begins. */
#ifndef PORTOLAN_TESTS_UNIT_SUITES_H
#define PORTOLAN_TESTS_UNIT_SUITES_H

#include <check.h>

Suite *assert_suite(void);
Suite *bytes_suite(void);
Suite *text_suite(void);
Suite *log_suite(void);
Suite *checksum_suite(void);
Suite *hash_table_suite(void);
Suite *turn_budget_suite(void);
Suite *node_name_suite(void);
Suite *epmd_wire_suite(void);
Suite *creations_suite(void);
Suite *registry_suite(void);
Suite *listing_suite(void);
Suite *epmd_service_suite(void);
Suite *address_suite(void);
Suite *handshake_limit_suite(void);
Suite *host_limit_suite(void);
Suite *sock_diag_suite(void);
Suite *local_users_suite(void);
Suite *subordinate_users_suite(void);
Suite *epmd_query_suite(void);
Suite *listener_suite(void);
Suite *config_suite(void);
Suite *control_suite(void);
Suite *control_slots_suite(void);
Suite *control_server_suite(void);
Suite *cursors_suite(void);
Suite *config_environment_suite(void);
Suite *config_file_suite(void);
Suite *config_keys_suite(void);
Suite *config_reload_suite(void);
Suite *creation_store_suite(void);
Suite *client_suite(void);
Suite *client_replies_suite(void);
Suite *client_troubles_suite(void);
Suite *client_json_suite(void);
Suite *client_session_suite(void);
Suite *client_faults_suite(void);
Suite *output_suite(void);
Suite *topology_suite(void);
Suite *anti_entropy_suite(void);
Suite *wire_suite(void);
Suite *membership_suite(void);
Suite *directory_suite(void);
Suite *cluster_store_suite(void);
Suite *ekka_port_suite(void);
Suite *checksummed_text_suite(void);
Suite *nearest_suite(void);
Suite *process_suite(void);
Suite *port_pool_suite(void);
Suite *proxy_vigil_suite(void);
Suite *port_pool_registrations_suite(void);
Suite *port_pool_saved_suite(void);
Suite *term_text_suite(void);
Suite *tls_suite(void);
Suite *dist_wire_suite(void);
Suite *tls_hello_suite(void);
Suite *first_bytes_suite(void);
Suite *routes_suite(void);
Suite *lookup_queue_suite(void);
Suite *epmd_service_fronts_suite(void);
Suite *port_probe_suite(void);
Suite *port_search_suite(void);
Suite *proxy_way_suite(void);
Suite *proxy_suite(void);
Suite *proxy_streams_suite(void);
Suite *proxy_turns_suite(void);
Suite *epmd_turns_suite(void);
Suite *proxy_admission_suite(void);
Suite *hop_mark_suite(void);
Suite *allow_list_suite(void);
Suite *front_suite(void);
Suite *front_nodes_suite(void);

/* A suite of one case, which has time enough to run under sanitizers and valgrind. */
Suite *suite_begin(const char *name, TCase **tests);

#endif
