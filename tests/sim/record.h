/* The two logs that a judge compares with what the daemon did, JSON lines:
 * truth (what was served) and faults (what was done wrong on purpose). Every line carries `time`,
 * the scenario time. A log ends with an error at RECORD_BYTES_MAX. Thread rule: one thread. */
#ifndef CANHBAO_SIM_RECORD_H
#define CANHBAO_SIM_RECORD_H

#include <stdint.h>
#include <stdio.h>

#include "scenario.h"

#define RECORD_BYTES_MAX (INT64_C(4) << 30)

struct record {
    FILE *file; /* NULL: nobody asked for this log */
    const char *path;
    int64_t bytes;
    int error; /* the first failure; nothing is written after it */
};

int record_open(struct record *record, const char *path, struct err *ret_err);
/* Returns the first failure of the log's life. */
int record_close(struct record *record, struct err *ret_err);

/* A value that went into a reply. `fault` names the reply or value fault at work, or is NULL.
 * value: what the signal says; stored: what the registers express. */
void record_value(struct record *record, int64_t t_us, const struct sim_station *station,
                  const struct map_point *point, double value, double stored,
                  const uint16_t *registers, const char *fault);

/* event: "begin", "end" or "applied". station NULL: the fault's pattern. */
void record_fault(struct record *record, int64_t t_us, const struct fault *fault, const char *event,
                  const struct sim_station *station);

/* A file dropped into the inbox; bad NULL when it is a good one. */
void record_file(struct record *record, int64_t t_us, const char *name, int64_t valid_us,
                 const char *bad);

#endif
