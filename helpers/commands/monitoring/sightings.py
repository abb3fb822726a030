"""How alerts were last read, and where their sightings stand, in words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers.commands.monitoring.moments import Watch
from helpers.text import counted

if TYPE_CHECKING:
    from helpers.commands.explain.ledger_view import Json

# Of a reading: what is said of each count; of what is none nothing is said.
_ENDS = {"written": "written", "there": "there already", "refused": "refused"}
_UNWRITTEN = {"waiting": "waiting to be written into MISP", "writing": "in doubt: MISP gave no answer"}
# What is said of each state of a sighting.
STATES = {
    **_UNWRITTEN,
    "written": "written into MISP",
    "there": "in MISP already",
    "refused": "refused by MISP",
    "left_out": "left out, for their TLP or a warninglist",
}


def until(known: Json, watch: Watch) -> str:
    """Say until when alerts were read, of which later readings miss nothing."""
    return f"alerts read until {watch.told(known['read_until'])}" if known["read_until"] else "no alerts read yet"


def counts_of(reading: Json) -> str:
    """Say how many alerts a reading found, and what became of what they matched; "" where it read none."""
    if not (reading.get("since") or reading["alerts"]):
        return ""
    matches = reading["matches"]
    said = [counted(reading["alerts"], "alert", "alerts")]
    said.append(counted(matches, "match", "matches") if matches else "no new match")
    said += [f"{reading[name]:,} {words}" for name, words in _ENDS.items() if reading[name]]
    left_out = sum(reading["left_out"].values())
    return ", ".join([*said, f"{left_out:,} left out"] if left_out else said)


def in_all(known: Json) -> str:
    """Say how many sightings MISP has and has refused, of those that are remembered; "" where there is none."""
    states = known["states"]
    in_misp, refused = states["written"] + states["there"], states["refused"]
    said = [counted(in_misp, "sighting", "sightings") + " in MISP"] if in_misp else []
    said += [f"{refused:,} refused"] if refused else []
    return f"of the last 90 days: {', '.join(said)}" if said else ""


def unwritten(known: Json) -> str:
    """Say how many sightings MISP has not, or perhaps; "" where there is none."""
    states = known["states"]
    return ", ".join(f"{states[state]:,} {words}" for state, words in _UNWRITTEN.items() if states[state])
