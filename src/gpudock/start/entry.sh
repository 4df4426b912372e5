#!/bin/sh
# The OCI runtime `gpudock`: made by `gpudock refresh`, which fills in what stands between at signs. Engines know it by a
# path that never changes.
#
# Every operation but create, run and restore goes straight to the real runtime, and so does a container whose
# config.json has no sign of a request for GPUs. No other program is started for that but one grep, and no Python, whose
# start alone takes longer than everything else here. Only builtins: each process would cost a millisecond.
set -f # PATH is no pattern
unset log operation value bundle config preserved real name folder word # exported ones would reach the real runtime

fail() {
    printf 'gpudock: %s\n' "$1" >&2
    if [ -n "$log" ]; then
        printf '{"level":"error","msg":"gpudock: %s","time":"%s"}\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$log"
    fi
    exit 1
}

# The real runtime: as containerd finds runc, on PATH, and then where distributions have it.
find_real() {
    for name in @RUNTIMES@; do
        case $name in
        /*)
            [ -f "$name" ] && [ -x "$name" ] && real=$name && return
            ;;
        *)
            IFS=:
            for folder in $PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; do
                case $folder in
                /*)
                    real=$folder/$name
                    [ -f "$real" ] && [ -x "$real" ] && ! [ "$real" -ef "$0" ] && return
                    ;;
                esac
            done
            unset IFS
            ;;
        esac
    done
    real=
}

real= log= operation= value= bundle=. config= preserved=0
find_real
unset IFS name folder

# `value` names the option whose value comes next. A container may be called `create`: only the first word counts.
for word do
    case $value in
    '') ;;
    *)
        case $value in
        log) log=$word ;;
        bundle) bundle=$word ;;
        config) config=$word ;;
        preserved) preserved=$word ;;
        esac
        value=
        continue
        ;;
    esac
    case $operation$word in
    --log | -log) value=log ;;
    --log=* | -log=*) log=${word#*=} ;;
    --log-format | -log-format | --log-level | --root | -root | --criu | -criu | --rootless | -rootless | \
        --cgroup-manager) value=other ;;
    -*) ;;
    create | run | restore) operation=@ ;;
    @--bundle | @-bundle | @-b) value=bundle ;;
    @--bundle=* | @-bundle=* | @-b=*) bundle=${word#*=} ;;
    @--config | @-f) value=config ;;
    @--config=* | @-f=*) config=${word#*=} ;;
    @--preserve-fds | @-preserve-fds) value=preserved ;;
    @--preserve-fds=* | @-preserve-fds=*) preserved=${word#*=} ;;
    @--console-socket | @-console-socket | @--pidfd-socket | @-pidfd-socket | @--pid-file | @-pid-file | @--image-path | \
        @-image-path | @--work-path | @-work-path | @--parent-path | @-parent-path | @--lsm-profile | @-lsm-profile | \
        @--lsm-mount-context | @-lsm-mount-context | @--manage-cgroups-mode | @-manage-cgroups-mode | \
        @--empty-ns | @-empty-ns | @--status-fd | @-status-fd | @--page-server | @-page-server) value=other ;;
    @--help | @-help | @-h)
        operation=
        break
        ;;
    @-b?*) bundle=${word#-b} ;; # of crun
    @-f?*) config=${word#-f} ;;
    @*) ;;
    *) break ;;
    esac
done
[ -n "$real" ] || fail 'no OCI runtime is found: install runc or crun, or name it in /etc/gpudock/config.toml'
[ -n "$operation" ] || exec "$real" "$@"

[ -n "$config" ] || config=$bundle/config.json
unset value word operation
# A request always shows in these words. Where grep cannot tell (missing, unreadable), the long way decides.
LC_ALL=C grep -q -F @SIGNS@ -- "$config" 2>/dev/null
[ $? -ne 1 ] || exec "$real" "$@"

folder=@FOLDER@ python=@PYTHON@
if [ -x "$python" ] && [ -r "$folder/runtime.py" ]; then
    exec "$python" @FLAGS@ "$folder/runtime.py" "$folder/settings.json" "$real" "$bundle" "$config" "$log" "$preserved" "$@"
fi

# Without Python nobody gets a GPU. Who surely asks for none starts all the same: by an empty variable, or by none.
if ! grep -q -E '"gpudock\.|"cdi\.k8s\.io/[^"]*": ?"[^"]*nvidia\.com/|nvidia-container-' -- "$config"; then
    grep -q -E '"NVIDIA_VISIBLE_DEVICES=(void)?"' -- "$config" && exec "$real" "$@"
    grep -q -F @VARIABLES@ -- "$config" || exec "$real" "$@"
fi
fail "this container asks for GPUs, but $python or $folder/runtime.py is missing: run sudo gpudock refresh"
