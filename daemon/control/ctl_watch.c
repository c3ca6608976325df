#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/control/ctl_error.h"
#include "daemon/control/ctl_field.h"
#include "daemon/control/ctl_lang.h"
#include "daemon/control/ctl_tools.h"

/* ECMA-48 control functions. */
#define SCREEN_ENTER "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
#define SCREEN_HOME  "\033[H"
#define LINE_END     "\033[K\n"
#define SCREEN_REST  "\033[J"
#define COLOR_OFF    "\033[0m"

enum { REFRESH_MS = 1000, ROWS_DEFAULT = 24, LINES_OF_FRAME = 3, NAME_WIDTH = 20 };

struct screen {
    bool full; /* a terminal: colours, whole screen */
    int rows;
    int skipped; /* lines scrolled away */
    int line;    /* that is being written */
};

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "-";
}

/* Characters, not bytes: columns of Vietnamese words stand straight. */
static void put_padded(const char *text, int width) {
    int shown = 0;
    for (const char *at = text; *at != '\0' && shown < width; at++) {
        shown += ((unsigned char)at[0] & 0xc0) != 0x80;
        putchar(*at);
        while (((unsigned char)at[1] & 0xc0) == 0x80) {
            putchar(*++at);
        }
    }
    for (; shown <= width; shown++) {
        putchar(' ');
    }
}

/* True when the line is within the part of the list that the screen shows. */
static bool is_shown(struct screen *screen) {
    int at = screen->line++ - screen->skipped;
    return !screen->full || (at >= 0 && at < screen->rows - LINES_OF_FRAME);
}

static const char *color_of(const json_t *point) {
    if (strcmp(text_of(point, "status"), "ok") != 0 ||
        strcmp(text_of(point, "quality"), "fail") == 0) {
        return "\033[31m"; /* red */
    }
    bool doubted = strcmp(text_of(point, "quality"), "suspect") == 0 ||
                   json_is_true(json_object_get(point, "stale"));
    return doubted ? "\033[33m" : ""; /* yellow */
}

static void put_age(const char *time) {
    struct timespec now;
    int64_t us;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
    if (text_parse_time(time, &us) != 0) {
        fputs("     -", stdout);
        return;
    }
    long age_s = (long)(now.tv_sec - us / 1000000);
    if (age_s < 3600) {
        printf("%4ld s", age_s);
    } else {
        printf("%4ld min", age_s / 60);
    }
}

static void put_point(struct screen *screen, const json_t *station, const json_t *point) {
    const json_t *value = json_object_get(point, "value");
    if (!is_shown(screen)) {
        return;
    }
    fputs(screen->full ? color_of(point) : "", stdout);
    put_padded(text_of(station, "id"), NAME_WIDTH);
    put_padded(text_of(point, "id"), NAME_WIDTH);
    if (json_is_number(value)) {
        printf("%12.3f ", json_number_value(value));
    } else {
        printf("%12s ", "-");
    }
    put_padded(text_of(point, "unit"), 8);
    put_padded(ctl_tr(text_of(point, "quality")), 14);
    put_padded(ctl_tr(text_of(point, "status")), 14);
    put_age(text_of(point, "time"));
    if (json_is_object(json_object_get(station, "maintenance"))) {
        printf("  %s", ctl_tr("under maintenance"));
    }
    if (json_is_object(json_object_get(station, "bucket_test"))) {
        printf("  %s", ctl_tr("bucket test"));
    }
    fputs(screen->full ? COLOR_OFF LINE_END : "\n", stdout);
}

static bool is_wanted(const json_t *station, char **names, int count) {
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], text_of(station, "id")) == 0) {
            return true;
        }
    }
    return count == 0;
}

static void put_head(const struct screen *screen) {
    char now[32];
    struct timespec time;
    (void)clock_gettime(CLOCK_REALTIME, &time); /* cannot fail */
    text_format_local((int64_t)time.tv_sec * 1000000, 420, now, sizeof now);
    if (screen->full) {
        printf(SCREEN_HOME "%s ICT   %s" LINE_END, now, ctl_tr("q: quit   arrows: scroll"));
    }
    put_padded(ctl_tr("station"), NAME_WIDTH);
    put_padded(ctl_tr("point"), NAME_WIDTH);
    put_padded("", 4);
    put_padded(ctl_tr("value"), 7);
    put_padded(ctl_is_vietnamese() ? "đơn vị" : "unit", 8);
    put_padded(ctl_tr("quality"), 14);
    put_padded(ctl_tr("request"), 14);
    fputs(ctl_tr("age"), stdout);
    fputs(screen->full ? LINE_END : "\n", stdout);
}

static void draw(struct screen *screen, const json_t *stations, char **names, int count) {
    struct winsize size;
    size_t i, k;
    json_t *station, *point;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > LINES_OF_FRAME;
    screen->rows = known ? size.ws_row : ROWS_DEFAULT;
    screen->line = 0;
    put_head(screen);
    json_array_foreach(stations, i, station) {
        json_array_foreach(json_object_get(station, "points"), k, point) {
            if (is_wanted(station, names, count)) {
                put_point(screen, station, point);
            }
        }
    }
    fputs(screen->full ? SCREEN_REST : "", stdout);
    (void)fflush(stdout);
}

/* Scrolls by what was typed; false: quit. */
static bool take_keys(struct screen *screen) {
    char keys[16];
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, REFRESH_MS) <= 0) {
        return true;
    }
    ssize_t length = read(STDIN_FILENO, keys, sizeof keys);
    if (length <= 0 || keys[0] == 'q' || keys[0] == 3) {
        return false;
    }
    int most = screen->line - (screen->rows - LINES_OF_FRAME);
    bool down = keys[0] == 'j' || (length >= 3 && keys[2] == 'B');
    bool up = keys[0] == 'k' || (length >= 3 && keys[2] == 'A');
    screen->skipped += down && screen->skipped < most ? 1 : 0;
    screen->skipped -= up && screen->skipped > 0 ? 1 : 0;
    return true;
}

static int ask_stations(ctl_ask_fn *ask, void *ctx, json_t **ret_stations) {
    return ask(ctx, json_pack("{s:s}", "do", "stations"), ret_stations);
}

/* A name that is none would show an empty screen for ever. */
static int check_names(const json_t *stations, char **arguments, int count) {
    for (int i = 0; i < count; i++) {
        size_t index;
        json_t *station;
        bool found = false;
        json_array_foreach(stations, index, station) {
            const char *id = json_string_value(json_object_get(station, "id"));
            found = found || (id != NULL && strcmp(id, arguments[i]) == 0);
        }
        if (!found) {
            ctl_error("there is no station '%s'", arguments[i]);
            return EXIT_FAILED;
        }
    }
    return EXIT_DONE;
}

int ctl_watch(ctl_ask_fn *ask, void *ctx, char **arguments, int count,
              const struct field_options *options) {
    struct screen screen = {.full =
                                isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !options->json};
    struct termios before, raw;
    json_t *stations = NULL;
    int result = ask_stations(ask, ctx, &stations);
    if (result == EXIT_DONE) {
        result = check_names(stations, arguments, count);
    }
    if (result != EXIT_DONE) {
        json_decref(stations);
        return result;
    }
    if (options->json) {
        ctl_json_print(stations);
    } else if (!screen.full || tcgetattr(STDIN_FILENO, &before) != 0) {
        screen.full = false;
        draw(&screen, stations, arguments, count);
    } else {
        raw = before;
        raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO | ISIG);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw); /* without it keys need Enter */
        fputs(SCREEN_ENTER, stdout);
        do {
            draw(&screen, stations, arguments, count);
            json_decref(stations);
            stations = NULL;
        } while (take_keys(&screen) && (result = ask_stations(ask, ctx, &stations)) == EXIT_DONE);
        fputs(SCREEN_LEAVE, stdout);
        (void)fflush(stdout);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before); /* as it was found */
    }
    json_decref(stations);
    return result;
}
