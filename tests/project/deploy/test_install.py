"""How it is installed on a host: when it runs, the command, and what puts them there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
HOST = ROOT / "deploy" / "host"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")


def test_cron_the_timers_and_kubernetes_run_at_the_same_time():
    cron = (HOST / "misp2sentinel.cron").read_text()
    minute, hour = re.findall(r"^(\d+) (\d+) \* \* \* ", cron, re.MULTILINE)[0]
    calendar = f"\nOnCalendar=*-*-* {int(hour):02}:{int(minute):02}:00\n"
    assert all(calendar in (HOST / name).read_text() for name in ("misp2sentinel.timer", "misp2sentinel@.timer"))
    manifests = [
        one for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml") for one in yaml.safe_load_all(path.read_text())
    ]
    schedules = {one["spec"]["schedule"] for one in manifests if one["kind"] == "CronJob"}
    assert schedules == {f"{minute} {hour} * * *"}


@pytest.fixture
def place():
    """A directory that everybody may enter, as pytest's own are not."""
    with TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def wrapper(place):
    """The command with its places in a directory, and a program that says how it was run."""
    says = 'id -un; printf "%s|" "$HOME" "$GREETING" "$MISP2SENTINEL_COMMAND" "$@"; echo; cat; '
    program = place / "program"
    (program / ".venv" / "bin").mkdir(parents=True)
    python = program / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\n{says}[ "$2" != wait ] || exec sleep 60\nexit 7\n')
    python.chmod(0o755)
    environment = place / "environment"
    environment.write_text("GREETING='good $day; to you'\n")
    shutil.chown(environment, group="www-data")
    environment.chmod(0o640)
    command = place / "misp2sentinel"
    text = (HOST / "misp2sentinel").read_text()
    for name, value in (("environment", environment), ("program", program)):
        text, count = re.subn(rf"^{name}=.*$", f"{name}={shlex.quote(str(value))}", text, flags=re.MULTILINE)
        assert count == 1
    command.write_text(text)
    command.chmod(0o755)
    return command


def lines_of(process):
    return process.stdout.splitlines()


@as_root
def test_root_becomes_the_user_and_nothing_is_lost_on_the_way(wrapper):
    words = [str(wrapper), "explain", "two words", "-"]
    done = subprocess.run(words, input="asked\n", capture_output=True, text=True, check=False, cwd="/root")
    user, told, asked = lines_of(done)
    script = str(wrapper.parent / "program" / "script.py")
    assert told.split("|")[:-1] == ["/var/www", "good $day; to you", "misp2sentinel", script, *words[1:]]
    assert (user, asked, done.returncode, done.stderr) == ("www-data", "asked", 7, "")


@as_root
def test_the_settings_are_written_by_root(wrapper):
    done = subprocess.run([str(wrapper), "init"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert lines_of(done)[0] == "root"


@as_root
def test_a_signal_reaches_the_program_itself(wrapper):
    process = subprocess.Popen([str(wrapper), "wait"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "www-data\n"
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == -signal.SIGTERM
    process.stdout.close()


@as_root
def test_another_user_is_told_who_may(wrapper):
    words = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", str(wrapper), "check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nobody may not read ") and "run this as root (sudo misp2sentinel)" in done.stderr


# --- deploy/install.sh -------------------------------------------------------------------------------

INSTALL = ROOT / "deploy" / "install.sh"
SCRIPTS = [INSTALL, HOST / "misp2sentinel", ROOT / "tests" / "project" / "deploy" / "bare_debian.sh"]
# A host in a mount namespace of its own: what is written to these stays in memory. apt-get, systemd and Python are
# stand-ins, so that nothing is fetched; bare_debian.sh tries it with the real ones.
A_HOST = r"""
mount -t tmpfs none /mnt && mkdir /mnt/new /mnt/work || exit 99
for place in etc opt usr var; do
    mkdir /mnt/new/$place /mnt/work/$place
    mount -t overlay overlay -o lowerdir=/$place,upperdir=/mnt/new/$place,workdir=/mnt/work/$place /$place || exit 99
done
mount -t tmpfs none /run && mkdir -p /run/systemd/system
rm -rf /opt/misp2sentinel* /etc/*/misp2sentinel* /etc/misp2sentinel /var/lib/misp2sentinel /usr/local/bin/misp2sentinel
stand_in() { rm -f "$1"; printf '#!/bin/sh\n%s\n' "$2" >"$1"; chmod 755 "$1"; }
for name in cron logrotate apt-get; do stand_in /usr/local/sbin/$name 'exit 0'; done
wants=/etc/systemd/system/timers.target.wants
rm -rf $wants; mkdir -p $wants
stand_in /usr/local/sbin/systemctl "case \$* in
    *enable*) ln -sf /dev/null $wants/misp2sentinel.timer ;;
    *disable*) rm $wants/misp2sentinel.timer ;;
esac"
stand_in /usr/bin/python3 '[ "$PWD" = / ] || echo "$PWD" >>/var/tmp/elsewhere
case $* in
    --version) echo Python 3.13.5 ;;
    *version_info\[*) echo 3 13 ;;
    -m\ venv*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *-m\ pip*) echo pip >>/var/tmp/pip ;;
    *check) echo Ready. ;;
    *status) ! grep -q "<tenant>" /etc/misp2sentinel/config.py || exit 2 ;;
esac'
echo 'misp_domain = "https://misp.example.org"' >/mnt/settings.py
rm -f /var/tmp/pip /var/tmp/elsewhere
"""
OURS = "/opt/misp2sentinel/script.py /etc/misp2sentinel /var/lib/misp2sentinel /usr/local/bin/misp2sentinel"
FILES = "/etc/cron.d/misp2sentinel /etc/logrotate.d/misp2sentinel /usr/local/share/man/man1/misp2sentinel.1"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script):
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck was not found")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert os.access(script, os.X_OK)


def test_called_by_sh_it_goes_on_in_bash():
    words = ["dash", str(INSTALL), "--dry-run", "--user", "nobody at all"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0].startswith("There is no user nobody at all.")) == (1, True)


def test_the_page_the_help_and_the_script_have_the_same_options():
    usage = subprocess.run([str(INSTALL), "--help"], capture_output=True, text=True, check=True).stdout
    described = re.findall(r"^  (--[a-z-]+)", usage, re.MULTILINE)
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    parsed = INSTALL.read_text(encoding="utf-8").partition("parse() {")[2].partition("esac")[0]
    taken = re.findall(r"--[a-z-]+(?=[ |)])", parsed)
    assert sorted(described) == sorted(re.findall(r"^\| `(--[a-z-]+)", page, re.MULTILINE))
    assert {*taken} - {"--help"} == {*described}


def on_a_host(script):
    """What a script with ``install`` shows, line by line, on a host where nothing is installed yet."""
    words = ["unshare", "--mount", "bash", "-c", f'{A_HOST}\ninstall() {{ {INSTALL} "$@"; }}\n{script}']
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip(f"no mount namespace: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@as_root
def test_it_installs_once_and_a_dry_run_changes_nothing():
    shown = on_a_host(f"""
install --dry-run --settings /mnt/settings.py | sed 's/^/plan: /'
ls -d {OURS} {FILES} 2>/dev/null | sed 's/^/too early: /'
install --yes --settings /mnt/settings.py | sed 's/^/done: /'
stat -c 'is: %n %U:%G %a' {OURS} {FILES} /etc/misp2sentinel/config.py /etc/misp2sentinel/environment
. /etc/misp2sentinel/environment; echo "state: $MISP2SENTINEL_STATE_DIR of $MISP2SENTINEL_CONFIG"
cmp /etc/cron.d/misp2sentinel {HOST}/misp2sentinel.cron
install; wc -l </var/tmp/pip; [ ! -e /var/tmp/elsewhere ]
""")
    plan, done = (re.findall(rf"^{word}   - (.*)", shown, re.MULTILINE) for word in ("plan:", "done:"))
    assert plan == done and len(plan) > 8
    assert "too early" not in shown and "\ndone: Ready.\n" in shown
    assert re.findall(r"^is: (\S+ \S+ \d+)$", shown, re.MULTILINE) == [
        "/opt/misp2sentinel/script.py root:root 644",
        "/etc/misp2sentinel root:www-data 750",
        "/var/lib/misp2sentinel www-data:www-data 700",
        "/usr/local/bin/misp2sentinel root:root 755",
        "/etc/cron.d/misp2sentinel root:root 644",
        "/etc/logrotate.d/misp2sentinel root:root 644",
        "/usr/local/share/man/man1/misp2sentinel.1 root:root 644",
        "/etc/misp2sentinel/config.py root:www-data 640",
        "/etc/misp2sentinel/environment root:www-data 640",
    ]
    assert "state: /var/lib/misp2sentinel of /etc/misp2sentinel/config.py" in shown
    assert shown.endswith("Nothing to do: all is as it should be.\n2\n")


@as_root
def test_nothing_runs_at_night_before_the_settings_are_complete():
    shown = on_a_host("""
install --yes >/mnt/said; tail -n 1 /mnt/said
ls /etc/cron.d/misp2sentinel 2>/dev/null
cp /mnt/settings.py /etc/misp2sentinel/config.py
install --yes >/mnt/said; ls /etc/cron.d/misp2sentinel; install
""")
    first, cron, then = shown.splitlines()
    assert "run this again" in first
    assert (cron, then) == ("/etc/cron.d/misp2sentinel", "Nothing to do: all is as it should be.")


@as_root
def test_the_end_names_adopt_until_there_is_a_ledger_and_then_what_runs_it():
    shown = on_a_host("""
install --yes --settings /mnt/settings.py | tail -n 2
touch /var/lib/misp2sentinel/ledger.sqlite
install --yes --no-schedule | tail -n 1
install --yes --cron | tail -n 1
""")
    adopt, names, neither, cron = shown.splitlines()
    assert "adopt --dry-run" in adopt and "three more names" in names
    assert "--cron" in neither and "/etc/cron.d/misp2sentinel" in cron


@as_root
def test_another_user_and_a_timer_are_kept_until_they_are_named_again():
    shown = on_a_host("""
install --yes --settings /mnt/settings.py --user daemon --timer >/dev/null; install
grep -ho 'daemon' /usr/local/bin/misp2sentinel /etc/systemd/system/misp2sentinel.service /etc/logrotate.d/misp2sentinel
stat -c %U:%G /var/lib/misp2sentinel; ls /etc/cron.d/misp2sentinel 2>/dev/null
install --yes --cron >/dev/null; ls /etc/cron.d/misp2sentinel $wants; grep -c daemon /etc/cron.d/misp2sentinel; install
""")
    nothing = "Nothing to do: all is as it should be."
    assert shown.split("\n") == [
        nothing, *["daemon"] * 5, "daemon:daemon", "/etc/cron.d/misp2sentinel", "",
        "/etc/systemd/system/timers.target.wants:", "1", nothing, "",
    ]  # fmt: skip


@as_root
def test_what_is_taken_away_leaves_settings_and_ledger():
    shown = on_a_host(f"""
install --yes --settings /mnt/settings.py | grep -c "misp2sentinel adopt"
touch /var/lib/misp2sentinel/ledger.sqlite
rm /etc/cron.d/misp2sentinel; install --yes | grep -c "misp2sentinel adopt" || true
install --uninstall --dry-run >/dev/null; ls -d {OURS} | wc -l
install --uninstall --yes | tail -n 1
ls -d /opt/misp2sentinel {FILES} /usr/local/bin/misp2sentinel 2>/dev/null
ls /etc/misp2sentinel /var/lib/misp2sentinel
install --uninstall | head -n 1
""")
    with_none, with_a_ledger, before, advice, *left, last = shown.splitlines()
    assert (with_none, with_a_ledger) == ("1", "0"), "whether adopt comes first"
    assert (before, advice) == ("4", "To remove the rest too: rm -r /etc/misp2sentinel /var/lib/misp2sentinel")
    assert left == [
        "/etc/misp2sentinel:", "config.py", "environment", "", "/var/lib/misp2sentinel:", "ledger.sqlite"
    ]  # fmt: skip
    assert last == "Nothing to do: nothing of it is here any more."


@as_root
def test_a_user_is_changed_in_what_the_site_has_written_too():
    shown = on_a_host("""
install --yes --settings /mnt/settings.py >/dev/null
printf '%s\\n' '*/5 * * * *  www-data /usr/local/bin/misp2sentinel' '1 2 * * * root misp2sentinel report /x' \\
    >/etc/cron.d/misp2sentinel
install --yes --user daemon >/dev/null; cat /etc/cron.d/misp2sentinel; grep -w su /etc/logrotate.d/misp2sentinel
install --yes --user 1 | tail -n 2 | head -n 1; install --uninstall --dry-run | tail -n 2
install --yes --user 0 2>&1 || true
""")
    cron, report, rotation, nothing, *lost, root = shown.splitlines()
    assert (cron, report) == (
        "*/5 * * * *  daemon /usr/local/bin/misp2sentinel",
        "1 2 * * * root misp2sentinel report /x",
    )
    assert lost == [cron, report]
    assert (rotation.split(), nothing) == (["su", "daemon", "daemon"], "Nothing to do: all is as it should be.")
    assert root.startswith("root needs not run it")


@as_root
def test_when_it_runs_is_kept_also_where_nothing_runs_it_or_the_settings_wait():
    shown = on_a_host("""
install --yes --timer >/dev/null; cp /mnt/settings.py /etc/misp2sentinel/config.py
install --yes >/dev/null; ls $wants; install
install --yes --no-schedule >/dev/null; install; ls /etc/cron.d/misp2sentinel $wants 2>/dev/null
echo '5 3 * * * root misp2sentinel >/dev/null 2>&1' >/etc/cron.d/site; rm /etc/misp2sentinel/no-schedule; install
HTTPS_PROXY=http://proxy.example.org install --dry-run --cron | grep Note
""")
    nothing = "Nothing to do: all is as it should be."
    *kept, proxy, twice = shown.splitlines()
    assert proxy.startswith("Note: HTTPS_PROXY is of this call alone")
    assert kept == [
        "misp2sentinel.timer", nothing, nothing, "/etc/systemd/system/timers.target.wants:", nothing
    ]  # fmt: skip
    assert twice.startswith("Note: cron runs it from /etc/cron.d/site too.")


@as_root
def test_only_the_program_is_copied_and_only_that_is_replaced_or_removed():
    shown = on_a_host(
        """
exec 2>&1
mkdir /opt/misp2sentinel.old.1; install --yes --settings /mnt/settings.py >/dev/null
ls -A /opt/misp2sentinel | grep -v '^[.]' | paste -sd ' '; stat -c %a /opt/misp2sentinel/config.py
echo >>/opt/misp2sentinel/script.py; mkdir /opt/misp2sentinel/state; touch /opt/misp2sentinel/state/ledger.sqlite
install --yes; install --uninstall --yes; rm /opt/misp2sentinel/state/ledger.sqlite
install --yes >/dev/null; cmp /opt/misp2sentinel/script.py $HERE/script.py; ls -d /opt/misp2sentinel*
chown daemon /opt/misp2sentinel/.venv; chmod o+w /opt/misp2sentinel/helpers; install --dry-run | grep -c only.root,.venv
""".replace("$HERE", str(ROOT)).replace("only.root,.venv", "'only root\\|[.]venv'")
    )
    copied, mode, *refused, program, backup, repairs = shown.splitlines()
    assert copied.split() == [
        *("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "config.py", "constants.py", "deploy", "docs"),
        *("helpers", "requirements-keyvault.txt", "requirements-notify.txt", "requirements.txt", "script.py"),
    ]
    assert mode == "600"
    assert refused[:3] == refused[3:] and refused[1] == "./state/ledger.sqlite"
    assert (program, backup, repairs) == ("/opt/misp2sentinel", "/opt/misp2sentinel.old.1", "2")


@as_root
def test_root_runs_nothing_that_anybody_may_change():
    shown = on_a_host(f"""
mkdir "/mnt/a clone"; cp -r {ROOT}/[CLRS]*.md {ROOT}/LICENSE {ROOT}/docs {ROOT}/*.txt {ROOT}/*.py "/mnt/a clone"
cp -r {ROOT}/deploy {ROOT}/helpers "/mnt/a clone"; "/mnt/a clone/deploy/install.sh" --dry-run 2>&1 | head -n 1
chmod o+w "/mnt/a clone/helpers/errors.py"; "/mnt/a clone/deploy/install.sh" --yes 2>&1 || true
ls -d /opt/misp2sentinel 2>/dev/null || true
""")
    assert shown.startswith(
        "This will be done:\nAnybody on this host may change helpers/errors.py, and root would run it."
    )


@as_root
def test_what_is_anothers_is_not_touched_and_what_to_do_is_said():
    shown = on_a_host("""
exec 2>&1
mkdir /opt/misp2sentinel; install --yes; rmdir /opt/misp2sentinel
stand_in /usr/local/bin/misp2sentinel 'exit 0'; install --yes; rm /usr/local/bin/misp2sentinel
install --yes --user root; install --yes --user nobody-of-that-name; install --yes --settings /nowhere; install
stand_in /usr/bin/python3 '[ "$1" != --version ] || { echo Python 3.9.2; exit; }; exit 1'
mv /usr/bin/python3.1[1-9] /mnt; install --yes; [ ! -e /opt/misp2sentinel ]
""")
    for words in (
        "mv /opt/misp2sentinel /opt/misp2sentinel.old",
        "/usr/local/bin/misp2sentinel is there already, and is another command",
        "name a user without rights of its own with --user",
        "useradd --system",
        "/nowhere cannot be read",
        "--yes does it without asking",
        "Python 3.9.2 is too old: 3.11 or newer is needed",
    ):
        assert words in shown
