#include "models/hydrology/crest_fields.h"

#include <math.h>
#include <stdlib.h>

#include "models/grid/ncwrite.h"

enum { FIELDS = 5 + 2 * FFG_GRID_DURATIONS };

struct field {
    const char *name, *standard_name, *long_name, *units;
    const double *values;  /* by place; NULL: not written */
    const double *divisor; /* by place; NULL: none */
};

/* The fields of a grid lie from north to south in cell_of_grid; the file has the grid's own order.
 */
static void to_grid(const struct crest_domain *domain, const struct field *field, float *ret) {
    const struct grid *grid = domain->grid;
    bool ascending = grid->y[1] > grid->y[0];
    for (size_t r = 0; r < grid->rows; r++) {
        size_t from = ascending ? grid->rows - 1 - r : r;
        for (size_t c = 0; c < grid->columns; c++) {
            int32_t cell = domain->cell_of_grid[from * grid->columns + c];
            float value = NAN;
            if (cell >= 0) {
                int32_t p = domain->network->place_of[cell];
                value =
                    (float)(field->values[p] / (field->divisor != NULL ? field->divisor[p] : 1));
            }
            ret[r * grid->columns + c] = value;
        }
    }
}

static int put_all(const char *path, const struct crest_domain *domain,
                   const struct ncwrite_header *header, const struct field *fields, size_t count,
                   struct err *ret_err) {
    struct ncwrite_variable variables[FIELDS] = {0};
    struct ncwriter *writer = NULL;
    float *values = calloc(domain->grid->rows * domain->grid->columns, sizeof *values);
    if (values == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a field");
    }
    for (size_t i = 0; i < count; i++) {
        variables[i] = (struct ncwrite_variable){.name = fields[i].name,
                                                 .standard_name = fields[i].standard_name,
                                                 .long_name = fields[i].long_name,
                                                 .units = fields[i].units,
                                                 .type = NCWRITE_FLOAT};
    }
    int rc = ncwriter_create(path, header, variables, count, &writer, ret_err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        to_grid(domain, &fields[i], values);
        rc = ncwriter_put(writer, i, 0, 0, values, ret_err);
    }
    if (rc == 0) {
        rc = ncwriter_finish(writer, ret_err);
    } else {
        ncwriter_destroy(writer);
    }
    free(values);
    return rc;
}

int crest_fields_write(const char *path, const struct crest_domain *domain,
                       const struct crest_fields *in, int64_t reference_us, struct err *ret_err) {
    static const char *const guidance[] = {"ffg_1h", "ffg_3h", "ffg_6h"};
    static const char *const ratio[] = {"ffg_ratio_1h", "ffg_ratio_3h", "ffg_ratio_6h"};
    static const int64_t lead_s = 0;
    size_t places = domain->network->count, used = 0;
    const struct field all[5] = {
        {"discharge", "water_volume_transport_in_river_channel", "discharge at the end", "m3 s-1",
         in->discharge_m3_s, NULL},
        {"unit_streamflow", NULL, "discharge at the end per drained area", "m3 s-1 km-2",
         in->discharge_m3_s, domain->drained_km2},
        {"peak_discharge", NULL, "highest discharge since the reference time", "m3 s-1",
         in->peak_m3_s, NULL},
        {"peak_unit_streamflow", NULL,
         "highest discharge since the reference time per drained area", "m3 s-1 km-2",
         in->peak_m3_s, domain->drained_km2},
        {"soil_saturation", NULL, "soil store over its capacity at the end", "1", in->soil_share,
         NULL},
    };
    struct field fields[FIELDS];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].values != NULL) {
            fields[used++] = all[i];
        }
    }
    for (size_t d = 0; d < FFG_GRID_DURATIONS; d++) {
        if (in->guidance_mm != NULL) {
            fields[used++] = (struct field){guidance[d],
                                            NULL,
                                            "rain whose peak just reaches the threshold",
                                            "mm",
                                            in->guidance_mm + d * places,
                                            NULL};
        }
        if (in->ratio != NULL) {
            fields[used++] = (struct field){ratio[d],
                                            NULL,
                                            "most rain of the duration since the reference time "
                                            "over the guidance",
                                            "1",
                                            in->ratio + d * places,
                                            NULL};
        }
    }
    const struct ncwrite_header header = {.grid = domain->grid,
                                          .reference_utc_us = reference_us,
                                          .lead_count = 1,
                                          .lead_s = &lead_s,
                                          .title = "distributed flood model",
                                          .source = "canhbao-model crest-grid " CANHBAO_VERSION};
    return put_all(path, domain, &header, fields, used, ret_err);
}
