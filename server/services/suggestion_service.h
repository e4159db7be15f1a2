/* SPDX-License-Identifier: MIT */
/* SuggestionService: what users propose, kept until a moderator decides. */
#ifndef WEIR_SERVER_SUGGESTION_SERVICE_H
#define WEIR_SERVER_SUGGESTION_SERVICE_H

#include "managers/managed_db.h"

/* One kind of suggestion and its table. */
struct suggestion_kind {
    const char *name;      /* in paths: "court-decisions"; "generic" has no path of its own */
    const char *table;     /* "suggestions_court_decisions" */
    const char *category;  /* stored in the payload: "court_decision"; NULL for generic ones */
    bool is_case_analyzer; /* the payload is in column `data`, beside columns of its own */
};

/* By the name in paths; NULL when there is none. */
const struct suggestion_kind *suggestion_kind_find(const char *name);

/* The kind without a path of its own. */
const struct suggestion_kind *suggestion_kind_generic(void);

/* Their tables, NULL-terminated, so that nobody reads suggestions where only data is meant. */
const char *const *suggestion_tables(void);

/* The members of a payload that only moderation sets. */
#define SUGGESTION_RESERVED_COUNT 4
extern const char *const suggestion_reserved[SUGGESTION_RESERVED_COUNT];

/*
 * A service works on SuggestionsDBManager. It makes its tables when they are missing, at its first
 * use or by suggestions_prepare(), and never alters one that is there. Threads: any, for all
 * functions but open and close.
 */
struct suggestion_service;

/*
 * Open a service. `url` (else `main_url`), if not NULL, initializes the manager, unless it is
 * initialized already.
 *
 * Errors: as managed_db_initialize() except WEIR_ALREADY.
 */
WEIR_MUST_CHECK weir_status suggestion_service_open(const char *url, const char *main_url,
                                                    struct suggestion_service **ret_service,
                                                    weir_error *reterr);
void suggestion_service_close(struct suggestion_service *service);

/* Make the tables that are missing; does nothing when that was done. */
WEIR_MUST_CHECK weir_status suggestions_prepare(struct suggestion_service *service,
                                                weir_time deadline, weir_error *reterr);

/* What is stored of one suggestion. `payload` is the text of a JSON object, checked by
 * json_text_parse(); the others may be NULL. */
struct suggestion {
    const char *payload;
    const char *client_ip; /* at most 64 characters */
    const char *user_agent;
    const char *source;    /* at most 256 characters */
    const char *token_sub; /* the `sub` of a valid token */
    /* Of case_analyzer only. */
    const char *username;
    const char *user_email;
    const char *model;
    const char *case_citation;
};

/*
 * Store a suggestion. When it returns WEIR_OK, the row is committed. It is not retried after a lost
 * connection, since it may have been stored.
 *
 * Errors: as managed_db_query(); WEIR_QUERY with an SQLSTATE of class 22 when the database cannot
 *         hold a value (a number beyond what jsonb takes).
 */
WEIR_MUST_CHECK weir_status suggestions_save(struct suggestion_service *service,
                                             const struct suggestion_kind *kind,
                                             const struct suggestion *suggestion,
                                             weir_time deadline, int64_t *ret_id,
                                             weir_error *reterr);

/* Those without a moderation_status (null counts as none), newest first, as a JSON array of
 * {id, created_at, payload, client_ip, user_agent, source, token_sub}, for case_analyzer also
 * username, user_email, model, case_citation. The caller frees *ret_text. `ret_is_utf8` as in
 * database_service.h. */
WEIR_MUST_CHECK weir_status suggestions_list_pending(struct suggestion_service *service,
                                                     const struct suggestion_kind *kind,
                                                     int64_t limit, weir_time deadline,
                                                     char **ret_text, bool *ret_is_utf8,
                                                     weir_error *reterr);

/* A moderator's decision. `note` may be NULL (stored as ""); `merged_id` is JSON text, NULL for
 * none (stored as null). */
struct suggestion_verdict {
    const char *status; /* "approved" or "rejected" */
    const char *moderator;
    const char *note;
    const char *merged_id;
};

/*
 * Set moderation_status, moderated_by, moderation_note and merged_record_id of a payload, all four in
 * one statement, the rest of the payload untouched. Of two moderators at once the later one's four
 * values stand, whole; nothing that suggestions_update_payload() writes meanwhile is lost.
 *
 * Errors: WEIR_INVALID for another status, WEIR_NOT_FOUND for an unknown id; as managed_db_query().
 */
WEIR_MUST_CHECK weir_status suggestions_mark_status(struct suggestion_service *service,
                                                    const struct suggestion_kind *kind, int64_t id,
                                                    const struct suggestion_verdict *verdict,
                                                    weir_time deadline, weir_error *reterr);

/*
 * Replace a payload, keeping the four members that moderation set; for case_analyzer, lay the new
 * members over the stored ones. In one transaction that locks the row.
 *
 * Errors: WEIR_NOT_FOUND for an unknown id; as managed_db_query().
 */
WEIR_MUST_CHECK weir_status suggestions_update_payload(struct suggestion_service *service,
                                                       const struct suggestion_kind *kind,
                                                       int64_t id, const char *payload,
                                                       weir_time deadline, weir_error *reterr);

#endif
