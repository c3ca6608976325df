/* How a change of an alarm is measured, shared by alarm.c (evidence and time) and alarm_command.c
 * (people). Nobody else includes this. */
#ifndef CANHBAO_ALERTS_ALARM_CHANGE_H
#define CANHBAO_ALERTS_ALARM_CHANGE_H

#include "alerts/alarm.h"

/* Compares with what alarm_change_begin() saw and counts. change.what holds what else changed;
 * `quiet` are bits that change only the record. */
void alarm_change_finish(struct alarm *alarm, struct moment now, uint32_t quiet,
                         struct alarm_change *change);

/* Begins the validity of what is published now. It is renewed when a quarter of rule's validity is
 * left: for flood bulletins at the latest at their next hour of issue. */
void alarm_extend(struct alarm *alarm, const struct rule *rule, struct moment now);

#endif
