#!/usr/bin/env bash
# The arrows between the folders of lib/.
#
#   check-layers.sh ROOT OBJECTS    OBJECTS/lib/<folder>/*.o are those of ROOT
#   check-layers.sh --self-test     the check itself finds what it should
#
# - each folder is linked with the folders below it and nothing else, so a call
#   that points up is an undefined symbol
# - includes point down too, and outside libraries are included where they live
# - model/ has no clock, lock or I/O; nothing in lib/ ends or changes the process
# - the program, the examples, the benchmarks and the bindings see include/ only
set -eu -o pipefail

CC=${CC:-cc}
PKG_CONFIG=${PKG_CONFIG:-pkg-config}

# The folders that one may include and call.
below() {
    case $1 in
    util) ;;
    model) echo util ;;
    codec | crypto) echo model util ;;
    store) echo crypto model util ;;
    driver) echo store crypto model util ;;
    engine) echo codec store crypto model util ;;
    api) echo engine codec store crypto model util driver ;;
    *) return 1 ;;
    esac
}

# The outside libraries of a folder, by their pkg-config names.
packages() {
    case $1 in
    codec) echo jansson ;;
    crypto) echo libcrypto ;;
    driver) echo sqlite3 libpq ;;
    esac
}

# How the functions of the outside libraries begin, and whose they are.
outside_functions() {
    echo 'codec json_.*|jansson_.*'
    echo 'crypto (EVP|OSSL|OPENSSL|CRYPTO|RAND|ERR|SHA256)_.*'
    echo 'driver sqlite3_.*|PQ.*'
}

# Where a header of an outside library may be included.
home_of() {
    case $1 in
    jansson.h) echo lib/codec ;;
    openssl/*) echo lib/crypto ;;
    sqlite3*.h | libpq* | postgres_ext.h | pg_config*) echo lib/driver ;;
    esac
}

complain() {
    echo "check-layers: $*" >&2
    failed=1
}

# The objects of a folder's sources: of a source that is gone one may be left, and of a driver
# whose library is not there none is made.
objects_of() {
    local folder=$1 root=$2 objects=$3 source object

    for source in "$root/lib/$folder"/*.c; do
        object=$objects/lib/$folder/$(basename "$source" .c).o
        [ ! -f "$source" ] || [ ! -f "$object" ] || echo "$object"
    done
}

link_folder() {
    local folder=$1 root=$2 objects=$3 other package words libraries=() inputs=() found

    for other in $folder $(below "$folder"); do
        mapfile -t found < <(objects_of "$other" "$root" "$objects")
        inputs+=("${found[@]}")
        [ -d "$root/lib/$other" ] || continue
        for package in $(packages "$other"); do
            read -ra words < <("$PKG_CONFIG" --libs "$package" 2>/dev/null || true)
            libraries+=("${words[@]}")
        done
    done

    "$CC" -shared -Wl,-z,defs -o "$work/$folder.so" "${inputs[@]}" "${libraries[@]}" \
        -lm -pthread 2>"$work/words" || {
        grep -E 'undefined reference|undefined symbol' "$work/words" | sort -u >&2 ||
            cat "$work/words" >&2
        complain "lib/$folder needs something that is not below it"
    }
}

# Symbols that the objects of a folder take from elsewhere must not be these.
refuse_symbols() {
    local folder=$1 root=$2 objects=$3 names=$4 why=$5 found inputs

    mapfile -t inputs < <(objects_of "$folder" "$root" "$objects")
    found=$(nm -u "${inputs[@]}" | awk '$1 == "U" { sub(/@.*/, "", $2); print $2 }' |
        grep -xE "$names" | sort -u | tr '\n' ' ' || true)
    [ -z "$found" ] || complain "lib/$folder calls $found: $why"
}

# One line "FILE HEADER" per include, for files below these folders.
includes() {
    local place
    for place; do
        [ ! -d "$place" ] || grep -rEo --include='*.[ch]' --include='*.[ch]pp' --exclude-dir=node_modules \
            '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"][^">]+' "$place" || true
    done >"$work/includes"
    sed -E 's/:[^:]*[<"]/ /' "$work/includes"
}

check_include() {
    local file=$1 header=$2 folder target home
    case $file in
    lib/*) folder=${file#lib/} folder=${folder%%/*} ;;
    *) folder= ;;
    esac

    # A first part that is a folder of lib/ makes it one of our own headers.
    target=${header%%/*}
    if below "$target" >/dev/null && [ "$target" != "$header" ]; then
        if [ -z "$folder" ]; then
            complain "$file includes $header: only include/ is for clients"
        elif [ "$target" = driver ] && [ "$folder" != driver ] &&
            [ "$file" != lib/api/drivers.c ]; then
            complain "$file includes $header: only lib/api/drivers.c knows the drivers"
        elif [[ " $folder $(below "$folder") " != *" $target "* ]]; then
            complain "$file includes $header: that points up"
        fi
    elif [[ $header == *../* ]]; then
        complain "$file includes $header: a path around the layers"
    fi

    home=$(home_of "$header")
    if [ -n "$home" ] && [ -n "$folder" ] && [[ $file != "$home"/* ]]; then
        complain "$file includes $header, which belongs to $home"
    fi

    if [ "$folder" = model ]; then
        case $header in
        time.h | stdio.h | pthread.h | threads.h | unistd.h | fcntl.h | poll.h | sys/*)
            complain "$file includes $header: model/ has no clock, lock or I/O"
            ;;
        esac
    fi
}

check_tree() {
    local root=$1 objects=$2 folder file header home name linked=0
    failed=0

    for folder in "$root"/lib/*/; do
        folder=$(basename "$folder")
        compgen -G "$root/lib/$folder/*.[ch]" >/dev/null || continue
        if ! below "$folder" >/dev/null; then
            complain "lib/$folder has no place among the layers"
            continue
        fi
        compgen -G "$root/lib/$folder/*.c" >/dev/null || continue
        link_folder "$folder" "$root" "$objects"
        linked=$((linked + 1))

        refuse_symbols "$folder" "$root" "$objects" \
            'abort|exit|_exit|_Exit|quick_exit|__assert_fail|setlocale|signal|sigaction|f?printf|__f?printf_chk|puts|putchar|perror' \
            "a library does not end, change or print for its host"
        while read -r home name; do
            [ "$folder" = "$home" ] || refuse_symbols "$folder" "$root" "$objects" "$name" \
                "that belongs to lib/$home"
        done < <(outside_functions)
        [ "$folder" != model ] || refuse_symbols model "$root" "$objects" \
            '(time|clock|clock_gettime|gettimeofday|getenv|rand|random|getrandom|f?open|read|write|pthread_.*|mtx_.*)' \
            "model/ decides and does nothing else"
    done

    while read -r file header; do
        check_include "$file" "$header"
    done < <(cd "$root" && includes lib cli bindings examples bench)

    # These see include/flagver.h, include/flagver/ and neighbours of their own.
    while read -r file header; do
        name=$(dirname "$file")/$header
        case $header in
        flagver.h | flagver/*) [ -e "$root/include/$header" ] ||
            complain "$file includes $header, which is not in include/" ;;
        *) [ ! -e "$root/lib/$header" ] || [ -e "$root/$name" ] ||
            complain "$file includes lib/$header: only include/ is for clients" ;;
        esac
    done < <(cd "$root" && includes cli examples bench)

    [ "$linked" -gt 0 ] || complain "nothing to link below $root/lib"
    [ "$failed" -ne 0 ] || echo "$linked folders linked, no arrow points up"
    return "$failed"
}

# --- self-test: a tiny tree that is right, then the same with every mistake in it

put() {
    mkdir -p "$(dirname "$work/tree/$1")"
    cat >"$work/tree/$1"
}

check_tiny_tree() {
    local source object
    for source in "$work"/tree/lib/*/*.c; do
        object=$work/objects/${source#"$work/tree/"}
        mkdir -p "$(dirname "$object")"
        "$CC" -w -fPIC -I"$work/tree/lib" -c -o "${object%.c}.o" "$source"
    done
    (check_tree "$work/tree" "$work/objects") >"$work/said" 2>&1
}

judged_wrongly() {
    echo "check-layers --self-test: $1; it said:" >&2
    sed 's/^/    /' "$work/said" >&2
    exit 1
}

self_test() {
    local said caught=0

    put include/flagver.h <<<'int flagver_answer(void);'
    put lib/util/low.h <<<'int fv_low(void);'
    put lib/util/low.c <<<$'#include "util/low.h"\nint fv_low(void) { return 1; }'
    put lib/model/pure.h <<<'int fv_pure(void);'
    put lib/model/pure.c <<<$'#include "util/low.h"\nint fv_pure(void) { return fv_low(); }'
    put lib/engine/top.h <<<'int fv_top(void);'
    put lib/engine/top.c <<<$'#include "model/pure.h"\nint fv_top(void) { return fv_pure(); }'
    put cli/main.c <<<'#include <flagver.h>'
    check_tiny_tree || judged_wrongly "a right tree is refused"

    put lib/util/up.c <<<'int fv_top(void); int fv_up(void) { return fv_top(); }'
    put lib/util/up.h <<<'#include "engine/top.h"'
    put lib/model/clock.h <<<'#include <time.h>'
    put lib/model/luck.c <<<'int rand(void); int fv_luck(void) { return rand(); }'
    put lib/engine/end.c <<<'void abort(void); void fv_end(void) { abort(); }'
    put lib/engine/json.h <<<'#include <jansson.h>'
    put lib/engine/json.c <<<'int json_dumps(void); int fv_json(void) { return json_dumps(); }'
    put lib/store/rows.c <<<'int PQexec(void); int fv_rows(void) { return PQexec(); }'
    put lib/store/rows.h <<<'#include <libpq-fe.h>'
    put lib/other/thing.c <<<'int fv_other;'
    put cli/inside.c <<<'#include "util/low.h"'
    put cli/around.c <<<'#include "../lib/util/low.h"'
    put cli/secret.c <<<'#include <flagver/secret.h>'
    ! check_tiny_tree || judged_wrongly "a wrong tree is accepted"

    while read -r said; do
        grep -qF -- "$said" "$work/said" || judged_wrongly "\"$said\" was to be found"
        caught=$((caught + 1))
    done <<'MISTAKES'
fv_top
lib/util needs something that is not below it
lib/util/up.h includes engine/top.h: that points up
lib/model/clock.h includes time.h: model/ has no clock
lib/model calls rand
lib/engine calls abort
lib/engine/json.h includes jansson.h, which belongs to lib/codec
lib/engine calls json_dumps
lib/store/rows.h includes libpq-fe.h, which belongs to lib/driver
lib/store calls PQexec
lib/other has no place among the layers
cli/inside.c includes util/low.h: only include/ is for clients
cli/around.c includes ../lib/util/low.h: a path around the layers
cli/secret.c includes flagver/secret.h, which is not in include/
MISTAKES
    echo "self-test: a right tree passes, $caught mistakes are found"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "${1:-}" = --self-test ]; then
    self_test
elif [ $# -eq 2 ]; then
    check_tree "$1" "$2"
else
    echo "usage: check-layers.sh ROOT OBJECTS | --self-test" >&2
    exit 2
fi
