/*
 * Policies and assignments: a policy that can be read can be described, and the description, but
 * for what it says about the record, is a policy too.
 */
#include "codec/policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void try_policy(const char *json, size_t length)
{
    struct fv_text out = FV_TEXT_INIT;
    struct fv_policy policy;
    struct fv_arena arena;
    flagver_error err;

    fv_arena_init(&arena, NULL, 512);
    if (fv_policy_read(json, length, &arena, &policy, &err) == 0) {
        policy.subject = "phase";
        policy.no = 1;
        must(fv_policy_describe(&policy, json, length, &out, &err) == 0);
        must(out.length > 2 && out.data[0] == '{');
        fv_policy_check_subject("phase", &policy, &err);
        fv_policy_clear(&policy);
    } else {
        must(err.code == FLAGVER_EPARSE && err.message[0]);
    }
    fv_text_clear(&out);
    fv_arena_clear(&arena);
}

/* Whoever is added to an assignment is in it, and who is taken out is not. */
static void try_assignment(const char *json, size_t length)
{
    struct fv_text added = FV_TEXT_INIT, left = FV_TEXT_INIT;
    flagver_error err;

    if (fv_assignment_check("role/subject", json, length, &err) == 0) {
        must(fv_assignment_edit(json, length, "somebody", true, &added, &err) == 0);
        must(fv_assignment_names(added.data, added.length, "somebody", &err) == 1);
        must(fv_assignment_edit(added.data, added.length, "somebody", false, &left, &err) == 0);
        must(!left.length || fv_assignment_names(left.data, left.length, "somebody", &err) == 0);
    }
    fv_text_clear(&added);
    fv_text_clear(&left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);

    must(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    try_policy(copy, size);
    try_assignment(copy, size);
    free(copy);
    return 0;
}
