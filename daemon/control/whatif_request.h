/* What a person asks about a release that has not happened: the object "release" of the request
 * "what-if", checked and written anew for the model.
 *
 * {source (id in the catalogue of the site), substance, Q_g_s; duration_s, wind_from_deg with
 * wind_m_s, class}. Thread rule: pure functions. */
#ifndef CANHBAO_DAEMON_CONTROL_WHATIF_REQUEST_H
#define CANHBAO_DAEMON_CONTROL_WHATIF_REQUEST_H

#include <jansson.h>

#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/station/station.h"

struct whatif_request {
    char source[STATION_ID_SIZE], substance[16];
    double rate_g_s;
    double duration_s;              /* NaN: continuous */
    double wind_from_deg, wind_m_s; /* NaN: of the stations */
    char stability;                 /* 'A' to 'F'; 0: by the hour */
};

/* ERR_INVALID, ERR_RANGE with a sentence. */
int whatif_request_read(const json_t *object, struct whatif_request *ret_request,
                        struct err *ret_err);

/* The file for the model, with who asked and when. NULL: no memory. */
char *whatif_request_text(const struct whatif_request *request, const char *id, const char *actor,
                          struct utc_us now);

#endif
