/* seed_centre DIR accounts | seed_centre DIR households N [SEED]: fills a centre's database without
 * handhelds.
 *
 * accounts: one person of each role that sits at a desk, with the password that the browser tests type.
 * households: N invented households over 12 townships of 20 villages, most with a visit; findings, leads,
 * positions and dates are drawn from SEED. The same seed gives the same county. It writes what frames would
 * have written, through the same merge, but no ledger.
 */
#include <stdio.h>
#include <stdlib.h>

#include "platform/posix/posix_seam.h"
#include "server/accounts.h"
#include "server/parts.h"

#define BATCH 250 /* households in one transaction */
#define CHANGES_MAX 64
#define DEVICES 40
#define MS_DAY 86400000LL

struct seeding {
    struct seam seam;
    struct arena memory, scratch;
    struct cstore *st;
    uint64_t random;
    int64_t now_ms;
    uint32_t counter[DEVICES];
    uint64_t seq[DEVICES];
    struct change changes[CHANGES_MAX];
    int64_t hlc[CHANGES_MAX];
    uint32_t count;
};

static uint32_t draw(struct seeding *s, uint32_t below)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (uint32_t)((s->random >> 11) % below);
}

static struct str text(struct seeding *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static struct str text(struct seeding *s, const char *format, ...)
{
    char room[400];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room, sizeof room, format, args);
    va_end(args);
    return arena_str(&s->scratch, (struct str){room, n > 0 ? (size_t)n : 0});
}

static struct str day_text(struct seeding *s, int64_t ms)
{
    char iso[40];
    struct civil c = civil_at(ms, zone_utc());
    return arena_str(&s->scratch, (struct str){iso, civil_write(&c, iso)});
}

static void put(struct seeding *s, uint32_t device, struct row_id row, uint32_t field, enum change_op op,
                struct str value)
{
    CHECK(s->count < CHANGES_MAX);
    int64_t hlc = (s->now_ms << 16) + (int64_t)s->seq[device] + 1;
    s->hlc[s->count] = hlc;
    s->changes[s->count++] = (struct change){.seq = ++s->seq[device],
                                             .row = row,
                                             .field = field,
                                             .op = op,
                                             .person = 1 + device % 8,
                                             .role = ROLE_CADRE,
                                             .hlc = hlc,
                                             .value = value};
}

static struct row_id born(struct seeding *s, uint32_t device, enum row_kind kind, struct row_id parent)
{
    struct row_id row = {0x1f00000000000000u + device + 1, 1, ++s->counter[device]};
    const struct row_birth birth = {.kind = kind, .parent = parent};
    struct buf b;
    buf_init(&b, 400);
    CHECK(!row_birth_write(&b, &birth));
    put(s, device, row, 0, CHANGE_ROW_CREATE, arena_str(&s->scratch, buf_str(&b)));
    buf_free(&b);
    return row;
}

static const char *const surnames[] = {"王", "李", "张", "刘", "陈", "杨",
                                       "黄", "赵", "吴", "周", "徐", "孙"};
static const char *const given[] = {"桂山", "小红", "大米", "远山", "老根",
                                    "三多", "秀英", "建国", "玉兰", "志强"};
static const char *const rules[] = {"MED01", "INC01", "EMP01", "EDU01", "HOU01", "DIS01"};
static const char *const levels[] = {"none",   "none",   "none", "none",    "none",    "red",
                                     "yellow", "yellow", "blue", "unknown", "unknown", "unknown"};

static void visit(struct seeding *s, uint32_t device, struct row_id household, const char *level,
                  int64_t when)
{
    struct row_id interview = born(s, device, ROW_INTERVIEW, household);
    struct row_id row = born(s, device, ROW_VISIT, interview);
    put(s, device, row, VISIT_TYPE, CHANGE_SET, STR("monitoring"));
    put(s, device, row, VISIT_STARTED, CHANGE_SET, day_text(s, when - 1800000));
    put(s, device, row, VISIT_ENDED, CHANGE_SET, day_text(s, when));
    put(s, device, row, VISIT_LEVEL, CHANGE_SET, str_of(level));
    for (uint32_t i = 0; strcmp(level, "none") != 0 && i <= draw(s, 2); i++) {
        bool unknown = strcmp(level, "unknown") == 0;
        struct row_id f = born(s, device, ROW_FINDING, row);
        put(s, device, f, FINDING_RULE, CHANGE_SET, str_of(rules[draw(s, 6)]));
        put(s, device, f, FINDING_SEVERITY, CHANGE_SET, unknown ? STR("yellow") : str_of(level));
        put(s, device, f, FINDING_STATE, CHANGE_SET, unknown ? STR("unknown") : STR("hit"));
    }
    put(s, device, row, 0, CHANGE_FINALISE, STR(""));
}

static void lead(struct seeding *s, uint32_t device, struct row_id household, int64_t when)
{
    struct row_id row = born(s, device, ROW_LEAD, household);
    put(s, device, row, LEAD_CHANNEL, CHANGE_SET, draw(s, 2) ? STR("department") : STR("self_report"));
    put(s, device, row, LEAD_OPENED, CHANGE_SET, str_sub(day_text(s, when), 0, 10));
    put(s, device, row, LEAD_SOURCE, CHANGE_SET, STR("医保局"));
    put(s, device, row, LEAD_INDICATORS, CHANGE_SET, STR("{\"med_self\":18400}"));
}

/* Villages lie in a grid of 20 by 12, a hundredth of a degree wide. */
static struct str position(struct seeding *s, uint32_t village)
{
    return text(s, "30.%06u 104.%06u 400 8", 400000 + village / 20 * 25000 + draw(s, 20000),
                100000 + village % 20 * 25000 + draw(s, 20000));
}

static enum err household(struct seeding *s, uint32_t n, struct cases *c, struct diag *d)
{
    uint32_t device = n % DEVICES, village = n % 240;
    const char *level = levels[draw(s, 12)];
    bool visited = draw(s, 5) > 0;
    s->count = 0;
    struct row_id row = born(s, device, ROW_HOUSEHOLD, (struct row_id){0});
    put(s, device, row, HOUSEHOLD_CODE, CHANGE_SET, text(s, "H%06u", n + 1));
    put(s, device, row, HOUSEHOLD_AREA, CHANGE_SET,
        text(s, "990101%03u%03u", village / 20 + 1, 200 + village % 20 + 1));
    put(s, device, row, HOUSEHOLD_NAME, CHANGE_SET,
        text(s, "%s%s", surnames[draw(s, 12)], given[draw(s, 10)]));
    put(s, device, row, HOUSEHOLD_PHONE, CHANGE_SET, text(s, "138%08u", draw(s, 99999999)));
    put(s, device, row, HOUSEHOLD_POSITION, CHANGE_SET, position(s, village));
    if (visited)
        visit(s, device, row, level, s->now_ms - draw(s, 45) * MS_DAY);
    if (draw(s, 50) == 0)
        lead(s, device, row, s->now_ms - draw(s, 25) * MS_DAY);
    struct counters *k = cstore_counters(s->st);
    c->roots.count = 0;
    enum err rc = cases_apply(c, (struct case_author){0x1f00000000000000u + device + 1, 1}, s->changes,
                              s->hlc, s->count, ++k->server_seq, d);
    if (!rc)
        rc = cases_lines(c, d);
    return rc;
}

static enum err households(struct seeding *s, uint32_t wanted, struct diag *d)
{
    enum err rc = ERR_OK;
    struct lines_basis basis = {0};
    for (uint32_t done = 0; !rc && done < wanted;) {
        rc = cstore_begin(s->st, d);
        for (uint32_t i = 0; !rc && i < BATCH && done < wanted; i++) {
            struct arena_mark mark = arena_mark(&s->scratch);
            struct cases c = {.st = s->st, .a = &s->scratch, .now_ms = s->now_ms, .basis = &basis};
            rc = household(s, done++, &c, d);
            arena_release(&s->scratch, mark);
        }
        if (!rc)
            rc = cstore_commit(s->st, d);
        cstore_rollback(s->st);
    }
    lines_basis_free(&basis);
    return rc;
}

static enum err accounts(struct seeding *s, struct diag *d)
{
    static const struct {
        const char *login, *name, *area;
        uint8_t role;
    } all[] = {{"county", "周玲", "", ROLE_COUNTY},   {"township", "李主任", "990101001", ROLE_SUPERVISOR},
               {"analyst", "陈析", "", ROLE_ANALYST}, {"department", "医保局", "", ROLE_DEPARTMENT},
               {"admin", "管理员", "", ROLE_ADMIN},   {"cadre", "王芳", "990101001201", ROLE_CADRE}};
    enum err rc = ERR_OK;
    for (size_t i = 0; !rc && i < sizeof all / sizeof all[0]; i++) {
        struct person p;
        const struct person_new q = {.name = str_of(all[i].name),
                                     .login = str_of(all[i].login),
                                     .password = STR("Kessel 93 Ampel"),
                                     .area = str_of(all[i].area),
                                     .role = all[i].role,
                                     .rounds = 1000};
        rc = account_add(s->st, &s->seam, STR("seed"), &q, &p, d);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct seeding s = {.random = 88172645463325252u};
    struct diag d = {0};
    uint64_t n = 0, seed = 0;
    bool people = argc == 3 && strcmp(argv[2], "accounts") == 0;
    bool houses = argc >= 4 && strcmp(argv[2], "households") == 0 && str_to_u64(str_of(argv[3]), &n);
    if (argc == 5 && str_to_u64(str_of(argv[4]), &seed))
        s.random += seed;
    if (!people && !houses) {
        fprintf(stderr, "seed_centre DIR accounts | seed_centre DIR households N [SEED]\n");
        return 2;
    }
    const struct posix_options o = {0};
    if (posix_seam_open(&o, &s.seam, &d)) {
        fprintf(stderr, "seed_centre: %s\n", d.text);
        return 1;
    }
    arena_init(&s.memory, 64u << 20);
    arena_init(&s.scratch, 256u << 20);
    s.now_ms = s.seam.wall_ms(s.seam.self);
    enum err rc = centre_store_open(&s.seam, argv[1], &s.st, &d);
    if (!rc)
        rc = people ? accounts(&s, &d) : households(&s, (uint32_t)n, &d);
    cstore_close(s.st);
    arena_free(&s.scratch);
    arena_free(&s.memory);
    posix_seam_close(&s.seam);
    if (rc)
        fprintf(stderr, "seed_centre: %s\n", d.text);
    return rc ? 1 : 0;
}
