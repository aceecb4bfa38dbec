// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/complaint.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/cleanup.h"

static const struct {
    const char *sign; /* somewhere in the driver's message, whatever the case */
    const char *cause, *cure;
    enum { PASSES, STAYS } waiting; /* what it may do while one waits */
} known[] = {
    {"authentication failed", "the server refused user or password", "check them, and authSource in the URI", STAYS},
    {"authenticationfailed", "the server refused user or password", "check them, and authSource in the URI", STAYS},
    {"mongodb-x509", "the server refused the certificate as a login",
     "check tlsCertificateKeyFile=, and that there is a user of its subject in $external", STAYS},
    {"auth mechanism", "the server refused the way of logging in", "check authMechanism in the URI", STAYS},
    {"a temporary error occurred on an auth", "no resolver answers", "check /etc/resolv.conf, and what it names", PASSES},
    {"srv record", "DNS has no servers for this name",
     "check the host of mongodb+srv:// in the URI, and this host's resolver", PASSES},
    {"failed to resolve", "the host name cannot be resolved", "check the host in the URI, and DNS", PASSES},
    {"name resolution", "the host name cannot be resolved", "check the host in the URI, and DNS", PASSES},
    {"certificate has expired", "the server's certificate has expired",
     "renew it on the server, or set this host's clock", STAYS},
    {"hostname mismatch", "the server's certificate is for another host name",
     "use a name that is in it in the URI", STAYS},
    {"ip address mismatch", "the server's certificate is for another address",
     "use a name that is in it in the URI", STAYS},
    {"certificate verify failed", "the server's certificate is not trusted", "give its CA with tlsCAFile=", STAYS},
    {"failed initialize tls", "a certificate of the URI cannot be read",
     "check the files of tlsCAFile= and tlsCertificateKeyFile=", STAYS},
    {"alert internal error", "the server refused the connection",
     "put this host's address on its access list (Atlas: Network Access)", PASSES},
    {"handshake failed: connection", "the connection ended before the TLS handshake did",
     "check that this host's address is on the server's access list (Atlas: Network Access), and that it speaks TLS", PASSES},
    {"tls", "the TLS handshake failed", "check tls=, tlsCAFile= and whether the server speaks TLS", PASSES},
    {"ssl", "the TLS handshake failed", "check tls=, tlsCAFile= and whether the server speaks TLS", PASSES},
    {"connection refused", "nothing listens there", "check host and port, and that the server runs", PASSES},
    {"failed to read 4 bytes", "the connection ended, or was silent, before the server said anything",
     "check tls=, the client certificate if it wants one (tlsCertificateKeyFile=), and its access list", PASSES},
    {"socket delivery", "the connection ended before the server said anything",
     "check tls=, the client certificate if it wants one (tlsCertificateKeyFile=), and its access list", PASSES},
    {"socket error or timeout", "what answers is no MongoDB server, or wants TLS",
     "check host, port and tls= in the URI", PASSES},
    {"invalid reply from server", "what answers is no MongoDB server, or wants TLS",
     "check host, port and tls= in the URI", PASSES},
    {"connection closed", "the server closed the connection", "check tls= in the URI", PASSES},
    {"timeout", "the server did not answer in time",
     "check host, port, firewall and tls= in the URI, or raise timeout=", PASSES},
    {"requires authentication", "the server wants a user and a password",
     "add them to the URI: mongodb://user:password@host", STAYS},
    {"not authorized", "the user may not read this database", "check its name, or grant the user a role on it", STAYS},
};
enum { COUNT = sizeof known / sizeof *known };

static size_t place_of(const char *message) {
    size_t i = 0;
    while (i < COUNT && !strcasestr(message, known[i].sign))
        i++;
    return i;
}

bool complaint_is_final(const bson_error_t *error) {
    size_t i = place_of(error->message);
    return i < COUNT && known[i].waiting == STAYS;
}

char *complaint_about(const bson_error_t *error, const char *address) {
    char *line = NULL;
    const char *detail = error->message[0] ? error->message : "no answer in time";
    size_t i = place_of(detail);
    int size = i < COUNT ? asprintf(&line, "cannot use %s: %s; %s (%s)", address, known[i].cause, known[i].cure, detail)
                         : asprintf(&line, "cannot use %s: %s; check the URI and the server's log", address, detail);
    return size < 0 ? NULL : line;
}

char *complaint_about_uri(const bson_error_t *error) {
    char *line = NULL;
    /* The driver may quote the string, and with it the password. */
    bool quotes = strchr(error->message, '@') || strstr(error->message, "mongodb");
    int size = asprintf(&line, "the connection string cannot be read%s%s; it looks like mongodb://host:port/database",
                        quotes ? "" : ": ", quotes ? "" : error->message);
    return size < 0 ? NULL : line;
}
