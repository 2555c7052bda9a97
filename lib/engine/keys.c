#include "engine/keys.h"

#include "util/fail.h"

static int visit_rows(struct fv_read *read, bool (*visit)(void *data, const flagver_data_key *key),
                      void *data, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_KEYED, .space = fv_bytes(FV_KEY_SPACE) };
    const struct fv_key_place place = { read->store, read->txn, read->tenant };
    char id[FV_KEY_ID_SIZE];
    flagver_data_key key = { .key_id = id };
    flagver_row row;
    int r;

    r = fv_read_scan(read, &query, err);
    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0) {
        if (!fv_key_row_read(&row.as.keyed, &key.no, id))
            return fv_fail(err, FLAGVER_ECORRUPT, "the row of data key \"%.*s\" is malformed",
                           (int)row.as.keyed.key.length, (const char *)row.as.keyed.key.data);
        r = fv_key_row_try(&place, &row.as.keyed, NULL);
        if (r == FLAGVER_ENOMEM)
            return fv_fail_memory(err);
        key.opens = r == 0;
        key.time = row.as.keyed.time;
        if (!visit(data, &key))
            return 0;
        r = 0;
    }
    return r;
}

int fv_keys_visit(const struct fv_tenancy *tenancy,
                  bool (*visit)(void *data, const flagver_data_key *key), void *data,
                  flagver_error *err)
{
    struct fv_read read;
    int r;

    r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r == 0)
        r = visit_rows(&read, visit, data, err);
    fv_read_end(&read);
    return r;
}
