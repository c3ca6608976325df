/* What a decision stands on: knowledge, causes, and the indicators that rules compare.
 *
 * An indicator is one number about one place ("rise of the stage over 3 h") together with how well
 * it is known. Windows end at the newest usable reading, not at "now": time passing alone changes
 * the knowledge of an indicator, never its value. Thread rule: plain data. */
#ifndef CANHBAO_ALERTS_EVIDENCE_H
#define CANHBAO_ALERTS_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/clock.h"
#include "daemon/base/ids.h"
#include "daemon/station/model_result.h"
#include "daemon/station/reading.h"
#include "daemon/station/station.h"

/* Ordered: a larger one is worse. */
enum knowledge {
    KNOWLEDGE_FRESH,    /* good evidence, young enough */
    KNOWLEDGE_DOUBTFUL, /* suspect, simulated, untested or incomplete: may raise, never lowers */
    KNOWLEDGE_STALE,    /* the newest evidence is too old: neither raises nor lowers */
    KNOWLEDGE_UNKNOWN,  /* there is no usable evidence */
    KNOWLEDGE_COUNT
};

/* Why knowledge is not fresh. */
enum cause {
    CAUSE_NONE,
    CAUSE_NO_DATA_YET, /* nothing usable ever came */
    CAUSE_TIMEOUT,     /* these seven: how the newest request of the point failed */
    CAUSE_NO_CONNECTION,
    CAUSE_BAD_REPLY,
    CAUSE_EXCEPTION,
    CAUSE_SENTINEL,
    CAUSE_NOT_A_NUMBER,
    CAUSE_SKIPPED,
    CAUSE_QUALITY_FAIL,    /* newest readings failed quality control */
    CAUSE_QUALITY_SUSPECT, /* quality control doubts the evidence */
    CAUSE_NOT_EVALUATED,   /* no quality test is configured that could be applied */
    CAUSE_SIMULATED,       /* a value put in by hand or by a simulator */
    CAUSE_SILENCE,         /* no request and no reading for too long */
    CAUSE_INCOMPLETE,      /* the window has holes: the value is a lower bound */
    CAUSE_MODEL,           /* the model could not say; see indicator.model.cause */
    CAUSE_COVERAGE,        /* too little of the place had data */
    CAUSE_OUTDATED_RUN,    /* the newest model run is too old, or its lead has shrunk too far */
    CAUSE_NO_PROBABILITY,  /* the rule asks for a probability that the model did not give */
    CAUSE_WORSE_THAN_PERSISTENCE, /* the forecast was, over the last day */
    CAUSE_OUT_OF_SERVICE,         /* masked by an operator */
    CAUSE_MAINTENANCE,            /* somebody works on the station: what it says is not evidence */
    CAUSE_NO_THRESHOLD,           /* what the value is compared with is not known at the place */
    CAUSE_NOT_IN_FORCE,           /* the row of a table was not in force at the time */
    CAUSE_COUNT
};

/* One reading as evidence. seq 0: there is none. */
struct sample_ref {
    uint64_t seq;
    struct moment at;
    double value;
    enum quality_flag flag;
    uint16_t suspect_tests, fail_tests;
    uint32_t quality_revision;
    bool simulated;
};

/* One model result as evidence. */
struct model_ref {
    char model[STATION_ID_SIZE];
    char manifest[HASH_TEXT_SIZE];
    char cause[MODEL_CAUSE_SIZE];
    struct utc_us reference_time;
    double coverage;    /* NaN: not told */
    double probability; /* NaN: a deterministic number */
};

/* Point indicators carry `sample`, model indicators carry `model` (`point` is NULL). */
struct indicator {
    const struct station *station; /* of the site; NULL for models */
    const struct point *point;     /* of the site; NULL for models */
    double value;                  /* the last known one; NaN: none */
    enum knowledge knowledge;
    enum cause cause;
    bool lower_bound;           /* window or place have holes: the true value is not below this */
    double completeness;        /* share of the window with good evidence; NaN: no window */
    uint32_t count;             /* readings behind a window, 1 without a window, 0 none */
    struct moment observed;     /* newest usable evidence; for models the reference time */
    struct mono_us fresh_until; /* the last moment before it turns stale with nothing new;
                                   INT64_MAX: it is, or it is unknown */
    struct sample_ref newest, oldest;
    struct model_ref model;
};

/* "fresh", ... as published. Never NULL. */
const char *knowledge_name(enum knowledge knowledge);
/* "no_data_yet", ... as published. Never NULL. */
const char *cause_name(enum cause cause);
/* The cause that belongs to a failed request; CAUSE_NONE for READING_OK. */
enum cause cause_of_status(enum reading_status status);

#endif
