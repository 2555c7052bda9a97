/* Setting a store up, as often as one likes: what people changed since stays as they left it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "datetime.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "record.h"
#include "store.h"

/* How often something is begun again because another process did the same meanwhile. */
#define TRIES 10

struct setup {
    const struct cli_request *request;
    const char *uri;
    bool as_json;
    json_t *document; /* what --json prints */
    flagver_client *client;

    /* --load */
    const char *name; /* of the file; NULL: none */
    char *text;
    size_t length;
    json_t *records;                 /* {"flag": {KEY: record}, "segment": {NAME: record}, …} */
    json_t *loaded, *present, *kept; /* documents */
};

/* What is loaded from which section of the file. */
struct kind {
    const char *name, *phase, *section;
};

static const struct kind kinds[] = {
    { "segment", FLAGVER_PHASE_SEGMENT, "segments" },
    { "flag", FLAGVER_PHASE_FLAG, "flags" },
    { "assignment", FLAGVER_PHASE_ASSIGNMENT, "assignments" },
    { "phase", FLAGVER_PHASE_PHASE, "phases" },
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)
#define FLAG_KINDS 2 /* the first ones, which flags are made of */

/* One line for people about one step. */
static void tell(const struct setup *setup, const char *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const struct setup *setup, const char *step, const char *format, ...)
{
    char line[FLAGVER_MESSAGE_SIZE];
    va_list arguments;

    if (setup->as_json)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    cli_print_styled(CLI_BOLD, "%-8s", step);
    cli_print_name(line);
    cli_print("\n");
}

/* ---- the schema ---- */

static int migrate(struct setup *setup)
{
    uint32_t version, wanted;
    flagver_error error;

    if (cli_store_version(setup->uri, &version, &wanted, &error) < 0)
        return cli_store_fail(setup->uri, &error);
    cli_json_set(setup->document, "installed", json_boolean(version > 0));
    cli_json_set(setup->document, "from", json_integer(version));
    cli_json_set(setup->document, "version", json_integer(version > wanted ? version : wanted));
    if (version)
        tell(setup, "store", "%s is there, schema version %u", cli_shown(setup->uri),
             (unsigned)version);
    else
        tell(setup, "store", "%s is not there yet: it will be made", cli_shown(setup->uri));

    if (version < wanted && flagver_schema_up(setup->uri, &error) < 0)
        return cli_store_fail(setup->uri, &error);
    if (version < wanted)
        tell(setup, "migrate", "to schema version %u", (unsigned)wanted);
    else
        tell(setup, "migrate", "nothing to do");
    return CLI_DONE;
}

struct verification {
    struct setup *setup;
    size_t count;
};

static void take_check(void *data, bool fine, const char *line)
{
    struct verification *verification = data;

    verification->count++;
    if (!fine)
        cli_complain(verification->setup->uri, "%s", line);
}

static int verify(struct setup *setup)
{
    struct verification verification = { .setup = setup };
    flagver_error error;
    int wrong;

    wrong = flagver_schema_verify(setup->uri, take_check, &verification, &error);
    if (wrong < 0)
        return cli_store_fail(setup->uri, &error);
    cli_json_set(setup->document, "checked", json_integer((json_int_t)verification.count));
    cli_json_set(setup->document, "wrong", json_integer(wrong));
    if (wrong) {
        tell(setup, "verify", "%d of %zu things are wrong; nothing was loaded", wrong,
             verification.count);
        return CLI_FOUND;
    }
    tell(setup, "verify", "%zu things looked at, all are as they should be", verification.count);
    return CLI_DONE;
}

/* ---- --load ---- */

/* Before anything is touched, so that a typo in the file leaves no half of a set-up behind. */
static int read_definitions(struct setup *setup)
{
    const char *path = setup->request->values[CLI_LOAD];
    flagver_error error;
    int r;

    if (!path)
        return 0;
    r = cli_read_operand(path, &setup->name, &setup->text, &setup->length);
    if (r)
        return r;
    if (flagver_definitions_lint(setup->text, setup->length, setup->name, NULL, NULL, &error) < 0)
        return cli_fail(NULL, &error);
    return 0;
}

static bool remember_record(void *data, const flagver_version *version)
{
    json_t *definition = cli_version_definition(version);

    cli_json_set(data, version->subject,
                 json_pack("{s:I, s:b, s:o, s:o}", "no", (json_int_t)version->no, "deleted",
                           version->tombstone, "by", cli_json_text(version->created_by),
                           "definition", definition ? definition : json_null()));
    return true;
}

/* All that is there and all that has been deleted. Returns 0 or a code. */
static int read_records(struct setup *setup, flagver_error *err)
{
    flagver_list_options options = { .size = sizeof options, .payload = 1, .all = 1 };
    json_t *records;
    size_t i;
    int r = 0;

    json_decref(setup->records);
    setup->records = json_object();
    for (i = 0; r == 0 && i < KIND_COUNT; i++) {
        records = json_object();
        cli_json_set(setup->records, kinds[i].name, records);
        r = flagver_version_list(setup->client, kinds[i].phase, &options, remember_record, records,
                                 err);
    }
    return r;
}

/* What is not there yet stays among the definitions to be loaded; what was there is left alone. */
static void sort_out(struct setup *setup, const struct kind *kind, json_t *definitions)
{
    json_t *records = json_object_get(setup->records, kind->name), *definition, *record, *entry;
    const char *key;
    void *next;

    json_object_foreach_safe(definitions, next, key, definition)
    {
        record = json_object_get(records, key);
        entry = json_pack("{s:o}", kind->name, cli_json_text(key));
        if (!record && !json_is_null(definition)) {
            cli_json_append(setup->loaded, entry);
            continue;
        }
        if (!record) {
            json_decref(entry);
        } else if (json_equal(json_object_get(record, "definition"), definition)) {
            cli_json_append(setup->present, entry);
        } else {
            if (json_object_update(entry, record) < 0)
                cli_out_of_memory();
            json_object_del(entry, "definition");
            cli_json_append(setup->kept, entry);
        }
        json_object_del(definitions, key);
    }
}

/* The definitions that are new. */
static char *new_definitions(struct setup *setup)
{
    json_error_t place;
    json_t *file = cli_json_read(setup->text, setup->length, JSON_REJECT_DUPLICATES, &place);
    char *text;
    size_t i;

    json_array_clear(setup->loaded);
    json_array_clear(setup->present);
    json_array_clear(setup->kept);
    for (i = 0; i < KIND_COUNT; i++)
        sort_out(setup, &kinds[i], json_object_get(file, kinds[i].section));
    text = cli_json_write(file, JSON_COMPACT);
    json_decref(file);
    return text;
}

/* What is to be loaded, and how many definitions that is. */
struct loading {
    const char *text;
    size_t count;
};

static int apply(void *data, flagver_txn *txn, flagver_error *err)
{
    flagver_write_options options = { .size = sizeof options,
                                      .note = "flagver init",
                                      .expect_no = FLAGVER_EXPECT_NONE };
    const struct loading *loading = data;
    int r = flagver_flags_apply(txn, loading->text, strlen(loading->text), NULL, false, &options,
                                err);

    /* Fewer: somebody has loaded the same just now. */
    return r < 0 ? r : (size_t)r == loading->count ? 0 : FLAGVER_ECONFLICT;
}

static void tell_kept(const struct setup *setup)
{
    const json_t *entry, *name, *by;
    size_t i, j;

    json_array_foreach(setup->kept, i, entry)
    {
        by = json_object_get(entry, "by");
        for (j = 0; j < KIND_COUNT; j++) {
            name = json_object_get(entry, kinds[j].name);
            if (name)
                tell(setup, "", "left alone: %s %s, %s in version %" JSON_INTEGER_FORMAT " by %s",
                     kinds[j].name, json_string_value(name),
                     json_is_true(json_object_get(entry, "deleted")) ? "deleted" : "changed",
                     json_integer_value(json_object_get(entry, "no")), json_string_value(by));
        }
    }
}

/* FLAGVER_ECONFLICT: somebody was faster, and it looks different now. */
static int try_to_load(struct setup *setup, flagver_error *err)
{
    struct loading loading;
    char *text;
    int r = read_records(setup, err);

    if (r < 0)
        return r;
    text = new_definitions(setup);
    loading = (struct loading){ text, json_array_size(setup->loaded) };
    if (loading.count)
        r = cli_transact(setup->request, setup->client, apply, &loading, err);
    free(text);
    return r;
}

static int load(struct setup *setup)
{
    int r = FLAGVER_ECONFLICT, tries;
    flagver_error error;

    if (!setup->name)
        return 0;
    for (tries = 0; r == FLAGVER_ECONFLICT && tries < TRIES; tries++)
        r = try_to_load(setup, &error);
    if (r < 0)
        return cli_fail_from(setup->name, &error);
    tell(setup, "load", "%s: %zu loaded, %zu there already, %zu left alone", setup->name,
         json_array_size(setup->loaded), json_array_size(setup->present),
         json_array_size(setup->kept));
    tell_kept(setup);
    return 0;
}

/* ---- --enable ---- */

/* What the history says about a flag that is to be on. */
struct switching {
    const char *key;
    bool exists, is_on, was_on;
    bool changes; /* it is going to be switched on */
    uint32_t no;
    uint32_t proposed; /* waits for approval, and would switch it on; 0: none */
    char by[FLAGVER_ACTOR_LIMIT + 1], at[CLI_DATETIME_SIZE]; /* of the version in force */
};

static bool look_back(void *data, const flagver_version *version)
{
    json_t *definition = cli_version_definition(version);
    struct switching *switching = data;
    bool on = definition && !json_is_false(json_object_get(definition, "enabled"));

    if (definition && version->state == FLAGVER_STATE_APPROVED) {
        switching->exists = true;
        switching->is_on = on;
        switching->no = version->no;
        snprintf(switching->by, sizeof switching->by, "%s", version->created_by);
        cli_datetime_print(version->decided_at, switching->at);
    } else if (version->state == FLAGVER_STATE_SUPERSEDED) {
        switching->was_on = switching->was_on || on;
    } else if (version->state == FLAGVER_STATE_SUBMITTED && on) {
        switching->proposed = version->no;
    }
    json_decref(definition);
    return !switching->is_on;
}

static int switch_on(void *data, flagver_txn *txn, flagver_error *err)
{
    struct switching *switching = data;
    flagver_write_options options = { .size = sizeof options,
                                      .note = "flagver init",
                                      .expect_no = switching->no };

    return flagver_flag_enable(txn, switching->key, &options, &switching->no, err);
}

/* Flags may need approval: then it is not on yet. */
static int find_proposal(struct setup *setup, struct switching *switching, flagver_error *err)
{
    flagver_version *version;
    int r = flagver_version_get(setup->client, FLAGVER_PHASE_FLAG, switching->key, switching->no,
                                &version, err);

    if (r < 0)
        return r;
    if (version->state == FLAGVER_STATE_SUBMITTED)
        switching->proposed = version->no;
    flagver_version_free(version);
    return 0;
}

/*
 * Somebody who switched the flag off, in an emergency perhaps, does not expect
 * that the next run of a set-up script switches it on again.
 */
static int try_to_enable(struct setup *setup, struct switching *switching, flagver_error *err)
{
    flagver_list_options options = { .size = sizeof options, .payload = 1, .backwards = 1 };
    int r;

    *switching = (struct switching){ .key = setup->request->values[CLI_ENABLE] };
    r = flagver_version_history(setup->client, FLAGVER_PHASE_FLAG, switching->key, &options,
                                look_back, switching, err);
    if (r < 0)
        return r;
    switching->changes = switching->exists && !switching->is_on && !switching->was_on &&
                         !switching->proposed;
    if (!switching->changes)
        return 0;
    r = cli_transact(setup->request, setup->client, switch_on, switching, err);
    return r < 0 ? r : find_proposal(setup, switching, err);
}

static void tell_switching(const struct setup *setup, const struct switching *switching)
{
    const char *key = switching->key;

    if (switching->proposed && !switching->is_on)
        tell(setup, "enable", "%s: version %u waits for approval", key,
             (unsigned)switching->proposed);
    else if (switching->changes)
        tell(setup, "enable", "%s: version %u", key, (unsigned)switching->no);
    else if (switching->is_on)
        tell(setup, "enable", "%s is on already, version %u", key, (unsigned)switching->no);
    else
        tell(setup, "enable", "left alone: %s was switched off by %s at %s; flag enable does it",
             key, switching->by, switching->at);
}

static int enable(struct setup *setup)
{
    const char *key = setup->request->values[CLI_ENABLE];
    const struct cli_record record = { &cli_flag_kind, FLAGVER_PHASE_FLAG, key, 1 };
    int r = FLAGVER_ECONFLICT, tries;
    struct switching switching;
    flagver_error error;

    if (!key)
        return 0;
    for (tries = 0; r == FLAGVER_ECONFLICT && tries < TRIES; tries++)
        r = try_to_enable(setup, &switching, &error);
    if (r < 0)
        return cli_fail(key, &error);
    if (!switching.exists)
        return cli_record_missing(setup->request, setup->client, &record, 0);
    cli_json_set(setup->document, "enable",
                 json_pack("{s:o, s:I, s:b, s:b}", "flag", cli_json_text(key), "no",
                           (json_int_t)switching.no, "on",
                           switching.is_on || (switching.changes && !switching.proposed), "changed",
                           switching.changes));
    tell_switching(setup, &switching);
    return 0;
}

/* ---- all of it ---- */

static bool has_kind(const json_t *entries, size_t first, size_t count)
{
    const json_t *entry;
    size_t i, j;

    json_array_foreach(entries, i,
                       entry) for (j = first; j < first + count;
                                   j++) if (json_object_get(entry, kinds[j].name)) return true;
    return false;
}

/* Did the file bring definitions of some of these kinds, or would it have? */
static bool brings(const struct setup *setup, size_t first, size_t count)
{
    return has_kind(setup->loaded, first, count) || has_kind(setup->present, first, count) ||
           has_kind(setup->kept, first, count);
}

/* " --store URI" as it is typed, without passwords; "" where none was given. */
static char *store_option(const struct setup *setup)
{
    const char *given = setup->request->values[CLI_STORE], *uri, *quote;
    size_t size;
    char *option;

    if (!given)
        return cli_copy("", 0);
    uri = cli_shown(given);
    /* A path with such a quote in it is left to who chose it. */
    quote = uri[strcspn(uri, " \t\"\\$`&;|<>()*?[]#~!{}")] ? "'" : "";
    size = strlen(uri) + sizeof " --store ''";
    option = cli_allocate(size);
    snprintf(option, size, " --store %s%s%s", quote, uri, quote);
    return option;
}

static void tell_next(const struct setup *setup)
{
    bool only_phases = brings(setup, FLAG_KINDS, KIND_COUNT - FLAG_KINDS) &&
                       !brings(setup, 0, FLAG_KINDS);
    char *option = store_option(setup);

    tell(setup, "next", "flagver%s %s list", option, only_phases ? "phase" : "flag");
    tell(setup, "", "flagver%s %s", option,
         only_phases ? "version create PHASE SUBJECT FILE, version due"
                     : "flag put KEY FILE, flag ramp KEY PERCENT");
    tell(setup, "", "in the application: flagver_open(\"%s\", ...)", cli_shown(setup->uri));
    free(option);
}

static int set_up(struct setup *setup)
{
    flagver_error error;
    int r;

    r = read_definitions(setup);
    if (r == 0)
        r = migrate(setup);
    if (r == 0)
        r = verify(setup);
    if (r)
        return r;

    if (cli_store_open(setup->request, setup->uri, true, NULL, &setup->client, &error) < 0)
        return cli_store_fail(setup->uri, &error);
    r = load(setup);
    if (r == 0)
        r = enable(setup);
    if (r == 0)
        tell_next(setup);
    return r;
}

int cli_init(const struct cli_request *request)
{
    struct setup setup = { .request = request, .as_json = request->values[CLI_JSON] != NULL };
    int r;

    r = cli_store_uri(request, &setup.uri);
    if (r)
        return r;
    setup.loaded = json_array();
    setup.present = json_array();
    setup.kept = json_array();
    setup.document = json_pack("{s:o, s:o, s:O, s:O, s:O, s:n}", "store",
                               cli_json_text(cli_shown(setup.uri)), "file",
                               cli_json_text(request->values[CLI_LOAD]), "loaded", setup.loaded,
                               "present", setup.present, "leftAlone", setup.kept, "enable");
    if (!setup.document)
        cli_out_of_memory();

    r = set_up(&setup);
    if (setup.as_json && (r == CLI_DONE || r == CLI_FOUND))
        cli_print_document(json_incref(setup.document));
    flagver_close(setup.client);
    json_decref(setup.document);
    json_decref(setup.loaded);
    json_decref(setup.present);
    json_decref(setup.kept);
    json_decref(setup.records);
    free(setup.text);
    return r;
}
