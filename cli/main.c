#include <stdlib.h>

#include <flagver.h>

#include "commands.h"
#include "output.h"
#include "request.h"

/* Who asks flags, and who changes something. */
#define ASKING CLI_DEFINITIONS, CLI_CONTEXT, CLI_AT
#define WRITING CLI_NOTE, CLI_EXPECT, CLI_IDEMPOTENCY_KEY
#define MOVING CLI_NOTE, CLI_IDEMPOTENCY_KEY
#define LISTING CLI_PREFIX, CLI_AUTHOR, CLI_LIMIT, CLI_AFTER
#define APPLYING CLI_NOTE, CLI_IDEMPOTENCY_KEY, CLI_KEEP_OFF

/* What flags and segments have in common. */
#define PUT_MANUAL                                                                     \
    "Create it or replace it by the definition in FILE, or on standard input for -:\n" \
    "one JSON object as behind its key in a definitions file."
#define GET_MANUAL                                                                   \
    "Print the definition in force, that of version NO, or that of the time --at.\n" \
    "--json prints the version: who made it, when, why."
#define HISTORY_MANUAL                                                           \
    "Print the versions, the newest first, each with the first things that it\n" \
    "changed. What was deleted has its history too."
#define DIFF_MANUAL                                                                     \
    "Print what changed from version FROM to version TO, a line each. Without TO: to\n" \
    "the version in force; without FROM: what that one changed. 0 stands for nothing."
#define REVERT_MANUAL "Put what version NO said, as a new version."
#define DELETE_MANUAL                                                               \
    "Delete it. The history stays, and revert brings it back. Refused as long as\n" \
    "flags or segments refer to it (exit status 5)."

const struct cli_command cli_commands[] = {
    {
        .name = "init",
        .operands = "",
        .summary = "set a store up; again is harmless",
        .options = CLI_OPTIONS(CLI_LOAD, CLI_ENABLE),
        .manual = "Make the store or upgrade its schema, verify it, load the definitions of\n"
                  "--load that are not there yet, switch on the flag of --enable, and say what\n"
                  "comes next. What people have changed, deleted or switched off since is left\n"
                  "alone, and said.\n"
                  "\n"
                  "Exit status: 1 when the schema is not what it should be.",
        .run = cli_init,
    },
    {
        .name = "schema status",
        .operands = "",
        .summary = "is the schema up to date",
        .manual = "Print the version of the store's schema and the one that is needed.\n"
                  "\n"
                  "Exit status: 1 when they differ, or there is no store.",
        .run = cli_schema_status,
    },
    {
        .name = "schema up",
        .operands = "",
        .summary = "make or upgrade the schema",
        .manual = "Make the schema, or upgrade it. Doing it twice is harmless.",
        .run = cli_schema_up,
    },
    {
        .name = "schema down",
        .operands = "[VERSION]",
        .summary = "take the schema down",
        .options = CLI_OPTIONS(CLI_BACKUP, CLI_NO_BACKUP),
        .manual = "Take the schema down to VERSION; without one, or to 0, it is removed with all\n"
                  "that is in it. Before that everything is exported into the file of --backup,\n"
                  "which must not be there yet, and the export is checked. One of --backup and\n"
                  "--no-backup is needed.",
        .run = cli_schema_down,
    },
    {
        .name = "schema verify",
        .operands = "",
        .summary = "is the schema whole",
        .manual = "Look at every table, column, index, constraint and trigger of the store, and\n"
                  "print a line for each.\n"
                  "\n"
                  "Exit status: 1 when something is missing or different.",
        .run = cli_schema_verify,
    },
    {
        .name = "doctor",
        .operands = "",
        .summary = "checks before a deployment",
        .options = CLI_OPTIONS(CLI_CHECK),
        .manual = "Look the store over: can it be opened and written, is its schema whole, is\n"
                  "there room on the disk, are its flags well-formed, are every tenant's\n"
                  "records what its audit log says. Of a server: its version, rights, settings,\n"
                  "clock, room. A line for each, which says what to do where something is wrong.\n"
                  "\n"
                  "Each --check is run by /bin/sh -c behind that, and becomes a line, too: the\n"
                  "first one that it prints. With exit status 0 all is well, 1 is a warning, any\n"
                  "other an error.\n"
                  "\n"
                  "Exit status: 1 when something is.",
        .run = cli_doctor,
    },
    {
        .name = "health",
        .operands = "",
        .summary = "does the store answer",
        .manual = "Open the store, read its flags, and say how it is.\n"
                  "\n"
                  "Exit status: 7 when it does not answer; --json prints an object all the same.",
        .run = cli_health,
    },
    {
        .name = "export",
        .operands = "FILE",
        .summary = "write all records into a file",
        .manual = "Write everything in the store into FILE, with a checksum: versions, authors,\n"
                  "times, the audit log. With --tenant (or FLAGVER_TENANT) of that tenant only.",
        .run = cli_export,
    },
    {
        .name = "import",
        .operands = "SOURCE",
        .summary = "bring in such a file, or a store",
        .options = CLI_OPTIONS(CLI_FOLLOW),
        .manual = "Bring an export into a store in which its tenants have no records yet. The\n"
                  "file is checked first; one that is damaged changes nothing. Whose they are\n"
                  "says the file: --tenant is refused, FLAGVER_TENANT does not matter.\n"
                  "\n"
                  "Where SOURCE is the URI of a store (sqlite:app.db) everything in that is\n"
                  "copied, or what --tenant (or FLAGVER_TENANT) has there, while others use it.\n"
                  "A copy that was cut off goes on when it is begun again. At the end both are\n"
                  "compared. With --follow it keeps up with the source until it is interrupted,\n"
                  "and ends when nothing is missing: then the target can take over.\n"
                  "\n"
                  "Exit status: 1 when it was interrupted before everything was copied, 5 when\n"
                  "somebody else has written to the target.",
        .run = cli_import,
    },
    {
        .name = "flag put",
        .operands = "KEY FILE",
        .summary = "create or replace a flag",
        .options = CLI_OPTIONS(WRITING),
        .manual = PUT_MANUAL,
        .run = cli_record_put,
    },
    {
        .name = "flag get",
        .operands = "KEY [NO]",
        .summary = "print its definition",
        .options = CLI_OPTIONS(CLI_AT),
        .manual = GET_MANUAL,
        .run = cli_record_get,
    },
    {
        .name = "flag list",
        .operands = "",
        .summary = "print all flags",
        .options = CLI_OPTIONS(CLI_AT, CLI_DELETED),
        .manual = "Print the flags in force, or those of the time --at, in byte order of their\n"
                  "keys. --json prints a line each, with the definition. With --deleted those\n"
                  "that have been deleted, since when and by whom.",
        .run = cli_record_list,
    },
    {
        .name = "flag enable",
        .operands = "KEY",
        .summary = "switch a flag on",
        .options = CLI_OPTIONS(WRITING),
        .manual = "Switch a flag on.",
        .run = cli_flag_enable,
    },
    {
        .name = "flag disable",
        .operands = "KEY",
        .summary = "switch it off for everybody, at once",
        .options = CLI_OPTIONS(WRITING, CLI_EMERGENCY),
        .manual = "Switch a flag off: everybody gets its off variant. Applications that refresh\n"
                  "in the background see it within a second. Where flags need approval, so does\n"
                  "this; with --emergency it does not, for actors whom the policy trusts with it.",
        .run = cli_flag_disable,
    },
    {
        .name = "flag ramp",
        .operands = "KEY PERCENT",
        .summary = "serve it to so many percent",
        .options = CLI_OPTIONS(WRITING, CLI_EMERGENCY),
        .manual = "Serve a boolean flag to PERCENT of the users, 0 to 100 with at most three\n"
                  "decimals, in place of its percentage, split or schedule. Beta users stay in,\n"
                  "and while the percentage rises nobody drops out. With --emergency, to fewer\n"
                  "than now, without the approval that the phase may ask for.",
        .run = cli_flag_ramp,
    },
    {
        .name = "flag release",
        .operands = "KEY",
        .summary = "serve it to everybody",
        .options = CLI_OPTIONS(WRITING),
        .manual = "Serve a boolean flag to everybody: 100 percent, no beta list, enabled.",
        .run = cli_flag_release,
    },
    {
        .name = "flag beta add",
        .operands = "KEY USER...",
        .summary = "add users to the beta list",
        .options = CLI_OPTIONS(WRITING),
        .manual = "Add users to the beta list of a boolean flag. Who is on it stays on it.",
        .run = cli_flag_beta_add,
    },
    {
        .name = "flag beta rm",
        .operands = "KEY USER...",
        .summary = "take users off the beta list",
        .options = CLI_OPTIONS(WRITING),
        .manual = "Take users off the beta list of a boolean flag. Who is not on it does no harm.",
        .run = cli_flag_beta_rm,
    },
    {
        .name = "flag schedule",
        .operands = "KEY [FILE]",
        .summary = "let it rise by the calendar",
        .options = CLI_OPTIONS(WRITING, CLI_CLEAR),
        .manual = "Give a boolean flag the schedule in FILE, or on standard input for -, in\n"
                  "place of its percentage, split or schedule:\n"
                  "  {\"steps\": [{\"at\": \"2026-03-01T00:00:00Z\", \"percentage\": 10}, ...]}\n"
                  "--clear, without FILE, takes the schedule away.",
        .run = cli_flag_schedule,
    },
    {
        .name = "flag guard",
        .operands = "",
        .summary = "take back what trips a guard",
        .options = CLI_OPTIONS(CLI_WATCH),
        .manual = "Look at what applications have tracked of each flag whose schedule has guards,\n"
                  "since it reached its step. Where a guard has tripped the flag goes back at\n"
                  "once, to the percentage of the last good step or to 0, and a line says so.\n"
                  "Where flags need approval this is an emergency, for actors whom the policy\n"
                  "trusts with it. With --watch it goes on until it is interrupted.\n"
                  "\n"
                  "Exit status: 1 when a guard has tripped.",
        .run = cli_flag_guard,
    },
    {
        .name = "flag history",
        .operands = "KEY",
        .summary = "print its versions",
        .manual = HISTORY_MANUAL,
        .run = cli_record_history,
    },
    {
        .name = "flag diff",
        .operands = "KEY [FROM [TO]]",
        .summary = "print what changed",
        .options = CLI_OPTIONS(CLI_MERGE_PATCH),
        .manual = DIFF_MANUAL,
        .run = cli_record_diff,
    },
    {
        .name = "flag revert",
        .operands = "KEY NO",
        .summary = "put what a version said",
        .options = CLI_OPTIONS(WRITING),
        .manual = REVERT_MANUAL,
        .run = cli_record_revert,
    },
    {
        .name = "flag delete",
        .operands = "KEY",
        .summary = "delete a flag; its history stays",
        .options = CLI_OPTIONS(WRITING),
        .manual = DELETE_MANUAL,
        .run = cli_record_delete,
    },
    {
        .name = "flag lint",
        .operands = "FILE",
        .summary = "look for mistakes in definitions",
        .manual = "Check the definitions in FILE, or on standard input for -, and print what is\n"
                  "allowed but hardly meant, one line each.\n"
                  "\n"
                  "Exit status: 1 when there are such lines, 6 when the file is malformed.",
        .run = cli_flag_lint,
    },
    {
        .name = "flag plan",
        .operands = "FILE",
        .summary = "what applying a file would change",
        .options = CLI_OPTIONS(CLI_PRUNE, CLI_KEEP_OFF),
        .manual = "Print what would change in the store if the definitions in FILE, or on\n"
                  "standard input for -, were applied. With --prune that deletes flags and\n"
                  "segments that the file does not have. Where it switches on a flag that\n"
                  "somebody has switched off, it says so; with --keep-off it does not.\n"
                  "\n"
                  "Exit status: 1 when something would change.",
        .run = cli_flag_plan,
    },
    {
        .name = "flag apply",
        .operands = "FILE",
        .summary = "change it",
        .options = CLI_OPTIONS(APPLYING, CLI_PRUNE),
        .manual = "Make the changes that flag plan prints, all of them or none, and print them.\n"
                  "Applying the same file again changes nothing, unless a flag was switched off\n"
                  "since: that is switched on, without --keep-off.",
        .run = cli_flag_apply,
    },
    {
        .name = "flag import",
        .operands = "FILE",
        .summary = "the same, and never delete",
        .options = CLI_OPTIONS(APPLYING),
        .manual = "Bring the definitions in FILE, or on standard input for -, into the store:\n"
                  "what is there under the same key is replaced.",
        .run = cli_flag_apply,
    },
    {
        .name = "flag export",
        .operands = "",
        .summary = "print all flags as a definitions file",
        .manual = "Print all flags and segments in force as a definitions file, one a line. What\n"
                  "flag apply makes of it is the same again.",
        .run = cli_flag_export,
    },
    {
        .name = "flag eval",
        .operands = "[KEY]",
        .summary = "what a flag serves to a context",
        .options = CLI_OPTIONS(ASKING, CLI_TYPE, CLI_DEFAULT, CLI_BATCH),
        .manual =
            "Print what the flag KEY serves to a context, and why. The flags are those in the\n"
            "store, with --at those of that time, or those of --definitions.\n"
            "\n"
            "With --batch there is no KEY. Each line of standard input is an object\n"
            "  {\"flag\": KEY, \"context\": {...}, \"type\": TYPE, \"default\": JSON}\n"
            "of which \"flag\" and \"context\" are needed. Each is answered with one line, in\n"
            "order: the result as --json prints it, or {\"line\":NUMBER,\"error\":WHY} for\n"
            "a line that is no such object. Flags that change in the store meanwhile are\n"
            "noticed.\n"
            "\n"
            "Exit status: 3 when there is no such flag, 6 for any other error; the default is\n"
            "printed all the same. With --batch errors are results, and 6 means a bad line.",
        .run = cli_flag_eval,
    },
    {
        .name = "flag explain",
        .operands = "KEY",
        .summary = "why it serves that, step by step",
        .options = CLI_OPTIONS(ASKING),
        .manual = "Print what the flag KEY serves to a context and the steps that led there. The\n"
                  "flags come from where flag eval takes them.\n"
                  "\n"
                  "Exit status: as flag eval.",
        .run = cli_flag_explain,
    },
    {
        .name = "segment put",
        .operands = "NAME FILE",
        .summary = "create or replace a segment",
        .options = CLI_OPTIONS(WRITING),
        .manual = PUT_MANUAL,
        .run = cli_record_put,
    },
    {
        .name = "segment get",
        .operands = "NAME [NO]",
        .summary = "print its definition",
        .options = CLI_OPTIONS(CLI_AT),
        .manual = GET_MANUAL,
        .run = cli_record_get,
    },
    {
        .name = "segment list",
        .operands = "",
        .summary = "print all segments",
        .options = CLI_OPTIONS(CLI_AT, CLI_DELETED),
        .manual = "Print the segments in force, or those of the time --at, in byte order of their\n"
                  "names. --json prints a line each, with the definition. With --deleted those\n"
                  "that have been deleted, since when and by whom.",
        .run = cli_record_list,
    },
    {
        .name = "segment history",
        .operands = "NAME",
        .summary = "print its versions",
        .manual = HISTORY_MANUAL,
        .run = cli_record_history,
    },
    {
        .name = "segment diff",
        .operands = "NAME [FROM [TO]]",
        .summary = "print what changed",
        .options = CLI_OPTIONS(CLI_MERGE_PATCH),
        .manual = DIFF_MANUAL,
        .run = cli_record_diff,
    },
    {
        .name = "segment revert",
        .operands = "NAME NO",
        .summary = "put what a version said",
        .options = CLI_OPTIONS(WRITING),
        .manual = REVERT_MANUAL,
        .run = cli_record_revert,
    },
    {
        .name = "segment delete",
        .operands = "NAME",
        .summary = "delete a segment; its history stays",
        .options = CLI_OPTIONS(WRITING),
        .manual = DELETE_MANUAL,
        .run = cli_record_delete,
    },
    {
        .name = "metrics",
        .operands = "[PHASE]",
        .summary = "how versions and flags have fared",
        .options = CLI_OPTIONS(CLI_PREFIX, CLI_PARTS, CLI_BY_MONTH, CLI_SINCE, CLI_UNTIL, CLI_DAILY,
                               CLI_HOURLY, CLI_OPENMETRICS, CLI_FLAG, CLI_FORGET),
        .manual =
            "Print for each phase how many versions were created and in which states they\n"
            "are now, and how long it took from creation to submission and to approval:\n"
            "mean, median and 95th percentile. Drafting is part of both. All of it is\n"
            "computed from the versions. --prefix counts by part: cycle-7 is not a part\n"
            "of cycle-70/report-1. --json prints hours, a line for each group.\n"
            "\n"
            "--daily prints what programs have tracked of flags instead: for each day, flag\n"
            "and variant how often it was served, how many outcomes of the code behind it\n"
            "were reported, how many of them were successes, how long they took (mean, 95th\n"
            "percentile), totals, and events; --hourly by the hour, whole hours counting for\n"
            "--since and --until; --openmetrics as text for a scraper. --forget deletes it\n"
            "up to the hour in which TIME lies.",
        .run = cli_metrics,
    },
    {
        .name = "phase put",
        .operands = "PHASE FILE",
        .summary = "say what a phase asks for",
        .options = CLI_OPTIONS(WRITING),
        .manual =
            "Make a phase, or give it another policy: that in FILE, or on standard input for\n"
            "-, one JSON object. PHASE/PREFIX is for subjects that begin with PREFIX. To\n"
            "change a policy takes the approval that the one in force asks for.",
        .run = cli_phase_put,
    },
    {
        .name = "phase get",
        .operands = "PHASE [SUBJECT]",
        .summary = "print what a phase asks for",
        .manual =
            "Print the policy that is in force for the records of a phase, or for SUBJECT in\n"
            "it, with all that it leaves unsaid, and which record it is from.",
        .run = cli_phase_get,
    },
    {
        .name = "phase list",
        .operands = "",
        .summary = "print all phases",
        .manual = "Print the phases that have a policy, what they ask for, since when and by whom.",
        .run = cli_phase_list,
    },
    {
        .name = "assign",
        .operands = "ROLE SUBJECT USER",
        .summary = "give a user a role for subjects",
        .options = CLI_OPTIONS(WRITING, CLI_REMOVE),
        .manual = "Give a user a role for the records of SUBJECT, of which a part may be *; with\n"
                  "--remove take it away. Rules of policies ask for it: {\"assigned\": ROLE}.",
        .run = cli_assign,
    },
    {
        .name = "assignments",
        .operands = "[ROLE]",
        .summary = "print who holds which role",
        .manual = "Print who holds ROLE, or any role, and for which subjects.",
        .run = cli_assignments,
    },
    {
        .name = "version create",
        .operands = "PHASE SUBJECT FILE",
        .summary = "make a draft",
        .options = CLI_OPTIONS(WRITING, CLI_PARENT, CLI_BASELINE, CLI_SUBMIT),
        .manual = "Make a draft of what is in FILE, or on standard input for -: one JSON value.\n"
                  "With --submit hand it in, too. --expect says what must be in force.",
        .run = cli_version_create,
    },
    {
        .name = "version record",
        .operands = "PHASE SUBJECT FILE",
        .summary = "record it for good",
        .options = CLI_OPTIONS(WRITING),
        .manual = "Record what is in FILE, or on standard input for -, in a phase that only keeps\n"
                  "an audit: it is in force at once, and nobody changes it.",
        .run = cli_version_record,
    },
    {
        .name = "version edit",
        .operands = "PHASE SUBJECT@NO FILE",
        .summary = "give a draft another content",
        .options = CLI_OPTIONS(MOVING),
        .manual = "Replace what a draft says by what is in FILE, or on standard input for -.",
        .run = cli_version_edit,
    },
    {
        .name = "version items",
        .operands = "PHASE SUBJECT@NO [KEY...]",
        .summary = "print or change its items",
        .options = CLI_OPTIONS(MOVING, CLI_PUT, CLI_REMOVE),
        .manual =
            "Print the items of a version, or of them these. --put puts into a draft what is\n"
            "in FILE, or on standard input for -: an object with a member for each item.\n"
            "--remove takes the items KEY out of it.",
        .run = cli_version_items,
    },
    {
        .name = "version rebase",
        .operands = "PHASE SUBJECT@NO",
        .summary = "base a draft on what is in force",
        .options = CLI_OPTIONS(MOVING),
        .manual = "Say that the draft was made with what is in force now in mind: without that it\n"
                  "cannot be approved when something else came into force in between.",
        .run = cli_version_rebase,
    },
    {
        .name = "version submit",
        .operands = "PHASE SUBJECT@NO",
        .summary = "hand a draft in",
        .options = CLI_OPTIONS(MOVING),
        .manual = "Hand a draft in: it is frozen, and waits for approval. Where none is asked for\n"
                  "it is in force at once.",
        .run = cli_version_submit,
    },
    {
        .name = "version return",
        .operands = "PHASE SUBJECT@NO",
        .summary = "have it edited once more",
        .options = CLI_OPTIONS(MOVING),
        .manual = "Take a version back that was handed in, or send it back: it is a draft again.",
        .run = cli_version_return,
    },
    {
        .name = "version decide",
        .operands = "PHASE SUBJECT@NO KEY...",
        .summary = "decide about items",
        .options = CLI_OPTIONS(MOVING, CLI_HASH, CLI_APPROVE, CLI_REJECT, CLI_PENDING),
        .manual = "Approve or reject items of a version that was handed in, or take that back.",
        .run = cli_version_decide,
    },
    {
        .name = "version approve",
        .operands = "PHASE SUBJECT@NO",
        .summary = "allow it",
        .options = CLI_OPTIONS(MOVING, CLI_HASH, CLI_SUBMIT),
        .manual =
            "Approve a version that was handed in. With as many approvals as the phase asks\n"
            "for it is in force, and takes the place of the one before. --submit hands it in\n"
            "first. --hash says what was looked at.",
        .run = cli_version_approve,
    },
    {
        .name = "version reject",
        .operands = "PHASE SUBJECT@NO",
        .summary = "refuse it",
        .options = CLI_OPTIONS(MOVING, CLI_HASH),
        .manual = "Reject a version that was handed in: it never comes into force.",
        .run = cli_version_reject,
    },
    {
        .name = "version withdraw",
        .operands = "PHASE SUBJECT@NO",
        .summary = "give it up",
        .options = CLI_OPTIONS(MOVING),
        .manual = "Give up a version that is not in force yet.",
        .run = cli_version_withdraw,
    },
    {
        .name = "version review",
        .operands = "PHASE SUBJECT@NO",
        .summary = "say that an emergency was right",
        .options = CLI_OPTIONS(MOVING),
        .manual =
            "Say afterwards that what came into force by emergency was right. doctor lists it\n"
            "until then.",
        .run = cli_version_review,
    },
    {
        .name = "version revert",
        .operands = "PHASE SUBJECT@NO",
        .summary = "put what it said, as a new version",
        .options = CLI_OPTIONS(MOVING, CLI_EXPECT),
        .manual =
            "Make a draft of what an earlier version said; where no approval is asked for it\n"
            "is in force at once.",
        .run = cli_version_revert,
    },
    {
        .name = "version remove",
        .operands = "PHASE SUBJECT",
        .summary = "delete a record; its history stays",
        .options = CLI_OPTIONS(WRITING),
        .manual =
            "Delete what is in force, by a version that says so and needs the same approval.\n"
            "The history stays, and creating it again goes on with its numbers.",
        .run = cli_version_remove,
    },
    {
        .name = "version show",
        .operands = "PHASE SUBJECT@NO",
        .summary = "print a version with all about it",
        .manual = "Print a version: its state, who made, submitted and decided it and when, the\n"
                  "approvals, how many items it has, and what it says.",
        .run = cli_version_show,
    },
    {
        .name = "version current",
        .operands = "PHASE SUBJECT",
        .summary = "print what is in force",
        .manual =
            "Print what the version in force says; in a phase that only keeps an audit, what\n"
            "was recorded last. --json prints the version.",
        .run = cli_version_current,
    },
    {
        .name = "version as-of",
        .operands = "PHASE SUBJECT",
        .summary = "print what was in force then",
        .options = CLI_OPTIONS(CLI_AT),
        .manual = "Print what the version says that was in force at the time --at.",
        .run = cli_version_as_of,
    },
    {
        .name = "version history",
        .operands = "PHASE SUBJECT",
        .summary = "print the versions",
        .manual = "Print the versions, the newest first, who made and who decided them, and the\n"
                  "first things that each of them changed.",
        .run = cli_record_history,
    },
    {
        .name = "version diff",
        .operands = "PHASE SUBJECT [FROM [TO]]",
        .summary = "print what changed",
        .options = CLI_OPTIONS(CLI_MERGE_PATCH),
        .manual = DIFF_MANUAL,
        .run = cli_record_diff,
    },
    {
        .name = "version list",
        .operands = "[PHASE]",
        .summary = "print what is in force, or waits",
        .options = CLI_OPTIONS(LISTING, CLI_STATE, CLI_ALL),
        .manual =
            "Print the versions in force of a phase, or of all; with --state every version in\n"
            "such a state, several with commas between them.",
        .run = cli_version_list,
    },
    {
        .name = "version due",
        .operands = "[PHASE]",
        .summary = "print what waits for you",
        .options = CLI_OPTIONS(LISTING),
        .manual = "Print what was handed in and the actor, in its roles, may approve and has not.",
        .run = cli_version_due,
    },
    {
        .name = "version shred",
        .operands = "PHASE SUBJECT@NO",
        .summary = "forget what it said, for good",
        .options = CLI_OPTIONS(MOVING),
        .manual = "Forget what a version said, and its items. That there was such a version, who\n"
                  "made and approved it and when stays, and so do the hashes: the audit log is as\n"
                  "good as before. Backups still have it. Of --note nothing but its hash is kept,\n"
                  "in that log.",
        .run = cli_version_shred,
    },
    {
        .name = "retain",
        .operands = "PHASE",
        .summary = "forget what old versions said",
        .options = CLI_OPTIONS(MOVING, CLI_PREFIX, CLI_UNTIL),
        .manual =
            "Forget what the versions of a phase said that are out of force and were created\n"
            "before --until, as version shred does: --until -365d. Of --note nothing but its\n"
            "hash is kept, in the audit log.",
        .run = cli_retain,
    },
    {
        .name = "key list",
        .operands = "",
        .summary = "print the data keys",
        .manual =
            "Print the data keys that payloads are encrypted with, and the key-encryption key\n"
            "that each lies under. These come from FLAGVER_KEYS: ID:BASE64 of 32 bytes, one a\n"
            "line or between commas, of which the first encrypts.\n"
            "\n"
            "Exit status: 1 when a key-encryption key is missing or another one.",
        .run = cli_key_list,
    },
    {
        .name = "key rotate",
        .operands = "",
        .summary = "encrypt with new keys from now on",
        .options = CLI_OPTIONS(CLI_IDEMPOTENCY_KEY),
        .manual = "Make a new data key for what is encrypted from now on, and put all data keys\n"
                  "under the first key-encryption key of FLAGVER_KEYS. The others are not needed\n"
                  "any more then.",
        .run = cli_key_rotate,
    },
    {
        .name = "key fernet",
        .operands = "KEYS FILE",
        .summary = "decrypt a Fernet token",
        .manual =
            "Print what is in the Fernet token in FILE, or on standard input for -. The file\n"
            "KEYS has a Fernet key on each line; they are tried in turn.\n"
            "\n"
            "Exit status: 6 when it is no such token, or none of the keys opens it.",
        .run = cli_key_fernet,
    },
    {
        .name = "route list",
        .operands = "",
        .summary = "print all migrations",
        .manual = "Print the migrations: the stage that is carried out, the one that the record\n"
                  "asks for, which side is believed. --json prints what route status prints of\n"
                  "each.",
        .run = cli_route_list,
    },
    {
        .name = "route show",
        .operands = "NAME [NO]",
        .summary = "print a migration's record",
        .options = CLI_OPTIONS(CLI_AT),
        .manual = GET_MANUAL,
        .run = cli_record_get,
    },
    {
        .name = "route put",
        .operands = "NAME FILE",
        .summary = "create or change a migration",
        .options = CLI_OPTIONS(WRITING),
        .manual = "Create the migration or replace its record by the one in FILE, or on standard\n"
                  "input for -: {\"stage\": \"off\"}, with gates, guards and what else there is.\n"
                  "Another stage in it goes through the gates, as by route stage, but it is not\n"
                  "waited for.",
        .run = cli_record_put,
    },
    {
        .name = "route history",
        .operands = "NAME",
        .summary = "print the versions of its record",
        .manual = HISTORY_MANUAL,
        .run = cli_record_history,
    },
    {
        .name = "route stage",
        .operands = "NAME STAGE",
        .summary = "take it to another stage",
        .options = CLI_OPTIONS(CLI_NOTE, CLI_FORCE, CLI_WAIT),
        .manual = "Take a migration to the stage off, dualwrite, backfill, shadow, ramp, live,\n"
                  "rampdown or complete: forward one at a time, where the gates are open, back\n"
                  "any distance. The program changes the record; applications that have the sides\n"
                  "carry it out, and it is waited for that, 5 seconds unless --wait says\n"
                  "otherwise (0: not at all). --force goes through shut gates; the reason stands\n"
                  "in the record.\n"
                  "\n"
                  "Exit status: 5 when a gate is shut, or nobody has carried it out yet.",
        .run = cli_route_stage,
    },
    {
        .name = "route ramp",
        .operands = "NAME PERCENT",
        .summary = "move reads over, by percentage",
        .options = CLI_OPTIONS(CLI_NOTE, CLI_FORCE, CLI_WAIT),
        .manual = "Take a migration to the stage ramp, or in it to another share: PERCENT of the\n"
                  "keys are read from the new side, 0 to 100 with at most two decimals. While it\n"
                  "rises no key goes back. Otherwise as route stage.\n"
                  "\n"
                  "Exit status: 5 when a gate is shut, or nobody has carried it out yet.",
        .run = cli_route_ramp,
    },
    {
        .name = "route rollback",
        .operands = "NAME",
        .summary = "take it all back, reads first",
        .options = CLI_OPTIONS(CLI_NOTE, CLI_WAIT),
        .manual = "Take a migration back to the stage off: reads to the old side at once, then\n"
                  "the old side is believed again, then nothing but it is written. It is waited\n"
                  "for each of these, 5 seconds unless --wait says otherwise (0: not at all). It\n"
                  "can be called again until it is done. Where a policy asks for approval it is\n"
                  "an emergency.\n"
                  "\n"
                  "Exit status: 5 when a step is not carried out yet.",
        .run = cli_route_rollback,
    },
    {
        .name = "route status",
        .operands = "NAME",
        .summary = "how a migration stands",
        .manual = "Print which stage is carried out and which one the record asks for, which side\n"
                  "is believed, whether everything was copied and found equal, and how many reads\n"
                  "of both sides were compared and agreed. What waits to be repaired, and how\n"
                  "long reads take, only the application knows: flagver_route_status().",
        .run = cli_route_status,
    },
    {
        .name = "route backfill",
        .operands = "NAME",
        .summary = "has everything been copied",
        .options = CLI_OPTIONS(CLI_WAIT),
        .manual = "Say whether the side that is not believed has everything, and wait for that if\n"
                  "--wait says so. It is applications with both sides that copy.\n"
                  "\n"
                  "Exit status: 1 when it has not.",
        .run = cli_route_backfill,
    },
    {
        .name = "route verify",
        .operands = "NAME",
        .summary = "have the sides been found equal",
        .options = CLI_OPTIONS(CLI_WAIT),
        .manual = "Say whether a comparison of all records, made since both sides are written,\n"
                  "has found them equal, and wait for that if --wait says so. It is applications\n"
                  "with both sides that compare: flagver_route_verify().\n"
                  "\n"
                  "Exit status: 1 when they have not.",
        .run = cli_route_verify,
    },
    {
        .name = "idmap put",
        .operands = "ENTITY ID [NEW]",
        .summary = "map an old id to a new one",
        .options = CLI_OPTIONS(CLI_IDEMPOTENCY_KEY),
        .manual = "Map the id of something in an old system to the one in a new system, and print\n"
                  "that. Where it is mapped to NEW already nothing happens; that one of them is\n"
                  "mapped elsewhere is exit status 5. Without NEW it is mapped to a UUID that is\n"
                  "made of its name, the same wherever that is done, unless it is mapped already.",
        .run = cli_idmap_put,
    },
    {
        .name = "idmap get",
        .operands = "ENTITY ID",
        .summary = "what an old id is mapped to",
        .manual = "Print what an old id is mapped to.",
        .run = cli_idmap_get,
    },
    {
        .name = "idmap get-old",
        .operands = "ENTITY NEW",
        .summary = "what is mapped to a new id",
        .manual = "Print which old id is mapped to a new one.",
        .run = cli_idmap_get_old,
    },
    {
        .name = "idmap remove",
        .operands = "ENTITY ID",
        .summary = "forget a mapping",
        .options = CLI_OPTIONS(CLI_IDEMPOTENCY_KEY),
        .manual = "Forget what an old id is mapped to: both ids are free then.",
        .run = cli_idmap_remove,
    },
    {
        .name = "idmap import",
        .operands = "FILE",
        .summary = "bring in a file of mappings",
        .manual =
            "Put the mappings in FILE, or on standard input for -, one a line: entity, old id\n"
            "and new id with tabs or commas between them, or\n"
            "  {\"entity\": ENTITY, \"old\": ID, \"new\": ID}\n"
            "A first line with the words entity, old, new is skipped. A thousand lines are\n"
            "written at a time; after an error the same file can be imported again.\n"
            "\n"
            "Exit status: 5 when an id is mapped elsewhere, 6 when a line is malformed; which\n"
            "line is said.",
        .run = cli_idmap_import,
    },
    {
        .name = "idmap export",
        .operands = "[ENTITY]",
        .summary = "print all mappings",
        .manual =
            "Print the mappings, of one entity or of all, in byte order of entity and old id:\n"
            "three fields with tabs between them, or with --json (and where an entity begins\n"
            "with a brace) objects, as idmap import reads them.",
        .run = cli_idmap_export,
    },
    {
        .name = "audit log",
        .operands = "",
        .summary = "print the audit log",
        .options = CLI_OPTIONS(CLI_FROM, CLI_LIMIT, CLI_PHASE, CLI_SUBJECT),
        .manual = "Print what has happened to records, in order: a leaf for each transition. With\n"
                  "--phase and --subject only of these; --limit is then how many of them.",
        .run = cli_audit_log,
    },
    {
        .name = "audit keygen",
        .operands = "SIGNER FILE",
        .summary = "make a key that signs checkpoints",
        .manual = "Make an Ed25519 key pair of the name SIGNER, such as example.com/records. What\n"
                  "signs goes into FILE, which must not be there yet, and is to be kept secret;\n"
                  "the key to verify with is printed, and is for everybody.",
        .run = cli_audit_keygen,
    },
    {
        .name = "audit checkpoint",
        .operands = "",
        .summary = "say how long the log is, and sign it",
        .options = CLI_OPTIONS(CLI_SIGNER, CLI_ORIGIN),
        .manual = "Print size and root of the log as a signed note, a C2SP tlog-checkpoint. Kept\n"
                  "where who has the store cannot change it, it proves later what the log was.\n"
                  "--origin is the first line, by default the signer's name and the tenant.",
        .run = cli_audit_checkpoint,
    },
    {
        .name = "audit prove",
        .operands = "[LEAF]",
        .summary = "prove that something is in the log",
        .options = CLI_OPTIONS(CLI_OLD, CLI_SIZE),
        .manual =
            "Print the proof that leaf LEAF is in the log, or with --old that the log begins\n"
            "with what it was at that size: the hashes of RFC 6962. Without --size the log is\n"
            "that of now. --json prints what audit check reads.",
        .run = cli_audit_prove,
    },
    {
        .name = "audit check",
        .operands = "PROOF CHECKPOINT [OLD]",
        .summary = "check such a proof, without any store",
        .options = CLI_OPTIONS(CLI_VERIFIER),
        .manual = "Check a proof that audit prove --json has printed against checkpoints: of the\n"
                  "log that it is about and, where it is about an older one too, of that. With\n"
                  "--verifier they must be signed by that key. Needs no store.\n"
                  "\n"
                  "Exit status: 1 when it does not prove that.",
        .run = cli_audit_check,
    },
    {
        .name = "audit verify",
        .operands = "[FILE]",
        .summary = "has anybody changed what happened",
        .options = CLI_OPTIONS(CLI_CHECKPOINT, CLI_VERIFIER, CLI_TREE_ONLY),
        .manual =
            "Compute everything anew: the hash of each leaf, the tree over them, and what the\n"
            "records must be when all leaves are carried out in order. A line for each thing\n"
            "that is otherwise. With FILE an export is verified, and no store is needed; with\n"
            "--checkpoint the log must begin with what the checkpoint is of.\n"
            "\n"
            "Exit status: 1 when something was found.",
        .run = cli_audit_verify,
    },
    {
        .name = "snapshot",
        .operands = "[PHASE [PREFIX]]",
        .summary = "save what records say now",
        .options = CLI_OPTIONS(CLI_INPUT, CLI_OUTPUT, CLI_AT),
        .manual = "Write what the records of a phase say, those whose subjects begin with PREFIX,\n"
                  "into the file of --output, in order of their subjects and with digests: now or\n"
                  "at the time --at. Without PHASE the records come from --input: JSON lines of\n"
                  "any system, in any order,\n"
                  "  {\"key\": KEY, \"value\": JSON}\n"
                  "A file that is there is replaced at the end, all at once.",
        .run = cli_snapshot,
    },
    {
        .name = "compare",
        .operands = "BEFORE AFTER",
        .summary = "compare two such snapshots",
        .options = CLI_OPTIONS(CLI_TOLERANCE, CLI_FIELD, CLI_STRICT, CLI_LIMIT),
        .manual =
            "Print how the records in two files of snapshot differ, and whether that is an\n"
            "error: a record that is missing or extra, a number that differs by more than\n"
            "--tolerance (5% unless it says otherwise, or abs:0.01, or 5%,abs:0.01), a number\n"
            "in the place of something else. Other differences are warnings, which --strict\n"
            "makes errors. --field /lines/*/price=0.1% says what holds for a field and all in\n"
            "it, * being any part: a tolerance, exact (any difference is an error) or ignore.\n"
            "--limit is for what is printed; everything is counted.\n"
            "\n"
            "Exit status: 1 when there are errors, 6 when a file was cut off or edited.",
        .run = cli_compare,
    },
    {
        .name = "audit-values",
        .operands = "[PHASE [PREFIX]]",
        .summary = "look over what records say",
        .options = CLI_OPTIONS(CLI_INPUT, CLI_AT, CLI_FIELD),
        .manual =
            "Print what stands in each field of the records of a phase, or of --input: nulls,\n"
            "what is missing or empty, types, the distribution of numbers, what comes often;\n"
            "a health score from 0 to 100, and what to do. Records are held against the\n"
            "schema of their phase, and --field email=string against types: null, boolean,\n"
            "integer, number, string, array, object, datetime, uuid, any; several with |\n"
            "between them.\n"
            "\n"
            "Exit status: 1 when something is invalid, or the score is below 80.",
        .run = cli_audit_values,
    },
    { .name = NULL },
};

static int run(const struct cli_request *request)
{
    if (request->values[CLI_HELP])
        cli_request_help(request);
    else if (request->values[CLI_VERSION])
        cli_print("flagver %s (libflagver %s)\n", FLAGVER_VERSION, flagver_version_string());
    else
        return request->command->run(request);
    return CLI_DONE;
}

int main(int argc, char **argv)
{
    struct cli_request request;
    int status;

    status = cli_request_parse(&request, argc, argv);
    if (status == CLI_DONE)
        status = cli_finish(run(&request));
    cli_request_clear(&request);
    return status;
}
