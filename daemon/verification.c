#include "daemon/verification.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"

static const int64_t US_PER_HOUR = INT64_C(3600000000);

struct judged {
    struct utc_us newest;          /* valid time of the newest score that its runs printed */
    char manifest[HASH_TEXT_SIZE]; /* of the run that was taken last; empty: none */
    bool worse;                    /* as the subject of scores */
};

struct verification {
    struct verification_options options;
    struct judged *products; /* parallel to site.products */
};

/* ---- what was taken ---- */

/* Ids may be as long as a key of the store: it is their hash. */
static void meta_key(const char *what, const char *product, char ret_key[STORE_META_KEY_MAX + 1]) {
    char id[ID_TEXT_SIZE];
    id_from_strings(&product, 1, id);
    (void)snprintf(ret_key, STORE_META_KEY_MAX + 1, "%s.%s", what, id);
}

static struct judged *find(const struct verification *verification, const char *product) {
    const struct site *site = verification->options.site;
    for (size_t i = 0; i < site->product_count; i++) {
        if (strcmp(site->products[i].id, product) == 0) {
            return &verification->products[i];
        }
    }
    return NULL;
}

void verification_take(struct verification *verification, const char *product, const char *manifest,
                       const struct skill_score *scores, size_t count) {
    struct judged *judged = find(verification, product);
    struct store *store = verification->options.store;
    char key[STORE_META_KEY_MAX + 1];
    if (judged == NULL || count == 0) {
        return;
    }
    struct utc_us newest = judged->newest;
    bool again = strcmp(judged->manifest, manifest) == 0;
    bool taken = false;
    for (size_t i = 0; i < count; i++) {
        /* A full group loses the rest of these scores; alerts go before them. */
        bool wanted = scores[i].valid.us > judged->newest.us || (scores[i].late && !again);
        if (wanted && store_append_skill(store, &scores[i]) == 0) {
            taken = true;
            newest.us = scores[i].valid.us > newest.us ? scores[i].valid.us : newest.us;
        }
    }
    if (taken) {
        judged->newest = newest;
        (void)snprintf(judged->manifest, sizeof judged->manifest, "%s", manifest); /* fits */
        meta_key("scored-until", product, key);
        (void)store_put_meta(store, key, &newest, sizeof newest); /* as above */
        meta_key("scored-run", product, key);
        (void)store_put_meta(store, key, judged->manifest, sizeof judged->manifest);
    }
}

/* ---- pooling ---- */

struct pool {
    struct skill skill;
    bool any;
    int (*visit)(void *user, const struct skill *skill);
    void *user;
};

static int add_row(void *user, struct utc_us start, const struct skill *skill) {
    struct pool *pool = user;
    int result = 0;
    (void)start;
    if (pool->any && !skill_same_key(&pool->skill.key, &skill->key)) {
        result = pool->visit(pool->user, &pool->skill);
        pool->any = false;
    }
    if (!pool->any) {
        pool->skill = *skill;
        pool->any = true;
    } else {
        skill_add(&pool->skill, skill->sums);
    }
    return result;
}

int verification_visit(struct store *store, enum skill_period period, struct utc_us from,
                       struct utc_us to, const char *product,
                       int (*visit)(void *user, const struct skill *skill), void *user) {
    struct pool pool = {.visit = visit, .user = user};
    int result = store_read_skill(store, period, from, to, product, add_row, &pool);
    return result == 0 && pool.any ? visit(user, &pool.skill) : result;
}

/* ---- judgement ---- */

/* Sums of one variable of one product over the last day, all leads. */
struct day {
    char product[STATION_ID_SIZE], variable[STATION_ID_SIZE];
    double absolute_error, reference_absolute_error; /* where both could be scored */
    double squared_error, reference_squared_error;
};

enum { DAYS_MAX = 64 }; /* products times variables */

struct judgement {
    struct day days[DAYS_MAX];
    size_t count;
    struct utc_us first; /* hour of the oldest score */
};

static int note_hour(void *user, struct utc_us start, const struct skill *skill) {
    struct judgement *judgement = user;
    const struct skill_key *key = &skill->key;
    if (key->lead_us <= 0 || !isnan(key->threshold) || strcmp(key->system, "forecast") != 0) {
        return 0;
    }
    struct day *day = NULL;
    for (size_t i = 0; i < judgement->count && day == NULL; i++) {
        bool same = strcmp(judgement->days[i].product, key->product) == 0 &&
                    strcmp(judgement->days[i].variable, key->variable) == 0;
        day = same ? &judgement->days[i] : NULL;
    }
    if (day == NULL && judgement->count < DAYS_MAX) {
        day = &judgement->days[judgement->count++];
        *day = (struct day){.absolute_error = 0};
        memcpy(day->product, key->product, sizeof day->product);
        memcpy(day->variable, key->variable, sizeof day->variable);
    }
    if (day == NULL) {
        return 0;
    }
    judgement->first.us = start.us < judgement->first.us ? start.us : judgement->first.us;
    day->absolute_error += skill->sums[SKILL_PAIRED_ABSOLUTE_ERROR];
    day->reference_absolute_error += skill->sums[SKILL_REFERENCE_ABSOLUTE_ERROR];
    day->squared_error += skill->sums[SKILL_SQUARED_ERROR];
    day->reference_squared_error += skill->sums[SKILL_REFERENCE_SQUARED_ERROR];
    return 0;
}

/* "" when it is not worse. */
static void judge_day(const struct day *day, char ret_text[CONDITION_TEXT_SIZE]) {
    ret_text[0] = '\0';
    if (day->reference_squared_error > 0 && day->squared_error > day->reference_squared_error) {
        (void)snprintf(ret_text, CONDITION_TEXT_SIZE,
                       "worse than persistence over the last day: %.60s, persistence index %.2f",
                       day->variable, 1 - day->squared_error / day->reference_squared_error);
    } else if (day->absolute_error > day->reference_absolute_error &&
               day->reference_absolute_error > 0) {
        (void)snprintf(ret_text, CONDITION_TEXT_SIZE,
                       "worse than persistence over the last day: %.60s, mean absolute error %.3g "
                       "times that of persistence",
                       day->variable, day->absolute_error / day->reference_absolute_error);
    }
}

void verification_judge(struct verification *verification, struct utc_us now) {
    const struct verification_options *options = &verification->options;
    struct judgement judgement = {.count = 0, .first = now};
    struct utc_us from = skill_period_start(SKILL_HOUR, (struct utc_us){now.us - 23 * US_PER_HOUR});
    if (store_read_skill(options->store, SKILL_HOUR, from, (struct utc_us){now.us + US_PER_HOUR},
                         NULL, note_hour, &judgement) != 0) {
        return; /* the last judgement stands; a damaged store says so itself */
    }
    bool enough = now.us - judgement.first.us >= VERIFICATION_HOURS_MIN * US_PER_HOUR;
    for (size_t i = 0; i < options->site->product_count; i++) {
        const char *id = options->site->products[i].id;
        struct judged *judged = &verification->products[i];
        char text[CONDITION_TEXT_SIZE] = "";
        for (size_t k = 0; k < judgement.count && enough && text[0] == '\0'; k++) {
            if (strcmp(judgement.days[k].product, id) == 0) {
                judge_day(&judgement.days[k], text);
            }
        }
        if (text[0] != '\0' || judged->worse) {
            judged->worse = text[0] != '\0';
            options->on_condition(options->ctx, CONDITION_SKILL_LOW, id, judged->worse, text);
        }
    }
}

bool verification_is_worse(const struct verification *verification, const char *product) {
    const struct site *site = verification->options.site;
    for (size_t i = 0; i < site->product_count; i++) {
        if (strcmp(site->products[i].id, product) == 0) {
            const struct judged *other = find(verification, site->products[i].skill_of);
            return verification->products[i].worse || (other != NULL && other->worse);
        }
    }
    return false;
}

/* ---- construction ---- */

int verification_create(const struct verification_options *options, struct utc_us now,
                        struct verification **ret_verification, struct err *ret_err) {
    struct verification *verification = calloc(1, sizeof *verification);
    struct judged *products = calloc(options->site->product_count + 1, sizeof *products);
    if (verification == NULL || products == NULL) {
        free(verification);
        free(products);
        return err_set(ret_err, ERR_MEMORY, "no memory for the verification");
    }
    verification->options = *options;
    verification->products = products;
    for (size_t i = 0; i < options->site->product_count; i++) {
        char key[STORE_META_KEY_MAX + 1];
        size_t length = 0;
        struct utc_us newest;
        char manifest[HASH_TEXT_SIZE];
        meta_key("scored-until", options->site->products[i].id, key);
        if (store_get_meta(options->store, key, &newest, sizeof newest, &length) == 0 &&
            length == sizeof newest) {
            products[i].newest = newest;
        }
        meta_key("scored-run", options->site->products[i].id, key);
        if (store_get_meta(options->store, key, manifest, sizeof manifest, &length) == 0 &&
            length == sizeof manifest && manifest[sizeof manifest - 1] == '\0') {
            memcpy(products[i].manifest, manifest, sizeof manifest);
        }
    }
    verification_judge(verification, now);
    *ret_verification = verification;
    return 0;
}

struct verification *verification_destroy(struct verification *verification) {
    if (verification != NULL) {
        free(verification->products);
        free(verification);
    }
    return NULL;
}
