/* SPDX-License-Identifier: MIT */
/* The signals of the backend: those that end it, the first by a drain and the second at once, and SIGHUP. */
#ifndef WEIR_SERVER_SIGNALS_H
#define WEIR_SERVER_SIGNALS_H

/* SIGTERM, SIGINT and SIGHUP wait until somebody asks for them, and SIGPIPE is ignored; every later
 * thread inherits that. On the process's first thread, before it has others. */
void signals_block(void);

/* Sleep until one of the three comes; its number. Several SIGHUP may come as one. */
int signals_wait(void);

/* From now on SIGTERM and SIGINT end the process, even while this thread waits for the drain, and SIGHUP
 * is ignored. */
void signals_let_next_exit(void);

#endif
