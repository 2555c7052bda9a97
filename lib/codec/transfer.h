/*
 * The lines of an export, one at a time: rows to text and back.
 * Each line is canonical JSON, form 1:
 *
 *     {"flagver":"export","form":1}
 *     {"tenant":"default"}
 *     {"key":{"key":"0000000001","rev":1,"time":…,"value":"…"}}
 *     {"mapping":{"entity":"users","new":"…","old":"17","time":…}}
 *     {"series":{"changed_at":…,"current_no":1,"id":"…","last_no":1,"phase":"flagver.flag",…}}
 *     {"version":{"content_hash":"…","created_at":…,"no":1,"payload":"{\"enabled\":true}",…}}
 *     {"contributor":{"actor":"…"}}
 *     {"item":{"hash":"…","key":"…","payload":"1","payload_id":"…","status":"pending"}}
 *     {"vote":{"actor":"…","content_hash":"…","time":…}}
 *     {"leaf":{"hash":"…","leaf":"…","no":0}}
 *     {"records":8,"sha256":"…"}
 *
 * What belongs to a version stands behind it, keys behind their tenant, mappings of the id map behind
 * these. What is 0 or none is left
 * out, but for what a line cannot do without. Hashes, leaves, salts and values are lower-case
 * hexadecimal digits; so is a payload that is encrypted or no plain text: {"hex":"…"}. One that
 * was shredded is null.
 *
 * There is one text for one row: a line that says the same in other words is refused.
 * What lines mean together is none of our business here.
 */
#ifndef FV_CODEC_TRANSFER_H
#define FV_CODEC_TRANSFER_H

#include "flagver/driver.h"
#include "util/memory.h"
#include "util/text.h"

#define FV_TRANSFER_FORM 1

/* No line is longer: the largest payload in its longest spelling is half of it. */
#define FV_TRANSFER_LINE_LIMIT ((size_t)64 << 20)

enum fv_transfer_kind {
    FV_TRANSFER_HEADER,
    FV_TRANSFER_TENANT,
    FV_TRANSFER_KEY, /* of the keyed rows those that are keys */
    FV_TRANSFER_MAPPING,
    FV_TRANSFER_SERIES,
    FV_TRANSFER_VERSION,
    FV_TRANSFER_CONTRIBUTOR,
    FV_TRANSFER_ITEM,
    FV_TRANSFER_VOTE,
    FV_TRANSFER_LEAF,
    FV_TRANSFER_END
};

struct fv_transfer_header {
    uint32_t form;
};

struct fv_transfer_tenant {
    flagver_bytes name;
};

/* Of the keyed rows those of the id map, two of them in one. */
struct fv_transfer_mapping {
    flagver_bytes entity, old_id, new_id;
    int64_t time;
};

/* `records` counts the lines between the first and this one; the hash is of all bytes before it. */
struct fv_transfer_end {
    uint64_t records;
    uint8_t sha256[32];
};

struct fv_transfer {
    enum fv_transfer_kind kind;
    union {
        struct fv_transfer_header header;
        struct fv_transfer_tenant tenant;
        flagver_keyed_row key; /* but for tenant, space */
        struct fv_transfer_mapping mapping;
        flagver_series_row series;           /* but for tenant */
        flagver_version_row version;         /* but for series, tenant, phase, subject */
        flagver_contributor_row contributor; /* but for series, no; so the next two */
        flagver_item_row item;
        flagver_vote_row vote;
        flagver_leaf_row leaf; /* but for tenant */
        struct fv_transfer_end end;
    } as;
};

/*
 * Append a line, without its end.
 *
 * @return 0, FLAGVER_ENOMEM, or FLAGVER_ECORRUPT: a row lacks something, or a text in it is
 *   not UTF-8. `out` is then undefined.
 */
int fv_transfer_write(struct fv_text *out, const struct fv_transfer *line, flagver_error *err);

/* Where a line stands, for messages: "NAME:NUMBER: …". */
struct fv_transfer_place {
    const char *name;
    uint64_t number;
};

/*
 * Read a line, without its end.
 *
 * @param arena  what the row points to lives in it
 * @return 0, FLAGVER_EPARSE, FLAGVER_ENOMEM
 */
int fv_transfer_read(const char *text, size_t length, const struct fv_transfer_place *place,
                     struct fv_arena *arena, struct fv_transfer *ret_line, flagver_error *err);

/* Words an error about a line: FLAGVER_EPARSE. */
int fv_transfer_refuse(flagver_error *err, const struct fv_transfer_place *place,
                       const char *format, ...) FV_TEXT_FORMAT(3, 4);

#endif
