/* SPDX-License-Identifier: MIT */
/* Static probes (USDT) for bpftrace, perf and SystemTap: a no-op instruction each, until somebody attaches. */
#ifndef WEIR_PROBES_H
#define WEIR_PROBES_H

/*
 * The provider is `weir`; docs/monitoring/probes.md lists the probes and their arguments. A probe's
 * arguments are read by whoever traces, at that instruction: what they point to must still be there.
 * They are numbers and terminated strings, and never anything secret.
 */
#ifdef WEIR_WITH_PROBES
#include <sys/sdt.h>
#define WEIR_PROBE1(name, a) STAP_PROBE1(weir, name, a)
#define WEIR_PROBE2(name, a, b) STAP_PROBE2(weir, name, a, b)
#define WEIR_PROBE3(name, a, b, c) STAP_PROBE3(weir, name, a, b, c)
#else
#define WEIR_PROBE1(name, a) ((void)(a))
#define WEIR_PROBE2(name, a, b) ((void)(a), (void)(b))
#define WEIR_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
