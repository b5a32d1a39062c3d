/* The writer of the centre's pages. Whatever a page says goes through it: tags are opened and closed in
 * order, text and attributes are escaped where they are written, addresses are put together from parts that
 * are percent-encoded. There is no call that takes markup, so nothing that a person, a file or a handheld
 * wrote can become any.
 *
 * Always true: at pg_end every tag is closed; an attribute whose value has no text (p NULL) is left out. A
 * page that grows beyond its reply's maximum fails as a whole, in the reply's buf.
 */
#ifndef DOORSTEP_SERVER_PAGE_H
#define DOORSTEP_SERVER_PAGE_H

#include "platform/base/civil.h"
#include "server/page_words.h"
#include "server/routes.h"

enum language { LANGUAGE_ZH, LANGUAGE_EN, LANGUAGES };

#define PAGE_DEPTH_MAX 40
#define PAGE_ROWS 50 /* of a table; the rest is behind a link that begins at the next key */

struct page {
    struct call *c;
    struct buf *out;
    struct arena *a;
    enum language language;
    const struct zone *zone;
    int64_t now_ms;
    uint32_t depth;
    const char *open[PAGE_DEPTH_MAX];
    uint32_t ids; /* given out to labels and their fields */
};

struct attr {
    const char *name;
    struct str value; /* p NULL = left out */
};
#define ATTRS(...) ((const struct attr[]){__VA_ARGS__, {NULL, {NULL, 0}}})
#define ATTR_IF(condition) ((condition) ? STR("") : STR_NONE)
#define NO_CLASS ((const char *)NULL)

/* ---- elements ---- */
void pg_open(struct page *p, const char *tag, const char *class_name);
void pg_open_with(struct page *p, const char *tag, const struct attr *attrs);
void pg_close(struct page *p);                                           /* the last one that is open */
void pg_close_to(struct page *p, uint32_t depth);                        /* until so many are open */
void pg_void(struct page *p, const char *tag, const struct attr *attrs); /* input, br, link, meta */
void pg_leaf(struct page *p, const char *tag, const char *class_name, struct str text);
void pg_leaf_word(struct page *p, const char *tag, const char *class_name, enum word w);

/* ---- text ---- */
void pg_text(struct page *p, struct str text);
void pg_data(struct page *p,
             struct str text); /* what a person, form or file wrote: its direction is its own */
void pg_word(struct page *p, enum word w);
/* "{1}" and "{2}" stand for the arguments. */
void pg_say(struct page *p, enum word w, struct str first, struct str second);
struct str page_say(struct page *p, enum word w, struct str first, struct str second);
void pg_count(struct page *p, uint64_t n); /* 1,204 */
struct str page_count(struct page *p, uint64_t n);
struct str page_u64(struct page *p, uint64_t n); /* without grouping: ids, values of fields */
struct str page_hex(struct page *p, uint64_t n);
struct str page_join(struct page *p, struct str a, struct str b, struct str c);
struct str word_of(const struct page *p, enum word w);

/* ---- days and times, in the centre's zone ---- */
struct str page_time(struct page *p, int64_t ms); /* "3月2日 18:05", with the year when it is another */
struct str page_day_words(struct page *p, int64_t day);
struct str page_iso_words(struct page *p, struct str iso); /* an instant or a date as rows hold it */
void pg_time(struct page *p, int64_t ms);                  /* 0 = a dash */
int64_t page_today(const struct page *p);
bool page_day_read(struct str iso, int64_t *day_out);

/* ---- addresses and links ---- */
/* A '*' in `path` stands for `part`, percent-encoded; `query` pairs follow, those without text are left out.
 */
struct str page_url(struct page *p, const char *path, struct str part, const struct attr *query);
/* A field of the address's query; p NULL when absent. */
struct str page_query(struct page *p, const char *name);
void pg_link(struct page *p, struct str url, const char *class_name, struct str text);
void pg_link_word(struct page *p, struct str url, const char *class_name, enum word w);

/* ---- forms ---- */
void pg_post_begin(struct page *p, struct str action, const char *class_name); /* with the CSRF token */
void pg_post_file_begin(struct page *p, struct str action);                    /* the same, for files */
void pg_get_begin(struct page *p, struct str action, const char *class_name);
void pg_hidden(struct page *p, const char *name, struct str value);
void pg_button(struct page *p, enum word w, const char *class_name, const char *key); /* key: of a clerk */
/* With a value of its own and, when `key` is given, a clerk's key. */
void pg_button_key(struct page *p, enum word w, const char *class_name, const char *name, const char *value,
                   const char *key);
void pg_button_value(struct page *p, enum word w, const char *class_name, const char *name, struct str value);
struct field {
    const char *name, *type; /* type NULL = text */
    enum word label, hint;   /* W_NONE = no hint */
    struct str value;
    bool required;
    const char *autocomplete, *inputmode;
    struct str error; /* what was wrong with it; "" = nothing */
};
void pg_field(struct page *p, const struct field *f);
void pg_area(struct page *p, const struct field *f, uint32_t rows); /* a textarea */
struct option {
    struct str value, label;
};
void pg_option(struct page *p, struct str value, struct str label, bool chosen);
void pg_select(struct page *p, const struct field *f, const struct option *options, uint32_t count);

/* ---- tables ---- */
struct column {
    enum word head;
    const char *sort; /* name of the order in the address; NULL = cannot be sorted by */
    bool number;      /* aligned to the end, head and cells */
};
struct table {
    const struct column *columns;
    uint32_t count;
    struct str caption;
    bool caption_hidden; /* a heading above says it */
    struct str sorted;   /* name of the order in use, "-name" = falling */
    const char *path;    /* address of the headers' links, with `query` */
    const struct attr *query;
    bool ticks; /* a first column of boxes */
};
void pg_table_begin(struct page *p, const struct table *t);
void pg_table_end(struct page *p);
void pg_row(struct page *p); /* pg_close ends it */
void pg_cell(struct page *p, struct str text);
void pg_cell_number(struct page *p, uint64_t n);
void pg_cell_word(struct page *p, enum word w);
void pg_cell_link(struct page *p, struct str url, struct str text);
void pg_cell_time(struct page *p, int64_t ms);

/* ---- pieces that pages share ---- */
/* Severity: "red", "yellow", "blue", "unknown", "none": shape, then word; `count` UINT64_MAX = none. */
void pg_level(struct page *p, struct str level, bool with_word);
void pg_level_count(struct page *p, struct str level, uint64_t count);
void pg_note(struct page *p, const char *class_name, struct str text); /* "good", "bad", "warn", "" */
void pg_empty(struct page *p, enum word w);   /* why there is nothing, and what to do */
void pg_next(struct page *p, struct str url); /* the link to what follows */
/* Bars with their table are two views of the same rows. */
struct bar {
    struct str label;
    uint64_t value;
    const char *class_name;
};
void pg_bars(struct page *p, struct str name, const struct bar *bars, uint32_t count);
/* A QR code, as an <svg> of its own. */
void pg_qr(struct page *p, struct str text, struct str title);
/* Letters and digits of an identity number but for the last four. */
struct str page_masked(struct page *p, struct str number);

/* ---- the whole page ---- */
enum place_in_nav {
    NAV_NONE,
    NAV_OVERVIEW,
    NAV_QUEUES,
    NAV_HOUSEHOLDS,
    NAV_CONFLICTS,
    NAV_LEADS,
    NAV_MAP,
    NAV_PUBLISH,
    NAV_DEVICES,
    NAV_PEOPLE,
    NAV_IMPORT,
    NAV_EXPORT,
    NAV_AUDIT
};
void page_init(struct page *p, struct call *c);
/* Head, bar, navigation, <main> and its <h1>. */
void pg_begin(struct page *p, enum place_in_nav at, struct str title);
/* The same without navigation: for people who are not signed in. */
void pg_begin_public(struct page *p, struct str title);
/* For paper: neither bar nor navigation. `sheet`: class of the body. */
void pg_begin_print(struct page *p, const char *sheet, struct str title);
void pg_end(struct page *p);
/* 303 to a page of ours. */
enum err page_go(struct call *c, struct str url, struct diag *d) MUST_USE;
/* An error as a page: what happened, what to do. The status is already set. */
void page_error(struct call *c, enum err rc, const struct diag *d);

#endif
