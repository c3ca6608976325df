#include "models/hydrology/report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 800, HEIGHT = 260 };

static void escaped(FILE *file, const char *text) {
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            (void)fputs("&lt;", file);
            break;
        case '>':
            (void)fputs("&gt;", file);
            break;
        case '&':
            (void)fputs("&amp;", file);
            break;
        default:
            (void)fputc(*text, file);
        }
    }
}

/* One vertical stroke a column from the least to the largest value, joined to the column before. */
static void line(FILE *file, const double *values, size_t from, size_t to, double top,
                 const char *colour) {
    int open = 0;
    (void)fprintf(file, "<path fill='none' stroke='%s' d='", colour);
    for (int x = 0; x < WIDTH; x++) {
        size_t a = from + (to - from) * (size_t)x / WIDTH;
        size_t b = from + (to - from) * (size_t)(x + 1) / WIDTH;
        double low = INFINITY, high = -INFINITY;
        for (size_t i = a; i < (b > a ? b : a + 1) && i < to; i++) {
            if (!isnan(values[i])) {
                low = fmin(low, values[i]);
                high = fmax(high, values[i]);
            }
        }
        if (isinf(low)) {
            open = 0; /* nothing known here: a hole */
            continue;
        }
        (void)fprintf(file, "%c%d %.1fL%d %.1f", open ? 'L' : 'M', x, HEIGHT * (1 - low / top), x,
                      HEIGHT * (1 - high / top));
        open = 1;
    }
    (void)fputs("'/>\n", file);
}

static void draw(FILE *file, const struct report_plot *plot) {
    double top = 1e-6;
    char first[TABLE_NAME_MAX], last[TABLE_NAME_MAX];
    for (size_t i = plot->from; i < plot->to; i++) {
        top = isnan(plot->observed[i]) ? top : fmax(top, plot->observed[i]);
        top = isnan(plot->simulated[i]) ? top : fmax(top, plot->simulated[i]);
    }
    series_time_text(plot->series, plot->from, first, sizeof first);
    series_time_text(plot->series, plot->to - 1, last, sizeof last);
    (void)fprintf(file, "<h2>%s</h2>\n<p>", plot->title);
    escaped(file, first);
    (void)fputs(" to ", file);
    escaped(file, last);
    (void)fprintf(file,
                  "; axis to %.3g mm per step. Blue observed, red simulated; a hole is "
                  "unknown.</p>\n<svg viewBox='0 0 %d %d' width='%d' height='%d' "
                  "style='border:1px solid #999'>\n",
                  top, WIDTH, HEIGHT, WIDTH, HEIGHT);
    line(file, plot->observed, plot->from, plot->to, top, "#1f4e9c");
    line(file, plot->simulated, plot->from, plot->to, top, "#c0392b");
    (void)fputs("</svg>\n", file);
}

int report_write(const char *path, const char *title, const json_t *figures,
                 const struct report_plot *plots, size_t count, struct err *ret_err) {
    char *text = json_dumps(figures, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    FILE *file = fopen(path, "wb");
    if (text == NULL || file == NULL) {
        int rc = err_set(ret_err, ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        free(text);
        if (file != NULL) {
            (void)fclose(file); /* nothing was written */
        }
        return rc;
    }
    (void)fprintf(file,
                  "<!doctype html><html><head><meta charset='utf-8'><title>%s</title></head>"
                  "<body style='font-family:sans-serif'><h1>%s</h1>\n<pre>",
                  title, title);
    escaped(file, text);
    (void)fputs("</pre>\n", file);
    for (size_t i = 0; i < count; i++) {
        draw(file, &plots[i]);
    }
    (void)fputs("</body></html>\n", file);
    free(text);
    int failed = ferror(file);
    failed |= fclose(file);
    return failed ? err_set(ret_err, ERR_IO, "%s: cannot write: %s", path, strerror(errno)) : 0;
}
