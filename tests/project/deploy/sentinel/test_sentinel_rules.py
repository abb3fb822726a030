"""The analytics rules, run: which lines of logs they match with indicators as they are really sent."""

from __future__ import annotations

import json
import re

import pytest

from tests.project.deploy.sentinel.workspace import KQL, REPUBLISHED, RULES, TABLES, Workspace, ago, of_attributes

MD5, SHA1, SHA256 = ("0123456789abcdef" * 4)[:32], ("0123456789abcdef" * 4)[:40], "0123456789abcdef" * 4
RUN = r"HKLM\Software\Microsoft\Windows\CurrentVersion\Run\Loader"


@pytest.fixture
def workspace():
    return Workspace()


@pytest.fixture(params=[True, False], ids=["parsed", "with its pattern alone"])
def sent(request, workspace):
    """Sends what is made of attributes; Microsoft does not document which patterns get an ObservableValue."""

    def send(*attributes):
        indicators = of_attributes(*attributes)
        for indicator in indicators:
            workspace.send(indicator, parsed=request.param)
        return [indicator["id"] for indicator in indicators]

    return send


def ids(rows):
    return sorted(row["IndicatorId"] for row in rows)


# --- IPv6 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", ["2001:db8::25", "2001:DB8:0:0::25", "2001:0db8:0000:0000:0000:0000:0000:0025", "[2001:db8::25]:443"]
)
def test_an_ipv6_address_matches_in_every_spelling(workspace, sent, written):
    wanted = sent(("ip-dst", "2001:db8:0::0025"), ("ip-dst", "2001:db8::26"))[:1]
    workspace.add("SigninLogs", IPAddress=written, UserPrincipalName="someone@example.org")
    workspace.add("DeviceNetworkEvents", RemoteIP=written, DeviceName="host.example.org")
    workspace.add("CommonSecurityLog", SourceIP="192.0.2.9", DeviceCustomIPv6Address3=written)
    rows = workspace.ask("ipv6")
    assert {row["Log"] for row in rows} == {"SigninLogs", "DeviceNetworkEvents", "CommonSecurityLog"}
    assert {*ids(rows)} == {*wanted}


def test_an_ipv4_indicator_matches_an_address_that_is_written_as_ipv6(workspace, sent):
    wanted = sent(("ip-dst", "192.0.2.44"))
    workspace.add("DeviceNetworkEvents", RemoteIP="::ffff:192.0.2.44")
    assert ids(workspace.ask("ipv6")) == wanted


@pytest.mark.parametrize("written", ["192.0.2.44", "2001:db8::27", "", ":", "no address: at all"])
def test_what_is_no_ipv6_address_or_another_one_matches_nothing(workspace, sent, written):
    sent(("ip-dst", "192.0.2.44"), ("ip-dst", "2001:db8::25"))
    workspace.add("DeviceNetworkEvents", RemoteIP=written)
    assert workspace.ask("ipv6") == []


# --- URLs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["UrlClickEvents", "EmailUrlInfo", "CommonSecurityLog"])
def test_a_url_with_capitals_matches_whatever_the_log_made_of_its_case(workspace, sent, table):
    wanted, _ = sent(("url", "https://Bad.example.org/Login.php?Id=7"), ("url", "https://bad.example.org/login"))
    column = "RequestURL" if table == "CommonSecurityLog" else "Url"
    for written in ("https://bad.example.org/Login.php?Id=7", "https://bad.example.org/login.php?id=7"):
        workspace.add(table, **{column: written})
    workspace.add(table, **{column: "https://bad.example.org/login"})
    rows = workspace.ask("url-capitals")
    assert ids(rows) == [wanted, wanted]
    assert {row["Log"] for row in rows} == {table}


@pytest.mark.parametrize(("indicator", "written"), [("http", "http"), ("https", "https")])
def test_a_url_matches_where_the_log_leaves_the_scheme_out(workspace, sent, indicator, written):
    wanted = sent(("url", f"{indicator}://Bad.example.org/Login?next=a"))
    workspace.add("CommonSecurityLog", RequestURL="bad.example.org/login?next=a")
    rows = workspace.ask("url-capitals")
    assert (ids(rows), rows[0]["Url"]) == (wanted, f"{written}://bad.example.org/login?next=a")


def test_a_url_whose_pattern_the_table_cuts_off_still_matches_by_its_value(workspace):
    url = "https://bad.example.org/" + 1_000 * "A"
    (indicator,) = of_attributes(("url", url))
    workspace.send(indicator, Pattern=indicator["pattern"][:1_000])
    workspace.add("UrlClickEvents", Url=url.lower())
    assert ids(workspace.ask("url-capitals")) == [indicator["id"]]


# --- certificates ----------------------------------------------------------------------------------


def test_a_fingerprint_matches_where_files_are_signed_and_applications_sign_in(workspace, sent):
    wanted = sent(("x509-fingerprint-sha1", SHA1.upper()), ("md5", MD5))[0]
    workspace.add("DeviceFileCertificateInfo", SignerHash=SHA1, IssuerHash="f" * 40, SHA1="e" * 40)
    workspace.add("AADServicePrincipalSignInLogs", ServicePrincipalCredentialThumbprint=SHA1.upper())
    rows = workspace.ask("certificate")
    assert ids(rows) == [wanted, wanted]
    assert {row["Log"]: row["FileHash"] for row in rows} == {
        "DeviceFileCertificateInfo": "e" * 40,
        "AADServicePrincipalSignInLogs": "",
    }


@pytest.mark.parametrize(("kind", "value"), [("md5", MD5), ("sha1", SHA1), ("sha256", SHA256)])
def test_a_fingerprint_matches_in_the_extensions_of_a_cef_message(workspace, sent, kind, value):
    wanted = sent((f"x509-fingerprint-{kind}", value))
    workspace.add("CommonSecurityLog", AdditionalExtensions=f"act=allow;fingerprint={value.upper()};n=1")
    workspace.add("CommonSecurityLog", AdditionalExtensions=f"fingerprint={value[::-1]}")
    assert ids(workspace.ask("certificate")) == wanted


def test_more_fingerprints_than_one_search_takes_are_all_compared(workspace, monkeypatch):
    """Kusto's has_any takes 10,000 values; here it takes one."""
    wanted = of_attributes(("x509-fingerprint-md5", MD5), ("x509-fingerprint-sha1", SHA1))
    for indicator, value in zip(wanted, (MD5, SHA1), strict=True):
        workspace.send(indicator)
        workspace.add("CommonSecurityLog", AdditionalExtensions=f"fingerprint={value}")
    assert KQL["certificate"].count("10000") == 2
    monkeypatch.setitem(KQL, "certificate", KQL["certificate"].replace("10000", "1"))
    assert ids(workspace.ask("certificate")) == [indicator["id"] for indicator in wanted]


# --- the registry ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("misp", "path", "name"),
    [
        (RUN, r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run", "Loader"),
        (RUN, r"\REGISTRY\MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run", "Loader"),
        (RUN, r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\Loader", ""),
        (RUN, r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\Loader", "Any"),
        (r"HKCU\Software\Bad", r"HKEY_CURRENT_USER\S-1-5-21-1-2-3-1001\Software\Bad", "Any"),
        (r"HKEY_CURRENT_USER\Software\Bad", r"HKEY_USERS\S-1-12-1-4-5-6-7\SOFTWARE\Bad", ""),
        (r"HKCU:\Software\Bad", r"\REGISTRY\USER\S-1-5-21-1-2-3-1001\Software\Bad", ""),
        (r"HKLM\System\CurrentControlSet\Services\bad", r"HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\bad", "X"),
        (r"HKLM\\Software\\Bad", r"HKEY_LOCAL_MACHINE\SOFTWARE\Bad", ""),
        ("HKLM\\Software\\Bad\\", r"HKEY_LOCAL_MACHINE\SOFTWARE\Bad", "Any"),
        (r"HKCR\.bad", r"HKEY_LOCAL_MACHINE\SOFTWARE\Classes\.bad", ""),
        (r"HKLM\Software\It's\50%", r"HKEY_LOCAL_MACHINE\SOFTWARE\It's\50%", ""),
    ],
)
@pytest.mark.parametrize("table", ["DeviceRegistryEvents", "SecurityEvent"])
def test_a_registry_key_matches_whatever_its_root_is_called(workspace, sent, misp, path, name, table):
    wanted = sent(("regkey", misp))
    if table == "SecurityEvent":
        workspace.add(table, EventID=4657, ObjectName=path, ObjectValueName=name, Computer="host")
    else:
        workspace.add(table, RegistryKey=path, RegistryValueName=name, DeviceName="host")
    rows = workspace.ask("registry")
    assert ids(rows) == wanted
    assert rows[0]["Hive"].startswith("HKEY_") and rows[0]["Rest"] and rows[0]["Events"] == 1


def test_a_value_matches_also_where_sentinel_leaves_it_escaped(workspace):
    (indicator,) = of_attributes(("regkey", r"HKLM\Software\It's"))
    workspace.send(indicator, ObservableValue=r"HKLM\\Software\\It\'s")
    workspace.add("DeviceRegistryEvents", RegistryKey=r"HKEY_LOCAL_MACHINE\SOFTWARE\It's")
    assert ids(workspace.ask("registry")) == [indicator["id"]]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run", "Another"),
        (r"HKEY_CURRENT_USER\S-1-5-21-1-2-3-1001\Software\Microsoft\Windows\CurrentVersion\Run", "Loader"),
        ("", "Loader"),
    ],
)
def test_another_key_value_or_hive_matches_nothing(workspace, sent, path, name):
    sent(("regkey", RUN))
    workspace.add("DeviceRegistryEvents", RegistryKey=path, RegistryValueName=name)
    workspace.add("SecurityEvent", EventID=4663, ObjectName=RUN)
    assert workspace.ask("registry") == []


# --- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "column", "hash_"), [("md5", "MD5", MD5), ("sha1", "SHA1", SHA1)])
@pytest.mark.parametrize("table", ["DeviceFileEvents", "DeviceProcessEvents"])
def test_a_hash_with_a_name_says_whether_the_name_is_the_same(workspace, sent, kind, column, hash_, table):
    wanted = sent((f"filename|{kind}", f"Invoice 1.exe|{hash_}"))
    for name in ("invoice 1.EXE", "other.exe"):
        workspace.add(table, FileName=name, **{column: hash_.upper()})
    rows = workspace.ask("file-name-and-hash")
    assert {*ids(rows)} == {*wanted}
    assert {row["FileName"]: row["SameName"] for row in rows} == {"invoice 1.EXE": "yes", "other.exe": "no"}
    assert {(row["Algorithm"], row["KnownName"]) for row in rows} == {(column, "Invoice 1.exe")}


@pytest.mark.parametrize("known", ["one.exe, two.exe", "Two.exe", r"C:\Users\Public\two.exe", "/tmp/two.exe"])
def test_of_several_names_and_of_a_path_each_part_is_the_name(workspace, known):
    (indicator,) = of_attributes(("filename|md5", f"x|{MD5}"))
    workspace.send({**indicator, "description": f"A comment\nFile name: {known}\nAn event"})
    for name in ("two.exe", "wo.exe", ""):
        workspace.add("DeviceFileEvents", FileName=name, MD5=MD5)
    rows = workspace.ask("file-name-and-hash")
    assert {row["FileName"]: row["SameName"] for row in rows} == {"two.exe": "yes", "wo.exe": "no", "": "no"}


def test_without_a_name_only_an_md5_counts(workspace, sent):
    wanted = sent(("md5", MD5), ("sha1", SHA1), ("sha256", SHA256))[:1]
    workspace.add("DeviceFileEvents", FileName="any.exe", MD5=MD5, SHA1=SHA1, SHA256=SHA256)
    rows = workspace.ask("file-name-and-hash")
    assert (ids(rows), rows[0]["SameName"]) == (wanted, "no name in MISP")


def test_a_hash_of_something_else_than_the_file_matches_nothing(workspace, sent):
    sent(("filename|imphash", f"a.exe|{MD5}"), ("filename", "a.exe"))
    workspace.add("DeviceFileEvents", FileName="a.exe", MD5=MD5)
    assert workspace.ask("file-name-and-hash") == []


# --- what all of them have in common ---------------------------------------------------------------


MATCHES = {
    "ipv6": (("ip-dst", "2001:db8::25"), "DeviceNetworkEvents", {"RemoteIP": "2001:db8::25"}),
    "url-capitals": (("url", "https://bad.example.org/A"), "UrlClickEvents", {"Url": "https://bad.example.org/A"}),
    "certificate": (("x509-fingerprint-sha1", SHA1), "DeviceFileCertificateInfo", {"SignerHash": SHA1}),
    "registry": (("regkey", r"HKLM\Bad"), "DeviceRegistryEvents", {"RegistryKey": r"HKEY_LOCAL_MACHINE\Bad"}),
    "file-name-and-hash": (("filename|md5", f"a.exe|{MD5}"), "DeviceFileEvents", {"MD5": MD5, "FileName": "a.exe"}),
}


@pytest.mark.parametrize("name", MATCHES)
def test_a_match_has_each_column_that_the_rule_names_and_the_id_that_was_sent(workspace, name):
    attribute, table, line = MATCHES[name]
    (indicator,) = of_attributes(attribute)
    workspace.send(indicator)
    workspace.add(table, **line)
    (row,) = workspace.ask(name)
    rule = RULES[name]
    mapped = [field["columnName"] for entity in rule["entityMappings"] for field in entity["fieldMappings"]]
    assert {*mapped, *rule["customDetails"].values()} <= row.keys()
    assert (row["IndicatorId"], row["Event"], row["Tlp"]) == (indicator["id"], "An event", "green")
    assert (row["Confidence"], row["Events"]) == (50, 1)


@pytest.mark.parametrize("name", MATCHES)
@pytest.mark.parametrize(
    "newest",
    [
        {"IsActive": False},
        {"Revoked": True},
        {"IsDeleted": True},
        {"ValidUntil": ago(hours=1)},
        {"Pattern": "", "ObservableValue": "", "Data": "{}", "IsDeleted": True},
    ],
    ids=lambda newest: next(iter(newest)),
)
def test_what_is_no_longer_live_matches_nothing(workspace, name, newest):
    attribute, table, line = MATCHES[name]
    (indicator,) = of_attributes(attribute)
    workspace.send(indicator, TimeGenerated=ago(days=3))
    workspace.send(indicator, TimeGenerated=ago(days=2), **newest)
    workspace.add(table, **line)
    assert workspace.ask(name) == []


@pytest.mark.parametrize("name", MATCHES)
def test_a_line_of_before_the_last_run_and_another_source_match_nothing(workspace, name):
    attribute, table, line = MATCHES[name]
    (indicator,) = of_attributes(attribute)
    workspace.send(indicator, TimeGenerated=ago(days=13))
    workspace.add(table, **line, TimeGenerated=ago(hours=2))
    assert workspace.ask(name) == []
    workspace.add(table, **line)
    assert len(workspace.ask(name)) == 1
    assert workspace.ask(name, source="another") == []


@pytest.mark.parametrize(
    ("name", "key", "line"),
    [
        ("certificate", "x509-certificate:hashes.MD5", ("AADServicePrincipalSignInLogs", "ServicePrincipalName")),
        ("file-name-and-hash", "file:hashes.MD5", ("DeviceFileEvents", "FileName")),
    ],
)
def test_an_indicator_without_a_value_is_not_the_same_as_a_line_without_one(workspace, name, key, line):
    """Text is never null in Kusto, but empty, and joins with what is empty."""
    (indicator,) = of_attributes(("md5", MD5))
    workspace.send(indicator, Pattern=f"[{key} = '']", ObservableValue="")
    table, column = line
    empty = {"ServicePrincipalCredentialThumbprint": ""} if name == "certificate" else {"MD5": ""}
    workspace.add(table, **{column: "a"}, **empty)
    assert workspace.ask(name) == []


@pytest.mark.parametrize("name", MATCHES)
def test_a_rule_runs_in_a_workspace_that_has_none_of_its_tables(workspace, name):
    """Kusto leaves the tables out that are not there, and refuses a union of which nothing is left."""
    logs = TABLES.keys() - {"ThreatIntelIndicators"}
    text = re.sub(
        rf"\n +\((?:{'|'.join(logs)})\n(?: +\|.*\n)*? +\| project .*?\)(?=,?\n)(?:,(?=\n))?", "", RULES[name]["query"]
    )
    text = text.replace("take 0),\n", "take 0)\n")
    assert not any(re.search(rf"^ +\({log}$", text, re.MULTILINE) for log in logs)
    (indicator,) = of_attributes(MATCHES[name][0])
    workspace.send(indicator)
    assert workspace.run(text) == []


@pytest.mark.parametrize("name", MATCHES)
def test_the_details_of_an_alert_are_not_too_long_for_sentinel(workspace, name):
    """Microsoft: 2 KB in one alert, and what is over is dropped; so each match has an alert of its own."""
    attribute, table, line = MATCHES[name]
    (indicator,) = of_attributes(attribute)
    description = f"File name: {900 * 'é'}\nAn event"
    workspace.send({**indicator, "name": 1_000 * "é", "description": description})
    workspace.add(table, **line)
    (row,) = workspace.ask(name)
    details = {key: [row[column]] for key, column in RULES[name]["customDetails"].items()}
    assert len(json.dumps(details, ensure_ascii=False).encode()) < 2_000
    assert RULES[name]["eventGroupingSettings"] == {"aggregationKind": "AlertPerResult"}


# --- silence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "silent"),
    [
        ([*range(12, 300, 24)], False),  # each night
        ([*range(47, 330, 24)], False),  # each night, until two days ago
        ([*range(49, 330, 24)], True),
        ([*range(37, 330, 1)], True),  # each hour
        ([*range(35, 330, 1)], False),
        ([60, 132, 156, 180, 204, 228, 300, 324], False),  # with weekends of three days
        ([150, 222, 246, 270, 318], True),
        ([100], False),  # once in two weeks: nobody knows what is usual
        ([250], True),
    ],
)
def test_silence_is_told_by_what_is_usual(workspace, hours, silent):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    for hour in hours:
        workspace.send(indicator, TimeGenerated=ago(hours=hour))
    workspace.send(indicator, LastUpdateMethod=REPUBLISHED)
    workspace.send(indicator, source="another")
    rows = workspace.ask("sync-is-silent")
    assert bool(rows) == silent
    assert [row["HoursSilent"] for row in rows] == ([min(hours)] if silent else [])
    assert {*RULES["sync-is-silent"]["customDetails"].values()} <= {"NewestSent", "HoursSilent", "LongestBefore"}


def test_two_weeks_without_anything_are_told_also_where_microsoft_still_writes(workspace):
    (indicator,) = of_attributes(("domain", "bad.example.org"))
    workspace.send(indicator, LastUpdateMethod=REPUBLISHED)
    (row,) = workspace.ask("sync-is-silent")
    assert (row["NewestSent"], row["HoursSilent"], row["LongestBefore"]) == ("none in 14 days", 336, 0)
