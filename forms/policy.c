/* What a form says about values of one answer that meet: the bind attribute ds:policy, or what the answer is.
 */
#include "forms/form.h"

static const char *const names[FORM_POLICIES] = {
    [FORM_KEEP] = "keep",           [FORM_REVIEW] = "review", [FORM_UNION] = "union",
    [FORM_IMMUTABLE] = "immutable", [FORM_VISIT] = "visit",
};

bool form_field_policy(const struct form *f, uint32_t number, enum form_policy *out)
{
    const struct form_field *field = form_field(f, number);
    struct str name = form_field_extra(f, number, FORM_NS_DOORSTEP, "policy");
    *out = field->fresh || field->calculated ? FORM_VISIT : FORM_KEEP;
    for (int i = 0; name.n && i < FORM_POLICIES; i++) {
        if (!str_eq_z(name, names[i]))
            continue;
        *out = (enum form_policy)i;
        return true;
    }
    return name.n == 0;
}

unsigned char *form_policies(struct arena *a, const struct form *f)
{
    uint32_t count = form_field_count(f);
    unsigned char *out = ARENA_ARRAY(a, unsigned char, (size_t)count + 1);
    for (uint32_t i = 0; out && i < count; i++) {
        enum form_policy policy;
        (void)form_field_policy(f, i, &policy);
        out[i] = (unsigned char)policy;
    }
    return out;
}
