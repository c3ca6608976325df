#include "table.h"

#include <errno.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"

static int table_add(struct table *table, size_t *room, int64_t t_us, double value) {
    if (table->count > 0 && t_us <= table->points[table->count - 1].t_us) {
        return ERR_RANGE;
    }
    if (table->count == TABLE_POINTS_MAX) {
        return ERR_LIMIT;
    }
    if (table->count == *room) {
        size_t more = *room == 0 ? 16 : *room * 2;
        struct table_point *grown = realloc(table->points, more * sizeof *grown);
        if (grown == NULL) {
            return ERR_MEMORY;
        }
        table->points = grown;
        *room = more;
    }
    table->points[table->count++] = (struct table_point){t_us, value};
    return 0;
}

int table_load_inline(struct table *table, struct doc *doc, yaml_node_t *list,
                      struct err *ret_err) {
    size_t count;
    size_t room = 0;
    int result = doc_list(doc, list, TABLE_POINTS_MAX, &count, ret_err);
    for (size_t i = 0; result == 0 && i < count; i++) {
        yaml_node_t *pair = doc_item(doc, list, i);
        size_t two = 0;
        int64_t t_us = 0;
        double value = 0;
        result = doc_list(doc, pair, 2, &two, ret_err);
        if (result == 0 && two != 2) {
            result = doc_fail(doc, pair, ret_err, ERR_SYNTAX, "[time, value] is expected");
        }
        if (result == 0) {
            result = doc_time(doc, doc_item(doc, pair, 0), &t_us, ret_err);
        }
        if (result == 0) {
            result = doc_double(doc, doc_item(doc, pair, 1), -1e9, 1e9, &value, ret_err);
        }
        if (result == 0 && (result = table_add(table, &room, t_us, value)) != 0) {
            result = doc_fail(doc, pair, ret_err, result, "times must ascend");
        }
    }
    if (result == 0 && table->count == 0) {
        result = doc_fail(doc, list, ret_err, ERR_INVALID, "at least one point is expected");
    }
    return result;
}

/* Cuts the line at its commas and returns the field with that number, or NULL. */
static char *csv_field(char *line, size_t number) {
    line[strcspn(line, "\r\n")] = '\0';
    char *at = line;
    for (size_t i = 0; i < number; i++) {
        at = strchr(at, ',');
        if (at == NULL) {
            return NULL;
        }
        at++;
    }
    return at;
}

static int csv_column(char *header, const char *column, size_t *ret_number) {
    header[strcspn(header, "\r\n")] = '\0';
    size_t number = 0;
    for (char *at = header; at != NULL; number++) {
        size_t length = strcspn(at, ",");
        if (number > 0 && length == strlen(column) && strncmp(at, column, length) == 0) {
            *ret_number = number;
            return 0;
        }
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return ERR_NOT_FOUND;
}

static int csv_line(struct table *table, size_t *room, char *line, size_t number,
                    int64_t origin_us) {
    char *value_text = csv_field(line, number);
    if (value_text == NULL) {
        return ERR_SYNTAX;
    }
    value_text[strcspn(value_text, ",")] = '\0';
    line[strcspn(line, ",")] = '\0';
    int64_t t_us;
    double value;
    int result;
    if (line[0] == '+') {
        result = text_parse_duration_us(line + 1, &t_us);
        t_us = result == 0 ? t_us + origin_us : 0;
    } else {
        result = text_parse_time(line, &t_us);
    }
    if (result == 0) {
        result = text_parse_double(value_text, -1e9, 1e9, &value);
    }
    return result != 0 ? result : table_add(table, room, t_us, value);
}

int table_load_csv(struct table *table, struct doc *doc, yaml_node_t *node, const char *file,
                   const char *column, struct err *ret_err) {
    char folder[DOC_PATH_MAX];
    char path[2 * DOC_PATH_MAX];
    (void)snprintf(folder, sizeof folder, "%s", doc->path); /* fits: same size */
    (void)snprintf(path, sizeof path, "%s%s%.1000s", file[0] == '/' ? "" : dirname(folder),
                   file[0] == '/' ? "" : "/", file);
    FILE *input = fopen(path, "re");
    if (input == NULL) {
        return doc_fail(doc, node, ret_err, ERR_IO, "%.300s: %s", path, strerror(errno));
    }
    char line[1024];
    size_t room = 0;
    size_t number = 0;
    bool headed = false;
    int result = 0;
    for (size_t at = 1; result == 0 && fgets(line, sizeof line, input) != NULL; at++) {
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        if (strchr(line, '\n') == NULL && !feof(input)) {
            result = doc_fail(doc, node, ret_err, ERR_LIMIT, "%.300s:%zu: the line is too long",
                              path, at);
        } else if (!headed) {
            headed = true;
            if (csv_column(line, column, &number) != 0) {
                result = doc_fail(doc, node, ret_err, ERR_NOT_FOUND,
                                  "%.300s:%zu: no column '%.60s' after the time", path, at, column);
            }
        } else if ((result = csv_line(table, &room, line, number, doc->origin_us)) != 0) {
            result = doc_fail(doc, node, ret_err, result,
                              "%.300s:%zu: an ascending time and a number are expected", path, at);
        }
    }
    if (result == 0 && (ferror(input) || table->count == 0)) {
        result = doc_fail(doc, node, ret_err, ERR_IO, "%.300s: no points in it", path);
    }
    (void)fclose(input); /* read only: nothing to lose */
    return result;
}

void table_free(struct table *table) {
    if (table != NULL) {
        free(table->points);
        *table = (struct table){0};
    }
}

double table_at(const struct table *table, int64_t t_us) {
    size_t low = 0;
    size_t high = table->count; /* first point later than t */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->points[middle].t_us <= t_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return table->points[0].value;
    }
    const struct table_point *before = &table->points[low - 1];
    if (low == table->count || table->step) {
        return before->value;
    }
    double share = (double)(t_us - before->t_us) / (double)(before[1].t_us - before->t_us);
    return before->value + share * (before[1].value - before->value);
}

static uint64_t splitmix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t noise_bits(uint64_t seed, uint64_t a, uint64_t b, uint64_t c) {
    return splitmix(splitmix(splitmix(splitmix(seed) ^ a) ^ b) ^ c);
}

double noise_uniform(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

double noise_gauss(uint64_t seed, uint64_t a, uint64_t b, uint64_t c) {
    uint64_t bits = noise_bits(seed, a, b, c);
    double radius = sqrt(-2.0 * log(1.0 - noise_uniform(bits)));
    return radius * cos(2.0 * M_PI * noise_uniform(splitmix(bits)));
}

uint64_t noise_hash(const char *text) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}
