#include "models/hydrology/network.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PART_CELLS_MIN = 64, PARTS_WANTED = 32 };

struct network *network_destroy(struct network *network) {
    if (network != NULL) {
        free(network->cell_of);
        free(network->place_of);
        free(network->downstream);
        free(network->first);
        free(network->upstream);
        free(network->cells_above);
        free(network->part);
        free(network);
    }
    return NULL;
}

/* Cells with their upstream lists in the caller's order, while the network is being built. */
struct draft {
    const int32_t *downstream;
    const int64_t *key;
    int32_t *first;
    int32_t *upstream;
    int32_t *above;
    int32_t *stack;
    size_t count;
};

static int64_t key_of(const struct draft *draft, int32_t cell) {
    return draft->key == NULL ? cell : draft->key[cell];
}

static int check_links(const struct draft *draft, struct err *ret_err) {
    for (size_t i = 0; i < draft->count; i++) {
        int32_t next = draft->downstream[i];
        if (next < NETWORK_OUTLET || next >= (int64_t)draft->count || next == (int64_t)i) {
            return err_set(ret_err, ERR_RANGE, "cell %zu drains to cell %d of %zu", i, next,
                           draft->count);
        }
    }
    return 0;
}

/* Fills first/upstream by counting; each list sorted by key (at most a handful long). */
static int list_upstream(struct draft *draft, struct err *ret_err) {
    for (size_t i = 0; i < draft->count; i++) {
        if (draft->downstream[i] >= 0) {
            draft->first[draft->downstream[i] + 1]++;
        }
    }
    for (size_t i = 0; i < draft->count; i++) {
        draft->first[i + 1] += draft->first[i];
    }
    memset(draft->stack, 0, draft->count * sizeof *draft->stack); /* entries so far, for now */
    for (size_t i = 0; i < draft->count; i++) {
        int32_t next = draft->downstream[i];
        if (next < 0) {
            continue;
        }
        int32_t *list = draft->upstream + draft->first[next];
        int32_t at = draft->stack[next]++;
        while (at > 0 && key_of(draft, list[at - 1]) > key_of(draft, (int32_t)i)) {
            list[at] = list[at - 1];
            at--;
        }
        if (at > 0 && key_of(draft, list[at - 1]) == key_of(draft, (int32_t)i)) {
            return err_set(ret_err, ERR_INVALID, "cells %d and %zu have the same key", list[at - 1],
                           i);
        }
        list[at] = (int32_t)i;
    }
    return 0;
}

/* Counts the cells above each cell, from the sources down; a cell of a circle is never reached. */
static int count_above(struct draft *draft, int32_t *waiting, struct err *ret_err) {
    size_t top = 0;
    size_t done = 0;
    for (size_t i = 0; i < draft->count; i++) {
        waiting[i] = draft->first[i + 1] - draft->first[i];
        draft->above[i] = 1;
        if (waiting[i] == 0) {
            draft->stack[top++] = (int32_t)i;
        }
    }
    while (top > 0) {
        int32_t cell = draft->stack[--top];
        int32_t next = draft->downstream[cell];
        done++;
        if (next >= 0) {
            draft->above[next] += draft->above[cell];
            if (--waiting[next] == 0) {
                draft->stack[top++] = next;
            }
        }
    }
    for (size_t i = 0; done < draft->count && i < draft->count; i++) {
        if (waiting[i] > 0) {
            return err_set(ret_err, ERR_INVALID,
                           "the flow runs in a circle through or above cell %zu", i);
        }
    }
    return 0;
}

/* Writes the subtree of `root` into the places, deepest first, without the cells that are placed.
 */
static size_t place_subtree(struct network *network, const struct draft *draft, int32_t root,
                            size_t at) {
    size_t top = 0;
    size_t begin = at;
    draft->stack[top++] = root;
    while (top > 0) { /* parents before children; turned round below */
        int32_t cell = draft->stack[--top];
        network->cell_of[at++] = cell;
        for (int32_t k = draft->first[cell]; k < draft->first[cell + 1]; k++) {
            if (network->place_of[draft->upstream[k]] < 0) {
                draft->stack[top++] = draft->upstream[k];
            }
        }
    }
    for (size_t i = begin, k = at - 1; i < k; i++, k--) {
        int32_t swap = network->cell_of[i];
        network->cell_of[i] = network->cell_of[k];
        network->cell_of[k] = swap;
    }
    for (size_t i = begin; i < at; i++) {
        network->place_of[network->cell_of[i]] = (int32_t)i;
    }
    return at;
}

static void place_all(struct network *network, const struct draft *draft) {
    size_t limit = draft->count / PARTS_WANTED;
    size_t at = 0;
    limit = limit < PART_CELLS_MIN ? PART_CELLS_MIN : limit;
    memset(network->place_of, 0xff, draft->count * sizeof *network->place_of);
    for (size_t i = 0; i < draft->count; i++) {
        int32_t next = draft->downstream[i];
        bool small = (size_t)draft->above[i] <= limit;
        if (small && (next < 0 || (size_t)draft->above[next] > limit)) {
            /* Small neighbours share a part, so that parts are of like size. */
            if (network->part_count == 0 ||
                at - (size_t)network->part[network->part_count - 1] >= limit) {
                network->part[network->part_count++] = (int32_t)at;
            }
            at = place_subtree(network, draft, (int32_t)i, at);
        }
    }
    network->part[network->part_count] = (int32_t)at;
    for (size_t i = 0; i < draft->count; i++) {
        if (draft->downstream[i] < 0 && network->place_of[i] < 0) {
            at = place_subtree(network, draft, (int32_t)i, at);
        }
    }
    int32_t fill = 0;
    for (size_t p = 0; p < draft->count; p++) {
        int32_t cell = network->cell_of[p];
        int32_t next = draft->downstream[cell];
        network->downstream[p] = next < 0 ? NETWORK_OUTLET : network->place_of[next];
        network->cells_above[p] = draft->above[cell];
        network->first[p] = fill;
        for (int32_t k = draft->first[cell]; k < draft->first[cell + 1]; k++) {
            network->upstream[fill++] = network->place_of[draft->upstream[k]];
        }
    }
    network->first[draft->count] = fill;
}

int network_create(size_t count, const int32_t *downstream, const int64_t *key,
                   struct network **ret_network, struct err *ret_err) {
    if (count == 0 || count > NETWORK_CELLS_MAX) {
        return err_set(ret_err, ERR_LIMIT, "a network of %zu cells; 1 to %zu are possible", count,
                       NETWORK_CELLS_MAX);
    }
    struct network *network = calloc(1, sizeof *network);
    struct draft draft = {.downstream = downstream, .key = key, .count = count};
    int32_t *waiting = calloc(count, sizeof *waiting);
    draft.first = calloc(count + 1, sizeof *draft.first);
    draft.upstream = calloc(count, sizeof *draft.upstream);
    draft.above = calloc(count, sizeof *draft.above);
    draft.stack = calloc(count, sizeof *draft.stack);
    int rc = network == NULL || waiting == NULL || draft.first == NULL || draft.upstream == NULL ||
                     draft.above == NULL || draft.stack == NULL
                 ? ERR_MEMORY
                 : 0;
    if (rc == 0) {
        network->count = count;
        network->cell_of = calloc(count, sizeof *network->cell_of);
        network->place_of = calloc(count, sizeof *network->place_of);
        network->downstream = calloc(count, sizeof *network->downstream);
        network->first = calloc(count + 1, sizeof *network->first);
        network->upstream = calloc(count, sizeof *network->upstream);
        network->cells_above = calloc(count, sizeof *network->cells_above);
        network->part = calloc(count + 1, sizeof *network->part);
        rc = network->cell_of == NULL || network->place_of == NULL || network->downstream == NULL ||
                     network->first == NULL || network->upstream == NULL ||
                     network->cells_above == NULL || network->part == NULL
                 ? ERR_MEMORY
                 : 0;
    }
    if (rc == ERR_MEMORY) {
        (void)err_set(ret_err, rc, "no memory for a network of %zu cells", count);
    }
    rc = rc != 0 ? rc : check_links(&draft, ret_err);
    rc = rc != 0 ? rc : list_upstream(&draft, ret_err);
    rc = rc != 0 ? rc : count_above(&draft, waiting, ret_err);
    if (rc == 0) {
        place_all(network, &draft);
        *ret_network = network;
    } else {
        network_destroy(network);
    }
    free(waiting);
    free(draft.first);
    free(draft.upstream);
    free(draft.above);
    free(draft.stack);
    return rc;
}

static bool d8_step(int32_t code, int *ret_row, int *ret_column) {
    static const struct {
        int code, row, column;
    } steps[] = {{1, 0, 1},   {2, 1, 1},    {4, 1, 0},   {8, 1, -1},
                 {16, 0, -1}, {32, -1, -1}, {64, -1, 0}, {128, -1, 1}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (steps[i].code == code) {
            *ret_row = steps[i].row;
            *ret_column = steps[i].column;
            return true;
        }
    }
    return false;
}

int network_from_d8(size_t rows, size_t columns, const int32_t *d8, size_t *ret_count,
                    int32_t *ret_cell_of_grid, int32_t *ret_downstream, struct err *ret_err) {
    size_t count = 0;
    if (rows == 0 || columns == 0 || rows > NETWORK_CELLS_MAX / columns) {
        return err_set(ret_err, ERR_LIMIT, "a flow direction grid of %zu x %zu", rows, columns);
    }
    for (size_t i = 0; i < rows * columns; i++) {
        int row = 0, column = 0;
        if (d8[i] > 0 && !d8_step(d8[i], &row, &column)) {
            return err_set(ret_err, ERR_INVALID,
                           "flow direction %d in row %zu, column %zu is none of 1, 2, 4, ... 128",
                           d8[i], i / columns, i % columns);
        }
        ret_cell_of_grid[i] = d8[i] > 0 ? (int32_t)count++ : -1;
    }
    for (size_t i = 0; i < rows * columns; i++) {
        int row = 0, column = 0;
        if (d8[i] <= 0) {
            continue;
        }
        (void)d8_step(d8[i], &row, &column); /* checked above */
        int64_t to_row = (int64_t)(i / columns) + row;
        int64_t to_column = (int64_t)(i % columns) + column;
        bool inside =
            to_row >= 0 && to_column >= 0 && to_row < (int64_t)rows && to_column < (int64_t)columns;
        ret_downstream[ret_cell_of_grid[i]] =
            inside ? ret_cell_of_grid[to_row * (int64_t)columns + to_column] : NETWORK_OUTLET;
    }
    *ret_count = count;
    return 0;
}
