/* A rule pack: JSON text made into parameters, named inputs, derived values and checks, compiled once by the
 * form engine in rule mode.
 *
 * A pack names its inputs and binds each to a path of a form, so that expressions say `$med_self >=
 * param('med_self_poor')`; the roster is a named set whose members keep the form's own field names:
 * `count($members[health = 'serious'])`. `prev('npi')` and `prev(disability_grade)` read the previous visit
 * (same member), `dept('med_self')` the departments' record. Money is exact. Format: docs/RISK.md.
 */
#ifndef DOORSTEP_RISK_PACK_H
#define DOORSTEP_RISK_PACK_H

#include "forms/form.h"

struct pack;

/* Compiles against one form. Every mistake is in `findings` (unknown inputs, wrong types, unknown functions,
 * cycles among derived values, parameters never used ...); ERR_SYNTAX when any is an error. The pack lives in
 * `a`. */
enum err pack_load(struct arena *a, struct str json, const struct form *form, const struct pack **pack_out,
                   struct form_findings *findings, struct diag *d) MUST_USE;
/* A pack that says "table": true reads columns of a table instead of answers to a form: scores, and studies
 * over data of others. `files` are its look-up tables that may not travel with it (two columns, with a
 * header line). */
struct pack_lookup_file {
    struct str name, csv;
};
enum err pack_load_table(struct arena *a, struct str json, const struct pack_lookup_file *files,
                         uint32_t file_count, const struct pack **pack_out, struct form_findings *findings,
                         struct diag *d) MUST_USE;
/* The value of a parameter for an area on a day; false when there is none. */
struct dec;
bool pack_param(const struct pack *p, struct str name, struct str area, int64_t day, struct dec *out);
/* To check it when the form is not at hand: as pack_load, but against nothing. Of a pack that reads a table
 * as well. It is not for judging. */
enum err pack_load_alone(struct arena *a, struct str json, const struct pack **pack_out,
                         struct form_findings *findings, struct diag *d) MUST_USE;
struct str pack_id(const struct pack *p);
struct str pack_version(const struct pack *p);
struct str pack_title(const struct pack *p, struct str language);
uint32_t pack_check_count(const struct pack *p);
/* The answer at this path of the form is somebody's state of health: a check of illness or disability reads
 * it. Such an answer is never made public. */
bool pack_tells_health(const struct pack *p, struct str path);
bool pack_is_table(const struct pack *p);
uint32_t pack_result_count(const struct pack *p); /* of a pack over a table */
/* Which of the groups that are visited in any case (clock.h, enum must_visit, as bits) a hit of this check
 * puts a household into; 0 for a check that the pack does not have, and when `p` is NULL. */
uint32_t pack_must_visit(const struct pack *p, struct str rule);
/* The form's path of the day of a visit, as the pack names it; "" when it does not. */
struct str pack_date_path(const struct pack *p);
/* What a department's value is called, in words; "" when the pack does not know it. */
struct str pack_dept_name(const struct pack *p, struct str name, bool zh);
/* Reads only id, version, title and the form ids it is for: no form needed. Texts live in `a`. */
struct pack_about {
    struct str id, version, title_zh, title_en;
    struct str *form_ids;
    uint32_t form_id_count;
};
enum err pack_about_read(struct arena *a, struct str json, struct pack_about *out, struct diag *d) MUST_USE;

#endif
