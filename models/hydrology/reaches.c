#include "models/hydrology/reaches.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/hydrology/series.h"

void reaches_finish(struct reaches *reaches) {
    kinematic_destroy(reaches->kinematic);
    network_destroy(reaches->network);
    table_destroy(reaches->table);
    free(reaches->ids);
    *reaches = (struct reaches){0};
}

int32_t reaches_find(const struct reaches *reaches, const char *id) {
    for (size_t i = 0; i < reaches->count; i++) {
        if (strcmp(reaches->ids[i], id) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

/* Ids, links and keys (the rank of the id among all). */
static int read_links(struct reaches *reaches, int32_t *downstream, int64_t *key,
                      struct err *ret_err) {
    size_t id_column = 0, downstream_column = 0;
    int rc = table_find(reaches->table, "id", &id_column, ret_err);
    rc = rc != 0 ? rc : table_find(reaches->table, "downstream", &downstream_column, ret_err);
    for (size_t i = 0; rc == 0 && i < reaches->count; i++) {
        reaches->ids[i] = table_text(reaches->table, i, id_column);
        if (reaches->ids[i][0] == '\0' || strlen(reaches->ids[i]) >= TABLE_NAME_MAX) {
            rc = table_refuse(reaches->table, i, id_column, ERR_SYNTAX, ret_err,
                              "expected 1 to %d bytes", TABLE_NAME_MAX - 1);
        }
    }
    for (size_t i = 0; rc == 0 && i < reaches->count; i++) {
        const char *next = table_text(reaches->table, i, downstream_column);
        key[i] = 0;
        for (size_t k = 0; k < reaches->count; k++) {
            int order = strcmp(reaches->ids[k], reaches->ids[i]);
            key[i] += order < 0;
            if (order == 0 && k < i) {
                return table_refuse(reaches->table, i, id_column, ERR_EXISTS, ret_err,
                                    "'%s' is there twice", reaches->ids[i]);
            }
        }
        downstream[i] = next[0] == '\0' ? NETWORK_OUTLET : reaches_find(reaches, next);
        if (next[0] != '\0' && (downstream[i] < 0 || downstream[i] == (int32_t)i)) {
            return table_refuse(reaches->table, i, downstream_column, ERR_NOT_FOUND, ret_err,
                                "'%s' is not the id of another reach", next);
        }
    }
    return rc;
}

static int read_shapes(const struct reaches *reaches, struct kinematic_reach *shapes,
                       double *values, struct err *ret_err) {
    static const struct {
        const char *name;
        double min, max;
    } wanted[] = {
        {"length_m", 1, 1e7}, {"width_m", 0.1, 1e5}, {"slope", 1e-6, 1}, {"manning", 1e-3, 1}};
    for (size_t w = 0; w < 4; w++) {
        size_t column = 0;
        int rc = table_find(reaches->table, wanted[w].name, &column, ret_err);
        rc = rc != 0 ? rc
                     : table_numbers(reaches->table, column, wanted[w].min, wanted[w].max, values,
                                     ret_err);
        for (size_t i = 0; rc == 0 && i < reaches->count; i++) {
            double *fields[] = {&shapes[i].length_m, &shapes[i].width_m, &shapes[i].slope,
                                &shapes[i].manning};
            *fields[w] = values[i];
            if (isnan(values[i])) {
                rc = table_refuse(reaches->table, i, column, ERR_INVALID, ret_err,
                                  "a reach cannot do without");
            }
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int reaches_read(const char *path, struct reaches *ret_reaches, struct err *ret_err) {
    struct reaches reaches = {0};
    int rc = table_read(path, &reaches.table, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t count = reaches.count = table_rows(reaches.table);
    if (count == 0 || count > SERIES_COLUMNS_MAX) {
        reaches_finish(&reaches);
        return err_set(ret_err, ERR_LIMIT, "%s: %zu reaches; 1 to %d are possible", path, count,
                       SERIES_COLUMNS_MAX);
    }
    int32_t *downstream = calloc(count, sizeof *downstream);
    int64_t *key = calloc(count, sizeof *key);
    double *values = calloc(count, sizeof *values);
    struct kinematic_reach *shapes = calloc(count, sizeof *shapes);
    reaches.ids = calloc(count, sizeof *reaches.ids);
    if (downstream == NULL || key == NULL || values == NULL || shapes == NULL ||
        reaches.ids == NULL) {
        rc = err_set(ret_err, ERR_MEMORY, "no memory for %zu reaches", count);
    }
    rc = rc != 0 ? rc : read_links(&reaches, downstream, key, ret_err);
    rc = rc != 0 ? rc : read_shapes(&reaches, shapes, values, ret_err);
    rc = rc != 0 ? rc : network_create(count, downstream, key, &reaches.network, ret_err);
    rc = rc != 0 ? rc : kinematic_create(reaches.network, shapes, &reaches.kinematic, ret_err);
    free(downstream);
    free(key);
    free(values);
    free(shapes);
    if (rc != 0) {
        reaches_finish(&reaches);
        return rc;
    }
    *ret_reaches = reaches;
    return 0;
}

int reaches_select(const struct reaches *reaches, const char *points, bool *ret_shown,
                   struct err *ret_err) {
    for (size_t i = 0; i < reaches->count; i++) {
        ret_shown[i] =
            reaches->network->downstream[reaches->network->place_of[i]] == NETWORK_OUTLET;
    }
    while (points != NULL && *points != '\0') {
        size_t length = strcspn(points, ",");
        char id[TABLE_NAME_MAX] = "";
        if (length < sizeof id) {
            memcpy(id, points, length);
        }
        int32_t at = reaches_find(reaches, id);
        if (at < 0) {
            return err_set(ret_err, ERR_NOT_FOUND, "--points: '%.*s' is not the id of a reach",
                           (int)length, points);
        }
        ret_shown[at] = true;
        points += length + (points[length] == ',');
    }
    return 0;
}

static const char *const state_names[] = {"volume_m3", "outflow_m3_s", "root", "assumed_m3",
                                          "mark"};

int reaches_save(const char *path, const struct reaches *reaches, struct err *ret_err) {
    const struct kinematic *k = reaches->kinematic;
    struct table_out out;
    int rc = table_out_open(&out, path, ret_err);
    if (rc != 0) {
        return rc;
    }
    table_out_text(&out, "id");
    for (size_t c = 0; c < 5; c++) {
        table_out_text(&out, state_names[c]);
    }
    table_out_end_row(&out);
    for (size_t i = 0; i < reaches->count; i++) {
        int32_t p = reaches->network->place_of[i];
        table_out_text(&out, reaches->ids[i]);
        table_out_number(&out, k->volume_m3[p]);
        table_out_number(&out, k->outflow_m3_s[p]);
        table_out_number(&out, k->root[p]);
        table_out_number(&out, k->assumed_m3[p]);
        table_out_number(&out, k->mark[p]);
        table_out_end_row(&out);
    }
    return table_out_close(&out, true, ret_err);
}

static int load_rows(const char *path, const struct table *table, struct reaches *reaches,
                     double *values[5], struct err *ret_err) {
    struct kinematic *k = reaches->kinematic;
    size_t id_column = 0;
    int rc = table_find(table, "id", &id_column, ret_err);
    if (rc == 0 && table_rows(table) != reaches->count) {
        rc = err_set(ret_err, ERR_INVALID, "%.300s: the state has %zu reaches, the network %zu",
                     path, table_rows(table), reaches->count);
    }
    for (size_t c = 0; rc == 0 && c < 5; c++) {
        size_t column = 0;
        rc = table_find(table, state_names[c], &column, ret_err);
        /* A reservoir may owe water, so only the volume may be negative. */
        rc = rc != 0 ? rc
                     : table_numbers(table, column,
                                     c == 0   ? -1e15
                                     : c == 3 ? -1e15
                                              : 0,
                                     c == 4 ? KINEMATIC_RECOVERING : 1e15, values[c], ret_err);
    }
    for (size_t i = 0; rc == 0 && i < reaches->count; i++) {
        int32_t at = reaches_find(reaches, table_text(table, i, id_column));
        if (at < 0) {
            return table_refuse(table, i, id_column, ERR_NOT_FOUND, ret_err,
                                "the network has no such reach");
        }
        int32_t p = reaches->network->place_of[at];
        k->volume_m3[p] = values[0][i];
        k->outflow_m3_s[p] = values[1][i];
        k->root[p] = values[2][i];
        k->assumed_m3[p] = values[3][i];
        if (isnan(values[2][i]) || isnan(values[3][i]) || isnan(values[4][i])) {
            return table_refuse(table, i, id_column, ERR_CORRUPT, ret_err, "an empty field");
        }
        k->mark[p] = (uint8_t)values[4][i];
    }
    return rc;
}

int reaches_load(const char *path, struct reaches *reaches, struct err *ret_err) {
    struct table *table = NULL;
    double *values[5] = {0};
    int rc = table_read(path, &table, ret_err);
    if (rc != 0) {
        return rc;
    }
    for (size_t c = 0; c < 5; c++) {
        values[c] = calloc(table_rows(table) + 1, sizeof(double));
        rc = values[c] == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for the state") : rc;
    }
    rc = rc != 0 ? rc : load_rows(path, table, reaches, values, ret_err);
    for (size_t c = 0; c < 5; c++) {
        free(values[c]);
    }
    table_destroy(table);
    return rc;
}
