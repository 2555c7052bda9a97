#!/usr/bin/env bash
# docs/errors.md: every error code, from the table in include/flagver/base.h, with
# the advice below.
#
#   errors-doc.sh            writes docs/errors.md
#   errors-doc.sh --check    fails when docs/errors.md is not what would be written
#
# A code without advice, and advice for no code, are errors.
set -eu
cd "$(dirname "$0")/.."

CC=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One line of advice a code.
cat >"$work/advice" <<'ADVICE'
EINVAL        The message names the argument and what is allowed. Correct the call; it is a mistake in the program or in what it was given.
ENOMEM        Nothing has changed. Free memory and call again; a client goes on with what it has.
ENOTFOUND     There is no such store, tenant, series, version, flag or phase, or it is deleted. For the current version it is an ordinary answer.
EPARSE        Where it is about a text, the message names the place, and `line` and `column` of the error too. Correct the text.
EIO           The message names the file, and `native` is the errno. Look at its path, its permissions, and the room on the disk.
ENOTSUP       The client has no store, the driver cannot do this, or the URI names nothing this library knows. A driver of your own has to be registered before the store is opened.
EBUSY         Somebody else holds a lock, or two transactions were in each other's way. Nothing happened: run the transaction again from its beginning, as `flagver_txn_run()` does by itself. If it stays, look for a process with a transaction open for long.
EEXIST        What was to be created is there: a file of a backup, records in a tenant that an import needs empty, a driver of that name, this actor's approval. Choose another name, or look at what is there.
ECONFLICT     The current version is not the one in `expect_no`: somebody changed the record since it was read. Read it again, decide again. Of a copy from store to store: somebody else has written to the target, from the leaf on that the message names; a copy needs a target of its own.
ESTALE        A draft was made while another version was in force. Look at what has changed since, return and rebase it; or make a new draft from the one in force now.
ESTATE        The message names the state: what was withdrawn or superseded stays so, and a flag that others refer to cannot be deleted. Look at the record, and do what its state allows.
EFROZEN       What was submitted cannot be edited. Return it first; of what is decided make a new draft.
EPHASE        The policy of this phase does not know the operation. Records of an audit-only phase are recorded and nothing else.
EIDEM         The same idempotency key came with other operations than the first time. A key belongs to one transaction: make a new one for each.
ESCHEMA       The store was made for another version of the library. `flagver schema status` compares, `flagver schema up` upgrades; a store that is newer needs a newer library.
EUNAVAILABLE  The database does not answer, cannot be written, or its file was replaced. Evaluation goes on with the last flags that were read. Try again later; `flagver doctor` says more.
EUNKNOWN      The connection was lost in the commit. Run the transaction again under the same idempotency key: it is not applied twice. Without a key, read and see.
ECORRUPT      Stop writing. Keep a copy of the store, and look at it with `flagver schema verify` and `flagver doctor`; bring the last good export into a new store.
EFORKED       A child of `fork()` evaluates with the flags it inherited, but must open the store itself: `flagver_client_reopen()`.
ETIMEDOUT     The transaction was open for longer than `timeout_ms` and was rolled back. Run it again; do slow things before it begins.
EDENIED       The policy in force does not allow this to the actor; the message names it, and `flagver phase get` prints it. Let somebody do it who may, give the role, or change the policy. What only the owner of a PostgreSQL schema may do is denied to others, too.
ESELF         Who has created or edited a version cannot approve it, unless the policy has `allow_self`. Let somebody else look at it.
ECHANGED      The content is not the one in `content_hash`: it was edited since it was read. Read it again, decide again.
EINCOMPLETE   The policy asks for a decision on every item, and the message names one that has none. Decide about the items first.
EVALIDATION   The payload does not fit the schema of its phase, or is longer than the policy allows. The message names the place. Correct the payload.
EKEY          The phase is encrypted, and the key is not there or is another one. See `flagver_options.key_file` and `FLAGVER_KEYS`.
ADVICE

# NAME|NUMBER|CLASS|WORDS for each code, as the compiler sees the table.
{
    echo '#include "flagver/base.h"'
    echo '#define ROW(name, number, class_, words) @name|number|class_|words@'
    echo 'FLAGVER_ERRORS(ROW)'
} >"$work/rows.c"
"$CC" -std=c11 -Iinclude -E -P "$work/rows.c" | tr '@' '\n' |
    sed -nE 's/^(E[A-Z]+)\|([0-9]+)\|([A-Z]+)\|"(.*)"$/\1|\2|\3|\4/p' >"$work/rows"
[ -s "$work/rows" ] || { echo "errors-doc: no codes found in include/flagver/base.h" >&2; exit 1; }

cut -d '|' -f 1 "$work/rows" | sort >"$work/codes"
cut -d ' ' -f 1 "$work/advice" | sort >"$work/advised"
if ! diff "$work/codes" "$work/advised" >"$work/difference"; then
    sed -n -e 's/^< /errors-doc: no advice for /p' \
        -e 's/^> /errors-doc: advice for a code that is not there: /p' "$work/difference" >&2
    exit 1
fi

class() {
    local name number class words
    printf '\n## %s: %s\n' "$1" "$2"
    while IFS='|' read -r name number class words; do
        [ "$class" = "$1" ] || continue
        printf '\n### FLAGVER_%s\n\n' "$name"
        printf '%s, "%s". %s\n' "-$number" "$words" \
            "$(sed -n "s/^$name  *//p" "$work/advice")" | fold -s -w 100 | sed 's/ *$//'
    done <"$work/rows"
}

write() {
    cat <<'HEAD'
# Errors

Written by scripts/errors-doc.sh from the table in `include/flagver/base.h`.

A call that can fail returns 0, or more where it counts something, or one of these negative codes.
It fills the `flagver_error` it was given: the code, the code of the system or database underneath,
the place in a text, and one line of words that name the thing and the limit. Outputs are written
only on success.

`flagver_strerror()` gives the words of a code, `flagver_error_name()` its name and
`flagver_error_class()` its class, which says what a program can do about it without knowing more.
HEAD
    class MISTAKE "the same call fails again"
    class RETRY "nothing happened, the same call may succeed later"
    class UNKNOWN "it is not known whether the change took place"
    class BROKEN "the handle can only be closed or freed"
}

write >"$work/errors.md"
if [ "$(grep -c '^### ' "$work/errors.md")" -ne "$(wc -l <"$work/rows")" ]; then
    echo "errors-doc: a code is of a class that this script does not know" >&2
    exit 1
fi

case "${1:-}" in
--check)
    diff -u --label docs/errors.md --label 'as it should be' docs/errors.md "$work/errors.md" >&2 ||
        { echo "errors-doc: run scripts/errors-doc.sh" >&2; exit 1; }
    ;;
'') cp "$work/errors.md" docs/errors.md ;;
*)
    echo "usage: errors-doc.sh [--check]" >&2
    exit 2
    ;;
esac
