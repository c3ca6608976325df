#include "models/merge/variogram.h"

#include <math.h>
#include <stdbool.h>

static const double earth_km = 6371.0;
static const double degree = 0.017453292519943295;

enum { LADDER = 60, CLASS_PAIRS_MIN = 3, CLASSES_MIN = 4 };

struct place place_of(double lon_deg, double lat_deg) {
    double lon = lon_deg * degree;
    double lat = lat_deg * degree;
    return (struct place){(float)(earth_km * cos(lat) * cos(lon)),
                          (float)(earth_km * cos(lat) * sin(lon)), (float)(earth_km * sin(lat))};
}

double place_distance_km(struct place a, struct place b) {
    double dx = (double)(a.x_km - b.x_km);
    double dy = (double)(a.y_km - b.y_km);
    double dz = (double)(a.z_km - b.z_km);
    return sqrt(dx * dx + dy * dy + dz * dz);
}

double variogram_at(const struct variogram *variogram, double distance_km) {
    return distance_km <= 0.0
               ? 0.0
               : variogram->nugget +
                     variogram->sill * (1.0 - exp(-distance_km / variogram->range_km));
}

double variogram_covariance(const struct variogram *variogram, double distance_km) {
    return distance_km <= 0.0 ? variogram->nugget + variogram->sill
                              : variogram->sill * exp(-distance_km / variogram->range_km);
}

struct classes {
    double pairs[VARIOGRAM_BINS];
    double distance[VARIOGRAM_BINS]; /* means */
    double gamma[VARIOGRAM_BINS];
};

static int fill_classes(size_t count, const struct place *places, const double *values,
                        double longest_km, struct classes *classes) {
    *classes = (struct classes){0};
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            double distance = place_distance_km(places[i], places[j]);
            int k = (int)(distance / longest_km * VARIOGRAM_BINS);
            if (distance > 0.0 && k < VARIOGRAM_BINS) {
                double difference = values[i] - values[j];
                classes->pairs[k] += 1.0;
                classes->distance[k] += distance;
                classes->gamma[k] += 0.5 * difference * difference;
            }
        }
    }
    int used = 0;
    for (int k = 0; k < VARIOGRAM_BINS; k++) {
        if (classes->pairs[k] < CLASS_PAIRS_MIN) {
            classes->pairs[k] = 0.0;
            continue;
        }
        classes->distance[k] /= classes->pairs[k];
        classes->gamma[k] /= classes->pairs[k];
        used++;
    }
    return used;
}

/* Sum of weighted squares with the best nugget >= 0 and sill >= 0 of a range. */
static double fit_range(const struct classes *classes, double range_km, double *ret_nugget,
                        double *ret_sill) {
    double w = 0.0, wf = 0.0, wff = 0.0, wg = 0.0, wfg = 0.0, wgg = 0.0;
    for (int k = 0; k < VARIOGRAM_BINS; k++) {
        if (classes->pairs[k] <= 0.0) {
            continue;
        }
        double weight = classes->pairs[k] / (classes->distance[k] * classes->distance[k]);
        double f = 1.0 - exp(-classes->distance[k] / range_km);
        w += weight;
        wf += weight * f;
        wff += weight * f * f;
        wg += weight * classes->gamma[k];
        wfg += weight * f * classes->gamma[k];
        wgg += weight * classes->gamma[k] * classes->gamma[k];
    }
    double determinant = w * wff - wf * wf;
    double nugget = determinant > 1e-12 * w * wff ? (wff * wg - wf * wfg) / determinant : -1.0;
    double sill = determinant > 1e-12 * w * wff ? (w * wfg - wf * wg) / determinant : -1.0;
    if (nugget < 0.0 || sill < 0.0) { /* the best lies on an edge */
        double all_sill = wfg / wff;
        double all_nugget = wg / w;
        bool sloped = wfg * wfg / wff >= wg * wg / w;
        sill = sloped ? all_sill : 0.0;
        nugget = sloped ? 0.0 : all_nugget;
    }
    *ret_nugget = nugget;
    *ret_sill = sill;
    return wgg + nugget * nugget * w + sill * sill * wff + 2.0 * nugget * sill * wf -
           2.0 * nugget * wg - 2.0 * sill * wfg;
}

int variogram_fit(size_t count, const struct place *places, const double *values,
                  struct variogram *ret_variogram) {
    double mean = 0.0;
    double variance = 0.0;
    double longest_km = 0.0;
    if (count == 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        mean += values[i] / (double)count;
        for (size_t j = 0; j < i; j++) {
            longest_km = fmax(longest_km, place_distance_km(places[i], places[j]));
        }
    }
    for (size_t i = 0; i < count; i++) {
        variance += (values[i] - mean) * (values[i] - mean) / (double)count;
    }
    struct variogram best = {0.0, variance > 0.0 ? variance : 1.0, VARIOGRAM_RANGE_KM,
                             variance > 0.0 ? VARIOGRAM_FALLBACK : VARIOGRAM_FLAT};
    struct classes classes;
    if (variance > 0.0 && count >= VARIOGRAM_VALUES_MIN && longest_km > 0.0 &&
        fill_classes(count, places, values, 0.5 * longest_km, &classes) >= CLASSES_MIN) {
        double least = INFINITY;
        for (int i = 0; i < LADDER; i++) {
            /* From a hundredth of the largest distance to that distance. */
            double range_km = longest_km * pow(10.0, -2.0 + 2.0 * i / (LADDER - 1));
            double nugget, sill;
            double squares = fit_range(&classes, range_km, &nugget, &sill);
            /* A nugget alone, or next to nothing, is no structure to interpolate with. */
            if (squares < least && sill > 0.05 * (nugget + sill)) {
                least = squares;
                best = (struct variogram){nugget, sill, range_km, VARIOGRAM_FITTED};
            }
        }
    }
    *ret_variogram = best;
    return ERR_OK;
}

const char *variogram_source_name(enum variogram_source source) {
    static const char *const names[] = {"fitted", "fallback", "flat"};
    return names[source];
}
