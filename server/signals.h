/* SPDX-License-Identifier: MIT */
/* The signals that end the backend: the first drains it, the second ends it at once. */
#ifndef WEIR_SERVER_SIGNALS_H
#define WEIR_SERVER_SIGNALS_H

/* SIGTERM, SIGINT and SIGHUP wait until somebody asks for them, and SIGPIPE is ignored; every later
 * thread inherits that. On the process's first thread, before it has others. */
void signals_block(void);

/* Sleep until one of the three comes; its number. */
int signals_wait(void);

/* From now on they end the process, even while this thread waits for the drain. */
void signals_let_next_exit(void);

#endif
