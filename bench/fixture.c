#define _POSIX_C_SOURCE 200809L

#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Rules ask for one of these ten countries; users come from all of them. */
static const char *const countries[] = { "AT", "BE", "CH", "DE", "DK", "ES", "FR", "IT",
                                         "NL", "PT", "BR", "CA", "GB", "JP", "US" };
#define RULE_COUNTRIES 10
#define COUNTRIES (sizeof countries / sizeof *countries)

/* What a split serves, and where each share ends. */
static const char *const values[BARE_VARIANTS] = { "#ffbf00", "#0000ff", "#00ffff", "#1560bd" };
static const uint32_t bounds[BARE_VARIANTS] = { 10000, 30000, 60000, 100000 };
#define SPLIT                                                                              \
    "\"variants\": {\"amber\": \"#ffbf00\", \"blue\": \"#0000ff\", \"cyan\": \"#00ffff\"," \
    " \"denim\": \"#1560bd\"}, \"default\": \"blue\","                                     \
    " \"split\": {\"amber\": 10, \"blue\": 20, \"cyan\": 30, \"denim\": 40}"

static const uint32_t rule_version[3] = { 2, 4, 0 };

/* ------------------------------------------------------------------------
 * Users
 */

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(bench_allocate(size, 1), text, size);
}

static void set_attribute(flagver_context *context, struct bare_attribute *bare, const char *name,
                          const char *value)
{
    if (flagver_context_set_string(context, name, value) < 0)
        bench_die("out of memory");
    bare->name = name;
    bare->name_length = strlen(name);
    bare->value = copy(value);
    bare->length = strlen(value);
}

static flagver_context *make_user(struct bare_user *bare, size_t number, uint64_t *random)
{
    flagver_context *context;
    char text[64];

    snprintf(text, sizeof text, "user%05zu", number);
    context = flagver_context_new(text);
    if (!context)
        bench_die("out of memory");
    bare->key = copy(text);
    bare->length = strlen(text);

    snprintf(text, sizeof text, "user%05zu@example.com", number);
    set_attribute(context, &bare->attributes[0], "email", text);
    set_attribute(context, &bare->attributes[1], "plan",
                  bench_random(random) % 4 ? "free" : "business");
    set_attribute(context, &bare->attributes[2], "country",
                  countries[bench_random(random) % COUNTRIES]);
    snprintf(text, sizeof text, "%u.%u.%u", (unsigned)(bench_random(random) % 4 + 1),
             (unsigned)(bench_random(random) % 10), (unsigned)(bench_random(random) % 20));
    set_attribute(context, &bare->attributes[3], "app_version", text);
    return context;
}

struct users *users_new(void)
{
    struct users *users = bench_allocate(1, sizeof *users);
    size_t *place = bench_allocate(BENCH_USERS, sizeof *place);
    uint64_t random = 1;
    size_t number;

    bench_shuffle(place, BENCH_USERS, &random);
    users->block = bench_allocate(BENCH_USERS, sizeof *users->block);
    for (number = 0; number < BENCH_USERS; number++) {
        users->contexts[place[number]] = make_user(&users->block[number], number, &random);
        users->bare[place[number]] = &users->block[number];
    }
    free(place);
    return users;
}

void users_free(struct users *users)
{
    size_t at, i;

    for (at = 0; at < BENCH_USERS; at++) {
        flagver_context_free(users->contexts[at]);
        free(users->block[at].key);
        for (i = 0; i < BARE_ATTRIBUTES; i++)
            free(users->block[at].attributes[i].value);
    }
    free(users->block);
    free(users);
}

void users_order(const struct users *users, size_t known, flagver_context **contexts,
                 const struct bare_user **bare)
{
    size_t *place = bench_allocate(BENCH_USERS, sizeof *place);
    const size_t others = BENCH_USERS - known;
    uint64_t random = 2;
    size_t i, at;

    bench_shuffle(place, BENCH_USERS, &random);
    for (i = 0; i < BENCH_USERS; i++) {
        at = i < BENCH_USERS / 2 && known ? i % known : known + i % others;
        contexts[place[i]] = users->contexts[at];
        bare[place[i]] = users->bare[at];
    }
    free(place);
}

void names_init(struct names *names, const struct users *users, size_t known, size_t others)
{
    char text[32];
    size_t i;

    names->count = known + others;
    names->texts = bench_allocate(names->count, sizeof *names->texts);
    for (i = 0; i < known; i++)
        names->texts[i] = copy(users->bare[i]->key);
    for (; i < names->count; i++) {
        snprintf(text, sizeof text, "other%06zu", i);
        names->texts[i] = copy(text);
    }
}

void names_clear(struct names *names)
{
    size_t i;

    for (i = 0; i < names->count; i++)
        free(names->texts[i]);
    free(names->texts);
}

/* ------------------------------------------------------------------------
 * Definitions
 */

static enum bare_kind kind_of(const struct plan *plan, size_t index)
{
    return plan->pattern[index % plan->period];
}

static void write_list(FILE *json, const char *const *texts, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        fprintf(json, "%s\"%s\"", i ? ", " : "[", texts[i]);
    fputc(']', json);
}

static void write_rule(FILE *json)
{
    fputs(", \"rules\": [{\"id\": \"europe\", \"if\": {\"all\": ["
          "{\"attr\": \"country\", \"op\": \"in\", \"values\": ",
          json);
    write_list(json, countries, RULE_COUNTRIES);
    fprintf(json,
            "}, {\"attr\": \"app_version\", \"op\": \"semver_gte\", \"value\": \"%u.%u.%u\"}]}, "
            "\"serve\": {\"percentage\": 50}}]",
            (unsigned)rule_version[0], (unsigned)rule_version[1], (unsigned)rule_version[2]);
}

static void write_kind(FILE *json, const struct plan *plan, size_t index)
{
    switch (kind_of(plan, index)) {
    case BARE_STATIC:
        fprintf(json, ", \"default\": \"%s\"", index % 2 ? "on" : "off");
        break;
    case BARE_BETA:
        fputs(", \"beta\": ", json);
        write_list(json, (const char *const *)plan->list->texts, plan->list->count);
        break;
    case BARE_PERCENTAGE:
        fputs(", \"percentage\": 25", json);
        break;
    case BARE_MD5:
        fputs(", \"percentage\": 25, \"bucketing\": \"md5-mod100\"", json);
        break;
    case BARE_SPLIT:
        fputs(", " SPLIT, json);
        break;
    case BARE_RULE:
        write_rule(json);
        break;
    }
}

#define DESCRIPTION "\"Feature %zu, described in a sentence of the usual length\""
#define METADATA "{\"owner\":\"team-%zu\",\"ticket\":\"ROLL-%zu\"}"

static void write_flag(FILE *json, const struct plan *plan, size_t index)
{
    const bool text = kind_of(plan, index) == BARE_SPLIT;
    char key[BARE_KEY];

    plan_key(index, key);
    fprintf(json, "%s\n\"%s\": {\"type\": \"%s\"", index ? "," : "", key,
            text ? "string" : "boolean");
    if (plan->documented)
        fprintf(json, ", \"description\": " DESCRIPTION ", \"metadata\": " METADATA, index,
                index % 40, index * 7);
    write_kind(json, plan, index);
    fputc('}', json);
}

char *plan_json(const struct plan *plan, size_t *ret_length)
{
    char *text = NULL;
    FILE *json = open_memstream(&text, ret_length);
    size_t index;

    if (!json)
        bench_die("out of memory");
    fputs("{\"flags\": {", json);
    for (index = 0; index < plan->count; index++)
        write_flag(json, plan, index);
    fputs("\n}}\n", json);
    if (fclose(json) != 0)
        bench_die("out of memory");
    return text;
}

size_t plan_change(size_t index, unsigned turn, char *json, size_t size)
{
    char key[BARE_KEY];

    plan_key(index, key);
    return (size_t)snprintf(json, size,
                            "{\"flags\": {\"%s\": {\"type\": \"boolean\", \"percentage\": %u}}}",
                            key, turn % 100 + 1);
}

/* What a definitions file of a large product may look like. */
static const enum bare_kind mixed[10] = { BARE_STATIC, BARE_BETA,       BARE_PERCENTAGE,
                                          BARE_STATIC, BARE_PERCENTAGE, BARE_SPLIT,
                                          BARE_STATIC, BARE_PERCENTAGE, BARE_RULE,
                                          BARE_STATIC };
#define LISTED 10

char *mixed_json(size_t *ret_length)
{
    struct plan plan = { .count = BENCH_FLAGS, .pattern = mixed, .period = 10, .documented = true };
    struct names list;
    char *json;

    names_init(&list, NULL, 0, LISTED);
    plan.list = &list;
    json = plan_json(&plan, ret_length);
    names_clear(&list);
    return json;
}

size_t mixed_change(size_t number, unsigned percentage, char key[BARE_KEY], char *json, size_t size)
{
    size_t index = number * 7919 % (BENCH_FLAGS / 10) * 10 + 2;

    plan_key(index, key);
    return (size_t)snprintf(json, size,
                            "{\"description\":" DESCRIPTION ",\"metadata\":" METADATA
                            ",\"percentage\":%u,\"type\":\"boolean\"}",
                            index, index % 40, index * 7, percentage);
}

void plan_key(size_t index, char key[BARE_KEY])
{
    snprintf(key, BARE_KEY, "feature_%05u", (unsigned)(index % 100000));
}

/* ------------------------------------------------------------------------
 * Both sides
 */

flagver_client *open_client(void)
{
    flagver_options options = { .size = sizeof options, .no_environment = 1 };
    flagver_client *client = NULL;
    flagver_error err;

    bench_must(flagver_open("definitions:", &options, &client, &err), err.message);
    return client;
}

static void prepare_list(struct bare_flag *flag, struct bare_set *list, const struct names *names)
{
    if (flag->kind == BARE_RULE)
        bare_set_init(list, countries, RULE_COUNTRIES);
    else
        bare_set_init(list, (const char *const *)names->texts, names->count);
    flag->list = list;
}

static void prepare_flag(struct fixture *fixture, const struct plan *plan, size_t index)
{
    struct bare_flag *flag = &fixture->flags[index];

    flag->kind = kind_of(plan, index);
    flag->on = index % 2 != 0;
    flag->threshold = flag->kind == BARE_RULE ? 50000 : 25000;
    plan_key(index, flag->key);
    flag->length = (uint32_t)strlen(flag->key);
    flag->key[flag->length] = ':';
    fixture->keys[index] = bench_allocate(flag->length + 1, 1);
    memcpy(fixture->keys[index], flag->key, flag->length);

    if (flag->kind == BARE_BETA || flag->kind == BARE_RULE)
        prepare_list(flag, &fixture->lists[fixture->list_count++], plan->list);
    if (flag->kind == BARE_RULE)
        memcpy(flag->version, rule_version, sizeof rule_version);
    if (flag->kind == BARE_SPLIT) {
        memcpy(flag->bounds, bounds, sizeof bounds);
        memcpy(flag->values, values, sizeof values);
    }
}

void fixture_init(struct fixture *fixture, const struct plan *plan)
{
    flagver_error err;
    size_t length, index;
    char *json;

    memset(fixture, 0, sizeof *fixture);
    fixture->count = plan->count;
    fixture->flags = aligned_alloc(64, plan->count * sizeof *fixture->flags);
    if (!fixture->flags)
        bench_die("out of memory");
    memset(fixture->flags, 0, plan->count * sizeof *fixture->flags);
    fixture->lists = bench_allocate(plan->count, sizeof *fixture->lists);
    fixture->keys = bench_allocate(plan->count, sizeof *fixture->keys);
    for (index = 0; index < plan->count; index++)
        prepare_flag(fixture, plan, index);
    bare_table_init(&fixture->table, fixture->flags, plan->count);

    json = plan_json(plan, &length);
    fixture->client = open_client();
    bench_must(flagver_client_load(fixture->client, json, length, &err), err.message);
    free(json);
}

void fixture_clear(struct fixture *fixture)
{
    size_t i;

    flagver_close(fixture->client);
    bare_table_clear(&fixture->table);
    for (i = 0; i < fixture->list_count; i++)
        bare_set_clear(&fixture->lists[i]);
    for (i = 0; i < fixture->count; i++)
        free(fixture->keys[i]);
    free(fixture->keys);
    free(fixture->lists);
    free(fixture->flags);
}
