/* Readings of a tracer or nuclide far away in long form, as of a tracer experiment: what stations
 * saw, when, and for how long; for maps and for the statistics that a wind field is not needed for.
 *
 * Readings CSV: start (UTC), duration_min, lat, lon, station, and one concentration whose name ends
 * with its unit (_pg_m3, _ng_m3, _ug_m3, _mg_m3, _mBq_m3, _Bq_m3); 0 is a non-detection, an empty
 * field no reading. Stations CSV (may be missing): station, lat, lon; then every reading must be of
 * a station of the list and at its place (within 0.05 degrees). Two readings of one station that
 * begin at the same time are refused. Thread rule: pure. */
#ifndef CANHBAO_MODELS_DISPERSION_FAR_READINGS_H
#define CANHBAO_MODELS_DISPERSION_FAR_READINGS_H

#include <jansson.h>

#include "daemon/base/err.h"

/* ret_report: {unit, readings, missing, detections, stations, stations_that_saw, largest {value,
 * station, start}, by_station: [{station, latitude_deg, longitude_deg, readings, detections,
 * largest, first_seen, last_seen, dosage (unit times hours)}]}. ret_map: GeoJSON, a point a
 * station. ERR_SYNTAX, ERR_NOT_FOUND, ERR_INVALID, ERR_RANGE, ERR_MEMORY. */
int far_readings_report(const char *path, const char *stations_path, json_t **ret_report,
                        json_t **ret_map, struct err *ret_err);

#endif
