#include "ledger/verdict_hits.h"

static bool
verdict_hits_wanted(const struct verdict_context *ctx,
    const struct verdict_key *k, const struct limits *limits, size_t i)
{
	const struct settings	*s = ctx->settings;
	size_t			 j;

	if (!k->charge.report)
		return false;
	if (limits == &k->charge.limits)
		return (k->charge.reported >> i & 1) != 0;
	for (j = 0; j < s->nreport_limits; j++)
		if (s->report_limits[j] == limits->list[i].seconds)
			return true;
	return false;
}

void
verdict_hits_full(struct verdict_context *ctx, const struct verdict_key *k,
    const struct limits *limits, size_t i)
{
	if (!verdict_hits_wanted(ctx, k, limits, i))
		return;
	ctx->hits[ctx->nhits].key = k;
	ctx->hits[ctx->nhits++].seconds = limits->list[i].seconds;
}

void
verdict_hits_mail(struct verdict_context *ctx, const struct verdict_key *k)
{
	if (!k->charge.report)
		return;
	ctx->hits[ctx->nhits].key = k;
	ctx->hits[ctx->nhits++].seconds = 0;
}

void
verdict_hits_near(struct verdict_context *ctx, const struct verdict_key *k,
    const struct limits *limits, size_t i)
{
	if (ctx->nnear == sizeof(ctx->near) / sizeof(ctx->near[0]) ||
	    !verdict_hits_wanted(ctx, k, limits, i))
		return;
	ctx->near[ctx->nnear].key = k;
	ctx->near[ctx->nnear++].seconds = limits->list[i].seconds;
}

void
verdict_hits_drop_soft(struct verdict_context *ctx)
{
	const struct msg_charge_key	*key;
	size_t				 n = 0, i;

	for (i = 0; i < ctx->nhits; i++) {
		key = &ctx->hits[i].key->charge;
		if (!key->soft || key->shadow || ctx->hits[i].seconds == 0)
			ctx->hits[n++] = ctx->hits[i];
	}
	ctx->nhits = n;
}

static void
verdict_hits_add(const struct verdict_context *ctx, enum hit_kind kind,
    const struct verdict_hit *hits, size_t n)
{
	const struct msg_charge_key	*key;
	size_t				 i;

	for (i = 0; i < n; i++) {
		key = &hits[i].key->charge;
		store_hit(ctx->store, kind, key->id, key->idlen,
		    hits[i].seconds);
	}
}

void
verdict_hits_record(const struct verdict_context *ctx)
{
	verdict_hits_add(ctx, HIT_FULL, ctx->hits, ctx->nhits);
	verdict_hits_add(ctx, HIT_NEAR, ctx->near, ctx->nnear);
}
