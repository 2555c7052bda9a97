/*
 * Names of types, reasons and error codes, as definitions and OpenFeature spell them.
 */
#include "flagver/flag.h"

static const char *name_of(const char *const *names, size_t count, int number)
{
    return number >= 0 && (size_t)number < count ? names[number] : NULL;
}

#define NAME_OF(names, number) name_of((names), sizeof(names) / sizeof((names)[0]), (number))

const char *flagver_reason_name(int reason)
{
    static const char *const names[] = {
        [FLAGVER_REASON_ERROR] = "ERROR",     [FLAGVER_REASON_STATIC] = "STATIC",
        [FLAGVER_REASON_DEFAULT] = "DEFAULT", [FLAGVER_REASON_TARGETING_MATCH] = "TARGETING_MATCH",
        [FLAGVER_REASON_SPLIT] = "SPLIT",     [FLAGVER_REASON_DISABLED] = "DISABLED",
    };
    const char *name = NAME_OF(names, reason);

    return name ? name : "UNKNOWN";
}

const char *flagver_error_code_name(int error)
{
    static const char *const names[] = {
        [FLAGVER_ERROR_FLAG_NOT_FOUND] = "FLAG_NOT_FOUND",
        [FLAGVER_ERROR_PARSE_ERROR] = "PARSE_ERROR",
        [FLAGVER_ERROR_TYPE_MISMATCH] = "TYPE_MISMATCH",
        [FLAGVER_ERROR_TARGETING_KEY_MISSING] = "TARGETING_KEY_MISSING",
        [FLAGVER_ERROR_INVALID_CONTEXT] = "INVALID_CONTEXT",
        [FLAGVER_ERROR_GENERAL] = "GENERAL",
    };

    return NAME_OF(names, error);
}

const char *flagver_type_name(int type)
{
    static const char *const names[] = {
        [FLAGVER_TYPE_BOOL] = "boolean", [FLAGVER_TYPE_STRING] = "string",
        [FLAGVER_TYPE_INT] = "integer",  [FLAGVER_TYPE_DOUBLE] = "double",
        [FLAGVER_TYPE_JSON] = "json",
    };

    return NAME_OF(names, type);
}
