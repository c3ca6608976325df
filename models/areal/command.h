/* `canhbao-model areal`: the command line of models/areal/areal.h.
 *
 * One JSON object on stdout (or in --out):
 *   model           "areal"
 *   product         as given, "" without
 *   reference_time  newest frame, RFC 3339 with Z
 *   manifest        {model, build, parameters, inputs: [{name, sha256, frames}],
 *                   grid: {rows, columns, crs}, left_out: [reason ...] of what could not be used,
 *                   classes: {name, sha256, variable} of --classes}
 *   manifest_sha256 of the manifest written compactly with sorted keys
 *   results         [{area, variable, unit, window_s, lead_s, value, coverage, probability,
 *                   cause, at_least}]; value null with a cause when unknown, cause only then, and
 *                   with it at_least where the amount of a window has a lower bound above 0;
 *                   probability only in results of an ensemble
 *
 * Variables: rain_mean, rain_max (mm h-1 at window 0, mm over windows), rain_covered (share of the
 * area at or above the threshold). Lead 0 is what has been, above 0 the forecast that was asked
 * for. With a probability p the value is the one that at least that share of the members reach. */
#ifndef CANHBAO_MODELS_AREAL_COMMAND_H
#define CANHBAO_MODELS_AREAL_COMMAND_H

#include "models/model.h"

extern const struct model model_areal;

#endif
