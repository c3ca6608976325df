#include "models/grid/formats.h"

#include <string.h>

#include "models/grid/grib.h"

static bool is_netcdf(const unsigned char *bytes, size_t size) {
    return size >= 4 && (memcmp(bytes, "CDF", 3) == 0 || memcmp(bytes, "\x89HDF", 4) == 0);
}

static bool is_grib2(const unsigned char *bytes, size_t size) {
    return size >= 16 && memcmp(bytes, "GRIB", 4) == 0 && bytes[7] == 2;
}

static const struct format formats[] = {
    {"NetCDF", is_netcdf, NULL, false},
    {"GRIB2", is_grib2, grib_translate, true},
};

const struct format *format_of(const void *bytes, size_t size) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (formats[i].recognises(bytes, size)) {
            return &formats[i];
        }
    }
    return NULL;
}
