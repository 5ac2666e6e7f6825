#include "net/tls_words.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stddef.h>

#define ALIKE "both hosts need cluster.tls.* from one authority, each for the host of its node.name"

const char *tls_words_of_verification(long result) {
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "its certificate, or one in its chain, has expired; renew it";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "its certificate, or one in its chain, is not valid yet; check the clocks of both "
               "hosts";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        return "the authority of its certificate is not in cluster.tls.cacertfile";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "its certificate is not for the host that was called; it must contain the host of "
               "its "
               "node.name";
    case X509_V_ERR_CERT_REVOKED:
        return "its certificate was revoked";
    default:
        return NULL;
    }
}

const char *tls_words_of_reason(int reason) {
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "it has no certificate; " ALIKE;
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return "it reports that this daemon's certificate has expired; renew it";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
        return "it reports that the authority of this daemon's certificate is not in its "
               "cluster.tls.cacertfile";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        return "it reports that this daemon's certificate was revoked";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        return "it reports that this daemon's certificate is not valid yet, is not for this host, "
               "or "
               "is damaged";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "it requires a certificate, and this daemon has none; " ALIKE;
    default:
        return NULL;
    }
}
