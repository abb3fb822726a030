#!/bin/bash
# Tries deploy/install.sh on a bare Debian, made for it: installs, is killed on the way, repairs, upgrades, runs, and
# takes away again, against the sandbox's MISP and Azure. As root, with debootstrap and the clone's .venv:
#
#   tests/project/deploy/bare_debian.sh bookworm
#
# It takes two minutes, on a busy machine five, and prints a line for each thing that was tried. What follows the name
# goes to debootstrap, such as an address of the archive. Exit code 75: there can be no bare Debian here, and so nothing
# was tried.
set -euo pipefail

suite=${1:?name a suite, such as bookworm}
clone=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd -P)

not_here() {
    echo "NOT TRIED: $1" >&2
    exit 75
}

outside() {
    [ "$(id -u)" -eq 0 ] || not_here "this needs root"
    base=$(mktemp -d)
    trap 'umount "$base/root/proc" 2>/dev/null || true; rm -rf --one-file-system "$base"' EXIT
    debootstrap --variant=minbase "$suite" "$base/root" "$@" >"$base/debootstrap.log" || {
        tail "$base/debootstrap.log" >&2
        not_here "debootstrap made no $suite; its words are above"
    }
    mount -t proc proc "$base/root/proc" || not_here "nothing may be mounted here"
    cp /etc/resolv.conf /etc/hosts "$base/root/etc/"
    install -m 644 "${PIP_CERT:-/dev/null}" "$base/root/etc/pip.pem" # what this machine's pip trusts
    git clone --quiet "$clone" "$base/root/root/clone"
    cd "$clone"
    .venv/bin/python -m sandbox --dir "$base/box" --run -- "$clone/tests/project/deploy/bare_debian.sh" "$suite" in "$base"
}

# With the sandbox up: its settings, as somebody would bring them along, and the rest in the bare Debian.
between() {
    local base=$1 root=$1/root
    install -m 644 "$base/box/ca.pem" "$root/etc/sandbox-ca.pem"
    sed -e '/^state_dir/d' -e "s#$base/box/ca.pem#/etc/sandbox-ca.pem#" "$base/box/config.py" >"$root/root/config.py"
    chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root ${PIP_CERT:+PIP_CERT=/etc/pip.pem} \
        /bin/bash /root/clone/tests/project/deploy/bare_debian.sh "$suite" inside
}

fail() {
    echo "FAILED: $1" >&2
    exit 1
}

tried() {
    printf 'ok  %4d s  %s\n' "$SECONDS" "$1"
}

# says WORDS COMMAND...: the command ends well and says them.
says() {
    local words=$1 said
    shift
    said=$("$@" 2>&1 </dev/null) || fail "$* ended with $?: $said"
    [[ $said == *"$words"* ]] || fail "$* does not say '$words': $said"
}

# refuses WORDS COMMAND...: the command ends with 1 and says them.
refuses() {
    local words=$1 said code=0
    shift
    said=$("$@" 2>&1 </dev/null) || code=$?
    if [ "$code" -ne 1 ] || [[ $said != *"$words"* ]]; then fail "$* ended with $code: $said"; fi
}

snapshot() {
    find /etc /opt /usr /var -xdev -printf '%p %M %u %g %s\n' | sort
}

inside() {
    local before install=/root/clone/deploy/install.sh
    cd /root
    before=$(snapshot)
    says "install python3 python3-venv cron logrotate" "$install" --dry-run
    refuses "no terminal" "$install"
    refuses "no user nobody-of-that-name" "$install" --yes --user nobody-of-that-name
    [ "$before" = "$(snapshot)" ] || fail "a dry run changed something"
    tried "shows its plan, and changes nothing"

    setsid "$install" --yes --settings config.py >killed.log 2>&1 &
    until [ -e /opt/misp2sentinel/.venv/bin/pip ]; do
        [ -d "/proc/$!" ] || fail "$(cat killed.log)"
        sleep 0.1
    done
    kill -9 -- -$!
    wait $! 2>/dev/null || true
    [ ! -e /usr/local/bin/misp2sentinel ] || fail "it was killed too late"
    says "Ready." "$install" --yes --settings config.py
    says "Nothing to do" "$install"
    tried "is killed while pip is at work, and ends well the next time"

    says "42 would be sent" misp2sentinel --dry-run
    [ -z "$(eval "$(sed -n 's/.*www-data \//\//p' /etc/cron.d/misp2sentinel)")" ] || fail "cron's run is not silent"
    says "42 indicators live" misp2sentinel status --max-age 26
    [ -z "$(find /var/lib/misp2sentinel ! -user www-data)" ] || fail "root left files of its own"
    tried "root's command and cron's are one user's"

    chmod 644 /etc/misp2sentinel/config.py
    chown root /var/lib/misp2sentinel/ledger.sqlite
    chmod o+w /opt/misp2sentinel/helpers
    rm /usr/local/share/man/man1/misp2sentinel.1
    echo '# mine' >>/etc/cron.d/misp2sentinel
    echo '# mine' >>/opt/misp2sentinel/constants.py
    echo '# new' >>/root/clone/helpers/text.py
    says "Ready." "$install" --yes
    says "stays as it is" "$install"
    grep -q mine /opt/misp2sentinel/constants.py /etc/cron.d/misp2sentinel || fail "what is the site's was overwritten"
    grep -q new /opt/misp2sentinel/helpers/text.py || fail "the new version is not there"
    echo '# newer' >>/root/clone/constants.py
    says "was changed by hand" "$install" --yes
    grep -q mine /etc/misp2sentinel/constants.py.before || fail "the site's constants.py is lost"
    grep -q newer /opt/misp2sentinel/constants.py || fail "the new constants.py is not there"
    says "Nothing changed" misp2sentinel run --verbose
    tried "repairs what is wrong, brings a new version, and keeps what is the site's"

    refuses "another one" "$install" --yes --settings /root/clone/config.py
    touch other.py
    refuses "no option" "$install" --settings-file other.py
    refuses "systemd does not run here" "$install" --yes --timer
    tried "refuses what cannot be meant"

    says "remove the program" "$install" --uninstall --dry-run
    says "rm -r /etc/misp2sentinel /var/lib/misp2sentinel" "$install" --uninstall --yes
    says "nothing of it is here" "$install" --uninstall
    if [ -e /opt/misp2sentinel ] || [ -e /usr/local/bin/misp2sentinel ]; then fail "something is left"; fi
    [ -e /var/lib/misp2sentinel/ledger.sqlite ] || fail "the ledger is gone"
    says "Ready." "$install" --yes
    says "Nothing changed" misp2sentinel run --verbose
    "$install" --uninstall --yes >/dev/null
    tried "takes it away, and the ledger stays for the next one"

    mv /root/clone /opt/misp2sentinel
    printf '#!/bin/sh\nset -a\n. /etc/misp2sentinel/environment\nexec %s "$@"\n' \
        "/opt/misp2sentinel/.venv/bin/python /opt/misp2sentinel/script.py" >/usr/local/bin/misp2sentinel
    chmod 755 /usr/local/bin/misp2sentinel
    chown -R 1000:1000 /opt/misp2sentinel
    install=/opt/misp2sentinel/deploy/install.sh
    says "let only root change the program" "$install" --yes
    says "Nothing to do" "$install"
    says "42 indicators live" misp2sentinel status
    tried "takes over what was installed by hand, in its place"
    echo "All is well on $suite, $(python3 --version)."
}

case ${2:-} in
    in) between "$3" ;;
    inside) inside ;;
    *) outside "${@:2}" ;;
esac
