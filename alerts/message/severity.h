/* How serious, how soon and how sure: CAP 1.2 severity, urgency and certainty of an event.
 *
 * severity, from the level on its scale (worse counts; level 0 is Minor):
 *   flood alarm          I Moderate, II Severe, III Extreme
 *   risk                 1 Minor, 2 Moderate, 3 Severe, 4 and 5 Extreme
 *   own, 3 to 5 levels   highest Severe, from half way up Moderate, lower ones Minor; for chemical
 * and radiation, whose top is danger to life: highest Extreme, the one below it Severe own, 1 or 2
 * levels   (a watch) highest Moderate, the other Minor urgency, from the lead time of the evidence
 * that has the least: none (observed)      Immediate from Severe on, else Expected up to 1 h
 * Expected;   more: Future level 0              Past;       expired without new data: Unknown
 * certainty, from the knowledge:
 *   fresh measurement    Observed;   doubtful one: Possible
 *   fresh model          Likely when it is an analysis, or its probability is 0.5 or more; else
 *                        Possible
 *   stale or unknown     Unknown
 * The mapping is ours; the law has none. Thread rule: pure. */
#ifndef CANHBAO_ALERTS_MESSAGE_SEVERITY_H
#define CANHBAO_ALERTS_MESSAGE_SEVERITY_H

#include "alerts/event.h"

enum severity { SEVERITY_MINOR, SEVERITY_MODERATE, SEVERITY_SEVERE, SEVERITY_EXTREME };

/* What an event says to the public. A draft, which waits for approval, says nothing; its approval
 * says what was raised. */
enum bulletin {
    BULLETIN_NONE, /* nothing: acknowledgements, comments, knowledge */
    BULLETIN_RAISED,
    BULLETIN_LOWERED, /* to a level above 0 */
    BULLETIN_RENEWED,
    BULLETIN_CLEARED, /* to level 0 */
    BULLETIN_EXPIRED,
    BULLETIN_CANCELLED, /* withdrawn by a person; no all-clear */
    BULLETIN_COUNT
};

enum bulletin bulletin_of_event(const struct event *event);

enum severity severity_of_level(const struct rule *rule, uint32_t level);
/* "Minor" to "Extreme". Never NULL. */
const char *severity_name(enum severity severity);
/* Words of CAP. Never NULL. */
const char *urgency_name(const struct event *event);
const char *certainty_name(const struct event *event);

/* Index of the indicator that stands for the event in short texts: the first with a value; 0 when
 * none has one. */
uint32_t event_indicator(const struct event *event);

/* The threshold of the level for one indicator at the place; NaN: the level does not ask it. */
double event_threshold(const struct event *event, uint32_t level, uint32_t indicator);

#endif
