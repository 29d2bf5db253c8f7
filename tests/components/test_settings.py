import pytest

from components.core.errors import ConfigError
from components.settings import load_settings


@pytest.mark.parametrize("name", ["LINEWRIGHT_DATABSE__URL", "LINEWRIGHT_DATABASE_URL", "LINEWRIGHT_DATA_REMOTE"])
def test_a_misspelt_variable_is_refused_and_not_passed_over(name, tmp_path, monkeypatch):
    monkeypatch.setenv(name, "somewhere")
    with pytest.raises(ConfigError, match=f"no setting {name}.*LINEWRIGHT_GROUP__NAME.*DATABASE"):
        load_settings(tmp_path)


def test_variables_that_are_no_settings_are_let_be(tmp_path, monkeypatch):
    for name in ("LINEWRIGHT_HOME", "LINEWRIGHT_ACTOR", "LINEWRIGHT_CODE", "LINEWRIGHT_DINO_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("LINEWRIGHT_DATA__REMOTE", "s3://datasets")
    assert load_settings(tmp_path).data_remote == "s3://datasets"
