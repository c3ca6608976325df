#include "daemon/config/quantity.h"

#include <string.h>

const struct quantity quantities[] = {
    {"stage", "m", true, false, "water level above the gauge's datum", 0.02},
    {"discharge", "m3 s-1", true, false, "river flow", 0},
    {"rain", "mm", false, true, "rain depth: the total of a bucket, or an amount", 0},
    {"rain_rate", "mm h-1", true, false, "rain intensity", 0},
    {"air_temperature", "degC", true, false, "air temperature", 0.5},
    {"water_temperature", "degC", true, false, "water temperature", 0.5},
    {"relative_humidity", "%", true, false, "relative humidity", 5},
    {"wind_speed", "m s-1", true, false, "wind speed, mean over the instrument's own interval", 1},
    {"wind_gust", "m s-1", true, false, "highest wind speed of the instrument's own interval", 0},
    {"wind_direction", "degree", true, false, "where the wind comes from, clockwise from north",
     10},
    {"pressure", "hPa", true, false, "air pressure at the station", 0.5},
    {"dose_rate", "nSv h-1", true, false, "ambient dose equivalent rate H*(10)", 0},
    {"cl2", "ppm", true, false, "chlorine, volume fraction", 0},
    {"nh3", "ppm", true, false, "ammonia, volume fraction", 0},
    {"h2s", "ppm", true, false, "hydrogen sulfide, volume fraction", 0},
    {"so2", "ppm", true, false, "sulfur dioxide, volume fraction", 0},
    {"hcl", "ppm", true, false, "hydrogen chloride, volume fraction", 0},
    {"hf", "ppm", true, false, "hydrogen fluoride, volume fraction", 0},
    {"co", "ppm", true, false, "carbon monoxide, volume fraction", 0},
    {"pm2_5", "ug m-3", true, false, "particulate matter below 2.5 um, mass concentration", 0},
    {"pm10", "ug m-3", true, false, "particulate matter below 10 um, mass concentration", 0},
    {"so2_mass", "ug m-3", true, false, "sulfur dioxide, mass concentration at 25 degC", 0},
    {"no2_mass", "ug m-3", true, false, "nitrogen dioxide, mass concentration at 25 degC", 0},
    {"co_mass", "ug m-3", true, false, "carbon monoxide, mass concentration at 25 degC", 0},
    {"o3_mass", "ug m-3", true, false, "ozone, mass concentration at 25 degC", 0},
    {"state", "1", true, false, "a switch, a contact or a status word of a device", 0},
    {"restarts", "1", true, false, "how often a device has started", 0},
    {"serial_number", "1", true, false, "the number of a device, as a number", 0},
    {"uptime", "s", true, false, "time since a device started", 0},
    {"voltage", "V", true, false, "supply voltage of the station", 0.2},
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
