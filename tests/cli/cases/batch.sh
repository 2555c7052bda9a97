# flag eval --batch
# shellcheck shell=bash disable=SC2154,SC2034 # sourced by run.sh

batch() {
    run flag eval --batch --definitions flags.json "$@"
}

# One line and what it gives.
answers() {
    batch < <(printf '%s\n' "$1")
    exits 0
    prints "$2"
    says_nothing
}

# A line that is no request, and the beginning of the words for it.
bad() {
    batch < <(printf '%b\n' "$1")
    exits 6
    prints_like "{\"line\":1,\"error\":\"$2*\"}"
    says_nothing
    holds test "$(wc -l <"$work/out")" -eq 1
}

limit='{"flag":"limit","value":9007199254740993,"variant":"high","reason":"STATIC"}'

it "answers nothing with nothing"
batch
exits 0
prints_nothing
says_nothing

it "answers a line with a result"
answers '{"flag": "report_setup", "context": {"targetingKey": "user4"}}' \
    '{"flag":"report_setup","value":true,"variant":"on","reason":"SPLIT","bucket":26}'

it "needs no more than the flag and a context"
answers '{"flag":"limit","context":{}}' "$limit"

it "is about space as JSON is"
answers $'\t { "flag"\t:"limit" ,\r "context" : { } } \r' "$limit"

it "takes members in any order and spelled in any way"
answers '{"default":0,"context":{"companyId":"acme","country":"DE"},"typ\u0065":"strin\u0067","\u0066lag":"\u0063heckout"}' \
    '{"flag":"checkout","value":"one \"page\"","variant":"b","reason":"SPLIT","ruleId":"eu","bucket":69087}'

it "takes keys that are no ASCII"
answers '{"flag":"größe","context":{}}' '{"flag":"größe","value":true,"variant":"on","reason":"STATIC"}'

it "takes escapes for the same keys"
answers '{"flag":"gr\u00f6\u00DFe","context":{}}' '{"flag":"größe","value":true,"variant":"on","reason":"STATIC"}'

it "takes braces and quotes inside strings for what they are"
answers '{"flag":"checkout","context":{"targetingKey":"}\"{[\\","x":["]}",{"\"":"{"}]},"default":"}"}' \
    '{"flag":"checkout","value":"classic","variant":"a","reason":"DEFAULT"}'

it "gives null without a default"
answers '{"flag":"nope","context":{}}' \
    '{"flag":"nope","value":null,"variant":null,"reason":"ERROR","errorCode":"FLAG_NOT_FOUND"}'

it "gives the default back as it was written"
answers '{"flag":"nope","context":{},"default":{"b": [1.10, 1e2, -0], "a":"\u00e9\/"}}' \
    '{"flag":"nope","value":{"b": [1.10, 1e2, -0], "a":"\u00e9\/"},"variant":null,"reason":"ERROR","errorCode":"FLAG_NOT_FOUND"}'

for default in null true false 0 -1 9223372036854775807 '""' '"\u0001"' '[]' '{}'; do
    it "takes the default $default"
    answers "{\"flag\":\"nope\",\"context\":{},\"default\":$default}" \
        "{\"flag\":\"nope\",\"value\":$default,\"variant\":null,\"reason\":\"ERROR\",\"errorCode\":\"FLAG_NOT_FOUND\"}"
done

it "finds an empty key and an odd one unknown"
answers '{"flag":"","context":{}}' \
    '{"flag":"","value":null,"variant":null,"reason":"ERROR","errorCode":"FLAG_NOT_FOUND"}'
answers '{"flag":"a\n\"b","context":{}}' \
    '{"flag":"a\n\"b","value":null,"variant":null,"reason":"ERROR","errorCode":"FLAG_NOT_FOUND"}'

it "says when the type is another"
answers '{"flag":"limit","context":{},"type":"boolean","default":true}' \
    '{"flag":"limit","value":true,"variant":null,"reason":"ERROR","errorCode":"TYPE_MISMATCH"}'

for type in boolean string integer double json; do
    it "knows the type $type"
    batch < <(printf '{"flag":"nope","context":{},"type":"%s"}\n' "$type")
    exits 0
    prints_like '*FLAG_NOT_FOUND*'
done

it "takes a targeting key that is none for a result"
answers '{"flag":"limit","context":{"targetingKey":{"a":1}},"default":7}' \
    '{"flag":"limit","value":7,"variant":null,"reason":"ERROR","errorCode":"INVALID_CONTEXT"}'

it "takes a missing targeting key for a result"
answers '{"flag":"report_setup","context":{"targetingKey":null}}' \
    '{"flag":"report_setup","value":null,"variant":null,"reason":"ERROR","errorCode":"TARGETING_KEY_MISSING"}'

it "evaluates at the given time"
batch --at 2026-01-02T00:00:00Z <<'END'
{"flag":"new_search","context":{"targetingKey":"user3"}}
{"flag":"new_search","context":{"targetingKey":"user5"}}
END
exits 0
prints '{"flag":"new_search","value":true,"variant":"on","reason":"SPLIT","bucket":9083}
{"flag":"new_search","value":false,"variant":"off","reason":"SPLIT","bucket":13265}'

it "is no different with --json"
batch --json <<<'{"flag":"limit","context":{}}'
exits 0
prints "$limit"

it "takes lines that end in CR LF"
batch < <(printf '{"flag":"limit","context":{}}\r\n{"flag":"limit","context":{}}\r\n')
exits 0
prints "$limit
$limit"

it "takes a last line without its end"
batch < <(printf '{"flag":"limit","context":{}}\n{"flag":"limit","context":{}}')
exits 0
prints "$limit
$limit"

it "answers a bad line in its place, goes on, and exits 6"
batch <<'END'
{"flag":"limit","context":{}}
{"flag":
{"flag":"limit","context":{}}
{"flag":3}
{"flag":"nope","context":{}}
END
exits 6
prints_like "$limit
{\"line\":2,\"error\":\"*\"}
$limit
{\"line\":4,\"error\":\"\\\\\"flag\\\\\" must be a string*\"}
{\"flag\":\"nope\",*}"
says_nothing

it "refuses an empty line"
bad '' 'the line is empty'
it "refuses a line of spaces"
bad ' \t\r' 'the line is empty'
it "refuses an empty line at the end"
batch < <(printf '{"flag":"limit","context":{}}\n\n')
exits 6
prints "$limit
{\"line\":2,\"error\":\"the line is empty\"}"

it "refuses what is no object"
for line in '[]' 3 null true '"flag"' '[{"flag":"limit","context":{}}]'; do
    bad "$line" 'not an object'
done

it "refuses a line without a flag"
bad '{}' '\\"flag\\" is missing'
bad '{"flag":"limit"}' '\\"context\\" is missing'
bad '{"context":{}}' '\\"flag\\" is missing'

it "refuses a flag that is no string"
for flag in 3 null true '{}' '["limit"]'; do
    bad "{\"flag\":$flag}" '\\"flag\\" must be a string'
done
it "refuses a flag with NUL in it"
bad '{"flag":"limit\\u0000","context":{}}' 'column [0-9]*: there is a NUL in a string'

it "refuses other members"
bad '{"flag":"limit","user":"u"}' 'unknown member \\"user\\"; known are flag, context, type, default'
bad '{"flag":"limit","Flag":"limit"}' 'unknown member'
bad '{"flag":"limit","":1}' 'unknown member'
bad '{"flag":"limit","flag ":1}' 'unknown member'
bad '{"flag":"limit","größe":1}' 'unknown member \\"größe\\"'
bad "{\"flag\":\"limit\",\"$(printf 'k%.0s' {1..3000})\":1}" 'unknown member; known are'

it "refuses a member that is there twice"
bad '{"flag":"limit","flag":"limit"}' 'column * duplicate*'
bad '{"flag":"limit","fl\\u0061g":"limit"}' 'column * duplicate*'
bad '{"flag":"limit","context":{},"context":{}}' 'column * duplicate*'
bad '{"flag":"limit","context":{"a":1,"a":1}}' 'column * duplicate*'
bad '{"flag":"limit","context":{"a":{"b":1,"\\u0062":1}}}' 'column * duplicate*'
bad '{"flag":"limit","context":{},"default":{"a":1,"a":1}}' 'column * duplicate*'

it "refuses a context that is no object"
for context in null '[]' '"user1"' 3 true; do
    bad "{\"flag\":\"limit\",\"context\":$context}" '\\"context\\"'
done

it "refuses a context that nests too deep"
deep=$(printf '%0200d' 0 | sed 's/0/[/g')
bad "{\"flag\":\"limit\",\"context\":{\"a\":$deep${deep//\[/]}}}" '\\"context\\"'

it "refuses other types"
for type in null 3 '"bool"' '"any"' '"Boolean"' '""' '["boolean"]'; do
    bad "{\"flag\":\"limit\",\"type\":$type}" '\\"type\\" must be boolean, string, integer'
done

it "refuses what is no JSON, and names the column"
for line in '{' '}' '{"flag"' '{"flag":' '{"flag":"limit"' '{"flag":"limit",' '{"flag":"limit",}' \
    '{"flag":"limit","context":{}}}' '{"flag":"limit","context":{}} {"flag":"limit","context":{}}' '{"flag":"limit","context":{}}x' '{"flag":"limit",,}' \
    '{"flag" "limit"}' '{flag:"limit"}' "{'flag':'limit'}" '{"flag":"limit\\","context":{}}' '{"flag":"lim' \
    '{"flag":"li\\qmit","context":{}}' '{"flag":"\\ud800","context":{}}' '{"flag":"li\tmit","context":{}}' '{"flag":limit}' \
    '{"flag":"limit","context":{},"default":}' '{"flag":"limit","context":{},"default":nul}' '{"flag":"limit","context":{},"default":01}' \
    '{"flag":"limit","context":{},"default":+1}' '{"flag":"limit","context":{},"default":.5}' '{"flag":"limit","context":{},"default":NaN}' \
    '{"flag":"limit","context":{},"default":[1,]}' '{"flag":"limit","context":{},"default":[}' '{"flag":"limit","context":{},"default":{]}' \
    '{"flag":"limit","context":{},"default":[1}]}' '{"flag":"limit","context":{"a":[}}' \
    '{"flag":"limit","context":{"a"}}' '{"flag":"limit","context":{]}' '{"flag":"limit" "type":"json"}' \
    '{"flag":"limit"/**/}' '{"flag":"limit","context":{},"default":1e999}' '\xef\xbb\xbf{"flag":"limit","context":{}}'; do
    bad "$line" 'column [0-9]*: '
done

it "refuses NUL bytes wherever they are"
for line in '\0' '{"flag":"limit","context":{}}\0' '{"flag":"li\0mit","context":{}}' '{\0"flag":"limit"}' '{"fl\0ag":"limit"}' \
    '{"flag":"limit","context":{"a":"\0"}}' '{"flag":"limit","context":{\0}}' \
    '{"flag":"limit","context":{},"default":"\0"}' '{"flag":"limit","context":{},"default":1\0}' '{"flag":"limit","context":{},"default":[1\0]}' '\0{"flag":"limit","context":{}}' \
    '{"flag":"limit","context":{}}\0{"flag":"limit","context":{}}'; do
    bad "$line" 'there is a NUL in the line'
done

it "refuses what is not UTF-8 wherever it is"
for bytes in '\xff' '\xc3' '\xc0\x80' '\xed\xa0\x80' '\xf4\x90\x80\x80'; do
    bad "{\"flag\":\"li$bytes\",\"context\":{}}" 'column [0-9]*: '
    bad "{\"fl$bytes\":\"limit\"}" 'column [0-9]*: '
    bad "{\"flag\":\"limit\",\"context\":{\"a\":\"$bytes\"}}" 'column [0-9]*: '
    bad "{\"flag\":\"limit\",\"context\":{\"$bytes\":1}}" 'column [0-9]*: '
    bad "{\"flag\":\"limit\",\"default\":\"$bytes\"}" 'column [0-9]*: '
    bad "$bytes" 'column [0-9]*: '
done

it "takes lines of megabytes"
long=$(head -c 1000000 /dev/zero | tr '\0' x)
batch < <(printf '{"flag":"limit","context":{"targetingKey":"%s"}}\n{"flag":"%s","context":{}}\n{"flag":"limit","context":{}}\n' \
    "$long" "$long")
exits 0
prints "$limit
{\"flag\":\"$long\",\"value\":null,\"variant\":null,\"reason\":\"ERROR\",\"errorCode\":\"FLAG_NOT_FOUND\"}
$limit"

it "refuses a bad line of megabytes"
batch < <(printf '{"flag":"limit","context":{"a":"%s}\n{"flag":"limit","context":{}}\n' "$long")
exits 6
prints_like "{\"line\":1,\"error\":\"column *\"}
$limit"

it "takes long lines in a row, and short ones between"
for _ in 1 2 3 4 5 6 7 8; do
    printf '{"flag":"limit","context":{},"default":"%s"}\n{"flag":"limit","context":{}}\n' "$long"
done >long-lines
batch <long-lines
exits 0
holds test "$(sort -u "$work/out")" = "$limit"
holds test "$(wc -l <"$work/out")" -eq 16

it "answers many lines in their order"
awk 'BEGIN { for (i = 1; i <= 200000; i++) printf "{\"flag\":\"f%d\",\"context\":{},\"default\":%d}\n", i, i }' >many
batch <many
exits 0
awk 'BEGIN { for (i = 1; i <= 200000; i++) printf "{\"flag\":\"f%d\",\"value\":%d,\"variant\":null,\"reason\":\"ERROR\",\"errorCode\":\"FLAG_NOT_FOUND\"}\n", i, i }' |
    cmp -s - "$work/out" || wrong "the answers are others"

it "answers many lines from a pipe alike"
cp "$work/out" from-file
batch < <(cat many)
exits 0
holds cmp -s from-file "$work/out"

it "counts lines beyond the first buffer"
{ cat many; echo; } >many-and-one
batch <many-and-one
exits 6
holds test "$(tail -n 1 "$work/out")" = '{"line":200001,"error":"the line is empty"}'

it "answers each line of someone who waits for the answer"
coproc server { "${under[@]}" "$flagver" flag eval --batch --definitions flags.json 2>"$work/err"; }
pid=$server_PID
for i in 1 2 3; do
    echo "{\"flag\":\"f$i\",\"context\":{},\"default\":$i}" >&"${server[1]}"
    IFS= read -r -t "$deadline" line <&"${server[0]}" || wrong "no answer to line $i"
    [[ $line == "{\"flag\":\"f$i\",\"value\":$i,"* ]] || wrong "answers $line to line $i"
done
echo '{' >&"${server[1]}"
IFS= read -r -t "$deadline" line <&"${server[0]}" || wrong "no answer to a bad line"
[[ $line == '{"line":4,'* ]] || wrong "answers $line to a bad line"
# Half a line is no line yet.
printf '{"flag":' >&"${server[1]}"
if IFS= read -r -t 0.2 line <&"${server[0]}"; then
    wrong "answers half a line with $line"
fi
echo '"limit","context":{}}' >&"${server[1]}"
IFS= read -r -t "$deadline" line <&"${server[0]}" || wrong "no answer to a line in two halves"
[ "$line" = "$limit" ] || wrong "answers $line to a line in two halves"
eval "exec ${server[1]}>&-"
wait "$pid"
status=$?
exits 6
says_nothing

it "exits 6 when standard input cannot be read"
mkdir directory
batch <directory
exits 6
prints_nothing
says 'flagver: standard input: Is a directory'

it "exits 6 and answers nothing without its definitions"
run flag eval --batch --definitions nowhere.json <<<'{"flag":"limit","context":{}}'
exits 6
prints_nothing
says_like 'flagver: nowhere.json: *'
