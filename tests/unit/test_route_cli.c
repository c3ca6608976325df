/* The command line of `route`: files in and out, restart, refusals with their exit codes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "models/hydrology/hydrology.h"
#include "models/table/table.h"

static char folder[] = "/tmp/canhbao-route-XXXXXX";

static int enter_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int leave_folder(void **state) {
    (void)state;
    static const char *const files[] = {"net.csv", "all.csv",  "a.csv",    "b.csv",  "state.csv",
                                        "out.csv", "out1.csv", "out2.csv", "in.csv", "rel.csv"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        unlink(files[i]);
    }
    return chdir("/") != 0 || rmdir(folder) != 0 ? -1 : 0;
}

static void put(const char *name, const char *text) {
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Splits on spaces and runs. */
static int route(const char *line) {
    char text[1024];
    char *argv[40];
    int argc = 0;
    (void)snprintf(text, sizeof text, "route %s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return model_route.run(argc, argv);
}

static void lateral(const char *name, int from, int to) {
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs("time,c,b,a,remark\n", file);
    for (int h = from; h < to; h++) {
        double q = h > 5 && h < 20 ? 30.0 / (1 + h) : 0.1;
        fprintf(file, "2025-11-%02dT%02d:00Z,%g,%g,%g,x\n", 18 + h / 24, h % 24, q, 2 * q, 3 * q);
    }
    assert_int_equal(fclose(file), 0);
}

static size_t column(const char *path, const char *name, double *values) {
    struct table *t = NULL;
    size_t at = 0;
    assert_int_equal(table_read(path, &t, NULL), 0);
    assert_int_equal(table_find(t, name, &at, NULL), 0);
    assert_int_equal(table_numbers(t, at, 0, 1e9, values, NULL), 0);
    size_t rows = table_rows(t);
    table_destroy(t);
    return rows;
}

#define NET                                                                                        \
    "id,downstream,length_m,width_m,slope,manning\na,b,4000,20,0.002,0.04\n"                       \
    "b,c,6000,30,0.001,0.035\nc,,3000,40,0.0008,0.03\n"

static void test_network_restart_and_row_order(void **state) {
    (void)state;
    double whole[100], first[100], second[100], b[100];
    put("net.csv", NET);
    lateral("all.csv", 0, 48);
    lateral("a.csv", 0, 13);
    lateral("b.csv", 13, 48);
    assert_int_equal(route("--method kinematic --network net.csv --lateral all.csv --out out.csv "
                           "--points b"),
                     0);
    assert_int_equal(column("out.csv", "c", whole), 48);
    assert_int_equal(column("out.csv", "b", b), 48);
    assert_true(whole[30] > b[30] && b[30] > 0);
    assert_int_equal(route("--method kinematic --network net.csv --lateral a.csv --out out1.csv "
                           "--state-out state.csv"),
                     0);
    put("net.csv", "id,downstream,length_m,width_m,slope,manning\nc,,3000,40,0.0008,0.03\n"
                   "b,c,6000,30,0.001,0.035\na,b,4000,20,0.002,0.04\n");
    assert_int_equal(route("--method kinematic --network net.csv --lateral b.csv --out out2.csv "
                           "--state-in state.csv"),
                     0);
    assert_int_equal(column("out1.csv", "c", first), 13);
    assert_int_equal(column("out2.csv", "c", second), 35);
    assert_memory_equal(first, whole, 13 * sizeof(double));
    assert_memory_equal(second, whole + 13, 35 * sizeof(double));
}

static void test_reservoir_schedule(void **state) {
    (void)state;
    double q[100];
    put("net.csv", NET);
    lateral("all.csv", 0, 48);
    FILE *file = fopen("rel.csv", "w");
    assert_non_null(file);
    fputs("time,b\n", file);
    for (int h = 0; h < 48; h++) {
        fprintf(file, "2025-11-%02dT%02d:00Z,%s\n", 18 + h / 24, h % 24, h == 40 ? "" : "500");
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(route("--method kinematic --network net.csv --lateral all.csv --release "
                           "rel.csv --out out.csv"),
                     0);
    assert_int_equal(column("out.csv", "c", q), 48);
    assert_true(fabs(q[39] - 500.1) < 0.01);
    assert_true(isnan(q[40]) && !isnan(q[41])); /* the release was not known */
    file = fopen("rel.csv", "w");
    assert_non_null(file);
    fputs("time,b,bb\n", file); /* a reservoir that is none is not left out in silence */
    for (int h = 0; h < 48; h++) {
        fprintf(file, "2025-11-%02dT%02d:00Z,500,3\n", 18 + h / 24, h % 24);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(route("--method kinematic --network net.csv --lateral all.csv --release "
                           "rel.csv --out out.csv"),
                     3);
    put("rel.csv", "time,b\n2025-11-18T00:00Z,1\n2025-11-18T01:00Z,1\n");
    assert_int_equal(route("--method kinematic --network net.csv --lateral all.csv --release "
                           "rel.csv --out out.csv"),
                     3);
}

static void test_one_reach(void **state) {
    (void)state;
    double q[10];
    put("in.csv", "time,Qin\n2025-11-18 00:00,10\n2025-11-18 06:00,10\n2025-11-18 12:00,\n"
                  "2025-11-18 18:00,40\n2025-11-19 00:00,40\n");
    assert_int_equal(route("--method muskingum --inflow in.csv --k 12 --x 0.2 --out out.csv"), 0);
    assert_int_equal(column("out.csv", "Qout", q), 5);
    assert_true(q[1] == 10 && isnan(q[2]) && q[4] == 40);
    assert_int_equal(
        route("--method muskingum-nonlinear --inflow in.csv --k 1 --x 0.2 --m 1.5 --out out.csv"),
        0);
    assert_int_equal(route("--method cunge --inflow in.csv --length-m 9000 --width-m 30 --slope "
                           "0.001 --manning 0.03 --out out.csv"),
                     0);
    assert_int_equal(column("out.csv", "Qout", q), 5);
    assert_true(q[1] == 10 && isnan(q[2]) && fabs(q[4] - 40) < 1e-9);
}

/* The first hole may stand between the first two rows: the step is the smallest distance. */
static void test_a_hole_at_the_start(void **state) {
    (void)state;
    double flow[8];
    put("in.csv", "time,Qin\n2025-11-18T00:00,5\n2025-11-18T12:00,5\n2025-11-18T18:00,5\n");
    assert_int_equal(route("--method muskingum --inflow in.csv --k 12 --x 0.2 --out out.csv"), 0);
    assert_int_equal(column("out.csv", "Qout", flow), 4);
    assert_true(flow[0] == 5 && isnan(flow[1]) && flow[2] == 5 && flow[3] == 5);
}

static void test_refusals(void **state) {
    (void)state;
    lateral("all.csv", 0, 4);
    static const char *const nets[] = {
        "id,downstream,length_m,width_m,slope,manning\na,b,1,1,0.1,0.1\nb,a,1,1,0.1,0.1\n",
        "id,downstream,length_m,width_m,slope,manning\na,x,1,1,0.1,0.1\n",
        "id,downstream,length_m,width_m,slope,manning\na,,1,1,0.1,0.1\na,,1,1,0.1,0.1\n",
        "id,downstream,length_m,width_m,slope,manning\na,,1,1,0,0.1\n",
        "id,downstream,length_m,width_m,slope,manning\na,,1,1,,0.1\n",
        "id,downstream,length_m,width_m,slope\na,,1,1,1\n",
        "id,downstream,length_m,width_m,slope,manning\nq,,1,1,0.1,0.1\n", /* no lateral */
        "id,downstream,length_m,width_m,slope,manning\n",
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        put("net.csv", nets[i]);
        int code = route("--method kinematic --network net.csv --lateral all.csv --out out.csv");
        if (code != 3) {
            fail_msg("network %zu: exit %d", i, code);
        }
    }
    put("net.csv", NET);
    assert_int_equal(route("--method kinematic --network net.csv --lateral all.csv --points z "
                           "--out out.csv"),
                     3);
    put("state.csv", "id,volume_m3,outflow_m3_s,root,assumed_m3,mark\na,1,1,1,0,0\n");
    assert_int_equal(route("--method kinematic --network net.csv --lateral all.csv --state-in "
                           "state.csv --out out.csv"),
                     3);
    put("in.csv", "time,Qin\n2025-11-18,1\n2025-11-19,1\n2025-11-19T05:00,1\n");
    assert_int_equal(route("--method muskingum --inflow in.csv --k 12 --x 0.2 --out out.csv"), 3);
    assert_int_equal(route("--method muskingum --inflow in.csv --x 0.2 --out out.csv"), 2);
    assert_int_equal(route("--method muskingums --inflow in.csv --out out.csv"), 2);
    assert_int_equal(route("--method muskingum --k 1,5 --x 0.2 --inflow in.csv --out out.csv"), 2);
    assert_int_equal(route("--method muskingum --k 1 --k 2"), 2);
    assert_int_equal(route("--what"), 2);
    assert_int_equal(route("--method"), 2);
    assert_int_equal(route("--help"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_restart_and_row_order),
        cmocka_unit_test(test_reservoir_schedule),
        cmocka_unit_test(test_one_reach),
        cmocka_unit_test(test_a_hole_at_the_start),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
