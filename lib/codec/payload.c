#include "codec/payload.h"

#include <string.h>

#include "codec/canonical.h"
#include "codec/gather.h"
#include "codec/json.h"
#include "codec/schema.h"
#include "util/fail.h"

int fv_payload_check(const char *json, size_t length, const struct fv_schema *schema,
                     struct fv_text *out, flagver_error *err)
{
    json_t *root;
    int r;

    r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    if (schema)
        r = fv_schema_check(schema, root, err);
    if (r == 0)
        r = fv_canonical_write(out, root, err);
    json_decref(root);
    return r;
}

int fv_payload_canonical(const char *json, size_t length, struct fv_text *out, flagver_error *err)
{
    return fv_payload_check(json, length, NULL, out, err);
}

/* One definition and whom to tell what it refers to. */
struct checking {
    struct fv_compiling compiling;
    bool is_segment;
    const char *key;
    size_t key_length;
    void (*reference)(void *data, bool to_flag, const char *name, const char *variant);
    void *data;
};

/* Of cycles only those of one are seen from here. */
static int check_references(const struct checking *checking, const struct fv_reference *refs,
                            uint32_t count, const char *owner)
{
    struct fv_graph_problem problem = { .fault = FV_GRAPH_CYCLE,
                                        .owner_is_flag = !checking->is_segment,
                                        .owner = owner };
    uint32_t i;

    for (i = 0; i < count; i++) {
        problem.reference = &refs[i];
        if (refs[i].to_flag != checking->is_segment && strcmp(refs[i].name, owner) == 0)
            return fv_refuse_problem(checking->compiling.reading, &problem);
    }
    for (i = 0; checking->reference && i < count; i++)
        checking->reference(checking->data, refs[i].to_flag, refs[i].name, refs[i].variant);
    return 0;
}

static int check_flag(struct checking *checking, const json_t *root)
{
    struct fv_flag *flag;
    int r;

    r = fv_compile_flag(&checking->compiling, NULL, root, checking->key, checking->key_length, 0,
                        &flag);
    if (r < 0)
        return r;
    if (flag->body->plan)
        r = check_references(checking, flag->body->plan->refs, flag->body->plan->ref_count,
                             flag->key);
    fv_flag_release(flag);
    return r;
}

static int check_segment(struct checking *checking, const json_t *root)
{
    struct fv_segment *segment;
    int r;

    r = fv_compile_segment(&checking->compiling, NULL, root, checking->key, checking->key_length,
                           &segment);
    if (r < 0)
        return r;
    r = check_references(checking, segment->refs, segment->ref_count, segment->name);
    fv_segment_release(segment);
    return r;
}

/* With names of its own: what the definition refers to need not be there. */
static int check_tree(struct checking *checking, const struct fv_reading *reading,
                      const json_t *root)
{
    struct fv_map flags, segments, attributes;
    const struct fv_definitions_source source = { .flag_names = &flags,
                                                  .segment_names = &segments,
                                                  .attribute_names = &attributes };
    int r;

    fv_map_init(&flags, NULL);
    fv_map_init(&segments, NULL);
    fv_map_init(&attributes, NULL);
    fv_compiling_init(&checking->compiling, reading, &source);
    r = checking->is_segment ? check_segment(checking, root) : check_flag(checking, root);
    fv_compiling_clear(&checking->compiling);
    fv_map_clear(&flags);
    fv_map_clear(&segments);
    fv_map_clear(&attributes);
    return r;
}

int fv_definition_check(bool is_segment, const char *key, size_t key_length, const char *json,
                        size_t length, struct fv_text *out,
                        void (*reference)(void *data, bool to_flag, const char *name,
                                          const char *variant),
                        void *data, flagver_error *err)
{
    const struct fv_reading reading = { json, length, NULL, err };
    struct checking checking = { .is_segment = is_segment,
                                 .key = key,
                                 .key_length = key_length,
                                 .reference = reference,
                                 .data = data };
    json_t *root;
    int r;

    r = fv_json_parse(json, length, NULL, &root, err);
    if (r < 0)
        return r;
    r = check_tree(&checking, &reading, root);
    if (r == 0 && out)
        r = fv_canonical_write(out, root, err);
    json_decref(root);
    return r;
}
