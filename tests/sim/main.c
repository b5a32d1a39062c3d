/* doorstep-sim: whole handhelds and a whole centre in one process, in made-up time, under faults.
 *
 *   doorstep-sim --seeds A-B [--devices D] [--batches N]
 *   doorstep-sim --cuts N [--from SEED]
 *
 * Two or three handhelds share the households of a team and work through the production code (work, store,
 * session, deliver, srv_handle), over a disk that loses power and fills up, a network that loses, cuts,
 * doubles and delays, sticks that are faster or slower than the radio, clocks that jump by years, a centre
 * that is set back to a backup (told or not, with its marker or without), a handheld whose card is copied and
 * both go on, one that is shut out; every seed switches some of that on. What the product called saved is
 * written down by a checker that shares nothing with it (history.h), and compared at every opening and in the
 * end:
 *
 *   1. an answer that was called saved is there after a power cut; one that was cut short is there whole or
 *      not at all; databases open and check;
 *   2. once faults stop everything drains, and each finalised visit is at the centre once, as the very XML
 *      that the handheld sealed;
 *   3. of several people's answers to one question none is lost: it is shown, kept beside, or was overwritten
 *      by someone who could know it; whatever its overwriter had on the screen is gone;
 *   4. all handhelds of a team and the centre show the same;
 *   5. the log gives the same state again, in its own order and in others;
 *   6. nothing is set aside by the centre but what revoked handhelds send, and copies;
 *   7. on a card that is full every refusal says so, and costs nothing but itself; a login page in the
 *      centre's place is never taken for the centre.
 *
 * The same seed gives the same run in every build. A failure prints its seed and how to replay it.
 */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define FAILURES_MAX 20

struct orders {
    uint64_t from, to, cuts;
    uint32_t devices, batches;
    bool range, first_only, telling;
};

static bool read_range(const char *text, uint64_t *from, uint64_t *to)
{
    struct str rest = str_of(text), first;
    str_split(&rest, '-', &first);
    return str_to_u64(first, from) && str_to_u64(rest.n ? rest : first, to) && *from <= *to;
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t v = 0;
    if (!text || !str_to_u64(str_of(text), &v) || v == 0 || v > max) {
        fprintf(stderr, "doorstep-sim: a number from 1 to %llu is wanted\n", (unsigned long long)max);
        exit(2);
    }
    return v;
}

static void read_orders(int argc, char **argv, struct orders *o)
{
    *o = (struct orders){.from = 1, .to = UINT64_MAX, .devices = 5, .batches = 10};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seeds") == 0 && value && read_range(value, &o->from, &o->to))
            o->range = true, i++;
        else if (strcmp(argv[i], "--cuts") == 0)
            o->cuts = number(value, 1000000), i++;
        else if (strcmp(argv[i], "--from") == 0)
            o->from = number(value, UINT64_MAX), i++;
        else if (strcmp(argv[i], "--devices") == 0)
            o->devices = (uint32_t)number(value, DEVICES_MAX), i++;
        else if (strcmp(argv[i], "--batches") == 0)
            o->batches = (uint32_t)number(value, 100000), i++;
        else if (strcmp(argv[i], "--first-failure") == 0)
            o->first_only = true;
        else if (strcmp(argv[i], "--progress") == 0)
            o->telling = true;
        else {
            bool help = strcmp(argv[i], "--help") == 0;
            fprintf(
                help ? stdout : stderr,
                "doorstep-sim --seeds A-B [--devices D] [--batches N]   whole runs under faults\n"
                "doorstep-sim --cuts N [--from SEED]                    runs until so many power cuts "
                "happened\n"
                "  --first-failure                                      stop at the first seed that "
                "fails\n"
                "  --progress                                           say on stderr how far a seed is\n");
            exit(help ? 0 : 2);
        }
    }
    if (!o->range && !o->cuts)
        o->to = o->from;
}

static const char *const fault_names[FAULT_COUNT] = {
    [FAULT_LOSS] = "loss",
    [FAULT_TRUNCATE] = "truncate",
    [FAULT_DUPLICATE] = "duplicate",
    [FAULT_LATE] = "late",
    [FAULT_PARTITION] = "partition",
    [FAULT_PORTAL] = "portal",
    [FAULT_CLOCK] = "clock",
    [FAULT_FULL] = "full",
    [FAULT_CUT_DEVICE] = "cut-device",
    [FAULT_CUT_CENTRE] = "cut-centre",
    [FAULT_KILL] = "kill",
    [FAULT_STICK] = "stick",
    [FAULT_MEANWHILE] = "meanwhile",
    [FAULT_CENTRE_FULL] = "centre-full",
    [FAULT_REVOKE] = "revoke",
    [FAULT_SET_BACK] = "set-back",
    [FAULT_CLONE] = "clone",
    [FAULT_EPOCHAL] = "epochal",
};

static void tell_failure(const struct world *w, const struct orders *o)
{
    const char *detail = w->detail[0] ? w->detail : w->diag.text;
    printf("seed %llu failed: %s%s%s%s; replay: doorstep-sim --seeds %llu-%llu --devices %u --batches %u%s\n",
           (unsigned long long)w->seed, w->failed, detail[0] ? " (" : "", detail, detail[0] ? ")" : "",
           (unsigned long long)w->seed, (unsigned long long)w->seed, o->devices, o->batches,
           o->cuts ? " --cuts 1000000" : "");
    printf("  on:");
    for (int i = 0; i < FAULT_COUNT; i++)
        if (w->faults[i])
            printf(" %s", fault_names[i]);
    printf("%s%s\n",
           w->unnoticed  ? "; set back, and nobody said so"
           : w->set_back ? "; set back"
                         : "",
           w->clones ? "; copied" : "");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct orders o;
    struct world_counts sum = {0};
    uint64_t finalised = 0, answers = 0;
    uint32_t passed = 0, failed = 0;
    struct diag d = {0};

    read_orders(argc, argv, &o);
    if (crypto_init(&d))
        return 1;
    for (uint64_t seed = o.from; seed <= o.to && (!o.cuts || sum.cuts < o.cuts); seed++) {
        struct world *w = calloc(1, sizeof *w);
        if (!w)
            return 1;
        *w = (struct world){.seed = seed,
                            .device_count = o.devices,
                            .batches = o.batches,
                            .always_cut = o.cuts > 0,
                            .telling = o.telling};
        world_run(w);
        sum.cuts += w->n.cuts;
        sum.refusals += w->n.refusals;
        sum.pages += w->n.pages;
        sum.carried += w->n.carried;
        sum.conflicts += w->n.conflicts;
        sum.overwritten += w->n.overwritten;
        sum.set_back += w->n.set_back;
        sum.clones += w->n.clones;
        sum.differing += w->n.differing;
        finalised += w->visits.count;
        answers += w->values;
        failed += w->failed != NULL;
        passed += w->failed == NULL;
        if (w->failed)
            tell_failure(w, &o);
        free(w);
        if (failed >= (o.first_only ? 1 : FAILURES_MAX))
            break;
    }
    printf("%llu power cuts and kills, %llu answers given, %llu interviews finalised\n",
           (unsigned long long)sum.cuts, (unsigned long long)answers, (unsigned long long)finalised);
    printf("%llu answers kept beside another one, %llu overwritten knowingly, %llu frames came by hand\n",
           (unsigned long long)sum.conflicts, (unsigned long long)sum.overwritten,
           (unsigned long long)sum.carried);
    printf("%llu times a full card refused, %llu syncs met a login page\n", (unsigned long long)sum.refusals,
           (unsigned long long)sum.pages);
    printf("%llu backups put back, %llu handhelds copied; %llu documents differ after such\n",
           (unsigned long long)sum.set_back, (unsigned long long)sum.clones,
           (unsigned long long)sum.differing);
    printf("%u passed, %u failed\n", passed, failed);
    return failed > 0;
}
