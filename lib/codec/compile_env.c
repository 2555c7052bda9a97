/*
 * What the environment says about one flag: the variables its "env" names.
 */
#include <stdio.h>
#include <string.h>

#include "codec/compile.h"
#include "flagver/flag.h"

enum env_field { ENV_ENABLED, ENV_BETA, ENV_PERCENTAGE, ENV_FIELDS };

static const char *const env_names[ENV_FIELDS] = { "enabled", "beta", "percentage" };

/* The value of the variable that "env" names for this field; NULL when it names or sets none. */
static const char *variable(const struct fv_definitions_source *source, const json_t *env,
                            enum env_field field)
{
    const json_t *name = json_object_get(env, env_names[field]);

    return json_is_string(name) && source->variable
               ? source->variable(source->variable_data, json_string_value(name))
               : NULL;
}

static void ignored(const struct fv_compiling *compiling, const json_t *env, enum env_field field,
                    const char *value, const char *wanted)
{
    const struct fv_listener *listener = compiling->source->ignored;
    char message[512];

    if (!listener)
        return;
    snprintf(message, sizeof message, "flag %.100s: %.100s=%.100s is ignored: %s",
             compiling->flag->key, json_string_value(json_object_get(env, env_names[field])), value,
             wanted);
    listener->tell(listener->data, message);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **text, size_t *length)
{
    while (*length && is_blank(**text)) {
        ++*text;
        --*length;
    }
    while (*length && is_blank((*text)[*length - 1]))
        --*length;
}

static bool same_word(const char *text, size_t length, const char *word)
{
    size_t i;
    char c;

    for (i = 0; i < length && word[i]; i++) {
        c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != word[i])
            return false;
    }
    return i == length && !word[i];
}

static bool parse_switch(const char *text, bool *ret_value)
{
    static const char *const words[] = { "false", "true", "0", "1", "no", "yes", "off", "on" };
    size_t length = strlen(text), i;

    trim(&text, &length);
    for (i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (same_word(text, length, words[i])) {
            *ret_value = i & 1;
            return true;
        }
    }
    return false;
}

/* "12.5" as 12500: digits, at most three decimals, 0 to 100. */
static bool parse_percentage(const char *text, uint32_t *ret_threshold)
{
    size_t length = strlen(text), i, digits = 0;
    uint32_t value = 0, scale = 0; /* scale: 1000 before the point, then 100, 10, 1 */

    trim(&text, &length);
    for (i = 0; i < length; i++) {
        if (text[i] == '.' && scale == 0 && digits) {
            scale = 1000;
            digits = 0;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || ++digits > 3)
            return false;
        if (scale)
            value += (uint32_t)(text[i] - '0') * (scale /= 10);
        else
            value = value * 10 + (uint32_t)(text[i] - '0') * 1000;
    }
    *ret_threshold = value;
    return digits && value <= FV_SCALE;
}

/* Splits at commas, trims, drops what is empty. */
static int parse_list(struct fv_compiling *compiling, const char *text,
                      struct fv_flag_environment *ret_environment)
{
    const char *end = text + strlen(text), *stop, *item;
    struct fv_key *keys;
    size_t count = 1, i, length;

    for (i = 0; text[i]; i++)
        count += text[i] == ',';
    keys = fv_arena_allocate(&compiling->scratch, count * sizeof *keys);
    if (!keys)
        return fv_no_memory(compiling);

    count = 0;
    for (; text <= end; text = stop + 1) {
        stop = memchr(text, ',', (size_t)(end - text));
        if (!stop)
            stop = end;
        item = text;
        length = (size_t)(stop - text);
        trim(&item, &length);
        if (length)
            keys[count++] = (struct fv_key){ item, (uint32_t)length, compiling->flag->body->on };
    }
    ret_environment->beta = keys;
    ret_environment->beta_count = count;
    ret_environment->has_beta = true;
    return 0;
}

static int check(struct fv_compiling *compiling, const struct fv_place *place, const json_t *env)
{
    const struct fv_reading *reading = compiling->reading;
    const struct fv_place *at;
    json_t *names[ENV_FIELDS];
    int field, r;

    r = fv_read_fields(reading, place, env, env_names, ENV_FIELDS, names);
    for (field = 0; r >= 0 && field < ENV_FIELDS; field++) {
        if (!names[field])
            continue;
        at = fv_at_key(place, env_names[field]);
        r = fv_expect_string(reading, at, names[field]);
        if (r >= 0 &&
            (!json_string_length(names[field]) || strchr(json_string_value(names[field]), '=')))
            r = fv_refuse(reading, at, "must be a variable's name");
        if (r >= 0 && field != ENV_ENABLED && compiling->flag->type != FLAGVER_TYPE_BOOL)
            r = fv_refuse_key(reading, at, "only boolean flags have a %s", env_names[field]);
    }
    return r;
}

static void read_enabled(struct fv_compiling *compiling, const json_t *env,
                         struct fv_flag_environment *environment)
{
    const char *value = variable(compiling->source, env, ENV_ENABLED);

    if (!value)
        return;
    environment->has_enabled = parse_switch(value, &environment->enabled);
    if (!environment->has_enabled)
        ignored(compiling, env, ENV_ENABLED, value, "not one of true 1 yes on false 0 no off");
}

static void read_share(struct fv_compiling *compiling, const json_t *env,
                       struct fv_flag_environment *environment)
{
    const char *value = variable(compiling->source, env, ENV_PERCENTAGE);

    if (!value)
        return;
    environment->has_percentage = parse_percentage(value, &environment->threshold);
    if (!environment->has_percentage)
        ignored(compiling, env, ENV_PERCENTAGE, value,
                "not a number from 0 to 100 with at most three decimals");
}

int fv_read_flag_environment(struct fv_compiling *compiling, const struct fv_place *place,
                             const json_t *env, struct fv_flag_environment *environment)
{
    const char *list;
    int r;

    r = check(compiling, place, env);
    if (r < 0)
        return r;
    read_enabled(compiling, env, environment);
    read_share(compiling, env, environment);

    list = variable(compiling->source, env, ENV_BETA);
    if (list)
        r = parse_list(compiling, list, environment);
    if (environment->beta_count && !environment->has_percentage) {
        environment->has_percentage = true; /* a list means only those users */
        environment->threshold = 0;
    }
    return r;
}

uint64_t fv_environment_mark(const struct fv_definitions_source *source, const json_t *value,
                             uint64_t mark)
{
    const json_t *env = json_object_get(value, "env");
    const char *set;
    int field;

    for (field = 0; env && field < ENV_FIELDS; field++) {
        set = variable(source, env, (enum env_field)field);
        mark = fv_hash_mix(mark ^ (set ? fv_hash(set, strlen(set)) : FV_HASH_A), FV_HASH_B);
    }
    return mark;
}

uint64_t fv_definition_mark(const struct fv_definitions_source *source, const json_t *value)
{
    return fv_environment_mark(source, value, fv_json_hash(value, FV_HASH_C));
}
