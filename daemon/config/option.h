/* The option table: every key of every configuration file is one row with type, unit, bounds,
 * default and help. The same row reads the key from YAML, checks it, prints it in the canonical
 * dump and prints its entry of the reference page; a key without a row is refused.
 *
 * How values are written:
 *   number     3.5            decimal point, no leading zeros, finite
 *   quantity   3.5 m          number, one space, a UDUNITS-2 unit that converts to the row's unit
 *   value      3.5 m          as a quantity, in the unit of the object (of the point, of the rule)
 *   rate       0.5 m/h        as a difference, per time
 *   duration   10 min         a whole number and one of ms, s, min, h, d
 *   id         an-hoa         a-z, 0-9, single '-', '_', '.' inside
 *   credential kafka-password the NAME of a credential file, never the secret
 * Numbers, truth values and choices are not quoted; a quoted "5" is text.
 *
 * Thread rule: tables are constant; one reader per thread. */
#ifndef CANHBAO_CONFIG_OPTION_H
#define CANHBAO_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/config/errors.h"
#include "daemon/config/yaml.h"
#include "daemon/station/units.h"

enum option_type {
    OPTION_BOOL,       /* bool */
    OPTION_INT,        /* integer of 1, 2, 4 or 8 bytes; signed when min < 0 */
    OPTION_NUMBER,     /* double without unit */
    OPTION_QUANTITY,   /* double in `unit` */
    OPTION_VALUE,      /* double in the object's unit */
    OPTION_DIFFERENCE, /* double in the object's unit, a difference and not a point on the scale */
    OPTION_RATE,       /* double in the object's unit per second, a difference */
    OPTION_DURATION,   /* int64_t microseconds; bounds in seconds */
    OPTION_TIME,       /* int64_t UTC microseconds; RFC 3339; no bounds */
    OPTION_ID,         /* char[size] */
    OPTION_TEXT,       /* char[size], one line */
    OPTION_PATH,       /* char[size], no control characters; absolute or below the site's folder */
    OPTION_UNIT,       /* char[size] */
    OPTION_CREDENTIAL, /* char[size] */
    OPTION_CHOICE,     /* enum: index in `choices` */
    OPTION_SECTION     /* a map or list with rows of its own; read by the owner of the table */
};

enum {
    OPTION_SECRET = 1,
    OPTION_QUIET = 2 /* left out of the dump while it is 0: its default, which means: off */
};

struct option {
    const char *name;
    enum option_type type;
    const char *preset; /* the default as text; "": may be left out (NaN, empty); NULL: mandatory */
    const char *unit;   /* OPTION_QUANTITY */
    double min, max;    /* both 0: none (integers: those of the field) */
    unsigned flags;
    const char *const *choices; /* OPTION_CHOICE, NULL-terminated */
    const char *help;           /* sentences for the reference page */
    size_t offset, size;        /* of the member in the object */
};

struct option_group {
    const char *path; /* for the reference page: "stations/ID.yaml points[]" */
    const char *help;
    const struct option *options;
    size_t count;
};

struct option_reader {
    const struct units *units;
    struct config_errors *errors;
    const char *value_unit; /* for OPTION_VALUE; empty while unknown: such options are then skipped,
                               as the fault of the unit was told already. Read after all options
                               that are no values, so it may point into the object itself. */
};

/* Fills every member of the group from a map; what is left out gets its default. Adds an error for
 * every fault (also unknown and missing keys) and returns 0 or ERR_INVALID. A member whose value is
 * refused keeps its default or, without one, NaN or zero bytes. */
int option_group_read(const struct option_reader *reader, const struct option_group *group,
                      const struct yaml_node *map, void *object);

/* All defaults (mandatory members: NaN or zero bytes), for a section that is left out. */
void option_group_preset(const struct option_group *group, void *object);

/* Canonical "key: value" lines at the given indent, in the order of the table; what is unset is
 * left out, sections too. `first` (may be NULL) replaces the indent of the first line ("- ").
 * OPTION_SECRET prints as (masked). */
void option_group_print(const struct option_group *group, const void *object,
                        const char *value_unit, unsigned indent, const char *first, FILE *file);

/* A value in quotes with escapes, as the dump writes texts. */
void option_print_text(const char *text, FILE *file);
void option_print_number(double value, FILE *file);
/* One value as the row writes it; not for values in the object's unit. */
void option_print_value(const struct option *option, const void *value, FILE *file);

/* The group's part of the reference page, plain text. */
void option_group_reference(const struct option_group *group, FILE *file);

/* One value by one row, for entries of lists: the same rules and messages. The member is untouched
 * on failure. */
int option_read(const struct option_reader *reader, const struct option *option,
                const struct yaml_node *node, void *object);

/* ERR_INVALID with an error at the node unless it is a scalar / list / map. */
int option_expect(const struct option_reader *reader, const struct yaml_node *node,
                  enum yaml_kind kind);

#endif
