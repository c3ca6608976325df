/* A function of time given by points, and reproducible noise. */
#ifndef CANHBAO_SIM_TABLE_H
#define CANHBAO_SIM_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "doc.h"

enum { TABLE_POINTS_MAX = 200000 };

struct table_point {
    int64_t t_us;
    double value;
};

struct table {
    struct table_point *points; /* times strictly ascending */
    size_t count;
    bool step; /* hold the last point instead of going linearly to the next */
};

/* A list of [time, value] pairs. */
int table_load_inline(struct table *table, struct doc *doc, yaml_node_t *list, struct err *ret_err);

/* A CSV file with a header line: the first column is the time (RFC 3339 or +duration), the value is
 * in the named column. Lines that start with # are skipped. A relative path counts from the
 * scenario's folder. */
int table_load_csv(struct table *table, struct doc *doc, yaml_node_t *node, const char *file,
                   const char *column, struct err *ret_err);
void table_free(struct table *table);

/* Before the first and after the last point the nearest value holds. */
double table_at(const struct table *table, int64_t t_us);

/* splitmix64 of a state made of four numbers: the same four give the same bits everywhere. */
uint64_t noise_bits(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);
/* [0, 1) and standard normal (Box and Muller 1958). */
double noise_uniform(uint64_t bits);
double noise_gauss(uint64_t seed, uint64_t a, uint64_t b, uint64_t c);
/* FNV-1a, 64 bit. */
uint64_t noise_hash(const char *text);

#endif
