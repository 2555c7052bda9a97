# How records fare: flagver metrics.
# shellcheck shell=bash disable=SC2154,SC2016 # sourced by run.sh

export FLAGVER_STORE=sqlite:metrics.db FLAGVER_ACTOR=alice

hours='{"count":[0-9]*,"mean":[0-9.e-]*,"median":[0-9.e-]*,"p95":[0-9.e-]*}'
took='[0-9]*.[0-9] s, [0-9]*.[0-9] s, [0-9]*.[0-9] s'
month='[0-9][0-9][0-9][0-9]-[0-9][0-9]'

it "needs a store"
run metrics
exits 7
prints_nothing

it "prints nothing where nothing is"
run init
run metrics
exits 0
prints_nothing
says_nothing
run metrics --json
exits 0
prints_nothing

it "counts by phase"
run flag put pay/card - <<<'{"type": "boolean"}'
run flag ramp pay/card 5
run flag put pay/cash - <<<'{"type": "boolean"}'
run flag put payroll - <<<'{"type": "boolean"}'
run segment put staff - <<<'{"include": ["bob"]}'
run metrics
exits 0
prints_like 'PHASE            CREATED  NOW                       TO SUBMIT*TO APPROVE (MEAN, MEDIAN, P95)
flagver.flag     4        3 approved, 1 superseded  '"$took  $took"'
flagver.segment  1        1 approved                '"$took  $took"
says_nothing

it "says the same to programs, in hours"
run metrics --json flagver.flag
exits 0
prints_like '{"phase":"flagver.flag","subject":null,"month":null,"created":4,"states":{"draft":0,"submitted":0,"approved":3,"superseded":1,"rejected":0,"withdrawn":0,"recorded":0},"emergencies":0,"hoursToSubmit":'"${hours/'[0-9]*'/4}"',"hoursToApprove":'"${hours/'[0-9]*'/4}"'}'

it "counts by part and by month"
run metrics flagver.flag --parts 1 --by-month
exits 0
prints_like 'PHASE         SUBJECT  MONTH    CREATED  NOW  *
flagver.flag  pay      '"$month"'  3        2 approved, 1 superseded *
flagver.flag  payroll  '"$month"'  1        1 approved  *'
run metrics --parts 2 --json
exits 0
prints_like '{"phase":"flagver.flag","subject":"pay/card","month":null,"created":2,*
{"phase":"flagver.flag","subject":"pay/cash",*
{"phase":"flagver.flag","subject":"payroll",*
{"phase":"flagver.segment","subject":"staff",*'

it "takes a part for a prefix, not a part of one"
run metrics --prefix pay --json
prints_like '{"phase":"flagver.flag","subject":null,"month":null,"created":3,*'
run metrics --prefix pa --json
exits 0
prints_nothing

it "counts what was created in a time"
run metrics --since -1h --until 9999-01-01T00:00:00Z --json flagver.segment
prints_like '{"phase":"flagver.segment",*"created":1,*'
run metrics --until -1h
exits 0
prints_nothing
run metrics --until 1970-01-01T00:00:00Z
exits 0
prints_nothing
run metrics --since 9999-01-01T00:00:00Z
exits 0
prints_nothing

it "refuses what it does not understand"
run metrics --parts x
exits 2
says 'flagver: metrics: --parts x is no number from 0 to 256'
run metrics --parts 257
exits 2
run metrics --since yesterday
exits 2
says 'flagver: metrics: --since yesterday is neither a time such as 2026-01-31T12:00:00Z nor an offset such as -5m'
run metrics --until 2026-01-31
exits 2
says_like 'flagver: metrics: --until 2026-01-31 *'
run metrics --since 2026-02-01T00:00:00Z --until 2026-02-01T00:00:00Z
exits 2
says 'flagver: metrics: --until is not after --since'
run metrics a b
exits 2

# ---- what was tracked of flags ----

it "refuses what is not about flags"
run metrics --daily flagver.flag
exits 2
says 'flagver: metrics: --daily is about flags, not phases: --flag flagver.flag'
run metrics --hourly --parts 1
exits 2
says 'flagver: metrics: --parts is about versions, --hourly about flags'
run metrics --daily --hourly
exits 2
says 'flagver: metrics: only one of --daily, --hourly, --openmetrics and --forget'
run metrics --flag pay/card
exits 2
says 'flagver: metrics: --flag needs one of --daily, --hourly, --openmetrics and --forget'
run metrics --openmetrics --json
exits 2
says 'flagver: metrics: --openmetrics is no JSON'
run metrics --forget -1d --flag pay/card
exits 2
says 'flagver: metrics: --forget takes no --flag'
run metrics --forget yesterday
exits 2
says_like 'flagver: metrics: --forget yesterday is neither *'
run metrics --daily --since 2026-02-01T00:00:00Z --until 2026-02-01T00:00:00Z
exits 2
says 'flagver: metrics: --until is not after --since'
run metrics --daily --flag ''
exits 6
says 'flagver: options.flag is 0 bytes; 1 to 256 allowed'

it "prints nothing where nothing was tracked"
run metrics --daily
exits 0
prints_nothing
run metrics --hourly --json
exits 0
prints_nothing

it "counts what a stream of questions was answered"
run flag eval --batch <<<'{"flag": "pay/card", "context": {"targetingKey": "u"}}
{"flag": "pay/cash", "context": {"targetingKey": "u"}}
{"flag": "pay/cash", "context": {"targetingKey": "v"}}'
exits 0
run metrics --daily
exits 0
prints_like 'DAY         FLAG      VARIANT  EVALUATIONS  OUTCOMES  SUCCESS  MEAN  P95
[0-9]*-[0-9]*  pay/card  off      1            0
[0-9]*-[0-9]*  pay/cash  on       2            0
[0-9]*-[0-9]*  (all)              3            0'
says_nothing
run metrics --hourly --flag pay/cash
exits 0
prints_like 'HOUR              FLAG      VARIANT  EVALUATIONS  OUTCOMES  SUCCESS  MEAN  P95
[0-9]*:00  pay/cash  on       2            0'
run metrics --daily --flag pay/cash --json
exits 0
prints_like '{"from":"20[0-9]*T00:00:00.000000Z","flag":"pay/cash","variant":"on","evaluations":2,"succeeded":0,"failed":0,"errorRate":null,"timed":0,"meanMs":null,"p50Ms":null,"p95Ms":null,"p99Ms":null}'
run metrics --daily --until -2h
exits 0
prints_nothing

it "says it to scrapers"
run metrics --openmetrics --flag pay/cash
exits 0
prints_like '# TYPE flagver_evaluations counter
# HELP flagver_evaluations *
flagver_evaluations_total{flag="pay/cash",variant="on"} 2
*
# EOF'

it "does not count single questions, nor leaves anything in the log"
run flag eval pay/cash
run metrics --daily --flag pay/cash --json
prints_like '*"evaluations":2,*'
run audit log
holds eval '! grep -q track "$work/out"'

it "forgets old hours"
run metrics --forget -1d
exits 0
prints_nothing
run metrics --daily --flag pay/card --json
prints_like '*"evaluations":1,*'
run metrics --forget 9999-01-01T00:00:00Z
exits 0
run metrics --daily
prints_nothing
