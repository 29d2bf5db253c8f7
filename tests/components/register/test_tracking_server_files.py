"""What an operator is given: the compose file is sound and without secrets, every variable is one we read."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = ROOT / "mlflow" / "compose.yaml"
EXAMPLES = sorted((ROOT / "configs" / "env").glob("*.example"))
SECRETS = {"POSTGRES_PASSWORD": "a1", "S3_ACCESS_KEY": "b2", "S3_SECRET_KEY": "c3"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def docker_compose() -> list[str]:
    found = shutil.which("docker")
    if found and subprocess.run([found, "compose", "version"], capture_output=True, check=False).returncode == 0:
        return [found, "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    pytest.skip("Docker Compose is not installed")


def test_docker_compose_takes_the_file() -> None:
    command = [*docker_compose(), "-f", str(COMPOSE), "config", "--quiet"]
    where = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    answer = subprocess.run(command, env={**where, **SECRETS}, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    for missing in SECRETS:
        some = {name: value for name, value in SECRETS.items() if name != missing}
        refused = subprocess.run(command, env={**where, **some}, capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        assert missing in refused.stderr


def test_every_service_is_pinned_and_checked(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.search(r":\d+\.\d+", service["image"]), name
        assert service["healthcheck"], name
    for image in re.findall(r"^\s*FROM (\S+)", compose["services"]["tracking"]["build"]["dockerfile_inline"], re.M):
        assert re.search(r":\d+\.\d+\.\d+", image)


def test_the_server_is_the_release_that_the_project_uses(compose: dict[str, Any]) -> None:
    (locked,) = re.findall(r"^mlflow==(\S+)", (ROOT / "requirements.lock").read_text(), re.M)
    assert compose["services"]["tracking"]["image"].endswith(f":{locked}")


def test_there_are_no_default_secrets() -> None:
    text = COMPOSE.read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(SECRETS)
    assert re.findall(r"\$\{(\w+):?-", text) == ["BIND_ADDRESS", "BIND_ADDRESS"]
    for example in [*EXAMPLES, ROOT / "mlflow" / "server.env"]:
        for name, value in re.findall(r"^#? ?(\w*(?:PASSWORD|SECRET|KEY|AUTH_)\w*)=(.*)$", example.read_text(), re.M):
            assert value == "", (example.name, name)


def test_the_folder_holds_no_python() -> None:
    assert list((ROOT / "mlflow").rglob("*.py")) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_variable_is_one_that_settings_read(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = dict(re.findall(r"^#? ?(LINEWRIGHT_\w+)=(.*)$", example.read_text(), re.M))
    assert named
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    settings = Settings(home=tmp_path)  # unknown names are refused
    for name in named:
        group, field = name.removeprefix("LINEWRIGHT_").lower().split("__")
        assert field in type(getattr(settings, group)).model_fields
