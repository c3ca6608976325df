/* Rules: when a place has which level on which scale.
 *
 * The configuration fills these structs; the engine reads them. A rule names indicators once and
 * each level has a small tree of comparisons on them, stored in prefix order: an ALL or ANY node is
 * followed by its children. Evaluation is three-valued (Kleene's strong logic): unknown propagates.
 * Thread rule: constant after load; functions are pure. */
#ifndef CANHBAO_ALERTS_RULE_H
#define CANHBAO_ALERTS_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/evidence.h"
#include "daemon/base/err.h"
#include "daemon/station/station.h"

enum {
    RULE_LEVELS_MAX = 5,
    RULE_INDICATORS_MAX = 8,
    RULE_NODES_MAX = 128, /* of all levels together */
    RULE_DEPTH_MAX = 4,
    RULE_ISSUES_MAX = 4,
    RULE_HOURS_MAX = 8,
    RULE_ROWS_MAX = 32,
    RULE_QUANTITIES_MAX = 4,
    RULE_FLAP_MOVES_MAX = 8,
    STATION_LEVEL_HISTORIC = ALARM_LEVELS_MAX + 1, /* see struct rule_node */
    RULE_TEXT_SIZE = 512,
    RULE_REVISION_SIZE = 33,
    LEVEL_NAME_SIZE = 64
};

/* The two scales of Vietnamese law are types of their own; a level never appears without one. */
enum scale_kind {
    SCALE_FLOOD_ALARM, /* báo động I to III, Decision 05/2020/QD-TTg: levels 1 to 3 */
    SCALE_RISK,        /* cấp độ rủi ro 1 to 5, Decision 18/2021/QD-TTg */
    SCALE_OWN          /* of the quantity itself, named by the rule */
};

struct level_name {
    char name_vi[LEVEL_NAME_SIZE];
    char name_en[LEVEL_NAME_SIZE];
};

struct scale {
    enum scale_kind kind;
    char id[STATION_ID_SIZE]; /* "flood_alarm", "risk", or the own scale's: "cl2_exposure" */
    char name_vi[STATION_NAME_SIZE];
    char name_en[STATION_NAME_SIZE];
    uint32_t level_count;                      /* 1 to RULE_LEVELS_MAX */
    struct level_name levels[RULE_LEVELS_MAX]; /* [0] names level 1, the lowest */
};

enum indicator_kind {
    INDICATOR_LATEST,       /* newest usable reading */
    INDICATOR_RISE,         /* newest minus the reading `window_us` before */
    INDICATOR_ACCUMULATION, /* of a POINT_COUNTER or POINT_AMOUNT over `window_us` */
    INDICATOR_MEAN,         /* arithmetic mean of the readings of `window_us` */
    INDICATOR_MODEL,        /* a model's output for the place */
    INDICATOR_SILENCE, /* seconds since any point of the station gave a value, while we asked */
    INDICATOR_NOWCAST, /* of particulate matter, VN_AQI: weighted hourly means of `window_us` = 12 h
                        */
    INDICATOR_HIGHEST_HOUR, /* highest mean of an hour in `window_us` (daemon/station/window.h) */
    INDICATOR_HIGHEST_8H,   /* highest mean of eight hours that end in `window_us` */
    INDICATOR_LOWEST_DAILY_MAX,   /* lowest of the highest readings of the days of `window_us` */
    INDICATOR_HIGHEST_DAILY_MEAN, /* highest of their means */
    INDICATOR_KIND_COUNT
};

struct indicator_spec {
    enum indicator_kind kind;
    int64_t window_us;  /* RISE, ACCUMULATION, MEAN: above 0; NOWCAST: 12 h; MODEL: key, 0 is an
                           instant */
    int64_t max_age_us; /* older evidence is stale. Points: 0 takes the point's stale_after_us.
                           MODEL (age since the reference time): must be above 0 */
    /* Share of the window that must have good evidence for the value to count as complete, 0 to 1
     * (RISE does not use it). */
    double min_completeness;

    /* Points: the point's id at `station`, or with an empty `station` at the place of the alarm. */
    char station[STATION_ID_SIZE];
    char point[STATION_ID_SIZE];

    /* Models: the key of the output, for the place of the alarm. */
    char product[STATION_ID_SIZE];
    char variable[STATION_ID_SIZE];
    char unit[STATION_UNIT_SIZE];
    int64_t lead_us;        /* 0: analysis */
    int64_t min_lead_us;    /* a run whose remaining lead is below this counts as outdated */
    double min_coverage;    /* 0 to 1; less is unknown. 0: not asked for */
    double min_probability; /* 0 to 1; a lower one makes every comparison false. NaN: not asked */
    double probability;     /* part of the key: the value that is reached or exceeded with this
                               probability. NaN: not asked */
};

#define RULE_NOWCAST_US (INT64_C(12) * 3600 * 1000000)

/* DATED: the same cell of a table in its rows of several times; the child whose row was in force
 * when the evidence was taken decides, without one nothing is known. */
enum node_kind { NODE_ALL, NODE_ANY, NODE_COMPARE, NODE_DATED };

/* AT_LEAST and AT_MOST take a value that differs by the rounding of a binary32 number for equal. */
enum comparison { COMPARE_AT_LEAST, COMPARE_ABOVE, COMPARE_AT_MOST, COMPARE_BELOW };

struct rule_node {
    enum node_kind kind;
    uint8_t child_count; /* ALL, ANY, DATED: at least 1 */
    uint8_t row; /* k: this node is what rule.rows[k - 1] asks, and unknown while that row is
                    not in force; 0: of no table */

    /* COMPARE */
    uint8_t indicator; /* index in rule.indicators */
    enum comparison comparison;
    uint8_t station_level; /* 0: `threshold` is meant; k: the place's alarm_levels.at[k - 1] plus
                              `threshold` (usually 0); STATION_LEVEL_HISTORIC: its highest flood
                              on record plus `threshold` */
    double threshold;      /* in the unit of the indicator */
    double hysteresis;     /* >= 0: once true, false only this far on the other side */
};

struct rule_level {
    uint8_t level; /* 1 to scale.level_count, ascending in rule.levels */
    uint16_t first_node, node_count;
    int64_t on_delay_us;  /* true for so long before the level is taken */
    int64_t off_delay_us; /* false for so long, by fresh good evidence, before it is left */
    /* The worst knowledge that may raise: KNOWLEDGE_DOUBTFUL (the default of the configuration: a
     * suspect extreme still alerts) or KNOWLEDGE_FRESH. */
    enum knowledge required;
};

/* A row of a legal or technical table (alerts/tables) that thresholds of the rule come from. */
struct rule_row {
    char table[32];           /* "risk_levels" */
    char id[STATION_ID_SIZE]; /* of the row: "heavy_rain-04", "Cl2/AEGL-2" */
    char column[32];          /* the cell that is compared; "": the whole row */
    uint16_t article;         /* of the law; 0: none */
    uint8_t level;            /* that the row gives on its own scale; 0: none */
    char source[STATION_SOURCE_SIZE];
    char kind[24], confidence[16];   /* of the source: "primary_copy", "verified" */
    char digest[RULE_REVISION_SIZE]; /* of every field of the row: another row, another revision */
    bool provisional;
    int64_t valid_from_us, valid_to_us; /* in force in [from, to), UTC; to 0: open */
};

/* Hours of issue of a bulletin, of a row of the table bulletin_hours. */
struct rule_issue {
    uint8_t from_level; /* of the flood alarm */
    uint8_t count;
    int16_t minutes[RULE_HOURS_MAX]; /* after midnight in Vietnam, ascending */
    uint8_t row;                     /* in rule.rows, from 1 */
};

/* What stands for a quantity of the table of risk levels. */
struct rule_quantity {
    char metric[32];   /* "rain_24h_mm" */
    uint8_t indicator; /* in rule.indicators; unless `assumed` is a number */
    double assumed;    /* NaN: the indicator is asked */
    double hysteresis; /* in the unit of the indicator */
};

/* Where the levels come from when they are not written out; hazard "": they are. */
struct rule_table {
    char hazard[STATION_ID_SIZE], zone[STATION_ID_SIZE];
    char susceptibility[16]; /* Art. 46 only, else "" */
    uint32_t quantity_count;
    struct rule_quantity quantities[RULE_QUANTITIES_MAX];
    struct rule_level delays; /* on_delay_us, off_delay_us, required, of every level */
};

enum place_kind { PLACE_STATION, PLACE_AREA };

struct rule_place {
    enum place_kind kind;
    uint32_t index; /* in the site's stations or areas */
};

struct rule {
    char id[STATION_ID_SIZE];
    char revision[RULE_REVISION_SIZE]; /* see rule_revision() */
    char hazard[STATION_ID_SIZE];      /* flood, heavy_rain, chemical, radiation, ... */
    char text_vi[RULE_TEXT_SIZE];      /* what it says, for people */
    char text_en[RULE_TEXT_SIZE];
    char source[STATION_SOURCE_SIZE]; /* law, table or "our assumption" */
    bool provisional;                 /* the source is not certain; shown with every alert */
    struct scale scale;
    uint32_t level_count;
    struct rule_level levels[RULE_LEVELS_MAX];
    uint32_t indicator_count; /* [0] is the primary one: its trend is shown */
    struct indicator_spec indicators[RULE_INDICATORS_MAX];
    uint32_t node_count;
    struct rule_node nodes[RULE_NODES_MAX];
    struct rule_table levels_from;
    struct rule_row *rows; /* owner: who filled the rule */
    size_t row_count;      /* to RULE_ROWS_MAX */
    uint32_t issue_count;  /* of observed flood alarm levels only */
    struct rule_issue issues[RULE_ISSUES_MAX];
    bool internal; /* for the operators only: no public message */
    /* The hazard whose incident its alarms belong to. Empty: its own. */
    char incident_with[STATION_ID_SIZE];
    /* The alarm of this rule at the same place (for areas: at the station of the first indicator)
     * is the parent: while it is raised, this one is masked. Empty: none. */
    char masked_by[STATION_ID_SIZE];
    /* While the alarm of this rule at the same place stands at `suppressed_from` or above by usable
     * evidence, this one is suppressed by design. Empty: none. */
    char suppressed_by[STATION_ID_SIZE];
    uint8_t suppressed_from;
    uint8_t flap_moves; /* so many moves of the level within the window are flapping; 0: never */
    int64_t flap_window_us;    /* also the off-delay while it flaps, if longer */
    int64_t realert_decay_us;  /* see alarm.h; 0: no decay */
    double trend_deadband;     /* change of the primary indicator that still counts as steady */
    int64_t expires_after_us;  /* validity of what is published, above 0; expiry is no all-clear */
    struct rule_place *places; /* owner: who filled the rule */
    size_t place_count;
};

enum tristate { TRI_FALSE, TRI_TRUE, TRI_UNKNOWN };

/* The result of a condition with how well it is known. */
struct verdict {
    enum tristate value;
    enum knowledge knowledge; /* of the evidence that decided, or that kept it unknown */
    enum cause cause;
    struct moment observed; /* newest evidence among what decided */
};

/* The revision of a rule from its canonical text (32 hex digits of SHA-256). */
void rule_revision(const void *text, size_t length, char ret_revision[RULE_REVISION_SIZE]);

/* Checks structure and bounds (tree shape, depth, indices, ascending levels, finite numbers); does
 * not look at the site. ERR_INVALID or ERR_RANGE with a sentence. The engine refuses a rule that
 * fails here. */
int rule_check(const struct rule *rule, struct err *ret_err);

/* True when every threshold of the level exists at a place with these alarm levels (NULL: the place
 * has none). A level without a known threshold is not part of the alarm there; but one that asks
 * for a highest flood on record that nobody has put down is: the law has it at every gauge. From
 * the highest alarm level on it is then unknown whether that flood is reached. */
bool rule_level_defined(const struct rule *rule, uint32_t level_index,
                        const struct alarm_levels *alarm_levels);

/* One level's condition. `held`: the level is taken, so its comparisons use the hysteresis. */
struct verdict rule_evaluate(const struct rule *rule, uint32_t level_index, bool held,
                             const struct alarm_levels *alarm_levels,
                             const struct indicator *indicators);

/* The threshold of a comparison at a place; NaN: not known there. */
double rule_threshold(const struct rule_node *node, const struct alarm_levels *alarm_levels);

bool rule_row_in_force(const struct rule_row *row, struct utc_us at);

/* What one row of a table says (TRI_UNKNOWN for an index beyond the rows). `held` as above. */
enum tristate rule_row_holds(const struct rule *rule, size_t row, bool held,
                             const struct alarm_levels *alarm_levels,
                             const struct indicator *indicators);

/* Whether an indicator of the kind, which is of a point, can have such a window. */
bool indicator_window_fits(enum indicator_kind kind, int64_t window_us);
/* As configured and published, in the order of the enum; ends with NULL. */
extern const char *const indicator_kind_names[INDICATOR_KIND_COUNT + 1];
/* "latest", "rise", ... Never NULL. */
const char *indicator_kind_name(enum indicator_kind kind);
/* Names of a level, 0 included ("dưới mức cảnh báo"). Never NULL. */
const char *scale_level_name_vi(const struct scale *scale, uint32_t level);
const char *scale_level_name_en(const struct scale *scale, uint32_t level);

#endif
