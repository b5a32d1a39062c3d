/* See roles.h: act by act, what each role may. */
#include "server/roles.h"

#include "server/parts.h"

/* What a cell says: never; in the person's own area; wherever it is asked. */
enum { N, A, Y };

/* clang-format off */
static const struct { const char *name; unsigned char of[ROLE_ADMIN + 1]; } table[ACT_COUNT] = {
    /* -, household, enumerator, cadre, supervisor, county, department, analyst, admin */
    [ACT_NONE]                = {"",                    {N, N, N, N, N, N, N, N, N}},
    [ACT_SEE_TOTALS]          = {"see-totals",          {N, N, N, A, A, A, A, A, A}},
    [ACT_SEE_HOUSEHOLDS]      = {"see-households",      {N, N, A, A, A, A, N, N, A}},
    [ACT_SEE_ID_NUMBERS]      = {"see-id-numbers",      {N, N, N, N, A, A, N, N, N}},
    [ACT_REPORT_LEAD]         = {"report-lead",         {N, A, N, A, A, A, A, N, N}},
    [ACT_STEP_LEAD]           = {"step-lead",           {N, N, N, A, A, A, N, N, N}},
    [ACT_ASSIGN]              = {"assign",              {N, N, N, N, A, A, N, N, N}},
    [ACT_RESOLVE]             = {"resolve",             {N, N, N, N, A, A, N, N, N}},
    [ACT_REVIEW_VILLAGE]      = {"review-village",      {N, N, N, A, A, A, N, N, N}},
    [ACT_REVIEW_TOWNSHIP]     = {"review-township",     {N, N, N, N, A, A, N, N, N}},
    [ACT_REVIEW_COUNTY]       = {"review-county",       {N, N, N, N, N, A, N, N, N}},
    [ACT_REMOVE_RISK]         = {"remove-risk",         {N, N, N, N, N, A, N, N, N}},
    [ACT_CHANGE_HOUSEHOLDS]   = {"change-households",   {N, N, N, N, A, A, N, N, N}},
    [ACT_IMPORT_HOUSEHOLDS]   = {"import-households",   {N, N, N, N, N, A, N, N, A}},
    [ACT_IMPORT_DEPARTMENTS]  = {"import-departments",  {N, N, N, N, N, A, A, N, N}},
    [ACT_EXPORT]              = {"export",              {N, N, N, N, A, A, N, N, N}},
    [ACT_EXPORT_PUBLIC]       = {"export-public",       {N, N, N, N, A, A, A, A, A}},
    [ACT_ERASE]               = {"erase",               {N, N, N, N, N, A, N, N, N}},
    [ACT_RELEASE]             = {"release",             {N, N, N, N, N, Y, N, N, Y}},
    [ACT_PUBLISH]             = {"publish",             {N, N, N, N, N, Y, N, N, Y}},
    [ACT_SEE_DEVICES]         = {"see-devices",         {N, N, N, N, A, A, N, N, A}},
    [ACT_MANAGE_DEVICES]      = {"manage-devices",      {N, N, N, N, A, A, N, N, A}},
    [ACT_SEE_PEOPLE]          = {"see-people",          {N, N, N, N, A, A, N, N, A}},
    [ACT_MANAGE_PEOPLE]       = {"manage-people",       {N, N, N, N, N, N, N, N, A}},
    [ACT_SEE_AUDIT]           = {"see-audit",           {N, N, N, N, N, Y, N, N, Y}},
};
/* clang-format on */

const char *act_name(enum act act)
{
    return (unsigned)act < ACT_COUNT ? table[act].name : "";
}

static unsigned char cell(uint8_t role, enum act act)
{
    return role >= 1 && role <= ROLE_ADMIN && (unsigned)act < ACT_COUNT ? table[act].of[role] : N;
}

bool may_anywhere(uint8_t role, enum act act)
{
    return cell(role, act) != N;
}

bool may(const struct person *p, enum act act, struct str area)
{
    switch (cell(p->role, act)) {
    case Y: return true;
    case A: return str_starts(area.p ? area : STR(""), p->area.p ? p->area : STR(""));
    default: return false;
    }
}
