// SPDX-License-Identifier: Apache-2.0
/* Errors of connecting, in words for the person who mounts: one line, cause and cure, never a secret. */
#ifndef FS_STORE_MONGO_COMPLAINT_H
#define FS_STORE_MONGO_COMPLAINT_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

/* To be freed; NULL without memory. */
char *complaint_about(const bson_error_t *error, const char *address);
/* Whether it stays so however long one waits: a certificate, or a file of the connection string. */
bool complaint_is_final(const bson_error_t *error);
/* About a connection string that cannot be parsed. */
char *complaint_about_uri(const bson_error_t *error);

#endif
