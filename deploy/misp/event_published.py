"""What MISP's workflow module runs with an event's UUID: misp2sentinel, as the user whose settings it reads."""

from __future__ import annotations

import os
import pwd
import sys

COMMAND = "/usr/local/bin/misp2sentinel"
USER = "www-data"


def words(event: str, *, other_user: bool) -> list[str]:
    """Return what is run for an event, by its UUID; another user than that of the runs asks sudo for it."""
    command = [COMMAND, "--uuid", event]
    return ["sudo", "--non-interactive", f"--user={USER}", *command] if other_user else command


def main() -> None:
    """Become the command, so that its output and its exit code are this process's."""
    if len(sys.argv) != 2:
        raise SystemExit(f"usage: {sys.argv[0]} EVENT, as MISP's module export_sentinel calls it")
    command = words(sys.argv[1], other_user=os.geteuid() not in (0, pwd.getpwnam(USER).pw_uid))
    os.execvp(command[0], command)  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main()
