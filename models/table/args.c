#include "models/table/args.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "models/model.h"

static void print_help(const char *model, const struct args_option *options, const char *about) {
    printf("usage: canhbao-model %s OPTION...\n\n%s\noptions:\n", model, about);
    for (size_t i = 0; options[i].name != NULL; i++) {
        char left[80];
        (void)snprintf(left, sizeof left, "--%s %s", options[i].name,
                       options[i].placeholder == NULL ? "" : options[i].placeholder);
        printf("  %-28s %s%s\n", left, options[i].help, options[i].required ? " (required)" : "");
    }
    printf("  %-28s %s\n", "--help", "this text");
}

static int set_value(const struct args_option *option, const char *text, const char *model) {
    int64_t integer = 0;
    double number = 0;
    struct args_list *list = option->value;
    switch (option->kind) {
    case ARGS_LIST:
        if (text[0] == '\0' || list->count == ARGS_LIST_MAX) {
            fprintf(stderr, "canhbao-model %s: --%s: expected 1 to %d times %s\n", model,
                    option->name, ARGS_LIST_MAX, option->placeholder);
            return MODEL_USAGE;
        }
        list->words[list->count++] = text;
        return MODEL_DONE;
    case ARGS_TEXT:
        if (text[0] == '\0') {
            fprintf(stderr, "canhbao-model %s: --%s: expected %s, got nothing\n", model,
                    option->name, option->placeholder);
            return MODEL_USAGE;
        }
        *(const char **)option->value = text;
        return MODEL_DONE;
    case ARGS_INT:
        if (text_parse_int(text, (int64_t)option->min, (int64_t)option->max, &integer) != 0) {
            break;
        }
        *(int64_t *)option->value = integer;
        return MODEL_DONE;
    case ARGS_NUMBER:
        if (text_parse_double(text, option->min, option->max, &number) != 0) {
            break;
        }
        *(double *)option->value = number;
        return MODEL_DONE;
    case ARGS_SWITCH:
        break;
    }
    fprintf(stderr, "canhbao-model %s: --%s: expected %s within %g to %g, got '%s'\n", model,
            option->name, option->kind == ARGS_INT ? "an integer" : "a number", option->min,
            option->max, text);
    return MODEL_USAGE;
}

/* The option that a word names; ARGS_OPTIONS_MAX for none. */
static size_t find_option(const struct args_option *options, const char *word) {
    const char *equals = strchr(word, '=');
    size_t length = equals == NULL ? strlen(word) : (size_t)(equals - word);
    for (size_t k = 0; options[k].name != NULL && k < ARGS_OPTIONS_MAX; k++) {
        if (strncmp(word, "--", 2) == 0 && strlen(options[k].name) + 2 == length &&
            strncmp(word + 2, options[k].name, length - 2) == 0) {
            return k;
        }
    }
    return ARGS_OPTIONS_MAX;
}

int args_parse(int argc, char **argv, const struct args_option *options, const char *about) {
    bool given[ARGS_OPTIONS_MAX] = {false};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help(argv[0], options, about);
            return ARGS_HELPED;
        }
    }
    for (int i = 1; i < argc; i++) {
        size_t k = find_option(options, argv[i]);
        const char *equals = strchr(argv[i], '=');
        if (k == ARGS_OPTIONS_MAX) {
            fprintf(stderr, "canhbao-model %s: unknown option '%s'; see --help\n", argv[0],
                    argv[i]);
            return MODEL_USAGE;
        }
        if (given[k] && options[k].kind != ARGS_LIST) {
            fprintf(stderr, "canhbao-model %s: --%s is given twice\n", argv[0], options[k].name);
            return MODEL_USAGE;
        }
        given[k] = true;
        if (options[k].kind == ARGS_SWITCH) {
            if (equals != NULL) {
                fprintf(stderr, "canhbao-model %s: --%s takes no value\n", argv[0],
                        options[k].name);
                return MODEL_USAGE;
            }
            *(bool *)options[k].value = true;
            continue;
        }
        if (equals == NULL && i + 1 == argc) {
            fprintf(stderr, "canhbao-model %s: --%s needs a value\n", argv[0], options[k].name);
            return MODEL_USAGE;
        }
        int rc = set_value(&options[k], equals != NULL ? equals + 1 : argv[++i], argv[0]);
        while (rc == MODEL_DONE && options[k].kind == ARGS_LIST && i + 1 < argc &&
               strncmp(argv[i + 1], "--", 2) != 0) {
            rc = set_value(&options[k], argv[++i], argv[0]);
        }
        if (rc != MODEL_DONE) {
            return rc;
        }
    }
    for (size_t k = 0; options[k].name != NULL; k++) {
        if (options[k].required && !given[k]) {
            fprintf(stderr, "canhbao-model %s: --%s %s is missing; see --help\n", argv[0],
                    options[k].name, options[k].placeholder);
            return MODEL_USAGE;
        }
    }
    return MODEL_DONE;
}

static bool is_word_of(const char *words, const char *word) {
    size_t length = strlen(word);
    for (const char *at = strstr(words, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

int args_check_way(int argc, char **argv, const struct args_option *options, const char *way,
                   const char *needs, const char *may) {
    bool given[ARGS_OPTIONS_MAX + 1] = {false};
    for (int i = 1; i < argc; i++) {
        size_t k = find_option(options, argv[i]);
        given[k] = true;
        i += k < ARGS_OPTIONS_MAX && options[k].kind != ARGS_SWITCH && strchr(argv[i], '=') == NULL;
    }
    for (size_t k = 0; options[k].name != NULL; k++) {
        const char *name = options[k].name;
        bool needed = is_word_of(needs, name);
        if (needed && !given[k]) {
            fprintf(stderr, "canhbao-model %s: %s needs --%s; see --help\n", argv[0], way, name);
            return MODEL_USAGE;
        }
        if (given[k] && !needed && !options[k].required && strcmp(name, "manifest") != 0 &&
            !is_word_of(may, name)) {
            fprintf(stderr, "canhbao-model %s: --%s has no meaning with %s; see --help\n", argv[0],
                    name, way);
            return MODEL_USAGE;
        }
    }
    return MODEL_DONE;
}

int model_exit_of(const char *model, const struct err *err) {
    fprintf(stderr, "canhbao-model %s: %s\n", model, err->text);
    return err->code == ERR_MEMORY || err->code == ERR_IO ? MODEL_FAILED : MODEL_REFUSED;
}
