/* Question types: what control and data type each becomes, and its spellings.
 */
#include "forms/xlsform_impl.h"

#define PRELOAD(kind, params) {{"jr:preload", kind}, {"jr:preloadParams", params}}, true, NULL
#define PLAIN {{NULL, NULL}, {NULL, NULL}}, false, NULL
#define READONLY {{"readonly", "true()"}, {NULL, NULL}}, true, NULL

static const struct xl_type types[] = {
    {"text", "input", "string", NULL, PLAIN},
    {"string", "input", "string", NULL, PLAIN},
    {"q string", "input", "string", NULL, PLAIN},
    {"add text prompt", "input", "string", NULL, PLAIN},
    {"integer", "input", "int", NULL, PLAIN},
    {"int", "input", "int", NULL, PLAIN},
    {"q int", "input", "int", NULL, PLAIN},
    {"add integer prompt", "input", "int", NULL, PLAIN},
    {"decimal", "input", "decimal", NULL, PLAIN},
    {"q decimal", "input", "decimal", NULL, PLAIN},
    {"add decimal prompt", "input", "decimal", NULL, PLAIN},
    {"date", "input", "date", NULL, PLAIN},
    {"q date", "input", "date", NULL, PLAIN},
    {"add date prompt", "input", "date", NULL, PLAIN},
    {"time", "input", "time", NULL, PLAIN},
    {"dateTime", "input", "dateTime", NULL, PLAIN},
    {"datetime", "input", "dateTime", NULL, PLAIN},
    {"date time", "input", "dateTime", NULL, PLAIN},
    {"q dateTime", "input", "dateTime", NULL, PLAIN},
    {"q date time", "input", "dateTime", NULL, PLAIN},
    {"add dateTime prompt", "input", "dateTime", NULL, PLAIN},
    {"add date time prompt", "input", "dateTime", NULL, PLAIN},
    {"note", "input", "string", NULL, READONLY},
    {"q note", "input", "string", NULL, READONLY},
    {"add note prompt", "input", "string", NULL, READONLY},
    {"barcode", "input", "barcode", NULL, PLAIN},
    {"q barcode", "input", "barcode", NULL, PLAIN},
    {"add barcode prompt", "input", "barcode", NULL, PLAIN},
    {"geopoint", "input", "geopoint", NULL, PLAIN},
    {"gps", "input", "geopoint", NULL, PLAIN},
    {"location", "input", "geopoint", NULL, PLAIN},
    {"q geopoint", "input", "geopoint", NULL, PLAIN},
    {"q location", "input", "geopoint", NULL, PLAIN},
    {"add location prompt", "input", "geopoint", NULL, PLAIN},
    {"geotrace", "input", "geotrace", NULL, PLAIN},
    {"geoshape", "input", "geoshape", NULL, PLAIN},
    {"acknowledge", "trigger", "string", NULL, PLAIN},
    {"q acknowledge", "trigger", "string", NULL, PLAIN},
    {"add acknowledge prompt", "trigger", "string", NULL, PLAIN},
    {"trigger", "trigger", NULL, NULL, PLAIN},
    {"photo", "upload", "binary", "image/*", PLAIN},
    {"image", "upload", "binary", "image/*", PLAIN},
    {"q image", "upload", "binary", "image/*", PLAIN},
    {"q picture", "upload", "binary", "image/*", PLAIN},
    {"add image prompt", "upload", "binary", "image/*", PLAIN},
    {"audio", "upload", "binary", "audio/*", PLAIN},
    {"q audio", "upload", "binary", "audio/*", PLAIN},
    {"add audio prompt", "upload", "binary", "audio/*", PLAIN},
    {"video", "upload", "binary", "video/*", PLAIN},
    {"q video", "upload", "binary", "video/*", PLAIN},
    {"add video prompt", "upload", "binary", "video/*", PLAIN},
    {"file", "upload", "binary", "application/*", PLAIN},
    {"add file prompt", "upload", "binary", "application/*", PLAIN},
    {"osm", "upload", "binary", "osm/*", PLAIN},
    {"select one", "select1", "string", NULL, PLAIN},
    {"select all that apply", "select", "string", NULL, PLAIN},
    {"select one external", "input", "string", NULL, PLAIN},
    {"rank", "odk:rank", "odk:rank", NULL, PLAIN},
    {"range", "range", "int", NULL, PLAIN},
    {"calculate", NULL, "string", NULL, PLAIN},
    {"q calculate", NULL, "string", NULL, PLAIN},
    {"add calculate prompt", NULL, "string", NULL, PLAIN},
    {"hidden", NULL, "string", NULL, PLAIN},
    {"audit", NULL, "binary", NULL, PLAIN},
    {"background-audio", NULL, "binary", NULL, PLAIN},
    {"start-geopoint", NULL, "geopoint", NULL, PLAIN},
    {"background-geopoint", NULL, "geopoint", NULL, PLAIN},
    {"xml-external", NULL, NULL, NULL, PLAIN},
    {"csv-external", NULL, NULL, NULL, PLAIN},
    {"percentage", "input", "int", NULL, {{"constraint", "0 <= . and . <= 100"}, {NULL, NULL}}, false, NULL},
    {"phone number",
     "input",
     "string",
     NULL,
     {{"constraint", "regex(., '^\\d*$')"}, {NULL, NULL}},
     false,
     "Enter numbers only."},
    {"number of days in last month",
     "input",
     "int",
     NULL,
     {{"constraint", "0 <= . and . <= 31"}, {NULL, NULL}},
     false,
     "Enter a number 0-31."},
    {"number of days in last six months",
     "input",
     "int",
     NULL,
     {{"constraint", "0 <= . and . <= 183"}, {NULL, NULL}},
     false,
     "Enter a number 0-183."},
    {"number of days in last year",
     "input",
     "int",
     NULL,
     {{"constraint", "0 <= . and . <= 365"}, {NULL, NULL}},
     false,
     "Enter a number 0-365."},
    {"start", NULL, "dateTime", NULL, PRELOAD("timestamp", "start")},
    {"start time", NULL, "dateTime", NULL, PRELOAD("timestamp", "start")},
    {"get start time", NULL, "dateTime", NULL, PRELOAD("timestamp", "start")},
    {"end", NULL, "dateTime", NULL, PRELOAD("timestamp", "end")},
    {"end time", NULL, "dateTime", NULL, PRELOAD("timestamp", "end")},
    {"get end time", NULL, "dateTime", NULL, PRELOAD("timestamp", "end")},
    {"today", NULL, "date", NULL, PRELOAD("date", "today")},
    {"get today", NULL, "date", NULL, PRELOAD("date", "today")},
    {"deviceid", NULL, "string", NULL, PRELOAD("property", "deviceid")},
    {"device id", NULL, "string", NULL, PRELOAD("property", "deviceid")},
    {"get device id", NULL, "string", NULL, PRELOAD("property", "deviceid")},
    {"imei", NULL, "string", NULL, PRELOAD("property", "deviceid")},
    {"subscriberid", NULL, "string", NULL, PRELOAD("property", "subscriberid")},
    {"subscriber id", NULL, "string", NULL, PRELOAD("property", "subscriberid")},
    {"get subscriber id", NULL, "string", NULL, PRELOAD("property", "subscriberid")},
    {"simserial", NULL, "string", NULL, PRELOAD("property", "simserial")},
    {"sim id", NULL, "string", NULL, PRELOAD("property", "simserial")},
    {"get sim id", NULL, "string", NULL, PRELOAD("property", "simserial")},
    {"phonenumber", NULL, "string", NULL, PRELOAD("property", "phonenumber")},
    {"get phone number", NULL, "string", NULL, PRELOAD("property", "phonenumber")},
    {"username", NULL, "string", NULL, PRELOAD("property", "username")},
    {"email", NULL, "string", NULL, PRELOAD("property", "email")},
    {"uri:deviceid", NULL, "string", NULL, PRELOAD("property", "uri:deviceid")},
    {"uri:subscriberid", NULL, "string", NULL, PRELOAD("property", "uri:subscriberid")},
    {"uri:simserial", NULL, "string", NULL, PRELOAD("property", "uri:simserial")},
    {"uri:phonenumber", NULL, "string", NULL, PRELOAD("property", "uri:phonenumber")},
    {"uri:username", NULL, "string", NULL, PRELOAD("property", "uri:username")},
    {"uri:email", NULL, "string", NULL, PRELOAD("property", "uri:email")},
};

static const char *const aliases[][2] = {
    {"image", "photo"},
    {"add image prompt", "photo"},
    {"add photo prompt", "photo"},
    {"add audio prompt", "audio"},
    {"add video prompt", "video"},
    {"add file prompt", "file"},
    {"imei", "deviceid"},
};

/* What SurveyCTO adds to the language, and how the same is had here. */
static const char *const foreign[][2] = {
    {"text audit", "use a row of type audit: it records the time at every question"},
    {"audio audit", "use background-audio"},
    {"speed violations count", "use a row of type audit and compare times afterwards"},
    {"speed violations list", "use a row of type audit and compare times afterwards"},
    {"speed violations audit", "use a row of type audit"},
    {"sensor_statistic", "there is no equivalent; remove the row"},
    {"sensor_stream", "there is no equivalent; remove the row"},
    {"comments", "comments belong to every question here; remove the row"},
    {"caseid", "cases are assigned by the centre; use a hidden field, or remove the row"},
    {"enumerator", "the person who signed in is recorded; use username"},
    {"calculate_here", "use calculate with a trigger"},
    {"begin include", "copy the rows into this sheet"},
};

/* Functions of the same product; names end at the bracket. */
static const char *const foreign_calls[][2] = {
    {"duration(", "use a row of type audit, or the difference of two date-times"},
    {"device-info(", "use a row of type deviceid"},
    {"username-from-email(", "use substring-before(${email}, '@')"},
    {"rank-index(", "use selected-at()"},
    {"choice-label(", "use jr:choice-name()"},
    {"item-at(", "use selected-at()"},
    {"index(", "use position(..)"},
    {"rept-index(", "use position(..)"},
    {"count-if(", "use count() of a path with a condition in brackets"},
    {"sum-if(", "use sum() of a path with a condition in brackets"},
    {"min-if(", "use min() of a path with a condition in brackets"},
    {"max-if(", "use max() of a path with a condition in brackets"},
    {"join-if(", "use join() of a path with a condition in brackets"},
    {"distance-between(", "use distance()"},
    {"empty(", "compare with '' instead"},
    {"phone-call-log(", "there is no equivalent"},
};

const char *xl_foreign_call(struct str expression, struct str *call_out)
{
    for (size_t i = 0; i < sizeof(foreign_calls) / sizeof(*foreign_calls); i++) {
        struct str call = str_of(foreign_calls[i][0]);
        ptrdiff_t at = str_find(expression, call);
        bool whole = at == 0 || (at > 0 && !memchr("-_.", expression.p[at - 1], 3) &&
                                 !((expression.p[at - 1] | 32) >= 'a' && (expression.p[at - 1] | 32) <= 'z'));
        if (whole) {
            *call_out = str_sub(call, 0, call.n - 1);
            return foreign_calls[i][1];
        }
    }
    return NULL;
}

const struct xl_type *xl_type_named(struct str name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (str_eq_z(name, types[i].name))
            return &types[i];
    return NULL;
}

struct str xl_type_alias(struct str name)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
        if (str_eq_z(name, aliases[i][0]))
            return str_of(aliases[i][1]);
    return name;
}

struct str xl_type_nearest(struct str name)
{
    uint32_t best = 3;
    struct str found = STR("");
    static const char *const more[] = {"select_one",   "select_multiple", "begin_group", "end_group",
                                       "begin_repeat", "end_repeat",      "image"};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types) + sizeof(more) / sizeof(*more); i++) {
        size_t t = sizeof(types) / sizeof(*types);
        struct str candidate = str_of(i < t ? types[i].name : more[i - t]);
        uint32_t distance = xl_distance(name, candidate);
        if (distance < best && distance < candidate.n / 2 + 1) {
            best = distance;
            found = candidate;
        }
    }
    return found;
}

const char *xl_type_foreign(struct str name)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
        if (str_eq_nocase(name, str_of(foreign[i][0])))
            return foreign[i][1];
    return NULL;
}
