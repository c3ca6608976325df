#include "models/dispersion/receptors.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "models/table/table.h"

#define RECEPTOR_M 1.5

int receptors_read(const char *path, struct receptors *ret_receptors, struct err *ret_err) {
    struct table *table = NULL;
    int rc = table_read(path, &table, ret_err);
    if (rc != 0) {
        return rc;
    }
    size_t count = table_rows(table), x = 0, y = 0, z = 0;
    const char *height = table_has(table, "z_m") ? "z_m" : "receptor_height_m";
    bool has_z = table_has(table, height);
    struct puff_receptor *list = calloc(count + 1, sizeof *list);
    double *v = calloc(3 * count + 1, sizeof *v);
    rc = list == NULL || v == NULL ? err_set(ret_err, ERR_MEMORY, "no memory for receptors") : 0;
    rc = rc != 0 ? rc : table_find(table, "x_east_m", &x, ret_err);
    rc = rc != 0 ? rc : table_find(table, "y_north_m", &y, ret_err);
    rc = rc != 0 || !has_z ? rc : table_find(table, height, &z, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, x, -1e7, 1e7, v, ret_err);
    rc = rc != 0 ? rc : table_numbers(table, y, -1e7, 1e7, v + count, ret_err);
    rc = rc != 0 || !has_z ? rc : table_numbers(table, z, 0, 5000, v + 2 * count, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        list[i] = (struct puff_receptor){
            .x_m = v[i], .y_m = v[count + i], .z_m = has_z ? v[2 * count + i] : RECEPTOR_M};
        if (isnan(v[i]) || isnan(v[count + i]) || isnan(list[i].z_m)) {
            rc = table_refuse(table, i, isnan(v[i]) ? x : y, ERR_INVALID, ret_err,
                              "a receptor needs a place and a height");
        }
    }
    if (rc == 0 && (count == 0 || count > PUFF_RECEPTORS_MAX)) {
        rc = err_set(ret_err, ERR_LIMIT, "%s: 1 to %d receptors", path, PUFF_RECEPTORS_MAX);
    }
    free(v);
    table_destroy(table);
    if (rc != 0) {
        free(list);
        return rc;
    }
    *ret_receptors = (struct receptors){count, list};
    return 0;
}
