# Encryption: key …, version shred, retain.
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:keys.db FLAGVER_ACTOR=alice

a=a:YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=
b=b:YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=
time='20[0-9-]*T[0-9:.]*Z'

it "encrypts what a phase says is to be encrypted"
export FLAGVER_KEYS=$a
run phase put secrets - <<<'{"versioning": "full", "approval": {"required": false},
    "encrypt": true, "shred": {"role_in": ["Custodian"]}}'
exits 0
run version create secrets x - --submit <<<'{"ssn": "123-45-6789"}'
exits 0
run version current secrets x
prints_like '*123-45-6789*'
! grep -q 123-45 keys.db keys.db-wal 2>/dev/null || wrong "the store holds plaintext"

it "prints the data keys"
run key list
exits 0
prints_like "NO*UNDER*OPENS*SINCE*
1*a*yes*$time*"
run key list --json
prints_like '{"no":1,"keyId":"a","opens":true,"since":"'"$time"'"}'

it "says which key is missing"
export FLAGVER_KEYS=$b
run version current secrets x
exits 7
says_like 'flagver: *x*: *"a"*'
run key list
exits 1
prints_like '*1*a*no*'

it "reads all but payloads without the key"
run version history secrets x
exits 0
prints_like 'NO*STATE*CHANGE*
1*approved*alice*sealed'
run version history secrets x --json
exits 0
prints_like '*"no":1,*"payloadState":"sealed","changes":null}'
run version show secrets x@1
exits 0
prints_like 'secrets x@1: approved*hash *sealed'
run version show secrets x@1 --json
exits 0
prints_like '*"payloadState":"sealed","payload":null}'
run version current secrets x --json
exits 0
prints_like '*"payloadState":"sealed","payload":null}'
run version diff secrets x 0 1
exits 7
says_like 'flagver: x: *"a"*'
FLAGVER_KEYS=$a run version create secrets z - <<<'null'
FLAGVER_KEYS=$a run version items secrets z@1 --put - <<<'{"k": [1]}'
exits 0
run version items secrets z@1
exits 0
prints_like 'KEY *VALUE *STATUS*
k    sealed  pending*'
run version items secrets z@1 --json
prints_like '*"payloadState":"sealed","payload":null}'
export FLAGVER_KEYS=$a
run version show secrets z@1 --json
prints_like '*"payloadState":"here","payload":null}'
run version items secrets z@1
prints_like 'KEY *VALUE *STATUS*
k    \[1\]    pending*'

it "rotates"
export FLAGVER_KEYS=$b,$a
run key rotate
exits 0
prints_like 'data key 2 encrypts from now on*others 1 *'
run key rotate --json
prints '{"dataKeys":3,"rewrapped":0}'
export FLAGVER_KEYS=$b
run version current secrets x
prints_like '*123-45-6789*'

it "refuses keys that are none, and does not repeat them"
export FLAGVER_KEYS=secretsecret
run version current secrets x
exits 6
says_like '*FLAGVER_KEYS: key 1: *'
! grep -q secretsecret "$work/err" || wrong "it repeats the key"
export FLAGVER_KEYS=$b

it "shreds, by who may"
run version shred secrets x@1
exits 4
run version create secrets x - --submit <<<'2'
run version shred secrets x@1 --role Custodian --note "on request"
exits 0
prints 'x: what version 1 said is forgotten'
run version shred secrets x@1 --role Custodian
exits 5
run version show secrets x@1 --json
exits 0
prints_like '*"state":"superseded"*"payloadState":"shredded","payload":null}'
run version show secrets x@1
prints_like '*shredded'
run version history secrets x
prints_like 'NO*
2*approved*
1*superseded*shredded*'
run version diff secrets x 1 2
exits 3
says_like 'flagver: x: *version 1*shredded'
run version shred secrets x
exits 2

it "shows what is deleted, with the key and without"
run version create secrets gone - --submit <<<'1'
run version remove secrets gone
exits 0
run version show secrets gone@2 --json
exits 0
prints_like '*"deleted":true*"payloadState":null,"payload":null}'
FLAGVER_KEYS=$a run version show secrets gone@2
exits 0
prints_like 'secrets gone@2: approved*deleted'
FLAGVER_KEYS=$a run version current secrets gone
exits 3
FLAGVER_KEYS=$a run version history secrets gone
prints_like '*2*approved, deleted*1*superseded*sealed*'

it "retains what is young or in force"
run retain secrets --role Custodian
exits 2
says_like '*--until*'
run version create secrets y - --submit <<<'1'
run version create secrets y - --submit <<<'2'
run retain secrets --until -1d --role Custodian
exits 0
prints 'secrets: what 0 versions said is forgotten'
run retain secrets --until -0s
exits 4
run retain secrets --until -0s --role Custodian --prefix y --json
exits 0
prints '{"phase":"secrets","shredded":1}'
run version current secrets y
prints_like '*2*'

it "decrypts Fernet tokens"
token=gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==
printf '%s\n' '# ours' AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4= >fernet.keys
run key fernet fernet.keys - <<<$token
exits 0
same out prints 'hello'
run key fernet fernet.keys - --json <<<$token
prints '{"text":"hello"}'
run key fernet fernet.keys - <<<"${token/Vmp/Vmq}"
exits 6
prints_nothing
says_like 'flagver: <stdin>: the token was made with another key*'
run key fernet fernet.keys - <<<hello
exits 6
printf '%s\n' AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= >other.keys
run key fernet other.keys - <<<$token
exits 6
says_like 'flagver: <stdin>: the token was made with another key*'
echo '# none' >other.keys
run key fernet other.keys - <<<$token
exits 6
says 'flagver: other.keys: there is no key in the file'
echo nonsense >fernet.keys
run key fernet fernet.keys - <<<$token
exits 6
says_like 'flagver: fernet.keys: *'
run key fernet nowhere.keys - <<<$token
exits 6
