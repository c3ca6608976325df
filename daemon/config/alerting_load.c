/* The sections about people: contacts, on_call, escalation, approval, incidents, notices, and the
 * operators of the HTTP interface. */
#include <stddef.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/config/loader.h"

#define MEMBER(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define GROUP(rows)          .options = (rows), .count = sizeof(rows) / sizeof((rows)[0])
#define SECTION(key, default_text, text)                                                           \
    { .name = (key), .type = OPTION_SECTION, .preset = (default_text), .help = (text) }

static const struct option contact_rows[] = {
    {"id", OPTION_ID, NULL, .help = "How on_call names the person.", MEMBER(struct contact, id)},
    {"name", OPTION_TEXT, NULL, .help = "For people.", MEMBER(struct contact, name)},
    {"address", OPTION_TEXT, "",
     .help =
         "As the SMS service wants it. It stands in the events of escalations; leave it out where "
         "that service has its own directory.",
     MEMBER(struct contact, address)},
};
const struct option_group group_contact = {
    .path = "canhbao.yaml contacts[]", .help = "A person who may be called.", GROUP(contact_rows)};

static const struct option duty_rows[] = {
    {"role", OPTION_ID, NULL, .help = "duty, chief, or another word of the ladders.",
     MEMBER(struct duty, role)},
    SECTION("contact", NULL, "Id of a contact."),
    {"from", OPTION_TIME, "",
     .help = "Begin; without both times the entry holds whenever no other does.",
     MEMBER(struct duty, from)},
    {"until", OPTION_TIME, "", .help = "End.", MEMBER(struct duty, until)},
};
const struct option_group group_duty = {.path = "canhbao.yaml on_call[]",
                                        .help = "Who has a role when: the calendar.",
                                        GROUP(duty_rows)};

static const struct option ladder_rows[] = {
    {"from_level", OPTION_INT, NULL, .min = 1, .max = 5,
     .help = "The ladder holds from this level up to that of the next one, on any scale.",
     MEMBER(struct ladder, from_level)},
    SECTION("steps", NULL, "List of rungs, in order of time."),
};
const struct option_group group_ladder = {
    .path = "canhbao.yaml escalation[]",
    .help = "Who is called when an alarm of a level stays unacknowledged.",
    GROUP(ladder_rows)};

static const struct option step_rows[] = {
    {"after", OPTION_DURATION, NULL, .min = 1, .max = 604800, .help = "Unacknowledged for so long.",
     MEMBER(struct ladder_step, after_us)},
    SECTION("roles", NULL,
            "List of one to four roles; each needs an entry of on_call without times."),
};
const struct option_group group_step = {
    .path = "canhbao.yaml escalation[].steps[]", .help = "A rung.", GROUP(step_rows)};

#define A(member) MEMBER(struct alerting, member)
static const struct option approval_rows[] = {
    {"from_level", OPTION_INT, "4", .min = 0, .max = 5,
     .help = "The public message of a level from here on, on any scale, waits until two different "
             "people approve it. 0: none does.",
     A(approval_from)},
    {"timeout", OPTION_DURATION, "5 min", .min = 10, .max = 86400,
     .help = "A draft that waits so long is escalated, and again after each such time.",
     A(approval_timeout_us)},
    {"exercises", OPTION_BOOL, "false", .help = "Drills and tests ask for approval too.",
     A(approval_in_exercises)},
};
const struct option_group group_approval = {
    .path = "canhbao.yaml approval", .help = "Who lets a message go public.", GROUP(approval_rows)};

static const struct option incident_rows[] = {
    {"quiet", OPTION_DURATION, "6 h", .min = 60, .max = 2592000,
     .help = "An incident without a raised alarm for so long is closed.", A(incident_quiet_us)},
};
const struct option_group group_incidents = {
    .path = "canhbao.yaml incidents",
    .help = "Alarms of one hazard and one group are one incident.",
    GROUP(incident_rows)};

static const struct option notice_rows[] = {
    {"at_most", OPTION_INT, "10", .min = 0, .max = NOTICES_MAX,
     .help =
         "People are called so often within the window; what comes on top is deferred until there "
         "is room. What stands out in its incident always passes. 0: no bound.",
     A(notices_max)},
    {"window", OPTION_DURATION, "10 min", .min = 10, .max = 86400, .help = "See at_most.",
     A(notices_window_us)},
};
const struct option_group group_notices = {
    .path = "canhbao.yaml notices", .help = "How often people are called.", GROUP(notice_rows)};
#undef A

static const struct option operator_rows[] = {
    {"name", OPTION_ID, NULL, .help = "Stands in the record as http:NAME.",
     MEMBER(struct site_operator, name)},
    {"token", OPTION_CREDENTIAL, NULL, .flags = OPTION_SECRET,
     .help = "Name of the credential file that holds the person's token.",
     MEMBER(struct site_operator, token)},
};
const struct option_group group_operator = {
    .path = "canhbao.yaml web.operators[]",
    .help = "Who may give commands over HTTP. Without an entry nobody may.",
    GROUP(operator_rows)};

/* ---- reading ---- */

static struct config_errors *errors_of(const struct loader *loader) {
    return loader->reader.errors;
}

static const struct yaml_node *list_of(struct loader *loader, const struct yaml_node *map,
                                       const char *key) {
    const struct yaml_node *list = map != NULL ? yaml_member(map, key) : NULL;
    return list != NULL && option_expect(&loader->reader, list, YAML_LIST) == 0 ? list : NULL;
}

static uint32_t find_contact(const struct alerting *alerting, const char *id) {
    for (uint32_t i = 0; i < alerting->contact_count; i++) {
        if (strcmp(alerting->contacts[i].id, id) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}

static void read_contact(struct loader *loader, const struct yaml_node *map) {
    struct alerting *alerting = &loader->site->alerting;
    struct contact *contact =
        loader_append(loader, map, &alerting->contacts, &alerting->contact_count, sizeof *contact,
                      CONTACTS_MAX, "contacts");
    if (contact == NULL || option_group_read(&loader->reader, &group_contact, map, contact) != 0) {
        return;
    }
    if (find_contact(alerting, contact->id) != alerting->contact_count - 1) {
        yaml_error(errors_of(loader), yaml_member(map, "id"), "a contact '%s' exists already",
                   contact->id);
    }
}

static void read_duty(struct loader *loader, const struct yaml_node *map) {
    struct alerting *alerting = &loader->site->alerting;
    struct duty *duty = loader_append(loader, map, &alerting->duties, &alerting->duty_count,
                                      sizeof *duty, DUTIES_MAX, "entries of on_call");
    if (duty == NULL || option_group_read(&loader->reader, &group_duty, map, duty) != 0) {
        return;
    }
    const struct yaml_node *name = yaml_member(map, "contact");
    if (name == NULL || option_expect(&loader->reader, name, YAML_SCALAR) != 0) {
        return;
    }
    uint32_t contact = find_contact(alerting, name->text);
    if (contact == UINT32_MAX) {
        yaml_error(errors_of(loader), name, "the contact '%.80s' is unknown", name->text);
        return;
    }
    duty->contact = contact;
    bool from = yaml_member(map, "from") != NULL;
    bool until = yaml_member(map, "until") != NULL;
    if (from != until || (from && duty->until.us <= duty->from.us)) {
        yaml_error(errors_of(loader), map,
                   "expected both times, from before until, or none of them");
    }
}

static bool has_standing(const struct alerting *alerting, const char *role) {
    for (size_t i = 0; i < alerting->duty_count; i++) {
        if (alerting->duties[i].until.us == 0 && strcmp(alerting->duties[i].role, role) == 0) {
            return true;
        }
    }
    return false;
}

static void read_roles(struct loader *loader, const struct yaml_node *map,
                       struct ladder_step *step) {
    static const struct option row = {.type = OPTION_ID, .size = STATION_ID_SIZE};
    const struct yaml_node *list = list_of(loader, map, "roles");
    if (list == NULL) {
        return;
    }
    if (list->count == 0 || list->count > LADDER_ROLES_MAX) {
        yaml_error(errors_of(loader), list, "%u roles; expected 1 to %d", (unsigned)list->count,
                   LADDER_ROLES_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        char *role = step->roles[step->role_count];
        if (option_read(&loader->reader, &row, node, role) != 0) {
            continue;
        }
        step->role_count++;
        if (!has_standing(&loader->site->alerting, role)) {
            yaml_error(
                errors_of(loader), node,
                "nobody has the role '%s' at all times; expected an entry of on_call without "
                "from and until",
                role);
        }
    }
}

static void read_ladder(struct loader *loader, const struct yaml_node *map) {
    struct alerting *alerting = &loader->site->alerting;
    struct ladder *ladder = loader_append(loader, map, &alerting->ladders, &alerting->ladder_count,
                                          sizeof *ladder, LADDERS_MAX, "ladders");
    if (ladder == NULL || option_group_read(&loader->reader, &group_ladder, map, ladder) != 0) {
        return;
    }
    if (alerting->ladder_count > 1 && ladder->from_level <= ladder[-1].from_level) {
        yaml_error(errors_of(loader), yaml_member(map, "from_level"),
                   "not above the ladder before; expected rising levels");
    }
    const struct yaml_node *list = list_of(loader, map, "steps");
    if (list == NULL) {
        return;
    }
    if (list->count == 0 || list->count > LADDER_STEPS_MAX) {
        yaml_error(errors_of(loader), list, "%u steps; expected 1 to %d", (unsigned)list->count,
                   LADDER_STEPS_MAX);
        return;
    }
    for (const struct yaml_node *node = list->first; node != NULL; node = node->next) {
        struct ladder_step *step = &ladder->steps[ladder->step_count++];
        if (option_group_read(&loader->reader, &group_step, node, step) != 0) {
            continue;
        }
        if (ladder->step_count > 1 && step->after_us <= step[-1].after_us) {
            yaml_error(errors_of(loader), yaml_member(node, "after"),
                       "not later than the step before; expected rising times");
        }
        read_roles(loader, node, step);
    }
}

static void read_operator(struct loader *loader, const struct yaml_node *map) {
    struct site *site = loader->site;
    struct site_operator *person =
        loader_append(loader, map, &site->operators, &site->operator_count, sizeof *person,
                      SITE_OPERATORS_MAX, "operators");
    if (person == NULL || option_group_read(&loader->reader, &group_operator, map, person) != 0) {
        return;
    }
    for (size_t i = 0; i + 1 < site->operator_count; i++) {
        if (strcmp(site->operators[i].name, person->name) == 0 ||
            strcmp(site->operators[i].token, person->token) == 0) {
            yaml_error(errors_of(loader), map,
                       "the name or the token of another operator: two people must be two");
        }
    }
}

static void read_each(struct loader *loader, const struct yaml_node *map, const char *key,
                      void (*read)(struct loader *loader, const struct yaml_node *map)) {
    const struct yaml_node *list = list_of(loader, map, key);
    for (const struct yaml_node *node = list != NULL ? list->first : NULL; node != NULL;
         node = node->next) {
        read(loader, node);
    }
}

void loader_alerting(struct loader *loader, const struct yaml_node *root) {
    struct alerting *alerting = &loader->site->alerting;
    (void)loader_section(loader, &group_approval, root, "approval", alerting);
    (void)loader_section(loader, &group_incidents, root, "incidents", alerting);
    (void)loader_section(loader, &group_notices, root, "notices", alerting);
    read_each(loader, root, "contacts", read_contact);
    read_each(loader, root, "on_call", read_duty);
    read_each(loader, root, "escalation", read_ladder);
    read_each(loader, yaml_member(root, "web"), "operators", read_operator);
}

/* ---- across the rules ---- */

static const struct rule *find_rule(const struct site *site, const char *id) {
    for (size_t i = 0; i < site->rule_count; i++) {
        if (id[0] != '\0' && strcmp(site->rules[i].id, id) == 0) {
            return &site->rules[i];
        }
    }
    return NULL;
}

static bool has_incidents(const struct site *site, const char *hazard) {
    for (size_t i = 0; i < site->rule_count; i++) {
        const struct rule *rule = &site->rules[i];
        if (strcmp(rule->hazard, hazard) == 0 && rule->incident_with[0] == '\0') {
            return true;
        }
    }
    return false;
}

/* True when following masked_by and suppressed_by ends within so many rules. */
static bool ends(const struct site *site, const struct rule *rule, int left) {
    if (rule == NULL) {
        return true;
    }
    return left > 0 && ends(site, find_rule(site, rule->masked_by), left - 1) &&
           ends(site, find_rule(site, rule->suppressed_by), left - 1);
}

void loader_check_relations(struct loader *loader, const struct yaml_node *map,
                            const struct rule *rule) {
    enum { CHAIN_MAX = 4 };
    const struct site *site = loader->site;
    const struct rule *parent = find_rule(site, rule->masked_by);
    const struct rule *suppressor = find_rule(site, rule->suppressed_by);
    if (rule->masked_by[0] != '\0' && parent == NULL) {
        yaml_error(errors_of(loader), yaml_member(map, "masked_by"), "the rule '%s' is unknown",
                   rule->masked_by);
    }
    if (rule->suppressed_by[0] != '\0' && suppressor == NULL) {
        yaml_error(errors_of(loader), yaml_member(map, "suppressed_by"), "the rule '%s' is unknown",
                   rule->suppressed_by);
    }
    if (suppressor != NULL && rule->suppressed_from > suppressor->scale.level_count) {
        yaml_error(errors_of(loader), yaml_member(map, "suppressed_from"),
                   "the scale '%s' has %u levels", suppressor->scale.id,
                   (unsigned)suppressor->scale.level_count);
    }
    if (rule->incident_with[0] != '\0' && !has_incidents(site, rule->incident_with)) {
        yaml_error(errors_of(loader), yaml_member(map, "incident_with"),
                   "no rule is of the hazard '%s', or only such that go with another",
                   rule->incident_with);
    }
    if (!ends(site, rule, CHAIN_MAX)) {
        yaml_error(errors_of(loader), map,
                   "masked_by and suppressed_by lead in a circle, or over more than %d rules",
                   CHAIN_MAX);
    }
}

/* ---- the canonical dump ---- */

static void print_head(const char *key, unsigned indent, FILE *file) {
    (void)fprintf(file, "%*s%s:\n", (int)indent, "", key);
}

void site_print_operators(const struct site *site, FILE *file) {
    if (site->operator_count > 0) {
        print_head("operators", 2, file);
    }
    for (size_t i = 0; i < site->operator_count; i++) {
        option_group_print(&group_operator, &site->operators[i], NULL, 6, "    - ", file);
    }
}

static void print_ladder(const struct ladder *ladder, FILE *file) {
    option_group_print(&group_ladder, ladder, NULL, 4, "  - ", file);
    print_head("steps", 4, file);
    for (uint32_t k = 0; k < ladder->step_count; k++) {
        option_group_print(&group_step, &ladder->steps[k], NULL, 8, "      - ", file);
        (void)fputs("        roles: [", file);
        for (uint32_t r = 0; r < ladder->steps[k].role_count; r++) {
            (void)fprintf(file, "%s%s", r > 0 ? ", " : "", ladder->steps[k].roles[r]);
        }
        (void)fputs("]\n", file);
    }
}

void site_print_alerting(const struct site *site, FILE *file) {
    const struct alerting *alerting = &site->alerting;
    print_head("approval", 0, file);
    option_group_print(&group_approval, alerting, NULL, 2, NULL, file);
    print_head("incidents", 0, file);
    option_group_print(&group_incidents, alerting, NULL, 2, NULL, file);
    print_head("notices", 0, file);
    option_group_print(&group_notices, alerting, NULL, 2, NULL, file);
    for (size_t i = 0; i < alerting->contact_count; i++) {
        if (i == 0) {
            print_head("contacts", 0, file);
        }
        option_group_print(&group_contact, &alerting->contacts[i], NULL, 4, "  - ", file);
    }
    for (size_t i = 0; i < alerting->duty_count; i++) {
        const struct duty *duty = &alerting->duties[i];
        if (i == 0) {
            print_head("on_call", 0, file);
        }
        option_group_print(&group_duty, duty, NULL, 4, "  - ", file);
        (void)fprintf(file, "    contact: %s\n", alerting->contacts[duty->contact].id);
    }
    for (size_t i = 0; i < alerting->ladder_count; i++) {
        if (i == 0) {
            print_head("escalation", 0, file);
        }
        print_ladder(&alerting->ladders[i], file);
    }
}
