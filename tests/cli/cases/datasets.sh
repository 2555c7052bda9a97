# Data sets: snapshot, compare, audit-values.
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:datasets.db FLAGVER_ACTOR=alice

# A line "KEY VALUE" each; then a snapshot of them.
lines() {
    sed 's/^\([^ ]*\) \(.*\)$/{"key": "\1", "value": \2}/'
}
save() {
    lines >saved.jsonl
    run snapshot --input - --output "$1" <saved.jsonl
    exits 0
}

sum='[0-9a-f]*'

it "saves JSON lines in order of their keys, with digests"
lines >before.jsonl <<'END'
table {"price": 120.50, "stock": 3}
chair {"stock": 4, "price": 40}
END
run snapshot --input before.jsonl --output before.snap
exits 0
prints_like "before.snap: 2 records, sha256 $sum"
says_nothing
run snapshot --input before.jsonl --output before.snap --json
prints_like '{"file":"before.snap","records":2,"bytes":[0-9]*,"sha256":"'"$sum"'"}'
holds test "$(sed 's/:"2[^"]*Z"}/:TIME}/; s/"sha256":"[0-9a-f]\{64\}"/SUM/' before.snap)" = \
    '{"flagver":"snapshot","form":1,"phase":null,"prefix":null,"time":TIME}
{"key":"chair",SUM,"value":{"price":40,"stock":4}}
{"key":"table",SUM,"value":{"price":120.5,"stock":3}}
{"records":2,SUM}'
holds grep -qF "\"key\":\"chair\",\"sha256\":\"$(printf '{"price":40,"stock":4}' | sha256sum | cut -c 1-64)\"" before.snap
holds grep -qF "{\"records\":2,\"sha256\":\"$(sed '$d' before.snap | sha256sum | cut -c 1-64)\"}" before.snap

it "finds nothing where nothing has changed"
run compare before.snap before.snap
exits 0
prints '2 records before, 2 after: 2 equal, 0 within tolerance, 0 missing, 0 extra, 0 changed
0 errors, 0 warnings'

it "allows numbers 5 percent, and says what else is different"
save after.snap <<'END'
chair {"price": 42, "stock": 4}
lamp {"price": 9}
table {"price": 120.5, "stock": 2}
END
run compare before.snap after.snap
exits 1
prints 'error  EXTRA  lamp  {"price":9}
error  VALUE  table  /stock  3 -> 2
2 records before, 3 after: 0 equal, 1 within tolerance, 0 missing, 1 extra, 1 changed
2 errors, 0 warnings'
run compare after.snap before.snap --json
exits 1
prints '{"difference":"MISSING","severity":"error","key":"lamp","pointer":"","beforeLine":3,"afterLine":null,"before":{"price":9}}
{"difference":"VALUE","severity":"error","key":"table","pointer":"/stock","beforeLine":4,"afterLine":3,"before":2,"after":3}
{"before":3,"after":2,"equal":0,"tolerated":1,"missing":1,"extra":0,"changed":1,"errors":2,"warnings":0}'

it "takes a tolerance for all, and for a field"
save one.snap <<<'a {"price": 100, "count": 7, "note": "x"}'
save other.snap <<<'a {"price": 100.2, "count": 9, "note": "y"}'
run compare one.snap other.snap --tolerance 0%
exits 1
prints_like '*/count  7 -> 9*/price  100 -> 100.2*2 errors, 1 warnings'
run compare one.snap other.snap --tolerance 1% --field count=abs:2
exits 0
prints 'warning  VALUE  a  /note  "x" -> "y"
1 records before, 1 after: 0 equal, 0 within tolerance, 0 missing, 0 extra, 1 changed
0 errors, 1 warnings'
run compare one.snap other.snap --field /count=abs:2 --field price=0.1%
exits 1
prints_like '*error  VALUE  a  /price  100 -> 100.2*1 errors, 1 warnings'
run compare one.snap other.snap --field count=ignore --field note=ignore
exits 0
prints_like '*1 within tolerance*0 errors, 0 warnings'

it "takes warnings for errors when it is told to"
run compare one.snap other.snap --field count=abs:2 --strict
exits 1
prints_like 'error  VALUE  a  /note *'
run compare one.snap other.snap --field count=abs:2 --field note=exact
exits 1
prints_like 'error  VALUE  a  /note *'

it "prints as many as it should, and counts all"
run compare one.snap other.snap --limit 1 --tolerance 0%
exits 1
prints_like 'error  VALUE  a  /count  7 -> 9
and 2 more
*2 errors, 1 warnings'

it "refuses a snapshot that was edited or cut off, and names the line"
sed 's/"price":40/"price":41/' before.snap >edited.snap
run compare before.snap edited.snap
exits 6
says 'flagver: edited.snap:2: the value is not what its sha256 is of'
sed 2d before.snap >edited.snap
run compare before.snap edited.snap
exits 6
says 'flagver: edited.snap:3: says 2 records; 1 are there'
sed 1s/null/1/ before.snap >edited.snap
run compare edited.snap before.snap
exits 6
says 'flagver: edited.snap:4: the sha256 is not that of the lines before: one was changed'
head -n 3 before.snap >edited.snap
run compare before.snap edited.snap
exits 6
says 'flagver: edited.snap:4: the file ends without the last line of a snapshot'
head -c 300 before.snap >edited.snap
run audit-values --input edited.snap
exits 6
says 'flagver: edited.snap:3: the file ends inside this line'
run compare before.snap before.jsonl
exits 6
says 'flagver: before.jsonl:1: is not the first line of a snapshot file'

it "refuses what is no JSON line, and leaves the file as it was"
cp before.snap kept.snap
printf '{"key": "a", "value": 1}\n{"key": "b", "valu": 1}\n' >bad.jsonl
run snapshot --input bad.jsonl --output kept.snap
exits 6
says_like 'flagver: bad.jsonl:2:14: *valu*'
printf '{"key": "a", "value": 1}\n\n{"key": "a", "value": 2}\n' >bad.jsonl
run snapshot --input bad.jsonl --output kept.snap
exits 6
says 'flagver: bad.jsonl:3: the key "a" stands on line 1 already'
run snapshot --input nothing.jsonl --output kept.snap
exits 6
says 'flagver: nothing.jsonl: No such file or directory'
run snapshot --input before.jsonl --output nowhere/x
exits 7
holds cmp before.snap kept.snap
holds eval '! ls | grep part'

it "refuses what it does not understand"
run snapshot --input before.jsonl
exits 2
says 'flagver: snapshot: needs --output'
run snapshot --input before.jsonl --output -
exits 2
says 'flagver: snapshot: --output -: a snapshot is a file'
run snapshot --output x
exits 2
says 'flagver: snapshot: needs a phase, or --input, and not both'
run audit-values price --input before.jsonl
exits 2
run snapshot --input before.jsonl --at -1h --output x
exits 2
run compare before.snap
exits 2
run compare - -
exits 2
says 'flagver: compare: both files are standard input'
run compare before.snap before.snap --tolerance -5%
exits 2
says 'flagver: compare: the tolerance "-5%" is none: 5%, abs:0.01 or 5%,abs:0.01'
run compare before.snap before.snap --tolerance 101%
exits 2
run compare before.snap before.snap --field price
exits 2
says 'flagver: compare: --field price has no "=" before a rule'
run compare before.snap before.snap --field price=string
exits 2
run audit-values --input before.jsonl --field price=5%
exits 2
run compare before.snap before.snap --limit x
exits 2

it "saves a phase, a part of it, and what it was"
run init
run phase put price - <<<'{"versioning": "audit_only", "schema": {"properties": {"amount": {"minimum": 0}}}}'
run version record price shop/chair - <<<'{"amount": 40}'
run version record price shop/table - <<<'{"amount": 120}'
run version record price web/table - <<<'{"amount": 130}'
run snapshot price --output all.snap
exits 0
prints_like "all.snap: 3 records, *"
holds grep -q '^{"flagver":"snapshot","form":1,"phase":"price","prefix":null,' all.snap
run snapshot price shop/ --output shop.snap
prints_like "shop.snap: 2 records, *"
sleep 0.01
run version record price web/table - <<<'{"amount": 99}'
run snapshot price --output now.snap
run compare all.snap now.snap
exits 1
prints_like 'error  VALUE  web/table  /amount  130 -> 99
*1 errors*'
then=$(sed -n '1s/.*"time":"\([^"]*\)".*/\1/p' all.snap)
run snapshot price --at "$then" --output then.snap
run compare all.snap then.snap
exits 0

it "knows a phase without records from none"
run phase put empty - <<<'{"versioning": "audit_only"}'
run snapshot empty --output empty.snap
exits 0
prints_like 'empty.snap: 0 records, *'
run snapshot prise --output prise.snap
exits 3
holds test ! -e prise.snap
run --store sqlite:none.db snapshot price --output x
exits 7

it "looks over the values of JSON lines, a snapshot or a phase"
lines >values.jsonl <<'END'
a {"price": 1, "name": "x", "mail": "a@b"}
b {"price": 2, "name": null, "mail": ""}
c {"price": "3", "name": "x"}
d {"price": 4, "name": "x", "mail": "c@d"}
END
run audit-values --input values.jsonl
exits 1
prints 'FIELD   SCORE  COUNT  PROBLEMS            TYPES                DISTINCT  DISTRIBUTION
/mail   75     3      1 missing, 1 empty  3 string             3
/name   87     4      1 null              3 string             1         "x" (3)
/price  75     4      1 odd               3 integer, 1 string  4         1 to 4, mean 2.33333, median 2, p5 1, p95 4
4 records, 3 fields
score 79: do not build upon it: put "/mail" right first, which scores 75'
run snapshot --input values.jsonl --output values.snap
run audit-values --input values.snap --json
exits 1
prints_like '{"field":"/mail","score":75,"count":3,"missing":1,"nulls":0,"empty":1,"invalid":0,"odd":0,"distinct":3,"types":{*"string":3,*},"numbers":null,"lengths":{"min":0,"max":3},"top":\[\]}
{"field":"/name",*"top":\[{"value":"\\"x\\"","count":3,"uncertain":0}\]}
{"field":"/price",*"numbers":{"min":1.0,"max":4.0,"mean":2.33*,"p50":2.0,*}*
{"records":4,"score":79,"recommendation":"do not build upon it: *","fields":3,"leftOut":0,"invalid":0,"misfits":0,"misfit":null}'
run audit-values price shop/
exits 0
prints 'FIELD    SCORE  COUNT  PROBLEMS  TYPES      DISTINCT  DISTRIBUTION
/amount  100    2                2 integer  2         40 to 120, mean 80, median 40, p5 40, p95 120
2 records, 1 fields
score 100: fit to be built upon'

it "holds values against types, and records against the schema of their phase"
run audit-values --input values.jsonl --field 'price=number|null' --field mail=string
exits 1
prints_like '*/mail   50 *1 missing, 1 empty, 1 invalid *
*/price  50 *1 odd, 1 invalid *
4 records, 3 fields, 2 invalid values
*'
run audit-values --input values.jsonl --field nam=string
prints_like '*/nam    50     0      4 missing *'
run version record price web/lamp - <<<'{"amount": 5}'
run phase put price - <<<'{"versioning": "audit_only", "schema": {"properties": {"amount": {"minimum": 50}}}}'
run audit-values price
exits 1
prints_like '*4 records, 1 fields
2 do not fit the schema of their phase; shop/chair: /amount: *
score 50: do not build upon it: put right the records that do not fit the schema'

it "does not take nothing for good values"
run audit-values empty
exits 1
prints '0 records, 0 fields
score 0: there are no records: find out why before anything is built upon them'
