#!/usr/bin/env bash
# The code in README.md, docs/*.md and bindings/*/README.md works, and the links lead somewhere.
#
#   check-docs.sh [ROOT]    another tree than this one; $BUILD is then absolute
#
# What happens to a fenced block is written behind its language:
#
#   ```c               compiles as a file of its own; `compile` says the same
#   ```c run           is a program: compiles, links, and exits with 0
#   ```console run     every `$ command` succeeds, and where output is shown below
#                      a command it is exactly that. A shown line `...` stands
#                      for any lines, `...` in a line for any text. A line that
#                      begins with `> ` right below a command continues it.
#   ```cpp run, ```js run
#                      is a program too, for the binding in this tree; left out where its language is not here
#   ```python run      the same, but all blocks of a document are one program, in their order
#   ```python          compiles
#   ```sh run          a script that succeeds
#   ```sh norun, …     is not looked at; one of the two words has to be there
#
# docs/errors.md is what scripts/errors-doc.sh makes of the headers today. docs/postgres.md is about a
# database: it has one of its own in the cluster that tests/with_cluster.c has started.
#
# Commands run in a fresh directory per document, where what an earlier block
# made is still there, with the built `flagver` and the examples in PATH. Blocks
# in other languages are text.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "${1:-$here}"

CC=${CC:-cc}
BUILD=$(realpath "${BUILD:-build}")
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck source=scripts/find-node.sh
. "$here/scripts/find-node.sh"

ran=0 compiled=0 links=0 failed=0 skipped=()
flags=(-std=c11 -Wall -Wextra -Werror -Wno-unused "-I$root/include")
library=$BUILD/libflagver.so.0
libraries=("-L$BUILD" -lflagver -lm -pthread "-Wl,-rpath,$BUILD")

complain() {
    echo "check-docs: $*" >&2
    failed=1
}

# Split a document: $work/blocks/<n>.text and <n>.head, "LINE LANGUAGE WORDS".
split() {
    rm -rf "$work/blocks"
    mkdir "$work/blocks"
    awk -v to="$work/blocks/" '
        !open && /^ *```+/ {
            match($0, /`+/)
            indent = RSTART - 1; ticks = RLENGTH
            info = substr($0, RSTART + RLENGTH)
            open = 1; n++
            name = to sprintf("%04d", n)
            print NR, info > (name ".head")
            printf "" > (name ".text")
            next
        }
        open && match($0, /^ *`+ *$/) {
            line = $0; gsub(/ /, "", line)
            if (length(line) >= ticks) { open = 0; close(name ".head"); close(name ".text"); next }
        }
        open {
            # A block in a list is indented, its text is not meant to be.
            line = $0
            for (i = 0; i < indent && substr(line, 1, 1) == " "; i++) line = substr(line, 2)
            print line > (name ".text")
        }
        END { if (open) exit 1 }' "$1"
}

compile_c() {
    local place=$1 text=$2 mode=$3
    cp "$text" "$work/block.c"
    if [ "$mode" != run ]; then
        "$CC" "${flags[@]}" -c -o "$work/block.o" "$work/block.c" 2>"$work/words" ||
            { complain "$place does not compile"; cat "$work/words" >&2; }
        compiled=$((compiled + 1))
        return
    fi
    if ! "$CC" "${flags[@]}" -o "$work/block" "$work/block.c" "${libraries[@]}" 2>"$work/words"; then
        complain "$place does not compile and link"
        cat "$work/words" >&2
        return
    fi
    (cd "$directory" && timeout 60 "$work/block") >"$work/words" 2>&1 </dev/null ||
        { complain "$place ended with status $?"; cat "$work/words" >&2; }
    ran=$((ran + 1))
}

# A program in a language that there is a binding for.
run_binding() {
    local place=$1 text=$2 language=$3 why
    why=$(missing_for "$language")
    if [ -n "$why" ]; then
        skipped+=("$why")
        return
    fi
    (cd "$directory" && case $language in
        cpp) run_cpp "$text" ;;
        python) run_python "$text" ;;
        js) run_js "$text" ;;
        esac) >"$work/words" 2>&1 </dev/null ||
        { complain "$place ended with status $?"; cat "$work/words" >&2; }
    ran=$((ran + 1))
}

missing_for() {
    case $1 in
    cpp) command -v g++ clang++ >/dev/null || echo "no C++ compiler" ;;
    python) python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || echo "no Python 3.9" ;;
    js) node_is_there && [ -d "$root/bindings/node/node_modules" ] ||
        echo "no Node.js 20 with what bindings/node needs" ;;
    esac
}

run_cpp() {
    local compiler
    compiler=${CXX:-$(command -v g++ clang++ | head -n 1)}
    mkdir -p "$work/include/flagver"
    cp "$root/bindings/cpp/flagver.hpp" "$work/include/flagver"
    cp "$1" "$work/block.cpp"
    "$compiler" -std=c++17 -Wall -Wextra -Werror "-I$root/include" "-I$work/include" -o "$work/block" \
        "$work/block.cpp" "${libraries[@]}" && timeout 60 "$work/block"
}

run_python() {
    PYTHONPATH=$root/bindings/python PYTHONDONTWRITEBYTECODE=1 FLAGVER_LIBRARY=$library timeout 60 python3 "$1"
}

# What goes on from one block to the next is run when the document is through.
keep_python() {
    local place=$1 text=$2 mode=$3 why
    why=$(missing_for python)
    if [ -n "$why" ]; then
        skipped+=("$why")
        return
    fi
    python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[2], "exec")' "$text" "$place" \
        2>"$work/words" || { complain "$place does not compile"; cat "$work/words" >&2; }
    compiled=$((compiled + 1))
    [ "$mode" != run ] || cat "$text" >>"$work/program.py"
}

run_kept() {
    [ ! -e "$work/program.py" ] || run_binding "$1, all of its Python" "$work/program.py" python
    rm -f "$work/program.py"
}

# Where `import … from "flagver"` leads into this tree, and what it takes is beside it.
run_js() {
    mkdir -p node_modules
    ln -sfn "$root"/bindings/node/node_modules/* node_modules
    ln -sfn "$root/bindings/node" node_modules/flagver
    cp "$1" block.mjs
    FLAGVER_LIBRARY=$library timeout 60 node block.mjs
}

run_script() {
    local place=$1 text=$2
    (cd "$directory" && timeout 300 bash -eu -o pipefail "$text") >"$work/words" 2>&1 </dev/null ||
        { complain "$place ended with status $?"; cat "$work/words" >&2; }
    ran=$((ran + 1))
}

# Does the text in $1 match the one in $2, where `...` stands for anything?
matches() {
    awk -v got_file="$1" '
        # index of the piece in text at or behind from, 0 if it is not there
        function seek(text, piece, from,   at) {
            at = index(substr(text, from), piece)
            return at ? at + from - 1 : 0
        }
        function line_matches(shape, text,   parts, n, i, at, from) {
            n = split(shape, parts, /\.\.\./)
            if (n <= 1) return shape == text
            if (substr(text, 1, length(parts[1])) != parts[1]) return 0
            from = length(parts[1]) + 1
            for (i = 2; i < n; i++) {
                at = seek(text, parts[i], from)
                if (!at && parts[i] != "") return 0
                if (at) from = at + length(parts[i])
            }
            at = length(text) - length(parts[n]) + 1
            return at >= from && substr(text, at) == parts[n]
        }
        function all_match(w, g) {
            for (; w <= wanted_lines; w++) {
                if (wanted[w] == "...") {
                    for (; g <= got_lines + 1; g++) if (all_match(w + 1, g)) return 1
                    return 0
                }
                if (g > got_lines || !line_matches(wanted[w], got[g])) return 0
                g++
            }
            return g == got_lines + 1
        }
        BEGIN { while ((getline line < got_file) > 0) got[++got_lines] = line }
        { wanted[++wanted_lines] = $0 }
        END { exit !all_match(1, 1) }' "$2"
}

# Run the commands of a console block in one shell, so that `cd` and variables
# hold on, and compare what each one says.
run_console() {
    local place=$1 text=$2 commands=$work/commands n=0 i status
    rm -rf "$commands"
    mkdir "$commands"
    awk -v to="$commands/" '
        /^\$ / { n++; said = 0; print substr($0, 3) > (to n ".sh"); next }
        /^>( |$)/ && n && !said { print substr($0, 3) > (to n ".sh"); next }
        n { said = 1; print > (to n ".wanted"); next }
        { exit 1 }' "$text" || { complain "$place begins with no \$ command"; return; }
    n=$(find "$commands" -name '*.sh' | wc -l)
    if [ "$n" -eq 0 ]; then
        complain "$place has no \$ command"
        return
    fi

    {
        for ((i = 1; i <= n; i++)); do
            printf '. %q >%q 2>&1 </dev/null; echo $? >%q\n' \
                "$commands/$i.sh" "$commands/$i.got" "$commands/$i.status"
        done
    } >"$commands/all"
    (cd "$directory" && timeout 300 bash "$commands/all") >&2 || true

    for ((i = 1; i <= n; i++)); do
        status=$(cat "$commands/$i.status" 2>/dev/null || echo none)
        if [ "$status" != 0 ]; then
            complain "$place: status $status from: $(head -n 1 "$commands/$i.sh")"
            cat "$commands/$i.got" >&2 2>/dev/null || true
        elif [ -e "$commands/$i.wanted" ] &&
            ! matches "$commands/$i.got" "$commands/$i.wanted"; then
            complain "$place: another output from: $(head -n 1 "$commands/$i.sh")"
            diff -u --label documented --label real \
                "$commands/$i.wanted" "$commands/$i.got" >&2 || true
        fi
        ran=$((ran + 1))
    done
}

check_block() {
    local document=$1 head=$2 text=${2%.head}.text line language words place
    read -r line language words <"$head" || true
    place=$document:$line
    case "$language $words" in
    'c ' | 'c compile') compile_c "$place" "$text" compile ;;
    'c run') compile_c "$place" "$text" run ;;
    'python ' | 'python compile') keep_python "$place" "$text" compile ;;
    'python run') keep_python "$place" "$text" run ;;
    'cpp run' | 'js run') run_binding "$place" "$text" "$language" ;;
    'console run') run_console "$place" "$text" ;;
    'sh run' | 'bash run') run_script "$place" "$text" ;;
    *' norun') ;;
    'c '* | 'cpp '* | 'python '* | 'js '* | 'sh '* | 'bash '* | 'shell '* | 'console '*)
        complain "$place: \`\`\`$language $words is not marked as scripts/check-docs.sh wants it"
        ;;
    esac
}

# Links that stay in the project, outside of code: the file has to be there.
check_links() {
    local document=$1 target
    # shellcheck disable=SC2016 # the backquotes are the document's
    while read -r target; do
        [ -n "$target" ] || continue
        [ -e "$(dirname "$document")/$target" ] || complain "$document links to $target, which is not there"
        links=$((links + 1))
    done < <(awk '/^ *```/ { code = !code; next } !code' "$document" | sed 's/`[^`]*`//g' |
        grep -oE '\]\([^) ]+' | sed -E 's/^..//; s/#.*//' | grep -vE '^[a-z]+:' | sort -u)
}

# Where libpq goes when nobody says more; or the blocks are left out.
make_database() {
    if [ -z "$cluster" ]; then
        echo "SKIPPED: no PostgreSQL server"
        return 1
    fi
    export PGHOST=$cluster/socket
    psql -q -U postgres -d postgres -c "SET client_min_messages = error" -c "DROP DATABASE IF EXISTS shop" \
        -c "CREATE DATABASE shop OWNER owner ENCODING 'UTF8' TEMPLATE template0"
}

export PATH="$BUILD:$BUILD/examples:$PATH" LC_ALL=C.UTF-8 NO_COLOR=1
cluster=${FLAGVER_TEST_CLUSTER:-}
unset "${!FLAGVER_@}"

documents=0
for document in README.md docs/*.md bindings/*/README.md; do
    [ -e "$document" ] || continue
    documents=$((documents + 1))
    directory=$work/directory
    rm -rf "$directory"
    mkdir "$directory"
    if ! split "$document"; then
        complain "$document ends inside a block"
        continue
    fi
    check_links "$document"
    [ "$document" != docs/postgres.md ] || make_database || continue
    for head in "$work"/blocks/*.head; do
        [ ! -e "$head" ] || check_block "$document" "$head"
    done
    run_kept "$document"
done

[ "$root" != "$here" ] || CC=$CC "$here/scripts/errors-doc.sh" --check || failed=1

[ ${#skipped[@]} -eq 0 ] || printf 'SKIPPED: %s\n' "${skipped[@]}" | sort -u
echo "$documents documents: $compiled blocks compiled, $ran commands and programs run, $links links"
[ $((compiled + ran)) -gt 0 ] || complain "nothing was compiled or run"
exit "$failed"
