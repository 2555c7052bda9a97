#include "codec/image.h"

#include <math.h>
#include <string.h>

#include "codec/json.h"
#include "flagver/flag.h"
#include "util/fail.h"
#include "util/input.h"

/*
 * Behind the head: variants, if they are not the usual ones, with name and value; the ranges; if
 * there are any, the salt and what is hashed; the metadata, if there are any.
 */
struct head {
    uint32_t variant_count; /* 0: a boolean's usual ones */
    uint32_t fallback, off;
    uint32_t remainder, range_count;
    uint8_t type;
    uint8_t serves; /* has a percentage or split of its own */
    uint8_t disabled;
    uint8_t hash; /* enum fv_bucket_hash */
    uint8_t has_metadata;
    uint8_t unused[3];
};

/* ---- writing ---- */

static void put(struct fv_text *out, const void *bytes, size_t length)
{
    fv_text_add_bytes(out, bytes, length);
}

static void put_variants(struct fv_text *out, const struct fv_flag *flag)
{
    const struct fv_variant *variant = flag->body->variants;
    uint32_t i;

    for (i = 0; i < flag->body->variant_count; i++, variant++) {
        fv_text_add_sized(out, variant->name, variant->length);
        if (variant->value.kind == FV_STRING)
            fv_text_add_sized(out, variant->value.as.string, variant->value.count);
        else if (variant->value.kind == FV_BOOL)
            put(out, &variant->value.as.boolean, sizeof variant->value.as.boolean);
        else
            put(out, &variant->value.as, sizeof variant->value.as);
    }
}

static void put_ranges(struct fv_text *out, const struct fv_serve *serve)
{
    const struct fv_bucketing *bucketing = serve->bucketing;

    put(out, &serve->first, sizeof serve->first);
    if (serve->range_count > 1)
        put(out, serve->more, (serve->range_count - 1) * sizeof *serve->more);
    put(out, &bucketing->salt.state, sizeof bucketing->salt.state);
    put(out, &bucketing->salt.tail, sizeof bucketing->salt.tail);
    put(out, &bucketing->salt.length, sizeof bucketing->salt.length);
    fv_text_add_sized(out, bucketing->by.whole.name, bucketing->by.whole.length);
}

static void put_flag(struct fv_text *out, const struct fv_flag *flag)
{
    const struct fv_flag_body *body = flag->body;
    const struct fv_serve *serve = &body->serve;
    bool usual = body->variants == fv_usual_variants;
    const struct head head = { .variant_count = usual ? 0 : body->variant_count,
                               .fallback = body->fallback,
                               .off = body->off,
                               .remainder = serve->remainder,
                               .range_count = serve->range_count,
                               .type = flag->type,
                               .serves = flag->asks == FV_ASKS_SERVE,
                               .disabled = flag->settled && flag->reason == FLAGVER_REASON_DISABLED,
                               .hash = serve->range_count ? (uint8_t)serve->bucketing->hash : 0,
                               .has_metadata = body->metadata != NULL };

    put(out, &head, sizeof head);
    if (!usual)
        put_variants(out, flag);
    if (serve->range_count)
        put_ranges(out, serve);
    if (body->metadata)
        fv_text_add_sized(out, body->metadata, strlen(body->metadata));
}

/* Compiles the definition with names of its own, and looks whether it is of the simple kind. */
static int compile_and_put(const struct fv_record *record, const json_t *root, struct fv_text *out)
{
    const struct fv_reading quiet = { 0 };
    struct fv_map flags, segments, attributes;
    const struct fv_definitions_source source = { .flag_names = &flags,
                                                  .segment_names = &segments,
                                                  .attribute_names = &attributes };
    struct fv_compiling compiling;
    struct fv_flag *flag;
    int r;

    fv_map_init(&flags, NULL);
    fv_map_init(&segments, NULL);
    fv_map_init(&attributes, NULL);
    fv_compiling_init(&compiling, &quiet, &source);
    r = fv_compile_flag(&compiling, NULL, root, record->key, record->key_length, 0, &flag);
    if (r == 0) {
        if (!flag->body->plan && !flag->body->serve.schedule)
            put_flag(out, flag);
        fv_flag_release(flag);
    }
    fv_compiling_clear(&compiling);
    fv_map_clear(&flags);
    fv_map_clear(&segments);
    fv_map_clear(&attributes);
    return r;
}

int fv_image_write(const struct fv_record *record, struct fv_text *out)
{
    json_t *root;
    int r;

    if (record->is_segment)
        return 0;
    r = fv_json_parse(record->text, record->length, NULL, &root, NULL);
    if (r == 0) {
        if (!json_object_get(root, "env"))
            r = compile_and_put(record, root, out);
        json_decref(root);
    }
    return r == FLAGVER_ENOMEM || out->failed ? FLAGVER_ENOMEM : 0;
}

/* ---- reading ---- */

struct image {
    struct fv_compiling *compiling;
    struct fv_input input;
    struct head head;
    struct fv_flag *flag;
    struct fv_arena arena;
    bool no_memory;
};

/* What is not right is as if bytes were missing. */
static void demand(struct image *image, bool condition)
{
    if (!condition)
        image->input.failed = true;
}

static void *allocate(struct image *image, size_t count, size_t size)
{
    void *block = fv_arena_allocate_zeroed(&image->arena, count, size);

    if (!block)
        image->no_memory = image->input.failed = true;
    return block;
}

/* As in JSON, no text has a NUL in it. */
static const char *copy_text(struct image *image, uint32_t *ret_length)
{
    size_t length;
    const char *text = fv_input_text(&image->input, &length);
    char *copy = allocate(image, length + 1, 1);

    demand(image, !memchr(text, 0, length));
    if (copy)
        memcpy(copy, text, length);
    *ret_length = (uint32_t)length;
    return copy;
}

static void get_value(struct image *image, struct fv_value *value)
{
    static const uint8_t kinds[] = { [FLAGVER_TYPE_BOOL] = FV_BOOL,
                                     [FLAGVER_TYPE_STRING] = FV_STRING,
                                     [FLAGVER_TYPE_INT] = FV_INTEGER,
                                     [FLAGVER_TYPE_DOUBLE] = FV_REAL,
                                     [FLAGVER_TYPE_JSON] = FV_STRING };
    uint8_t boolean;

    value->kind = kinds[image->head.type];
    if (value->kind == FV_STRING) {
        value->as.string = copy_text(image, &value->count);
    } else if (value->kind == FV_BOOL) {
        fv_input_take(&image->input, &boolean, sizeof boolean);
        value->as.boolean = boolean != 0;
    } else {
        fv_input_take(&image->input, &value->as, sizeof value->as);
        demand(image, value->kind != FV_REAL || isfinite(value->as.real));
    }
}

/* Names have to be in order: they are searched for. */
static void get_variants(struct image *image)
{
    struct fv_flag_body *body = image->flag->body;
    uint32_t count = image->head.variant_count, i;
    struct fv_variant *variants;

    variants = allocate(image, count, sizeof *variants);
    for (i = 0; i < count && !image->input.failed; i++) {
        variants[i].name = copy_text(image, &variants[i].length);
        get_value(image, &variants[i].value);
        if (i && !image->input.failed)
            demand(image, strcmp(variants[i - 1].name, variants[i].name) < 0);
    }
    body->variants = variants;
    body->variant_count = count;
}

/* A boolean has one true and one false variant. */
static void find_on(struct image *image)
{
    struct fv_flag_body *body = image->flag->body;

    if (image->flag->type != FLAGVER_TYPE_BOOL || image->input.failed)
        return;
    demand(image, body->variant_count == 2 &&
                      body->variants[0].value.as.boolean != body->variants[1].value.as.boolean);
    body->on = body->variant_count == 2 && body->variants[1].value.as.boolean;
}

static void get_range(struct image *image, struct fv_range *range, uint32_t from)
{
    fv_input_take(&image->input, range, sizeof *range);
    demand(image, range->bound >= from && range->bound <= FV_SCALE &&
                      range->variant < image->flag->body->variant_count);
}

static void get_ranges(struct image *image, struct fv_serve *serve)
{
    uint32_t count = image->head.range_count, from = 0, i;
    struct fv_range *more = NULL;

    demand(image, count <= image->flag->body->variant_count);
    if (image->input.failed)
        return;
    get_range(image, &serve->first, 0);
    from = serve->first.bound;
    if (count > 1)
        more = allocate(image, count - 1, sizeof *more);
    for (i = 0; i + 1 < count && !image->input.failed; i++) {
        get_range(image, &more[i], from);
        from = more[i].bound;
    }
    serve->more = more;
    serve->range_count = count;
}

static void get_bucketing(struct image *image, struct fv_serve *serve)
{
    struct fv_bucketing *bucketing = allocate(image, 1, sizeof *bucketing);
    const char *by;
    size_t length;

    if (!bucketing)
        return;
    bucketing->hash = (enum fv_bucket_hash)image->head.hash;
    fv_input_take(&image->input, &bucketing->salt.state, sizeof bucketing->salt.state);
    fv_input_take(&image->input, &bucketing->salt.tail, sizeof bucketing->salt.tail);
    fv_input_take(&image->input, &bucketing->salt.length, sizeof bucketing->salt.length);
    by = fv_input_text(&image->input, &length);
    demand(image, length > 0);
    if (!image->input.failed && fv_compile_path(image->compiling, by, length, &bucketing->by) < 0)
        image->no_memory = image->input.failed = true;
    serve->bucketing = bucketing;
}

static void get_flag(struct image *image)
{
    const struct head *head = &image->head;
    struct fv_flag_body *body = image->flag->body;
    uint32_t length;

    image->flag->type = head->type;
    image->flag->asks = head->serves ? FV_ASKS_SERVE : 0;
    body->variants = fv_usual_variants;
    body->variant_count = 2;
    if (head->variant_count)
        get_variants(image);
    find_on(image);
    body->fallback = head->fallback;
    body->off = head->off;
    body->serve.remainder = head->remainder;
    demand(image, head->fallback < body->variant_count && head->off < body->variant_count &&
                      head->remainder < body->variant_count);
    if (head->range_count) {
        get_ranges(image, &body->serve);
        get_bucketing(image, &body->serve);
    }
    if (head->has_metadata)
        body->metadata = copy_text(image, &length);
    demand(image, image->input.next == image->input.end);
}

/* Each variant takes some bytes, so there cannot be more of them. */
static bool is_sound(const struct image *image)
{
    const struct head *head = &image->head;

    return !image->input.failed && head->type >= FLAGVER_TYPE_BOOL &&
           head->type <= FLAGVER_TYPE_JSON && head->hash <= FV_HASH_MD5_MOD100 &&
           (head->variant_count || head->type == FLAGVER_TYPE_BOOL) &&
           head->variant_count <= FV_VARIANT_LIMIT &&
           head->variant_count <= (size_t)(image->input.end - image->input.next);
}

/* So that the flag lies in one piece: texts take no more than in the image. */
static size_t room_for(const struct image *image)
{
    return (size_t)(image->input.end - image->input.next) +
           image->head.variant_count * sizeof(struct fv_variant) +
           (image->head.range_count ? sizeof(struct fv_bucketing) : 0);
}

int fv_image_read(struct fv_compiling *compiling, const struct fv_record *record, uint32_t slot,
                  struct fv_flag **ret_flag)
{
    struct image image = { .compiling = compiling };

    if (!record->image_length)
        return FLAGVER_EPARSE;
    image.input.next = record->image;
    image.input.end = record->image + record->image_length;
    fv_input_take(&image.input, &image.head, sizeof image.head);
    if (!is_sound(&image) || record->key_length > FV_FLAG_KEY_LIMIT)
        return FLAGVER_EPARSE;
    fv_arena_init(&image.arena, compiling->source->memory,
                  fv_flag_chunk(record->key_length, room_for(&image)));
    image.flag = fv_flag_new(&image.arena, record->key, record->key_length);
    if (image.flag) {
        image.flag->body->slot = slot;
        fv_compiling_start(compiling, &image.arena, image.flag);
        get_flag(&image);
    } else {
        image.no_memory = image.input.failed = true;
    }
    if (image.input.failed) {
        fv_arena_clear(&image.arena);
        return image.no_memory ? fv_no_memory(compiling) : FLAGVER_EPARSE;
    }
    fv_flag_complete(image.flag, &image.arena, !image.head.disabled);
    *ret_flag = image.flag;
    return 0;
}
