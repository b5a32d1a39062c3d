/* See page.h. Nothing is gathered: what is written goes into the reply's buf at once. */
#include "server/page.h"

#include "server/page_frame.h"
#include "server/qr.h"

/* ---- elements ---- */

static void start(struct page *p, const char *tag, const struct attr *attrs)
{
    buf_put_char(p->out, '<');
    buf_put_z(p->out, tag);
    for (; attrs && attrs->name; attrs++) {
        if (!attrs->value.p)
            continue;
        buf_put_char(p->out, ' ');
        buf_put_z(p->out, attrs->name);
        buf_put_z(p->out, "=\"");
        buf_put_xml_attr(p->out, attrs->value);
        buf_put_char(p->out, '"');
    }
    buf_put_char(p->out, '>');
}

void pg_open_with(struct page *p, const char *tag, const struct attr *attrs)
{
    CHECK(p->depth < PAGE_DEPTH_MAX);
    start(p, tag, attrs);
    p->open[p->depth++] = tag;
}

void pg_open(struct page *p, const char *tag, const char *class_name)
{
    pg_open_with(p, tag, ATTRS({"class", str_of(class_name)}));
}

void pg_close(struct page *p)
{
    CHECK(p->depth > 0);
    buf_put_z(p->out, "</");
    buf_put_z(p->out, p->open[--p->depth]);
    buf_put_char(p->out, '>');
}

void pg_close_to(struct page *p, uint32_t depth)
{
    while (p->depth > depth)
        pg_close(p);
}

void pg_void(struct page *p, const char *tag, const struct attr *attrs)
{
    start(p, tag, attrs);
}

void pg_leaf(struct page *p, const char *tag, const char *class_name, struct str text)
{
    pg_open(p, tag, class_name);
    pg_text(p, text);
    pg_close(p);
}

void pg_leaf_word(struct page *p, const char *tag, const char *class_name, enum word w)
{
    pg_leaf(p, tag, class_name, word_of(p, w));
}

/* ---- text ---- */

void pg_text(struct page *p, struct str text)
{
    if (text.n)
        buf_put_xml_text(p->out, text);
}

void pg_data(struct page *p, struct str text)
{
    pg_leaf(p, "bdi", NO_CLASS, text);
}

struct str word_of(const struct page *p, enum word w)
{
    return str_of(word_text(w, p->language == LANGUAGE_EN));
}

void pg_word(struct page *p, enum word w)
{
    pg_text(p, word_of(p, w));
}

static struct str text_of(struct page *p, struct buf *b)
{
    struct str s = b->failed ? STR("") : arena_str(p->a, buf_str(b));
    buf_free(b);
    return s.p ? s : STR("");
}

struct str page_say(struct page *p, enum word w, struct str first, struct str second)
{
    struct buf b;
    struct str rest = word_of(p, w);
    buf_init(&b, 1u << 16);
    while (rest.n) {
        bool one = str_starts(rest, STR("{1}")), two = str_starts(rest, STR("{2}"));
        if (one || two) {
            buf_put_str(&b, one ? first : second);
            rest = str_sub(rest, 3, rest.n);
        } else {
            buf_put_char(&b, rest.p[0]);
            rest = str_sub(rest, 1, rest.n);
        }
    }
    return text_of(p, &b);
}

void pg_say(struct page *p, enum word w, struct str first, struct str second)
{
    pg_text(p, page_say(p, w, first, second));
}

struct str page_u64(struct page *p, uint64_t n)
{
    struct buf b;
    buf_init(&b, 24);
    buf_put_u64(&b, n);
    return text_of(p, &b);
}

struct str page_count(struct page *p, uint64_t n)
{
    struct str digits = page_u64(p, n);
    struct buf b;
    buf_init(&b, 40);
    for (size_t i = 0; i < digits.n; i++) {
        if (i && (digits.n - i) % 3 == 0)
            buf_put_char(&b, ',');
        buf_put_char(&b, digits.p[i]);
    }
    return text_of(p, &b);
}

struct str page_hex(struct page *p, uint64_t n)
{
    struct buf b;
    buf_init(&b, 24);
    buf_printf(&b, "%016llx", (unsigned long long)n);
    return text_of(p, &b);
}

struct str page_join(struct page *p, struct str a, struct str b, struct str c)
{
    struct buf out;
    buf_init(&out, 1u << 16);
    buf_put_str(&out, a);
    buf_put_str(&out, b);
    buf_put_str(&out, c);
    return text_of(p, &out);
}

void pg_count(struct page *p, uint64_t n)
{
    pg_text(p, page_count(p, n));
}

/* ---- days and times ---- */

int64_t page_today(const struct page *p)
{
    struct civil c = civil_at(p->now_ms, p->zone);
    return civil_days(c.year, c.month, c.day);
}

static const char *const months[] = {"",    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static void put_day(struct page *p, struct buf *b, int32_t year, uint8_t month, uint8_t day)
{
    int32_t this_year = civil_at(p->now_ms, p->zone).year;
    if (p->language == LANGUAGE_EN) {
        buf_printf(b, "%u %s", day, months[month <= 12 ? month : 0]);
        if (year != this_year)
            buf_printf(b, " %d", year);
        return;
    }
    if (year != this_year)
        buf_printf(b, "%d年", year);
    buf_printf(b, "%u月%u日", month, day);
}

struct str page_day_words(struct page *p, int64_t day)
{
    struct buf b;
    int32_t year;
    uint8_t month, of_month;
    civil_from_days(day, &year, &month, &of_month);
    buf_init(&b, 64);
    put_day(p, &b, year, month, of_month);
    return text_of(p, &b);
}

struct str page_time(struct page *p, int64_t ms)
{
    struct buf b;
    struct civil c = civil_at(ms, p->zone);
    buf_init(&b, 64);
    put_day(p, &b, c.year, c.month, c.day);
    buf_printf(&b, " %02u:%02u", c.hour, c.minute);
    return text_of(p, &b);
}

void pg_time(struct page *p, int64_t ms)
{
    char iso[40];
    if (!ms) {
        pg_text(p, STR("—"));
        return;
    }
    struct civil c = civil_at(ms, p->zone);
    size_t n = civil_write(&c, iso);
    pg_open_with(p, "time", ATTRS({"datetime", {iso, n}}));
    pg_text(p, page_time(p, ms));
    pg_close(p);
}

bool page_day_read(struct str iso, int64_t *day_out)
{
    struct civil c;
    if (!civil_read_date(str_sub(iso, 0, 10), &c))
        return false;
    *day_out = civil_days(c.year, c.month, c.day);
    return true;
}

struct str page_iso_words(struct page *p, struct str iso)
{
    struct civil c;
    if (!iso.n)
        return STR("—");
    if (!civil_read(iso, &c) || !c.has_date)
        return iso;
    if (c.has_time)
        return page_time(p, civil_instant_ms(&c, p->zone));
    return page_day_words(p, civil_days(c.year, c.month, c.day));
}

/* ---- addresses ---- */

static void put_percent(struct buf *b, struct str s)
{
    static const char keep_too[] = "-._~";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c && strchr(keep_too, c));
        if (plain)
            buf_put_char(b, (char)c);
        else
            buf_printf(b, "%%%02X", c);
    }
}

struct str page_url(struct page *p, const char *path, struct str part, const struct attr *query)
{
    struct buf b;
    char glue = strchr(path, '?') ? '&' : '?';
    buf_init(&b, 1u << 14);
    for (const char *x = path; *x; x++) {
        if (*x == '*')
            put_percent(&b, part);
        else
            buf_put_char(&b, *x);
    }
    for (; query && query->name; query++) {
        if (!query->value.n)
            continue;
        buf_put_char(&b, glue);
        buf_put_z(&b, query->name);
        buf_put_char(&b, '=');
        put_percent(&b, query->value);
        glue = '&';
    }
    return text_of(p, &b);
}

struct str page_query(struct page *p, const char *name)
{
    return http_query(p->a, p->c->request->url, name);
}

void pg_link(struct page *p, struct str url, const char *class_name, struct str text)
{
    pg_open_with(p, "a", ATTRS({"href", url}, {"class", str_of(class_name)}));
    pg_text(p, text);
    pg_close(p);
}

void pg_link_word(struct page *p, struct str url, const char *class_name, enum word w)
{
    pg_link(p, url, class_name, word_of(p, w));
}

/* ---- forms ---- */

void pg_get_begin(struct page *p, struct str action, const char *class_name)
{
    pg_open_with(p, "form", ATTRS({"method", STR("get")}, {"action", action}, {"class", str_of(class_name)}));
}

void pg_post_begin(struct page *p, struct str action, const char *class_name)
{
    pg_open_with(p, "form",
                 ATTRS({"method", STR("post")}, {"action", action}, {"class", str_of(class_name)}));
    struct str token = page_csrf(p);
    if (token.n)
        pg_hidden(p, "csrf", token);
}

void pg_post_file_begin(struct page *p, struct str action)
{
    pg_open_with(p, "form",
                 ATTRS({"method", STR("post")}, {"action", action}, {"enctype", STR("multipart/form-data")}));
    pg_hidden(p, "csrf", page_csrf(p));
}

void pg_option(struct page *p, struct str value, struct str label, bool chosen)
{
    pg_open_with(p, "option", ATTRS({"value", value.p ? value : STR("")}, {"selected", ATTR_IF(chosen)}));
    pg_text(p, label);
    pg_close(p);
}

void pg_hidden(struct page *p, const char *name, struct str value)
{
    pg_void(p, "input", ATTRS({"type", STR("hidden")}, {"name", str_of(name)}, {"value", value}));
}

void pg_button_value(struct page *p, enum word w, const char *class_name, const char *name, struct str value)
{
    pg_open_with(p, "button",
                 ATTRS({"type", STR("submit")}, {"class", str_of(class_name)}, {"name", str_of(name)},
                       {"value", name ? value : STR_NONE}));
    pg_word(p, w);
    pg_close(p);
}

void pg_button_key(struct page *p, enum word w, const char *class_name, const char *name, const char *value,
                   const char *key)
{
    pg_open_with(p, "button",
                 ATTRS({"type", STR("submit")}, {"class", str_of(class_name)}, {"name", str_of(name)},
                       {"value", str_of(value)}, {"data-key", str_of(key)}));
    pg_word(p, w);
    if (key) {
        pg_text(p, STR(" "));
        pg_open_with(p, "kbd", ATTRS({"aria-hidden", STR("true")}));
        pg_text(p, str_of(key));
        pg_close(p);
    }
    pg_close(p);
}

void pg_button(struct page *p, enum word w, const char *class_name, const char *key)
{
    pg_button_key(p, w, class_name, NULL, NULL, key);
}

/* A label, its hint and what was wrong; gives the field's id and what describes it. */
static void label_of(struct page *p, const struct field *f, struct str *id, struct str *about)
{
    struct str n = page_u64(p, ++p->ids);
    *id = page_join(p, STR("f"), n, STR(""));
    *about = STR_NONE;
    pg_open(p, "p", f->error.n ? "field wrong" : "field");
    pg_open_with(p, "label", ATTRS({"for", *id}));
    pg_word(p, f->label);
    pg_close(p);
    if (f->hint != W_NONE) {
        *about = page_join(p, STR("h"), n, STR(""));
        pg_open_with(p, "span", ATTRS({"class", STR("hint")}, {"id", *about}));
        pg_word(p, f->hint);
        pg_close(p);
    }
    if (f->error.n) {
        struct str e = page_join(p, STR("e"), n, STR(""));
        *about = about->n ? page_join(p, *about, STR(" "), e) : e;
        pg_open_with(p, "span", ATTRS({"class", STR("error")}, {"id", e}));
        pg_text(p, f->error);
        pg_close(p);
    }
}

void pg_field(struct page *p, const struct field *f)
{
    struct str id, about;
    label_of(p, f, &id, &about);
    pg_void(p, "input",
            ATTRS({"type", str_of(f->type ? f->type : "text")}, {"id", id}, {"name", str_of(f->name)},
                  {"value", f->value}, {"required", ATTR_IF(f->required)}, {"aria-describedby", about},
                  {"aria-invalid", f->error.n ? STR("true") : STR_NONE},
                  {"autocomplete", str_of(f->autocomplete ? f->autocomplete : "off")},
                  {"inputmode", str_of(f->inputmode)}));
    pg_close(p);
}

void pg_area(struct page *p, const struct field *f, uint32_t rows)
{
    struct str id, about;
    label_of(p, f, &id, &about);
    pg_open_with(p, "textarea",
                 ATTRS({"id", id}, {"name", str_of(f->name)}, {"rows", page_u64(p, rows)},
                       {"required", ATTR_IF(f->required)}, {"aria-describedby", about},
                       {"aria-invalid", f->error.n ? STR("true") : STR_NONE}));
    pg_text(p, f->value);
    pg_close(p);
    pg_close(p);
}

void pg_select(struct page *p, const struct field *f, const struct option *options, uint32_t count)
{
    struct str id, about;
    label_of(p, f, &id, &about);
    pg_open_with(p, "select",
                 ATTRS({"id", id}, {"name", str_of(f->name)}, {"aria-describedby", about},
                       {"required", ATTR_IF(f->required)}));
    for (uint32_t i = 0; i < count; i++)
        pg_option(p, options[i].value, options[i].label,
                  str_eq(options[i].value, f->value.p ? f->value : STR("")));
    pg_close(p);
    pg_close(p);
}

/* ---- tables ---- */

static void head_cell(struct page *p, const struct table *t, const struct column *c)
{
    struct str name = str_of(c->sort), order = t->sorted;
    bool falling = str_starts(order, STR("-"));
    if (falling)
        order = str_sub(order, 1, order.n);
    bool here = name.n && str_eq(order, name);
    pg_open_with(p, "th",
                 ATTRS({"scope", STR("col")}, {"class", c->number ? STR("number") : STR_NONE},
                       {"aria-sort", !here     ? STR_NONE
                                     : falling ? STR("descending")
                                               : STR("ascending")}));
    if (!name.n) {
        pg_word(p, c->head);
    } else {
        struct str next = here && !falling ? page_join(p, STR("-"), name, STR("")) : name;
        struct str base = page_url(p, t->path, STR(""), t->query);
        struct str url = page_url(p, arena_z(p->a, base) ? arena_z(p->a, base) : "/", STR(""),
                                  ATTRS({"sort", next}));
        pg_link_word(p, url, here ? falling ? "sort down" : "sort up" : "sort", c->head);
    }
    pg_close(p);
}

void pg_table_begin(struct page *p, const struct table *t)
{
    pg_open_with(p, "div",
                 ATTRS({"class", STR("scroll")}, {"data-scrolls", STR("")}, {"tabindex", STR("0")},
                       {"role", STR("region")}, {"aria-label", t->caption}));
    pg_open(p, "table", NO_CLASS);
    pg_leaf(p, "caption", t->caption_hidden ? "unseen" : NO_CLASS, t->caption);
    pg_open(p, "thead", NO_CLASS);
    pg_open(p, "tr", NO_CLASS);
    if (t->ticks) {
        pg_open_with(p, "th", ATTRS({"scope", STR("col")}, {"class", STR("tick")}));
        pg_leaf_word(p, "span", "unseen", W_CHOOSE);
        pg_close(p);
    }
    for (uint32_t i = 0; i < t->count; i++)
        head_cell(p, t, &t->columns[i]);
    pg_close(p);
    pg_close(p);
    pg_open(p, "tbody", NO_CLASS);
}

void pg_table_end(struct page *p)
{
    pg_close(p); /* tbody */
    pg_close(p); /* table */
    pg_close(p); /* div */
}

void pg_row(struct page *p)
{
    pg_open(p, "tr", NO_CLASS);
}

void pg_cell(struct page *p, struct str text)
{
    pg_open(p, "td", NO_CLASS);
    if (text.n)
        pg_data(p, text);
    pg_close(p);
}

void pg_cell_number(struct page *p, uint64_t n)
{
    pg_leaf(p, "td", "number", page_count(p, n));
}

void pg_cell_word(struct page *p, enum word w)
{
    pg_leaf_word(p, "td", NO_CLASS, w);
}

void pg_cell_link(struct page *p, struct str url, struct str text)
{
    pg_open(p, "td", NO_CLASS);
    pg_open_with(p, "a", ATTRS({"href", url}, {"class", STR("row")}));
    pg_data(p, text);
    pg_close(p);
    pg_close(p);
}

void pg_cell_time(struct page *p, int64_t ms)
{
    pg_open(p, "td", "when");
    pg_time(p, ms);
    pg_close(p);
}

/* ---- pieces ---- */

static const struct level {
    const char *name, *shape;
    enum word word;
} levels[] = {{"red", "M12 1 23 12 12 23 1 12Z", W_LEVEL_RED},
              {"yellow", "M12 2 23 22 1 22Z", W_LEVEL_YELLOW},
              {"blue", "M12 2a10 10 0 1 0 .01 0Z", W_LEVEL_BLUE},
              {"unknown", "M12 2a10 10 0 1 0 .01 0Z", W_LEVEL_UNKNOWN},
              {"none", NULL, W_LEVEL_NONE}};

static const struct level *level_of(struct str name)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        if (str_eq_z(name, levels[i].name))
            return &levels[i];
    return NULL;
}

static void glyph(struct page *p, const struct level *l)
{
    if (!l->shape)
        return;
    pg_open_with(p, "svg",
                 ATTRS({"class", page_join(p, STR("glyph "), str_of(l->name), STR(""))},
                       {"viewBox", STR("0 0 24 24")}, {"width", STR("18")}, {"height", STR("18")},
                       {"aria-hidden", STR("true")}, {"focusable", STR("false")}));
    pg_open_with(p, "path", ATTRS({"class", STR("shape")}, {"d", str_of(l->shape)}));
    pg_close(p);
    pg_open_with(p, "text", ATTRS({"x", STR("12")}, {"y", STR("17.5")}, {"text-anchor", STR("middle")}));
    pg_text(p, str_eq_z(str_of(l->name), "unknown") ? STR("?")
               : str_eq_z(str_of(l->name), "blue")  ? STR("i")
                                                    : STR("!"));
    pg_close(p);
    pg_close(p);
}

void pg_level(struct page *p, struct str name, bool with_word)
{
    const struct level *l = level_of(name);
    if (!l) {
        pg_text(p, STR("—"));
        return;
    }
    pg_open(p, "span", "level");
    glyph(p, l);
    pg_leaf_word(p, "span", with_word || !l->shape ? NO_CLASS : "unseen", l->word);
    pg_close(p);
}

void pg_level_count(struct page *p, struct str name, uint64_t count)
{
    const struct level *l = level_of(name);
    CHECK(l);
    pg_open(p, "span", "level");
    glyph(p, l);
    pg_leaf_word(p, "span", "unseen", l->word);
    pg_text(p, STR(" "));
    pg_count(p, count);
    pg_close(p);
}

void pg_note(struct page *p, const char *class_name, struct str text)
{
    bool bad = class_name && strcmp(class_name, "bad") == 0;
    pg_open_with(p, "p",
                 ATTRS({"class", page_join(p, STR("note "), str_of(class_name ? class_name : ""), STR(""))},
                       {"role", bad ? STR("alert") : STR("status")}));
    pg_text(p, text);
    pg_close(p);
}

void pg_empty(struct page *p, enum word w)
{
    pg_leaf_word(p, "p", "empty", w);
}

void pg_next(struct page *p, struct str url)
{
    pg_open(p, "p", "more");
    pg_link_word(p, url, "button", W_NEXT_PAGE);
    pg_close(p);
}

#define BAR_ROW 28
#define BAR_LEFT 250
#define BAR_WIDE 430

void pg_bars(struct page *p, struct str name, const struct bar *bars, uint32_t count)
{
    uint64_t most = 1;
    for (uint32_t i = 0; i < count; i++)
        most = bars[i].value > most ? bars[i].value : most;
    struct str high = page_u64(p, count * BAR_ROW + 4);
    pg_open_with(p, "svg",
                 ATTRS({"class", STR("bars")}, {"role", STR("img")}, {"aria-label", name},
                       {"viewBox", page_join(p, STR("0 0 760 "), high, STR(""))}));
    for (uint32_t i = 0; i < count; i++) {
        struct str y = page_u64(p, i * BAR_ROW + 3), base = page_u64(p, i * BAR_ROW + 19);
        uint64_t wide = bars[i].value * BAR_WIDE / most;
        pg_open_with(p, "text", ATTRS({"x", STR("240")}, {"y", base}, {"text-anchor", STR("end")}));
        size_t cut = utf8_offset(bars[i].label, p->language == LANGUAGE_EN ? 30 : 15);
        pg_text(p, str_sub(bars[i].label, 0, cut));
        pg_text(p, cut < bars[i].label.n ? STR("…") : STR(""));
        pg_close(p);
        pg_open_with(p, "rect",
                     ATTRS({"class", str_of(bars[i].class_name)}, {"x", STR("250")}, {"y", y},
                           {"width", page_u64(p, wide ? wide : 1)}, {"height", STR("22")}));
        pg_close(p);
        pg_open_with(p, "text", ATTRS({"x", page_u64(p, BAR_LEFT + wide + 8)}, {"y", base}));
        pg_count(p, bars[i].value);
        pg_close(p);
    }
    pg_close(p);
}

void pg_qr(struct page *p, struct str text, struct str title)
{
    struct diag quiet = {0};
    pg_open(p, "div", "qr");
    if (qr_svg(text, title, p->out, &quiet))
        pg_text(p, str_of(quiet.text));
    pg_close(p);
}

struct str page_masked(struct page *p, struct str number)
{
    struct buf b;
    size_t length = utf8_length(number);
    size_t from = utf8_offset(number, length > 4 ? length - 4 : 0);
    buf_init(&b, 4096);
    buf_put_z(&b, length > 4 ? "••• " : "");
    buf_put_str(&b, str_sub(number, from, number.n));
    return text_of(p, &b);
}
