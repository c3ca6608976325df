/* Inside of the engine, shared by engine.c (steps), engine_build.c (create), engine_evidence.c
 * (windows and indicators), engine_people.c (notices, escalation, incidents), engine_command.c
 * (commands), engine_save.c (snapshot) and engine_journal.c (inputs as bytes). Nobody else includes
 * this. */
#ifndef CANHBAO_ENGINE_CORE_H
#define CANHBAO_ENGINE_CORE_H

#include "alerts/notice.h"
#include "daemon/engine.h"
#include "daemon/station/window.h"
#include "models/quality/quality.h"

/* A name of several parts for sorted look-up; pointers into the site. */
struct engine_key {
    const char *part[3];
    int64_t number[3];
    uint32_t index; /* what it leads to */
};

struct engine_window {
    struct window series;
    struct window_value value; /* of the newest usable reading */
};

struct engine_point {
    struct quality_state quality;
    enum reading_status status; /* of the newest reading */
    bool newest_failed;         /* the newest value failed quality control */
    bool received_any;
    bool set_aside; /* somebody worked on the station: what comes next follows on nothing */
    struct mono_us received;           /* of the newest reading */
    struct sample_ref newest, before;  /* newest usable readings; seq 0: none */
    double newest_gain;                /* counters: of their calibration */
    double newest_epoch, before_epoch; /* counters: of the epoch point at that very reply, or NaN */
    uint32_t first_window, window_count;
    uint32_t first_alarm, alarm_count; /* in point_alarms */
    uint32_t first_cross;              /* in crosses, for its cross-variable tests */
    uint32_t first_neighbour;          /* in crosses, one for each neighbour of a total */
};

struct engine_slot { /* one output of a model that rules look at */
    bool filled;
    bool simulated;
    enum model_doubt doubt;
    struct moment observed;
    double value;
    double at_least; /* as in model_result.h */
    struct model_ref model;
    uint32_t first_alarm, alarm_count; /* in slot_alarms */
};

enum { ENGINE_CALIBRATIONS_MAX = 1024 };

struct engine_calibration {
    uint64_t id;
    uint32_t point;
    struct utc_us from;
    double gain, offset;
};

struct engine_station {
    struct engine_bucket bucket;
    double bucket_first; /* total when the test began; NaN: not read yet */
    struct alarm_override maintenance;
    bool answered;
    struct mono_us last_value; /* when any of its points gave one */
};

struct engine_source { /* where an indicator comes from */
    uint32_t point;  /* index in site.points, or of the model's slot; SILENCE: any of the station */
    uint32_t window; /* UINT32_MAX: none */
};

/* What one cross-variable test, or the comparison of a total with a neighbour, looks at;
 * UINT32_MAX: no window. */
struct engine_cross {
    uint32_t rise_window;  /* of the point itself; of a total: what fell */
    uint32_t other_window; /* of the other point */
};

struct engine_alarm {
    const struct rule *rule;
    struct rule_place place;
    uint32_t place_index;              /* in place_sequences */
    const struct alarm_levels *levels; /* NULL for areas */
    uint32_t first_source;             /* in sources and indicators */
    int64_t due_us;                    /* time alone may change it from here on */
    uint32_t parent, suppressor;       /* alarms; UINT32_MAX: none */
    uint32_t first_child, child_count; /* in child_alarms: whose parent or suppressor this is */
    uint8_t depth;                     /* 0: nobody masks or suppresses it; else above those */
    struct alarm alarm;
    uint8_t level_before; /* the last change of the level */
    bool late_open;       /* a fill of a hole is under way */
    struct late_crossing late;
    char event_id[ID_TEXT_SIZE];
};

enum { ENGINE_COMMAND_IDS = 256, ENGINE_DEPTH_MAX = 4 };

struct engine {
    struct engine_site site;
    uint64_t number;
    struct moment now;
    int64_t next_due_us; /* no alarm is due before */

    struct engine_point *points; /* parallel to site.points */
    struct engine_window *windows;
    uint32_t window_count;
    struct engine_slot *slots;
    uint32_t slot_count;
    struct engine_alarm *alarms;
    uint32_t alarm_count;
    struct engine_source *sources;
    struct indicator *indicators; /* parallel to sources */
    uint32_t source_count;
    struct engine_calibration *calibrations; /* those in force, of all points; by id */
    uint32_t calibration_count;
    struct engine_cross *crosses;
    uint32_t cross_count;
    uint32_t *point_alarms, *slot_alarms;
    uint64_t *place_sequences; /* stations, then areas */
    struct engine_station *stations;
    uint32_t *child_alarms;
    uint8_t depth_max;
    struct mono_us listening_since; /* the newest start: silence before it was ours */
    struct alerting alerting;
    struct notices notices;
    struct incidents *incidents;
    uint32_t command_next; /* in command_ids, a ring */
    char command_ids[ENGINE_COMMAND_IDS][ID_TEXT_SIZE];

    struct engine_key *point_keys; /* station id, point id */
    struct engine_key *slot_keys;  /* product, variable, place; window, lead, probability */
    struct engine_key *alarm_keys; /* rule id, place id */
    struct engine_key *place_keys; /* place id */
};

/* engine_build.c */
void engine_keys_sort(struct engine_key *keys, size_t count);
/* Index, or UINT32_MAX. */
uint32_t engine_keys_find(const struct engine_key *keys, size_t count,
                          const struct engine_key *wanted);
uint32_t engine_find_point(const struct engine *engine, const char *station, const char *point);
uint32_t engine_find_slot(const struct engine *engine, const struct model_result *result);
uint32_t engine_find_alarm(const struct engine *engine, const char *rule, const char *place);
uint32_t engine_find_place(const struct engine *engine, const char *place);
const char *engine_place_id(const struct engine *engine, struct rule_place place);
struct place engine_place(const struct engine *engine, struct rule_place place);

/* engine.c */
struct alarm_view engine_view(const struct engine *engine, const struct engine_alarm *entry);
/* Numbers, names and tells an event; the caller has filled kind, change, actor, comment and call.
 */
void engine_emit(struct engine *engine, struct engine_alarm *entry, struct event *event,
                 const struct engine_sink *sink);
void engine_tell_record(struct engine *engine, const struct engine_alarm *entry,
                        const struct engine_sink *sink);
/* One look at the evidence, and then at those that it masks or suppresses. */
void engine_evaluate(struct engine *engine, struct engine_alarm *entry,
                     const struct engine_sink *sink);
void engine_evaluate_children(struct engine *engine, struct engine_alarm *entry,
                              const struct engine_sink *sink);
/* The alarms of a list; parents before those they mask. */
void engine_evaluate_list(struct engine *engine, const uint32_t *alarms, uint32_t count,
                          const struct engine_sink *sink);

/* engine_people.c */
/* What an alarm brings into an incident. */
struct incident_entrant engine_entrant(const struct engine *engine,
                                       const struct engine_alarm *entry);
struct alarm_around engine_around(const struct engine *engine, const struct engine_alarm *entry);
/* Before a change of the alarm is told: joins its incident, decides on the notice, starts or stops
 * the ladder. Adds to the change. */
void engine_settle(struct engine *engine, struct engine_alarm *entry, struct alarm_change *change);
/* What time brings about among people: deferred notices, rungs, drafts. */
void engine_call(struct engine *engine, struct engine_alarm *entry, const struct engine_sink *sink);
int64_t engine_call_due_us(const struct engine *engine, const struct engine_alarm *entry);
/* Counts the raised members anew. */
void engine_count_members(struct engine *engine, struct incident *incident);
/* Both note when the next one is due. */
void engine_end_maintenance(struct engine *engine, const struct engine_sink *sink);
void engine_close_incidents(struct engine *engine, const struct engine_sink *sink);
/* Begins or ends (NULL) the maintenance of a station and looks at all it concerns; what was tipped
 * but not read yet is no rain, even if nothing is read in between. */
void engine_set_maintenance(struct engine *engine, uint32_t station,
                            const struct alarm_override *maintenance,
                            const struct engine_sink *sink);

/* engine_quality.c: what other points say at the time of a reading; false: its tests look at none.
 */
bool engine_quality_context(const struct engine *engine, const struct reading *reading,
                            struct quality_context *ret_context);

/* engine_command.c */
void engine_take_command(struct engine *engine, const struct engine_input *input,
                         const struct engine_sink *sink);

/* engine_late.c: a reading out of a logger's memory. Tested, calibrated and looked at by the
 * alarms, but it feeds no window and moves no level. */
/* TEST_MAINTENANCE or TEST_BUCKET_TEST: somebody worked on the station when the reading was made,
 * in the maintenance or bucket test that runs or in the maintenance that ended last. TEST_COUNT:
 * nobody. */
enum quality_test engine_work_at(const struct engine *engine, const struct reading *reading);
/* Keeps a reading, but as evidence for nothing. */
void engine_set_aside(struct reading *reading, enum quality_test tag);
void engine_take_late(struct engine *engine, struct reading *reading,
                      const struct engine_sink *sink);

/* engine_field.c */
/* What a technician asks for; the reply's sentence in `ret_err`. */
int engine_take_field(struct engine *engine, const struct engine_input *input,
                      const struct engine_sink *sink, struct err *ret_err);
/* Puts the calibration of its time on a reading. */
void engine_calibrate(const struct engine *engine, struct reading *reading);
/* What was tipped but not read yet is no rain: the station's totals start anew with the next
 * reading. */
void engine_forget_totals(struct engine *engine, uint32_t station);
/* True while a bucket test makes the point's amounts no rain; counts them. */
bool engine_test_bucket(struct engine *engine, const struct reading *reading);

/* engine_evidence.c */
/* The stretch that a reading, not taken yet, will add to what fell; false: nothing is known. */
bool engine_interval_to(const struct engine *engine, const struct reading *reading,
                        struct window_segment *ret_segment);
/* Quality control and windows. ret_worse as quality_test(). */
bool engine_take_reading(struct engine *engine, struct reading *reading, bool simulated,
                         struct reading *ret_worse);
/* False when it changed nothing (an older run, a repetition). */
bool engine_take_result(struct engine *engine, uint32_t slot, const struct model_result *result,
                        bool simulated, struct moment now);
/* Fills the indicators of an alarm as of `now`; returns when the first turns stale (monotonic). */
int64_t engine_refresh(struct engine *engine, const struct engine_alarm *alarm, struct moment now);

#endif
