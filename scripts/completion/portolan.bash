# Completion of portolan's command line for bash. Source it, or install it as
# share/bash-completion/completions/portolan.
# shellcheck shell=bash

# The names registered at the daemon of this host; nothing where it does not answer at once.
_portolan_nodes() {
    portolan names --timeout 300ms 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# Offers those of the words $2 that begin with $1.
_portolan_offer() {
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1")
}

_portolan() {
    local commands='status names resolve port lease leases exec streams cluster watch reload stop help version'
    local globals='--socket --timeout --json --help'
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' i
    COMPREPLY=()

    case $before in
    --socket)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --timeout)
        _portolan_offer "$word" '500ms 1s 5s 30s 1m'
        return
        ;;
    --user)
        mapfile -t COMPREPLY < <(compgen -u -- "$word")
        return
        ;;
    --base)
        _portolan_offer "$word" '4370 5370'
        return
        ;;
    esac

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --)
            if [[ $command == exec ]]; then # a program, then its own words
                if ((i + 1 == COMP_CWORD)); then
                    mapfile -t COMPREPLY < <(compgen -c -- "$word")
                else
                    mapfile -t COMPREPLY < <(compgen -f -- "$word")
                fi
                return
            fi
            ;;
        --socket | --timeout | --base) ((i++)) ;;
        -*) ;;
        *) [[ -n $command ]] || command=${COMP_WORDS[i]} ;;
        esac
    done

    if [[ $word == -* ]]; then
        case $command in
        '') _portolan_offer "$word" "$globals --version" ;;
        names) _portolan_offer "$word" "$globals --cluster" ;;
        resolve) _portolan_offer "$word" "$globals --derive" ;;
        cluster) _portolan_offer "$word" "$globals --watch" ;;
        port) _portolan_offer "$word" "$globals --base" ;;
        lease) _portolan_offer "$word" "$globals --release --user" ;;
        exec) _portolan_offer "$word" "$globals --private --private6 --range --user --" ;;
        *) _portolan_offer "$word" "$globals" ;;
        esac
        return
    fi
    case $command in
    '' | help) _portolan_offer "$word" "$commands" ;;
    cluster) _portolan_offer "$word" 'join leave force-leave status' ;;
    names) mapfile -t COMPREPLY < <(compgen -A hostname -- "$word") ;;
    resolve | port | lease | exec) _portolan_offer "$word" "$(_portolan_nodes)" ;;
    esac
}

complete -F _portolan portolan
