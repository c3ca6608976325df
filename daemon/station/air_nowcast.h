/* Means of hours for VN_AQI, and its Nowcast of particulate matter, Decision 1459/QĐ-TCMT. Thread
 * rule: pure. */
#ifndef CANHBAO_STATION_AIR_NOWCAST_H
#define CANHBAO_STATION_AIR_NOWCAST_H

#include <stdbool.h>

/* Nowcast of PM from 12 hourly means, newest first, NaN missing: NaN unless two of the newest three
 * are there. With weight 1/2 the Decision sums w^i c_i without dividing by the weights, which with
 * missing hours would come out too low; then we divide (*ret_own, may be NULL). */
enum { NOWCAST_HOURS = 12 };
double aqi_nowcast(const double hourly[NOWCAST_HOURS], bool *ret_own);

/* Mean of `length` hours running, NaN missing; NaN unless three quarters of them are there (ours:
 * the Decision does not say how many). */
double mean_of_hours(const double *hourly, int length);

#endif
