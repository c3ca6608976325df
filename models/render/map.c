#include "models/render/map.h"

#include <cairo.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CLASSES_MAX = 10,
    MARGIN = 16,
    TITLE_HEIGHT = 62,
    LEGEND_WIDTH = 150,
    BOX = 22,
    PATH_SIZE = 4096,
    PIECES_MAX = 20000 /* of one stretch of a line */
};

/* Class k: from bounds[k] up to bounds[k + 1]; below the first: dry. */
struct scale {
    const char *unit;
    size_t count;
    double bounds[CLASSES_MAX];
};

static const struct scale scales[] = {
    {"mm h-1", 10, {0.1, 0.5, 1, 2, 5, 10, 20, 30, 50, 100}},
    {"mm", 10, {0.5, 1, 5, 10, 20, 50, 75, 100, 150, 200}},
    {"1", 9, {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.95}},
};
/* Light blue to violet: lightness falls all the way, so it is read without colours too. */
static const uint32_t colours[CLASSES_MAX] = {0xdceefb, 0xb6dcf5, 0x86c3ea, 0x55a5d9, 0x2f9e6e,
                                              0xd9c02f, 0xe8902c, 0xd9502a, 0xa8204d, 0x5c1466};
static const uint32_t colour_dry = 0xffffff;
static const uint32_t colour_missing = 0xc9c9c9;
static const uint32_t line_colour[MAP_LINES_MAX] = {0x202020, 0x1f4fa3};
static const double line_width_px = 1.8;
static const double halo_px = 2.4; /* both sides together */

static const struct scale *scale_of(const char *unit) {
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        if (strcmp(scales[i].unit, unit) == 0) {
            return &scales[i];
        }
    }
    return &scales[0];
}

static uint32_t colour_of(const struct scale *scale, float value) {
    uint32_t colour = isnan(value) ? colour_missing : colour_dry;
    /* A rate of 0.1 that was stored in single precision is 0.1. */
    for (size_t k = 0; k < scale->count && (double)value >= scale->bounds[k] * (1 - 1e-6); k++) {
        colour = colours[k];
    }
    return colour;
}

static void set_colour(cairo_t *cr, uint32_t colour) {
    cairo_set_source_rgb(cr, (colour >> 16 & 255) / 255.0, (colour >> 8 & 255) / 255.0,
                         (colour & 255) / 255.0);
}

/* Where the field lies in the picture. */
struct frame {
    double left, top; /* px */
    double side;      /* px of a cell */
    bool flip_x;      /* x falls with the column */
    bool flip_y;      /* y rises with the row: row 0 is at the bottom */
};

static struct frame frame_of(const struct map *map) {
    const struct grid *grid = map->grid;
    double side = (double)map->width_px / (double)grid->columns;
    struct frame frame = {.left = MARGIN, .top = TITLE_HEIGHT};
    frame.side = side > 1.0 ? floor(side) : side;
    if (grid->curvilinear) {
        frame.flip_y = grid->lat[grid->columns] > grid->lat[0];
        frame.flip_x = grid->lon[1] < grid->lon[0];
    } else {
        frame.flip_y = grid->y[1] > grid->y[0];
        frame.flip_x = grid->x[1] < grid->x[0];
    }
    return frame;
}

/* The field as an image of its own, one pixel a cell of the picture. */
static int draw_field(cairo_t *cr, const struct map *map, const struct frame *frame) {
    int width = (int)ceil(frame->side * (double)map->grid->columns);
    int height = (int)ceil(frame->side * (double)map->grid->rows);
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    if (cairo_surface_status(image) != CAIRO_STATUS_SUCCESS) {
        cairo_surface_destroy(image);
        return ERR_MEMORY;
    }
    const struct scale *scale = scale_of(map->unit);
    unsigned char *bytes = cairo_image_surface_get_data(image);
    int stride = cairo_image_surface_get_stride(image);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            size_t row = (size_t)fmin(y / frame->side, (double)map->grid->rows - 1.0);
            size_t column = (size_t)fmin(x / frame->side, (double)map->grid->columns - 1.0);
            row = frame->flip_y ? map->grid->rows - 1 - row : row;
            column = frame->flip_x ? map->grid->columns - 1 - column : column;
            uint32_t colour = colour_of(scale, map->values[row * map->grid->columns + column]);
            memcpy(bytes + (ptrdiff_t)y * stride + (ptrdiff_t)x * 4, &colour, sizeof colour);
        }
    }
    cairo_surface_mark_dirty(image);
    cairo_set_source_surface(cr, image, frame->left, frame->top);
    cairo_rectangle(cr, frame->left, frame->top, width, height);
    cairo_fill_preserve(cr);
    set_colour(cr, 0x404040);
    cairo_set_line_width(cr, 1.0);
    cairo_stroke(cr);
    cairo_surface_destroy(image);
    return 0;
}

/* Fractional index of a coordinate on an axis; beyond its ends by the spacing there. */
static double index_on(const double *axis, size_t count, double value) {
    double sign = axis[1] > axis[0] ? 1.0 : -1.0;
    size_t low = 0;
    size_t high = count - 2;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (sign * (value - axis[middle]) >= 0.0) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return (double)low + (value - axis[low]) / (axis[low + 1] - axis[low]);
}

/* On to a place given by rows and columns of cells, 0, 0 the corner of the first one. */
static void go_to(cairo_t *cr, const struct map *map, const struct frame *frame, double row,
                  double column, bool drawing) {
    column = frame->flip_x ? (double)map->grid->columns - column : column;
    row = frame->flip_y ? (double)map->grid->rows - row : row;
    double px = frame->left + column * frame->side;
    double py = frame->top + row * frame->side;
    if (drawing) {
        cairo_line_to(cr, px, py);
    } else {
        cairo_move_to(cr, px, py);
    }
}

static void draw_line(cairo_t *cr, const struct map *map, const struct frame *frame, size_t count,
                      const double *x, const double *y) {
    const struct grid *grid = map->grid;
    double middle = grid->x[grid->columns / 2];
    bool drawing = false;
    for (size_t i = 0; i < count; i++) {
        if (isnan(x[i]) || isnan(y[i])) {
            drawing = false; /* the projection cannot place it */
            continue;
        }
        double turned = grid->degrees ? x[i] + 360.0 * round((middle - x[i]) / 360.0) : x[i];
        go_to(cr, map, frame, index_on(grid->y, grid->rows, y[i]) + 0.5,
              index_on(grid->x, grid->columns, turned) + 0.5, drawing);
        drawing = true;
    }
    cairo_stroke(cr);
}

/* On a grid of 2-D longitude and latitude: in pieces of a quarter of a cell, since only what lies
 * in a cell can be placed and straight lines on the ground bend in the picture. */
static void draw_bent_line(cairo_t *cr, const struct map *map, const struct frame *frame,
                           size_t count, const double *lon, const double *lat) {
    const struct grid *grid = map->grid;
    double piece_deg = 0.25 * hypot(grid->lon[1] - grid->lon[0], grid->lat[1] - grid->lat[0]);
    bool drawing = false;
    for (size_t i = 1; i < count; i++) {
        double east = lon[i] - lon[i - 1];
        double north = lat[i] - lat[i - 1];
        double pieces = ceil(fmin(hypot(east, north) / piece_deg, (double)PIECES_MAX));
        pieces = fmax(pieces, 1.0);
        for (double k = 0.0; k <= pieces; k += 1.0) {
            double row, column;
            if (!curvilinear_locate(map->cells, lon[i - 1] + east * (k / pieces),
                                    lat[i - 1] + north * (k / pieces), &row, &column)) {
                drawing = false;
                continue;
            }
            go_to(cr, map, frame, row, column, drawing);
            drawing = true;
        }
    }
    cairo_stroke(cr);
}

static int draw_lines(cairo_t *cr, const struct map *map, const struct frame *frame, size_t which) {
    const struct lines *lines = map->lines[which];
    size_t vertices = lines->begin[lines->count];
    double *x = malloc(vertices * sizeof *x);
    double *y = malloc(vertices * sizeof *y);
    if (x == NULL || y == NULL) {
        free(x);
        free(y);
        return ERR_MEMORY;
    }
    memcpy(x, lines->lon, vertices * sizeof *x);
    memcpy(y, lines->lat, vertices * sizeof *y);
    if (map->cells == NULL) {
        (void)geo_forward(map->geo, vertices, x, y); /* what cannot be placed is NaN */
    }
    cairo_save(cr);
    cairo_rectangle(cr, frame->left, frame->top, frame->side * (double)map->grid->columns,
                    frame->side * (double)map->grid->rows);
    cairo_clip(cr);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    /* First in white and wider: a river must be seen on rain of its own colour. */
    for (int pass = 0; pass < 2; pass++) {
        set_colour(cr, pass == 0 ? 0xffffff : line_colour[which]);
        cairo_set_line_width(cr, line_width_px + (pass == 0 ? halo_px : 0.0));
        for (size_t i = 0; i < lines->count; i++) {
            size_t begin = lines->begin[i];
            (map->cells != NULL ? draw_bent_line : draw_line)(
                cr, map, frame, lines->begin[i + 1] - begin, x + begin, y + begin);
        }
    }
    cairo_restore(cr);
    free(x);
    free(y);
    return 0;
}

static void draw_text(cairo_t *cr, double x, double y, double size, const char *text) {
    cairo_set_font_size(cr, size);
    cairo_move_to(cr, x, y);
    cairo_show_text(cr, text);
}

static double draw_box(cairo_t *cr, double x, double y, uint32_t colour, const char *text) {
    set_colour(cr, colour);
    cairo_rectangle(cr, x, y, BOX, BOX);
    cairo_fill_preserve(cr);
    set_colour(cr, 0x404040);
    cairo_set_line_width(cr, 0.7);
    cairo_stroke(cr);
    draw_text(cr, x + BOX + 8, y + BOX - 7, 12, text);
    return y + BOX;
}

/* The strongest class is on top. */
static void draw_legend(cairo_t *cr, const struct map *map, double x) {
    const struct scale *scale = scale_of(map->unit);
    char text[64];
    double y = TITLE_HEIGHT + 20;
    set_colour(cr, 0x202020);
    draw_text(cr, x, TITLE_HEIGHT + 10, 12, map->what);
    for (size_t k = scale->count; k-- > 0;) {
        if (k + 1 < scale->count) {
            (void)snprintf(text, sizeof text, "%g - %g", scale->bounds[k], scale->bounds[k + 1]);
        } else {
            (void)snprintf(text, sizeof text, "from %g", scale->bounds[k]);
        }
        y = draw_box(cr, x, y, colours[k], text);
    }
    (void)snprintf(text, sizeof text, "below %g", scale->bounds[0]);
    y = draw_box(cr, x, y, colour_dry, text);
    y = draw_box(cr, x, y + 6, colour_missing, "missing") + 20;
    for (size_t i = 0; i < map->line_count; i++, y += 18) {
        set_colour(cr, line_colour[i]);
        cairo_set_line_width(cr, line_width_px);
        cairo_move_to(cr, x, y - 4);
        cairo_line_to(cr, x + BOX, y - 4);
        cairo_stroke(cr);
        set_colour(cr, 0x202020);
        draw_text(cr, x + BOX + 8, y, 12, map->line_names[i]);
    }
}

static int draw(cairo_t *cr, const struct map *map, const struct frame *frame) {
    static const double sizes[MAP_TITLES] = {15, 12, 12};
    double y = 18;
    set_colour(cr, 0xffffff);
    cairo_paint(cr);
    set_colour(cr, 0x202020);
    cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    for (int i = 0; i < MAP_TITLES; i++, y += 18) {
        draw_text(cr, MARGIN, y, sizes[i], map->titles[i]);
    }
    int result = draw_field(cr, map, frame);
    for (size_t i = 0; i < map->line_count && result == 0; i++) {
        result = draw_lines(cr, map, frame, i);
    }
    draw_legend(cr, map, frame->left + frame->side * (double)map->grid->columns + MARGIN);
    return result == 0 && cairo_status(cr) != CAIRO_STATUS_SUCCESS ? ERR_MEMORY : result;
}

int map_write(const struct map *map, const char *path, struct err *ret_err) {
    struct frame frame = frame_of(map);
    char temporary[PATH_SIZE];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return err_set(ret_err, ERR_LIMIT, "%.200s: too long a name", path);
    }
    double height = fmax(frame.side * (double)map->grid->rows, 18.0 * BOX);
    double width = frame.side * (double)map->grid->columns;
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(width) + 3 * MARGIN + LEGEND_WIDTH,
                                   (int)ceil(height) + TITLE_HEIGHT + MARGIN);
    cairo_t *cr = cairo_create(surface);
    int result = draw(cr, map, &frame);
    if (result == 0) {
        cairo_status_t status = cairo_surface_write_to_png(surface, temporary);
        result = status == CAIRO_STATUS_SUCCESS ? 0 : ERR_IO;
    }
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    if (result == 0 && rename(temporary, path) != 0) {
        result = ERR_IO;
    }
    if (result != 0) {
        (void)unlink(temporary); /* may not be there */
        return err_set(ret_err, result, "%.200s: cannot draw the picture: %s", path,
                       result == ERR_IO ? strerror(errno) : err_name(result));
    }
    return 0;
}
