/*
 * URIs of stores may hold passwords; people and logs get to see them without:
 *
 *     postgresql://ann:secret@db/app?sslpassword=key    as it is given, and
 *     postgresql://ann:***@db/app?sslpassword=***       as it is shown
 *
 * Hidden are the password of the user and every parameter whose name has "password" in it.
 * What should have been percent-encoded and was not is hidden as far as that can be told.
 */
#ifndef FV_UTIL_URI_H
#define FV_UTIL_URI_H

#include "util/memory.h"
#include "util/text.h"

void fv_uri_show(struct fv_text *out, const char *uri);

/* Is the value of a parameter of this name hidden? */
bool fv_uri_names_secret(const char *name, size_t length);

/* What is shown as a text of its own; NULL: memory is short. */
char *fv_uri_shown(const char *uri, const flagver_allocator *memory);

/* The same for a message that is made at once: what is too long for it is cut off. */
struct fv_uri_brief {
    char text[304];
};

const char *fv_uri_brief(const char *uri, struct fv_uri_brief *room);

#endif
