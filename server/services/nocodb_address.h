/* SPDX-License-Identifier: MIT */
/* The base URL of a NocoDB: which of its APIs it names, and whether rows can be there at all. */
#ifndef WEIR_SERVER_NOCODB_ADDRESS_H
#define WEIR_SERVER_NOCODB_ADDRESS_H

#include <stdbool.h>

#include <weir/base.h>

/* NOCODB_API_OTHER: rows below a path of somebody's own, as behind a proxy. */
enum nocodb_api { NOCODB_API_OTHER, NOCODB_API_V1, NOCODB_API_V2, NOCODB_API_V3 };

struct nocodb_address {
    enum nocodb_api api;
    char *base_url; /* to which a table is added; without slashes at its end */
    char *root; /* what stands before NocoDB's own paths, as http://host or http://host/nocodb; for
                       NOCODB_API_OTHER the origin */
    char *base_id; /* of v1 and v3, as it stands in the URL; else NULL */
};

/*
 * Read a base URL as it was configured. The origin alone, or with /api/v2, stands for
 * {origin}/api/v2/tables; slashes at the end do not count. Whether the HTTP library takes the URL is not
 * asked here.
 *
 * Errors: WEIR_INVALID "NocoDB base URL not configured" for an empty or NULL URL; for one below which no
 *         rows can be, why, and how it must end; WEIR_NO_MEMORY. No text repeats more of the URL than its
 *         path.
 */
WEIR_MUST_CHECK weir_status nocodb_address_read(const char *url, struct nocodb_address *ret_address,
                                                weir_error *reterr);
void nocodb_address_clear(struct nocodb_address *address);

#endif
