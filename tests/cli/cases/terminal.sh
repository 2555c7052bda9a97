# What is different on a terminal: colours, unless they are refused.
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:terminal.db FLAGVER_ACTOR=alice
run flag put k - <<<'{"type": "boolean"}'
escape=$(printf '\033')

it "prints no colours into files"
TERM=xterm run flag list
exits 0
holds eval '! grep -q "$escape" "$work/out"'

# on_terminal COMMAND: what it prints on one
on_terminal() {
    timeout "$deadline" script -qec "$1" /dev/null >"$work/out" 2>"$work/err" </dev/null
}

if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    it "prints colours on a terminal"
    TERM=xterm on_terminal "'$flagver' flag list"
    holds grep -q "$escape\[1mFLAG" "$work/out"

    it "says on a terminal that there is nothing"
    on_terminal "'$flagver' --tenant nobody flag list"
    holds grep -qx $'no flags\r' "$work/out"
    on_terminal "'$flagver' segment list --deleted"
    holds grep -qx $'no deleted segments\r' "$work/out"
    on_terminal "'$flagver' --tenant nobody flag list --json"
    holds test ! -s "$work/out"

    it "prints none with NO_COLOR, or on a dumb one"
    TERM=xterm NO_COLOR=1 on_terminal "'$flagver' flag list"
    holds grep -q FLAG "$work/out"
    holds eval '! grep -q "$escape" "$work/out"'
    TERM=dumb on_terminal "'$flagver' flag list"
    holds eval '! grep -q "$escape" "$work/out"'

    it "prints colours with an empty NO_COLOR"
    TERM=xterm NO_COLOR='' on_terminal "'$flagver' flag list"
    holds grep -q "$escape" "$work/out"
fi
