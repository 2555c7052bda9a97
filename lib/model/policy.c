#include "model/policy.h"

#include <string.h>

/* ---- rules ---- */

enum answer { NO, YES, DEPENDS /* on an assignment */ };

static bool has_role(const struct fv_asker *asker, const char *role)
{
    size_t i;

    for (i = 0; i < asker->role_count; i++)
        if (strcmp(asker->roles[i], role) == 0)
            return true;
    return false;
}

static const char *role_held(const struct fv_permit *rule, const struct fv_asker *asker)
{
    size_t i;

    for (i = 0; i < rule->name_count; i++)
        if (has_role(asker, rule->names[i]))
            return rule->names[i];
    return NULL;
}

/* What is known without asking for assignments. Rules nest as deep as FV_PERMIT_DEPTH_LIMIT. */
static enum answer known(const struct fv_permit *rule, const struct fv_asker *asker)
{
    enum answer settled = rule->kind == FV_PERMIT_ALL ? NO : YES, answer;
    bool depends = false;
    size_t i;

    switch (rule->kind) {
    case FV_PERMIT_ANYONE:
        return YES;
    case FV_PERMIT_ROLE_IN:
        return role_held(rule, asker) ? YES : NO;
    case FV_PERMIT_ASSIGNED:
        return DEPENDS;
    case FV_PERMIT_ANY:
    case FV_PERMIT_ALL:
        for (i = 0; i < rule->rule_count; i++) {
            answer = known(&rule->rules[i], asker);
            if (answer == settled)
                return settled;
            depends |= answer == DEPENDS;
        }
        if (depends)
            return DEPENDS;
        return settled == NO && rule->rule_count ? YES : NO;
    default:
        return NO;
    }
}

static int holds(const struct fv_permit *rule, const struct fv_asker *asker,
                 const struct fv_permit **ret_part, const char **ret_name, flagver_error *err);

/* The first that is known to hold, else the first that does when its assignments are asked for. */
static int any_holds(const struct fv_permit *rule, const struct fv_asker *asker,
                     const struct fv_permit **ret_part, const char **ret_name, flagver_error *err)
{
    size_t i;
    int r = 0;

    for (i = 0; i < rule->rule_count; i++)
        if (known(&rule->rules[i], asker) == YES)
            return holds(&rule->rules[i], asker, ret_part, ret_name, err);
    for (i = 0; r == 0 && i < rule->rule_count; i++)
        if (known(&rule->rules[i], asker) == DEPENDS)
            r = holds(&rule->rules[i], asker, ret_part, ret_name, err);
    return r;
}

static int all_hold(const struct fv_permit *rule, const struct fv_asker *asker,
                    const struct fv_permit **ret_part, const char **ret_name, flagver_error *err)
{
    const struct fv_permit *part;
    const char *name;
    size_t i;
    int r = 1;

    if (known(rule, asker) == NO)
        return 0;
    for (i = 0; r == 1 && i < rule->rule_count; i++)
        if (known(&rule->rules[i], asker) == DEPENDS)
            r = holds(&rule->rules[i], asker, &part, &name, err);
    if (r == 1) {
        *ret_part = rule;
        *ret_name = NULL;
    }
    return r;
}

static int holds(const struct fv_permit *rule, const struct fv_asker *asker,
                 const struct fv_permit **ret_part, const char **ret_name, flagver_error *err)
{
    const char *name = NULL;
    int r = 0;

    switch (rule->kind) {
    case FV_PERMIT_ANYONE:
        r = 1;
        break;
    case FV_PERMIT_ROLE_IN:
        name = role_held(rule, asker);
        r = name != NULL;
        break;
    case FV_PERMIT_ASSIGNED:
        name = rule->names[0];
        r = asker->assigned(asker->data, name, err);
        break;
    case FV_PERMIT_ANY:
        return any_holds(rule, asker, ret_part, ret_name, err);
    case FV_PERMIT_ALL:
        return all_hold(rule, asker, ret_part, ret_name, err);
    default:
        break;
    }
    if (r == 1) {
        *ret_part = rule;
        *ret_name = name;
    }
    return r;
}

int fv_permit_holds(const struct fv_permit *rule, const struct fv_asker *asker,
                    const struct fv_permit **ret_part, const char **ret_name, flagver_error *err)
{
    return holds(rule, asker, ret_part, ret_name, err);
}

void fv_permit_words(const struct fv_permit *part, const char *name, struct fv_text *out)
{
    static const char *const words[] = {
        [FV_PERMIT_NOBODY] = "nobody",   [FV_PERMIT_ANYONE] = "anyone",
        [FV_PERMIT_ROLE_IN] = "role_in", [FV_PERMIT_ASSIGNED] = "assigned",
        [FV_PERMIT_ANY] = "any",         [FV_PERMIT_ALL] = "all",
    };

    fv_text_add(out, words[part->kind]);
    if (name) {
        fv_text_add_char(out, ':');
        fv_text_add(out, name);
    }
}

/* ---- policies ---- */

const struct fv_permit *fv_policy_permit(const struct fv_policy *policy, enum fv_action action)
{
    switch (action) {
    case FV_ACTION_DECIDE:
    case FV_ACTION_APPROVE:
    case FV_ACTION_REJECT:
    case FV_ACTION_REVIEW:
        return &policy->approve;
    case FV_ACTION_SHRED:
        return &policy->shred;
    default:
        return &policy->write;
    }
}

bool fv_assignment_reaches(const char *pattern, const char *subject)
{
    size_t asked, there;

    for (;;) {
        asked = strcspn(pattern, "/");
        there = strcspn(subject, "/");
        if (!(asked == 1 && *pattern == '*') &&
            !(asked == there && memcmp(pattern, subject, there) == 0))
            return false;
        pattern += asked;
        subject += there;
        if (!*pattern || !*subject)
            return *pattern == *subject;
        pattern++;
        subject++;
    }
}
