/*
 * What the parts of the worker share.
 */
#ifndef WORKER_H
#define WORKER_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "mail.h"
#include "outgoing.h"

struct kith_arena;
struct kith_json;

#define SECOND_US INT64_C(1000000)

/*
 * A job belongs to its worker for so long: longer than any call takes.  The
 * words are PostgreSQL's.
 */
#define WORKER_LEASE "120 seconds"

/* A mail that could not be sent for so long is of no use: its link has ended, and Resend no longer knows its key. */
#define WORKER_MAIL_MAX_S (23 * 3600)

/* How a job ended. */
struct worker_result {
	enum kith_outcome outcome;
	const char *error;	/* for the job and the log: provider, status, code; nothing of the payload */
	int64_t retry_ms;	/* not before; -1: as usual */
	int64_t pause_ms;	/* its provider wants no call at all before; -1: it does not say */
	bool fault;		/* it was the provider's */
};

/* --- the database (worker-db.c) --- */

/*
 * Runs one statement; parameters are text, NULL is null.  The result lives as
 * long as the arena.  NULL when it failed or there is no connection, which the
 * log says.
 */
const PGresult *worker_db_run(struct kith_arena *a, const char *sql, const char *const *params, int n);

/* The same again and again, for as long as a lease: for what is to be noted after something happened outside. */
const PGresult *worker_db_insist(struct kith_arena *a, const char *sql, const char *const *params, int n);

/* Parameters, and how many. */
#define WORKER_PARAMS(...) \
	(const char *const[]){ __VA_ARGS__ }, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *))

/* Waits for news of the queue, for until_us by kith_now_us(), or for a signal; signals come nowhere else. */
void worker_db_wait(int64_t until_us);

/* A column of the first row that is a whole number. */
long worker_db_number(const PGresult *row, int column);

/*
 * The time by kith_now_us() of "in so many seconds", which PostgreSQL says as
 * text.  A moment ahead at least: what is due, and yet was not claimed, is
 * locked by somebody.
 */
int64_t worker_db_due_us(const char *seconds);

/* --- providers (worker-provider.c) --- */

/*
 * Whether somebody outside may be called.  Five faults in a row close a
 * provider for half a minute, and then one call tries whether it is well; a key
 * that it does not take closes it for minutes.  Each process keeps its own
 * account.
 */
struct worker_provider {
	const char *name;
	int64_t interval_us;	/* between two calls of a process */
	int64_t ready_us;	/* no call before */
	int faults;		/* in a row */
};

/* Notes a call that begins; and how it ended, with what follows for the provider. */
void worker_provider_begin(struct worker_provider *p);
void worker_provider_end(struct worker_provider *p, const struct worker_result *result);

/* --- mail (worker-mail.c) --- */

/* Reads the settings.  0, or -1 after a line on stderr. */
int worker_mail_init(void);

/* Who carries mail; NULL: nobody does. */
struct worker_provider *worker_mail_provider(void);

/* Hands a mail over; mail->key is what the provider knows it by.  *id is what the provider calls it, or NULL. */
void worker_mail_send(struct kith_arena *a, const struct kith_mail *mail, const char *log_id, int attempt,
    struct worker_result *result, const char **id);

/* --- what there is to do --- */

/* A job in hand. */
struct worker_job {
	const char *id;
	const char *attempt_text;
	int attempt;
	const char *kind;
	const char *key;
	const struct kith_json *payload;
	int64_t age_s;
};

/* Kind mail: {"template","to","data"}, or {"mail"} once it is made (worker-mail.c). */
void worker_do_mail(struct kith_arena *a, const struct worker_job *job, struct worker_result *result);

/* Kind delete_files: {"paths","before"}, of files that nobody needs any more (worker-files.c). */
void worker_do_delete_files(struct kith_arena *a, const struct worker_job *job, struct worker_result *result);

/* Kind probe_recording: {"table","id"}, a clip or voice message that is listened to (worker-media.c). */
void worker_do_probe_recording(struct kith_arena *a, const struct worker_job *job, struct worker_result *result);

/* Kind reconcile_subscription: {"provider","subscription_id"}: fetched, and applied (worker-billing.c). */
void worker_do_reconcile_subscription(struct kith_arena *a, const struct worker_job *job, struct worker_result *result);

/* Kind cancel_subscription: {"provider","subscription_id"}, of somebody who is gone. */
void worker_do_cancel_subscription(struct kith_arena *a, const struct worker_job *job, struct worker_result *result);

/* Reads the settings.  0, or -1 after a line on stderr. */
int worker_billing_init(void);

/* Once a minute: queues the subscriptions that should be fetched, or ends what has ended where nobody can be asked. */
void worker_billing_round(void);

/* What these need: files, who listens, who is paid.  NULL: not there. */
struct worker_provider *worker_files_provider(void);
struct worker_provider *worker_media_provider(void);
struct worker_provider *worker_billing_provider(void);

/* Fills subject, text and html of a mail from a template and its values.  Returns NULL, or why that cannot be done. */
const char *worker_template_fill(
    struct kith_arena *a, const char *name, const struct kith_json *data, struct kith_mail *mail);

/* Slow jobs take seconds: somebody may sit and wait for what is behind them. */
enum { WORKER_QUICK = 1, WORKER_SLOW = 2 };

/* The next job of these, or scheduled mail, or step of sweeping files.  True when there was one. */
bool worker_jobs_work(int how_quick);
bool worker_messages_work(void);
bool worker_files_sweep(void);

/* When there may be one next, by kith_now_us(); INT64_MAX: never, as far as we know. */
int64_t worker_jobs_next_us(void);
int64_t worker_messages_next_us(void);
int64_t worker_files_next_us(void);

#endif
