# bash completion for flagver(1)                              -*- shell-script -*-

# NAME|OPERANDS|OPTIONS of every command; the tests hold this against --help.
_flagver_commands() {
    cat <<'END'
init||--load --enable
schema status||
schema up||
schema down|[VERSION]|--backup --no-backup
schema verify||
doctor||--check
health||
export|FILE|
import|SOURCE|--follow
flag put|KEY FILE|--note --expect --idempotency-key
flag get|KEY [NO]|--at
flag list||--at --deleted
flag enable|KEY|--note --expect --idempotency-key
flag disable|KEY|--note --expect --idempotency-key --emergency
flag ramp|KEY PERCENT|--note --expect --idempotency-key --emergency
flag release|KEY|--note --expect --idempotency-key
flag beta add|KEY USER...|--note --expect --idempotency-key
flag beta rm|KEY USER...|--note --expect --idempotency-key
flag schedule|KEY [FILE]|--note --expect --idempotency-key --clear
flag guard||--watch
flag history|KEY|
flag diff|KEY [FROM [TO]]|--merge-patch
flag revert|KEY NO|--note --expect --idempotency-key
flag delete|KEY|--note --expect --idempotency-key
flag lint|FILE|
flag plan|FILE|--prune --keep-off
flag apply|FILE|--note --idempotency-key --prune --keep-off
flag import|FILE|--note --idempotency-key --keep-off
flag export||
flag eval|[KEY]|--definitions --batch --context --at --type --default
flag explain|KEY|--definitions --context --at
segment put|NAME FILE|--note --expect --idempotency-key
segment get|NAME [NO]|--at
segment list||--at --deleted
segment history|NAME|
segment diff|NAME [FROM [TO]]|--merge-patch
segment revert|NAME NO|--note --expect --idempotency-key
segment delete|NAME|--note --expect --idempotency-key
metrics|[PHASE]|--prefix --parts --by-month --since --until --daily --hourly --openmetrics --flag --forget
phase put|PHASE FILE|--note --expect --idempotency-key
phase get|PHASE [SUBJECT]|
phase list||
assign|ROLE SUBJECT USER|--note --expect --idempotency-key --remove
assignments|[ROLE]|
version create|PHASE SUBJECT FILE|--note --expect --idempotency-key --submit --parent --baseline
version record|PHASE SUBJECT FILE|--note --expect --idempotency-key
version edit|PHASE SUBJECT@NO FILE|--note --idempotency-key
version items|PHASE SUBJECT@NO [KEY...]|--note --idempotency-key --put --remove
version rebase|PHASE SUBJECT@NO|--note --idempotency-key
version submit|PHASE SUBJECT@NO|--note --idempotency-key
version return|PHASE SUBJECT@NO|--note --idempotency-key
version decide|PHASE SUBJECT@NO KEY...|--note --idempotency-key --hash --approve --reject --pending
version approve|PHASE SUBJECT@NO|--note --idempotency-key --submit --hash
version reject|PHASE SUBJECT@NO|--note --idempotency-key --hash
version withdraw|PHASE SUBJECT@NO|--note --idempotency-key
version review|PHASE SUBJECT@NO|--note --idempotency-key
version revert|PHASE SUBJECT@NO|--note --expect --idempotency-key
version remove|PHASE SUBJECT|--note --expect --idempotency-key
version show|PHASE SUBJECT@NO|
version current|PHASE SUBJECT|
version as-of|PHASE SUBJECT|--at
version history|PHASE SUBJECT|
version diff|PHASE SUBJECT [FROM [TO]]|--merge-patch
version list|[PHASE]|--state --prefix --author --limit --after --all
version due|[PHASE]|--prefix --author --limit --after
version shred|PHASE SUBJECT@NO|--note --idempotency-key
retain|PHASE|--note --idempotency-key --prefix --until
key list||
key rotate||--idempotency-key
key fernet|KEYS FILE|
route list||
route show|NAME [NO]|--at
route put|NAME FILE|--note --expect --idempotency-key
route history|NAME|
route stage|NAME STAGE|--note --force --wait
route ramp|NAME PERCENT|--note --force --wait
route rollback|NAME|--note --wait
route status|NAME|
route backfill|NAME|--wait
route verify|NAME|--wait
idmap put|ENTITY ID [NEW]|--idempotency-key
idmap get|ENTITY ID|
idmap get-old|ENTITY NEW|
idmap remove|ENTITY ID|--idempotency-key
idmap import|FILE|
idmap export|[ENTITY]|
audit log||--limit --from --phase --subject
audit keygen|SIGNER FILE|
audit checkpoint||--signer --origin
audit prove|[LEAF]|--old --size
audit check|PROOF CHECKPOINT [OLD]|--verifier
audit verify|[FILE]|--verifier --checkpoint --tree-only
snapshot|[PHASE [PREFIX]]|--at --input --output
compare|BEFORE AFTER|--limit --tolerance --field --strict
audit-values|[PHASE [PREFIX]]|--at --input --field
END
}

_flagver_everywhere='--store --tenant --actor --role --json --help --version'

# Options that take no value.
_flagver_is_switch() {
    case $1 in
    --json | --help | --version | --batch | --prune | --keep-off | --deleted | --merge-patch | \
        --clear | --no-backup | --by-month | --submit | --emergency | --all | --remove | \
        --approve | --reject | --pending | --tree-only | --follow | --strict | --daily | --hourly | \
        --openmetrics) ;;
    *) return 1 ;;
    esac
}

_flagver_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# The keys in the store that the command line names: flag, segment or migration.
_flagver_keys() {
    local kind=$1 keys
    keys=$("${words[0]}" "${where[@]}" "${kind/#migration/route}" list --json 2>/dev/null |
        sed -n 's/^{"'"$kind"'":"\([^"\\ ]*\)",.*/\1/p')
    mapfile -t COMPREPLY < <(compgen -W "$keys" -- "$2")
}

_flagver_phases() {
    local phases
    phases=$("${words[0]}" "${where[@]}" phase list --json 2>/dev/null |
        sed -n 's/^{"phase":"\([^"\\ ]*\)",.*/\1/p')
    mapfile -t COMPREPLY < <(compgen -W "$phases" -- "$1")
}

# The records of a phase, "SUBJECT", or those of its versions that something may become of or
# that are in force, "SUBJECT@NO".
_flagver_subjects() {
    local form=$1 phase=$2 subjects
    subjects=$("${words[0]}" "${where[@]}" version list "$phase" --json \
        --state draft,submitted,approved,recorded 2>/dev/null |
        sed -n 's/^{"phase":"[^"]*","subject":"\([^"\\ ]*\)","no":\([0-9]*\),.*/\1@\2/p')
    # shellcheck disable=SC2001 # in each line
    [[ $form == *@NO ]] || subjects=$(sed 's/@[0-9]*$//' <<<"$subjects" | sort -u)
    mapfile -t COMPREPLY < <(compgen -W "$subjects" -- "$3")
}

_flagver_value() {
    case $1 in
    --definitions | --load | --backup | --put | --signer | --verifier | --checkpoint | \
        --input | --output)
        _flagver_files "$2"
        ;;
    --enable) _flagver_keys flag "$2" ;;
    --phase) _flagver_phases "$2" ;;
    --store) mapfile -t COMPREPLY < <(compgen -W 'sqlite:' -- "$2") ;;
    --type) mapfile -t COMPREPLY < <(compgen -W 'boolean string integer double json' -- "$2") ;;
    --state)
        mapfile -t COMPREPLY < <(compgen -W 'draft submitted approved superseded rejected
            withdrawn recorded' -- "$2")
        ;;
    --expect) mapfile -t COMPREPLY < <(compgen -W 'none' -- "$2") ;;
    esac
}

# The command that the words in `given` begin with: name, operands, options, and how many
# words it has; or, while there is none yet, the words that may follow.
_flagver_find() {
    local line form flags rest parts given_text="${given[*]}"
    name='' operands='' options='' used=0 next=
    while IFS='|' read -r line form flags; do
        if [[ "$given_text " == "$line "* ]]; then
            name=$line operands=$form options=$flags
            read -ra parts <<<"$line"
            used=${#parts[@]}
        elif [[ -z $given_text || $line == "$given_text "* ]]; then
            rest=${line#"${given_text:+$given_text }"}
            next+="${rest%% *} "
        fi
    done < <(_flagver_commands)
}

_flagver() {
    local cur prev words cword i word
    local given=() where=() name operands options used next form
    COMPREPLY=()
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n =: cur prev words cword
    else
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    fi

    for ((i = 1; i < cword; i++)); do
        word=${words[i]}
        if [[ $word != -* ]]; then
            given+=("$word")
        elif [[ $word == --* && $word != *=* ]] && ! _flagver_is_switch "$word"; then
            ((++i < cword)) || break
            [[ $word != --store && $word != --tenant ]] || where+=("$word" "${words[i]}")
        elif [[ $word == --store=* || $word == --tenant=* ]]; then
            where+=("$word")
        fi
    done
    [[ ${given[0]-} != help ]] || given=("${given[@]:1}")
    _flagver_find

    if [[ $cur == --*=* ]]; then
        _flagver_value "${cur%%=*}" "${cur#*=}"
        COMPREPLY=("${COMPREPLY[@]/#/${cur%%=*}=}")
    elif [[ $prev == --* && $prev != *=* ]] && ! _flagver_is_switch "$prev"; then
        _flagver_value "$prev" "$cur"
    elif [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options $_flagver_everywhere" -- "$cur")
    elif [[ -z $name ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$next" -- "$cur" | sort -u)
    else
        read -ra form <<<"${operands//[][]/}"
        case ${form[${#given[@]} - used]-} in
        KEY) _flagver_keys flag "$cur" ;;
        NAME) _flagver_keys "$([[ ${given[0]} == route ]] && echo migration || echo segment)" "$cur" ;;
        STAGE)
            mapfile -t COMPREPLY < <(compgen -W 'off dualwrite backfill shadow ramp live
                rampdown complete' -- "$cur")
            ;;
        PHASE) _flagver_phases "$cur" ;;
        SUBJECT | SUBJECT@NO)
            _flagver_subjects "${form[${#given[@]} - used]}" "${given[used]}" "$cur"
            ;;
        FILE | SOURCE | KEYS | PROOF | CHECKPOINT | OLD | BEFORE | AFTER) _flagver_files "$cur" ;;
        esac
    fi
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}

complete -F _flagver flagver
