/*
 * Putting definitions together: what reading a file and reading records share.
 * Only for lib/codec.
 */
#ifndef FV_CODEC_GATHER_H
#define FV_CODEC_GATHER_H

#include "codec/compile.h"
#include "codec/definitions.h"
#include "model/graph.h"

/* What is there so far, and the tools to go on. */
struct fv_gathering {
    const struct fv_definitions_source *source;
    struct fv_definitions *result;
    struct fv_compiling compiling;
    struct fv_reading reading; /* the text at hand */
    flagver_error *err;        /* of the whole */
    bool names_changed;        /* a flag is there whose key was not */
    bool malformed;            /* some flag or segment may be */
};

/* Begins with nothing, or for a merge with all that is there. */
int fv_gather_begin(struct fv_gathering *gathering, const struct fv_definitions_source *source,
                    flagver_error *err);

/* Frees the tools and, when `r` is an error, the result; returns `r`. */
int fv_gather_end(struct fv_gathering *gathering, int r, struct fv_definitions **ret_definitions);

/* Every name that has a slot has a place in the result. */
int fv_gather_cover(struct fv_gathering *gathering);

/* The slot of a name, with room for it in the result. */
int fv_gather_flag_slot(struct fv_gathering *gathering, const char *key, size_t length,
                        uint32_t *ret_slot);
int fv_gather_segment_slot(struct fv_gathering *gathering, const char *name, size_t length,
                           uint32_t *ret_slot);

/* What `source->current` has there; NULL: nothing. */
struct fv_flag *fv_gather_current_flag(const struct fv_gathering *gathering, uint32_t slot);
struct fv_segment *fv_gather_current_segment(const struct fv_gathering *gathering, uint32_t slot);

/* Puts a flag or segment there, whose hold goes over to the result; NULL: nothing. */
void fv_gather_put_flag(struct fv_gathering *gathering, uint32_t slot, struct fv_flag *flag);
void fv_gather_put_segment(struct fv_gathering *gathering, uint32_t slot,
                           struct fv_segment *segment);

/*
 * The last step: looks at what all of them say about each other, replaces flags
 * that this spoils, and lists what is spoiled. With `strict` a problem that
 * `source->current` does not have is an error, in the text at hand.
 */
int fv_gather_settle(struct fv_gathering *gathering, bool strict);

/* fv_definitions_read() of a text that is parsed already: its tree. */
int fv_definitions_read_tree(const struct fv_definitions_source *source, const json_t *root,
                             struct fv_definitions **ret_definitions, flagver_error *err);

/* Byte order; of two that begin alike the shorter comes first. */
int fv_compare_keys(const char *a, size_t a_length, const char *b, size_t b_length);

/* Refuses the definition that has the problem. */
int fv_refuse_problem(const struct fv_reading *reading, const struct fv_graph_problem *problem);

#endif
