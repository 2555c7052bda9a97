#include "util/options.h"

#include <string.h>

#include "util/fail.h"

int fv_options_copy(const char *what, const void *options, void *ret_options, size_t known,
                    flagver_error *err)
{
    const unsigned char *bytes = options;
    size_t size = known, i;

    if (options)
        memcpy(&size, options, sizeof size);
    if (size < sizeof size)
        return fv_fail(err, FLAGVER_EINVAL, "%s.size is %zu: set it to sizeof %s", what, size,
                       what);
    for (i = known; i < size; i++)
        if (bytes[i])
            return fv_fail(err, FLAGVER_EINVAL, "%s set a member that version %s does not have",
                           what, FLAGVER_VERSION);

    memset(ret_options, 0, known);
    if (options)
        memcpy(ret_options, options, size < known ? size : known);
    memcpy(ret_options, &known, sizeof known);
    return 0;
}
