#include "daemon/verification.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/ids.h"

static const int64_t US_PER_HOUR = INT64_C(3600000000);

struct lead_verdict {
    int64_t lead_us;
    bool worse;
};

struct judged {
    struct utc_us newest;          /* valid time of the newest score that its runs printed */
    char manifest[HASH_TEXT_SIZE]; /* of the run that was taken last; empty: none */
    bool worse;                    /* as the subject of scores, at one lead at least */
    struct lead_verdict *leads;    /* those with scores, by rising lead */
    size_t lead_count;
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

/* Sums of one variable of one product at one lead over the last day. */
struct lead_sums {
    char product[STATION_ID_SIZE], variable[STATION_ID_SIZE];
    int64_t lead_us;
    struct utc_us first;                             /* hour of the oldest score */
    double absolute_error, reference_absolute_error; /* where both could be scored */
    double squared_error, reference_squared_error;
};

struct judgement {
    struct lead_sums *leads;
    size_t count, room;
    size_t last; /* that was found; rows come in the order of their keys */
};

static bool is_of(const struct lead_sums *lead, const struct skill_key *key) {
    return lead->lead_us == key->lead_us && strcmp(lead->product, key->product) == 0 &&
           strcmp(lead->variable, key->variable) == 0;
}

static struct lead_sums *find_lead(struct judgement *judgement, const struct skill_key *key) {
    for (size_t i = 0; i < judgement->count; i++) {
        size_t at = (judgement->last + i) % judgement->count;
        if (is_of(&judgement->leads[at], key)) {
            judgement->last = at;
            return &judgement->leads[at];
        }
    }
    if (judgement->count == judgement->room) {
        size_t room = 2 * judgement->room + 64;
        struct lead_sums *leads = realloc(judgement->leads, room * sizeof *leads);
        if (leads == NULL) {
            return NULL;
        }
        judgement->leads = leads;
        judgement->room = room;
    }
    judgement->last = judgement->count++;
    struct lead_sums *lead = &judgement->leads[judgement->last];
    *lead = (struct lead_sums){.lead_us = key->lead_us, .first = {INT64_MAX}};
    memcpy(lead->product, key->product, sizeof lead->product);
    memcpy(lead->variable, key->variable, sizeof lead->variable);
    return lead;
}

static int note_hour(void *user, struct utc_us start, const struct skill *skill) {
    struct judgement *judgement = user;
    const struct skill_key *key = &skill->key;
    if (key->lead_us <= 0 || !isnan(key->threshold) || strcmp(key->system, "forecast") != 0) {
        return 0;
    }
    struct lead_sums *lead = find_lead(judgement, key);
    if (lead == NULL) {
        return ERR_MEMORY;
    }
    lead->first.us = start.us < lead->first.us ? start.us : lead->first.us;
    lead->absolute_error += skill->sums[SKILL_PAIRED_ABSOLUTE_ERROR];
    lead->reference_absolute_error += skill->sums[SKILL_REFERENCE_ABSOLUTE_ERROR];
    lead->squared_error += skill->sums[SKILL_SQUARED_ERROR];
    lead->reference_squared_error += skill->sums[SKILL_REFERENCE_SQUARED_ERROR];
    return 0;
}

static int compare_leads(const void *left, const void *right) {
    const struct lead_sums *a = left;
    const struct lead_sums *b = right;
    return (a->lead_us > b->lead_us) - (a->lead_us < b->lead_us);
}

/* The error as a multiple of that of persistence, NaN: nothing to compare. The absolute error is
 * that of pairs: where persistence has none and the forecast has some, it is infinitely worse. */
static double absolute_ratio(const struct lead_sums *lead) {
    return lead->absolute_error > 0 || lead->reference_absolute_error > 0
               ? lead->absolute_error / lead->reference_absolute_error
               : (double)NAN;
}

static double squared_ratio(const struct lead_sums *lead) {
    return lead->reference_squared_error > 0 ? lead->squared_error / lead->reference_squared_error
                                             : (double)NAN;
}

static double error_ratio(const struct lead_sums *lead) {
    return fmax(absolute_ratio(lead), squared_ratio(lead)); /* fmax leaves NaN out */
}

static void describe(const struct judged *judged, const struct lead_sums *worst,
                     char ret_text[CONDITION_TEXT_SIZE]) {
    size_t worse = 0;
    double first_min = 0;
    double last_min = 0;
    for (size_t i = 0; i < judged->lead_count; i++) {
        if (judged->leads[i].worse) {
            last_min = (double)judged->leads[i].lead_us / 60e6;
            first_min = worse == 0 ? last_min : first_min;
            worse++;
        }
    }
    char times[48] = "where persistence has none";
    if (isfinite(error_ratio(worst))) {
        (void)snprintf(times, sizeof times, "up to %.3g times that of persistence",
                       error_ratio(worst));
    }
    (void)snprintf(ret_text, CONDITION_TEXT_SIZE,
                   "worse than persistence over the last day at %zu of %zu leads, %.15g to %.15g "
                   "min: %.60s, mean %s error %s",
                   worse, judged->lead_count, first_min, last_min, worst->variable,
                   squared_ratio(worst) >= error_ratio(worst) ? "squared" : "absolute", times);
}

/* The verdicts of one product, by lead. `leads` are sorted. Keeps the old ones when there is no
 * memory. */
static void judge_product(struct judged *judged, const char *product,
                          const struct judgement *judgement, struct utc_us now,
                          char ret_text[CONDITION_TEXT_SIZE]) {
    struct lead_verdict *verdicts = calloc(judgement->count + 1, sizeof *verdicts);
    const struct lead_sums *worst = NULL;
    size_t count = 0;
    if (verdicts == NULL) {
        return;
    }
    for (size_t i = 0; i < judgement->count; i++) {
        const struct lead_sums *lead = &judgement->leads[i];
        bool enough = now.us - lead->first.us >= VERIFICATION_HOURS_MIN * US_PER_HOUR;
        if (!enough || strcmp(lead->product, product) != 0 || isnan(error_ratio(lead))) {
            continue;
        }
        if (count == 0 || verdicts[count - 1].lead_us != lead->lead_us) {
            verdicts[count++] = (struct lead_verdict){lead->lead_us, false};
        }
        if (error_ratio(lead) > 1) {
            verdicts[count - 1].worse = true; /* in one variable at least */
            worst = worst == NULL || error_ratio(lead) > error_ratio(worst) ? lead : worst;
        }
    }
    free(judged->leads);
    judged->leads = verdicts;
    judged->lead_count = count;
    ret_text[0] = '\0';
    if (worst != NULL) {
        describe(judged, worst, ret_text);
    }
}

void verification_judge(struct verification *verification, struct utc_us now) {
    const struct verification_options *options = &verification->options;
    struct judgement judgement = {.count = 0};
    struct utc_us from = skill_period_start(SKILL_HOUR, (struct utc_us){now.us - 23 * US_PER_HOUR});
    if (store_read_skill(options->store, SKILL_HOUR, from, (struct utc_us){now.us + US_PER_HOUR},
                         NULL, note_hour, &judgement) != 0) {
        free(judgement.leads);
        return; /* the last judgement stands; a damaged store says so itself */
    }
    if (judgement.count > 0) {
        qsort(judgement.leads, judgement.count, sizeof *judgement.leads, compare_leads);
    }
    for (size_t i = 0; i < options->site->product_count; i++) {
        const char *id = options->site->products[i].id;
        struct judged *judged = &verification->products[i];
        char text[CONDITION_TEXT_SIZE] = "";
        judge_product(judged, id, &judgement, now, text);
        if (text[0] != '\0' || judged->worse) {
            judged->worse = text[0] != '\0';
            options->on_condition(options->ctx, CONDITION_SKILL_LOW, id, judged->worse, text);
        }
    }
    free(judgement.leads);
}

/* The verdict of the scored lead next to it; of two as near, the longer one. */
static bool is_worse_at(const struct judged *judged, int64_t lead_us) {
    int64_t nearest_us = INT64_MAX;
    bool worse = false;
    for (size_t i = 0; i < judged->lead_count; i++) {
        int64_t distance_us = llabs(judged->leads[i].lead_us - lead_us);
        if (distance_us <= nearest_us) {
            nearest_us = distance_us;
            worse = judged->leads[i].worse;
        }
    }
    return worse;
}

bool verification_is_worse(const struct verification *verification, const char *product,
                           int64_t lead_us) {
    const struct site *site = verification->options.site;
    for (size_t i = 0; lead_us > 0 && i < site->product_count; i++) {
        if (strcmp(site->products[i].id, product) == 0) {
            const struct judged *other = find(verification, site->products[i].skill_of);
            return is_worse_at(&verification->products[i], lead_us) ||
                   (other != NULL && is_worse_at(other, lead_us));
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
        for (size_t i = 0; i < verification->options.site->product_count; i++) {
            free(verification->products[i].leads);
        }
        free(verification->products);
        free(verification);
    }
    return NULL;
}
