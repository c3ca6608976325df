/* Totals of rain buckets. The examples are worked out by hand; the histories know the truth that
 * the code under test does not see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "daemon/station/counter.h"

#define MIN INT64_C(60000000)
#define TIP 0.2 /* mm */

enum { STEP_MAX_TIPS = 50, HISTORIES = 1000000, POLLS = 8 };

static struct point bucket(enum counter_memory memory, enum counter_epoch epoch, double modulus) {
    return (struct point){.period_us = MIN,
                          .counter_step_max = 50,
                          .counter_modulus = modulus,
                          .counter_memory = memory,
                          .counter_epoch = epoch};
}

/* Minutes apart. */
static double amount(const struct point *point, double before, double after, double minutes) {
    struct counter_sample from = {before, 0, (double)NAN};
    struct counter_sample to = {after, (int64_t)(minutes * 60e6), (double)NAN};
    return counter_amount(point, &from, &to);
}

static double amount_epoch(const struct point *point, double before, double epoch_before,
                           double after, double epoch_after) {
    struct counter_sample from = {before, 0, epoch_before};
    struct counter_sample to = {after, MIN, epoch_after};
    return counter_amount(point, &from, &to);
}

static void assert_amount(double value, double want) {
    if (isnan(want) ? !isnan(value) : !(fabs(value - want) < 1e-9)) {
        fail_msg("%.12g instead of %.12g", value, want);
    }
}

#define UNKNOWN ((double)NAN)

static void test_kept(void **state) {
    (void)state;
    struct point point = bucket(COUNTER_KEPT, COUNTER_EPOCH_NONE, UNKNOWN);
    assert_amount(amount(&point, 100, 112.5, 1), 12.5);
    assert_amount(amount(&point, 100, 100, 1), 0);
    assert_amount(amount(&point, 100, 150, 1), 50);
    assert_amount(amount(&point, 100, 150.1, 1), UNKNOWN); /* not believed */
    assert_amount(amount(&point, 100, 99.9, 1), UNKNOWN);  /* fell, modulus unknown */
    assert_amount(amount(&point, UNKNOWN, 5, 1), UNKNOWN);
    point.counter_modulus = 1000;
    assert_amount(amount(&point, 990, 5, 1), 15);       /* started again */
    assert_amount(amount(&point, 100, 90, 1), UNKNOWN); /* 990: not believed */
    assert_amount(amount(&point, 5000, 5, 1), UNKNOWN); /* beyond the modulus */
}

static void test_modulus_passed_more_than_once(void **state) {
    (void)state;
    struct point point = bucket(COUNTER_KEPT, COUNTER_EPOCH_NONE, 1000);
    /* 50 mm a minute at most: 20 min may have brought 1000, so 10 may have been 1010 from 21 min on
     * (1050 >= 1010), and not before (1000 < 1010). */
    assert_amount(amount(&point, 100, 110, 20), 10);
    assert_amount(amount(&point, 100, 110, 21), UNKNOWN);
}

static void test_lost(void **state) {
    (void)state;
    struct point point = bucket(COUNTER_LOST, COUNTER_EPOCH_NONE, 1000);
    assert_amount(amount(&point, 990, 5, 1), UNKNOWN);   /* the modulus, or a restart */
    assert_amount(amount(&point, 100, 110, 1), 10);      /* 110 in a minute is beyond 50 */
    assert_amount(amount(&point, 100, 110, 3), UNKNOWN); /* 150 in three minutes is not */
    assert_amount(amount(&point, 20, 30, 1), UNKNOWN);   /* 10, or a restart and 30 */
    assert_amount(amount(&point, 0, 0, 1), UNKNOWN);
}

static void test_epoch_changes(void **state) {
    (void)state;
    struct point point = bucket(COUNTER_LOST, COUNTER_EPOCH_CHANGES, 1000);
    assert_amount(amount_epoch(&point, 20, 7, 30, 7), 10);
    assert_amount(amount_epoch(&point, 990, 7, 5, 7), 15);
    assert_amount(amount_epoch(&point, 20, 7, 30, 8), UNKNOWN);
    assert_amount(amount_epoch(&point, 20, UNKNOWN, 30, 8), UNKNOWN);
    assert_amount(amount_epoch(&point, 200, UNKNOWN, 210, 8), 10); /* as without an epoch */
    point.counter_memory = COUNTER_KEPT;
    assert_amount(amount_epoch(&point, 200, 7, 210, 8), UNKNOWN);
}

static void test_epoch_uptime(void **state) {
    (void)state;
    struct point point = bucket(COUNTER_LOST, COUNTER_EPOCH_UPTIME, UNKNOWN);
    /* A minute: slack is 6 + 2 s. */
    assert_amount(amount_epoch(&point, 20, 3600, 30, 3660), 10);
    assert_amount(amount_epoch(&point, 20, 3600, 30, 3653), 10);      /* a slow clock */
    assert_amount(amount_epoch(&point, 20, 3600, 30, 3651), UNKNOWN); /* too slow */
    assert_amount(amount_epoch(&point, 20, 3600, 30, 30), UNKNOWN);
    assert_amount(amount_epoch(&point, 20, 10, 30, 70), UNKNOWN); /* two restarts look like it */
    assert_amount(amount_epoch(&point, 20, 17, 30, 77), 10);
}

/* ---- histories ---- */

static uint64_t seed = 20251119;

static uint32_t dice(uint32_t sides) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % sides;
}

struct device {
    uint64_t modulus; /* in tips */
    uint64_t total;   /* of the register */
    bool loses;
    uint32_t restarts, serial;
    double uptime_s;
};

enum happening { NOTHING, RESTART, POWER_LOSS, REPLACED, HAPPENINGS };

struct tally {
    uint64_t exact, unknown, wrong;
    uint64_t rollovers, rollovers_exact, quiet, quiet_unknown;
};

/* How much may fall in so many periods: at most STEP_MAX_TIPS in each. */
static uint32_t rain(uint32_t periods) {
    uint32_t most = STEP_MAX_TIPS * periods;
    return dice(3) == 0 ? 0 : dice(dice(4) == 0 ? most + 1 : 6);
}

static void count_tips(struct device *device, uint32_t tips) {
    device->total = (device->total + tips) % device->modulus;
}

static void restart(struct device *device) {
    device->restarts++;
    device->uptime_s = 0;
    if (device->loses) {
        device->total = 0;
    }
}

/* Another device. Without an epoch nobody can tell one whose total lies just above the old one's.
 */
static void replace(struct device *device, uint64_t before, bool told) {
    do {
        device->total = dice(2) == 0 ? dice(400) : dice(UINT32_MAX) % device->modulus;
    } while (!told &&
             (device->total + device->modulus - before) % device->modulus <= STEP_MAX_TIPS);
    device->serial++;
    device->restarts += 1 + dice(9);
    device->uptime_s = 0;
}

static double epoch_of(const struct device *device, enum counter_epoch kind, bool by_serial) {
    return kind == COUNTER_EPOCH_UPTIME ? floor(device->uptime_s)
           : by_serial                  ? device->serial
                                        : device->restarts;
}

/* Lets one interval pass. The truth is what fell, also while the device had no power; a device that
 * keeps its total and says nothing of restarts can only be held to what it counted. */
static uint32_t live(struct device *device, enum happening happening, uint32_t periods,
                     bool must_tell_power_loss, bool told) {
    uint64_t before = device->total;
    double passed_s = 60.0 * periods;
    uint32_t tips = rain(periods);
    uint32_t early = dice(tips + 1);
    uint32_t missed = happening == POWER_LOSS ? dice(tips - early + 1) : 0;
    count_tips(device, early);
    device->uptime_s += passed_s;
    if (happening == RESTART || happening == POWER_LOSS) {
        restart(device);
    } else if (happening == REPLACED) {
        replace(device, before, told);
    }
    if (happening != NOTHING) {
        device->uptime_s = passed_s * dice(1000) / 1000;
    }
    if (happening == REPLACED && !told) {
        return tips; /* what follows must not bring the total back to where it could be believed */
    }
    count_tips(device, tips - early - missed);
    return must_tell_power_loss ? tips : tips - missed;
}

struct history {
    struct device device;
    struct point point;
    enum counter_epoch kind;
    bool by_serial;
    bool known; /* the last reply had the epoch */
    struct counter_sample last;
};

/* One reply with the total and, most often, the epoch. */
static struct counter_sample reply(const struct history *history, int64_t at_us, bool known) {
    return (struct counter_sample){
        (double)history->device.total * TIP, at_us,
        known ? epoch_of(&history->device, history->kind, history->by_serial) : (double)NAN};
}

static void begin(struct history *history, enum counter_memory memory, enum counter_epoch kind) {
    static const uint64_t moduli[] = {65536, UINT64_C(1) << 32, 10000};
    struct device *device = &history->device;
    *device = (struct device){.modulus = moduli[dice(3)],
                              .loses = memory == COUNTER_LOST,
                              .restarts = dice(100),
                              .serial = dice(100000),
                              .uptime_s = dice(100000)};
    device->total = dice(3) == 0   ? dice(300)
                    : dice(2) == 0 ? device->modulus - 1 - dice(300)
                                   : dice(UINT32_MAX) % device->modulus;
    history->kind = kind;
    history->by_serial = kind == COUNTER_EPOCH_CHANGES && dice(3) == 0;
    history->point = bucket(memory, kind, (double)device->modulus * TIP);
    history->point.counter_step_max = STEP_MAX_TIPS * TIP;
    history->known = kind != COUNTER_EPOCH_NONE;
    history->last = reply(history, 0, history->known);
}

static void one_poll(struct history *history, struct tally *tally) {
    uint32_t periods = dice(5) == 0 ? 1 + dice(512) : 1;
    enum happening happening = dice(4) == 0 ? (enum happening)dice(HAPPENINGS) : NOTHING;
    if (history->by_serial && happening != REPLACED) {
        happening = NOTHING; /* a serial number tells replacements only */
    }
    bool known = history->kind != COUNTER_EPOCH_NONE && dice(50) != 0;
    bool told = known && history->known;
    uint64_t total_before = history->device.total;
    uint32_t truth = live(&history->device, happening, periods,
                          told || history->point.counter_memory == COUNTER_LOST, told);
    struct counter_sample next = reply(history, history->last.at_us + periods * MIN, known);
    double value = counter_amount(&history->point, &history->last, &next);
    bool exact = fabs(value - truth * TIP) < 1e-6; /* false for NaN */
    bool usual = happening == NOTHING && periods == 1;
    bool rollover = usual && history->device.total < total_before;
    bool quiet = usual && !rollover && history->device.total > STEP_MAX_TIPS;
    tally->exact += exact;
    tally->unknown += isnan(value) ? 1 : 0;
    tally->wrong += !isnan(value) && !exact;
    tally->rollovers += rollover;
    tally->rollovers_exact += rollover && exact;
    tally->quiet += quiet;
    tally->quiet_unknown += quiet && !exact;
    history->last = next;
    history->known = known;
}

/* Rollover at 16 and 32 bits (and at 10,000 tips), restart, power loss, replacement, pauses of up
 * to 512 periods: no amount is ever wrong, and where nothing happened it is known. */
static void test_histories(void **state) {
    (void)state;
    for (int memory = COUNTER_KEPT; memory <= COUNTER_LOST; memory++) {
        for (int kind = COUNTER_EPOCH_NONE; kind <= COUNTER_EPOCH_UPTIME; kind++) {
            struct tally tally = {0};
            for (int i = 0; i < HISTORIES / 6 + 1; i++) {
                struct history history;
                begin(&history, (enum counter_memory)memory, (enum counter_epoch)kind);
                for (int poll = 0; poll < POLLS; poll++) {
                    one_poll(&history, &tally);
                }
            }
            print_message("memory %d epoch %d: %llu exact, %llu unknown, %llu wrong; rollovers "
                          "%llu, exact %llu; quiet %llu, unknown %llu\n",
                          memory, kind, (unsigned long long)tally.exact,
                          (unsigned long long)tally.unknown, (unsigned long long)tally.wrong,
                          (unsigned long long)tally.rollovers,
                          (unsigned long long)tally.rollovers_exact,
                          (unsigned long long)tally.quiet, (unsigned long long)tally.quiet_unknown);
            assert_int_equal(tally.wrong, 0);
            assert_true(tally.exact > 100000 && tally.unknown > 10000 && tally.rollovers > 1000);
            if (memory == COUNTER_KEPT && kind == COUNTER_EPOCH_NONE) {
                assert_int_equal(tally.rollovers_exact, tally.rollovers);
            }
            if (kind != COUNTER_EPOCH_UPTIME) {
                assert_int_equal(tally.quiet_unknown, 0);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),         cmocka_unit_test(test_modulus_passed_more_than_once),
        cmocka_unit_test(test_lost),         cmocka_unit_test(test_epoch_changes),
        cmocka_unit_test(test_epoch_uptime), cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
