#include "fs/complain.h"

#include <stdarg.h>
#include <stdio.h>

int complain(char **ret_error, int error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(ret_error, format, arguments) < 0)
        *ret_error = NULL;
    va_end(arguments);
    return error;
}
