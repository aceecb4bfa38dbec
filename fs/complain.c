// SPDX-License-Identifier: Apache-2.0
#include "fs/complain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int complain(char **ret_error, int error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(ret_error, format, arguments) < 0)
        *ret_error = NULL;
    va_end(arguments);
    return error;
}

int give_up(int status, char *error) {
    fprintf(stderr, "gridmount: %s\n", error ? error : "no memory");
    free(error);
    return status;
}
