/* What the screens share: who may see a page, names of areas, rules and people, numbers that are hidden, the
 * small words of states and days. */
#include <stdlib.h>

#include "platform/http_form.h"
#include "risk/clock.h"
#include "server/accounts.h"
#include "server/screens.h"
#include "server/store_pages.h"

/* ---- who ---- */

void screen_lock(struct call *c)
{
    pthread_mutex_lock(&c->server->write_turn);
}

void screen_unlock(struct call *c)
{
    pthread_mutex_unlock(&c->server->write_turn);
}

enum err screen_note(struct call *c, const char *what, struct str household, struct str about, struct diag *d)
{
    const struct audit_row row = {.at_ms = srv_now_ms(c->server),
                                  .person = c->person.person,
                                  .who = c->person.name,
                                  .what = str_of(what),
                                  .household = household,
                                  .about = about};
    screen_lock(c);
    enum err rc = cstore_begin(c->st, d);
    if (!rc)
        rc = cstore_audit_add(c->st, &row, d);
    if (!rc)
        rc = cstore_commit(c->st, d);
    cstore_rollback(c->st);
    screen_unlock(c);
    return rc;
}

bool screen_can(const struct call *c, enum act act, struct str area)
{
    return area.p ? may(&c->person, act, area) : may_anywhere(c->person.role, act);
}

enum err screen_may(struct call *c, enum act act, struct str area, struct diag *d)
{
    if (screen_can(c, act, area))
        return ERR_OK;
    enum err rc = screen_note(c, "refused", STR(""), str_of(act_name(act)), d);
    return rc ? rc
              : diag_set(d, ERR_DENIED, "The role %s may not %s here.", role_name(c->person.role),
                         act_name(act));
}

struct work_ask screen_ask(struct page *p)
{
    struct call *c = p->c;
    return (struct work_ask){.st = c->st,
                             .a = c->a,
                             .area = c->person.area.p ? c->person.area : STR(""),
                             .person = c->person.person,
                             .role = c->person.role,
                             .today = page_today(p),
                             .now_ms = p->now_ms};
}

struct work_by screen_by(const struct call *c)
{
    return (struct work_by){c->person.person, c->person.role, c->person.name,
                            c->person.area.p ? c->person.area : STR("")};
}

enum err screen_desk(struct page *p, struct buf *lines, struct desk *out, struct diag *d)
{
    struct counters now;
    *out = (struct desk){.seam = p->c->server->seam, .st = p->c->st, .a = p->a, .lines = lines};
    enum err rc = cstore_county(p->c->st, p->a, NULL, NULL, &now, d);
    if (!rc)
        out->epoch = now.epoch;
    return rc;
}

struct str disposition(struct page *p, struct str name)
{
    struct buf b;
    buf_init(&b, 4096);
    buf_put_z(&b, "attachment; filename*=UTF-8''");
    http_encode(&b, name);
    struct str s = b.failed ? STR("attachment") : arena_str(p->c->texts, buf_str(&b));
    buf_free(&b);
    return s.p ? s : STR("attachment");
}

enum err park_file(struct call *c, struct str name, struct str bytes, struct str *id_out, struct diag *d)
{
    unsigned char random[16];
    char hex[32];
    enum err rc = c->server->seam->random(c->server->seam->self, random, sizeof random);
    if (rc)
        return diag_set(d, rc, "No random number could be drawn.");
    hex_write(random, sizeof random, hex);
    *id_out = arena_str(c->a, (struct str){hex, sizeof hex});
    if (!id_out->p)
        return diag_set(d, ERR_NOMEM, "Out of memory while keeping the file.");
    screen_lock(c);
    rc = cstore_begin(c->st, d);
    if (!rc)
        rc = parked_put(c->st, *id_out, c->person.person, name, bytes, srv_now_ms(c->server), d);
    if (!rc)
        rc = cstore_commit(c->st, d);
    cstore_rollback(c->st);
    screen_unlock(c);
    return rc;
}

enum word channel_word(enum lead_channel c)
{
    return c == CHANNEL_SELF ? W_CHANNEL_SELF : c == CHANNEL_PATROL ? W_CHANNEL_PATROL : W_CHANNEL_DEPARTMENT;
}

struct str lead_channel_words(struct page *p, struct str code)
{
    enum lead_channel c;
    return lead_channel_read(code, &c) ? word_of(p, channel_word(c)) : code;
}

struct str posted(struct call *c, const char *name)
{
    struct str v = http_form_get(&c->form, name);
    return v.p ? v : STR("");
}

/* ---- areas ---- */

static int area_order(const void *a, const void *b)
{
    const struct area_name *x = a, *y = b;
    return str_cmp(x->code, y->code);
}

enum { AREA_CODE, AREA_LABEL, AREA_ZH, AREA_EN, AREA_UP, AREA_UP_ZH, AREA_UP_EN, AREA_COLUMNS };
static const char *const area_columns[] = {"code",     "label",       "name_zh",    "name_en",
                                           "township", "township_zh", "township_en"};

struct names_reading {
    struct page *p;
    int at[AREA_COLUMNS]; /* column of the file, -1 = none */
    VEC(struct area_name) list;
};

static struct str cell_at(const struct names_reading *r, const struct str *cells, uint32_t count, int which)
{
    int at = r->at[which];
    return at >= 0 && (uint32_t)at < count ? cells[at] : STR("");
}

static enum err name_add(struct names_reading *r, struct str code, struct str zh, struct str en)
{
    if (!code.n)
        return ERR_OK;
    struct area_name *n = vec_push(r->p->a, &r->list);
    if (!n)
        return ERR_NOMEM;
    *n = (struct area_name){code, zh.n ? zh : en, en.n ? en : zh};
    return ERR_OK;
}

static enum err names_of_csv(struct names_reading *r, struct str csv, struct diag *d)
{
    struct csv in;
    struct str *cells = ARENA_ARRAY(r->p->a, struct str, CSV_FIELDS_MAX);
    uint32_t count = 0;
    if (!cells)
        return ERR_NOMEM;
    csv_open(&in, csv);
    enum err rc = csv_row(&in, r->p->a, cells, &count, d);
    for (int k = 0; k < AREA_COLUMNS; k++) {
        r->at[k] = -1;
        for (uint32_t i = 0; i < count; i++)
            if (str_eq_z(cells[i], area_columns[k]))
                r->at[k] = (int)i;
    }
    while (!rc) {
        rc = csv_row(&in, r->p->a, cells, &count, d);
        if (rc || !count)
            break;
        struct str zh = cell_at(r, cells, count, AREA_ZH);
        rc = name_add(r, cell_at(r, cells, count, AREA_CODE),
                      zh.n ? zh : cell_at(r, cells, count, AREA_LABEL), cell_at(r, cells, count, AREA_EN));
        if (!rc)
            rc = name_add(r, cell_at(r, cells, count, AREA_UP), cell_at(r, cells, count, AREA_UP_ZH),
                          cell_at(r, cells, count, AREA_UP_EN));
    }
    return rc;
}

enum err areas_read(struct page *p, struct area_names *out, struct diag *d)
{
    struct published villages;
    struct str csv;
    struct names_reading r = {.p = p};
    struct diag quiet = {0};
    *out = (struct area_names){0};
    enum err rc = published_live(p->c->st, p->a, "list", STR("villages.csv"), &villages, &quiet);
    if (rc == ERR_NOT_FOUND)
        return ERR_OK;
    if (!rc)
        rc = cstore_object(p->c->st, p->a, villages.hash, NULL, &csv, d);
    if (!rc && names_of_csv(&r, csv, &quiet) == ERR_NOMEM)
        rc = diag_set(d, ERR_NOMEM, "Out of memory while reading the names of areas.");
    if (rc)
        return rc;
    if (r.list.count)
        qsort(r.list.at, r.list.count, sizeof *r.list.at, area_order);
    *out = (struct area_names){r.list.at, r.list.count};
    return ERR_OK;
}

struct str area_name(const struct page *p, const struct area_names *n, struct str code)
{
    struct area_name key = {code, STR_NONE, STR_NONE};
    const struct area_name *found = NULL;
    if (code.n && n->count)
        found = bsearch(&key, n->at, n->count, sizeof *n->at, area_order);
    if (!found)
        return code;
    struct str name = p->language == LANGUAGE_EN ? found->en : found->zh;
    return name.n ? name : code;
}

struct str area_path(struct page *p, const struct area_names *n, struct str code)
{
    struct str own = area_name(p, n, code);
    if (code.n <= 9 || str_eq(own, code))
        return own;
    struct str above = str_sub(code, 0, 9), name = area_name(p, n, above);
    return str_eq(above, name) ? own : page_join(p, name, STR(" "), own);
}

/* ---- rules ---- */

enum err rules_read(struct page *p, struct rule_names *out, struct diag *d)
{
    struct published *list = NULL;
    uint32_t count = 0;
    struct str bytes;
    const struct json *pack = NULL;
    VEC(struct rule_name) names = {0};
    *out = (struct rule_names){0};
    enum err rc = published_all(p->c->st, p->a, &list, &count, d);
    for (uint32_t i = count; !rc && !pack && i-- > 0;)
        if (str_eq_z(list[i].kind, "pack") && str_eq_z(list[i].state, "live") &&
            cstore_object(p->c->st, p->a, list[i].hash, NULL, &bytes, NULL) == ERR_OK &&
            json_read(p->a, bytes, &pack, NULL))
            pack = NULL;
    static const char *const parts[] = {"checks", "categories", "dept"};
    for (int k = 0; !rc && k < 3; k++) {
        const struct json *all = json_get(pack, parts[k]);
        for (const struct json *x = all ? all->child : NULL; x; x = x->next) {
            struct rule_name *n = vec_push(p->a, &names);
            const struct json *words = k == 0 ? json_get(x, "name") : x;
            if (!n)
                return diag_set(d, ERR_NOMEM, "Out of memory while reading the rules' names.");
            *n = (struct rule_name){k == 2 ? x->name : json_text(x, k == 0 ? "id" : "code"),
                                    json_text(words, "zh"), json_text(words, "en")};
        }
    }
    *out = (struct rule_names){names.at, names.count};
    return rc;
}

struct str rule_name(const struct page *p, const struct rule_names *n, struct str rule)
{
    for (uint32_t i = 0; i < n->count; i++) {
        struct str name = p->language == LANGUAGE_EN ? n->at[i].en : n->at[i].zh;
        if (str_eq(n->at[i].rule, rule) && name.n)
            return name;
    }
    return rule;
}

/* ---- numbers that are hidden ---- */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The run of digits at `from`, with the X that an identity number may end in. */
static size_t digits_at(struct str s, size_t from)
{
    size_t n = 0;
    while (from + n < s.n && digit(s.p[from + n]))
        n++;
    if (n == 17 && from + n < s.n && (s.p[from + n] == 'X' || s.p[from + n] == 'x'))
        n++;
    return n;
}

enum hidden { HIDDEN_NOT, HIDDEN_IDENTITY, HIDDEN_PHONE };

/* Identity numbers have 15 or 18 places, bank accounts 16 to 19; mobile telephones 11 that begin with 1. */
static enum hidden hidden_kind(struct str run)
{
    if (run.n >= 15 && run.n <= 19)
        return HIDDEN_IDENTITY;
    return run.n == 11 && run.p[0] == '1' && run.p[1] >= '3' ? HIDDEN_PHONE : HIDDEN_NOT;
}

bool page_holds_private(struct page *p, struct str text)
{
    (void)p;
    for (size_t i = 0; i < text.n;) {
        size_t n = digits_at(text, i);
        if (n && hidden_kind(str_sub(text, i, n)) != HIDDEN_NOT)
            return true;
        i += n ? n : 1;
    }
    return false;
}

struct str page_private(struct page *p, struct str text, bool shown)
{
    struct buf b;
    if (shown || !page_holds_private(p, text))
        return text;
    buf_init(&b, 1u << 20);
    for (size_t i = 0; i < text.n;) {
        size_t n = digits_at(text, i);
        struct str run = str_sub(text, i, n);
        enum hidden kind = n ? hidden_kind(run) : HIDDEN_NOT;
        if (kind == HIDDEN_IDENTITY) {
            buf_put_z(&b, "••• ");
            buf_put_str(&b, str_sub(run, n - 4, 4));
        } else if (kind == HIDDEN_PHONE) {
            buf_put_str(&b, str_sub(run, 0, 3));
            buf_put_z(&b, "****");
            buf_put_str(&b, str_sub(run, 7, 4));
        } else if (n) {
            buf_put_str(&b, run);
        } else {
            buf_put_char(&b, text.p[i]);
        }
        i += n ? n : 1;
    }
    struct str out = b.failed ? STR("") : arena_str(p->a, buf_str(&b));
    buf_free(&b);
    return out.p ? out : STR("");
}

/* ---- words of states and days ---- */

enum word waits_word(enum visit_waits w)
{
    static const enum word words[] = {[WAITS_VILLAGE] = W_WAITS_VILLAGE, [WAITS_TOWNSHIP] = W_WAITS_TOWNSHIP,
                                      [WAITS_COUNTY] = W_WAITS_COUNTY,   [WAITS_DEVICE] = W_WAITS_DEVICE,
                                      [WAITS_NOBODY] = W_WAITS_NOBODY,   [WAITS_REPLACED] = W_WAITS_REPLACED};
    return (size_t)w < sizeof words / sizeof words[0] ? words[w] : W_NONE;
}

enum word review_word(enum review_state s)
{
    static const enum word words[] = {[REVIEW_RECEIVED] = W_STATE_RECEIVED,
                                      [REVIEW_HAS_ISSUES] = W_STATE_ISSUES,
                                      [REVIEW_REJECTED] = W_STATE_REJECTED,
                                      [REVIEW_APPROVED] = W_STATE_APPROVED};
    return s < REVIEW_STATES ? words[s] : W_NONE;
}

struct str work_day_words(struct page *p, int64_t day)
{
    return day == WORK_NEVER ? STR("—") : page_day_words(p, day);
}

struct str days_words(struct page *p, int64_t day, bool *over_out)
{
    int64_t left = day - page_today(p);
    *over_out = left < 0;
    return page_say(p, left < 0 ? W_CLOCK_OVER : W_CLOCK_LEFT,
                    page_u64(p, (uint64_t)(left < 0 ? -left : left)), STR(""));
}

void pg_cell_level(struct page *p, struct str level)
{
    pg_open(p, "td", NO_CLASS);
    pg_level(p, level, true);
    pg_close(p);
}

void pg_flags(struct page *p, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        enum word word;
    } all[] = {{VISIT_MISMATCH, W_FLAG_MISMATCH},
               {VISIT_CONFLICT, W_FLAG_CONFLICT},
               {VISIT_UNPROVEN, W_FLAG_UNPROVEN}};
    bool any = false;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!(flags & all[i].flag))
            continue;
        pg_text(p, any ? STR(" · ") : STR(""));
        pg_word(p, all[i].word);
        any = true;
    }
}

enum err people_options(struct page *p, struct option **out, uint32_t *count_out, struct diag *d)
{
    struct person_line *lines = NULL;
    uint32_t count = 0, kept = 0;
    enum err rc = cstore_people(p->c->st, p->a, 0, 500, &lines, &count, d);
    struct option *list = rc ? NULL : ARENA_ARRAY(p->a, struct option, count + 2);
    if (!rc && !list)
        rc = diag_set(d, ERR_NOMEM, "Out of memory while listing people.");
    for (uint32_t i = 0; !rc && i < count; i++) {
        const struct person *x = &lines[i].person;
        if (lines[i].account.ended_ms || !str_starts(x->area, p->c->person.area))
            continue;
        struct str place = x->area.n ? page_join(p, STR(" ("), x->area, STR(")")) : STR("");
        list[kept++] = (struct option){page_u64(p, x->person), page_join(p, x->name, place, STR(""))};
    }
    if (!rc) {
        *out = list;
        *count_out = kept;
    }
    return rc;
}

/* ---- what an act left for the next page ---- */

static const struct {
    const char *name;
    enum word word;
} messages[] = {{"approved", W_APPROVED_NOW},  {"returned", W_RETURNED_NOW}, {"assigned", W_ASSIGNED_NOW},
                {"decided", W_CONFLICT_SAVED}, {"noted", W_STEP_NOTED},      {"published", W_PUB_DONE},
                {"revoked", W_REVOKE_DONE},    {"wiped", W_WIPE_DONE},       {"done", W_DONE}};

void pg_done(struct page *p)
{
    struct str what = page_query(p, "done");
    for (size_t i = 0; what.n && i < sizeof messages / sizeof messages[0]; i++)
        if (str_eq_z(what, messages[i].name))
            pg_note(p, "good", word_of(p, messages[i].word));
}

struct str url_done(struct page *p, struct str url, const char *what)
{
    const char *path = arena_z(p->a, url);
    return page_url(p, path ? path : "/", STR(""), ATTRS({"done", str_of(what)}));
}

struct str clock_name_words(struct page *p, struct str code)
{
    for (int i = 0; i < CLOCKS; i++) {
        const struct clock_about *c = clock_about((enum clock_name)i);
        if (str_eq_z(code, c->code))
            return str_of(p->language == LANGUAGE_EN ? c->en : c->zh);
    }
    return str_eq_z(code, "visit") ? word_of(p, W_VISIT) : code;
}

struct str device_short(struct page *p, uint64_t device)
{
    struct str hex = page_hex(p, device);
    return device ? page_join(p, STR("…"), str_sub(hex, 10, 6), STR("")) : word_of(p, W_CENTRE_ITSELF);
}

struct str form_name(struct page *p, struct str id)
{
    struct form_row *forms = NULL;
    uint32_t count = 0;
    if (!id.n || cstore_forms(p->c->st, p->a, id, &forms, &count, NULL) || !count || !forms[0].title.n)
        return id;
    return forms[0].title;
}
