/* Inside a rule pack: what the JSON became. Everything is an index into one of the arrays; texts and
 * expressions live in the arena the pack was loaded into, and nothing changes after that. Nobody outside
 * risk/ includes it.
 *
 * The engine knows names as references. References of the form are the form's own numbers; those of the pack
 * have the top bit set and say what they are, so that one evaluation reads inputs, sets, values and answers
 * through one callback.
 */
#ifndef DOORSTEP_RISK_PACK_IMPL_H
#define DOORSTEP_RISK_PACK_IMPL_H

#include "forms/expr.h"
#include "forms/limits.h"
#include "platform/base/json.h"
#include "platform/base/map.h"
#include "risk/judge.h"
#include "risk/pack.h"

#define PACK_BYTES_MAX (4u << 20) /* a hundred times the default pack */
#define PACK_ITEMS_MAX 1000       /* inputs, parameters, checks: more than a county can keep in order */
#define PACK_FIELDS_MAX 200       /* fields of one set */
#define PACK_CHAIN_MAX 20         /* names in the message about a cycle */

enum pack_type {
    PACK_MONEY,   /* yuan and fen, exact; below zero is no answer */
    PACK_COUNT,   /* a number from zero up */
    PACK_RATIO,   /* any number */
    PACK_CHOICE,  /* the code of one choice */
    PACK_CHOICES, /* codes, space-separated */
    PACK_DATE,
    PACK_TEXT,
    PACK_YESNO, /* a truth value: derived values only */
    PACK_TYPES
};

struct words {
    struct str zh, en;
};

struct pack_word {
    struct str value;
    struct words words;
};

/* An input, a field of a set, a department's value, a derived value or a value of one check. */
struct pack_item {
    struct str name, unit;
    enum pack_type type;
    struct words words;
    VEC(struct pack_word) choices;
    struct str path;         /* inputs */
    uint32_t ref;            /* inputs, fields: the form's reference */
    uint32_t field;          /* and its number for the question */
    struct str text;         /* values: the expression as written */
    const struct expr *expr; /* values */
    uint32_t line;
    bool used;
    bool health; /* a check of illness or disability reads it by name */
};

struct pack_set {
    struct str name, path, where_text;
    struct words words;
    uint32_t ref; /* the form's reference of the repeat */
    struct pack_item *fields;
    uint32_t field_count;
    uint32_t name_field; /* field that names a row, or UINT32_MAX */
    /* What departments hold about single rows: found by the fields `match`, all of those that they give. */
    uint32_t *match;
    uint32_t match_count;
    struct pack_item *dept;
    uint32_t dept_count;
    const struct expr *where; /* gives the rows that belong; NULL = all */
    uint32_t line;
};

/* One value of a parameter, for one area from one day on. */
struct pack_entry {
    struct str area;  /* digits, "" = everywhere */
    int64_t from, to; /* civil days; INT64_MIN and INT64_MAX = open */
    struct dec value;
    struct str source;
};

struct pack_param {
    struct str name, unit, source;
    struct words words;
    bool example;
    VEC(struct pack_entry) entries;
    uint32_t line;
    bool used;
};

enum template_kind {
    TEMPLATE_TEXT,
    TEMPLATE_INPUT,
    TEMPLATE_VALUE,
    TEMPLATE_PREV_INPUT,
    TEMPLATE_PREV_VALUE,
    TEMPLATE_PARAM,
    TEMPLATE_DEPT,
    TEMPLATE_IF /* `text` when the value is true */
};
enum template_format {
    FORMAT_PLAIN,
    FORMAT_MONEY,
    FORMAT_PERCENT,
    FORMAT_COUNT,
    FORMAT_NUMBER,
    FORMAT_DATE,
    FORMAT_NAMES,
    FORMAT_CHOICE
};

struct template_part {
    enum template_kind kind;
    enum template_format format;
    uint32_t index;
    struct str text;
};
struct template
{
    VEC(struct template_part) parts;
};

struct pack_check {
    struct str id, source;
    struct words source_words;
    enum severity severity;
    enum finding_kind kind;
    bool urgent;
    uint32_t groups; /* of households that are visited in any case: enum must_visit, as bits */
    struct words name;
    struct template text_zh, text_en, follow_zh, follow_en;
    uint32_t value_first, value_count; /* its own values, in pack->values */
    struct str when_text;
    const struct expr *when;
    uint32_t line;
};

struct pack_category {
    struct str code;
    struct words words;
    struct str when_text;
    const struct expr *when;
    uint32_t line;
};

/* One line of a look-up table. */
struct pack_lookup_entry {
    struct dec key, value;
};

/* A table that turns a score into a value, such as the likelihoods of a poverty probability index. */
struct pack_lookup {
    struct str name, source;
    struct words words;
    VEC(struct pack_lookup_entry) entries; /* by key, ascending */
    uint32_t line;
    bool used;
};

/* A mean over households: of a derived value, among those for which `where` holds, each with its weight. */
struct pack_total {
    struct str name;
    struct words words;
    uint32_t mean, weight, where; /* derived values; weight and where may be UINT32_MAX */
    uint32_t line;
};

/* A check over all households of a table (quality.c). */
struct pack_over {
    struct str id;
    uint32_t kind;
    enum severity severity;
    struct words name;
    uint32_t *columns; /* inputs, then results */
    uint32_t column_count;
    uint32_t by; /* the column of groups, such as the enumerator; UINT32_MAX = none */
    double numbers[4];
};

/* A path inside a set's predicates, as the engine names it. */
struct pack_member_ref {
    uint32_t ref, set, field;
};

struct pack {
    struct str id, version;
    struct words title;
    int64_t valid_from, valid_to;
    uint32_t date_input; /* the input that holds the day of a visit, or UINT32_MAX */
    const struct form *form;
    VEC(struct pack_item) inputs;
    VEC(struct pack_set) sets;
    VEC(struct pack_item) dept;
    VEC(struct pack_param) params;
    VEC(struct pack_item) values; /* the derived ones first, then those of the checks */
    uint32_t derived_count;
    uint32_t *order; /* derived values, what each reads before it */
    VEC(struct pack_check) checks;
    VEC(struct pack_category) categories;
    bool table; /* reads a table: its form is made of its own inputs */
    VEC(struct pack_lookup) lookups;
    VEC(struct pack_total) totals;
    VEC(struct pack_over) over;
    uint32_t *results; /* derived values that a table of scores shows */
    uint32_t result_count;
    VEC(struct pack_member_ref) member_refs;
    struct map names; /* $name to its reference */
    struct map params_by_name, dept_by_name, checks_by_id, lookups_by_name;
};

/* References of the pack. */
#define REF_PACK UINT32_C(0x80000000)
enum ref_kind { REF_TOP, REF_INPUT, REF_SET, REF_ROWS, REF_VALUE };
static inline uint32_t pack_ref(enum ref_kind kind, uint32_t index)
{
    return REF_PACK | (uint32_t)kind << 24 | index;
}
static inline bool ref_is_pack(uint32_t ref)
{
    return ref & REF_PACK;
}
static inline enum ref_kind ref_kind(uint32_t ref)
{
    return (enum ref_kind)(ref >> 24 & 0x7F);
}
static inline uint32_t ref_index(uint32_t ref)
{
    return ref & 0xFFFFFF;
}

/* Functions of rules (judge.c); the last one, hit(), only for categories. */
extern const struct expr_function risk_functions[];
extern const uint32_t risk_function_count;

/* Templates (explain.c). Names are looked up by the pack's loader. */
struct template_names {
    void *self;
    /* "npi", "param:line_income" ...: kind and index, or false with a sentence. */
    bool (*find)(void *self, struct str name, struct template_part *part_out, struct diag *d);
};
enum err template_parse(struct arena *a, struct str text, const struct template_names *names,
                        struct template *out, struct diag *d) MUST_USE;

/* Loading. Mistakes are collected; only memory and caps end it early. */
struct pack_loader {
    struct pack *pack;
    struct arena *a;
    const struct form *form;
    bool alone; /* its form is not at hand: this one is made of the pack */
    struct form_findings *findings;
    struct diag *first; /* the caller's: gets the first error */
    enum err rc;        /* ERR_NOMEM or ERR_LIMIT: give up */
    /* while an expression is compiled */
    const struct pack_check *check;       /* whose values may be named; NULL = none */
    uint32_t values_visible;              /* of that check */
    uint32_t set;                         /* whose condition it is, or UINT32_MAX */
    const struct pack_lookup_file *files; /* tables that came beside the pack */
    uint32_t file_count;
};
/* Keys of a JSON object are a list of words between spaces; whatever else stands there is a mistake. */
void pack_keys(struct pack_loader *l, const struct json *o, struct str where, const char *known);
struct str pack_text(struct pack_loader *l, const struct json *o, const char *key, bool needed,
                     struct str where);
struct words pack_words(struct pack_loader *l, const struct json *o, struct str where);
const struct json *pack_object(struct pack_loader *l, const struct json *o, const char *key, bool needed,
                               struct str where);
const struct json *pack_array(struct pack_loader *l, const struct json *o, const char *key, bool needed,
                              struct str where);
bool pack_name_valid(struct str s);
bool pack_list_fits(struct pack_loader *l, const struct json *list, const char *what, uint32_t count_max);
/* What only scores have: look-up tables before the expressions, results and totals behind them
 * (pack_table.c). */
#define TABLE_ROOT "/table/"
enum err pack_table_form(struct arena *a, const struct json *root, const struct form **form_out,
                         struct diag *d) MUST_USE;
/* A form with every question that the pack names (pack_form.c). */
enum err pack_own_form(struct arena *a, const struct json *root, const struct form **form_out,
                       struct diag *d) MUST_USE;
void pack_read_lookups(struct pack_loader *l, const struct json *root);
void pack_read_results(struct pack_loader *l, const struct json *root);
enum severity pack_severity(struct pack_loader *l, const struct json *o, struct str where);
void pack_read_over(struct pack_loader *l, const struct json *root);
/* Records a mistake: where in the pack ("checks.MED01.when"), and the sentence in `what`. */
void pack_finding(struct pack_loader *l, enum finding_severity severity, uint32_t line, struct str where,
                  const struct diag *what);
#define PACK_ERROR(l, line, where, ...)                                  \
    do {                                                                 \
        struct diag pack_error_ = {0};                                   \
        diag_set(&pack_error_, ERR_SYNTAX, __VA_ARGS__);                 \
        pack_finding((l), FINDING_ERROR, (line), (where), &pack_error_); \
    } while (0)
#define PACK_WARNING(l, line, where, ...)                                  \
    do {                                                                   \
        struct diag pack_error_ = {0};                                     \
        diag_set(&pack_error_, ERR_SYNTAX, __VA_ARGS__);                   \
        pack_finding((l), FINDING_WARNING, (line), (where), &pack_error_); \
    } while (0)
/* "checks" and "MED01" and "when" joined by dots; parts may be "". */
struct str pack_where(struct pack_loader *l, const char *list, struct str item, const char *key);
/* After the JSON was read: names, paths and expressions against the form (pack_compile.c). */
void pack_compile(struct pack_loader *l);
/* What compiles and is still no good (pack_lint.c): warnings. */
void pack_lint(struct pack_loader *l);
uint32_t words_distance(struct str a, struct str b);

/* -- judging
 * ---------------------------------------------------------------------------------------------------- */

#define JUDGE_FUEL_MAX 20000000u /* steps of one judgement: about a second on the slowest handheld */
#define JUDGE_CHECK_FUEL_MAX \
    2000000u /* steps of one check: 200 people, a thousand operations each, ten times over */
#define JUDGE_MEMORY_MAX (64u << 20)
#define JUDGE_MISSING_SHOWN_MAX 6 /* names in the sentence; all of them are in `missing` */

/* Everything a check can read has a number; a set of them is a bit set. `reads` has all of them, down to the
 * answers behind a derived value; `direct` only what the expression itself names. */
struct trace {
    uint64_t *reads, *direct;
};

enum reading_kind {
    READING_INPUT,
    READING_PREV_INPUT,
    READING_VALUE,
    READING_PREV_VALUE,
    READING_PARAM,
    READING_DEPT,
    READING_PREV_DATE,
    READING_CELL,      /* field of a row */
    READING_PREV_CELL, /* by the rows of the earlier visit */
    READING_DEPT_CELL  /* what a department holds about a row */
};
/* What a number stands for. */
struct reading_id {
    enum reading_kind kind;
    uint32_t index; /* input, value, parameter, department value, set */
    uint32_t row, field;
};

/* The rows of one set in one of the two visits. */
struct rows {
    struct node *at; /* every instance of the repeat that is relevant, in order */
    uint64_t *keys;
    uint32_t *places; /* position on the roster, from 1 */
    uint32_t count;
    struct nodes *all, *kept; /* as node-sets: all of them, and those that belong */
    struct trace trace;       /* what the condition read */
    uint32_t first;           /* reading number of the first cell */
    uint32_t last_row;        /* where the last look-up ended */
};

struct judging;

/* One of the two visits. The engine hands `eval` to every callback, so the rest is found behind it. */
struct side {
    struct eval eval;
    struct judging *j;
    struct session *session; /* NULL: there is no earlier visit */
    bool prev;
    enum err (*scalar)(struct eval *e, struct node context, uint32_t ref, struct value *out);
    enum err (*typed)(struct eval *e, struct node n, struct value *out);
    struct node root;
    struct rows *rows;    /* by set */
    struct value *inputs; /* read once */
    bool *input_read;
    struct value *values; /* derived; on the present side also those of checks */
    struct trace *traces; /* of each value */
};

struct resolved_param {
    const struct pack_entry *entry;
};

struct dept_value {
    struct value value;
    struct str as_of, source;
};

/* What departments hold about rows of a set: theirs in the order in which they count. */
struct dept_row {
    const struct json *values;
    struct str as_of, source;
};
struct dept_rows {
    VEC(struct dept_row) list;
};

struct check_state {
    struct trace trace; /* of its condition */
    struct diag fault;
};

struct judging {
    const struct pack *p;
    const struct judge_input *in;
    struct arena *a;   /* of the result */
    struct arena keep; /* for the whole judgement */
    struct arena scratch;
    struct side now, before;
    struct value prev_date;
    struct resolved_param *params;
    struct dept_value *dept;
    struct dept_rows *dept_rows;   /* by set */
    uint32_t reading_count, words; /* 64 readings a word */
    struct value *readings;
    uint64_t *noted;     /* ever read */
    uint64_t *changed;   /* differs since it was last read */
    struct trace trace;  /* of what is being evaluated */
    enum truth *results; /* by check */
    struct check_state *checks;
    uint32_t fuel;
};

/* Judges, and while all values are still there lets `then` take what it wants. */
enum err judge_and(struct arena *a, const struct pack *p, const struct judge_input *in, struct judgement *out,
                   enum err (*then)(void *self, struct judging *j), void *self, struct diag *d) MUST_USE;
uint32_t reading_number(const struct judging *j, struct reading_id id);
struct reading_id reading_of(const struct judging *j, uint32_t number);
static inline bool trace_has(const uint64_t *set, uint32_t number)
{
    return set[number / 64] >> (number % 64) & 1;
}
/* Reading that is written down in the trace: an input, set or value by its reference; a parameter; a
 * department's value. */
enum err side_read(struct side *s, uint32_t ref, struct value *out) MUST_USE;
struct value param_read(struct judging *j, uint32_t i);
struct value dept_read(struct judging *j, uint32_t i);
/* Sentences, values and their JSON (explain.c). */
enum err explain_finding(struct judging *j, const struct pack_check *c, enum truth t,
                         const struct diag *fault, struct finding *out) MUST_USE;

/* What a template or a list of values shows of one value. */
struct shown {
    struct value value;           /* UNKNOWN: "?" */
    const struct pack_item *item; /* words of choices, unit; may be NULL */
    const struct str *names;      /* VALUE_NODES: texts of the nodes */
    uint32_t name_count;
};
enum language { LANGUAGE_ZH, LANGUAGE_EN };
static inline struct str words_in(struct words w, enum language l)
{
    return l == LANGUAGE_EN ? w.en : w.zh;
}
void show_value(struct buf *out, const struct shown *s, enum template_format format, enum language l);
enum template_format format_of_type(enum pack_type type);
/* As JSON: numbers exact, dates and texts as strings, UNKNOWN null. */
void value_json(struct buf *out, const struct value *v);

#endif
