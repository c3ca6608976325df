#include "daemon/control/ctl_whatif.h"

#include <string.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_tools.h"
#include "daemon/control/ctl_usage.h"

static int put_number(json_t *release, const char *key, const char *what, const char *text,
                      double max) {
    double value = 0;
    if (text_parse_double(text, 0, max, &value) != 0) {
        ctl_error("%s: expected a number up to %g, got '%s'", what, max, text);
        return EXIT_USAGE;
    }
    return json_object_set_new(release, key, json_real(value)) == 0 ? 0 : EXIT_FAILED;
}

static int put_wind(json_t *release, const char *wind) {
    char from[32];
    const char *slash = strchr(wind, '/');
    if (slash == NULL || (size_t)(slash - wind) >= sizeof from) {
        ctl_error("--wind: expected DEGREES/M_S such as 270/3, got '%s'", wind);
        return EXIT_USAGE;
    }
    memcpy(from, wind, (size_t)(slash - wind));
    from[slash - wind] = '\0';
    int result = put_number(release, "wind_from_deg", "--wind", from, 360);
    return result != 0 ? result : put_number(release, "wind_m_s", "--wind", slash + 1, 60);
}

int ctl_whatif_put(json_t *request, char **arguments, const char *duration, const char *wind) {
    int64_t us = 0;
    json_t *release = json_pack("{s:s,s:s}", "source", arguments[0], "substance", arguments[1]);
    if (release == NULL || json_object_set_new(request, "do", json_string("what-if")) != 0 ||
        json_object_set_new(request, "release", release) != 0) {
        ctl_error("what-if: not valid UTF-8");
        return EXIT_USAGE;
    }
    if (duration != NULL && (text_parse_duration_us(duration, &us) != 0 || us < 1000000)) {
        return ctl_expected("--for", "a duration such as '30 min' or '6h'", duration);
    }
    if (us > 0) {
        (void)json_object_set_new(release, "duration_s", json_real((double)us / 1e6)); /* refused */
    }
    int result = put_number(release, "Q_g_s", "G_S", arguments[2], 1e7);
    return result != 0 || wind == NULL ? result : put_wind(release, wind);
}

void ctl_print_whatif(const json_t *data, FILE *out) {
    const char *product = json_string_value(json_object_get(data, "product"));
    const char *id = json_string_value(json_object_get(data, "id"));
    fprintf(out,
            "asked: %s\nhypothetical, no warning: the answer will stand in "
            "/api/v1/products/%s/output.json\n",
            id != NULL ? id : "?", product != NULL ? product : "?");
}
