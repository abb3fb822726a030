#!/bin/bash
# Installs MISP2Sentinel on Debian and Ubuntu, brings it up to date, or takes it away again: docs/install.md.
# It looks at what is there, shows what it would do, and does only that, so it can be run again at any time.
# The steps of the plan are called by carry_out, which shellcheck does not see.
# shellcheck disable=SC2317
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # sh install.sh: Debian's sh is another one
set -euo pipefail
umask 022
unset CDPATH PYTHONPATH PYTHONHOME
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8

readonly PROGRAM=/opt/misp2sentinel SETTINGS=/etc/misp2sentinel STATE=/var/lib/misp2sentinel
readonly COMMAND=/usr/local/bin/misp2sentinel
readonly CRON=/etc/cron.d/misp2sentinel LOGROTATE=/etc/logrotate.d/misp2sentinel UNITS=/etc/systemd/system
readonly PYTHON=$PROGRAM/.venv/bin/python STAMP=$PROGRAM/.venv/installed NO_SCHEDULE=$SETTINGS/no-schedule
# What cron's line for a run has: an option, a pipe or the like may come behind it, status or report may not.
readonly A_RUN="($COMMAND *&|($COMMAND|[[:space:]]misp2sentinel) *(\$|[>|;-]|[0-9]>|run( |\$)))"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
readonly HERE
# What nobody but root may change, since it is what runs.
readonly CODE=(script.py constants.py helpers deploy requirements.txt requirements-keyvault.txt requirements-notify.txt)
# What is copied: nothing that somebody may have left in a clone beside it, such as secrets. config.py is the template.
readonly COPIED=("${CODE[@]}" config.py docs CHANGELOG.md LICENSE README.md SECURITY.md)

usage() {
    cat <<'END'
sudo deploy/install.sh [--dry-run] [--yes] [--settings FILE] [--user NAME] [--cron | --timer | --no-schedule]
sudo deploy/install.sh --uninstall [--dry-run] [--yes]

Installs MISP2Sentinel on this host, or brings what is there up to date. It shows what it would do, and asks once.

  --dry-run        only show it
  --yes            do it without asking
  --settings FILE  take this config.py, also one of misp2sentinel; else init asks for the six values in a terminal
  --user NAME      the user that runs it, who must be there already (www-data)
  --cron           let cron run it every night at 02:17, as it does unless something else is named
  --timer          let systemd run it then
  --no-schedule    let neither of them run it
  --uninstall      take it away again; the settings and the ledger stay
END
}

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

# --- the plan ----------------------------------------------------------------------------------------

words=() calls=() notes=() waits=""

# plan WORDS FUNCTION ARGUMENT...: one thing to do.
plan() {
    words+=("$1")
    calls+=("$(printf '%q ' "${@:2}")")
}

note() {
    notes+=("$1")
}

show_plan() {
    local line
    printf '%s\n' "$1"
    for line in "${words[@]}"; do printf '  - %s\n' "$line"; done
    for line in ${notes[@]+"${notes[@]}"}; do printf 'Note: %s\n' "$line"; done
}

agreed() {
    [ -z "$yes" ] || return 0
    [ -t 0 ] || die "There is no terminal to ask in: --yes does it without asking, --dry-run only shows it."
    local answer
    read -r -p "Do this? [y/N] " answer || true
    [[ $answer == [yY]* ]]
}

carry_out() {
    local number
    for number in "${!calls[@]}"; do
        printf '... %s\n' "${words[number]}"
        eval "${calls[number]}"
    done
}

# --- what is there -----------------------------------------------------------------------------------

as_user() {
    setpriv --reuid "$user" --regid "$group" --init-groups -- env HOME=/nonexistent "$@"
}

is_ours() {
    [ -f "$COMMAND" ] && grep -q "^program=$PROGRAM\$\|$PROGRAM/script.py" "$COMMAND"
}

# The user of the installation that is there, else the one that Debian has for such services.
installed_user() {
    local found=""
    if is_ours; then found=$(sed -n 's/^user=//p' "$COMMAND"); fi
    if [ -z "$found" ] && [ -d "$STATE" ]; then found=$(stat -c %U "$STATE"); fi
    if [ -z "$found" ] || [ "$found" = root ] || [ "$found" = UNKNOWN ]; then found=www-data; fi
    printf '%s' "$found"
}

# Lines of cron, outside of our own file, that a pattern finds.
cron_files_with() {
    find /etc/crontab /etc/cron.d /var/spool/cron -type f ! -path "$CRON" \
        -exec grep -lE "^[^#]*$1" {} + 2>/dev/null || true
}

installed_schedule() {
    if [ -e "$UNITS/misp2sentinel.timer" ] && [ ! -e "$CRON" ]; then
        echo timer
    elif [ -e "$NO_SCHEDULE" ] || compgen -G "$UNITS/timers.target.wants/misp2sentinel@*" >/dev/null; then
        echo none
    elif [ ! -e "$CRON" ] && [ -n "$(cron_files_with "$A_RUN")" ]; then
        echo none
    else
        echo cron
    fi
}

# A Python of the system's that is new enough: one in /root, say, is of no use to another user.
find_python() {
    local candidate
    for candidate in /usr/bin/python3 /usr/bin/python3.1[1-9]; do
        if [ -x "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            printf '%s' "$candidate"
            return
        fi
    done
}

# A container's run, which has a root of its own, is none of ours.
refuse_while_it_runs() {
    local file
    while read -r file; do
        if [ "${file%cmdline}root" -ef / ]; then
            file=${file#/proc/}
            die "A run is active (process ${file%/*}). Wait for its end, and run this again."
        fi
    done < <(grep -zlsxF -- "$PROGRAM/script.py" /proc/[0-9]*/cmdline || true)
}

# --- packages of the system --------------------------------------------------------------------------

look_at_packages() {
    local missing=() python
    python=$(find_python)
    if [ -z "$python" ] && [ -x /usr/bin/python3 ]; then
        die "$(/usr/bin/python3 --version) is too old: 3.11 or newer is needed, as in Debian 12 and Ubuntu 24.04." \
            "Install a newer one beside it, such as python3.12 with python3.12-venv, and run this again."
    fi
    if [ -z "$python" ]; then
        missing+=(python3 python3-venv)
    elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        missing+=("${python##*/}-venv")
    fi
    [ "$schedule" != cron ] || command -v cron >/dev/null || command -v crond >/dev/null || missing+=(cron)
    command -v logrotate >/dev/null || missing+=(logrotate)
    [ "$schedule" != timer ] || [ -d /run/systemd/system ] || die "systemd does not run here: take --cron." # sd_booted(3)
    [ "${#missing[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        die "These are missing: ${missing[*]}. Install them with this system's package manager, and run this again."
    plan "install ${missing[*]} (apt-get)" install_packages "${missing[@]}"
}

install_packages() {
    if ! apt-get update -qq || ! DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -o DPkg::Lock::Timeout=300 --no-install-recommends "$@" >/dev/null </dev/null 9<&-; then
        die "apt-get could not install $*; its words are above. What was done stays: run this again."
    fi
    [ -n "$(find_python)" ] ||
        die "This system's Python is too old: 3.11 or newer is needed, as in Debian 12 and Ubuntu 24.04."
}

# --- the program -------------------------------------------------------------------------------------

look_at_program() {
    if [ "$HERE" != "$PROGRAM" ]; then
        refuse_what_anybody_may_change
        look_at_copy
    fi
    if [ -d "$PROGRAM" ] && [ -n "$(what_others_may_change)" ]; then
        plan "let only root change the program in $PROGRAM, and $user read it" close_program
    fi
}

look_at_copy() {
    if [ -e "$PROGRAM" ] && [ ! -e "$PROGRAM/helpers/errors.py" ]; then
        die "$PROGRAM is there already, and is not this program. Where it is misp2sentinel, move it away, and take" \
            "its settings along:" "  mv $PROGRAM $PROGRAM.old" "  $0 --settings $PROGRAM.old/config.py"
    fi
    if [ -e "$PROGRAM" ] && [ ! -e "$PROGRAM/.installed" ]; then
        die "$PROGRAM was not put there by this script. Bring it up to date, and run what is in it:" \
            "  git -C $PROGRAM pull" "  $PROGRAM/deploy/install.sh"
    fi
    if [ -d "$PROGRAM" ]; then
        ! is_copied || return 0
        refuse_what_is_not_ours
    fi
    plan "copy the program from $HERE to $PROGRAM" copy_program
    if was_changed && ! cmp -s <(shipped_constants "$PROGRAM/.installed") <(shipped_constants <(manifest)); then
        note "constants.py in $PROGRAM was changed by hand, and this version has another one. Yours is kept as
      $SETTINGS/constants.py.before: put your changes into the new one."
    fi
}

refuse_what_anybody_may_change() {
    local open
    open=$(cd "$HERE" && find "$HERE" -maxdepth 0 -perm -002 -print && find "${CODE[@]}" ! -type l -perm -002 -print)
    [ -z "$open" ] || die "Anybody on this host may change ${open%%$'\n'*}, and root would run it. Is it still what you have
fetched? Then close it, and run this again:" "  chmod -R o-w ${HERE@Q}"
}

# What is in the program's directory and was not put there by this script would go with it: a ledger, a certificate.
refuse_what_is_not_ours() {
    local found
    found=$(find "$PROGRAM" \( -path "$PROGRAM/.venv" -o -name __pycache__ -o -name .installed \) -prune \
        -o ! -type d -printf './%P\n' | { grep -vxFf <(cut -c 67- "$PROGRAM/.installed") || true; } | head -n 3)
    [ -z "$found" ] || die "In $PROGRAM is what this script did not put there, and would remove:" "$found" \
        "Move it to a place of yours, with what names it in the settings, and run this again."
}

# What is not root's, or may be changed by others, or cannot be read by them: the first of it.
what_others_may_change() {
    local is_open=(! -user root -o -perm /022 -o ! -perm -004)
    (cd "$PROGRAM" && find . -maxdepth 0 \( "${is_open[@]}" \) -print &&
        find "${CODE[@]}" ! -type l \( "${is_open[@]}" \) -print) | head -n 1
}

close_program() {
    (cd "$PROGRAM" && find "${CODE[@]}" ! -type l -exec chown root:root {} + -exec chmod go-w,a+rX {} +)
    chown root:root "$PROGRAM"
    chmod go-w,a+rx "$PROGRAM"
}

# The sums of all files that are copied.
manifest() {
    (cd "$HERE" && find "${COPIED[@]/#/./}" -name __pycache__ -prune -o -type f -print0 | sort -z | xargs -0 sha256sum)
}

shipped_constants() {
    grep ' ./constants.py$' "$1" || true
}

was_changed() {
    [ -f "$PROGRAM/.installed" ] && ! (cd "$PROGRAM" && shipped_constants .installed | sha256sum --check --status)
}

is_copied() {
    local all
    all=$(manifest)
    cmp -s <(printf '%s\n' "$all") "$PROGRAM/.installed" || return 1
    (cd "$PROGRAM" && printf '%s\n' "$all" | grep -v ' ./constants.py$' | sha256sum --check --status)
}

copy_program() {
    refuse_while_it_runs
    [ -e "$PROGRAM" ] || [ ! -e "$PROGRAM.replaced" ] || mv "$PROGRAM.replaced" "$PROGRAM" # it was killed below
    rm -rf "$PROGRAM.new" "$PROGRAM.replaced"
    mkdir -m 700 "$PROGRAM.new" # until it is complete
    tar -C "$HERE" --exclude __pycache__ -cf - "${COPIED[@]}" | tar -C "$PROGRAM.new" --no-same-owner -xf -
    chmod -R u=rwX,go=rX "$PROGRAM.new"/*
    chmod 600 "$PROGRAM.new/config.py" # only a template, but somebody may have put secrets into it
    manifest >"$PROGRAM.new/.installed"
    keep_constants
    [ ! -d "$PROGRAM/.venv" ] || mv "$PROGRAM/.venv" "$PROGRAM.new/.venv"
    chmod 755 "$PROGRAM.new"
    [ ! -d "$PROGRAM" ] || mv "$PROGRAM" "$PROGRAM.replaced"
    mv "$PROGRAM.new" "$PROGRAM"
    rm -rf "$PROGRAM.replaced"
}

# constants.py is for sites to change: as long as what was shipped is the same, theirs stays.
keep_constants() {
    was_changed || return 0
    if cmp -s <(shipped_constants "$PROGRAM/.installed") <(shipped_constants "$PROGRAM.new/.installed"); then
        cp -p "$PROGRAM/constants.py" "$PROGRAM.new/constants.py"
    else
        make_settings_directory
        cp -p "$PROGRAM/constants.py" "$SETTINGS/constants.py.before"
    fi
}

# --- its Python packages -----------------------------------------------------------------------------

# The files of requirements: what a run needs, and the extras that somebody has added.
requirements() {
    local folder=$1 extra
    printf '%s\n' "$folder/requirements.txt"
    for extra in keyvault:azure_identity notify:apprise; do
        if compgen -G "$PROGRAM/.venv/lib/python3*/site-packages/${extra#*:}-*.dist-info" >/dev/null; then
            printf '%s\n' "$folder/requirements-${extra%%:*}.txt"
        fi
    done
}

# What an environment that is right was made of.
stamp() {
    "$(find_python)" --version
    requirements "$1" | xargs -d '\n' cat | sha256sum
}

look_at_environment() {
    if [ -z "$(find_python)" ] || ! venv_works; then
        plan "make $PROGRAM/.venv and install the Python packages (a minute or two)" install_requirements
    elif ! cmp -s <(stamp "$HERE") "$STAMP"; then
        plan "bring the Python packages in $PROGRAM/.venv up to date" install_requirements
    fi
}

# Whether there is one of the same Python, which only root may change and the user of the runs can start.
venv_works() {
    local wanted found
    [ -z "$(find "$PROGRAM/.venv" ! -type l \( ! -user root -o -perm /022 \) -print -quit 2>/dev/null)" ] || return 1
    wanted=$("$(find_python)" -c 'import sys; print(*sys.version_info[:2])')
    found=$(as_user "$PYTHON" -c 'import sys; print(*sys.version_info[:2])' 2>/dev/null) && [ "$wanted" = "$found" ]
}

run_pip() {
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes "$@"
}

install_requirements() {
    local files=() file
    refuse_while_it_runs
    while read -r file; do files+=(-r "$file"); done < <(requirements "$PROGRAM")
    rm -f "$STAMP"
    if ! venv_works; then
        rm -rf "$PROGRAM/.venv"
        "$(find_python)" -m venv "$PROGRAM/.venv" ||
            die "The environment could not be made; the words of Python's venv are above. Run this again."
    fi
    # What has no wheel is built with the setuptools that is pinned: pip fetches one without a hash otherwise.
    sed -n '/^setuptools==/,/# via/p' "$PROGRAM/requirements.txt" >"$PROGRAM/.venv/setuptools.txt"
    if ! run_pip -r "$PROGRAM/.venv/setuptools.txt" || ! run_pip --no-build-isolation --use-pep517 "${files[@]}"; then
        die "pip could not install the packages; its words are above. What was done stays: run this again." \
            "Behind a proxy:" "  sudo HTTPS_PROXY=http://proxy.example.org:3128 $0"
    fi
    "$PYTHON" -m compileall -q "$PROGRAM/helpers" # the user of the runs may not write there
    stamp "$PROGRAM" >"$STAMP.new"
    mv "$STAMP.new" "$STAMP"
}

# --- settings ----------------------------------------------------------------------------------------

look_at_settings() {
    local config=$SETTINGS/config.py
    has_mode "$SETTINGS" "root:$group 750" || plan "make $SETTINGS, for root and the group $group" make_settings_directory
    if [ -n "$settings" ]; then
        if [ -e "$config" ] && ! cmp -s "$settings" "$config" && ! is_template "$config"; then
            die "$config is there already, and is another one than $settings." \
                "Move it away first, or leave --settings out."
        fi
        cmp -s "$settings" "$config" || plan "take $settings as $config" put "$settings" "$config" 640 "$group"
    elif [ ! -e "$config" ] || { is_template "$config" && has_terminal; }; then
        look_at_answers "$config"
    fi
    if [ -e "$config" ] && ! has_mode "$config" "root:$group 640"; then
        plan "let only root change $config, and the group $group read it" close_file "$config"
    fi
    if [ ! -e "$SETTINGS/environment" ]; then
        plan "make $SETTINGS/environment, which names the settings and the ledger's directory" make_environment
    elif ! has_mode "$SETTINGS/environment" "root:$group 640"; then
        plan "let only root change $SETTINGS/environment, and the group $group read it" close_file "$SETTINGS/environment"
    fi
}

# cron and systemd do not have this call's environment, in which pip and check find a proxy.
look_at_proxy() {
    if [ -n "${HTTPS_PROXY:-${https_proxy:-}}" ] &&
        ! grep -sqi '^[^#]*https_proxy=\|^[^#]*_PROXIES' /etc/environment "$SETTINGS/environment" &&
        ! grep -sq '^[^#]*_proxies["'\'']* *=.*//' "$SETTINGS/config.py" ${settings:+"$settings"}; then
        note "HTTPS_PROXY is of this call alone: for the runs, set ms_proxies (and misp_proxies, where MISP is
      behind it) in $SETTINGS/config.py."
    fi
}

look_at_answers() {
    if has_terminal; then
        plan "ask for the six values that a run needs, and write them into $1" ask_for_settings "$1"
    else
        plan "put config.py as it was shipped to $1, for you to fill in" put "$HERE/config.py" "$1" 640 "$group"
    fi
}

is_template() {
    cmp -s "$HERE/config.py" "$1"
}

has_terminal() {
    [ -t 0 ] && [ -t 2 ]
}

has_mode() {
    [ "$(stat -L -c '%U:%G %a' "$1" 2>/dev/null)" = "$2" ]
}

make_settings_directory() {
    install -d -o root -g "$group" -m 750 "$SETTINGS"
}

ask_for_settings() {
    if [ -e "$1" ] && is_template "$1"; then rm "$1"; fi
    # Its answer on stdout names the command, which is not there yet.
    MISP2SENTINEL_COMMAND=misp2sentinel MISP2SENTINEL_CONFIG=$1 \
        "$PYTHON" "$PROGRAM/script.py" --config "$1" init >/dev/null ||
        die "Without settings it is not finished. What was done stays: run this again."
    close_file "$1"
}

close_file() {
    chown "root:$group" "$1"
    chmod 640 "$1"
}

# put FILE PLACE MODE GROUP: copy it whole, or not at all.
put() {
    mkdir -p "$(dirname "$2")"
    install -o root -g "$4" -m "$3" "$1" "$2.new"
    mv -f "$2.new" "$2"
}

# A state_dir in the settings wins over the usual place, so the environment does not name one then.
names_state_dir() {
    grep -sqE '^[[:space:]]*state_dir[[:space:]]*=[[:space:]]*[^N[:space:]]' "$SETTINGS/config.py"
}

make_environment() {
    {
        echo "# The shell reads this before each run: in single quotes, what is within has no other meaning."
        echo "MISP2SENTINEL_CONFIG='$SETTINGS/config.py'"
        names_state_dir || echo "MISP2SENTINEL_STATE_DIR='$STATE'"
    } | put /dev/stdin "$SETTINGS/environment" 640 "$group"
}

look_at_state() {
    if ! has_mode "$STATE" "$user:$group 700"; then
        plan "make $STATE, for the ledger and the log, and for $user alone" make_state
    elif [ -n "$(find "$STATE/" ! -user "$user" -print -quit)" ]; then
        plan "give what is in $STATE to $user" make_state
    fi
}

make_state() {
    install -d -o "$user" -g "$group" -m 700 "$STATE"
    chown -R -h "$user:$group" "$STATE/"
}

# --- the command, and when it runs -------------------------------------------------------------------

# A file of deploy/ with the user that runs it.
for_user() {
    sed "s/\\bwww-data www-data\\b/$user $group/; s/^Group=www-data/Group=$group/; s/\\bwww-data\\b/$user/" \
        "$HERE/deploy/$1"
}

# look_at_file FILE PLACE MODE WORDS: it is to be there as deploy/ has it.
look_at_file() {
    if ! has_mode "$2" "root:root $3" || ! cmp -s <(for_user "$1") "$2"; then
        plan "${4:-put $2 there}" put_file "$1" "$2" "$3"
    fi
}

put_file() {
    for_user "$1" | put /dev/stdin "$2" "$3" root
}

look_at_command() {
    if [ -e "$COMMAND" ] && ! is_ours; then die "$COMMAND is there already, and is another command: move it away."; fi
    look_at_file host/misp2sentinel "$COMMAND" 755 "put the command there, $COMMAND, which root may call too"
    look_at_file shell/misp2sentinel.1 /usr/local/share/man/man1/misp2sentinel.1 644
    look_at_file shell/misp2sentinel.bash /usr/share/bash-completion/completions/misp2sentinel 644
    ! command -v zsh >/dev/null || look_at_file shell/_misp2sentinel /usr/local/share/zsh/site-functions/_misp2sentinel 644
    ! command -v fish >/dev/null || look_at_file shell/misp2sentinel.fish /etc/fish/completions/misp2sentinel.fish 644
    if [ ! -s "$LOGROTATE" ]; then
        plan "rotate its log every week ($LOGROTATE)" put_file host/misp2sentinel.logrotate "$LOGROTATE" 644
    elif ! cmp -s <(with_user "$LOGROTATE") "$LOGROTATE"; then
        plan "rotate its log as $user ($LOGROTATE)" put_user "$LOGROTATE"
    fi
}

# A file of the site's own, of cron or logrotate, with the user that runs it now; root's lines of cron stay root's.
with_user() {
    local field='[^#[:space:]]+[[:space:]]+'
    sed -E "s#^([[:space:]]*su[[:space:]]).*#\1$user $group#
        /^($field){5}root[[:space:]]/!s#^(($field){5})$field(.*$COMMAND)#\1$user \3#" "$1"
}

put_user() {
    with_user "$1" | put /dev/stdin "$1" 644 root
}

look_at_schedule() {
    local other
    other=$(cron_files_with 'script\.py' | tr '\n' ' ')
    [ -z "$other" ] || note "cron runs a script.py of its own too: ${other% }. Where that is misp2sentinel, take the
      line out, else both of them send."
    if [ "$schedule" != cron ] && [ -e "$CRON" ]; then
        plan "remove $CRON" rm "$CRON"
        note_own_lines
    fi
    other=$(cron_files_with "$A_RUN" | tr '\n' ' ')
    [ -z "$other" ] || [ "$schedule" = none ] || note "cron runs it from ${other% } too. Take the line out there, or say
      --no-schedule, else it runs twice."
    if [ "$schedule" != timer ] && [ -e "$UNITS/misp2sentinel.timer" ]; then plan "remove the timer" remove_timer; fi
    if [ "$schedule" != none ] && [ -e "$NO_SCHEDULE" ]; then plan "remove $NO_SCHEDULE" rm "$NO_SCHEDULE"; fi
    case $schedule in
        cron) look_at_cron ;;
        timer) look_at_timer ;;
        none) [ -z "$asked" ] || [ -e "$NO_SCHEDULE" ] ||
            plan "keep in mind that neither cron nor a timer runs it ($NO_SCHEDULE)" put /dev/null "$NO_SCHEDULE" 644 root ;;
    esac
}

look_at_cron() {
    if [ ! -s "$CRON" ]; then
        plan "let cron run it every night at 02:17 ($CRON)" once_complete put_file host/misp2sentinel.cron "$CRON" 644
    elif ! cmp -s <(with_user "$CRON") "$CRON"; then
        plan "let cron run it as $user ($CRON)" put_user "$CRON"
    elif ! cmp -s <(for_user host/misp2sentinel.cron) "$CRON"; then
        note "$CRON differs from deploy/host/misp2sentinel.cron, and stays as it is."
    fi
}

# Lines of one's own in a file that goes are shown, to be kept elsewhere.
note_own_lines() {
    local lines
    lines=$(grep -v "^#\|^MAILTO=root\$\|^17 2 \* \* \* [^ ]* $COMMAND\$\|^[[:space:]]*\$" "$CRON" || true)
    [ -z "$lines" ] || note "$CRON has lines of yours, which go with it:
${lines//[^[:print:][:space:]]/}"
}

# Nothing runs every night, and fails, before there are settings that a run can use.
once_complete() {
    local code=0
    "$COMMAND" status >/dev/null 2>&1 </dev/null || code=$?
    if [ "$code" -eq 2 ]; then
        echo "    not yet: the settings are not complete"
        waits=1
    else
        "$@"
    fi
}

look_at_timer() {
    look_at_file host/misp2sentinel.service "$UNITS/misp2sentinel.service" 644
    look_at_file host/misp2sentinel.timer "$UNITS/misp2sentinel.timer" 644
    if [[ ${words[*]} == *"$UNITS/"* ]] || [ ! -L "$UNITS/timers.target.wants/misp2sentinel.timer" ]; then
        plan "let systemd run it every night at 02:17 (misp2sentinel.timer)" once_complete start_timer
    fi
}

start_timer() {
    systemctl daemon-reload
    systemctl --quiet enable --now misp2sentinel.timer
}

remove_timer() {
    if [ -L "$UNITS/timers.target.wants/misp2sentinel.timer" ]; then stop_timers misp2sentinel.timer; fi
    rm "$UNITS/misp2sentinel.timer"
}

stop_timers() {
    systemctl --quiet disable --now "$@"
}

# --- taking it away ----------------------------------------------------------------------------------

look_at_removal() {
    local path timers
    mapfile -t timers < <(find "$UNITS/timers.target.wants" -name 'misp2sentinel*.timer' -printf '%f\n' 2>/dev/null)
    [ "${#timers[@]}" -eq 0 ] || plan "stop ${timers[*]}" stop_timers "${timers[@]}"
    for path in "$CRON" "$LOGROTATE" "$UNITS"/misp2sentinel{,@}.{service,timer} \
        /usr/local/share/man/man1/misp2sentinel.1 /usr/share/bash-completion/completions/misp2sentinel \
        /usr/local/share/zsh/site-functions/_misp2sentinel /etc/fish/completions/misp2sentinel.fish; do
        [ ! -e "$path" ] || plan "remove $path" rm "$path"
    done
    if is_ours; then
        plan "remove $COMMAND" rm "$COMMAND"
        note "what was sent stays in Sentinel until it expires. To take it out too, say n, and first call
      misp2sentinel withdraw (docs/ledger.md#leaving-a-workspace)."
    fi
    [ ! -e "$CRON" ] || note_own_lines
    if [ -f "$PROGRAM/.installed" ]; then
        refuse_what_is_not_ours
        plan "remove the program and its Python packages, $PROGRAM" remove_program
    elif [ -d "$PROGRAM/.venv" ]; then
        plan "remove the Python packages, $PROGRAM/.venv" rm -r "$PROGRAM/.venv"
        note "$PROGRAM was not put there by this script, and stays."
    fi
    path=$(cron_files_with "$COMMAND" | tr '\n' ' ')
    [ -z "$path" ] || note "cron still calls it: take the line out of ${path% }."
}

remove_program() {
    if was_changed; then mkdir -p "$SETTINGS" && cp -p "$PROGRAM/constants.py" "$SETTINGS/constants.py.before"; fi
    rm -rf "$PROGRAM" "$PROGRAM.new" "$PROGRAM.replaced"
}

say_what_stays() {
    local stays=() path
    for path in "$SETTINGS" "$STATE"; do [ ! -e "$path" ] || stays+=("$path"); done
    [ "${#stays[@]}" -gt 0 ] || return 0
    echo "What stays: the settings with their secrets, and the ledger, which knows what is in Sentinel: ${stays[*]}"
    echo "What was sent stays in Sentinel until it expires."
    echo "To remove the rest too: rm -r ${stays[*]}"
}

# --- the end -----------------------------------------------------------------------------------------

say_when_it_runs() {
    case $schedule in
        cron) echo "Cron runs it ($CRON); misp2sentinel status says how it stands." ;;
        timer) echo "The timer runs it (systemctl list-timers); misp2sentinel status says how it stands." ;;
        none) echo "When it runs is left to you (--cron or --timer here); misp2sentinel status says how it stands." ;;
    esac
}

say_what_comes_next() {
    local code=0
    echo
    echo "MISP2Sentinel is installed in $PROGRAM. Now misp2sentinel check:"
    "$COMMAND" check </dev/null || code=$?
    echo
    if [ -n "$waits" ]; then
        echo "Complete the settings in $SETTINGS/config.py, and run this again: it has them checked, and run every night."
    elif [ "$code" -ne 0 ]; then
        echo "The settings are in $SETTINGS/config.py."
    elif [ -e "$STATE/ledger.sqlite" ]; then
        say_when_it_runs
    else
        echo "A dry run shows what a run would send; misp2sentinel with nothing behind it is the run."
        echo "Has another installation sent to this workspace before? Then first: misp2sentinel adopt --dry-run,"
        echo "which needs three more names in ms_auth (docs/coming-from-misp2sentinel.md)."
    fi
    return "$code"
}

parse() {
    yes="" dry="" settings="" user="" schedule="" uninstall=""
    while [ $# -gt 0 ]; do
        case $1 in
            --dry-run) dry=1 ;;
            --yes) yes=1 ;;
            --uninstall) uninstall=1 ;;
            --cron | --timer) schedule=${1#--} ;;
            --no-schedule) schedule=none ;;
            --settings | --user)
                [ $# -gt 1 ] || die "$1 needs a value; --help says more."
                printf -v "${1#--}" '%s' "$2"
                shift
                ;;
            -h | --help)
                usage
                exit 0
                ;;
            *) die "$1 is no option of this command; --help shows them." ;;
        esac
        shift
    done
}

look() {
    user=${user:-$(installed_user)}
    id -u -- "$user" >/dev/null 2>&1 || die "There is no user $user. Make it, and run this again:" \
        "  useradd --system --home-dir $STATE --no-create-home --shell /usr/sbin/nologin $user"
    [ "$(id -u -- "$user")" -ne 0 ] || die "root needs not run it: name a user without rights of its own with --user."
    user=$(id -un -- "$user") group=$(id -gn -- "$user")
    [[ $user$group =~ ^[[:alnum:]_.-]+$ ]] ||
        die "$user of the group $group: cron, systemd and logrotate cannot all read such a name. Take another user."
    asked=$schedule
    schedule=${schedule:-$(installed_schedule)}
    [ -z "$settings" ] || { [ -f "$settings" ] && [ -r "$settings" ]; } ||
        die "$settings cannot be read: name a config.py that is there."
    look_at_packages
    look_at_program
    look_at_environment
    look_at_settings
    look_at_proxy
    look_at_state
    look_at_command
    look_at_schedule
}

main() {
    parse "$@"
    [[ $settings != [!/]* ]] || settings=$PWD/$settings
    cd / # Python takes modules from the working directory first, and that may be anybody's
    if [ "$(id -u)" -ne 0 ] && { [ -z "$dry" ] || [ -e "$SETTINGS" ]; }; then die "This needs root: sudo$(printf ' %q' "$0" "$@")"; fi
    exec 9<"${PROGRAM%/*}"
    flock --nonblock 9 || die "Another one is at work already: wait for its end."
    local well="all is as it should be"
    if [ -n "$uninstall" ]; then
        well="nothing of it is here any more"
        look_at_removal
    else
        look
    fi
    if [ "${#words[@]}" -eq 0 ]; then
        show_plan "Nothing to do: $well."
    else
        show_plan "This will be done:"
        [ -z "$dry" ] || exit 0
        agreed || die "Nothing was done."
        [ -z "$uninstall" ] || refuse_while_it_runs
        carry_out
        [ -n "$uninstall" ] || say_what_comes_next
    fi
    [ -z "$uninstall" ] || say_what_stays
}

main "$@"
exit
