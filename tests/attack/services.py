"""Microsoft, MISP and the token service answer oddly in one run, and well in the next."""

from __future__ import annotations

import resource
from contextlib import ExitStack

from helpers.sync.destination import RunOptions
from sandbox.azure.app import AzureState
from sandbox.misp.app import MispState
from tests.attack.answers import COMMON, ENDLESS, OddSandbox, redirects, said
from tests.attack.outcome import LATE, LOST, TAKEN
from tests.attack.site import ANSWER, FILTERS, START, Watch, flagged, hurried
from tests.support import FakeTime, hosts, misp_event
from tests.support.tls_site import TlsSite

EVENTS, ATTRIBUTES, PAGE = 6, 5, 5000
# What leaves within a day is summed up against mistakes: the edits here are to be none.
BETWEEN = 13 * 3600
SHORT = {"MISP_TIMEOUT": "5", "MISP_ANSWER_MINUTES": str(ANSWER / 60), "MISP_ANSWER_MIB": "32"}
SECONDS = 40
# No single wait is longer: MISP's own limit on asking lasts a quarter of an hour.
LONGEST_WAIT = 3600
# What a small machine has, and more than any answer may need.
MEMORY = 3 * 2**30
INDEXES = [10**30, -1, "0", "x", None, True, 1.5, [], {}]
UPLOAD = [
    *(said(f"index {odd!r}", {"errors": [{"recordIndex": odd, "errorMessages": ["x"]}]}) for odd in INDEXES),
    said("errors of all kinds", {"errors": [None, 1, "x", [], {}, {"recordIndex": 0}, {"errorMessages": {}}]}),
    said("errors of all kinds with 400", {"errors": [None, 1, "x", [], {}, {"errorMessages": {}}]}, "400 Bad"),
    said("errors that are none", {"errors": "x"}, "400 Bad"),
]
TOKEN_VALUES = [None, "", 5, [], {}, True, "a\r\nX-Forged: b", "\u202e", "x" * 100_000]
LIFETIMES = [None, "soon", -1, 0, 10**30, 1.5, [], {}, "1e400", True, ""]
GOOD_TOKEN = {"token_type": "Bearer", "expires_in": 3600, "access_token": "x"}
TOKEN = [
    *(said(f"token {str(odd)[:20]!r}", GOOD_TOKEN | {"access_token": odd}) for odd in TOKEN_VALUES),
    *(said(f"lifetime {odd!r}", GOOD_TOKEN | {"expires_in": odd}) for odd in LIFETIMES),
    said("lifetime of infinity", '{"access_token": "x", "token_type": "Bearer", "expires_in": 1e999}'),
    said("refresh", GOOD_TOKEN | {"refresh_in": "x", "ext_expires_in": 10**40}),
    said("error of numbers", {"error": 5, "error_description": [], "error_codes": "x"}, "400 Bad"),
    said("endpoint elsewhere", {"token_endpoint": "https://127.0.0.1/", "issuer": 5, "authorization_endpoint": []}),
]
SEARCHES = [
    said("events twice", {"response": [{"Event": {"uuid": "x", "id": "1"}}] * 3}),
    said("events without", {"response": [{"Event": {}}, {}, {"Event": {"uuid": None}}]}),
    said("attributes", {"response": {"Attribute": [None, {"uuid": 5}, {"Event": 5}]}}),
    said("user", {"User": [], "Role": 5, "Organisation": "x"}),
    said("version", {"version": [], "uuid": {}, "perm_sync": "x"}),
    said("full page", {"response": {"Attribute": [{"id": str(n), "uuid": "x", "Event": {}} for n in range(PAGE)]}}),
]
PATHS = [
    "restSearch",
    "/events/restSearch",
    "/attributes/restSearch",
    "/events/index",
    "/users/view/me",
    "/servers/getVersion",
    "describeTypes",
    "/",
]


def microsoft(outcome, chance, size, place):
    """Odd answers to uploads."""
    _attack(outcome, chance, size, place, "azure_server", UPLOAD, [":upload"])


def token(outcome, chance, size, place):
    """Odd answers of the token service and of its discovery."""
    _attack(outcome, chance, size, place, "azure_server", TOKEN, ["/token", "/token", "openid-configuration"])


def misp(outcome, chance, size, place):
    """Odd answers of MISP."""
    _attack(outcome, chance, size, place, "misp_server", SEARCHES, PATHS)


def _attack(outcome, chance, size, place, server, own, paths):
    """Try so many odd answers, one after the other."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    time = FakeTime(START)
    with ExitStack() as stack:
        stack.enter_context(hurried())
        box = stack.enter_context(OddSandbox(AzureState(clock=time.now), MispState(clock=time.now)))
        trial = Trial(outcome, box, TlsSite(box, time, place), getattr(box, server))
        trial.prepare()
        for answer in _chosen(chance, [*own, *redirects(box.azure_url.replace("localhost", "127.0.0.1"))], size):
            trial.answered(answer, chance, chance.choice(paths))


def _chosen(chance, own, size):
    """So many answers: a service's own and redirects, and of those that any service may give what there is room for."""
    if size < len(own):
        return chance.sample([*own, *COMMON], size)
    answers = [*own, *chance.sample(COMMON, min(len(COMMON), size - len(own)))]
    chance.shuffle(answers)
    return answers


class Trial:
    """A site, and the service of it that answers oddly."""

    def __init__(self, outcome, box, site, server):
        self.outcome, self.box, self.site, self.server = outcome, box, site, server
        self.watch = Watch()
        self.edits = 0

    def prepare(self):
        """Let everything be as it should."""
        self.box.misp.load(misp_event(n, hosts(ATTRIBUTES, f"e{n}h")) for n in range(1, EVENTS + 1))
        # MISP's counter may be wrong: this event is read by pages of its attributes.
        self.box.misp.event(misp_event(1)["uuid"])["attribute_count"] = str(PAGE)
        self._run("before")

    def answered(self, odd, chance, path):
        """Edit, run against the odd answer, and run again against good ones."""
        before = flagged(self.box.misp.events())
        self._edit(chance)
        after = flagged(self.box.misp.events())
        what = f"{odd.name} for {path}"
        self._order(odd, chance, path)
        self._run(what, full=chance.randrange(2) == 0)
        self.server.odd = None
        self._compare(f"{what}, at once", before & after, before | after)
        self._noticed(what)
        # What was refused, in earnest or not, is asked again only when somebody says so.
        if self._run(f"{what}, then well", retry_rejected=True) != 0:
            self.outcome.note(LOST, f"{what}: the next run did not end well")
        self._compare(f"{what}, then well", after, frozenset())

    def _order(self, odd, chance, path):
        """Let the odd answer come once or always, from one of the first such requests on."""
        skip, times = chance.choice([0, 0, 1]), chance.choice([1, 3, 1000])
        seen = []

        def pick(asked):
            if path not in asked:
                return None
            seen.append(asked)
            return odd if skip < len(seen) <= skip + times else None

        self.server.odd, self.server.processed = pick, chance.randrange(2) == 0

    def _run(self, what, **options):
        begun = self.site.time.seconds
        self.site.time.slept.clear()
        code = self.outcome.attempt(
            what, lambda: self.site.run(RunOptions(**options), **FILTERS, **SHORT).exit_code, SECONDS
        )
        longest = max(self.site.time.slept, default=0)
        if longest > LONGEST_WAIT:
            self.outcome.note(LATE, f"{what}: a wait of {longest:.0f} s")
        self.site.time.seconds = begun + BETWEEN
        return code

    def _compare(self, what, wanted, allowed):
        live = self.site.azure.live()
        self.watch.compare(self.outcome, what, live, self.site.azure.objects(), wanted, allowed)

    def _noticed(self, what):
        """Count what followed a redirect to another host, and what never stopped reading."""
        for request in self.box.azure_server.trapped:
            self.outcome.note(TAKEN, f"{what}: {request} went elsewhere")
        self.box.azure_server.trapped.clear()
        for _ in self.server.swallowed:
            self.outcome.note(LATE, f"{what}: all {ENDLESS} MiB were read")
        self.server.swallowed.clear()

    def _edit(self, chance):
        """Change one attribute and take one back, or let it return."""
        self.edits += 1
        event = self.box.misp.event(misp_event(chance.randint(1, EVENTS))["uuid"])
        changed, flipped = chance.sample(event["Attribute"], 2)
        self.box.misp.edit_attribute(event["uuid"], changed["uuid"], value=f"edit{self.edits}.example.org")
        self.box.misp.edit_attribute(event["uuid"], flipped["uuid"], to_ids=not flipped["to_ids"])
        self.box.misp.publish(event["uuid"])
