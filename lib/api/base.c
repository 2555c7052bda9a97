#include "flagver/base.h"

#include <stdlib.h>

const char *flagver_version_string(void)
{
    return FLAGVER_VERSION;
}

static const struct {
    int code;
    int class_;
    const char *name;
    const char *words;
} errors[] = {
#define ERROR_ROW(name, number, class_, words) { -(number), FLAGVER_CLASS_##class_, #name, words },
    FLAGVER_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

/* The row of a code, or the number of rows. */
static size_t find(int code)
{
    size_t i;

    for (i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].code == code)
            break;
    return i;
}

static const size_t none = sizeof errors / sizeof errors[0];

const char *flagver_strerror(int code)
{
    size_t row = find(code);

    if (code == 0)
        return "no error";
    return row == none ? "unknown error" : errors[row].words;
}

const char *flagver_error_name(int code)
{
    size_t row = find(code);

    return row == none ? NULL : errors[row].name;
}

int flagver_error_class(int code)
{
    size_t row = find(code);

    return row == none ? 0 : errors[row].class_;
}

void flagver_string_free(char *string)
{
    free(string);
}
