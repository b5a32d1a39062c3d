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
    {HTTP_GET,  "/files/*",         AUTH_SESSION, screen_file,            ROLES_ALL},
};
/* clang-format on */
const struct route_table screen_routes = {routes, sizeof routes / sizeof routes[0]};
