#include "models/hydrology/gr_series.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "daemon/base/text.h"
#include "models/output/output.h"

void gr_series_start(const struct gr *gr, struct gr_series *ret_series) {
    memset(ret_series, 0, sizeof *ret_series);
    gr_state_start(gr, &ret_series->dry);
}

static void lose_step(const struct gr *gr, struct gr_series *series, double rain_mm,
                      double evaporation_mm) {
    if (!series->recovering) {
        gr_state_copy(gr, &series->wet, &series->dry);
        series->recovering = true;
    }
    series->steps_since_gap = 0;
    double dry_evaporation =
        isnan(evaporation_mm) ? GR_GAP_EVAPORATION_MM(gr->step) : evaporation_mm;
    (void)gr_step(gr, &series->dry, isnan(rain_mm) ? 0 : rain_mm, dry_evaporation, NULL);
    (void)gr_step(gr, &series->wet, isnan(rain_mm) ? GR_GAP_RAIN_MM(gr->step) : rain_mm,
                  isnan(evaporation_mm) ? 0 : evaporation_mm, NULL);
}

static bool has_recovered(const struct gr *gr, const struct gr_series *series, double low_mm,
                          double high_mm) {
    return series->steps_since_gap >= gr->n2 && fabs(high_mm - low_mm) <= 0.05 * low_mm + 1e-3 &&
           fabs(series->wet.production_mm - series->dry.production_mm) <=
               0.02 * gr->parameters.x1_mm;
}

enum gr_mark gr_series_step(const struct gr *gr, struct gr_series *series, double rain_mm,
                            double evaporation_mm, struct gr_balance *balance,
                            double *ret_runoff_mm, double *ret_high_mm) {
    struct gr_flux flux = {0};
    if (isnan(rain_mm) || isnan(evaporation_mm)) {
        double before = gr_stored_mm(gr, &series->dry);
        lose_step(gr, series, rain_mm, evaporation_mm);
        balance->assumed_mm += gr_stored_mm(gr, &series->dry) - before;
        balance->missing_steps++;
        *ret_runoff_mm = NAN;
        if (ret_high_mm != NULL) {
            *ret_high_mm = NAN;
        }
        return GR_MISSING;
    }
    double runoff_mm = gr_step(gr, &series->dry, rain_mm, evaporation_mm, &flux);
    double high_mm = runoff_mm;
    balance->rain_mm += rain_mm;
    balance->evaporation_mm += flux.evaporation_mm;
    balance->exchange_mm += flux.exchange_mm;
    balance->runoff_mm += runoff_mm;
    if (series->recovering) {
        high_mm = gr_step(gr, &series->wet, rain_mm, evaporation_mm, NULL);
        series->steps_since_gap++;
        series->recovering = !has_recovered(gr, series, runoff_mm, high_mm);
        balance->recovering_steps++;
    }
    *ret_runoff_mm = runoff_mm;
    if (ret_high_mm != NULL) {
        *ret_high_mm = series->recovering ? high_mm : runoff_mm;
    }
    return series->recovering ? GR_RECOVERING : GR_OK;
}

void gr_series_run(const struct gr *gr, struct gr_series *series, const double *rain_mm,
                   const double *evaporation_mm, size_t count, double *ret_runoff_mm,
                   double *ret_high_mm, enum gr_mark *ret_marks, struct gr_balance *ret_balance) {
    struct gr_balance balance = {0};
    double before = gr_stored_mm(gr, &series->dry);
    for (size_t i = 0; i < count; i++) {
        ret_marks[i] = gr_series_step(gr, series, rain_mm[i], evaporation_mm[i], &balance,
                                      &ret_runoff_mm[i], &ret_high_mm[i]);
    }
    balance.residual_mm = balance.rain_mm - balance.evaporation_mm + balance.exchange_mm -
                          balance.runoff_mm + balance.assumed_mm -
                          (gr_stored_mm(gr, &series->dry) - before);
    *ret_balance = balance;
}

static json_t *numbers(const double *values, int count) {
    json_t *array = json_array();
    for (int i = 0; array != NULL && i < count; i++) {
        if (json_array_append_new(array, json_real(values[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *gr_state_pack(const struct gr *gr, const struct gr_state *state) {
    return json_pack("{s:f, s:f, s:o, s:o}", "production_mm", state->production_mm, "routing_mm",
                     state->routing_mm, "uh1_mm", numbers(state->uh1_mm, gr->n1), "uh2_mm",
                     numbers(state->uh2_mm, gr->n2));
}

static const char *model_name(const struct gr *gr) {
    return gr->step == GR_DAILY ? "gr4j" : "gr4h";
}

int gr_series_save(const char *path, const struct gr *gr, const struct gr_series *series,
                   int64_t utc_us, struct err *ret_err) {
    char time[32];
    char temporary[4096];
    text_format_time(utc_us, time, sizeof time);
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary) {
        return err_set(ret_err, ERR_LIMIT, "the name of the state file is too long");
    }
    json_t *root = json_pack(
        "{s:s, s:i, s:s, s:{s:f, s:f, s:f, s:f, s:f}, s:o, s:b, s:I}", "model", model_name(gr),
        "version", 1, "time", time, "parameters", "x1_mm", gr->parameters.x1_mm, "x2_mm",
        gr->parameters.x2_mm, "x3_mm", gr->parameters.x3_mm, "x4", gr->parameters.x4, "split",
        gr->split9, "state", gr_state_pack(gr, &series->dry), "recovering", series->recovering,
        "steps_since_gap", (json_int_t)series->steps_since_gap);
    int failed = root == NULL;
    if (!failed && series->recovering) {
        failed = json_object_set_new(root, "wet_state", gr_state_pack(gr, &series->wet)) != 0;
    }
    failed =
        failed || json_dump_file(root, temporary, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0;
    failed = failed || rename(temporary, path) != 0;
    json_decref(root);
    return failed
               ? err_set(ret_err, ERR_IO, "%s: cannot write the state: %s", path, strerror(errno))
               : 0;
}

static int take_number(const json_t *object, const char *key, double min, double max,
                       double *ret_value) {
    const json_t *value = json_object_get(object, key);
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= min && number <= max)) {
        return ERR_CORRUPT;
    }
    *ret_value = number;
    return 0;
}

static int take_numbers(const json_t *object, const char *key, int count, double *ret_values) {
    const json_t *array = json_object_get(object, key);
    if (!json_is_array(array) || json_array_size(array) != (size_t)count) {
        return ERR_CORRUPT;
    }
    for (int i = 0; i < count; i++) {
        const json_t *value = json_array_get(array, (size_t)i);
        if (!json_is_number(value) || !(json_number_value(value) >= 0)) {
            return ERR_CORRUPT;
        }
        ret_values[i] = json_number_value(value);
    }
    return 0;
}

int gr_state_unpack(const json_t *object, const struct gr *gr, struct gr_state *ret_state) {
    memset(ret_state, 0, sizeof *ret_state);
    int rc = take_number(object, "production_mm", 0, gr->parameters.x1_mm * (1 + 1e-12),
                         &ret_state->production_mm);
    rc = rc != 0 ? rc : take_number(object, "routing_mm", 0, 1e6, &ret_state->routing_mm);
    rc = rc != 0 ? rc : take_numbers(object, "uh1_mm", gr->n1, ret_state->uh1_mm);
    return rc != 0 ? rc : take_numbers(object, "uh2_mm", gr->n2, ret_state->uh2_mm);
}

static int check_parameters(const json_t *root, const struct gr *gr) {
    const json_t *object = json_object_get(root, "parameters");
    const char *model = json_string_value(json_object_get(root, "model"));
    double x1 = 0, x2 = 0, x3 = 0, x4 = 0, split = 0;
    if (model == NULL || json_integer_value(json_object_get(root, "version")) != 1 ||
        take_number(object, "x1_mm", 0, 1e5, &x1) != 0 ||
        take_number(object, "x2_mm", -1e3, 1e3, &x2) != 0 ||
        take_number(object, "x3_mm", 0, 1e5, &x3) != 0 ||
        take_number(object, "x4", 0, 1e3, &x4) != 0 ||
        take_number(object, "split", 0, 1, &split) != 0) {
        return ERR_CORRUPT;
    }
    return strcmp(model, model_name(gr)) == 0 && x1 == gr->parameters.x1_mm &&
                   x2 == gr->parameters.x2_mm && x3 == gr->parameters.x3_mm &&
                   x4 == gr->parameters.x4 && split == gr->split9
               ? 0
               : ERR_INVALID;
}

int gr_series_load(const char *path, const struct gr *gr, struct gr_series *ret_series,
                   int64_t *ret_utc_us, struct err *ret_err) {
    json_t *root = NULL;
    int rc = output_read_json(path, &root, ret_err);
    if (rc != 0) {
        return rc;
    }
    struct gr_series *series = calloc(1, sizeof *series);
    rc = series == NULL ? ERR_MEMORY : check_parameters(root, gr);
    int64_t utc_us = 0;
    if (rc == ERR_INVALID) {
        (void)err_set(ret_err, rc,
                      "%s: the state belongs to another model, other parameters or another split",
                      path);
    } else {
        const char *time = json_string_value(json_object_get(root, "time"));
        const json_t *recovering = json_object_get(root, "recovering");
        double steps = 0;
        rc = rc != 0 ? rc : gr_state_unpack(json_object_get(root, "state"), gr, &series->dry);
        rc = rc != 0 ? rc : take_number(root, "steps_since_gap", 0, 1e15, &steps);
        if (rc == 0) {
            series->recovering = json_is_true(recovering);
            series->steps_since_gap = (int64_t)steps;
            rc = time == NULL || text_parse_time(time, &utc_us) != 0 || !json_is_boolean(recovering)
                     ? ERR_CORRUPT
                     : 0;
        }
        if (rc == 0 && series->recovering) {
            rc = gr_state_unpack(json_object_get(root, "wet_state"), gr, &series->wet);
        }
        if (rc != 0) {
            (void)err_set(ret_err, rc, "%s: not a state as --state-out writes it", path);
        }
    }
    if (rc == 0) {
        *ret_series = *series;
        *ret_utc_us = utc_us;
    }
    free(series);
    json_decref(root);
    return rc;
}
