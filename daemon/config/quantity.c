#include "daemon/config/quantity.h"

#include <string.h>

const struct quantity quantities[] = {
    {"stage", "m", true, false, "water level above the gauge's datum"},
    {"discharge", "m3 s-1", true, false, "river flow"},
    {"rain", "mm", false, true, "rain depth: the total of a bucket, or an amount"},
    {"rain_rate", "mm h-1", true, false, "rain intensity"},
    {"air_temperature", "degC", true, false, "air temperature"},
    {"water_temperature", "degC", true, false, "water temperature"},
    {"relative_humidity", "%", true, false, "relative humidity"},
    {"wind_speed", "m s-1", true, false, "wind speed, mean over the instrument's own interval"},
    {"wind_gust", "m s-1", true, false, "highest wind speed of the instrument's own interval"},
    {"wind_direction", "degree", true, false, "where the wind comes from, clockwise from north"},
    {"pressure", "hPa", true, false, "air pressure at the station"},
    {"dose_rate", "nSv h-1", true, false, "ambient dose equivalent rate H*(10)"},
    {"cl2", "ppm", true, false, "chlorine, volume fraction"},
    {"nh3", "ppm", true, false, "ammonia, volume fraction"},
    {"h2s", "ppm", true, false, "hydrogen sulfide, volume fraction"},
    {"so2", "ppm", true, false, "sulfur dioxide, volume fraction"},
    {"hcl", "ppm", true, false, "hydrogen chloride, volume fraction"},
    {"hf", "ppm", true, false, "hydrogen fluoride, volume fraction"},
    {"co", "ppm", true, false, "carbon monoxide, volume fraction"},
    {"state", "1", true, false, "a switch, a contact or a status word of a device"},
    {"restarts", "1", true, false, "how often a device has started"},
    {"serial_number", "1", true, false, "the number of a device, as a number"},
    {"uptime", "s", true, false, "time since a device started"},
    {"voltage", "V", true, false, "supply voltage of the station"},
};

const size_t quantity_count = sizeof quantities / sizeof quantities[0];

const struct quantity *quantity_find(const char *name) {
    for (size_t i = 0; i < quantity_count; i++) {
        if (strcmp(quantities[i].name, name) == 0) {
            return &quantities[i];
        }
    }
    return NULL;
}
