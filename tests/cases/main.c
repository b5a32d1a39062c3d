/* doorstep-cases KIND FILE [--list-failed] [--state] [--outcomes] [--base DIR]. With --outcomes there is one
 * line for each case (tests/cases/feature_table reads them). The last line is "N passed, N failed, N
 * skipped"; decided cases count as passed. Exit 0 only without failures. */
#include "tests/cases/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/crypto.h"

static const struct {
    const char *name;
    void (*run)(struct report *r, struct arena *a, const struct json *c);
} kinds[] = {{"xpath", case_xpath},
             {"scenario", case_scenario},
             {"forms", case_forms},
             {"pyxform", case_pyxform}};

static void say_outcome(const struct report *r, const char *outcome)
{
    if (r->outcomes)
        printf("outcome: %s %.*s\n", outcome, STR_ARG(r->id));
}

void report_case(struct report *r, enum outcome o, struct str id, const char *why)
{
    say_outcome(r, o == CASE_PASSED ? "passed" : o == CASE_FAILED ? "failed" : "decided");
    r->passed += o == CASE_PASSED;
    r->failed += o == CASE_FAILED;
    r->decided += o == CASE_DECIDED;
    if (o == CASE_FAILED && r->list_failed)
        printf("failed: %.*s: %s\n", STR_ARG(id), why);
}

void report_skip(struct report *r, const char *reason)
{
    say_outcome(r, "skipped");
    r->skipped++;
    uint32_t i = 0;
    while (i < r->reason_count && strcmp(r->reasons[i].reason, reason) != 0)
        i++;
    if (i == SKIP_REASONS_MAX)
        i--;
    if (i == r->reason_count) {
        snprintf(r->reasons[i].reason, sizeof(r->reasons[i].reason), "%s", reason);
        r->reason_count++;
    }
    r->reasons[i].count++;
}

static void run_line(struct report *r, size_t kind, char *line, size_t n, uint32_t number)
{
    struct arena a;
    struct diag d = {0};
    const struct json *c = NULL;
    arena_init(&a, (size_t)256 << 20);
    /* Our JSON refuses NUL in a text; a private character stands in for it here and in what is compared with.
     */
    for (char *nul = line; (nul = strstr(nul, "\\u0000")) != NULL;)
        memcpy(nul, "\\uE000", 6);
    if (json_read(&a, (struct str){line, n}, &c, &d)) {
        char why[600];
        snprintf(why, sizeof(why), "line %u cannot be read: %s", number, d.text);
        report_case(r, CASE_FAILED, STR("?"), why);
    } else {
        r->id = json_text(c, "id").p ? json_text(c, "id") : json_text(c, "file");
        kinds[kind].run(r, &a, c);
    }
    arena_free(&a);
}

static int run_file(struct report *r, size_t kind, const char *path)
{
    FILE *f = fopen(path, "r");
    r->file = path;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    if (!f) {
        fprintf(stderr, "doorstep-cases: cannot read %s\n", path);
        return 2;
    }
    for (uint32_t number = 1; (n = getline(&line, &room, f)) >= 0; number++)
        if (n > 1)
            run_line(r, kind, line, (size_t)n, number);
    free(line);
    fclose(f);
    for (uint32_t i = 0; r->list_failed && i < r->decision_count; i++)
        if (r->decisions[i].used)
            printf("decided: %.*s × %u\n", STR_ARG(r->decisions[i].rule), r->decisions[i].used);
    printf("decided otherwise: %u\n", r->decided);
    for (uint32_t i = 0; i < r->reason_count; i++)
        printf("skipped: %s × %u\n", r->reasons[i].reason, r->reasons[i].count);
    printf("%u passed, %u failed, %u skipped\n", r->passed + r->decided, r->failed, r->skipped);
    return r->failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct report r = {0};
    const char *plain[2] = {NULL, NULL};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list-failed") == 0)
            r.list_failed = true;
        else if (strcmp(argv[i], "--state") == 0)
            r.state = true;
        else if (strcmp(argv[i], "--outcomes") == 0)
            r.outcomes = true;
        else if (strcmp(argv[i], "--base") == 0 && i + 1 < argc)
            r.base_dir = argv[++i];
        else if (count < 2 && argv[i][0] != '-')
            plain[count++] = argv[i];
        else
            count = 3;
    }
    size_t kind = 0;
    while (count == 2 && kind < sizeof(kinds) / sizeof(*kinds) && strcmp(kinds[kind].name, plain[0]) != 0)
        kind++;
    if (count != 2 || kind == sizeof(kinds) / sizeof(*kinds)) {
        fprintf(stderr, "usage: doorstep-cases xpath|scenario|forms|pyxform FILE.jsonl [--list-failed] "
                        "[--state] [--outcomes] "
                        "[--base DIR]\n");
        return 2;
    }
    struct arena a;
    arena_init(&a, 1 << 20);
    int code = 2;
    if (crypto_init(NULL) == ERR_OK && decisions_read(&r, &a) == ERR_OK)
        code = run_file(&r, kind, plain[1]);
    arena_free(&a);
    return code;
}
