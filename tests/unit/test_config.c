/* Bad site files, each made from a good one by one change. Where the fault must be told is marked
 * in the change itself with '|': the expected line and column are counted here, not copied from the
 * program. */
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config/options.h"
#include "daemon/config/site.h"
#include "daemon/engine.h"

static const char minimal[] = CANHBAO_SOURCE_DIR "/tests/data/sites/minimal";
static const char binh_dinh[] = CANHBAO_SOURCE_DIR "/deploy/sites/binh-dinh";
static const char main_file[] = "canhbao.yaml";
static const char alpha[] = "stations/alpha.yaml";
static const char flood[] = "rules/flood.yaml";
static const char areal[] = "rules/areal.yaml";
static const char area[] = "areas/lv-alpha.geojson";
static const char *const files[] = {main_file, alpha, flood, areal, area};
enum { FILE_COUNT = 5 };

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
    {flood, "stations: [alpha]", "stations: [|beta]", "the station 'beta' is unknown", NULL},
    {flood, "stations: [alpha]", "stations: [alpha, |alpha]", "is given twice", NULL},
    {flood, "stations: [alpha]", "station_kind: |rain", "no station is of kind 'rain'", NULL},
    {flood, "scale: flood_alarm", "scale: |areal", "the scale 'areal' is unknown", NULL},
    {flood, "scale: flood_alarm", "scale: areal_rain", "the scale 'areal_rain' has 1 levels",
     "rules/flood.yaml:15:12"},
    {flood, "point: stage", "point: |level", "the station 'alpha' has no point 'level'", NULL},
    {flood, "kind: latest", "kind: |accumulation\n    window: 1 h", "is a state; expected latest",
     NULL},
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

/* ---- folders ---- */

static char *read_whole(const char *dir, const char *file, size_t *ret_length) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    *ret_length = fread(text, 1, (1 << 20) - 1, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void write_whole(const char *dir, const char *file, const char *bytes, size_t length) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static void make_dir(char ret_dir[64]) {
    static const char *const folders[] = {"stations", "rules", "areas"};
    (void)strcpy(ret_dir, "/tmp/canhbao-test-config-XXXXXX");
    assert_non_null(mkdtemp(ret_dir));
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", ret_dir, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
}

static void copy_minimal(char ret_dir[64]) {
    make_dir(ret_dir);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        size_t length;
        char *text = read_whole(minimal, files[i], &length);
        write_whole(ret_dir, files[i], text, length);
        free(text);
    }
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *where) {
    (void)status;
    (void)flag;
    (void)where;
    return remove(path);
}

static void remove_dir(const char *dir) {
    assert_int_equal(nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Loads; the result with its errors. The unit database is opened once for all tests. */
static struct units *units;

static int load(const char *dir, struct site **ret_site, struct config_errors *errors) {
    memset(errors, 0, sizeof *errors);
    return site_load(dir, units, ret_site, errors);
}

static bool has_error(const struct config_errors *errors, const char *position, const char *text) {
    for (size_t i = 0; i < errors->count; i++) {
        char line[1024];
        config_error_format(&errors->items[i], line, sizeof line);
        size_t length = strlen(position);
        if (strncmp(line, position, length) == 0 && line[length] == ':' &&
            strstr(line + length, text) != NULL) {
            return true;
        }
    }
    return false;
}

static void show_errors(const struct config_errors *errors) {
    for (size_t i = 0; i < errors->count; i++) {
        char line[1024];
        config_error_format(&errors->items[i], line, sizeof line);
        print_error("    got %s\n", line);
    }
}

/* ---- tests ---- */

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

static void expect_refused(const char *dir, const char *position, const char *text) {
    struct config_errors errors;
    struct site *site = NULL;
    assert_int_not_equal(load(dir, &site, &errors), 0);
    assert_null(site);
    if (!has_error(&errors, position, text)) {
        show_errors(&errors);
        fail_msg("expected %s: %s", position, text);
    }
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

static const char beta_station[] = "id: beta\n"
                                   "name: {vi: Beta, en: Beta}\n"
                                   "kind: stage\n"
                                   "connection: {host: 127.0.0.1, port: 15900, unit: 2}\n"
                                   "points:\n"
                                   "  - id: stage\n"
                                   "    quantity: stage\n"
                                   "    unit: cm\n"
                                   "    period: 1 min\n"
                                   "    stale_after: 10 min\n"
                                   "    register:\n"
                                   "      address: 0\n"
                                   "      table: holding\n"
                                   "      type: float32\n"
                                   "    quality: {hard_min: 0 m, hard_max: 2000 cm}\n";

/* A second station: what only two can get wrong. */
static void test_two_stations(void **state) {
    (void)state;
    static const struct {
        const char *from, *to, *position, *text;
    } changes[] = {
        {"unit: 2", "unit: 1", "stations/beta.yaml:12:16",
         "holding register 0 is in use already by the point 'stage' of station 'alpha'"},
        {"unit: 2", "unit: 2, request_timeout: 5 s", "stations/beta.yaml:4:13",
         "the times differ from those of station 'alpha'"},
        {"unit: 2", "unit: 2, framing: rtu", "stations/beta.yaml:4:13",
         "the framing differs from that of station 'alpha'"},
        {"unit: 2", "unit: 2, request_pause: 5 ms", "stations/beta.yaml:4:13",
         "the line's settings, pauses or quirks differ from those of station 'alpha'"},
        {"host: 127.0.0.1, port: 15900, unit: 2",
         "host: 127.0.0.1, port: 15901, registers_from_one: true", "stations/beta.yaml:12:16",
         "there is no register 0 with registers_from_one"},
        {"unit: cm", "unit: m", NULL, NULL},
    };
    char dir[64];
    struct config_errors errors;
    struct site *site = NULL;
    copy_minimal(dir);
    write_whole(dir, "stations/beta.yaml", beta_station, strlen(beta_station));
    assert_int_equal(load(dir, &site, &errors), 0);
    /* one endpoint, two units; the limit in metres was taken to the point's unit */
    assert_int_equal(site->modbus.endpoint_count, 1);
    assert_int_equal(site->modbus.endpoints[0].unit_count, 2);
    assert_int_equal(site->modbus.endpoints[0].units[1].unit, 2);
    assert_int_equal(site->modbus.endpoints[0].units[0].map_count, 2);
    assert_string_equal(site->modbus.endpoints[0].id, "alpha");
    assert_true(site->points[2].quality.hard_max == 2000);
    site = site_destroy(site);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[1024];
        const char *at = strstr(beta_station, changes[i].from);
        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - beta_station), beta_station,
                       changes[i].to, at + strlen(changes[i].from));
        write_whole(dir, "stations/beta.yaml", text, strlen(text));
        if (changes[i].position != NULL) {
            expect_refused(dir, changes[i].position, changes[i].text);
        }
    }
    /* places of one rule must agree on the unit, and each must have the levels it asks for */
    size_t length;
    char *rule = read_whole(minimal, flood, &length);
    char *at = strstr(rule, "[alpha]");
    assert_non_null(at);
    memmove(at + 13, at + 7, strlen(at + 7) + 1);
    memcpy(at, "[alpha, beta]", 13);
    write_whole(dir, flood, rule, strlen(rule));
    write_whole(dir, "stations/beta.yaml", beta_station, strlen(beta_station));
    expect_refused(dir, "rules/flood.yaml:11:12", "in 'cm' at 'beta' and in 'm' elsewhere");
    char metres[1024];
    (void)strcpy(metres, beta_station);
    memcpy(strstr(metres, "unit: cm"), "unit: m ", 8);
    write_whole(dir, "stations/beta.yaml", metres, strlen(metres));
    expect_refused(dir, "rules/flood.yaml:7:3", "'beta' has no alarm levels");
    free(rule);
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

static void print_site(const void *object, char **ret_text) {
    size_t length;
    FILE *file = open_memstream(ret_text, &length);
    assert_non_null(file);
    site_print(object, file);
    assert_int_equal(fclose(file), 0);
}

/* dump -> load -> dump gives the same bytes, and the same rules with the same revisions */
static void round_trip(const char *source, const char *const *area_files, size_t area_count) {
    char dir[64];
    char *first, *second;
    struct config_errors errors;
    struct site *site = NULL, *again = NULL;
    assert_int_equal(load(source, &site, &errors), 0);
    print_site(site, &first);
    make_dir(dir);
    write_whole(dir, main_file, first, strlen(first));
    for (size_t i = 0; i < area_count; i++) {
        size_t length;
        char *text = read_whole(source, area_files[i], &length);
        write_whole(dir, area_files[i], text, length);
        free(text);
    }
    if (load(dir, &again, &errors) != 0) {
        show_errors(&errors);
        fail();
    }
    print_site(again, &second);
    assert_string_equal(first, second);
    assert_int_equal(site->rule_count, again->rule_count);
    for (size_t i = 0; i < site->rule_count; i++) {
        assert_string_equal(site->rules[i].revision, again->rules[i].revision);
        assert_int_equal(strlen(site->rules[i].revision), 32);
    }
    assert_int_equal(site->point_count, again->point_count);
    for (size_t i = 0; i < site->point_count; i++) {
        assert_int_equal(site->points[i].quality.revision, again->points[i].quality.revision);
    }
    free(first);
    free(second);
    (void)site_destroy(site);
    (void)site_destroy(again);
    remove_dir(dir);
}

static void test_round_trip(void **state) {
    (void)state;
    static const char *const minimal_areas[] = {"areas/lv-alpha.geojson"};
    static const char *const areas[] = {"areas/lv-kon.geojson", "areas/lv-ha-thanh.geojson",
                                        "areas/lv-lai-giang.geojson"};
    round_trip(minimal, minimal_areas, 1);
    round_trip(binh_dinh, areas, 3);
}

/* Every way to reach a station, through load, dump and load again; those that meet share a line. */
static void test_connections(void **state) {
    (void)state;
    static const struct {
        const char *connection;
        enum modbus_transport transport;
    } rows[] = {
        {"device: /dev/serial/by-id/usb-1, baud: 19200, parity: none, stop_bits: 2, unit: 3, "
         "direction: rts_down, silent_interval: 5 ms, echo: true",
         MODBUS_SERIAL},
        {"device: /dev/serial/by-id/usb-1, baud: 19200, parity: none, stop_bits: 2, unit: 4, "
         "direction: rts_down, silent_interval: 5 ms, echo: true",
         MODBUS_SERIAL},
        {"identity: IMEI-860123, port: 5020, framing: rtu", MODBUS_DIAL_IN},
        {"host: 10.0.0.1, reply_unit: 255, wrong_byte_count: true, surplus_bytes: true, "
         "close_after_reply: true, registers_from_one: true, connect_pause: 1 s, close_pause: 2 s, "
         "request_pause: 20 ms, idle_close: 1 min",
         MODBUS_CONNECT},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    char dir[64];
    struct config_errors errors;
    struct site *site = NULL;
    copy_minimal(dir);
    for (size_t i = 0; i < ROWS; i++) {
        char name[64], text[1024];
        (void)snprintf(name, sizeof name, "stations/s%zu.yaml", i);
        int length = snprintf(text, sizeof text,
                              "id: s%zu\nname: {vi: S, en: S}\nkind: stage\nconnection: {%s}\n"
                              "points:\n  - id: stage\n    quantity: stage\n    unit: m\n"
                              "    period: 1 min\n    stale_after: 10 min\n"
                              "    register: {address: 7, table: holding, type: float32}\n"
                              "    quality: {hard_min: 0 m, hard_max: 20 m}\n",
                              i, rows[i].connection);
        write_whole(dir, name, text, (size_t)length);
    }
    assert_int_equal(load(dir, &site, &errors), 0);
    assert_int_equal(site->modbus.endpoint_count, 4); /* minimal's own, and two share */
    for (size_t i = 0; i < ROWS; i++) {
        const struct modbus_endpoint_config *endpoint = site_endpoint_of(site, i + 1);
        assert_int_equal(endpoint->transport, rows[i].transport);
        assert_int_equal(endpoint->unit_count, i < 2 ? 2 : 1);
        assert_int_equal(endpoint->units[0].maps[0].address, i == 3 ? 6 : 7);
        assert_int_equal(endpoint->units[0].gap_registers, i < 2 ? 20 : 8);
    }
    const struct modbus_endpoint_config *line = site_endpoint_of(site, 1);
    assert_int_equal(line->framing, MODBUS_FRAMING_RTU);
    assert_int_equal(line->serial.baud, 19200);
    assert_int_equal(line->serial.parity, MODBUS_PARITY_NONE);
    assert_int_equal(line->serial.direction, MODBUS_DIRECTION_RTS_DOWN);
    assert_int_equal(line->serial.silent_us, 5000);
    assert_true(line->quirks.echo);
    const struct modbus_endpoint_config *last = site_endpoint_of(site, ROWS);
    assert_int_equal(last->quirks.reply_unit, MODBUS_REPLY_UNIT_255);
    assert_true(last->quirks.byte_count && last->quirks.surplus && last->quirks.close_after_reply);
    assert_int_equal(last->connect_pause_us, 1000000);
    assert_int_equal(last->idle_close_us, 60000000);
    (void)site_destroy(site);
    static const char *const minimal_areas[] = {"areas/lv-alpha.geojson"};
    round_trip(dir, minimal_areas, 1);
    remove_dir(dir);
}

/* Every way to say where a value is, through load, dump and load again. */
static void test_registers(void **state) {
    (void)state;
    static const char head[] = "id: parts\n"
                               "name: {vi: Parts, en: Parts}\n"
                               "kind: stage\n"
                               "connection: {host: 127.0.0.1, port: 15901}\n"
                               "points:\n";
    static const struct {
        const char *place;
        struct modbus_map map;
    } rows[] = {
        {"table: coil, address: 0, type: bit", {.table = MODBUS_COIL, .type = MODBUS_BIT}},
        {"table: discrete, address: 65535, type: bit",
         {.table = MODBUS_DISCRETE, .address = 65535, .type = MODBUS_BIT}},
        {"table: input, address: 3, type: bit, bit: 15",
         {.table = MODBUS_INPUT, .address = 3, .type = MODBUS_BIT, .bit = 15}},
        {"table: input, address: 3, type: bits, bit: 2, bit_count: 13",
         {.table = MODBUS_INPUT, .address = 3, .type = MODBUS_BITS, .bit = 2, .bit_count = 13}},
        {"table: holding, address: 9, type: float64, bytes: EFGHABCD",
         {.table = MODBUS_HOLDING,
          .address = 9,
          .type = MODBUS_FLOAT64,
          .permutation = "EFGHABCD"}},
        {"table: holding, address: 8, type: int8_low, order: DCBA",
         {.table = MODBUS_HOLDING, .address = 8, .type = MODBUS_INT8_LOW, .order = MODBUS_DCBA}},
        {"table: holding, address: 8, type: int8_high, order: DCBA",
         {.table = MODBUS_HOLDING, .address = 8, .type = MODBUS_INT8_HIGH, .order = MODBUS_DCBA}},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    char dir[64], text[4096];
    struct config_errors errors;
    struct site *site = NULL;
    size_t length = (size_t)snprintf(text, sizeof text, "%s", head);
    for (size_t i = 0; i < ROWS; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "  - {id: p%zu, quantity: state, unit: '1', period: 1 min, "
                                   "stale_after: 10 min, register: {%s}, "
                                   "quality: {hard_min: -1e9 1, hard_max: 1e9 1}}\n",
                                   i, rows[i].place);
    }
    copy_minimal(dir);
    write_whole(dir, "stations/parts.yaml", text, length);
    if (load(dir, &site, &errors) != 0) {
        show_errors(&errors);
        fail();
    }
    for (size_t i = 0; i < ROWS; i++) {
        const struct modbus_map *map = &site->maps[site->point_count - ROWS + i];
        const struct modbus_map *want = &rows[i].map;
        assert_int_equal(map->table, want->table);
        assert_int_equal(map->address, want->address);
        assert_int_equal(map->type, want->type);
        assert_int_equal(map->order, want->order);
        assert_int_equal(map->bit, want->bit);
        assert_int_equal(map->bit_count, want->bit_count);
        assert_string_equal(map->permutation, want->permutation);
    }
    assert_int_equal(
        modbus_config_check(&site->modbus, site->point_count, site->station_count, NULL), 0);
    /* The two requests of alpha, and one for each table of parts: 1 s each, once a minute. */
    for (size_t i = 0; i < site->modbus.endpoint_count; i++) {
        double load = 0;
        size_t requests = 0;
        bool is_alpha = strcmp(site->modbus.endpoints[i].id, "alpha") == 0;
        assert_int_equal(site_endpoint_load(site, i, &load, &requests), 0);
        assert_int_equal(requests, is_alpha ? 2 : 4);
        assert_true(fabs(load - (double)requests / 60) < 1e-12);
        assert_ptr_equal(site_endpoint_of(site, is_alpha ? 0 : 1), &site->modbus.endpoints[i]);
    }
    (void)site_destroy(site);
    static const char *const minimal_areas[] = {"areas/lv-alpha.geojson"};
    round_trip(dir, minimal_areas, 1);
    remove_dir(dir);
}

static void test_revision_follows_levels(void **state) {
    (void)state;
    char dir[64];
    struct config_errors errors;
    struct site *before = NULL, *after = NULL;
    assert_int_equal(load(minimal, &before, &errors), 0);
    copy_minimal(dir);
    size_t length;
    char *text = read_whole(minimal, alpha, &length);
    memcpy(strstr(text, "level_3: 8 m"), "level_3: 9 m", 12);
    write_whole(dir, alpha, text, length);
    free(text);
    assert_int_equal(load(dir, &after, &errors), 0);
    /* rules are in the order of their files: areal, flood */
    assert_string_equal(before->rules[0].revision, after->rules[0].revision);
    assert_string_not_equal(before->rules[1].revision, after->rules[1].revision);
    (void)site_destroy(before);
    (void)site_destroy(after);
    remove_dir(dir);
}

static void test_minimal_values(void **state) {
    (void)state;
    struct config_errors errors;
    struct site *site = NULL;
    assert_int_equal(load(minimal, &site, &errors), 0);
    assert_int_equal(site->station_count, 1);
    assert_int_equal(site->point_count, 2);
    const struct station *station = &site->stations[0];
    assert_string_equal(station->name_vi, "Trạm Alpha");
    assert_true(station->latitude_deg == 14.5 && station->longitude_deg == 108.75);
    assert_int_equal(station->alarm_levels.count, 3);
    assert_true(station->alarm_levels.at[1] == 7 && isnan(station->alarm_levels.at[3]));
    assert_int_equal(site->maps[1].table, MODBUS_INPUT);
    assert_int_equal(site->maps[1].type, MODBUS_UINT32);
    assert_true(site->maps[1].scale == 0.2);
    assert_int_equal(site->points[0].period_us, 60000000);
    assert_true(isnan(site->points[0].quality.soft_min));
    assert_true(isnan(site->points[1].counter_modulus));
    assert_true(site->points[1].counter_step_max == 30);
    const struct rule *rule = &site->rules[0];
    assert_string_equal(rule->id, "areal");
    assert_int_equal(rule->node_count, 5);
    assert_int_equal(rule->nodes[0].kind, NODE_ANY);
    assert_int_equal(rule->nodes[0].child_count, 2);
    assert_int_equal(rule->nodes[2].kind, NODE_ALL);
    assert_true(rule->nodes[1].threshold == 20 && rule->nodes[1].hysteresis == 2);
    assert_int_equal(rule->places[0].kind, PLACE_AREA);
    assert_int_equal(rule->levels[0].off_delay_us, INT64_C(1800000000));
    assert_int_equal(rule->levels[0].required, KNOWLEDGE_DOUBTFUL);
    assert_true(isnan(rule->indicators[0].min_probability));
    assert_int_equal(site->rules[1].nodes[2].station_level, 3);
    (void)site_destroy(site);
}

/* Unset members must come out as NaN and never as 0. */
static void test_unset_is_nan(void **state) {
    (void)state;
    struct station station;
    struct quality_limits limits;
    memset(&station, 0x55, sizeof station);
    memset(&limits, 0x55, sizeof limits);
    option_group_preset(&group_position, &station);
    option_group_preset(&group_quality, &limits);
    assert_true(isnan(station.latitude_deg) && isnan(station.longitude_deg));
    assert_true(isnan(limits.hard_min) && isnan(limits.rate_max_per_s) &&
                isnan(limits.flat_epsilon));
    assert_int_equal(limits.flat_fail_us, 0);
}

/* Compared with the tables of the domain, read by eye. */
static void test_binh_dinh(void **state) {
    (void)state;
    static const struct {
        const char *id;
        double level_1, level_2, level_3;
    } gauges[] = {
        {"an-hoa", 22, 23, 24},       {"bong-son", 6, 7, 8},
        {"vinh-son", 71, 72.5, 74},   {"binh-nghi", 15.5, 16.5, 17.5},
        {"thanh-hoa", 6, 7, 8},       {"van-canh", 42.5, 44, 45.5},
        {"dieu-tri", 3.5, 4.5, 5.5},  {"an-khe", NAN, 405.5, 406.5},
        {"ayun-pa", NAN, 154.5, 156},
    };
    struct config_errors errors;
    struct site *site = NULL;
    size_t kinds[5] = {0};
    static const char *const kind_names[] = {"stage", "rain", "weather", "radiation", "chemical"};
    if (load(binh_dinh, &site, &errors) != 0) {
        show_errors(&errors);
        fail();
    }
    assert_true(site->settings.exercise_only);
    for (size_t i = 0; i < site->station_count; i++) {
        const struct station *station = &site->stations[i];
        bool radiation = strcmp(station->kind, "radiation") == 0;
        bool rain_beside = false;
        assert_true(station->provisional && station->note[0] != '\0');
        for (size_t k = 0; k < 5; k++) {
            kinds[k] += strcmp(station->kind, kind_names[k]) == 0;
        }
        for (uint32_t k = 0; k < station->point_count; k++) {
            rain_beside =
                rain_beside || site->points[station->first_point + k].kind == POINT_COUNTER;
        }
        assert_true(!radiation || rain_beside);
        for (size_t k = 0; k < sizeof gauges / sizeof gauges[0]; k++) {
            if (strcmp(gauges[k].id, station->id) == 0) {
                const double *at = station->alarm_levels.at;
                assert_true(at[1] == gauges[k].level_2 && at[2] == gauges[k].level_3);
                assert_true(isnan(gauges[k].level_1) ? isnan(at[0]) : at[0] == gauges[k].level_1);
                assert_true(!isnan(at[0]) || station->alarm_levels.provisional);
            }
        }
    }
    assert_int_equal(kinds[0], 9);
    assert_true(kinds[1] >= 12);
    assert_int_equal(kinds[2], 2);
    assert_int_equal(kinds[3], 4);
    assert_int_equal(kinds[4], 9);
    assert_int_equal(site->area_count, 3);
    const struct engine_site parts = {
        .stations = site->stations,
        .station_count = site->station_count,
        .points = site->points,
        .point_count = site->point_count,
        .areas = site->areas,
        .area_count = site->area_count,
        .rules = site->rules,
        .rule_count = site->rule_count,
    };
    const struct moment now = {.mono = {1000000}, .utc = {INT64_C(1763424000000000)}};
    struct engine *engine = NULL;
    struct err engine_err = {0};
    if (engine_create(&parts, now, &engine, &engine_err) != 0) {
        fail_msg("the engine refuses the site: %s", engine_err.text);
    }
    (void)engine_destroy(engine);
    for (size_t i = 0; i < site->rule_count; i++) {
        struct err err;
        assert_int_equal(rule_check(&site->rules[i], &err), 0);
        assert_true(site->rules[i].source[0] != '\0');
        for (uint32_t k = 0; k < site->rules[i].level_count; k++) {
            assert_true(site->rules[i].levels[k].off_delay_us > 0);
        }
    }
    (void)site_destroy(site);
}

/* Every option is described in the manual page. */
static void test_manual(void **state) {
    (void)state;
    size_t length;
    char *page = read_whole(CANHBAO_SOURCE_DIR, "deploy/man/canhbao.yaml.5", &length);
    for (size_t i = 0; option_groups[i] != NULL; i++) {
        char heading[128];
        (void)snprintf(heading, sizeof heading, ".Ss %s\n", option_groups[i]->path);
        const char *section = strstr(page, heading);
        assert_non_null(section);
        for (size_t k = 0; k < option_groups[i]->count; k++) {
            const struct option *option = &option_groups[i]->options[k];
            char item[128];
            (void)snprintf(item, sizeof item, ".It Sy %s ", option->name);
            if (strstr(section, item) == NULL || strstr(page, option->help) == NULL ||
                option->help[0] == '\0') {
                fail_msg("%s: %s is not in canhbao.yaml.5", option_groups[i]->path, option->name);
            }
        }
    }
    free(page);
}

static void test_kafka(void **state) {
    (void)state;
    struct config_errors errors;
    struct site *site = NULL;
    struct site_kafka_paths paths;
    struct kafka_config config;
    struct err err;
    char *dump;
    assert_int_equal(load(minimal, &site, &errors), 0);
    assert_int_equal(site_kafka_config(site, NULL, &paths, &config, &err), 0);
    assert_string_equal(config.brokers, "127.0.0.1:9092");
    assert_null(config.sasl_mechanism);
    assert_null(config.sasl_password_file);
    assert_int_equal(config.message_timeout_ms, 300000);
    (void)strcpy(site->settings.kafka.sasl_password, "kafka-password");
    assert_int_equal(site_kafka_config(site, NULL, &paths, &config, &err), ERR_NOT_FOUND);
    assert_int_equal(site_kafka_config(site, "/run/credentials", &paths, &config, &err), 0);
    assert_string_equal(config.sasl_password_file, "/run/credentials/kafka-password");
    print_site(site, &dump);
    assert_null(strstr(dump, "kafka-password"));
    assert_non_null(strstr(dump, "sasl_password: (masked)"));
    free(dump);
    (void)site_destroy(site);
}

static void test_pages(void **state) {
    (void)state;
    char *text;
    size_t length;
    struct config_errors errors;
    struct site *site = NULL;
    FILE *file = open_memstream(&text, &length);
    assert_int_equal(load(minimal, &site, &errors), 0);
    site_print_provisional(site, file);
    site_print_options(file);
    assert_int_equal(fclose(file), 0);
    assert_non_null(strstr(text, "provisional: area lv-alpha"));
    assert_non_null(strstr(text, "request_timeout: duration from 0.01 to 3600 s; default 1 s"));
    free(text);
    (void)site_destroy(site);
}

static int open_units(void **state) {
    (void)state;
    struct err err;
    return units_create(&units, &err);
}

static int close_units(void **state) {
    (void)state;
    units = units_destroy(units);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_explosive_files),
        cmocka_unit_test(test_strange_files),
        cmocka_unit_test(test_two_stations),
        cmocka_unit_test(test_many_errors),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_revision_follows_levels),
        cmocka_unit_test(test_minimal_values),
        cmocka_unit_test(test_unset_is_nan),
        cmocka_unit_test(test_binh_dinh),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_kafka),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, open_units, close_units);
}
