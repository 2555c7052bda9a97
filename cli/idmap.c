/* The id map: one mapping, and files of them. */
#define _POSIX_C_SOURCE 200809L /* open() with O_CLOEXEC */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "input.h"
#include "json.h"
#include "output.h"
#include "store.h"

#define BATCH 1000 /* lines of a transaction */

/* A byte order mark, which some programs begin a file with. */
#define MARK "\xef\xbb\xbf"

/* ---- printing ---- */

static void print_document(const flagver_idmap_entry *entry)
{
    cli_print_document(json_pack("{s:o, s:o, s:o}", "entity", cli_json_text(entry->entity), "old",
                                 cli_json_text(entry->old_id), "new",
                                 cli_json_text(entry->new_id)));
}

/* A line that begins with a brace would be read as an object. */
static bool print_mapping(void *as_json, const flagver_idmap_entry *entry)
{
    if (*(const bool *)as_json || *entry->entity == '{')
        print_document(entry);
    else
        cli_print("%s\t%s\t%s\n", entry->entity, entry->old_id, entry->new_id);
    return true;
}

/* What was asked for, which is one of the two. */
static void print_id(const struct cli_request *request, const flagver_idmap_entry *entry,
                     const char *id)
{
    if (request->values[CLI_JSON])
        print_document(entry);
    else
        cli_print("%s\n", id);
}

/* ---- one ---- */

struct one {
    const char *entity, *id, *new_id; /* new_id NULL: to be made */
    char made[FLAGVER_IDMAP_ID_SIZE];
};

static struct one one_of(const struct cli_request *request)
{
    return (struct one){ cli_request_operand(request, 0), cli_request_operand(request, 1),
                         cli_request_operand(request, 2), "" };
}

static int put(void *data, flagver_txn *txn, flagver_error *err)
{
    struct one *one = data;

    if (!one->new_id)
        return flagver_idmap_new(txn, one->entity, one->id, NULL, one->made, err);
    snprintf(one->made, sizeof one->made, "%s", one->new_id);
    return flagver_idmap_put(txn, one->entity, one->id, one->new_id, err);
}

static int forget(void *data, flagver_txn *txn, flagver_error *err)
{
    const struct one *one = data;

    return flagver_idmap_remove(txn, one->entity, one->id, err);
}

int cli_idmap_put(const struct cli_request *request)
{
    struct one one = one_of(request);
    const flagver_idmap_entry entry = { one.entity, one.id, one.made, 0 };
    flagver_client *client;
    flagver_error error;
    int r = cli_store_write(request, true, &client);

    if (r)
        return r;
    r = cli_transact(request, client, put, &one, &error);
    flagver_close(client);
    if (r < 0)
        return cli_fail(NULL, &error);
    print_id(request, &entry, one.made);
    return CLI_DONE;
}

int cli_idmap_remove(const struct cli_request *request)
{
    struct one one = one_of(request);
    flagver_client *client;
    flagver_error error;
    int r = cli_store_write(request, false, &client);

    if (r)
        return r;
    r = cli_transact(request, client, forget, &one, &error);
    flagver_close(client);
    if (r < 0)
        return cli_fail(NULL, &error);
    if (request->values[CLI_JSON])
        cli_print_document(json_pack("{s:o, s:o, s:b}", "entity", cli_json_text(one.entity), "old",
                                     cli_json_text(one.id), "removed", 1));
    else
        cli_print("%s %s is not mapped any more\n", one.entity, one.id);
    return CLI_DONE;
}

static int look_up(const struct cli_request *request,
                   int (*get)(flagver_client *client, const char *entity, const char *id,
                              char *ret_id, flagver_error *err),
                   struct one *one)
{
    flagver_client *client;
    flagver_error error;
    int r = cli_store_read(request, NULL, &client);

    if (r)
        return r;
    r = get(client, one->entity, one->id, one->made, &error);
    flagver_close(client);
    return r < 0 ? cli_fail(NULL, &error) : CLI_DONE;
}

int cli_idmap_get(const struct cli_request *request)
{
    struct one one = one_of(request);
    const flagver_idmap_entry entry = { one.entity, one.id, one.made, 0 };
    int r = look_up(request, flagver_idmap_get, &one);

    if (r == CLI_DONE)
        print_id(request, &entry, one.made);
    return r;
}

int cli_idmap_get_old(const struct cli_request *request)
{
    struct one one = one_of(request);
    const flagver_idmap_entry entry = { one.entity, one.made, one.id, 0 };
    int r = look_up(request, flagver_idmap_get_old, &one);

    if (r == CLI_DONE)
        print_id(request, &entry, one.made);
    return r;
}

int cli_idmap_export(const struct cli_request *request)
{
    bool as_json = request->values[CLI_JSON];
    flagver_client *client;
    flagver_error error;
    int r = cli_store_read(request, NULL, &client);

    if (r)
        return r;
    r = flagver_idmap_visit(client, cli_request_operand(request, 0), NULL, print_mapping, &as_json,
                            &error);
    flagver_close(client);
    return r < 0 ? cli_fail(NULL, &error) : CLI_DONE;
}

/* ---- lines ---- */

/* What a line says; its texts are its own. */
struct mapping {
    char *texts[3]; /* entity, old, new */
    unsigned long long line;
};

static void clear_mapping(struct mapping *mapping)
{
    int i;

    for (i = 0; i < 3; i++)
        free(mapping->texts[i]);
    *mapping = (struct mapping){ .line = 0 };
}

/* Each of these returns what is wrong with the line, or NULL. */
static const char *read_json(struct mapping *mapping, const char *text, size_t length)
{
    static const char *const names[] = { "entity", "old", "new" };
    json_error_t error;
    json_t *line = cli_json_read(text, length, CLI_JSON_RULES, &error), *value;
    const char *wrong = json_is_object(line) ? NULL : "not JSON";
    int i;

    for (i = 0; !wrong && i < 3; i++) {
        value = json_object_get(line, names[i]);
        if (json_is_string(value))
            mapping->texts[i] = cli_copy(json_string_value(value), json_string_length(value));
        else
            wrong = "\"entity\", \"old\" and \"new\" must be there, and strings";
    }
    if (!wrong && json_object_size(line) > 3)
        wrong = "there is more than \"entity\", \"old\" and \"new\"";
    json_decref(line);
    return wrong;
}

static const char *read_tabs(struct mapping *mapping, const char *text, size_t length)
{
    const char *end = text + length, *tab;
    int i;

    for (i = 0; i < 3; i++) {
        tab = memchr(text, '\t', (size_t)(end - text));
        if (!tab != (i == 2))
            return "three fields with a tab between them are wanted";
        mapping->texts[i] = cli_copy(text, (size_t)((tab ? tab : end) - text));
        text = tab ? tab + 1 : end;
    }
    return NULL;
}

/* A field in quotes, in which two quotes are one. Returns behind it; NULL: it does not end. */
static const char *read_quoted(const char *text, const char *end, char *out)
{
    for (text++; text < end; text++) {
        if (*text == '"' && (text + 1 == end || text[1] != '"')) {
            *out = 0;
            return text + 1;
        }
        text += *text == '"';
        *out++ = *text;
    }
    return NULL;
}

/* RFC 4180, but for line breaks in fields, which no id can have. */
static const char *read_commas(struct mapping *mapping, const char *text, size_t length)
{
    const char *end = text + length, *comma;
    int i;

    for (i = 0; i < 3; i++) {
        mapping->texts[i] = cli_allocate((size_t)(end - text) + 1);
        if (text < end && *text == '"') {
            text = read_quoted(text, end, mapping->texts[i]);
            if (!text)
                return "a quote is not closed";
        } else {
            comma = memchr(text, ',', (size_t)(end - text));
            comma = comma ? comma : end;
            memcpy(mapping->texts[i], text, (size_t)(comma - text));
            mapping->texts[i][comma - text] = 0;
            text = comma;
        }
        if (i < 2 && (text == end || *text++ != ','))
            return "three fields with tabs or commas between them, or a JSON object, are wanted";
    }
    return text == end ? NULL : "there are more than three fields";
}

static const char *read_line(struct mapping *mapping, const char *text, size_t length)
{
    if (memchr(text, 0, length))
        return "there is a NUL in the line";
    if (*text == '{')
        return read_json(mapping, text, length);
    return memchr(text, '\t', length) ? read_tabs(mapping, text, length)
                                      : read_commas(mapping, text, length);
}

/* ---- import ---- */

struct import {
    const struct cli_request *request;
    const char *name; /* of the file */
    flagver_client *client;
    struct mapping mappings[BATCH];
    flagver_idmap_entry entries[BATCH]; /* of them */
    size_t count, refused;
    unsigned long long line, done; /* the last that was read; how many mappings are in the store */
};

static int put_batch(void *data, flagver_txn *txn, flagver_error *err)
{
    struct import *import = data;

    import->refused = import->count;
    return flagver_idmap_put_many(txn, import->entries, import->count, &import->refused, err);
}

/* What came before is in the store: the same file again goes on there. */
static void complain(const struct import *import, unsigned long long line, const char *why)
{
    char place[64];

    snprintf(place, sizeof place, "%llu", line);
    cli_complain(import->name, "line %s: %s (%llu mappings before are in the store)", place, why,
                 import->done);
}

static void clear_batch(struct import *import)
{
    while (import->count > 0)
        clear_mapping(&import->mappings[--import->count]);
}

static int hand_over(struct import *import)
{
    flagver_error error;
    size_t i;
    int r;

    if (import->count == 0)
        return CLI_DONE;
    for (i = 0; i < import->count; i++)
        import->entries[i] = (flagver_idmap_entry){ import->mappings[i].texts[0],
                                                    import->mappings[i].texts[1],
                                                    import->mappings[i].texts[2], 0 };
    r = cli_transact(import->request, import->client, put_batch, import, &error);
    if (r == 0) {
        import->done += import->count;
        clear_batch(import);
        return CLI_DONE;
    }
    if (import->refused == import->count)
        return cli_fail(import->name, &error);
    complain(import, import->mappings[import->refused].line, error.message);
    return cli_status_of(r);
}

/* The names of the columns, as many programs write them first. */
static bool is_heading(const struct mapping *mapping)
{
    return mapping->line == 1 && strcmp(mapping->texts[0], "entity") == 0 &&
           strcmp(mapping->texts[1], "old") == 0 && strcmp(mapping->texts[2], "new") == 0;
}

static int take_line(struct import *import, const char *text, size_t length)
{
    struct mapping *mapping = &import->mappings[import->count];
    size_t mark = sizeof MARK - 1;
    const char *wrong;

    import->line++;
    if (import->line == 1 && length >= mark && memcmp(text, MARK, mark) == 0) {
        text += mark;
        length -= mark;
    }
    if (length && text[length - 1] == '\r')
        length--;
    if (length == 0)
        return CLI_DONE;
    mapping->line = import->line;
    wrong = read_line(mapping, text, length);
    if (wrong || is_heading(mapping))
        clear_mapping(mapping);
    else
        import->count++;
    if (wrong) {
        complain(import, import->line, wrong);
        return CLI_INVALID;
    }
    return import->count == BATCH ? hand_over(import) : CLI_DONE;
}

static int take_lines(struct import *import, struct cli_lines *lines)
{
    const char *text;
    size_t length;
    int r = CLI_DONE, read = 0;

    while (r == CLI_DONE && (read = cli_lines_read(lines)) == 0)
        while (r == CLI_DONE && cli_lines_next(lines, &text, &length))
            r = take_line(import, text, length);
    if (read > 0) {
        cli_complain(import->name, "%s", strerror(read));
        return CLI_INVALID;
    }
    return r == CLI_DONE ? hand_over(import) : r;
}

static int import_file(struct import *import, int fd)
{
    struct cli_lines lines = { .fd = fd };
    int r = cli_store_write(import->request, true, &import->client);

    if (r)
        return r;
    r = take_lines(import, &lines);
    clear_batch(import);
    cli_lines_clear(&lines);
    flagver_close(import->client);
    if (r != CLI_DONE)
        return r;
    if (import->request->values[CLI_JSON])
        cli_print_document(json_pack("{s:I}", "mappings", (json_int_t)import->done));
    else
        cli_print("%llu mapping%s\n", import->done, import->done == 1 ? "" : "s");
    return CLI_DONE;
}

int cli_idmap_import(const struct cli_request *request)
{
    const char *path = cli_request_operand(request, 0);
    bool is_input = strcmp(path, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), r;
    struct import *import;

    if (fd < 0) {
        cli_complain(path, "%s", strerror(errno));
        return CLI_INVALID;
    }
    import = cli_allocate(sizeof *import);
    memset(import, 0, sizeof *import);
    import->request = request;
    import->name = is_input ? "<stdin>" : path;
    r = import_file(import, fd);
    free(import);
    if (!is_input)
        close(fd);
    return r;
}
