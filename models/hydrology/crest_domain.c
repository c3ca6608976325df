#include "models/hydrology/crest_domain.h"

#include <math.h>
#include <stdlib.h>

/* The place in the file of a cell counted from north to south, and back. */
static size_t flipped(const struct grid *grid, size_t cell) {
    size_t row = cell / grid->columns, column = cell % grid->columns;
    bool ascending = grid->y[grid->rows - 1] > grid->y[0];
    return (ascending ? grid->rows - 1 - row : row) * grid->columns + column;
}

struct fields {
    size_t cells;
    double *elevation_m; /* from north to south, as all of these */
    double *area_m2;
    double *room;
    int32_t *d8;
    int32_t *downstream;
};

static void free_fields(struct fields *fields) {
    free(fields->elevation_m);
    free(fields->area_m2);
    free(fields->room);
    free(fields->d8);
    free(fields->downstream);
}

/* A field of the file, from north to south; the first one decides the grid. */
static int read_field(struct ncfile *file, const char *name, const char *units,
                      struct crest_domain *domain, struct fields *fields, double *ret_values,
                      struct err *ret_err) {
    struct ncvar *var = NULL;
    struct grid *grid = NULL;
    int rc = ncvar_open(file, name, NULL, units, &var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(var, &grid, ret_err);
    if (rc == 0 && !grid_same(domain->grid, grid)) {
        rc = err_set(ret_err, ERR_INVALID, "%.200s: %s has another grid", ncfile_name(file), name);
    }
    rc = rc != 0 ? rc : ncvar_read_f64(var, 0, fields->room, ret_err);
    for (size_t i = 0; rc == 0 && i < fields->cells; i++) {
        ret_values[i] = fields->room[flipped(domain->grid, i)];
    }
    grid_destroy(grid);
    ncvar_close(var);
    return rc;
}

static int open_grid(struct ncfile *file, const char *name, struct crest_domain *domain,
                     struct fields *fields, struct err *ret_err) {
    struct ncvar *var = NULL;
    int rc = ncvar_open(file, name, NULL, "1", &var, ret_err);
    rc = rc != 0 ? rc : ncvar_grid(var, &domain->grid, ret_err);
    ncvar_close(var);
    if (rc == 0 && domain->grid->curvilinear) {
        rc = err_set(ret_err, ERR_UNSUPPORTED, "%.200s: a curvilinear grid", ncfile_name(file));
    }
    if (rc != 0) {
        return rc;
    }
    size_t cells = fields->cells = domain->grid->rows * domain->grid->columns;
    fields->elevation_m = calloc(cells, sizeof(double));
    fields->area_m2 = calloc(cells, sizeof(double));
    fields->room = calloc(cells, sizeof(double));
    fields->d8 = calloc(cells, sizeof(int32_t));
    fields->downstream = calloc(cells, sizeof(int32_t));
    domain->cell_of_grid = calloc(cells, sizeof(int32_t));
    if (fields->elevation_m == NULL || fields->area_m2 == NULL || fields->room == NULL ||
        fields->d8 == NULL || fields->downstream == NULL || domain->cell_of_grid == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", cells);
    }
    return 0;
}

/* Ground area, from the projection where the file tells it, else from the distances in metres. */
static int read_areas(struct grid_env *env, struct crest_domain *domain, struct fields *fields,
                      struct err *ret_err) {
    const struct grid *grid = domain->grid;
    if (grid->crs[0] != '\0' || grid->degrees) {
        int rc = grid_cell_areas_m2(env, grid, fields->room, ret_err);
        if (rc != 0) {
            return rc;
        }
    } else {
        for (size_t i = 0; i < fields->cells; i++) {
            size_t row = i / grid->columns, column = i % grid->columns;
            fields->room[i] = fabs((grid->y_edge[row + 1] - grid->y_edge[row]) *
                                   (grid->x_edge[column + 1] - grid->x_edge[column]));
        }
    }
    for (size_t i = 0; i < fields->cells; i++) {
        fields->area_m2[i] = fields->room[flipped(grid, i)];
    }
    return 0;
}

static int read_fields(struct grid_env *env, const struct crest_domain_options *options,
                       struct crest_domain *domain, struct fields *fields, struct err *ret_err) {
    struct ncfile *file = NULL;
    int rc = ncfile_open(env, options->path, &file, ret_err);
    rc = rc != 0 ? rc : open_grid(file, options->d8, domain, fields, ret_err);
    rc = rc != 0 ? rc
                 : read_field(file, options->d8, "1", domain, fields, fields->elevation_m, ret_err);
    for (size_t i = 0; rc == 0 && i < fields->cells; i++) {
        double code = fields->elevation_m[i];
        fields->d8[i] = isnan(code) ? 0 : (int32_t)fmax(-1, fmin(code, 1000));
    }
    rc = rc != 0 ? rc
                 : read_field(file, options->elevation, "m", domain, fields, fields->elevation_m,
                              ret_err);
    ncfile_close(file);
    return rc != 0 ? rc : read_areas(env, domain, fields, ret_err);
}

static int make_arrays(struct crest_domain *domain, size_t count, bool interflow,
                       struct err *ret_err) {
    struct crest_grid *crest = &domain->crest;
    domain->parameters = calloc(count, sizeof *domain->parameters);
    domain->area_m2 = calloc(count, sizeof(double));
    domain->drained_km2 = calloc(count, sizeof(double));
    crest->water_mm = calloc(count, sizeof(double));
    crest->interflow_mm = interflow ? calloc(count, sizeof(double)) : NULL;
    crest->lateral_m3_s = calloc(count, sizeof(double));
    crest->evaporation_mm = calloc(count, sizeof(double));
    return domain->parameters == NULL || domain->area_m2 == NULL || domain->drained_km2 == NULL ||
                   crest->water_mm == NULL || (interflow && crest->interflow_mm == NULL) ||
                   crest->lateral_m3_s == NULL || crest->evaporation_mm == NULL
               ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", count)
               : 0;
}

/* Sums the areas down the network. */
static void drain(struct crest_domain *domain) {
    const struct network *network = domain->network;
    for (size_t p = 0; p < network->count; p++) {
        domain->drained_km2[p] += domain->area_m2[p] * 1e-6;
        if (network->downstream[p] != NETWORK_OUTLET) {
            domain->drained_km2[network->downstream[p]] += domain->drained_km2[p];
        }
    }
}

static int make_reaches(const struct crest_domain_options *options, struct crest_domain *domain,
                        const struct fields *fields, struct err *ret_err) {
    size_t count = domain->network->count;
    struct kinematic_reach *reaches = calloc(count, sizeof *reaches);
    double *height_m = calloc(count, sizeof *height_m);
    int rc = reaches == NULL || height_m == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for %zu cells", count)
                 : 0;
    for (size_t i = 0; rc == 0 && i < fields->cells; i++) {
        if (domain->cell_of_grid[i] >= 0) {
            height_m[domain->cell_of_grid[i]] = fields->elevation_m[i];
        }
    }
    for (size_t i = 0; rc == 0 && i < fields->cells; i++) {
        int32_t c = domain->cell_of_grid[i];
        if (c < 0) {
            continue;
        }
        int32_t place = domain->network->place_of[c], next = fields->downstream[c];
        bool diagonal = (fields->d8[i] & (2 | 8 | 32 | 128)) != 0;
        double length_m = sqrt(fields->area_m2[i]) * (diagonal ? sqrt(2.0) : 1);
        double fall_m = next == NETWORK_OUTLET ? 0 : height_m[c] - height_m[next];
        if (isnan(height_m[c])) {
            rc = err_set(ret_err, ERR_INVALID, "%.200s: a cell that drains has no elevation",
                         options->path);
        }
        reaches[c] = (struct kinematic_reach){
            length_m, options->width_1km2_m * pow(domain->drained_km2[place], 0.4),
            fmax(fall_m / length_m, CREST_SLOPE_MIN), options->manning};
    }
    rc = rc != 0 ? rc
                 : kinematic_create(domain->network, reaches, &domain->crest.kinematic, ret_err);
    free(reaches);
    free(height_m);
    return rc;
}

static int build(struct grid_env *env, const struct crest_domain_options *options,
                 struct crest_domain *domain, struct fields *fields, struct err *ret_err) {
    size_t count = 0;
    int rc = crest_check(&options->parameters, ret_err);
    rc = rc != 0 ? rc : read_fields(env, options, domain, fields, ret_err);
    rc = rc != 0 ? rc
                 : network_from_d8(domain->grid->rows, domain->grid->columns, fields->d8, &count,
                                   domain->cell_of_grid, fields->downstream, ret_err);
    if (rc == 0 && count == 0) {
        rc = err_set(ret_err, ERR_INVALID, "%.200s: no cell drains", options->path);
    }
    rc = rc != 0 ? rc : network_create(count, fields->downstream, NULL, &domain->network, ret_err);
    rc = rc != 0 ? rc : make_arrays(domain, count, options->interflow_h > 0, ret_err);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < fields->cells; i++) {
        if (domain->cell_of_grid[i] >= 0) {
            int32_t place = domain->network->place_of[domain->cell_of_grid[i]];
            domain->area_m2[place] = fields->area_m2[i];
            domain->parameters[place] = options->parameters;
            domain->crest.water_mm[place] = options->start_share * options->parameters.wm_mm;
        }
    }
    domain->crest.parameters = domain->parameters;
    domain->crest.area_m2 = domain->area_m2;
    domain->crest.interflow_h = options->interflow_h;
    drain(domain);
    return make_reaches(options, domain, fields, ret_err);
}

int crest_domain_create(struct grid_env *env, const struct crest_domain_options *options,
                        struct crest_domain **ret_domain, struct err *ret_err) {
    struct fields fields = {0};
    struct crest_domain *domain = calloc(1, sizeof *domain);
    if (domain == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory");
    }
    int rc = build(env, options, domain, &fields, ret_err);
    free_fields(&fields);
    if (rc != 0) {
        crest_domain_destroy(domain);
        return rc;
    }
    *ret_domain = domain;
    return 0;
}

struct crest_domain *crest_domain_destroy(struct crest_domain *domain) {
    if (domain != NULL) {
        kinematic_destroy(domain->crest.kinematic);
        free(domain->crest.water_mm);
        free(domain->crest.interflow_mm);
        free(domain->crest.lateral_m3_s);
        free(domain->crest.evaporation_mm);
        free(domain->parameters);
        free(domain->area_m2);
        free(domain->drained_km2);
        free(domain->cell_of_grid);
        network_destroy(domain->network);
        grid_destroy(domain->grid);
        free(domain);
    }
    return NULL;
}

/* The index of the cell of a grid that holds a point, in the order of the file. */
static int locate(const struct grid *grid, double x, double y, size_t *ret_index) {
    double row = 0, column = 0;
    if (!grid_locate(grid, x, y, &row, &column)) {
        return ERR_RANGE;
    }
    size_t r = (size_t)fmax(0, fmin(round(row), (double)(grid->rows - 1)));
    size_t c = (size_t)fmax(0, fmin(round(column), (double)(grid->columns - 1)));
    *ret_index = r * grid->columns + c;
    return 0;
}

int crest_domain_place(const struct crest_domain *domain, double x, double y, size_t *ret_place,
                       struct err *ret_err) {
    size_t index = 0;
    int32_t cell = -1;
    if (locate(domain->grid, x, y, &index) == 0) {
        cell = domain->cell_of_grid[flipped(domain->grid, index)];
    }
    if (cell < 0) {
        return err_set(ret_err, ERR_RANGE, "%g, %g is in no cell that drains", x, y);
    }
    *ret_place = (size_t)domain->network->place_of[cell];
    return 0;
}

int crest_domain_map(const struct crest_domain *domain, const struct grid *forcing,
                     size_t *ret_index, struct err *ret_err) {
    const struct grid *grid = domain->grid;
    if (forcing->curvilinear || forcing->degrees != grid->degrees) {
        return err_set(ret_err, ERR_INVALID,
                       "the forcing must be on a rectilinear grid in the coordinates of the "
                       "drainage grid");
    }
    for (size_t i = 0; i < grid->rows * grid->columns; i++) {
        int32_t cell = domain->cell_of_grid[i];
        size_t at = flipped(grid, i);
        double x = grid->x[at % grid->columns], y = grid->y[at / grid->columns];
        if (cell >= 0 && locate(forcing, x, y, &ret_index[domain->network->place_of[cell]]) != 0) {
            return err_set(ret_err, ERR_INVALID, "the cell at %g, %g lies outside the forcing", x,
                           y);
        }
    }
    return 0;
}

double crest_domain_stored_m3(const struct crest_domain *domain) {
    double sum = kinematic_stored_m3(domain->crest.kinematic);
    for (size_t p = 0; p < domain->network->count; p++) {
        double depth_mm = domain->crest.water_mm[p];
        depth_mm += domain->crest.interflow_mm != NULL ? domain->crest.interflow_mm[p] : 0;
        sum += depth_mm * 1e-3 * domain->area_m2[p];
    }
    return sum;
}
