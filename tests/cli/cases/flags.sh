# Flags in a store: put, get, list, enable … delete, and what they say to programs.
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:flags.db FLAGVER_ACTOR=alice

time='[0-9]*-[0-9]*-[0-9]*T[0-9]*:[0-9]*:[0-9]*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'

it "makes a store by writing into it"
run flag put report_setup - <<<'{"type": "boolean", "percentage": 10, "beta": ["u1"]}'
exits 0
prints 'report_setup: version 1, 1 beta user, 10 %'
says_nothing
holds test -e flags.db

it "says the same to programs"
run flag put report_setup - --json <<<'{"type": "boolean", "beta": ["u1"], "percentage": 12.5}'
exits 0
prints '{"flag":"report_setup","no":2,"state":"approved"}'

it "prints the definition, canonical and readable"
run flag get report_setup
exits 0
prints '{"beta": ["u1"], "percentage": 12.5, "type": "boolean"}'

it "breaks long definitions up, and takes what it printed"
cat >long.json <<'END'
{"type": "string", "variants": {"a": "classic", "b": "one-page", "empty": ""}, "default": "a",
 "metadata": {"text": "quotes \" and \\ and commas, and {braces}: [too]"},
 "rules": [{"id": "eu", "if": {"attr": "country", "op": "in", "values": ["DE", "FR", "IT", "ES", "PT"]},
            "serve": {"split": {"a": 50, "b": 50}}}, {"serve": "a"}]}
END
run flag put checkout long.json
exits 0
run flag get checkout
exits 0
prints '{
  "default": "a",
  "metadata": {"text": "quotes \" and \\ and commas, and {braces}: [too]"},
  "rules": [
    {
      "id": "eu",
      "if": {
        "attr": "country",
        "op": "in",
        "values": ["DE", "FR", "IT", "ES", "PT"]
      },
      "serve": {"split": {"a": 50, "b": 50}}
    },
    {"serve": "a"}
  ],
  "type": "string",
  "variants": {"a": "classic", "b": "one-page", "empty": ""}
}'
cp "$work/out" printed.json
run flag put checkout printed.json
run flag diff checkout
exits 0
prints_nothing

it "prints the version with everything about it"
run flag get report_setup --json
exits 0
prints_like '{"flag":"report_setup","no":2,"state":"approved","deleted":false,"emergency":false,"createdAt":"'"$time"'","createdBy":"alice","submittedAt":"'"$time"'","decidedAt":"'"$time"'","decidedBy":*,"supersededAt":null,"supersededBy":null,"base":1,"parent":1,"reverts":null,"note":null,"id":"*-*-*-*-*","contentHash":"*","definition":{"beta":\["u1"\],"percentage":12.5,"type":"boolean"}}'

it "prints an earlier version"
run flag get report_setup 1
exits 0
prints '{"beta": ["u1"], "percentage": 10, "type": "boolean"}'
run flag get report_setup 1 --json
prints_like '{"flag":"report_setup","no":1,"state":"superseded",*"supersededAt":"'"$time"'","supersededBy":2,"base":null,*}'

it "says when it was, in UTC"
before=$(date +%s)
run flag put clock - <<<'{"type": "boolean"}'
after=$(date +%s)
run flag get clock --json
seconds=$(date -d "$(sed 's/.*"createdAt":"\([^"]*\)".*/\1/' "$work/out")" +%s)
holds test "$seconds" -ge "$before"
holds test "$seconds" -le "$after"
run flag delete clock

it "exits 3 for what is not there"
run flag get nope
exits 3
prints_nothing
says 'flagver: nope: no such flag in sqlite:flags.db'
run flag get report_setup 7
exits 3
says 'flagver: report_setup: no version 7 in sqlite:flags.db'
run flag history nope
exits 3
says 'flagver: nope: no such flag in sqlite:flags.db'
for command in 'diff nope' 'diff nope 1 2' 'enable nope' 'disable nope' 'ramp nope 5' 'release nope' \
    'beta add nope u' 'beta rm nope u' 'schedule nope --clear' 'revert nope 1' 'delete nope'; do
    # shellcheck disable=SC2086 # several words
    run flag $command
    exits 3
    prints_nothing
    says 'flagver: nope: no such flag in sqlite:flags.db'
done

it "refuses numbers that are none"
for no in 0 x -1 1.0 4294967295 99999999999999999999 ''; do
    run flag get report_setup -- "$no"
    exits 2
    says "flagver: flag get: $no is no version's number"
    run flag revert report_setup -- "$no"
    exits 2
done

it "ramps"
run flag ramp report_setup 25 --note 'a quarter'
exits 0
prints 'report_setup: version 3, 1 beta user, 25 %'
run flag get report_setup
prints '{"beta": ["u1"], "percentage": 25, "type": "boolean"}'
run flag ramp report_setup 33.333
exits 0

it "refuses percentages that are none"
for percent in x '' 25% 1e1 0x10 -1 -0.5 +5 inf; do
    run flag ramp report_setup "$percent"
    exits 6
    prints_nothing
    says "flagver: flag ramp: $percent is no percentage from 0 to 100"
done
for percent in 100.5 1000 12.3456; do
    run flag ramp report_setup "$percent"
    exits 6
    says_like 'flagver: report_setup: *'
done

it "refuses to ramp what is no boolean"
run flag ramp checkout 10
exits 6
says_like 'flagver: checkout: *'

it "adds and removes beta users"
run flag beta add report_setup u2 u3 u2
exits 0
prints 'report_setup: version 5, 3 beta users, 33.333 %'
run flag beta rm report_setup u1 nobody
exits 0
run flag get report_setup
prints '{"beta": ["u2", "u3"], "percentage": 33.333, "type": "boolean"}'

it "wants users that have a name"
run flag beta add report_setup u4 ''
exits 2
prints_nothing
says 'flagver: flag beta add: a USER is empty'
run flag history report_setup --json
prints_like '{"flag":"report_setup","no":6,*'

it "wants at least one user"
run flag beta add report_setup
exits 2
says 'flagver: flag beta add: no USER given'

it "disables and enables"
run flag disable report_setup --note 'too slow'
exits 0
prints 'report_setup: version 7, switched off'
run flag eval report_setup --context '{"targetingKey": "u2"}'
prints 'report_setup: false (variant off, DISABLED, version 7)'
run flag enable report_setup
exits 0
prints 'report_setup: version 8, 2 beta users, 33.333 %'
run flag eval report_setup --context '{"targetingKey": "u2"}'
prints 'report_setup: true (variant on, TARGETING_MATCH, version 8)'

it "gives a schedule and takes it away"
run flag schedule report_setup - <<<'{"steps": [{"at": "2026-01-01T00:00:00Z", "percentage": 10}]}'
exits 0
prints 'report_setup: version 9, 2 beta users, schedule at 10 %'
run flag get report_setup --json
prints_like '*"schedule":{"steps":\[{"at":"2026-01-01T00:00:00Z","percentage":10}\]}*'
run flag schedule report_setup --clear
exits 0
run flag get report_setup --json
holds eval '! grep -q schedule "$work/out"'

it "wants to know which of the two"
run flag schedule report_setup
exits 2
says 'flagver: flag schedule: needs either a FILE or --clear'
run flag schedule report_setup flags.json --clear
exits 2

it "names the place in a schedule that is none"
printf '{"steps": [\n {"at": "2026", "percentage": 10}]}' >schedule.json
run flag schedule report_setup schedule.json
exits 6
says_like 'flagver: schedule.json: /schedule/steps/0/at: *'
run flag schedule report_setup - <<<'{"steps": }'
exits 6
says_like 'flagver: <stdin>:1:11: *'

it "releases to everybody in one command"
run flag beta add report_setup u9
run flag ramp report_setup 40
run flag disable report_setup
run flag release report_setup --note 'all of them'
exits 0
prints 'report_setup: version 14, 100 %'
run flag eval report_setup --context '{"targetingKey": "anybody"}'
prints_like 'report_setup: true (variant on, *)'
run flag get report_setup --json
prints_like '*"note":"all of them"*"percentage":100*'
holds eval '! grep -q beta "$work/out"'

it "prints the history, the newest first"
run flag history report_setup
exits 0
prints_like 'NO  STATE *SINCE *BY *CHANGE *NOTE
14  approved *'"$time"'  alice  - beta \["u2","u3","u9"\], enabled false -> true, …  *all of them
13  superseded *'"$time"'  alice  enabled true -> false
12  superseded *'"$time"'  alice  + percentage 40
11  superseded *'"$time"'  alice  + beta/2 "u9"
10  *  - schedule {"steps":\[{"at":"2026-01-01T…
9   *  - percentage 33.333, + schedule {"steps":\[{"at":"2026-01-01T…
8   *  enabled false -> true
*
3   superseded *'"$time"'  alice  percentage 12.5 -> 25  *a quarter
2   superseded *'"$time"'  alice  percentage 10 -> 12.5
1   superseded *'"$time"'  alice  created'
run flag history report_setup --json
exits 0
holds test "$(wc -l <"$work/out")" -eq 14
prints_like '{"flag":"report_setup","no":14,"state":"approved",*"note":"all of them","id":"*","contentHash":"*","changes":\["- /beta: \[\\"u2\\",\\"u3\\",\\"u9\\"\]","~ /enabled: false -> true","~ /percentage: 40 -> 100"\]}
{"flag":"report_setup","no":13,*'

it "prints what the last change was, and any other"
run flag ramp report_setup 50
run flag diff report_setup
exits 0
prints '~ /percentage: 100 -> 50'
run flag diff report_setup 1 3
exits 0
prints '~ /percentage: 10 -> 25'
run flag diff report_setup 15 1 --merge-patch
exits 0
prints_like '{"beta":\["u1"\],*"percentage":10*}'
run flag diff report_setup 0 1
prints_like '+ /beta: *
+ /percentage: 10
+ /type: "boolean"'

it "prints the same to programs"
run flag diff report_setup 1 3 --json
exits 0
prints '{"flag":"report_setup","from":1,"to":3,"changes":["~ /percentage: 10 -> 25"],"mergePatch":{"percentage":25}}'

it "exits 3 for versions that are not there"
for numbers in '1 99' '99 1' '99 98' '99'; do
    # shellcheck disable=SC2086 # several words
    run flag diff report_setup $numbers
    exits 3
    says 'flagver: report_setup: no version 99 in sqlite:flags.db'
done
run flag revert report_setup 99
exits 3
says 'flagver: report_setup: no version 99 in sqlite:flags.db'

it "reverts"
run flag revert report_setup 3
exits 0
prints 'report_setup: version 16, 1 beta user, 25 %'
run flag get report_setup
prints '{"beta": ["u1"], "percentage": 25, "type": "boolean"}'
run flag history report_setup
prints_like '*
16  approved, reverts 3  *'
run flag get report_setup --json
prints_like '*"reverts":3,*'

it "writes only when what was expected is in force"
run flag ramp report_setup 30 --expect 15
exits 5
prints_nothing
says 'flagver: report_setup: is at version 16, not 15'
run flag ramp report_setup 30 --expect 16
exits 0
run flag put fresh - --expect none <<<'{"type": "boolean"}'
exits 0
run flag put fresh - --expect none <<<'{"type": "boolean"}'
exits 5
run flag ramp report_setup 30 --expect some
exits 2
says "flagver: flag ramp: --expect some is neither a version's number nor none"

it "does nothing twice under one idempotency key"
run flag ramp report_setup 31 --idempotency-key k1
exits 0
prints 'report_setup: version 18, 1 beta user, 31 %'
run flag ramp report_setup 31 --idempotency-key k1
exits 0
prints 'report_setup: version 18, 1 beta user, 31 %'
run flag get report_setup --json
prints_like '{"flag":"report_setup","no":18,*'
run flag ramp report_setup 32 --idempotency-key k1
exits 5
says_like 'flagver: report_setup: *'

it "names the place in a definition that is none"
printf '{"type": "boolean",\n "percentage": 101}' >bad.json
run flag put k bad.json
exits 6
prints_nothing
says_like 'flagver: bad.json:2:16: /percentage: *'
run flag put k - <bad.json
says_like 'flagver: <stdin>:2:16: /percentage: *'
run flag put k nowhere.json
exits 6
says 'flagver: nowhere.json: No such file or directory'

it "refuses what refers to something that is not there"
run flag put k - <<<'{"type": "boolean", "requires": [{"flag": "nope", "variant": "on"}]}'
exits 6
says_like 'flagver: *nope*'

it "refuses keys that are none"
run flag put '' - <<<'{"type": "boolean"}'
exits 6
run flag put $'a\nb' - <<<'{"type": "boolean"}'
exits 6
run flag put "$(printf 'k%.0s' {1..257})" - <<<'{"type": "boolean"}'
exits 6

it "does not delete what others refer to"
run flag put child - <<<'{"type": "boolean", "requires": [{"flag": "report_setup", "variant": "on"}]}'
exits 0
run flag delete report_setup
exits 5
says_like 'flagver: report_setup: *child*'
run flag delete child --json
exits 0
prints '{"flag":"child","no":2,"state":"approved"}'
run flag delete report_setup
exits 0
prints 'report_setup: version 19, deleted'

it "keeps the history of what is deleted"
for command in 'get report_setup' 'enable report_setup' 'delete report_setup'; do
    # shellcheck disable=SC2086 # several words
    run flag $command
    exits 3
    says 'flagver: report_setup was deleted in version 19 by alice; "flag revert report_setup 18" brings it back'
done
run flag get report_setup 19
exits 3
says 'flagver: report_setup: version 19 says that it is deleted'
run flag history report_setup
exits 0
prints_like '*
19  approved, deleted *'
run flag get report_setup 18
exits 0
run flag revert report_setup 19
exits 5
run flag list --deleted
exits 0
prints_like 'DELETED       NO  SINCE *BY *NOTE
child         2   '"$time"'  alice
clock         2   '"$time"'  alice
report_setup  19  '"$time"'  alice'
run flag list --deleted --json
exits 0
holds test "$(wc -l <"$work/out")" -eq 3
prints_like '{"flag":"child","no":2,"state":"approved","deleted":true,*}
*'
run flag diff report_setup
exits 0
prints_like '- /beta: *
- /percentage: 31
- /type: "boolean"'

it "goes on counting when it comes back"
run flag revert report_setup 18
exits 0
prints 'report_setup: version 20, 1 beta user, 31 %'
run flag list --deleted
holds eval '! grep -q report_setup "$work/out"'

it "lists"
run flag put none - <<<'{"type": "boolean", "enabled": false}'
run flag put soon - <<<'{"type": "boolean", "schedule": {"steps": [{"at": "2026-01-01T00:00:00Z", "percentage": 10}]}}'
run flag put split - <<<'{"type": "integer", "variants": {"a": 1, "b": 2}, "default": "a", "targets": {"b": ["x", "y"]}, "split": {"a": 1, "b": 1}}'
run flag put plain - <<<'{"type": "json", "variants": {"a": [1]}, "default": "a"}'
run flag list
exits 0
prints_like 'FLAG          TYPE     STATE  SERVES             NO  SINCE *BY
checkout      string   on     2 rules            2   '"$time"'  alice
fresh         boolean  on     everybody          1   '"$time"'  alice
none          boolean  off    everybody          1   '"$time"'  alice
plain         json     on     a                  1   '"$time"'  alice
report_setup  boolean  on     1 beta user, 31 %  20  '"$time"'  alice
soon          boolean  on     schedule at 10 %   1   '"$time"'  alice
split         integer  on     2 targets, split   1   '"$time"'  alice'
run flag list --json
exits 0
holds test "$(wc -l <"$work/out")" -eq 7
prints_like '{"flag":"checkout",*"definition":{*}}
{"flag":"fresh",*'

it "says where a schedule stands at a time"
run --store sqlite:plan.db flag put step - <<<'{"type": "boolean", "schedule": {"steps": [
    {"at": "2090-01-01T00:00:00Z", "percentage": 10}, {"at": "2090-01-03T00:00:00Z", "percentage": 0.5}]}}'
prints 'step: version 1, schedule at 0 %'
run --store sqlite:plan.db flag put linear - <<<'{"type": "boolean", "schedule": {"interpolate": "linear", "steps": [
    {"at": "2090-01-01T00:00:00Z", "percentage": 10}, {"at": "2090-01-04T00:00:00Z", "percentage": 30}]}}'
# at TIME STEP LINEAR
at() {
    run --store sqlite:plan.db flag list --at "$1"
    holds grep -q "^step .* schedule at $2 %  " "$work/out"
    holds grep -q "^linear .* schedule at $3 %  " "$work/out"
}
at 2089-12-31T23:59:59.999Z 0 0
at 2090-01-01T00:00:00Z 10 10
at 2090-01-02T00:00:00Z 10 16.666
at 2090-01-03T00:00:00Z 0.5 23.333
at 2099-01-03T00:00:00Z 0.5 30

it "aligns names that are no ASCII"
run --store sqlite:umlauts.db flag put größe - <<<'{"type": "boolean"}'
run --store sqlite:umlauts.db flag put b - <<<'{"type": "boolean"}'
run --store sqlite:umlauts.db flag list
prints_like 'FLAG   TYPE *
b      boolean *
größe  boolean *'

it "lists nothing where nothing is"
run --tenant empty flag list
exits 0
prints_nothing
run --tenant empty flag list --deleted
exits 0
prints_nothing
run --tenant empty flag list --json
exits 0
prints_nothing

it "keeps tenants apart"
FLAGVER_TENANT=acme run flag put mine - <<<'{"type": "boolean"}'
run flag get mine
exits 3
run --tenant acme flag get mine
exits 0
FLAGVER_TENANT=acme run --tenant default flag get mine
exits 3

it "cuts what is long in a history between two characters"
run --store sqlite:long.db flag put k - <<<'{"type": "boolean", "metadata": {"a": "aäääääääääääääääääääää: b"}}'
run --store sqlite:long.db flag put k - <<<'{"type": "boolean", "metadata": {"a: b/~": "äääääääääääääääääääääää"}}'
run --store sqlite:long.db flag history k
exits 0
holds iconv -f utf-8 -t utf-8 -o /dev/null "$work/out"
prints_like '*2   approved *…*'
run --store sqlite:long.db flag put k - <<<'{"type": "boolean", "metadata": {"a: b/~": "äääääääääääääääääääääää"}}'
run --store sqlite:long.db flag history k
prints_like 'NO *
3   approved *  nothing
2 *'

it "makes no store by reading"
for command in 'get k' list 'history k' 'diff k' export 'plan flags.json' 'eval k' 'explain k' 'eval --batch'; do
    # shellcheck disable=SC2086 # several words
    run flag $command --store sqlite:none.db
    exits 7
    prints_nothing
    says 'flagver: sqlite:none.db: there is no store yet; "flagver init" makes one'
    holds test ! -e none.db
done

it "makes no store by changing what cannot be in a new one"
for command in 'enable k' 'disable k' 'ramp k 5' 'release k' 'beta add k u' 'beta rm k u' \
    'schedule k --clear' 'revert k 1' 'delete k'; do
    # shellcheck disable=SC2086 # several words
    run flag $command --store sqlite:none.db
    exits 7
    prints_nothing
    says 'flagver: sqlite:none.db: there is no store yet; "flagver init" makes one'
    holds test ! -e none.db
done
for command in 'revert s 1' 'delete s'; do
    # shellcheck disable=SC2086 # several words
    run segment $command --store sqlite:none.db
    exits 7
    holds test ! -e none.db
done

it "makes one by bringing something into it"
echo '{"type": "boolean"}' >boolean.json
echo '{}' >segment.json
for command in 'flag put k boolean.json' 'flag apply flags.json' 'flag import flags.json' \
    'segment put s segment.json' 'schema up' init; do
    # shellcheck disable=SC2086 # several words
    run $command --store sqlite:made.db
    exits 0
    holds test -e made.db
    rm -f made.db*
done

it "names the directory that is not there"
for command in 'flag list' 'flag put k boolean.json' 'flag disable k' init 'schema up' 'schema status' \
    'export x.export' 'flag eval k'; do
    # shellcheck disable=SC2086 # several words
    run $command --store sqlite:/no/such/dir/app.db
    exits 7
    prints_nothing
    says 'flagver: sqlite:/no/such/dir/app.db: there is no directory /no/such/dir'
done
run flag list --store sqlite:boolean.json/app.db
exits 7
says 'flagver: sqlite:boolean.json/app.db: there is no directory boolean.json'

it "keeps nothing in memory, which ends with it"
for command in 'flag list' 'flag put k boolean.json' init 'schema up' doctor health 'flag eval k'; do
    # shellcheck disable=SC2086 # several words
    run --store memory: $command
    exits 2
    prints_nothing
    says_like 'flagver: *: a store in memory ends with this command'
done

it "goes by the option before the variable"
run --store sqlite:option.db flag put k - <<<'{"type": "boolean"}'
exits 0
holds test -e option.db
FLAGVER_STORE='' run flag put k - <<<'{"type": "boolean"}'
holds test -e flagver.db

it "says who it was"
run --store sqlite:who.db --actor bob --role admin --role writer flag put k - <<<'{"type": "boolean"}'
exits 0
FLAGVER_ACTOR='' run --store sqlite:who.db flag put k - <<<'{"type": "boolean"}'
run --store sqlite:who.db flag history k --json
prints_like '{"flag":"k","no":2,*"createdBy":"?*"*
{"flag":"k","no":1,*"createdBy":"bob"*'
for option in actor tenant role; do
    run --store sqlite:who.db "--$option" '' flag enable k
    exits 2
    says "flagver: flag enable: --$option is empty"
done
run --store sqlite:who.db --actor "$(printf 'a%.0s' {1..256})" flag enable k
exits 6

it "prints what people wrote without letting it move the cursor"
run --store sqlite:odd.db flag put k - --note $'red \033[31m' <<<'{"type": "boolean"}'
run --store sqlite:odd.db flag history k
exits 0
holds eval '! grep -q "$(printf "\033")" "$work/out"'
prints_like '*"red \\u001?\[31m"'
