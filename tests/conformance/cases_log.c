/*
 * The log: its head, and the nodes of the tree over it. What there is to say of leaves stands
 * with rules and queries.
 */
#include "fixture.h"

static void append(uint64_t no)
{
    struct conform_batch batch = { .count = 0 };

    conform_add_leaf(&batch, conform_leaf(no, "leaf"));
    conform_commit_batch(&batch);
}

static void check_log(uint64_t size, const char *frontier)
{
    flagver_driver_txn *txn = conform_read();
    uint64_t changes = 99;

    conform_check_log(txn, size, frontier);
    conform_rollback(txn);
    assert_ok(
        conform.driver->changes(conform.store, conform_text(TENANT), &changes, &conform_error));
    ck_assert_uint_eq(changes, size);
}

START_TEST(the_log_has_a_head_once_it_has_a_leaf)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_read();

    ck_assert_uint_eq(conform_count(txn, &query), 0);
    conform_rollback(txn);
    append(0);
    check_log(1, NULL);
    append(1);
    check_log(2, NULL);
    conform_add_head(&batch, conform_head(2, "first"));
    conform_commit_batch(&batch);
    check_log(2, "first");
}
END_TEST

START_TEST(each_size_has_a_head_of_its_own)
{
    static const char *const frontiers[] = { "first", "", "third" };
    struct conform_batch batch = { .count = 0 };
    uint64_t size;

    for (size = 1; size <= 3; size++) {
        conform_add_leaf(&batch, conform_leaf(size - 1, "leaf"));
        conform_add_head(&batch, conform_head(size, frontiers[size - 1]));
        conform_commit_batch(&batch);
        check_log(size, frontiers[size - 1]);
    }
}
END_TEST

/* Whether what was said of a smaller log is still there is the driver's choice. */
START_TEST(the_head_counts_leaves_that_came_after_it)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    flagver_bytes frontier;
    struct conform_rows rows;
    flagver_driver_txn *txn;

    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_head(&batch, conform_head(1, "first"));
    conform_add_leaf(&batch, conform_leaf(1, "leaf"));
    conform_add_leaf(&batch, conform_leaf(2, "leaf"));
    conform_commit_batch(&batch);
    txn = conform_read();
    conform_one(txn, &query, &rows);
    ck_assert_uint_eq(rows.rows[0].as.log.size, 3);
    frontier = rows.rows[0].as.log.frontier;
    ck_assert(!frontier.data || conform_same(frontier, conform_text("first")));
    conform_free(&rows);
    conform_rollback(txn);
    conform_add_head(&batch, conform_head(3, "second"));
    conform_commit_batch(&batch);
    check_log(3, "second");
}
END_TEST

START_TEST(a_frontier_is_any_bytes)
{
    static uint8_t bytes[8 + 63 * 32];
    flagver_log_row head = conform_head(1, NULL);
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    size_t i;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 13);
    head.frontier = (flagver_bytes){ bytes, sizeof bytes };
    conform_add_leaf(&batch, conform_leaf(0, "leaf"));
    conform_add_head(&batch, head);
    conform_commit_batch(&batch);
    txn = conform_read();
    conform_one(txn, &query, &rows);
    ck_assert(conform_same(rows.rows[0].as.log.frontier, head.frontier));
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(a_head_has_the_size_of_the_log)
{
    struct conform_batch batch = { .count = 0 };
    uint64_t size;

    conform_add_head(&batch, conform_head(1, "first"));
    conform_refuse(&batch, "a head of an empty log that is not empty");
    append(0);
    append(1);
    for (size = 0; size <= 4; size++) {
        conform_add_head(&batch, conform_head(size, "head"));
        conform_check_allowed(&batch, size == 2, "a head of this or another size");
    }
    conform_add_head(&batch, conform_head(3, "early"));
    conform_add_leaf(&batch, conform_leaf(2, "leaf"));
    conform_refuse(&batch, "a head before its leaf");
    check_log(2, NULL);
}
END_TEST

START_TEST(each_tenant_has_a_head_and_nodes_of_its_own)
{
    static const char *const tenants[] = { "a", "b", "A" };
    const flagver_query nodes = { .kind = FLAGVER_QUERY_NODES, .no = 8 },
                        log = { .kind = FLAGVER_QUERY_LOG };
    struct conform_batch batch = { .count = 0 };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    uint64_t i, no;

    for (i = 0; i < 3; i++) {
        flagver_log_row head = conform_head(i + 1, tenants[i]);
        flagver_node_row node = conform_node(8, i);

        head.tenant = node.tenant = conform_text(tenants[i]);
        for (no = 0; no <= i; no++) {
            flagver_leaf_row leaf = conform_leaf(no, "leaf");

            leaf.tenant = head.tenant;
            conform_add_leaf(&batch, leaf);
        }
        conform_add_node(&batch, node);
        conform_add_head(&batch, head);
        txn = conform_begin(conform.store, tenants[i], FLAGVER_MODE_WRITE);
        assert_ok(conform_apply(txn, &batch));
        conform_commit(txn);
    }
    for (i = 0; i < 3; i++) {
        txn = conform_begin(conform.store, tenants[i], FLAGVER_MODE_READ);
        conform_one(txn, &log, &rows);
        ck_assert(conform_same(rows.rows[0].as.log.tenant, conform_text(tenants[i])));
        ck_assert(conform_same(rows.rows[0].as.log.frontier, conform_text(tenants[i])));
        ck_assert_uint_eq(rows.rows[0].as.log.size, i + 1);
        conform_free(&rows);
        conform_one(txn, &nodes, &rows);
        ck_assert(conform_same(rows.rows[0].as.node.tenant, conform_text(tenants[i])));
        ck_assert_uint_eq(rows.rows[0].as.node.index, i);
        conform_free(&rows);
        conform_rollback(txn);
    }
}
END_TEST

#define LEVELS 3
#define NODES 5

/* Which nodes there are is the library's business: a driver does not count leaves. */
static void make_nodes(void)
{
    struct conform_batch batch = { .count = 0 };
    flagver_driver_txn *txn = conform_write();
    uint32_t level;
    uint64_t i;

    for (level = 4 * LEVELS; level > 0; level -= 4)
        for (i = 0; i < NODES; i++)
            conform_add_node(&batch, conform_node(level, i * 2 % NODES));
    assert_ok(conform_apply(txn, &batch));
    conform_commit(txn);
}

START_TEST(nodes_of_a_level_come_in_order_from_an_index_on)
{
    flagver_query query = { .kind = FLAGVER_QUERY_NODES };
    struct conform_rows rows;
    flagver_driver_txn *txn;
    size_t i;

    make_nodes();
    txn = conform_read();
    for (query.no = 0; query.no <= 4 * (LEVELS + 1); query.no += 2)
        for (query.from = 0; query.from <= NODES + 1; query.from++)
            for (query.limit = 0; query.limit <= 2; query.limit += 2) {
                bool kept = query.no % 4 == 0 && query.no >= 4 && query.no <= 4 * LEVELS;
                size_t left = kept && query.from < NODES ? NODES - (size_t)query.from : 0;

                conform_scan(txn, &query, &rows);
                ck_assert_uint_eq(rows.count,
                                  query.limit && left > query.limit ? query.limit : left);
                for (i = 0; i < rows.count; i++) {
                    const flagver_node_row *got = &rows.rows[i].as.node;
                    flagver_node_row wanted = conform_node(query.no, query.from + i);

                    ck_assert_uint_eq(got->level, wanted.level);
                    ck_assert_uint_eq(got->index, wanted.index);
                    ck_assert(conform_same(got->tenant, wanted.tenant));
                    ck_assert(memcmp(got->hash, wanted.hash, sizeof got->hash) == 0);
                }
                conform_free(&rows);
            }
    conform_rollback(txn);
}
END_TEST

START_TEST(a_node_never_changes)
{
    flagver_query query = { .kind = FLAGVER_QUERY_NODES, .no = 8, .from = 2, .limit = 1 };
    struct conform_batch batch = { .count = 0 };
    flagver_node_row node = conform_node(8, 2);
    struct conform_rows rows;
    flagver_driver_txn *txn;

    make_nodes();
    conform_add_node(&batch, node);
    conform_refuse(&batch, "the same node again");
    node.hash[3] ^= 1;
    conform_add_node(&batch, node);
    conform_refuse(&batch, "a node with another hash");
    txn = conform_read();
    conform_one(txn, &query, &rows);
    ck_assert(memcmp(rows.rows[0].as.node.hash, conform_node(8, 2).hash, 32) == 0);
    conform_free(&rows);
    conform_rollback(txn);
}
END_TEST

START_TEST(nodes_are_of_every_fourth_level)
{
    static const uint32_t levels[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 16 };
    struct conform_batch batch = { .count = 0 };
    size_t i;

    for (i = 0; i < sizeof levels / sizeof *levels; i++) {
        conform_add_node(&batch, conform_node(levels[i], 0));
        conform_check_allowed(&batch, levels[i] && levels[i] % 4 == 0, "a node of this level");
    }
}
END_TEST

void conform_log_cases(Suite *suite)
{
    TCase *tcase = conform_tcase(suite, "the log");

    conform_add(tcase, 0, the_log_has_a_head_once_it_has_a_leaf);
    conform_add(tcase, 0, each_size_has_a_head_of_its_own);
    conform_add(tcase, 0, the_head_counts_leaves_that_came_after_it);
    conform_add(tcase, 0, a_frontier_is_any_bytes);
    conform_add(tcase, 0, a_head_has_the_size_of_the_log);
    conform_add(tcase, 0, each_tenant_has_a_head_and_nodes_of_its_own);
    conform_add(tcase, 0, nodes_of_a_level_come_in_order_from_an_index_on);
    conform_add(tcase, 0, a_node_never_changes);
    conform_add(tcase, NEEDS_RULES, nodes_are_of_every_fourth_level);
}
