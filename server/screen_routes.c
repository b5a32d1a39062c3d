/* The addresses of the screens: one row each, and the page says itself who may see it (roles.h). */
#include "server/screens.h"
#include "server/web.h"

/* clang-format off */
static const struct route routes[] = {
    {HTTP_GET,  "/",                AUTH_SESSION, screen_overview,        ROLES_ALL},
    {HTTP_GET,  "/login",           AUTH_PAGE,    screen_login,           0},
    {HTTP_POST, "/preferences",     AUTH_PAGE,    screen_preferences,     0},
    {HTTP_GET,  "/web/*",           AUTH_NONE,    web_get,                0},
    {HTTP_GET,  "/households",      AUTH_SESSION, screen_households,      ROLES_ALL},
    {HTTP_GET,  "/households.json", AUTH_SESSION, screen_households_json, ROLES_ALL},
    {HTTP_GET,  "/households/*",    AUTH_SESSION, screen_household,       ROLES_ALL},
    {HTTP_POST, "/households/*",    AUTH_SESSION, screen_household_post,  ROLES_ALL},
    {HTTP_GET,  "/work",            AUTH_SESSION, screen_work,            ROLES_ALL},
    {HTTP_POST, "/work",            AUTH_SESSION, screen_work_post,       ROLES_ALL},
    {HTTP_GET,  "/conflicts",       AUTH_SESSION, screen_conflicts,       ROLES_ALL},
    {HTTP_POST, "/conflicts",       AUTH_SESSION, screen_conflicts_post,  ROLES_ALL},
    {HTTP_GET,  "/leads",           AUTH_SESSION, screen_leads,           ROLES_ALL},
    {HTTP_POST, "/leads",           AUTH_SESSION, screen_leads_post,      ROLES_ALL},
    {HTTP_GET,  "/report",          AUTH_PAGE,    screen_report,          0},
    {HTTP_POST, "/report",          AUTH_PAGE,    screen_report_post,     0},
    {HTTP_GET,  "/devices",         AUTH_SESSION, screen_devices,         ROLES_ALL},
    {HTTP_POST, "/devices",         AUTH_SESSION, screen_devices_post,    ROLES_ALL},
    {HTTP_GET,  "/people",          AUTH_SESSION, screen_people,          ROLES_ALL},
    {HTTP_POST, "/people",          AUTH_SESSION, screen_people_post,     ROLES_ALL},
    {HTTP_GET,  "/audit",           AUTH_SESSION, screen_audit,           ROLES_ALL},
    {HTTP_GET,  "/import",          AUTH_SESSION, screen_import,          ROLES_ALL},
    {HTTP_POST, "/import",          AUTH_SESSION, screen_import_post,     ROLES_ALL},
    {HTTP_GET,  "/export",          AUTH_SESSION, screen_export,          ROLES_ALL},
    {HTTP_POST, "/export",          AUTH_SESSION, screen_export_post,     ROLES_ALL},
    {HTTP_GET,  "/publish",         AUTH_SESSION, screen_publish,         ROLES_ALL},
    {HTTP_POST, "/publish",         AUTH_SESSION, screen_publish_post,    ROLES_ALL},
    {HTTP_GET,  "/map",             AUTH_SESSION, screen_map,             ROLES_ALL},
    {HTTP_GET,  "/print/card/*",    AUTH_SESSION, screen_card,            ROLES_ALL},
    {HTTP_GET,  "/print/notice",    AUTH_SESSION, screen_notice,          ROLES_ALL},
    {HTTP_GET,  "/files/*",         AUTH_SESSION, screen_file,            ROLES_ALL},
};
/* clang-format on */
const struct route_table screen_routes = {routes, sizeof routes / sizeof routes[0]};
