/* Bad site files, each made from a good one by one change. Where the fault must be told is marked
 * in the change itself with '|': the expected line and column are counted here, not copied from the
 * program. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/config_fixture.h"

struct bad {
    const char *file;
    const char *from; /* replaced once; must be in the file */
    const char *to;   /* '|' marks where the error must be told; it is taken out */
    const char *text; /* must be in the message */
    const char *told; /* the error is told in another file, at its begin; NULL: this file */
};

static const struct bad bads[] = {
    /* numbers */
    {alpha, "latitude_deg: 14.5", "latitude_deg: 14,|5", "unknown key '5'", NULL},
    {alpha, "scale: 0.2", "scale: |0,2", "'0,2' has a decimal comma", NULL},
    {alpha, "level_1: 6 m", "level_1: |6,0 m", "has a decimal comma", NULL},
    {alpha, "port: 15900", "port: |015900", "has a leading zero", NULL},
    {alpha, "address: 0\n      type: float32", "address: |010\n      type: float32",
     "'010' has a leading zero", NULL},
    {alpha, "scale: 0.2", "scale: |3.5m", "something behind the number; expected a number without",
     NULL},
    {alpha, "scale: 0.2", "scale: |nan", "is not a finite decimal number", NULL},
    {alpha, "scale: 0.2", "scale: |.inf", "is not a finite decimal number", NULL},
    {alpha, "scale: 0.2", "scale: |0x10", "something behind the number", NULL},
    {alpha, "scale: 0.2", "scale: |1e400", "out of bounds", NULL},
    {alpha, "scale: 0.2", "scale: |'0.2'", "is in quotes", NULL},
    {alpha, "scale: 0.2", "scale: |0", "would make every value the same", NULL},
    {alpha, "scale: 0.2", "scale:|", "no value; expected a number", NULL},
    {alpha, "port: 15900", "port: |15900.5", "is not a whole number", NULL},
    {alpha, "port: 15900", "port: |0", "expected a whole number from 1 to 65535", NULL},
    {alpha, "port: 15900", "port: |65536", "out of bounds", NULL},
    {alpha, "port: 15900", "port: |99999999999999999999", "out of bounds", NULL},
    {alpha, "port: 15900", "port: 15900\n  unit: |256", "from 0 to 255", NULL},
    {alpha, "port: 15900", "port: 15900\n  unit: |250", "is reserved", NULL},
    {alpha, "latitude_deg: 14.5", "latitude_deg: |95", "from -90 to 90", NULL},
    /* units */
    {alpha, "hard_max: 20 m\n", "hard_max: |20\n", "has no unit", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: |20m\n", "something behind the number", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: |20 degC\n", "'degC' does not convert", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: |20 metrs\n", "'metrs' is not a unit", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: |20 s\n", "'s' does not convert to 'm'", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: |20  m\n", "is not a unit", NULL},
    {alpha, "    unit: m\n    period", "    unit: |mm/h\n    period",
     "'mm/h' is no unit of stage; expected one that converts to 'm'", NULL},
    {alpha, "  - id: stage\n    quantity: stage\n    unit: m\n",
     "  - |id: stage\n    quantity: stage\n", "the key 'unit' is missing", NULL},
    {alpha, "quantity: stage", "quantity: |stages", "the quantity 'stages' is unknown", NULL},
    {alpha, "kind: counter", "kind: |instant",
     "rain is not a state; expected kind counter or amount", NULL},
    {alpha, "stale_after: 10 min\n    register:\n      table: holding",
     "stale_after: |10\n    register:\n      table: holding", "has no unit; expected a duration",
     NULL},
    {alpha, "stale_after: 10 min\n    register:\n      table: holding",
     "stale_after: |10 minutes\n    register:\n      table: holding", "is not a duration", NULL},
    {alpha, "stale_after: 10 min\n    register:\n      table: holding",
     "stale_after: |90 s\n    register:\n      table: holding", "shorter than two periods", NULL},
    {alpha, "period: 1 min\n    stale_after: 10 min\n    register:\n      table: holding",
     "period: |1 ms\n    stale_after: 10 min\n    register:\n      table: holding",
     "out of bounds; expected a duration", NULL},
    /* keys */
    {alpha, "kind: stage\n", "kind: stage\n|colour: red\n", "unknown key 'colour'", NULL},
    {alpha, "kind: stage\n", "kind: stage\n|kind: stage\n", "stands here a second time", NULL},
    {alpha, "      hard_max: 20 m\n", "      hard_max: 20 m\n      |hard_mx: 20 m\n",
     "unknown key 'hard_mx'", NULL},
    {alpha, "    quality:\n      hard_min: -2 m\n      hard_max: 20 m\n", "    quality: |20 m\n",
     "one value here; expected a map of keys", NULL},
    {alpha,
     "  - id: stage\n    quantity: stage\n    unit: m\n    period: 1 min\n    stale_after: 10 min\n"
     "    register:\n      table: holding\n      address: 0\n      type: float32\n"
     "    quality:\n      hard_min: -2 m\n      hard_max: 20 m\n",
     "  - |id: stage\n    quantity: stage\n    unit: m\n    period: 1 min\n    stale_after: 10 "
     "min\n"
     "    register:\n      table: holding\n      address: 0\n      type: float32\n",
     "the key 'quality' is missing", NULL},
    {alpha, "id: alpha\n", "id: |beta\n", "is not the file's name; expected 'alpha'", NULL},
    {alpha, "id: alpha\n", "id: |Alpha\n", "is not an identifier", NULL},
    {alpha, "kind: stage\n", "kind: |[stage]\n", "a list here; expected one value", NULL},
    {alpha, "connection:\n  host: 127.0.0.1\n  port: 15900\n", "connection: |none\n",
     "one value here; expected a map of keys", NULL},
    {alpha, "host: 127.0.0.1", "host: |tcp://gauge", "is not a host", NULL},
    {alpha, "host: 127.0.0.1", "|device: /dev/ttyS0\n  host: 127.0.0.1",
     "expected one of host, device and identity", NULL},
    {alpha, "host: 127.0.0.1\n  port: 15900", "|framing: rtu", "the key 'host' is missing", NULL},
    {alpha, "host: 127.0.0.1", "device: |ttyS0", "is not an absolute path", NULL},
    {alpha, "host: 127.0.0.1", "device: /dev/ttyS0\n  baud: |9601", "expected 300, 600", NULL},
    {alpha, "host: 127.0.0.1", "device: /dev/ttyS0\n  unit: |0", "has the units 1 to 247", NULL},
    {alpha, "host: 127.0.0.1", "device: /dev/ttyS0\n  framing: |tcp", "not for a serial", NULL},
    {alpha, "port: 15900", "port: 15900\n  |echo: true", "only rtu frames", NULL},
    {alpha, "host: 127.0.0.1", "identity: ABC\n  |close_after_reply: true",
     "only a connection that we make", NULL},
    {alpha, "port: 15900", "port: 15900\n  reply_unit: |1", "expected one of", NULL},
    {alpha, "name: {vi: Trạm Alpha, en: Alpha}", "name: |{vi: Trạm Alpha}",
     "the key 'en' is missing", NULL},
    /* stations */
    {alpha, "  - id: tips", "  - id: |stage", "has a point 'stage' already, in line 16", NULL},
    {alpha, "table: input\n      address: 0", "table: holding\n      address: |1",
     "holding register 1 is in use already by the point 'stage' of station 'alpha'", NULL},
    {alpha, "type: float32", "type: float32\n      bytes: |ABCC",
     "'ABCC' does not have each of the 4 bytes of a float32 once", NULL},
    {alpha, "type: float32", "type: float32\n      order: CDAB\n      |bytes: ABCD",
     "order is given too", NULL},
    {alpha, "type: float32", "type: |string", "'string' is unknown; expected one of: int16", NULL},
    {alpha, "type: float32", "type: float32\n      |bit: 1", "only the types bit and bits", NULL},
    {alpha, "type: float32", "type: bits\n      bit: 14\n      bit_count: |3",
     "3 bits from bit 14 on are not within bits 0 to 15", NULL},
    {alpha, "type: float32", "type: float32\n      bit_count: |3", "belongs to the type bits",
     NULL},
    {alpha, "table: holding\n      address: 0\n      type: float32",
     "table: coil\n      address: 0\n      type: |float32", "a coil is of the type bit", NULL},
    {alpha, "address: 0\n      type: uint32", "address: |65535\n      type: uint32",
     "reaches beyond register 65535", NULL},
    {alpha, "type: float32", "type: |float63", "'float63' is unknown; expected one of: int16",
     NULL},
    {alpha, "type: float32", "type: uint16\n      sentinels: [|65536]", "is no value of uint16",
     NULL},
    {alpha, "level_2: 7 m", "level_2: |5.5 m", "is not above the level before", NULL},
    {alpha, "  scale: flood_alarm\n  unit: m\n",
     "  |scale: flood_alarm\n  unit: m\n  historic_peak: 9 m\n",
     "'historic_peak' and 'historic_source' belong together", NULL},
    {alpha, "  source: made up\n",
     "  source: made up\n  historic_peak: |9 kg\n  historic_source: a\n", "'kg'", NULL},
    {alpha, "level_2: 7 m", "level_4: 9 m", "level 4 is given; the scale 'flood_alarm' has 3",
     "stations/alpha.yaml:6:3"},
    {alpha, "scale: flood_alarm", "scale: |flood", "the scale 'flood' is unknown", NULL},
    {alpha, "    counter_step_max: 30 mm\n", "", "'counter_step_max' is missing; a counter",
     "stations/alpha.yaml:28:5"},
    {alpha, "hard_max: 20 m\n", "hard_max: 20 m\n      preset: |wmo\n",
     "no default limits are known for stage", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: 20 m\n      preset: |who\n",
     "'who' is unknown; expected one of: none, wmo", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: 20 m\n      attenuated_window: |12 h\n",
     "need each other", NULL},
    {alpha, "hard_max: 20 m\n",
     "hard_max: 20 m\n      attenuated_suspect: 0.1 m\n      attenuated_window: |3 min\n",
     "is shorter than 8 periods", NULL},
    {alpha, "hard_max: 20 m\n",
     "hard_max: 20 m\n      months: [{months: [1, |1], soft_max: 5 m}]\n",
     "month 1 has limits already", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: 20 m\n      months: [{months: [|13], soft_max: 5 m}]\n",
     "out of bounds", NULL},
    {alpha, "      hard_max: 20 m\n", "      hard_max: 20 m\n      neighbour_max: 0.5 m\n",
     "neighbours, neighbour_max and neighbour_age need each other", "stations/alpha.yaml:26:7"},
    {alpha, "hard_max: 20 m\n",
     "hard_max: 20 m\n      cross: [|{rise_above: 1 m, rise_window: 1 h, point: tips, statistic: "
     "mean, window: 1 h, other: {min: 1 mm}}]\n",
     "the statistic of 'tips' is only amount", NULL},
    {alpha, "hard_max: 20 m\n",
     "hard_max: 20 m\n      cross: [{rise_above: 1 m, rise_window: 1 h, point: |rain, statistic: "
     "amount, window: 1 h, other: {min: 1 mm}}]\n",
     "the station 'alpha' has no point 'rain'", NULL},
    {alpha, "hard_max: 20 m\n",
     "hard_max: 20 m\n      cross: [|{point: tips, statistic: amount, window: 1 h, other: {min: 1 "
     "mm}}]\n",
     "expected one of value_above and rise_above", NULL},
    {alpha, "hard_max: 20 m\n",
     "hard_max: 20 m\n      cross: [|{value_above: 1 m, point: tips, statistic: amount, window: 1 "
     "h, other: {}}]\n",
     "other has no bound", NULL},
    {alpha, "hard_max: 1e9 mm\n",
     "hard_max: 1e9 mm\n      cross: [|{value_above: 1 mm, point: stage, window: 1 h, other: {min: "
     "1 "
     "m}}]\n",
     "of a counter or amount only rise_above is compared", NULL},
    {alpha, "counter_step_max: 30 mm", "counter_step_max: 30 mm\n    counter_memory: |gone",
     "'gone' is unknown; expected one of: kept, lost", NULL},
    {alpha, "counter_step_max: 30 mm", "counter_step_max: 30 mm\n    counter_epoch: |boots",
     "the station has no point 'boots'", NULL},
    {alpha, "counter_step_max: 30 mm", "counter_step_max: 30 mm\n    counter_epoch: |stage",
     "'stage' does not tell restarts", NULL},
    {alpha, "    stale_after: 10 min\n", "    stale_after: 10 min\n    |counter_memory: lost\n",
     "only a point of kind counter has it", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: |-3 m\n", "hard_max is not above hard_min", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: 20 m\n      soft_min: |-5 m\n",
     "soft_min is not at least hard_min", NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: 20 m\n      rate_max: |0 m/h\n", "is not above zero",
     NULL},
    {alpha, "hard_max: 20 m\n", "hard_max: 20 m\n      rate_max: |3 m\n", "does not convert", NULL},
    {alpha, "      hard_max: 20 m\n", "", "the key 'hard_max' is missing",
     "stations/alpha.yaml:26:7"},
    {alpha, "kind: stage\n", "kind: stage\nprovisional: |true\n", "needs a note", NULL},
    {alpha, "kind: stage\n", "kind: stage\nprovisional: |yes\n", "neither true nor false", NULL},
    /* the main file */
    {main_file, "kind: own", "kind: risk", "is not the kind of the scale; expected 'risk'",
     "canhbao.yaml:13:9"},
    {main_file, "      - {vi: báo động III, en: alarm III}\n", "",
     "2 levels; the scale flood_alarm has 3", "canhbao.yaml:10:7"},
    {main_file, "areas/lv-alpha.geojson", "|areas/lv-beta.geojson", "is no file", NULL},
    {main_file, "id: lv-alpha", "id: |alpha", "'alpha' is the id of another station or area", NULL},
    {main_file, "id: lv-alpha", "id: lv-beta", "has no Feature of the id 'lv-beta'",
     "canhbao.yaml:21:11"},
    {main_file, "lv-alpha.geojson\n", "lv-alpha.geojson\n    feature: lv-beta\n",
     "has no Feature of the id 'lv-beta'", "canhbao.yaml:21:11"},
    {main_file, "lv-alpha.geojson\n", "lv-alpha.geojson\n    feature: |LV/beta\n", "LV/beta", NULL},
    {main_file, "windows: [1 h, 3 h]", "windows: [3 h, |1 h]", "is not longer than the one before",
     NULL},
    {main_file, "leads: [0 s, 1 h]", "leads: |[1 h]", "the first lead is not 0 s", NULL},
#define STALE   "    stale_after: 20 min\n"
#define CHAINED STALE "  - id: flood\n    model: gr\n    period: 1 h\n    stale_after: 3 h\n"
    {main_file, STALE, CHAINED "|", "neither 'inbox' nor 'triggers' is given", "canhbao.yaml:31:5"},
    {main_file, STALE, CHAINED "    triggers:\n      |min_interval: 1 min\n",
     "nothing of it would ever start the model", NULL},
    {main_file, STALE, CHAINED "    triggers:\n      |products: [rader]\n",
     "the product 'rader' is unknown", NULL},
    {main_file, STALE, CHAINED "    triggers:\n      |products: [flood]\n",
     "the product 'flood' is this one", NULL},
    {main_file, STALE, CHAINED "    triggers:\n      |alarms: [no-rule]\n",
     "the rule 'no-rule' is unknown", NULL},
    {main_file, STALE, CHAINED "    triggers:\n      |every: 1 h\n      readings: true\n",
     "'readings' needs the points of 'series'", NULL},
    {main_file, STALE,
     CHAINED "    triggers: {every: 1 h}\n    series:\n      |points: [alpha/stages]\n"
             "      window: 1 d\n",
     "'alpha/stages' is no point of the site", NULL},
    {main_file, STALE,
     CHAINED "    triggers: {every: 1 h}\n    arguments:\n      |- \"--in {product:radr/f.nc}\"\n",
     "names a product that is unknown", NULL},
    {main_file, STALE,
     CHAINED "    triggers: {every: 1 h}\n    arguments:\n      |- \"--in {site:../x}\"\n",
     "'{site:../x}' is not understood", NULL},
    {main_file, STALE,
     CHAINED "    triggers: {every: 1 h}\n    arguments:\n      |- --stations {stations}\n",
     "'{stations}' needs the points of 'series'", NULL},
    {main_file, "stale_after: 20 min\n",
     "stale_after: 20 min\n    arguments:\n      |- --stations {stations}\n",
     "a product with an inbox has no files of its own runs", NULL},
    {main_file, STALE,
     CHAINED "    triggers: {every: 1 h}\n    arguments:\n      |- \"--in {out:x\"\n",
     "'{out:x' is not understood", NULL},
    {main_file, STALE, STALE "    |triggers: {every: 1 h}\n", "a product with an inbox has it not",
     NULL},
    {main_file, "windows: [1 h, 3 h]", "windows: |[1 h, 182 min]",
     "entry 2 is no multiple of the period", NULL},
    {main_file, "windows: [1 h, 3 h]", "windows: |[1 h, 20 d]", "the longest window has 5760 files",
     NULL},
    {main_file,
     "areas:\n  - id: lv-alpha\n    name: {vi: lưu vực Alpha, en: Alpha catchment}\n"
     "    file: areas/lv-alpha.geojson\n    provisional: true\nproducts:\n  - id",
     "products:\n  - |id", "the site has no areas", NULL},
    {main_file, "model: areal", "model: |aerial", "the model 'aerial' does not run on an inbox",
     NULL},
    {main_file, "site:\n  id: minimal", "kafka: {brokers: |kafka}\nsite:\n  id: minimal",
     "'kafka' is no broker; expected HOST:PORT", NULL},
    {main_file, "site:\n  id: minimal",
     "kafka: {security: sasl_ssl, sasl_mechanism: plain, sasl_username: u, sasl_password: "
     "|Secret!}\nsite:\n  id: minimal",
     "a secret itself must not stand here", NULL},
    {main_file, "site:\n  id: minimal", "kafka: {sasl_password: |(masked)}\nsite:\n  id: minimal",
     "was masked in a dump", NULL},
    {main_file, "site:\n  id: minimal", "web: {host: |localhost}\nsite:\n  id: minimal",
     "is no numeric address", NULL},
    {main_file, "site:\n  id: minimal", "|sight: {}\nsite:\n  id: minimal", "unknown key 'sight'",
     NULL},
    /* rules */
    {flood, "scale: flood_alarm", "incident_with: |fire\nscale: flood_alarm",
     "no rule is of the hazard 'fire'", NULL},
    {flood, "stations: [alpha]", "stations: [|beta]", "the station 'beta' is unknown", NULL},
    {flood, "stations: [alpha]", "stations: [alpha, |alpha]", "is given twice", NULL},
    {flood, "stations: [alpha]", "station_kind: |rain", "no station is of kind 'rain'", NULL},
    {flood, "scale: flood_alarm", "scale: |areal", "the scale 'areal' is unknown", NULL},
    {flood, "scale: flood_alarm", "scale: areal_rain", "the scale 'areal_rain' has 1 levels",
     "rules/flood.yaml:15:12"},
    {flood, "point: stage", "point: |level", "the station 'alpha' has no point 'level'", NULL},
    {flood, "kind: latest", "kind: |accumulation\n    window: 1 h",
     "is a state; expected another kind", NULL},
    {flood, "  - name: stage\n    kind: latest", "  - |name: stage\n    kind: mean",
     "the key 'window' is missing or 0 s", NULL},
    {flood, "at_least: level 2", "at_least: |level 9", "is no alarm level", NULL},
    {flood, "{indicator: stage, at_least: level 2", "|{indicator: stage, at_least: 5.5 m",
     "level 2 begins at 5.5 m and the level before at 6; expected it to be higher", NULL},
    {flood, "{indicator: stage, at_least: level 2, hysteresis: 0.1 m}",
     "|{indicator: stage, at_least: level 2, hysteresis: 1.5 m}",
     "the hysteresis of level 2 (1.5) reaches beyond", NULL},
    {flood, "at_least: level 2, hysteresis: 0.1 m", "at_least: level 2, hysteresis: |-0.1 m",
     "it would leave before it enters", NULL},
    {flood, "{indicator: stage, at_least: level 2", "{indicator: |stag, at_least: level 2",
     "the indicator 'stag' is unknown", NULL},
    {flood, "at_least: level 3", "at_least: level 3\n      |below: 2 m", "a second comparison",
     NULL},
    {flood, "  - level: 2\n", "  - level: |1\n", "does not come after level 1", NULL},
    {flood, "  - level: 3\n", "  - level: |4\n", "the scale 'flood_alarm' has 3 levels", NULL},
    {areal, "product: radar", "product: |rader", "the product 'rader' is unknown", NULL},
    {areal, "variable: rain_mean", "variable: |rain_median", "gives no 'rain_median'", NULL},
    {areal, "unit: mm", "unit: |mm/h", "is not 'mm', the unit of rain_mean over a window", NULL},
    /* the same rule on gauges and radar, merged */
    {main_file, "model: areal\n    inbox: inbox/radar\n    windows: [1 h, 3 h]",
     "model: merge\n    triggers: {every: 1 h}\n    windows: [3 h]", "does not make this window",
     "rules/areal.yaml:14:13"},
    {areal, "unit: mm\n    window: 1 h", "unit: mm\n    window: |2 h", "does not make this window",
     NULL},
    {areal, "at_least: 20 mm", "at_least: |20 mm/h", "does not convert to 'mm'", NULL},
    {areal, "areas: [lv-alpha]", "areas: [|lv-beta]", "the area 'lv-beta' is unknown", NULL},
    {areal, "    station: alpha\n    point: stage", "    point: stage",
     "an area has no points; expected the key 'station'", "rules/areal.yaml:16:5"},
    {areal, "      any:\n", "      |all: []\n      any:\n", "stands with other keys", NULL},
    {areal, "    max_age: 20 min\n", "", "the key 'max_age' is missing", "rules/areal.yaml:9:5"},
    {areal,
     "      any:\n        - {indicator: mean, at_least: 20 mm, hysteresis: 2 mm}\n        - all:",
     "      any:\n        - {any: [{any: [{any: |[{indicator: mean, above: 1 mm}]}]}]}\n        - "
     "all:",
     "too deeply nested", NULL},
    /* YAML itself */
    {alpha, "kind: stage\n", "kind:|\tstage\n", "a tab; expected spaces", NULL},
    {alpha, "kind: stage\n", "kind: |&k stage\n", "an anchor '&k'", NULL},
    {alpha, "kind: stage\n", "kind: |*k\n", "an alias '*k'", NULL},
    {alpha, "kind: stage\n", "kind: |!!str stage\n", "a tag", NULL},
    {alpha, "kind: stage\n", "kind: stage\n|<<: {a: b}\n", "a merge key", NULL},
    {alpha, "kind: stage\n", "kind: stage\n|'basin': x\n", "is not a key", NULL},
    {alpha, "kind: stage\n", "kind: stage\n|---\nkind: stage\n", "a second document", NULL},
    {alpha, "kind: stage\n",
     "kind: st|\xff"
     "ge\n",
     "bytes that are not UTF-8", NULL},
    {alpha, "kind: stage\n", "kind: st|\x01ge\n", "a control character", NULL},
    {alpha, "kind: stage\n", "kind: |\"st\\0ge\"\n", "a NUL character", NULL},
    {alpha, "kind: stage\n", "kind: st|\xe2\x80\xa8ge\n", "a Unicode line separator", NULL},
    {alpha, "kind: stage\n", "kind: |\"st\\Lge\"\n", "or line separator in quotes", NULL},
    {alpha, "id: alpha\n", "|\xef\xbb\xbfid: alpha\n", "a byte-order mark", NULL},
    {alpha, "kind: stage\n", "kind: [[[[[[[[[[[|[]]]]]]]]]]]]\n", "nested deeper than 12 levels",
     NULL},
    {alpha, "points:\n", "points:\n x: y\n", "not well-formed: mapping values",
     "stations/alpha.yaml:17:7"},
    {alpha, "  - id: tips", "  -|\n  - id: tips", "nothing here; expected a map", NULL},
    {area, "\"Polygon\"", "\"Point\"", "no Polygon", "canhbao.yaml:21:11"},
    {area, "[108.7, 14.4]]]", "[108.7, 14.5]]]", "a ring that is not closed", "canhbao.yaml:21:11"},
    {area, "[108.9, 14.6]", "[14.6, 108.9]", "a position outside", "canhbao.yaml:21:11"},
};

/* Applies a change; returns the new text and the marked position as "file:line:column". */
static char *change(const struct bad *bad, char *ret_position, size_t size, size_t *ret_length) {
    size_t length;
    char *text = read_whole(minimal, bad->file, &length);
    char *at = strstr(text, bad->from);
    assert_non_null(at);
    const char *mark = strchr(bad->to, '|');
    size_t before = (size_t)(at - text);
    size_t to_length = strlen(bad->to);
    size_t from_length = strlen(bad->from);
    char *changed = calloc(1, length + to_length + 1);
    assert_non_null(changed);
    memcpy(changed, text, before);
    size_t head = mark != NULL ? (size_t)(mark - bad->to) : to_length;
    memcpy(changed + before, bad->to, head);
    size_t used = before + head;
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < used; i++) {
        column += ((unsigned char)changed[i] & 0xc0) != 0x80;
        if (changed[i] == '\n') {
            line++;
            column = 1;
        }
    }
    if (mark != NULL) {
        memcpy(changed + used, mark + 1, to_length - head - 1);
        used += to_length - head - 1;
    }
    memcpy(changed + used, at + from_length, length - before - from_length);
    *ret_length = used + length - before - from_length;
    (void)snprintf(ret_position, size, "%s:%u:%u", bad->file, line, column);
    free(text);
    return changed;
}

static void test_bad_files(void **state) {
    (void)state;
    char dir[64];
    size_t failures = 0;
    struct config_errors errors;
    copy_minimal(dir);
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        const struct bad *bad = &bads[i];
        char position[128];
        size_t length, old_length;
        struct site *site = NULL;
        char *text = change(bad, position, sizeof position, &length);
        char *old = read_whole(minimal, bad->file, &old_length);
        write_whole(dir, bad->file, text, length);
        const char *expected = bad->told != NULL ? bad->told : position;
        int result = load(dir, &site, &errors);
        if (result == 0 || site != NULL || !has_error(&errors, expected, bad->text)) {
            print_error("change %zu: '%s' -> '%s'\n    expected %s: ... %s (result %d)\n", i,
                        bad->from, bad->to, expected, bad->text, result);
            show_errors(&errors);
            failures++;
        }
        (void)site_destroy(site);
        write_whole(dir, bad->file, old, old_length);
        free(text);
        free(old);
    }
    remove_dir(dir);
    print_message("%zu bad files\n", sizeof bads / sizeof bads[0]);
    assert_true(sizeof bads / sizeof bads[0] >= 60);
    assert_int_equal(failures, 0);
}

static double cpu_s(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Huge and explosive input is refused before it costs anything. "Fast" is measured against the load
 * of the good site, as no test may assert an absolute time: a parser that read 10 MB or unfolded
 * 10^9 nodes would take thousands of times as long. */
static void test_explosive_files(void **state) {
    (void)state;
    char dir[64];
    struct site *site;
    struct config_errors errors;
    copy_minimal(dir);
    double before = cpu_s();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(load(dir, &site, &errors), 0);
        (void)site_destroy(site);
    }
    double good_s = cpu_s() - before;

    size_t length = 10 * 1024 * 1024;
    char *big = malloc(length);
    assert_non_null(big);
    memset(big, 'a', length);
    write_whole(dir, "stations/big.yaml", big, length);
    before = cpu_s();
    expect_refused(dir, "stations/big.yaml:1:1", "the file has 10485760 bytes; at most 1048576");
    assert_true(cpu_s() - before <= good_s + 0.05);

    char bomb[4096] = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
    for (char c = 'b'; c < 'k'; c++) {
        char line[128];
        (void)snprintf(line, sizeof line, "%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n", c,
                       c, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
        (void)strcat(bomb, line);
    }
    write_whole(dir, "stations/big.yaml", bomb, strlen(bomb));
    before = cpu_s();
    expect_refused(dir, "stations/big.yaml:1:4", "an anchor '&a'");
    assert_true(cpu_s() - before <= good_s + 0.05);

    /* just below the size limit: lines, nodes */
    memset(big, 'a', 5000);
    write_whole(dir, "stations/big.yaml", big, 5000);
    expect_refused(dir, "stations/big.yaml:1:4097", "the line is longer than 4096 bytes");
    length = 0;
    for (int i = 0; i < 120000; i++) {
        memcpy(big + length, "- 1\n", 4);
        length += 4;
    }
    write_whole(dir, "stations/big.yaml", big, length);
    expect_refused(dir, "stations/big.yaml:100000:3", "more than 100000 values");
    length = 0;
    for (int i = 0; i < 300; i++) {
        length += (size_t)sprintf(big + length, "k%d: 1\n", i);
    }
    write_whole(dir, "stations/big.yaml", big, length);
    expect_refused(dir, "stations/big.yaml:257:1", "more than 256 keys");
    free(big);
    remove_dir(dir);
}

static void test_strange_files(void **state) {
    (void)state;
    char dir[64];
    char path[128];
    copy_minimal(dir);
    write_whole(dir, "rules/flood.yml", "a", 1);
    expect_refused(dir, "rules/flood.yml:0:0", "expected NAME.yaml");
    (void)snprintf(path, sizeof path, "%s/rules/flood.yml", dir);
    assert_int_equal(unlink(path), 0);
    write_whole(dir, "rules/README.md", "not a rule", 10);
    write_whole(dir, "rules/flood.yaml~", "an editor's copy", 16);
    write_whole(dir, "rules/.hidden", "x", 1);
    struct config_errors errors;
    struct site *site = NULL;
    assert_int_equal(load(dir, &site, &errors), 0);
    site = site_destroy(site);

    write_whole(dir, "rules/empty.yaml", "", 0);
    expect_refused(dir, "rules/empty.yaml:1:1", "the file is empty");
    write_whole(dir, "rules/empty.yaml", "a: b\0c", 6);
    expect_refused(dir, "rules/empty.yaml:1:5", "a NUL byte");
    write_whole(dir, "rules/empty.yaml",
                "\xff\xfe"
                "a\0",
                4);
    expect_refused(dir, "rules/empty.yaml:1:1", "a byte-order mark");
    (void)snprintf(path, sizeof path, "%s/rules/empty.yaml", dir);
    assert_int_equal(unlink(path), 0);
    /* nobody writes to the pipe: opening it must not hang */
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(dir, "rules/empty.yaml:0:0", "is not a regular file");
    assert_int_equal(unlink(path), 0);

    (void)snprintf(path, sizeof path, "%s/canhbao.yaml", dir);
    assert_int_equal(unlink(path), 0);
    expect_refused(dir, "canhbao.yaml:0:0", "cannot be opened");
    expect_refused("/nonexistent/site", "canhbao.yaml:0:0", "cannot be opened");
    remove_dir(dir);
}

static void test_many_errors(void **state) {
    (void)state;
    char dir[64];
    char text[16384];
    size_t length = 0;
    struct config_errors errors;
    struct site *site = NULL;
    copy_minimal(dir);
    for (int i = 0; i < 100; i++) {
        length += (size_t)sprintf(text + length, "unknown-%d: 1\n", i);
    }
    write_whole(dir, "rules/many.yaml", text, length);
    assert_int_not_equal(load(dir, &site, &errors), 0);
    assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
    assert_true(errors.more >= 100 - CONFIG_ERRORS_MAX);
    remove_dir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_explosive_files),
        cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_many_errors),
    };
    return cmocka_run_group_tests(tests, open_units, close_units);
}
