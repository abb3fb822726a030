"""Clusters of the sandbox's MISP, and the route that resolves tags, beyond what the replayed recordings show."""

import pytest
from pymisp import PyMISP

from sandbox.faults import Fault
from sandbox.misp.accounts import organisation
from sandbox.misp.app import MispState, create_app
from sandbox.misp.records import ORGANISATION
from sandbox.serve import Sandbox

NOW = 1_795_890_000
SPIDER, PHISHING = 'misp-galaxy:threat-actor="Sandbox Spider"', 'misp-galaxy:mitre-attack-pattern="Phishing - T1566"'
OTHERS = organisation(7, "Others", "00000000-0000-4000-8000-0000000000a7")
UUIDS = [f"{number}0000000-0000-4000-8000-000000000000" for number in range(10)]


class Moment:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def misp():
    state = MispState(clock=Moment())
    state.keys = {"user": state.add_user("User"), "others": state.add_user("User", OTHERS), "admin": state.key}
    state.add_cluster("threat-actor", "Sandbox Spider", {"synonyms": ["Loader Crew", "Weaver"]}, uuid=UUIDS[1])
    state.add_cluster("mitre-attack-pattern", "Phishing - T1566", uuid=UUIDS[2], version=36)
    return state


def post(misp, user="user", path="/galaxy_clusters/restSearch", **body):
    return create_app(misp).test_client().post(path, json=body, headers={"Authorization": misp.keys.get(user, "")})


def found(misp, user="user", **body):
    return [record["GalaxyCluster"] for record in post(misp, user, **body).json["response"]]


def values(misp, user="user", **body):
    return [cluster["value"] for cluster in found(misp, user, **body)]


def test_a_cluster_is_shown_whole(misp):
    (spider,) = found(misp, tag_name=[SPIDER, 'misp-galaxy:threat-actor="Nobody"'])
    assert (spider["uuid"], spider["value"], spider["version"]) == (UUIDS[1], "Sandbox Spider", "1")
    assert [(element["key"], element["value"]) for element in spider["GalaxyElement"]] == [
        ("synonyms", "Loader Crew"),
        ("synonyms", "Weaver"),
    ]
    assert spider["GalaxyClusterRelation"] == [] and "TargetingClusterRelation" not in spider
    assert (spider["Galaxy"]["type"], spider["Org"]["name"], spider["default"]) == ("threat-actor", "MISP", True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["Sandbox Spider", "Phishing - T1566"]),
        ({"tag_name": [SPIDER, PHISHING]}, ["Phishing - T1566", "Sandbox Spider"]),
        ({"uuid": [UUIDS[2], UUIDS[1]]}, ["Sandbox Spider", "Phishing - T1566"]),
        ({"tag_name": SPIDER}, ["Sandbox Spider"]),
        ({"uuid": UUIDS[2]}, ["Phishing - T1566"]),
        ({"tag_name": [], "uuid": [UUIDS[1]]}, []),
        ({"tag_name": SPIDER.upper()}, ["Sandbox Spider"]),
        ({"tag_name": f"{SPIDER} "}, ["Sandbox Spider"]),
        ({"tag_name": SPIDER.replace("Spider", "Spíder")}, ["Sandbox Spider"]),
        ({"tag_name": f" {SPIDER}"}, []),
        ({"tag_name": SPIDER.replace("Spider", "%")}, []),
        ({"uuid": "A" + UUIDS[1][1:]}, []),
        ({"tag_name": [None, 5, PHISHING]}, ["Phishing - T1566"]),
        ({"limit": 1, "page": 2}, ["Phishing - T1566"]),
        ({"limit": 1, "page": 3}, []),
        ({"page": 2}, ["Sandbox Spider", "Phishing - T1566"]),
        ({"version": 36}, ["Phishing - T1566"]),
        ({"custom": True}, []),
        ({"custom": 0}, ["Sandbox Spider", "Phishing - T1566"]),
        (
            {"value": "Phishing - T1566", "type": "x", "published": True, "deleted": 1},
            ["Sandbox Spider", "Phishing - T1566"],
        ),
        ({"request": {"tag_name": SPIDER}}, ["Sandbox Spider"]),
        ({"tag_name": SPIDER, "returnFormat": "csv"}, ["Sandbox Spider"]),
    ],
)
def test_what_is_found_and_in_which_order(misp, query, expected):
    answer = post(misp, **query)
    assert [record["GalaxyCluster"]["value"] for record in answer.json["response"]] == expected
    assert answer.headers["X-Result-Count"] == str(len(expected))


def test_the_minimal_form_is_uuid_and_version(misp):
    assert found(misp, minimal=True, uuid=UUIDS[2]) == [{"uuid": UUIDS[2], "version": "36"}]
    assert found(misp, minimal=1, tag_name=SPIDER) == [{"uuid": UUIDS[1], "version": "1"}]


def test_a_galaxy_is_named_by_its_uuid(misp):
    (spider,) = found(misp, tag_name=SPIDER)
    misp.add_cluster("threat-actor", "Another")
    assert values(misp, galaxy_uuid=spider["Galaxy"]["uuid"]) == ["Sandbox Spider", "Another"]
    assert values(misp, galaxy_uuid=UUIDS[9]) == []


def test_of_one_tag_and_of_one_uuid_there_may_be_several(misp):
    misp.add_cluster("threat-actor", "Sandbox Spider", uuid=UUIDS[3], version="2")
    misp.add_cluster("mitre-intrusion-set", "Sandbox Spider - G0000", uuid=UUIDS[1], version="40")
    assert found(misp, tag_name=[SPIDER], minimal=1) == [
        {"uuid": UUIDS[1], "version": "1"},
        {"uuid": UUIDS[3], "version": "2"},
    ]
    assert [cluster["version"] for cluster in found(misp, uuid=UUIDS[1], minimal=1)] == ["1", "40"]


def test_a_custom_cluster_has_its_uuid_in_its_tag_and_belongs_to_somebody(misp):
    uuid = misp.add_cluster("threat-actor", "Ours", default=False)
    (ours,) = found(misp, "others", tag_name=f'misp-galaxy:threat-actor="{uuid}"')
    assert (ours["value"], ours["default"], ours["version"]) == ("Ours", False, str(NOW))
    assert ours["Orgc"]["name"] == ours["Org"]["name"] == ORGANISATION["name"]
    assert values(misp, custom=True) == ["Ours"]
    assert values(misp, tag_name='misp-galaxy:threat-actor="Ours"') == []


def test_a_tag_with_the_uuid_of_a_custom_cluster_says_so(misp):
    tags = [misp.tag(name) for name in (f'misp-galaxy:x="{UUIDS[1]}"', SPIDER.title(), "tlp:red")]
    assert [(tag["is_galaxy"], tag["is_custom_galaxy"]) for tag in tags] == [
        (True, True),
        (True, False),
        (False, False),
    ]


def test_who_sees_a_cluster_by_its_distribution(misp):
    group = misp.add_sharing_group("with others", OTHERS)
    for distribution in "01234":
        shared = {"sharing_group_id": group} if distribution == "4" else {}
        misp.add_cluster("sector", distribution, default=False, distribution=distribution, **shared)
    misp.add_cluster("sector", "theirs", default=False, distribution="0", org_id=OTHERS["id"])
    galaxy = misp.clusters[-1]["Galaxy"]["uuid"]
    assert values(misp, "user", galaxy_uuid=galaxy) == ["0", "1", "2", "3", "4"]
    assert values(misp, "others", galaxy_uuid=galaxy) == ["1", "2", "3", "4", "theirs"]
    assert values(misp, "admin", galaxy_uuid=galaxy) == ["0", "1", "2", "3", "4", "theirs"]


def test_a_cluster_that_is_made_private_is_gone_for_a_stranger_alone(misp):
    uuid = misp.add_cluster("threat-actor", "Ours", default=False)
    misp.edit_cluster(uuid, distribution="0")
    assert (values(misp, "user", uuid=uuid), values(misp, "others", uuid=uuid)) == (["Ours"], [])
    assert found(misp, "others", uuid=uuid, minimal=1) == []


def test_relations_lead_there_and_are_known_there(misp):
    group = misp.add_cluster(
        "mitre-intrusion-set", "Weaver - G0", relations=[("uses", UUIDS[2]), ("similar", UUIDS[3])]
    )
    (weaver,) = found(misp, uuid=group)
    assert [
        (one["referenced_galaxy_cluster_type"], one["referenced_galaxy_cluster_uuid"], one["galaxy_cluster_uuid"])
        for one in weaver["GalaxyClusterRelation"]
    ] == [("uses", UUIDS[2], group), ("similar", UUIDS[3], group)]
    (phishing,) = found(misp, uuid=UUIDS[2])
    assert phishing["TargetingClusterRelation"] == weaver["GalaxyClusterRelation"][:1]
    numbers = [one["referenced_galaxy_cluster_id"] for one in weaver["GalaxyClusterRelation"]]
    assert numbers == [phishing["id"], "0"], "one leads to a cluster that is not here"
    misp.add_cluster("threat-actor", "Late", uuid=UUIDS[3])
    (late,) = found(misp, uuid=UUIDS[3])
    assert [one["galaxy_cluster_uuid"] for one in late["TargetingClusterRelation"]] == [group]
    assert found(misp, uuid=group)[0]["GalaxyClusterRelation"][1]["referenced_galaxy_cluster_id"] == late["id"]


def test_a_relation_is_as_visible_as_it_and_its_cluster_are(misp):
    ours = misp.add_cluster("threat-actor", "Ours", default=False, distribution="0", relations=[("similar", UUIDS[1])])
    open_one = misp.add_cluster("threat-actor", "Open", default=False)
    misp.relate(open_one, "similar", UUIDS[1], distribution="0")

    def sources(user):
        (spider,) = found(misp, user, uuid=UUIDS[1])
        return [one["galaxy_cluster_uuid"] for one in spider.get("TargetingClusterRelation", ())]

    assert (sources("user"), sources("others")) == ([ours, open_one], [])
    assert found(misp, "others", uuid=open_one)[0]["GalaxyClusterRelation"] == []
    assert len(found(misp, "user", uuid=open_one)[0]["GalaxyClusterRelation"]) == 1


def test_a_deleted_cluster_stays_and_says_so_and_one_deleted_hard_is_gone(misp):
    ours = misp.add_cluster("threat-actor", "Ours", default=False, relations=[("similar", UUIDS[1])])
    misp.clock.now += 60
    misp.delete_cluster(ours)
    (deleted,) = found(misp, uuid=ours)
    assert (deleted["deleted"], deleted["published"], deleted["version"]) == (True, False, str(NOW + 60))
    misp.delete_cluster(ours, hard=True)
    assert found(misp, uuid=ours) == []
    assert "TargetingClusterRelation" not in found(misp, uuid=UUIDS[1])[0]


def test_a_relation_to_a_cluster_that_was_deleted_hard_leads_to_no_number(misp):
    ours = misp.add_cluster("threat-actor", "Ours", relations=[("uses", UUIDS[2])])
    misp.delete_cluster(UUIDS[2], hard=True)
    (relation,) = found(misp, uuid=ours)[0]["GalaxyClusterRelation"]
    assert (relation["referenced_galaxy_cluster_id"], relation["referenced_galaxy_cluster_uuid"]) == ("0", UUIDS[2])


def test_an_edit_gives_a_newer_version(misp):
    ours = misp.add_cluster("threat-actor", "Ours", {"synonyms": ["a"]}, default=False, published=True)
    misp.clock.now += 60
    for uuid in (ours, UUIDS[2]):
        misp.edit_cluster(uuid, {"refs": ["https://example.com/new"]}, description="new")
    custom, counted = found(misp, uuid=ours)[0], found(misp, uuid=UUIDS[2])[0]
    assert (custom["version"], custom["published"], counted["version"]) == (str(NOW + 60), False, "37")
    assert [element["key"] for element in custom["GalaxyElement"]] == ["refs"]
    assert custom["description"] == counted["description"] == "new"
    misp.edit_cluster(ours, description="newer")
    assert int(found(misp, uuid=ours, minimal=1)[0]["version"]) > NOW + 60
    with pytest.raises(KeyError):
        misp.edit_cluster(UUIDS[9], description="x")


def test_who_has_no_key_or_asks_in_no_readable_way_is_refused(misp):
    client, headers = create_app(misp).test_client(), {"Authorization": misp.keys["user"]}
    path = "/galaxy_clusters/restSearch"
    assert post(misp, "nobody", tag_name=SPIDER).status_code == 403
    assert client.get(path, headers=headers).status_code == 400
    assert client.post(path, data='{"tag_name": [', headers=headers).status_code == 405
    assert len(client.post(path, data='["x"]', headers=headers).json["response"]) == 2
    assert len(client.get(f"{path}/minimal:1/limit:1", headers=headers).json["response"]) == 1
    assert client.post(f"{path}.json", json={"uuid": UUIDS[1]}, headers=headers).status_code == 200


def test_no_limit_counts_this_route(misp):
    misp.rate_limit = 1
    search = {"path": "/events/restSearch", "eventid": 1}
    assert [post(misp, **search).status_code for _ in range(2)] == [200, 429]
    assert [post(misp, tag_name=SPIDER).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("status", [404, 500])
def test_a_misp_without_the_route_can_be_had(misp, status):
    misp.faults.add(Fault("/galaxy_clusters", "status", status=status, times=None))
    assert post(misp, tag_name=SPIDER).status_code == status
    misp.faults.clear()
    assert values(misp, tag_name=SPIDER) == ["Sandbox Spider"]


def test_pymisp_asks_it(misp):
    with Sandbox(state_misp=misp) as box:
        client = PyMISP(box.misp_url, misp.readonly_key, ssl=box.ca_file)
        answer = client.direct_call("galaxy_clusters/restSearch", data={"tag_name": [SPIDER], "page": 1, "limit": 100})
    assert [record["GalaxyCluster"]["value"] for record in answer] == ["Sandbox Spider"]
