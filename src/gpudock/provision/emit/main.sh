# ---- doing it ----

usage() {
    cat >&2 <<'END'
usage: sh THIS-FILE [run|check|list|undo]
    run     do the steps that are not done yet (default); continues after a reboot or an interruption
    check   say which steps are done; change nothing
    list    the steps
    undo    take back what was done here, the last step first; PURGE_DATA=yes removes images and volumes too
END
    exit 2
}

is_done() { "check_$1"; }

do_step() { # ID
    if is_done "$1"; then
        say "done  $(title "$1")"
        { marked "begun/$1" && ! marked "finished/$1"; } || return 0 # else it was interrupted after its last command
    else
        say "...   $(title "$1")"
        marked "begun/$1" || mark "begun/$1" "$(boot_id)"
        "apply_$1" 9>&-
        is_done "$1" || die "'$(title "$1")' was done, and yet it is not so"
    fi
    if marked "$1.before"; then package_list | put "$STATE/$1.after" 644; fi
    mark "finished/$1" "$(boot_id)"
}

undo_step() { # ID
    marked "begun/$1" || return 0
    say "undo  $(title "$1")"
    "undo_$1" 9>&-
    rm -f "$STATE/finished/$1" "$STATE/begun/$1"
}

reversed() {
    back=
    for id in $STEPS; do back="$id $back"; done
    printf '%s\n' "$back"
}

alone() { # one at a time; what is started from here does not keep the lock
    [ "$(id -u)" -eq 0 ] || die "must run as root (sudo)"
    mkdir -p "$STATE/begun" "$STATE/finished"
    exec 9>"$STATE/lock"
    flock -n 9 || {
        say "waiting for another installation to end"
        flock 9
    }
}

keep_this() { # for undo and for going on later
    [ -f "$0" ] || return 0
    cmp -s "$0" "$STATE/plan.sh" || put "$STATE/plan.sh" 700 <"$0"
}

main() {
    case ${1:-run} in
    run)
        [ $# -le 1 ] || usage
        alone
        keep_this
        cd / # nothing is ever run from where somebody happened to be
        for id in $STEPS; do do_step "$id"; done
        say "all done"
        ;;
    step)
        [ $# -eq 2 ] || usage
        alone
        cd /
        do_step "$2"
        ;;
    check)
        [ $# -eq 1 ] || usage
        for id in $STEPS; do
            if is_done "$id"; then say "done  $(title "$id")"; else say "to do $(title "$id")"; fi
        done
        ;;
    list)
        for id in $STEPS; do printf '%s\t%s\n' "$id" "$(title "$id")"; done
        ;;
    undo)
        [ $# -le 2 ] || usage
        alone
        cd /
        for id in ${2:-$(reversed)}; do undo_step "$id"; done
        [ $# -eq 2 ] || say "all taken back"
        ;;
    *) usage ;;
    esac
}

main "$@"
