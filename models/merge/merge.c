#include "models/merge/merge.h"

#include <math.h>
#include <stdlib.h>

#include "models/merge/kriging.h"
#include "models/nowcast/parallel.h"

/* Work that the errors of kriging may take; beyond it they are told on a lattice. */
static const double error_work_max = 4e9;

/* Values at places with what is needed to spread them. */
struct layer {
    size_t count;
    struct place *places;
    double *values;
    double *weights; /* [count + 1] */
    struct kriging *kriging;
    struct variogram variogram;
};

struct work {
    const struct merge_input *input;
    struct merge_result *result;
    struct place *site_place;
    double *site_radar;       /* NAN: none */
    struct layer gauges;      /* all sites */
    struct layer differences; /* sites with radar: gauge minus corrected radar */
    size_t *difference_site;  /* [differences.count] */
    size_t *difference_of;    /* [sites], MERGE_OUTSIDE: without radar */
};

static void layer_finish(struct layer *layer) {
    free(layer->places);
    free(layer->values);
    free(layer->weights);
    layer->kriging = kriging_destroy(layer->kriging);
}

static int layer_init(struct layer *layer, size_t count) {
    layer->places = calloc(count + 1, sizeof *layer->places);
    layer->values = calloc(count + 1, sizeof *layer->values);
    layer->weights = calloc(count + 1, sizeof *layer->weights);
    return layer->places == NULL || layer->values == NULL || layer->weights == NULL ? ERR_MEMORY
                                                                                    : ERR_OK;
}

static int layer_krige(struct layer *layer) {
    int result = variogram_fit(layer->count, layer->places, layer->values, &layer->variogram);
    if (result == ERR_OK) {
        result = kriging_create(layer->count, layer->places, &layer->variogram, &layer->kriging);
    }
    if (result == ERR_OK) {
        kriging_weigh(layer->kriging, layer->values, layer->weights);
    }
    return result;
}

/* ---- sites ---- */

/* The site of a gauge that shares its cell or place with an earlier one, else `sites`. */
static size_t find_site(const struct work *work, const size_t *cells, size_t cell,
                        struct place place) {
    size_t i = 0;
    while (i < work->result->sites &&
           (cells[i] != cell ||
            (cell == MERGE_OUTSIDE && place_distance_km(work->site_place[i], place) > 0.0))) {
        i++;
    }
    return i;
}

static int find_sites(struct work *work) {
    const struct merge_input *input = work->input;
    struct merge_result *result = work->result;
    size_t most = input->gauge_count + 1;
    size_t *cells = malloc(most * sizeof *cells);
    size_t *shared = calloc(most, sizeof *shared);
    work->site_place = malloc(most * sizeof *work->site_place);
    work->site_radar = malloc(most * sizeof *work->site_radar);
    result->site_value = calloc(most, sizeof *result->site_value);
    result->site_estimate = calloc(most, sizeof *result->site_estimate);
    result->site_gauge = calloc(most, sizeof *result->site_gauge);
    int code = cells == NULL || shared == NULL || work->site_place == NULL ||
                       work->site_radar == NULL || result->site_value == NULL ||
                       result->site_estimate == NULL || result->site_gauge == NULL
                   ? ERR_MEMORY
                   : ERR_OK;
    for (size_t g = 0; g < input->gauge_count && code == ERR_OK; g++) {
        const struct merge_gauge *gauge = &input->gauges[g];
        if (isnan(gauge->value)) {
            continue;
        }
        bool inside = gauge->cell != MERGE_OUTSIDE;
        struct place place = inside ? input->places[gauge->cell] : gauge->place;
        size_t i = find_site(work, cells, gauge->cell, place);
        if (i == result->sites) {
            result->sites++;
            cells[i] = gauge->cell;
            work->site_place[i] = place;
            work->site_radar[i] =
                inside && input->radar != NULL ? (double)input->radar[gauge->cell] : NAN;
            result->site_gauge[i] = g;
            result->site_estimate[i] = NAN;
        }
        shared[i]++;
        result->site_value[i] += (gauge->value - result->site_value[i]) / (double)shared[i];
    }
    free(cells);
    free(shared);
    return code == ERR_OK && result->sites > KRIGING_VALUES_MAX ? ERR_LIMIT : code;
}

/* ---- mean-field bias ---- */

/* `without`: a site left out, MERGE_OUTSIDE for none. */
static double find_factor(const struct work *work, size_t without, bool *ret_trusted) {
    double gauges = 0.0;
    double radar = 0.0;
    int pairs = 0;
    for (size_t i = 0; i < work->result->sites; i++) {
        if (i == without || isnan(work->site_radar[i])) {
            continue;
        }
        gauges += work->result->site_value[i];
        radar += work->site_radar[i];
        pairs += work->result->site_value[i] > 0.0 && work->site_radar[i] > 0.0;
    }
    bool enough = pairs >= MERGE_PAIRS_MIN;
    double factor = enough ? gauges / radar : 1.0;
    double limited = fmin(fmax(factor, 1.0 / MERGE_FACTOR_MAX), MERGE_FACTOR_MAX);
    *ret_trusted = enough && limited == factor;
    return limited;
}

static int find_differences(struct work *work) {
    size_t sites = work->result->sites;
    work->difference_site = malloc((sites + 1) * sizeof *work->difference_site);
    work->difference_of = malloc((sites + 1) * sizeof *work->difference_of);
    if (work->difference_site == NULL || work->difference_of == NULL ||
        layer_init(&work->differences, sites) != ERR_OK) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < sites; i++) {
        work->difference_of[i] = MERGE_OUTSIDE;
        if (!isnan(work->site_radar[i])) {
            size_t k = work->differences.count++;
            work->difference_of[i] = k;
            work->difference_site[k] = i;
            work->differences.places[k] = work->site_place[i];
            work->differences.values[k] =
                work->result->site_value[i] - work->result->radar_factor * work->site_radar[i];
        }
    }
    return work->differences.count > 0 ? layer_krige(&work->differences) : ERR_OK;
}

/* ---- leave one out ---- */

static double weigh_by_distance(const struct layer *layer, size_t without, struct place place) {
    double sum = 0.0;
    double weights = 0.0;
    for (size_t i = 0; i < layer->count; i++) {
        double distance = place_distance_km(layer->places[i], place);
        if (i == without) {
            continue;
        }
        if (distance <= 0.0) {
            return layer->values[i];
        }
        sum += layer->values[i] / (distance * distance);
        weights += 1.0 / (distance * distance);
    }
    return weights > 0.0 ? sum / weights : NAN;
}

/* The difference of a site by those of the others, with the factor that the others give. */
static double merge_without(struct work *work, size_t site, double factor) {
    struct layer *layer = &work->differences;
    size_t k = work->difference_of[site];
    double difference = 0.0;
    for (size_t j = 0; j < layer->count; j++) {
        size_t i = work->difference_site[j];
        layer->values[j] = work->result->site_value[i] - factor * work->site_radar[i];
    }
    if (layer->count > 1) {
        difference = kriging_leave_one_out(layer->kriging, layer->values, k);
    }
    return fmax(factor * work->site_radar[site] + difference, 0.0);
}

static double estimate_without(struct work *work, size_t site) {
    bool trusted;
    double factor = find_factor(work, site, &trusted);
    switch (work->input->method) {
    case MERGE_IDW:
        return weigh_by_distance(&work->gauges, site, work->site_place[site]);
    case MERGE_BIAS:
        return factor * work->site_radar[site];
    case MERGE_CONDITIONAL:
        if (!isnan(work->site_radar[site])) {
            return merge_without(work, site, factor);
        }
        break;
    case MERGE_KRIGING:
        break;
    }
    double estimate = kriging_leave_one_out(work->gauges.kriging, work->gauges.values, site);
    return isnan(estimate) ? estimate : fmax(estimate, 0.0);
}

static void add_error(struct merge_errors *errors, double error) {
    if (isnan(error)) {
        return;
    }
    errors->count++;
    errors->bias += error;
    errors->mae += fabs(error);
    errors->rmse += error * error;
}

static void close_errors(struct merge_errors *errors) {
    double count = errors->count > 0 ? (double)errors->count : (double)NAN;
    errors->bias /= count;
    errors->mae /= count;
    errors->rmse = sqrt(errors->rmse / count);
}

static void leave_out(struct work *work) {
    struct merge_result *result = work->result;
    for (size_t i = 0; i < result->sites; i++) {
        result->site_estimate[i] = estimate_without(work, i);
        add_error(&result->left_out, result->site_estimate[i] - result->site_value[i]);
        add_error(&result->radar_alone, work->site_radar[i] - result->site_value[i]);
    }
    close_errors(&result->left_out);
    close_errors(&result->radar_alone);
}

/* ---- fields ---- */

static double nearest_km(const struct layer *layer, struct place place) {
    double nearest = INFINITY;
    for (size_t i = 0; i < layer->count; i++) {
        nearest = fmin(nearest, place_distance_km(layer->places[i], place));
    }
    return nearest;
}

static double estimate_cell(const struct work *work, struct place place, double radar) {
    const struct layer *differences = &work->differences;
    switch (work->input->method) {
    case MERGE_IDW:
        return weigh_by_distance(&work->gauges, MERGE_OUTSIDE, place);
    case MERGE_BIAS:
        return work->result->radar_factor * radar;
    case MERGE_CONDITIONAL:
        if (!isnan(radar)) {
            double correction =
                differences->count > 0
                    ? kriging_estimate(differences->kriging, differences->weights, place)
                    : 0.0;
            return fmax(work->result->radar_factor * radar + correction, 0.0);
        }
        break;
    case MERGE_KRIGING:
        break;
    }
    return fmax(kriging_estimate(work->gauges.kriging, work->gauges.weights, place), 0.0);
}

static void fill_rows(void *context, int part, int begin, int end) {
    struct work *work = context;
    const struct merge_input *input = work->input;
    struct merge_result *result = work->result;
    bool uses_radar = input->method == MERGE_BIAS || input->method == MERGE_CONDITIONAL;
    (void)part;
    for (size_t i = (size_t)begin * (size_t)input->columns;
         i < (size_t)end * (size_t)input->columns; i++) {
        struct place place = input->places[i];
        double radar = uses_radar ? (double)input->radar[i] : (double)NAN;
        bool near = nearest_km(&work->gauges, place) <= input->reach_km;
        result->value[i] = NAN;
        result->quality[i] = NAN;
        if (isnan(radar) && (!near || input->method == MERGE_BIAS)) {
            continue;
        }
        result->value[i] = (float)estimate_cell(work, place, radar);
        result->quality[i] = isnan(radar) ? MERGE_GAUGES_ONLY
                             : near       ? MERGE_RADAR_AND_GAUGES
                                          : MERGE_RADAR_ONLY;
    }
}

/* Errors of a layer on a lattice as fine as the work allows, for cells of which `quality` is, or is
 * not, gauges alone. */
static int fill_errors(struct work *work, const struct layer *layer, bool gauges_only) {
    const struct merge_input *input = work->input;
    size_t cells = (size_t)input->rows * (size_t)input->columns;
    int stride = 1;
    if (layer->count == 0 || layer->variogram.source == VARIOGRAM_FLAT) {
        return ERR_OK; /* stays missing */
    }
    while (stride < 64 &&
           (double)cells / stride / stride * (double)layer->count * (double)layer->count >
               error_work_max) {
        stride *= 2;
    }
    int nodes_x = (input->columns - 1) / stride + 2;
    int nodes_y = (input->rows - 1) / stride + 2;
    float *nodes = malloc((size_t)nodes_x * (size_t)nodes_y * sizeof *nodes);
    double *scratch = malloc(layer->count * sizeof *scratch);
    for (int k = 0; k < nodes_x * nodes_y && nodes != NULL && scratch != NULL; k++) {
        int row = k / nodes_x * stride;
        int column = k % nodes_x * stride;
        row = row < input->rows ? row : input->rows - 1;
        column = column < input->columns ? column : input->columns - 1;
        struct place place = input->places[(size_t)row * (size_t)input->columns + (size_t)column];
        nodes[k] = (float)kriging_error(layer->kriging, place, scratch);
    }
    for (size_t i = 0; i < cells && nodes != NULL && scratch != NULL; i++) {
        int row = (int)(i / (size_t)input->columns);
        int column = (int)(i % (size_t)input->columns);
        if (isnan(work->result->quality[i]) ||
            (work->result->quality[i] == (float)MERGE_GAUGES_ONLY) != gauges_only) {
            continue;
        }
        float fy = (float)(row % stride) / (float)stride;
        float fx = (float)(column % stride) / (float)stride;
        const float *corner = nodes + row / stride * nodes_x + column / stride;
        float up = corner[0] + fx * (corner[1] - corner[0]);
        float down = corner[nodes_x] + fx * (corner[nodes_x + 1] - corner[nodes_x]);
        work->result->error[i] = up + fy * (down - up);
    }
    int code = nodes == NULL || scratch == NULL ? ERR_MEMORY : ERR_OK;
    free(nodes);
    free(scratch);
    return code;
}

static int make_fields(struct work *work) {
    const struct merge_input *input = work->input;
    struct merge_result *result = work->result;
    size_t cells = (size_t)input->rows * (size_t)input->columns;
    result->value = malloc(cells * sizeof *result->value);
    result->error = malloc(cells * sizeof *result->error);
    result->quality = malloc(cells * sizeof *result->quality);
    if (result->value == NULL || result->error == NULL || result->quality == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < cells; i++) {
        result->error[i] = NAN;
    }
    parallel_rows(input->threads, input->rows, fill_rows, work);
    int code = ERR_OK;
    if (input->method == MERGE_KRIGING || input->method == MERGE_CONDITIONAL) {
        code = fill_errors(work, &work->gauges, true);
    }
    if (code == ERR_OK && input->method == MERGE_CONDITIONAL) {
        code = fill_errors(work, &work->differences, false);
    }
    return code;
}

static int prepare(struct work *work) {
    struct merge_result *result = work->result;
    enum merge_method method = work->input->method;
    int code = find_sites(work);
    if (code == ERR_OK && work->input->radar == NULL &&
        (result->sites == 0 || method == MERGE_BIAS || method == MERGE_CONDITIONAL)) {
        return ERR_INVALID;
    }
    if (code == ERR_OK && result->sites == 0 && (method == MERGE_IDW || method == MERGE_KRIGING)) {
        return ERR_INVALID;
    }
    if (code == ERR_OK) {
        code = layer_init(&work->gauges, result->sites);
    }
    if (code != ERR_OK) {
        return code;
    }
    work->gauges.count = result->sites;
    for (size_t i = 0; i < result->sites; i++) {
        work->gauges.places[i] = work->site_place[i];
        work->gauges.values[i] = result->site_value[i];
    }
    if (result->sites > 0 && (method == MERGE_KRIGING || method == MERGE_CONDITIONAL)) {
        code = layer_krige(&work->gauges);
        result->variogram = work->gauges.variogram;
    }
    if (code == ERR_OK && (method == MERGE_BIAS || method == MERGE_CONDITIONAL)) {
        result->radar_factor = find_factor(work, MERGE_OUTSIDE, &result->factor_trusted);
    }
    if (code == ERR_OK && method == MERGE_CONDITIONAL) {
        code = find_differences(work);
        result->variogram = work->differences.variogram;
    }
    return code;
}

int merge_run(const struct merge_input *input, struct merge_result *ret_result,
              struct err *ret_err) {
    struct merge_result result = {.radar_factor = 1.0,
                                  .variogram = {.source = VARIOGRAM_FLAT},
                                  .left_out = {0, 0.0, 0.0, 0.0}};
    struct work work = {.input = input, .result = &result};
    int code = prepare(&work);
    if (code == ERR_OK) {
        code = make_fields(&work);
    }
    if (code == ERR_OK) {
        leave_out(&work);
    }
    layer_finish(&work.gauges);
    layer_finish(&work.differences);
    free(work.site_place);
    free(work.site_radar);
    free(work.difference_site);
    free(work.difference_of);
    if (code != ERR_OK) {
        merge_finish(&result);
        return err_set(ret_err, code, "%s",
                       code == ERR_MEMORY  ? "no memory"
                       : code == ERR_LIMIT ? "more gauges than kriging takes"
                                           : "no gauge with a value, and no radar to use instead");
    }
    *ret_result = result;
    return ERR_OK;
}

void merge_finish(struct merge_result *result) {
    free(result->value);
    free(result->error);
    free(result->quality);
    free(result->site_value);
    free(result->site_estimate);
    free(result->site_gauge);
    *result = (struct merge_result){0};
}
