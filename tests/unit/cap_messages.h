/* Random CAP messages in chains, for the rule checker and for the schema. */
#ifndef CANHBAO_TESTS_CAP_MESSAGES_H
#define CANHBAO_TESTS_CAP_MESSAGES_H

#include "alerts/message/cap.h"
#include "event_random.h"

enum { CAP_CHAINS = 16 };

struct cap_messages {
    struct random_event random;
    struct cap_context context;
    struct cap_chain chains[CAP_CHAINS];
    struct cap_chain before, after; /* of the newest message */
    struct phrases *phrases[LANGUAGE_COUNT];
    struct cap_position rings[3][9];
    struct cap_polygon polygons[3];
    struct cap_outline outline; /* of the newest message */
    char text[CAP_SIZE_MAX];
    size_t length;
};

static inline int cap_messages_init(struct cap_messages *messages, uint64_t seed) {
    struct err err;
    memset(messages, 0, sizeof *messages);
    if (random_event_init(&messages->random, seed) != 0 ||
        phrases_create(LANGUAGE_VI, &messages->phrases[LANGUAGE_VI], &err) != 0 ||
        phrases_create(LANGUAGE_EN, &messages->phrases[LANGUAGE_EN], &err) != 0) {
        return -1;
    }
    messages->context = (struct cap_context){
        .sender = "/canhbaod/binh-dinh",
        .sender_name_vi = "Phòng trực <Bình Định> & \"Gia Lai\"",
        .sender_name_en = "Control room of Bình Định & Gia Lai",
        .utc_offset_min = 420,
        .phrases = {messages->phrases[LANGUAGE_VI], messages->phrases[LANGUAGE_EN]},
    };
    return 0;
}

static inline void cap_messages_finish(struct cap_messages *messages) {
    random_event_finish(&messages->random);
    (void)phrases_destroy(messages->phrases[LANGUAGE_VI]);
    (void)phrases_destroy(messages->phrases[LANGUAGE_EN]);
}

/* One more message; 0 or the error of message_cap(). */
static inline int cap_messages_next(struct cap_messages *messages) {
    struct random_event *random = &messages->random;
    size_t chain = random_below(random, CAP_CHAINS);
    struct cap_outline outline = {.polygons = messages->polygons};
    random_event_next(random);
    if (random->event.view.place.kind == PLACE_AREA) {
        outline.count = random_below(random, 4);
    } else {
        random->event.view.place.radius_km = (double)random_below(random, 3) * 2.5;
    }
    for (size_t k = 0; k < outline.count; k++) {
        struct cap_position *ring = messages->rings[k];
        size_t corners = 3 + random_below(random, 5);
        for (size_t i = 0; i < corners; i++) {
            ring[i] = (struct cap_position){13.5 + (double)random_below(random, 100000) / 1e5,
                                            108.5 + (double)random_below(random, 100000) / 1e5};
        }
        ring[corners] = ring[0];
        messages->polygons[k] = (struct cap_polygon){.positions = ring, .count = corners + 1};
    }
    messages->outline = outline;
    messages->context.messages = random->context;
    messages->before = messages->chains[chain];
    int result =
        message_cap(&random->event, &messages->context, &messages->before, &outline, messages->text,
                    sizeof messages->text, &messages->length, &messages->after);
    messages->chains[chain] = messages->after;
    return result;
}

#endif
