/* 2,000 generated CAP messages against the OASIS schema of CAP 1.2, with libxml2. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>

#include "cap_messages.h"

enum { MESSAGES = 2000, SKIP = 77 };

/* Number of messages that the schema refuses; -1: could not be tried. */
static int refused_of(xmlSchemaValidCtxt *valid) {
    static struct cap_messages messages;
    int refused = 0;
    if (cap_messages_init(&messages, 4711) != 0) {
        return -1;
    }
    for (int i = 0; i < MESSAGES; i++) {
        if (cap_messages_next(&messages) != 0) {
            fprintf(stderr, "message %d could not be written\n", i);
            return -1;
        }
        xmlDoc *doc =
            xmlReadMemory(messages.text, (int)messages.length, "cap", NULL, XML_PARSE_NONET);
        if (doc == NULL || xmlSchemaValidateDoc(valid, doc) != 0) {
            fprintf(stderr, "message %d:\n%s\n", i, messages.text);
            refused++;
        }
        xmlFreeDoc(doc);
    }
    cap_messages_finish(&messages);
    return refused;
}

/* The judge, judged: a message with "Z" and one without language must be refused. */
static int accepts_wrong(xmlSchemaValidCtxt *valid) {
    static const char wrong[] =
        "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"><identifier>a</identifier>"
        "<sender>b</sender><sent>2025-11-19T06:00:00Z</sent><status>Actual</status>"
        "<msgType>Alert</msgType><scope>Public</scope></alert>";
    xmlDoc *doc = xmlReadMemory(wrong, (int)sizeof wrong - 1, "wrong", NULL, XML_PARSE_NONET);
    int accepted = doc == NULL || xmlSchemaValidateDoc(valid, doc) == 0;
    xmlFreeDoc(doc);
    return accepted;
}

int main(void) {
    const char *data = getenv("CANHBAO_REFERENCE_DATA");
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/cap/CAP-v1.2.xsd",
                   data != NULL ? data : CANHBAO_SOURCE_DIR "/../shared/data");
    if (access(path, R_OK) != 0) {
        printf("SKIPPED: cap_schema: no reference data\n");
        return SKIP;
    }
    xmlSchemaParserCtxt *parser = xmlSchemaNewParserCtxt(path);
    xmlSchema *schema = parser != NULL ? xmlSchemaParse(parser) : NULL;
    xmlSchemaValidCtxt *valid = schema != NULL ? xmlSchemaNewValidCtxt(schema) : NULL;
    int refused = -1;
    if (valid != NULL && accepts_wrong(valid) == 0) {
        refused = refused_of(valid);
        printf("%d messages, %d refused\n", MESSAGES, refused);
    }
    xmlSchemaFreeValidCtxt(valid);
    xmlSchemaFree(schema);
    xmlSchemaFreeParserCtxt(parser);
    xmlCleanupParser();
    return refused == 0 ? 0 : 1;
}
