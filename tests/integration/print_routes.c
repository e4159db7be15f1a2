/* SPDX-License-Identifier: MIT */
/* Prints the routes that the server registers, a method and a pattern on each line. */
#include <stdio.h>

#include "api/routes.h"

int main(void)
{
    struct http_route routes[ROUTES_MAX];
    struct app app = {0};
    size_t count = routes_fill(&app, routes);

    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", routes[i].method, routes[i].pattern);
    return 0;
}
