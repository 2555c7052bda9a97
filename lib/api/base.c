#include "flagver/base.h"

#include <stdlib.h>

#include "util/fail.h"

const char *flagver_version_string(void)
{
    return FLAGVER_VERSION;
}

const char *flagver_strerror(int code)
{
    return fv_error_words(code);
}

const char *flagver_error_name(int code)
{
    return fv_error_name(code);
}

int flagver_error_class(int code)
{
    return fv_error_class(code);
}

void flagver_string_free(char *string)
{
    free(string);
}
