#include "model/leaf.h"

#include <string.h>

#define LEAF_FORM 1
#define CANONICAL_FORM 1

const char *fv_action_name(int action)
{
    static const char *const names[] = {
        [FV_ACTION_CREATE] = "create",     [FV_ACTION_EDIT] = "edit",
        [FV_ACTION_REBASE] = "rebase",     [FV_ACTION_SUBMIT] = "submit",
        [FV_ACTION_RETURN] = "return",     [FV_ACTION_DECIDE] = "decide",
        [FV_ACTION_APPROVE] = "approve",   [FV_ACTION_REJECT] = "reject",
        [FV_ACTION_WITHDRAW] = "withdraw", [FV_ACTION_RECORD] = "record",
        [FV_ACTION_REVIEW] = "review",     [FV_ACTION_SHRED] = "shred",
        [FV_ACTION_REVERT] = "revert",
    };

    return action > 0 && (size_t)action < sizeof names / sizeof *names ? names[action] : NULL;
}

/* ---- writing ---- */

static void put_number(struct fv_text *out, uint64_t value, int bytes)
{
    char buffer[8];
    int i;

    for (i = 0; i < bytes; i++)
        buffer[i] = (char)(value >> (8 * (bytes - 1 - i)));
    fv_text_add_bytes(out, buffer, (size_t)bytes);
}

static void put_text(struct fv_text *out, flagver_bytes text)
{
    if (text.length > UINT16_MAX) {
        out->failed = true;
        return;
    }
    put_number(out, text.length, 2);
    fv_text_add_bytes(out, text.data ? text.data : "", text.length);
}

static void put_hash(struct fv_text *out, const uint8_t hash[32])
{
    fv_text_add_bytes(out, (const char *)hash, 32);
}

void fv_leaf_encode(const struct fv_audit_leaf *leaf, struct fv_text *out)
{
    put_number(out, LEAF_FORM, 1);
    put_number(out, CANONICAL_FORM, 1);
    put_text(out, leaf->tenant);
    put_number(out, leaf->leaf_no, 8);
    put_number(out, (uint64_t)leaf->time, 8);
    put_text(out, leaf->actor);
    put_number(out, leaf->action, 1);
    put_text(out, leaf->phase);
    put_text(out, leaf->subject);
    put_number(out, leaf->no, 4);
    put_number(out, leaf->from, 1);
    put_number(out, leaf->to, 1);
    put_number(out, leaf->bits, 4);
    put_number(out, (uint64_t)leaf->rev, 8);
    put_number(out, leaf->parent_no, 4);
    put_number(out, leaf->base_no, 4);
    put_number(out, leaf->reverts_no, 4);
    put_number(out, leaf->supersedes, 4);
    put_hash(out, leaf->content_hash);
    put_hash(out, leaf->decisions_hash);
    put_hash(out, leaf->note_hash);
    put_text(out, leaf->policy);
    put_number(out, leaf->policy_no, 4);
    put_text(out, leaf->rule);
    put_text(out, leaf->idempotency_key);
}

/* ---- reading ---- */

struct input {
    const unsigned char *next, *end;
    bool short_of; /* something was missing */
};

static const unsigned char *take(struct input *input, size_t length)
{
    const unsigned char *at = input->next;

    if (input->short_of || (size_t)(input->end - input->next) < length) {
        input->short_of = true;
        return NULL;
    }
    input->next += length;
    return at;
}

static uint64_t get_number(struct input *input, size_t bytes)
{
    const unsigned char *at = take(input, bytes);
    uint64_t value = 0;
    size_t i;

    for (i = 0; at && i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static flagver_bytes get_text(struct input *input)
{
    size_t length = (size_t)get_number(input, 2);

    return (flagver_bytes){ take(input, length), length };
}

static void get_hash(struct input *input, uint8_t hash[32])
{
    const unsigned char *at = take(input, 32);

    if (at)
        memcpy(hash, at, 32);
}

static void get_leaf(struct input *input, struct fv_audit_leaf *leaf)
{
    leaf->tenant = get_text(input);
    leaf->leaf_no = get_number(input, 8);
    leaf->time = (int64_t)get_number(input, 8);
    leaf->actor = get_text(input);
    leaf->action = (uint8_t)get_number(input, 1);
    leaf->phase = get_text(input);
    leaf->subject = get_text(input);
    leaf->no = (uint32_t)get_number(input, 4);
    leaf->from = (uint8_t)get_number(input, 1);
    leaf->to = (uint8_t)get_number(input, 1);
    leaf->bits = (uint32_t)get_number(input, 4);
    leaf->rev = (int64_t)get_number(input, 8);
    leaf->parent_no = (uint32_t)get_number(input, 4);
    leaf->base_no = (uint32_t)get_number(input, 4);
    leaf->reverts_no = (uint32_t)get_number(input, 4);
    leaf->supersedes = (uint32_t)get_number(input, 4);
    get_hash(input, leaf->content_hash);
    get_hash(input, leaf->decisions_hash);
    get_hash(input, leaf->note_hash);
    leaf->policy = get_text(input);
    leaf->policy_no = (uint32_t)get_number(input, 4);
    leaf->rule = get_text(input);
    leaf->idempotency_key = get_text(input);
}

bool fv_leaf_decode(const void *data, size_t length, struct fv_audit_leaf *ret_leaf)
{
    struct input input = { data, (const unsigned char *)data + length, false };
    struct fv_audit_leaf leaf = { .leaf_no = 0 };

    if (get_number(&input, 1) != LEAF_FORM || get_number(&input, 1) != CANONICAL_FORM)
        return false;
    get_leaf(&input, &leaf);
    if (input.short_of || input.next != input.end)
        return false;
    *ret_leaf = leaf;
    return true;
}

bool fv_leaf_peek(const void *data, size_t length, flagver_bytes *ret_tenant, uint64_t *ret_leaf_no)
{
    struct input input = { data, (const unsigned char *)data + length, false };

    if (get_number(&input, 1) != LEAF_FORM || get_number(&input, 1) != CANONICAL_FORM)
        return false;
    *ret_tenant = get_text(&input);
    *ret_leaf_no = get_number(&input, 8);
    return !input.short_of;
}

/* ---- notes ---- */

bool fv_leaf_has_note(const struct fv_audit_leaf *leaf)
{
    static const uint8_t none[sizeof leaf->note_hash];

    return memcmp(leaf->note_hash, none, sizeof none) != 0;
}

bool fv_leaf_keeps_note(const struct fv_audit_leaf *leaf)
{
    switch (leaf->action) {
    case FV_ACTION_CREATE:
    case FV_ACTION_RECORD:
    case FV_ACTION_EDIT:
    case FV_ACTION_SUBMIT:
    case FV_ACTION_RETURN:
    case FV_ACTION_REJECT:
    case FV_ACTION_WITHDRAW:
        return fv_leaf_has_note(leaf);
    default:
        return false;
    }
}
