#include "models/grid/mapping.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

/* How one number of a CF mapping is handed to PROJ. */
struct parameter {
    const char *cf;
    const char *proj;
    bool required;
};

struct projection {
    const char *cf;
    const char *proj;
    struct parameter parameters[6];
};

#define LAT_0  "latitude_of_projection_origin"
#define LON_0  "longitude_of_projection_origin"
#define LON_C  "longitude_of_central_meridian"
#define SCALE  "scale_factor_at_projection_origin"
#define HEIGHT "perspective_point_height"

/* CF-1.8, appendix F. standard_parallel, false origins and the ellipsoid are common to all. */
static const struct projection projections[] = {
    {"albers_conical_equal_area", "aea", {{LON_C, "lon_0", true}, {LAT_0, "lat_0", true}}},
    {"azimuthal_equidistant", "aeqd", {{LON_0, "lon_0", true}, {LAT_0, "lat_0", true}}},
    {"geostationary", "geos", {{LON_0, "lon_0", true}, {HEIGHT, "h", true}}},
    {"lambert_azimuthal_equal_area", "laea", {{LON_0, "lon_0", true}, {LAT_0, "lat_0", true}}},
    {"lambert_conformal_conic", "lcc", {{LON_C, "lon_0", true}, {LAT_0, "lat_0", true}}},
    {"lambert_cylindrical_equal_area", "cea", {{LON_C, "lon_0", true}, {SCALE, "k_0", false}}},
    {"latitude_longitude", "longlat", {{NULL, NULL, false}}},
    {"mercator", "merc", {{LON_0, "lon_0", true}, {SCALE, "k_0", false}}},
    {"oblique_mercator",
     "omerc",
     {{"azimuth_of_central_line", "alpha", true},
      {LON_0, "lonc", true},
      {LAT_0, "lat_0", true},
      {SCALE, "k_0", false}}},
    {"orthographic", "ortho", {{LON_0, "lon_0", true}, {LAT_0, "lat_0", true}}},
    {"polar_stereographic",
     "stere",
     {{"straight_vertical_longitude_from_pole", "lon_0", true},
      {LAT_0, "lat_0", true},
      {SCALE, "k_0", false}}},
    {"rotated_latitude_longitude",
     "ob_tran +o_proj=longlat",
     {{"grid_north_pole_latitude", "o_lat_p", true},
      {"north_pole_grid_longitude", "o_lon_p", false}}},
    {"sinusoidal", "sinu", {{LON_0, "lon_0", true}}},
    {"stereographic",
     "stere",
     {{LON_0, "lon_0", true}, {LAT_0, "lat_0", true}, {SCALE, "k_0", false}}},
    {"transverse_mercator",
     "tmerc",
     {{LON_C, "lon_0", true},
      {LAT_0, "lat_0", true},
      {"scale_factor_at_central_meridian", "k_0", false}}},
    {"vertical_perspective",
     "nsper",
     {{LON_0, "lon_0", true}, {LAT_0, "lat_0", true}, {HEIGHT, "h", true}}},
};

/* Common names of reference_ellipsoid_name, where no axes are given. */
static const struct {
    const char *cf;
    const char *proj;
} ellipsoids[] = {
    {"WGS 84", "WGS84"},          {"WGS84", "WGS84"},
    {"GRS 1980", "GRS80"},        {"GRS80", "GRS80"},
    {"WGS 72", "WGS72"},          {"Bessel 1841", "bessel"},
    {"Clarke 1866", "clrk66"},    {"International 1924", "intl"},
    {"Krassowsky 1940", "krass"}, {"Airy 1830", "airy"},
};

/* A PROJ string under construction. */
struct line {
    char *text;
    size_t size;
    size_t length;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
                                                           ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = line->size - line->length;
    int length = vsnprintf(line->text + line->length, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room) {
        line->full = true;
        line->text[line->length] = '\0';
    } else {
        line->length += (size_t)length;
    }
}

static void line_add_number(struct line *line, const char *key, double value) {
    char number[40];
    (void)text_format_double(value, number, sizeof number);
    line_add(line, " +%s=%s", key, number);
}

int grid_mapping_plane(struct grid_mapping *mapping, double latitude_deg, double longitude_deg) {
    const double zero = 0, a_m = 6378137, flattening = 298.257223563;
    int rc = grid_mapping_add_text(mapping, "grid_mapping_name", "azimuthal_equidistant");
    const struct {
        const char *name;
        const double *value;
    } numbers[] = {{"latitude_of_projection_origin", &latitude_deg},
                   {"longitude_of_projection_origin", &longitude_deg},
                   {"false_easting", &zero},
                   {"false_northing", &zero},
                   {"semi_major_axis", &a_m},
                   {"inverse_flattening", &flattening}};
    for (size_t i = 0; rc == 0 && i < sizeof numbers / sizeof *numbers; i++) {
        rc = grid_mapping_add_numbers(mapping, numbers[i].name, 1, numbers[i].value);
    }
    return rc;
}

const struct grid_attribute *grid_mapping_find(const struct grid_mapping *mapping,
                                               const char *name) {
    for (size_t i = 0; i < mapping->count; i++) {
        if (strcmp(mapping->attributes[i].name, name) == 0) {
            return &mapping->attributes[i];
        }
    }
    return NULL;
}

static const char *find_text(const struct grid_mapping *mapping, const char *name) {
    const struct grid_attribute *attribute = grid_mapping_find(mapping, name);
    return attribute != NULL ? attribute->text : NULL;
}

static bool find_number(const struct grid_mapping *mapping, const char *name, double *ret_value) {
    const struct grid_attribute *attribute = grid_mapping_find(mapping, name);
    if (attribute == NULL || attribute->number_count == 0) {
        return false;
    }
    *ret_value = attribute->numbers[0];
    return true;
}

static struct grid_attribute *add(struct grid_mapping *mapping, const char *name) {
    if (mapping->count == GRID_MAPPING_ATTRIBUTES_MAX) {
        return NULL;
    }
    struct grid_attribute *attribute = &mapping->attributes[mapping->count];
    memset(attribute, 0, sizeof *attribute);
    return text_copy(attribute->name, sizeof attribute->name, name) == 0 ? attribute : NULL;
}

int grid_mapping_add_numbers(struct grid_mapping *mapping, const char *name, size_t count,
                             const double *numbers) {
    struct grid_attribute *attribute = add(mapping, name);
    if (attribute == NULL || count == 0 || count > GRID_MAPPING_NUMBERS_MAX) {
        return ERR_LIMIT;
    }
    memcpy(attribute->numbers, numbers, count * sizeof *numbers);
    attribute->number_count = count;
    mapping->count++;
    return 0;
}

int grid_mapping_add_text(struct grid_mapping *mapping, const char *name, const char *text) {
    struct grid_attribute *attribute = add(mapping, name);
    if (attribute == NULL || strlen(text) >= GRID_MAPPING_TEXT_MAX) {
        return ERR_LIMIT;
    }
    attribute->text = strdup(text);
    if (attribute->text == NULL) {
        return ERR_MEMORY;
    }
    mapping->count++;
    return 0;
}

void grid_mapping_finish(struct grid_mapping *mapping) {
    for (size_t i = 0; i < mapping->count; i++) {
        free(mapping->attributes[i].text);
    }
    mapping->count = 0;
}

int grid_mapping_copy(const struct grid_mapping *mapping, struct grid_mapping *ret_copy) {
    struct grid_mapping copy = {.count = 0};
    for (size_t i = 0; i < mapping->count; i++) {
        const struct grid_attribute *from = &mapping->attributes[i];
        int result =
            from->text != NULL
                ? grid_mapping_add_text(&copy, from->name, from->text)
                : grid_mapping_add_numbers(&copy, from->name, from->number_count, from->numbers);
        if (result != 0) {
            grid_mapping_finish(&copy);
            return result;
        }
    }
    *ret_copy = copy;
    return 0;
}

static void add_ellipsoid(const struct grid_mapping *mapping, struct line *line) {
    double a, other;
    if (find_number(mapping, "earth_radius", &a)) {
        line_add_number(line, "R", a);
    } else if (find_number(mapping, "semi_major_axis", &a)) {
        line_add_number(line, "a", a);
        if (find_number(mapping, "inverse_flattening", &other) && other != 0.0) {
            line_add_number(line, "rf", other);
        } else if (find_number(mapping, "semi_minor_axis", &other)) {
            line_add_number(line, "b", other);
        } else {
            line_add_number(line, "b", a); /* CF: an inverse flattening of 0 is a sphere */
        }
    } else {
        const char *name = find_text(mapping, "reference_ellipsoid_name");
        const char *proj = "WGS84";
        for (size_t i = 0; name != NULL && i < sizeof ellipsoids / sizeof ellipsoids[0]; i++) {
            if (strcmp(ellipsoids[i].cf, name) == 0) {
                proj = ellipsoids[i].proj;
            }
        }
        line_add(line, " +ellps=%s", proj);
    }
    const struct grid_attribute *shift = grid_mapping_find(mapping, "towgs84");
    if (shift != NULL && (shift->number_count == 3 || shift->number_count == 7)) {
        for (size_t i = 0; i < shift->number_count; i++) {
            char number[40];
            (void)text_format_double(shift->numbers[i], number, sizeof number);
            line_add(line, "%s%s", i == 0 ? " +towgs84=" : ",", number);
        }
    }
    if (find_number(mapping, "longitude_of_prime_meridian", &a) && a != 0.0) {
        line_add_number(line, "pm", a);
    }
}

/* standard_parallel: one or two for cones, the latitude of true scale for the others. */
static int add_standard_parallel(const struct grid_mapping *mapping,
                                 const struct projection *projection, struct line *line,
                                 struct err *ret_err) {
    const struct grid_attribute *parallel = grid_mapping_find(mapping, "standard_parallel");
    bool cone = strcmp(projection->proj, "lcc") == 0 || strcmp(projection->proj, "aea") == 0;
    bool true_scale = strcmp(projection->proj, "merc") == 0 ||
                      strcmp(projection->proj, "cea") == 0 ||
                      strcmp(projection->cf, "polar_stereographic") == 0;
    if (!cone && !true_scale) {
        return 0;
    }
    if (parallel == NULL || parallel->number_count < 1) {
        if (grid_mapping_find(mapping, SCALE) != NULL && true_scale) {
            return 0;
        }
        return err_set(ret_err, ERR_INVALID, "grid mapping '%s' has no standard_parallel",
                       projection->cf);
    }
    if (true_scale) {
        line_add_number(line, "lat_ts", parallel->numbers[0]);
        return 0;
    }
    line_add_number(line, "lat_1", parallel->numbers[0]);
    line_add_number(line, "lat_2", parallel->numbers[parallel->number_count > 1 ? 1 : 0]);
    return 0;
}

static int add_parameters(const struct grid_mapping *mapping, const struct projection *projection,
                          struct line *line, struct err *ret_err) {
    double value;
    for (size_t i = 0; i < 6 && projection->parameters[i].cf != NULL; i++) {
        const struct parameter *parameter = &projection->parameters[i];
        bool found = find_number(mapping, parameter->cf, &value);
        if (!found && strcmp(parameter->proj, "lon_0") == 0) {
            /* files mix up the two names; they mean the same meridian */
            found = find_number(mapping, LON_0, &value) || find_number(mapping, LON_C, &value);
        }
        if (found && !isfinite(value)) {
            return err_set(ret_err, ERR_INVALID, "grid mapping '%s': %s is not finite",
                           projection->cf, parameter->cf);
        }
        if (found) {
            line_add_number(line, parameter->proj, value);
        } else if (parameter->required) {
            return err_set(ret_err, ERR_INVALID, "grid mapping '%s' has no %s", projection->cf,
                           parameter->cf);
        }
    }
    if (strcmp(projection->proj, "geos") == 0) {
        const char *sweep = find_text(mapping, "sweep_angle_axis");
        const char *fixed = find_text(mapping, "fixed_angle_axis");
        bool x = (sweep != NULL && strcmp(sweep, "x") == 0) ||
                 (sweep == NULL && fixed != NULL && strcmp(fixed, "y") == 0);
        line_add(line, " +sweep=%s", x ? "x" : "y");
    }
    if (strncmp(projection->proj, "ob_tran", 7) == 0) {
        /* the pole of PROJ's ob_tran lies half a turn from CF's meridian */
        if (!find_number(mapping, "grid_north_pole_longitude", &value)) {
            return err_set(ret_err, ERR_INVALID,
                           "grid mapping '%s' has no grid_north_pole_longitude", projection->cf);
        }
        line_add_number(line, "lon_0", 180.0 + value);
    }
    return add_standard_parallel(mapping, projection, line, ret_err);
}

/* Mappings given as text only. Their kind is not known before PROJ has read them; angles are
 * recognised by the units of the axes, which the caller compares. */
static int crs_from_text(const struct grid_mapping *mapping, struct line *line, bool *ret_degrees,
                         struct err *ret_err) {
    static const char *const names[] = {"crs_wkt", "spatial_ref", "proj4", "proj4_params",
                                        "proj4text"};
    const char *text = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && text == NULL; i++) {
        text = find_text(mapping, names[i]);
    }
    const char *code = find_text(mapping, "epsg_code");
    double number;
    if (text != NULL && text[0] != '\0') {
        bool proj = strncmp(text, "+", 1) == 0;
        line_add(line, "%s%s", text, proj && strstr(text, "+type=crs") == NULL ? " +type=crs" : "");
        *ret_degrees =
            proj ? strstr(text, "+proj=longlat") != NULL || strstr(text, "+proj=latlong") != NULL
                 : strncmp(text, "GEO", 3) == 0;
        return 0;
    }
    if (code != NULL) {
        line_add(line, strncmp(code, "EPSG:", 5) == 0 ? "%s" : "EPSG:%s", code);
    } else if (find_number(mapping, "epsg_code", &number) && number > 0 && number < 1e6) {
        line_add(line, "EPSG:%d", (int)number);
    } else {
        return err_set(ret_err, ERR_UNSUPPORTED,
                       "grid mapping has neither grid_mapping_name nor crs_wkt");
    }
    *ret_degrees = false; /* the common geographic codes */
    for (size_t i = 0; i < 3; i++) {
        static const char *const geographic[] = {"EPSG:4326", "EPSG:4756", "EPSG:4258"};
        *ret_degrees = *ret_degrees || strcmp(line->text, geographic[i]) == 0;
    }
    return 0;
}

int grid_mapping_crs(const struct grid_mapping *mapping, char *ret_crs, size_t size,
                     bool *ret_geographic, bool *ret_degrees, struct err *ret_err) {
    char text[GRID_CRS_MAX];
    struct line line = {.text = text, .size = sizeof text};
    bool degrees = false;
    bool geographic = false;
    text[0] = '\0';
    const char *name = find_text(mapping, "grid_mapping_name");
    int result = 0;
    if (mapping->count == 0) {
        line_add(&line, "+proj=longlat +ellps=WGS84 +no_defs +type=crs");
        geographic = degrees = true;
    } else if (name == NULL) {
        result = crs_from_text(mapping, &line, &degrees, ret_err);
        geographic = degrees;
    } else {
        const struct projection *projection = NULL;
        for (size_t i = 0; i < sizeof projections / sizeof projections[0]; i++) {
            if (strcmp(projections[i].cf, name) == 0) {
                projection = &projections[i];
            }
        }
        if (projection == NULL) {
            return err_set(ret_err, ERR_UNSUPPORTED, "grid mapping '%.80s' is not known", name);
        }
        geographic = strcmp(projection->proj, "longlat") == 0;
        degrees = geographic || strncmp(projection->proj, "ob_tran", 7) == 0;
        line_add(&line, "+proj=%s", projection->proj);
        result = add_parameters(mapping, projection, &line, ret_err);
        double value;
        if (find_number(mapping, "false_easting", &value)) {
            line_add_number(&line, "x_0", value);
        }
        if (find_number(mapping, "false_northing", &value)) {
            line_add_number(&line, "y_0", value);
        }
        add_ellipsoid(mapping, &line);
        line_add(&line, "%s +no_defs +type=crs", degrees ? "" : " +units=m");
    }
    if (result != 0) {
        return result;
    }
    if (line.full || text_copy(ret_crs, size, text) != 0) {
        return err_set(ret_err, ERR_LIMIT, "grid mapping needs more than %zu characters", size);
    }
    *ret_geographic = geographic;
    *ret_degrees = degrees;
    return 0;
}
