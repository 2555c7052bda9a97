#include "model/graph.h"

#include <string.h>

/*
 * Nodes are flags and, behind them, segments, both by slot. One walk along the
 * references finds the strongly connected components, each after those it leads
 * to (R. Tarjan, Depth-First Search and Linear Graph Algorithms, 1972). Those of
 * several nodes, and nodes that refer to themselves, are cycles; of all others
 * everything is known that they refer to when their turn comes.
 */
struct node {
    const struct fv_reference *refs;
    uint32_t ref_count;
    uint32_t next;   /* the reference to follow next */
    uint32_t number; /* in the order of the walk, from 1; 0: not seen yet */
    uint32_t low;    /* the least number that can be reached; the same in all of a component */
    uint32_t depth;  /* longest way from here, once judged */
    uint64_t tests;  /* most tests from here, once judged */
    bool there;
    bool open; /* its component is not complete */
    bool bad;
};

struct graph {
    const struct fv_world *world;
    struct node *nodes;
    uint32_t *path; /* from the start of the walk to where it is */
    uint32_t *open; /* the open nodes */
    uint32_t path_length, open_count, seen;
    bool (*report)(void *data, const struct fv_graph_problem *problem);
    void *data;
};

static uint32_t target(const struct graph *graph, const struct fv_reference *reference)
{
    return reference->to_flag ? reference->slot : graph->world->flag_count + reference->slot;
}

/* False when nobody wants to hear more. */
static bool fault(struct graph *graph, enum fv_graph_fault kind, uint32_t at,
                  const struct fv_reference *reference)
{
    const struct fv_world *world = graph->world;
    struct fv_graph_problem problem = { .fault = kind, .reference = reference };

    graph->nodes[at].bad = true;
    problem.owner_is_flag = at < world->flag_count;
    problem.owner_slot = problem.owner_is_flag ? at : at - world->flag_count;
    problem.owner = problem.owner_is_flag ? world->flags[at]->key
                                          : world->segments[problem.owner_slot]->name;
    return graph->report(graph->data, &problem);
}

/* Is what the reference names there? */
static bool resolves(const struct graph *graph, const struct fv_reference *reference,
                     enum fv_graph_fault *ret_fault)
{
    const struct node *node = &graph->nodes[target(graph, reference)];
    const struct fv_flag *flag;

    if (!reference->to_flag) {
        *ret_fault = node->there ? FV_GRAPH_BAD_SEGMENT : FV_GRAPH_NO_SEGMENT;
        return node->there && !node->bad;
    }
    *ret_fault = node->there ? FV_GRAPH_NO_VARIANT : FV_GRAPH_NO_FLAG;
    flag = graph->world->flags[reference->slot];
    return flag && (flag->error || fv_flag_variant(flag, reference->variant) != FV_NO_VARIANT);
}

/* A node that is on no cycle, and all behind it is known. */
static bool judge(struct graph *graph, uint32_t at)
{
    struct node *node = &graph->nodes[at];
    const struct fv_reference *reference;
    enum fv_graph_fault kind;
    const struct node *behind;
    uint32_t i;

    for (i = 0; i < node->ref_count; i++) {
        reference = &node->refs[i];
        if (!resolves(graph, reference, &kind))
            return fault(graph, kind, at, reference);
        behind = &graph->nodes[target(graph, reference)];
        if (node->depth < (behind->bad ? 0 : behind->depth) + 1)
            node->depth = (behind->bad ? 0 : behind->depth) + 1;
        node->tests += behind->bad ? 1 : behind->tests;
        if (node->depth > FV_REFERENCE_DEPTH)
            return fault(graph, FV_GRAPH_TOO_DEEP, at, reference);
        if (node->tests > FV_TEST_LIMIT)
            return fault(graph, FV_GRAPH_TOO_LONG, at, reference);
    }
    return true;
}

/* The first reference that stays inside the node's own component; NULL: none does. */
static const struct fv_reference *way_back(const struct graph *graph, uint32_t at)
{
    const struct node *node = &graph->nodes[at];
    uint32_t i;

    for (i = 0; i < node->ref_count; i++)
        if (graph->nodes[target(graph, &node->refs[i])].low == node->low)
            return &node->refs[i];
    return NULL;
}

/* The component that `root` was the first of: the open nodes from there on. */
static bool complete(struct graph *graph, uint32_t root)
{
    uint32_t first = graph->open_count, i;
    const struct fv_reference *back;
    bool more = true;

    do {
        graph->nodes[graph->open[--first]].open = false;
        graph->nodes[graph->open[first]].low = graph->nodes[root].number;
    } while (graph->open[first] != root);

    for (i = first; more && i < graph->open_count; i++) {
        back = way_back(graph, graph->open[i]);
        more = back ? fault(graph, FV_GRAPH_CYCLE, graph->open[i], back)
                    : judge(graph, graph->open[i]);
    }
    graph->open_count = first;
    return more;
}

static void enter(struct graph *graph, uint32_t at)
{
    struct node *node = &graph->nodes[at];

    node->number = node->low = ++graph->seen;
    node->open = true;
    graph->path[graph->path_length++] = at;
    graph->open[graph->open_count++] = at;
}

static void lower(struct node *node, uint32_t number)
{
    if (node->low > number)
        node->low = number;
}

/* Follow one more reference of the node where the walk is, or go back. */
static bool step(struct graph *graph)
{
    uint32_t at = graph->path[graph->path_length - 1], to;
    struct node *node = &graph->nodes[at];
    const struct node *behind;

    if (node->next < node->ref_count) {
        to = target(graph, &node->refs[node->next++]);
        behind = &graph->nodes[to];
        if (behind->open)
            lower(node, behind->number);
        else if (!behind->number && behind->ref_count)
            enter(graph, to);
        return true;
    }

    graph->path_length--;
    if (graph->path_length)
        lower(&graph->nodes[graph->path[graph->path_length - 1]], node->low);
    return node->low == node->number ? complete(graph, at) : true;
}

static void fill(struct graph *graph)
{
    const struct fv_world *world = graph->world;
    const struct fv_segment *segment;
    const struct fv_plan *plan;
    struct node *node;
    uint32_t i;

    for (i = 0; i < world->flag_count; i++) {
        if (!world->flags[i])
            continue;
        node = &graph->nodes[i];
        *node = (struct node){ .there = true, .tests = 1, .bad = world->flags[i]->error != 0 };
        plan = world->flags[i]->body->plan;
        if (plan) {
            node->refs = plan->refs;
            node->ref_count = plan->ref_count;
            node->tests += plan->leaf_count;
        }
    }
    for (i = 0; i < world->segment_count; i++) {
        segment = world->segments[i];
        if (segment)
            graph->nodes[world->flag_count + i] = (struct node){ .there = true,
                                                                 .refs = segment->refs,
                                                                 .ref_count = segment->ref_count,
                                                                 .tests = 1 + segment->leaf_count,
                                                                 .bad = segment->why != NULL };
    }
}

static void walk(struct graph *graph, size_t count)
{
    bool more = true;
    size_t i;

    for (i = 0; more && i < count; i++) {
        if (!graph->nodes[i].number && graph->nodes[i].ref_count)
            enter(graph, (uint32_t)i);
        while (more && graph->path_length)
            more = step(graph);
    }
}

int fv_graph_check(const struct fv_world *world, const flagver_allocator *memory,
                   bool (*report)(void *data, const struct fv_graph_problem *problem), void *data)
{
    struct graph graph = { .world = world, .report = report, .data = data };
    size_t count = (size_t)world->flag_count + world->segment_count;

    graph.nodes = fv_allocate_zeroed(memory, count, sizeof *graph.nodes);
    graph.path = fv_allocate_zeroed(memory, count * 2, sizeof *graph.path);
    if (graph.nodes && graph.path) {
        graph.open = graph.path + count;
        fill(&graph);
        walk(&graph, count);
    }
    fv_release(memory, graph.nodes);
    fv_release(memory, graph.path);
    return graph.nodes && graph.path ? 0 : FLAGVER_ENOMEM;
}
