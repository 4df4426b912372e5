#!/bin/sh
# The first program of every container that gpudock makes: it becomes the user who started the container, for good,
# and then the command. The image has no user of its own, so one image serves everybody.
#
#   GPUDOCK_UID, GPUDOCK_GID   who; without GPUDOCK_UID the command runs as it is
#   GPUDOCK_USER               the name, by default "user"
#   GPUDOCK_SHELL              bash, zsh or sh
#   GPUDOCK_GROUPS             further group ids, with commas
#
# All of them may be wrong, and the image may be hostile: nothing is written through a link, and a value that is not
# what it should be ends the start.
set -eu

fail() {
    echo "gpudock: $*" >&2
    exit 125
}

is_id() { # a decimal number above 0
    case $1 in '' | *[!0-9]* | 0* | ???????????*) return 1 ;; esac
}

is_name() {
    case $1 in '' | [!abcdefghijklmnopqrstuvwxyz_]* | *[!abcdefghijklmnopqrstuvwxyz0123456789_-]*) return 1 ;; esac
    [ ${#1} -le 32 ]
}

become_command() {
    if [ -n "${GPUDOCK_UID:-}" ] && [ -d "${HOME:-}" ] && [ -d /etc/skel ]; then
        # Ours and empty: the first start. Files of the user's own are never touched.
        [ -O "$HOME" ] && [ -z "$(ls -A "$HOME")" ] && cp -R /etc/skel/. "$HOME/" 2>/dev/null || :
    fi
    exec "$@"
}

# The lines of FILE but those with this name or this id in the third field, then LINE: a new file in its place.
replace() { # FILE NAME ID LINE
    [ ! -L /etc ] && [ ! -L "$1" ] || fail "$1 of the image is a link"
    new=$1.gpudock.$$
    (
        set -C # never through what is there already
        umask 022
        {
            while IFS= read -r line || [ -n "$line" ]; do
                rest=${line#*:}
                rest=${rest#*:}
                [ "${line%%:*}" = "$2" ] || [ "${rest%%:*}" = "$3" ] || printf '%s\n' "$line"
            done
            printf '%s\n' "$4"
        } <"$1" >"$new"
    ) || fail "$new cannot be written"
    mv -f "$new" "$1" || fail "$1 cannot be replaced"
}

has_id() { # FILE ID
    while IFS=: read -r _ _ id _; do
        [ "$id" != "$2" ] || return 0
    done <"$1"
    return 1
}

add_group() { # NAME GID
    has_id /etc/group "$2" || replace /etc/group "$1" "$2" "$1:x:$2:"
}

make_user() {
    for file in /etc /etc/passwd /etc/group; do
        [ ! -L "$file" ] || fail "$file of the image is a link"
    done
    for file in /etc/passwd /etc/group; do
        [ -e "$file" ] || (set -C && : >"$file") || fail "$file cannot be made"
    done
    add_group "$user" "$gid"
    for group in $groups; do
        add_group "gpudock-$group" "$group"
    done
    # "*": no password opens this account, and sudo's account check asks for no shadow entry.
    replace /etc/passwd "$user" "$uid" "$user:*:$uid:$gid::$home:$shell"
    [ ! -L /home ] && [ ! -L "$home" ] || fail "$home of the image is a link"
    [ -d "$home" ] || mkdir -p -m 0700 "$home"
    if [ "$(stat -c %u "$home")" = 0 ]; then # new, or a new volume
        chown -h "$uid:$gid" "$home"
    fi
}

[ $# -gt 0 ] || set -- "${GPUDOCK_SHELL:-sh}"
[ "$(id -u)" = 0 ] && [ "${GPUDOCK_UID:-0}" != 0 ] || become_command "$@"

uid=$GPUDOCK_UID gid=${GPUDOCK_GID:-$GPUDOCK_UID} user=${GPUDOCK_USER:-user} wished=${GPUDOCK_SHELL:-sh}
home=/home/$user
is_id "$uid" || fail "GPUDOCK_UID is not a user id"
is_id "$gid" || fail "GPUDOCK_GID is not a group id"
is_name "$user" && [ "$user" != root ] || fail "GPUDOCK_USER is not a user name"
case $wished in bash | zsh | sh) ;; *) fail "GPUDOCK_SHELL is not bash, zsh or sh" ;; esac
shell=$(command -v "$wished" || echo /bin/sh)
groups=$(echo "${GPUDOCK_GROUPS:-}" | tr ',' ' ')
for group in $groups; do
    is_id "$group" || fail "GPUDOCK_GROUPS are not group ids"
done
case $(setpriv --help 2>&1 || :) in # busybox has one that cannot change the user
    *--reuid*) ;;
    *) fail "the image has no setpriv of util-linux, which becomes the user" ;;
esac

make_user
for terminal in 0 1 2; do # the engine made it for root, and tmux or /dev/stdout open it again by name
    [ ! -t $terminal ] || chown "$uid" "/proc/self/fd/$terminal" 2>/dev/null || :
done

set -- "$0" "$@"
# sudo, which was asked for by name in gpudock.yaml, cannot work without new privileges.
[ -e /etc/sudoers.d/gpudock ] || set -- --no-new-privs "$@"
[ -z "$groups" ] || set -- --groups "$(echo $groups | tr ' ' ',')" "$@"
[ -n "$groups" ] || set -- --clear-groups "$@"
export HOME="$home" USER="$user" LOGNAME="$user" SHELL="$shell"
exec setpriv --reuid "$uid" --regid "$gid" --inh-caps=-all --ambient-caps=-all "$@"
