/* SPDX-License-Identifier: MIT */
/* How many connections the peer takes: learned from its refusals, tried again after a growing pause. */
#include "pool/peer.h"
#include "policy/backoff.h"

#define MEMORY (60 * WEIR_SECOND)

static weir_time pause_after(unsigned refused, uint64_t random)
{
    static const weir_retry_options options = {
        .backoff_factor_ms = 100, .backoff_max_ms = 5000, .jitter = WEIR_JITTER_EQUAL};
    weir_retry_state state = {.failures = refused};

    return weir__backoff(&options, &state, random);
}

int weir__peer_limit(const struct peer *peer, weir_time now)
{
    return now - peer->refused_at < MEMORY ? peer->limit : 0;
}

bool weir__peer_allows(const struct peer *peer, int taken, weir_time now)
{
    int limit = weir__peer_limit(peer, now);

    return limit == 0 || taken < limit || now >= peer->retry_at;
}

void weir__peer_attempt(struct peer *peer, int taken, weir_time now, uint64_t random)
{
    int limit = weir__peer_limit(peer, now);

    if (limit > 0 && taken >= limit)
        peer->retry_at = now + pause_after(peer->refused + 1, random);
}

void weir__peer_refused(struct peer *peer, int open, weir_time began, weir_time now,
                        uint64_t random)
{
    bool is_known = weir__peer_limit(peer, now) > 0;

    peer->limit = open > 0 ? open : 1;
    /* Of many that were opened at once, one refusal is news. */
    if (is_known && began <= peer->refused_at)
        return;
    peer->refused = is_known ? peer->refused + 1 : 1;
    peer->refused_at = now;
    peer->retry_at = now + pause_after(peer->refused, random);
}

void weir__peer_opened(struct peer *peer, int open, int most, weir_time began, weir_time now)
{
    if (peer->limit == 0 || open <= peer->limit)
        return;
    peer->limit = open < most ? open : 0;
    /* Room that there was before the last refusal says nothing about now. */
    if (began <= peer->refused_at)
        return;
    peer->refused = 0;
    peer->retry_at = now;
}
