"""What a run needs, tried step by step: the settings, this machine, MISP, and each destination."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from constants import VERSION
from helpers.commands.check import sightings
from helpers.commands.check.context import WITHOUT_GALAXIES, needs_galaxies, what_is_sent
from helpers.commands.check.holdings import holdings_of
from helpers.commands.check.result import Result, State, conclusion
from helpers.commands.screen import Say
from helpers.commands.share import key_owner
from helpers.errors import MispError, MispMoved, MispRefused, RunActive, SettingsError, SyncError
from helpers.microsoft import (
    Api,
    BatchSender,
    Clock,
    ManagementApi,
    MicrosoftClient,
    RateLimiters,
    api_for,
    is_named,
    key_vault,
    taken_apart,
)
from helpers.misp import NOTHING_FOUND, MispReader, decaying_models
from helpers.process import log
from helpers.settings import Settings, credentials, cross_checks, filter_names, written
from helpers.stories import MispWriter
from helpers.sync import make_state_dir, named, not_matched, not_to_be_matched, opened, to_type
from helpers.text import counted, listed

Step = Callable[[], str]

_MORE_THAN_READING = ("perm_add", "perm_modify", "perm_publish", "perm_admin")
_VAULT, _LOGIN, _ROLE, _FILTERS = "Key Vault", "MISP login", "MISP role", "MISP filters"
_MODELS, _GALAXIES, _STORIES = "MISP decaying models", "MISP galaxies", "MISP stories"
_TOKEN, _UPLOAD, _RULES = "Microsoft token", "Microsoft upload", "Sentinel's rules"
# Galaxies are asked about a cluster that there is not: the answer is as small as can be.
_NO_CLUSTER = "00000000-0000-4000-8000-000000000000"


def main(settings: Settings, arguments: Namespace, say: Say) -> int:
    """Try everything that a run needs and return the exit code."""
    return Preflight(settings, say, verbose=arguments.verbose).run(arguments.workspace)


@dataclass
class Preflight:
    """Runs the steps in order and shows a line for each; one side's failure does not stop the other.

    A line is shown as soon as it is known, so the verdict comes last: a MISP that does not answer takes its time.
    """

    settings: Settings
    say: Say
    verbose: bool = False
    worst: int = 0
    results: list[Result] = field(default_factory=list)
    to_adopt: Settings | None = None
    _width: int = 0

    def run(self, workspace: str = "") -> int:
        """Return the exit code: 0, or that of the first part that failed (settings, MISP, Microsoft).

        ``workspace`` keeps to one of several destinations. Raises SettingsError when there is none of that name.
        """
        destinations = self.settings.destinations(workspace)
        self._width = max(map(len, ["settings", _VAULT, *self._names_of_all(destinations)]))
        self._this_machine()
        self._tell(State.OK, "context", what_is_sent(destinations), {"context"})
        if self.settings.vault_secrets and not self._step(_VAULT, self._vault, {"key_vault_name"}):
            self._not_tried(self._names_of_all(destinations), "the key vault gave no secrets")
        else:
            self._misp(workspace)
            self._stories()
            self._sightings()
            for destination in self.settings.destinations(workspace):
                self._destination(destination)
        if not self.worst:
            self._rules(self.settings.destinations(workspace))
        chosen = ["--workspace", workspace] if workspace else []
        following, again = (to_type(self.settings, *words, *chosen) for words in (["--dry-run"], ["check"]))
        if self.to_adopt:
            following = to_type(self.settings, "adopt", *named(self.to_adopt), "--dry-run")
        self.say(conclusion(self.results, self.worst, following, again))
        return self.worst

    def _this_machine(self) -> None:
        state = State.WARN if self.settings.warnings else State.OK
        self._tell(state, "settings", _validity(self.settings))
        for name, warning in cross_checks.distrusted_places(self.settings):
            self._tell(State.WARN, name, warning)
        places = {"state_dir", "state_url"} if self.settings.state_url else {"state_dir"}
        self._step("state", lambda: _state(self.settings), places)

    def _misp(self, workspace: str) -> None:
        reader = MispReader(self.settings)
        if not self._step(_LOGIN, lambda: _login(reader), {"misp_domain", "misp_key"}):
            self._not_tried(self._names_behind_login(), "the login failed")
            return
        self._step(_ROLE, lambda: _role(reader), {"misp_key"})
        self._step(_FILTERS, lambda: self._filters(reader), {"misp_event_filters"})
        self._tags(reader)
        if decaying_models.any_in_filters(self.settings):
            self._step(_MODELS, lambda: self._models(reader, workspace), {"filters"})
        if self._needs_galaxies:
            self._galaxies(reader)

    def _stories(self) -> None:
        if self.settings.misp_stories.configured:
            address = "misp_stories.url" if self.settings.misp_stories.url else "misp_domain"
            of_stories = {address, "misp_stories.api_key", "misp_stories.organisation_id"}
            self._step(_STORIES, lambda: _stories(self.settings), of_stories)

    def _sightings(self) -> None:
        if self.settings.misp_sightings.configured:
            self._step(sightings.TO_MISP, lambda: sightings.may_add(self.settings), {"misp_sightings.api_key"})

    def _destination(self, settings: Settings) -> None:
        """Try the token and the upload of one destination."""
        one_of_several = {"ms_tenants"} if settings.name else set()
        to_sign_in = one_of_several or credentials.settings_of(settings.ms_auth)
        api, client = api_for(settings), MicrosoftClient(settings, Clock())
        token, upload, *alerts = _names_of(settings)
        if not self._step(token, lambda: _token(client, settings), to_sign_in):
            self._not_tried([upload, *alerts], "there is no token")
            return
        for name in alerts:
            self._step(name, lambda: sightings.may_read(settings), {"misp_sightings.endpoint"})
        sender = BatchSender(api, client, RateLimiters(Clock()))
        if self._step(upload, lambda: _upload(sender, api), one_of_several or {api.address_setting}):
            self._adoption(settings, ManagementApi(settings, Clock(), client))

    def _adoption(self, settings: Settings, workspace: ManagementApi) -> None:
        """Say so where Sentinel holds what an empty ledger does not know: adopt comes before the first run then."""
        name = " ".join(filter(None, ["ledger", settings.name]))
        try:
            there = workspace.count() if _may_adopt(settings) else 0
        except SyncError as error:
            words = " ".join(str(error).splitlines())
            self._tell(State.WARN, name, f"empty, and what Sentinel holds is not known: {words}")
            return
        if there:
            held = f"{counted(there, 'indicator', 'indicators')} of {settings.sourcesystem}"
            self._tell(State.WARN, name, f"empty, while Sentinel holds {held}: adopt takes them over, before a run")
            self.to_adopt = self.to_adopt or settings

    def _rules(self, destinations: Sequence[Settings]) -> None:
        """Say what Microsoft's rules do not match: of what is live, or else of what may come. It is no fault."""
        held = None
        with suppress(SyncError):  # the ledger's line has said what is wrong with it
            held = holdings_of(self.settings, destinations, int(time.time()))
        where = f" at {len(destinations):,} destinations" if len(destinations) > 1 else ""
        said = not_matched(self.settings, held.sorts, where, more_urls=held.more_urls) if held else None
        for words in said or not_to_be_matched(self.settings):
            self._tell(State.NOTE, _RULES, words, {"default_confidence", "lowercase_url_twins"})

    # -- what is said ---------------------------------------------------------------------------------

    def _names_behind_login(self) -> Iterator[str]:
        yield from (_ROLE, _FILTERS)
        if decaying_models.any_in_filters(self.settings):
            yield _MODELS
        if self._needs_galaxies:
            yield _GALAXIES

    @property
    def _needs_galaxies(self) -> bool:
        return any(map(needs_galaxies, self.settings.destinations()))

    def _names_of_all(self, destinations: Iterable[Settings]) -> list[str]:
        stories = [_STORIES] if self.settings.misp_stories.configured else []
        microsoft = [name for destination in destinations for name in _names_of(destination)]
        sighted = [sightings.TO_MISP] if self.settings.misp_sightings.configured else []
        return [_LOGIN, *self._names_behind_login(), *stories, *sighted, *microsoft]

    def _step(self, name: str, step: Step, settings: set[str]) -> bool:
        try:
            self._tell(State.OK, name, step(), settings)
        except SyncError as error:
            self.worst = self.worst or error.exit_code
            problems = error.problems if isinstance(error, SettingsError) else (str(error),)
            for problem in problems:
                self._tell(State.FAIL, name, " ".join(problem.splitlines()), settings)
            return False
        return True

    def _not_tried(self, names: Iterable[str], why: str) -> None:
        for name in names:
            self._tell(State.NOT_TRIED, name, f"not tried, since {why}")

    def _tell(self, state: State, name: str, words: str, settings: Iterable[str] = ()) -> None:
        origins = {written(key): self.settings.source_of(key) for key in sorted(settings)}
        failure = taken_apart(words)
        self.results.append(Result(state, name, failure.sentence, origins, failure.particulars))
        for line in self.results[-1].lines(self._width, verbose=self.verbose):
            self.say(line)

    # -- the steps ------------------------------------------------------------------------------------

    def _vault(self) -> str:
        """Read the secrets that the other steps need."""
        names = " and ".join(self.settings.vault_secrets.values())
        self.settings = key_vault.with_secrets(self.settings)
        return f"{key_vault.address(self.settings)} gives {names}"

    def _filters(self, reader: MispReader) -> str:
        """A name that MISP does not know is no filter: it would send what it was to leave out."""
        odd = filter_names.odd_filters(self.settings.misp_event_filters, self.settings.source_of("misp_event_filters"))
        if odd:
            raise SettingsError(odd)
        event = reader.first_listed(self.settings.misp_event_filters)
        if event is None:
            raise SettingsError([NOTHING_FOUND])
        return f"find events, such as {event.uuid}"

    def _tags(self, reader: MispReader) -> None:
        """Warn of tags in the filters that MISP does not have; they may come with the next event."""
        try:
            warnings = _absent_tags(reader, filter_names.tags_in(self.settings.misp_event_filters))
        except MispError as error:
            warnings = [f"MISP does not say which tags it has: {error}"]
        for warning in warnings:
            self._tell(State.WARN, "MISP tags", warning, {"misp_event_filters"})

    def _galaxies(self, reader: MispReader) -> None:
        """Warn where MISP does not say what tags of actors and techniques name: all else goes on without."""
        try:
            reader.cluster_versions([_NO_CLUSTER])
        except MispError as error:
            self._tell(State.WARN, _GALAXIES, WITHOUT_GALAXIES.format(str(error).rstrip(".")), {"misp_key"})
        else:
            self._tell(State.OK, _GALAXIES, "say which actors and techniques tags name")

    def _models(self, reader: MispReader, workspace: str) -> str:
        """A decaying model that is not there scores nothing, and what is not scored is sent."""
        models = reader.models()
        destinations = self.settings.destinations(workspace)
        absent = [problem for place in destinations for problem in decaying_models.absent(place, models)]
        if absent:
            raise SettingsError(dict.fromkeys(absent))  # destinations may share their filters
        return "MISP has those that filters name"


def _names_of(destination: Settings) -> tuple[str, ...]:
    """Return what the steps of a destination are called: token, upload and, where there are sightings, alerts."""
    name = f" {destination.name}" if destination.name else ""
    alerts = (sightings.name_of_alerts(destination),) if destination.misp_sightings.configured else ()
    return (f"{_TOKEN}{name}", f"{_UPLOAD}{name}", *alerts)


def _validity(settings: Settings) -> str:
    """Say that no setting stops a run, and whether stderr has something to say of them nevertheless."""
    whose = f"{settings.config}, MISP2Sentinel {VERSION}"
    count = len(settings.warnings)
    if not count:
        return whose
    return f"{whose}: nothing stops a run; stderr has {count} warning{'s' if count > 1 else ''} about them"


def _absent_tags(reader: MispReader, tags: list[str]) -> list[str]:
    """Ask for all plain names at once, and for each with a wildcard for one event: there may be thousands of tags."""
    plain = [tag for tag in tags if not filter_names.has_wildcard(tag)]
    known = reader.tags(plain) if plain else []
    known += [tag for tag in tags if tag not in plain and reader.first_listed({"tags": [tag]})]
    return [words for tag in tags if (words := filter_names.absent_tag(tag, known))]


def _login(reader: MispReader) -> str:
    address = reader.settings.misp_domain
    try:
        return f"{address}, MISP {reader.version()}"
    except MispMoved:  # it names the address
        raise
    except MispError as error:
        raise MispError(f"{address}: {error}") from error


def _role(reader: MispReader) -> str:
    role = reader.role()
    if not role.get("perm_auth", True):
        raise MispError(f"the role {role.get('name')} may not use the API: give the user a role with perm_auth.")
    more = [name for name in _MORE_THAN_READING if role.get(name)]
    if more:
        return f"{role.get('name')}; a read-only key is enough, this one also has {', '.join(more)}"
    return f"{role.get('name')}, which is enough"


# What a role needs so that stories can be shared, and what does not work without.
_FOR_STORIES = {
    "perm_add": "no event can be added",
    "perm_modify": "no event can be updated",
    "perm_modify_org": "events that somebody else of the organisation added cannot be updated",
    "perm_publish": "events are not published",
    "perm_tagger": "tags are not attached",
    "perm_tag_editor": "tags that MISP does not know are not made",
}


def _stories(settings: Settings) -> str:
    """Say whether stories can be shared, and which permissions the role lacks."""
    writer = MispWriter(settings)
    owner = key_owner(writer, settings)
    lacking = [f"{name} ({words})" for name, words in _FOR_STORIES.items() if not owner.may(name)]
    if not owner.may("perm_add") or not owner.may("perm_modify"):
        raise MispRefused(f"the role {owner.role.get('name')} lacks {', '.join(lacking)}: give the user another role.")
    group = settings.misp_stories.sharing_group_id
    if group and str(group) not in writer.sharing_groups():
        origin = settings.source_of("misp_stories.sharing_group_id")
        raise SettingsError(
            [f"misp_stories.sharing_group_id ({origin}) is {group}, which the key's user does not see."]
        )
    lacks = f"; the role {owner.role.get('name')} lacks {', '.join(lacking)}" if lacking else ""
    return f"the key is of organisation {owner.organisation_id} ({owner.organisation}), ours{lacks}"


def _may_adopt(settings: Settings) -> bool:
    """Say whether there is a ledger, still empty, and the names to ask Sentinel with."""
    if not settings.keeps_ledger or api_for(settings).why_no_adoption or not is_named(settings):
        return False
    with opened(settings.model_copy(update={"dry_run": True})) as ledger:
        return ledger.empty


def _token(client: MicrosoftClient, settings: Settings) -> str:
    client.get_token()
    return f"{credentials.describe(settings.ms_auth)}, {settings.ms_auth.scope}"


def _upload(sender: BatchSender, api: Api) -> str:
    sender.probe()
    return api.probed


def _state(settings: Settings) -> str:
    """Open what a run opens: the log, the lock, the ledger."""
    make_state_dir(settings)
    log.try_out(settings.log_path)
    try:
        with (
            opened(settings.model_copy(update={"dry_run": True})) as ledger,
            ledger.hold_lock(settings.state_path),
        ):
            return _places(settings)
    except RunActive:
        return f"a run is active in {settings.state_path} right now"


def _places(settings: Settings) -> str:
    """Say where log, lock and ledger are; log_file may name a place apart, such as /tmp."""
    where, path = settings.state_path, settings.log_path
    log_is_there, ledger_is_there = path.is_relative_to(where), not settings.state_url
    names = [name for name, there in (("log", log_is_there), ("lock", True), ("ledger", ledger_is_there)) if there]
    elsewhere = "" if log_is_there else f", log {path}"
    if settings.state_url and settings.keeps_ledger:
        elsewhere += ", the ledger that state_url names"
    return f"{listed(names)} in {where}{elsewhere}"
