/* SPDX-License-Identifier: MIT */
/* Where a database is, for people: the host and the name that stand in its URL. */
#ifndef WEIR_SERVER_DATABASE_PLACE_H
#define WEIR_SERVER_DATABASE_PLACE_H

struct database_place {
    char host
        [256]; /* "db.example:5432", several with commas, a socket's directory; "": none is named */
    char name[256]; /* a database's name, a file's path, ":memory:"; "": none is named */
};

/* Read them from a URL as weir_db_url() gives it; neither user nor options are among them. What is too
 * long is cut, what is not UTF-8 left out. */
void database_place_read(const char *url, struct database_place *ret_place);

#endif
