# The audit log: audit …
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:audit.db FLAGVER_ACTOR=alice
hex='[0-9a-f][0-9a-f]*'

run flag put x - <<<'{"type": "boolean"}'
run flag ramp x 10

it "prints the log"
run audit log
exits 0
prints_like 'NO *TIME *BY *ACTION *PHASE *SUBJECT *BECAME *ALLOWED
0 *alice *create *flagver.flag *x@1 *draft *anyone
1 *alice *submit *x@1 *approved *
2 *create *x@2 *
3 *submit *x@2 *'
run audit log --from 3 --json
prints_like '{"no":3,"time":"*Z","actor":"alice","action":"submit","phase":"flagver.flag","subject":"x","version":2,"from":"draft","to":"approved","supersedes":1,"emergency":false,"self":false,"policy":"","policyNo":null,"rule":"anyone","contentHash":"'"$hex"'","leafHash":"'"$hex"'","deleted":false,"rev":[0-9]*,"parentNo":*,"baseNo":*,"revertsNo":null,"noteHash":null,"decisionsHash":null,"idempotencyKey":null}'
run audit log --from 1 --limit 2 --json
holds test "$(wc -l <"$work/out")" = 2
run audit log --from x
exits 2

it "makes keys, and keeps the secret one to itself"
run audit keygen example.com/records key
exits 0
prints_like 'example.com/records+*+A*'
cp "$work/out" verifier
holds grep -q '^PRIVATE+KEY+example.com/records+' key
holds test "$(stat -c %a key)" = 600
run audit keygen example.com/records key
exits 5
says_like 'flagver: key: *'
run audit keygen 'two words' other
exits 6
holds test ! -e other
run audit keygen name keyed --json
prints_like '{"file":"keyed","verifier":"name+*"}'

it "makes checkpoints"
run audit checkpoint --signer key
exits 0
prints_like 'example.com/records/default
4
*

— example.com/records *'
cp "$work/out" old
run audit checkpoint --origin here
exits 0
prints_like 'here
4
*='
run audit checkpoint --signer key --json
prints_like '{"size":4,"root":"'"$hex"'","checkpoint":"example.com/records/default\\n4\\n*"}'
run audit checkpoint
exits 2
run audit checkpoint --signer nowhere
exits 6
run audit checkpoint --signer verifier
exits 6
holds eval '! grep -q PRIVATE+KEY+example "$work/err"'

it "proves that a leaf is in the log"
run flag ramp x 20
run audit checkpoint --signer key
cp "$work/out" new
run audit prove 1 --json
exits 0
cp "$work/out" proof
prints_like '{"leaf":1,"leafHash":"'"$hex"'","size":6,"hashes":\["'"$hex"'",*\]}'
run audit check proof new --verifier verifier
exits 0
prints 'leaf 1 is in the log of 6'
run audit check proof new --verifier "$(cat verifier)" --json
prints '{"proven":true}'
run audit prove 1
prints_like 'leaf 1 '"$hex"'
is in the log of 6 leaves, by
  '"$hex"'
*'

it "proves that the log has only grown"
run audit prove --old 4 --json
exits 0
cp "$work/out" grown
run audit check grown new old --verifier verifier
exits 0
prints 'the log of 4 is the beginning of that of 6'
run audit prove --old 2 --size 4
exits 0
prints_like 'the log of 2 leaves
is the beginning of that of 4, by
  '"$hex"

it "does not prove what is not so"
sed 's/"leaf":1/"leaf":2/' proof >forged
run audit check forged new
exits 1
says_like 'flagver: audit check: this does not prove *'
run audit check forged new --json
exits 1
prints '{"proven":false}'
run audit check proof old
exits 1
says_like '*other sizes*'
sed 's/^6$/7/' new >resized
run audit check proof resized --verifier verifier
exits 1
says_like '*signature*'
run audit check proof new --verifier resized
exits 6
says_like "flagver: --verifier: *"
run audit prove 6
exits 6
says_like '*a log of 6 leaves has no leaf 6*'
run audit prove --old 7
exits 6

it "refuses what makes no sense"
for words in prove 'prove x' 'prove 1 --old 1' 'prove 1 --size 0' 'check grown new' \
    'check proof new old' 'verify --verifier verifier'; do
    # shellcheck disable=SC2086 # several words
    run audit $words
    exits 2
done
echo '{"leaf":1}' >short
run audit check short new
exits 6
says_like 'flagver: short: *'

it "verifies"
run audit verify
exits 0
prints_like '6 leaves, 3 versions, 3 payloads: nothing is wrong
root '"$hex"
run audit verify --checkpoint old --verifier verifier --json
exits 0
prints_like '{"findings":0,"leaves":6,"versions":3,"payloads":3,"sealed":0,"shredded":0,"root":"'"$hex"'"}'
run audit verify --tree-only
exits 0
prints_like '6 leaves, 0 versions, 0 payloads: *'
run audit verify --checkpoint resized --verifier verifier
exits 1
run audit verify --checkpoint resized
exits 1
prints_like 'the checkpoint is of 7 leaves, and there are 6*'

it "verifies an export without any store"
run export copy
exits 0
run --store sqlite:nowhere.db audit verify copy --checkpoint new --verifier verifier
exits 0
prints_like '6 leaves, 3 versions, 3 payloads: nothing is wrong*'
holds test ! -e nowhere.db
sed 's/"created_by":"alice"/"created_by":"malice"/' copy >forged
run audit verify forged
exits 1
prints_like '*flagver.flag "x" version 1: created_by is not what the log says (leaf *'
run audit verify forged --json
exits 1
prints_like '{"finding":"*"}
*
{"findings":[1-9]*,"leaves":6,*'
run audit verify nowhere
exits 6
says_like 'flagver: nowhere: *'
run audit verify --checkpoint nowhere
exits 6
says_like 'flagver: nowhere: *'
run audit verify forged --checkpoint forged
exits 6
says_like 'flagver: forged: *'

it "tells another tenant's checkpoint from a log that was cut off"
run --tenant other flag put x - <<<'{"type": "boolean"}'
run --tenant other audit verify --checkpoint new --verifier verifier
exits 6
says_like 'flagver: audit verify: the checkpoint is of tenant "default", not "other": *'

it "says what it has not looked into"
export FLAGVER_KEYS=a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=
export FLAGVER_STORE=sqlite:sealed.db
run phase put secrets - <<<'{"versioning": "full", "approval": {"required": false},
    "encrypt": true, "shred": "anyone"}'
run version create secrets x - --submit <<<'1'
run version create secrets x - --submit <<<'2'
run version shred secrets x@1
exits 0
run audit verify
exits 0
prints_like '* leaves, 3 versions, 2 payloads: nothing is wrong
1 shredded, gone
root '"$hex"
unset FLAGVER_KEYS
run audit verify
exits 0
prints_like '* leaves, 3 versions, 1 payloads: nothing is wrong
1 sealed, not looked into
1 shredded, gone
root '"$hex"
run audit verify --json
prints_like '*"payloads":1,"sealed":1,"shredded":1,"root":*'

it "prints only what happened to a phase or a subject"
export FLAGVER_STORE=sqlite:only.db
run phase put memos - <<<'{"versioning": "audit_only"}'
run version record memos x - --note 'as told' --idempotency-key once <<<'1'
run version record memos xx - <<<'1'
run flag put x - <<<'{"type": "boolean"}'
run audit log --subject x
exits 0
prints_like 'NO *
2 *alice *record *memos *x@1 *recorded *
4 *alice *create *flagver.flag *x@1 *
5 *alice *submit *flagver.flag *x@1 *'
run audit log --subject x --phase memos --json
prints_like '{"no":2,*"deleted":false,"rev":1,"parentNo":null,"baseNo":null,"revertsNo":null,"noteHash":"'"$hex"'","decisionsHash":null,"idempotencyKey":"once"}'
holds test "$(wc -l <"$work/out")" = 1
run audit log --subject x --from 3 --limit 1 --json
prints_like '{"no":4,*'
holds test "$(wc -l <"$work/out")" = 1
run audit log --phase memo --json
exits 0
prints_nothing

it "creates no store"
run --store sqlite:none.db audit verify
holds test ! -e none.db
run --store sqlite:none.db audit log
holds test ! -e none.db
