/* The rows of the option table, one group for each kind of map in the configuration files. The
 * structs that they fill: struct site_settings (group_site to group_acquisition), struct station,
 * struct point, struct rule and so on, as named. Thread rule: constant data. */
#ifndef CANHBAO_CONFIG_OPTIONS_H
#define CANHBAO_CONFIG_OPTIONS_H

#include "daemon/config/option.h"

extern const struct option_group group_root; /* canhbao.yaml: only sections */
extern const struct option_group group_site; /* struct site_settings, as the next five */
extern const struct option_group group_site_name;
extern const struct option_group group_store;
extern const struct option_group group_kafka;
extern const struct option_group group_web;
extern const struct option_group group_control;
extern const struct option_group group_acquisition;
extern const struct option_group group_scale; /* struct scale */
extern const struct option_group group_scale_name;
extern const struct option_group group_level_name; /* struct level_name */
extern const struct option_group group_area;       /* struct area */
extern const struct option_group group_area_name;
extern const struct option_group group_product, group_triggers,
    group_series;                               /* struct site_product */
extern const struct option_group group_station; /* struct station */
extern const struct option_group group_station_name;
extern const struct option_group group_position;
extern const struct option_group group_alarm_levels; /* struct alarm_levels */
extern const struct option_group group_connection;   /* struct site_link */
extern const struct option_group group_clock;        /* logger_config.c, as the next three */
extern const struct option_group group_identity, group_memory, group_memory_value;
extern const struct option_group group_point;        /* struct point */
extern const struct option_group group_register;     /* struct modbus_map; enums as choices */
extern const struct option_group group_quality;      /* struct quality_limits */
extern const struct option_group group_neighbour;    /* struct point_ref */
extern const struct option_group group_cross;        /* struct quality_cross */
extern const struct option_group group_cross_bounds; /* struct quality_cross */
extern const struct option_group group_month;        /* struct quality_month */
extern const struct option_group group_rule;         /* struct rule */
extern const struct option_group group_rule_text;
extern const struct option_group group_places;      /* sections only */
extern const struct option_group group_indicator;   /* struct indicator_spec */
extern const struct option_group group_level;       /* struct rule_level */
extern const struct option_group group_condition;   /* sections only */
extern const struct option_group group_levels_from; /* struct rule_table */
extern const struct option_group group_quantity;    /* struct rule_quantity */
extern const struct option_group group_contact;     /* alerting_load.c, as the next seven */
extern const struct option_group group_duty;
extern const struct option_group group_ladder;
extern const struct option_group group_step;
extern const struct option_group group_approval;
extern const struct option_group group_incidents;
extern const struct option_group group_notices;
extern const struct option_group group_operator;

/* All of them in the order of the reference page, NULL-terminated. */
extern const struct option_group *const option_groups[];

#endif
