#include "daemon/control/whatif_request.h"

#include <math.h>
#include <string.h>

#include "daemon/base/text.h"

static int take_number(const json_t *value, const char *key, double min, double max,
                       double *ret_number, struct err *ret_err) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= min && number <= max)) {
        return err_set(ret_err, ERR_RANGE, "release.%s: expected a number from %g to %g", key, min,
                       max);
    }
    *ret_number = number;
    return 0;
}

static int take_class(const json_t *value, char *ret_class, struct err *ret_err) {
    const char *text = json_string_value(value);
    if (text == NULL || text[0] < 'A' || text[0] > 'F' || text[1] != '\0') {
        return err_set(ret_err, ERR_INVALID, "release.class: expected a letter from A to F");
    }
    *ret_class = text[0];
    return 0;
}

static int take_substance(const json_t *value, char ret_text[16], struct err *ret_err) {
    const char *text = json_string_value(value);
    if (text == NULL || text[0] == '\0' ||
        text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] !=
            '\0' ||
        text_copy(ret_text, 16, text) != 0) {
        return err_set(ret_err, ERR_INVALID, "release.substance: expected a name such as \"Cl2\"");
    }
    return 0;
}

static int take(const char *key, const json_t *value, struct whatif_request *r,
                struct err *ret_err) {
    const char *text = json_string_value(value);
    if (strcmp(key, "source") == 0) {
        return text != NULL && text_is_id(text) && text_copy(r->source, sizeof r->source, text) == 0
                   ? 0
                   : err_set(ret_err, ERR_INVALID, "release.source: expected an id");
    }
    return strcmp(key, "substance") == 0 ? take_substance(value, r->substance, ret_err)
           : strcmp(key, "Q_g_s") == 0   ? take_number(value, key, 1e-3, 1e7, &r->rate_g_s, ret_err)
           : strcmp(key, "duration_s") == 0
               ? take_number(value, key, 1, 86400, &r->duration_s, ret_err)
           : strcmp(key, "wind_from_deg") == 0
               ? take_number(value, key, 0, 360, &r->wind_from_deg, ret_err)
           : strcmp(key, "wind_m_s") == 0 ? take_number(value, key, 0.5, 60, &r->wind_m_s, ret_err)
           : strcmp(key, "class") == 0
               ? take_class(value, &r->stability, ret_err)
               : err_set(ret_err, ERR_INVALID,
                         "release.%.40s: unknown key; expected source, substance, Q_g_s, "
                         "duration_s, wind_from_deg, wind_m_s, class",
                         key);
}

int whatif_request_read(const json_t *object, struct whatif_request *ret_request,
                        struct err *ret_err) {
    const double nan = (double)NAN;
    struct whatif_request r = {
        .rate_g_s = nan, .duration_s = nan, .wind_from_deg = nan, .wind_m_s = nan};
    const char *key = NULL;
    json_t *value = NULL;
    int result =
        json_is_object(object) ? 0 : err_set(ret_err, ERR_INVALID, "release: expected an object");
    json_object_foreach((json_t *)object, key, value) {
        result = result == 0 ? take(key, value, &r, ret_err) : result;
    }
    if (result == 0 && (r.source[0] == '\0' || r.substance[0] == '\0' || isnan(r.rate_g_s))) {
        result = err_set(ret_err, ERR_INVALID, "release: source, substance and Q_g_s are needed");
    }
    if (result == 0 && isnan(r.wind_from_deg) != isnan(r.wind_m_s)) {
        result = err_set(ret_err, ERR_INVALID, "release: wind_from_deg and wind_m_s, or none");
    }
    if (result == 0) {
        *ret_request = r;
    }
    return result;
}

char *whatif_request_text(const struct whatif_request *r, const char *id, const char *actor,
                          struct utc_us now) {
    char time[40], class[2] = {r->stability, '\0'};
    text_format_time(now.us, time, sizeof time);
    json_t *root =
        json_pack("{s:s,s:s,s:s,s:s,s:s,s:f}", "id", id, "asked_by", actor, "asked_at", time,
                  "source", r->source, "substance", r->substance, "Q_g_s", r->rate_g_s);
    int failed = root == NULL;
    if (!isnan(r->duration_s)) {
        failed |= json_object_set_new(root, "duration_s", json_real(r->duration_s));
    }
    if (!isnan(r->wind_m_s)) {
        failed |= json_object_set_new(root, "wind_from_deg", json_real(r->wind_from_deg));
        failed |= json_object_set_new(root, "wind_m_s", json_real(r->wind_m_s));
    }
    if (r->stability != '\0') {
        failed |= json_object_set_new(root, "class", json_string(class));
    }
    char *text = failed == 0 ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    return text;
}
