#include "fs/store/mongo/complaint.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/cleanup.h"

static const struct {
    const char *sign; /* somewhere in the driver's message, whatever the case */
    const char *cause, *cure;
} known[] = {
    {"authentication failed", "the server refused user or password", "check them, and authSource in the URI"},
    {"authenticationfailed", "the server refused user or password", "check them, and authSource in the URI"},
    {"auth mechanism", "the server refused the way of logging in", "check authMechanism in the URI"},
    {"failed to resolve", "the host name cannot be resolved", "check the host in the URI, and DNS"},
    {"name resolution", "the host name cannot be resolved", "check the host in the URI, and DNS"},
    {"certificate verify failed", "the server's certificate is not trusted", "give its CA with tlsCAFile="},
    {"tls", "the TLS handshake failed", "check tls=, tlsCAFile= and whether the server speaks TLS"},
    {"ssl", "the TLS handshake failed", "check tls=, tlsCAFile= and whether the server speaks TLS"},
    {"connection refused", "nothing listens there", "check host and port, and that the server runs"},
    {"socket error or timeout", "the server did not answer as expected", "check host, port and tls= in the URI"},
    {"connection closed", "the server closed the connection", "check tls= in the URI"},
    {"timeout", "the server did not answer in time", "check host, port, firewall and tls= in the URI, or raise timeout="},
    {"requires authentication", "the server wants a user and a password", "add them to the URI: mongodb://user:password@host"},
    {"not authorized", "the user may not do this", "grant it a role on this database"},
};

char *complaint_about(const bson_error_t *error, const char *address) {
    char *line = NULL;
    const char *detail = error->message[0] ? error->message : "no answer in time";
    int size = -1;
    for (size_t i = 0; size < 0 && i < sizeof known / sizeof *known; i++)
        if (strcasestr(detail, known[i].sign))
            size = asprintf(&line, "cannot use %s: %s; %s (%s)", address, known[i].cause, known[i].cure, detail);
    if (size < 0)
        size = asprintf(&line, "cannot use %s: %s; check the URI and the server's log", address, detail);
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
