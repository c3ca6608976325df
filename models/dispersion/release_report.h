/* A followed gas alarm as the daemon's results, for the page and for the public message.
 *
 * Thread rule: pure functions on the caller's memory. */
#ifndef CANHBAO_MODELS_DISPERSION_RELEASE_REPORT_H
#define CANHBAO_MODELS_DISPERSION_RELEASE_REPORT_H

#include <jansson.h>

#include "models/dispersion/release_live.h"

/* gas_doubt (enum sensor_doubt) and gas_suspect (1: looks like a fault) of each sensor; plume_level
 * ("1"; 0: below all) and plume_conc (mg m-3) of each place and commune of the site, and of a
 * commune plume_share ("1", of its area in the lowest zone) and plume_people ("1", those in it);
 * unknown with the cause. */
json_t *release_results(const struct release_live *live);

/* Member "release": status (traced, assumed, not enough data), why, substance, rule, wind, source
 * (longitude, latitude, Q_g_s with bounds, start), zones (level, name, reach_km, area_km2), places
 * (level, conc, arrival_s from now by distance and wind), communes {list (communes_json(); null:
 * not known), why, people in the lowest zone (null: not known)}, text {vi, en}, sensors (what each
 * rise looks like, with its evidence), and the report of the trace when there is one
 * (trace_report.h). NULL: no memory. */
json_t *release_member(const struct release_live *live, const struct trace_places *catalogue,
                       const struct trace_places *points);

/* The report of the trace (trace_report.h) as a document of its own: status and why as in the
 * member "release"; nothing more while nothing is traced. NULL: no memory. */
json_t *release_trace(const struct release_live *live, const struct trace_places *catalogue,
                      const struct trace_places *points);

/* zones, places and communes as in the member "release". */
json_t *release_zones(const struct release_live *live);
json_t *release_places(const struct release_live *live);
json_t *release_communes(const struct release_live *live);

/* Member "cap": for each standing alarm of the rule its polygon ([[latitude, longitude], ...],
 * closed; convex hull of the lowest level), what to do, {vi, en}, and the communes it touches
 * [{name, code}], highest level first. Empty without zones. */
json_t *release_cap(const struct release_live *live, const json_t *alarms);

/* GeoJSON for maps: zones, source, regions of the source, sensors. */
json_t *release_map(const struct release_live *live);

/* "Wind from the north-east, 5 m/s: ..." in both languages: {vi, en}. */
json_t *release_text(const struct release_live *live);

#endif
