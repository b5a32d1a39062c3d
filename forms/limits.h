/* Caps of the form engine. Each stops a hostile or broken form before it stops the handheld. */
#ifndef DOORSTEP_FORMS_LIMITS_H
#define DOORSTEP_FORMS_LIMITS_H

#define FORM_BYTES_MAX                                                                                 \
    (64u << 20)               /* the largest public form we met is 4 MB; lists belong outside the form \
                               */
#define FORM_DEPTH_MAX 96     /* element depth; real forms stay below 20 */
#define FORM_NODES_MAX 200000 /* schema nodes; the largest real form has 6,000 */
#define FORM_MEMORY_MAX (512u << 20) /* arena of one compiled form */
#define FORM_LANGUAGES_MAX 64
#define FORM_FINDINGS_MAX 200 /* more than a person reads */
#define EXPR_TEXT_MAX 200000  /* bytes of one expression */
#define EXPR_DEPTH_MAX 200    /* nesting of brackets and predicates; also the only recursion depth */
#define EXPR_STACK_MAX 256    /* values on the evaluation stack */
#define SESSION_MEMORY_MAX (256u << 20) /* arena of one interview */
/* Fuel of all calculations of one change. A check for duplicates that stands in each of 5,000 entries and
 * walks the others spends 100 million when such an interview is opened (2 s on x86_64); two of them pass. */
#define SESSION_WORK_MAX 250000000u
#define SESSION_ROWS_MAX 100000 /* repeat instances of one interview */
#define COUNT_ROWS_MAX 5000    /* entries that jr:count may ask for: a slip such as 99999 fills no handheld */
#define ANSWER_BYTES_MAX 65536 /* one answer's text */
#define LIST_ROWS_MAX 2000000  /* rows of one list held in memory; larger ones live in the store (issue B) */
#define CYCLE_CHAIN_MAX 50     /* nodes named in the message of a dependency cycle */
#define ACTION_DEPTH_MAX 16    /* value-changed actions that trigger each other */

#endif
