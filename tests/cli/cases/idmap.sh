# The id map: idmap …
# shellcheck shell=bash disable=SC2154 # sourced by run.sh

export FLAGVER_STORE=sqlite:ids.db FLAGVER_ACTOR=alice

it "maps an old id to a new one and finds both"
run idmap put users 17 u-17
exits 0
prints 'u-17'
run idmap get users 17
exits 0
prints 'u-17'
run idmap get-old users u-17
prints '17'
run idmap get-old users u-17 --json
prints '{"entity":"users","old":"17","new":"u-17"}'
run idmap put users 17 u-17
exits 0

it "refuses an id that is mapped elsewhere"
run idmap put users 17 u-18
exits 5
says 'flagver: users "17" is mapped to "u-17", not to "u-18"'
run idmap put users 18 u-17
exits 5
says 'flagver: users "u-17" is what "17" is mapped to; it is not free for "18"'
run idmap get users 18
exits 3
says 'flagver: users "18" is not mapped'
run idmap put users ''
exits 6
says 'flagver: old_id is 0 bytes; 1 to 255 allowed'

it "makes an id where none is given, and the same again"
run idmap put users 19
exits 0
prints_like '????????-????-8???-????-????????????'
made=$(cat "$work/out")
run idmap put users 19
prints "$made"
run idmap put users 19 --json
prints '{"entity":"users","old":"19","new":"'"$made"'"}'

it "forgets a mapping"
run idmap remove users 19
exits 0
prints 'users 19 is not mapped any more'
run idmap remove users 19
exits 3
run idmap put users 19 other --json
exits 0
run idmap remove users 19 --json
prints '{"entity":"users","old":"19","removed":true}'

it "imports tabs, commas and JSON"
printf 'entity,old,new\norders,1,o-1\norders\t2\to, 2\r\n\n"orders","3 ""x""","o,3"\n%s' \
    '{"entity": "orders", "old": "4", "new": "\u00e4"}' >mixed
run idmap import mixed
exits 0
prints '4 mappings'
run idmap export orders
exits 0
prints $'orders\t1\to-1\norders\t2\to, 2\norders\t3 "x"\to,3\norders\t4\tä'

it "takes a byte order mark for none of an entity's"
printf '\xef\xbb\xbfentity,old,new\nmarked,1,m-1\n' >marked
run idmap import marked
exits 0
prints '1 mapping'
printf '\xef\xbb\xbf{"entity": "marked", "old": "2", "new": "m-2"}\n' >marked
run idmap import marked
exits 0
run idmap export marked
prints $'marked\t1\tm-1\nmarked\t2\tm-2'
run idmap remove marked 1
run idmap remove marked 2

it "exports what it imports, in either form"
run idmap put '{curly}' 1 c-1
run idmap export --json
exits 0
cp "$work/out" all.json
run idmap export
cp "$work/out" all.tsv
for form in tsv json; do
    FLAGVER_STORE=sqlite:$form.db run idmap import all.$form --json
    exits 0
    prints '{"mappings":6}'
    FLAGVER_STORE=sqlite:$form.db run idmap export
    same out prints "$(cat all.tsv; printf '\n')
"
done

it "imports many, and again"
seq 1 2500 | awk '{ print "items\t" $1 "\tnew-" $1 * 7919 % 99991 }' >many
run idmap import - <many
exits 0
prints '2500 mappings'
run idmap import many
exits 0
run idmap export items
[ "$(wc -l <"$work/out")" = 2500 ] || wrong "there are $(wc -l <"$work/out")"

it "says which line contradicts the store, and what is in it by then"
seq 2401 4000 | awk '{ print "items\t" $1 "\tnew-" ($1 == 3700 ? 0 : $1 * 7919 % 99991) }' >more
run idmap put items x new-0
run idmap import more
exits 5
says 'flagver: more: line 1300: items "new-0" is what "x" is mapped to; it is not free for "3700" (1000 mappings before are in the store)'
run idmap remove items x
run idmap import more
exits 0
prints '1600 mappings'

it "says which line is malformed"
for line in 'a,b' $'a\tb' $'a\tb\tc\td' 'a,b,c,d' '"a,b,c' '{"entity":"a","old":"b"}' '{"old":' \
    '{"entity":"a","old":1,"new":"c"}' '{"entity":"a","old":"b","new":"c","x":1}'; do
    run idmap import - < <(printf 'bad,1,2\n%s\n' "$line")
    exits 6
    says_like 'flagver: <stdin>: line 2: * (0 mappings before are in the store)'
done
run idmap import - <<<'bad,1,'
exits 6
says_like '*line 1: new_id is 0 bytes*'
run idmap get bad 1
exits 3
run idmap import nowhere
exits 6
says_like 'flagver: nowhere: No such file*'

it "does not make a store to read it"
FLAGVER_STORE=sqlite:none.db run idmap export
exits 7
[ ! -e none.db ] || wrong "there is a store"
