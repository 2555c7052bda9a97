/*
 * The commands; each returns the program's exit status.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <flagver.h>

#include "asking.h"
#include "request.h"

/* eval.c, lint.c */
int cli_flag_eval(const struct cli_request *request);
int cli_flag_explain(const struct cli_request *request);
int cli_flag_lint(const struct cli_request *request);

/* record_read.c: of flags and segments; get and history of migrations, too */
int cli_record_get(const struct cli_request *request);
int cli_record_list(const struct cli_request *request);
int cli_record_history(const struct cli_request *request);
int cli_record_diff(const struct cli_request *request);

/* record_write.c: of flags and segments; put of migrations, too */
int cli_record_put(const struct cli_request *request);
int cli_record_revert(const struct cli_request *request);
int cli_record_delete(const struct cli_request *request);

/* record_write.c: of flags alone */
int cli_flag_enable(const struct cli_request *request);
int cli_flag_disable(const struct cli_request *request);
int cli_flag_ramp(const struct cli_request *request);
int cli_flag_release(const struct cli_request *request);
int cli_flag_beta_add(const struct cli_request *request);
int cli_flag_beta_rm(const struct cli_request *request);
int cli_flag_schedule(const struct cli_request *request);

/* guard.c */
int cli_flag_guard(const struct cli_request *request);

/* record_read.c: of any phase, like cli_record_history and cli_record_diff */
int cli_version_current(const struct cli_request *request);
int cli_version_as_of(const struct cli_request *request);

/* version_read.c */
int cli_version_show(const struct cli_request *request);
int cli_version_list(const struct cli_request *request);
int cli_version_due(const struct cli_request *request);

/* version_write.c */
int cli_version_create(const struct cli_request *request);
int cli_version_record(const struct cli_request *request);
int cli_version_edit(const struct cli_request *request);
int cli_version_rebase(const struct cli_request *request);
int cli_version_submit(const struct cli_request *request);
int cli_version_return(const struct cli_request *request);
int cli_version_approve(const struct cli_request *request);
int cli_version_reject(const struct cli_request *request);
int cli_version_withdraw(const struct cli_request *request);
int cli_version_review(const struct cli_request *request);
int cli_version_revert(const struct cli_request *request);
int cli_version_remove(const struct cli_request *request);

/* version_items.c */
int cli_version_items(const struct cli_request *request);
int cli_version_decide(const struct cli_request *request);

/* phase.c */
int cli_phase_put(const struct cli_request *request);
int cli_phase_get(const struct cli_request *request);
int cli_phase_list(const struct cli_request *request);
int cli_assign(const struct cli_request *request);
int cli_assignments(const struct cli_request *request);

/* key.c */
int cli_key_list(const struct cli_request *request);
int cli_key_rotate(const struct cli_request *request);
int cli_key_fernet(const struct cli_request *request);
int cli_version_shred(const struct cli_request *request);
int cli_retain(const struct cli_request *request);

/* route.c */
int cli_route_list(const struct cli_request *request);
int cli_route_stage(const struct cli_request *request);
int cli_route_ramp(const struct cli_request *request);
int cli_route_rollback(const struct cli_request *request);
int cli_route_status(const struct cli_request *request);
int cli_route_backfill(const struct cli_request *request);
int cli_route_verify(const struct cli_request *request);

/* audit.c */
int cli_audit_log(const struct cli_request *request);
int cli_audit_keygen(const struct cli_request *request);
int cli_audit_checkpoint(const struct cli_request *request);
int cli_audit_prove(const struct cli_request *request);
int cli_audit_check(const struct cli_request *request);
int cli_audit_verify(const struct cli_request *request);

/* dataset.c, dataset_audit.c */
int cli_snapshot(const struct cli_request *request);
int cli_compare(const struct cli_request *request);
int cli_audit_values(const struct cli_request *request);

/* plan.c */
int cli_flag_plan(const struct cli_request *request);
int cli_flag_apply(const struct cli_request *request);
int cli_flag_export(const struct cli_request *request);

/* schema.c, upkeep.c, init.c */
int cli_schema_status(const struct cli_request *request);
int cli_schema_up(const struct cli_request *request);
int cli_schema_down(const struct cli_request *request);
int cli_schema_verify(const struct cli_request *request);
int cli_doctor(const struct cli_request *request);
int cli_health(const struct cli_request *request);
int cli_export(const struct cli_request *request);
int cli_import(const struct cli_request *request);
int cli_copy_store(const struct cli_request *request, const char *from); /* copy.c */
int cli_init(const struct cli_request *request);

/* metrics.c */
int cli_metrics(const struct cli_request *request);

/* What an evaluation that ended in an error serves: the caller's default, a JSON text or NULL. */
void cli_serve_default(flagver_detail *detail, const char *json, size_t length);

/* flag eval --batch: answers the lines of standard input. */
int cli_batch_run(const struct cli_asking *asking);

/* idmap.c */
int cli_idmap_put(const struct cli_request *request);
int cli_idmap_get(const struct cli_request *request);
int cli_idmap_get_old(const struct cli_request *request);
int cli_idmap_remove(const struct cli_request *request);
int cli_idmap_import(const struct cli_request *request);
int cli_idmap_export(const struct cli_request *request);

#endif
