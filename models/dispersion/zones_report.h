/* The zones of a release for people and for maps: GeoJSON, and a CF NetCDF grid.
 *
 * GeoJSON: a FeatureCollection with one MultiPolygon a level (level, name, value, unit, area_km2,
 * reach_km, places, communes), and beside the features: substance, exposure_s, places (level,
 * value, arrival_s of each) and communes (communes_json(); null: no outlines were given).
 * Thread rule: pure but for the files. */
#ifndef CANHBAO_MODELS_DISPERSION_ZONES_REPORT_H
#define CANHBAO_MODELS_DISPERSION_ZONES_REPORT_H

#include <jansson.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "models/dispersion/zones.h"
#include "models/table/args.h"

/* `places_path` (CSV: id, name, x_east_m and y_north_m, or longitude_deg and latitude_deg) may be
 * NULL; `communes_paths` as of communes_cut(). Errors of their readers. */
int zones_report(const struct zones *zones, const struct release *release, const char *places_path,
                 const struct args_list *communes_paths, json_t **ret_report, struct err *ret_err);

/* Grid about the source in an azimuthal equidistant projection. ERR_IO, ERR_MEMORY, ERR_NOT_FOUND
 * (the origin is not told). */
int zones_write_grid(const struct zones *zones, const struct release *release, int64_t utc_us,
                     const char *path, struct err *ret_err);

#endif
