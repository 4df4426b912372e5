#!/bin/sh
# The OCI runtime `gpudock`: made by `gpudock refresh`, which fills in what stands between at signs. Engines know it by a
# path that never changes.
#
# Every operation but create, run and restore goes straight to the real runtime, and so does a container whose
# config.json has no sign of a request for GPUs. No other program is started for that but one grep, and no Python, whose
# start alone takes longer than everything else here. Only builtins: each process would cost a millisecond.
# Variables begin with gd_: an exported one of the engine's with another name reaches the real runtime as it was.
set -f # PATH is no pattern

fail() {
    printf 'gpudock: %s\n' "$1" >&2
    if [ -n "$gd_log" ]; then
        printf '{"level":"error","msg":"gpudock: %s","time":"%s"}\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$gd_log"
    fi
    exit 1
}

# The real runtime: as containerd finds runc, on PATH, and then where distributions have it.
find_real() {
    for gd_name in @RUNTIMES@; do
        case $gd_name in
        /*)
            [ -f "$gd_name" ] && [ -x "$gd_name" ] && gd_real=$gd_name && return
            ;;
        *)
            IFS=:
            for gd_folder in $PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; do
                case $gd_folder in
                /*)
                    gd_real=$gd_folder/$gd_name
                    [ -f "$gd_real" ] && [ -x "$gd_real" ] && ! [ "$gd_real" -ef "$0" ] && return
                    ;;
                esac
            done
            unset IFS
            ;;
        esac
    done
    gd_real=
}

gd_real= gd_log= gd_operation= gd_value= gd_bundle=. gd_config= gd_preserved=0
find_real
unset IFS

# gd_value names the option whose value comes next. A container may be called `create`: only the first word counts.
for gd_word do
    case $gd_value in
    '') ;;
    *)
        case $gd_value in
        log) gd_log=$gd_word ;;
        bundle) gd_bundle=$gd_word ;;
        config) gd_config=$gd_word ;;
        preserved) gd_preserved=$gd_word ;;
        esac
        gd_value=
        continue
        ;;
    esac
    while :; do # -db FOLDER is -d -b FOLDER, for crun
        case $gd_operation$gd_word in
        @-d[dbf]*) gd_word=-${gd_word#-d} ;;
        *) break ;;
        esac
    done
    case $gd_operation$gd_word in
    --log | -log) gd_value=log ;;
    --log=* | -log=*) gd_log=${gd_word#*=} ;;
    --log-format | -log-format | --log-level | --root | -root | --criu | -criu | --rootless | -rootless | \
        --cgroup-manager) gd_value=other ;;
    -*) ;;
    create | run | restore) gd_operation=@ ;;
    @--bundle | @-bundle | @-b) gd_value=bundle ;;
    @--bundle=* | @-bundle=* | @-b=*) gd_bundle=${gd_word#*=} ;;
    @--config | @-f) gd_value=config ;;
    @--config=* | @-f=*) gd_config=${gd_word#*=} ;;
    @--preserve-fds | @-preserve-fds) gd_value=preserved ;;
    @--preserve-fds=* | @-preserve-fds=*) gd_preserved=${gd_word#*=} ;;
    @--console-socket | @-console-socket | @--pidfd-socket | @-pidfd-socket | @--pid-file | @-pid-file | @--image-path | \
        @-image-path | @--work-path | @-work-path | @--parent-path | @-parent-path | @--lsm-profile | @-lsm-profile | \
        @--lsm-mount-context | @-lsm-mount-context | @--manage-cgroups-mode | @-manage-cgroups-mode | \
        @--empty-ns | @-empty-ns | @--status-fd | @-status-fd | @--page-server | @-page-server) gd_value=other ;;
    @--help | @-help | @-h)
        gd_operation=
        break
        ;;
    @-b?*) gd_bundle=${gd_word#-b} ;; # of crun
    @-f?*) gd_config=${gd_word#-f} ;;
    @*) ;;
    *) break ;;
    esac
done
[ -n "$gd_real" ] || fail 'no OCI runtime is found: install runc or crun, or name it in /etc/gpudock/config.toml'
[ -n "$gd_operation" ] || exec "$gd_real" "$@"

[ -n "$gd_config" ] || gd_config=$gd_bundle/config.json
# A request always shows in these words. Where grep cannot tell (missing, unreadable), the long way decides.
LC_ALL=C grep -q -F @SIGNS@ -- "$gd_config" 2>/dev/null
[ $? -ne 1 ] || exec "$gd_real" "$@"

gd_folder=@FOLDER@ gd_python=@PYTHON@
if [ -x "$gd_python" ] && [ -r "$gd_folder/runtime.py" ]; then
    exec "$gd_python" @FLAGS@ "$gd_folder/runtime.py" "$gd_folder/settings.json" \
        "$gd_real" "$gd_bundle" "$gd_config" "$gd_log" "$gd_preserved" "$@"
fi

# Without Python nobody gets a GPU. Who surely asks for none starts all the same: by an empty variable, or by none.
if ! grep -q -E '"gpudock\.|"cdi\.k8s\.io/[^"]*": ?"[^"]*nvidia\.com/|nvidia-container-' -- "$gd_config"; then
    grep -q -E '"NVIDIA_VISIBLE_DEVICES=(void)?"' -- "$gd_config" && exec "$gd_real" "$@"
    grep -q -F @VARIABLES@ -- "$gd_config" || exec "$gd_real" "$@"
fi
fail "this container asks for GPUs, but $gd_python or $gd_folder/runtime.py is missing: run sudo gpudock refresh"
