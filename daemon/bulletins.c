#include "daemon/bulletins.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"
#include "daemon/config/area_file.h"

/* Incidents join places, so the places' own sequences do not ascend per key: messages are counted.
 */
static const char count_key[] = "cap-messages";

/* As it is stored. */
struct record {
    struct cap_chain newest;
    uint64_t sequence; /* of the last event of the alarm that got a message */
};

struct chain {
    char meta_key[STORE_META_KEY_MAX + 1];
    struct record record;
};

struct outline { /* of an area; owns its polygons and their positions */
    struct cap_polygon *polygons;
    size_t count;
};

struct bulletins {
    struct bulletins_options options;
    struct cap_context context;
    struct phrases *phrases[LANGUAGE_COUNT];
    struct chain *chains;     /* of all alarms, rule by rule */
    size_t *first_chain;      /* by rule */
    struct outline *outlines; /* by area */

    uint64_t messages; /* appended so far, of all alarms together */

    /* the message that was written last */
    struct chain *written;
    struct record after;
    char key[KAFKA_KEY_MAX + 1];
    char id[CAP_ID_SIZE];
    char text[CAP_SIZE_MAX];
};

/* The polygons of an area, as GeoJSON has them: of a Polygon its rings, of a MultiPolygon those of
 * each. */
static const json_t *polygon_at(const json_t *geometry, size_t index) {
    const json_t *coordinates = json_object_get(geometry, "coordinates");
    const char *type = json_string_value(json_object_get(geometry, "type"));
    bool several = type != NULL && strcmp(type, "MultiPolygon") == 0;
    return several ? json_array_get(coordinates, index) : index == 0 ? coordinates : NULL;
}

static int read_ring(const json_t *ring, struct cap_polygon *ret_polygon) {
    size_t count = json_array_size(ring);
    struct cap_position *positions = calloc(count + 1, sizeof *positions);
    if (positions == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *position = json_array_get(ring, i);
        positions[i] =
            (struct cap_position){.latitude_deg = json_number_value(json_array_get(position, 1)),
                                  .longitude_deg = json_number_value(json_array_get(position, 0))};
    }
    *ret_polygon = (struct cap_polygon){.positions = positions, .count = count};
    return 0;
}

static void forget_outline(struct outline *outline) {
    for (size_t i = 0; i < outline->count; i++) {
        free((void *)(uintptr_t)outline->polygons[i].positions);
    }
    free(outline->polygons);
    *outline = (struct outline){.count = 0};
}

/* The outer rings of an area; none when they have too many positions together. */
static int read_outline(const json_t *geometry, struct outline *ret_outline) {
    size_t count = 0;
    size_t positions = 0;
    while (polygon_at(geometry, count) != NULL) {
        positions += json_array_size(json_array_get(polygon_at(geometry, count), 0));
        count++;
    }
    if (positions > CAP_POSITIONS_MAX) {
        return 0;
    }
    ret_outline->polygons = calloc(count + 1, sizeof *ret_outline->polygons);
    int result = ret_outline->polygons != NULL ? 0 : ERR_MEMORY;
    for (size_t i = 0; result == 0 && i < count; i++) {
        result = read_ring(json_array_get(polygon_at(geometry, i), 0), &ret_outline->polygons[i]);
        ret_outline->count += result == 0;
    }
    return result;
}

static int read_outlines(struct bulletins *bulletins, struct err *err) {
    const struct engine_site *site = bulletins->options.site;
    int result = 0;
    bulletins->outlines = calloc(site->area_count + 1, sizeof *bulletins->outlines);
    if (bulletins->outlines == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the outlines of the areas");
    }
    for (size_t i = 0; result == 0 && i < site->area_count; i++) {
        const struct area *area = &site->areas[i];
        json_error_t fault;
        json_t *root = json_load_file(area->file, JSON_REJECT_DUPLICATES, &fault);
        if (root == NULL) {
            return err_set(err, ERR_SYNTAX, "%s: %s", area->file, fault.text);
        }
        result =
            read_outline(json_object_get(area_file_feature(root, area_file_id(area)), "geometry"),
                         &bulletins->outlines[i]);
        json_decref(root);
    }
    return result == 0 ? 0 : err_set(err, result, "no memory for the outlines of the areas");
}

static const char *place_id(const struct engine_site *site, const struct rule_place *place) {
    return place->kind == PLACE_STATION ? site->stations[place->index].id
                                        : site->areas[place->index].id;
}

static void read_chain(struct bulletins *bulletins, const char *place, const char *rule,
                       struct chain *chain) {
    char hash[ID_TEXT_SIZE];
    const char *parts[] = {"cap", place, rule};
    size_t length = 0;
    struct record stored;
    id_from_strings(parts, sizeof parts / sizeof parts[0], hash);
    (void)snprintf(chain->meta_key, sizeof chain->meta_key, "cap/%s", hash);
    if (store_get_meta(bulletins->options.store, chain->meta_key, &stored, sizeof stored,
                       &length) == 0 &&
        length == sizeof stored &&
        memchr(stored.newest.identifier, '\0', sizeof stored.newest.identifier)) {
        chain->record = stored; /* none, or of another version: a new chain begins */
    }
}

static int read_chains(struct bulletins *bulletins, struct err *err) {
    const struct engine_site *site = bulletins->options.site;
    size_t count = 0;
    for (size_t i = 0; i < site->rule_count; i++) {
        count += site->rules[i].place_count;
    }
    bulletins->first_chain = calloc(site->rule_count + 1, sizeof *bulletins->first_chain);
    bulletins->chains = calloc(count + 1, sizeof *bulletins->chains);
    if (bulletins->first_chain == NULL || bulletins->chains == NULL) {
        return err_set(err, ERR_MEMORY, "no memory for the chains of messages");
    }
    size_t next = 0;
    size_t length = 0;
    if (store_get_meta(bulletins->options.store, count_key, &bulletins->messages,
                       sizeof bulletins->messages, &length) != 0) {
        bulletins->messages = 0; /* none yet */
    }
    for (size_t i = 0; i < site->rule_count; i++) {
        const struct rule *rule = &site->rules[i];
        bulletins->first_chain[i] = next;
        for (size_t p = 0; p < rule->place_count; p++) {
            read_chain(bulletins, place_id(site, &rule->places[p]), rule->id,
                       &bulletins->chains[next++]);
        }
    }
    return 0;
}

int bulletins_create(const struct bulletins_options *options, struct bulletins **ret_bulletins,
                     struct err *ret_err) {
    struct bulletins *bulletins = calloc(1, sizeof *bulletins);
    if (bulletins == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for the bulletins");
    }
    bulletins->options = *options;
    int result = 0;
    for (int i = 0; result == 0 && i < LANGUAGE_COUNT; i++) {
        result = phrases_create((enum language)i, &bulletins->phrases[i], ret_err);
    }
    if (result == 0) {
        result = read_outlines(bulletins, ret_err);
    }
    if (result == 0) {
        result = read_chains(bulletins, ret_err);
    }
    if (result != 0) {
        (void)bulletins_destroy(bulletins);
        return result;
    }
    bulletins->context = (struct cap_context){
        .sender = options->source,
        .sender_name_vi = options->name_vi,
        .sender_name_en = options->name_en,
        .messages = options->messages,
        .utc_offset_min = options->utc_offset_min,
        .phrases = {bulletins->phrases[LANGUAGE_VI], bulletins->phrases[LANGUAGE_EN]},
    };
    *ret_bulletins = bulletins;
    return 0;
}

struct bulletins *bulletins_destroy(struct bulletins *bulletins) {
    if (bulletins == NULL) {
        return NULL;
    }
    for (int i = 0; i < LANGUAGE_COUNT; i++) {
        (void)phrases_destroy(bulletins->phrases[i]);
    }
    free(bulletins->chains);
    free(bulletins->first_chain);
    for (size_t i = 0; bulletins->outlines != NULL && i < bulletins->options.site->area_count;
         i++) {
        forget_outline(&bulletins->outlines[i]);
    }
    free(bulletins->outlines);
    free(bulletins);
    return NULL;
}

int bulletins_write(struct bulletins *bulletins, const struct event *event, bool replay,
                    struct kafka_message *ret_message) {
    const struct engine_site *site = bulletins->options.site;
    const struct rule *rule = event->view.rule;
    const struct place *place = &event->view.place;
    size_t length = 0;
    size_t p = 0;
    if (rule->internal || bulletin_of_event(event) == BULLETIN_NONE) {
        return ERR_INVALID;
    }
    while (p < rule->place_count && strcmp(place_id(site, &rule->places[p]), place->id) != 0) {
        p++;
    }
    if (p == rule->place_count) {
        return ERR_LIMIT; /* cannot be: the engine's events are of the site's rules */
    }
    struct chain *chain = &bulletins->chains[bulletins->first_chain[rule - site->rules] + p];
    if (replay && event->sequence <= chain->record.sequence) {
        return ERR_INVALID; /* it was committed */
    }
    enum bulletin bulletin = bulletin_of_event(event);
    bool ends = bulletin == BULLETIN_CLEARED || bulletin == BULLETIN_CANCELLED;
    if (ends && chain->record.newest.identifier[0] == '\0') {
        return ERR_INVALID; /* nothing was published that could end: a draft, or what was a test */
    }
    struct cap_outline outline = {.count = 0};
    if (place->kind == PLACE_AREA) {
        const struct outline *of_area = &bulletins->outlines[rule->places[p].index];
        outline = (struct cap_outline){.polygons = of_area->polygons, .count = of_area->count};
    }
    const struct release_area *plume =
        bulletins->options.areas == NULL
            ? NULL
            : release_areas_find(bulletins->options.areas, rule->id, place->id, event->at.utc);
    if (plume != NULL) {
        outline = plume->outline;
        bulletins->context.instruction[LANGUAGE_VI] = plume->instruction[0];
        bulletins->context.instruction[LANGUAGE_EN] = plume->instruction[1];
    } else {
        bulletins->context.instruction[LANGUAGE_VI] = NULL;
        bulletins->context.instruction[LANGUAGE_EN] = NULL;
    }
    int result =
        message_cap(event, &bulletins->context, &chain->record.newest, &outline, bulletins->text,
                    sizeof bulletins->text, &length, &bulletins->after.newest);
    bulletins->after.sequence = event->sequence;
    if (result != 0) {
        return ERR_LIMIT;
    }
    bulletins->written = chain;
    cap_identifier(event, bulletins->id);
    if (event->view.incident != NULL) {
        (void)snprintf(bulletins->key, sizeof bulletins->key, "%s", event->view.incident->id);
    } else {
        (void)snprintf(bulletins->key, sizeof bulletins->key, "%s/%s", place->id, rule->id);
    }
    *ret_message = (struct kafka_message){
        .topic = KAFKA_TOPIC_CAP,
        .key = bulletins->key,
        .id = bulletins->id,
        .type = "canhbao.cap.v1",
        .source = bulletins->options.source,
        .time = event->at.utc,
        .sequence = bulletins->messages + 1,
        .exercise = bulletins->options.messages.status == MESSAGE_EXERCISE,
        .body = bulletins->text,
        .body_len = length,
    };
    return 0;
}

int bulletins_appended(struct bulletins *bulletins) {
    struct chain *chain = bulletins->written;
    chain->record = bulletins->after;
    bulletins->messages++;
    int result = store_put_meta(bulletins->options.store, chain->meta_key, &chain->record,
                                sizeof chain->record);
    return result != 0 ? result
                       : store_put_meta(bulletins->options.store, count_key, &bulletins->messages,
                                        sizeof bulletins->messages);
}
