/*
 * Random trees of all, any and not against what they mean.
 */
#include "flags.h"
#include "seed.h"

#define NAMES 8

/* Writes a random condition on attributes a0 … a7 and works out its value for the mask. */
static bool grow(struct seed *seed, struct fv_text *text, uint32_t depth, uint32_t mask)
{
    uint32_t kind = depth ? seed_below(seed, 5) : 4, count, i, name;
    bool holds, part;

    if (kind == 0) {
        fv_text_add(text, "{'not': ");
        holds = !grow(seed, text, depth - 1, mask);
        fv_text_add(text, "}");
        return holds;
    }
    if (kind < 4) {
        holds = kind % 2;
        fv_text_add(text, holds ? "{'all': [" : "{'any': [");
        count = 1 + seed_below(seed, 4);
        for (i = 0; i < count; i++) {
            if (i)
                fv_text_add(text, ", ");
            part = grow(seed, text, depth - 1, mask);
            holds = kind % 2 ? holds && part : holds || part;
        }
        fv_text_add(text, "]}");
        return holds;
    }

    name = seed_below(seed, NAMES);
    if (seed_below(seed, 3)) {
        fv_text_format(text, "{'attr': 'a%u', 'op': 'eq', 'value': true}", name);
        return mask >> name & 1;
    }
    if (seed_below(seed, 2)) {
        fv_text_format(text, "{'segment': 's%u'}", name);
        return mask >> name & 1;
    }
    fv_text_format(text, "{'flag': 'f%u', 'variant': 'off'}", name);
    return !(mask >> name & 1);
}

static flagver_context *context_of_mask(uint32_t mask)
{
    flagver_context *context = flagver_context_new(NULL);
    char name[4] = "a0";
    uint32_t i;

    for (i = 0; i < NAMES; i++, name[1]++)
        if (mask >> i & 1)
            must(flagver_context_set_bool(context, name, true) == 0, "no memory");
        else if (mask & 1) /* false and missing are the same here */
            must(flagver_context_set_bool(context, name, false) == 0, "no memory");
    return context;
}

/* The same tree is grown for each mask: it is asked with the same seed. */
static void check_tree(uint64_t number, uint32_t depth)
{
    struct fv_text tree = FV_TEXT_INIT, text = FV_TEXT_INIT;
    struct seed seed = { number };
    flagver_context *context;
    flagver_client *client;
    uint32_t mask, i;
    bool expected;

    grow(&seed, &tree, depth, 0);
    fv_text_format(&text,
                   "{'flags': {'f': {'type': 'boolean', 'rules': [{'serve': 'on', 'if': %s}]}",
                   tree.data);
    for (i = 0; i < NAMES; i++)
        fv_text_format(&text,
                       ", 'f%u': {'type': 'boolean', 'rules': [{'serve': 'on', 'if': "
                       "{'attr': 'a%u', 'op': 'eq', 'value': true}}]}",
                       i, i);
    fv_text_add(&text, "}, 'segments': {'s': {}");
    for (i = 0; i < NAMES; i++)
        fv_text_format(&text, ", 's%u': {'if': {'attr': 'a%u', 'op': 'eq', 'value': true}}", i, i);
    fv_text_add(&text, "}}");
    client = client_of(text.data, NULL);

    for (mask = 0; mask < 1u << NAMES; mask += 1 + (uint32_t)(number % 7)) {
        seed.state = number;
        fv_text_reset(&tree);
        expected = grow(&seed, &tree, depth, mask);
        context = context_of_mask(mask);
        must(flagver_flag_bool(client, "f", context, !expected) == expected, "%s with %02x",
             tree.data, mask);
        flagver_context_free(context);
    }
    flagver_close(client);
    fv_text_clear(&tree);
    fv_text_clear(&text);
}

START_TEST(a_tree_of_conditions_means_what_it_says)
{
    struct seed seed = seed_new((uint64_t)_i);
    int i;

    for (i = 0; i < 150; i++)
        check_tree(seed_next(&seed), (uint32_t)_i);
}
END_TEST

static Suite *condition_suite(void)
{
    Suite *suite = suite_create("conditions");
    TCase *tcase = tcase_create("conditions");

    tcase_add_loop_test(tcase, a_tree_of_conditions_means_what_it_says, 0, 6);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(condition_suite());
}
