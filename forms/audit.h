/* The log of an interview (paradata): what was shown when, how long, what was changed. It exists only where
 * the form asks for it (a meta/audit node). The host says what happens; rows come out that it keeps with the
 * interview and writes as ODK's audit.csv. Times are the host's clock in milliseconds since 1970 UTC.
 *
 * A view (a question, a screen of several, the prompt for another entry, the end, the overview) has a
 * beginning and an end; saying again that the same view is shown changes nothing. Everything else is a
 * moment. Rows stand in the order in which they began, and none is given out while one before it still lasts.
 */
#ifndef DOORSTEP_FORMS_AUDIT_H
#define DOORSTEP_FORMS_AUDIT_H

#include "forms/session.h"

enum audit_event {
    AUDIT_QUESTION,
    AUDIT_GROUP,
    AUDIT_ADD_REPEAT,
    AUDIT_END,
    AUDIT_JUMP, /* the overview is open; the last of the views */
    AUDIT_FORM_START,
    AUDIT_FORM_RESUME,
    AUDIT_FORM_EXIT,
    AUDIT_FORM_SAVE,
    AUDIT_FORM_FINALIZE,
    AUDIT_DELETE_REPEAT,
    AUDIT_SAVE_ERROR,
    AUDIT_FINALIZE_ERROR,
    AUDIT_CONSTRAINT_ERROR,
    AUDIT_CHANGE_REASON,
    AUDIT_BACKGROUND_AUDIO_ENABLED,
    AUDIT_BACKGROUND_AUDIO_DISABLED,
    AUDIT_LOCATION_TRACKING_ENABLED, /* from here on: only where the form wants positions */
    AUDIT_LOCATION_TRACKING_DISABLED,
    AUDIT_LOCATION_PERMISSIONS_GRANTED,
    AUDIT_LOCATION_PERMISSIONS_NOT_GRANTED,
    AUDIT_LOCATION_PROVIDERS_ENABLED,
    AUDIT_LOCATION_PROVIDERS_DISABLED,
    AUDIT_EVENTS
};

/* What the form wants logged. */
struct audit_settings {
    bool on;
    bool location; /* priority, interval and age are all given */
    struct str location_priority;
    uint32_t location_interval_s, location_age_s;
    bool track_changes;
    bool identify_user;  /* the host asks who is there and says it before the first row */
    bool change_reasons; /* the host asks why a sent interview is edited */
};
const struct audit_settings *form_audit(const struct form *f);

struct audit_row {
    enum audit_event event;
    struct str node;          /* path with positions on repeats, "" = the whole form */
    int64_t start_ms, end_ms; /* end 0 = a moment */
    struct str latitude, longitude, accuracy;
    struct str old_value, new_value;
    struct str user, reason;
};

struct audit; /* of one session; NULL when the form wants no log, which every function below accepts */
enum err audit_open(struct arena *a, struct session *s, struct audit **audit_out, struct diag *d) MUST_USE;
void audit_close(struct audit *audit);

void audit_user(struct audit *audit, struct str user);
/* A moment. `at` may be NULL. A view that lasts is ended by FORM_EXIT, by nothing else. */
void audit_moment(struct audit *audit, enum audit_event event, const struct place *at);
/* Why a sent interview is being changed. */
void audit_reason(struct audit *audit, struct str reason);
/* The screen shows the session's current stop. */
void audit_view(struct audit *audit);
void audit_jump(struct audit *audit);
void audit_leave(struct audit *audit); /* shows nothing any more */
/* A position; a row takes the most accurate one that is not too old. */
void audit_position(struct audit *audit, double latitude, double longitude, double accuracy_m, int64_t at_ms);

/* Rows that are complete, until the clear. ERR_NOMEM when some were lost. */
enum err audit_rows(struct audit *audit, const struct audit_row **rows_out, uint32_t *count_out,
                    struct diag *d) MUST_USE;
void audit_rows_clear(struct audit *audit);
/* Puts the name of the log's file into the interview (meta/audit), before it is finalised. */
enum err audit_attach(struct audit *audit, struct str file_name, struct diag *d) MUST_USE;

/* audit.csv: one header, then a line per row. */
void audit_csv_header(const struct audit_settings *settings, struct buf *out);
void audit_csv_row(const struct audit_settings *settings, const struct audit_row *row, struct buf *out);
const char *audit_event_name(enum audit_event event);

#endif
