/*
 * What proves that this daemon belongs to a cluster: the cookie of the configuration or of its
 * file, or certificates; made into what links share (net/tls).
 */
#ifndef PORTOLAN_SERVICE_CREDENTIALS_H
#define PORTOLAN_SERVICE_CREDENTIALS_H

#include "config/config.h"
#include "net/tls.h"

#define CLUSTER_KEY_ERROR_SIZE 1024

/*
 * *tls stays NULL when the configuration names neither cookie nor certificates, or when no front
 * port is open: then the daemon runs alone. False: what is named cannot be used, and `error` says
 * why and what to do. Takes a tenth of a second.
 */
bool cluster_key_open(const struct config *config, struct tls **tls,
                      char error[CLUSTER_KEY_ERROR_SIZE]);

#endif
