#include "model/graph.h"

#include <string.h>

/* Nodes are flags and, behind them, segments, both by slot. */
enum mark {
    UNSEEN,
    OPEN, /* on the way from the start to here */
    DONE
};

struct node {
    const struct fv_reference *refs;
    const char *name;
    uint32_t ref_count;
    uint32_t next;  /* the reference to follow next */
    uint32_t depth; /* longest way from here, once done */
    uint64_t tests; /* most tests from here, once done */
    enum mark mark;
};

struct graph {
    const struct fv_world *world;
    struct node *nodes;
    uint32_t *path; /* the open nodes */
    uint32_t path_length;
    struct fv_graph_problem *problem;
};

static uint32_t target(const struct graph *graph, const struct fv_reference *reference)
{
    return reference->to_flag ? reference->slot : graph->world->flag_count + reference->slot;
}

static bool fault(struct graph *graph, enum fv_graph_fault kind, uint32_t owner,
                  const struct fv_reference *reference)
{
    *graph->problem = (struct fv_graph_problem){ .fault = kind,
                                                 .owner = graph->nodes[owner].name,
                                                 .owner_is_flag = owner < graph->world->flag_count,
                                                 .reference = reference };
    return false;
}

/* Is what the reference names there? */
static bool resolve(struct graph *graph, uint32_t owner, const struct fv_reference *reference)
{
    const struct fv_flag *flag;

    if (!reference->to_flag)
        return graph->world->segments[reference->slot]
                   ? true
                   : fault(graph, FV_GRAPH_NO_SEGMENT, owner, reference);
    flag = graph->world->flags[reference->slot];
    if (!flag)
        return fault(graph, FV_GRAPH_NO_FLAG, owner, reference);
    if (fv_flag_variant(flag, reference->variant) == FV_NO_VARIANT)
        return fault(graph, FV_GRAPH_NO_VARIANT, owner, reference);
    return true;
}

/* All references of a node were followed: take over what lies behind the last one. */
static bool take_over(struct graph *graph, uint32_t from, const struct fv_reference *reference)
{
    struct node *node = &graph->nodes[from];
    const struct node *behind = &graph->nodes[target(graph, reference)];

    if (node->depth < behind->depth + 1)
        node->depth = behind->depth + 1;
    node->tests += behind->tests;
    if (node->depth > FV_REFERENCE_DEPTH)
        return fault(graph, FV_GRAPH_TOO_DEEP, from, reference);
    if (node->tests > FV_TEST_LIMIT)
        return fault(graph, FV_GRAPH_TOO_LONG, from, reference);
    return true;
}

static void push(struct graph *graph, uint32_t at)
{
    graph->nodes[at].mark = OPEN;
    graph->path[graph->path_length++] = at;
}

/* Follow one more reference of the innermost open node, or close it. */
static bool step(struct graph *graph)
{
    uint32_t at = graph->path[graph->path_length - 1], to;
    struct node *node = &graph->nodes[at];
    const struct fv_reference *reference;

    if (node->next == node->ref_count) {
        node->mark = DONE;
        graph->path_length--;
        return true;
    }

    reference = &node->refs[node->next];
    if (!resolve(graph, at, reference))
        return false;
    to = target(graph, reference);
    switch (graph->nodes[to].mark) {
    case UNSEEN:
        push(graph, to);
        return true;
    case OPEN:
        return fault(graph, FV_GRAPH_CYCLE, at, reference);
    default:
        node->next++;
        return take_over(graph, at, reference);
    }
}

static void fill(struct graph *graph)
{
    const struct fv_world *world = graph->world;
    const struct fv_segment *segment;
    const struct fv_plan *plan;
    uint32_t i;

    for (i = 0; i < world->flag_count; i++) {
        if (!world->flags[i])
            continue;
        graph->nodes[i] = (struct node){ .name = world->flags[i]->key, .tests = 1 };
        plan = world->flags[i]->body->plan;
        if (plan) {
            graph->nodes[i].refs = plan->refs;
            graph->nodes[i].ref_count = plan->ref_count;
            graph->nodes[i].tests += plan->leaf_count;
        }
    }
    for (i = 0; i < world->segment_count; i++) {
        segment = world->segments[i];
        if (segment)
            graph->nodes[world->flag_count + i] = (struct node){ .refs = segment->refs,
                                                                 .ref_count = segment->ref_count,
                                                                 .name = segment->name,
                                                                 .tests = 1 + segment->leaf_count };
    }
}

int fv_graph_check(const struct fv_world *world, const flagver_allocator *memory,
                   struct fv_graph_problem *ret_problem)
{
    struct graph graph = { .world = world, .problem = ret_problem };
    size_t count = (size_t)world->flag_count + world->segment_count, i;
    bool fine = true;

    *ret_problem = (struct fv_graph_problem){ .fault = FV_GRAPH_FINE };
    graph.nodes = fv_allocate_zeroed(memory, count, sizeof *graph.nodes);
    graph.path = fv_allocate_zeroed(memory, count, sizeof *graph.path);
    if (!graph.nodes || !graph.path) {
        fv_release(memory, graph.nodes);
        fv_release(memory, graph.path);
        return FLAGVER_ENOMEM;
    }

    fill(&graph);
    for (i = 0; fine && i < count; i++) {
        if (graph.nodes[i].mark == UNSEEN && graph.nodes[i].ref_count)
            push(&graph, (uint32_t)i);
        while (fine && graph.path_length)
            fine = step(&graph);
    }

    fv_release(memory, graph.nodes);
    fv_release(memory, graph.path);
    return 0;
}
