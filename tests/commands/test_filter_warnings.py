"""What check and a run say of filters that would not do what they were written for, and of a key from elsewhere."""

import json
import re

import pytest

from helpers.errors import MispRefused
from helpers.misp import decaying_models
from helpers.misp.decaying_models import Model
from helpers.misp.pymisp_errors import declined
from helpers.settings.sections import Tenant
from sandbox.faults import Fault
from sandbox.serve import Sandbox
from tests.misp.test_reader import reader_for
from tests.support import misp_event
from tests.sync.test_run import Site, load

EVENT = misp_event(1)["uuid"]
DECAYING = '{{"exclude_decayed": true, "decaying_models": {}}}'
OWN = {"first": {}, "second": {"exclude_decayed": True, "decaying_models": ["own", "here"]}}


@pytest.fixture
def site(tmp_path):
    with Sandbox() as box:
        yield Site(box, tmp_path)


def test_a_filter_that_misp_ignores_is_reported_with_what_was_meant(site):
    load(site)
    site.config.write_text(
        "misp_event_filters = {'published': 1, 'Tags': ['a'], 'threatlevel': 1, 'includeEventTags': 1}"
    )
    stderr = site.script().stderr
    assert stderr.count("which MISP ignores and so finds every event") == 2
    assert "write 'tags'" in stderr and "write 'threat_level_id'" in stderr
    assert site.script("check").returncode == 2


def test_check_warns_of_tags_that_misp_does_not_have(site):
    load(site)
    site.box.misp.tags = {"no-siem"}
    site.box.misp.tag_event(EVENT, "tlp:white")
    site.box.misp.publish(EVENT)
    tags = "['tlp:white', '!TLP:WHITE', '!no-siem', 'tlp:%', '!TLP:%', '!absent']"
    site.config.write_text(f"misp_event_filters = {{'published': 1, 'tags': {tags}}}")
    done = site.script("check")
    warned = [line for line in done.stdout.splitlines() if line.startswith("warn MISP tags: ")]
    assert done.returncode == 0
    assert [re.findall("the tag '(.*?)'", line)[0] for line in warned] == ["TLP:WHITE", "TLP:%", "absent"]
    assert "write 'tlp:white'" in warned[0]
    assert [path for _, path, _ in site.box.misp.requests].count("/tags/search") == 1
    site.box.misp.faults.add(Fault("/tags/search", "status", status=404, times=None))
    assert "warn MISP tags: MISP does not say which tags it has" in site.script("check").stdout


def test_a_decaying_model_that_misp_does_not_have_fails_check_and_warns_a_run(site):
    load(site)
    site.box.misp.decaying_models = {"NIDS Simple Decaying Model": True, "Old model": False}
    environ = {"MISP2SENTINEL_FILTERS": DECAYING.format('["nids*", "NIDS", "old model"]')}
    checked = site.script("check", **environ)
    assert checked.returncode == 2
    lines = [line for line in checked.stdout.splitlines() if "FAIL MISP decaying models" in line]
    assert len(lines) == 2
    assert (
        "'NIDS', which MISP does not have, or not for this key: MISP scores by 'NIDS Simple Decaying Model'" in lines[0]
    )
    done = site.script("--json", **environ)
    warnings = json.loads(done.stdout)["warnings"]
    assert done.returncode == 0 and len(warnings) == 2
    assert all(f"warning: {warning}" in done.stderr for warning in warnings)
    assert "'old model', which is switched off in MISP" in warnings[1]


def test_decaying_models_that_misp_has_are_not_reported(site):
    load(site)
    site.box.misp.decaying_models = {"NIDS Simple Decaying Model": True}
    environ = {"MISP2SENTINEL_FILTERS": DECAYING.format('["NIDS simple*", 1]')}
    checked = site.script("check", **environ)
    assert checked.returncode == 0 and "ok   MISP decaying models" in checked.stdout
    done = site.script("--json", **environ)
    assert json.loads(done.stdout)["warnings"] == [] and done.stderr == ""
    site.box.misp.faults.add(Fault("/decayingModel/index", "status", status=404, times=None))
    assert site.script(**environ).returncode == 0


def test_each_destination_s_own_filters_are_checked(make_settings):
    tenants = [{"name": name, "filters": filters} for name, filters in OWN.items()]
    settings = make_settings(filters={"exclude_decayed": True, "decaying_models": ["shared"]})
    settings = settings.model_copy(update={"ms_tenants": [Tenant.model_construct(**tenant) for tenant in tenants]})
    models = [Model("1", "here", True)]
    warnings = [decaying_models.absent(destination, models) for destination in settings.destinations()]
    assert [len(listed) for listed in warnings] == [1, 2]
    assert "filters of second (ms_tenants) name the decaying model 'own'" in warnings[1][1]
    assert decaying_models.absent(settings.destinations()[1], [*models] * decaying_models.LISTED) == []


def test_a_key_of_another_address_is_reported_as_that(site):
    site.box.misp.for_elsewhere = {site.box.misp.readonly_key, site.box.misp.key}
    done = site.script("check")
    assert done.returncode == 3
    line = next(line for line in done.stdout.splitlines() if "MISP login" in line)
    assert "refuses it from this machine's address" in line and "Allowed IPs" in line
    assert "make one in MISP" not in line
    assert [path for _, path, _ in site.box.misp.requests].count("/users/view/me") == 1, "asking again does not help"
    assert "refuses it from this machine's address" in site.script().stderr


def test_a_key_that_may_no_longer_be_used_from_this_address_is_reported_as_that_during_a_run_too(tmp_path):
    with Sandbox() as box:
        reader = reader_for(box, tmp_path)
        reader.client.connect()
        box.misp.for_elsewhere = {box.misp.readonly_key}
        with pytest.raises(MispRefused, match="refuses it from this machine's address"):
            reader.listing({})
    refused = {"errors": (403, {"message": "It is not possible to use this Auth key from your IP address"})}
    assert declined(refused) is None, "it concerns every request, not this one"
