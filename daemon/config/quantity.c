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
    {"surge", "m", true, false, "storm surge: sea level above the tide that was foretold", 0},
    {"sea_level", "m", true, false, "sea level above the gauge's datum", 0.02},
    {"wave_height", "m", true, false, "height of waves: significant, or of a tsunami", 0},
    {"visibility", "m", true, false, "horizontal visibility", 0},
    {"salinity", "1e-3", true, false, "salinity of water, per mille", 0},
    {"salt_reach", "km", true, false,
     "how far from the mouth of a river water of a stated salinity reaches", 0},
    {"water_deficit", "%", true, false, "shortfall of water against the mean of many years", 0},
    {"seismic_intensity", "1", true, false, "intensity of an earthquake at the place, MSK-64", 0},
    /* parameters of QCVN 08:2023/BTNMT (alerts/tables/water_limits.csv) */
    {"ph", "1", true, false, "pH of water", 0},
    {"dissolved_oxygen", "mg L-1", true, false, "oxygen dissolved in water", 0},
    {"bod5", "mg L-1", true, false, "biochemical oxygen demand in 5 days", 0},
    {"cod", "mg L-1", true, false, "chemical oxygen demand", 0},
    {"toc", "mg L-1", true, false, "total organic carbon", 0},
    {"tss", "mg L-1", true, false, "total suspended solids", 0},
    {"ammonium_n", "mg L-1", true, false, "ammonium as nitrogen", 0},
    {"nitrite_n", "mg L-1", true, false, "nitrite as nitrogen", 0},
    {"total_n", "mg L-1", true, false, "total nitrogen", 0},
    {"total_p", "mg L-1", true, false, "total phosphorus", 0},
    {"chloride", "mg L-1", true, false, "chloride in water", 0},
    {"fluoride", "mg L-1", true, false, "fluoride in water", 0},
    {"cyanide", "mg L-1", true, false, "cyanide in water", 0},
    {"arsenic", "mg L-1", true, false, "arsenic in water", 0},
    {"cadmium", "mg L-1", true, false, "cadmium in water", 0},
    {"lead", "mg L-1", true, false, "lead in water", 0},
    {"chromium_6", "mg L-1", true, false, "hexavalent chromium in water", 0},
    {"chromium", "mg L-1", true, false, "total chromium in water", 0},
    {"copper", "mg L-1", true, false, "copper in water", 0},
    {"zinc", "mg L-1", true, false, "zinc in water", 0},
    {"nickel", "mg L-1", true, false, "nickel in water", 0},
    {"manganese", "mg L-1", true, false, "manganese in water", 0},
    {"mercury", "mg L-1", true, false, "mercury in water", 0},
    {"iron", "mg L-1", true, false, "iron in water", 0},
    {"antimony", "mg L-1", true, false, "antimony in water", 0},
    {"surfactant", "mg L-1", true, false, "anionic surfactants in water", 0},
    {"phenol", "mg L-1", true, false, "total phenol in water", 0},
    {"oil", "mg L-1", true, false, "oil and grease in water", 0},
    {"benzene", "mg L-1", true, false, "benzene in water", 0},
    {"formaldehyde", "mg L-1", true, false, "formaldehyde in water", 0},
    {"chloroform", "mg L-1", true, false, "chloroform in water", 0},
    {"coliform", "0.01 mL-1", true, false, "coliform bacteria, most probable number in 100 mL", 0},
    {"coliform_thermotolerant", "0.01 mL-1", true, false,
     "thermotolerant coliform bacteria, likewise", 0},
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
