"""What ``deploy/kubernetes`` holds: Kubernetes takes it, and it runs the image as the docs say."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from helpers.commands.command_line import EXIT_CODES, parse
from helpers.process import Part, interrupts
from helpers.settings import load
from tests.project.deploy.test_deploy import STATE, instructions
from tests.support import environ_for

ROOT = Path(__file__).resolve().parents[3]
PLACE = ROOT / "deploy" / "kubernetes"
ONE, MANY = "cronjob.yaml", "destinations.yaml"
# The oldest that the docs name, and the newest that the schemas are there for.
VERSIONS = ("1.29", kubernetes_validate.latest_version())


class Azure:
    tenant, client_secret = "example.org", "s3cret"
    client_id, workspace_id = (f"{digit * 8}-1111-4111-8111-{digit * 12}" for digit in "12")


def objects(name):
    return list(yaml.safe_load_all((PLACE / name).read_text(encoding="utf-8")))


class Manifest:
    """A manifest's parts: the ConfigMap's data, the CronJob's and the job's spec, the pod's, and its container."""

    def __init__(self, name):
        self.kinds = {one["kind"]: one for one in objects(name)}
        self.data, self.cronjob = self.kinds["ConfigMap"]["data"], self.kinds["CronJob"]["spec"]
        self.job = self.cronjob["jobTemplate"]["spec"]
        self.pod = self.job["template"]["spec"]
        (self.container,) = self.pod["containers"]


@pytest.fixture(params=[ONE, MANY])
def manifest(request):
    return Manifest(request.param)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", sorted(PLACE.iterdir()), ids=lambda path: path.name)
def test_kubernetes_takes_it(path, version):
    """Strictly: a key that the schema does not have is refused too."""
    for one in objects(path.name):
        kubernetes_validate.validate(one, version, strict=True)


def test_a_misspelt_key_is_refused():
    (cronjob,) = (one for one in objects(ONE) if one["kind"] == "CronJob")
    cronjob["spec"]["concurencyPolicy"] = cronjob["spec"].pop("concurrencyPolicy")
    with pytest.raises(kubernetes_validate.ValidationError, match="concurencyPolicy"):
        kubernetes_validate.validate(cronjob, VERSIONS[0], strict=True)


def ran(container, **environ):
    """How a container's command ends that says what it would run."""
    (line,) = container["args"]
    return subprocess.run(
        [*container["command"], line.replace("exec /opt", "exec echo /opt")],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_index_takes_its_part_and_all_parts_are_taken():
    many = Manifest(MANY)
    assert many.job["completionMode"] == "Indexed"
    typed = [ran(many.container, JOB_COMPLETION_INDEX=str(n)).stdout.split() for n in range(many.job["completions"])]
    assert [words[:2] for words in typed] == [json.loads(dict(instructions())["ENTRYPOINT"])] * len(typed)
    taken = [parse(words[2:]).part for words in typed]
    assert taken == [Part(number, len(taken)) for number in range(1, 1 + len(taken))]
    assert many.job["parallelism"] <= len(taken)


def test_without_an_index_nothing_runs():
    """In a job of another kind each pod would take the first part."""
    process = ran(Manifest(MANY).container)
    assert process.returncode > 0 and not process.stdout
    assert "JOB_COMPLETION_INDEX" in process.stderr


def test_a_run_that_was_killed_is_repeated_and_one_that_ended_is_not():
    many = Manifest(MANY)
    disrupted, ended = many.job["podFailurePolicy"]["rules"]
    assert (disrupted["action"], disrupted["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (ended["action"], ended["onExitCodes"]["operator"]) == ("FailIndex", "In")
    assert ended["onExitCodes"]["containerName"] == many.container["name"]
    assert ended["onExitCodes"]["values"] == [code for code in EXIT_CODES if code]
    assert 0 < many.job["backoffLimitPerIndex"] < 5
    assert many.pod["restartPolicy"] == "Never", "else Kubernetes takes no podFailurePolicy"


def test_one_destination_is_the_images_own_command():
    one = Manifest(ONE)
    assert "command" not in one.container and one.container["args"] == ["--json"]
    assert "completions" not in one.job and one.job["backoffLimit"] == 0


def test_its_ledger_is_on_a_volume_that_stays_and_its_log_is_not():
    one = Manifest(ONE)
    volumes = {volume["name"]: volume for volume in one.pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in one.container["volumeMounts"]}
    claim = one.kinds["PersistentVolumeClaim"]["metadata"]["name"]
    assert mounts[STATE]["persistentVolumeClaim"]["claimName"] == claim
    (log,) = (variable["value"] for variable in one.container["env"] if variable["name"].endswith("LOG_FILE"))
    assert mounts[str(Path(log).parent)]["emptyDir"] == {}
    assert mounts["/tmp"]["emptyDir"] == {}, "SQLite takes it for large sorts and changes, and fails without"


def test_the_settings_in_it_are_settings_and_divide_microsofts_limit(manifest, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(manifest.data["config.py"])
    loaded = load(config, {key: value for key, value in environ_for(Azure).items() if "DOMAIN" not in key})
    assert loaded.warnings == ()
    assert loaded.settings.ms_max_requests_minute * manifest.job.get("parallelism", 1) <= 100
    assert manifest.container["resources"]["limits"]["memory"] == "1Gi"
    assert 5 * loaded.settings.misp_answer_mib + 300 <= 1024
    assert manifest.pod["terminationGracePeriodSeconds"] > interrupts.LONGEST_END + interrupts.LONGEST_PUT_OFF
    assert loaded.settings.max_run_minutes * 60 < manifest.pod["activeDeadlineSeconds"] == 12 * 3600
    assert manifest.cronjob["concurrencyPolicy"] == "Forbid"


def test_each_variable_names_a_setting_and_a_file_that_is_mounted(manifest):
    mounts = [mount["mountPath"] for mount in manifest.container["volumeMounts"]]
    for variable in manifest.container["env"]:
        if "value" in variable:
            assert any(variable["value"].startswith(f"{mount}/") for mount in mounts)
        else:  # it is not set where the secret does not have it
            key = variable["valueFrom"]["secretKeyRef"]
            assert (key["name"], key["optional"]) == ("misp2sentinel", True)
            assert variable["name"] == f"MISP2SENTINEL_{key['key'].upper()}"
    documented = (ROOT / "docs" / "configure.md").read_text(encoding="utf-8")
    names = [variable["name"] for variable in manifest.container["env"]]
    assert all(name in documented or name.removesuffix("_FILE") in documented for name in names)
    assert {volume["name"] for volume in manifest.pod["volumes"]} == {
        mount["name"] for mount in manifest.container["volumeMounts"]
    }


def test_the_docs_put_into_the_secret_what_is_read_from_it(manifest):
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    read = [variable["value"] for variable in manifest.container["env"] if "/run/secrets/" in variable.get("value", "")]
    command = " ".join(f"--from-file={Path(path).name}" for path in read)
    assert f"create secret generic misp2sentinel \\\n  {command}\n" in page


def test_a_pod_is_nobody_and_writes_to_its_volumes_only(manifest):
    assert manifest.pod["securityContext"]["runAsNonRoot"] is True
    assert f"{manifest.pod['securityContext']['runAsUser']}:" in dict(instructions())["USER"]
    assert manifest.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    written = [mount["mountPath"] for mount in manifest.container["volumeMounts"] if not mount.get("readOnly")]
    assert written in ([STATE], [STATE, "/var/log/misp2sentinel", "/tmp"])
    assert manifest.pod["automountServiceAccountToken"] is False
