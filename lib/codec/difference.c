#include "codec/difference.h"

#include <string.h>

#include "codec/canonical.h"
#include "util/fail.h"
#include "util/utf8.h"

static const char *name_of(int32_t kind)
{
    switch (kind) {
    case FLAGVER_DIFFERENCE_MISSING_IN_NEW:
        return "missing_in_new";
    case FLAGVER_DIFFERENCE_EXTRA_IN_NEW:
        return "extra_in_new";
    case FLAGVER_DIFFERENCE_VALUE:
        return "value";
    default:
        return NULL;
    }
}

static void add_hex(struct fv_text *out, const unsigned char *bytes, size_t length)
{
    fv_text_add(out, "\"");
    for (size_t i = 0; i < length; i++)
        fv_text_format(out, "%02x", bytes[i]);
    fv_text_add(out, "\"");
}

static void add_value(struct fv_text *out, const char *side, const void *value, size_t length)
{
    if (!value)
        return;
    if (fv_utf8_valid(value, length)) {
        fv_text_format(out, ",\"%s\":", side);
        fv_canonical_string(out, value, length);
    } else {
        fv_text_format(out, ",\"%s_hex\":", side);
        add_hex(out, value, length);
    }
}

int fv_difference_json(const flagver_difference *difference, char **ret_json, flagver_error *err)
{
    const char *name = name_of(difference->kind);
    struct fv_text out = FV_TEXT_INIT;

    if (!name)
        return fv_fail(err, FLAGVER_EINVAL, "difference.kind is %d, which is none",
                       (int)difference->kind);
    if (!difference->key)
        return fv_fail(err, FLAGVER_EINVAL, "difference.key is NULL");

    fv_text_add(&out, "{\"key\":");
    fv_canonical_string(&out, difference->key, strlen(difference->key));
    fv_text_format(&out, ",\"kind\":\"%s\"", name);
    add_value(&out, "old", difference->old_value, difference->old_length);
    add_value(&out, "new", difference->new_value, difference->new_length);
    fv_text_add(&out, "}");
    return fv_text_give(&out, ret_json, err);
}
