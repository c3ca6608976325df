#include "models/grid/geo.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

struct geo {
    PJ *transform; /* lon, lat in degrees -> x, y */
    PJ *crs;
    PJ_CONTEXT *context;
};

int geo_create(struct grid_env *env, const char *crs, struct geo **ret_geo, struct err *ret_err) {
    struct geo *geo = calloc(1, sizeof *geo);
    if (geo == NULL) {
        return err_set(ret_err, ERR_MEMORY, "no memory for a projection");
    }
    geo->context = env->proj;
    geo->crs = proj_create(env->proj, crs);
    PJ *raw = geo->crs != NULL ? proj_create_crs_to_crs(env->proj, "OGC:CRS84", crs, NULL) : NULL;
    if (raw != NULL) {
        geo->transform = proj_normalize_for_visualization(env->proj, raw);
        proj_destroy(raw);
    }
    if (geo->transform == NULL) {
        geo_destroy(geo);
        int code = proj_context_errno(env->proj);
        return err_set(ret_err, ERR_UNSUPPORTED, "PROJ does not understand '%.200s' (%s)", crs,
                       code != 0 ? proj_context_errno_string(env->proj, code) : "no reason given");
    }
    *ret_geo = geo;
    return 0;
}

void geo_destroy(struct geo *geo) {
    if (geo == NULL) {
        return;
    }
    proj_destroy(geo->transform);
    proj_destroy(geo->crs);
    free(geo);
}

static size_t transform(struct geo *geo, PJ_DIRECTION direction, size_t count, double *x,
                        double *y) {
    size_t failed = 0;
    for (size_t i = 0; i < count; i++) {
        PJ_COORD point = proj_coord(x[i], y[i], 0.0, 0.0);
        if (isfinite(x[i]) && isfinite(y[i])) {
            point = proj_trans(geo->transform, direction, point);
        }
        bool good = isfinite(point.xy.x) && isfinite(point.xy.y);
        x[i] = good ? point.xy.x : NAN;
        y[i] = good ? point.xy.y : NAN;
        failed += !good;
    }
    if (failed > 0) {
        (void)proj_errno_reset(geo->transform); /* told by the count */
    }
    return failed;
}

size_t geo_forward(struct geo *geo, size_t count, double *lon_to_x, double *lat_to_y) {
    return transform(geo, PJ_FWD, count, lon_to_x, lat_to_y);
}

size_t geo_inverse(struct geo *geo, size_t count, double *x_to_lon, double *y_to_lat) {
    return transform(geo, PJ_INV, count, x_to_lon, y_to_lat);
}

int geo_ellipsoid(struct geo *geo, double *ret_a_m, double *ret_b_m, struct err *ret_err) {
    PJ *ellipsoid = proj_get_ellipsoid(geo->context, geo->crs);
    double a_m = 0;
    double b_m = 0;
    int found = ellipsoid != NULL &&
                proj_ellipsoid_get_parameters(geo->context, ellipsoid, &a_m, &b_m, NULL, NULL);
    proj_destroy(ellipsoid);
    if (!found || !(a_m > 0) || !(b_m > 0) || b_m > a_m) {
        return err_set(ret_err, ERR_UNSUPPORTED, "the coordinate system names no usable ellipsoid");
    }
    *ret_a_m = a_m;
    *ret_b_m = b_m;
    return 0;
}
