/*
 * Paths: a context is built in which the path exists; it must be found, by its
 * steps and, once there is one, by the exact name before that.
 */
#include "model/context.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* False when the path cannot stand in a context: a name too long, nested too deep. */
static bool build(flagver_context *context, const char *text, size_t size)
{
    const struct fv_value seven = { .kind = FV_INTEGER, .as.integer = 7 };
    const char *at = text, *end = text + size, *dot;
    size_t open = 0;
    int r = 0;

    while (r == 0 && (dot = memchr(at, '.', (size_t)(end - at)))) {
        r = fv_context_begin(context, at, (size_t)(dot - at), FV_OBJECT);
        open++;
        at = dot + 1;
    }
    if (r == 0)
        r = fv_context_set(context, at, (size_t)(end - at), &seven);
    while (r == 0 && open--)
        r = fv_context_end(context);
    must(r == 0 || r == FLAGVER_EINVAL);
    return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct fv_value eight = { .kind = FV_INTEGER, .as.integer = 8 };
    flagver_context *context = fv_context_new(false);
    const struct fv_value *found;
    struct fv_arena arena;
    struct fv_path path;

    must(context != NULL);
    fv_arena_init(&arena, NULL, 64);
    must(fv_path_init(&path, &arena, (const char *)data, size) == 0);
    must(fv_context_find(NULL, &path) == NULL && fv_context_find(context, &path) == NULL);

    if (build(context, (const char *)data, size)) {
        found = fv_context_find(context, &path);
        must(found && found->kind == FV_INTEGER && found->as.integer == 7);
        if (fv_context_set(context, (const char *)data, size, &eight) == 0) {
            found = fv_context_find(context, &path);
            must(found && found->as.integer == 8);
        }
    }
    fv_context_free(context);
    fv_arena_clear(&arena);
    return 0;
}
