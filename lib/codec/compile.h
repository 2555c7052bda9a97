/*
 * Compiling one flag or segment. definitions.c reads the file and hands each
 * over; compile_flag.c and compile.c take it apart, with compile_condition.c
 * for an "if", compile_serve.c for what is served, compile_env.c for "env".
 */
#ifndef FV_CODEC_COMPILE_H
#define FV_CODEC_COMPILE_H

#include "codec/definitions.h"
#include "codec/reading.h"

/* How an object says to bucket: what it leaves out it takes from its flag. */
struct fv_bucket_words {
    const char *by;
    size_t by_length;
    const char *salt; /* NULL: the flag's key */
    size_t salt_length;
    enum fv_bucket_hash hash;
};

/* The flag or segment that is being compiled. */
struct fv_compiling {
    const struct fv_reading *reading;
    const struct fv_definitions_source *source;
    struct fv_arena *arena;  /* what stays goes here */
    struct fv_arena scratch; /* what does not */

    struct fv_leaf *leaves; /* of the condition at hand */
    size_t leaf_count, leaf_capacity;
    uint32_t leaf_total;
    struct fv_reference *refs;
    size_t ref_count, ref_capacity;

    struct fv_flag *flag; /* NULL for a segment */
    struct fv_bucket_words bucket_words;
    const struct fv_bucketing *bucketing; /* made of them when first needed */
};

/* Prepares for any number of definitions. */
void fv_compiling_init(struct fv_compiling *compiling, const struct fv_reading *reading,
                       const struct fv_definitions_source *source);

/* Begins a definition: what another one left behind is reused, not kept. */
void fv_compiling_start(struct fv_compiling *compiling, struct fv_arena *arena,
                        struct fv_flag *flag);

/* Frees the working memory; what was compiled is in the arena. */
void fv_compiling_clear(struct fv_compiling *compiling);

/* Compile one definition into a new flag or segment. */
int fv_compile_flag(struct fv_compiling *compiling, const struct fv_place *place,
                    const json_t *value, const char *key, size_t length, uint32_t slot,
                    struct fv_flag **ret_flag);
int fv_compile_segment(struct fv_compiling *compiling, const struct fv_place *place,
                       const json_t *value, const char *name, size_t length,
                       struct fv_segment **ret_segment);

/*
 * A flag or segment in place of one that could not be compiled. The flag has the
 * type and variants that `value` gives it, as far as they can be read: so that it
 * can be forced. `value` may be NULL.
 */
int fv_compile_malformed_flag(struct fv_compiling *compiling, const json_t *value, const char *key,
                              size_t length, uint32_t slot, const char *why,
                              struct fv_flag **ret_flag);
int fv_compile_malformed_segment(struct fv_compiling *compiling, const char *name, size_t length,
                                 const char *why, struct fv_segment **ret_segment);

/* What the environment says about a flag. */
struct fv_flag_environment {
    bool has_enabled, enabled;
    bool has_beta; /* also when the list is empty: it clears the definition's */
    struct fv_key *beta;
    size_t beta_count;
    bool has_percentage;
    uint32_t threshold;
};

/* "env": checked, and the variables it names looked up. *environment is zeroed before. */
int fv_read_flag_environment(struct fv_compiling *compiling, const struct fv_place *place,
                             const json_t *env, struct fv_flag_environment *environment);

/* The hash of a definition and of the environment it asks for. */
uint64_t fv_definition_mark(const struct fv_definitions_source *source, const json_t *value);

/* The environment that it asks for mixed into another hash; the same one when it asks for none. */
uint64_t fv_environment_mark(const struct fv_definitions_source *source, const json_t *value,
                             uint64_t mark);

/* "if": at most FV_CONDITION_DEPTH all, any and not around a leaf. */
#define FV_CONDITION_DEPTH 100
int fv_compile_condition(struct fv_compiling *compiling, const struct fv_place *place,
                         const json_t *value, struct fv_condition *ret_condition);

/* "serve": a variant's name, a split, a percentage. */
int fv_compile_serve(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *value, struct fv_serve *ret_serve);

/* The values of "by", "salt" and "bucketing" in one object; any may be NULL. */
int fv_read_bucket_words(struct fv_compiling *compiling, const struct fv_place *place,
                         const json_t *by, const json_t *salt, const json_t *hash,
                         struct fv_bucket_words *words);

/* The values of "split", "percentage" and "schedule", which buckets by the flag's own words. */
int fv_compile_split(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *value, const struct fv_bucket_words *words,
                     struct fv_serve *ret_serve);
int fv_compile_percentage(struct fv_compiling *compiling, const struct fv_place *place,
                          const json_t *value, const struct fv_bucket_words *words,
                          struct fv_serve *ret_serve);
int fv_compile_schedule(struct fv_compiling *compiling, const struct fv_place *place,
                        const json_t *value, struct fv_serve *ret_serve);

/* A boolean's share: `on` inside, the flag's default outside. */
int fv_compile_share(struct fv_compiling *compiling, uint32_t threshold,
                     const struct fv_bucket_words *words, struct fv_serve *ret_serve);

/* A variant's name in a definition; refused when the flag has none of that name. */
int fv_read_variant(struct fv_compiling *compiling, const struct fv_place *place,
                    const json_t *value, uint32_t *ret_variant);

/*
 * Note that this definition needs another: a segment, whose name stands at the
 * place, or with a variant a flag, where the place is the object with "flag"
 * and "variant".
 */
int fv_add_reference(struct fv_compiling *compiling, const struct fv_place *place,
                     const json_t *name, const json_t *variant, struct fv_reference *ret_reference);

/* Copies the references into the arena. */
int fv_seal_references(struct fv_compiling *compiling, const struct fv_reference **ret_refs,
                       uint32_t *ret_count);

/* Tell lint's listener, if there is one. */
void fv_lint(const struct fv_compiling *compiling, const struct fv_place *place, const char *format,
             ...) FV_TEXT_FORMAT(3, 4);

/* Prepare the path to an attribute. */
int fv_compile_path(struct fv_compiling *compiling, const char *name, size_t length,
                    struct fv_path *ret_path);

/* FLAGVER_ENOMEM, worded. */
int fv_no_memory(const struct fv_compiling *compiling);

#endif
