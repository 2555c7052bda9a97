#include "codec/diff.h"

#include <stdlib.h>
#include <string.h>

#include "codec/canonical.h"
#include "codec/json.h"
#include "codec/reading.h"
#include "util/compiler.h"
#include "util/fail.h"
#include "util/hash.h"
#include "util/map.h"

static int parse_both(const char *a, size_t a_length, const char *b, size_t b_length,
                      json_t **ret_a, json_t **ret_b, flagver_error *err)
{
    int r;

    r = fv_json_parse(a, a_length, NULL, ret_a, err);
    if (r < 0)
        return r;
    r = fv_json_parse(b, b_length, NULL, ret_b, err);
    if (r < 0)
        json_decref(*ret_a);
    return r;
}

/* ---- merge patches ---- */

static int refuse_null(const struct fv_place *place, flagver_error *err)
{
    struct fv_text pointer = FV_TEXT_INIT;
    int r;

    fv_place_write(place, &pointer);
    if (pointer.failed)
        r = fv_fail_memory(err);
    else
        r = fv_fail(err, FLAGVER_ENOTSUP,
                    "%.400s becomes null; in a merge patch that means that it is removed",
                    pointer.data);
    fv_text_clear(&pointer);
    return r;
}

/* A new value: null in it, outside of arrays, would be lost. */
static int check_nulls(const struct fv_place *place, const json_t *value, flagver_error *err)
{
    const char *key;
    json_t *member;
    int r = 0;

    if (json_is_null(value))
        return refuse_null(place, err);
    json_object_foreach((json_t *)value, key, member)
    {
        r = check_nulls(fv_at_key(place, key), member, err);
        if (r < 0)
            break;
    }
    return r;
}

static int add_to_patch(json_t *patch, const char *key, json_t *value, flagver_error *err)
{
    return json_object_set_new_nocheck(patch, key, value) < 0 ? fv_fail_memory(err) : 0;
}

static int patch_members(const struct fv_place *place, const json_t *a, const json_t *b,
                         json_t *patch, flagver_error *err);

/* What makes one member of another; it is there in both. */
static int patch_member(const struct fv_place *place, const json_t *a, json_t *b, json_t *patch,
                        flagver_error *err)
{
    json_t *child;
    int r;

    if (!json_is_object(a) || !json_is_object(b)) {
        if (json_equal(a, b))
            return 0;
        r = check_nulls(place, b, err);
        return r < 0 ? r : add_to_patch(patch, place->key, json_incref(b), err);
    }

    child = json_object();
    if (!child)
        return fv_fail_memory(err);
    r = patch_members(place, a, b, child, err);
    if (r == 0 && json_object_size(child))
        return add_to_patch(patch, place->key, child, err);
    json_decref(child);
    return r;
}

static int patch_members(const struct fv_place *place, const json_t *a, const json_t *b,
                         json_t *patch, flagver_error *err)
{
    const json_t *before;
    const char *key;
    json_t *value;
    int r = 0;

    json_object_foreach((json_t *)b, key, value)
    {
        before = json_object_get(a, key);
        if (before)
            r = patch_member(fv_at_key(place, key), before, value, patch, err);
        else
            r = check_nulls(fv_at_key(place, key), value, err);
        if (r == 0 && !before)
            r = add_to_patch(patch, key, json_incref(value), err);
        if (r < 0)
            return r;
    }
    json_object_foreach((json_t *)a, key, value)
    {
        if (!json_object_get(b, key))
            r = add_to_patch(patch, key, json_null(), err);
        if (r < 0)
            break;
    }
    return r;
}

/* A patch that is no object is the new value itself, null included. */
static int patch_root(const json_t *a, const json_t *b, struct fv_text *out, flagver_error *err)
{
    json_t *patch;
    int r;

    if (!json_is_object(b))
        return fv_canonical_write(out, b, err);
    patch = json_object();
    if (!patch)
        return fv_fail_memory(err);
    r = patch_members(NULL, a, b, patch, err);
    if (r == 0)
        r = fv_canonical_write(out, patch, err);
    json_decref(patch);
    return r;
}

int fv_diff_merge_patch(const char *a, size_t a_length, const char *b, size_t b_length,
                        struct fv_text *out, flagver_error *err)
{
    json_t *before, *after;
    int r;

    r = parse_both(a, a_length, b, b_length, &before, &after, err);
    if (r < 0)
        return r;
    r = patch_root(before, after, out, err);
    json_decref(before);
    json_decref(after);
    return r;
}

/* ---- lines ---- */

#define VALUE_ROOM 200
#define VALUE_HEAD 140

struct diff {
    struct fv_text *out;
    struct fv_text text; /* of a value, in full */
    flagver_error *err;
};

static int no_memory(struct diff *diff)
{
    return fv_fail_memory(diff->err);
}

static void add_pointer(struct diff *diff, const struct fv_place *place)
{
    static const char digits[] = "0123456789abcdef";
    struct fv_text *text = &diff->text;
    unsigned char c;
    size_t i;

    fv_text_reset(text);
    fv_place_write(place, text);
    if (!text->length)
        fv_text_add(diff->out, "(root)");
    for (i = 0; i < text->length; i++) {
        c = (unsigned char)text->data[i];
        if (c >= 0x20 && c != 0x7f) {
            fv_text_add_char(diff->out, (char)c);
            continue;
        }
        fv_text_add(diff->out, "\\u00");
        fv_text_add_char(diff->out, digits[c >> 4]);
        fv_text_add_char(diff->out, digits[c & 15]);
    }
    diff->out->failed |= text->failed;
}

static int add_value(struct diff *diff, const json_t *value)
{
    char words[VALUE_ROOM + 1];
    int r;

    fv_text_reset(&diff->text);
    r = fv_canonical_write(&diff->text, value, diff->err);
    if (r < 0)
        return r;
    fv_json_shorten(words, VALUE_ROOM, VALUE_HEAD, diff->text.data, diff->text.length);
    fv_text_add(diff->out, words);
    return 0;
}

/* `a` or `b` is NULL for what was added or removed. Not in the frame of what calls itself. */
static FV_APART int add_line(struct diff *diff, const struct fv_place *place, const json_t *a,
                             const json_t *b)
{
    int r = 0;

    fv_text_add(diff->out, a && b ? "~ " : a ? "- " : "+ ");
    add_pointer(diff, place);
    fv_text_add(diff->out, ": ");
    if (a)
        r = add_value(diff, a);
    if (a && b)
        fv_text_add(diff->out, " -> ");
    if (r == 0 && b)
        r = add_value(diff, b);
    fv_text_add_char(diff->out, '\n');
    return diff->out->failed ? no_memory(diff) : r;
}

static int diff_values(struct diff *diff, const struct fv_place *place, const json_t *a,
                       const json_t *b, int depth);

/* ---- objects ---- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The keys of both, sorted; those that are in both stand there twice. Freed with free(). */
static FV_APART const char **sort_keys(const json_t *a, const json_t *b, size_t *ret_count)
{
    size_t count = json_object_size(a) + json_object_size(b), i = 0;
    const char **keys = malloc((count ? count : 1) * sizeof *keys), *key;
    json_t *value;

    if (!keys)
        return NULL;
    json_object_foreach((json_t *)a, key, value)
    {
        keys[i++] = key;
    }
    json_object_foreach((json_t *)b, key, value)
    {
        keys[i++] = key;
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    *ret_count = count;
    return keys;
}

static int diff_objects(struct diff *diff, const struct fv_place *place, const json_t *a,
                        const json_t *b, int depth)
{
    const json_t *before, *after;
    const char **keys;
    size_t count, i;
    int r = 0;

    keys = sort_keys(a, b, &count);
    if (!keys)
        return no_memory(diff);
    for (i = 0; r == 0 && i < count; i++) {
        if (i && strcmp(keys[i], keys[i - 1]) == 0)
            continue;
        before = json_object_get(a, keys[i]);
        after = json_object_get(b, keys[i]);
        r = diff_values(diff, fv_at_key(place, keys[i]), before, after, depth);
    }
    free(keys);
    return r;
}

/* ---- arrays ---- */

#define UNMATCHED SIZE_MAX

/* Elements of two arrays and which belong together. */
struct alignment {
    const json_t *a, *b;
    size_t a_count, b_count;
    uint64_t *a_labels, *b_labels; /* elements with the same one belong together */
    size_t *match;                 /* of each element of `a` that of `b`, or UNMATCHED; rising */
    bool by_id;
};

/* The ids of all elements as labels; false when some have none, or two the same. */
static bool label_by_id(const json_t *array, struct fv_map *ids, uint64_t *labels, bool *seen)
{
    const json_t *id;
    uint32_t number;
    size_t i;

    for (i = 0; i < json_array_size(array); i++) {
        id = json_object_get(json_array_get(array, i), "id");
        if (!json_is_string(id))
            return false;
        number = fv_map_add(ids, json_string_value(id), json_string_length(id));
        if (number == FV_MAP_NONE || seen[number])
            return false;
        seen[number] = true;
        labels[i] = number;
    }
    return true;
}

static bool label_all_by_id(struct alignment *alignment)
{
    size_t count = alignment->a_count + alignment->b_count;
    bool *seen = calloc(count, sizeof *seen), by_id;
    struct fv_map ids;

    if (!seen)
        return false;
    fv_map_init(&ids, NULL);
    by_id = label_by_id(alignment->a, &ids, alignment->a_labels, seen);
    memset(seen, 0, count * sizeof *seen);
    by_id = by_id && label_by_id(alignment->b, &ids, alignment->b_labels, seen);
    fv_map_clear(&ids);
    free(seen);
    return by_id;
}

static void label_by_value(const json_t *array, uint64_t *labels)
{
    size_t i;

    for (i = 0; i < json_array_size(array); i++)
        labels[i] = fv_json_hash(json_array_get(array, i), FV_HASH_C);
}

/*
 * A longest common subsequence of what lies between `first` and the ends; in the
 * table stands the length of the longest one from each pair on. Two values that
 * only have the same hash do no harm: they are told as changed.
 */
static bool match_between(struct alignment *alignment, size_t first, size_t a_end, size_t b_end)
{
    const uint64_t *a = alignment->a_labels, *b = alignment->b_labels;
    size_t width = b_end - first + 1, i, j;
    uint32_t *table = calloc((a_end - first + 1) * width, sizeof *table), *row;

    if (!table)
        return false;
    for (i = a_end; i-- > first;) {
        row = table + (i - first) * width;
        for (j = b_end; j-- > first;)
            if (a[i] == b[j])
                row[j - first] = row[j - first + width + 1] + 1;
            else
                row[j - first] = row[j - first + 1] > row[j - first + width]
                                     ? row[j - first + 1]
                                     : row[j - first + width];
    }

    for (i = j = first; i < a_end && j < b_end;) {
        row = table + (i - first) * width + (j - first);
        if (a[i] == b[j])
            alignment->match[i++] = j++;
        else if (row[width] >= row[1])
            i++;
        else
            j++;
    }
    free(table);
    return true;
}

static bool match(struct alignment *alignment)
{
    size_t a_end = alignment->a_count, b_end = alignment->b_count, first = 0;
    for (;
         first < a_end && first < b_end && alignment->a_labels[first] == alignment->b_labels[first];
         first++)
        alignment->match[first] = first;
    while (a_end > first && b_end > first &&
           alignment->a_labels[a_end - 1] == alignment->b_labels[b_end - 1])
        alignment->match[--a_end] = --b_end;

    if (first == a_end || first == b_end)
        return true;
    if (b_end - first <= FV_DIFF_CELLS / (a_end - first))
        return match_between(alignment, first, a_end, b_end);
    for (; first < a_end && first < b_end; first++)
        alignment->match[first] = first;
    return true;
}

static bool allocate_alignment(struct alignment *alignment)
{
    size_t i;

    alignment->a_labels = calloc(alignment->a_count + 1, sizeof *alignment->a_labels);
    alignment->b_labels = calloc(alignment->b_count + 1, sizeof *alignment->b_labels);
    alignment->match = calloc(alignment->a_count + 1, sizeof *alignment->match);
    if (!alignment->a_labels || !alignment->b_labels || !alignment->match)
        return false;
    for (i = 0; i < alignment->a_count; i++)
        alignment->match[i] = UNMATCHED;
    return true;
}

/* Keeps only the matches: the labels of all levels would add up. */
static FV_APART bool align(struct alignment *alignment, const json_t *a, const json_t *b)
{
    bool done = false;

    *alignment = (struct alignment){
        .a = a, .b = b, .a_count = json_array_size(a), .b_count = json_array_size(b)
    };
    if (allocate_alignment(alignment)) {
        alignment->by_id = label_all_by_id(alignment);
        if (!alignment->by_id) {
            label_by_value(a, alignment->a_labels);
            label_by_value(b, alignment->b_labels);
        }
        done = match(alignment);
    }
    free(alignment->a_labels);
    free(alignment->b_labels);
    if (!done)
        free(alignment->match);
    return done;
}

static bool are_containers(const json_t *a, const json_t *b)
{
    return (json_is_object(a) && json_is_object(b)) || (json_is_array(a) && json_is_array(b));
}

/* What was left over between two matches: elements from i and j on. */
static int diff_gap(struct diff *diff, const struct fv_place *place,
                    const struct alignment *alignment, size_t i, size_t i_end, size_t j,
                    size_t j_end, int depth)
{
    const json_t *a = alignment->a, *b = alignment->b;
    int r = 0;

    for (; r == 0 && i < i_end && j < j_end && !alignment->by_id &&
           are_containers(json_array_get(a, i), json_array_get(b, j));
         i++, j++)
        r = diff_values(diff, fv_at_index(place, j), json_array_get(a, i), json_array_get(b, j),
                        depth);
    for (; r == 0 && i < i_end; i++)
        r = add_line(diff, fv_at_index(place, i), json_array_get(a, i), NULL);
    for (; r == 0 && j < j_end; j++)
        r = add_line(diff, fv_at_index(place, j), NULL, json_array_get(b, j));
    return r;
}

static int diff_arrays(struct diff *diff, const struct fv_place *place, const json_t *a,
                       const json_t *b, int depth)
{
    struct alignment alignment;
    size_t i = 0, j = 0, i_end, j_end;
    int r = 0;

    if (!align(&alignment, a, b))
        return no_memory(diff);
    while (r == 0 && (i < alignment.a_count || j < alignment.b_count)) {
        for (i_end = i; i_end < alignment.a_count && alignment.match[i_end] == UNMATCHED; i_end++)
            ;
        j_end = i_end < alignment.a_count ? alignment.match[i_end] : alignment.b_count;
        r = diff_gap(diff, place, &alignment, i, i_end, j, j_end, depth);
        if (r == 0 && i_end < alignment.a_count)
            r = diff_values(diff, fv_at_index(place, j_end), json_array_get(a, i_end),
                            json_array_get(b, j_end), depth);
        i = i_end + 1;
        j = j_end + 1;
    }
    free(alignment.match);
    return r;
}

/* One of the two may be NULL. */
static int diff_values(struct diff *diff, const struct fv_place *place, const json_t *a,
                       const json_t *b, int depth)
{
    if (!a || !b)
        return add_line(diff, place, a, b);
    if (depth < FV_DIFF_DEPTH && json_is_object(a) && json_is_object(b))
        return diff_objects(diff, place, a, b, depth + 1);
    if (depth < FV_DIFF_DEPTH && json_is_array(a) && json_is_array(b))
        return diff_arrays(diff, place, a, b, depth + 1);
    return json_equal(a, b) ? 0 : add_line(diff, place, a, b);
}

int fv_diff_lines(const char *a, size_t a_length, const char *b, size_t b_length,
                  struct fv_text *out, flagver_error *err)
{
    struct diff diff = { .out = out, .text = FV_TEXT_INIT, .err = err };
    size_t before = out->length;
    json_t *old, *new;
    int r;

    r = parse_both(a, a_length, b, b_length, &old, &new, err);
    if (r < 0)
        return r;
    r = diff_values(&diff, NULL, old, new, 0);
    if (r < 0 && out->capacity) {
        out->length = before;
        out->data[before] = 0;
    }
    fv_text_clear(&diff.text);
    json_decref(old);
    json_decref(new);
    return r;
}
