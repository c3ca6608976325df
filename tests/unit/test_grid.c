/* Grids, projections (against cs2cs), cell areas and exact masks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "models/grid/geo.h"
#include "models/grid/grid.h"
#include "models/grid/mask.h"

static struct grid_env *env;

static int setup(void **state) {
    (void)state;
    return grid_env_create(NULL, &env, NULL);
}

static int teardown(void **state) {
    (void)state;
    grid_env_destroy(env);
    return 0;
}

struct attribute {
    const char *name;
    const char *text;
    size_t count;
    double numbers[7];
};

static void fill_mapping(struct grid_mapping *mapping, const struct attribute *attributes) {
    for (; attributes->name != NULL; attributes++) {
        if (attributes->text != NULL) {
            assert_int_equal(grid_mapping_add_text(mapping, attributes->name, attributes->text), 0);
        } else {
            assert_int_equal(grid_mapping_add_numbers(mapping, attributes->name, attributes->count,
                                                      attributes->numbers),
                             0);
        }
    }
}

static void make_mapping(const struct attribute *attributes, char *ret_crs, size_t size) {
    struct grid_mapping mapping = {.count = 0};
    struct err err = {0};
    bool geographic, degrees;
    fill_mapping(&mapping, attributes);
    if (grid_mapping_crs(&mapping, ret_crs, size, &geographic, &degrees, &err) != 0) {
        fail_msg("%s", err.text);
    }
    grid_mapping_finish(&mapping);
}

#define WGS84_AXES                                                                                 \
    {"semi_major_axis", NULL, 1, {6378137.0}}, {                                                   \
        "inverse_flattening", NULL, 1, {                                                           \
            298.257223563                                                                          \
        }                                                                                          \
    }

/* CF attributes beside the definition that a person would hand to cs2cs (or its EPSG code). */
static const struct {
    struct attribute attributes[12];
    const char *cs2cs;
    double lon, lat;
} projections[] = {
    {{{"grid_mapping_name", "polar_stereographic", 0, {0}},
      {"straight_vertical_longitude_from_pole", NULL, 1, {25.0}},
      {"latitude_of_projection_origin", NULL, 1, {90.0}},
      {"standard_parallel", NULL, 1, {60.0}},
      {"false_easting", NULL, 1, {380886.31}},
      {"false_northing", NULL, 1, {3395677.92}},
      {"semi_major_axis", NULL, 1, {6371288.0}},
      {"semi_minor_axis", NULL, 1, {6371288.0}}},
     "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=25 +x_0=380886.31 +y_0=3395677.92 +R=6371288",
     24.9,
     60.2},
    {{{"grid_mapping_name", "polar_stereographic", 0, {0}},
      {"straight_vertical_longitude_from_pole", NULL, 1, {-45.0}},
      {"latitude_of_projection_origin", NULL, 1, {90.0}},
      {"standard_parallel", NULL, 1, {70.0}},
      WGS84_AXES},
     "EPSG:3413",
     -40.0,
     72.0},
    {{{"grid_mapping_name", "transverse_mercator", 0, {0}},
      {"longitude_of_central_meridian", NULL, 1, {105.0}},
      {"latitude_of_projection_origin", NULL, 1, {0.0}},
      {"scale_factor_at_central_meridian", NULL, 1, {0.9996}},
      {"false_easting", NULL, 1, {500000.0}},
      {"false_northing", NULL, 1, {0.0}},
      WGS84_AXES},
     "EPSG:32648",
     105.8,
     21.0},
    {{{"grid_mapping_name", "transverse_mercator", 0, {0}},
      {"longitude_of_central_meridian", NULL, 1, {108.25}},
      {"latitude_of_projection_origin", NULL, 1, {0.0}},
      {"scale_factor_at_central_meridian", NULL, 1, {0.9999}},
      {"false_easting", NULL, 1, {500000.0}},
      {"false_northing", NULL, 1, {0.0}},
      {"towgs84",
       NULL,
       7,
       {-191.90441429, -39.30318279, -111.45032835, -0.00928836, 0.01975479, -0.00427372,
        0.252906278}},
      WGS84_AXES},
     "+proj=tmerc +lat_0=0 +lon_0=108.25 +k=0.9999 +x_0=500000 +y_0=0 +ellps=WGS84 "
     "+towgs84=-191.90441429,-39.30318279,-111.45032835,-0.00928836,0.01975479,-0.00427372,"
     "0.252906278",
     109.2,
     13.9},
    {{{"grid_mapping_name", "lambert_conformal_conic", 0, {0}},
      {"standard_parallel", NULL, 2, {49.0, 44.0}},
      {"longitude_of_central_meridian", NULL, 1, {3.0}},
      {"latitude_of_projection_origin", NULL, 1, {46.5}},
      {"false_easting", NULL, 1, {700000.0}},
      {"false_northing", NULL, 1, {6600000.0}},
      {"reference_ellipsoid_name", "GRS 1980", 0, {0}}},
     "EPSG:2154",
     4.8,
     45.7},
    {{{"grid_mapping_name", "lambert_azimuthal_equal_area", 0, {0}},
      {"longitude_of_projection_origin", NULL, 1, {10.0}},
      {"latitude_of_projection_origin", NULL, 1, {52.0}},
      {"false_easting", NULL, 1, {4321000.0}},
      {"false_northing", NULL, 1, {3210000.0}},
      {"reference_ellipsoid_name", "GRS 1980", 0, {0}}},
     "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 +ellps=GRS80",
     6.4,
     49.5},
    {{{"grid_mapping_name", "mercator", 0, {0}},
      {"longitude_of_projection_origin", NULL, 1, {0.0}},
      {"scale_factor_at_projection_origin", NULL, 1, {1.0}},
      WGS84_AXES},
     "EPSG:3395",
     109.0,
     14.0},
    {{{"grid_mapping_name", "azimuthal_equidistant", 0, {0}},
      {"longitude_of_projection_origin", NULL, 1, {109.1}},
      {"latitude_of_projection_origin", NULL, 1, {13.9}},
      {"earth_radius", NULL, 1, {6371000.0}}},
     "+proj=aeqd +lat_0=13.9 +lon_0=109.1 +R=6371000",
     109.9,
     14.7},
    {{{"grid_mapping_name", "albers_conical_equal_area", 0, {0}},
      {"standard_parallel", NULL, 2, {29.5, 45.5}},
      {"longitude_of_central_meridian", NULL, 1, {-96.0}},
      {"latitude_of_projection_origin", NULL, 1, {23.0}},
      {"reference_ellipsoid_name", "GRS 1980", 0, {0}}},
     "+proj=aea +lat_1=29.5 +lat_2=45.5 +lat_0=23 +lon_0=-96 +ellps=GRS80",
     -85.0,
     44.0},
    {{{"grid_mapping_name", "stereographic", 0, {0}},
      {"longitude_of_projection_origin", NULL, 1, {10.0}},
      {"latitude_of_projection_origin", NULL, 1, {51.0}},
      {"scale_factor_at_projection_origin", NULL, 1, {0.9996}},
      {"earth_radius", NULL, 1, {6370040.0}}},
     "+proj=stere +lat_0=51 +lon_0=10 +k=0.9996 +R=6370040",
     8.0,
     50.0},
    {{{"crs_wkt",
       "PROJCS[\"UTM 48N\",GEOGCS[\"WGS 84\",DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,"
       "298.257223563]],PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174532925199433]],PROJECTION["
       "\"Transverse_Mercator\"],PARAMETER[\"latitude_of_origin\",0],PARAMETER[\"central_meridian\""
       ",105],PARAMETER[\"scale_factor\",0.9996],PARAMETER[\"false_easting\",500000],PARAMETER["
       "\"false_northing\",0],UNIT[\"metre\",1]]",
       0,
       {0}}},
     "EPSG:32648",
     105.8,
     21.0},
};

/* cs2cs is a program of PROJ, but it is given the definition by hand: this checks our translation
 * of the attributes, axis order and units. */
static void cs2cs(const char *definition, double lon, double lat, double *ret_x, double *ret_y) {
    char command[700];
    (void)snprintf(command, sizeof command,
                   "echo '%.9f %.9f' | cs2cs -f %%.6f OGC:CRS84 +to '%s%s' 2>&1", lon, lat,
                   definition, definition[0] == '+' ? " +type=crs" : "");
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    int fields = fscanf(pipe, "%lf %lf", ret_x, ret_y);
    assert_int_equal(pclose(pipe), 0);
    assert_int_equal(fields, 2);
}

static void projections_agree_with_cs2cs_to_a_metre(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof projections / sizeof projections[0]; i++) {
        char crs[GRID_CRS_MAX];
        struct geo *geo = NULL;
        struct err err = {0};
        double expected_x, expected_y;
        make_mapping(projections[i].attributes, crs, sizeof crs);
        if (geo_create(env, crs, &geo, &err) != 0) {
            fail_msg("%s", err.text);
        }
        double x = projections[i].lon;
        double y = projections[i].lat;
        cs2cs(projections[i].cs2cs, x, y, &expected_x, &expected_y);
        assert_int_equal(geo_forward(geo, 1, &x, &y), 0);
        if (hypot(x - expected_x, y - expected_y) > 0.01) {
            fail_msg("%s: %.3f %.3f, cs2cs %.3f %.3f", crs, x, y, expected_x, expected_y);
        }
        assert_int_equal(geo_inverse(geo, 1, &x, &y), 0);
        assert_true(fabs(x - projections[i].lon) < 1e-8 && fabs(y - projections[i].lat) < 1e-8);
        geo_destroy(geo);
    }
}

/* Public check value: EURO-CORDEX, pole at 162 W 39.25 N; rotated (0, 0) is 18 E, 50.75 N. */
static void rotated_pole_turns_the_right_way(void **state) {
    (void)state;
    static const struct attribute attributes[] = {
        {"grid_mapping_name", "rotated_latitude_longitude", 0, {0}},
        {"grid_north_pole_latitude", NULL, 1, {39.25}},
        {"grid_north_pole_longitude", NULL, 1, {-162.0}},
        {"earth_radius", NULL, 1, {6371229.0}},
        {NULL, NULL, 0, {0}}};
    char crs[GRID_CRS_MAX];
    struct geo *geo = NULL;
    make_mapping(attributes, crs, sizeof crs);
    assert_int_equal(geo_create(env, crs, &geo, NULL), 0);
    double x = 18.0;
    double y = 50.75;
    assert_int_equal(geo_forward(geo, 1, &x, &y), 0);
    assert_true(fabs(x) < 1e-6 && fabs(y) < 1e-6);
    geo_destroy(geo);
}

static void bad_mappings_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        struct attribute attributes[4];
        const char *expected;
    } table[] = {
        {{{"grid_mapping_name", "flat_earth", 0, {0}}}, "'flat_earth' is not known"},
        {{{"grid_mapping_name", "transverse_mercator", 0, {0}},
          {"longitude_of_central_meridian", NULL, 1, {105.0}}},
         "has no latitude_of_projection_origin"},
        {{{"grid_mapping_name", "lambert_conformal_conic", 0, {0}},
          {"longitude_of_central_meridian", NULL, 1, {105.0}},
          {"latitude_of_projection_origin", NULL, 1, {15.0}}},
         "has no standard_parallel"},
        {{{"long_name", "nothing", 0, {0}}}, "neither grid_mapping_name nor crs_wkt"},
        {{{"grid_mapping_name", "sinusoidal", 0, {0}},
          {"longitude_of_projection_origin", NULL, 1, {NAN}}},
         "is not finite"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct grid_mapping mapping = {.count = 0};
        struct err err = {0};
        char crs[GRID_CRS_MAX];
        bool geographic, degrees;
        fill_mapping(&mapping, table[i].attributes);
        assert_true(grid_mapping_crs(&mapping, crs, sizeof crs, &geographic, &degrees, &err) < 0);
        assert_non_null(strstr(err.text, table[i].expected));
        grid_mapping_finish(&mapping);
    }
}

static void linear(double *ret_values, size_t count, double first, double step) {
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = first + step * (double)i;
    }
}

static void bad_axes_are_refused(void **state) {
    (void)state;
    static const double good[] = {1.0, 2.0, 3.0};
    static const struct {
        double y[3];
        const char *expected;
    } table[] = {{{1.0, 2.0, 2.0}, "not strictly monotonic at index 2"},
                 {{1.0, 3.0, 2.0}, "not strictly monotonic at index 2"},
                 {{1.0, NAN, 3.0}, "no number at index 1"},
                 {{88.0, 89.0, 91.0}, "latitude 91"}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct err err = {0};
        struct grid *grid = NULL;
        assert_true(grid_create(3, 3, good, table[i].y, NULL, &grid, &err) < 0);
        assert_null(grid);
        assert_non_null(strstr(err.text, table[i].expected));
    }
}

static void cells_of_the_whole_sphere_add_up(void **state) {
    (void)state;
    static const struct attribute sphere[] = {{"grid_mapping_name", "latitude_longitude", 0, {0}},
                                              {"earth_radius", NULL, 1, {6371000.0}},
                                              {NULL, NULL, 0, {0}}};
    double x[36], y[18], area[36 * 18];
    struct grid_mapping mapping = {.count = 0};
    struct grid *grid = NULL;
    linear(x, 36, 5.0, 10.0);
    linear(y, 18, 85.0, -10.0);
    fill_mapping(&mapping, sphere);
    assert_int_equal(grid_create(18, 36, x, y, &mapping, &grid, NULL), 0);
    assert_int_equal(grid_cell_areas_m2(env, grid, area, NULL), 0);
    double sum = 0.0;
    for (size_t i = 0; i < 36 * 18; i++) {
        sum += area[i];
    }
    double expected = 4.0 * acos(-1.0) * 6371000.0 * 6371000.0;
    assert_true(fabs(sum / expected - 1.0) < 1e-12);
    grid_destroy(grid);
    /* WGS 84: 510 065 621.724 km2 (NGA.STND.0036, table 3.5) */
    assert_int_equal(grid_create(18, 36, x, y, NULL, &grid, NULL), 0);
    assert_int_equal(grid_cell_areas_m2(env, grid, area, NULL), 0);
    sum = 0.0;
    for (size_t i = 0; i < 36 * 18; i++) {
        sum += area[i];
    }
    assert_true(fabs(sum / 510065621724000.0 - 1.0) < 1e-9);
    grid_destroy(grid);
    grid_mapping_finish(&mapping);
}

/* Equal-area projection: every cell has its plane area. Conformal: 1/k^2. */
static void projected_cells_have_ground_area(void **state) {
    (void)state;
    double x[4], y[3], area[12];
    struct grid_mapping mapping = {.count = 0};
    struct grid *grid = NULL;
    linear(x, 4, 4000000.0, 2000.0);
    linear(y, 3, 3000000.0, -1000.0);
    fill_mapping(&mapping, projections[5].attributes); /* EPSG:3035 */
    assert_int_equal(grid_create(3, 4, x, y, &mapping, &grid, NULL), 0);
    assert_int_equal(grid_cell_areas_m2(env, grid, area, NULL), 0);
    for (size_t i = 0; i < 12; i++) {
        assert_true(fabs(area[i] / 2e6 - 1.0) < 1e-6);
    }
    grid_destroy(grid);
    grid_mapping_finish(&mapping);
    fill_mapping(&mapping, projections[2].attributes); /* UTM: k0 = 0.9996 on the meridian */
    linear(x, 4, 500000.0 - 1500.0, 1000.0);
    assert_int_equal(grid_create(3, 4, x, y, &mapping, &grid, NULL), 0);
    assert_int_equal(grid_cell_areas_m2(env, grid, area, NULL), 0);
    assert_true(fabs(area[0] / (1e6 / (0.9996 * 0.9996)) - 1.0) < 1e-6);
    grid_destroy(grid);
    grid_mapping_finish(&mapping);
}

static void points_are_located(void **state) {
    (void)state;
    double x[5], y[4], row, column;
    struct grid *grid = NULL;
    linear(x, 5, 100.0, 1.0);
    linear(y, 4, 20.0, -1.0);
    assert_int_equal(grid_create(4, 5, x, y, NULL, &grid, NULL), 0);
    assert_true(grid_locate(grid, 102.25, 18.5, &row, &column));
    assert_true(fabs(column - 2.25) < 1e-12 && fabs(row - 1.5) < 1e-12);
    assert_true(grid_locate(grid, -260.5, 20.5, &row, &column)); /* another turn: 99.5 */
    assert_true(fabs(column + 0.5) < 1e-12 && fabs(row + 0.5) < 1e-12);
    assert_false(grid_locate(grid, 104.6, 18.5, &row, &column));
    assert_false(grid_locate(grid, 102.0, 16.4, &row, &column));
    assert_false(grid_locate(grid, NAN, 18.0, &row, &column));
    grid_destroy(grid);
}

/* ---- masks ---- */

static void one_area(const char *geometry, struct area_list *ret_list) {
    char text[2000];
    struct err err = {0};
    int length =
        snprintf(text, sizeof text,
                 "{\"type\":\"Feature\",\"id\":\"a\",\"properties\":{},\"geometry\":%s}", geometry);
    if (area_list_parse("test", text, (size_t)length, ret_list, &err) != 0) {
        fail_msg("%s", err.text);
    }
}

static struct mask *mask_of(const struct grid *grid, const struct area *area) {
    struct mask *mask = NULL;
    struct err err = {0};
    double *cells = malloc(grid->rows * grid->columns * sizeof *cells);
    assert_int_equal(grid_cell_areas_m2(env, grid, cells, &err), 0);
    if (mask_create(env, grid, cells, area, &mask, &err) != 0) {
        fail_msg("%s", err.text);
    }
    free(cells);
    return mask;
}

static double fraction_at(const struct mask *mask, size_t index) {
    for (size_t i = 0; i < mask->count; i++) {
        if (mask->index[i] == index) {
            return mask->fraction[i];
        }
    }
    return 0.0;
}

/* A triangle with corners (0.5, 0.5), (3.5, 0.5), (0.5, 3.5) on unit cells: shares by hand. */
static void a_triangle_has_the_shares_worked_out_by_hand(void **state) {
    (void)state;
    static const char triangle[] =
        "{\"type\":\"Polygon\",\"coordinates\":[[[0.5,0.5],[3.5,0.5],[0.5,3.5],[0.5,0.5]]]}";
    for (int flips = 0; flips < 4; flips++) {
        double x[4], y[4];
        struct grid *grid = NULL;
        struct area_list list;
        bool x_down = (flips & 1) != 0;
        bool y_down = (flips & 2) != 0;
        linear(x, 4, x_down ? 3.5 : 0.5, x_down ? -1.0 : 1.0);
        linear(y, 4, y_down ? 3.5 : 0.5, y_down ? -1.0 : 1.0);
        assert_int_equal(grid_create(4, 4, x, y, NULL, &grid, NULL), 0);
        one_area(triangle, &list);
        struct mask *mask = mask_of(grid, &list.areas[0]);
        /* x + y <= 4: cells below the diagonal are whole, on it half. */
        static const double expected[4][4] = {{0.25, 0.5, 0.5, 0.125},
                                              {0.5, 1.0, 0.5, 0.0},
                                              {0.5, 0.5, 0.0, 0.0},
                                              {0.125, 0.0, 0.0, 0.0}};
        for (size_t r = 0; r < 4; r++) {
            for (size_t c = 0; c < 4; c++) {
                size_t index = (y_down ? 3 - r : r) * 4 + (x_down ? 3 - c : c);
                assert_true(fabs(fraction_at(mask, index) - expected[r][c]) < 1e-14);
            }
        }
        assert_true(mask->inside == 1.0);
        mask_destroy(mask);
        area_list_finish(&list);
        grid_destroy(grid);
    }
}

static void holes_and_parts_count_and_the_outside_is_told(void **state) {
    (void)state;
    double x[10], y[10];
    struct grid *grid = NULL;
    struct area_list list;
    linear(x, 10, 100.5, 1.0);
    linear(y, 10, 10.5, 1.0);
    assert_int_equal(grid_create(10, 10, x, y, NULL, &grid, NULL), 0);
    /* a square of 4 x 4 with a hole of 1 x 1 (same winding as the shell: RFC 7946 asks readers to
     * accept that), and a second part of which half is beyond the grid */
    one_area("{\"type\":\"MultiPolygon\",\"coordinates\":[[[[101.25,12],[105.25,12],[105.25,16],"
             "[101.25,16],[101.25,12]],[[102.5,13.5],[103.5,13.5],[103.5,14.5],[102.5,14.5],"
             "[102.5,13.5]]],[[[108,19],[112,19],[112,20],[108,20],[108,19]]]]}",
             &list);
    struct mask *mask = mask_of(grid, &list.areas[0]);
    double sum = 0.0;
    for (size_t i = 0; i < mask->count; i++) {
        sum += mask->fraction[i];
    }
    assert_true(fabs(sum - (16.0 - 1.0 + 2.0)) < 1e-12);
    assert_true(fabs(fraction_at(mask, 3 * 10 + 2) - 0.75) < 1e-14); /* a quarter is hole */
    assert_true(fabs(fraction_at(mask, 2 * 10 + 1) - 0.75) < 1e-14);
    assert_true(fabs(mask->inside - 17.0 / 19.0) < 1e-12);
    mask_destroy(mask);
    area_list_finish(&list);
    /* far away: no cells, no error */
    one_area("{\"type\":\"Polygon\",\"coordinates\":[[[50,50],[51,50],[51,51],[50,50]]]}", &list);
    mask = mask_of(grid, &list.areas[0]);
    assert_int_equal(mask->count, 0);
    assert_true(mask->inside == 0.0);
    mask_destroy(mask);
    area_list_finish(&list);
    grid_destroy(grid);
}

/* 360 degrees apart is the same place; a global grid wraps around a polygon at its seam. */
static void longitudes_are_taken_modulo_a_turn(void **state) {
    (void)state;
    double x[36], y[4];
    struct grid *grid = NULL;
    struct area_list list;
    linear(x, 36, 5.0, 10.0); /* 0 .. 360 */
    linear(y, 4, -15.0, 10.0);
    assert_int_equal(grid_create(4, 36, x, y, NULL, &grid, NULL), 0);
    one_area("{\"type\":\"Polygon\",\"coordinates\":[[[-5,-5],[5,-5],[5,5],[-5,5],[-5,-5]]]}",
             &list);
    struct mask *mask = mask_of(grid, &list.areas[0]);
    assert_int_equal(mask->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(fabs(mask->fraction[i] - 0.25) < 1e-14);
    }
    assert_true(mask->inside == 1.0);
    mask_destroy(mask);
    area_list_finish(&list);
    grid_destroy(grid);
}

static uint32_t random_state;
static double random_unit(void) {
    random_state = random_state * 1664525U + 1013904223U;
    return (double)(random_state >> 8) / 16777216.0;
}

/* Two independent algorithms (edge sweep on rectilinear, clipping on curvilinear grids) must agree
 * on random star-shaped, concave polygons that hang over the rim. */
static void sweep_and_clipping_agree_on_random_polygons(void **state) {
    (void)state;
    enum { ROWS = 13, COLUMNS = 17 };
    double x[COLUMNS], y[ROWS], lon[ROWS * COLUMNS], lat[ROWS * COLUMNS];
    linear(x, COLUMNS, 100.0, 0.37);
    linear(y, ROWS, 18.0, -0.41);
    for (size_t i = 0; i < ROWS * COLUMNS; i++) {
        lon[i] = x[i % COLUMNS];
        lat[i] = y[i / COLUMNS];
    }
    struct grid *flat = NULL;
    struct grid *curved = NULL;
    assert_int_equal(grid_create(ROWS, COLUMNS, x, y, NULL, &flat, NULL), 0);
    assert_int_equal(grid_create_curvilinear(ROWS, COLUMNS, lon, lat, &curved, NULL), 0);
    for (uint32_t seed = 1; seed <= 200; seed++) {
        random_state = seed;
        double ring_lon[24], ring_lat[24];
        size_t count = 3 + (size_t)(random_unit() * 21.0);
        double centre_lon = 99.5 + 7.0 * random_unit();
        double centre_lat = 12.5 + 6.0 * random_unit();
        for (size_t i = 0; i < count; i++) {
            double angle = 2.0 * acos(-1.0) * (double)i / (double)count;
            double radius = 0.1 + 3.0 * random_unit();
            ring_lon[i] = centre_lon + radius * cos(angle);
            ring_lat[i] = centre_lat + radius * sin(angle);
        }
        struct area_ring ring = {.count = count, .lon = ring_lon, .lat = ring_lat};
        struct area area = {.id = "random", .ring_count = 1, .rings = &ring};
        struct mask *a = mask_of(flat, &area);
        struct mask *b = mask_of(curved, &area);
        for (size_t i = 0; i < ROWS * COLUMNS; i++) {
            if (fabs(fraction_at(a, i) - fraction_at(b, i)) > 1e-11) {
                fail_msg("seed %u cell %zu: %.15f, %.15f", seed, i, fraction_at(a, i),
                         fraction_at(b, i));
            }
        }
        assert_true(fabs(a->inside - b->inside) < 1e-11);
        mask_destroy(a);
        mask_destroy(b);
    }
    grid_destroy(flat);
    grid_destroy(curved);
}

/* A lat/lon box on a polar stereographic grid covers the ground area that the ellipsoid gives. */
static void a_projected_mask_covers_the_true_ground_area(void **state) {
    (void)state;
    enum { SIZE = 400 };
    static double x[SIZE], y[SIZE];
    struct grid_mapping mapping = {.count = 0};
    struct grid *grid = NULL;
    struct area_list list;
    fill_mapping(&mapping, projections[0].attributes);
    linear(x, SIZE, 100000.0, 1000.0);
    linear(y, SIZE, 500000.0, -1000.0);
    assert_int_equal(grid_create(SIZE, SIZE, x, y, &mapping, &grid, NULL), 0);
    one_area("{\"type\":\"Polygon\",\"coordinates\":[[[23,61],[25,61],[25,62],[23,62],[23,61]]]}",
             &list);
    struct mask *mask = mask_of(grid, &list.areas[0]);
    double rad = acos(-1.0) / 180.0;
    double expected = 6371288.0 * 6371288.0 * (2.0 * rad) * (sin(62.0 * rad) - sin(61.0 * rad));
    assert_true(mask->inside == 1.0);
    assert_true(fabs(mask->covered_m2 / expected - 1.0) < 1e-7);
    mask_destroy(mask);
    area_list_finish(&list);
    grid_destroy(grid);
    grid_mapping_finish(&mapping);
}

static void bad_areas_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
    } table[] = {
        {"{\"type\":\"Feature\",", "not JSON"},
        {"[]", "not a GeoJSON FeatureCollection"},
        {"{\"type\":\"FeatureCollection\",\"features\":[]}", "no features"},
        {"{\"type\":\"Feature\",\"properties\":{},\"geometry\":null}", "no id"},
        {"{\"type\":\"Feature\",\"id\":7,\"geometry\":null}", "no id"},
        {"{\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[1,2]"
         "}}",
         "(a): its geometry is no Polygon"},
        {"{\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[["
         "[0,0],[1,0],[0,0]]]}}",
         "(a): a ring has fewer than 4"},
        {"{\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[["
         "[0,0],[1,0],[1,1],[0,1]]]}}",
         "(a): a ring is not closed"},
        {"{\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[["
         "[0,0],[1,0],[2,0],[0,0]]]}}",
         "(a): the polygon has no area"},
        {"{\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[["
         "[0,0],[1,95],[2,0],[0,0]]]}}",
         "(a): a position is not"},
        {"{\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[["
         "[0,0],[\"1\",1],[2,0],[0,0]]]}}",
         "(a): a position is not"},
        {"{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"id\":\"a\","
         "\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1],[0,0]]]}},{"
         "\"type\":\"Feature\",\"id\":\"a\",\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[["
         "0,0],[1,0],[1,1],[0,0]]]}}]}",
         "feature 1 (a): this id is there already"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct area_list list = {.count = 0};
        struct err err = {0};
        assert_true(
            area_list_parse("x.geojson", table[i].text, strlen(table[i].text), &list, &err) < 0);
        if (strstr(err.text, table[i].expected) == NULL || strstr(err.text, "x.geojson") == NULL) {
            fail_msg("case %zu: %s", i, err.text);
        }
        assert_int_equal(list.count, 0);
    }
}

static void units_convert_or_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *from;
        double scale; /* 0: refused */
    } table[] = {
        {"mm h-1", 1.0},
        {"mm/h", 1.0},
        {"kg m-2 s-1", 3600.0},
        {"m s-1", 3.6e6},
        {"mm day-1", 1.0 / 24},
        {"mm", 0.0},
        {"dBZ", 0.0},
        {"K", 0.0},
        {"furlong/fortnight parsec", 0.0},
        {"not a unit", 0.0},
        {"", 0.0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        double scale = 0.0;
        double offset = 1.0;
        struct err err = {0};
        int result = grid_env_unit(env, table[i].from, "mm h-1", &scale, &offset, &err);
        if (table[i].scale == 0.0) {
            assert_true(result < 0);
        } else {
            assert_int_equal(result, 0);
            assert_true(fabs(scale / table[i].scale - 1.0) < 1e-12 && fabs(offset) < 1e-9);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(projections_agree_with_cs2cs_to_a_metre),
        cmocka_unit_test(rotated_pole_turns_the_right_way),
        cmocka_unit_test(bad_mappings_are_refused_by_name),
        cmocka_unit_test(bad_axes_are_refused),
        cmocka_unit_test(cells_of_the_whole_sphere_add_up),
        cmocka_unit_test(projected_cells_have_ground_area),
        cmocka_unit_test(points_are_located),
        cmocka_unit_test(a_triangle_has_the_shares_worked_out_by_hand),
        cmocka_unit_test(holes_and_parts_count_and_the_outside_is_told),
        cmocka_unit_test(longitudes_are_taken_modulo_a_turn),
        cmocka_unit_test(sweep_and_clipping_agree_on_random_polygons),
        cmocka_unit_test(a_projected_mask_covers_the_true_ground_area),
        cmocka_unit_test(bad_areas_are_refused_by_name),
        cmocka_unit_test(units_convert_or_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
