/* Areas in GeoJSON files. Thread rule: pure. */
#ifndef CANHBAO_CONFIG_AREA_FILE_H
#define CANHBAO_CONFIG_AREA_FILE_H

#include <jansson.h>

#include "daemon/station/station.h"

/* The id of the outline of an area in its file. */
const char *area_file_id(const struct area *area);

/* The Feature of an area in a parsed file (a Feature, or a FeatureCollection with one of this id);
 * borrowed from root, NULL: there is none. */
const json_t *area_file_feature(const json_t *root, const char *id);

#endif
