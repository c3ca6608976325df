/* How many incidents the reconstructed flood of November 2025 makes: at most twelve.
 *
 * The scenario's signals are read at every station's reporting times, go through the registers of
 * its map and the site's decoder, and into the engine with the real site of Binh Dinh. Models are
 * not run here. In their place stands the most that they could raise: from the second hour of the
 * event until its peaks every number that a rule asks a model for is 1e6 at the probability asked
 * for, so that each rule over a model rises wherever it applies. The drills that the scenario plays
 * beside the flood (gas, dose rate, dust) count too. What this does not show are forecasts that
 * come, end for longer than an incident stays open, and come again, and stations that fall silent
 * (one incident of the warning system itself). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/config/site.h"
#include "daemon/engine.h"
#include "drivers/modbus/decode.h"
#include "tests/sim/scenario.h"

#define MINUTE INT64_C(60000000)

enum { INCIDENTS_ALLOWED = 12, HOURS = 48, KEYS_MAX = 1024 };

struct play {
    struct units *units;
    struct site *site;
    struct scenario scenario;
    struct engine *engine;
    struct engine_sink sink;
    uint64_t number;
    char keys[KEYS_MAX][ID_TEXT_SIZE]; /* every incident that was ever told */
    int key_count;
    int raises;
};

static void on_event(void *context, const struct event *event) {
    struct play *play = context;
    const char *key = event->view.alarm->incident;
    play->raises += event->kind == EVENT_RAISED;
    for (int i = 0; i < play->key_count; i++) {
        if (strcmp(play->keys[i], key) == 0) {
            return;
        }
    }
    if (key[0] != '\0') {
        assert_in_range(play->key_count, 0, KEYS_MAX - 1);
        strcpy(play->keys[play->key_count++], key);
        print_message("%5.1f h %-20s %-14s level %d of %s\n",
                      (double)event->at.mono.us / (60.0 * (double)MINUTE), event->view.rule->id,
                      event->view.place.id, event->view.alarm->level, event->view.incident->hazard);
    }
}

static struct moment moment_at(int64_t utc_us, const struct play *play) {
    return (struct moment){{utc_us - play->scenario.start_us}, {utc_us}};
}

static void step(struct play *play, struct engine_input *input, int64_t at_us) {
    input->number = ++play->number;
    input->now = moment_at(at_us, play);
    assert_int_equal(engine_step(play->engine, input, &play->sink), 0);
}

static struct sim_station *station_of(struct play *play, const char *id) {
    for (size_t i = 0; i < play->scenario.station_count; i++) {
        if (strcmp(play->scenario.stations[i].id, id) == 0) {
            return &play->scenario.stations[i];
        }
    }
    fail_msg("the scenario has no station %s", id);
    return NULL;
}

/* What a poll of the point brings: found in the map by its address, as the device would. */
static void read_point(struct play *play, uint32_t point, struct sim_station *station,
                       int64_t at_us) {
    const struct modbus_map *map = &play->site->maps[point];
    struct engine_input input = {.kind = ENGINE_READING};
    struct reading *reading = &input.as.reading;
    uint16_t registers[2];
    uint8_t bytes[4];
    double stored;
    for (size_t i = 0; i < station->map->count; i++) {
        const struct map_point *served = &station->map->points[i];
        if (strcmp(served->name, play->site->points[point].id) != 0) {
            continue;
        }
        assert_int_equal(served->address, map->address);
        double value = signal_at(&station->values[i].signal, &station->env, at_us);
        encode_value(&served->spec, value, registers, &stored);
        for (int k = 0; k < encode_width(served->spec.type); k++) {
            bytes[2 * k] = (uint8_t)(registers[k] >> 8);
            bytes[2 * k + 1] = (uint8_t)(registers[k] & 0xff);
        }
        modbus_decode(map, bytes, reading);
        reading->point = point;
        reading->seq = play->number + 1;
        reading->received = moment_at(at_us, play);
        reading->uncalibrated = reading->value;
        step(play, &input, at_us);
        return;
    }
    fail_msg("the scenario does not serve %s/%s", station->id, play->site->points[point].id);
}

static void tell_worst(struct play *play, const struct rule *rule,
                       const struct indicator_spec *spec, int64_t at_us) {
    struct engine_input input = {.kind = ENGINE_MODEL_RESULT};
    struct model_result *result = &input.as.model_result;
    strcpy(result->product, spec->product);
    strcpy(result->model, "worst");
    strcpy(result->variable, spec->variable);
    strcpy(result->unit, spec->unit);
    result->window_us = spec->window_us;
    result->lead_us = spec->lead_us;
    result->reference_time.us = at_us;
    result->value = 1e6;
    result->coverage = 1;
    result->probability = spec->probability;
    for (uint32_t i = 0; i < rule->place_count; i++) {
        struct rule_place place = rule->places[i];
        strcpy(result->place, spec->station[0] != '\0'   ? spec->station
                              : place.kind == PLACE_AREA ? play->site->areas[place.index].id
                                                         : play->site->stations[place.index].id);
        step(play, &input, at_us);
    }
}

static void tell_worst_of_all(struct play *play, int64_t at_us) {
    for (size_t i = 0; i < play->site->rule_count; i++) {
        const struct rule *rule = &play->site->rules[i];
        for (uint32_t k = 0; k < rule->indicator_count; k++) {
            if (rule->indicators[k].kind == INDICATOR_MODEL) {
                tell_worst(play, rule, &rule->indicators[k], at_us);
            }
        }
    }
}

static void play_through(struct play *play, bool models) {
    const struct site *site = play->site;
    int64_t start_us = play->scenario.start_us;
    for (int minute = 0; minute <= HOURS * 60; minute++) {
        int64_t at_us = start_us + minute * MINUTE;
        for (uint32_t s = 0; s < site->station_count; s++) {
            const struct station *about = &site->stations[s];
            struct sim_station *station = station_of(play, about->id);
            for (uint32_t p = 0; p < about->point_count; p++) {
                int64_t period_us = site->points[about->first_point + p].period_us;
                if (minute * MINUTE % (period_us < MINUTE ? MINUTE : period_us) == 0) {
                    read_point(play, about->first_point + p, station, at_us);
                }
            }
        }
        if (models && minute >= 60 && minute <= 24 * 60 && minute % 10 == 0) {
            tell_worst_of_all(play, at_us);
        }
    }
}

static int count_raised(void *context, const struct alarm_view *view) {
    int *raised_from_models = context;
    for (uint32_t i = 0; i < view->rule->indicator_count; i++) {
        if (view->rule->indicators[i].kind == INDICATOR_MODEL && view->alarm->highest_level > 0) {
            (*raised_from_models)++;
            return 0;
        }
    }
    return 0;
}

static void count_incidents(bool models, struct play *play) {
    struct err err = {0};
    struct config_errors errors = {.count = 0};
    memset(play, 0, sizeof *play);
    assert_int_equal(units_create(&play->units, &err), 0);
    if (site_load(CANHBAO_SOURCE_DIR "/deploy/sites/binh-dinh", play->units, &play->site,
                  &errors) != 0) {
        char text[512];
        config_error_format(&errors.items[0], text, sizeof text);
        fail_msg("%s", text);
    }
    assert_int_equal(scenario_load(&play->scenario,
                                   CANHBAO_SOURCE_DIR "/tests/scenarios/flood-nov-2025.yaml", -1,
                                   &err),
                     0);
    const struct site *site = play->site;
    const struct engine_site engine_site = site_for_engine(site, &site->alerting);
    play->sink = (struct engine_sink){.context = play, .on_event = on_event};
    if (engine_create(&engine_site, moment_at(play->scenario.start_us, play), &play->engine,
                      &err) != 0) {
        fail_msg("%s", err.text);
    }
    play_through(play, models);
}

static void forget(struct play *play) {
    (void)engine_destroy(play->engine);
    scenario_free(&play->scenario);
    (void)site_destroy(play->site);
    (void)units_destroy(play->units);
}

static void test_what_stations_tell(void **state) {
    (void)state;
    static struct play play;
    count_incidents(false, &play);
    print_message("%d raises, %d incidents\n", play.raises, play.key_count);
    assert_in_range(play.key_count, 1, INCIDENTS_ALLOWED);
    assert_true(play.raises > 2 * play.key_count); /* many alarms, few events */
    forget(&play);
}

static void test_with_the_worst_that_models_could_tell(void **state) {
    (void)state;
    static struct play play;
    int from_models = 0;
    count_incidents(true, &play);
    (void)engine_visit_alarms(play.engine, count_raised, &from_models);
    print_message("%d raises, %d incidents; %d alarms over models rose\n", play.raises,
                  play.key_count, from_models);
    assert_true(from_models > 0);
    assert_in_range(play.key_count, 1, INCIDENTS_ALLOWED);
    forget(&play);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_stations_tell),
        cmocka_unit_test(test_with_the_worst_that_models_could_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
