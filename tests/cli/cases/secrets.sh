# A password in a URI is never printed.
# shellcheck shell=bash disable=SC2154,SC2016,SC2034 # sourced by run.sh

secret=Zx9secret
# Nobody listens there, whether or not the program knows the database.
server="postgresql://ann:$secret@127.0.0.1:1/db?sslpassword=$secret&connect_timeout=2"

keeps_it() {
    ! grep -q "$secret" "$work/out" || wrong "prints $(grep "$secret" "$work/out")"
    ! grep -q "$secret" "$work/err" || wrong "says $(grep "$secret" "$work/err")"
}

for command in 'schema status' 'schema up' 'schema verify' 'schema down --no-backup' doctor health \
    init 'flag list' 'flag get x' 'flag enable x' 'audit verify' 'export file'; do
    for form in '' --json; do
        it "hides it: $command $form"
        # shellcheck disable=SC2086
        run $command $form --store "$server" --actor ann
        keeps_it
        [ "$status" -ne 0 ] || wrong "exits 0"

        it "hides it in FLAGVER_STORE: $command $form"
        # shellcheck disable=SC2086
        FLAGVER_STORE=none://ann:$secret@host/db run $command $form --actor ann
        keeps_it
        [ "$status" -ne 0 ] || wrong "exits 0"
    done
done

it "shows the rest of the URI"
run schema status --store "none://ann:$secret@host/db"
says_like '*none://ann:\*\*\*@host/db*'

it "hides it in what comes next"
mkdir store:
run init --store "sqlite:store://ann:$secret@host.db" --actor ann
exits 0
keeps_it

it "hides it where no URI belongs"
for command in "$server" "flag list $server" "flag get $server $server" "flag put $server $server" \
    "import $server" "export $server" "flag plan $server" "audit verify $server" \
    "schema down $server" "flag eval $server --definitions $server" "--$server" \
    "flag list --after $server --limit $server" "record get $server@1"; do
    # shellcheck disable=SC2086
    run $command --store sqlite:x.db
    keeps_it
done
