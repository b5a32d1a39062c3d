/* The screens of the centre: pages and the acts that their forms send. Each is a route (routes.h); what it
 * shows comes from work.h and its neighbours, and how it looks from page.h.
 */
#ifndef DOORSTEP_SERVER_SCREENS_H
#define DOORSTEP_SERVER_SCREENS_H

#include "platform/base/json.h"
#include "risk/clock.h"
#include "server/audit.h"
#include "server/page.h"
#include "server/roles.h"
#include "server/work.h"

extern const struct route_table screen_routes;

/* ---- what screens share (screen_shared.c) ---- */
struct work_ask screen_ask(struct page *p);
struct work_by screen_by(const struct call *c);
/* `lines` NULL: what it has to tell is not wanted. */
enum err screen_desk(struct page *p, struct buf *lines, struct desk *out, struct diag *d) MUST_USE;
/* Around every act that writes. */
void screen_lock(struct call *c);
void screen_unlock(struct call *c);
/* A field of the posted form; "" when absent. */
struct str posted(struct call *c, const char *name);
/* ERR_DENIED, noted in the audit, unless who is signed in may do this there. Area p NULL: anywhere. */
enum err screen_may(struct call *c, enum act act, struct str area, struct diag *d) MUST_USE;
bool screen_can(const struct call *c, enum act act, struct str area);
/* One audit row in a transaction of its own: that this person saw or did it. */
enum err screen_note(struct call *c, const char *what, struct str household, struct str about,
                     struct diag *d) MUST_USE;

/* Names of areas from the published list "villages.csv": code, name_zh, name_en and, for the level above,
 * township, township_zh, township_en. Without it a code is its own name. */
struct area_name {
    struct str code, zh, en;
};
struct area_names {
    struct area_name *at; /* by code */
    uint32_t count;
};
enum err areas_read(struct page *p, struct area_names *out, struct diag *d) MUST_USE;
struct str area_name(const struct page *p, const struct area_names *n, struct str code);
/* "青禾镇 禾塘村": with what is above it. */
struct str area_path(struct page *p, const struct area_names *n, struct str code);

/* Identity and telephone numbers inside a text become "••• 0117" and "138****5678", unless `shown`. */
struct str page_private(struct page *p, struct str text, bool shown);
bool page_holds_private(struct page *p, struct str text);

/* What a rule of the live pack is called; its id when there is none. */
struct rule_name {
    struct str rule, zh, en;
};
struct rule_names {
    struct rule_name *at;
    uint32_t count;
};
enum err rules_read(struct page *p, struct rule_names *out, struct diag *d) MUST_USE;
struct str rule_name(const struct page *p, const struct rule_names *n, struct str rule);

enum word role_word(uint8_t role);
enum word channel_word(enum lead_channel c);
struct str lead_channel_words(struct page *p, struct str code);
enum word waits_word(enum visit_waits w);
enum word review_word(enum review_state s);
/* "剩 3 天", "超 2 天". */
struct str days_words(struct page *p, int64_t day, bool *over_out);
/* Days of work.h: 0 is none. */
struct str work_day_words(struct page *p, int64_t day);
void pg_cell_level(struct page *p, struct str level);
void pg_flags(struct page *p, uint32_t flags);
/* People as options of a choice: number, "name (area)". Those whose work has not ended. */
enum err people_options(struct page *p, struct option **out, uint32_t *count_out, struct diag *d) MUST_USE;
/* A message that an act left for the next page: ?done=WORD. */
void pg_done(struct page *p);
struct str url_done(struct page *p, struct str url, const char *what);

/* A clock by its code, or "visit". */
struct str clock_name_words(struct page *p, struct str code);
struct str device_short(struct page *p, uint64_t device); /* "A-1F03": what people call it */
struct str form_name(struct page *p, struct str id);      /* title of the newest version */

/* A file of the form, kept for the next step of the same person (store_pages.h); *id_out names it. */
enum err park_file(struct call *c, struct str name, struct str bytes, struct str *id_out,
                   struct diag *d) MUST_USE;
/* attachment; filename*=... */
struct str disposition(struct page *p, struct str name);
/* The audit's rows about one household. (screen_audit.c) */
enum err audit_of_household(struct page *p, struct str code, struct diag *d) MUST_USE;

/* ---- routes ---- */
enum err screen_overview(struct call *c, struct diag *d);
enum err screen_households(struct call *c, struct diag *d);
enum err screen_households_json(struct call *c, struct diag *d);
enum err screen_household(struct call *c, struct diag *d);
enum err screen_household_post(struct call *c, struct diag *d);
enum err screen_work(struct call *c, struct diag *d);
enum err screen_work_post(struct call *c, struct diag *d);
enum err screen_conflicts(struct call *c, struct diag *d);
enum err screen_conflicts_post(struct call *c, struct diag *d);
enum err screen_leads(struct call *c, struct diag *d);
enum err screen_leads_post(struct call *c, struct diag *d);
enum err screen_report(struct call *c, struct diag *d);
enum err screen_report_post(struct call *c, struct diag *d);
enum err screen_devices(struct call *c, struct diag *d);
enum err screen_devices_post(struct call *c, struct diag *d);
enum err screen_people(struct call *c, struct diag *d);
enum err screen_people_post(struct call *c, struct diag *d);
enum err screen_audit(struct call *c, struct diag *d);
enum err screen_publish(struct call *c, struct diag *d);
enum err screen_publish_post(struct call *c, struct diag *d);
enum err screen_import(struct call *c, struct diag *d);
enum err screen_import_post(struct call *c, struct diag *d);
enum err screen_export(struct call *c, struct diag *d);
enum err screen_export_post(struct call *c, struct diag *d);
enum err screen_map(struct call *c, struct diag *d);
enum err screen_card(struct call *c, struct diag *d);
enum err screen_notice(struct call *c, struct diag *d);
enum err screen_file(struct call *c, struct diag *d);
enum err screen_login(struct call *c, struct diag *d);
enum err screen_preferences(struct call *c, struct diag *d);

#endif
