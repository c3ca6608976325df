#include "signal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRID_US INT64_C(10000000)

/* The state of a remembering term may be asked for at most this far ahead in one call: 400 days of
 * 10 s steps. */
enum { STEPS_MAX = 400 * 8640 };

static double stateless(const struct signal *signal, size_t index, const struct signal_env *env,
                        int64_t t_us, double sum);

/* The sum of a signal whose terms do not remember; see signal_remembers(). */
static double other_at(const struct signal *other, const struct signal_env *env, int64_t t_us) {
    double sum = 0;
    for (size_t i = 0; i < other->count; i++) {
        sum = stateless(other, i, env, t_us, sum);
    }
    return sum;
}

static int64_t grid_steps(const struct signal_env *env, int64_t every_us, int64_t t_us) {
    int64_t steps = t_us <= env->start_us ? 0 : (t_us - env->start_us) / every_us;
    return steps;
}

static void advance_walk(struct signal *signal, size_t index, const struct signal_env *env,
                         int64_t t_us) {
    struct term *term = &signal->terms[index];
    int64_t steps = grid_steps(env, term->to_us, t_us);
    if (steps - term->steps > STEPS_MAX) {
        term->steps = steps - STEPS_MAX;
    }
    while (term->steps < steps) {
        term->steps++;
        term->sum += term->a * noise_gauss(signal->seed, index, (uint64_t)term->steps, 1);
        term->sum = fmin(fmax(term->sum, -term->b), term->b);
    }
}

static void advance_other(struct term *term, const struct signal_env *env, int64_t t_us) {
    int64_t steps = grid_steps(env, GRID_US, t_us);
    if (steps - term->steps > STEPS_MAX) {
        term->steps = steps - STEPS_MAX;
    }
    double step_s = (double)GRID_US / 1e6;
    double keep = term->kind == TERM_WASHOUT ? exp2(-step_s / term->b) : 1.0;
    while (term->steps < steps) {
        int64_t middle_us = env->start_us + term->steps * GRID_US + GRID_US / 2;
        double rate_mm_h = fmax(other_at(term->other, env, middle_us), 0.0);
        double rain_mm = rate_mm_h * step_s / 3600.0;
        double gain = term->kind == TERM_WASHOUT ? term->a : 1.0;
        term->sum = term->sum * keep + gain * rain_mm;
        term->steps++;
    }
}

static double ramp(const struct term *term, int64_t t_us) {
    if (t_us <= term->from_us) {
        return 0;
    }
    if (t_us >= term->to_us) {
        return term->a;
    }
    return term->a * (double)(t_us - term->from_us) / (double)(term->to_us - term->from_us);
}

static double stateless(const struct signal *signal, size_t index, const struct signal_env *env,
                        int64_t t_us, double sum) {
    const struct term *term = &signal->terms[index];
    switch (term->kind) {
    case TERM_CONSTANT:
        return sum + term->a;
    case TERM_TABLE:
        return sum + table_at(term->table, t_us);
    case TERM_SINE: {
        double turns = (double)(t_us % term->to_us) / (double)term->to_us;
        return sum + term->a * sin(2.0 * M_PI * turns + term->b);
    }
    case TERM_RAMP:
        return sum + ramp(term, t_us);
    case TERM_STEP:
        return t_us >= term->from_us && t_us < term->to_us ? sum + term->a : sum;
    case TERM_PULSE: {
        double widths = (double)(t_us - term->from_us) / (double)term->to_us;
        return sum + term->a * exp2(-widths * widths);
    }
    case TERM_NOISE:
        return sum + term->a * noise_gauss(signal->seed, index, (uint64_t)(t_us / term->to_us), 0);
    case TERM_FIELD:
        return sum + term->a * rainfield_mm_h(env->field, t_us, env->lat_deg, env->lon_deg);
    case TERM_MIN:
        return fmax(sum, term->a);
    case TERM_MAX:
        return fmin(sum, term->a);
    case TERM_TIMES:
        return sum * table_at(term->table, t_us);
    case TERM_WALK:
        return sum + term->sum;
    case TERM_COUNT:
        return sum + term->b + floor(term->sum / term->a);
    case TERM_WASHOUT:
        return sum + term->sum;
    }
    return NAN;
}

double signal_at(struct signal *signal, const struct signal_env *env, int64_t t_us) {
    double sum = 0;
    for (size_t i = 0; i < signal->count; i++) {
        struct term *term = &signal->terms[i];
        if (term->kind == TERM_WALK) {
            advance_walk(signal, i, env, t_us);
        } else if (term->kind == TERM_COUNT || term->kind == TERM_WASHOUT) {
            advance_other(term, env, t_us);
        }
        sum = stateless(signal, i, env, t_us, sum);
    }
    return sum;
}

bool signal_remembers(const struct signal *signal) {
    for (size_t i = 0; i < signal->count; i++) {
        enum term_kind kind = signal->terms[i].kind;
        if (kind == TERM_WALK || kind == TERM_COUNT || kind == TERM_WASHOUT) {
            return true;
        }
    }
    return false;
}

int signal_copy(const struct signal *from, struct signal *ret_copy) {
    struct term *terms = calloc(from->count + 1, sizeof *terms);
    if (terms == NULL) {
        return ERR_MEMORY;
    }
    memcpy(terms, from->terms, from->count * sizeof *terms);
    for (size_t i = 0; i < from->count; i++) {
        terms[i].owns_table = false;
        terms[i].other = NULL;
        terms[i].steps = 0;
        terms[i].sum = 0;
    }
    *ret_copy = (struct signal){terms, from->count, from->seed};
    return 0;
}

void signal_free(struct signal *signal) {
    if (signal == NULL) {
        return;
    }
    for (size_t i = 0; i < signal->count; i++) {
        if (signal->terms[i].owns_table) {
            table_free(signal->terms[i].table);
            free(signal->terms[i].table);
        }
    }
    free(signal->terms);
    *signal = (struct signal){0};
}

/* ---- loading ------------------------------------------------------------------------------ */

static int load_table(struct term *term, struct doc *doc, yaml_node_t *node, bool inline_points,
                      struct err *ret_err) {
    static const char *const point_keys[] = {"values", "interpolate", NULL};
    static const char *const series_keys[] = {"file", "column", "interpolate", NULL};
    static const char *const ways[] = {"linear", "step", NULL};
    term->table = calloc(1, sizeof *term->table);
    if (term->table == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a series");
    }
    term->owns_table = true;
    if (inline_points && doc_is_list(node)) {
        return table_load_inline(term->table, doc, node, ret_err);
    }
    int way = 0;
    yaml_node_t *values = NULL;
    int result = doc_check_keys(doc, node, inline_points ? point_keys : series_keys, ret_err);
    if (result == 0) {
        result = doc_opt_word(doc, node, "interpolate", ways, &way, ret_err);
    }
    term->table->step = way == 1;
    if (result != 0) {
        return result;
    }
    if (inline_points) {
        result = doc_need(doc, node, "values", &values, ret_err);
        return result != 0 ? result : table_load_inline(term->table, doc, values, ret_err);
    }
    const char *file = NULL;
    const char *column = NULL;
    yaml_node_t *column_node = NULL;
    if ((result = doc_need(doc, node, "file", &values, ret_err)) != 0 ||
        (result = doc_text(doc, values, &file, ret_err)) != 0 ||
        (result = doc_need(doc, node, "column", &column_node, ret_err)) != 0 ||
        (result = doc_text(doc, column_node, &column, ret_err)) != 0) {
        return result;
    }
    return table_load_csv(term->table, doc, values, file, column, ret_err);
}

static int load_sine(struct term *term, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    static const char *const keys[] = {"amplitude", "period", "phase_deg", NULL};
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 ||
        (result = doc_need_double(doc, map, "amplitude", -1e9, 1e9, &term->a, ret_err)) != 0 ||
        (result = doc_need_duration(doc, map, "period", 1000, &term->to_us, ret_err)) != 0 ||
        (result = doc_opt_double(doc, map, "phase_deg", -360, 360, &term->b, ret_err)) != 0) {
        return result;
    }
    term->b *= M_PI / 180.0;
    return 0;
}

static int load_ramp(struct term *term, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    static const char *const keys[] = {"from", "to", "rise", NULL};
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = doc_need_time(doc, map, "from", &term->from_us, ret_err)) != 0 ||
        (result = doc_need_time(doc, map, "to", &term->to_us, ret_err)) != 0 ||
        (result = doc_need_double(doc, map, "rise", -1e9, 1e9, &term->a, ret_err)) != 0) {
        return result;
    }
    return term->to_us > term->from_us
               ? 0
               : doc_fail(doc, map, ret_err, ERR_RANGE, "'to' must be later than 'from'");
}

static int load_step(struct term *term, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    static const char *const keys[] = {"at", "until", "height", NULL};
    term->to_us = INT64_MAX;
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = doc_need_time(doc, map, "at", &term->from_us, ret_err)) != 0 ||
        (result = doc_opt_time(doc, map, "until", &term->to_us, ret_err)) != 0) {
        return result;
    }
    return doc_need_double(doc, map, "height", -1e9, 1e9, &term->a, ret_err);
}

static int load_pulse(struct term *term, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    static const char *const keys[] = {"at", "half_width", "height", NULL};
    int result = doc_check_keys(doc, map, keys, ret_err);
    if (result != 0 || (result = doc_need_time(doc, map, "at", &term->from_us, ret_err)) != 0 ||
        (result = doc_need_duration(doc, map, "half_width", 1000, &term->to_us, ret_err)) != 0) {
        return result;
    }
    return doc_need_double(doc, map, "height", -1e9, 1e9, &term->a, ret_err);
}

static int load_random(struct term *term, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    static const char *const noise_keys[] = {"sigma", "every", NULL};
    static const char *const walk_keys[] = {"sigma", "every", "limit", NULL};
    bool walk = term->kind == TERM_WALK;
    int result = doc_check_keys(doc, map, walk ? walk_keys : noise_keys, ret_err);
    if (result != 0 ||
        (result = doc_need_double(doc, map, "sigma", 0, 1e9, &term->a, ret_err)) != 0 ||
        (result = doc_need_duration(doc, map, "every", walk ? 1000000 : 1000, &term->to_us,
                                    ret_err)) != 0) {
        return result;
    }
    return walk ? doc_need_double(doc, map, "limit", 0, 1e9, &term->b, ret_err) : 0;
}

static int load_of(struct term *term, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    yaml_node_t *node = NULL;
    const char *of = NULL;
    int result = doc_need(doc, map, "of", &node, ret_err);
    if (result != 0 || (result = doc_text(doc, node, &of, ret_err)) != 0) {
        return result;
    }
    if (strlen(of) >= sizeof term->of) {
        return doc_fail(doc, node, ret_err, ERR_LIMIT, "the name is too long");
    }
    memcpy(term->of, of, strlen(of) + 1);
    return 0;
}

static int load_dependent(struct term *term, struct doc *doc, yaml_node_t *map,
                          struct err *ret_err) {
    static const char *const count_keys[] = {"of", "per_tip_mm", "initial", NULL};
    static const char *const washout_keys[] = {"of", "rise_per_mm", "half_life", NULL};
    bool washout = term->kind == TERM_WASHOUT;
    int result = doc_check_keys(doc, map, washout ? washout_keys : count_keys, ret_err);
    if (result != 0 || (result = load_of(term, doc, map, ret_err)) != 0) {
        return result;
    }
    if (!washout) {
        result = doc_need_double(doc, map, "per_tip_mm", 0.001, 100, &term->a, ret_err);
        return result != 0
                   ? result
                   : doc_opt_double(doc, map, "initial", 0, 4294967295.0, &term->b, ret_err);
    }
    int64_t half_life_us = 0;
    if ((result = doc_need_double(doc, map, "rise_per_mm", 0, 1e6, &term->a, ret_err)) != 0 ||
        (result = doc_need_duration(doc, map, "half_life", 1000000, &half_life_us, ret_err)) != 0) {
        return result;
    }
    term->b = (double)half_life_us / 1e6;
    return 0;
}

static int load_field(struct term *term, struct doc *doc, yaml_node_t *map, struct err *ret_err) {
    static const char *const keys[] = {"gain", NULL};
    int result = doc_check_keys(doc, map, keys, ret_err);
    return result != 0 ? result : doc_need_double(doc, map, "gain", 0, 1000, &term->a, ret_err);
}

static int load_term(struct term *term, struct doc *doc, yaml_node_t *node, struct err *ret_err) {
    static const char *const words[] = {"constant", "points", "series", "sine",  "ramp",  "step",
                                        "pulse",    "noise",  "walk",   "field", "count", "washout",
                                        "min",      "max",    "times",  NULL};
    static const enum term_kind kinds[] = {TERM_CONSTANT, TERM_TABLE, TERM_TABLE, TERM_SINE,
                                           TERM_RAMP,     TERM_STEP,  TERM_PULSE, TERM_NOISE,
                                           TERM_WALK,     TERM_FIELD, TERM_COUNT, TERM_WASHOUT,
                                           TERM_MIN,      TERM_MAX,   TERM_TIMES};
    const char *key = NULL;
    yaml_node_t *value = NULL;
    int result = doc_single(doc, node, &key, &value, ret_err);
    if (result != 0) {
        return result;
    }
    size_t word = 0;
    while (words[word] != NULL && strcmp(words[word], key) != 0) {
        word++;
    }
    if (words[word] == NULL) {
        return doc_fail(doc, node, ret_err, ERR_NOT_FOUND, "unknown term '%.60s'", key);
    }
    term->kind = kinds[word];
    switch (term->kind) {
    case TERM_CONSTANT:
    case TERM_MIN:
    case TERM_MAX:
        return doc_double(doc, value, -1e12, 1e12, &term->a, ret_err);
    case TERM_TABLE:
    case TERM_TIMES:
        return load_table(term, doc, value, strcmp(key, "series") != 0, ret_err);
    case TERM_SINE:
        return load_sine(term, doc, value, ret_err);
    case TERM_RAMP:
        return load_ramp(term, doc, value, ret_err);
    case TERM_STEP:
        return load_step(term, doc, value, ret_err);
    case TERM_PULSE:
        return load_pulse(term, doc, value, ret_err);
    case TERM_NOISE:
    case TERM_WALK:
        return load_random(term, doc, value, ret_err);
    case TERM_FIELD:
        return load_field(term, doc, value, ret_err);
    case TERM_COUNT:
    case TERM_WASHOUT:
        return load_dependent(term, doc, value, ret_err);
    }
    return ERR_INVALID;
}

int signal_load(struct signal *signal, struct doc *doc, yaml_node_t *node, struct err *ret_err) {
    size_t count = 1;
    int result = 0;
    if (!doc_is_scalar(node)) {
        result = doc_list(doc, node, SIGNAL_TERMS_MAX, &count, ret_err);
        if (result == 0 && count == 0) {
            result = doc_fail(doc, node, ret_err, ERR_INVALID, "at least one term is expected");
        }
    }
    if (result != 0) {
        return result;
    }
    signal->terms = calloc(count, sizeof *signal->terms);
    if (signal->terms == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a signal");
    }
    signal->count = count;
    if (doc_is_scalar(node)) {
        return doc_double(doc, node, -1e12, 1e12, &signal->terms[0].a, ret_err);
    }
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = load_term(&signal->terms[i], doc, doc_item(doc, node, i), ret_err);
    }
    return result;
}
