#include "models/dispersion/zones.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/dispersion/local.h"
#include "models/nowcast/parallel.h"
#include "models/table/table.h"

#define HOUR_S     3600.0
#define GROUND_S   86400.0
#define MG_G       1e3
#define RECEPTOR_M 1.5
#define STEPS_FAR  30.0 /* steps that a puff takes to the edge */

enum { CELLS = REGION_CELLS * REGION_CELLS };

const struct zones_options zones_options_default = {
    5000, 0, 16, 10, 0.25, 1, 1, {false, {10000, 1, 1, (double)NAN}}};

double zones_exposure_s(const struct release *release, const struct zones_options *options) {
    return options->exposure_s > 0 ? options->exposure_s
           : release->continuous   ? HOUR_S
                                   : release->puff.duration_s;
}

/* The AEGL column that covers an exposure. */
static const char *aegl_column(double exposure_s) {
    return exposure_s <= 600     ? "t10min_mg_m3"
           : exposure_s <= 1800  ? "t30min_mg_m3"
           : exposure_s <= 3600  ? "t60min_mg_m3"
           : exposure_s <= 14400 ? "t4h_mg_m3"
                                 : "t8h_mg_m3";
}

static int take_level(const struct table *table, size_t row, size_t level_column, double value,
                      bool aegl, struct zones_levels *levels, struct err *ret_err) {
    struct zones_level *new_one = &levels->list[levels->count];
    int64_t level = 0;
    size_t name = 0;
    if (isnan(value)) {
        return 0; /* a level that is not recommended */
    }
    if (text_parse_int(table_text(table, row, level_column), 1, ZONES_LEVELS_MAX, &level) != 0 ||
        levels->count == ZONES_LEVELS_MAX ||
        (levels->count > 0 && !(value > levels->list[levels->count - 1].value))) {
        return table_refuse(table, row, level_column, ERR_INVALID, ret_err,
                            "levels 1 to %d with ascending values expected", ZONES_LEVELS_MAX);
    }
    new_one->level = (int)level;
    new_one->value = value;
    (void)snprintf(new_one->name, sizeof new_one->name, aegl ? "AEGL-%d" : "level %d", (int)level);
    if (!aegl && table_has(table, "name") && table_find(table, "name", &name, ret_err) == 0) {
        (void)snprintf(new_one->name, sizeof new_one->name, "%.31s", table_text(table, row, name));
    }
    levels->count++;
    return 0;
}

int zones_levels_read(const char *path, const struct release *release, double exposure_s,
                      struct zones_levels *ret_levels, struct err *ret_err) {
    struct table *table = NULL;
    struct zones_levels levels = {.dose = release->nuclide != NULL};
    size_t value = 0, level = 0, substance = 0;
    int rc = table_read(path, &table, ret_err);
    bool aegl = rc == 0 && table_has(table, "aegl_level");
    const char *column = aegl ? aegl_column(exposure_s) : levels.dose ? "dose_Sv" : "conc_mg_m3";
    rc = rc != 0 ? rc : table_find(table, aegl ? "aegl_level" : "level", &level, ret_err);
    rc = rc != 0 ? rc : table_find(table, column, &value, ret_err);
    rc = rc != 0 || !aegl ? rc : table_find(table, "substance", &substance, ret_err);
    double *values = calloc(rc == 0 ? table_rows(table) + 1 : 1, sizeof *values);
    rc = rc != 0          ? rc
         : values == NULL ? ERR_MEMORY
                          : table_numbers(table, value, 1e-12, 1e9, values, ret_err);
    for (size_t i = 0; rc == 0 && i < table_rows(table); i++) {
        if (!aegl || strcmp(table_text(table, i, substance), release->substance) == 0) {
            rc = take_level(table, i, level, values[i], aegl, &levels, ret_err);
        }
    }
    if (rc == 0 && levels.count == 0) {
        rc = err_set(ret_err, ERR_NOT_FOUND, "%s has no level for '%s'", path, release->substance);
    }
    free(values);
    table_destroy(table);
    if (rc == 0) {
        *ret_levels = levels;
    }
    return rc;
}

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform(uint64_t seed, uint64_t counter) {
    uint64_t z = mix(seed * UINT64_C(0x9e3779b97f4a7c15) + mix(counter + 1));
    return ((double)(z >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t seed, uint64_t counter) {
    return sqrt(-2 * log(uniform(seed, 2 * counter))) *
           cos(6.283185307179586 * uniform(seed, 2 * counter + 1));
}

/* The weather of a member: turned, faster or slower, every third one class less or more stable. */
static int make_member(const struct weather *told, const struct zones_options *o, size_t member,
                       struct weather *ret_weather, struct err *ret_err) {
    struct weather weather = *told;
    weather.rows = calloc(told->count, sizeof *weather.rows);
    weather.field = NULL; /* the field at the source, turned as a whole */
    if (weather.rows == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a member");
    }
    double turn = o->wind_sd_deg * normal(o->seed, 2 * member);
    double factor = exp(o->speed_sd_log * normal(o->seed, 2 * member + 1));
    int shift = member % 3 == 1 ? -1 : member % 3 == 2 ? 1 : 0;
    for (size_t i = 0; i < told->count; i++) {
        struct weather_row *row = &weather.rows[i];
        *row = told->rows[i];
        row->wind_from_deg = fmod(row->wind_from_deg + turn + 720, 360);
        row->wind_m_s = fmax(row->wind_m_s * factor, 0.5);
        if (!isnan(row->ustar_m_s)) {
            row->ustar_m_s *= factor;
        }
        if (row->stability >= 0) {
            row->stability = row->stability + shift < PLUME_A   ? (int)PLUME_A
                             : row->stability + shift > PLUME_F ? (int)PLUME_F
                                                                : row->stability + shift;
        }
    }
    *ret_weather = weather;
    return 0;
}

static double value_of(const struct release *release, const struct puff_receptor *r,
                       double exposure_s) {
    return release->nuclide != NULL ? results_dose_sv(release->nuclide, r, GROUND_S)
                                    : fmin(r->max, r->tic / exposure_s) * MG_G;
}

/* Values of all cells in one weather; arrivals too when asked for. */
static int fill(const struct release *release, const struct weather *weather,
                const struct results_options *options, const struct region *shape,
                double exposure_s, double *ret_value, double *ret_arrival_s, struct err *ret_err) {
    struct puff_receptor *cells = calloc(CELLS, sizeof *cells);
    double *unused = calloc(2 * CELLS, sizeof *unused); /* methods and errors */
    struct far_mass mass;
    if (cells == NULL || unused == NULL) {
        free(cells);
        free(unused);
        return err_set(ret_err, ERR_MEMORY, "no memory for a grid");
    }
    for (size_t i = 0; i < CELLS; i++) {
        cells[i].x_m = shape->west_m + ((double)(i % REGION_CELLS) + 0.5) * shape->dx_m;
        cells[i].y_m = shape->south_m + ((double)(i / REGION_CELLS) + 0.5) * shape->dy_m;
        cells[i].z_m = RECEPTOR_M;
    }
    int rc = 0;
    if (release->continuous) {
        struct weather_air air;
        rc = weather_air(&weather->rows[weather->count - 1], release->puff.method,
                         release->puff.curves, release->puff.height_m, &air, ret_err);
        for (size_t i = 0; rc == 0 && i < CELLS; i++) {
            rc = results_steady(release, &air, &cells[i], &ret_value[i], ret_err);
            ret_value[i] *= MG_G;
        }
    } else {
        rc = results_finite(release, weather, options, cells, CELLS, unused, unused + CELLS, &mass,
                            ret_err);
        for (size_t i = 0; rc == 0 && i < CELLS; i++) {
            ret_value[i] = value_of(release, &cells[i], exposure_s);
            if (ret_arrival_s != NULL) {
                ret_arrival_s[i] = cells[i].arrival_s;
            }
        }
    }
    free(cells);
    free(unused);
    return rc;
}

struct members {
    const struct release *release;
    const struct weather *weather;
    const struct zones_options *options;
    const struct region *shape;
    double exposure_s;
    double *values; /* [members][cells] */
    int rc[ZONES_MEMBERS_MAX];
    struct err errs[ZONES_MEMBERS_MAX];
};

static void run_members(void *context, int part, int begin, int end) {
    struct members *m = context;
    (void)part;
    for (int i = begin; i < end; i++) {
        struct weather weather = {0};
        struct results_options options = m->options->results;
        size_t quarter = options.far.particles / 4;
        options.far.particles = quarter > FAR_PARTICLES_MIN ? quarter : FAR_PARTICLES_MIN;
        options.far.threads = 1;
        m->rc[i] = make_member(m->weather, m->options, (size_t)i, &weather, &m->errs[i]);
        if (m->rc[i] == 0) {
            m->rc[i] = fill(m->release, &weather, &options, m->shape, m->exposure_s,
                            m->values + (size_t)i * CELLS, NULL, &m->errs[i]);
        }
        free(weather.rows);
    }
}

static int add_members(struct members *m, struct zones *zones, struct err *ret_err) {
    size_t members = m->options->members;
    m->values = calloc(members * CELLS + 1, sizeof *m->values);
    zones->probability = calloc(zones->levels.count * CELLS + 1, sizeof *zones->probability);
    if (m->values == NULL || zones->probability == NULL) {
        free(m->values);
        return err_set(ret_err, ERR_MEMORY, "no memory for %zu members", members);
    }
    parallel_rows(m->options->threads, (int)members, run_members, m);
    int rc = 0;
    for (size_t k = 0; rc == 0 && k < members; k++) {
        rc = m->rc[k] != 0 ? err_set(ret_err, m->rc[k], "%s", m->errs[k].text) : 0;
    }
    for (size_t i = 0; rc == 0 && i < CELLS; i++) {
        double sum = 0;
        for (size_t k = 0; k < members; k++) {
            double value = m->values[k * CELLS + i];
            sum += value;
            for (size_t l = 0; l < zones->levels.count; l++) {
                zones->probability[l * CELLS + i] +=
                    value >= zones->levels.list[l].value ? 1 / (double)members : 0;
            }
        }
        zones->mean[i] = sum / (double)members;
    }
    free(m->values);
    return rc;
}

int zones_run(const struct release *release, const struct weather *weather,
              const struct zones_options *options, const struct zones_levels *levels,
              struct zones *ret_zones, struct err *ret_err) {
    struct zones zones = {.levels = *levels, .exposure_s = zones_exposure_s(release, options)};
    struct release coarse = *release; /* with steps that suit the grid */
    double wind = 1e-3, step = 2 * options->reach_m / REGION_CELLS;
    if (!(options->reach_m >= 100 && options->reach_m <= 50000) ||
        options->members > ZONES_MEMBERS_MAX || (release->continuous && release->nuclide != NULL)) {
        return err_set(ret_err, ERR_RANGE,
                       "zones need a reach of 100 m to 50 km, at most %d members, and for a "
                       "nuclide a duration",
                       ZONES_MEMBERS_MAX);
    }
    for (size_t i = 0; i < weather->count; i++) {
        wind = fmax(wind, weather->rows[i].wind_m_s);
    }
    coarse.puff.step_s = fmax(options->reach_m / wind / STEPS_FAR, 5);
    zones.value =
        (struct region){release->puff.x_m - options->reach_m, release->puff.y_m - options->reach_m,
                        step, step, calloc(CELLS, sizeof(double))};
    zones.mean = calloc(CELLS, sizeof *zones.mean);
    zones.arrival_s = calloc(CELLS, sizeof *zones.arrival_s);
    int rc = zones.value.density == NULL || zones.mean == NULL || zones.arrival_s == NULL
                 ? err_set(ret_err, ERR_MEMORY, "no memory for a grid")
                 : 0;
    for (size_t i = 0; rc == 0 && i < CELLS; i++) {
        zones.arrival_s[i] = (double)NAN;
    }
    rc = rc != 0 ? rc
                 : fill(&coarse, weather, &options->results, &zones.value, zones.exposure_s,
                        zones.value.density, zones.arrival_s, ret_err);
    if (rc == 0 && options->members > 0) {
        struct members members = {.release = &coarse,
                                  .weather = weather,
                                  .options = options,
                                  .shape = &zones.value,
                                  .exposure_s = zones.exposure_s};
        rc = add_members(&members, &zones, ret_err);
    } else if (rc == 0) {
        memcpy(zones.mean, zones.value.density, CELLS * sizeof *zones.mean);
    }
    if (rc != 0) {
        zones_finish(&zones);
        return rc;
    }
    *ret_zones = zones;
    return 0;
}

void zones_finish(struct zones *zones) {
    region_finish(&zones->value);
    free(zones->mean);
    free(zones->probability);
    free(zones->arrival_s);
    *zones = (struct zones){0};
}

static double shoelace(const struct region_rings *rings, size_t ring) {
    double sum = 0;
    for (size_t i = rings->start[ring]; i + 1 < rings->start[ring + 1]; i++) {
        sum += rings->points[i][0] * rings->points[i + 1][1] -
               rings->points[i + 1][0] * rings->points[i][1];
    }
    return sum / 2;
}

static bool inside_ring(const struct region_rings *rings, size_t ring, double x, double y) {
    bool inside = false;
    for (size_t i = rings->start[ring]; i + 1 < rings->start[ring + 1]; i++) {
        const double *a = rings->points[i], *b = rings->points[i + 1];
        if ((a[1] > y) != (b[1] > y) && x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0])) {
            inside = !inside;
        }
    }
    return inside;
}

static json_t *ring_json(const struct region_rings *rings, size_t ring,
                         const struct weather_origin *origin) {
    json_t *list = json_array();
    for (size_t i = rings->start[ring]; i < rings->start[ring + 1]; i++) {
        double lon = 0, lat = 0;
        local_to_ground(origin, rings->points[i][0], rings->points[i][1], &lon, &lat);
        /* six decimals are a decimetre */
        json_array_append_new(list,
                              json_pack("[f,f]", round(lon * 1e6) / 1e6, round(lat * 1e6) / 1e6));
    }
    return list;
}

json_t *zones_polygons(const struct zones *zones, size_t level,
                       const struct weather_origin *origin) {
    struct region_rings rings = {0};
    if (region_outline(&zones->value, zones->levels.list[level].value, &rings) != 0) {
        return NULL;
    }
    json_t *polygons = json_array();
    for (size_t i = 0; i < rings.count; i++) {
        if (shoelace(&rings, i) <= 0) {
            continue;
        }
        json_t *polygon = json_array();
        json_array_append_new(polygon, ring_json(&rings, i, origin));
        for (size_t k = 0; k < rings.count; k++) {
            const double *corner = rings.points[rings.start[k]];
            /* a hole's first corner is its lower left one; half a cell inside is outside the zone
             */
            if (shoelace(&rings, k) < 0 && inside_ring(&rings, i, corner[0] + zones->value.dx_m / 2,
                                                       corner[1] + zones->value.dy_m / 2)) {
                json_array_append_new(polygon, ring_json(&rings, k, origin));
            }
        }
        json_array_append_new(polygons, polygon);
    }
    region_rings_finish(&rings);
    return polygons;
}

double zones_area_m2(const struct zones *zones, size_t level) {
    return region_area_m2(&zones->value, zones->levels.list[level].value);
}

double zones_reach_m(const struct zones *zones, const struct release *release, size_t level) {
    double far_m = 0;
    for (size_t i = 0; i < CELLS; i++) {
        double x = zones->value.west_m + ((double)(i % REGION_CELLS) + 0.5) * zones->value.dx_m;
        double y = zones->value.south_m + ((double)(i / REGION_CELLS) + 0.5) * zones->value.dy_m;
        if (zones->value.density[i] >= zones->levels.list[level].value) {
            far_m = fmax(far_m, hypot(x - release->puff.x_m, y - release->puff.y_m));
        }
    }
    return far_m;
}

int zones_level_of(const struct zones_levels *levels, double value) {
    int level = 0;
    for (size_t i = 0; i < levels->count; i++) {
        level = value >= levels->list[i].value ? levels->list[i].level : level;
    }
    return level;
}

int zones_level_at(const struct zones *zones, double x_m, double y_m, double *ret_value,
                   double *ret_arrival_s) {
    double c = floor((x_m - zones->value.west_m) / zones->value.dx_m);
    double r = floor((y_m - zones->value.south_m) / zones->value.dy_m);
    if (!(c >= 0 && c < REGION_CELLS && r >= 0 && r < REGION_CELLS)) {
        return -1;
    }
    size_t cell = (size_t)r * REGION_CELLS + (size_t)c;
    *ret_value = zones->value.density[cell];
    *ret_arrival_s = zones->arrival_s[cell];
    return zones_level_of(&zones->levels, zones->value.density[cell]);
}

bool zones_at_edge(const struct zones *zones) {
    bool reached = false;
    for (size_t i = 0; i < REGION_CELLS; i++) {
        const size_t cells[] = {i, CELLS - 1 - i, i * REGION_CELLS, (i + 1) * REGION_CELLS - 1};
        for (size_t k = 0; k < sizeof cells / sizeof *cells; k++) {
            reached = reached || zones->value.density[cells[k]] >= zones->levels.list[0].value;
        }
    }
    return reached;
}

int zones_grid(const struct zones *zones, const struct weather_origin *origin,
               struct grid **ret_grid, struct err *ret_err) {
    struct grid_mapping mapping = {0};
    double x[REGION_CELLS], y[REGION_CELLS];
    for (int i = 0; i < REGION_CELLS; i++) {
        x[i] = zones->value.west_m + (i + 0.5) * zones->value.dx_m;
        y[i] = zones->value.south_m + (i + 0.5) * zones->value.dy_m;
    }
    int rc = grid_mapping_plane(&mapping, origin->latitude_deg, origin->longitude_deg);
    rc = rc != 0 ? err_set(ret_err, rc, "no memory for a projection")
                 : grid_create(REGION_CELLS, REGION_CELLS, x, y, &mapping, ret_grid, ret_err);
    grid_mapping_finish(&mapping);
    return rc;
}
