#include "codec/metadata.h"

#include <string.h>

#include "codec/json.h"

static bool visit_names(const char *list, bool (*visit)(void *, const char *, size_t), void *data)
{
    const char *end;
    size_t length;

    for (;; list = end + 1) {
        list += strspn(list, " ");
        end = list + strcspn(list, ",");
        for (length = (size_t)(end - list); length > 0 && list[length - 1] == ' ';)
            length--;
        if (length > 0 && !visit(data, list, length))
            return false;
        if (!*end)
            return true;
    }
}

int fv_metadata_events(const char *metadata,
                       bool (*visit)(void *data, const char *event, size_t length), void *data)
{
    const char *list;
    json_t *root;
    int r;

    /* Of many flags few have any: reading all their metadata would take long. */
    if (!strstr(metadata, "\"events\":"))
        return 0;
    r = fv_json_parse(metadata, strlen(metadata), NULL, &root, NULL);
    if (r < 0)
        return r;
    list = json_string_value(json_object_get(root, "events"));
    if (list && !visit_names(list, visit, data))
        r = FLAGVER_ENOMEM;
    json_decref(root);
    return r;
}
