/*
 * Results as JSON: the detail of an evaluation, and the explanation of one.
 */
#ifndef FV_CODEC_DETAIL_H
#define FV_CODEC_DETAIL_H

#include "flagver/flag.h"
#include "model/evaluate.h"
#include "util/text.h"

void fv_detail_write(struct fv_text *out, const flagver_detail *detail);

/* Listens to an evaluation and writes down its steps. */
struct fv_explanation {
    struct fv_trace trace; /* give it to the question */
    const flagver_context *context;
    struct fv_text steps;
};

void fv_explanation_init(struct fv_explanation *explanation, const flagver_context *context);
void fv_explanation_clear(struct fv_explanation *explanation);

/* The detail and, in "steps", how it came about. */
void fv_explanation_write(struct fv_text *out, const struct fv_explanation *explanation,
                          const flagver_detail *detail);

#endif
